// Stored deliveries by state: those that wait, are under way or dead, unless others are asked for.

import { html, useEffect, useState } from "../vendor/preact.js";
import { get, post } from "../model/api.js";
import { ago, idMoment, moment } from "../model/format.js";
import { listen } from "../model/live.js";
import { go, link } from "../model/route.js";
import { whyNotManage } from "../model/session.js";
import { reason, stateChip } from "../model/words.js";
import { useAnswer } from "../parts/ask-api.js";
import { Button, PageHead, Segments } from "../parts/controls.js";
import { ask, attempt, say } from "../parts/dialog.js";
import { Chip, Trouble } from "../parts/text.js";

const STATES = [["", "Open"], ["waiting", "Waiting"], ["leased", "Under way"], ["dead", "Dead"], ["delivered", "Delivered"], ["cancelled", "Cancelled"]];

export function Deliveries({ params }) {
  const state = params.get("state") ?? "";
  const source = params.get("source") ?? "";
  const load = (before, signal) => get("/deliveries", { state, source, before, limit: 100 }, signal);
  const { value, error, again } = useAnswer((signal) => load(null, signal), [state, source], { every: 15_000 });
  const sources = useAnswer((signal) => get("/sources", {}, signal), []);
  const [older, setOlder] = useState({ deliveries: [], next: undefined });
  useEffect(() => setOlder({ deliveries: [], next: undefined }), [value]);
  useEffect(() => {
    let timer = 0;
    const unlisten = listen(({ lines }) => {
      if (!timer && lines.some(({ type }) => type === "delivery")) timer = setTimeout(() => ((timer = 0), document.hidden || again()), 1500);
    });
    return () => {
      unlisten();
      clearTimeout(timer);
    };
  }, [state, source]);
  const show = (change) => go(link("deliveries", "", { state, source, ...change }), { replace: true });
  const next = older.next === undefined ? value?.next : older.next;
  const more = async () => {
    const page = await attempt(() => load(next));
    if (page) setOlder({ deliveries: [...older.deliveries, ...page.deliveries], next: page.next });
  };
  const act = async (delivery, verb) => {
    if (verb === "cancel" && !(await ask({ title: "Cancel this delivery?", text: "It is not attempted again. A replay can make a new one.", confirm: "Cancel it", danger: true }))) return;
    if (await attempt(() => post(`/deliveries/${delivery.id}/${verb}`))) say(verb === "cancel" ? "Cancelled." : "Replayed to the same destination.");
    again();
  };
  const all = [...(value?.deliveries ?? []), ...older.deliveries];
  return html`<div class="padded">
    <${PageHead} title="Deliveries" about="What is stored, and what became of it. Open: waiting, under way or dead." />
    <div class="bar"><${Segments} label="State" choices=${STATES} current=${state} onChange=${(next) => show({ state: next })} />
      <select aria-label="Source" value=${source} onChange=${(event) => show({ source: event.target.value })}><option value="">All sources</option>${sources.value?.sources.map(({ slug }) => html`<option value=${slug}>${slug}</option>`)}</select></div>
    <${Trouble} error=${error} retry=${again} />
    ${value && !all.length && html`<p class="none">${state === "dead" ? "No delivery is dead." : state === "" ? "Nothing waits and nothing is dead." : "There is none."}</p>`}
    ${all.length > 0 && html`<div class="table-box" tabindex="0" role="region" aria-label="Deliveries"><table class="table">
      <thead><tr><th scope="col">State</th><th scope="col">Event</th><th scope="col">To</th><th scope="col">Received</th><th scope="col" class="end">Attempts</th><th scope="col">Next or ended</th><th scope="col">Why</th><th scope="col"><span class="unseen-title">Actions</span></th></tr></thead>
      <tbody>${all.map((delivery) => html`<tr key=${delivery.id}>
        <td><${Chip} ...${stateChip(delivery.state)} /></td><th scope="row"><a class="mono" href=${link("events", delivery.event)}>${delivery.event.slice(0, 14)}…${delivery.event.slice(-4)}</a>${delivery.is_replay && html` <span class="flag">replay</span>`}</th>
        <td>${delivery.source}/${delivery.destination}</td><td class="num">${ago(idMoment(delivery.event))}</td><td class="num end">${delivery.attempts}</td>
        <td class="num">${delivery.state === "waiting" ? moment(delivery.due_at) : moment(delivery.ended_at)}</td><td>${reason(delivery.reason)}</td>
        <td class="end">${delivery.state === "waiting" || delivery.state === "leased" ? html`<${Button} class="small" why=${whyNotManage(delivery.source)} onClick=${() => act(delivery, "cancel")}>Cancel…<//>` : html`<${Button} class="small" why=${whyNotManage(delivery.source)} onClick=${() => act(delivery, "replay")}>Again<//>`}</td></tr>`)}</tbody></table></div>`}
    ${next && html`<p><button type="button" onClick=${more}>Show older ones</button></p>`}
  </div>`;
}
