// A body to be read: as what it is (JSON, form, parts, XML), as text, as bytes. What is large comes in parts of 64 KiB,
// on request, so that 25 MiB never stand in the page at once unless the reader asks for each of them.

import { html, useEffect, useMemo, useRef, useState } from "../vendor/preact.js";
import { address } from "../model/api.js";
import { decode, field, formPairs, hex, indentXml, kindOf, parts } from "../model/body.js";
import { bytes as sizeOf, plural } from "../model/format.js";
import { NotJson, parse, position } from "../model/json.js";
import { CopyButton, Segments } from "./controls.js";
import { JsonTree } from "./json-tree.js";
import { Text, Trouble } from "./text.js";

const PART = 64 * 1024;

/** Bodies up to this size can be fetched whole, to be read as JSON. */
const WHOLE_MAX = 4 * 1024 * 1024;

const NAMES = { json: "JSON", form: "Form", multipart: "Parts", xml: "XML", text: "Text", hex: "Bytes" };

/** `body` as the API gives it; `source`: the path below /api/v1 where all of it is, if it is anywhere. */
export function BodyView({ headers, body, source, name = "body" }) {
  const [fetched, setFetched] = useState(null);
  const type = field(headers, "content-type");
  const { text, bytes } = useMemo(() => fetched ?? decode(body), [body, fetched]);
  const kind = kindOf(type, text, bytes.length);
  const own = kind === "binary" ? "hex" : kind;
  const [chosen, setChosen] = useState(null);
  useEffect(() => {
    setChosen(null);
    setFetched(null);
  }, [source, body.total_bytes]);
  const isCoded = field(headers, "content-encoding");
  if (kind === "empty" && !body.total_bytes) return html`<p class="dim none">No body.</p>`;
  const isPartial = Boolean(body.is_partial && source && !fetched);
  const kinds = [...new Set([own, ...(text === null ? [] : ["text"]), "hex"])].filter((one) => one !== "empty");
  const view = kinds.includes(chosen) ? chosen : kinds[0];
  return html`<div class="body-view">
    <div class="bar">
      <${Segments} label="Show the body as" choices=${kinds.map((one) => [one, NAMES[one]])} current=${view} onChange=${setChosen} />
      <span class="dim grow"><${Text} text=${type || "no content type"} /> · ${sizeOf(body.total_bytes)}${isCoded && html` · ${isCoded}`}</span>
      ${text !== null && !isPartial && html`<${CopyButton} text=${text} what="Body copied." />`}
      ${source && html`<a class="button small" href=${address(source)} download=${`${name}.bin`}>Download</a>`}
    </div>
    ${(body.truncated || (body.is_partial && !source)) && html`<p class="hint">Only ${sizeOf(bytes.length)} of ${sizeOf(body.total_bytes)} ${body.truncated ? "were kept" : "are shown"}.${source ? " It cannot be replayed." : ""}</p>`}
    ${isPartial && view !== "hex" && body.total_bytes <= WHOLE_MAX && view === "json" && html`<${Whole} source=${source} size=${body.total_bytes} onWhole=${setFetched} />`}
    ${isPartial && (view === "text" || view === "hex" || view === "xml" || body.total_bytes > WHOLE_MAX)
      ? html`<${Parts} key=${`${source}${view === "hex"}`} source=${source} first=${bytes} total=${body.total_bytes} isHex=${view === "hex"} />`
      : html`<${Shown} view=${view} text=${text} bytes=${bytes} type=${type} isPartial=${isPartial} />`}
  </div>`;
}

function Shown({ view, text, bytes, type, isPartial }) {
  const [shown, setShown] = useState(PART);
  useEffect(() => setShown(PART), [bytes, view]);
  const json = useMemo(() => {
    if (view !== "json" || isPartial) return null;
    try {
      return { root: parse(text) };
    } catch (error) {
      if (error instanceof NotJson) return { mistake: `This is not JSON: ${error.message}, at ${position(text, error.at)}.` };
      throw error;
    }
  }, [view, text, isPartial]);
  if (json?.root) return html`<${JsonTree} root=${json.root} />`;
  if (view === "form") return html`<${Pairs} pairs=${formPairs(text)} />`;
  if (view === "multipart") return html`<${MultiPart} bytes=${bytes} type=${type} />`;
  const all = view === "hex" ? null : view === "xml" ? indentXml(text) : text;
  const length = all === null ? bytes.length : all.length;
  const part = all === null ? hex(bytes.subarray(0, shown / 4)) : all.slice(0, shown);
  const end = all === null ? shown / 4 : shown;
  return html`
    ${json?.mistake && html`<p class="hint">${json.mistake}</p>`}
    <pre class="code" tabindex="0" aria-label="Body"><${Text} text=${part} lines /></pre>
    ${end < length && html`<p class="bar"><button type="button" onClick=${() => setShown(shown + PART)}>Show more</button><span class="dim">${sizeOf(end)} of ${sizeOf(length)} shown</span></p>`}`;
}

function Pairs({ pairs }) {
  return html`<table class="pairs"><tbody>${pairs.map(([name, value]) => html`<tr><th scope="row"><${Text} text=${name} /></th><td><${Text} text=${value} lines /></td></tr>`)}</tbody></table>`;
}

function MultiPart({ bytes, type }) {
  const found = parts(bytes, type);
  if (!found?.length) return html`<p class="hint">No parts were found. See Text or Bytes.</p>`;
  return html`<ol class="parts">${found.map((part) => {
    const disposition = field(part.headers, "content-disposition");
    const kind = field(part.headers, "content-type") || "text/plain";
    const isText = /^text|json|xml/.test(kind) && part.bytes.length < PART;
    return html`<li><p><b><${Text} text=${/name="([^"]*)"/.exec(disposition)?.[1] ?? "?"} /></b>
      <span class="dim"><${Text} text=${/filename="([^"]*)"/.exec(disposition)?.[1] ?? ""} /> <${Text} text=${kind} /> · ${sizeOf(part.bytes.length)}</span></p>
      ${isText && html`<pre class="code"><${Text} text=${new TextDecoder().decode(part.bytes)} lines /></pre>`}</li>`;
  })}</ol>`;
}

function Whole({ source, size, onWhole }) {
  const [state, setState] = useState({ isLoading: false, error: null });
  const load = async () => {
    setState({ isLoading: true, error: null });
    try {
      const response = await fetch(address(source));
      if (!response.ok) throw new Error(`The body could not be fetched (${response.status}).`);
      const bytes = new Uint8Array(await response.arrayBuffer());
      onWhole({ bytes, text: asText(bytes) });
    } catch (error) {
      setState({ isLoading: false, error });
    }
  };
  return html`<p class="bar"><button type="button" disabled=${state.isLoading} onClick=${load}>Load all ${sizeOf(size)} as a tree</button>
    <span class="dim">Below is the beginning as text.</span></p><${Trouble} error=${state.error} />`;
}

function asText(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** Reads on, 64 KiB at each press. What was not asked for stays at the server: the stream is only pulled then. */
function Parts({ source, first, total, isHex }) {
  const [blocks, setBlocks] = useState([]);
  const [state, setState] = useState({ isLoading: false, error: null, isDone: false });
  const stream = useRef(null);
  const decoder = useRef(new TextDecoder());
  const draw = (bytes, start) => (isHex ? hex(bytes, start) : decoder.current.decode(bytes, { stream: true }));
  useEffect(() => {
    decoder.current = new TextDecoder();
    const opening = first.subarray(0, isHex ? PART / 4 : PART);
    setBlocks([{ text: draw(opening, 0), end: opening.length }]);
    return () => stream.current?.reader.cancel().catch(() => {});
  }, [source, first]);
  const end = blocks.at(-1)?.end ?? 0;
  const more = async () => {
    setState({ ...state, isLoading: true, error: null });
    try {
      stream.current ??= await open(source, end);
      const bytes = await take(stream.current, isHex ? PART / 4 : PART);
      setBlocks([...blocks, { text: draw(bytes, end), end: end + bytes.length }]);
      setState({ isLoading: false, error: null, isDone: bytes.length === 0 });
    } catch (error) {
      stream.current = null;
      setState({ ...state, isLoading: false, error });
    }
  };
  return html`<div class="blocks">${blocks.map((block) => html`<pre class="code" tabindex="0" aria-label="Part of the body"><${Text} text=${block.text} lines /></pre>`)}</div>
    <${Trouble} error=${state.error} />
    <p class="bar">${end < total && !state.isDone && html`<button type="button" disabled=${state.isLoading} onClick=${more}>Show 64 KiB more</button>`}
      <span class="dim" role="status">${sizeOf(end)} of ${sizeOf(total)} shown, ${plural(blocks.length, "part")}</span></p>`;
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
