// Everything by the keyboard, and the focus always somewhere.

import { equal, holds, promise, sleep, until } from "./promise.mjs";

export async function keyboard({ house, person }) {
  const { page } = person;
  const focused = () => page.evaluate(() => document.activeElement.className);
  await person.open("#/events");
  await page.waitForSelector(".row");
  const active = () => page.$eval(".row.is-active", (row) => Number(row.getAttribute("aria-rowindex"))).catch(() => 0);
  await promise("j and k move, Enter opens, Esc goes back to the list", async () => {
    await person.key("j", "j", "j");
    await until("the third", async () => (await active()) === 4);
    await person.key("k");
    await until("the second", async () => (await active()) === 3);
    await person.key("Enter");
    await page.waitForSelector(".detail h2");
    await person.key("Escape");
    await person.gone(".detail");
    await until("the focus is in the list", async () => (await focused()) === "rows");
  });
  await promise("arrows, Page Down, Home and End move as well", async () => {
    await person.key("PageDown");
    await until("further down", async () => (await active()) > 8);
    await person.key("Home");
    await until("the first", async () => (await active()) === 2);
    await person.key("ArrowDown", "Enter");
    await page.waitForSelector(".detail h2");
  });
  await promise("[ and ] turn the tabs, n notes, c compares, ? shows the keys", async () => {
    await until("the event", async () => (await person.text(".detail-head .facts")).includes("evt_"));
    await page.click("#tab-overview");
    await person.key("]");
    await page.waitForSelector("#tab-request[aria-selected=true]");
    await person.key("[");
    await page.waitForSelector("#tab-overview[aria-selected=true]");
    for (const [key, words] of [["n", "Note"], ["c", "Compare"], ["?", "Keys"], ["e", "Edit and replay"]]) {
      await person.key(key);
      await person.sees("dialog h2", words);
      await person.key("Escape");
      await person.gone("dialog[open]");
      holds((await page.evaluate(() => document.activeElement.tagName)) !== "BODY" || key !== "?", `the focus is lost after ${key}`);
    }
  });
  await promise("r replays", async () => {
    const path = "/orders/20";
    await person.go(`#/events/${(await house.event("shop", path)).id}`);
    await person.sees(".detail h2", path);
    await until("the event", async () => (await person.text(".detail-head .facts")).includes("evt_"));
    const known = house.app.of(path).length;
    await page.evaluate(() => document.activeElement.blur());
    await person.key("r");
    await until("the app has it", () => house.app.of(path).length === known + 1);
  });
  await promise("/ searches, and typing there is typing", async () => {
    await person.key("/");
    await page.keyboard.type("jkr");
    equal(await page.$eval(".search input", (field) => field.value), "jkr");
    await sleep(400);
    await person.fill(".search input", "");
    await person.key("Enter");
    await person.key("Escape");
    await until("the focus is in the list", async () => (await focused()) === "rows");
  });
  await promise("g and a letter goes to each page, whose heading has the focus", async () => {
    for (const [letter, page_] of [["o", "overview"], ["s", "sources"], ["d", "deliveries"], ["a", "agents"], ["t", "tokens"], ["e", "events"]]) {
      await person.key("g", letter);
      await until(`the page ${page_}`, async () => page.url().includes(`#/${page_}`));
      await until(`the focus at ${page_}`, () => page.evaluate(() => document.activeElement.hasAttribute("data-home")), 4000);
    }
  });
}
