// Real receiving apps, their SDKs' middleware unchanged, behind the agent: Express with Stripe's constructEvent,
// Octokit's middleware, a Slack app of Bolt, and Discord's interactions. One `relay-agent forward` each.
//
//   PYTHON=venv/bin/python node apps.mjs SERVER AGENT
//
//   live      accepted, and the sender gets the app's own answer
//   changed   one bit changed: 401, and the app sees nothing
//   late      202 while the agent is away; accepted once it is back
//   replay    accepted again as it came
//   resigned  accepted again once the SDK takes it no more as it came (Stripe, Slack; the others do not expire)

import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Webhooks, createNodeMiddleware } from "@octokit/webhooks";
import bolt from "@slack/bolt";
import { InteractionResponseType, verifyKeyMiddleware } from "discord-interactions";
import express from "express";
import Stripe from "stripe";
import { failures, holds, promise, sleep, until } from "./check.mjs";
import { Relay, inWords, saysRefused } from "./relay.mjs";
import { post } from "./request.mjs";
import { close, providers } from "./sdk.mjs";

/** How long an event that is nearly too old has left: it is accepted, and soon after no SDK takes it any more. */
const LEFT_MS = 5_000;

const [server, agent] = process.argv.slice(2);
if (!server || !agent) {
  console.error("usage: node apps.mjs SERVER AGENT");
  process.exit(2);
}

/** An entry of sdk.mjs as a source of its own. */
const entry = (name) =>
  Object.create(
    providers.find((provider) => provider.name === name),
    { name: { value: `${name}-app` } },
  );

const [stripe, github, slack, command, discord] = ["stripe", "github", "slack", "slack-command", "discord"].map(entry);

// --- the apps: nothing of ours but what they do with a verified event ---------------------------------

/** What the handlers behind the SDKs got. */
const handled = [];

const app = express();

/** What became of each request: `{ mark, event, isReplay, status }`. */
const answered = [];
app.use((request, response, next) => {
  const { "x-oracle-mark": mark, "relay-event-id": event, "relay-replay": replay } = request.headers;
  response.on("finish", () =>
    answered.push({ mark, event, isReplay: replay !== undefined, status: response.statusCode }),
  );
  next();
});

app.post("/stripe", express.raw({ type: "application/json" }), (request, response) => {
  let event;
  try {
    event = new Stripe("sk_test_of_nobody").webhooks.constructEvent(
      request.body,
      request.headers["stripe-signature"],
      stripe.secret,
    );
  } catch (error) {
    return response.status(400).send(`Webhook Error: ${error.message}`);
  }
  handled.push(`stripe ${event.type}`);
  response.json({ received: true });
});

const webhooks = new Webhooks({ secret: github.secret });
webhooks.on("push", ({ payload }) => handled.push(`github ${payload.ref}`));
app.use(createNodeMiddleware(webhooks, { path: "/github", log: { debug() {}, info() {}, warn() {}, error() {} } }));

const receiver = new bolt.ExpressReceiver({
  signingSecret: slack.secret,
  endpoints: "/slack",
  logLevel: bolt.LogLevel.ERROR,
});
const slackApp = new bolt.App({
  receiver,
  authorize: async () => ({ botToken: "xoxb-of-nobody", botId: "B1", botUserId: "U0" }),
  logLevel: bolt.LogLevel.ERROR,
});
slackApp.event("app_mention", async ({ event }) => void handled.push(`slack ${event.type}`));
slackApp.command("/weather", async ({ command, ack }) => {
  handled.push(`slack ${command.command}`);
  await ack(`rain: ${command.text}`);
});
app.use(receiver.app);

app.post("/discord", verifyKeyMiddleware(discord.secret), (request, response) => {
  handled.push(`discord ${request.body.data.name}`);
  response.send({ type: InteractionResponseType.CHANNEL_MESSAGE_WITH_SOURCE, data: { content: "hi" } });
});

const listening = app.listen(0, "127.0.0.1");
await new Promise((ready) => listening.once("listening", ready));
const base = `http://127.0.0.1:${listening.address().port}`;

// --- what is tried ------------------------------------------------------------------------------------

/** The apps: where each listens, what its handler notes, what its sender is told (Bolt acknowledges with nothing). */
const apps = [
  { entry: stripe, path: "/stripe", notes: "stripe invoice.paid", answer: '{"received":true}' },
  { entry: github, path: "/github", notes: "github refs/heads/main", answer: "ok\n" },
  { entry: slack, path: "/slack", notes: "slack app_mention", answer: "" },
  { entry: command, path: "/slack", notes: "slack /weather", answer: "rain: amber & more Æ" },
  { entry: discord, path: "/discord", notes: "discord hi", answer: '{"type":4,"data":{"content":"hi"}}' },
];

const folder = mkdtempSync(join(tmpdir(), "relay-apps-"));
const relay = await Relay.start(server, agent, folder);

async function sendMarked(request) {
  const mark = randomUUID();
  const answer = await post({ ...request, headers: [...request.headers, ["X-Oracle-Mark", mark]] });
  return { mark, answer };
}

const answeredOf = (mark, isReplay) => answered.filter((a) => a.mark === mark && a.isReplay === isReplay);

const count = ({ notes }) => handled.filter((note) => note === notes).length;

/** The middleware let it through to the handler, which had run `before` times. */
async function accepted(app, mark, isReplay, before) {
  const [{ status }] = await until("the app answers", () => {
    const found = answeredOf(mark, isReplay);
    return found.length > 0 && found;
  });
  holds(status === 200, `the app answered ${status}`);
  await until("its handler is called", () => count(app) > before);
}

/** The sender is told what the app told one that came without a relay. */
function answersAs(answer, { answer: expected }, direct) {
  holds(answer.status === 200 && !answer.headers["relay-error"], inWords(answer));
  holds(answer.body.toString() === expected, `the answer is ${JSON.stringify(answer.body.toString())}`);
  for (const name of ["content-type", "etag"]) {
    holds(
      answer.headers[name] === direct.headers[name],
      `${name} is ${answer.headers[name]} in place of ${direct.headers[name]}`,
    );
  }
}

for (const app of apps) {
  try {
    const { entry, path } = app;
    const signed = (at) => entry.signed(relay.url(entry.name), at);
    const say = (text) => `${entry.name}: ${text}`;
    let forwarding = await relay.forward(entry, base + path);
    let event;
    let mark;

    await promise(say("live, with the app's own answer"), async () => {
      const request = await signed();
      const direct = await post({ ...request, url: base + path });
      await until("its handler is called", () => count(app) > 0);
      const before = count(app);
      const sent = await sendMarked(request);
      answersAs(sent.answer, app, direct);
      await accepted(app, sent.mark, false, before);
      [mark, event] = [sent.mark, answeredOf(sent.mark, false)[0].event];
    });

    await promise(say("one bit changed is refused, and not seen"), async () => {
      const { mark, answer } = await sendMarked(entry.tampered(await signed()));
      holds(saysRefused(answer), inWords(answer));
      holds(answeredOf(mark, false).length === 0, "the app saw it");
    });

    await promise(say("replayed as it came"), async () => {
      const before = count(app);
      await relay.replayByVerb(event);
      await accepted(app, mark, true, before);
    });

    await promise(say("late, once its agent is back"), async () => {
      await forwarding.end();
      const before = count(app);
      const sent = await sendMarked(await signed());
      holds(sent.answer.status === 202, inWords(sent.answer));
      forwarding = await relay.forward(entry, base + path);
      await accepted(app, sent.mark, false, before);
    });

    if (entry.app_s) {
      await promise(say("signed again when it was too old as it came"), async () => {
        const at = Date.now() - entry.app_s * 1000 + LEFT_MS;
        const request = await signed(at);
        const sent = await sendMarked(request);
        holds(sent.answer.status === 200, inWords(sent.answer));
        await relay.resign(entry, true);
        await sleep(at + entry.app_s * 1000 + 1500 - Date.now());
        // What a relay would do that does not sign again.
        const direct = await post({ ...request, url: base + path });
        holds(direct.status >= 400, `the app still takes it as it came: ${direct.status}`);
        const before = count(app);
        await relay.replayByVerb(answeredOf(sent.mark, false)[0].event);
        await accepted(app, sent.mark, true, before);
      });
    }
  } catch (error) {
    await promise(`${app.entry.name} is forwarded`, () => Promise.reject(error));
  }
}

for (const { name, code, errors } of await relay.stop()) {
  await promise(`${name} ends when asked to, and logged no error`, async () => {
    holds(code === 0, `exit code ${code}`);
    holds(errors.length === 0, errors.slice(0, 3).join(" "));
  });
}
listening.close();
listening.closeAllConnections();
close();

console.log(`--  ${apps.length} apps; ${failures()} promises failed`);
if (failures() === 0) rmSync(folder, { recursive: true });
else console.error(`logs are kept in ${folder}`);
process.exitCode = failures() > 0 ? 1 : 0;
