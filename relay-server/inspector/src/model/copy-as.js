// An event as something to paste elsewhere: a curl line, an .http request, the command that keeps it as a fixture. What
// is pasted into a shell holds no character that the shell, or the terminal, would act on.

import { decode } from "./body.js";

/** Fields that the tool makes itself, and those the relay adds for the app. */
const OWN = /^(host|content-length|transfer-encoding|connection|expect|x-forwarded-.*|forwarded|relay-.*)$/i;

const sent = (headers) => headers.filter(([name]) => !OWN.test(name));

/** Where the request goes: the origin of the source's URL, and the path exactly as it was sent. */
function target(event, url) {
  return (url ? new URL(url).origin : "http://localhost:3000") + event.path;
}

/** One word for a POSIX shell; with control characters as `$'…'`, since a terminal acts on them while pasting. */
export function quoted(text) {
  const isPlain = !/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069]/.test(text);
  if (isPlain) return `'${text.replaceAll("'", "'\\''")}'`;
  const escaped = text.replace(/[\\'\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069]/g, (char) =>
    char.charCodeAt(0) < 128 ? `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}` : `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return `$'${escaped}'`;
}

/** The source's URL, or null where it is not known. Bodies that are no text, or not all here, come from a file. */
export function curl(event, url) {
  const { text } = decode(event.body);
  const lines = [`curl -i -X ${quoted(event.method)} --path-as-is --globoff ${quoted(target(event, url))}`];
  for (const [name, value] of sent(event.headers)) lines.push(`-H ${quoted(value === "" ? `${name};` : `${name}: ${value}`)}`);
  const isWhole = text !== null && !event.body.is_partial && !text.includes("\0");
  if (event.body_bytes > 0) lines.push(isWhole ? `--data-raw ${quoted(text)}` : "--data-binary @body.bin");
  return lines.join(" \\\n  ");
}

export function http(event, url) {
  const { text } = decode(event.body);
  const head = [`${event.method} ${target(event, url)}`, ...sent(event.headers).map(([name, value]) => `${name}: ${value}`)];
  const body = event.body_bytes === 0 ? "" : text === null || event.body.is_partial ? "< ./body.bin" : text;
  return `${head.join("\n")}\n\n${body}\n`;
}

export const fixture = (event) => `relay-agent record fixtures ${event.id}`;
