// Is all well? One sentence, what needs somebody and what to do, and the sources in figures. Asked again every five
// seconds while it is seen.

import { html } from "../vendor/preact.js";
import { get } from "../model/api.js";
import { ago, count, plural, span } from "../model/format.js";
import { link } from "../model/route.js";
import { useAnswer } from "../parts/ask-api.js";
import { CopyLine, PageHead } from "../parts/controls.js";
import { Spark } from "../parts/spark.js";
import { Shape, Text, Trouble } from "../parts/text.js";

const EVERY_MS = 5000;

export function Overview() {
  const { value, error, again, isLoading } = useAnswer((signal) => get("/overview", {}, signal), [], { every: EVERY_MS });
  const problems = value?.problems ?? [];
  const title = !value ? "Overview" : problems.length ? `${plural(problems.length, "thing needs", "things need")} you.` : "All is well.";
  return html`<div class="padded">
    <${PageHead} title=${title} about=${value && html`relay-server ${value.server.version}`} />
    <${Trouble} error=${error} retry=${again} />
    ${isLoading && html`<p class="dim" role="status">Asking…</p>`}
    ${problems.length > 0 && html`<ul class="problems" aria-label="What needs you">${problems.map((problem) => html`<li key=${problem.code + problem.source + problem.destination}>
      <span class="mark warn"><${Shape} kind="triangle" /></span>
      <div><p><b><${Text} text=${problem.message} /></b></p><p class="dim"><${Text} text=${problem.advice} /></p>${problem.command && html`<${CopyLine} label="Command" text=${problem.command} />`}</div>
      <div class="actions">${problem.q && html`<a class="button small" href=${link("events", "", { q: problem.q })}>Show the events</a>`}${problem.source && html`<a class="button small" href=${link("sources", problem.source)}>The source</a>`}</div></li>`)}</ul>`}
    ${value && (value.sources.length ? html`<${Table} sources=${value.sources} />` : html`<p>There is no source yet. <a href=${link("sources")}>Make one</a>.</p>`)}
  </div>`;
}

function Table({ sources }) {
  return html`<div class="table-box" tabindex="0" role="region" aria-label="Sources in figures"><table class="table">
    <thead><tr><th scope="col">Source</th><th scope="col">Last hour</th><th scope="col" class="end">Events</th><th scope="col" class="end">Failed</th><th scope="col" class="end">p50</th><th scope="col" class="end">p99</th><th scope="col" class="end">Kept ever</th><th scope="col" class="end">Delivered later</th><th scope="col" class="end">Waiting</th><th scope="col" class="end">Oldest waiting</th><th scope="col" class="end">Dead</th><th scope="col" class="end">Agents</th></tr></thead>
    <tbody>${sources.map((source) => html`<tr key=${source.slug}>
      <th scope="row"><a href=${link("sources", source.slug)}>${source.slug}</a>${source.provider && html` <span class="dim">${source.provider}</span>`}<${Flags} source=${source} /></th>
      <td><${Spark} minutes=${source.minutes} /></td>
      <td class="num end">${count(sum(source.minutes, "events"))}</td>
      <td class=${sum(source.minutes, "failed") ? "num end bad" : "num end"}>${count(sum(source.minutes, "failed"))}</td>
      <td class="num end">${span(source.p50_us) || "–"}</td><td class="num end">${span(source.p99_us) || "–"}</td>
      <td class="num end">${count(source.accepted)}</td><td class="num end">${source.delivered === null ? "many" : count(source.delivered)}</td>
      <td class="num end">${source.waiting ? html`<a href=${link("events", "", { q: `source:${source.slug} delivery:waiting` })}>${count(source.waiting)}</a>` : 0}</td>
      <td class="num end">${source.oldest_waiting_at ? ago(source.oldest_waiting_at) : "–"}</td>
      <td class=${source.dead ? "num end bad" : "num end"}>${source.dead ? html`<a href=${link("deliveries", "", { state: "dead", source: source.slug })}>${count(source.dead)}</a>` : 0}</td>
      <td class="num end">${source.agents}</td></tr>`)}</tbody></table></div>`;
}

const sum = (minutes, what) => minutes.reduce((all, minute) => all + minute[what], 0);

export function Flags({ source }) {
  return html`${source.paused && html` <span class="flag">paused</span>`}${source.hold && html` <span class="flag">on hold</span>`}`;
}
