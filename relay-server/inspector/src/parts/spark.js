// Sixty minutes as bars: height is how many, the marked foot is how many failed. The words beside it say the same.

import { html } from "../vendor/preact.js";

const TALL = 22;

export function Spark({ minutes }) {
  const most = Math.max(1, ...minutes.map(({ events }) => events));
  const events = minutes.reduce((sum, minute) => sum + minute.events, 0);
  const failed = minutes.reduce((sum, minute) => sum + minute.failed, 0);
  return html`<svg class="spark" viewBox=${`0 0 ${minutes.length * 2} ${TALL}`} preserveAspectRatio="none" role="img" aria-label=${`${events} events in the last hour, ${failed} failed`}>
    <path class="spark-ground" d=${`M0 ${TALL - 0.5}h${minutes.length * 2}`} />
    ${minutes.map(({ events: all, failed: bad }, x) => {
      const height = all ? Math.max(1.5, (all / most) * TALL) : 0;
      const foot = bad ? Math.max(1.5, (bad / most) * TALL) : 0;
      return html`${height > 0 && html`<rect x=${x * 2} y=${TALL - height} width="1.4" height=${height} />`}${foot > 0 && html`<rect class="bad" x=${x * 2} y=${TALL - foot} width="1.4" height=${foot} />`}`;
    })}
  </svg>`;
}
