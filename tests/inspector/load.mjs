// A thousand webhooks a second for five seconds, while somebody scrolls: the list does not move under them, nothing is
// missing when it is over, and memory stays bounded.

import { Agent, request } from "node:http";
import { equal, holds, note, promise, sleep, until } from "./promise.mjs";

const PER_SECOND = 1000;
const SECONDS = 5;
const HEAP_MAX = 250e6;

/** Sends at the rate, or as fast as this machine can; gives how many were taken. */
async function pour(url) {
  const agent = new Agent({ keepAlive: true, maxSockets: 32 });
  let taken = 0;
  let refused = 0;
  const one = (at) => new Promise((done) => {
    const sent = request(`${url}/load/${at}`, { method: "POST", agent, headers: { "content-type": "application/json" } }, (answer) => {
      if (answer.statusCode === 202) taken += 1;
      else refused += 1;
      answer.resume();
      answer.on("end", done);
    });
    sent.on("error", () => {
      refused += 1;
      done();
    });
    sent.end(`{"load":${at}}`);
  });
  const began = Date.now();
  const under = new Set();
  for (let at = 0; at < PER_SECOND * SECONDS && Date.now() - began < 15_000; at += 1) {
    const ahead = at / PER_SECOND * 1000 - (Date.now() - began);
    if (ahead > 4) await sleep(ahead);
    if (under.size > 64) await Promise.race(under);
    const sending = one(at).then(() => under.delete(sending));
    under.add(sending);
  }
  await Promise.all(under);
  agent.destroy();
  return { taken, refused, seconds: (Date.now() - began) / 1000 };
}

export async function load({ house, person }) {
  const { page } = person;
  await house.api("POST", "/sources", { slug: "flood", rules: { reply: "accepted", in_flight_max: 4096 } });
  await page.bringToFront();
  await person.open("#/events");
  await page.waitForSelector(".row");
  await person.sees(".presence", "Live");
  await page.$eval(".rows", (rows) => (rows.scrollTop = 640));
  await sleep(200);
  const first = await page.$$eval(".row", (rows) => rows.map((row) => row.id).sort().at(-1));
  const poured = pour(`${house.public}/h/flood`);
  const frames = await page.evaluate(async (ms) => {
    const list = document.querySelector(".rows");
    const edge = list.getBoundingClientRect();
    const seen = () => document.elementsFromPoint(edge.left + 200, edge.top + 200).find((one) => one.closest(".row"))?.closest(".row").id;
    const out = { gaps: [], jumps: 0, heap: 0, blank: 0 };
    let last = performance.now();
    const end = last + ms;
    let at = list.scrollTop;
    let round = 0;
    while (performance.now() < end) {
      await new Promise(requestAnimationFrame);
      const now = performance.now();
      out.gaps.push(now - last);
      last = now;
      round += 1;
      // Half of the time it is scrolled, half of the time it is read.
      if (Math.floor(round / 30) % 2) {
        at = at > 1200 ? 640 : at + 32;
        list.scrollTop = at;
      } else if (round % 30 > 3) {
        const row = seen();
        if (!row) out.blank += 1;
        if (out.row && round % 30 > 4 && row && row !== out.row) out.jumps += 1;
        out.row = row;
      }
      if (round % 30 === 29) out.row = null;
      out.heap = Math.max(out.heap, performance.memory?.usedJSHeapSize ?? 0);
    }
    out.gaps.sort((one, other) => one - other);
    return out;
  }, SECONDS * 1000 + 500);
  const { taken, refused, seconds } = await poured;
  const quantile = (share) => frames.gaps[Math.floor(frames.gaps.length * share)].toFixed(0);
  note(`${taken} taken and ${refused} refused in ${seconds.toFixed(1)} s; ${frames.gaps.length} frames, p50 ${quantile(0.5)} ms, p95 ${quantile(0.95)} ms, p99 ${quantile(0.99)} ms; heap ${(frames.heap / 1e6).toFixed(0)} MB`);
  await promise("while they come the list does not move under the reader", () => {
    holds(first);
    equal([frames.jumps, frames.blank], [0, 0]);
    holds(frames.gaps.length > 40, `${frames.gaps.length} frames in ${SECONDS} s`);
  });
  await promise("when it is over every one of them is in the list, without a gap", async () => {
    holds(taken > 500, `only ${taken} were taken`);
    await page.click(".pill").catch(() => {});
    // What came too fast to be shown is a row that says so; it goes when all of it is fetched.
    await until("no gap", async () => {
      await page.evaluate(() => document.querySelector(".row.gap")?.click());
      return !(await person.at(".row.gap"));
    }, 25_000);
    const rows = () => page.$eval(".rows", (list) => Number(list.getAttribute("aria-rowcount")) - 1);
    await until(`${taken} rows`, async () => (await rows()) >= taken, 15_000).catch(async (error) => {
      throw new Error(`${error.message}, but ${await rows()}`);
    });
    const missing = await page.evaluate(async (wanted) => {
      const list = document.querySelector(".rows");
      const found = new Set();
      for (let top = 0; top < (wanted + 40) * 32; top += 640) {
        list.scrollTop = top;
        await new Promise(requestAnimationFrame);
        await new Promise(requestAnimationFrame);
        for (const row of document.querySelectorAll(".row")) {
          const no = /\/load\/(\d+)/.exec(row.textContent);
          if (no) found.add(no[1]);
        }
        if (found.size === wanted) break;
      }
      return wanted - found.size;
    }, taken);
    equal(missing, 0);
  });
  await promise("memory stays bounded", () => holds(frames.heap < HEAP_MAX, `${frames.heap}`));
}
