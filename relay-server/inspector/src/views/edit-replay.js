// An edited copy of an event: method, path, header, body, destination. It shows what differs before anything is sent.
// The same form lets a waiting delivery go edited, while a source is on hold.

import { html, useMemo, useState } from "../vendor/preact.js";
import { post } from "../model/api.js";
import { decode, field } from "../model/body.js";
import { NotJson, parse, position, pretty } from "../model/json.js";
import { Dialog } from "../parts/dialog.js";
import { DiffView } from "../parts/diff-view.js";
import { Shape, Trouble } from "../parts/text.js";
import { Field } from "../parts/controls.js";

/** Fields that the server does not let anybody set: they frame the message, or are the relay's own. */
const FIXED = /^(host|content-length|transfer-encoding|connection|keep-alive|te|trailer|upgrade|expect|proxy-.*|x-forwarded-.*|forwarded|relay-.*)$/i;

const BODY_MAX = 1024 * 1024;

/** What of the form differs from the event, as `Edit` of the API has it. */
function editOf(event, form, isPrimary) {
  const edit = {};
  if (!isPrimary) edit.destination = form.destination;
  if (form.method !== event.method) edit.method = form.method;
  if (form.path !== event.path) edit.path = form.path;
  const group = (pairs) => {
    const groups = new Map();
    for (const [name, value] of pairs) groups.set(name.toLowerCase(), [...(groups.get(name.toLowerCase()) ?? []), [name, value]]);
    return groups;
  };
  const before = group(event.headers.filter(([name]) => !FIXED.test(name)));
  const after = group(form.headers.filter(([name]) => name.trim()));
  const removed = [...before].filter(([key]) => !after.has(key)).map(([, [[name]]]) => name);
  const set = [...after].filter(([key, pairs]) => JSON.stringify(before.get(key)) !== JSON.stringify(pairs)).flatMap(([, pairs]) => pairs);
  if (removed.length) edit.remove_headers = removed;
  if (set.length) edit.headers = set;
  if (form.body !== null && form.body !== form.original) edit.body = { text: form.body };
  return edit;
}

const linesOf = (method, path, headers, body) => [`${method} ${path}`, ...headers.map(([name, value]) => `${name}: ${value}`), "", ...(body ?? "").split("\n")];

export function EditReplay({ event, destinations, onClose, onDone, send, title = "Edit and replay", confirm = "Send the edited copy" }) {
  const original = useMemo(() => (event.body.is_partial ? null : decode(event.body).text), [event]);
  const open = event.headers.filter(([name]) => !FIXED.test(name));
  const primary = destinations.find(({ is_primary }) => is_primary)?.name ?? "default";
  const [form, setForm] = useState(() => ({ method: event.method, path: event.path, headers: open.map((pair) => [...pair]), body: original, original, destination: primary }));
  const [state, setState] = useState({ isBusy: false, error: null });
  const set = (change) => setForm({ ...form, ...change });
  const setHeader = (index, part, value) => set({ headers: form.headers.map((pair, at) => (at === index ? (part ? [pair[0], value] : [value, pair[1]]) : pair)) });
  const edit = editOf(event, form, form.destination === primary);
  const isEdited = Object.keys(edit).some((key) => key !== "destination");
  const isJson = /json/i.test(field(form.headers, "content-type")) || /^\s*[[{]/.test(original ?? "");
  const mistake = useMemo(() => {
    if (!isJson || !form.body) return null;
    try {
      parse(form.body);
      return null;
    } catch (error) {
      if (!(error instanceof NotJson)) throw error;
      return `Not JSON: ${error.message}, at ${position(form.body, error.at)}. It can be sent all the same.`;
    }
  }, [form.body, isJson]);
  const size = form.body === null ? 0 : new Blob([form.body]).size;
  const isLarge = edit.body && size > BODY_MAX;
  const before = useMemo(() => linesOf(event.method, event.path, open, original), [event]);
  const after = useMemo(() => linesOf(form.method, form.path, form.headers.filter(([name]) => name.trim()), form.body), [form]);
  const submit = async () => {
    setState({ isBusy: true, error: null });
    try {
      onDone(await (send ?? ((body) => post(`/events/${event.id}/replay`, body)))(edit));
    } catch (error) {
      setState({ isBusy: false, error });
    }
  };
  const actions = html`<span class="dim grow">${isEdited ? "An edited copy becomes an event of its own; the original stays." : "Nothing is changed: this is a plain replay."}</span>
    <button type="button" onClick=${onClose}>Do not send</button><button type="button" class="primary" disabled=${state.isBusy || isLarge} onClick=${submit}>${isEdited ? confirm : "Send as it was"}</button>`;
  return html`<${Dialog} title=${title} wide onClose=${onClose} actions=${actions}>
    <div class="edit">
      <div class="edit-line">
        <${Field} label="Method" control=${(rest) => html`<input ...${rest} class="mono" value=${form.method} onInput=${(input) => set({ method: input.target.value.toUpperCase() })} />`} />
        <${Field} label="Path and query" control=${(rest) => html`<input ...${rest} class="mono" value=${form.path} spellcheck=${false} onInput=${(input) => set({ path: input.target.value })} />`} />
        ${destinations.length > 1 && html`<${Field} label="Destination" control=${(rest) => html`<select ...${rest} value=${form.destination} onChange=${(input) => set({ destination: input.target.value })}>${destinations.map(({ name }) => html`<option value=${name}>${name}</option>`)}</select>`} />`}
      </div>
      <fieldset><legend>Header</legend>
        ${form.headers.map(([name, value], index) => html`<div class="edit-header" key=${index}>
          <input class="mono" aria-label=${`Name of field ${index + 1}`} value=${name} spellcheck=${false} onInput=${(input) => setHeader(index, 0, input.target.value)} />
          <input class="mono" aria-label=${`Value of field ${index + 1}`} value=${value} spellcheck=${false} onInput=${(input) => setHeader(index, 1, input.target.value)} />
          <button type="button" class="bare" aria-label=${`Remove ${name || "this field"}`} onClick=${() => set({ headers: form.headers.filter((_, at) => at !== index) })}><${Shape} kind="cross" /></button></div>`)}
        <button type="button" class="small" onClick=${() => set({ headers: [...form.headers, ["", ""]] })}>Add a field</button>
        <small>Host, lengths and what the relay adds are made afresh.</small></fieldset>
      ${form.body === null
        ? html`<p class="hint">${event.body.is_partial ? "The body is too large to be edited here" : "The body is not text"}: it is sent as it was. ${event.body.is_partial ? "" : html`<button type="button" class="small" onClick=${() => set({ body: "" })}>Write another</button>`}</p>`
        : html`<${Field} label="Body" error=${mistake ?? (isLarge ? "At most 1 MiB can be sent." : null)} control=${(rest) => html`<textarea ...${rest} class="mono" rows="14" spellcheck=${false} value=${form.body} onInput=${(input) => set({ body: input.target.value })}></textarea>`} />
          ${isJson && !mistake && form.body && html`<button type="button" class="small" onClick=${() => set({ body: pretty(parse(form.body)) })}>Indent</button>`}`}
      <h3>What differs</h3>
      <${DiffView} before=${before} after=${after} names=${["the original", "what is sent"]} />
      <${Trouble} error=${state.error} />
    </div>
  <//>`;
}

