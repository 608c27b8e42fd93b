// The pictures of the README: a house of its own, with what providers really send, signed and answered live by an app.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { openPage } from "./browser.mjs";
import { openHouse } from "./house.mjs";
import { sleep, until } from "./promise.mjs";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/** `[source, provider, event, path]` */
const SENT = [
  ["github", "github", "push"], ["billing", "stripe", "invoice.paid"], ["github", "github", "pull_request.opened"], ["shop", "shopify", "orders/create"],
  ["chat", "slack", "app_mention"], ["github", "github", "workflow_run.completed"], ["billing", "stripe", "customer.subscription.updated", "/fail"], ["github", "github", "issues.opened"],
];

export async function pictures({ browser }) {
  const house = await openHouse(process.argv[2]);
  const context = await browser.createBrowserContext();
  const agents = [];
  const secret = join(house.folder, "secret");
  writeFileSync(secret, SECRET);
  for (const [slug, provider] of new Map(SENT.map(([source, provider]) => [source, provider]))) {
    await house.api("POST", "/sources", { slug, rules: { provider: { name: provider } } });
    await house.api("POST", `/sources/${slug}/secrets`, { secret: SECRET });
    // Nobody serves this one: what comes waits.
    if (slug !== "shop") agents.push(await house.agent(slug));
  }
  const { env } = agents[0];
  const refused = new Set();
  for (let round = 0; round < 4; round += 1) {
    for (const [slug, provider, event, path = ""] of SENT) {
      if (path && round % 2) continue;
      await house.run(["trigger", provider, event, "--to", `${house.public}/h/${slug}${path}`, "--secret-file", secret], env).catch((error) => refused.add(`${provider} ${event}: ${error.stderr ?? error.message}`));
    }
    if (round === 1) await house.send("github", "", { headers: { "content-type": "application/json", "x-github-event": "push", "x-hub-signature-256": `sha256=${"0".repeat(64)}` }, body: "{}" });
  }
  for (const one of refused) console.log(`--  ${one.trim().slice(0, 200)}`);
  const light = await openPage(context, house.page, { width: 1280, height: 800 });
  await light.signIn(house.token);
  await light.page.waitForSelector(".row");
  const { events } = await house.api("GET", "/events?q=source:billing+status:200&limit=20");
  await light.go(`#/events/${(events.find(({ name }) => name === "invoice.paid") ?? events[0]).id}`);
  await until("the event", async () => (await light.text(".detail-head .facts")).includes("evt_"));
  await light.page.click("#tab-overview");
  await sleep(600);
  await light.page.screenshot({ path: `${process.env.SCREENSHOTS}/inspector-list.png` });
  await light.close();
  const dark = await openPage(context, house.page, { width: 1280, height: 800, dark: true });
  await dark.open("#/overview");
  await dark.sees(".table");
  await sleep(600);
  await dark.page.screenshot({ path: `${process.env.SCREENSHOTS}/inspector-overview.png` });
  await context.close();
  for (const agent of agents) await agent.end();
  await house.close();
}
