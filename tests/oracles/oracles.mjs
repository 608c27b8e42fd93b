// Every provider of sdk.mjs through the real relay: a source that verifies, an agent, and behind it an app that asks
// the provider's own SDK about the raw bytes it got.
//
//   PYTHON=venv/bin/python node oracles.mjs SERVER AGENT [NAME…]
//
// One line a provider and then a matrix; exit code 1 when anything failed. The columns:
//   live       signed by the provider: 2xx, the app's own answer, and its SDK accepts the bytes as they were sent
//   changed    one bit of what is signed is changed: 401, and the app sees nothing
//   wrong      signed with another key: 401, and the app sees nothing
//   unsigned   the signature left out: 401, and the app sees nothing
//   old        signed too long ago: 401 that says so;  future: signed too far ahead
//   away       the agent is away: 202, and 401 for a changed one; the agent comes back and the app's SDK accepts
//   replay     sent again later as it came, the SDK accepts
//   resigned   sent again once the SDK takes it no more as it came: accepted, with another signature that has the time
//              of the attempt, and the same body
//   late       like it, delivered for the first time: stored while the agent was away for longer than the SDK takes
// A `-` is a column that a scheme does not have.

import { mkdtempSync, rmSync } from "node:fs";
import { randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startApp } from "./app.mjs";
import { failures, holds, promise, skipped, sleep, until } from "./check.mjs";
import { Relay, inWords, saysRefused } from "./relay.mjs";
import { field, post } from "./request.mjs";
import { close, providers } from "./sdk.mjs";

/** Well past what a verifier takes, in both directions. */
const FAR_MS = 60_000;

/** How long an event that is nearly too old has left: it is accepted, and soon after no SDK takes it any more. */
const LEFT_MS = 6_000;

/** The time of a new signature may differ so much from when the app saw it. */
const FRESH_MS = 5_000;

/** Below it an SDK's patience is shorter than an agent's return. */
const PATIENT_S = 10;

/** At once; the relay's and the app's work, not ours, is what takes time. */
const AT_ONCE = 6;

const [server, agent, ...only] = process.argv.slice(2);
if (!server || !agent) {
  console.error("usage: node oracles.mjs SERVER AGENT [NAME...]");
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), "relay-oracles-"));
const chosen = providers.filter(({ name }) => only.length === 0 || only.includes(name));
const tested = chosen.filter(({ keys }) => !keys);
for (const { name, keys } of chosen.filter(({ keys }) => keys)) {
  skipped(`${name}: the relay would have to fetch ${Object.keys(keys())}`);
}

/** What was found, by provider and column: true, or what was found instead. */
const found = new Map(tested.map(({ name }) => [name, {}]));

async function look(provider, column, check) {
  try {
    await check();
    found.get(provider.name)[column] ??= true;
  } catch (error) {
    found.get(provider.name)[column] = error.message;
  }
}

/** Runs `work` for every provider, a few at once. */
async function each(some, work) {
  const left = [...some];
  const worker = async () => {
    for (let provider = left.shift(); provider; provider = left.shift()) await work(provider);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

const relay = await Relay.start(server, agent, folder);
const app = await startApp(tested, (name) => relay.url(name));
const routes = tested.map(({ name }) => ({ name, target: `${app.target}/${name}` }));

/** Sends it with a mark by which the app's record of it is found. */
async function sendMarked(request) {
  const mark = randomUUID();
  const answer = await post({ ...request, headers: [...request.headers, ["X-Oracle-Mark", mark]] });
  return { mark, answer };
}

const seenOf = (mark, { isReplay = false } = {}) => app.seen.find((s) => s.mark === mark && s.isReplay === isReplay);

const waitSeen = (mark, options) => until("the app sees it", () => seenOf(mark, options));

/** The app got the bytes as they were sent, and its SDK accepts. */
function sawAsSent(seen, request) {
  holds(seen.judged.accepted, { "the SDK refuses": seen.judged });
  holds(seen.request.body.equals(request.body), "the body is another one");
  holds(seen.request.url === request.url, `the URL is ${seen.request.url} in place of ${request.url}`);
  sawFields(seen, request.headers);
}

function sawFields(seen, headers) {
  for (const [name, value] of headers) {
    holds(field(seen.request, name) === value, `${name} is ${field(seen.request, name)} in place of ${value}`);
  }
}

/** Sends it and wants it accepted live; gives what the app saw. */
async function live(request) {
  const { mark, answer } = await sendMarked(request);
  holds(answer.status === 200 && !answer.headers["relay-error"], inWords(answer));
  holds(JSON.parse(answer.body).verified === true, inWords(answer));
  const seen = seenOf(mark);
  sawAsSent(seen, request);
  return { mark, seen };
}

/** The sender is told that it is refused, the owner why. */
async function refused(request, reasons) {
  const { mark, answer } = await sendMarked(request);
  holds(saysRefused(answer), inWords(answer));
  const reason = await relay.reason(answer.headers["relay-event-id"]);
  holds(reasons.includes(reason), `the reason is ${reason}, not one of ${reasons.join(", ")}`);
  return mark;
}

/** What a request that is not what was signed may be told: a flipped byte can break the form of what carries it. */
const FORGED = ["wrong_secret", "body_altered", "token_wrong", "malformed"];
const UNSIGNED = ["header_missing"];

const signed = (provider, at = Date.now(), options = {}) => provider.signed(relay.url(provider.name), at, options);

/** Signed so long ago that the SDK takes it for only a little longer. */
function nearlyTooOld({ relay_s = Infinity, app_s = Infinity }) {
  const tolerance = Math.min(relay_s, app_s) * 1000;
  return Date.now() - (tolerance === Infinity ? LEFT_MS : Math.max(0, tolerance - LEFT_MS));
}

/** Waits until the SDK takes what was signed at `at` no more. */
async function expire({ app_s }, at, request, provider) {
  if (!app_s) return;
  await sleep(Math.max(0, at + app_s * 1000 + 1500 - Date.now()));
  const judged = await provider.judged(request);
  holds(judged.refused, { "it should be too old by now": judged });
}

/** What the app saw was signed again, just before. */
function sawResigned(provider, seen, request) {
  holds(seen.judged.accepted, { "the SDK refuses": seen.judged });
  holds(seen.request.body.equals(request.body), "the body is another one");
  const [before, after] = [provider.signatures(request), provider.signatures(seen.request)];
  for (const [n, name] of provider.signature.entries()) {
    holds(after[n] !== before[n], `${name} is the same as before`);
    const count = seen.request.headers.filter(([other]) => other.toLowerCase() === name).length;
    holds(count === 1, `${name} is there ${count} times`);
  }
  const others = request.headers.filter(
    ([name]) => ![...provider.signature, provider.time.field].includes(name.toLowerCase()),
  );
  sawFields(seen, others);
  const lies = Math.abs(provider.time(seen.request) - seen.at);
  holds(lies < FRESH_MS, `the time it carries is ${lies} ms off`);
}

const canBeUnsigned = ({ signature }) => signature.length > 0;
const canExpire = ({ time, resign }) => Boolean(time) && resign;

try {
  // One source a provider, in both ways there are.
  let n = 0;
  await each(tested, async (provider) => {
    const protect = (n++ % 2 === 0 ? relay.protectByVerb : relay.protectByApi).bind(relay);
    await look(provider, "live", () => protect(provider));
  });

  let serving = await relay.up(routes);
  const unseen = new Map(tested.map(({ name }) => [name, []]));

  await each(tested, async (provider) => {
    const not = (column, make, reasons = FORGED) =>
      look(provider, column, async () =>
        unseen.get(provider.name).push([column, await refused(await make(), reasons)]),
      );
    await look(provider, "live", async () => live(await signed(provider)));
    await not("changed", async () => provider.tampered(await signed(provider)));
    await not("wrong", () => signed(provider, Date.now(), { wrong: true }));
    if (canBeUnsigned(provider)) {
      await not("unsigned", async () => {
        const request = await signed(provider);
        return {
          ...request,
          headers: request.headers.filter(([name]) => !provider.signature.includes(name.toLowerCase())),
        };
      }, UNSIGNED);
    }
    if (provider.relay_s) {
      await not("old", () => signed(provider, Date.now() - provider.relay_s * 1000 - FAR_MS), ["stale"]);
      await not("future", () => signed(provider, Date.now() + provider.relay_s * 1000 + FAR_MS), ["future"]);
    }
  });

  // Sent again: as it came, or signed again once it is too old as it came.
  await each(tested, async (provider) => {
    const column = canExpire(provider) ? "resigned" : "replay";
    await look(provider, column, async () => {
      const at = canExpire(provider) ? nearlyTooOld(provider) : Date.now();
      const request = await signed(provider, at);
      const { mark, seen } = await live(request);
      if (provider.resign) await relay.resign(provider, true);
      if (canExpire(provider)) await expire(provider, at, request, provider);
      await relay.replay(seen.event);
      const again = await waitSeen(mark, { isReplay: true });
      holds(again.event === seen.event, "it is another event");
      if (canExpire(provider)) sawResigned(provider, again, request);
      else sawAsSent(again, request);
      if (provider.resign) await relay.resign(provider, false);
    });
  });

  // The agent is away for a moment, and everything is delivered as it came.
  const patient = tested.filter(({ app_s = Infinity }) => app_s >= PATIENT_S);
  await serving.end();
  const stored = [];
  await each(patient, (provider) =>
    look(provider, "away", async () => {
      const request = await signed(provider);
      const { mark, answer } = await sendMarked(request);
      holds(answer.status === 202, inWords(answer));
      stored.push({ provider, request, mark });
      unseen.get(provider.name).push(["away", await refused(provider.tampered(await signed(provider)), FORGED)]);
    }),
  );
  serving = await relay.up(routes);
  for (const { provider, request, mark } of stored) {
    await look(provider, "away", async () => sawAsSent(await waitSeen(mark), request));
  }

  // It is away for longer than SDKs take, and everything is delivered signed again.
  const expiring = tested.filter(canExpire);
  await each(expiring, (provider) => look(provider, "late", () => relay.resign(provider, true)));
  await serving.end();
  const late = [];
  await each(expiring, (provider) =>
    look(provider, "late", async () => {
      const at = nearlyTooOld(provider);
      const request = await signed(provider, at);
      const { mark, answer } = await sendMarked(request);
      holds(answer.status === 202, inWords(answer));
      late.push({ provider, at, request, mark });
    }),
  );
  for (const { provider, at, request } of late) {
    await look(provider, "late", () => expire(provider, at, request, provider));
  }
  serving = await relay.up(routes);
  for (const { provider, request, mark } of late) {
    await look(provider, "late", async () => sawResigned(provider, await waitSeen(mark), request));
  }

  // Nothing that was refused came through after all.
  for (const provider of tested) {
    for (const [column, mark] of unseen.get(provider.name)) {
      await look(provider, column, async () => {
        holds(!app.seen.some((seen) => seen.mark === mark), "refused, and the app saw it all the same");
      });
    }
  }
} catch (error) {
  await promise("the run comes to its end", () => Promise.reject(error));
}

const columns = ["live", "changed", "wrong", "unsigned", "old", "future", "away", "replay", "resigned", "late"];

/** The columns a provider has; one that is missing although it should be there is a failure. */
const wanted = (provider) => [
  ...["live", "changed", "wrong"],
  ...(canBeUnsigned(provider) ? ["unsigned"] : []),
  ...(provider.relay_s ? ["old", "future"] : []),
  ...((provider.app_s ?? Infinity) >= PATIENT_S ? ["away"] : []),
  ...(canExpire(provider) ? ["resigned", "late"] : ["replay"]),
];

for (const provider of tested) {
  const of = found.get(provider.name);
  await promise(`${provider.name}: ${provider.judges().join(" and ")}`, async () => {
    const wrong = wanted(provider).filter((column) => of[column] !== true);
    holds(wrong.length === 0, wrong.map((column) => `${column}: ${of[column] ?? "not looked at"}`).join("; "));
  });
}

await promise("the app could answer everything it got", async () => {
  const broken = app.seen.find(({ error }) => error);
  holds(!broken, `${broken?.name}: ${broken?.error.message}`);
});

for (const { name, code, errors } of await relay.stop()) {
  await promise(`${name} ends when asked to, and logged no error`, async () => {
    holds(code === 0, `exit code ${code}`);
    holds(errors.length === 0, errors.slice(0, 3).join(" "));
  });
}
app.close();
close();

const wide = Math.max(...tested.map(({ name }) => name.length)) + 2;
console.log(`\n${"".padEnd(wide)}${columns.map((column) => column.padEnd(9)).join("")}`);
for (const provider of tested) {
  const cell = (column) =>
    !wanted(provider).includes(column) ? "-" : found.get(provider.name)[column] === true ? "ok" : "FAIL";
  console.log(`${provider.name.padEnd(wide)}${columns.map((column) => cell(column).padEnd(9)).join("")}`.trimEnd());
}
const kinds = new Set(tested.map(({ provider }) => provider));
console.log(`\n${tested.length} entries of ${kinds.size} providers; ${failures()} promises failed`);

if (failures() === 0) rmSync(folder, { recursive: true });
else console.error(`logs are kept in ${folder}`);
process.exitCode = failures() > 0 ? 1 : 0;
