// Events of every kind, sent through the real ingress to a real app: what the parts after this one look at.

import { until } from "./promise.mjs";

const JSON_TYPE = { "content-type": "application/json" };

export const HOSTILE = {
  html: "<html><body><script>alert(1)</script><img src=x onerror=alert(1)><b>bold</b></body></html>",
  svg: '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script></svg>',
  text: "line one\n\u202eright to left\n\u0007bell",
};

export async function fill(world) {
  const { house } = world;
  // The part about the empty page makes this one, where it is not left out.
  if (!(await house.api("GET", "/sources")).sources.length) await house.api("POST", "/sources", { slug: "first", rules: { provider: { name: "github" } } });
  world.agents = [await house.agent("shop"), await house.agent("first")];
  await house.api("POST", "/sources", { slug: "later", rules: { reply: "accepted" } });
  for (let at = 1; at <= 30; at += 1) await house.send("shop", `/orders/${at}`, { headers: JSON_TYPE, body: JSON.stringify({ order: at, total: at * 100, customer: { name: "Ann", mail: `ann+${at}@example.com` } }) });
  await house.send("shop", "/fail/1", { headers: JSON_TYPE, body: '{"order":31}' });
  await house.send("shop", "/put", { method: "PUT", headers: JSON_TYPE, body: '{"put":true}' });
  await house.send("shop", "/form", { headers: { "content-type": "application/x-www-form-urlencoded" }, body: "name=Ann+B&city=K%C3%B6ln" });
  await house.send("shop", "/xml", { headers: { "content-type": "application/xml" }, body: "<order><id>7</id><by>Ann</by></order>" });
  await house.send("shop", "/text", { headers: { "content-type": "text/plain" }, body: "needle in plain text\nsecond line" });
  await house.send("shop", "/binary", { headers: { "content-type": "application/octet-stream" }, body: Buffer.from(Array.from({ length: 3000 }, (_, at) => (at * 7) % 256)) });
  const parts = new FormData();
  parts.set("field", "value of a part");
  parts.set("file", new Blob(["inside"], { type: "text/plain" }), "notes.txt");
  await house.send("shop", "/parts", { body: parts });
  await house.api("POST", "/sources", { slug: "kept", rules: { reply: "accepted" } });
  await house.send("kept", "/rows", { headers: JSON_TYPE, body: JSON.stringify({ rows: Array.from({ length: 40_000 }, (_, id) => ({ id, name: `row ${id}`, tags: ["a", "b"] })) }) });
  const huge = { headers: { "content-type": "text/plain" }, body: `begin ${"0123456789abcde\n".repeat(1638395)}` };
  await house.send("kept", "/huge", huge);
  // Answered live, it is kept in part.
  await house.send("shop", "/cut", huge);
  for (const [path, type] of [["html", "text/html"], ["svg", "image/svg+xml"], ["text", "text/plain"]]) await house.send("shop", `/hostile/${path}`, { headers: { "content-type": type }, body: HOSTILE[path] });
  await house.send("shop", "/hostile/%E2%80%AEgpj.exe?next=javascript:alert(1)", { headers: { "x-markup": "<img src=x onerror=alert(1)>", "x-link": "javascript:alert(1)" }, body: "x" });
  await house.send("shop", "/quotes", { headers: { "content-type": "text/plain", "x-quote": "it's \"$HOME\" `id` \\n" }, body: "it's $(id) `id` \"quoted\" \\ \t end\n\nlast ü ☃" });
  await house.api("POST", "/sources/first/test", { provider: "github", event: "star.created" });
  for (let at = 1; at <= 3; at += 1) await house.send("later", `/job/${at}`, { headers: JSON_TYPE, body: JSON.stringify({ job: at }) });
  await until("everything is listed", async () => (await house.api("GET", "/events?limit=200")).events.filter(({ path }) => path.startsWith("/h/later/job/")).length === 3);
}
