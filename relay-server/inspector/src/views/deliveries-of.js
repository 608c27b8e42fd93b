// The deliveries of one event with their attempts. What each attempt was answered is fetched when it is opened.

import { html, useState } from "../vendor/preact.js";
import { get, post } from "../model/api.js";
import { moment, plural, span } from "../model/format.js";
import { attemptStory, reason, stateChip } from "../model/words.js";
import { BodyView } from "../parts/body-view.js";
import { Button } from "../parts/controls.js";
import { attempt, say } from "../parts/dialog.js";
import { Headers } from "../parts/headers.js";
import { Chip, Shape, Text, Trouble } from "../parts/text.js";
import { TimeBar } from "./time-line.js";

export function DeliveriesOf({ event, why, onChange }) {
  if (!event.deliveries.length) return html`<p class="none dim">Nothing of it was stored for later: the app answered while the sender waited, or it was refused. A replay makes a delivery.</p>`;
  return event.deliveries.map((delivery) => html`<${Delivery} key=${delivery.id} delivery=${delivery} why=${why} onChange=${onChange} />`);
}

function Delivery({ delivery, why, onChange }) {
  const [answers, setAnswers] = useState(null);
  const [error, setError] = useState(null);
  const isOver = ["delivered", "dead", "cancelled"].includes(delivery.state);
  const load = async () => {
    setError(null);
    try {
      setAnswers((await get(`/deliveries/${delivery.id}`)).attempts);
    } catch (failed) {
      setError(failed);
    }
  };
  const act = async (verb, said) => {
    if (await attempt(() => post(`/deliveries/${delivery.id}/${verb}`))) {
      say(said);
      onChange();
    }
  };
  return html`<section class="delivery">
    <div class="bar"><h3>${delivery.is_replay ? "Replay" : "Delivery"} to ${delivery.destination}</h3><${Chip} ...${stateChip(delivery.state)} />
      <span class="dim grow">${plural(delivery.attempts_made, "attempt")}${delivery.reason && delivery.state !== "delivered" ? `, ${reason(delivery.reason)}` : ""}</span>
      ${isOver ? html`<${Button} class="small" why=${why} onClick=${() => act("replay", "Replayed to the same destination.")}>Again<//>` : html`<${Button} class="small" why=${why} onClick=${() => act("cancel", "Cancelled.")}>Cancel<//>`}</div>
    <p class="dim">${delivery.due_at && !isOver ? `Next attempt ${moment(delivery.due_at)}. ` : ""}${delivery.ended_at ? `Ended ${moment(delivery.ended_at)}. ` : ""}</p>
    <${Trouble} error=${error} retry=${load} />
    <ol class="attempts">${delivery.attempts.map((one) => {
      const isGood = one.outcome === "answered" && one.status < 400;
      const full = answers?.find(({ no }) => no === one.no)?.answer;
      return html`<li><details onToggle=${(toggled) => toggled.target.open && !answers && load()}>
        <summary><span class=${isGood ? "good" : "bad"}><${Shape} kind=${isGood ? "dot" : "square"} /></span> <b class="num">${one.no}</b> <span class="num dim">${moment(one.started_at)}</span>
          <span class="grow"><${Text} text=${attemptStory(one)} /></span><span class="num dim">${span(one.total_us)}</span></summary>
        <div class="attempt"><${TimeBar} ...${one} />${one.is_resigned && html`<p class="dim">Signed afresh for this attempt.</p>`}
          ${full ? html`<${Headers} headers=${full.headers} /><${BodyView} headers=${full.headers} body=${full.body} />` : one.outcome === "answered" ? html`<p class="dim" role="status">Loading the answer…</p>` : html`<p class="dim">There was no answer.</p>`}</div></details></li>`;
    })}</ol>
  </section>`;
}
