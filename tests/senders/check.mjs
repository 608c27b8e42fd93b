// Promises as lines: `ok  PROMISE`, or `FAIL  PROMISE: what was found instead`. For the senders in JavaScript.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";

/** No promise may take longer; a debug build moves 25 MiB in two seconds. */
const PROMISE_MS = 8_000;

/** What the relay accepts by default, in bytes. */
export const BODY_BYTES_MAX = 25 * 1024 * 1024;

/** Where senders send to: each is called by the word its promises carry. */
export const ingresses = [
  { word: "plain", base: process.env.PLAIN },
  { word: "tls", base: process.env.TLS },
];

export const everyByte = Buffer.from(Array.from({ length: 256 }, (_, n) => n));

export const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

/** `body` with one bit of one letter changed. */
export function flipped(body) {
  const copy = Buffer.from(body);
  copy[copy.indexOf("a")] ^= 1;
  return copy;
}

/** Runs `check` and says in one line whether the promise holds. */
export async function promise(text, check) {
  let timer;
  const late = new Promise((_, no) => {
    timer = setTimeout(() => no(new Error(`no end within ${PROMISE_MS} ms`)), PROMISE_MS);
  });
  try {
    await Promise.race([check(), late]);
    console.log(`ok  ${text}`);
  } catch (error) {
    const why = [error.message, error.cause?.message].filter(Boolean).join(": ");
    console.log(`FAIL  ${text}: ${why.replace(/\s+/g, " ").slice(0, 1000)}`);
  } finally {
    clearTimeout(timer);
  }
}

/** What the relay puts in place of a sender's own, and what concerns one connection only. */
const OURS = [
  "host", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "relay-event-id", "relay-attempt", "connection",
];

/** Header pairs of which nothing but a sender's own are left. */
export const foreign = (pairs) => pairs.filter(([name]) => !OURS.includes(name.toLowerCase()));

/** The app saw `body`, all of it and nothing else. */
export function sawBody(seen, body) {
  assert.deepEqual([seen.length, seen.sha256], [body.length, sha256(body)]);
}
