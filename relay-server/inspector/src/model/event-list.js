// The rows of the list: events in memory, oldest first, for one query. It takes in what the stream brings, fetches
// older pages, fills what was missed, and forgets the oldest past its capacity (they are fetched again on scrolling).
// It promises: no row is lost in silence. Where rows are missing a gap row stands, and says how many.

import { get, getHere } from "./api.js";
import { idMoment } from "./format.js";

/** Rows kept; with their texts about 60 MB. */
const ROWS_MAX = 100_000;
/** Rows asked for at once: first as many as a tall window shows, as first.js does, then more. */
const FIRST_PAGE = 50;
const PAGE = 100;

/** Calls in a row that may bring nothing before the reader is asked whether to look further back. */
const EMPTY_CALLS_MAX = 5;

/** Pages fetched unasked to fill a gap, and gaps filled unasked, the newest first. */
const FILL_PAGES_MAX = 5;
const FILL_GAPS_MAX = 4;

/** After so long without another gap it is calm again. */
const CALM_MS = 1500;

/** States by how much they need a look. What has ended stays; what waits gives way to its next state. */
const STATES = ["delivered", "cancelled", "leased", "waiting", "dead"];

/** Changes a row, and counts in `version` that it did: whoever draws rows looks there whether one is as it was. */
function change(row, fields) {
  const others = Object.keys(fields).filter((key) => row[key] !== fields[key]);
  if (!others.length) return false;
  for (const key of others) row[key] = fields[key];
  row.version = (row.version ?? 0) + 1;
  return true;
}

export class EventList {
  rows = [];
  #byId = new Map();
  next = undefined;
  isLoading = false;
  error = null;
  isFilling = false;
  /** Unix milliseconds: how far back the server has looked; null: to the beginning. */
  reach = undefined;
  #abort = new AbortController();
  #refreshTimer = 0;
  #fillTimer = 0;
  /** Gap rows nobody has fetched yet. */
  #gaps = [];
  /** Rows that came or changed in a fetch. */
  #changes = 0;
  /** The stream opened before the first page was here, which may be older than that. */
  #isBehind = false;

  /** `isPlain`: the query is empty, so whatever the stream brings belongs here. */
  constructor(query, onChange) {
    this.query = query;
    this.isPlain = query.trim() === "";
    this.onChange = onChange;
    // The first page may be here before the list is: then it is drawn at once.
    const first = getHere("/events", { q: this.query.trim(), limit: FIRST_PAGE });
    if (first) this.#takePage(first);
  }

  end() {
    this.#abort.abort();
    clearTimeout(this.#refreshTimer);
    clearTimeout(this.#fillTimer);
  }

  /** Row `index` as shown: the newest is 0. */
  at(index) {
    return this.rows[this.rows.length - 1 - index];
  }

  get size() {
    return this.rows.length;
  }

  indexOf(id) {
    const at = this.#place(id);
    return this.rows[at]?.id === id ? this.rows.length - 1 - at : -1;
  }

  byId(id) {
    return this.#byId.get(id);
  }

  /** Where a row of this id is or would be: ids sort by time. */
  #place(id) {
    let low = 0;
    let high = this.rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.rows[middle].id < id) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Takes one row in. True when it is new. */
  #put(row) {
    const known = this.#byId.get(row.id);
    if (known) {
      if (change(known, row)) this.#changes += 1;
      return false;
    }
    this.#changes += 1;
    this.#byId.set(row.id, row);
    const last = this.rows.at(-1);
    if (!last || last.id < row.id) this.rows.push(row);
    else this.rows.splice(this.#place(row.id), 0, row);
    return true;
  }

  #trim() {
    const extra = this.rows.length - ROWS_MAX;
    // A few thousand at once: moving the rest costs the same for one as for many.
    if (extra < 2000) return;
    for (const row of this.rows.splice(0, extra)) this.#byId.delete(row.id);
    this.next = this.rows[0].id;
    this.reach = idMoment(this.next);
  }

  /** What the stream brought. Gives how many rows are new. */
  take(lines) {
    let fresh = 0;
    for (const line of lines) {
      if (line.type === "delivery") this.#follow(line);
      else if (line.type === "gap") this.#gap(line.missed);
      else if (line.type === "event") fresh += this.#arrive(line);
    }
    this.#trim();
    this.onChange();
    return fresh;
  }

  #arrive({ type: _, ...event }) {
    const known = this.#byId.get(event.id);
    if (known) {
      change(known, event);
      return 0;
    }
    if (!this.isPlain) {
      this.refreshSoon();
      return 0;
    }
    return this.#put({ pinned: false, note: null, late: null, ...event }) ? 1 : 0;
  }

  #follow({ event, id, state }) {
    const row = this.#byId.get(event);
    if (!row) return;
    row.states ??= new Map();
    row.states.set(id, state);
    const listed = row.late === "dead" || row.late === "cancelled" ? [row.late] : [];
    const late = [...listed, ...row.states.values()].reduce((worst, one) => (STATES.indexOf(one) > STATES.indexOf(worst) ? one : worst));
    change(row, { late });
  }

  /** A query only the server understands: ask it for what is new, at most once a second. */
  refreshSoon() {
    if (this.#refreshTimer) return;
    this.#refreshTimer = setTimeout(async () => {
      this.#refreshTimer = 0;
      await this.catchUp();
    }, 1000);
  }

  get newest() {
    return this.rows.at(-1)?.id ?? "";
  }

  /** Asks for what came while nobody listened, from the newest back to `until`, the newest that was known by then. */
  async catchUp(until = this.newest) {
    if (this.next === undefined) {
      this.#isBehind = this.isLoading;
      return this.older();
    }
    await this.#fill({ before: null, until, pages: FILL_PAGES_MAX, isGap: false });
  }

  #gap(missed) {
    const above = this.rows.at(-1);
    if (above?.gap) {
      change(above, { missed: above.missed + missed });
      return;
    }
    // Sorts right behind the newest row.
    const id = `${above?.id ?? "evt_"}~`;
    this.#put({ id, gap: true, missed });
    if (!this.isPlain) this.refreshSoon();
    else this.#fillSoon(id);
  }

  /** While more comes than can be shown, fetching it would only add to that: gaps are filled once there are no new ones. */
  #fillSoon(id) {
    this.#gaps.push(id);
    clearTimeout(this.#fillTimer);
    this.#fillTimer = setTimeout(async () => {
      for (const gap of this.#gaps.splice(0).slice(-FILL_GAPS_MAX).reverse()) await this.fillGap(gap);
    }, CALM_MS);
  }

  /** Fetches what belongs at a gap row; it goes when all of it is there. */
  async fillGap(id) {
    const at = this.#place(id);
    const gap = this.rows[at];
    if (!gap?.gap || this.isFilling) return;
    const until = this.rows[at - 1]?.id ?? "";
    await this.#fill({ before: this.rows[at + 1]?.id ?? null, until, pages: FILL_PAGES_MAX, isGap: true, gap });
  }

  async #fill({ before, until, pages, isGap, gap }) {
    if (this.isFilling) return;
    this.isFilling = true;
    if (isGap) this.onChange();
    const changes = this.#changes;
    try {
      for (let page = 0; page < pages; page += 1) {
        const { events, next } = await this.#page(before, 200);
        let fresh = 0;
        // What is older than all that was fetched comes when the reader gets there.
        for (const event of events) if (!this.next || event.id >= this.next) fresh += this.#put(event) ? 1 : 0;
        if (gap) change(gap, { missed: Math.max(0, gap.missed - fresh) });
        const isMet = !next || next <= until || events.some((event) => event.id <= until);
        if (isMet || !until) {
          if (isGap) this.#forget(gap.id);
          return;
        }
        before = next;
      }
      // Too far behind to fetch all of it unasked.
      if (isGap) this.#move(gap, before);
      else this.#put({ id: `${until}~`, gap: true, missed: null });
    } catch (error) {
      if (error.name === "AbortError") return;
      this.error = error;
      this.#changes += 1;
    } finally {
      this.isFilling = false;
      // Mostly there was nothing to catch up with, and what is drawn may stay.
      if (isGap || this.#changes !== changes) this.onChange();
    }
  }

  #forget(id) {
    const at = this.#place(id);
    if (this.rows[at]?.id === id) this.rows.splice(at, 1);
    this.#byId.delete(id);
  }

  /** What was fetched lies above a gap row that remains. */
  #move(gap, before) {
    if (gap.missed === 0) change(gap, { missed: null });
    if (before <= gap.id) this.#forget(gap.id);
  }

  #page(before, limit) {
    return get("/events", { q: this.query.trim(), limit, before }, this.#abort.signal);
  }

  /** Fetches older rows. Pages may be empty where the server looks for rare ones: it goes on for a while, then asks. */
  async older() {
    if (this.isLoading || this.next === null) return;
    this.isLoading = true;
    this.error = null;
    this.onChange();
    try {
      for (let calls = 0; calls < EMPTY_CALLS_MAX; calls += 1) {
        const { events, next } = this.#takePage(await this.#page(this.next, this.next === undefined ? FIRST_PAGE : PAGE));
        if (events.length || !next) break;
        this.onChange();
      }
    } catch (error) {
      if (error.name !== "AbortError") this.error = error;
    } finally {
      this.isLoading = false;
      this.onChange();
    }
    if (!this.#isBehind || this.next === undefined) return;
    this.#isBehind = false;
    await this.catchUp();
  }

  #takePage(page) {
    const isFirst = this.rows.length === 0;
    const older = page.events.filter((event) => !this.#byId.has(event.id)).reverse();
    for (const event of older) this.#byId.set(event.id, event);
    if (isFirst || (older.length && older.at(-1).id < this.rows[0].id)) this.rows = older.concat(this.rows);
    else for (const event of older) this.#insert(event);
    this.next = page.next;
    this.reach = page.next ? idMoment(page.next) : null;
    return page;
  }

  #insert(event) {
    this.rows.splice(this.#place(event.id), 0, event);
  }

  /** A change of a row that the reader made (pin, note). */
  amend(event) {
    const row = this.#byId.get(event.id);
    if (row) change(row, { pinned: event.pinned, note: event.note });
    this.onChange();
  }
}
