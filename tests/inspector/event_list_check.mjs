// The list's promise, by chance and at length: no row is lost in silence. A server that records events and sends them
// through a stream that falls behind, breaks and comes back; pages that come late or not at all; a reader who scrolls
// and fetches gaps, all in an order made of a seed. Once it is calm every event is a row, or a gap row stands before it;
// and once the reader has fetched all of it, the rows are the events.
//
//   node event_list_check.mjs [FIRST SEED, default 1] [SEEDS, default 400]
//
// Ends with 1 and names the seed where that does not hold.

import { mock } from "node:test";

const [first = 1, seeds = 400] = process.argv.slice(2).map(Number);
const STEPS = 150;
/** Longer than the list waits for anything. */
const CALM_MS = 5000;

globalThis.window = {};
mock.timers.enable({ apis: ["setTimeout"] });
const { EventList } = await import("../../relay-server/inspector/src/model/event-list.js");
/** Lets everything run that needs no time. */
const rest = () => new Promise((done) => setImmediate(done));

/** Chances made of a seed (mulberry32). */
function chances(seed) {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return { below: (end) => Math.floor(next() * end), one: (share) => next() < share };
}

/** What the list is not told at once: events in their order, the lines under way to it, the pages it asked for. */
class World {
  events = [];
  lines = [];
  calls = [];
  isStreaming = false;
  isCoarse = false;

  constructor(seed) {
    this.chance = chances(seed);
    globalThis.fetch = (url, { signal }) => new Promise((done, fail) => {
      const query = new URL(url, "http://page").searchParams;
      this.calls.push({ done, fail, before: query.get("before"), limit: Number(query.get("limit")) });
    });
    for (let old = this.chance.below(3) * 300; old > 0; old -= 1) this.record();
    this.list = new EventList(this.chance.one(0.2) ? "method:POST" : "", () => {});
    this.list.older();
  }

  record() {
    const id = `evt_${String(this.events.length).padStart(9, "0")}`;
    this.events.push({ id });
    if (!this.isStreaming) return;
    // The stream counts what it has no room for.
    if (!this.isCoarse) this.lines.push({ type: "event", id });
    else if (this.lines.at(-1)?.type === "gap") this.lines.at(-1).missed += 1;
    else this.lines.push({ type: "gap", missed: 1 });
  }

  /** Opens the stream, or breaks it with what is under way. */
  turn() {
    this.isStreaming = !this.isStreaming;
    if (this.isStreaming) this.lines.push("open");
    else this.lines = [];
  }

  /** The page gets some of the lines. */
  bring(count) {
    const lines = this.lines.splice(0, count);
    for (const line of lines) {
      if (line !== "open") this.list.take([line]);
      else {
        this.list.fallBehind();
        this.list.catchUp();
      }
    }
  }

  /** The server looks up the page that was asked for, and the answer is on its way. */
  answer(call) {
    const end = call.before === null ? this.events.length : this.events.findIndex(({ id }) => id >= call.before);
    const start = Math.max(0, end - call.limit);
    const page = { events: this.events.slice(start, end).reverse().map((event) => ({ ...event })), next: start > 0 ? this.events[start].id : null };
    // A real Response takes its time, another each time.
    call.come = () => call.done({ ok: true, status: 200, headers: new Headers({ "content-type": "application/json" }), text: async () => JSON.stringify(page) });
  }

  /** Something happens to a page that was asked for: it is looked up, it comes, or it is lost. */
  serve(canFail) {
    const at = this.chance.below(this.calls.length);
    const call = this.calls[at];
    if (!call) return;
    if (call.come || (canFail && this.chance.one(0.15))) {
      this.calls.splice(at, 1);
      if (call.come) call.come();
      else call.fail(new TypeError("the network is gone"));
    } else this.answer(call);
  }

  async step() {
    const what = this.chance.below(20);
    if (what < 6) for (let more = this.chance.one(0.2) ? this.chance.below(400) : 3; more > 0; more -= 1) this.record();
    else if (what < 10) this.bring(this.chance.one(0.5) ? 2 : this.lines.length);
    else if (what < 15) this.serve(true);
    else if (what === 15) this.isCoarse = !this.isCoarse;
    else if (what === 16) this.turn();
    else if (what === 17) this.list.older();
    else if (what === 18) this.click();
    else mock.timers.tick(this.chance.below(3000));
    await rest();
    this.checkShape();
  }

  click() {
    if (this.list.error) this.list.again();
    const gaps = this.list.rows.filter((row) => row.gap);
    if (gaps.length) this.list.fillGap(gaps[this.chance.below(gaps.length)].id);
  }

  /** Everything that is under way arrives. */
  async calm() {
    this.isCoarse = false;
    if (!this.isStreaming) this.turn();
    for (let quiet = 0; quiet < 3; quiet += 1) {
      this.bring(this.lines.length);
      await rest();
      if (this.list.error) this.list.again();
      while (this.calls.length) {
        quiet = 0;
        this.serve(false);
        await rest();
      }
      mock.timers.tick(CALM_MS);
      await rest();
    }
    this.checkShape();
  }

  checkShape() {
    const { rows, next } = this.list;
    rows.forEach((row, at) => {
      if (at > 0 && !(rows[at - 1].id < row.id)) throw new Error(`${row.id} stands behind ${rows[at - 1].id}`);
      if (row.gap && (at === 0 || rows[at - 1].gap)) throw new Error(`the gap row ${row.id} stands behind no event`);
    });
    for (const asked of [next, ...this.calls.map(({ before }) => before)]) {
      if (asked?.endsWith("~")) throw new Error(`the server is asked about the gap row ${asked}`);
    }
  }

  checkAll() {
    const { rows, next } = this.list;
    if (next === undefined) throw new Error("there is no first page");
    const known = new Set(rows.map(({ id }) => id));
    let at = 0;
    for (const { id } of this.events) {
      if (known.has(id) || (next !== null && id < next)) continue;
      while (at < rows.length && rows[at].id < id) at += 1;
      if (!rows[at - 1]?.gap) throw new Error(`${id} is lost: it is no row, and behind ${rows[at - 1]?.id ?? "nothing"} is no gap row`);
    }
  }

  /** The reader fetches all that is left. */
  async readAll() {
    for (let rounds = 0; this.list.next !== null || this.list.rows.some((row) => row.gap); rounds += 1) {
      if (rounds > 100) throw new Error("however often it is fetched, some of it stays a gap");
      this.click();
      this.list.older();
      await this.calm();
    }
    const [rows, events] = [this.list.rows, this.events].map((all) => all.map(({ id }) => id).join());
    if (rows !== events) throw new Error("what the reader has in the end are not the events");
  }
}

let sums = { gaps: 0, rows: 0 };
for (let seed = first; seed < first + seeds; seed += 1) {
  const world = new World(seed);
  try {
    for (let step = 0; step < STEPS; step += 1) await world.step();
    await world.calm();
    world.checkAll();
    sums.gaps += world.list.rows.filter((row) => row.gap).length;
    await world.readAll();
    sums.rows += world.list.rows.length;
  } catch (error) {
    console.error(`seed ${seed}: ${process.env.VERBOSE ? error.stack : error.message}`);
    process.exit(1);
  }
  world.list.end();
}
console.log(`${seeds} seeds, ${sums.rows} rows, ${sums.gaps} gaps that were too much to be filled unasked`);
process.exit(0);
