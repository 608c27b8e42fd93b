// Empty pages are the tutorial: with no source, how to make one; with a source and no events, how to send the first.

import { html, useState } from "../vendor/preact.js";
import { get, post } from "../model/api.js";
import { go, link } from "../model/route.js";
import { whyNotManage } from "../model/session.js";
import { quoted } from "../model/copy-as.js";
import { useAnswer } from "../parts/ask-api.js";
import { Button, CopyLine, Field } from "../parts/controls.js";
import { attempt, Dialog, say } from "../parts/dialog.js";
import { Trouble } from "../parts/text.js";

export const useProviders = () => useAnswer((signal) => get("/providers", {}, signal), []).value?.providers ?? [];

export const curlLine = (url) => `curl -i ${quoted(url)} -H 'Content-Type: application/json' -d '{"hello":"world"}'`;

export function NoEvents({ sources }) {
  const [isMaking, setMaking] = useState(false);
  const all = sources.value?.sources;
  if (sources.error) return html`<div class="padded"><${Trouble} error=${sources.error} retry=${sources.again} /></div>`;
  if (!all) return null;
  const why = whyNotManage(null);
  return html`<div class="first-steps" tabindex="-1" data-home>
    ${all.length === 0 ? html`<h2>Make your first source</h2>
      <p>A source is a stable public URL. Whatever is sent to it shows up here, and goes on to your app.</p>
      <p><${Button} class="primary" why=${why} onClick=${() => setMaking(true)}>New source<//></p>
      <p class="dim">Or from the machine where your app runs, with its port:</p><${CopyLine} label="Command" text="relay-agent 3000" />`
      : html`<h2>Waiting for the first webhook</h2>
      ${all.length > 1 && html`<p class="dim">${all.length} sources are there; these are the steps for ${all[0].slug}. The others have theirs on <a href=${link("sources")}>their pages</a>.</p>`}
      <${HowToSend} source=${all[0]} why=${whyNotManage(all[0].slug)} />`}
    ${isMaking && html`<${NewSource} onClose=${() => setMaking(false)} onMade=${(source) => {
      setMaking(false);
      sources.again();
      go(link("sources", source.slug));
    }} />`}
  </div>`;
}

/** How something comes to this source, in three ways, and what will happen then. */
function HowToSend({ source, why }) {
  const providers = useProviders();
  const { slug, url, rules } = source;
  const provider = providers.find(({ name }) => name === rules.provider?.name);
  return html`<ol class="steps">
    <li><h3>Send one yourself</h3><p>Paste this into a terminal:</p><${CopyLine} label="curl line" text=${curlLine(url)} /></li>
    <li><h3>${provider ? `Register the URL with ${provider.title}` : "Register the URL with whoever sends"}</h3><${CopyLine} label="URL" text=${url} />
      ${provider && html`<ul>${provider.register.map((step) => html`<li>${step.replaceAll("{url}", url)}</li>`)}</ul>`}</li>
    <li><h3>Or send a test event</h3><${TestEvent} slug=${slug} provider=${provider} why=${why} /></li>
    <li><h3>Then</h3><p>The event shows up here at once. Where an agent serves <code>${slug}</code>, your app gets it and its answer goes back to the sender;
      where none does, it is stored, answered 202, and delivered as soon as one is there:</p><${CopyLine} label="Command" text=${`relay-agent forward ${slug} 3000`} /></li>
  </ol>`;
}

export function TestEvent({ slug, provider, why }) {
  const [sample, setSample] = useState("");
  const [isBusy, setBusy] = useState(false);
  const send = async () => {
    setBusy(true);
    const made = await attempt(() => post(`/sources/${slug}/test`, provider ? { provider: provider.name, event: sample || provider.samples[0] } : {}));
    setBusy(false);
    if (made) say("The test event is on its way.", { action: { label: "Show it", run: () => go(link("events", made.event)) } });
  };
  return html`<div class="bar">${provider?.samples.length > 0 && html`<select aria-label="Which test event" value=${sample || provider.samples[0]} onChange=${(event) => setSample(event.target.value)}>${provider.samples.map((name) => html`<option value=${name}>${name}</option>`)}</select>`}
    <${Button} why=${why ?? (isBusy ? "One moment…" : null)} onClick=${send}>Send a test event<//><span class="dim">${provider?.needs_secret ? "Signed, where the source has a secret." : ""}</span></div>`;
}

/** Those that are known by name, then the forms for all others. */
export function ProviderOptions({ providers }) {
  const options = (isGeneral) => providers.filter((one) => one.is_general === isGeneral).map(({ name, title }) => html`<option value=${name}>${title}</option>`);
  return html`<optgroup label="Providers">${options(false)}</optgroup><optgroup label="Any other, by its scheme">${options(true)}</optgroup>`;
}

export function NewSource({ onClose, onMade }) {
  const providers = useProviders();
  const [slug, setSlug] = useState("");
  const [provider, setProvider] = useState("");
  const [state, setState] = useState({ isBusy: false, error: null });
  const submit = async (event) => {
    event.preventDefault();
    setState({ isBusy: true, error: null });
    try {
      onMade(await post("/sources", { ...(slug.trim() && { slug: slug.trim() }), ...(provider && { rules: { provider: { name: provider } } }) }));
    } catch (error) {
      setState({ isBusy: false, error });
    }
  };
  const actions = html`<button type="button" onClick=${onClose}>Not now</button><button type="submit" form="new-source" class="primary" disabled=${state.isBusy}>Make it</button>`;
  return html`<${Dialog} title="New source" onClose=${onClose} actions=${actions}>
    <form id="new-source" onSubmit=${submit}>
      <${Field} label="Name" help="Part of the URL, lower case; it never changes. Without one, a name nobody can guess is made." error=${state.error?.message}
        control=${(rest) => html`<input ...${rest} class="mono" value=${slug} autocomplete="off" spellcheck=${false} placeholder="github" onInput=${(event) => setSlug(event.target.value)} />`} />
      <${Field} label="Provider" help="Who will send. Signatures are checked once the source has a secret."
        control=${(rest) => html`<select ...${rest} value=${provider} onChange=${(event) => setProvider(event.target.value)}><option value="">Anybody who knows the URL</option><${ProviderOptions} providers=${providers} /></select>`} />
    </form>
  <//>`;
}
