// Nobody sees anything without a token, and nobody who signed out sees anything more.

import { auditSignIn } from "./axe.mjs";
import { equal, holds, promise } from "./promise.mjs";

export async function signIn(world) {
  const { house, person } = world;
  await promise("without a session there is the sign-in, and nothing else", async () => {
    await person.open("#/tokens");
    await person.sees("h1", "Sign in");
    equal(await person.count("nav a"), 0);
  });
  await auditSignIn(world);
  await promise("a wrong token is refused where it was typed", async () => {
    await person.page.type("input[type=password]", "rt_wrong");
    await person.key("Enter");
    await person.sees("form [role=alert]");
    holds(!(await person.at(".top")));
  });
  await promise("the right token shows the page that was asked for", async () => {
    await person.fill("input[type=password]", house.token);
    await person.key("Enter");
    await person.sees("h1", "Tokens");
  });
  await promise("a script on the page cannot read the session", async () => {
    equal(await person.page.evaluate(() => document.cookie), "");
    const kept = await person.page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }));
    holds(!kept.includes("rt_"), kept);
  });
  await promise("signing out ends the session, for a page loaded anew as well", async () => {
    await person.press("Sign out");
    await person.sees("h1", "Sign in");
    await person.open("#/events");
    await person.sees("h1", "Sign in");
  });
  await person.signIn(house.token);
}
