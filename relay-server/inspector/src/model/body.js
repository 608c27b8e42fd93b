// What a body is, and its forms to be read in. Everything here gives texts and lists; hostile HTML and SVG are texts
// like any other and are never drawn.

export function field(headers, name) {
  return headers.find(([key]) => key.toLowerCase() === name)?.[1] ?? "";
}

/** `{text, bytes}` of a body as the API gives it; `text` is null where it is not UTF-8. */
export function decode(body) {
  if (body.text !== undefined) return { text: body.text, bytes: new TextEncoder().encode(body.text) };
  if (body.base64 !== undefined) return { text: null, bytes: fromBase64(body.base64) };
  return { text: "", bytes: new Uint8Array() };
}

function fromBase64(base64) {
  return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
}

/** `"json" | "form" | "multipart" | "xml" | "text" | "binary" | "empty"`, by what it is and then by what it says it is. */
export function kindOf(type, text, length) {
  if (!length) return "empty";
  if (/^multipart\//i.test(type)) return "multipart";
  if (text === null) return "binary";
  const start = text.trimStart()[0];
  if (/json/i.test(type) || start === "{" || start === "[") return "json";
  if (/x-www-form-urlencoded/i.test(type)) return "form";
  if (/xml|html|svg/i.test(type) || (start === "<" && /^\s*<[?!a-z]/i.test(text))) return "xml";
  return "text";
}

export function formPairs(text) {
  return text.split("&").filter(Boolean).map((pair) => {
    const [name, value = ""] = pair.split(/=(.*)/s);
    return [unescape(name), unescape(value)];
  });
}

function unescape(text) {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return text;
  }
}

/** Parts of a multipart body, as far as they are there: `[{headers, bytes}]`; null without a boundary. */
export function parts(bytes, type) {
  const boundary = /boundary="?([^";]+)"?/i.exec(type)?.[1];
  if (!boundary) return null;
  // Latin-1 maps every byte to one character, so that positions in the text are positions in the bytes.
  const text = new TextDecoder("latin1").decode(bytes);
  const out = [];
  let at = text.indexOf(`--${boundary}`);
  while (at >= 0) {
    const start = at + boundary.length + 2;
    const next = text.indexOf(`--${boundary}`, start);
    if (text.startsWith("--", start) || next < 0) break;
    const headEnd = text.indexOf("\r\n\r\n", start);
    if (headEnd < 0 || headEnd > next) break;
    const headers = text.slice(start, headEnd).split("\r\n").filter(Boolean).map((line) => line.split(/:\s*(.*)/s).slice(0, 2));
    out.push({ headers, bytes: bytes.subarray(headEnd + 4, Math.max(headEnd + 4, next - 2)) });
    at = next;
  }
  return out;
}

/** XML and HTML with one tag a line and its depth as indentation. Only white space is added. */
export function indentXml(text) {
  const out = [];
  let depth = 0;
  for (const token of text.match(/<!--[\s\S]*?-->|<!\[CDATA\[[\s\S]*?\]\]>|<[^>]*>|[^<]+/g) ?? [text]) {
    const piece = token.trim();
    if (!piece) continue;
    if (/^<\//.test(piece)) depth = Math.max(0, depth - 1);
    out.push("  ".repeat(Math.min(depth, 40)) + piece);
    if (/^<[a-z]/i.test(piece) && !/\/>$/.test(piece) && !/^<(area|base|br|col|embed|hr|img|input|link|meta|source|track|wbr)\b/i.test(piece)) depth += 1;
  }
  return out.join("\n");
}

/** `00000010  7b 22 …  {"…` from `start` on. */
export function hex(bytes, start = 0) {
  const lines = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = [...bytes.subarray(at, at + 16)];
    const digits = row.map((byte) => byte.toString(16).padStart(2, "0"));
    const left = digits.slice(0, 8).join(" ").padEnd(23);
    const right = digits.slice(8).join(" ").padEnd(23);
    const shown = row.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : "·")).join("");
    lines.push(`${(start + at).toString(16).padStart(8, "0")}  ${left}  ${right}  ${shown}`);
  }
  return lines.join("\n");
}
