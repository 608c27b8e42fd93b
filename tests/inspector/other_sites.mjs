// Pages of other sites that somebody visits who is signed in: they show the inspector in a frame, call the API in that
// person's name, keep hold of a window they opened, or have a name of their own lead to the listener. In vain.

import { createServer } from "node:http";
import { NAME_OF_ANOTHER_SITE } from "./browser.mjs";
import { equal, holds, promise, until } from "./promise.mjs";

/** What a browser shows in the place of a page that it may not show. */
const NOTHING = "chrome-error://chromewebdata/";

async function startSite() {
  const server = createServer((_, response) => response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>Another site</title>"));
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  return server;
}

/** In the other site's page: makes a source in each way that a page has. Gives the list of events, or null. */
async function attack(api, source) {
  const call = { method: "POST", credentials: "include", body: JSON.stringify({ slug: source }) };
  await fetch(`${api}/sources`, { ...call, mode: "no-cors", headers: { "content-type": "text/plain" } });
  // With a field of ours a browser asks the listener first, which does not allow it.
  await fetch(`${api}/sources`, { ...call, headers: { "content-type": "application/json", "relay-inspector": "1" } }).catch(() => {});
  const read = await fetch(`${api}/events`, { credentials: "include" }).then((answer) => answer.text(), () => null);
  const frame = document.body.appendChild(Object.assign(document.createElement("iframe"), { name: "unseen" }));
  const form = document.body.appendChild(document.createElement("form"));
  Object.assign(form, { action: `${api}/sources`, method: "post", enctype: "text/plain", target: "unseen" });
  const field = form.appendChild(document.createElement("input"));
  // `name=value` as text/plain is JSON as well.
  Object.assign(field, { name: `{"slug":"${source}","display_name":"`, value: '"}' });
  const answered = new Promise((done) => (frame.onload = done));
  form.submit();
  await answered;
  return read;
}

export async function otherSites({ house, person, context, agents }) {
  const site = await startSite();
  const { port } = site.address();
  // Signed in, and with the page in the browser's cache as it was sent to somebody who typed its address.
  await person.open("#/events");
  await person.page.waitForSelector(".row");
  const inspectors = { "the server's inspector": house.page, "the agent's inspector": agents[0].page };
  // Another port of this host gets its cookies; another name does not.
  for (const [who, origin] of Object.entries({ "a page of this host": `http://127.0.0.1:${port}`, "a page of another host": `http://localhost:${port}` })) {
    for (const [what, address] of Object.entries(inspectors)) {
      const page = await context.newPage();
      await page.goto(origin);
      await promise(`${who} cannot show ${what} in a frame`, async () => {
        await page.evaluate((src) => new Promise((loaded) => document.body.appendChild(Object.assign(document.createElement("iframe"), { src, onload: loaded }))), `${address}/`);
        const [, frame] = page.frames();
        if (frame.url() === NOTHING) return;
        // The agent answers with why not.
        const shown = await frame.evaluate(() => document.body.innerText);
        holds(what.startsWith("the agent") && shown.includes('"cross_site"'), shown);
      });
      await promise(`${who} cannot change or read anything by calls to ${what}`, async () => {
        const answers = [];
        page.on("response", (response) => response.request().method() === "POST" && answers.push(response.status()));
        equal(await page.evaluate(attack, `${address}/api/v1`, "taken"), null);
        await until("its calls are answered", () => answers.length >= 2);
        equal(answers.filter((status) => status !== 401 && status !== 403), []);
        equal((await house.api("GET", "/sources")).sources.filter(({ slug }) => slug === "taken"), []);
      });
      await promise(`${who} has no hold on a window in which it opened ${what}`, async () => {
        const opened = new Promise((done) => page.once("popup", done));
        await page.evaluate((url) => void (window.opened = window.open(url)), `${address}/`);
        const popup = await opened;
        if (what.startsWith("the server")) {
          await popup.waitForSelector(".row");
          equal(await page.evaluate(() => window.opened.closed), true);
          await popup.reload();
          await popup.waitForSelector(".row");
          equal([await page.evaluate(() => window.opened.closed), await popup.evaluate(() => window.opener)], [true, null]);
        } else {
          await until("its refusal", () => popup.evaluate(() => document.body.innerText.includes("cross_site")).catch(() => false));
        }
        await popup.close();
      });
      await page.close();
    }
  }
  for (const [what, address] of Object.entries(inspectors)) {
    await promise(`another site's name that leads to ${what} is not answered`, async () => {
      const page = await context.newPage();
      const home = `http://${NAME_OF_ANOTHER_SITE}:${new URL(address).port}`;
      equal((await page.goto(`${home}/`)).status(), 421);
      equal(await page.evaluate(async () => (await fetch("/api/v1/events")).status), 421);
      await page.close();
    });
  }
  site.closeAllConnections();
  site.close();
}
