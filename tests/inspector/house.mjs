// The house under test: a real relay-server, agents and an app, on free ports of loopback, with data in a folder of
// their own. It ends only what it started.

import { execFile, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { startApp } from "./app.mjs";
import { startOverlay } from "./overlay.mjs";
import { until } from "./promise.mjs";

const START_MS = 20_000;
const END_MS = 8000;

/** The caller's own settings must not reach the programs under test. */
const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^RELAY_|_proxy$|^NODE_OPTIONS$/i.test(name)));

const children = new Set();
process.on("exit", () => children.forEach((child) => child.kill("SIGKILL")));
for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]]) process.on(signal, () => process.exit(code));

/** A process whose output is JSON lines. */
class Running {
  constructor(program, args, env = {}) {
    this.name = program.split("/").at(-1);
    this.lines = [];
    this.errors = "";
    this.child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...environment, ...env } });
    children.add(this.child);
    let rest = "";
    this.child.stdout.on("data", (part) => {
      const whole = (rest + part).split("\n");
      rest = whole.pop();
      for (const line of whole) if (line.startsWith("{")) this.lines.push(JSON.parse(line));
    });
    this.child.stderr.on("data", (part) => (this.errors = (this.errors + part).slice(-20_000)));
    this.ended = new Promise((done) => this.child.on("exit", (code, signal) => {
      children.delete(this.child);
      this.code = code ?? signal;
      done(this.code);
    }));
  }

  line(look) {
    return until(`${this.name} is ready`, () => {
      if (this.code !== undefined) throw new Error(`${this.name} ended with ${this.code}: ${this.errors.slice(-300)}`);
      return this.lines.find(look);
    }, START_MS);
  }

  async end() {
    if (this.code !== undefined) return this.code;
    this.child.kill("SIGTERM");
    const timer = setTimeout(() => this.child.kill("SIGKILL"), END_MS);
    const code = await this.ended;
    clearTimeout(timer);
    return code;
  }
}

export async function openHouse(programs) {
  const folder = mkdtempSync(join(tmpdir(), "relay-inspector-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const data = join(folder, "data");
  const server = new Running(join(programs, "relay-server"), ["serve", "--data", data, "--public", "127.0.0.1:0", "--tunnel", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--json"]);
  const ready = await server.line(({ type }) => type === "ready");
  const secrets = readFileSync(join(data, "first-start.txt"), "utf8");
  const token = /admin token\s+(rt_\S+)/.exec(secrets)[1];
  const join_line = /agents join\s+(relay:\S+)/.exec(secrets)[1];
  const app = await startApp();
  const overlay = process.env.INSPECTOR_FILES ? await startOverlay(process.env.INSPECTOR_FILES, ready.admin) : null;

  const house = {
    public: ready.public,
    page: overlay?.url ?? ready.admin,
    token,
    app,
    folder,
    server,

    async api(method, path, body) {
      const response = await fetch(`${ready.admin}/api/v1${path}`, { method, headers: { authorization: `Bearer ${token}`, "content-type": "application/json" }, body: body && JSON.stringify(body) });
      const text = await response.text();
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
      return text ? JSON.parse(text) : null;
    },

    /** Sends a webhook and gives its answer. */
    send(slug, path = "", { method = "POST", headers = {}, body } = {}) {
      return fetch(`${ready.public}/h/${slug}${path}`, { method, headers, body });
    },

    /** Newest event whose path ends so. */
    event(slug, path) {
      return until(`an event of ${slug}${path}`, async () => (await house.api("GET", `/events?limit=200&q=source:${slug}`)).events.find((event) => event.path === `/h/${slug}${path}`));
    },

    /** An agent that serves `slug`; `page` is the address of its inspector. */
    async agent(slug, { name = slug, args = [] } = {}) {
      const home = join(folder, `agent-${name}`);
      mkdirSync(home, { recursive: true });
      const env = { RELAY_CONFIG_DIR: home };
      await house.run(["login", join_line], env);
      const running = new Running(join(programs, "relay-agent"), ["forward", slug, app.url, "--inspector", "127.0.0.1:0", "--json", ...args], env);
      const { url } = await running.line(({ type }) => type === "inspector");
      await running.line(({ state }) => state === "live");
      const shown = process.env.INSPECTOR_FILES ? await startOverlay(process.env.INSPECTOR_FILES, url) : null;
      return { page: (shown?.url ?? url).replace(/\/$/, ""), env, end: () => running.end() };
    },

    run: (args, env) => promisify(execFile)(join(programs, "relay-agent"), args, { env: { ...environment, ...env }, timeout: START_MS }),

    async close() {
      app.end();
      return server.end();
    },
  };
  return house;
}
