// The search field: completion while typing, the server's objection under it, chips of what is active, and a short
// page of how to search.

import { html, useLayoutEffect, useRef, useState } from "../vendor/preact.js";
import { complete, terms, without } from "../model/search.js";
import { lazy } from "./lazy.js";
import { nextId, Shape, Text } from "./text.js";

const Help = lazy("SearchHelp");

/** Typing rests for so long before the list is asked. */
const REST_MS = 250;

export function SearchField({ query, onQuery, error, sources, fieldRef }) {
  const [text, setText] = useState(query);
  const [choices, setChoices] = useState({ from: 0, to: 0, choices: [] });
  const [at, setAt] = useState(-1);
  const [isHelp, setHelp] = useState(false);
  const timer = useRef(0);
  const id = useRef(nextId()).current;
  const asked = useRef(query.trim());
  // Where the caret belongs once the choice is in the field: right then, before another letter is typed.
  const chosen = useRef(null);
  // Of the last drawing: while typing rests, another event may be opened.
  const tell = useRef(onQuery);
  tell.current = onQuery;
  const ask = (value) => {
    clearTimeout(timer.current);
    asked.current = value.trim();
    tell.current(value);
  };
  useLayoutEffect(() => () => clearTimeout(timer.current), []);
  useLayoutEffect(() => {
    // Chips and links change the query from outside. An echo of what was asked here does not touch what is being typed.
    if (query.trim() === asked.current) return;
    clearTimeout(timer.current);
    asked.current = query.trim();
    setText(query);
  }, [query]);
  const close = () => {
    setChoices({ from: 0, to: 0, choices: [] });
    setAt(-1);
  };
  const change = (value, caret, isDone) => {
    setText(value);
    setAt(-1);
    setChoices(complete(value, caret, sources));
    clearTimeout(timer.current);
    if (isDone) ask(value);
    else timer.current = setTimeout(() => ask(value), REST_MS);
  };
  const choose = ({ insert }) => {
    const value = text.slice(0, choices.from) + insert + text.slice(choices.to).trimStart();
    const caret = choices.from + insert.length;
    change(value, caret, insert.endsWith(" "));
    chosen.current = caret;
    fieldRef.current.focus();
  };
  useLayoutEffect(() => {
    if (chosen.current === null) return;
    fieldRef.current.setSelectionRange(chosen.current, chosen.current);
    chosen.current = null;
  });
  const onKeyDown = (event) => {
    const list = choices.choices;
    if (list.length && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      setAt((at + (event.key === "ArrowDown" ? 1 : -1) + list.length + (at < 0 && event.key === "ArrowUp" ? 1 : 0)) % list.length);
    } else if (list.length && (event.key === "Tab" || event.key === "Enter") && at >= 0) choose(list[at]);
    else if (event.key === "Enter") {
      close();
      ask(text);
    } else if (event.key === "Escape") {
      if (list.length) close();
      else document.querySelector(".rows")?.focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const options = choices.choices;
  const isOpen = options.length > 0;
  return html`<div class="search" role="search">
    <div class="search-box">
      <svg viewBox="0 0 16 16" aria-hidden="true"><circle cx="7" cy="7" r="4.5" /><path d="m10.5 10.5 3.5 3.5" /></svg>
      <input ref=${fieldRef} type="text" role="combobox" aria-label="Search events" aria-expanded=${isOpen} aria-controls=${id} aria-autocomplete="list" aria-activedescendant=${at >= 0 ? `${id}-${at}` : undefined}
        aria-invalid=${error ? "true" : undefined} aria-describedby=${error ? `${id}x` : undefined}
        autocomplete="off" autocapitalize="off" spellcheck=${false} placeholder="Search: words, status:5xx, source:…" value=${text}
        onInput=${(event) => change(event.target.value, event.target.selectionStart)} onKeyDown=${onKeyDown} onBlur=${() => setTimeout(close, 150)} />
      ${text && html`<button type="button" class="bare" aria-label="Clear the search" onClick=${() => {
        change("", 0, true);
        fieldRef.current.focus();
      }}><${Shape} kind="cross" /></button>`}
      <button type="button" class="bare search-help" aria-haspopup="dialog" onClick=${() => setHelp(true)}>How to search</button>
    </div>
    <ul class="choices" role="listbox" id=${id} aria-label="Completions" hidden=${!isOpen}>
      ${options.map((choice, index) => html`<li role="option" id=${`${id}-${index}`} aria-selected=${index === at} onPointerDown=${(event) => {
        event.preventDefault();
        choose(choice);
      }}><code>${choice.label}</code><span>${choice.about}</span></li>`)}
    </ul>
    ${error && html`<p class="search-error" id=${`${id}x`} role="alert"><${Shape} kind="triangle" /><${Text} text=${error.message.replace(/^q: /i, "")} /></p>`}
    ${isHelp && html`<${Help} onClose=${() => setHelp(false)} />`}
  </div>`;
}

/** What the search says, one chip a term; each can be taken out. */
export function Filters({ query, onQuery }) {
  const active = terms(query);
  if (!active.length) return null;
  return html`<div class="filters" role="group" aria-label="Active filters">
    ${active.map((term) => html`<button type="button" class="filter" onClick=${() => onQuery(without(query, term))}>
      ${term.isNegated && html`<b>not </b>`}${term.key && html`<span>${term.key}</span>`}<${Text} text=${term.value} /><span class="unseen-title">, remove</span><${Shape} kind="cross" /></button>`)}
    <button type="button" class="bare small" onClick=${() => onQuery("")}>Clear all</button>
  </div>`;
}
