// One row of the list, in three widths: all columns, the important ones, two lines on a phone. There are many, so what a
// row is made of is called and not mounted: a component each would double what the first list takes.

import { h, html } from "../vendor/preact.js";
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
    const what = row.trouble ? `What is between these could not be fetched. ${row.trouble}` : row.missed ? `${count(row.missed)} came too fast to be shown here.` : "More is between these than was fetched.";
    return html`<div class="row gap" ...${common}><span role="gridcell"><${Shape} kind="triangle" /> ${what} ${isFilling ? "Fetching them…" : html`<u>Fetch them</u>`}</span></div>`;
  }
  const state = `row ${kind}${isActive ? " is-active" : ""}${isOpen ? " is-open" : ""}`;
  const at = clock(row.received_at);
  const time = cell("num dim", at.slice(0, kind === "l" ? 12 : 8), `${day(row.received_at)} ${at}`);
  const answer = cell(null, Chip(chip(row)), reason(row.reason) || undefined);
  const source = cell("dim cut", row.source);
  const late = cell(null, row.late && Late({ state: row.late, isShort: kind !== "l" }));
  const took = cell("num dim end", row.outcome === "accepted" ? "" : span(row.total_us));
  const marks = cell("marks", [row.pinned && Mark({ title: "pinned", shape: "pin", text: "pinned" }), row.note && Mark({ title: row.note, shape: "note", text: "has a note" })]);
  const what = What({ row, isShort: kind !== "l" });
  if (kind === "s") {
    const line = (...cells) => h("span", { class: "row-line", role: "presentation" }, ...cells);
    return h("div", { class: state, ...common }, line(what, answer), line(time, source, took, late, marks));
  }
  if (kind === "m") return h("div", { class: state, ...common }, time, what, source, answer, late, took, marks);
  const size = cell("num dim end", row.body_bytes ? bytes(row.body_bytes) : "–");
  return h("div", { class: state, ...common }, time, cell("method", row.method), what, source, answer, late, took, size, marks);
});

/** `h` and not `html`: a template is taken apart anew in each row, which is a third of what the first list takes. */
const cell = (classes, content, title) => h("span", { role: "gridcell", class: classes ?? undefined, title }, content);

/** Name and path, with the method where it has no column of its own. */
function What({ row, isShort }) {
  const path = pathOf(row);
  return cell("what", [
    isShort && row.method !== "POST" && [h("span", { class: "method" }, row.method), " "],
    row.name && [h("b", null, Text({ text: row.name })), " "],
    (!row.name || path !== "/") && h("span", { class: row.name ? "dim path" : "path" }, Text({ text: path })),
  ]);
}

function Mark({ title, shape, text }) {
  return h("span", { title }, Shape({ kind: shape }), h("span", { class: "unseen-title" }, text));
}

function Late({ state, isShort }) {
  const { text, tone, shape } = stateChip(state);
  if (!isShort) return Chip({ text, tone, shape });
  return h("span", { class: `chip ${tone} ${shape}`, title: `delivery: ${text}` }, h("span", { class: "unseen-title" }, text));
}
