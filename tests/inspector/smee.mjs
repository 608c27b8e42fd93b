// The client of smee.io from npm, unchanged, hears a source whose rules say so: body and header fields arrive, and a
// GitHub signature still verifies where the body is what JSON.stringify writes.

import { createHmac } from "node:crypto";
import { startApp } from "./app.mjs";
import { equal, holds, promise, until } from "./promise.mjs";

export async function smee({ house }) {
  const { default: SmeeClient } = await import("smee-client");
  const target = await startApp();
  await house.api("POST", "/sources", { slug: "smee", rules: { smee: true } });
  const client = new SmeeClient({ source: `${house.public}/h/smee`, target: `${target.url}/events`, logger: { info() {}, error() {} } });
  await client.start();
  await promise("smee-client forwards a webhook with its body and header fields", async () => {
    const body = JSON.stringify({ ref: "refs/heads/main", number: 7, text: "ü ☃" });
    const signature = `sha256=${createHmac("sha256", "hush").update(body).digest("hex")}`;
    await until("it is heard", async () => {
      await house.send("smee", "", { headers: { "content-type": "application/json", "x-github-event": "push", "x-hub-signature-256": signature }, body });
      return until("one", () => target.got[0], 500).catch(() => null);
    });
    const [{ path, headers, body: got }] = target.got;
    equal([path, headers["x-github-event"]], ["/events", "push"]);
    equal(JSON.parse(got), JSON.parse(body));
    equal(headers["x-hub-signature-256"], `sha256=${createHmac("sha256", "hush").update(got).digest("hex")}`);
  });
  await promise("what smee-client was told is in the list as well", async () => {
    const { events } = await house.api("GET", "/events?q=source:smee");
    holds(events.length >= 1 && events.every(({ body_bytes: bytes }) => bytes > 40), events);
  });
  client.stop?.();
  await client.close?.();
  target.end();
}
