// What a webhook carries is hostile. It is shown as text: it makes no element, asks no dialog and sends no request.

import { equal, holds, promise, until } from "./promise.mjs";
import { offences } from "./browser.mjs";

export async function hostile({ house, person }) {
  const { page } = person;
  const before = offences.length;
  const { events } = await house.api("GET", "/events?limit=200&q=source:shop+path:/h/shop/hostile/*");
  const elements = () => page.evaluate(() => document.querySelectorAll("img, iframe, object, embed, main script, main svg script, main [onerror], main [onload], main a[href^='javascript:' i], .body-view b").length);
  for (const tab of ["overview", "request", "answer", "raw"]) {
    await promise(`HTML, SVG, bidi and markup in names and header fields are text under ${tab}`, async () => {
      holds(events.length === 4, `${events.length} events`);
      for (const { id } of events) {
        await person.go(`#/events/${id}`);
        await until("the event", async () => (await person.text(".detail-head .facts")).includes(id));
        await page.click(`#tab-${tab}`);
        await until("its tab", () => page.$(`#tab-${tab}[aria-selected=true]`));
        equal(await elements(), 0);
      }
    });
  }
  await promise("a body of markup is there to be read", async () => {
    await person.go(`#/events/${events.find(({ path }) => path.endsWith("/html")).id}`);
    await page.click("#tab-request");
    await person.sees(".body-view .code", "<script>");
  });
  await promise("characters that turn or hide text are marked", async () => {
    await person.go(`#/events/${events.find(({ path }) => path.endsWith("/text")).id}`);
    await person.sees(".body-view .unseen", "\\u202e");
    holds((await person.all(".body-view .unseen")).includes("\\u0007"));
  });
  await promise("nothing of it opened a dialog or reached another host", () => equal(offences.slice(before), []));
}
