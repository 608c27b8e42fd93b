// Without a relay: every judge accepts what its provider signs, refuses it with one bit changed, with another key and,
// where it looks at the time, when it is old; and what is signed here is what is signed in the vectors.
//
//   PYTHON=venv/bin/python [VECTORS=vectors.json] node selftest.mjs

import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { failures, holds, promise, skipped } from "./check.mjs";
import { field } from "./request.mjs";
import { close, providers } from "./sdk.mjs";

const URL_BASE = "http://127.0.0.1:8080/h/";

/** Past what any judge takes for "about now". */
const PAST_MS = 2_000;

for (const provider of providers) {
  const url = URL_BASE + provider.name;
  await promise(`${provider.name}: ${provider.judges().join(" and ")}`, async () => {
    const sent = await provider.signed(url);
    const good = await provider.judged(sent);
    holds(good.accepted, { accepted: good });
    const changed = await provider.judged(provider.tampered(sent));
    holds(changed.refused, { "one bit changed": changed });
    const wrong = await provider.judged(await provider.signed(url, Date.now(), { wrong: true }));
    holds(wrong.refused, { "another key": wrong });
    if (provider.time) {
      const lies = Math.abs(provider.time(sent) - Date.now());
      holds(lies < PAST_MS, `the time it carries is ${lies} ms off`);
    }
    if (provider.app_s) {
      const old = await provider.judged(await provider.signed(url, Date.now() - provider.app_s * 1000 - PAST_MS));
      holds(old.refused, { old });
      const young = await provider.judged(await provider.signed(url, Date.now() - provider.app_s * 1000 + PAST_MS));
      holds(young.accepted, { "nearly too old": young });
    }
    if (provider.resign) holds(provider.signature.length > 0, "it can be signed again, but no field is named");
  });
}

/** Vectors that are more than one signature of ours. */
const LEFT_OUT = {
  "contentful-extra-header": "only some of its fields are signed",
  "github-binary-body": "the SDK signs text only",
  "github-empty-body": "the SDK signs no empty body",
  "paddle-rotation-first": "two signatures",
  "stdwh-rotation-with-v1a": "two signatures",
  "stdwh-v1a-ok": "signed with a private key",
  "stripe-v0-plus-v1": "two signatures",
  "twilio-sharedkey-sha256": "not in this SDK",
  "twilio-with-port": "signed for the URL with its port",
};

// Our own few lines against vectors that SDKs and providers' documentation made.
const file = process.env.VECTORS ?? fileURLToPath(new URL("../../provider/tests/vectors.json", import.meta.url));
if (existsSync(file)) {
  const checked = new Set();
  for (const vector of JSON.parse(readFileSync(file, "utf8")).vectors) {
    const { method, url, headers } = vector;
    const request = { method, url, headers, body: Buffer.from(vector.body, "base64") };
    const provider = providers.find(
      ({ provider, signature }) => provider === vector.provider && signature.some((name) => field(request, name)),
    );
    // A public key signs nothing.
    if (!provider || provider.key || vector.expect !== "valid" || typeof vector.secret !== "string") continue;
    if (vector.id in LEFT_OUT) {
      skipped(`vector ${vector.id}: ${LEFT_OUT[vector.id]}`);
      continue;
    }
    await promise(`vector ${vector.id}: the same signature`, async () => {
      const at = provider.time ? provider.time(request) : vector.now * 1000;
      const unsigned = headers.filter(([name]) => !provider.signature.includes(name.toLowerCase()));
      const made = await provider.sign({ ...request, headers: unsigned }, at, vector.secret);
      for (const name of provider.signature) {
        const [found, expected] = [field({ headers: made }, name), field(request, name)];
        // Hex is also written in capitals.
        holds(found === expected || found === expected.toLowerCase(), `${found} in place of ${expected}`);
      }
    });
    checked.add(provider.name);
  }
  console.log(`--  vectors reach ${checked.size} of ${providers.length} entries`);
} else {
  skipped(`vectors: there is no ${file}`);
}

const names = new Set(providers.map(({ provider }) => provider));
console.log(`--  ${providers.length} entries, ${names.size} providers; ${failures()} failed`);
close();
process.exitCode = failures() > 0 ? 1 : 0;
