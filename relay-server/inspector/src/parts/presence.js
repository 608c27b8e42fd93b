// Whether what is shown is what is: live, connecting, or down since when and trying again when.

import { html, useEffect, useState } from "../vendor/preact.js";
import { presence, retryNow } from "../model/live.js";
import { moment } from "../model/format.js";
import { useSignal } from "../model/signal.js";
import { Shape } from "./text.js";

export function Presence() {
  const { phase, since, retryAt } = useSignal(presence);
  const [, tick] = useState(0);
  useEffect(() => {
    if (phase !== "down") return undefined;
    const timer = setInterval(() => tick((n) => n + 1), 1000);
    return () => clearInterval(timer);
  }, [phase]);
  if (phase === "live") return html`<span class="presence good" role="status"><${Shape} kind="dot" /><span>Live</span></span>`;
  if (phase === "connecting" || phase === "resting") return html`<span class="presence" role="status"><${Shape} kind="ring" /><span>Connecting…</span></span>`;
  const left = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
  return html`<span class="presence bad"><${Shape} kind="triangle" /><span role="status">Not live since ${moment(since)}</span>
    <span class="presence-next">next try in ${left} s</span><button type="button" class="small" onClick=${retryNow}>Try now</button></span>`;
}
