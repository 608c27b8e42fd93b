// Every rule of sources and destinations: its words, its kind, its default, its help. The forms are drawn from these
// lists, so a new rule is one line here.

/** `kind`: flag, number, choice, text, list, code. `unit` follows the label. `none`: empty means null. */
export const SOURCE_RULES = [
  ["Reply", [
    { key: "reply", label: "What the sender is told", kind: "choice", choices: [["live", "the app's own answer"], ["accepted", "202, once it is stored"]], initial: "live", help: "Live: the sender waits for the app. Accepted: it is stored and answered at once, always." },
    { key: "if_away", label: "When nobody can be asked", kind: "choice", choices: [["accept", "store it, answer 202"], ["refuse", "answer 503"]], initial: "accept", help: "No agent, or nothing listens locally. With refuse, the provider's own retry does the work." },
    { key: "if_slow", label: "When the app is too slow", kind: "choice", choices: [["fail", "answer 504"], ["accept", "store it, answer 202"]], initial: "fail", help: "The app was asked, and patience ran out. With accept the exchange goes on, and its end is attempt 1." },
    { key: "if_failed", label: "When the app answers 408, 425, 429 or 5xx", kind: "choice", choices: [["pass", "pass it on"], ["accept", "store it, answer 202"]], initial: "pass", help: "With accept it is delivered again by the destination's schedule." },
    { key: "if_sender_leaves", label: "When the sender hangs up", kind: "choice", choices: [["finish", "let the app finish"], ["cancel", "hang up on the app too"]], initial: "finish", help: "Either way what happened is recorded." },
    { key: "patience_ms", label: "Patience", unit: "ms", kind: "number", min: 1, max: 600_000, initial: 30_000, help: "How long a sender waits for the answer to begin. At 30,000 it is less where the provider waits less." },
    { key: "accepted.status", label: "Status when stored", kind: "number", min: 200, max: 299, initial: 202, help: "What the sender is told when its event was stored." },
    { key: "accepted.body", label: "Body when stored", kind: "text", none: true, initial: null, help: "Empty: a small JSON object with the event's id. At most 64 KiB." },
  ]],
  ["Who may send", [
    { key: "methods", label: "Methods", kind: "list", initial: [], help: "Such as POST, PUT; empty takes all." },
    { key: "networks", label: "Networks", kind: "list", initial: [], help: "Such as 192.0.2.0/24; empty takes all." },
    { key: "body_bytes_max", label: "Largest body", unit: "bytes", kind: "number", min: 0, none: true, initial: null, help: "Empty: the server's limit, 25 MiB unless it is set." },
    { key: "in_flight_max", label: "At once", unit: "requests", kind: "number", min: 1, initial: 256, help: "More than so many under way are answered 429." },
    { key: "smee", label: "Event stream", kind: "flag", initial: false, help: "Whoever asks the URL for an event stream hears its events, as clients of smee.io and Probot do. No secret guards it." },
    { key: "upgrade", label: "WebSocket", kind: "flag", initial: false, help: "Senders may switch protocols. Such requests are never stored." },
  ]],
  ["Copies", [
    { key: "dedupe.by", label: "Two copies of one webhook are told by", kind: "dedupe", initial: null, help: "A copy is recorded, answered like the first, and not delivered again." },
    { key: "dedupe.window_s", label: "Recognised for", unit: "s", kind: "number", min: 1, max: 2_592_000, initial: 86_400, help: "A day is longer than most providers' first retries.", needs: (rules) => rules.dedupe },
  ]],
];

export const DESTINATION_RULES = [
  ["Where", [
    { key: "url", label: "URL", kind: "text", none: true, initial: null, help: "Straight from the relay. Empty: to whatever agent serves this destination." },
    { key: "timeout_ms", label: "Time for an attempt", unit: "ms", kind: "number", min: 1, max: 600_000, initial: 30_000, help: "Until the answer begins." },
    { key: "sign", label: "Sign deliveries", kind: "flag", initial: false, help: "Standard Webhooks. Published events are signed whatever this says." },
  ]],
  ["What", [
    { key: "events", label: "Events", kind: "list", initial: [], help: "Names such as push or invoice.*; empty takes all." },
    { key: "filter", label: "Filter", kind: "code", none: true, initial: null, help: "jq. What it gives false, null or nothing for is not delivered." },
    { key: "transform", label: "Transform", kind: "code", none: true, initial: null, help: "jq. Makes what is delivered out of what came." },
  ]],
  ["How", [
    { key: "order", label: "Order", kind: "choice", choices: [["none", "several at once"], ["strict", "one after the other"]], initial: "none", help: "Strict: the next only after the last was settled." },
    { key: "concurrency", label: "At once", unit: "attempts", kind: "number", min: 1, max: 256, initial: 16, help: "Keeps a small server busy and does not drown it." },
    { key: "pace_per_s", label: "Pace", unit: "per second", kind: "number", min: 1, max: 10_000, none: true, initial: null, help: "Most attempts begun per second. Empty sets no pace." },
    { key: "retry.first_s", label: "First retry after", unit: "s", kind: "number", min: 1, initial: 5, help: "The delay before the second attempt." },
    { key: "retry.factor", label: "Then times", kind: "number", min: 1, max: 10, initial: 3, help: "What each delay is multiplied with to give the next." },
    { key: "retry.delay_s_max", label: "Longest delay", unit: "s", kind: "number", min: 1, initial: 21_600, help: "6 hours unless set." },
    { key: "retry.for_s", label: "Retry for", unit: "s", kind: "number", min: 0, initial: 259_200, help: "From the first attempt; 3 days unless set. 0: one attempt only." },
  ]],
];

export const read = (rules, key) => key.split(".").reduce((value, part) => value?.[part], rules) ?? null;

/** A merge patch with this one rule. */
export function patchOf(key, value) {
  return key.split(".").reverse().reduce((inner, part) => ({ [part]: inner }), value);
}

export function merge(into, from) {
  for (const [key, value] of Object.entries(from)) {
    if (value && typeof value === "object" && !Array.isArray(value) && into[key] && key !== "by") merge(into[key], value);
    else into[key] = value;
  }
  return into;
}

export const isSame = (one, other) => JSON.stringify(one) === JSON.stringify(other);
