// Where a source's events go: each destination with its state, what waits for it, and its rules behind a fold.

import { html, useState } from "../vendor/preact.js";
import { get, patch, post, remove } from "../model/api.js";
import { count } from "../model/format.js";
import { link } from "../model/route.js";
import { DESTINATION_RULES } from "../model/rules.js";
import { useAnswer } from "../parts/ask-api.js";
import { Button, CopyLine, Field, Menu } from "../parts/controls.js";
import { ask, attempt, Dialog, say } from "../parts/dialog.js";
import { RulesForm } from "../parts/rules-form.js";
import { Text, Trouble } from "../parts/text.js";

export function Destinations({ source, why, onChange }) {
  const [isMaking, setMaking] = useState(false);
  return html`<ul class="lines">${source.destinations.map((one) => html`<${Destination} key=${one.name} source=${source} destination=${one} why=${why} onChange=${onChange} />`)}</ul>
    <p><${Button} why=${why} onClick=${() => setMaking(true)}>Add a destination<//></p>
    ${isMaking && html`<${NewDestination} slug=${source.slug} onClose=${() => setMaking(false)} onMade=${() => {
      setMaking(false);
      onChange();
    }} />`}`;
}

function Destination({ source, destination, why, onChange }) {
  const { name, rules, is_primary: isPrimary, sharing } = destination;
  const path = `/sources/${source.slug}/destinations/${name}`;
  const backlog = useAnswer((signal) => get(`${path}/backlog`, {}, signal), [path], { every: 10_000 });
  const [isOpen, setOpen] = useState(false);
  const waiting = backlog.value?.waiting ?? 0;
  const change = async (body, said) => {
    if (await attempt(() => patch(path, body))) {
      say(said);
      onChange();
    }
  };
  const skip = async (keep) => {
    const text = keep === "latest" ? "All that wait but the newest are cancelled." : "All that wait are cancelled.";
    if (!(await ask({ title: "Skip what waits?", text: `${text} Their events stay, and can be replayed.`, confirm: "Skip them", danger: true }))) return;
    const done = await attempt(() => post(`${path}/backlog`, { keep }));
    if (done) say(`${count(done.cancelled)} cancelled.`);
    backlog.again();
  };
  const erase = async () => {
    if (!(await ask({ title: `Delete ${name}?`, text: "What waits for it is cancelled.", confirm: "Delete it", danger: true, typed: name }))) return;
    if (await attempt(async () => (await remove(path), true))) onChange();
  };
  const showSecret = async () => {
    const got = await attempt(() => get(`${path}/secret`));
    if (got) await ask({ title: "What its receiver checks signatures with", text: html`<code class="wrap">${got.secret}</code>`, confirm: "Seen" });
  };
  return html`<li class="destination">
    <div class="bar"><b>${name}</b>${isPrimary && html`<span class="flag">primary</span>`}${rules.paused && html`<span class="flag">paused</span>`}
      <span class="dim grow cut"><${Text} text=${rules.url ?? `through an agent (${sharing})`} />${waiting > 0 && html` · <a href=${link("deliveries", "", { source: source.slug, state: "waiting" })}>${count(waiting)}${backlog.value.is_more ? " or more" : ""} wait</a>`}</span>
      <button type="button" class="small" aria-expanded=${isOpen} onClick=${() => setOpen(!isOpen)}>Rules</button>
      <${Menu} label="More" align="end" items=${[
        { label: rules.paused ? "Resume" : "Pause", why, run: () => change({ rules: { paused: !rules.paused } }, rules.paused ? "Resumed." : "Paused: what is stored for it waits.") },
        !isPrimary && { label: "Make it the primary", why, run: () => change({ primary: true }, `${name} answers the sender from now on.`) },
        ...["pool", "replace", "broadcast"].filter((one) => one !== sharing && !rules.url).map((one) => ({ label: `Agents share it: ${one}`, why, run: () => change({ sharing: one }, "Changed.") })),
        waiting > 1 && { label: "Skip all that wait but the newest…", why, run: () => skip("latest") },
        waiting > 0 && { label: "Skip all that wait…", why, run: () => skip("none") },
        { label: "Secret for its receiver", why, run: showSecret },
        source.destinations.length > 1 && { label: "Delete…", danger: true, why, run: erase },
      ]} /></div>
    ${!rules.url && html`<${CopyLine} label="Command" text=${`relay-agent forward ${source.slug} 3000${name === "default" ? "" : ` --destination ${name}`}`} />`}
    ${isOpen && html`<${RulesForm} groups=${DESTINATION_RULES} rules=${rules} why=${why} save=${async (rulesPatch) => {
      await patch(path, { rules: rulesPatch });
      say("Saved.");
      onChange();
    }} />`}
  </li>`;
}

function NewDestination({ slug, onClose, onMade }) {
  const [name, setName] = useState("");
  const [url, setUrl] = useState("");
  const [error, setError] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    try {
      await post(`/sources/${slug}/destinations`, { name: name.trim(), ...(url.trim() && { rules: { url: url.trim() } }) });
      onMade();
    } catch (failed) {
      setError(failed);
    }
  };
  const actions = html`<button type="button" onClick=${onClose}>Not now</button><button type="submit" form="new-destination" class="primary" disabled=${!name.trim()}>Add it</button>`;
  return html`<${Dialog} title="Add a destination" onClose=${onClose} actions=${actions}><form id="new-destination" onSubmit=${submit}>
    <p>Every event from then on gets a delivery to it as well.</p>
    <${Field} label="Name" control=${(rest) => html`<input ...${rest} class="mono" value=${name} spellcheck=${false} onInput=${(event) => setName(event.target.value)} />`} />
    <${Field} label="URL" help="Empty: an agent serves it." control=${(rest) => html`<input ...${rest} class="mono" value=${url} spellcheck=${false} placeholder="https://billing.example.com/hooks" onInput=${(event) => setUrl(event.target.value)} />`} />
    <${Trouble} error=${error} /></form><//>`;
}
