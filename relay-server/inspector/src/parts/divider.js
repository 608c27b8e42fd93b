// The line between list and event, to be dragged or moved with the arrows; the share is remembered.

import { html } from "../vendor/preact.js";
import { useSignal } from "../model/signal.js";

const MIN = 24;
const MAX = 72;

export function Divider({ share, label }) {
  const now = useSignal(share);
  const set = (value) => share.set(Math.round(Math.max(MIN, Math.min(MAX, value))));
  const onPointerDown = (event) => {
    const handle = event.currentTarget;
    const box = handle.parentElement.getBoundingClientRect();
    handle.setPointerCapture(event.pointerId);
    handle.onpointermove = (move) => set(((move.clientX - box.left) / box.width) * 100);
    handle.onpointerup = () => {
      handle.onpointermove = null;
    };
    event.preventDefault();
  };
  const onKeyDown = (event) => {
    const step = { ArrowLeft: -2, ArrowRight: 2 }[event.key];
    if (!step) return;
    set(now + step);
    event.preventDefault();
  };
  return html`<div class="divider" role="separator" tabindex="0" aria-orientation="vertical" aria-label=${label} aria-valuenow=${now} aria-valuemin=${MIN} aria-valuemax=${MAX} onPointerDown=${onPointerDown} onKeyDown=${onKeyDown}></div>`;
}
