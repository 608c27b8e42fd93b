// A source on hold: every webhook is stored and waits, and somebody lets one go at a time, as it came or edited. The
// panel shows the oldest; `.` lets it go.

import { html, useEffect, useState } from "../vendor/preact.js";
import { get, patch, post } from "../model/api.js";
import { ago, plural } from "../model/format.js";
import { link } from "../model/route.js";
import { listen } from "../model/live.js";
import { nameOf } from "../model/words.js";
import { useAnswer } from "../parts/ask-api.js";
import { BodyView } from "../parts/body-view.js";
import { Button } from "../parts/controls.js";
import { ask, attempt, say } from "../parts/dialog.js";
import { useKeys } from "../parts/keys.js";
import { Text, Trouble } from "../parts/text.js";
import { EditReplay } from "./edit-replay.js";

const waitingOf = (slug, signal) => get("/deliveries", { source: slug, state: "waiting", order: "oldest", limit: 20 }, signal);

export async function hold({ slug }) {
  const isSure = await ask({ title: `Hold ${slug}?`, text: "From now on its webhooks are stored and answered 202, and wait until you let each go, or end the hold.", confirm: "Hold" });
  if (!isSure) return null;
  const changed = await attempt(() => patch(`/sources/${slug}`, { rules: { hold: true } }));
  if (changed) say(`${slug} is on hold.`, { action: { label: "Step through", run: () => (location.hash = link("sources", slug)) } });
  return changed;
}

/** Lets the oldest that waits go. */
export async function step(slug) {
  const found = await attempt(() => waitingOf(slug));
  if (!found) return;
  const [oldest] = found.deliveries;
  if (!oldest) say(`Nothing waits for ${slug}.`);
  else if (await attempt(() => post(`/deliveries/${oldest.id}/release`, {}))) say(`The oldest of ${slug} was let go.`);
}

export function HoldPanel({ source, why, onChange }) {
  const { slug, rules } = source;
  const { value, error, again } = useAnswer((signal) => (rules.hold ? waitingOf(slug, signal) : null), [slug, rules.hold], { every: rules.hold ? 5000 : 0 });
  const [event, setEvent] = useState(null);
  const [isEditing, setEditing] = useState(false);
  const oldest = value?.deliveries[0] ?? null;
  useEffect(() => {
    let timer = 0;
    const unlisten = listen(({ lines }) => {
      if (rules.hold && !timer && lines.some((line) => line.source === slug)) timer = setTimeout(() => ((timer = 0), again()), 200);
    });
    return () => {
      unlisten();
      clearTimeout(timer);
    };
  }, [slug, rules.hold]);
  useEffect(() => {
    let isCurrent = true;
    setEvent(null);
    if (oldest) attempt(() => get(`/events/${oldest.event}`)).then((got) => isCurrent && setEvent(got));
    return () => (isCurrent = false);
  }, [oldest?.id]);
  const act = async (work, said) => {
    if (await attempt(work)) say(said);
    again();
  };
  const letGo = () => act(() => post(`/deliveries/${oldest.id}/release`, {}), "Let go.");
  const drop = async () => {
    const isSure = await ask({ title: "Drop this one?", text: "Its delivery is cancelled. The event stays, and can be replayed.", confirm: "Drop it", danger: true });
    if (isSure) await act(() => post(`/deliveries/${oldest.id}/cancel`), "Dropped.");
  };
  const end = async () => {
    const waits = value?.deliveries.length;
    if (waits && !(await ask({ title: "End the hold?", text: `What waits (${waits === 20 ? "20 or more" : waits}) is delivered now, the oldest first.`, confirm: "End it" }))) return;
    if (await attempt(() => patch(`/sources/${slug}`, { rules: { hold: false } }))) onChange();
  };
  useKeys({ ".": () => (why ? false : rules.hold ? (oldest && void letGo()) : void hold(source).then((changed) => changed && onChange())) });
  if (!rules.hold) {
    return html`<div class="bar"><p class="grow">Hold webhooks and let them go one at a time, as they came or edited: for stepping through what an app does with each.</p>
      <${Button} why=${why} onClick=${async () => (await hold(source)) && onChange()}>Hold…<//></div>`;
  }
  return html`<div class="held">
    <div class="bar"><p class="grow"><b>On hold.</b> <span role="status">${value ? (value.deliveries.length === 20 ? "20 or more wait." : `${plural(value.deliveries.length, "delivery waits", "deliveries wait")}.`) : ""}</span></p><${Button} why=${why} onClick=${end}>End the hold<//></div>
    <${Trouble} error=${error} retry=${again} />
    ${oldest && event ? html`<section class="oldest" aria-label="The oldest that waits">
      <div class="bar"><b><${Text} text=${nameOf(event)} /></b> <span class="dim grow">${event.method} to ${oldest.destination}, ${ago(event.received_at)} · <a href=${link("events", event.id)}>all of it</a></span></div>
      <${BodyView} headers=${event.headers} body=${event.body} source=${`/events/${event.id}/body`} name=${event.id} />
      <div class="actions"><${Button} class="primary" why=${why} title="Let it go (.)" onClick=${letGo}>Let it go<//><${Button} why=${why} onClick=${() => setEditing(true)}>Edit and let it go<//><${Button} why=${why} onClick=${drop}>Drop<//></div></section>`
      : value && !oldest && html`<p class="dim none">Nothing waits. The next webhook shows up here.</p>`}
    ${isEditing && event && html`<${EditReplay} title="Edit and let it go" confirm="Let the edited copy go" event=${event} destinations=${source.destinations} onClose=${() => setEditing(false)}
      send=${(edit) => post(`/deliveries/${oldest.id}/release`, edit)} onDone=${() => {
        setEditing(false);
        say("The edited copy was let go in its place.");
        again();
      }} />`}
  </div>`;
}
