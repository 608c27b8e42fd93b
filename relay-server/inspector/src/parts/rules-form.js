// A form of rules drawn from a list of them. Nothing is sent until "Save": then all that changed, at once or not at all.

import { html, useEffect, useState } from "../vendor/preact.js";
import { isSame, merge, patchOf, read } from "../model/rules.js";
import { Button, Field } from "./controls.js";
import { Trouble } from "./text.js";

/** `save(patch)` sends a merge patch of the rules and gives when it is done. */
export function RulesForm({ groups, rules, why, save }) {
  const [draft, setDraft] = useState({});
  const [state, setState] = useState({ isBusy: false, error: null });
  useEffect(() => setDraft({}), [rules]);
  const all = groups.flatMap(([, list]) => list);
  const valueOf = (rule) => (rule.key in draft ? draft[rule.key] : read(rules, rule.key));
  const changed = all.filter((rule) => rule.key in draft && !isSame(draft[rule.key], read(rules, rule.key)));
  const submit = async (event) => {
    event.preventDefault();
    if (why || !changed.length) return;
    setState({ isBusy: true, error: null });
    const patch = {};
    for (const { key } of changed) {
      // Without a way to tell copies, there is no dedupe at all.
      const isOff = key === "dedupe.by" && draft[key] === null;
      merge(patch, isOff ? { dedupe: null } : patchOf(key, draft[key]));
    }
    try {
      await save(patch);
      setState({ isBusy: false, error: null });
    } catch (error) {
      setState({ isBusy: false, error });
    }
  };
  const offers = { ...rules, ...("dedupe.by" in draft ? { dedupe: draft["dedupe.by"] } : {}) };
  return html`<form class="rules" onSubmit=${submit}>
    ${groups.map(([title, list]) => html`<fieldset disabled=${Boolean(why)}><legend>${title}</legend><div class="rules-grid">
      ${list.filter((rule) => !rule.needs || rule.needs(offers)).map((rule) => html`<${Rule} key=${rule.key} rule=${rule} value=${valueOf(rule)} set=${(value) => setDraft({ ...draft, [rule.key]: value })} />`)}</div></fieldset>`)}
    <${Trouble} error=${state.error} />
    <div class="bar save"><${Button} class="primary" why=${why ?? (state.isBusy ? "One moment…" : changed.length ? null : "Nothing was changed.")} onClick=${submit}>Save<//>
      ${changed.length > 0 && html`<button type="button" onClick=${() => setDraft({})}>Undo changes</button>`}
      <span class="dim" role="status">${changed.length ? `${changed.length} changed, not saved yet` : ""}</span></div>
  </form>`;
}

const nothing = (value) => (value === null || (Array.isArray(value) && !value.length) ? "empty" : String(value));

function Rule({ rule, value, set }) {
  const isDefault = isSame(value, rule.initial);
  const said = rule.choices?.find(([id]) => id === rule.initial)?.[1] ?? (rule.kind === "flag" ? "off" : nothing(rule.initial));
  const help = isDefault ? html`${rule.help} <span class="default">As by default.</span>` : html`${rule.help} <b>Default: ${said}.</b>`;
  if (rule.kind === "flag") {
    return html`<${Field} label=${rule.label} help=${help} control=${(rest) => html`<span class="check"><input ...${rest} type="checkbox" checked=${value} onChange=${(event) => set(event.target.checked)} /> ${value ? "on" : "off"}</span>`} />`;
  }
  return html`<${Field} label=${rule.unit ? `${rule.label} (${rule.unit})` : rule.label} help=${help} control=${(rest) => control(rule, value, set, rest)} />`;
}

function control(rule, value, set, rest) {
  const text = (event) => (event.target.value === "" && rule.none ? null : event.target.value);
  switch (rule.kind) {
    case "choice":
      return html`<select ...${rest} value=${value} onChange=${(event) => set(event.target.value)}>${rule.choices.map(([id, label]) => html`<option value=${id}>${label}</option>`)}</select>`;
    case "number":
      return html`<input ...${rest} type="number" class="num" min=${rule.min} max=${rule.max} required=${!rule.none} value=${value ?? ""} onInput=${(event) => set(event.target.value === "" ? null : Number(event.target.value))} />`;
    case "list":
      return html`<${ListInput} rest=${rest} value=${value ?? []} set=${set} />`;
    case "code":
      return html`<textarea ...${rest} class="mono" rows="3" spellcheck=${false} value=${value ?? ""} onInput=${(event) => set(text(event))}></textarea>`;
    case "dedupe":
      return html`<${Dedupe} rest=${rest} value=${value} set=${set} />`;
    default:
      return html`<input ...${rest} class="mono" spellcheck=${false} value=${value ?? ""} onInput=${(event) => set(text(event))} />`;
  }
}

/** Several values in one line, by commas; what is being typed is left as it is. */
function ListInput({ rest, value, set }) {
  const [text, setText] = useState(value.join(", "));
  useEffect(() => {
    if (!isSame(split(text), value)) setText(value.join(", "));
  }, [value]);
  return html`<input ...${rest} class="mono" spellcheck=${false} value=${text} onInput=${(event) => {
    setText(event.target.value);
    set(split(event.target.value));
  }} />`;
}

const split = (text) => text.split(/[\s,]+/).filter(Boolean);

function Dedupe({ rest, value, set }) {
  const kind = value === null ? "" : typeof value === "string" ? value : Object.keys(value)[0];
  const choose = (next) => set(next === "" ? null : next === "header" ? { header: "" } : next === "pointer" ? { pointer: "/id" } : next);
  return html`<select ...${rest} value=${kind} onChange=${(event) => choose(event.target.value)}>
      <option value="">nothing: every copy is a webhook of its own</option><option value="provider">the provider's delivery id</option><option value="header">a header field</option><option value="pointer">a value in the JSON body</option><option value="body">the body, byte for byte</option></select>
    ${(kind === "header" || kind === "pointer") && html`<input class="mono" aria-label=${kind === "header" ? "Name of the header field" : "JSON pointer"} placeholder=${kind === "header" ? "X-Request-Id" : "/id"} value=${value[kind]} onInput=${(event) => set({ [kind]: event.target.value })} />`}`;
}
