// All parts in the order in which a person meets them: the sign-in, the empty page, then a house full of events. Later
// parts use what earlier ones left; `ONLY` skips the looking, and not the making.

import { mkdirSync } from "node:fs";
import { agentsPage } from "./agents_page.mjs";
import { actions } from "./actions.mjs";
import { looks } from "./axe.mjs";
import { bodies } from "./bodies.mjs";
import { offences, openBrowser, openPage } from "./browser.mjs";
import { empty } from "./empty.mjs";
import { eventList } from "./event_list.mjs";
import { fill } from "./fill.mjs";
import { hold } from "./hold.mjs";
import { hostile } from "./hostile.mjs";
import { openHouse } from "./house.mjs";
import { keyboard } from "./keyboard.mjs";
import { lateParts } from "./late_parts.mjs";
import { list } from "./list.mjs";
import { load } from "./load.mjs";
import { otherSites } from "./other_sites.mjs";
import { pictures } from "./pictures.mjs";
import { holds, isWanted, note, promise, tally } from "./promise.mjs";
import { settings } from "./settings.mjs";
import { signIn } from "./sign_in.mjs";
import { smee } from "./smee.mjs";
import { weight } from "./weight.mjs";

const began = Date.now();
const house = await openHouse(process.argv[2]);
const browser = await openBrowser();
process.on("exit", () => browser.process()?.kill("SIGKILL"));
const context = browser.defaultBrowserContext();
await context.overridePermissions(house.page, ["clipboard-read", "clipboard-write", "clipboard-sanitized-write"]);
const person = await openPage(context, house.page);
const world = { house, browser, context, person };

async function part(name, run) {
  if (!isWanted(name)) return;
  const at = Date.now();
  try {
    await run(world);
  } catch (error) {
    await promise(`the part ${name} comes to its end`, () => Promise.reject(error));
  }
  note(`${name} took ${((Date.now() - at) / 1000).toFixed(1)} s`);
}

await part("event_list", eventList);
await part("weight", weight);
if (isWanted("sign_in")) await part("sign_in", signIn);
else await person.signIn(house.token);
await part("empty", empty);
await fill(world);
await part("list", list);
await part("late_parts", lateParts);
await part("bodies", bodies);
await part("actions", actions);
await part("hostile", hostile);
await part("other_sites", otherSites);
await part("keyboard", keyboard);
await part("hold", hold);
await part("settings", settings);
await part("smee", smee);
await part("agents_page", agentsPage);
if (process.env.SCREENSHOTS) {
  mkdirSync(process.env.SCREENSHOTS, { recursive: true });
  await part("pictures", pictures);
}
await part("axe", looks);
await part("load", load);

await promise("all that time: no error on the console, no breach of the policy, no dialog, no request to anywhere else", () => holds(offences.length === 0, offences.slice(0, 5).join("; ")));
await browser.close();
await Promise.all(world.agents.map((agent) => agent.end()));
await promise("the server ends when asked to", async () => holds((await house.close()) === 0, `it ended with ${house.server.code}`));
const { passed, failed } = tally();
note(`${((Date.now() - began) / 1000).toFixed(0)} s`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
