// Chromium without a window, and a page of it with what a person does: look, click what says so, type. Every page is
// watched: errors on the console, breaches of the policy, dialogs and requests to anywhere else are kept as offences.

import puppeteer from "puppeteer-core";
import { until } from "./promise.mjs";

export const offences = [];

/** What the browser itself says about an answer that is meant to be a refusal. */
const REFUSALS = [/\/api\/v1\/(whoami|session|sources|events(\?.*)?)$/, /\/api\/v1\/events\?/, /\/api\/v1\/sources\/\w+$/, /\/api\/v1\/events\/stream/];

/** Leads to this machine, as any site's name may be made to. */
export const NAME_OF_ANOTHER_SITE = "rebound.test";

export function openBrowser() {
  const args = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", `--host-resolver-rules=MAP ${NAME_OF_ANOTHER_SITE} 127.0.0.1`];
  return puppeteer.launch({ executablePath: process.env.CHROMIUM, headless: true, args });
}

/** Spies that begin before the page's own scripts: notices, and breaches of the policy. */
function spies() {
  window.notices = [];
  window.Notification = class extends EventTarget {
    static permission = "default";
    static requestPermission = async () => (window.Notification.permission = "granted");
    constructor(title, options) {
      super();
      window.notices.push({ title, ...options });
    }
    close() {}
  };
  document.addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
}

export async function openPage(context, origin, { width = 1440, height = 900, dark = false } = {}) {
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  await page.setViewport({ width, height });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }]);
  await page.evaluateOnNewDocument(spies);
  watch(page, origin);
  const at = (selector) => page.$(selector);

  const person = {
    page,
    at,
    /** Goes to a fragment, with the page loaded anew. */
    async open(fragment = "#/events") {
      await page.goto("about:blank");
      await page.goto(`${origin}/${fragment}`);
    },
    async go(fragment) {
      await page.evaluate((to) => (location.hash = to), fragment);
    },
    text: (selector) => page.$eval(selector, (element) => element.innerText).catch(() => ""),
    all: (selector) => page.$$eval(selector, (elements) => elements.map((element) => element.innerText)),
    count: (selector) => page.$$eval(selector, (elements) => elements.length),
    sees: (selector, words, ms) => until(`${selector} says ${words ?? "anything"}`, async () => {
      const found = await page.$$eval(selector, (elements) => elements.map((element) => element.innerText).join("\n")).catch(() => "");
      return words ? found.includes(words) && found : await at(selector);
    }, ms),
    gone: (selector, ms) => until(`${selector} is gone`, async () => !(await at(selector)), ms),
    /** Presses the last button, link or entry in sight whose text begins so, as soon as there is one. */
    async press(words, within = "body") {
      const handle = await until(`a button ${words} in ${within}`, async () => {
        const found = await page.evaluateHandle((text, root) => [...document.querySelectorAll(`:is(${root}) :is(button, a, [role=menuitem], summary)`)]
          .filter((one) => one.checkVisibility() && !one.disabled && one.textContent.trim().startsWith(text)).at(-1) ?? null, words, within);
        return found.asElement();
      });
      await handle.evaluate((element) => {
        element.scrollIntoView({ block: "center" });
        element.focus();
        element.click();
      });
    },
    /** Sets a field as typing would. */
    async fill(selector, value) {
      await page.waitForSelector(selector);
      await page.$eval(selector, (element, text) => {
        element.focus();
        element.value = text;
        element.dispatchEvent(new Event("input", { bubbles: true }));
        element.dispatchEvent(new Event("change", { bubbles: true }));
      }, value);
    },
    async key(...keys) {
      for (const key of keys) await page.keyboard.press(key);
    },
    async signIn(token) {
      await person.open("#/events");
      await page.waitForSelector("input[type=password]");
      await person.fill("input[type=password]", token);
      await person.press("Sign in");
      await page.waitForSelector(".top");
    },
    said: (words) => person.sees(".messages", words),
    async quiet() {
      // Messages lie over what comes next.
      await page.evaluate(() => document.querySelectorAll(".messages .bare").forEach((button) => button.click()));
    },
    close: () => page.close(),
  };
  return person;
}

function watch(page, origin) {
  page.on("console", (message) => {
    if (!["error", "warn", "warning"].includes(message.type())) return;
    const { url = "" } = message.location();
    if (/Failed to load resource/.test(message.text()) && (/status of 40[01]/.test(message.text()) && REFUSALS.some((one) => one.test(url)))) return;
    offences.push(`console: ${message.text()} ${url}`);
  });
  page.on("pageerror", (error) => offences.push(`error: ${error.message}`));
  page.on("dialog", (dialog) => {
    offences.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(`${origin}/`) && url !== "about:blank") offences.push(`request to ${url}`);
  });
}
