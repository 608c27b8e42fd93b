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

/** Sorts right behind `id`. No event has such an id, and the server is never asked about one. */
const gapId = (id) => `${id}~`;

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
  /** Gap rows to be filled unasked, and those that are to be filled now. */
  #fresh = [];
  #wanted = [];
  /** Up to this id everything is here, or has its gap row, or is owed; "": nothing. The stream goes on from here. */
  #told = "";
  /** Ids newer than that where fetched rows end, with a way to them that the stream has yet to bring. */
  #islands = [];
  /** Ids after which something may be missing; "": at all. Fetched when there is time, all in one. */
  #owed = [];
  /** The newest rows are being fetched: what is missing meanwhile, as `#settle` takes it, waits for where they end. */
  #isFetchingNewest = false;
  #holes = [];
  /** Rows that came or changed in a fetch. */
  #changes = 0;

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
    let extra = this.rows.length - ROWS_MAX;
    // A few thousand at once: moving the rest costs the same for one as for many.
    if (extra < 2000) return;
    // The server knows no gap rows.
    while (this.rows[extra].gap) extra += 1;
    for (const row of this.rows.splice(0, extra)) this.#byId.delete(row.id);
    this.#reachTo(this.rows[0].id);
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
    if (this.isPlain) this.#tellTo(event.id);
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
      this.fallBehind();
      await this.catchUp();
    }, 1000);
  }

  #tellTo(id) {
    if (id > this.#told) this.#told = id;
    this.#islands = this.#islands.filter((end) => end > this.#told);
  }

  /** What came until now, after what was told, may be missing. Without delay: what comes next hides it. */
  fallBehind() {
    this.#miss(null);
  }

  /** `missed` (null: nobody knows how many) came after what was told, and are not here. */
  #miss(missed) {
    // They may belong behind any of these; what the stream brings next hides where.
    const ends = [this.#told, ...this.#islands];
    if (this.next === undefined || this.#isFetchingNewest) this.#holes.push({ ends, missed });
    else this.#settle(ends, missed);
  }

  #settle(ends, missed) {
    if (missed === null || !ends[0]) {
      this.#owed = [...new Set([...this.#owed, ...ends])].sort();
      return;
    }
    for (const id of ends) {
      this.#putGap(id, ends.length > 1 ? null : missed);
      this.#fillSoon(gapId(id));
    }
  }

  /** The newest rows were fetched: those from `from` to `newest` are here. What was missing may be among them. */
  #landed(from, newest) {
    for (const { ends, missed } of this.#holes.splice(0)) {
      const left = ends.filter((end) => !(from <= end && end < newest));
      if (ends.some((end) => end < newest)) left.push(newest);
      this.#settle(left, missed);
    }
    if (from <= this.#told) this.#tellTo(newest);
    else if (newest) this.#islands.push(newest);
  }

  #gap(missed) {
    if (this.isPlain && this.#told) return this.#miss(missed);
    this.fallBehind();
    this.refreshSoon();
  }

  /** A row that says that `missed` rows are missing after that of `id`, if it is not forgotten. */
  #putGap(id, missed, trouble = null) {
    if (!this.#byId.has(id)) return;
    const known = this.#byId.get(gapId(id));
    const all = known && (known.missed === null || missed === null ? null : known.missed + missed);
    if (known) change(known, { missed: all, trouble });
    else this.#put({ id: gapId(id), gap: true, missed, trouble });
  }

  /** While more comes than can be shown, fetching it would only add to that: gaps are filled once there are no new ones. */
  #fillSoon(id) {
    this.#fresh.push(id);
    clearTimeout(this.#fillTimer);
    this.#fillTimer = setTimeout(() => {
      this.#wanted.push(...this.#fresh.splice(0).slice(-FILL_GAPS_MAX));
      this.catchUp();
    }, CALM_MS);
  }

  /** Fetches what belongs at a gap row; it goes when all of it is there. */
  fillGap(id) {
    this.#wanted.push(id);
    return this.catchUp();
  }

  /** Fetches what may be missing. One thing at a time: whatever is under way comes back here at its end. */
  async catchUp() {
    while (!this.isFilling && !this.isLoading && this.next !== undefined && !this.#abort.signal.aborted) {
      if (this.#owed.length) {
        if (!(await this.#fillOwed(this.#owed.splice(0)))) return;
      } else if (this.#wanted.length) {
        const gap = this.#byId.get(this.#wanted.pop());
        if (gap) await this.#fillAt(gap);
      } else return;
    }
  }

  /** Tries again what failed. */
  async again() {
    this.error = null;
    this.onChange();
    if (this.#owed.length) await this.catchUp();
    else await this.older();
  }

  /** Fetches what is missing after each of `owed`; where that is too much to do unasked, a gap row stays. False: it is owed still. */
  async #fillOwed(owed) {
    const changes = this.#changes;
    const { newest, reached, error } = await this.#fill(null, owed[0]);
    if (error?.name === "AbortError") return false;
    const left = owed.filter((id) => reached === undefined || id < reached);
    this.error = null;
    if (error && !(this.isPlain && owed[0])) {
      this.#owed.unshift(...left);
      this.error = error;
    } else {
      for (const id of left) this.#putGap(id, null, error?.message);
      // No row to stand behind: as far back as this was looked.
      if (left[0] === "") this.#reachTo(reached);
    }
    this.#landed(reached, newest);
    // Mostly there was nothing to catch up with, and what is drawn may stay.
    if (this.error || this.#changes !== changes) this.onChange();
    return !this.error;
  }

  async #fillAt(gap) {
    this.isFilling = true;
    change(gap, { trouble: null });
    this.onChange();
    const at = this.#place(gap.id);
    const [above, below] = [this.rows[at + 1], this.rows[at - 1]];
    const { newest, reached, error, fresh } = await this.#fill(above?.id ?? null, below.id);
    if (error?.name === "AbortError") return;
    const isMet = reached <= gap.id;
    if (isMet) this.#forget(gap.id);
    else {
      const missed = gap.missed === null ? null : Math.max(0, gap.missed - fresh);
      change(gap, { missed: missed || null, trouble: error?.message ?? null });
    }
    if (above === undefined) this.#landed(isMet ? below.id : reached, newest);
    this.onChange();
  }

  /**
   * Fetches the rows before `before` (null: the newest), back to `until`, or some pages of them. Gives the `newest` id
   * that came, `reached`: from this id on nothing is missing ("": at all; undefined: nothing came), the `error` that
   * ended it, and how many rows are `fresh`. What was missed meanwhile is to be settled after it.
   */
  async #fill(before, until) {
    this.isFilling = true;
    this.#isFetchingNewest = before === null;
    const got = { newest: "", reached: undefined, error: null, fresh: 0 };
    try {
      for (let page = 0; page < FILL_PAGES_MAX && !(got.reached <= until); page += 1) {
        const { events, next } = await this.#page(got.reached ?? before, 200);
        got.newest ||= events[0]?.id ?? "";
        // What is older than all that was fetched comes when the reader gets there.
        for (const event of events) if (!this.next || event.id >= this.next) got.fresh += this.#put(event) ? 1 : 0;
        got.reached = !next || (this.next && next <= this.next) ? "" : next;
      }
    } catch (error) {
      got.error = error;
    }
    this.isFilling = false;
    this.#isFetchingNewest = false;
    return got;
  }

  #forget(id) {
    const at = this.#place(id);
    if (this.rows[at]?.id === id) this.rows.splice(at, 1);
    this.#byId.delete(id);
    this.#changes += 1;
  }

  /** How far back the server has looked: before this id; null: to the beginning. */
  #reachTo(next) {
    this.next = next;
    this.reach = next ? idMoment(next) : null;
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
    await this.catchUp();
  }

  #takePage(page) {
    const isFirst = this.rows.length === 0;
    const isNewest = this.next === undefined;
    const older = page.events.filter((event) => !this.#byId.has(event.id)).reverse();
    for (const event of older) this.#byId.set(event.id, event);
    if (isFirst || (older.length && older.at(-1).id < this.rows[0].id)) this.rows = older.concat(this.rows);
    else for (const event of older) this.#insert(event);
    this.#reachTo(page.next);
    if (isNewest) this.#landed("", page.events[0]?.id ?? "");
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
