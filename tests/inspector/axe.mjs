// axe-core on every page, wide and narrow, light and dark: nothing that it calls serious or critical.

import { readFileSync } from "node:fs";
import { openPage } from "./browser.mjs";
import { equal, promise, until } from "./promise.mjs";

const AXE = readFileSync(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");

/** Width, height, and whether it is dark; neighbours differ in one thing, which is what the browser has to do anew. */
const LOOKS = [[1440, 900, false], [1440, 900, true], [375, 812, true], [375, 812, false]];

/** The page as it is now, in each look: what is serious, and what is wider than the screen. */
async function faults(page, what) {
  const found = [];
  for (const [width, height, dark] of LOOKS) {
    await page.setViewport({ width, height });
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }]);
    await page.evaluate(() => new Promise(requestAnimationFrame));
    const violations = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }).then((result) => result.violations.map(({ id, impact, nodes }) => ({ id, impact, html: nodes[0].html.slice(0, 120) }))));
    const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical").map((violation) => `${what}: ${violation.id} ${violation.html}`);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    found.push(wide > width ? [...serious, `${what} is ${wide} wide`] : serious);
  }
  return found;
}

async function report(kind, found) {
  for (const [at, [width, , dark]] of LOOKS.entries()) {
    await promise(`axe: ${kind}, ${width} wide, ${dark ? "dark" : "light"}: nothing serious, nothing wider than the screen`, () => equal(found[at], []));
  }
}

/** The page as somebody finds it who has not signed in. */
export async function auditSignIn({ house, context }) {
  const { page, open, sees, close } = await openPage(context, house.page);
  await page.setBypassCSP(true);
  await open("#/events");
  await sees("h1", "Sign in");
  await page.evaluate(AXE);
  await report("sign-in", await faults(page, "the sign-in"));
  await close();
}

/** Each of `pages` is a fragment, or `[fragment, act]` for what has to be pressed first. */
export async function audit({ house, context }, kind, pages) {
  const person = await openPage(context, house.page);
  const { page } = person;
  // The tool is put into the page from outside, which the page's own policy would refuse; nothing else of it is loosened.
  await page.setBypassCSP(true);
  await person.open("#/overview");
  await page.evaluate(AXE);
  const found = LOOKS.map(() => []);
  for (const one of pages) {
    const [fragment, act] = [one].flat();
    // By way of another page, so that nothing is left of the one before.
    await person.key("Escape");
    await person.go("#/agents");
    await person.sees("main h1", "Agents");
    await person.go(fragment);
    if (fragment !== "#/agents") await until(`${fragment} is there`, async () => (await person.text("main h1")) !== "Agents");
    await person.sees("main h1, main .first-steps");
    await until(`${fragment} is loaded`, async () => !/Loading…|Asking…|Looking…/.test(await person.text("main")));
    if (act) await act(person);
    for (const [at, some] of (await faults(page, fragment)).entries()) found[at].push(...some);
  }
  await report(`${kind} pages`, found);
  await person.close();
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
