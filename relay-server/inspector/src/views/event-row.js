// One row of the list, in three widths: all columns, the important ones, two lines on a phone. There are many, so what a
// row is made of is called and not mounted: a component each would double what the first list takes.

import { html } from "../vendor/preact.js";
import { bytes, clock, count, day, span } from "../model/format.js";
import { chip, pathOf, reason, stateChip } from "../model/words.js";
import { memo } from "../parts/memo.js";
import { Chip, Shape, Text } from "../parts/text.js";

const HEADS = {
  l: ["Time", "Method", "Event", "Source", "Answer", "Delivery", "Took", "Size"],
  m: ["Time", "Event", "Source", "Answer", "", "Took"],
};

export const EventHead = memo(({ kind }) => {
  if (kind === "s") return null;
  return html`<div class=${`row-head ${kind}`} role="row" aria-rowindex="1">${HEADS[kind].map((title) => html`<span role="columnheader">${title || html`<span class="unseen-title">Delivery</span>`}</span>`)}<span role="columnheader"><span class="unseen-title">Pin and note</span></span></div>`;
});

/** `version` is the row's, which may change and stay the same object; `top` its place in pixels; `onOpen` never another. */
export const EventRow = memo(({ row, index, top, kind, isActive, isOpen, onOpen, isFilling }) => {
  const common = { style: `transform:translateY(${top}px)`, role: "row", id: `row-${row.id}`, "aria-rowindex": index + 2, "aria-selected": isActive, onClick: (event) => onOpen(index, event) };
  if (row.gap) {
    const what = row.missed ? `${count(row.missed)} came too fast to be shown here.` : "More is between these than was fetched.";
    return html`<div class="row gap" ...${common}><span role="gridcell"><${Shape} kind="triangle" /> ${what} ${isFilling ? "Fetching them…" : html`<u>Fetch them</u>`}</span></div>`;
  }
  const state = `row ${kind}${isActive ? " is-active" : ""}${isOpen ? " is-open" : ""}`;
  const at = clock(row.received_at);
  const path = pathOf(row);
  const time = html`<span role="gridcell" class="num dim" title=${`${day(row.received_at)} ${at}`}>${at.slice(0, kind === "l" ? 12 : 8)}</span>`;
  const what = html`<span role="gridcell" class="what">${kind !== "l" && row.method !== "POST" && html`<span class="method">${row.method}</span> `}${row.name && html`<b>${Text({ text: row.name })}</b> `}${(!row.name || path !== "/") && html`<span class=${row.name ? "dim path" : "path"}>${Text({ text: path })}</span>`}</span>`;
  const answer = html`<span role="gridcell" title=${reason(row.reason)}>${Chip(chip(row))}</span>`;
  const source = html`<span role="gridcell" class="dim cut">${row.source}</span>`;
  const late = html`<span role="gridcell">${row.late && Late({ state: row.late, isShort: kind !== "l" })}</span>`;
  const took = html`<span role="gridcell" class="num dim end">${row.outcome === "accepted" ? "" : span(row.total_us)}</span>`;
  const marks = html`<span role="gridcell" class="marks">${row.pinned && html`<span title="pinned">${Shape({ kind: "pin" })}<span class="unseen-title">pinned</span></span>`}${row.note && html`<span title=${row.note}>${Shape({ kind: "note" })}<span class="unseen-title">has a note</span></span>`}</span>`;
  if (kind === "s") {
    return html`<div class=${state} ...${common}><span class="row-line" role="presentation">${what}${answer}</span>
      <span class="row-line" role="presentation">${time}${source}${took}${late}${marks}</span></div>`;
  }
  if (kind === "m") return html`<div class=${state} ...${common}>${time}${what}${source}${answer}${late}${took}${marks}</div>`;
  return html`<div class=${state} ...${common}>${time}<span role="gridcell" class="method">${row.method}</span>${what}${source}${answer}${late}${took}<span role="gridcell" class="num dim end">${row.body_bytes ? bytes(row.body_bytes) : "–"}</span>${marks}</div>`;
});

function Late({ state, isShort }) {
  const { text, tone, shape } = stateChip(state);
  if (!isShort) return Chip({ text, tone, shape });
  return html`<span class=${`chip ${tone}`} title=${`delivery: ${text}`}>${Shape({ kind: shape })}<span class="unseen-title">${text}</span></span>`;
}
