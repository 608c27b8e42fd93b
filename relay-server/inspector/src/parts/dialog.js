// Dialogs, questions and messages. A dialog is a `<dialog>`: the browser keeps the focus inside and gives it back. A
// question is asked with `ask`, a result is said with `say`; both are drawn once, by `Host`.

import { html, useEffect, useLayoutEffect, useRef, useState } from "../vendor/preact.js";
import { Signal, useSignal } from "../model/signal.js";
import { nextId, Shape } from "./text.js";

export function Dialog({ title, onClose, wide, children, actions }) {
  const element = useRef(null);
  const id = useRef(nextId());
  useLayoutEffect(() => {
    const dialog = element.current;
    const opener = document.activeElement;
    dialog.showModal();
    // Not the button that closes, though it comes first.
    dialog.querySelector(".dialog-body :is(input, select, textarea), footer button")?.focus();
    return () => {
      dialog.close();
      // What opened it may be gone by now, as an entry of a menu is: then the page's own main place.
      if (opener?.isConnected && opener !== document.body) opener.focus();
      else document.querySelector("[data-home]")?.focus();
    };
  }, []);
  const cancel = (event) => {
    event.preventDefault();
    onClose();
  };
  return html`<dialog ref=${element} class=${wide ? "dialog wide" : "dialog"} aria-labelledby=${id.current} onCancel=${cancel}>
    <header><h2 id=${id.current}>${title}</h2><button type="button" class="bare" aria-label="Close" onClick=${onClose}><${Shape} kind="cross" /></button></header>
    <div class="dialog-body">${children}</div>
    ${actions && html`<footer>${actions}</footer>`}
  </dialog>`;
}

const question = new Signal(null);
const messages = new Signal([]);
let count = 0;

/** Asks; true when it was confirmed. `typed`: a word that has to be typed first, where nothing can be undone. */
export function ask({ title, text, confirm, danger = false, typed = null }) {
  return new Promise((resolve) => {
    question.set({ title, text, confirm, danger, typed, resolve });
  });
}

/** Says a result. It goes by itself after a while; errors stay until they are closed. */
export function say(text, { bad = false, action = null } = {}) {
  const id = (count += 1);
  messages.set([...messages.value.slice(-3), { id, text, bad, action }]);
  if (!bad) setTimeout(() => unsay(id), action ? 10_000 : 5000);
}

const unsay = (id) => messages.set(messages.value.filter((message) => message.id !== id));

/** Does what may fail, and says so where it does. Gives null then. */
export async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    say(error.message, { bad: true });
    return null;
  }
}

function Question({ title, text, confirm, danger, typed, resolve }) {
  const [word, setWord] = useState("");
  const answer = (yes) => {
    question.set(null);
    resolve(yes);
  };
  const first = useRef(null);
  useEffect(() => first.current?.focus(), []);
  const actions = html`
    <button type="button" ref=${typed ? null : first} onClick=${() => answer(false)}>Keep it</button>
    <button type="submit" form="question" class=${danger ? "danger" : "primary"} disabled=${typed !== null && word !== typed}>${confirm}</button>`;
  return html`<${Dialog} title=${title} onClose=${() => answer(false)} actions=${actions}>
    <form id="question" onSubmit=${(event) => {
      event.preventDefault();
      answer(true);
    }}>
      <p>${text}</p>
      ${typed !== null && html`<label class="field"><span>Type <code>${typed}</code> to confirm</span>
        <input ref=${first} value=${word} autocomplete="off" spellcheck=${false} onInput=${(event) => setWord(event.target.value)} /></label>`}
    </form>
  <//>`;
}

export function Host() {
  const asked = useSignal(question);
  const said = useSignal(messages);
  const box = useRef(null);
  useLayoutEffect(() => {
    // A popover shown last stands above a dialog that is open.
    if (box.current.matches(":popover-open")) box.current.hidePopover();
    if (said.length) box.current.showPopover();
  }, [said]);
  return html`
    ${asked && html`<${Question} key=${asked.title} ...${asked} />`}
    <div class="messages" role="status" aria-live="polite" popover="manual" ref=${box}>
      ${said.map(({ id, text, bad, action }) => html`<div key=${id} class=${bad ? "message bad" : "message"}>
        ${bad && html`<${Shape} kind="triangle" />`}
        <span>${text}</span>
        ${action && html`<button type="button" onClick=${() => {
          unsay(id);
          action.run();
        }}>${action.label}</button>`}
        <button type="button" class="bare" aria-label="Close this message" onClick=${() => unsay(id)}><${Shape} kind="cross" /></button>
      </div>`)}
    </div>`;
}
