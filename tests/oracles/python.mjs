// The SDKs of sdk.py, asked over a pipe. One process for the whole run; PYTHON names the interpreter of the venv.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** An SDK answers within milliseconds; the first answer waits for all imports. */
const ANSWER_MS = 20_000;

let child;
let count = 0;
const waiting = new Map();

function start() {
  const python = process.env.PYTHON ?? "python3";
  child = spawn(python, [fileURLToPath(new URL("sdk.py", import.meta.url))], { stdio: ["pipe", "pipe", "pipe"] });
  let said = "";
  child.stderr.on("data", (data) => (said = (said + data).slice(-2_000)));
  createInterface({ input: child.stdout }).on("line", (line) => {
    const told = JSON.parse(line);
    waiting.get(told.id)?.(told);
    waiting.delete(told.id);
  });
  const gone = (why) => {
    for (const tell of waiting.values()) tell({ ok: false, broken: `${python} sdk.py ${why}: ${said}` });
    waiting.clear();
  };
  child.on("error", (error) => gone(error.message));
  child.on("exit", (code) => gone(`ended with ${code}`));
}

async function ask(name, key, request, more = {}) {
  if (!child) start();
  const id = (count += 1);
  const { method, url, headers, body } = request;
  const line = { id, name, key, request: { method, url, headers, body: body.toString("base64") }, ...more };
  const told = await new Promise((tell) => {
    const timer = setTimeout(
      () => tell({ ok: false, broken: `no answer of sdk.py within ${ANSWER_MS} ms` }),
      ANSWER_MS,
    );
    waiting.set(id, (told) => (clearTimeout(timer), tell(told)));
    child.stdin.write(`${JSON.stringify(line)}\n`);
  });
  // That there is no judge is not a verdict.
  if (told.broken) throw new Error(told.broken);
  return told;
}

/** Whether the SDK for Python called `name` accepts `request`. */
export const verify = async (name, request, key) => (await ask(name, key, request)).ok;

/** Header fields the SDK for Python called `name` signs `request` with. */
export async function sign(name, request, key, at) {
  const told = await ask(name, key, request, { at: Math.floor(at / 1000) });
  if (!told.ok) throw new Error(told.why);
  return told.headers;
}

/** Ends the process; a run that does not call it does not come to its end. */
export const close = () => child?.stdin.end();
