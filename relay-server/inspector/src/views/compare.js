// Two events, or two attempts of a delivery, side by side: heads and bodies line by line, JSON in its pretty form so that
// the order of writing does not hide what differs.

import { html, useEffect, useMemo, useState } from "../vendor/preact.js";
import { get } from "../model/api.js";
import { decode } from "../model/body.js";
import { clock, plain } from "../model/format.js";
import { parse, pretty } from "../model/json.js";
import { chip, nameOf } from "../model/words.js";
import { Field } from "../parts/controls.js";
import { Dialog } from "../parts/dialog.js";
import { DiffView } from "../parts/diff-view.js";
import { Trouble } from "../parts/text.js";

function bodyLines(body) {
  const { text, bytes } = decode(body);
  if (text === null) return [`(${bytes.length} bytes that are not text)`];
  try {
    return pretty(parse(text)).split("\n");
  } catch {
    return text.split("\n");
  }
}

const requestLines = (event) => [`${event.method} ${event.path}`, ...event.headers.map(([name, value]) => `${name}: ${value}`), "", ...bodyLines(event.body)];
const answerLines = (status, { headers, body }) => [`status ${status ?? "none"}`, ...headers.map(([name, value]) => `${name}: ${value}`), "", ...bodyLines(body)];
const NONE = { headers: [], body: { text: "" } };

export function Compare({ event, recent, onClose }) {
  const attempts = event.deliveries.filter((delivery) => delivery.attempts.length).flatMap((delivery) => delivery.attempts.map(({ no }) => ({ delivery: delivery.id, no })));
  const same = recent.filter((row) => row.name === event.name && row.source === event.source);
  const choices = [...same, ...recent.filter((row) => !same.includes(row))];
  const [what, setWhat] = useState("request");
  const [other, setOther] = useState(choices[0]?.id ?? "");
  const [typed, setTyped] = useState("");
  const [pair, setPair] = useState([attempts[0], attempts.at(-1)]);
  const [loaded, setLoaded] = useState({ value: null, error: null });
  const wanted = /^evt_[0-9a-z]{26}$/.test(typed.trim()) ? typed.trim() : other;
  useEffect(() => {
    const controller = new AbortController();
    setLoaded({ value: null, error: null });
    const load = async () => {
      if (what === "attempts") return Promise.all(pair.map(async ({ delivery, no }) => (await get(`/deliveries/${delivery}`, {}, controller.signal)).attempts.find((one) => one.no === no)));
      return wanted ? get(`/events/${wanted}`, {}, controller.signal) : null;
    };
    load().then((value) => setLoaded({ value, error: null }), (error) => error.name !== "AbortError" && setLoaded({ value: null, error }));
    return () => controller.abort();
  }, [what, wanted, pair]);
  const [before, after] = useMemo(() => {
    const isPair = Array.isArray(loaded.value);
    // What was loaded may still be for the choice before.
    if (!loaded.value || isPair !== (what === "attempts")) return [null, null];
    if (isPair) return loaded.value.map((one) => answerLines(one?.status, one?.answer ?? NONE));
    if (what === "answer") return [answerLines(loaded.value.status, loaded.value.answer), answerLines(event.status, event.answer)];
    return [requestLines(loaded.value), requestLines(event)];
  }, [loaded, what]);
  const names = what === "attempts" ? ["the first", "the second"] : ["the other", "this event"];
  return html`<${Dialog} title="Compare" wide onClose=${onClose}>
    <div class="compare-choice">
      <${Field} label="Compare" control=${(rest) => html`<select ...${rest} value=${what} onChange=${(input) => setWhat(input.target.value)}>
        <option value="request">requests of two events</option><option value="answer">answers of two events</option>${attempts.length > 1 && html`<option value="attempts">answers of two attempts</option>`}</select>`} />
      ${what === "attempts" ? [0, 1].map((side) => html`<${Field} label=${side ? "with attempt" : "Attempt"} control=${(rest) => html`<select ...${rest} value=${attempts.indexOf(pair[side])} onChange=${(input) => setPair(pair.map((one, at) => (at === side ? attempts[input.target.value] : one)))}>
          ${attempts.map(({ delivery, no }, index) => html`<option value=${index}>delivery ${delivery.split(".")[1]}, attempt ${no}</option>`)}</select>`} />`)
        : html`<${Field} label="with" control=${(rest) => html`<select ...${rest} value=${other} onChange=${(input) => setOther(input.target.value)}>
          ${choices.map((row) => html`<option value=${row.id}>${clock(row.received_at).slice(0, 8)} ${plain(nameOf(row)).slice(0, 60)} (${chip(row).text})</option>`)}</select>`} />
          <${Field} label="or by its id" control=${(rest) => html`<input ...${rest} class="mono" placeholder="evt_…" value=${typed} spellcheck=${false} onInput=${(input) => setTyped(input.target.value)} />`} />`}
    </div>
    <${Trouble} error=${loaded.error} />
    ${before ? html`<${DiffView} before=${before} after=${after} names=${names} />` : !loaded.error && html`<p class="dim none" role="status">${wanted || what === "attempts" ? "Loading…" : "There is no other event to compare with."}</p>`}
  <//>`;
}
