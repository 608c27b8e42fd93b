// Tokens of the project: who may do what. The text of one is shown once, when it is made.

import { html, useState } from "../vendor/preact.js";
import { get, post, remove } from "../model/api.js";
import { ago, moment } from "../model/format.js";
import { session, whyNotAdmin } from "../model/session.js";
import { useAnswer } from "../parts/ask-api.js";
import { Button, CopyLine, Field, PageHead } from "../parts/controls.js";
import { ask, attempt, Dialog, say } from "../parts/dialog.js";
import { Text, Trouble } from "../parts/text.js";

const SCOPES = [["agent", "agent: serves sources, sees their events"], ["read", "read: looks at everything, changes nothing"], ["admin", "admin: everything in the project"]];

export function Tokens() {
  const isAgent = session.value.token?.scope === "agent";
  const { value, error, again } = useAnswer((signal) => (isAgent ? null : get("/tokens", {}, signal)), []);
  const [isMaking, setMaking] = useState(false);
  const why = whyNotAdmin();
  const own = session.value.token?.id;
  const revoke = async (token) => {
    const text = `Whoever uses it is refused from then on, and its agents are disconnected.${token.id === own ? " It is the token you are signed in with." : ""}`;
    if (!(await ask({ title: `Revoke ${token.label || `token ${token.id}`}?`, text, confirm: "Revoke it", danger: true }))) return;
    if (await attempt(async () => (await remove(`/tokens/${token.id}`), true))) say("Revoked.");
    again();
  };
  const state = (token) => (token.revoked_at ? `revoked ${ago(token.revoked_at)}` : token.expires_at ? (new Date(token.expires_at) < Date.now() ? "expired" : `good until ${moment(token.expires_at)}`) : "good until revoked");
  const tokens = [...(value?.tokens ?? [])].sort((one, other) => Boolean(one.revoked_at) - Boolean(other.revoked_at) || other.id - one.id);
  return html`<div class="padded">
    <${PageHead} title="Tokens" about="Who may do what."><${Button} class="primary" why=${why} onClick=${() => setMaking(true)}>New token<//><//>
    ${isAgent && html`<p class="none">This page was opened with a token of scope agent, which may not see the others. Sign in at the server's own address with one of scope read or admin.</p>`}
    <${Trouble} error=${error} retry=${error?.status === 403 ? null : again} />
    ${tokens.length > 0 && html`<div class="table-box" tabindex="0" role="region" aria-label="All tokens"><table class="table">
      <thead><tr><th scope="col" class="end">No.</th><th scope="col">Label</th><th scope="col">Scope</th><th scope="col">Sources</th><th scope="col">Made</th><th scope="col">State</th><th scope="col"><span class="unseen-title">Actions</span></th></tr></thead>
      <tbody>${tokens.map((token) => html`<tr key=${token.id} class=${token.revoked_at ? "over" : ""}>
        <td class="num end">${token.id}</td><th scope="row"><${Text} text=${token.label || "–"} />${token.id === own && html` <span class="flag">yours</span>`}</th><td>${token.scope}</td>
        <td>${token.scope === "agent" ? `${token.sources?.length ? token.sources.join(", ") : "any"}${token.create ? ", may make more" : ""}` : "all"}</td>
        <td class="num">${ago(token.created_at)}</td><td>${state(token)}</td>
        <td class="end">${!token.revoked_at && html`<${Button} class="small" why=${why} aria-label=${`Revoke ${token.label || `token ${token.id}`}`} onClick=${() => revoke(token)}>Revoke…<//>`}</td></tr>`)}</tbody></table></div>`}
    ${isMaking && html`<${NewToken} onClose=${() => {
      setMaking(false);
      again();
    }} />`}
  </div>`;
}

function NewToken({ onClose }) {
  const [form, setForm] = useState({ scope: "agent", label: "", sources: "", create: true, days: "" });
  const [made, setMade] = useState(null);
  const [error, setError] = useState(null);
  const set = (change) => setForm({ ...form, ...change });
  const submit = async (event) => {
    event.preventDefault();
    const isAgent = form.scope === "agent";
    try {
      setMade(await post("/tokens", {
        scope: form.scope,
        ...(form.label && { label: form.label }),
        ...(isAgent && { create: form.create, sources: form.sources.split(/[\s,]+/).filter(Boolean) }),
        ...(Number(form.days) > 0 && { expires_at: new Date(Date.now() + form.days * 86_400_000).toISOString() }),
      }));
    } catch (failed) {
      setError(failed);
    }
  };
  if (made) {
    const isAgent = made.token.scope === "agent";
    return html`<${Dialog} title="The token" onClose=${onClose} actions=${html`<button type="button" class="primary" onClick=${onClose}>I have it</button>`}>
      <p><b>It is shown this once.</b> ${isAgent ? "Give it to the agent; its sign-in asks for the join line that begins with relay://." : "Keep it where you keep passwords."}</p>
      <${CopyLine} label="Token" text=${made.text} />
      ${isAgent && html`<p class="dim">The server prints the whole join line, which has its address and key in it as well:</p><${CopyLine} label="Command" text="relay-server token create --scope agent" /><p class="dim">An agent that has signed in before takes the token alone, from the environment: <code>RELAY_TOKEN</code>.</p>`}<//>`;
  }
  const actions = html`<button type="button" onClick=${onClose}>Not now</button><button type="submit" form="new-token" class="primary">Make it</button>`;
  return html`<${Dialog} title="New token" onClose=${onClose} actions=${actions}><form id="new-token" onSubmit=${submit}>
    <${Field} label="Scope" control=${(rest) => html`<select ...${rest} value=${form.scope} onChange=${(event) => set({ scope: event.target.value })}>${SCOPES.map(([id, label]) => html`<option value=${id}>${label}</option>`)}</select>`} />
    <${Field} label="Label" help="For whom or what it is." control=${(rest) => html`<input ...${rest} maxlength="200" value=${form.label} onInput=${(event) => set({ label: event.target.value })} />`} />
    ${form.scope === "agent" && html`<${Field} label="Sources" help="By commas; empty means any of the project." control=${(rest) => html`<input ...${rest} class="mono" spellcheck=${false} value=${form.sources} onInput=${(event) => set({ sources: event.target.value })} />`} />
      <label class="check"><input type="checkbox" checked=${form.create} onChange=${(event) => set({ create: event.target.checked })} /> May make and manage sources</label>`}
    <${Field} label="Good for (days)" help="Empty: until it is revoked." control=${(rest) => html`<input ...${rest} type="number" min="1" max="3650" value=${form.days} onInput=${(event) => set({ days: event.target.value })} />`} />
    <${Trouble} error=${error} /></form><//>`;
}
