// Numbers, times and hostile text as a reader wants them. Nothing here makes HTML; texts stay texts.

const two = (n) => String(n).padStart(2, "0");
const three = (n) => String(n).padStart(3, "0");

export function clock(iso) {
  const at = new Date(iso);
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${three(at.getMilliseconds())}`;
}

export function day(iso) {
  const at = new Date(iso);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

/** Day and time, the day only where it is another one than today. */
export function moment(iso) {
  if (!iso) return "";
  const time = clock(iso).slice(0, 8);
  return day(iso) === day(Date.now()) ? time : `${day(iso)} ${time}`;
}

export function span(us) {
  if (us === null || us === undefined) return "";
  if (us < 1000) return us === 0 ? "0 ms" : `${us} µs`;
  if (us < 10_000) return `${(us / 1000).toFixed(1)} ms`;
  if (us < 1_000_000) return `${Math.round(us / 1000)} ms`;
  if (us < 60_000_000) return `${(us / 1_000_000).toFixed(us < 10_000_000 ? 2 : 1)} s`;
  return `${Math.floor(us / 60_000_000)} min ${Math.round((us % 60_000_000) / 1_000_000)} s`;
}

const UNITS = [[86_400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

/** `3 min`, `2 h`: one unit, for ages. */
export function age(iso, now = Date.now()) {
  const seconds = Math.max(0, Math.round((now - new Date(iso)) / 1000));
  const [size, unit] = UNITS.find(([size]) => seconds >= size) ?? UNITS.at(-1);
  return `${Math.floor(seconds / size)} ${unit}`;
}

export function ago(iso) {
  return `${age(iso)} ago`;
}

export function bytes(n) {
  if (n < 1000) return `${n} B`;
  if (n < 1024 * 1000) return `${(n / 1024).toFixed(n < 10_240 ? 1 : 0)} KiB`;
  return `${(n / 1024 / 1024).toFixed(1)} MiB`;
}

/** `12,345` */
export const count = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, ",");
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

/** Milliseconds since 1970: the first nine digits of an id, in Crockford's base 32. */
export function idMoment(id) {
  return [...id.slice(4, 13)].reduce((sum, digit) => sum * 32 + "0123456789abcdefghjkmnpqrstvwxyz".indexOf(digit), 0);
}

// Control characters, zero-width characters, and those that turn the direction of writing: they make text look like
// other text. Line breaks and tabs are left to the place that shows them.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** Text cut into `[text, isEscaped]`, with what cannot be seen written as `\u202e`. Pass `lines` to keep line breaks. */
export function pieces(text, { lines = false } = {}) {
  const out = [];
  let from = 0;
  const unseen = lines ? UNSEEN : new RegExp(`${UNSEEN.source}|[\\t\\n]`, "g");
  for (const match of text.matchAll(unseen)) {
    if (match.index > from) out.push([text.slice(from, match.index), false]);
    out.push([`\\u${match[0].charCodeAt(0).toString(16).padStart(4, "0")}`, true]);
    from = match.index + match[0].length;
  }
  if (from < text.length) out.push([text.slice(from), false]);
  return out;
}

/** The same as one text, for places that take no elements: titles, labels, menus. */
export const plain = (text) => pieces(text).map(([piece]) => piece).join("");
