// Sources, secrets, destinations, tokens, agents, the overview, and notices.

import { equal, holds, promise, until } from "./promise.mjs";

export async function settings({ house, person }) {
  const { page } = person;
  const SECRET = "a-secret-of-github-7261";
  await promise("a secret is added and never shown again", async () => {
    await person.open("#/sources/first");
    await page.waitForSelector(".inline-form input[type=password]");
    await page.type(".inline-form input[type=password]", SECRET);
    await page.type(".inline-form input:not([type=password])", "of the repository");
    await person.press("Add", ".inline-form");
    await person.said("not shown again");
    await person.sees(".lines", "of the repository");
    const shown = await page.evaluate((secret) => document.body.innerText.includes(secret) || [...document.querySelectorAll("input")].some((field) => field.value.includes(secret)), SECRET);
    equal(shown, false);
    await person.quiet();
  });
  await promise("a test event is signed with it from then on", async () => {
    await person.press("Send a test event");
    await person.said("on its way");
    await until("a verified one", async () => (await house.api("GET", "/events?q=source:first+signature:verified")).events.length === 1);
  });
  await promise("a destination is added, paused, resumed and deleted", async () => {
    await person.quiet();
    await person.press("Add a destination");
    await person.fill("dialog input", "second");
    await person.press("Add it", "dialog");
    await until("it is there", async () => (await person.count(".destination")) === 2);
    const more = () => page.$$eval(".destination", (all) => all.at(-1).querySelector(".menu button").click());
    for (const [verb, flag] of [["Pause", true], ["Resume", false]]) {
      await more();
      await person.press(verb, ".destination [role=menu]");
      await until(verb, async () => (await house.api("GET", "/sources/first/destinations/second")).rules.paused === flag);
      await until(`${verb} is shown`, async () => (await page.$$eval(".destination", (all) => all.at(-1).innerText.includes("paused"))) === flag);
    }
    await more();
    await person.press("Delete…", ".destination [role=menu]");
    await person.fill("dialog input", "second");
    await person.press("Delete it", "dialog");
    await until("it is gone", async () => (await person.count(".destination")) === 1);
  });
  await promise("another destination becomes the primary one, and its receiver's secret is shown", async () => {
    await house.api("POST", "/sources", { slug: "routes" });
    await house.api("POST", "/sources/routes/destinations", { name: "billing", rules: { url: "https://billing.example.com/hooks" } });
    const more = async (verb) => {
      await page.$$eval(".destination", (all) => all.find((one) => one.innerText.includes("billing")).querySelector(".menu button").click());
      await person.press(verb, ".destination [role=menu]");
    };
    await person.go("#/sources/routes");
    await until("both", async () => (await person.count(".destination")) === 2);
    await more("Make it the primary");
    await until("it is", async () => (await house.api("GET", "/sources/routes/destinations/billing")).is_primary);
    await person.sees(".destination:has(.flag)", "billing");
    await more("Secret for its receiver");
    const { secret } = await house.api("GET", "/sources/routes/destinations/billing/secret");
    await person.sees("dialog code", secret);
    await person.press("Seen", "dialog");
    await person.gone("dialog[open]");
    await house.api("DELETE", "/sources/routes");
    await person.go("#/sources/first");
    await until("its destination", async () => (await person.count(".destination")) === 1);
  });
  await promise("what waits for a destination is skipped after a question, all but the newest if wanted", async () => {
    await house.api("POST", "/sources", { slug: "skipped", rules: { reply: "accepted" } });
    for (let at = 1; at <= 3; at += 1) await house.send("skipped", `/${at}`, { body: "x" });
    const waiting = async () => (await house.api("GET", "/deliveries?source=skipped&state=waiting")).deliveries.length;
    for (const [words, left] of [["Skip all that wait but the newest…", 1], ["Skip all that wait…", 0]]) {
      await person.go("#/agents");
      await person.sees("h1", "Agents");
      await person.go("#/sources/skipped");
      await person.sees(".destination", left ? "3 wait" : "1 wait");
      await page.click(".destination .menu button");
      await person.press(words, ".destination [role=menu]");
      equal(await waiting(), left ? 3 : 1);
      await person.press("Skip them", "dialog");
      await until("they are cancelled", async () => (await waiting()) === left);
      await person.quiet();
    }
    await house.api("DELETE", "/sources/skipped");
    await person.go("#/sources/first");
    await until("its destination", async () => (await person.count(".destination")) === 1);
  });
  await promise("rules are saved, and a refusal is told where they are", async () => {
    await person.fill('.rules input[type="number"]', "9000");
    await person.press("Save", ".rules");
    await person.said("Saved");
    equal((await house.api("GET", "/sources/first")).rules.patience_ms, 9000);
    await person.fill('.rules input[type="number"]', "0");
    await person.press("Save", ".rules");
    await person.sees(".rules .trouble");
    await person.quiet();
  });
  await promise("a token is shown once, and revoked", async () => {
    await person.open("#/tokens");
    await person.press("New token");
    await page.waitForSelector("dialog select");
    await page.select("dialog select", "read");
    await person.fill("dialog input", "for the test");
    await person.press("Make it", "dialog");
    const token = /rt_[\w-]+/.exec(await person.sees("dialog", "rt_"))[0];
    const ask = () => fetch(`${house.page}/api/v1/whoami`, { headers: { authorization: `Bearer ${token}` } }).then(({ status }) => status);
    equal(await ask(), 200);
    await person.press("I have it", "dialog");
    await person.sees(".table", "for the test");
    holds(!(await person.text("body")).includes(token));
    await page.click('button[aria-label="Revoke for the test"]');
    await person.press("Revoke it", "dialog");
    await person.said("Revoked");
    equal(await ask(), 401);
    await person.quiet();
  });
  await promise("the page of agents tells who serves what", async () => {
    await person.go("#/agents");
    const text = await person.sees(".table", "shop/default");
    holds(text.includes("quic") && text.includes("first/default"), text);
  });
  await promise("the overview says what needs somebody, with advice", async () => {
    await person.go("#/overview");
    await person.sees("h1", "need");
    const text = await person.sees(".problems", "later");
    holds(text.includes("relay-agent"), text);
    holds(!/NaN|undefined|null/.test(await person.text("main")), await person.text("main"));
  });
  await promise("its link shows the events in question", async () => {
    await page.evaluate(() => [...document.querySelectorAll(".problems li")].find((one) => one.innerText.includes("later")).querySelector("a").click());
    await until("what waits", async () => (await person.all(".row")).some((row) => row.includes("/job/2")));
  });
  await promise("deliveries are listed by their state", async () => {
    await person.go("#/deliveries?state=waiting");
    await person.sees(".table", "later");
  });
  await promise("who asked for notices gets one for a new event, one that failed and a dead delivery", async () => {
    await house.api("PATCH", "/sources/shop/destinations/default", { rules: { retry: { for_s: 0 } } });
    await person.go("#/sources/shop");
    await until("the switches", async () => (await person.count(".checks input")) === 3);
    const turn = async (isOn) => {
      for (const at of [0, 1, 2]) {
        await page.$$eval(".checks input", (boxes, index) => boxes[index].click(), at);
        await until(`it is ${isOn}`, () => page.$$eval(".checks input", (boxes, index, wanted) => boxes[index].checked === wanted, at, isOn));
      }
    };
    await turn(true);
    const failed = (await house.event("shop", "/fail/1")).id;
    await house.send("shop", "/noticed", { body: "x" });
    await house.send("shop", "/fail/noticed", { body: "x" });
    await house.api("POST", `/events/${failed}/replay`, {});
    for (const [what, words] of [["new events", "/noticed"], ["events that failed", "/fail/noticed: 500"], ["dead deliveries", "default died"]]) {
      await until(`a notice of ${what}`, () => page.evaluate((title, text) => window.notices.some((one) => one.title === title && one.body.includes(text)), `shop: ${what}`, words), 8000);
    }
    await turn(false);
    await house.api("PATCH", "/sources/shop/destinations/default", { rules: { retry: { for_s: null } } });
  });
  await promise("dark or light is chosen, stays so when the page is loaded anew, and can be taken back", async () => {
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await ground();
    await page.click("button[aria-label='Dark theme']");
    const dark = await ground();
    holds(dark !== light, dark);
    await person.open("#/sources");
    await person.sees("h1", "Sources");
    equal(await ground(), dark);
    await page.click("button[aria-label='Light theme']");
    equal([await ground(), await page.evaluate(() => localStorage.getItem("relay.theme"))], [light, null]);
  });
  await promise("a source is deleted after its name was typed", async () => {
    await house.api("POST", "/sources", { slug: "passing" });
    await person.go("#/sources/passing");
    await person.press("Delete…", ".part:last-child");
    await page.waitForSelector("dialog button[type=submit]:disabled");
    await person.fill("dialog input", "passing");
    await person.press("Delete it", "dialog");
    await until("its page is left", async () => page.url().endsWith("#/sources"));
  });
}
