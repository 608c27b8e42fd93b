// The pictures of the README, of a store full of what providers really send.

import { openPage } from "./browser.mjs";
import { sleep, until } from "./promise.mjs";

const SAMPLES = ["github push", "github pull_request", "stripe invoice.paid", "shopify orders/create", "slack app_mention", "github issues", "stripe customer.subscription.updated"];

export async function pictures({ house, context, agents }) {
  const { env } = agents[0];
  const extra = [];
  for (const provider of [...new Set(SAMPLES.map((one) => one.split(" ")[0]))]) {
    await house.api("POST", "/sources", { slug: provider, rules: { provider: { name: provider } } });
    await house.api("POST", `/sources/${provider}/secrets`, { secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" }).catch(() => {});
    extra.push(await house.agent(provider));
  }
  for (let round = 0; round < 4; round += 1) {
    for (const sample of SAMPLES) await house.run(["trigger", ...sample.split(" ")], env).catch(() => {});
    await house.send("shopify", round === 2 ? "/fail" : "", { headers: { "content-type": "application/json", "x-shopify-topic": "orders/paid" }, body: "{}" });
  }
  await sleep(300);
  const light = await openPage(context, house.page, { width: 1280, height: 800 });
  await light.open("#/events");
  await light.page.waitForSelector(".row");
  const { events } = await house.api("GET", "/events?q=source:stripe&limit=20");
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
  await dark.close();
  for (const agent of extra) await agent.end();
}
