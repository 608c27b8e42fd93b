// Sender: node:http and node:https, with header lines exactly as given.

import assert from "node:assert/strict";
import http from "node:http";
import https from "node:https";
import { BODY_BYTES_MAX, everyByte, flipped, foreign, ingresses, promise, sawBody } from "./check.mjs";
import { providers } from "./providers.mjs";

const pairs = (flat) => Array.from({ length: flat.length / 2 }, (_, n) => [flat[2 * n], flat[2 * n + 1]]);

/**
 * Sends `fields` (pairs, in this order, after Host) and `body`; `pieces` instead of a body is sent chunked.
 * Gives status, reason, header and trailer pairs, body.
 */
function send(url, { method = "POST", fields = [], body, pieces, trailers, agent, expects = false } = {}) {
  const { protocol, host, hostname, port } = new URL(url);
  const path = url.slice(url.indexOf(host) + host.length);
  const lines = [["Host", host], ...fields];
  if (body !== undefined) lines.push(["Content-Length", String(body.length)]);
  if (pieces !== undefined) lines.push(["Transfer-Encoding", "chunked"]);
  const options = { method, hostname, port, path, agent, headers: lines.flat() };
  return new Promise((yes, no) => {
    const request = (protocol === "https:" ? https : http).request(options);
    request.on("error", no);
    request.on("response", async (response) => {
      try {
        const got = [];
        for await (const piece of response) got.push(piece);
        yes({
          status: response.statusCode,
          reason: response.statusMessage,
          fields: pairs(response.rawHeaders),
          trailers: pairs(response.rawTrailers),
          body: Buffer.concat(got),
        });
      } catch (error) {
        no(error);
      }
    });
    const write = () => {
      for (const piece of pieces ?? []) request.write(piece);
      if (trailers) request.addTrailers(trailers);
      request.end(body);
    };
    if (!expects) return write();
    request.on("continue", write);
    request.flushHeaders();
  });
}

const echo = async (url, options) => JSON.parse((await send(url, options)).body);
const values = (pairs, name) => pairs.filter(([n]) => n.toLowerCase() === name).map(([, value]) => value);

for (const { word, base } of ingresses) {
  const where = `(${word}, node:${word === "tls" ? "https" : "http"})`;

  for (const [name, provider] of Object.entries(providers)) {
    await promise(`a ${name} event verifies after the relay ${where}`, async () => {
      const fields = Object.entries(await provider.sign(provider.event));
      const answer = await send(`${base}/${name}`, { fields, body: provider.event });
      assert.deepEqual([answer.status, String(answer.body)], [200, '{"verified":true}']);
    });

    await promise(`a ${name} event with one flipped bit does not verify ${where}`, async () => {
      const fields = Object.entries(await provider.sign(provider.event));
      assert.equal((await send(`${base}/${name}`, { fields, body: flipped(provider.event) })).status, 400);
    });
  }

  await promise(`header fields arrive in order, with repeats, case and bytes ${where}`, async () => {
    const fields = [
      ["X-Multi", "one"], ["x-other", "inner  space"], ["X-MULTI", "two"], ["Accept", "*/*"], ["X-Empty", ""],
      ["X-Latin", "caf\xe9 \xff\x80"], ["Cookie", "a=1"], ["x_under", "kept"], ["Cookie", "b=2"], ["X-Multi", "three"],
    ];
    const seen = await echo(`${base}/echo`, { fields, body: everyByte });
    assert.deepEqual(foreign(seen.rawHeaders), [...fields, ["Content-Length", "256"]]);
  });

  await promise(`the app hears who asked, and how, exactly once ${where}`, async () => {
    const fields = [["X-Forwarded-For", "6.6.6.6"], ["X-Forwarded-Proto", "gopher"], ["Relay-Event-Id", "evt_fake"]];
    const { rawHeaders } = await echo(`${base}/echo`, { fields, body: everyByte });
    assert.deepEqual(values(rawHeaders, "x-forwarded-for"), ["127.0.0.1"]);
    assert.deepEqual(values(rawHeaders, "x-forwarded-proto"), [word === "tls" ? "https" : "http"]);
    assert.deepEqual(values(rawHeaders, "x-forwarded-host"), [new URL(base).host]);
    const [id, ...more] = values(rawHeaders, "relay-event-id");
    assert.ok(id.startsWith("evt_") && id !== "evt_fake" && more.length === 0, id);
  });

  const sums = [["X-Sum", "7"], ["X-More", "yes"]];
  const lower = (pairs) => pairs.map(([name, value]) => [name.toLowerCase(), value]);

  for (const [kind, fields] of [["announced", [["Trailer", "X-Sum, X-More"]]], ["unannounced", []]]) {
    await promise(`a chunked body and its ${kind} trailers arrive ${where}`, async () => {
      const pieces = ["abc", everyByte, "x".repeat(70_000)].map((piece) => Buffer.from(piece));
      const seen = await echo(`${base}/echo`, { fields, pieces, trailers: sums });
      sawBody(seen, Buffer.concat(pieces));
      assert.deepEqual(values(seen.rawHeaders, "transfer-encoding"), ["chunked"]);
      assert.deepEqual(lower(seen.trailers), lower(sums));
    });

    await promise(`${kind} trailers of the answer come back ${where}`, async () => {
      const answer = await send(`${base}/trailers?${kind}`, { fields: [["TE", "trailers"]], method: "GET" });
      assert.deepEqual([answer.status, String(answer.body)], [200, "abc"]);
      assert.deepEqual(lower(answer.trailers), [["x-sum", "3"], ["x-more", "yes"]]);
    });
  }

  await promise(`the answer's head comes back letter for letter ${where}`, async () => {
    const answer = await send(`${base}/answer`, { method: "GET" });
    assert.deepEqual([answer.status, answer.reason], [203, "Said Letter For Letter"]);
    assert.deepEqual(answer.fields.slice(0, 5), [
      ["X-One", "1"], ["Set-Cookie", "a=1; Path=/"], ["x-two", "caf\xe9 \xff"], ["SET-COOKIE", "b=2; HttpOnly"],
      ["Content-Length", "4"],
    ]);
  });

  await promise(`a sender that waits for 100 Continue gets it ${where}`, async () => {
    const fields = [["Expect", "100-continue"]];
    sawBody(await echo(`${base}/echo`, { fields, body: everyByte, expects: true }), everyByte);
  });

  await promise(`100 requests on one connection are each answered with their own ${where}`, async () => {
    const agent = new (word === "tls" ? https : http).Agent({ keepAlive: true, maxSockets: 1 });
    const numbers = Array.from({ length: 100 }, (_, n) => Buffer.from(`body ${n}`));
    const answers = await Promise.all(numbers.map((body) => send(`${base}/mirror`, { body, agent })));
    agent.destroy();
    assert.deepEqual(answers.map(({ body }) => String(body)), numbers.map(String));
  });

  await promise(`a body as large as the limit arrives ${where}`, async () => {
    const body = Buffer.alloc(BODY_BYTES_MAX, everyByte);
    sawBody(await echo(`${base}/echo`, { body }), body);
  });
}

// A request that still hangs has failed already and holds nobody up.
process.exit();
