// The same page on the developer's own machine, served by the agent, where nobody signs in.

import { openPage } from "./browser.mjs";
import { holds, promise, until } from "./promise.mjs";

export async function agentsPage({ house, context, agents: [agent] }) {
  const person = await openPage(context, agent.page);
  await promise("the agent's inspector shows the events without a sign-in", async () => {
    await person.open("#/events");
    await person.sees(".row", "/orders/");
    await person.sees(".presence", "Live");
    holds(!(await person.text(".top")).includes("Sign out"));
  });
  await promise("what arrives shows up there too", async () => {
    await house.send("shop", "/at/the/agent", { headers: { "content-type": "application/json" }, body: '{"here":1}' });
    await person.sees(".row", "/at/the/agent", 4000);
  });
  await promise("its replay reaches the app", async () => {
    await person.go(`#/events/${(await house.event("shop", "/at/the/agent")).id}`);
    await until("the event", async () => (await person.text(".detail-head .facts")).includes("evt_"));
    await person.press("Replay", ".detail-head");
    await person.said("Replayed");
    await until("the app has it", () => house.app.of("/at/the/agent").length === 2);
  });
  await promise("the other pages say there what they may show", async () => {
    for (const page of ["overview", "sources", "sources/shop", "deliveries", "agents", "tokens"]) {
      await person.go(`#/${page}`);
      await person.sees("main h1");
      await until(`${page} is loaded`, async () => !(await person.text("main")).match(/Loading…|Asking…/));
    }
  });
  await person.close();
}
