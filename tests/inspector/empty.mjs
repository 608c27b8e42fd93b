// The empty page is the tutorial: it makes the first source, and says how the first event comes.

import { audit } from "./axe.mjs";
import { holds, promise, until } from "./promise.mjs";

export async function empty(world) {
  const { house, person, page = person.page } = world;
  await promise("with no source the page offers to make one", async () => {
    await person.open("#/events");
    await person.sees(".first-steps", "Make your first source");
  });
  if (!process.env.ONLY || process.env.ONLY.includes("axe")) await audit(world, "empty", ["#/events", "#/overview", "#/sources", "#/deliveries", "#/agents"]);
  await promise("a source is made in the page, with its provider", async () => {
    await person.open("#/events");
    await person.press("New source");
    await person.fill("dialog input", "first");
    await until("providers", () => page.$("dialog option[value=github]"));
    await page.select("dialog select", "github");
    await person.press("Make it", "dialog");
    await person.sees("h1", "first");
    const { rules } = await house.api("GET", "/sources/first");
    holds(rules.provider?.name === "github", rules.provider);
  });
  await promise("with a source and no event it shows the URL, a curl line and the provider's steps", async () => {
    await person.go("#/events");
    const text = await person.sees(".first-steps", "Register the URL with GitHub");
    holds(text.includes(`curl -i '${house.public}/h/first'`) && !text.includes("{url}"), text);
  });
  await promise("its button sends a test event, which shows up at once", async () => {
    await person.press("Send a test event");
    await person.said("on its way");
    await person.sees(".row .what", "issue_comment", 5000);
  });
}
