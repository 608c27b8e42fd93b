// The language of the search field, as far as the page needs it: terms for chips, and what may be typed next. Whether
// a query is right is the server's to say.

const TERM = /(-?)(?:([a-z_]+):)?("(?:[^"\\]|\\.)*"?|[^\s"]\S*|$)/gi;

export const KEYS = [
  ["source", "through which source it came", "source:github"],
  ["status", "what the sender was told", "status:5xx|404"],
  ["outcome", "what happened", "outcome:not_sent"],
  ["event", "the provider's name for it", "event:invoice.*"],
  ["delivery", "state of a delivery", "delivery:dead"],
  ["method", "HTTP method", "method:POST"],
  ["path", "path and query as sent", "path:/h/shop/*"],
  ["body", "text in the body", 'body:"order_17"'],
  ["header", "text in the header", 'header:"x-test"'],
  ["signature", "verified, refused or none", "signature:refused"],
  ["since", "not older than", "since:2h"],
  ["until", "not newer than", "until:2026-11-22T10:00"],
  ["pinned", "pinned ones only", "pinned:yes"],
  ["note", "text in the note", 'note:"ask Ann"'],
];

const VALUES = {
  method: ["POST", "GET", "PUT", "PATCH", "DELETE", "HEAD"],
  status: ["2xx", "3xx", "4xx", "5xx", "200", "202", "401", "404", "500", "502", "503", "504"],
  outcome: ["answered", "accepted", "not_sent", "sent_no_answer", "refused", "duplicate", "greeted"],
  delivery: ["waiting", "leased", "delivered", "dead", "cancelled"],
  signature: ["verified", "refused", "none"],
  since: ["15m", "1h", "2h", "24h", "7d"],
  pinned: ["yes"],
};

/** `[{text, from, to, isNegated, key, value}]` */
export function terms(query) {
  const out = [];
  for (const match of query.matchAll(TERM)) {
    const text = match[0];
    if (!text) continue;
    const value = match[3].replace(/^"((?:[^"\\]|\\.)*)"?$/, "$1");
    out.push({ text, from: match.index, to: match.index + text.length, isNegated: match[1] === "-", key: match[2]?.toLowerCase() ?? null, value });
  }
  return out;
}

export function without(query, term) {
  return `${query.slice(0, term.from)} ${query.slice(term.to)}`.replace(/\s+/g, " ").trim();
}

/** The query with this key set to this value; null takes the key out. */
export function withKey(query, key, value) {
  const rest = terms(query).filter((term) => term.key !== key || term.isNegated).map((term) => term.text);
  return [...rest, ...(value ? [`${key}:${/\s/.test(value) ? `"${value}"` : value}`] : [])].join(" ");
}

/** What may stand where the caret is: `{from, to, choices: [{insert, label, about}]}`. */
export function complete(query, caret, sources) {
  const from = query.slice(0, caret).search(/\S*$/);
  const word = query.slice(from, caret);
  const to = caret + query.slice(caret).search(/\s|$/);
  const [, dash, key, typed] = /^(-?)(?:([a-z_]+):)?(.*)$/i.exec(word);
  if (!key) {
    if (!typed && !dash) return { from, to, choices: [] };
    const choices = KEYS.filter(([name]) => name.startsWith(typed.toLowerCase()) && name !== typed)
      .map(([name, about, sample]) => ({ insert: `${dash}${name}:`, label: `${dash}${name}:`, about: `${about}, as ${sample}` }));
    return { from, to, choices };
  }
  const values = key === "source" ? sources : (VALUES[key] ?? []);
  const last = typed.split("|").pop().toLowerCase();
  const before = word.slice(0, word.length - last.length);
  const choices = values.filter((value) => value.toLowerCase().startsWith(last) && value.toLowerCase() !== last)
    .slice(0, 12).map((value) => ({ insert: `${before}${value} `, label: value, about: "" }));
  return { from, to, choices };
}

/** The filter of `POST /replay` that means the same as this query, or the terms it has no words for. */
export function bulkFilter(query, now = Date.now()) {
  const filter = {};
  const left = [];
  let source = null;
  for (const term of terms(query)) {
    const isSimple = !term.isNegated && !term.value.includes("|");
    const time = () => moment(term.value, now);
    if (isSimple && term.key === "source") source = term.value;
    else if (isSimple && term.key === "delivery") filter.state = term.value;
    else if (isSimple && ["method", "status", "outcome"].includes(term.key)) filter[term.key] = term.value;
    else if (isSimple && ["since", "until"].includes(term.key) && time()) filter[term.key] = time();
    else left.push(term.text);
  }
  return { source, filter, left };
}

function moment(value, now) {
  const relative = /^(\d+)(s|m|h|d)$/.exec(value);
  if (relative) return new Date(now - relative[1] * { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[relative[2]]).toISOString();
  const at = new Date(value);
  return Number.isNaN(at.getTime()) ? null : at.toISOString();
}
