// The list: what comes shows up by itself, and every kind of term finds what it says.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { equal, holds, note, promise, sleep, until } from "./promise.mjs";

/** A first list on a loopback; the goal of 200 ms is for a machine that does nothing else. */
const FIRST_LIST_MS = 1000;

/** `[query, something that must be among what it finds, how many]`; null: any number but none. */
const TERMS = [
  ["/orders/30", "/orders/30", 1], ["source:later", "/job/1", 3], ["method:PUT", "/put", 1], ["status:5xx", "/fail/1", 1], ["event:star.*", "star.created", 1],
  ["path:/h/shop/orders/1*", "/orders/17", 11], ["outcome:accepted source:later", "/job/2", 3], ["signature:none", "/form", null], ["delivery:waiting", "/job/3", 5],
  ['body:"needle in plain"', "/text", 1], ['header:"javascript:alert"', "gpj.exe", 1], ["since:1h -source:shop -source:first -source:kept", "/job/1", 3], ["until:2020-01-01T00:00", null, 0],
  ["source:later -/job/1", "/job/2", 2], ["status:404|5xx", "/fail/1", 1],
];

export async function list({ house, person }) {
  const { page } = person;
  await promise(`the first list is on screen within ${FIRST_LIST_MS} ms`, async () => {
    const found = [];
    for (let round = 0; round < 5; round += 1) {
      await page.goto("about:blank");
      await page.goto(`${house.page}/#/events`, { waitUntil: "commit" }).catch(() => page.goto(`${house.page}/#/events`));
      found.push(await page.evaluate(() => new Promise((done) => {
        const look = () => (document.querySelector(".rows .row") ? requestAnimationFrame(() => done(performance.now())) : requestAnimationFrame(look));
        look();
      })));
    }
    found.sort((one, other) => one - other);
    note(`first list after ${found.map((ms) => ms.toFixed(0)).join(", ")} ms`);
    holds(found[2] < FIRST_LIST_MS, `${found[2].toFixed(0)} ms`);
  });
  await promise("what arrives shows up by itself, on top", async () => {
    await person.sees(".presence", "Live");
    await house.send("shop", "/arrives/now", { body: "x" });
    await person.sees(".row", "/arrives/now", 3000);
    equal(await page.$$eval(".row", (rows) => rows.find((row) => row.getAttribute("aria-rowindex") === "2")?.innerText.includes("/arrives/now")), true);
  });
  await promise("what arrives while somebody reads is counted, and the list stays where it is", async () => {
    await page.$eval(".rows", (rows) => (rows.scrollTop = 320));
    await sleep(200);
    const top = () => page.$eval(".rows", (rows) => document.elementFromPoint(rows.getBoundingClientRect().left + 300, rows.getBoundingClientRect().top + 60).closest(".row").innerText);
    const before = await top();
    for (let at = 0; at < 3; at += 1) await house.send("shop", `/while/${at}`, { body: "x" });
    await person.sees(".pill", "3 new ones");
    equal(await top(), before);
    await person.press("3 new ones");
    await person.sees(".row", "/while/2");
  });
  for (const [query, among, wanted] of TERMS) {
    await promise(`search: ${query}`, async () => {
      await person.fill(".search input", query);
      await person.key("Enter");
      await until("the list has ended", async () => {
        const foot = await person.text(".rows-foot");
        return /Nothing found|back to the first/.test(foot) && page.url().includes(encodeURIComponent(query.split(/[ :"*/]/)[0]).slice(0, 6));
      });
      const count = await until("its rows", async () => {
        const rows = await page.$$eval(".row", (found) => found.map((row) => row.innerText));
        const isRight = (wanted === null ? rows.length > 0 : rows.length === wanted) && (!among || rows.some((row) => row.includes(among)));
        return isRight ? { rows } : null;
      }, 5000).catch(async (error) => {
        throw new Error(`${error.message}; ${await person.count(".row")} rows, ${(await person.all(".row")).slice(0, 3).join(" / ")}`);
      });
      holds(count);
    });
  }
  await promise("a mistake in a search is said under the field", async () => {
    await person.fill(".search input", "bogus:1");
    await person.key("Enter");
    await person.sees(".search-error", "bogus");
  });
  await promise("typing offers what may come next, and the keyboard takes it", async () => {
    await page.$eval(".search input", (field) => field.focus());
    await person.fill(".search input", "");
    await page.type(".search input", "sta");
    await person.sees(".choices", "status:");
    await person.key("ArrowDown", "Enter");
    await page.type(".search input", "50");
    await person.key("ArrowDown", "Tab");
    await until("the query", async () => page.url().includes("status%3A50"));
  });
  await promise("what is being typed is not undone by the search that began meanwhile", async () => {
    await page.$eval(".search input", (field) => field.focus());
    await person.fill(".search input", "");
    // Past the moment in which typing rests, over and over.
    for (const letter of "status:404") {
      await page.type(".search input", letter);
      await sleep(letter === ":" ? 0 : 240);
    }
    equal(await page.$eval(".search input", (field) => field.value), "status:404");
    await until("the query", async () => page.url().includes("status%3A404"));
    await sleep(300);
    equal(await page.$eval(".search input", (field) => field.value), "status:404");
  });
  await promise("a chip takes its term out, and a source is picked from the list", async () => {
    await person.press("Clear all");
    await page.select(".list-top select", "later");
    await until("three rows", async () => (await person.count(".row")) === 3);
    await person.press("source", ".filters");
    await until("all rows", async () => (await person.count(".row")) > 10);
  });
  await promise("how to search is one press away", async () => {
    await person.press("How to search");
    await person.sees("dialog", "All terms must hold");
    await person.key("Escape");
    await person.gone("dialog[open]");
  });
  await promise("the address of an event opens it in a new tab", async () => {
    const { id } = await house.event("shop", "/orders/7");
    const tab = await person.page.browserContext().newPage();
    await tab.goto(`${house.page}/#/events/${id}`);
    await tab.waitForFunction(() => document.querySelector(".detail h2")?.innerText.includes("/orders/7"), { timeout: 8000 });
    await tab.close();
  });
  await promise("what a search finds is exported as HAR and as NDJSON, as files that parse", async () => {
    const folder = join(house.folder, "downloads");
    const browser = await page.browser().target().createCDPSession();
    await browser.send("Browser.setDownloadBehavior", { behavior: "allow", browserContextId: page.browserContext().id, downloadPath: folder });
    await person.go("#/events?q=source:later");
    await until("three rows", async () => (await person.count(".row")) === 3);
    const take = async (format) => {
      await person.press("All of these");
      await person.press(`Export as ${format}`, "[role=menu]");
      const ending = `.${format.toLowerCase()}`;
      const name = await until(`a file ${ending}`, () => existsSync(folder) && readdirSync(folder).find((one) => one.endsWith(ending)));
      return readFileSync(join(folder, name), "utf8");
    };
    const har = JSON.parse(await take("HAR"));
    equal([har.log.version, har.log.entries.length], ["1.2", 3]);
    const lines = (await take("NDJSON")).trim().split("\n").map((line) => JSON.parse(line));
    equal(lines.map(({ source }) => source), ["later", "later", "later"]);
  });
}
