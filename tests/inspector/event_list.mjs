// The list's own promise, by chance and at length: see event_list_check.mjs, which needs a process, and a clock, of its own.

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { note, promise } from "./promise.mjs";

const SEEDS = 150;

export async function eventList() {
  await promise("whatever is late, broken or lost on the way to the list, no row is lost in silence", async () => {
    const check = fileURLToPath(new URL("event_list_check.mjs", import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, ["--no-warnings", check, "1", String(SEEDS)]).catch((error) => {
      throw new Error(error.stderr || error.message);
    });
    note(stdout.trim());
  });
}
