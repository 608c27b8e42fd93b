// The real relay under test: a server and its agents on loopback, and the few calls that say what a source verifies.
//
// Assumed of the relay, all of it in this file:
//   - `relay-agent source NAME --provider P [--param K=V]… --secret-file FILE` makes the source if there is none and
//     turns verification on; `relay-agent forward NAME URL` takes the same options. One newline at the end of the file
//     is not part of the secret. A token of scope `agent` may do this.
//   - API: POST /sources {"slug"}; PATCH /sources/NAME {"rules": {"provider": {"name", "params", "resign"}}}, which
//     works before there is a secret; POST /sources/NAME/secrets {"secret"}.
//   - What is public about a key (Discord, SendGrid) is given as the secret; `AS_PARAM` says otherwise.
//   - A request that does not verify is answered 401 with a `Relay-Error`, and its app sees nothing of it; too old or
//     too early is told to its owner alone (`reason`). It is refused while the agent is away, too.
//   - Re-signing is for what the relay delivers later (stored deliveries, replays), with the time of the attempt; what
//     passes live passes as it came.
//   - The URL that is signed is {public URL of the server}/h/NAME plus the query, with `http://` and the port.
//   - Nobody can give the server a key it would have to fetch (AWS SNS): `giveKeys` is absent.

import { execFile, spawn } from "node:child_process";
import { mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "./check.mjs";

/** A process gets so long to say that it is ready, a verb to come to its end, a process to end when asked to. */
const START_MS = 20_000;
const VERB_MS = 20_000;
const END_MS = 10_000;

/** Providers whose key is a parameter and not a secret: `{ discord: "public_key" }`. */
const AS_PARAM = {};

/** What re-signing wants to be told: `true` for a source whose stored deliveries are signed again. */
const rules = ({ provider, params }, secret, resign) => ({
  provider: {
    name: provider,
    params: AS_PARAM[provider] ? { ...params, [AS_PARAM[provider]]: secret } : params,
    resign,
  },
});

const told = (answer) => `${answer.headers["relay-error"]} ${answer.body}`;

/** The relay's own refusal of a signature. */
export const saysRefused = (answer) => answer.status === 401 && "relay-error" in answer.headers;

/** What an answer of the relay was, for people. */
export const inWords = (answer) => `${answer.status} ${told(answer).slice(0, 200)}`;

/** The caller's own settings must not reach the programs under test. */
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^RELAY_|_proxy$|^NODE_OPTIONS$/i.test(name)),
);

const children = new Set();
process.on("exit", () => children.forEach(({ child }) => child.kill("SIGKILL")));
for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
])
  process.on(signal, () => process.exit(code));

/** A process in the background, its output in files of `folder`. */
class Running {
  constructor(folder, name, program, args, env = {}) {
    this.name = name;
    [this.out, this.err] = ["out", "err"].map((kind) => join(folder, `${name}.${kind}`));
    const stdio = ["ignore", openSync(this.out, "a"), openSync(this.err, "a")];
    this.from = this.said().length;
    this.child = spawn(program, args, { stdio, env: { ...environment, ...env } });
    children.add(this);
    this.ended = new Promise((resolve) => {
      this.child.on("error", (error) => resolve(error.message));
      this.child.on("exit", (code, signal) => resolve(code ?? signal));
    });
    this.ended.then((code) => {
      this.code = code;
      children.delete(this);
    });
  }

  said() {
    return readFileSync(this.out, "utf8");
  }

  /** The objects this run of it wrote, one a line. */
  lines() {
    const whole = this.said().slice(this.from).split("\n").slice(0, -1);
    return whole.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  }

  /** Waits until its lines have something, and gives that. */
  async until(what, look) {
    return until(
      `${this.name}: ${what}`,
      () => {
        if (this.code !== undefined) throw new Error(`${this.name} ended with ${this.code}: ${this.last()}`);
        return look(this.lines());
      },
      START_MS,
    );
  }

  last() {
    return readFileSync(this.err, "utf8").trim().split("\n").slice(-3).join(" ");
  }

  /** Asks it to end, and gives its exit code. */
  async end() {
    this.child.kill("SIGTERM");
    let timer;
    const late = new Promise((resolve) => (timer = setTimeout(resolve, END_MS, `still there after ${END_MS} ms`)));
    const code = await Promise.race([this.ended, late]);
    clearTimeout(timer);
    return code;
  }

  /** Lines of its log that say a promise was broken. */
  errors() {
    return readFileSync(this.err, "utf8")
      .split("\n")
      .filter((line) => /"level":"ERROR"|\bERROR\b|panicked at/.test(line));
  }
}

function once(program, args, { input = "", env = {} } = {}) {
  return new Promise((resolve, reject) => {
    const options = { env: { ...environment, ...env }, timeout: VERB_MS, encoding: "utf8" };
    const child = execFile(program, args, options, (error, out, err) => {
      if (!error) return resolve(out);
      reject(
        new Error(`${args.slice(0, 2).join(" ")} ended with ${error.code ?? error.signal}: ${(err || out).trim()}`),
      );
    });
    child.stdin.on("error", () => {});
    child.stdin.end(input);
  });
}

export class Relay {
  /** A server of its own in `folder`, and a token of each kind. */
  static async start(server, agent, folder) {
    const relay = new Relay();
    Object.assign(relay, {
      agentProgram: agent,
      serverProgram: server,
      folder,
      data: join(folder, "data"),
      started: [],
    });
    mkdirSync(relay.data, { mode: 0o700 });
    const at = ["--public", "127.0.0.1:0", "--tunnel", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--json"];
    relay.server = relay.run("server", server, ["serve", "--data", relay.data, ...at]);
    const ready = await relay.server.until("ready", (lines) => lines.find(({ type }) => type === "ready"));
    Object.assign(relay, { public: ready.public, admin: ready.admin });
    relay.token = (await relay.makeToken("admin")).trim();
    relay.config = await relay.login("verbs");
    return relay;
  }

  run(name, program, args, env) {
    const running = new Running(this.folder, name, program, args, env);
    this.started.push(running);
    return running;
  }

  makeToken(scope) {
    return once(this.serverProgram, ["token", "create", "--scope", scope, "--data", this.data]);
  }

  /** An identity of its own; gives the environment that means it. */
  async login(name) {
    const env = { RELAY_CONFIG_DIR: join(this.folder, `${name}-config`) };
    await once(this.agentProgram, ["login", "-"], { input: await this.makeToken("agent"), env });
    return env;
  }

  /** The URL a provider is given for the source of this name. */
  url(name) {
    return `${this.public}/h/${name}`;
  }

  async api(method, path, body) {
    const answer = await fetch(`${this.admin}/api/v1${path}`, {
      method,
      headers: { Authorization: `Bearer ${this.token}`, "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(VERB_MS),
    });
    const said = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${said}`);
    return said === "" ? null : JSON.parse(said);
  }

  // --- what a source verifies: adjust these --------------------------------------------------------

  /** Options of `source` and `forward` that turn verification on. */
  options(entry) {
    const { provider, params } = rules(entry, entry.secret, false);
    const options = ["--provider", provider.name];
    for (const [name, value] of Object.entries(provider.params)) options.push("--param", `${name}=${value}`);
    if (AS_PARAM[entry.provider] || entry.secret === "") return options;
    const file = join(this.folder, `${entry.name}.secret`);
    writeFileSync(file, `${entry.secret}\n`, { mode: 0o600 });
    return [...options, "--secret-file", file];
  }

  /** A source that verifies, made by the agent's verb. */
  async protectByVerb(entry) {
    await once(this.agentProgram, ["source", entry.name, ...this.options(entry)], { env: this.config });
  }

  /** A source that verifies, made through the API. */
  async protectByApi(entry) {
    await this.api("POST", "/sources", { slug: entry.name });
    await this.resign(entry, false);
    if (!AS_PARAM[entry.provider] && entry.secret !== "") {
      await this.api("POST", `/sources/${entry.name}/secrets`, { secret: entry.secret });
    }
  }

  /** From now on stored deliveries of this source are signed again, or not. */
  async resign(entry, on) {
    await this.api("PATCH", `/sources/${entry.name}`, { rules: rules(entry, entry.secret, on) });
  }

  // --- agents --------------------------------------------------------------------------------------

  /** An agent that serves `[{ name, target }]`; the same identity whenever it comes. */
  async up(routes) {
    this.upConfig ??= await this.login("up");
    const file = join(this.folder, "relay-agent.toml");
    const route = ({ name, target }) => `[[route]]\nname = "${name}"\ntarget = "${target}"\n`;
    writeFileSync(file, routes.map(route).join("\n"));
    const agent = this.run("agent", this.agentProgram, ["up", file, "--json"], this.upConfig);
    await agent.until(`serves ${routes.length} sources`, (lines) => {
      const served = lines.filter(({ type }) => type === "source");
      const refused = served.find(({ error }) => error);
      if (refused) throw new Error(`${refused.name}: ${JSON.stringify(refused.error)}`);
      return new Set(served.map(({ name }) => name)).size === routes.length;
    });
    return agent;
  }

  /** An agent that forwards one source and, the first time, turns its verification on. */
  async forward(entry, target) {
    this.forwards ??= new Map();
    const isNew = !this.forwards.has(entry.name);
    if (isNew) this.forwards.set(entry.name, await this.login(entry.name));
    const args = ["forward", entry.name, target, "--json", ...(isNew ? this.options(entry) : [])];
    const agent = this.run(`agent-${entry.name}`, this.agentProgram, args, this.forwards.get(entry.name));
    await agent.until("serves its source", (lines) => lines.some(({ type, url }) => type === "source" && url));
    return agent;
  }

  // --- replays -------------------------------------------------------------------------------------

  /** An event that passed live is recorded a moment later. */
  async recorded(event) {
    const is = () =>
      this.api("GET", `/events/${event}`).catch((error) =>
        /: 404 /.test(error.message) ? null : Promise.reject(error),
      );
    await until(`the event ${event} is recorded`, is);
  }

  /** Why the signature of an event was refused. */
  async reason(event) {
    await this.recorded(event);
    return (await this.api("GET", `/events/${event}`)).signature;
  }

  async replay(event) {
    await this.recorded(event);
    await this.api("POST", `/events/${event}/replay`, {});
  }

  /** The same by the agent's verb, which waits until it was delivered. */
  async replayByVerb(event) {
    await this.recorded(event);
    await once(this.agentProgram, ["replay", event, "--wait=20s", "--json"], { env: this.config });
  }

  /** Ends what still runs, agents first; gives `[{ name, code, errors }]`. */
  async stop() {
    const ended = [];
    for (const running of [...this.started].reverse()) {
      const code = running.code ?? (await running.end());
      ended.push({ name: running.name, code, errors: running.errors() });
    }
    return ended;
  }
}
