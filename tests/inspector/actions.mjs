// What a person does with an event: replay, edit, compare, copy, pin, note; and with many at once.

import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { equal, holds, promise, until } from "./promise.mjs";

export async function actions({ house, person, agents }) {
  const { page } = person;
  const { app } = house;
  const open = async (slug, path) => {
    const { id } = await house.event(slug, path);
    await person.open(`#/events/${id}`);
    await until("the event", async () => (await person.text(".detail-head .facts")).includes(id));
    return id;
  };
  await promise("replay brings the app the same bytes once more, and the page tells of it", async () => {
    await open("shop", "/orders/3");
    await person.press("Replay", ".detail-head");
    await person.said("Replayed");
    await until("the app has it twice", () => app.of("/orders/3").filter(({ path }) => path.endsWith("/orders/3")).length === 2);
    const [first, again] = app.of("/orders/3").filter(({ path }) => path.endsWith("/orders/3"));
    equal(again.body.toString("hex"), first.body.toString("hex"));
    await person.sees(".delivery", "delivered");
    await page.click(".attempts summary");
    await person.sees(".attempt", "x-app");
  });
  await promise("edit and replay brings the app the edited bytes", async () => {
    await open("shop", "/orders/4");
    await person.press("Edit & replay");
    await person.fill("dialog textarea", '{"order":4,"edited":"☃"}');
    await person.sees("dialog .diff-lines", "edited");
    await person.press("Send the edited", "dialog");
    await person.said("edited copy");
    await until("the app has it", () => app.got.some(({ body }) => body.toString() === '{"order":4,"edited":"☃"}'));
  });
  await promise("JSON that is none is said while typing, and can be sent all the same", async () => {
    await open("shop", "/orders/5");
    await person.key("e");
    await person.fill("dialog textarea", '{"order":');
    await person.sees("dialog [role=alert]", "Not JSON");
    await person.key("Escape");
    await person.gone("dialog[open]");
  });
  await promise("replay many counts first, and then replays so many", async () => {
    const before = app.of("/fail/1").length;
    await person.open("#/events?q=status:5xx");
    await until("its row", async () => (await person.count(".row")) === 1);
    await person.press("All of these");
    await person.press("Replay…", "[role=menu]");
    await person.sees("dialog", "1 event matches");
    await person.press("Replay 1 event", "dialog");
    await person.sees("dialog", "Done.");
    await until("the app has it", () => app.of("/fail/1").length === before + 1);
    await person.press("Close", "dialog footer");
  });
  await promise("what waits is cancelled after a question", async () => {
    await open("later", "/job/1");
    await person.press("Cancel waiting");
    await person.press("Cancel them", "dialog");
    await person.said("Cancelled");
    const { deliveries } = await house.api("GET", `/events/${(await house.event("later", "/job/1")).id}`);
    equal(deliveries.map(({ state }) => state), ["cancelled"]);
  });
  await promise("two events are compared line by line", async () => {
    await open("shop", "/orders/6");
    await person.key("c");
    await page.waitForSelector("dialog select");
    await person.fill("dialog input", (await house.event("shop", "/orders/8")).id);
    const text = await person.sees("dialog .diff-lines", '"order": 8');
    holds(text.includes('"order": 6') && (await person.count("dialog .removed")) > 0, text);
    await person.key("Escape");
    await person.gone("dialog[open]");
  });
  await promise("the answers of two attempts are compared line by line", async () => {
    await open("shop", "/fail/1");
    await person.press("Replay", ".detail-head");
    await until("two deliveries", async () => (await person.count(".delivery")) >= 2);
    await until("their attempts", async () => (await person.count(".attempts li")) >= 2);
    await person.key("c");
    await page.waitForSelector("dialog option[value=attempts]");
    await page.select("dialog select", "attempts");
    await until("both", async () => (await person.count("dialog select")) === 3);
    // The app's clock went on between them.
    await person.sees("dialog .diff", "only in the first");
    await page.click("dialog .diff input[type=checkbox]");
    const text = await person.sees("dialog .diff-lines", "at line 3");
    holds(text.includes("status 500") && /date: /i.test(text), text);
    await person.key("Escape");
    await person.gone("dialog[open]");
  });
  await promise("one delivery is cancelled, and made again", async () => {
    const id = await open("later", "/job/2");
    const states = async () => (await house.api("GET", `/events/${id}`)).deliveries.map(({ state }) => state).sort();
    await page.click("#tab-deliveries");
    await person.press("Cancel", ".delivery");
    await until("it is cancelled", async () => (await states()).join() === "cancelled");
    await person.press("Again", ".delivery");
    await until("another waits", async () => (await states()).join() === "cancelled,waiting");
    await person.quiet();
  });
  const copied = async (what, said) => {
    await person.press("Copy as", ".actions");
    await person.press(what, "[role=menu]");
    await person.said(said);
    await person.quiet();
    return page.evaluate(() => navigator.clipboard.readText());
  };
  await promise("copied as .http it is the request with its fields and body", async () => {
    await open("shop", "/orders/2");
    const [head, body] = (await copied(".http", "Copied as .http")).trim().split("\n\n");
    const [line, ...fields] = head.split("\n");
    equal([line, JSON.parse(body).order], [`POST ${house.public}/h/shop/orders/2`, 2]);
    holds(fields.includes("content-type: application/json") && !fields.some((field) => /^(host|content-length):/i.test(field)), fields);
  });
  await promise("the copied fixture command keeps the event as files, byte for byte", async () => {
    const id = await open("shop", "/quotes");
    const [program, verb, folder, ...ids] = (await copied("fixture command", "Command copied")).split(" ");
    equal([program, verb, folder, ids], ["relay-agent", "record", "fixtures", [id]]);
    const made = join(house.folder, folder);
    await house.run([verb, made, ...ids], agents[0].env);
    const names = readdirSync(made, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    holds(names.some((name) => readFileSync(name).equals(app.of("/quotes")[0].body)), names);
  });
  await promise("copied as JSON it is what the API tells of it", async () => {
    const id = await open("shop", "/orders/2");
    const { headers, body } = JSON.parse(await copied("JSON", "Copied as JSON"));
    const known = await house.api("GET", `/events/${id}`);
    equal([headers, body], [known.headers, known.body]);
  });
  await promise("the copied link opens the event for whoever gets it", async () => {
    const id = await open("shop", "/orders/2");
    await person.press("copy link", ".facts");
    await person.said("Link copied");
    await person.quiet();
    await person.go("#/overview");
    await person.sees("main h1", "need");
    await page.goto(await page.evaluate(() => navigator.clipboard.readText()));
    await until("the event", async () => (await person.text(".detail-head .facts")).includes(id));
  });
  for (const path of ["/quotes", "/orders/2", "/form"]) {
    await promise(`copied as curl and pasted into a shell, ${path} arrives with the same bytes`, async () => {
      await open("shop", path);
      await person.key("y");
      await person.said("Copied as curl");
      const line = await page.evaluate(() => navigator.clipboard.readText());
      const known = app.of(path).length;
      await promisify(execFile)("bash", ["-c", line], { timeout: 10_000 });
      await until("the app has it", () => app.of(path).length > known);
      const [first, again] = [app.of(path)[0], app.of(path).at(-1)];
      equal(again.body.toString("hex"), first.body.toString("hex"));
      equal([again.method, again.path, again.headers["content-type"], again.headers["x-quote"]], [first.method, first.path, first.headers["content-type"], first.headers["x-quote"]]);
      await person.quiet();
    });
  }
  await promise("pin and note survive a page loaded anew, and are found", async () => {
    const id = await open("shop", "/orders/10");
    await person.key("p");
    await until("the pin", () => person.at(".row.is-open .marks svg"));
    await person.key("n");
    await page.waitForSelector("dialog textarea");
    await page.type("dialog textarea", "ask Ann");
    await person.press("Save", "dialog");
    await person.sees(".note", "ask Ann");
    await person.open(`#/events/${id}?q=${encodeURIComponent('pinned:yes note:"ask Ann"')}`);
    await person.sees(".note", "ask Ann");
    await until("one row", async () => (await person.count(".row")) === 1);
    holds(await person.at(".detail-head [aria-pressed=true]"));
  });
}
