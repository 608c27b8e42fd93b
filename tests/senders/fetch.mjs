// Sender: fetch as it comes with Node (undici).

import assert from "node:assert/strict";
import { BODY_BYTES_MAX, everyByte, flipped, ingresses, promise, sawBody } from "./check.mjs";
import { githubExamples, providers } from "./providers.mjs";

const post = (url, body, headers = {}) => fetch(url, { method: "POST", body, headers });

async function verifies(url, provider, body, ...kind) {
  const answer = await post(url, body, await provider.sign(body, ...kind));
  assert.deepEqual([answer.status, await answer.json()], [200, { verified: true }]);
}

/** `body` in uneven pieces of unknown total length. */
function stream(body) {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= body.length) return controller.close();
      controller.enqueue(body.subarray(at, at + 7 + at));
      at += 7 + at;
    },
  });
}

for (const { word, base } of ingresses) {
  const where = `(${word}, fetch)`;

  for (const [name, provider] of Object.entries(providers)) {
    const url = `${base}/${name}`;
    await promise(`a ${name} event verifies after the relay ${where}`, () => verifies(url, provider, provider.event));

    await promise(`a ${name} event with one flipped bit does not verify ${where}`, async () => {
      const answer = await post(url, flipped(provider.event), await provider.sign(provider.event));
      assert.equal(answer.status, 400);
      assert.equal((await answer.json()).verified, false);
    });

    await promise(`a ${name} event sent as a stream verifies ${where}`, async () => {
      const headers = await provider.sign(provider.event);
      const answer = await fetch(url, { method: "POST", headers, body: stream(provider.event), duplex: "half" });
      assert.deepEqual([answer.status, await answer.json()], [200, { verified: true }]);
    });
  }

  await promise(`every one of ${githubExamples.length} github example events verifies ${where}`, async () => {
    assert.ok(githubExamples.length > 300);
    const left = [...githubExamples];
    const worker = async () => {
      for (let next; (next = left.pop()); ) await verifies(`${base}/github`, providers.github, next.body, next.name);
    };
    await Promise.all(Array.from({ length: 8 }, worker));
  });

  await promise(`50 events at once verify ${where}`, async () => {
    const all = Object.entries(providers);
    const sent = Array.from({ length: 50 }, (_, n) => all[n % all.length]);
    await Promise.all(sent.map(([name, provider]) => verifies(`${base}/${name}`, provider, provider.event)));
  });

  await promise(`a github event as large as the limit verifies ${where}`, async () => {
    const [start, end] = ['{"zen":"', '"}'];
    const body = Buffer.from(start + "a".repeat(BODY_BYTES_MAX - start.length - end.length) + end);
    assert.equal(body.length, BODY_BYTES_MAX);
    await verifies(`${base}/github`, providers.github, body, "ping");
  });

  for (const [what, body] of [["every byte value", everyByte], ["no byte at all", Buffer.alloc(0)]]) {
    await promise(`a body of ${what} arrives and comes back ${where}`, async () => {
      sawBody(await (await post(`${base}/echo`, body)).json(), body);
      const back = Buffer.from(await (await post(`${base}/mirror`, body)).arrayBuffer());
      assert.ok(back.equals(body), `${back.toString("hex")} came back`);
    });
  }

  await promise(`path and query arrive as they are ${where}`, async () => {
    const target = "/echo//a/%2e%2e%2f/%zz;v=1?a=1&a=2&b=%20+&&=%&c[]=x|y&u=%C3%A9&e=";
    assert.equal((await (await fetch(base + target)).json()).url, target);
  });

  await promise(`a path the app does not know is its 404, not the relay's ${where}`, async () => {
    const answer = await post(`${base}/elsewhere`, "x");
    assert.deepEqual([answer.status, await answer.json()], [404, { why: "no such path" }]);
    assert.equal(answer.headers.get("relay-error"), null);
  });
}

// A request that still hangs has failed already and holds nobody up.
process.exit();
