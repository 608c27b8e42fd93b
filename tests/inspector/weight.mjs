// What a person on a slow line waits for: all that the page loads before anybody does anything.

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { equal, holds, note, promise } from "./promise.mjs";

const BUNDLE = fileURLToPath(new URL("bundle", import.meta.url));

const BYTES_MAX = 150 * 1024;

export async function weight({ house }) {
  const text = async (path) => (await fetch(`${house.page}/${path}`)).text();
  const html = await text("");
  const named = [...html.matchAll(/(?:src|href)="(inspector\/[^"]+)"/g)].map(([, path]) => path);
  const sizes = new Map([["index.html", html.length]]);
  const imports = new Set();
  const wanted = [...new Set(named)];
  for (const path of wanted) {
    const source = await text(path);
    sizes.set(path, Buffer.byteLength(source));
    if (!path.endsWith(".js")) continue;
    // As the bundler writes them; import() has a bracket.
    for (const [, from] of source.matchAll(/\b(?:from|import)"(\.[^"]+)"/g)) {
      const found = new URL(from, `http://x/${path}`).pathname.slice(1);
      imports.add(found);
      if (!wanted.includes(found)) wanted.push(found);
    }
  }
  const sum = [...sizes.values()].reduce((all, one) => all + one, 0);
  note(`the page weighs ${(sum / 1024).toFixed(1)} KiB in ${sizes.size} files`);
  await promise("what the page loads at its start weighs less than 150 KiB, uncompressed", () => holds(sum < BYTES_MAX && sizes.size > 3, `${sum} bytes`));
  await promise("the page needs no more than five files to begin", () => holds(sizes.size <= 5, [...sizes.keys()].join(", ")));
  await promise("the scripts of the page are what their sources give", () => promisify(execFile)(BUNDLE, ["--check"]).catch(({ stderr }) => Promise.reject(new Error(stderr.trim()))));
  await promise("the page asks for each of its modules at once, and not one after the other", () => equal([...imports].filter((path) => !named.includes(path)), []));
}
