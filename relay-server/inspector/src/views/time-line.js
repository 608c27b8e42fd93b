// What happened to an event, in order and with its times: received, verified, forwarded or stored, each attempt, the
// answer. Bars show the tunnel's time and the app's apart.

import { html } from "../vendor/preact.js";
import { bytes, clock, moment, span } from "../model/format.js";
import { link } from "../model/route.js";
import { attemptStory, chip, isSigned, signatureWords, stateChip, story } from "../model/words.js";
import { Shape, Text } from "../parts/text.js";

export function TimeLine({ event, source }) {
  const steps = [received(event), ...verified(event, source), ...live(event)];
  for (const delivery of event.deliveries) steps.push(...attempts(delivery, event.deliveries.length > 1));
  return html`
    <p class="story">${story(event)}</p>
    <ol class="time-line">${steps.map((step) => html`<li class=${step.tone}>
      <span class="mark"><${Shape} kind=${step.shape} /></span>
      <span class="num dim when">${step.at && clock(step.at)}</span>
      <div><b>${step.title}</b>${step.text && html` <span class="dim"><${Text} text=${step.text} /></span>`}${step.bar}</div></li>`)}</ol>
    <dl class="facts-table">
      <${Fact} name="Sender" value=${event.remote} /><${Fact} name="Sender's id" value=${event.sender_id} /><${Fact} name="Agent" value=${event.agent} />
      <${Fact} name="Number within the source" value=${event.seq} /><${Fact} name="Request body" value=${bytes(event.body_bytes)} /><${Fact} name="Answer body" value=${bytes(event.answer_bytes)} />
      ${event.related && html`<div><dt>${event.outcome === "duplicate" ? "Copy of" : "Edited from"}</dt><dd><a class="mono" href=${link("events", event.related)}>${event.related}</a></dd></div>`}
    </dl>`;
}

function Fact({ name, value }) {
  return value === null || value === undefined || value === "" ? null : html`<div><dt>${name}</dt><dd class="mono"><${Text} text=${value} /></dd></div>`;
}

const received = (event) => ({ at: event.received_at, title: "Received", text: `${bytes(event.body_bytes)} from ${event.remote}`, tone: "plain", shape: "ring" });

function verified(event, source) {
  const { signature } = event;
  if (!signature) return source?.rules.provider ? [{ title: "Signature not checked", text: "The source has no secret, or the event did not come from its provider.", tone: "plain", shape: "ring" }] : [];
  if (isSigned(signature)) return [{ title: "Signature verified", text: signatureWords(signature), tone: "good", shape: "dot" }];
  const tone = signature === "edited" ? "plain" : "warn";
  return [{ title: signature === "edited" ? "Edited copy" : "Signature refused", text: event.signature_text ?? signatureWords(signature), tone, shape: tone === "warn" ? "triangle" : "ring" }];
}

function live(event) {
  const { tone, shape, text } = chip(event);
  if (event.outcome === "accepted") return [{ title: "Stored", text: `and the sender told ${event.status || 202}`, tone, shape }];
  if (event.outcome === "refused" || event.outcome === "duplicate" || event.outcome === "greeted") return [{ title: `Sender told ${text}`, tone, shape }];
  return [{
    title: event.outcome === "answered" ? `App answered ${event.status}` : `No answer of the app, sender told ${event.status || "nothing"}`,
    text: `after ${span(event.total_us)}`, tone, shape, bar: html`<${TimeBar} ...${event} />`,
  }];
}

function attempts(delivery, isNamed) {
  const to = isNamed ? ` to ${delivery.destination}` : "";
  const kind = delivery.is_replay ? "Replay" : "Delivery";
  const tried = delivery.attempts.map((attempt) => {
    const good = attempt.outcome === "answered" && attempt.status < 400;
    return { at: attempt.started_at, title: `${kind}${to}, attempt ${attempt.no}`, text: attemptStory(attempt), tone: good ? "good" : "bad", shape: good ? "dot" : "square", bar: html`<${TimeBar} ...${attempt} />` };
  });
  const { text, tone, shape } = stateChip(delivery.state);
  if (delivery.state === "delivered") return tried;
  const next = delivery.state === "waiting" && delivery.due_at ? `next attempt ${moment(delivery.due_at)}` : "";
  return [...tried, { at: delivery.ended_at, title: `${kind}${to} is ${text}`, text: next, tone, shape }];
}

/** Where the time went. What is neither the connection to the app nor the app is the relay and the tunnel. */
export function TimeBar({ connect_us: connect, app_us: app, total_us: total }) {
  if (!total) return null;
  const rest = Math.max(0, total - connect - app);
  const parts = [["tunnel", rest, "tunnel and relay"], ["connect", connect, "connecting to the app"], ["app", app, "the app"]].filter(([, us]) => us > 0);
  return html`<div class="time-bar"><div class="time-bar-track" role="img" aria-label=${parts.map(([, us, name]) => `${name} ${span(us)}`).join(", ")}>
      ${parts.map(([kind, us]) => html`<i class=${kind} style=${{ flexGrow: Math.max(us / total, 0.012) }}></i>`)}</div>
    <div class="time-bar-key">${parts.map(([kind, us, name]) => html`<span><i class=${kind}></i>${name} <span class="num">${span(us)}</span></span>`)}</div></div>`;
}
