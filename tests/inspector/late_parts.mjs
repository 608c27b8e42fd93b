// Pages and rare parts are fetched when they are needed. One that cannot be fetched says so, and comes when asked again;
// an answer that comes when nobody waits for it any more is shown to nobody.

import { offences, openPage } from "./browser.mjs";
import { holds, promise, sleep, until } from "./promise.mjs";

export async function lateParts({ house, browser, context }) {
  const person = await openPage(context, house.page);
  const { page } = person;
  await promise("a part that cannot be loaded says so, and trying again loads it", async () => {
    const before = offences.length;
    await page.setRequestInterception(true);
    let isAway = true;
    page.on("request", (request) => (isAway && request.url().endsWith("/more.js") ? request.abort() : request.continue()));
    await person.open("#/events");
    await page.waitForSelector(".row");
    await person.go("#/overview");
    await person.sees("main .trouble", "could not be loaded");
    isAway = false;
    await person.press("Try again", "main");
    await person.sees("main h1", "need");
    holds(!/null|undefined|NaN/.test(await person.text("main")), "every figure is one");
    // The browser's own word about the fetch that was cut off here.
    offences.splice(before, offences.length, ...offences.slice(before).filter((one) => !/ERR_FAILED/.test(one)));
  });
  await promise("the detail of an event, and all that comes later, is fetched before anybody asks for it", async () => {
    await person.open("#/events");
    await page.waitForFunction(() => performance.getEntriesByType("resource").some(({ name }) => name.endsWith("/more.js")), { timeout: 8000 });
    holds(!(await person.at(".detail")));
  });
  await person.close();

  const apart = await browser.createBrowserContext();
  const other = await openPage(apart, house.page);
  await promise("an answer that comes after signing out is not shown to whoever signs in next", async () => {
    await other.signIn(house.token);
    const [event] = (await house.api("GET", "/events?limit=1")).events;
    const stale = { events: [{ ...event, name: "of.somebody.else" }], next: null };
    await other.page.setRequestInterception(true);
    let late;
    other.page.on("request", (request) => {
      if (!late && request.url().includes("/api/v1/events?")) late = request;
      else request.continue();
    });
    await other.open("#/events");
    await until("the list is asked for", () => late);
    await other.press("Sign out");
    await other.sees("h1", "Sign in");
    await late.respond({ contentType: "application/json", body: JSON.stringify(stale) });
    await sleep(200);
    await other.fill("input[type=password]", house.token);
    await other.press("Sign in");
    await other.page.waitForSelector(".row .what");
    const shown = await other.text(".rows");
    holds(!shown.includes("of.somebody.else"), shown.slice(0, 200));
  });
  await apart.close();
}
