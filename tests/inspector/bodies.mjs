// The detail of an event: each kind of body as what it is, and large ones in parts.

import { equal, holds, promise, until } from "./promise.mjs";

export async function bodies({ house, person }) {
  const { page } = person;
  const open = async (path, { tab = "request", slug = "shop" } = {}) => {
    const { id } = await house.event(slug, path);
    await person.go(`#/events/${id}`);
    await person.sees(".detail h2", path.slice(0, 12));
    await until("the event itself", async () => (await person.text(".detail-head .facts")).includes(id));
    await page.click(`#tab-${tab}`);
    return id;
  };
  await person.open("#/events");
  await promise("JSON is a tree, which folds and can be searched", async () => {
    await open("/orders/9");
    await person.sees(".tree", "customer");
    await page.click('.tree-line[aria-expanded="true"]');
    await until("folded", async () => !(await person.text(".tree")).includes("customer"));
    await page.click('.tree-line[aria-expanded="false"]');
    await person.sees(".tree", "ann+9@example.com");
  });
  await promise("a form is its fields", async () => {
    await open("/form");
    const text = await person.sees(".body-view", "city");
    holds(text.includes("Köln") && text.includes("Ann B"), text);
  });
  await promise("XML is indented, and stays text", async () => {
    await open("/xml");
    await person.sees(".body-view .code", "  <id>");
  });
  await promise("plain text is shown as it came", async () => {
    await open("/text");
    await person.sees(".body-view .code", "needle in plain text\nsecond line");
  });
  await promise("what is no text is shown as bytes", async () => {
    await open("/binary");
    await person.sees(".body-view .code", "00000000  00 07 0e 15");
  });
  await promise("a body of parts is told part by part", async () => {
    await open("/parts");
    const text = await person.sees(".body-view", "notes.txt");
    holds(text.includes("value of a part"), text);
  });
  await promise("JSON too large for the first answer is loaded as a tree when asked for", async () => {
    await open("/rows", { slug: "kept" });
    await person.press("Load all", ".detail");
    await person.sees(".tree", "rows");
  });
  await promise("25 MiB are shown in parts, and the page stays quick", async () => {
    await open("/huge", { slug: "kept" });
    await person.sees(".body-view", "64 KiB of 25.0 MiB shown");
    for (const shown of ["128 KiB", "192 KiB", "256 KiB", "320 KiB"]) {
      await person.press("Show 64 KiB more", ".detail");
      await person.sees(".body-view", `${shown} of`);
    }
    const started = Date.now();
    await page.evaluate(() => new Promise(requestAnimationFrame));
    holds(Date.now() - started < 1000);
    equal(await page.$$eval(".blocks .code", (blocks) => blocks.map((block) => block.textContent).join("").length), 320 * 1024);
  });
  await promise("a body that was not kept whole says so, and cannot be replayed", async () => {
    await open("/cut");
    await person.sees(".body-view", "were kept");
    await person.key("r");
    await person.said("not kept whole");
    await person.quiet();
  });
  await promise("the answer of the app is there, and the time line tells each step", async () => {
    await open("/fail/1", { tab: "answer" });
    await person.sees(".detail-body", "it broke");
    await page.click("#tab-overview");
    await person.sees(".time-line", "Received");
    await page.click("#tab-raw");
    await person.sees(".detail-body", "order");
  });
}
