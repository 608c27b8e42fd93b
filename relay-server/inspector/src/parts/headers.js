// Header fields as they came: in order, doubles kept, values as text. `exact` are the bytes where text says less.

import { html } from "../vendor/preact.js";
import { copy, CopyButton } from "./controls.js";
import { Text } from "./text.js";

export function Headers({ headers, exact }) {
  if (!headers.length) return html`<p class="dim none">No header fields.</p>`;
  const all = headers.map(([name, value]) => `${name}: ${value}`).join("\n");
  return html`<section class="headers">
    <div class="bar"><h3>Header <span class="dim">${headers.length}</span></h3><${CopyButton} text=${all} what="Header copied." /></div>
    <table class="pairs"><tbody>${headers.map(([name, value], index) => html`<tr>
      <th scope="row"><${Text} text=${name} /></th>
      <td onDblClick=${() => copy(value, `${name} copied.`)}><${Text} text=${value} />${exact?.[index] && exact[index][1] !== btoaOf(value) && html`<small class="dim"> base64 ${exact[index][1]}</small>`}</td></tr>`)}</tbody></table>
  </section>`;
}

function btoaOf(value) {
  try {
    return btoa(value);
  } catch {
    return null;
  }
}
