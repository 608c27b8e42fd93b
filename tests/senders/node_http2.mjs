// Sender: node:http2, with prior knowledge on the plain port and by ALPN on the other.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import http2 from "node:http2";
import { BODY_BYTES_MAX, everyByte, flipped, ingresses, promise, sawBody } from "./check.mjs";
import { providers } from "./providers.mjs";

/** One request on `session`; gives header object, trailers and body. */
function send(session, { path, method = "POST", headers = {}, body, trailers }) {
  return new Promise((yes, no) => {
    const fields = { ":method": method, ":path": path, ...headers };
    const stream = session.request(fields, { waitForTrailers: trailers !== undefined });
    const answer = { headers: {}, trailers: {} };
    const got = [];
    stream.on("response", (headers) => (answer.headers = headers));
    stream.on("trailers", (trailers) => (answer.trailers = trailers));
    stream.on("wantTrailers", () => stream.sendTrailers(trailers));
    stream.on("data", (piece) => got.push(piece));
    stream.on("error", no);
    stream.on("end", () => yes({ ...answer, status: answer.headers[":status"], body: Buffer.concat(got) }));
    stream.end(body);
  });
}

const values = (pairs, name) => pairs.filter(([n]) => n === name).map(([, value]) => value);

for (const { word, base } of ingresses) {
  const where = `(${word}, node:http2)`;
  const { origin, pathname: mount } = new URL(base);
  // Node refuses answers while a session of its own holds more than 10 MB that is not sent yet.
  const session = http2.connect(origin, { ca: readFileSync(process.env.CA), maxSessionMemory: 100 });
  session.on("error", () => {}); // Every stream under way hears of it, too.
  const echo = async (options) => JSON.parse((await send(session, { path: `${mount}/echo`, ...options })).body);

  for (const [name, provider] of Object.entries(providers)) {
    const ask = async (body) => {
      const headers = await provider.sign(provider.event);
      return send(session, { path: `${mount}/${name}`, headers, body });
    };
    await promise(`a ${name} event verifies after the relay ${where}`, async () => {
      const answer = await ask(provider.event);
      assert.deepEqual([answer.status, String(answer.body)], [200, '{"verified":true}']);
    });
    await promise(`a ${name} event with one flipped bit does not verify ${where}`, async () => {
      assert.equal((await ask(flipped(provider.event))).status, 400);
    });
  }

  await promise(`repeated header fields stay apart and in order ${where}`, async () => {
    const headers = { "x-multi": ["one", "two", "three"], "x-other": "inner  space", "x-empty": "" };
    const { rawHeaders } = await echo({ headers, body: everyByte });
    assert.deepEqual(values(rawHeaders, "x-multi"), ["one", "two", "three"]);
    assert.deepEqual(values(rawHeaders, "x-other"), ["inner  space"]);
    assert.deepEqual(values(rawHeaders, "x-empty"), [""]);
  });

  await promise(`cookies sent in crumbs arrive as one field ${where}`, async () => {
    const { rawHeaders } = await echo({ headers: { cookie: ["a=1", "b=2", "c=3"] }, body: everyByte });
    assert.deepEqual(values(rawHeaders, "cookie"), ["a=1; b=2; c=3"]);
  });

  for (const [kind, headers] of [["announced", { trailer: "x-sum, x-more" }], ["unannounced", {}]]) {
    await promise(`a body and its ${kind} trailers arrive ${where}`, async () => {
      const seen = await echo({ headers, body: everyByte, trailers: { "x-sum": "7", "x-more": "yes" } });
      sawBody(seen, everyByte);
      assert.deepEqual(seen.trailers, [["x-sum", "7"], ["x-more", "yes"]]);
    });

    await promise(`${kind} trailers of the answer come back ${where}`, async () => {
      const answer = await send(session, { path: `${mount}/trailers?${kind}`, method: "GET" });
      const { "x-sum": sum, "x-more": more } = answer.trailers;
      assert.deepEqual([answer.status, String(answer.body), sum, more], [200, "abc", "3", "yes"]);
    });
  }

  await promise(`two Set-Cookie fields of the answer stay two ${where}`, async () => {
    const answer = await send(session, { path: `${mount}/answer`, method: "GET" });
    assert.deepEqual([answer.status, String(answer.body)], [203, "said"]);
    assert.deepEqual(answer.headers["set-cookie"], ["a=1; Path=/", "b=2; HttpOnly"]);
  });

  await promise(`100 streams at once are each answered with their own ${where}`, async () => {
    const numbers = Array.from({ length: 100 }, (_, n) => `body ${n}`);
    const path = `${mount}/mirror`;
    const answers = await Promise.all(numbers.map((body) => send(session, { path, body: Buffer.from(body) })));
    assert.deepEqual(answers.map(({ body }) => String(body)), numbers);
  });

  await promise(`a body of no byte at all arrives ${where}`, async () => {
    sawBody(await echo({ body: Buffer.alloc(0) }), Buffer.alloc(0));
  });

  const large = Buffer.alloc(BODY_BYTES_MAX + 1, everyByte);
  for (const [kind, headers] of [["declared", { "content-length": large.length }], ["undeclared", {}]]) {
    await promise(`a body of ${kind} length one byte over the limit gets 413 ${where}`, async () => {
      const tag = `over=node_http2_${word}_${kind}`;
      const answer = await send(session, { path: `${mount}/echo?${tag}`, headers, body: large });
      assert.deepEqual([answer.status, answer.headers["relay-error"]], [413, "body_too_large"]);
      const seen = await (await fetch(`${process.env.APP}/seen?${tag}`)).json();
      assert.ok(seen.every((record) => !record.whole), "never a whole request for the app");
    });
  }

  await promise(`a body as large as the limit arrives ${where}`, async () => {
    const body = large.subarray(1);
    sawBody(await echo({ body }), body);
  });

  session.destroy();
}
