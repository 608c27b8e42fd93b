// Controls used in several places: a button that copies, a menu, tabs, a labelled field, headings of pages.

import { html, useEffect, useLayoutEffect, useRef, useState } from "../vendor/preact.js";
import { say } from "./dialog.js";
import { nextId, Shape } from "./text.js";

export async function copy(text, what = "Copied.") {
  try {
    await navigator.clipboard.writeText(text);
    say(what);
  } catch {
    say("The browser did not allow copying. Select the text and copy it by hand.", { bad: true });
  }
}

export function CopyButton({ text, label = "Copy", what }) {
  return html`<button type="button" class="small" onClick=${() => copy(text, what)}>${label}</button>`;
}

/** A line of text to be taken away: a URL, a command. */
export function CopyLine({ text, label }) {
  return html`<div class="copy-line"><code tabindex="0" aria-label=${label}>${text}</code><${CopyButton} text=${text} label="Copy" what=${`${label} copied.`} /></div>`;
}

/** `items`: `[{label, run, why, danger}]`; `why` says why an entry cannot be chosen. */
export function Menu({ label, items, align = "start", plain }) {
  const [isOpen, setOpen] = useState(false);
  const root = useRef(null);
  const button = useRef(null);
  useEffect(() => {
    if (!isOpen) return undefined;
    root.current.querySelector("[role=menuitem]")?.focus();
    const away = (event) => {
      if (!root.current.contains(event.target)) setOpen(false);
    };
    addEventListener("pointerdown", away);
    return () => removeEventListener("pointerdown", away);
  }, [isOpen]);
  const close = () => {
    setOpen(false);
    button.current.focus();
  };
  const onKeyDown = (event) => {
    const entries = [...root.current.querySelectorAll("[role=menuitem]")];
    const at = entries.indexOf(document.activeElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) entries[(at + step + entries.length) % entries.length]?.focus();
    else if (event.key === "Home") entries[0]?.focus();
    else if (event.key === "End") entries.at(-1)?.focus();
    else if (event.key === "Escape") close();
    else if (event.key === "Tab") return setOpen(false);
    else return undefined;
    event.preventDefault();
    return event.stopPropagation();
  };
  return html`<span class="menu" ref=${root}>
    <button type="button" ref=${button} class=${plain ? "bare" : ""} aria-haspopup="menu" aria-expanded=${isOpen} onClick=${() => setOpen(!isOpen)}>${label}<${Shape} kind="down" /></button>
    ${isOpen && html`<span class="menu-items ${align}" role="menu" onKeyDown=${onKeyDown}>
      ${items.filter(Boolean).map((item) => html`<button type="button" role="menuitem" tabindex="-1" class=${item.danger ? "danger-text" : ""} aria-disabled=${Boolean(item.why)} title=${item.why ?? ""}
        onClick=${() => {
          if (item.why) return;
          close();
          item.run();
        }}>${item.label}${item.why && html`<small>${item.why}</small>`}</button>`)}
    </span>`}
  </span>`;
}

/** `tabs`: `[{id, label}]`. Arrows move, as the pattern has it; `[` and `]` are the page's. */
export function Tabs({ tabs, current, onChange, label }) {
  const row = useRef(null);
  const onKeyDown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const at = tabs.findIndex(({ id }) => id === current);
    const next = (at + step + tabs.length) % tabs.length;
    onChange(tabs[next].id);
    row.current.children[next].focus();
  };
  return html`<div class="tabs" role="tablist" aria-label=${label} ref=${row} onKeyDown=${onKeyDown}>
    ${tabs.map((tab) => html`<button type="button" role="tab" id=${`tab-${tab.id}`} aria-controls="tab-panel" aria-selected=${tab.id === current} tabindex=${tab.id === current ? 0 : -1} onClick=${() => onChange(tab.id)}>${tab.label}</button>`)}
  </div>`;
}

/** One choice of a few, as a row of buttons. */
export function Segments({ choices, current, onChange, label }) {
  return html`<span class="segments" role="group" aria-label=${label}>
    ${choices.map(([id, text]) => html`<button type="button" class="small" aria-pressed=${id === current} onClick=${() => onChange(id)}>${text}</button>`)}
  </span>`;
}

/** A label, its control and its help. `control(attributes)` draws the control. */
export function Field({ label, help, error, control }) {
  const id = useRef(nextId()).current;
  const described = [help && `${id}h`, error && `${id}x`].filter(Boolean).join(" ");
  return html`<div class="field">
    <label for=${id}>${label}</label>
    ${control({ id, "aria-describedby": described || undefined, "aria-invalid": error ? "true" : undefined })}
    ${help && html`<small id=${`${id}h`}>${help}</small>`}
    ${error && html`<small id=${`${id}x`} class="bad" role="alert">${error}</small>`}
  </div>`;
}

/** The heading of a page; the document's title follows it. */
export function PageHead({ title, children, about }) {
  useLayoutEffect(() => {
    document.title = `${title} · Inspector`;
  }, [title]);
  return html`<header class="page-head"><div><h1 tabindex="-1" data-home>${title}</h1>${about && html`<p>${about}</p>`}</div><div class="actions">${children}</div></header>`;
}

/** A button that may not be pressed, and says why; it stays in the order of focus so that the reason can be read. */
export function Button({ why, onClick, class: kind, children, ...rest }) {
  return html`<button type="button" class=${kind ?? ""} ...${rest} aria-disabled=${why ? "true" : undefined} title=${why ?? rest.title} onClick=${(event) => {
    if (why) say(why, { bad: true });
    else onClick(event);
  }}>${children}</button>`;
}
