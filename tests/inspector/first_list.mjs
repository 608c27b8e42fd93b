// Opens the inspector's list again and again, as somebody who has signed in: from the start of the navigation until the
// first rows are drawn. In between it opens a bare page that draws as many plain rows, in the same browser and the same
// minute: what that takes is the machine's and the browser's, and no page can be faster.
//
// Driven by the bare protocol: puppeteer's own watching of requests costs a page of this kind a third of its time.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import puppeteer from "puppeteer-core";
import { openPage } from "./browser.mjs";

const WAIT_MS = 15_000;

const BARE = {
  "/": ["text/html", "<!doctype html><title>Bare</title><link rel=stylesheet href=bare.css><script type=module src=bare.js></script><main></main>"],
  "/bare.css": ["text/css", ".row { height: 32px; }"],
  "/bare.js": ["text/javascript", `for (const { text } of await (await fetch("rows")).json()) {
    const row = document.createElement("div");
    row.className = "row";
    row.textContent = text;
    document.querySelector("main").append(row);
  }`],
  "/rows": ["application/json", JSON.stringify(Array.from({ length: 30 }, (_, at) => ({ text: `row ${at}`, rest: "x".repeat(1000) })))],
};

/** Runs in the page before its own scripts: notes when the first frame with a row in it was drawn. */
function stopwatch() {
  window.firstList = new Promise((done) => {
    new MutationObserver((_, observer) => {
      if (!document.querySelector(".row")) return;
      observer.disconnect();
      // A frame's own work comes before its drawing; the next task after it.
      requestAnimationFrame(() => setTimeout(() => done(performance.now())));
    }).observe(document, { childList: true, subtree: true });
  });
}

function within(what, work) {
  let timer = 0;
  const late = new Promise((_, fail) => (timer = setTimeout(() => fail(new Error(`${what}: nothing after ${WAIT_MS / 1000} s`)), WAIT_MS)));
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

const { origin, token, tries } = JSON.parse(readFileSync(0, "utf8"));
let isSignedIn = false;
const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM,
  headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"],
  // Once signed in, puppeteer leaves new pages alone.
  targetFilter: (target) => !isSignedIn || target.type() === "browser",
});
process.on("exit", () => browser.process()?.kill("SIGKILL"));
const first = await openPage(browser.defaultBrowserContext(), origin);
await first.signIn(token);
await first.page.waitForSelector(".row");
await first.close();
isSignedIn = true;
const root = await browser.target().createCDPSession();

async function open(url, { isFresh }) {
  const { targetId } = await root.send("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await root.send("Target.attachToTarget", { targetId, flatten: true });
  const page = root.connection().session(sessionId);
  await page.send("Page.enable");
  await page.send("Emulation.setDeviceMetricsOverride", { width: 1440, height: 900, deviceScaleFactor: 1, mobile: false });
  if (isFresh) await page.send("Network.clearBrowserCache");
  await page.send("Page.addScriptToEvaluateOnNewDocument", { source: `(${stopwatch})()` });
  const loaded = new Promise((done) => page.once("Page.loadEventFired", done));
  const { errorText } = await page.send("Page.navigate", { url });
  if (errorText) throw new Error(`${url}: ${errorText}`);
  await loaded;
  const { result, exceptionDetails } = await page.send("Runtime.evaluate", { expression: "firstList", awaitPromise: true, returnByValue: true });
  if (exceptionDetails) throw new Error(`${url}: ${exceptionDetails.text}`);
  await root.send("Target.closeTarget", { targetId });
  return result.value;
}

const bare = createServer((request, response) => {
  const [type, text] = BARE[request.url] ?? ["text/plain", ""];
  response.writeHead(BARE[request.url] ? 200 : 404, { "content-type": type, "cache-control": "no-cache" }).end(text);
});
await new Promise((ready) => bare.listen(0, "127.0.0.1", ready));

const figures = { fresh_ms: [], again_ms: [], bare_ms: [] };
for (const isFresh of [true, false]) {
  // One after the other, since whoever empties the cache takes from the next visit what the browser had compiled.
  for (let at = 0; at < tries; at += 1) {
    (isFresh ? figures.fresh_ms : figures.again_ms).push(await within("the list", open(`${origin}/`, { isFresh })));
    figures.bare_ms.push(await within("the bare page", open(`http://127.0.0.1:${bare.address().port}/`, { isFresh: false })));
  }
}
console.log(JSON.stringify(figures));
await browser.close();
process.exit(0);
