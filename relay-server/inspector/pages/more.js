// Made from ../src by tests/inspector/bundle: change it there. Contains Preact (MIT) and htm (Apache-2.0), see ../src/vendor.
import {
  Button,
  Chip,
  CopyButton,
  CopyLine,
  Dialog,
  Field,
  G,
  J,
  KEYS,
  Menu,
  PageHead,
  Q,
  Segments,
  Shape,
  Tabs,
  Text,
  Trouble,
  Y,
  address,
  ago,
  ask,
  attempt,
  attemptStory,
  bulkFilter,
  bytes,
  chip,
  clock,
  copy,
  count,
  day,
  fe,
  get,
  go,
  idMoment,
  isSigned,
  link,
  listen,
  moment,
  nameOf,
  nextId,
  notified,
  patch,
  plain,
  plural,
  post,
  reason,
  remove,
  say,
  session,
  shortcuts,
  signIn,
  signatureWords,
  span,
  stateChip,
  story,
  useAnswer,
  useKeys,
  useSignal,
  whyNotAdmin,
  whyNotManage
} from "./start.js";

// views/agents.js
function Agents() {
  const { value, error, again } = useAnswer((signal) => get("/agents", {}, signal), [], { every: 3e3 });
  const agents = value?.agents ?? [];
  return fe`<div class="padded">
    <${PageHead} title="Agents" about="Connected now, through the tunnel." />
    <${Trouble} error=${error} retry=${again} />
    ${value && !agents.length && fe`<div class="none"><p>No agent is connected. On the machine where your app runs:</p><${CopyLine} label="Command" text="relay-agent 3000" /><p class="dim">What came meanwhile waits, and is delivered as soon as one is there.</p></div>`}
    ${agents.length > 0 && fe`<div class="table-box" tabindex="0" role="region" aria-label="Agents"><table class="table">
      <thead><tr><th scope="col">Host</th><th scope="col">Program</th><th scope="col">From</th><th scope="col">Transport</th><th scope="col" class="end">Round trip</th><th scope="col" class="end">In flight</th><th scope="col">Serves</th><th scope="col">Connected</th></tr></thead>
      <tbody>${agents.map((agent) => fe`<tr key=${agent.session}>
        <th scope="row" title=${agent.agent}><${Text} text=${agent.host} /></th><td><${Text} text=${agent.program} /></td><td class="mono">${agent.remote}</td><td>${agent.transport}</td>
        <td class="num end">${span(agent.rtt_us)}</td><td class="num end">${agent.in_flight}</td>
        <td>${agent.serves.map((served, index) => fe`${index > 0 && ", "}<a href=${link("sources", served.split("/")[0])}>${served}</a>`)}</td><td class="num">${ago(agent.connected_ms)}</td></tr>`)}</tbody></table></div>`}
  </div>`;
}

// model/body.js
function field(headers, name) {
  return headers.find(([key]) => key.toLowerCase() === name)?.[1] ?? "";
}
function decode(body) {
  if (body.text !== void 0) return { text: body.text, bytes: new TextEncoder().encode(body.text) };
  if (body.base64 !== void 0) return { text: null, bytes: fromBase64(body.base64) };
  return { text: "", bytes: new Uint8Array() };
}
function fromBase64(base64) {
  return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
}
function kindOf(type, text, length) {
  if (!length) return "empty";
  if (/^multipart\//i.test(type)) return "multipart";
  if (text === null) return "binary";
  const start = text.trimStart()[0];
  if (/json/i.test(type) || start === "{" || start === "[") return "json";
  if (/x-www-form-urlencoded/i.test(type)) return "form";
  if (/xml|html|svg/i.test(type) || start === "<" && /^\s*<[?!a-z]/i.test(text)) return "xml";
  return "text";
}
function formPairs(text) {
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
function parts(bytes2, type) {
  const boundary = /boundary="?([^";]+)"?/i.exec(type)?.[1];
  if (!boundary) return null;
  const text = new TextDecoder("latin1").decode(bytes2);
  const out = [];
  let at = text.indexOf(`--${boundary}`);
  while (at >= 0) {
    const start = at + boundary.length + 2;
    const next = text.indexOf(`--${boundary}`, start);
    if (text.startsWith("--", start) || next < 0) break;
    const headEnd = text.indexOf("\r\n\r\n", start);
    if (headEnd < 0 || headEnd > next) break;
    const headers = text.slice(start, headEnd).split("\r\n").filter(Boolean).map((line) => line.split(/:\s*(.*)/s).slice(0, 2));
    out.push({ headers, bytes: bytes2.subarray(headEnd + 4, Math.max(headEnd + 4, next - 2)) });
    at = next;
  }
  return out;
}
function indentXml(text) {
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
function hex(bytes2, start = 0) {
  const lines = [];
  for (let at = 0; at < bytes2.length; at += 16) {
    const row = [...bytes2.subarray(at, at + 16)];
    const digits = row.map((byte) => byte.toString(16).padStart(2, "0"));
    const left = digits.slice(0, 8).join(" ").padEnd(23);
    const right = digits.slice(8).join(" ").padEnd(23);
    const shown = row.map((byte) => byte > 31 && byte < 127 ? String.fromCharCode(byte) : "·").join("");
    lines.push(`${(start + at).toString(16).padStart(8, "0")}  ${left}  ${right}  ${shown}`);
  }
  return lines.join("\n");
}

// model/json.js
var DEPTH_MAX = 400;
var NotJson = class extends Error {
  constructor(message, at) {
    super(message);
    this.at = at;
  }
};
function parse(text) {
  let at = 0;
  const fail = (what) => {
    throw new NotJson(what, at);
  };
  const space = () => {
    while (at < text.length && " 	\r\n".includes(text[at])) at += 1;
  };
  const SIMPLE = /[^"\\\u0000-\u001f]*/y;
  function string() {
    const start = at;
    at += 1;
    for (; ; ) {
      SIMPLE.lastIndex = at;
      SIMPLE.exec(text);
      at = SIMPLE.lastIndex;
      if (text[at] === '"') break;
      if (text[at] !== "\\") fail(at >= text.length ? "a string does not end" : "a control character in a string");
      at += 2;
    }
    at += 1;
    try {
      return JSON.parse(text.slice(start, at));
    } catch {
      return fail("a string is not well formed");
    }
  }
  const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
  function value(depth) {
    if (depth > DEPTH_MAX) fail("nested too deeply to show as a tree");
    space();
    const char = text[at];
    if (char === '"') return { kind: "string", text: string() };
    if (char === "{" || char === "[") return container(char, depth);
    for (const word of ["true", "false", "null"]) {
      if (text.startsWith(word, at)) {
        at += word.length;
        return { kind: "literal", text: word };
      }
    }
    NUMBER.lastIndex = at;
    const number = NUMBER.exec(text);
    if (!number) fail(at >= text.length ? "the text ends too early" : `\`${text[at]}\` was not expected`);
    at = NUMBER.lastIndex;
    return { kind: "number", text: number[0] };
  }
  function container(open2, depth) {
    const node = open2 === "{" ? { kind: "object", keys: [], items: [] } : { kind: "array", items: [] };
    const close = open2 === "{" ? "}" : "]";
    at += 1;
    space();
    if (text[at] === close) {
      at += 1;
      return node;
    }
    for (; ; ) {
      if (node.keys) {
        space();
        if (text[at] !== '"') fail("a key was expected");
        node.keys.push(string());
        space();
        if (text[at] !== ":") fail("`:` was expected");
        at += 1;
      }
      node.items.push(value(depth + 1));
      space();
      const char = text[at];
      at += 1;
      if (char === close) return node;
      if (char !== ",") {
        at -= 1;
        fail(`\`,\` or \`${close}\` was expected`);
      }
    }
  }
  const root = value(0);
  space();
  if (at < text.length) fail("something follows the end");
  return root;
}
function pretty(node, indent = "") {
  if (node.kind === "string") return JSON.stringify(node.text);
  if (!node.items) return node.text;
  const [open2, close] = node.keys ? "{}" : "[]";
  if (!node.items.length) return open2 + close;
  const inner = `${indent}  `;
  const lines = node.items.map((item, i) => inner + (node.keys ? `${JSON.stringify(node.keys[i])}: ` : "") + pretty(item, inner));
  return `${open2}
${lines.join(",\n")}
${indent}${close}`;
}
function position(text, at) {
  const before = text.slice(0, at).split("\n");
  return `line ${before.length}, column ${before.at(-1).length + 1}`;
}

// model/diff.js
var CELLS_MAX = 2e6;
function diff(before, after) {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start += 1;
  let end = 0;
  while (end < before.length - start && end < after.length - start && before.at(-1 - end) === after.at(-1 - end)) end += 1;
  const same = (line) => ({ sign: " ", left: line, right: line });
  const left = before.slice(start, before.length - end);
  const right = after.slice(start, after.length - end);
  return [...before.slice(0, start).map(same), ...middle(left, right), ...before.slice(before.length - end).map(same)];
}
function middle(left, right) {
  const removed = (line) => ({ sign: "-", left: line, right: null });
  const added = (line) => ({ sign: "+", left: null, right: line });
  if ((left.length + 1) * (right.length + 1) > CELLS_MAX) return [...left.map(removed), ...right.map(added)];
  const width = right.length + 1;
  const table = new Uint16Array((left.length + 1) * width);
  for (let i2 = left.length - 1; i2 >= 0; i2 -= 1) {
    for (let j2 = right.length - 1; j2 >= 0; j2 -= 1) {
      table[i2 * width + j2] = left[i2] === right[j2] ? table[(i2 + 1) * width + j2 + 1] + 1 : Math.max(table[(i2 + 1) * width + j2], table[i2 * width + j2 + 1]);
    }
  }
  const out = [];
  let i = 0;
  let j = 0;
  while (i < left.length && j < right.length) {
    if (left[i] === right[j]) {
      out.push({ sign: " ", left: left[i], right: right[j] });
      i += 1;
      j += 1;
    } else if (table[(i + 1) * width + j] >= table[i * width + j + 1]) {
      out.push(removed(left[i]));
      i += 1;
    } else {
      out.push(added(right[j]));
      j += 1;
    }
  }
  return [...out, ...left.slice(i).map(removed), ...right.slice(j).map(added)];
}
function hunks(lines, around = 3) {
  const keep = /* @__PURE__ */ new Set();
  lines.forEach(({ sign }, at) => {
    if (sign === " ") return;
    for (let i = at - around; i <= at + around; i += 1) keep.add(i);
  });
  const out = [];
  lines.forEach((line, at) => {
    if (keep.has(at)) out.push(line);
    else if (out.at(-1) !== null) out.push(null);
  });
  return out;
}

// parts/diff-view.js
var LINES_MAX = 5e3;
function paired(lines) {
  const rows = [];
  let open2 = 0;
  for (const line of lines) {
    if (line?.sign === "+" && open2 < rows.length && rows[open2]?.right === null) {
      rows[open2].right = line.right;
      open2 += 1;
    } else {
      if (line?.sign !== "-" || rows.at(-1)?.right !== null || !rows.length) open2 = rows.length;
      rows.push(line && { left: line.left, right: line.right, isSame: line.sign === " " });
    }
  }
  return rows;
}
function DiffView({ before, after, names }) {
  const [isAll, setAll] = G(false);
  const lines = Y(() => diff(before.slice(0, LINES_MAX), after.slice(0, LINES_MAX)), [before, after]);
  const [removed, added] = ["-", "+"].map((wanted) => lines.filter(({ sign }) => sign === wanted).length);
  if (!removed && !added) return fe`<p class="dim none">No difference.</p>`;
  const cell = (text, isSame2, sign, kind) => fe`<span class=${isSame2 || text === null ? "" : kind} role="cell">${!isSame2 && text !== null && fe`<i class="sign">${sign}</i>`}<${Text} text=${text ?? ""} /></span>`;
  return fe`<div class="diff">
    <div class="bar"><span class="dim grow" role="status">${plural(removed, "line")} only in ${names[0]}, ${plural(added, "line")} only in ${names[1]}</span>
      <label class="check"><input type="checkbox" checked=${isAll} onChange=${() => setAll(!isAll)} /> all lines</label></div>
    ${Math.max(before.length, after.length) > LINES_MAX && fe`<p class="hint">Only the first ${LINES_MAX} lines are compared.</p>`}
    <div class="diff-lines" tabindex="0" role="table" aria-label=${`Left ${names[0]}, right ${names[1]}`}>
      ${paired(isAll ? lines : hunks(lines)).map((row) => row === null ? fe`<div class="diff-cut" role="row"><span role="cell">⋯</span></div>` : fe`<div role="row" class=${row.isSame ? "" : "differs"}>${cell(row.left, row.isSame, "−", "removed")}${cell(row.right, row.isSame, "+", "added")}</div>`)}</div>
  </div>`;
}

// views/compare.js
function bodyLines(body) {
  const { text, bytes: bytes2 } = decode(body);
  if (text === null) return [`(${bytes2.length} bytes that are not text)`];
  try {
    return pretty(parse(text)).split("\n");
  } catch {
    return text.split("\n");
  }
}
var requestLines = (event) => [`${event.method} ${event.path}`, ...event.headers.map(([name, value]) => `${name}: ${value}`), "", ...bodyLines(event.body)];
var answerLines = (status, { headers, body }) => [`status ${status ?? "none"}`, ...headers.map(([name, value]) => `${name}: ${value}`), "", ...bodyLines(body)];
var NONE = { headers: [], body: { text: "" } };
function Compare({ event, recent, onClose }) {
  const attempts2 = event.deliveries.filter((delivery) => delivery.attempts.length).flatMap((delivery) => delivery.attempts.map(({ no }) => ({ delivery: delivery.id, no })));
  const same = recent.filter((row) => row.name === event.name && row.source === event.source);
  const choices = [...same, ...recent.filter((row) => !same.includes(row))];
  const [what, setWhat] = G("request");
  const [other, setOther] = G(choices[0]?.id ?? "");
  const [typed, setTyped] = G("");
  const [pair, setPair] = G([attempts2[0], attempts2.at(-1)]);
  const [loaded, setLoaded] = G({ value: null, error: null });
  const wanted = /^evt_[0-9a-z]{26}$/.test(typed.trim()) ? typed.trim() : other;
  J(() => {
    const controller = new AbortController();
    setLoaded({ value: null, error: null });
    const load = async () => {
      if (what === "attempts") return Promise.all(pair.map(async ({ delivery, no }) => (await get(`/deliveries/${delivery}`, {}, controller.signal)).attempts.find((one) => one.no === no)));
      return wanted ? get(`/events/${wanted}`, {}, controller.signal) : null;
    };
    load().then((value) => setLoaded({ value, error: null }), (error) => error.name !== "AbortError" && setLoaded({ value: null, error }));
    return () => controller.abort();
  }, [what, wanted, pair]);
  const [before, after] = Y(() => {
    if (!loaded.value) return [null, null];
    if (what === "attempts") return loaded.value.map((one) => answerLines(one?.status, one?.answer ?? NONE));
    if (Array.isArray(loaded.value)) return [null, null];
    if (what === "answer") return [answerLines(loaded.value.status, loaded.value.answer), answerLines(event.status, event.answer)];
    return [requestLines(loaded.value), requestLines(event)];
  }, [loaded, what]);
  const names = what === "attempts" ? ["the first", "the second"] : ["the other", "this event"];
  return fe`<${Dialog} title="Compare" wide onClose=${onClose}>
    <div class="compare-choice">
      <${Field} label="Compare" control=${(rest) => fe`<select ...${rest} value=${what} onChange=${(input) => setWhat(input.target.value)}>
        <option value="request">requests of two events</option><option value="answer">answers of two events</option>${attempts2.length > 1 && fe`<option value="attempts">answers of two attempts</option>`}</select>`} />
      ${what === "attempts" ? [0, 1].map((side) => fe`<${Field} label=${side ? "with attempt" : "Attempt"} control=${(rest) => fe`<select ...${rest} value=${attempts2.indexOf(pair[side])} onChange=${(input) => setPair(pair.map((one, at) => at === side ? attempts2[input.target.value] : one))}>
          ${attempts2.map(({ delivery, no }, index) => fe`<option value=${index}>delivery ${delivery.split(".")[1]}, attempt ${no}</option>`)}</select>`} />`) : fe`<${Field} label="with" control=${(rest) => fe`<select ...${rest} value=${other} onChange=${(input) => setOther(input.target.value)}>
          ${choices.map((row) => fe`<option value=${row.id}>${clock(row.received_at).slice(0, 8)} ${plain(nameOf(row)).slice(0, 60)} (${chip(row).text})</option>`)}</select>`} />
          <${Field} label="or by its id" control=${(rest) => fe`<input ...${rest} class="mono" placeholder="evt_…" value=${typed} spellcheck=${false} onInput=${(input) => setTyped(input.target.value)} />`} />`}
    </div>
    <${Trouble} error=${loaded.error} />
    ${before ? fe`<${DiffView} before=${before} after=${after} names=${names} />` : !loaded.error && fe`<p class="dim none" role="status">${wanted || what === "attempts" ? "Loading…" : "There is no other event to compare with."}</p>`}
  <//>`;
}

// views/deliveries.js
var STATES = [["", "Open"], ["waiting", "Waiting"], ["leased", "Under way"], ["dead", "Dead"], ["delivered", "Delivered"], ["cancelled", "Cancelled"]];
function Deliveries({ params }) {
  const state = params.get("state") ?? "";
  const source = params.get("source") ?? "";
  const load = (before, signal) => get("/deliveries", { state, source, before, limit: 100 }, signal);
  const { value, error, again } = useAnswer((signal) => load(null, signal), [state, source], { every: 15e3 });
  const sources = useAnswer((signal) => get("/sources", {}, signal), []);
  const [older, setOlder] = G({ deliveries: [], next: void 0 });
  J(() => setOlder({ deliveries: [], next: void 0 }), [value]);
  J(() => {
    let timer2 = 0;
    const unlisten = listen(({ lines }) => {
      if (!timer2 && lines.some(({ type }) => type === "delivery")) timer2 = setTimeout(() => (timer2 = 0, document.hidden || again()), 1500);
    });
    return () => {
      unlisten();
      clearTimeout(timer2);
    };
  }, [state, source]);
  const show2 = (change) => go(link("deliveries", "", { state, source, ...change }), { replace: true });
  const next = older.next === void 0 ? value?.next : older.next;
  const more = async () => {
    const page = await attempt(() => load(next));
    if (page) setOlder({ deliveries: [...older.deliveries, ...page.deliveries], next: page.next });
  };
  const act = async (delivery, verb) => {
    if (verb === "cancel" && !await ask({ title: "Cancel this delivery?", text: "It is not attempted again. A replay can make a new one.", confirm: "Cancel it", danger: true })) return;
    if (await attempt(() => post(`/deliveries/${delivery.id}/${verb}`))) say(verb === "cancel" ? "Cancelled." : "Replayed to the same destination.");
    again();
  };
  const all = [...value?.deliveries ?? [], ...older.deliveries];
  return fe`<div class="padded">
    <${PageHead} title="Deliveries" about="What is stored, and what became of it. Open: waiting, under way or dead." />
    <div class="bar"><${Segments} label="State" choices=${STATES} current=${state} onChange=${(next2) => show2({ state: next2 })} />
      <select aria-label="Source" value=${source} onChange=${(event) => show2({ source: event.target.value })}><option value="">All sources</option>${sources.value?.sources.map(({ slug }) => fe`<option value=${slug}>${slug}</option>`)}</select></div>
    <${Trouble} error=${error} retry=${again} />
    ${value && !all.length && fe`<p class="none">${state === "dead" ? "No delivery is dead." : state === "" ? "Nothing waits and nothing is dead." : "There is none."}</p>`}
    ${all.length > 0 && fe`<div class="table-box" tabindex="0" role="region" aria-label="Deliveries"><table class="table">
      <thead><tr><th scope="col">State</th><th scope="col">Event</th><th scope="col">To</th><th scope="col">Received</th><th scope="col" class="end">Attempts</th><th scope="col">Next or ended</th><th scope="col">Why</th><th scope="col"><span class="unseen-title">Actions</span></th></tr></thead>
      <tbody>${all.map((delivery) => fe`<tr key=${delivery.id}>
        <td><${Chip} ...${stateChip(delivery.state)} /></td><th scope="row"><a class="mono" href=${link("events", delivery.event)}>${delivery.event.slice(0, 14)}…${delivery.event.slice(-4)}</a>${delivery.is_replay && fe` <span class="flag">replay</span>`}</th>
        <td>${delivery.source}/${delivery.destination}</td><td class="num">${ago(idMoment(delivery.event))}</td><td class="num end">${delivery.attempts}</td>
        <td class="num">${delivery.state === "waiting" ? moment(delivery.due_at) : moment(delivery.ended_at)}</td><td>${reason(delivery.reason)}</td>
        <td class="end">${delivery.state === "waiting" || delivery.state === "leased" ? fe`<${Button} class="small" why=${whyNotManage(delivery.source)} onClick=${() => act(delivery, "cancel")}>Cancel…<//>` : fe`<${Button} class="small" why=${whyNotManage(delivery.source)} onClick=${() => act(delivery, "replay")}>Again<//>`}</td></tr>`)}</tbody></table></div>`}
    ${next && fe`<p><button type="button" onClick=${more}>Show older ones</button></p>`}
  </div>`;
}

// views/edit-replay.js
var FIXED = /^(host|content-length|transfer-encoding|connection|keep-alive|te|trailer|upgrade|expect|proxy-.*|x-forwarded-.*|forwarded|relay-.*)$/i;
var BODY_MAX = 1024 * 1024;
function editOf(event, form, isPrimary) {
  const edit = {};
  if (!isPrimary) edit.destination = form.destination;
  if (form.method !== event.method) edit.method = form.method;
  if (form.path !== event.path) edit.path = form.path;
  const group = (pairs) => {
    const groups = /* @__PURE__ */ new Map();
    for (const [name, value] of pairs) groups.set(name.toLowerCase(), [...groups.get(name.toLowerCase()) ?? [], [name, value]]);
    return groups;
  };
  const before = group(event.headers.filter(([name]) => !FIXED.test(name)));
  const after = group(form.headers.filter(([name]) => name.trim()));
  const removed = [...before].filter(([key]) => !after.has(key)).map(([, [[name]]]) => name);
  const set = [...after].filter(([key, pairs]) => JSON.stringify(before.get(key)) !== JSON.stringify(pairs)).flatMap(([, pairs]) => pairs);
  if (removed.length) edit.remove_headers = removed;
  if (set.length) edit.headers = set;
  if (form.body !== null && form.body !== form.original) edit.body = { text: form.body };
  return edit;
}
var linesOf = (method, path2, headers, body) => [`${method} ${path2}`, ...headers.map(([name, value]) => `${name}: ${value}`), "", ...(body ?? "").split("\n")];
function EditReplay({ event, destinations, onClose, onDone, send, title = "Edit and replay", confirm = "Send the edited copy" }) {
  const original = Y(() => event.body.is_partial ? null : decode(event.body).text, [event]);
  const open2 = event.headers.filter(([name]) => !FIXED.test(name));
  const primary = destinations.find(({ is_primary }) => is_primary)?.name ?? "default";
  const [form, setForm] = G(() => ({ method: event.method, path: event.path, headers: open2.map((pair) => [...pair]), body: original, original, destination: primary }));
  const [state, setState] = G({ isBusy: false, error: null });
  const set = (change) => setForm({ ...form, ...change });
  const setHeader = (index, part, value) => set({ headers: form.headers.map((pair, at) => at === index ? part ? [pair[0], value] : [value, pair[1]] : pair) });
  const edit = editOf(event, form, form.destination === primary);
  const isEdited = Object.keys(edit).some((key) => key !== "destination");
  const isJson = /json/i.test(field(form.headers, "content-type")) || /^\s*[[{]/.test(original ?? "");
  const mistake = Y(() => {
    if (!isJson || !form.body) return null;
    try {
      parse(form.body);
      return null;
    } catch (error) {
      if (!(error instanceof NotJson)) throw error;
      return `Not JSON: ${error.message}, at ${position(form.body, error.at)}. It can be sent all the same.`;
    }
  }, [form.body, isJson]);
  const size = form.body === null ? 0 : new Blob([form.body]).size;
  const isLarge = edit.body && size > BODY_MAX;
  const before = Y(() => linesOf(event.method, event.path, open2, original), [event]);
  const after = Y(() => linesOf(form.method, form.path, form.headers.filter(([name]) => name.trim()), form.body), [form]);
  const submit = async () => {
    setState({ isBusy: true, error: null });
    try {
      onDone(await (send ?? ((body) => post(`/events/${event.id}/replay`, body)))(edit));
    } catch (error) {
      setState({ isBusy: false, error });
    }
  };
  const actions = fe`<span class="dim grow">${isEdited ? "An edited copy becomes an event of its own; the original stays." : "Nothing is changed: this is a plain replay."}</span>
    <button type="button" onClick=${onClose}>Do not send</button><button type="button" class="primary" disabled=${state.isBusy || isLarge} onClick=${submit}>${isEdited ? confirm : "Send as it was"}</button>`;
  return fe`<${Dialog} title=${title} wide onClose=${onClose} actions=${actions}>
    <div class="edit">
      <div class="edit-line">
        <${Field} label="Method" control=${(rest) => fe`<input ...${rest} class="mono" value=${form.method} onInput=${(input) => set({ method: input.target.value.toUpperCase() })} />`} />
        <${Field} label="Path and query" control=${(rest) => fe`<input ...${rest} class="mono" value=${form.path} spellcheck=${false} onInput=${(input) => set({ path: input.target.value })} />`} />
        ${destinations.length > 1 && fe`<${Field} label="Destination" control=${(rest) => fe`<select ...${rest} value=${form.destination} onChange=${(input) => set({ destination: input.target.value })}>${destinations.map(({ name }) => fe`<option value=${name}>${name}</option>`)}</select>`} />`}
      </div>
      <fieldset><legend>Header</legend>
        ${form.headers.map(([name, value], index) => fe`<div class="edit-header" key=${index}>
          <input class="mono" aria-label=${`Name of field ${index + 1}`} value=${name} spellcheck=${false} onInput=${(input) => setHeader(index, 0, input.target.value)} />
          <input class="mono" aria-label=${`Value of field ${index + 1}`} value=${value} spellcheck=${false} onInput=${(input) => setHeader(index, 1, input.target.value)} />
          <button type="button" class="bare" aria-label=${`Remove ${name || "this field"}`} onClick=${() => set({ headers: form.headers.filter((_, at) => at !== index) })}><${Shape} kind="cross" /></button></div>`)}
        <button type="button" class="small" onClick=${() => set({ headers: [...form.headers, ["", ""]] })}>Add a field</button>
        <small>Host, lengths and what the relay adds are made afresh.</small></fieldset>
      ${form.body === null ? fe`<p class="hint">${event.body.is_partial ? "The body is too large to be edited here" : "The body is not text"}: it is sent as it was. ${event.body.is_partial ? "" : fe`<button type="button" class="small" onClick=${() => set({ body: "" })}>Write another</button>`}</p>` : fe`<${Field} label="Body" error=${mistake ?? (isLarge ? "At most 1 MiB can be sent." : null)} control=${(rest) => fe`<textarea ...${rest} class="mono" rows="14" spellcheck=${false} value=${form.body} onInput=${(input) => set({ body: input.target.value })}></textarea>`} />
          ${isJson && !mistake && form.body && fe`<button type="button" class="small" onClick=${() => set({ body: pretty(parse(form.body)) })}>Indent</button>`}`}
      <h3>What differs</h3>
      <${DiffView} before=${before} after=${after} names=${["the original", "what is sent"]} />
      <${Trouble} error=${state.error} />
    </div>
  <//>`;
}

// model/copy-as.js
var OWN = /^(host|content-length|transfer-encoding|connection|expect|x-forwarded-.*|forwarded|relay-.*)$/i;
var sent = (headers) => headers.filter(([name]) => !OWN.test(name));
function target(event, url) {
  return (url ? new URL(url).origin : "http://localhost:3000") + event.path;
}
function quoted(text) {
  const isPlain = !/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069]/.test(text);
  if (isPlain) return `'${text.replaceAll("'", "'\\''")}'`;
  const escaped = text.replace(/[\\'\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069]/g, (char) => char.charCodeAt(0) < 128 ? `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}` : `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return `$'${escaped}'`;
}
function curl(event, url) {
  const { text } = decode(event.body);
  const lines = [`curl -i -X ${quoted(event.method)} --path-as-is --globoff ${quoted(target(event, url))}`];
  for (const [name, value] of sent(event.headers)) lines.push(`-H ${quoted(value === "" ? `${name};` : `${name}: ${value}`)}`);
  const isWhole = text !== null && !event.body.is_partial && !text.includes("\0");
  if (event.body_bytes > 0) lines.push(isWhole ? `--data-raw ${quoted(text)}` : "--data-binary @body.bin");
  return lines.join(" \\\n  ");
}
function http(event, url) {
  const { text } = decode(event.body);
  const head = [`${event.method} ${target(event, url)}`, ...sent(event.headers).map(([name, value]) => `${name}: ${value}`)];
  const body = event.body_bytes === 0 ? "" : text === null || event.body.is_partial ? "< ./body.bin" : text;
  return `${head.join("\n")}

${body}
`;
}
var fixture = (event) => `relay-agent record fixtures ${event.id}`;

// parts/json-tree.js
var CHILDREN = 100;
var STRING_MAX = 2e3;
var MATCHES_MAX = 1e3;
var path = (node, i) => node.keys ? JSON.stringify(node.keys[i]) : i;
function linesOf2(root, open2, more) {
  const out = [];
  const walk = (node, name, id, depth) => {
    const isOpen = node.items ? open2.has(id) : void 0;
    out.push({ node, name, id, depth, isOpen });
    if (!isOpen) return;
    const limit = more.get(id) ?? CHILDREN;
    node.items.slice(0, limit).forEach((item, i) => walk(item, node.keys ? node.keys[i] : i, `${id}/${path(node, i)}`, depth + 1));
    if (node.items.length > limit) out.push({ more: id, left: node.items.length - limit, id: `${id}/…`, depth: depth + 1 });
  };
  walk(root, null, "", 0);
  return out;
}
function find(root, text) {
  const wanted = text.toLowerCase();
  const out = [];
  const walk = (node, name, id, above) => {
    if (out.length >= MATCHES_MAX) return;
    const own = node.items ? "" : node.text;
    if (String(name ?? "").toLowerCase().includes(wanted) || own.toLowerCase().includes(wanted)) out.push({ id, above });
    node.items?.forEach((item, i) => walk(item, node.keys ? node.keys[i] : i, `${id}/${path(node, i)}`, [...above, { id, i }]));
  };
  walk(root, null, "", []);
  return out;
}
function openAtFirst(root) {
  const open2 = /* @__PURE__ */ new Set([""]);
  root.items?.slice(0, 30).forEach((item, i) => {
    if (item.items && (item.items.length <= 12 || root.items.length === 1)) open2.add(`/${path(root, i)}`);
  });
  return open2;
}
function JsonTree({ root }) {
  const [open2, setOpen] = G(() => openAtFirst(root));
  const [more, setMore] = G(() => /* @__PURE__ */ new Map());
  const [active, setActive] = G("");
  const [wanted, setWanted] = G("");
  const [at, setAt] = G(0);
  const id = Q(nextId()).current;
  const tree = Q(null);
  J(() => setOpen(openAtFirst(root)), [root]);
  const lines = Y(() => linesOf2(root, open2, more), [root, open2, more]);
  const matches = Y(() => wanted ? find(root, wanted) : [], [root, wanted]);
  const hits = Y(() => new Set(matches.map((match) => match.id)), [matches]);
  const show2 = (match) => {
    if (!match) return;
    setOpen(/* @__PURE__ */ new Set([...open2, ...match.above.map((node) => node.id)]));
    const grown = new Map(more);
    for (const node of match.above) if (node.i >= (more.get(node.id) ?? CHILDREN)) grown.set(node.id, node.i + CHILDREN);
    setMore(grown);
    setActive(match.id);
  };
  J(() => {
    setAt(0);
    show2(matches[0]);
  }, [matches]);
  J(() => {
    const line = lines.findIndex((one) => one.id === active);
    if (active) tree.current?.children[line]?.scrollIntoView({ block: "nearest" });
  }, [active, lines]);
  const toggle = (line, to = !line.isOpen) => {
    const next = new Set(open2);
    if (to) next.add(line.id);
    else next.delete(line.id);
    setOpen(next);
    setActive(line.id);
  };
  const grow = (line) => setMore(new Map(more).set(line.more, (more.get(line.more) ?? CHILDREN) + CHILDREN * 5));
  const onKeyDown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const now = Math.max(0, lines.findIndex((line2) => line2.id === active));
    const line = lines[now];
    const move = { ArrowDown: now + 1, ArrowUp: now - 1, Home: 0, End: lines.length - 1 }[event.key];
    if (move !== void 0) setActive(lines[Math.max(0, Math.min(lines.length - 1, move))].id);
    else if (event.key === "ArrowRight" && line.isOpen === false) toggle(line, true);
    else if (event.key === "ArrowRight") setActive(lines[Math.min(lines.length - 1, now + 1)].id);
    else if (event.key === "ArrowLeft" && line.isOpen) toggle(line, false);
    else if (event.key === "ArrowLeft") setActive(lines.slice(0, now).reverse().find((one) => one.depth < line.depth)?.id ?? "");
    else if ((event.key === "Enter" || event.key === " ") && line.more !== void 0) grow(line);
    else if ((event.key === "Enter" || event.key === " ") && line.isOpen !== void 0) toggle(line);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const step2 = (by) => {
    const next = (at + by + matches.length) % matches.length;
    setAt(next);
    show2(matches[next]);
  };
  return fe`<div class="json">
    <div class="json-find">
      <input type="search" aria-label="Find in this body" placeholder="Find" value=${wanted} spellcheck=${false} onInput=${(event) => setWanted(event.target.value)}
        onKeyDown=${(event) => event.key === "Enter" && matches.length && step2(event.shiftKey ? -1 : 1)} />
      <span class="dim" role="status">${wanted && (matches.length ? `${at + 1} of ${matches.length === MATCHES_MAX ? `${count(MATCHES_MAX)} or more` : count(matches.length)}` : "none")}</span>
    </div>
    <div class="tree" role="tree" aria-label="Body as JSON" tabindex="0" ref=${tree} onKeyDown=${onKeyDown} aria-activedescendant=${`${id}-${Math.max(0, lines.findIndex((line) => line.id === active))}`}>
      ${lines.map((line, index) => {
    const state = `tree-line${line.id === active ? " is-active" : ""}${hits.has(line.id) ? " is-hit" : ""}`;
    const indent = { paddingLeft: `${line.depth * 16 + 18}px` };
    if (line.more !== void 0) {
      return fe`<div class="${state} more" role="treeitem" aria-level=${line.depth + 1} id=${`${id}-${index}`} style=${indent} onClick=${() => grow(line)}>${count(line.left)} more…</div>`;
    }
    return fe`<div class=${state} role="treeitem" aria-level=${line.depth + 1} aria-expanded=${line.isOpen} aria-selected=${line.id === active} id=${`${id}-${index}`} style=${indent}
          onClick=${() => line.isOpen === void 0 ? setActive(line.id) : toggle(line)}><${Line} line=${line} /></div>`;
  })}
    </div>
  </div>`;
}
function Line({ line: { node, name, isOpen } }) {
  const key = name === null ? null : fe`<span class="key"><${Text} text=${name} /></span><span class="dim">: </span>`;
  if (node.items) {
    const sizes = node.keys ? `{${count(node.items.length)}}` : `[${count(node.items.length)}]`;
    return fe`<span class=${isOpen ? "twist open" : "twist"} aria-hidden="true"></span>${key}<span class="dim">${sizes}</span>`;
  }
  if (node.kind === "string") {
    const cut = node.text.length > STRING_MAX;
    return fe`${key}<span class="string">"<${Text} text=${cut ? node.text.slice(0, STRING_MAX) : node.text} />"</span>${cut && fe`<span class="dim"> … ${count(node.text.length)} characters, see Text</span>`}`;
  }
  return fe`${key}<span class=${node.kind}>${node.text}</span>`;
}

// parts/body-view.js
var PART = 64 * 1024;
var WHOLE_MAX = 4 * 1024 * 1024;
var NAMES = { json: "JSON", form: "Form", multipart: "Parts", xml: "XML", text: "Text", hex: "Bytes" };
function BodyView({ headers, body, source, name = "body" }) {
  const [fetched, setFetched] = G(null);
  const type = field(headers, "content-type");
  const { text, bytes: bytes2 } = Y(() => fetched ?? decode(body), [body, fetched]);
  const kind = kindOf(type, text, bytes2.length);
  const own = kind === "binary" ? "hex" : kind;
  const [chosen, setChosen] = G(null);
  J(() => {
    setChosen(null);
    setFetched(null);
  }, [source, body.total_bytes]);
  const isCoded = field(headers, "content-encoding");
  if (kind === "empty" && !body.total_bytes) return fe`<p class="dim none">No body.</p>`;
  const isPartial = Boolean(body.is_partial && source && !fetched);
  const kinds = [.../* @__PURE__ */ new Set([own, ...text === null ? [] : ["text"], "hex"])].filter((one) => one !== "empty");
  const view = kinds.includes(chosen) ? chosen : kinds[0];
  return fe`<div class="body-view">
    <div class="bar">
      <${Segments} label="Show the body as" choices=${kinds.map((one) => [one, NAMES[one]])} current=${view} onChange=${setChosen} />
      <span class="dim grow"><${Text} text=${type || "no content type"} /> · ${bytes(body.total_bytes)}${isCoded && fe` · ${isCoded}`}</span>
      ${text !== null && !isPartial && fe`<${CopyButton} text=${text} what="Body copied." />`}
      ${source && fe`<a class="button small" href=${address(source)} download=${`${name}.bin`}>Download</a>`}
    </div>
    ${(body.truncated || body.is_partial && !source) && fe`<p class="hint">Only ${bytes(bytes2.length)} of ${bytes(body.total_bytes)} ${body.truncated ? "were kept" : "are shown"}.${source ? " It cannot be replayed." : ""}</p>`}
    ${isPartial && view !== "hex" && body.total_bytes <= WHOLE_MAX && view === "json" && fe`<${Whole} source=${source} size=${body.total_bytes} onWhole=${setFetched} />`}
    ${isPartial && (view === "text" || view === "hex" || view === "xml" || body.total_bytes > WHOLE_MAX) ? fe`<${Parts} key=${`${source}${view === "hex"}`} source=${source} first=${bytes2} total=${body.total_bytes} isHex=${view === "hex"} />` : fe`<${Shown} view=${view} text=${text} bytes=${bytes2} type=${type} isPartial=${isPartial} />`}
  </div>`;
}
function Shown({ view, text, bytes: bytes2, type, isPartial }) {
  const [shown, setShown] = G(PART);
  J(() => setShown(PART), [bytes2, view]);
  const json = Y(() => {
    if (view !== "json" || isPartial) return null;
    try {
      return { root: parse(text) };
    } catch (error) {
      if (error instanceof NotJson) return { mistake: `This is not JSON: ${error.message}, at ${position(text, error.at)}.` };
      throw error;
    }
  }, [view, text, isPartial]);
  if (json?.root) return fe`<${JsonTree} root=${json.root} />`;
  if (view === "form") return fe`<${Pairs} pairs=${formPairs(text)} />`;
  if (view === "multipart") return fe`<${MultiPart} bytes=${bytes2} type=${type} />`;
  const all = view === "hex" ? null : view === "xml" ? indentXml(text) : text;
  const length = all === null ? bytes2.length : all.length;
  const part = all === null ? hex(bytes2.subarray(0, shown / 4)) : all.slice(0, shown);
  const end = all === null ? shown / 4 : shown;
  return fe`
    ${json?.mistake && fe`<p class="hint">${json.mistake}</p>`}
    <pre class="code" tabindex="0" aria-label="Body"><${Text} text=${part} lines /></pre>
    ${end < length && fe`<p class="bar"><button type="button" onClick=${() => setShown(shown + PART)}>Show more</button><span class="dim">${bytes(end)} of ${bytes(length)} shown</span></p>`}`;
}
function Pairs({ pairs }) {
  return fe`<table class="pairs"><tbody>${pairs.map(([name, value]) => fe`<tr><th scope="row"><${Text} text=${name} /></th><td><${Text} text=${value} lines /></td></tr>`)}</tbody></table>`;
}
function MultiPart({ bytes: bytes2, type }) {
  const found = parts(bytes2, type);
  if (!found?.length) return fe`<p class="hint">No parts were found. See Text or Bytes.</p>`;
  return fe`<ol class="parts">${found.map((part) => {
    const disposition = field(part.headers, "content-disposition");
    const kind = field(part.headers, "content-type") || "text/plain";
    const isText = /^text|json|xml/.test(kind) && part.bytes.length < PART;
    return fe`<li><p><b><${Text} text=${/name="([^"]*)"/.exec(disposition)?.[1] ?? "?"} /></b>
      <span class="dim"><${Text} text=${/filename="([^"]*)"/.exec(disposition)?.[1] ?? ""} /> <${Text} text=${kind} /> · ${bytes(part.bytes.length)}</span></p>
      ${isText && fe`<pre class="code"><${Text} text=${new TextDecoder().decode(part.bytes)} lines /></pre>`}</li>`;
  })}</ol>`;
}
function Whole({ source, size, onWhole }) {
  const [state, setState] = G({ isLoading: false, error: null });
  const load = async () => {
    setState({ isLoading: true, error: null });
    try {
      const response = await fetch(address(source));
      if (!response.ok) throw new Error(`The body could not be fetched (${response.status}).`);
      const bytes2 = new Uint8Array(await response.arrayBuffer());
      onWhole({ bytes: bytes2, text: asText(bytes2) });
    } catch (error) {
      setState({ isLoading: false, error });
    }
  };
  return fe`<p class="bar"><button type="button" disabled=${state.isLoading} onClick=${load}>Load all ${bytes(size)} as a tree</button>
    <span class="dim">Below is the beginning as text.</span></p><${Trouble} error=${state.error} />`;
}
function asText(bytes2) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes2);
  } catch {
    return null;
  }
}
function Parts({ source, first, total, isHex }) {
  const [blocks, setBlocks] = G([]);
  const [state, setState] = G({ isLoading: false, error: null, isDone: false });
  const stream = Q(null);
  const decoder = Q(new TextDecoder());
  const draw = (bytes2, start) => isHex ? hex(bytes2, start) : decoder.current.decode(bytes2, { stream: true });
  J(() => {
    decoder.current = new TextDecoder();
    const opening = first.subarray(0, isHex ? PART / 4 : PART);
    setBlocks([{ text: draw(opening, 0), end: opening.length }]);
    return () => stream.current?.reader.cancel().catch(() => {
    });
  }, [source, first]);
  const end = blocks.at(-1)?.end ?? 0;
  const more = async () => {
    setState({ ...state, isLoading: true, error: null });
    try {
      stream.current ??= await open(source, end);
      const bytes2 = await take(stream.current, isHex ? PART / 4 : PART);
      setBlocks([...blocks, { text: draw(bytes2, end), end: end + bytes2.length }]);
      setState({ isLoading: false, error: null, isDone: bytes2.length === 0 });
    } catch (error) {
      stream.current = null;
      setState({ ...state, isLoading: false, error });
    }
  };
  return fe`<div class="blocks">${blocks.map((block) => fe`<pre class="code" tabindex="0" aria-label="Part of the body"><${Text} text=${block.text} lines /></pre>`)}</div>
    <${Trouble} error=${state.error} />
    <p class="bar">${end < total && !state.isDone && fe`<button type="button" disabled=${state.isLoading} onClick=${more}>Show 64 KiB more</button>`}
      <span class="dim" role="status">${bytes(end)} of ${bytes(total)} shown, ${plural(blocks.length, "part")}</span></p>`;
}
async function open(source, skip) {
  const response = await fetch(address(source));
  if (!response.ok) throw new Error(`The body could not be fetched (${response.status}). Try again.`);
  const stream = { reader: response.body.getReader(), rest: new Uint8Array() };
  for (let left = skip; left > 0; ) left -= (await take(stream, Math.min(left, PART))).length || left;
  return stream;
}
async function take(stream, wanted) {
  const chunks = [stream.rest];
  let size = stream.rest.length;
  while (size < wanted) {
    const { done, value } = await stream.reader.read();
    if (done) break;
    chunks.push(value);
    size += value.length;
  }
  const all = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  stream.rest = all.slice(wanted);
  return all.subarray(0, wanted);
}

// parts/headers.js
function Headers({ headers, exact }) {
  if (!headers.length) return fe`<p class="dim none">No header fields.</p>`;
  const all = headers.map(([name, value]) => `${name}: ${value}`).join("\n");
  return fe`<section class="headers">
    <div class="bar"><h3>Header <span class="dim">${headers.length}</span></h3><${CopyButton} text=${all} what="Header copied." /></div>
    <table class="pairs"><tbody>${headers.map(([name, value], index) => fe`<tr>
      <th scope="row"><${Text} text=${name} /></th>
      <td onDblClick=${() => copy(value, `${name} copied.`)}><${Text} text=${value} />${exact?.[index] && exact[index][1] !== btoaOf(value) && fe`<small class="dim"> base64 ${exact[index][1]}</small>`}</td></tr>`)}</tbody></table>
  </section>`;
}
function btoaOf(value) {
  try {
    return btoa(value);
  } catch {
    return null;
  }
}

// views/time-line.js
function TimeLine({ event, source }) {
  const steps = [received(event), ...verified(event, source), ...live(event)];
  for (const delivery of event.deliveries) steps.push(...attempts(delivery, event.deliveries.length > 1));
  return fe`
    <p class="story">${story(event)}</p>
    <ol class="time-line">${steps.map((step2) => fe`<li class=${step2.tone}>
      <span class="mark"><${Shape} kind=${step2.shape} /></span>
      <span class="num dim when">${step2.at && clock(step2.at)}</span>
      <div><b>${step2.title}</b>${step2.text && fe` <span class="dim"><${Text} text=${step2.text} /></span>`}${step2.bar}</div></li>`)}</ol>
    <dl class="facts-table">
      <${Fact} name="Sender" value=${event.remote} /><${Fact} name="Sender's id" value=${event.sender_id} /><${Fact} name="Agent" value=${event.agent} />
      <${Fact} name="Number within the source" value=${event.seq} /><${Fact} name="Request body" value=${bytes(event.body_bytes)} /><${Fact} name="Answer body" value=${bytes(event.answer_bytes)} />
      ${event.related && fe`<div><dt>${event.outcome === "duplicate" ? "Copy of" : "Edited from"}</dt><dd><a class="mono" href=${link("events", event.related)}>${event.related}</a></dd></div>`}
    </dl>`;
}
function Fact({ name, value }) {
  return value === null || value === void 0 || value === "" ? null : fe`<div><dt>${name}</dt><dd class="mono"><${Text} text=${value} /></dd></div>`;
}
var received = (event) => ({ at: event.received_at, title: "Received", text: `${bytes(event.body_bytes)} from ${event.remote}`, tone: "plain", shape: "ring" });
function verified(event, source) {
  const { signature } = event;
  if (!signature) return source?.rules.provider ? [{ title: "Signature not checked", text: "The source has no secret, or the event did not come from its provider.", tone: "plain", shape: "ring" }] : [];
  if (isSigned(signature)) return [{ title: "Signature verified", text: signatureWords(signature), tone: "good", shape: "dot" }];
  const tone = signature === "edited" ? "plain" : "warn";
  return [{ title: signature === "edited" ? "Edited copy" : "Signature refused", text: event.signature_text ?? signatureWords(signature), tone, shape: tone === "warn" ? "triangle" : "ring" }];
}
function live(event) {
  const { tone, shape, text } = chip(event);
  if (event.outcome === "accepted") return [{ title: "Stored", text: `and the sender told ${event.status || 202}`, tone, shape }];
  if (event.outcome === "refused" || event.outcome === "duplicate" || event.outcome === "greeted") return [{ title: `Sender told ${text}`, tone, shape }];
  return [{
    title: event.outcome === "answered" ? `App answered ${event.status}` : `No answer of the app, sender told ${event.status || "nothing"}`,
    text: `after ${span(event.total_us)}`,
    tone,
    shape,
    bar: fe`<${TimeBar} ...${event} />`
  }];
}
function attempts(delivery, isNamed) {
  const to = isNamed ? ` to ${delivery.destination}` : "";
  const kind = delivery.is_replay ? "Replay" : "Delivery";
  const tried = delivery.attempts.map((attempt2) => {
    const good = attempt2.outcome === "answered" && attempt2.status < 400;
    return { at: attempt2.started_at, title: `${kind}${to}, attempt ${attempt2.no}`, text: attemptStory(attempt2), tone: good ? "good" : "bad", shape: good ? "dot" : "square", bar: fe`<${TimeBar} ...${attempt2} />` };
  });
  const { text, tone, shape } = stateChip(delivery.state);
  if (delivery.state === "delivered") return tried;
  const next = delivery.state === "waiting" && delivery.due_at ? `next attempt ${moment(delivery.due_at)}` : "";
  return [...tried, { at: delivery.ended_at, title: `${kind}${to} is ${text}`, text: next, tone, shape }];
}
function TimeBar({ connect_us: connect, app_us: app, total_us: total }) {
  if (!total) return null;
  const rest = Math.max(0, total - connect - app);
  const parts2 = [["tunnel", rest, "tunnel and relay"], ["connect", connect, "connecting to the app"], ["app", app, "the app"]].filter(([, us]) => us > 0);
  return fe`<div class="time-bar"><div class="time-bar-track" role="img" aria-label=${parts2.map(([, us, name]) => `${name} ${span(us)}`).join(", ")}>
      ${parts2.map(([kind, us]) => fe`<i class=${kind} style=${{ flexGrow: Math.max(us / total, 0.012) }}></i>`)}</div>
    <div class="time-bar-key">${parts2.map(([kind, us, name]) => fe`<span><i class=${kind}></i>${name} <span class="num">${span(us)}</span></span>`)}</div></div>`;
}

// views/deliveries-of.js
function DeliveriesOf({ event, why, onChange }) {
  if (!event.deliveries.length) return fe`<p class="none dim">Nothing of it was stored for later: the app answered while the sender waited, or it was refused. A replay makes a delivery.</p>`;
  return event.deliveries.map((delivery) => fe`<${Delivery} key=${delivery.id} delivery=${delivery} why=${why} onChange=${onChange} />`);
}
function Delivery({ delivery, why, onChange }) {
  const [answers, setAnswers] = G(null);
  const [error, setError] = G(null);
  const isOver = ["delivered", "dead", "cancelled"].includes(delivery.state);
  const load = async () => {
    setError(null);
    try {
      setAnswers((await get(`/deliveries/${delivery.id}`)).attempts);
    } catch (failed) {
      setError(failed);
    }
  };
  const act = async (verb, said) => {
    if (await attempt(() => post(`/deliveries/${delivery.id}/${verb}`))) {
      say(said);
      onChange();
    }
  };
  return fe`<section class="delivery">
    <div class="bar"><h3>${delivery.is_replay ? "Replay" : "Delivery"} to ${delivery.destination}</h3><${Chip} ...${stateChip(delivery.state)} />
      <span class="dim grow">${plural(delivery.attempts_made, "attempt")}${delivery.reason && delivery.state !== "delivered" ? `, ${reason(delivery.reason)}` : ""}</span>
      ${isOver ? fe`<${Button} class="small" why=${why} onClick=${() => act("replay", "Replayed to the same destination.")}>Again<//>` : fe`<${Button} class="small" why=${why} onClick=${() => act("cancel", "Cancelled.")}>Cancel<//>`}</div>
    <p class="dim">${delivery.due_at && !isOver ? `Next attempt ${moment(delivery.due_at)}. ` : ""}${delivery.ended_at ? `Ended ${moment(delivery.ended_at)}. ` : ""}</p>
    <${Trouble} error=${error} retry=${load} />
    <ol class="attempts">${delivery.attempts.map((one) => {
    const isGood = one.outcome === "answered" && one.status < 400;
    const full = answers?.find(({ no }) => no === one.no)?.answer;
    return fe`<li><details onToggle=${(toggled) => toggled.target.open && !answers && load()}>
        <summary><span class=${isGood ? "good" : "bad"}><${Shape} kind=${isGood ? "dot" : "square"} /></span> <b class="num">${one.no}</b> <span class="num dim">${moment(one.started_at)}</span>
          <span class="grow"><${Text} text=${attemptStory(one)} /></span><span class="num dim">${span(one.total_us)}</span></summary>
        <div class="attempt"><${TimeBar} ...${one} />${one.is_resigned && fe`<p class="dim">Signed afresh for this attempt.</p>`}
          ${full ? fe`<${Headers} headers=${full.headers} /><${BodyView} headers=${full.headers} body=${full.body} />` : one.outcome === "answered" ? fe`<p class="dim" role="status">Loading the answer…</p>` : fe`<p class="dim">There was no answer.</p>`}</div></details></li>`;
  })}</ol>
  </section>`;
}

// views/hold.js
var waitingOf = (slug, signal) => get("/deliveries", { source: slug, state: "waiting", order: "oldest", limit: 20 }, signal);
async function hold({ slug }) {
  const isSure = await ask({ title: `Hold ${slug}?`, text: "From now on its webhooks are stored and answered 202, and wait until you let each go, or end the hold.", confirm: "Hold" });
  if (!isSure) return null;
  const changed = await attempt(() => patch(`/sources/${slug}`, { rules: { hold: true } }));
  if (changed) say(`${slug} is on hold.`, { action: { label: "Step through", run: () => location.hash = link("sources", slug) } });
  return changed;
}
async function step(slug) {
  const found = await attempt(() => waitingOf(slug));
  if (!found) return;
  const [oldest] = found.deliveries;
  if (!oldest) say(`Nothing waits for ${slug}.`);
  else if (await attempt(() => post(`/deliveries/${oldest.id}/release`, {}))) say(`The oldest of ${slug} was let go.`);
}
function HoldPanel({ source, why, onChange }) {
  const { slug, rules } = source;
  const { value, error, again } = useAnswer((signal) => rules.hold ? waitingOf(slug, signal) : null, [slug, rules.hold], { every: rules.hold ? 5e3 : 0 });
  const [event, setEvent] = G(null);
  const [isEditing, setEditing] = G(false);
  const oldest = value?.deliveries[0] ?? null;
  J(() => {
    let timer2 = 0;
    const unlisten = listen(({ lines }) => {
      if (rules.hold && !timer2 && lines.some((line) => line.source === slug)) timer2 = setTimeout(() => (timer2 = 0, again()), 200);
    });
    return () => {
      unlisten();
      clearTimeout(timer2);
    };
  }, [slug, rules.hold]);
  J(() => {
    let isCurrent = true;
    setEvent(null);
    if (oldest) attempt(() => get(`/events/${oldest.event}`)).then((got) => isCurrent && setEvent(got));
    return () => isCurrent = false;
  }, [oldest?.id]);
  const act = async (work, said) => {
    if (await attempt(work)) say(said);
    again();
  };
  const letGo = () => act(() => post(`/deliveries/${oldest.id}/release`, {}), "Let go.");
  const drop = async () => {
    const isSure = await ask({ title: "Drop this one?", text: "Its delivery is cancelled. The event stays, and can be replayed.", confirm: "Drop it", danger: true });
    if (isSure) await act(() => post(`/deliveries/${oldest.id}/cancel`), "Dropped.");
  };
  const end = async () => {
    const waits = value?.deliveries.length;
    if (waits && !await ask({ title: "End the hold?", text: `What waits (${waits === 20 ? "20 or more" : waits}) is delivered now, the oldest first.`, confirm: "End it" })) return;
    if (await attempt(() => patch(`/sources/${slug}`, { rules: { hold: false } }))) onChange();
  };
  useKeys({ ".": () => why ? false : rules.hold ? oldest && void letGo() : void hold(source).then((changed) => changed && onChange()) });
  if (!rules.hold) {
    return fe`<div class="bar"><p class="grow">Hold webhooks and let them go one at a time, as they came or edited: for stepping through what an app does with each.</p>
      <${Button} why=${why} onClick=${async () => await hold(source) && onChange()}>Hold…<//></div>`;
  }
  return fe`<div class="held">
    <div class="bar"><p class="grow"><b>On hold.</b> <span role="status">${value ? value.deliveries.length === 20 ? "20 or more wait." : `${plural(value.deliveries.length, "delivery waits", "deliveries wait")}.` : ""}</span></p><${Button} why=${why} onClick=${end}>End the hold<//></div>
    <${Trouble} error=${error} retry=${again} />
    ${oldest && event ? fe`<section class="oldest" aria-label="The oldest that waits">
      <div class="bar"><b><${Text} text=${nameOf(event)} /></b> <span class="dim grow">${event.method} to ${oldest.destination}, ${ago(event.received_at)} · <a href=${link("events", event.id)}>all of it</a></span></div>
      <${BodyView} headers=${event.headers} body=${event.body} source=${`/events/${event.id}/body`} name=${event.id} />
      <div class="actions"><${Button} class="primary" why=${why} title="Let it go (.)" onClick=${letGo}>Let it go<//><${Button} why=${why} onClick=${() => setEditing(true)}>Edit and let it go<//><${Button} why=${why} onClick=${drop}>Drop<//></div></section>` : value && !oldest && fe`<p class="dim none">Nothing waits. The next webhook shows up here.</p>`}
    ${isEditing && event && fe`<${EditReplay} title="Edit and let it go" confirm="Let the edited copy go" event=${event} destinations=${source.destinations} onClose=${() => setEditing(false)}
      send=${(edit) => post(`/deliveries/${oldest.id}/release`, edit)} onDone=${() => {
    setEditing(false);
    say("The edited copy was let go in its place.");
    again();
  }} />`}
  </div>`;
}

// views/raw.js
var SHOWN_MAX = 64 * 1024;
function Raw({ event }) {
  const [kind, setKind] = G("http");
  const { text } = decode(event.body);
  const head = [`${event.method} ${event.path} HTTP/1.1`, ...event.headers.map(([name, value]) => `${name}: ${value}`)].join("\n");
  const all = kind === "http" ? `${head}

${text ?? `(${event.body_bytes} bytes that are not text)`}` : JSON.stringify(event, null, 2);
  return fe`<div class="bar"><${Segments} label="Form" choices=${[["http", "Request"], ["json", "JSON of the API"]]} current=${kind} onChange=${setKind} /><span class="grow"></span><${CopyButton} text=${all} /></div>
    <pre class="code" tabindex="0" aria-label="Raw"><${Text} text=${all.slice(0, SHOWN_MAX)} lines /></pre>
    ${all.length > SHOWN_MAX && fe`<p class="hint">Only the beginning is shown. The tab Request has the body in parts.</p>`}`;
}

// views/event.js
var TABS = [["overview", "Overview"], ["request", "Request"], ["answer", "Answer"], ["deliveries", "Deliveries"], ["raw", "Raw"]];
var lastTab = "overview";
function EventPage({ id, query, onClose, onAmend, sources, recent }) {
  const { value: event, error, again } = useAnswer((signal) => get(`/events/${id}`, {}, signal), [id]);
  const [tab, setTabState] = G(lastTab);
  const [dialog, setDialog] = G(null);
  const [isBusy, setBusy] = G(false);
  const [own, setOwn] = G({});
  const back = Q(null);
  const setTab = (next) => {
    lastTab = next;
    setTabState(next);
  };
  J(() => {
    let timer2 = 0;
    const unlisten = listen(({ lines, isBack }) => {
      if (!timer2 && (isBack || lines.some((line) => line.event === id || line.id === id))) timer2 = setTimeout(() => (timer2 = 0, again()), 300);
    });
    return () => {
      unlisten();
      clearTimeout(timer2);
    };
  }, [id]);
  J(() => {
    if (document.querySelector(".list")?.offsetParent === null) back.current.focus();
  }, []);
  J(() => {
    if (event) document.title = `${plain(nameOf(event))} · Inspector`;
  }, [event]);
  const shown = event && { ...event, ...own };
  const source = sources.find(({ slug }) => slug === event?.source);
  const why = event ? whyNotManage(event.source) ?? (isBusy ? "One moment…" : null) : "It is not loaded yet.";
  const whyNotReplay = why ?? (event.body.truncated ? "Its body was not kept whole." : null);
  const waiting = event?.deliveries.filter(({ state }) => state === "waiting" || state === "leased") ?? [];
  const amend = async (change) => {
    if (await onAmend(id, change)) setOwn((was) => ({ ...was, ...change }));
  };
  const replay = async (destination) => {
    setBusy(true);
    const made = await attempt(() => post(`/events/${id}/replay`, destination ? { destination } : {}));
    setBusy(false);
    if (!made) return;
    setTab("deliveries");
    say(`Replayed. It is delivery ${made.delivery.split(".")[1]} of this event.`);
    again();
  };
  const cancel = async () => {
    const isSure = await ask({ title: "Cancel what waits?", text: `${plural(waiting.length, "delivery", "deliveries")} of this event will not be attempted again. A replay can make new ones.`, confirm: "Cancel them", danger: true });
    if (!isSure) return;
    for (const { id: delivery } of waiting) await attempt(() => post(`/deliveries/${delivery}/cancel`));
    say("Cancelled.");
    again();
  };
  const turn = (by) => {
    const at = TABS.findIndex(([one]) => one === tab);
    setTab(TABS[(at + by + TABS.length) % TABS.length][0]);
  };
  const copyCurl = () => copy(curl(event, source?.url), event.body.is_partial || event.body.text === void 0 && event.body_bytes ? "Copied as curl. Its body is not text: download it as body.bin." : "Copied as curl.");
  const holdOrStep = async () => {
    if (source) await (source.rules.hold ? step(source.slug) : hold(source));
  };
  const unless = (reason2, action) => () => reason2 ? say(reason2, { bad: true }) : action();
  useKeys({
    Escape: onClose,
    r: unless(whyNotReplay, () => replay()),
    e: unless(whyNotReplay, () => setDialog("edit")),
    c: () => event && setDialog("compare"),
    p: () => event && void amend({ pinned: !shown.pinned }),
    n: () => event && setDialog("note"),
    y: () => event && void copyCurl(),
    "[": () => turn(-1),
    "]": () => turn(1),
    ".": unless(why, () => void holdOrStep())
  });
  const destinations = source?.destinations ?? [];
  return fe`<article class="detail" aria-label="Event">
    <header class="detail-head">
      <div class="bar">
        <button type="button" class="bare back" ref=${back} onClick=${onClose} aria-label="Back to the list"><${Shape} kind="left" /></button>
        <h2>${event ? fe`<${Text} text=${nameOf(event)} />` : "Event"}</h2>
        ${event && fe`<${Chip} ...${chip(event)} />`}
        <span class="grow"></span>
        <${Button} class="bare" why=${why} aria-label=${shown?.pinned ? "Take the pin off" : "Pin"} aria-pressed=${Boolean(shown?.pinned)} title="Pin (p)" onClick=${() => amend({ pinned: !shown.pinned })}><${Shape} kind="pin" /><//>
        <button type="button" class="bare close" onClick=${onClose} aria-label="Close" title="Close (Esc)"><${Shape} kind="cross" /></button>
      </div>
      ${event && fe`<p class="dim facts"><a href=${link("sources", event.source)}>${event.source}</a><span class="num">${day(event.received_at)} ${clock(event.received_at)}</span>
        <button type="button" class="link mono" title="Copy the id" onClick=${() => copy(event.id, "Id copied.")}>${event.id}</button>
        <button type="button" class="link" onClick=${() => copy(`${location.href.split("#")[0]}${link("events", event.id)}`, "Link copied.")}>copy link</button></p>`}
      ${shown?.note && fe`<button type="button" class="note" onClick=${() => setDialog("note")}><${Shape} kind="note" /> <span><${Text} text=${shown.note} /></span></button>`}
      <div class="actions" role="group" aria-label="Actions">
        <${Button} class="primary" why=${whyNotReplay} title="Replay (r)" onClick=${() => replay()}>Replay<//>
        ${destinations.length > 1 && fe`<${Menu} label="to" items=${destinations.map(({ name }) => ({ label: name, why: whyNotReplay, run: () => replay(name) }))} />`}
        <${Button} why=${whyNotReplay} title="Edit and replay (e)" onClick=${() => setDialog("edit")}>Edit & replay<//>
        ${waiting.length > 0 && fe`<${Button} why=${why} onClick=${cancel}>Cancel waiting<//>`}
        <${Button} why=${event ? null : "It is not loaded yet."} title="Compare (c)" onClick=${() => setDialog("compare")}>Compare…<//>
        <${Menu} label="Copy as" items=${event ? [
    { label: "curl", run: copyCurl },
    { label: ".http request", run: () => copy(http(event, source?.url), "Copied as .http.") },
    { label: "fixture command", run: () => copy(fixture(event), "Command copied. It keeps this event as files.") },
    { label: "JSON", run: () => copy(JSON.stringify(event, null, 2), "Copied as JSON.") },
    { label: shown.note ? "Change the note…" : "Add a note…", why: whyNotManage(event.source), run: () => setDialog("note") }
  ] : []} />
      </div>
      <${Tabs} label="About this event" current=${tab} onChange=${setTab} tabs=${TABS.map(([one, label]) => ({ id: one, label: one === "deliveries" && event?.deliveries.length ? fe`${label} <span class="dim">${event.deliveries.length}</span>` : label }))} />
    </header>
    <div class="detail-body" role="tabpanel" id="tab-panel" aria-labelledby=${`tab-${tab}`} tabindex="0">
      <${Trouble} error=${error} retry=${again} />
      ${!event && !error && fe`<p class="dim none" role="status">Loading…</p>`}
      ${event && tab === "overview" && fe`<${TimeLine} event=${event} source=${source} />`}
      ${event && tab === "request" && fe`<p class="request-line mono"><b>${event.method}</b> <${Text} text=${event.path} /></p><${Headers} headers=${event.headers} exact=${event.exact?.headers} />
        <h3>Body</h3><${BodyView} headers=${event.headers} body=${event.body} source=${`/events/${id}/body`} name=${id} />`}
      ${event && tab === "answer" && fe`<${Answer} event=${event} />`}
      ${event && tab === "deliveries" && fe`<${DeliveriesOf} event=${event} why=${why} onChange=${again} />`}
      ${event && tab === "raw" && fe`<${Raw} event=${event} />`}
    </div>
    ${dialog === "edit" && fe`<${EditReplay} event=${event} destinations=${destinations} onClose=${() => setDialog(null)} onDone=${(made) => {
    setDialog(null);
    say("The edited copy is on its way.", { action: { label: "Show it", run: () => go(link("events", made.event, { q: query })) } });
  }} />`}
    ${dialog === "compare" && fe`<${Compare} event=${event} recent=${recent().filter((row) => row.id !== id && !row.gap)} onClose=${() => setDialog(null)} />`}
    ${dialog === "note" && fe`<${Note} note=${shown.note ?? ""} why=${why} onClose=${() => setDialog(null)} onSave=${(note) => {
    setDialog(null);
    amend({ note: note.trim() || null });
  }} />`}
  </article>`;
}
function Answer({ event }) {
  const { answer } = event;
  const isOurs = event.outcome !== "answered" && !answer.headers.length;
  return fe`<p class="request-line"><b class="num">${event.status || "No answer"}</b> ${isOurs ? fe`<span class="dim">The relay's own answer: ${event.status} and a small JSON body with the event's id.</span>` : fe`<span class="dim">The app's own answer.</span>`}</p>
    ${!isOurs && fe`<${Headers} headers=${answer.headers} /><h3>Body</h3><${BodyView} headers=${answer.headers} body=${answer.body} />`}
    ${event.deliveries.length > 0 && fe`<p class="dim">What deliveries were answered stands under Deliveries.</p>`}`;
}
function Note({ note, why, onClose, onSave }) {
  const [text, setText] = G(note);
  const field2 = Q(null);
  J(() => field2.current.focus(), []);
  const actions = fe`<button type="button" onClick=${onClose}>Leave it</button><${Button} class="primary" why=${why} onClick=${() => onSave(text)}>Save<//>`;
  return fe`<${Dialog} title="Note" onClose=${onClose} actions=${actions}>
    <label class="field"><span>For whoever looks at this event later</span>
      <textarea ref=${field2} rows="4" maxlength="2000" value=${text} onInput=${(event) => setText(event.target.value)}
        onKeyDown=${(event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && !why && onSave(text)}></textarea></label>
  <//>`;
}

// views/first-steps.js
var useProviders = () => useAnswer((signal) => get("/providers", {}, signal), []).value?.providers ?? [];
var curlLine = (url) => `curl -i ${quoted(url)} -H 'Content-Type: application/json' -d '{"hello":"world"}'`;
function NoEvents({ sources }) {
  const [isMaking, setMaking] = G(false);
  const all = sources.value?.sources;
  if (sources.error) return fe`<div class="padded"><${Trouble} error=${sources.error} retry=${sources.again} /></div>`;
  if (!all) return null;
  const why = whyNotManage(null);
  return fe`<div class="first-steps" tabindex="-1" data-home>
    ${all.length === 0 ? fe`<h2>Make your first source</h2>
      <p>A source is a stable public URL. Whatever is sent to it shows up here, and goes on to your app.</p>
      <p><${Button} class="primary" why=${why} onClick=${() => setMaking(true)}>New source<//></p>
      <p class="dim">Or from the machine where your app runs, with its port:</p><${CopyLine} label="Command" text="relay-agent 3000" />` : fe`<h2>Waiting for the first webhook</h2>
      ${all.length > 1 && fe`<p class="dim">${all.length} sources are there; these are the steps for ${all[0].slug}. The others have theirs on <a href=${link("sources")}>their pages</a>.</p>`}
      <${HowToSend} source=${all[0]} why=${whyNotManage(all[0].slug)} />`}
    ${isMaking && fe`<${NewSource} onClose=${() => setMaking(false)} onMade=${(source) => {
    setMaking(false);
    sources.again();
    go(link("sources", source.slug));
  }} />`}
  </div>`;
}
function HowToSend({ source, why }) {
  const providers = useProviders();
  const { slug, url, rules } = source;
  const provider = providers.find(({ name }) => name === rules.provider?.name);
  return fe`<ol class="steps">
    <li><h3>Send one yourself</h3><p>Paste this into a terminal:</p><${CopyLine} label="curl line" text=${curlLine(url)} /></li>
    <li><h3>${provider ? `Register the URL with ${provider.title}` : "Register the URL with whoever sends"}</h3><${CopyLine} label="URL" text=${url} />
      ${provider && fe`<ul>${provider.register.map((step2) => fe`<li>${step2.replaceAll("{url}", url)}</li>`)}</ul>`}</li>
    <li><h3>Or send a test event</h3><${TestEvent} slug=${slug} provider=${provider} why=${why} /></li>
    <li><h3>Then</h3><p>The event shows up here at once. Where an agent serves <code>${slug}</code>, your app gets it and its answer goes back to the sender;
      where none does, it is stored, answered 202, and delivered as soon as one is there:</p><${CopyLine} label="Command" text=${`relay-agent forward ${slug} 3000`} /></li>
  </ol>`;
}
function TestEvent({ slug, provider, why }) {
  const [sample, setSample] = G("");
  const [isBusy, setBusy] = G(false);
  const send = async () => {
    setBusy(true);
    const made = await attempt(() => post(`/sources/${slug}/test`, provider ? { provider: provider.name, event: sample || provider.samples[0] } : {}));
    setBusy(false);
    if (made) say("The test event is on its way.", { action: { label: "Show it", run: () => go(link("events", made.event)) } });
  };
  return fe`<div class="bar">${provider?.samples.length > 0 && fe`<select aria-label="Which test event" value=${sample || provider.samples[0]} onChange=${(event) => setSample(event.target.value)}>${provider.samples.map((name) => fe`<option value=${name}>${name}</option>`)}</select>`}
    <${Button} why=${why ?? (isBusy ? "One moment…" : null)} onClick=${send}>Send a test event<//><span class="dim">${provider?.needs_secret ? "Signed, where the source has a secret." : ""}</span></div>`;
}
function ProviderOptions({ providers }) {
  const options = (isGeneral) => providers.filter((one) => one.is_general === isGeneral).map(({ name, title }) => fe`<option value=${name}>${title}</option>`);
  return fe`<optgroup label="Providers">${options(false)}</optgroup><optgroup label="Any other, by its scheme">${options(true)}</optgroup>`;
}
function NewSource({ onClose, onMade }) {
  const providers = useProviders();
  const [slug, setSlug] = G("");
  const [provider, setProvider] = G("");
  const [state, setState] = G({ isBusy: false, error: null });
  const submit = async (event) => {
    event.preventDefault();
    setState({ isBusy: true, error: null });
    try {
      onMade(await post("/sources", { ...slug.trim() && { slug: slug.trim() }, ...provider && { rules: { provider: { name: provider } } } }));
    } catch (error) {
      setState({ isBusy: false, error });
    }
  };
  const actions = fe`<button type="button" onClick=${onClose}>Not now</button><button type="submit" form="new-source" class="primary" disabled=${state.isBusy}>Make it</button>`;
  return fe`<${Dialog} title="New source" onClose=${onClose} actions=${actions}>
    <form id="new-source" onSubmit=${submit}>
      <${Field} label="Name" help="Part of the URL, lower case; it never changes. Without one, a name nobody can guess is made." error=${state.error?.message}
        control=${(rest) => fe`<input ...${rest} class="mono" value=${slug} autocomplete="off" spellcheck=${false} placeholder="github" onInput=${(event) => setSlug(event.target.value)} />`} />
      <${Field} label="Provider" help="Who will send. Signatures are checked once the source has a secret."
        control=${(rest) => fe`<select ...${rest} value=${provider} onChange=${(event) => setProvider(event.target.value)}><option value="">Anybody who knows the URL</option><${ProviderOptions} providers=${providers} /></select>`} />
    </form>
  <//>`;
}

// views/keys-help.js
var GROUPS = [
  ["List", [["j  k", "next and previous event (arrows too)"], ["Enter", "open it"], ["Esc", "back to the list"], ["/", "search"], ["t", "to the newest"]]],
  ["Event", [["r", "replay"], ["e", "edit and replay"], ["c", "compare"], ["p", "pin"], ["n", "note"], ["y", "copy as curl"], ["[  ]", "previous and next tab"], [".", "hold its source, or let the next one go"]]]
];
function KeysHelp({ pages, onClose }) {
  const isOn = useSignal(shortcuts);
  const groups = [...GROUPS, ["Pages", [...pages.map(({ key, title }) => [`g ${key}`, title]), ["?", "this page"]]]];
  return fe`<${Dialog} title="Keys" onClose=${onClose} wide>
    <div class="key-groups">${groups.map(([title, keys]) => fe`<section><h3>${title}</h3>
      <dl>${keys.map(([key, about]) => fe`<div><dt>${key.split(/ +/).map((one) => fe`<kbd>${one}</kbd>`)}</dt><dd>${about}</dd></div>`)}</dl></section>`)}</div>
    <label class="check"><input type="checkbox" checked=${isOn} onChange=${() => shortcuts.set(!isOn)} /> Single letters are keys</label>
  <//>`;
}

// parts/spark.js
var TALL = 22;
function Spark({ minutes }) {
  const most = Math.max(1, ...minutes.map(({ events: events2 }) => events2));
  const events = minutes.reduce((sum2, minute) => sum2 + minute.events, 0);
  const failed = minutes.reduce((sum2, minute) => sum2 + minute.failed, 0);
  return fe`<svg class="spark" viewBox=${`0 0 ${minutes.length * 2} ${TALL}`} preserveAspectRatio="none" role="img" aria-label=${`${events} events in the last hour, ${failed} failed`}>
    <path class="spark-ground" d=${`M0 ${TALL - 0.5}h${minutes.length * 2}`} />
    ${minutes.map(({ events: all, failed: bad }, x) => {
    const height = all ? Math.max(1.5, all / most * TALL) : 0;
    const foot = bad ? Math.max(1.5, bad / most * TALL) : 0;
    return fe`${height > 0 && fe`<rect x=${x * 2} y=${TALL - height} width="1.4" height=${height} />`}${foot > 0 && fe`<rect class="bad" x=${x * 2} y=${TALL - foot} width="1.4" height=${foot} />`}`;
  })}
  </svg>`;
}

// views/overview.js
var EVERY_MS = 5e3;
function Overview() {
  const { value, error, again, isLoading } = useAnswer((signal) => get("/overview", {}, signal), [], { every: EVERY_MS });
  const problems = value?.problems ?? [];
  const title = !value ? "Overview" : problems.length ? `${plural(problems.length, "thing needs", "things need")} you.` : "All is well.";
  return fe`<div class="padded">
    <${PageHead} title=${title} about=${value && fe`relay-server ${value.server.version}`} />
    <${Trouble} error=${error} retry=${again} />
    ${isLoading && fe`<p class="dim" role="status">Asking…</p>`}
    ${problems.length > 0 && fe`<ul class="problems" aria-label="What needs you">${problems.map((problem) => fe`<li key=${problem.code + problem.source + problem.destination}>
      <span class="mark warn"><${Shape} kind="triangle" /></span>
      <div><p><b><${Text} text=${problem.message} /></b></p><p class="dim"><${Text} text=${problem.advice} /></p>${problem.command && fe`<${CopyLine} label="Command" text=${problem.command} />`}</div>
      <div class="actions">${problem.q && fe`<a class="button small" href=${link("events", "", { q: problem.q })}>Show the events</a>`}${problem.source && fe`<a class="button small" href=${link("sources", problem.source)}>The source</a>`}</div></li>`)}</ul>`}
    ${value && (value.sources.length ? fe`<${Table} sources=${value.sources} />` : fe`<p>There is no source yet. <a href=${link("sources")}>Make one</a>.</p>`)}
  </div>`;
}
function Table({ sources }) {
  return fe`<div class="table-box" tabindex="0" role="region" aria-label="Sources in figures"><table class="table">
    <thead><tr><th scope="col">Source</th><th scope="col">Last hour</th><th scope="col" class="end">Events</th><th scope="col" class="end">Failed</th><th scope="col" class="end">p50</th><th scope="col" class="end">p99</th><th scope="col" class="end">Kept ever</th><th scope="col" class="end">Delivered later</th><th scope="col" class="end">Waiting</th><th scope="col" class="end">Oldest waiting</th><th scope="col" class="end">Dead</th><th scope="col" class="end">Agents</th></tr></thead>
    <tbody>${sources.map((source) => fe`<tr key=${source.slug}>
      <th scope="row"><a href=${link("sources", source.slug)}>${source.slug}</a>${source.provider && fe` <span class="dim">${source.provider}</span>`}<${Flags} source=${source} /></th>
      <td><${Spark} minutes=${source.minutes} /></td>
      <td class="num end">${count(sum(source.minutes, "events"))}</td>
      <td class=${sum(source.minutes, "failed") ? "num end bad" : "num end"}>${count(sum(source.minutes, "failed"))}</td>
      <td class="num end">${span(source.p50_us) || "–"}</td><td class="num end">${span(source.p99_us) || "–"}</td>
      <td class="num end">${count(source.accepted)}</td><td class="num end">${source.delivered === null ? "many" : count(source.delivered)}</td>
      <td class="num end">${source.waiting ? fe`<a href=${link("events", "", { q: `source:${source.slug} delivery:waiting` })}>${count(source.waiting)}</a>` : 0}</td>
      <td class="num end">${source.oldest_waiting_at ? ago(source.oldest_waiting_at) : "–"}</td>
      <td class=${source.dead ? "num end bad" : "num end"}>${source.dead ? fe`<a href=${link("deliveries", "", { state: "dead", source: source.slug })}>${count(source.dead)}</a>` : 0}</td>
      <td class="num end">${source.agents}</td></tr>`)}</tbody></table></div>`;
}
var sum = (minutes, what) => minutes.reduce((all, minute) => all + minute[what], 0);
function Flags({ source }) {
  return fe`${source.paused && fe` <span class="flag">paused</span>`}${source.hold && fe` <span class="flag">on hold</span>`}`;
}

// views/replay-many.js
var ONE_BY_ONE_MAX = 500;
function ReplayMany({ query, list, onClose }) {
  const { source, filter, left } = Q(bulkFilter(query)).current;
  const until = Q(filter.until ?? (/* @__PURE__ */ new Date()).toISOString()).current;
  const ids = Q(left.length ? list.rows.filter((row) => !row.gap).map((row) => row.id).reverse().slice(0, ONE_BY_ONE_MAX) : []).current;
  const [state, setState] = G({ phase: left.length ? "counted" : "counting", matched: ids.length, made: 0, refused: 0, more: false, error: null });
  const stopped = Q(false);
  const ask2 = (dry, before) => post("/replay", { ...source && { source }, filter: { ...filter, until }, dry_run: dry, limit: dry ? 1e4 : 200, ...before && { before } });
  J(() => {
    if (left.length) return void 0;
    ask2(true).then(
      ({ matched: matched2, refused: refused2, more: more2 }) => setState((was) => ({ ...was, phase: "counted", matched: matched2, refused: refused2, more: more2 })),
      (error2) => setState((was) => ({ ...was, phase: "failed", error: error2 }))
    );
    return () => stopped.current = true;
  }, []);
  const run = async () => {
    let made2 = 0;
    let refused2 = 0;
    const said = () => setState((was) => ({ ...was, phase: "running", made: made2, refused: refused2 }));
    said();
    try {
      if (left.length) {
        for (const id of ids) {
          if (stopped.current) break;
          await post(`/events/${id}/replay`).then(() => made2 += 1, (error2) => {
            if (error2.status !== 409 && error2.status !== 404) throw error2;
            refused2 += 1;
          });
          said();
        }
      } else {
        let before = null;
        do {
          const answer = await ask2(false, before);
          made2 += answer.made;
          refused2 += answer.refused;
          before = answer.more ? answer.next : null;
          said();
        } while (before && !stopped.current);
      }
      setState((was) => ({ ...was, phase: "done" }));
    } catch (error2) {
      setState((was) => ({ ...was, phase: "failed", error: error2 }));
    }
  };
  const { phase, matched, made, refused, more, error } = state;
  const actions = fe`
    ${phase === "running" && fe`<button type="button" onClick=${() => stopped.current = true}>Stop here</button>`}
    ${phase !== "running" && fe`<button type="button" onClick=${onClose}>${phase === "done" || phase === "failed" ? "Close" : "Do not replay"}</button>`}
    ${phase === "counted" && fe`<button type="button" class="primary" disabled=${!matched} onClick=${run}>Replay ${plural(matched, "event")}</button>`}`;
  return fe`<${Dialog} title="Replay many" onClose=${() => phase !== "running" && onClose()} actions=${actions}>
    <p>${query.trim() ? fe`All that match <code>${query}</code>.` : "All events, of every source you may manage. A search narrows it down."}</p>
    ${left.length > 0 && fe`<p class="hint">The server's own replay has no words for ${left.map((term, at) => fe`${at > 0 && ", "}<code>${term}</code>`)}. The ${count(ids.length)} rows loaded in the list are replayed one after the other${ids.length === ONE_BY_ONE_MAX ? `, ${ONE_BY_ONE_MAX} at most` : ""}.</p>`}
    <p role="status">
      ${phase === "counting" && "Counting…"}
      ${phase === "counted" && fe`<b>${plural(matched, "event")}${more ? " or more" : ""}</b> ${matched === 1 ? "matches" : "match"}. ${filter.state ? "Each goes to the destination of its delivery again." : "Each goes to the primary destination of its source."}`}
      ${(phase === "running" || phase === "done") && fe`<b>${count(made)}</b> of ${count(matched)} replayed${refused ? `, ${count(refused)} refused (the body was not kept whole, or the destination is gone)` : ""}.${phase === "done" ? " Done." : ""}`}
    </p>
    ${(phase === "running" || phase === "done") && fe`<progress aria-label="Progress" max=${Math.max(1, matched)} value=${made + refused}></progress>`}
    <${Trouble} error=${error} />
  <//>`;
}

// views/search-help.js
function SearchHelp({ onClose }) {
  return fe`<${Dialog} title="How to search" onClose=${onClose}>
    <p>All terms must hold. A <code>-</code> in front turns one round. Words without a key are looked for in the event's name, its path and the sender's id.</p>
    <table class="terms"><thead><tr><th scope="col">Term</th><th scope="col">Finds</th></tr></thead>
      <tbody>${KEYS.map(([, about, sample]) => fe`<tr><td><code>${sample}</code></td><td>${about}</td></tr>`)}</tbody></table>
    <p class="dim">Several values: <code>status:404|5xx</code>. Any ending: <code>event:invoice.*</code>. With spaces: <code>note:"ask Ann"</code>.</p>
  <//>`;
}

// views/sign-in.js
function SignIn({ was }) {
  const [token, setToken] = G("");
  const [state, setState] = G({ isBusy: false, error: null });
  const field2 = Q(null);
  J(() => {
    document.title = "Sign in · Inspector";
    field2.current.focus();
  }, []);
  const submit = async (event) => {
    event.preventDefault();
    setState({ isBusy: true, error: null });
    try {
      await signIn(token.trim());
    } catch (error) {
      setState({ isBusy: false, error });
      field2.current.select();
    }
  };
  return fe`<main class="centered"><form class="sign-in" onSubmit=${submit}>
    <svg viewBox="0 0 16 16" aria-hidden="true"><path d="M1.5 8h8M6.5 4 10.5 8l-4 4M13.5 3v10" /></svg>
    <h1>Sign in to the inspector</h1>
    ${was && fe`<p class="hint">You were signed out: the token was revoked, or the server was started anew.</p>`}
    <input type="text" autocomplete="username" value="relay" hidden readonly />
    <${Field} label="Token" error=${state.error?.message} help="Begins with rt_. It is sent to this server only, and kept in a cookie that scripts cannot read."
      control=${(rest) => fe`<input ...${rest} ref=${field2} type="password" value=${token} autocomplete="current-password" spellcheck=${false} onInput=${(event) => setToken(event.target.value)} />`} />
    <button type="submit" class="primary" disabled=${state.isBusy || !token.trim()}>${state.isBusy ? "Signing in…" : "Sign in"}</button>
    <details><summary>Where do I get one?</summary>
      <p>On the server's machine: the file <code>first-start.txt</code> in its data directory has the first, and this makes another:</p>
      <pre class="code">relay-server token create --scope admin</pre></details>
  </form></main>`;
}

// model/notices.js
var GATHER_MS = 3e3;
var KINDS = [["new", "new events"], ["failed", "events that failed"], ["dead", "dead deliveries"]];
var isFailed = ({ outcome, status }) => status >= 500 || outcome === "not_sent" || outcome === "sent_no_answer";
function* noticesOf(line) {
  const wanted = notified.value[line.source];
  if (!wanted) return;
  if (line.type === "event" && wanted.failed && isFailed(line)) yield [line.source, "failed", `${plain(nameOf(line))}: ${line.status || "no answer"}`, link("events", line.id)];
  else if (line.type === "event" && wanted.new) yield [line.source, "new", plain(nameOf(line)), link("events", line.id)];
  if (line.type === "delivery" && wanted.dead && line.state === "dead") yield [line.source, "dead", `A delivery to ${line.destination} died`, link("events", line.event)];
}
var gathered = /* @__PURE__ */ new Map();
var timer = 0;
function show() {
  timer = 0;
  for (const [key, { source, kind, text, address: address2, count: count2 }] of gathered) {
    const notice = new Notification(`${source}: ${KINDS.find(([id]) => id === kind)[1]}`, { body: count2 > 1 ? `${text}, and ${count2 - 1} more` : text, tag: `relay-${key}` });
    notice.onclick = () => {
      focus();
      location.hash = address2;
      notice.close();
    };
  }
  gathered = /* @__PURE__ */ new Map();
}
listen(({ lines }) => {
  if (typeof Notification === "undefined" || Notification.permission !== "granted") return;
  for (const line of lines) {
    for (const [source, kind, text, address2] of noticesOf(line)) {
      const key = `${source}-${kind}`;
      gathered.set(key, { source, kind, text, address: address2, count: (gathered.get(key)?.count ?? 0) + 1 });
    }
  }
  if (gathered.size && !timer) timer = setTimeout(show, GATHER_MS);
});
async function permission() {
  if (typeof Notification === "undefined") return "This browser has no notifications, or not on this address (it takes https or localhost).";
  const answer = Notification.permission === "default" ? await Notification.requestPermission() : Notification.permission;
  return answer === "granted" ? null : "The browser does not allow notifications for this page. Its settings for this address can.";
}

// model/rules.js
var SOURCE_RULES = [
  ["Reply", [
    { key: "reply", label: "What the sender is told", kind: "choice", choices: [["live", "the app's own answer"], ["accepted", "202, once it is stored"]], initial: "live", help: "Live: the sender waits for the app. Accepted: it is stored and answered at once, always." },
    { key: "if_away", label: "When nobody can be asked", kind: "choice", choices: [["accept", "store it, answer 202"], ["refuse", "answer 503"]], initial: "accept", help: "No agent, or nothing listens locally. With refuse, the provider's own retry does the work." },
    { key: "if_slow", label: "When the app is too slow", kind: "choice", choices: [["fail", "answer 504"], ["accept", "store it, answer 202"]], initial: "fail", help: "The app was asked, and patience ran out. With accept the exchange goes on, and its end is attempt 1." },
    { key: "if_failed", label: "When the app answers 408, 425, 429 or 5xx", kind: "choice", choices: [["pass", "pass it on"], ["accept", "store it, answer 202"]], initial: "pass", help: "With accept it is delivered again by the destination's schedule." },
    { key: "if_sender_leaves", label: "When the sender hangs up", kind: "choice", choices: [["finish", "let the app finish"], ["cancel", "hang up on the app too"]], initial: "finish", help: "Either way what happened is recorded." },
    { key: "patience_ms", label: "Patience", unit: "ms", kind: "number", min: 1, max: 6e5, initial: 3e4, help: "How long a sender waits for the answer to begin. At 30,000 it is less where the provider waits less." },
    { key: "accepted.status", label: "Status when stored", kind: "number", min: 200, max: 299, initial: 202, help: "What the sender is told when its event was stored." },
    { key: "accepted.body", label: "Body when stored", kind: "text", none: true, initial: null, help: "Empty: a small JSON object with the event's id. At most 64 KiB." }
  ]],
  ["Who may send", [
    { key: "methods", label: "Methods", kind: "list", initial: [], help: "Such as POST, PUT; empty takes all." },
    { key: "networks", label: "Networks", kind: "list", initial: [], help: "Such as 192.0.2.0/24; empty takes all." },
    { key: "body_bytes_max", label: "Largest body", unit: "bytes", kind: "number", min: 0, none: true, initial: null, help: "Empty: the server's limit, 25 MiB unless it is set." },
    { key: "in_flight_max", label: "At once", unit: "requests", kind: "number", min: 1, initial: 256, help: "More than so many under way are answered 429." },
    { key: "smee", label: "Event stream", kind: "flag", initial: false, help: "Whoever asks the URL for an event stream hears its events, as clients of smee.io and Probot do. No secret guards it." },
    { key: "upgrade", label: "WebSocket", kind: "flag", initial: false, help: "Senders may switch protocols. Such requests are never stored." }
  ]],
  ["Copies", [
    { key: "dedupe.by", label: "Two copies of one webhook are told by", kind: "dedupe", initial: null, help: "A copy is recorded, answered like the first, and not delivered again." },
    { key: "dedupe.window_s", label: "Recognised for", unit: "s", kind: "number", min: 1, max: 2592e3, initial: 86400, help: "A day is longer than most providers' first retries.", needs: (rules) => rules.dedupe }
  ]]
];
var DESTINATION_RULES = [
  ["Where", [
    { key: "url", label: "URL", kind: "text", none: true, initial: null, help: "Straight from the relay. Empty: to whatever agent serves this destination." },
    { key: "timeout_ms", label: "Time for an attempt", unit: "ms", kind: "number", min: 1, max: 6e5, initial: 3e4, help: "Until the answer begins." },
    { key: "sign", label: "Sign deliveries", kind: "flag", initial: false, help: "Standard Webhooks. Published events are signed whatever this says." }
  ]],
  ["What", [
    { key: "events", label: "Events", kind: "list", initial: [], help: "Names such as push or invoice.*; empty takes all." },
    { key: "filter", label: "Filter", kind: "code", none: true, initial: null, help: "jq. What it gives false, null or nothing for is not delivered." },
    { key: "transform", label: "Transform", kind: "code", none: true, initial: null, help: "jq. Makes what is delivered out of what came." }
  ]],
  ["How", [
    { key: "order", label: "Order", kind: "choice", choices: [["none", "several at once"], ["strict", "one after the other"]], initial: "none", help: "Strict: the next only after the last was settled." },
    { key: "concurrency", label: "At once", unit: "attempts", kind: "number", min: 1, max: 256, initial: 16, help: "Keeps a small server busy and does not drown it." },
    { key: "pace_per_s", label: "Pace", unit: "per second", kind: "number", min: 1, max: 1e4, none: true, initial: null, help: "Most attempts begun per second. Empty sets no pace." },
    { key: "retry.first_s", label: "First retry after", unit: "s", kind: "number", min: 1, initial: 5, help: "The delay before the second attempt." },
    { key: "retry.factor", label: "Then times", kind: "number", min: 1, max: 10, initial: 3, help: "What each delay is multiplied with to give the next." },
    { key: "retry.delay_s_max", label: "Longest delay", unit: "s", kind: "number", min: 1, initial: 21600, help: "6 hours unless set." },
    { key: "retry.for_s", label: "Retry for", unit: "s", kind: "number", min: 0, initial: 259200, help: "From the first attempt; 3 days unless set. 0: one attempt only." }
  ]]
];
var read = (rules, key) => key.split(".").reduce((value, part) => value?.[part], rules) ?? null;
function patchOf(key, value) {
  return key.split(".").reverse().reduce((inner, part) => ({ [part]: inner }), value);
}
function merge(into, from) {
  for (const [key, value] of Object.entries(from)) {
    if (value && typeof value === "object" && !Array.isArray(value) && into[key] && key !== "by") merge(into[key], value);
    else into[key] = value;
  }
  return into;
}
var isSame = (one, other) => JSON.stringify(one) === JSON.stringify(other);

// parts/rules-form.js
function RulesForm({ groups, rules, why, save }) {
  const [draft, setDraft] = G({});
  const [state, setState] = G({ isBusy: false, error: null });
  J(() => setDraft({}), [rules]);
  const all = groups.flatMap(([, list]) => list);
  const valueOf = (rule) => rule.key in draft ? draft[rule.key] : read(rules, rule.key);
  const changed = all.filter((rule) => rule.key in draft && !isSame(draft[rule.key], read(rules, rule.key)));
  const submit = async (event) => {
    event.preventDefault();
    if (why || !changed.length) return;
    setState({ isBusy: true, error: null });
    const patch2 = {};
    for (const { key } of changed) {
      const isOff = key === "dedupe.by" && draft[key] === null;
      merge(patch2, isOff ? { dedupe: null } : patchOf(key, draft[key]));
    }
    try {
      await save(patch2);
      setState({ isBusy: false, error: null });
    } catch (error) {
      setState({ isBusy: false, error });
    }
  };
  const offers = { ...rules, ..."dedupe.by" in draft ? { dedupe: draft["dedupe.by"] } : {} };
  return fe`<form class="rules" onSubmit=${submit}>
    ${groups.map(([title, list]) => fe`<fieldset disabled=${Boolean(why)}><legend>${title}</legend><div class="rules-grid">
      ${list.filter((rule) => !rule.needs || rule.needs(offers)).map((rule) => fe`<${Rule} key=${rule.key} rule=${rule} value=${valueOf(rule)} set=${(value) => setDraft({ ...draft, [rule.key]: value })} />`)}</div></fieldset>`)}
    <${Trouble} error=${state.error} />
    <div class="bar save"><${Button} class="primary" why=${why ?? (state.isBusy ? "One moment…" : changed.length ? null : "Nothing was changed.")} onClick=${submit}>Save<//>
      ${changed.length > 0 && fe`<button type="button" onClick=${() => setDraft({})}>Undo changes</button>`}
      <span class="dim" role="status">${changed.length ? `${changed.length} changed, not saved yet` : ""}</span></div>
  </form>`;
}
var nothing = (value) => value === null || Array.isArray(value) && !value.length ? "empty" : String(value);
function Rule({ rule, value, set }) {
  const isDefault = isSame(value, rule.initial);
  const said = rule.choices?.find(([id]) => id === rule.initial)?.[1] ?? (rule.kind === "flag" ? "off" : nothing(rule.initial));
  const help = isDefault ? fe`${rule.help} <span class="default">As by default.</span>` : fe`${rule.help} <b>Default: ${said}.</b>`;
  if (rule.kind === "flag") {
    return fe`<${Field} label=${rule.label} help=${help} control=${(rest) => fe`<span class="check"><input ...${rest} type="checkbox" checked=${value} onChange=${(event) => set(event.target.checked)} /> ${value ? "on" : "off"}</span>`} />`;
  }
  return fe`<${Field} label=${rule.unit ? `${rule.label} (${rule.unit})` : rule.label} help=${help} control=${(rest) => control(rule, value, set, rest)} />`;
}
function control(rule, value, set, rest) {
  const text = (event) => event.target.value === "" && rule.none ? null : event.target.value;
  switch (rule.kind) {
    case "choice":
      return fe`<select ...${rest} value=${value} onChange=${(event) => set(event.target.value)}>${rule.choices.map(([id, label]) => fe`<option value=${id}>${label}</option>`)}</select>`;
    case "number":
      return fe`<input ...${rest} type="number" class="num" min=${rule.min} max=${rule.max} required=${!rule.none} value=${value ?? ""} onInput=${(event) => set(event.target.value === "" ? null : Number(event.target.value))} />`;
    case "list":
      return fe`<${ListInput} rest=${rest} value=${value ?? []} set=${set} />`;
    case "code":
      return fe`<textarea ...${rest} class="mono" rows="3" spellcheck=${false} value=${value ?? ""} onInput=${(event) => set(text(event))}></textarea>`;
    case "dedupe":
      return fe`<${Dedupe} rest=${rest} value=${value} set=${set} />`;
    default:
      return fe`<input ...${rest} class="mono" spellcheck=${false} value=${value ?? ""} onInput=${(event) => set(text(event))} />`;
  }
}
function ListInput({ rest, value, set }) {
  const [text, setText] = G(value.join(", "));
  J(() => {
    if (!isSame(split(text), value)) setText(value.join(", "));
  }, [value]);
  return fe`<input ...${rest} class="mono" spellcheck=${false} value=${text} onInput=${(event) => {
    setText(event.target.value);
    set(split(event.target.value));
  }} />`;
}
var split = (text) => text.split(/[\s,]+/).filter(Boolean);
function Dedupe({ rest, value, set }) {
  const kind = value === null ? "" : typeof value === "string" ? value : Object.keys(value)[0];
  const choose = (next) => set(next === "" ? null : next === "header" ? { header: "" } : next === "pointer" ? { pointer: "/id" } : next);
  return fe`<select ...${rest} value=${kind} onChange=${(event) => choose(event.target.value)}>
      <option value="">nothing: every copy is a webhook of its own</option><option value="provider">the provider's delivery id</option><option value="header">a header field</option><option value="pointer">a value in the JSON body</option><option value="body">the body, byte for byte</option></select>
    ${(kind === "header" || kind === "pointer") && fe`<input class="mono" aria-label=${kind === "header" ? "Name of the header field" : "JSON pointer"} placeholder=${kind === "header" ? "X-Request-Id" : "/id"} value=${value[kind]} onInput=${(event) => set({ [kind]: event.target.value })} />`}`;
}

// views/destinations.js
function Destinations({ source, why, onChange }) {
  const [isMaking, setMaking] = G(false);
  return fe`<ul class="lines">${source.destinations.map((one) => fe`<${Destination} key=${one.name} source=${source} destination=${one} why=${why} onChange=${onChange} />`)}</ul>
    <p><${Button} why=${why} onClick=${() => setMaking(true)}>Add a destination<//></p>
    ${isMaking && fe`<${NewDestination} slug=${source.slug} onClose=${() => setMaking(false)} onMade=${() => {
    setMaking(false);
    onChange();
  }} />`}`;
}
function Destination({ source, destination, why, onChange }) {
  const { name, rules, is_primary: isPrimary, sharing } = destination;
  const path2 = `/sources/${source.slug}/destinations/${name}`;
  const backlog = useAnswer((signal) => get(`${path2}/backlog`, {}, signal), [path2], { every: 1e4 });
  const [isOpen, setOpen] = G(false);
  const waiting = backlog.value?.waiting ?? 0;
  const change = async (body, said) => {
    if (await attempt(() => patch(path2, body))) {
      say(said);
      onChange();
    }
  };
  const skip = async (keep) => {
    const text = keep === "latest" ? "All that wait but the newest are cancelled." : "All that wait are cancelled.";
    if (!await ask({ title: "Skip what waits?", text: `${text} Their events stay, and can be replayed.`, confirm: "Skip them", danger: true })) return;
    const done = await attempt(() => post(`${path2}/backlog`, { keep }));
    if (done) say(`${count(done.cancelled)} cancelled.`);
    backlog.again();
  };
  const erase = async () => {
    if (!await ask({ title: `Delete ${name}?`, text: "What waits for it is cancelled.", confirm: "Delete it", danger: true, typed: name })) return;
    if (await attempt(async () => (await remove(path2), true))) onChange();
  };
  const showSecret = async () => {
    const got = await attempt(() => get(`${path2}/secret`));
    if (got) await ask({ title: "What its receiver checks signatures with", text: fe`<code class="wrap">${got.secret}</code>`, confirm: "Seen" });
  };
  return fe`<li class="destination">
    <div class="bar"><b>${name}</b>${isPrimary && fe`<span class="flag">primary</span>`}${rules.paused && fe`<span class="flag">paused</span>`}
      <span class="dim grow cut"><${Text} text=${rules.url ?? `through an agent (${sharing})`} />${waiting > 0 && fe` · <a href=${link("deliveries", "", { source: source.slug, state: "waiting" })}>${count(waiting)}${backlog.value.is_more ? " or more" : ""} wait</a>`}</span>
      <button type="button" class="small" aria-expanded=${isOpen} onClick=${() => setOpen(!isOpen)}>Rules</button>
      <${Menu} label="More" align="end" items=${[
    { label: rules.paused ? "Resume" : "Pause", why, run: () => change({ rules: { paused: !rules.paused } }, rules.paused ? "Resumed." : "Paused: what is stored for it waits.") },
    !isPrimary && { label: "Make it the primary", why, run: () => change({ primary: true }, `${name} answers the sender from now on.`) },
    ...["pool", "replace", "broadcast"].filter((one) => one !== sharing && !rules.url).map((one) => ({ label: `Agents share it: ${one}`, why, run: () => change({ sharing: one }, "Changed.") })),
    waiting > 1 && { label: "Skip all that wait but the newest…", why, run: () => skip("latest") },
    waiting > 0 && { label: "Skip all that wait…", why, run: () => skip("none") },
    { label: "Secret for its receiver", why, run: showSecret },
    source.destinations.length > 1 && { label: "Delete…", danger: true, why, run: erase }
  ]} /></div>
    ${!rules.url && fe`<${CopyLine} label="Command" text=${`relay-agent forward ${source.slug} 3000${name === "default" ? "" : ` --destination ${name}`}`} />`}
    ${isOpen && fe`<${RulesForm} groups=${DESTINATION_RULES} rules=${rules} why=${why} save=${async (rulesPatch) => {
    await patch(path2, { rules: rulesPatch });
    say("Saved.");
    onChange();
  }} />`}
  </li>`;
}
function NewDestination({ slug, onClose, onMade }) {
  const [name, setName] = G("");
  const [url, setUrl] = G("");
  const [error, setError] = G(null);
  const submit = async (event) => {
    event.preventDefault();
    try {
      await post(`/sources/${slug}/destinations`, { name: name.trim(), ...url.trim() && { rules: { url: url.trim() } } });
      onMade();
    } catch (failed) {
      setError(failed);
    }
  };
  const actions = fe`<button type="button" onClick=${onClose}>Not now</button><button type="submit" form="new-destination" class="primary" disabled=${!name.trim()}>Add it</button>`;
  return fe`<${Dialog} title="Add a destination" onClose=${onClose} actions=${actions}><form id="new-destination" onSubmit=${submit}>
    <p>Every event from then on gets a delivery to it as well.</p>
    <${Field} label="Name" control=${(rest) => fe`<input ...${rest} class="mono" value=${name} spellcheck=${false} onInput=${(event) => setName(event.target.value)} />`} />
    <${Field} label="URL" help="Empty: an agent serves it." control=${(rest) => fe`<input ...${rest} class="mono" value=${url} spellcheck=${false} placeholder="https://billing.example.com/hooks" onInput=${(event) => setUrl(event.target.value)} />`} />
    <${Trouble} error=${error} /></form><//>`;
}

// views/provider-panel.js
function ProviderPanel({ source, providers, why, save, onChange }) {
  const { rules, secrets, slug } = source;
  const current = rules.provider;
  const provider = providers.find(({ name }) => name === current?.name);
  const change = (next) => attempt(() => save({ provider: next }));
  const choose = async (name) => {
    const isSure = !current || !secrets.length || await ask({ title: "Change the provider?", text: "What it signs is checked by another scheme from then on. The secrets stay.", confirm: "Change it" });
    if (isSure) await change(name ? { name, params: null, tolerance_s: null } : null);
    onChange();
  };
  const known = providers.some(({ name }) => name === current?.name) || !current;
  return fe`
    <${Field} label="Provider" help=${provider ? `${provider.retries} ${provider.advice}${provider.deadline_ms ? ` It waits ${provider.deadline_ms / 1e3} s for an answer.` : ""}` : "Without one, whoever knows the URL may send."} control=${(rest) => fe`<select ...${rest} disabled=${Boolean(why)} value=${current?.name ?? ""} onChange=${(event) => choose(event.target.value)}>
      <option value="">Anybody who knows the URL</option>${known && fe`<${ProviderOptions} providers=${providers} />`}${!known && fe`<option value=${current.name}>${current.name}</option>`}</select>`} />
    ${current && fe`
      ${provider?.params.length > 0 && fe`<div class="rules-grid">${provider.params.map(({ name, what, required, example }) => fe`<${Param} key=${name} title=${name} help=${`${what}${required ? "" : " Not required."}`} example=${example} value=${current.params?.[name] ?? ""} why=${why} onSave=${(value) => change({ params: { ...current.params, [name]: value || null } })} />`)}</div>`}
      <div class="rules-grid">
        <${Field} label="Challenges are answered by" help="With which providers make sure that a URL is yours." control=${(rest) => fe`<select ...${rest} disabled=${Boolean(why)} value=${current.greet ?? "app_first"} onChange=${(event) => change({ greet: event.target.value })}><option value="app_first">the app, else the relay</option><option value="relay">the relay</option><option value="app">the app</option></select>`} />
        <${Field} label="Sign afresh" help="Signs what is delivered later, again or edited with the newest secret and the current time." control=${(rest) => fe`<span class="check"><input ...${rest} type="checkbox" disabled=${Boolean(why)} checked=${Boolean(current.resign)} onChange=${(event) => change({ resign: event.target.checked })} /> ${current.resign ? "on" : "off"}</span>`} />
      </div>
      <${Secrets} slug=${slug} secrets=${secrets} provider=${provider} why=${why} onChange=${onChange} />`}`;
}
function Param({ title, help, example, value, why, onSave }) {
  return fe`<${Field} label=${title} help=${help} control=${(rest) => fe`<input ...${rest} class="mono" placeholder=${example} disabled=${Boolean(why)} value=${value} onChange=${(event) => onSave(event.target.value.trim())} />`} />`;
}
function Secrets({ slug, secrets, provider, why, onChange }) {
  const [secret, setSecret] = G("");
  const [label, setLabel] = G("");
  const [error, setError] = G(null);
  const add = async (event) => {
    event.preventDefault();
    if (why || !secret) return;
    try {
      await post(`/sources/${slug}/secrets`, { secret, ...label && { label } });
      setSecret("");
      setLabel("");
      setError(null);
      say("The secret is good from now on. It is not shown again.");
      onChange();
    } catch (failed) {
      setError(failed);
    }
  };
  const forget = async ({ id, label: name }) => {
    const text = secrets.length === 1 ? "It is the only one: without any secret nothing is checked." : "What it signed is refused from then on.";
    if (!await ask({ title: `Forget secret ${name || id}?`, text, confirm: "Forget it", danger: true })) return;
    await attempt(() => remove(`/sources/${slug}/secrets/${id}`));
    onChange();
  };
  return fe`<h3>Secrets</h3>
    ${secrets.length ? fe`<ul class="lines">${secrets.map((one) => fe`<li key=${one.id} class="bar"><span class="num">${one.id}</span><span class="grow"><${Text} text=${one.label || "without a label"} /> <span class="dim">${ago(one.created_at)}</span></span><${Button} class="small" why=${why} onClick=${() => forget(one)}>Forget…<//></li>`)}</ul>` : fe`<p class="hint">There is none, so signatures are not checked.</p>`}
    <form class="inline-form" onSubmit=${add}>
      <${Field} label="Secret" help=${`${provider?.secret ?? "As the provider shows it."} Kept encrypted, never shown again.`} control=${(rest) => fe`<input ...${rest} type="password" class="mono" autocomplete="off" disabled=${Boolean(why)} value=${secret} onInput=${(event) => setSecret(event.target.value)} />`} />
      <${Field} label="Label" control=${(rest) => fe`<input ...${rest} maxlength="200" disabled=${Boolean(why)} value=${label} onInput=${(event) => setLabel(event.target.value)} />`} />
      <button type="submit" disabled=${Boolean(why) || !secret}>Add</button></form>
    <${Trouble} error=${error} />`;
}

// views/source.js
function Source({ name }) {
  const { value: source, error, again } = useAnswer((signal) => get(`/sources/${encodeURIComponent(name)}`, {}, signal), [name]);
  const providers = useProviders();
  if (!source) return fe`<div class="padded narrow"><p class="crumbs"><a href=${link("sources")}>Sources</a></p><${PageHead} title=${name} /><${Trouble} error=${error} retry=${again} />${!error && fe`<p class="dim" role="status">Loading…</p>`}</div>`;
  const why = whyNotManage(name);
  const save = async (rules) => {
    await patch(`/sources/${name}`, { rules });
    say("Saved.");
    await again();
  };
  const pause = async () => {
    const to = !source.rules.paused;
    if (to && !await ask({ title: `Pause ${name}?`, text: "Its URL answers 503, nothing is recorded meanwhile, and what is stored waits.", confirm: "Pause it", danger: true })) return;
    await attempt(() => save({ paused: to }));
  };
  const erase = async () => {
    const isSure = await ask({ title: `Delete ${name}?`, text: "Its URL answers 404 from then on, and what waits is cancelled. Events stay until retention takes them. This cannot be undone.", confirm: "Delete it", danger: true, typed: name });
    if (!isSure) return;
    if (await attempt(async () => (await remove(`/sources/${name}`), true))) {
      say(`${name} is deleted.`);
      go(link("sources"));
    }
  };
  const provider = providers.find((one) => one.name === source.rules.provider?.name);
  const holding = fe`<section class="part"><h2>Hold</h2><${HoldPanel} source=${source} why=${why} onChange=${again} /></section>`;
  return fe`<div class="padded narrow">
    <p class="crumbs"><a href=${link("sources")}>Sources</a></p>
    <${PageHead} title=${name} about=${fe`since ${day(source.created_at)}<${Flags} source=${source.rules} />`}>
      <a class="button" href=${link("events", "", { q: `source:${name}` })}>Its events</a><${Button} why=${why} onClick=${pause}>${source.rules.paused ? "Resume" : "Pause…"}<//><//>
    <${Trouble} error=${error} retry=${again} />
    ${source.rules.hold && holding}
    <section class="part"><h2>Address</h2><${CopyLine} label="URL" text=${source.url} /><${CopyLine} label="curl line" text=${curlLine(source.url)} /></section>
    <section class="part"><h2>Provider and secrets</h2><${ProviderPanel} source=${source} providers=${providers} why=${why} save=${save} onChange=${again} /></section>
    <section class="part"><h2>Destinations</h2><${Destinations} source=${source} why=${why} onChange=${again} /></section>
    ${!source.rules.hold && holding}
    <section class="part"><h2>Test event</h2><${TestEvent} slug=${name} provider=${provider} why=${why} /></section>
    <section class="part"><h2>Notices on this computer</h2><${Notices} name=${name} /></section>
    <section class="part"><h2>Rules</h2>${why && fe`<p class="hint">${why}</p>`}<${RulesForm} groups=${SOURCE_RULES} rules=${source.rules} why=${why} save=${save} /></section>
    <section class="part"><h2>Delete</h2><div class="bar"><p class="grow">Its URL answers 404 from then on. The name stays reserved.</p><${Button} class="danger" why=${whyNotAdmin()} onClick=${erase}>Delete…<//></div></section>
  </div>`;
}
function Notices({ name }) {
  const all = useSignal(notified);
  const [why, setWhy] = G(null);
  const mine = all[name] ?? {};
  const set = async (kind, isOn) => {
    const refused = isOn ? await permission() : null;
    setWhy(refused);
    if (!refused) notified.set({ ...all, [name]: { ...mine, [kind]: isOn } });
  };
  return fe`<div class="checks">${KINDS.map(([kind, label]) => fe`<label class="check"><input type="checkbox" checked=${Boolean(mine[kind])} onChange=${(event) => {
    const isOn = event.target.checked;
    if (isOn) event.target.checked = Boolean(mine[kind]);
    set(kind, isOn);
  }} /> ${label}</label>`)}</div>
    <p class="dim">Shown by the browser while this page is open somewhere, and remembered here only.</p>${why && fe`<p class="hint" role="alert">${why}</p>`}`;
}

// views/sources.js
function Sources() {
  const { value, error, again } = useAnswer((signal) => get("/sources", {}, signal), [], { every: 15e3 });
  const [isMaking, setMaking] = G(false);
  const sources = value?.sources ?? [];
  return fe`<div class="padded">
    <${PageHead} title="Sources" about="Stable public URLs, each with its rules and where its events go."><${Button} class="primary" why=${whyNotManage(null)} onClick=${() => setMaking(true)}>New source<//><//>
    <${Trouble} error=${error} retry=${again} />
    ${value && sources.length === 0 && fe`<div class="none"><p>There is none yet. Make one here, or start an agent with the port of your app:</p><${CopyLine} label="Command" text="relay-agent 3000" /></div>`}
    ${sources.length > 0 && fe`<div class="table-box" tabindex="0" role="region" aria-label="All sources"><table class="table">
      <thead><tr><th scope="col">Name</th><th scope="col">URL</th><th scope="col">Provider</th><th scope="col">Reply</th><th scope="col">Destinations</th></tr></thead>
      <tbody>${sources.map((source) => fe`<tr key=${source.slug}>
        <th scope="row"><a href=${link("sources", source.slug)}>${source.slug}</a><${Flags} source=${source.rules} /></th>
        <td><span class="mono">${source.url}</span> <${CopyButton} text=${source.url} what="URL copied." /></td>
        <td>${source.rules.provider ? fe`${source.rules.provider.name}${source.secrets.length ? "" : fe` <span class="dim">unchecked, no secret</span>`}` : fe`<span class="dim">anybody</span>`}</td>
        <td>${source.rules.reply}</td><td>${source.destinations.map(({ name }) => name).join(", ")}</td></tr>`)}</tbody></table></div>`}
    ${isMaking && fe`<${NewSource} onClose=${() => setMaking(false)} onMade=${(source) => go(link("sources", source.slug))} />`}
  </div>`;
}

// views/tokens.js
var SCOPES = [["agent", "agent: serves sources, sees their events"], ["read", "read: looks at everything, changes nothing"], ["admin", "admin: everything in the project"]];
function Tokens() {
  const isAgent = session.value.token?.scope === "agent";
  const { value, error, again } = useAnswer((signal) => isAgent ? null : get("/tokens", {}, signal), []);
  const [isMaking, setMaking] = G(false);
  const why = whyNotAdmin();
  const own = session.value.token?.id;
  const revoke = async (token) => {
    const text = `Whoever uses it is refused from then on, and its agents are disconnected.${token.id === own ? " It is the token you are signed in with." : ""}`;
    if (!await ask({ title: `Revoke ${token.label || `token ${token.id}`}?`, text, confirm: "Revoke it", danger: true })) return;
    if (await attempt(async () => (await remove(`/tokens/${token.id}`), true))) say("Revoked.");
    again();
  };
  const state = (token) => token.revoked_at ? `revoked ${ago(token.revoked_at)}` : token.expires_at ? new Date(token.expires_at) < Date.now() ? "expired" : `good until ${moment(token.expires_at)}` : "good until revoked";
  const tokens = [...value?.tokens ?? []].sort((one, other) => Boolean(one.revoked_at) - Boolean(other.revoked_at) || other.id - one.id);
  return fe`<div class="padded">
    <${PageHead} title="Tokens" about="Who may do what."><${Button} class="primary" why=${why} onClick=${() => setMaking(true)}>New token<//><//>
    ${isAgent && fe`<p class="none">This page was opened with a token of scope agent, which may not see the others. Sign in at the server's own address with one of scope read or admin.</p>`}
    <${Trouble} error=${error} retry=${error?.status === 403 ? null : again} />
    ${tokens.length > 0 && fe`<div class="table-box" tabindex="0" role="region" aria-label="All tokens"><table class="table">
      <thead><tr><th scope="col" class="end">No.</th><th scope="col">Label</th><th scope="col">Scope</th><th scope="col">Sources</th><th scope="col">Made</th><th scope="col">State</th><th scope="col"><span class="unseen-title">Actions</span></th></tr></thead>
      <tbody>${tokens.map((token) => fe`<tr key=${token.id} class=${token.revoked_at ? "over" : ""}>
        <td class="num end">${token.id}</td><th scope="row"><${Text} text=${token.label || "–"} />${token.id === own && fe` <span class="flag">yours</span>`}</th><td>${token.scope}</td>
        <td>${token.scope === "agent" ? `${token.sources?.length ? token.sources.join(", ") : "any"}${token.create ? ", may make more" : ""}` : "all"}</td>
        <td class="num">${ago(token.created_at)}</td><td>${state(token)}</td>
        <td class="end">${!token.revoked_at && fe`<${Button} class="small" why=${why} aria-label=${`Revoke ${token.label || `token ${token.id}`}`} onClick=${() => revoke(token)}>Revoke…<//>`}</td></tr>`)}</tbody></table></div>`}
    ${isMaking && fe`<${NewToken} onClose=${() => {
    setMaking(false);
    again();
  }} />`}
  </div>`;
}
function NewToken({ onClose }) {
  const [form, setForm] = G({ scope: "agent", label: "", sources: "", create: true, days: "" });
  const [made, setMade] = G(null);
  const [error, setError] = G(null);
  const set = (change) => setForm({ ...form, ...change });
  const submit = async (event) => {
    event.preventDefault();
    const isAgent = form.scope === "agent";
    try {
      setMade(await post("/tokens", {
        scope: form.scope,
        ...form.label && { label: form.label },
        ...isAgent && { create: form.create, sources: form.sources.split(/[\s,]+/).filter(Boolean) },
        ...Number(form.days) > 0 && { expires_at: new Date(Date.now() + form.days * 864e5).toISOString() }
      }));
    } catch (failed) {
      setError(failed);
    }
  };
  if (made) {
    const isAgent = made.token.scope === "agent";
    return fe`<${Dialog} title="The token" onClose=${onClose} actions=${fe`<button type="button" class="primary" onClick=${onClose}>I have it</button>`}>
      <p><b>It is shown this once.</b> ${isAgent ? "Give it to the agent; its sign-in asks for the join line that begins with relay://." : "Keep it where you keep passwords."}</p>
      <${CopyLine} label="Token" text=${made.text} />
      ${isAgent && fe`<p class="dim">The server prints the whole join line, which has its address and key in it as well:</p><${CopyLine} label="Command" text="relay-server token create --scope agent" /><p class="dim">An agent that has signed in before takes the token alone, from the environment: <code>RELAY_TOKEN</code>.</p>`}<//>`;
  }
  const actions = fe`<button type="button" onClick=${onClose}>Not now</button><button type="submit" form="new-token" class="primary">Make it</button>`;
  return fe`<${Dialog} title="New token" onClose=${onClose} actions=${actions}><form id="new-token" onSubmit=${submit}>
    <${Field} label="Scope" control=${(rest) => fe`<select ...${rest} value=${form.scope} onChange=${(event) => set({ scope: event.target.value })}>${SCOPES.map(([id, label]) => fe`<option value=${id}>${label}</option>`)}</select>`} />
    <${Field} label="Label" help="For whom or what it is." control=${(rest) => fe`<input ...${rest} maxlength="200" value=${form.label} onInput=${(event) => set({ label: event.target.value })} />`} />
    ${form.scope === "agent" && fe`<${Field} label="Sources" help="By commas; empty means any of the project." control=${(rest) => fe`<input ...${rest} class="mono" spellcheck=${false} value=${form.sources} onInput=${(event) => set({ sources: event.target.value })} />`} />
      <label class="check"><input type="checkbox" checked=${form.create} onChange=${(event) => set({ create: event.target.checked })} /> May make and manage sources</label>`}
    <${Field} label="Good for (days)" help="Empty: until it is revoked." control=${(rest) => fe`<input ...${rest} type="number" min="1" max="3650" value=${form.days} onInput=${(event) => set({ days: event.target.value })} />`} />
    <${Trouble} error=${error} /></form><//>`;
}
export {
  Agents,
  Compare,
  Deliveries,
  EditReplay,
  EventPage,
  KeysHelp,
  NoEvents,
  Overview,
  ReplayMany,
  SearchHelp,
  SignIn,
  Source,
  Sources,
  Tokens,
  hold,
  step
};
