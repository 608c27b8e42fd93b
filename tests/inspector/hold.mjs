// A source on hold: webhooks wait, and go one at a time, as they came or edited; pause and resume of a whole source.

import { equal, promise, until } from "./promise.mjs";

export async function hold({ house, person, agents }) {
  const { app } = house;
  agents.push(await house.agent("steps"));
  await person.open("#/sources/steps");
  await promise("a source is put on hold, and its webhooks wait", async () => {
    await person.press("Hold…");
    await person.press("Hold", "dialog footer");
    await person.sees(".held", "On hold");
    for (let at = 1; at <= 4; at += 1) equal((await house.send("steps", `/held/${at}`, { headers: { "content-type": "application/json" }, body: `{"held":${at}}` })).status, 202);
    await person.sees(".oldest", "/held/1");
    equal(app.of("/held/").length, 0);
  });
  await promise("the oldest is let go, and the next one shown", async () => {
    await person.press("Let it go", ".oldest");
    await until("the app has it", () => app.of("/held/1").length === 1);
    await person.sees(".oldest", "/held/2");
  });
  await promise("one is edited and let go: the app gets the edited bytes, and only those", async () => {
    await person.press("Edit and let it go", ".oldest");
    await person.fill("dialog textarea", '{"held":"changed"}');
    await person.press("Let the edited copy go", "dialog");
    await until("the app has it", () => app.got.some(({ body }) => body.toString() === '{"held":"changed"}'));
    await person.sees(".oldest", "/held/3");
    equal(app.of("/held/2").filter(({ body }) => body.toString() === '{"held":2}').length, 0);
  });
  await promise("one is dropped after a question", async () => {
    await person.press("Drop", ".oldest");
    await person.press("Drop it", "dialog");
    await person.sees(".oldest", "/held/4");
    equal(app.of("/held/3").length, 0);
  });
  await promise("the end of the hold delivers what waits", async () => {
    await person.press("End the hold");
    await person.press("End it", "dialog");
    await until("the app has it", () => app.of("/held/4").length === 1);
    await person.gone(".held");
  });
  await promise("a paused source answers 503, a resumed one is as before", async () => {
    await person.press("Pause…", ".page-head");
    await person.press("Pause it", "dialog");
    await until("503", async () => (await house.send("steps", "/paused", { body: "x" })).status === 503);
    await person.press("Resume", ".page-head");
    await until("200", async () => (await house.send("steps", "/resumed", { body: "x" })).status === 200);
    await person.quiet();
  });
}
