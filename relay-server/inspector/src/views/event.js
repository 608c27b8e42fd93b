// One event: what it is, what can be done with it, and four tabs about it. It follows the stream, so that an attempt
// shows up when it is over.

import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { get, post } from "../model/api.js";
import { curl, fixture, http } from "../model/copy-as.js";
import { clock, day, plain, plural } from "../model/format.js";
import { listen } from "../model/live.js";
import { go, link } from "../model/route.js";
import { whyNotManage } from "../model/session.js";
import { chip, nameOf } from "../model/words.js";
import { useAnswer } from "../parts/ask-api.js";
import { BodyView } from "../parts/body-view.js";
import { Button, copy, Menu, Tabs } from "../parts/controls.js";
import { ask, attempt, Dialog, say } from "../parts/dialog.js";
import { Headers } from "../parts/headers.js";
import { useKeys } from "../parts/keys.js";
import { Chip, Shape, Text, Trouble } from "../parts/text.js";
import { Compare } from "./compare.js";
import { DeliveriesOf } from "./deliveries-of.js";
import { EditReplay } from "./edit-replay.js";
import { hold, step } from "./hold.js";
import { Raw } from "./raw.js";
import { TimeLine } from "./time-line.js";

const TABS = [["overview", "Overview"], ["request", "Request"], ["answer", "Answer"], ["deliveries", "Deliveries"], ["raw", "Raw"]];

/** The tab stays while the reader goes from event to event. */
let lastTab = "overview";

export function EventPage({ id, query, onClose, onAmend, sources, recent }) {
  const { value: event, error, again } = useAnswer((signal) => get(`/events/${id}`, {}, signal), [id]);
  const [tab, setTabState] = useState(lastTab);
  const [dialog, setDialog] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const [own, setOwn] = useState({});
  const back = useRef(null);
  const setTab = (next) => {
    lastTab = next;
    setTabState(next);
  };
  useEffect(() => {
    let timer = 0;
    const unlisten = listen(({ lines, isBack }) => {
      if (!timer && (isBack || lines.some((line) => line.event === id || line.id === id))) timer = setTimeout(() => ((timer = 0), again()), 300);
    });
    return () => {
      unlisten();
      clearTimeout(timer);
    };
  }, [id]);
  useEffect(() => {
    if (document.querySelector(".list")?.offsetParent === null) back.current.focus();
  }, []);
  useEffect(() => {
    if (event) document.title = `${plain(nameOf(event))} · Inspector`;
  }, [event]);

  const shown = event && { ...event, ...own };
  const source = sources.find(({ slug }) => slug === event?.source);
  const why = event ? (whyNotManage(event.source) ?? (isBusy ? "One moment…" : null)) : "It is not loaded yet.";
  const whyNotReplay = why ?? (event.body.truncated ? "Its body was not kept whole." : null);
  const waiting = event?.deliveries.filter(({ state }) => state === "waiting" || state === "leased") ?? [];
  const amend = async (change) => {
    if (await onAmend(id, change)) setOwn((was) => ({ ...was, ...change }));
  };
  const replay = async (destination) => {
    setBusy(true);
    const made = await attempt(() => post(`/events/${id}/replay`, destination ? { destination } : {}));
    setBusy(false);
    if (!made) return;
    setTab("deliveries");
    say(`Replayed. It is delivery ${made.delivery.split(".")[1]} of this event.`);
    again();
  };
  const cancel = async () => {
    const isSure = await ask({ title: "Cancel what waits?", text: `${plural(waiting.length, "delivery", "deliveries")} of this event will not be attempted again. A replay can make new ones.`, confirm: "Cancel them", danger: true });
    if (!isSure) return;
    for (const { id: delivery } of waiting) await attempt(() => post(`/deliveries/${delivery}/cancel`));
    say("Cancelled.");
    again();
  };
  const turn = (by) => {
    const at = TABS.findIndex(([one]) => one === tab);
    setTab(TABS[(at + by + TABS.length) % TABS.length][0]);
  };
  const copyCurl = () => copy(curl(event, source?.url), event.body.is_partial || event.body.text === undefined && event.body_bytes ? "Copied as curl. Its body is not text: download it as body.bin." : "Copied as curl.");
  const holdOrStep = async () => {
    if (source) await (source.rules.hold ? step(source.slug) : hold(source));
  };
  const unless = (reason, action) => () => (reason ? say(reason, { bad: true }) : action());
  useKeys({
    Escape: onClose,
    r: unless(whyNotReplay, () => replay()),
    e: unless(whyNotReplay, () => setDialog("edit")),
    c: () => event && setDialog("compare"),
    p: () => event && void amend({ pinned: !shown.pinned }),
    n: () => event && setDialog("note"),
    y: () => event && void copyCurl(),
    "[": () => turn(-1),
    "]": () => turn(1),
    ".": unless(why, () => void holdOrStep()),
  });

  const destinations = source?.destinations ?? [];
  return html`<article class="detail" aria-label="Event">
    <header class="detail-head">
      <div class="bar">
        <button type="button" class="bare back" ref=${back} onClick=${onClose} aria-label="Back to the list"><${Shape} kind="left" /></button>
        <h2>${event ? html`<${Text} text=${nameOf(event)} />` : "Event"}</h2>
        ${event && html`<${Chip} ...${chip(event)} />`}
        <span class="grow"></span>
        <${Button} class="bare" why=${why} aria-label=${shown?.pinned ? "Take the pin off" : "Pin"} aria-pressed=${Boolean(shown?.pinned)} title="Pin (p)" onClick=${() => amend({ pinned: !shown.pinned })}><${Shape} kind="pin" /><//>
        <button type="button" class="bare close" onClick=${onClose} aria-label="Close" title="Close (Esc)"><${Shape} kind="cross" /></button>
      </div>
      ${event && html`<p class="dim facts"><a href=${link("sources", event.source)}>${event.source}</a><span class="num">${day(event.received_at)} ${clock(event.received_at)}</span>
        <button type="button" class="link mono" title="Copy the id" onClick=${() => copy(event.id, "Id copied.")}>${event.id}</button>
        <button type="button" class="link" onClick=${() => copy(`${location.href.split("#")[0]}${link("events", event.id)}`, "Link copied.")}>copy link</button></p>`}
      ${shown?.note && html`<button type="button" class="note" onClick=${() => setDialog("note")}><${Shape} kind="note" /> <span><${Text} text=${shown.note} /></span></button>`}
      <div class="actions" role="group" aria-label="Actions">
        <${Button} class="primary" why=${whyNotReplay} title="Replay (r)" onClick=${() => replay()}>Replay<//>
        ${destinations.length > 1 && html`<${Menu} label="to" items=${destinations.map(({ name }) => ({ label: name, why: whyNotReplay, run: () => replay(name) }))} />`}
        <${Button} why=${whyNotReplay} title="Edit and replay (e)" onClick=${() => setDialog("edit")}>Edit & replay<//>
        ${waiting.length > 0 && html`<${Button} why=${why} onClick=${cancel}>Cancel waiting<//>`}
        <${Button} why=${event ? null : "It is not loaded yet."} title="Compare (c)" onClick=${() => setDialog("compare")}>Compare…<//>
        <${Menu} label="Copy as" items=${event ? [
          { label: "curl", run: copyCurl },
          { label: ".http request", run: () => copy(http(event, source?.url), "Copied as .http.") },
          { label: "fixture command", run: () => copy(fixture(event), "Command copied. It keeps this event as files.") },
          { label: "JSON", run: () => copy(JSON.stringify(event, null, 2), "Copied as JSON.") },
          { label: shown.note ? "Change the note…" : "Add a note…", why: whyNotManage(event.source), run: () => setDialog("note") },
        ] : []} />
      </div>
      <${Tabs} label="About this event" current=${tab} onChange=${setTab} tabs=${TABS.map(([one, label]) => ({ id: one, label: one === "deliveries" && event?.deliveries.length ? html`${label} <span class="dim">${event.deliveries.length}</span>` : label }))} />
    </header>
    <div class="detail-body" role="tabpanel" id="tab-panel" aria-labelledby=${`tab-${tab}`} tabindex="0">
      <${Trouble} error=${error} retry=${again} />
      ${!event && !error && html`<p class="dim none" role="status">Loading…</p>`}
      ${event && tab === "overview" && html`<${TimeLine} event=${event} source=${source} />`}
      ${event && tab === "request" && html`<p class="request-line mono"><b>${event.method}</b> <${Text} text=${event.path} /></p><${Headers} headers=${event.headers} exact=${event.exact?.headers} />
        <h3>Body</h3><${BodyView} headers=${event.headers} body=${event.body} source=${`/events/${id}/body`} name=${id} />`}
      ${event && tab === "answer" && html`<${Answer} event=${event} />`}
      ${event && tab === "deliveries" && html`<${DeliveriesOf} event=${event} why=${why} onChange=${again} />`}
      ${event && tab === "raw" && html`<${Raw} event=${event} />`}
    </div>
    ${dialog === "edit" && html`<${EditReplay} event=${event} destinations=${destinations} onClose=${() => setDialog(null)} onDone=${(made) => {
      setDialog(null);
      say("The edited copy is on its way.", { action: { label: "Show it", run: () => go(link("events", made.event, { q: query })) } });
    }} />`}
    ${dialog === "compare" && html`<${Compare} event=${event} recent=${recent().filter((row) => row.id !== id && !row.gap)} onClose=${() => setDialog(null)} />`}
    ${dialog === "note" && html`<${Note} note=${shown.note ?? ""} why=${why} onClose=${() => setDialog(null)} onSave=${(note) => {
      setDialog(null);
      amend({ note: note.trim() || null });
    }} />`}
  </article>`;
}

function Answer({ event }) {
  const { answer } = event;
  const isOurs = event.outcome !== "answered" && !answer.headers.length;
  return html`<p class="request-line"><b class="num">${event.status || "No answer"}</b> ${isOurs ? html`<span class="dim">The relay's own answer: ${event.status} and a small JSON body with the event's id.</span>` : html`<span class="dim">The app's own answer.</span>`}</p>
    ${!isOurs && html`<${Headers} headers=${answer.headers} /><h3>Body</h3><${BodyView} headers=${answer.headers} body=${answer.body} />`}
    ${event.deliveries.length > 0 && html`<p class="dim">What deliveries were answered stands under Deliveries.</p>`}`;
}

function Note({ note, why, onClose, onSave }) {
  const [text, setText] = useState(note);
  const field = useRef(null);
  useEffect(() => field.current.focus(), []);
  const actions = html`<button type="button" onClick=${onClose}>Leave it</button><${Button} class="primary" why=${why} onClick=${() => onSave(text)}>Save<//>`;
  return html`<${Dialog} title="Note" onClose=${onClose} actions=${actions}>
    <label class="field"><span>For whoever looks at this event later</span>
      <textarea ref=${field} rows="4" maxlength="2000" value=${text} onInput=${(event) => setText(event.target.value)}
        onKeyDown=${(event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && !why && onSave(text)}></textarea></label>
  <//>`;
}
