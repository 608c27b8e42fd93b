// All sources: where senders send to, who sends, and how.

import { html, useState } from "../vendor/preact.js";
import { get } from "../model/api.js";
import { go, link } from "../model/route.js";
import { whyNotManage } from "../model/session.js";
import { useAnswer } from "../parts/ask-api.js";
import { Button, CopyButton, CopyLine, PageHead } from "../parts/controls.js";
import { Trouble } from "../parts/text.js";
import { NewSource } from "./first-steps.js";
import { Flags } from "./overview.js";

export function Sources() {
  const { value, error, again } = useAnswer((signal) => get("/sources", {}, signal), [], { every: 15_000 });
  const [isMaking, setMaking] = useState(false);
  const sources = value?.sources ?? [];
  return html`<div class="padded">
    <${PageHead} title="Sources" about="Stable public URLs, each with its rules and where its events go."><${Button} class="primary" why=${whyNotManage(null)} onClick=${() => setMaking(true)}>New source<//><//>
    <${Trouble} error=${error} retry=${again} />
    ${value && sources.length === 0 && html`<div class="none"><p>There is none yet. Make one here, or start an agent with the port of your app:</p><${CopyLine} label="Command" text="relay-agent 3000" /></div>`}
    ${sources.length > 0 && html`<div class="table-box" tabindex="0" role="region" aria-label="All sources"><table class="table">
      <thead><tr><th scope="col">Name</th><th scope="col">URL</th><th scope="col">Provider</th><th scope="col">Reply</th><th scope="col">Destinations</th></tr></thead>
      <tbody>${sources.map((source) => html`<tr key=${source.slug}>
        <th scope="row"><a href=${link("sources", source.slug)}>${source.slug}</a><${Flags} source=${source.rules} /></th>
        <td><span class="mono">${source.url}</span> <${CopyButton} text=${source.url} what="URL copied." /></td>
        <td>${source.rules.provider ? html`${source.rules.provider.name}${source.secrets.length ? "" : html` <span class="dim">unchecked, no secret</span>`}` : html`<span class="dim">anybody</span>`}</td>
        <td>${source.rules.reply}</td><td>${source.destinations.map(({ name }) => name).join(", ")}</td></tr>`)}</tbody></table></div>`}
    ${isMaking && html`<${NewSource} onClose=${() => setMaking(false)} onMade=${(source) => go(link("sources", source.slug))} />`}
  </div>`;
}
