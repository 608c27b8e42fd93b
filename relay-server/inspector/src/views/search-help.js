// How to search, on one short page.

import { html } from "../vendor/preact.js";
import { KEYS } from "../model/search.js";
import { Dialog } from "../parts/dialog.js";

export function SearchHelp({ onClose }) {
  return html`<${Dialog} title="How to search" onClose=${onClose}>
    <p>All terms must hold. A <code>-</code> in front turns one round. Words without a key are looked for in the event's name, its path and the sender's id.</p>
    <table class="terms"><thead><tr><th scope="col">Term</th><th scope="col">Finds</th></tr></thead>
      <tbody>${KEYS.map(([, about, sample]) => html`<tr><td><code>${sample}</code></td><td>${about}</td></tr>`)}</tbody></table>
    <p class="dim">Several values: <code>status:404|5xx</code>. Any ending: <code>event:invoice.*</code>. With spaces: <code>note:"ask Ann"</code>.</p>
  <//>`;
}
