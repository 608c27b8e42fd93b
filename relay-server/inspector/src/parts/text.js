// Small pieces that every view draws with: text that may be hostile, shapes that say what colours say, chips.

import { h, html } from "../vendor/preact.js";
import { pieces } from "../model/format.js";

let ids = 0;
/** An id for an element that a label or a description points to. */
export const nextId = () => `e${(ids += 1)}`;

// Nearly all text is of these, and looking is cheaper than cutting.
const IS_PLAIN = /^[\x20-\x7e]*$/;

/** Text as it came; what cannot be seen is shown as a marked escape. `lines` keeps line breaks. */
export function Text({ text, lines }) {
  if (IS_PLAIN.test(text)) return text;
  const cut = pieces(String(text ?? ""), { lines });
  if (cut.length === 1 && !cut[0][1]) return cut[0][0];
  return cut.map(([piece, isEscaped]) => (isEscaped ? html`<span class="unseen" title="a character that cannot be seen">${piece}</span>` : piece));
}

const PATHS = {
  dot: html`<circle cx="5" cy="5" r="3.5" fill="currentColor" />`,
  ring: html`<circle cx="5" cy="5" r="3" fill="none" stroke="currentColor" stroke-width="1.5" />`,
  triangle: html`<path d="M5 1 9.3 8.8H.7z" fill="currentColor" />`,
  square: html`<rect x="1.5" y="1.5" width="7" height="7" fill="currentColor" />`,
  half: html`<circle cx="5" cy="5" r="3.2" fill="none" stroke="currentColor" stroke-width="1.4" /><path d="M5 1.8a3.2 3.2 0 0 0 0 6.4z" fill="currentColor" />`,
  clock: html`<circle cx="5" cy="5" r="3.6" fill="none" stroke="currentColor" stroke-width="1.3" /><path d="M5 2.8V5l1.5 1" fill="none" stroke="currentColor" stroke-width="1.2" />`,
  cross: html`<path d="m2 2 6 6M8 2 2 8" stroke="currentColor" stroke-width="1.9" />`,
  dash: html`<path d="M1.5 5h7" stroke="currentColor" stroke-width="1.7" />`,
  pin: html`<path d="M3.2 1h3.6l-.5 3.2L8 6H2l1.7-1.8zM5 6v3.6" fill="currentColor" stroke="currentColor" stroke-width=".8" />`,
  note: html`<path d="M1.5 1.5h7v4.7L6.2 8.5H1.5z" fill="none" stroke="currentColor" stroke-width="1.2" />`,
  down: html`<path d="m2 3.5 3 3 3-3" fill="none" stroke="currentColor" stroke-width="1.4" />`,
  right: html`<path d="m3.5 2 3 3-3 3" fill="none" stroke="currentColor" stroke-width="1.4" />`,
  left: html`<path d="m6.5 2-3 3 3 3" fill="none" stroke="currentColor" stroke-width="1.4" />`,
};

export function Shape({ kind }) {
  return html`<svg class="shape" viewBox="0 0 10 10" aria-hidden="true">${PATHS[kind]}</svg>`;
}

/** One element, there are many: the style sheet draws its shape. */
export function Chip({ text, tone, shape }) {
  return h("span", { class: `chip ${tone} ${shape}` }, text);
}

/** An error of the API, where it happened. */
export function Trouble({ error, retry }) {
  if (!error) return null;
  return html`<div class="trouble" role="alert">
    <${Shape} kind="triangle" />
    <span>${error.message}</span>
    ${retry && html`<button type="button" onClick=${retry}>Try again</button>`}
  </div>`;
}
