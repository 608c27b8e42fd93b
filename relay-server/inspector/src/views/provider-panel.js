// Who sends to a source, and the secrets by which it is known. A secret is given once and never shown again.

import { html, useState } from "../vendor/preact.js";
import { post, remove } from "../model/api.js";
import { ago } from "../model/format.js";
import { Button, Field } from "../parts/controls.js";
import { ask, attempt, say } from "../parts/dialog.js";
import { Text, Trouble } from "../parts/text.js";
import { ProviderOptions } from "./first-steps.js";

export function ProviderPanel({ source, providers, why, save, onChange }) {
  const { rules, secrets, slug } = source;
  const current = rules.provider;
  const provider = providers.find(({ name }) => name === current?.name);
  const change = (next) => attempt(() => save({ provider: next }));
  const choose = async (name) => {
    const isSure = !current || !secrets.length || (await ask({ title: "Change the provider?", text: "What it signs is checked by another scheme from then on. The secrets stay.", confirm: "Change it" }));
    if (isSure) await change(name ? { name, params: null, tolerance_s: null } : null);
    onChange();
  };
  const known = providers.some(({ name }) => name === current?.name) || !current;
  return html`
    <${Field} label="Provider" help=${provider ? `${provider.retries} ${provider.advice}${provider.deadline_ms ? ` It waits ${provider.deadline_ms / 1000} s for an answer.` : ""}` : "Without one, whoever knows the URL may send."} control=${(rest) => html`<select ...${rest} disabled=${Boolean(why)} value=${current?.name ?? ""} onChange=${(event) => choose(event.target.value)}>
      <option value="">Anybody who knows the URL</option>${known && html`<${ProviderOptions} providers=${providers} />`}${!known && html`<option value=${current.name}>${current.name}</option>`}</select>`} />
    ${current && html`
      ${provider?.params.length > 0 && html`<div class="rules-grid">${provider.params.map(({ name, what, required, example }) => html`<${Param} key=${name} title=${name} help=${`${what}${required ? "" : " Not required."}`} example=${example} value=${current.params?.[name] ?? ""} why=${why} onSave=${(value) => change({ params: { ...current.params, [name]: value || null } })} />`)}</div>`}
      <div class="rules-grid">
        <${Field} label="Challenges are answered by" help="With which providers make sure that a URL is yours." control=${(rest) => html`<select ...${rest} disabled=${Boolean(why)} value=${current.greet ?? "app_first"} onChange=${(event) => change({ greet: event.target.value })}><option value="app_first">the app, else the relay</option><option value="relay">the relay</option><option value="app">the app</option></select>`} />
        <${Field} label="Sign afresh" help="Signs what is delivered later, again or edited with the newest secret and the current time." control=${(rest) => html`<span class="check"><input ...${rest} type="checkbox" disabled=${Boolean(why)} checked=${Boolean(current.resign)} onChange=${(event) => change({ resign: event.target.checked })} /> ${current.resign ? "on" : "off"}</span>`} />
      </div>
      <${Secrets} slug=${slug} secrets=${secrets} provider=${provider} why=${why} onChange=${onChange} />`}`;
}

function Param({ title, help, example, value, why, onSave }) {
  return html`<${Field} label=${title} help=${help} control=${(rest) => html`<input ...${rest} class="mono" placeholder=${example} disabled=${Boolean(why)} value=${value} onChange=${(event) => onSave(event.target.value.trim())} />`} />`;
}

function Secrets({ slug, secrets, provider, why, onChange }) {
  const [secret, setSecret] = useState("");
  const [label, setLabel] = useState("");
  const [error, setError] = useState(null);
  const add = async (event) => {
    event.preventDefault();
    if (why || !secret) return;
    try {
      await post(`/sources/${slug}/secrets`, { secret, ...(label && { label }) });
      setSecret("");
      setLabel("");
      setError(null);
      say("The secret is good from now on. It is not shown again.");
      onChange();
    } catch (failed) {
      setError(failed);
    }
  };
  const forget = async ({ id, label: name }) => {
    const text = secrets.length === 1 ? "It is the only one: without any secret nothing is checked." : "What it signed is refused from then on.";
    if (!(await ask({ title: `Forget secret ${name || id}?`, text, confirm: "Forget it", danger: true }))) return;
    await attempt(() => remove(`/sources/${slug}/secrets/${id}`));
    onChange();
  };
  return html`<h3>Secrets</h3>
    ${secrets.length ? html`<ul class="lines">${secrets.map((one) => html`<li key=${one.id} class="bar"><span class="num">${one.id}</span><span class="grow"><${Text} text=${one.label || "without a label"} /> <span class="dim">${ago(one.created_at)}</span></span><${Button} class="small" why=${why} onClick=${() => forget(one)}>Forget…<//></li>`)}</ul>`
      : html`<p class="hint">There is none, so signatures are not checked.</p>`}
    <form class="inline-form" onSubmit=${add}>
      <${Field} label="Secret" help=${`${provider?.secret ?? "As the provider shows it."} Kept encrypted, never shown again.`} control=${(rest) => html`<input ...${rest} type="password" class="mono" autocomplete="off" disabled=${Boolean(why)} value=${secret} onInput=${(event) => setSecret(event.target.value)} />`} />
      <${Field} label="Label" control=${(rest) => html`<input ...${rest} maxlength="200" disabled=${Boolean(why)} value=${label} onInput=${(event) => setLabel(event.target.value)} />`} />
      <button type="submit" disabled=${Boolean(why) || !secret}>Add</button></form>
    <${Trouble} error=${error} />`;
}
