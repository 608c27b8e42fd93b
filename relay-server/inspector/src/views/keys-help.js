// All keys on one page, and the switch for those who do not want single letters to do things.

import { html } from "../vendor/preact.js";
import { shortcuts } from "../model/settings.js";
import { useSignal } from "../model/signal.js";
import { Dialog } from "../parts/dialog.js";

const GROUPS = [
  ["List", [["j  k", "next and previous event (arrows too)"], ["Enter", "open it"], ["Esc", "back to the list"], ["/", "search"], ["t", "to the newest"]]],
  ["Event", [["r", "replay"], ["e", "edit and replay"], ["c", "compare"], ["p", "pin"], ["n", "note"], ["y", "copy as curl"], ["[  ]", "previous and next tab"], [".", "hold its source, or let the next one go"]]],
];

export function KeysHelp({ pages, onClose }) {
  const isOn = useSignal(shortcuts);
  const groups = [...GROUPS, ["Pages", [...pages.map(({ key, title }) => [`g ${key}`, title]), ["?", "this page"]]]];
  return html`<${Dialog} title="Keys" onClose=${onClose} wide>
    <div class="key-groups">${groups.map(([title, keys]) => html`<section><h3>${title}</h3>
      <dl>${keys.map(([key, about]) => html`<div><dt>${key.split(/ +/).map((one) => html`<kbd>${one}</kbd>`)}</dt><dd>${about}</dd></div>`)}</dl></section>`)}</div>
    <label class="check"><input type="checkbox" checked=${isOn} onChange=${() => shortcuts.set(!isOn)} /> Single letters are keys</label>
  <//>`;
}
