// The receiving app: plain node:http and the providers' own SDKs, nothing of ours. It says on stdout where it listens.
//
//   /github /stripe /standard   200 {"verified":true} if the SDK verifies the raw bytes, else 400
//   /echo                       200 and what it saw: method, url, rawHeaders as pairs, length, sha256, trailers
//   /mirror                     200 and the body that came, with its Content-Type and Content-Encoding
//   /answer                     an answer with its own reason phrase, repeated fields and a Latin-1 value
//   /nothing                    200 and a chunked body that ends at once
//   /trailers?announced /trailers?unannounced  an answer with trailers, with and without a Trailer field
//   /seen?TEXT                  asked directly: what was seen so far of requests whose url holds TEXT

import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { providers } from "./providers.mjs";

const seen = [];

const pairs = (flat) => Array.from({ length: flat.length / 2 }, (_, n) => [flat[2 * n], flat[2 * n + 1]]);

async function read(request) {
  const hash = createHash("sha256");
  const pieces = [];
  const record = { method: request.method, url: request.url, rawHeaders: pairs(request.rawHeaders), whole: false };
  seen.push(record);
  for await (const piece of request) {
    hash.update(piece);
    pieces.push(piece);
  }
  const body = Buffer.concat(pieces);
  Object.assign(record, { length: body.length, sha256: hash.digest("hex"), trailers: pairs(request.rawTrailers) });
  record.whole = true;
  return { body, record };
}

function json(response, status, value) {
  const text = JSON.stringify(value);
  response.writeHead(status, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(text) });
  response.end(text);
}

async function verify(provider, { body, record }, request, response) {
  try {
    await provider.verify(body, request.headers);
    record.verified = true;
    json(response, 200, { verified: true });
  } catch (error) {
    record.verified = false;
    json(response, 400, { verified: false, why: String(error.message) });
  }
}

const answers = {
  echo: ({ record }, _, response) => json(response, 200, record),

  mirror({ body }, request, response) {
    const fields = ["content-type", "content-encoding"].filter((name) => request.headers[name] !== undefined);
    const headers = fields.map((name) => [name, request.headers[name]]);
    response.writeHead(200, { ...Object.fromEntries(headers), "Content-Length": body.length });
    response.end(body);
  },

  answer(_, __, response) {
    const fields = ["X-One", "1", "Set-Cookie", "a=1; Path=/", "x-two", "caf\xe9 \xff", "SET-COOKIE", "b=2; HttpOnly"];
    response.writeHead(203, "Said Letter For Letter", [...fields, "Content-Length", "4"]);
    // As bytes: Node writes a string in one piece with the head, and then the head as UTF-8, too.
    response.end(Buffer.from("said"));
  },

  nothing(_, __, response) {
    response.flushHeaders();
    response.end();
  },

  trailers(_, request, response) {
    response.writeHead(200, request.url.endsWith("?announced") ? { Trailer: "X-Sum, X-More" } : {});
    response.write("abc");
    response.addTrailers([["X-Sum", "3"], ["X-More", "yes"]]);
    response.end();
  },

  seen(_, request, response) {
    const text = request.url.slice("/seen?".length);
    json(response, 200, seen.filter((record) => record.url.includes(text) && !record.url.startsWith("/seen")));
  },
};

const server = createServer(async (request, response) => {
  const name = request.url.split(/[/?]/)[1];
  try {
    const got = await read(request);
    if (Object.hasOwn(providers, name)) await verify(providers[name], got, request, response);
    else if (Object.hasOwn(answers, name)) answers[name](got, request, response);
    else json(response, 404, { why: "no such path" });
  } catch (error) {
    // A request that broke off; its record stays behind as not whole.
    response.destroy(error);
  }
});

server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
