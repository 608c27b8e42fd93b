// The home page: events as they arrive, newest first, and beside them the one that is open. The list never moves under
// the reader: while somebody scrolls, points or reads further down, what is new is counted and waits for its pill.

import { html, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../vendor/preact.js";
import { address, get, getHere, patch } from "../model/api.js";
import { EventList } from "../model/event-list.js";
import { moment, plural } from "../model/format.js";
import { listen } from "../model/live.js";
import { go, link } from "../model/route.js";
import { whyNotManage } from "../model/session.js";
import { listShare } from "../model/settings.js";
import { useSignal } from "../model/signal.js";
import { terms, withKey } from "../model/search.js";
import { useAnswer } from "../parts/ask-api.js";
import { Menu } from "../parts/controls.js";
import { attempt } from "../parts/dialog.js";
import { Divider } from "../parts/divider.js";
import { useKeys } from "../parts/keys.js";
import { lazy, whenIdle } from "../parts/lazy.js";
import { Rows } from "../parts/rows.js";
import { Filters, SearchField } from "../parts/search-field.js";
import { Trouble } from "../parts/text.js";
import { EventHead, EventRow } from "./event-row.js";

const EventPage = lazy("EventPage");
const NoEvents = lazy("NoEvents");
const ReplayMany = lazy("ReplayMany");

/** After so long without a movement of the pointer over the list, it follows again. */
const POINTED_MS = 2000;

/** Widths of the list in pixels at which rows get two lines, and all columns. */
const NARROW = 560;
const WIDE = 900;
const kindOf = (width) => (width < NARROW ? "s" : width < WIDE ? "m" : "l");

/** What stands above the rows where the window is wide, in pixels. */
const ABOVE = 89;

export function Events({ name: open, q: query }) {
  const [, draw] = useState(0);
  const list = useMemo(() => new EventList(query, () => draw((n) => n + 1)), [query]);
  const [active, setActive] = useState(open);
  const [topId, setTopId] = useState(null);
  const reading = useRef({ isAtTop: true, pointedAt: 0 });
  const [dialog, setDialog] = useState(null);
  const sources = useAnswer((signal) => get("/sources", {}, signal), [], { every: 60_000, here: () => getHere("/sources") });
  const share = useSignal(listShare);
  const [kind, setKind] = useState(() => kindOf(open ? (innerWidth * share) / 100 : innerWidth));
  const field = useRef(null);
  const chosen = terms(query).find((term) => term.key === "source" && !term.isNegated)?.value ?? "";
  const slugs = sources.value?.sources.map(({ slug }) => slug) ?? [];
  // There may be hundreds, to be chosen from once the list is there.
  const [hasTime, setHasTime] = useState(false);
  useEffect(() => void whenIdle(() => setHasTime(true)), []);
  const names = hasTime ? slugs : slugs.filter((slug) => slug === chosen);

  // Before the first painting, and not after it: the answer is on its way, or there already.
  useLayoutEffect(() => {
    if (list.next === undefined) list.older();
    const unlisten = listen(({ lines, isBack }) => {
      if (isBack) {
        list.fallBehind();
        // What came before the stream opened can wait for a moment.
        whenIdle(() => list.catchUp());
      }
      if (!lines.length) return;
      hold();
      list.take(lines);
    });
    return () => {
      unlisten();
      list.end();
      // Another search begins at its top.
      reading.current.isAtTop = true;
      setTopId(null);
      document.querySelector(".rows")?.scrollTo({ top: 0 });
    };
  }, [list]);
  useEffect(() => {
    if (open) setActive(open);
    else document.title = "Events · Inspector";
  }, [open]);

  // Rows newer than `topId` are held back. It is set when something arrives while somebody reads.
  const hold = () => {
    const { isAtTop, pointedAt } = reading.current;
    const isReading = !isAtTop || Date.now() - pointedAt < POINTED_MS;
    setTopId((was) => (isReading ? (was ?? list.at(0)?.id ?? null) : null));
  };
  const held = topId ? Math.max(0, list.indexOf(topId)) : 0;
  const follow = () => {
    reading.current = { isAtTop: true, pointedAt: 0 };
    setTopId(null);
    document.querySelector(".rows")?.scrollTo({ top: 0 });
  };
  const at = (index) => list.at(index + held);
  const size = list.size - held;
  const activeIndex = active ? list.indexOf(active) - held : -1;

  const show = (id, replace = false) => go(link("events", id, { q: query }), { replace });
  const latest = useRef(null);
  const openRow = useCallback((index, event) => latest.current(index, event), []);
  latest.current = (index, event) => {
    const row = at(index);
    if (!row) return;
    if (row.gap) return void list.fillGap(row.id);
    if (event?.ctrlKey || event?.metaKey) return void window.open(link("events", row.id), "_blank", "noopener");
    setActive(row.id);
    show(row.id);
  };
  const move = (index) => {
    const row = at(Math.max(0, Math.min(size - 1, index)));
    if (!row) return;
    setActive(row.id);
    // Where an event is open beside the list, moving along shows the next one, as in a mail program.
    if (open && !row.gap) show(row.id, true);
  };
  const setQuery = (value) => go(link("events", open, { q: value.trim() }), { replace: true });
  const focusList = () => document.querySelector(".rows")?.focus();
  const close = () => {
    go(link("events", "", { q: query }));
    requestAnimationFrame(focusList);
  };
  const amend = async (id, change) => {
    const changed = await attempt(() => patch(`/events/${id}`, change));
    if (changed) list.amend({ ...list.byId(id), ...change, id });
    return changed;
  };
  useKeys({
    j: () => move(activeIndex + 1),
    k: () => move(activeIndex - 1),
    ArrowDown: () => (open ? false : (focusList(), move(activeIndex + 1))),
    Enter: () => (activeIndex >= 0 ? openRow(activeIndex) : false),
    "/": () => field.current.focus(),
    t: follow,
    p: () => (active && !open && list.byId(active) ? void amend(active, { pinned: !list.byId(active).pinned }) : false),
  });

  const error = list.error?.code === "malformed" ? list.error : null;
  const isEmpty = list.size === 0 && list.next === null && !list.isLoading && !list.error;
  const said = Foot({ list, query });
  // A row, since a grid has nothing but rows; what is in a cell may be anything.
  const foot = html`<div class="rows-foot" role=${said ? "row" : "presentation"}>${said && html`<div role="gridcell">${said}</div>`}</div>`;
  return html`<h1 class="unseen-title">Events</h1>
  <div class=${open ? "events has-open" : "events"} style=${{ "--share": `${share}%` }}>
    <section class="list" aria-label="Events">
      <div class="list-top">
        <${SearchField} query=${query} onQuery=${setQuery} error=${error} sources=${names} fieldRef=${field} />
        <select aria-label="Source" value=${names.includes(chosen) ? chosen : ""} onChange=${(event) => setQuery(withKey(query, "source", event.target.value || null))}>
          <option value="">All sources</option>${names.map((slug) => html`<option value=${slug}>${slug}</option>`)}</select>
        <${Menu} label="All of these" align="end" items=${[
          { label: "Replay…", run: () => setDialog("replay"), why: whyNotManage(null) },
          ...["har", "ndjson"].map((format) => ({ label: `Export as ${format.toUpperCase()}`, run: () => download(address("/events/export", { format, q: query })) })),
        ]} />
      </div>
      <${Filters} query=${query} onQuery=${setQuery} />
      ${held > 0 && html`<button type="button" class="pill" onClick=${follow}>${plural(held, "new one", "new ones")}</button>`}
      ${isEmpty && !query.trim() ? html`<${NoEvents} sources=${sources} />` : html`<${Rows} label="Events, newest first" columns=${8} size=${size} height=${kind === "s" ? 50 : 32} headHeight=${kind === "s" ? 0 : 28} tall=${innerHeight - ABOVE} active=${activeIndex} rowId=${(index) => `row-${at(index)?.id ?? "none"}`}
        head=${html`<${EventHead} kind=${kind} />`} foot=${foot} onWidth=${(width) => setKind(kindOf(width))} onOpen=${openRow} onMove=${move} onEnd=${() => list.next !== null && !list.error && !isStuck(list) && list.older()}
        onTouch=${() => (reading.current.pointedAt = Date.now())}
        onScrolled=${(isAtTop) => {
          reading.current.isAtTop = isAtTop;
          if (isAtTop && held === 0) setTopId(null);
        }}
        row=${(index, top) => {
          const row = at(index);
          if (!row) return null;
          return html`<${EventRow} row=${row} version=${row.version} index=${index} top=${top} kind=${kind} isActive=${index === activeIndex} isOpen=${row.id === open} onOpen=${openRow} isFilling=${row.gap && list.isFilling} />`;
        }} />`}
    </section>
    ${open && html`<${Divider} share=${listShare} label="Width of the list" />
      <${EventPage} key=${open} id=${open} query=${query} onClose=${close} onAmend=${amend} sources=${sources.value?.sources ?? []} recent=${() => list.rows.slice(-60).reverse()} />`}
  </div>
  ${dialog === "replay" && html`<${ReplayMany} query=${query} list=${list} onClose=${() => setDialog(null)} />`}`;
}

/** The server looked far back and found little: the reader says whether to look on. */
const isStuck = (list) => list.next && list.size < 20 && !list.isPlain;

function Foot({ list, query }) {
  const reach = list.reach ? moment(list.reach) : "";
  if (list.error && list.error.code !== "malformed") return html`<${Trouble} error=${list.error} retry=${() => list.again()} />`;
  if (list.isLoading) return html`<span class="dim" role="status">Looking${reach && ` back to ${reach}`}…</span>`;
  if (list.next) return html`<span class="dim">Looked back to ${reach}. </span><button type="button" class="small" onClick=${() => list.older()}>Look further back</button>`;
  if (list.size === 0) return query.trim() && !list.error ? html`<span class="dim">Nothing found, back to the first event that is kept.</span>` : null;
  return html`<span class="dim">${plural(list.size, "event")}, back to the first that is kept.</span>`;
}

function download(url) {
  const anchor = document.createElement("a");
  anchor.href = url;
  anchor.download = "";
  anchor.click();
}
