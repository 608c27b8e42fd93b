// One webhook as bytes: how entries of sdk.mjs make it, sign it, read it, and how it goes over the wire unchanged.

import { createHmac } from "node:crypto";
import { request as send } from "node:http";

/** A sender waits so long for the whole answer. */
const ANSWER_MS = 15_000;

export const hmac = (alg, key, enc, ...parts) =>
  parts.reduce((mac, part) => mac.update(part), createHmac(alg, key)).digest(enc);

/** The one value of a header field, or undefined. */
export const field = ({ headers }, name) => headers.find(([n]) => n.toLowerCase() === name.toLowerCase())?.[1];

/** Header fields as most SDKs want them: names in lower case, one value each. */
export const plain = ({ headers }) => Object.fromEntries(headers.map(([n, v]) => [n.toLowerCase(), v]));

export const text = ({ body }) => body.toString();

/** The fields of a form; one that is there several times is an array. */
export function form(request) {
  const fields = new URLSearchParams(text(request));
  const value = (name) => (fields.getAll(name).length > 1 ? fields.getAll(name) : fields.get(name));
  return Object.fromEntries([...new Set(fields.keys())].map((name) => [name, value(name)]));
}

export const seconds = (at) => String(Math.floor(at / 1000));

/** `request` with one header field in place of those of its name. */
export const withField = (request, name, value) => ({
  ...request,
  headers: [...request.headers.filter(([n]) => n.toLowerCase() !== name.toLowerCase()), [name, value]],
});

/** `bytes` with one bit of the first letter of `word` changed: still JSON, a form or base64, as it was before. */
export function flipped(bytes, word) {
  const copy = Buffer.from(bytes);
  const at = copy.indexOf(word);
  if (at < 0) throw new Error(`nothing to change: no "${word}" in it`);
  copy[at] ^= 2;
  return copy;
}

/** Sends `request` as it is and gives the answer: `{ status, headers, body }`. */
export async function post(request) {
  const { hostname, port, host, pathname, search } = new URL(request.url);
  // What the URL class would write otherwise must reach the relay as it was signed.
  const path = request.url.slice(request.url.indexOf(host) + host.length) || pathname + search;
  const lines = [["Host", host], ...request.headers, ["Content-Length", String(request.body.length)]];
  return new Promise((resolve, reject) => {
    const options = { hostname, port, path, method: request.method, headers: lines.flat(), agent: false };
    const sent = send(options, async (answer) => {
      try {
        const pieces = [];
        for await (const piece of answer) pieces.push(piece);
        resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(pieces) });
      } catch (error) {
        reject(error);
      }
    });
    sent.setTimeout(ANSWER_MS, () => sent.destroy(new Error(`no answer within ${ANSWER_MS} ms`)));
    sent.on("error", reject);
    sent.end(request.body);
  });
}
