// One source, all of it: its address, who sends and by which secrets it is known, where events go, hold, test, notices,
// rules, and its end.

import { html, useState } from "../vendor/preact.js";
import { get, patch, remove } from "../model/api.js";
import { day } from "../model/format.js";
import { KINDS, permission } from "../model/notices.js";
import { go, link } from "../model/route.js";
import { SOURCE_RULES } from "../model/rules.js";
import { whyNotAdmin, whyNotManage } from "../model/session.js";
import { notified } from "../model/settings.js";
import { useSignal } from "../model/signal.js";
import { useAnswer } from "../parts/ask-api.js";
import { Button, CopyLine, PageHead } from "../parts/controls.js";
import { ask, attempt, say } from "../parts/dialog.js";
import { RulesForm } from "../parts/rules-form.js";
import { Trouble } from "../parts/text.js";
import { Destinations } from "./destinations.js";
import { curlLine, TestEvent, useProviders } from "./first-steps.js";
import { HoldPanel } from "./hold.js";
import { Flags } from "./overview.js";
import { ProviderPanel } from "./provider-panel.js";

export function Source({ name }) {
  const { value: source, error, again } = useAnswer((signal) => get(`/sources/${encodeURIComponent(name)}`, {}, signal), [name]);
  const providers = useProviders();
  if (!source) return html`<div class="padded narrow"><p class="crumbs"><a href=${link("sources")}>Sources</a></p><${PageHead} title=${name} /><${Trouble} error=${error} retry=${again} />${!error && html`<p class="dim" role="status">Loading…</p>`}</div>`;
  const why = whyNotManage(name);
  const save = async (rules) => {
    await patch(`/sources/${name}`, { rules });
    say("Saved.");
    await again();
  };
  const pause = async () => {
    const to = !source.rules.paused;
    if (to && !(await ask({ title: `Pause ${name}?`, text: "Its URL answers 503, nothing is recorded meanwhile, and what is stored waits.", confirm: "Pause it", danger: true }))) return;
    await attempt(() => save({ paused: to }));
  };
  const erase = async () => {
    const isSure = await ask({ title: `Delete ${name}?`, text: "Its URL answers 404 from then on, and what waits is cancelled. Events stay until retention takes them. This cannot be undone.", confirm: "Delete it", danger: true, typed: name });
    if (!isSure) return;
    if (await attempt(async () => (await remove(`/sources/${name}`), true))) {
      say(`${name} is deleted.`);
      go(link("sources"));
    }
  };
  const provider = providers.find((one) => one.name === source.rules.provider?.name);
  const holding = html`<section class="part"><h2>Hold</h2><${HoldPanel} source=${source} why=${why} onChange=${again} /></section>`;
  return html`<div class="padded narrow">
    <p class="crumbs"><a href=${link("sources")}>Sources</a></p>
    <${PageHead} title=${name} about=${html`since ${day(source.created_at)}<${Flags} source=${source.rules} />`}>
      <a class="button" href=${link("events", "", { q: `source:${name}` })}>Its events</a><${Button} why=${why} onClick=${pause}>${source.rules.paused ? "Resume" : "Pause…"}<//><//>
    <${Trouble} error=${error} retry=${again} />
    ${source.rules.hold && holding}
    <section class="part"><h2>Address</h2><${CopyLine} label="URL" text=${source.url} /><${CopyLine} label="curl line" text=${curlLine(source.url)} /></section>
    <section class="part"><h2>Provider and secrets</h2><${ProviderPanel} source=${source} providers=${providers} why=${why} save=${save} onChange=${again} /></section>
    <section class="part"><h2>Destinations</h2><${Destinations} source=${source} why=${why} onChange=${again} /></section>
    ${!source.rules.hold && holding}
    <section class="part"><h2>Test event</h2><${TestEvent} slug=${name} provider=${provider} why=${why} /></section>
    <section class="part"><h2>Notices on this computer</h2><${Notices} name=${name} /></section>
    <section class="part"><h2>Rules</h2>${why && html`<p class="hint">${why}</p>`}<${RulesForm} groups=${SOURCE_RULES} rules=${source.rules} why=${why} save=${save} /></section>
    <section class="part"><h2>Delete</h2><div class="bar"><p class="grow">Its URL answers 404 from then on. The name stays reserved.</p><${Button} class="danger" why=${whyNotAdmin()} onClick=${erase}>Delete…<//></div></section>
  </div>`;
}

function Notices({ name }) {
  const all = useSignal(notified);
  const [why, setWhy] = useState(null);
  const mine = all[name] ?? {};
  const set = async (kind, isOn) => {
    const refused = isOn ? await permission() : null;
    setWhy(refused);
    if (!refused) notified.set({ ...all, [name]: { ...mine, [kind]: isOn } });
  };
  return html`<div class="checks">${KINDS.map(([kind, label]) => html`<label class="check"><input type="checkbox" checked=${Boolean(mine[kind])} onChange=${(event) => {
    const isOn = event.target.checked;
    if (isOn) event.target.checked = Boolean(mine[kind]);
    set(kind, isOn);
  }} /> ${label}</label>`)}</div>
    <p class="dim">Shown by the browser while this page is open somewhere, and remembered here only.</p>${why && html`<p class="hint" role="alert">${why}</p>`}`;
}
