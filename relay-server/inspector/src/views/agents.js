// Who is connected now, and what they serve.

import { html } from "../vendor/preact.js";
import { get } from "../model/api.js";
import { ago, span } from "../model/format.js";
import { link } from "../model/route.js";
import { useAnswer } from "../parts/ask-api.js";
import { CopyLine, PageHead } from "../parts/controls.js";
import { Text, Trouble } from "../parts/text.js";

export function Agents() {
  const { value, error, again } = useAnswer((signal) => get("/agents", {}, signal), [], { every: 3000 });
  const agents = value?.agents ?? [];
  return html`<div class="padded">
    <${PageHead} title="Agents" about="Connected now, through the tunnel." />
    <${Trouble} error=${error} retry=${again} />
    ${value && !agents.length && html`<div class="none"><p>No agent is connected. On the machine where your app runs:</p><${CopyLine} label="Command" text="relay-agent 3000" /><p class="dim">What came meanwhile waits, and is delivered as soon as one is there.</p></div>`}
    ${agents.length > 0 && html`<div class="table-box" tabindex="0" role="region" aria-label="Agents"><table class="table">
      <thead><tr><th scope="col">Host</th><th scope="col">Program</th><th scope="col">From</th><th scope="col">Transport</th><th scope="col" class="end">Round trip</th><th scope="col" class="end">In flight</th><th scope="col">Serves</th><th scope="col">Connected</th></tr></thead>
      <tbody>${agents.map((agent) => html`<tr key=${agent.session}>
        <th scope="row" title=${agent.agent}><${Text} text=${agent.host} /></th><td><${Text} text=${agent.program} /></td><td class="mono">${agent.remote}</td><td>${agent.transport}</td>
        <td class="num end">${span(agent.rtt_us)}</td><td class="num end">${agent.in_flight}</td>
        <td>${agent.serves.map((served, index) => html`${index > 0 && ", "}<a href=${link("sources", served.split("/")[0])}>${served}</a>`)}</td><td class="num">${ago(agent.connected_ms)}</td></tr>`)}</tbody></table></div>`}
  </div>`;
}
