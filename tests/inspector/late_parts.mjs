// Pages and rare parts are fetched when they are needed. One that cannot be fetched says so, and comes when asked again.

import { offences, openPage } from "./browser.mjs";
import { holds, promise } from "./promise.mjs";

export async function lateParts({ house, context }) {
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
}
