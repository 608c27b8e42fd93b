// axe-core on every page, wide and narrow, light and dark: nothing that it calls serious or critical.

import { readFileSync } from "node:fs";
import { equal, holds, promise, until } from "./promise.mjs";

const AXE = readFileSync(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");

const LOOKS = [[1440, 900, false], [375, 812, true], [1440, 900, true], [375, 812, false]];

/** Each of `pages` is a fragment, or `[fragment, act]` for what has to be pressed first. */
export async function audit({ house, context }, kind, pages) {
  // The tool is put into the page from outside, which the page's own policy would refuse; nothing else of it is loosened.
  const { openPage } = await import("./browser.mjs");
  const person = await openPage(context, house.page);
  await person.page.setBypassCSP(true);
  for (const [width, height, dark] of LOOKS) {
    await promise(`axe: ${kind} pages, ${width} wide, ${dark ? "dark" : "light"}: nothing serious, nothing wider than the screen`, async () => {
      await person.page.setViewport({ width, height });
      await person.page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }]);
      const found = [];
      for (const one of pages) {
        const [fragment, act] = [one].flat();
        await person.open(fragment);
        await person.sees("main h1, main .first-steps, main .sign-in");
        await until(`${fragment} is loaded`, async () => !/Loading…|Asking…|Looking…/.test(await person.text("main")));
        if (act) await act(person);
        await person.page.evaluate(AXE);
        const violations = await person.page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }).then((result) => result.violations.map(({ id, impact, nodes }) => ({ id, impact, html: nodes[0].html.slice(0, 120) }))));
        found.push(...violations.filter(({ impact }) => impact === "serious" || impact === "critical").map((violation) => `${fragment}: ${violation.id} ${violation.html}`));
        const wide = await person.page.evaluate(() => document.documentElement.scrollWidth);
        if (wide > width) found.push(`${fragment} is ${wide} wide`);
      }
      equal(found, []);
    });
  }
  await person.close();
  holds(true);
}

export async function looks(world) {
  const { house } = world;
  const detail = `#/events/${(await house.event("shop", "/orders/3")).id}`;
  const tab = (name) => async ({ page }) => {
    await page.waitForSelector(`#tab-${name}`);
    await page.click(`#tab-${name}`);
    await page.waitForSelector(`#tab-${name}[aria-selected=true]`);
  };
  const key = (letter) => async ({ page, text }) => {
    await until("the event", async () => (await text(".detail-head .facts")).includes("evt_"));
    await page.keyboard.press(letter);
    await page.waitForSelector("dialog[open]");
  };
  await audit(world, "full", ["#/events", "#/overview", "#/sources", "#/sources/first", "#/deliveries", "#/agents", "#/tokens"]);
  await audit(world, "detail", [detail, [detail, tab("request")], [detail, tab("answer")], [detail, tab("deliveries")], [detail, tab("raw")], [detail, key("e")], [detail, key("c")], [detail, key("?")]]);
}
