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
  await promise("who asked for notices gets one for a new event", async () => {
    await person.go("#/sources/shop");
    await until("the switches", async () => (await person.count(".checks input")) === 3);
    await page.click(".checks input");
    await until("it is on", () => page.$eval(".checks input", (box) => box.checked));
    await house.send("shop", "/noticed", { body: "x" });
    const notices = await until("a notice", () => page.evaluate(() => (window.notices.length ? window.notices : null)), 8000);
    holds(notices[0].title.startsWith("shop") && notices[0].body.includes("/noticed"), notices);
    await page.click(".checks input");
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
