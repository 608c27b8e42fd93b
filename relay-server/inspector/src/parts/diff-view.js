// Two texts side by side, lines that differ marked by a sign and by colour. On a narrow screen they stand one below the
// other.

import { html, useMemo, useState } from "../vendor/preact.js";
import { diff, hunks } from "../model/diff.js";
import { plural } from "../model/format.js";
import { Text } from "./text.js";

/** Longer texts are compared by their beginnings; it says so. */
const LINES_MAX = 5000;

/** Rows of two cells: a run of removed lines stands beside the run of added ones that follows it. */
function paired(lines) {
  const rows = [];
  let open = 0;
  for (const line of lines) {
    if (line?.sign === "+" && open < rows.length && rows[open]?.right === null) {
      rows[open].right = line.right;
      open += 1;
    } else {
      if (line?.sign !== "-" || rows.at(-1)?.right !== null || !rows.length) open = rows.length;
      rows.push(line && { left: line.left, right: line.right, isSame: line.sign === " " });
    }
  }
  return rows;
}

export function DiffView({ before, after, names }) {
  const [isAll, setAll] = useState(false);
  const lines = useMemo(() => diff(before.slice(0, LINES_MAX), after.slice(0, LINES_MAX)), [before, after]);
  const [removed, added] = ["-", "+"].map((wanted) => lines.filter(({ sign }) => sign === wanted).length);
  if (!removed && !added) return html`<p class="dim none">No difference.</p>`;
  const cell = (text, isSame, sign, kind) => html`<span class=${isSame || text === null ? "" : kind} role="cell">${!isSame && text !== null && html`<i class="sign">${sign}</i>`}<${Text} text=${text ?? ""} /></span>`;
  return html`<div class="diff">
    <div class="bar"><span class="dim grow" role="status">${plural(removed, "line")} only in ${names[0]}, ${plural(added, "line")} only in ${names[1]}</span>
      <label class="check"><input type="checkbox" checked=${isAll} onChange=${() => setAll(!isAll)} /> all lines</label></div>
    ${Math.max(before.length, after.length) > LINES_MAX && html`<p class="hint">Only the first ${LINES_MAX} lines are compared.</p>`}
    <div class="diff-lines" tabindex="0" role="table" aria-label=${`Left ${names[0]}, right ${names[1]}`}>
      ${paired(isAll ? lines : hunks(lines)).map((row) => (row === null ? html`<div class="diff-cut" role="row"><span role="cell">⋯</span></div>`
        : html`<div role="row" class=${row.isSame ? "" : "differs"}>${cell(row.left, row.isSame, "−", "removed")}${cell(row.right, row.isSame, "+", "added")}</div>`))}</div>
  </div>`;
}
