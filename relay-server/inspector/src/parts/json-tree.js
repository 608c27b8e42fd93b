// A JSON document as a tree: children are drawn when their node is opened, a hundred at a time, and one search goes
// through all of it. The keyboard moves over lines as in any tree: arrows, Enter, Home, End.

import { html, useEffect, useMemo, useRef, useState } from "../vendor/preact.js";
import { count } from "../model/format.js";
import { nextId, Text } from "./text.js";

const CHILDREN = 100;
const STRING_MAX = 2000;
const MATCHES_MAX = 1000;

const path = (node, i) => (node.keys ? JSON.stringify(node.keys[i]) : i);

/** The lines in sight, from the root down, as far as nodes are open. */
function linesOf(root, open, more) {
  const out = [];
  const walk = (node, name, id, depth) => {
    const isOpen = node.items ? open.has(id) : undefined;
    out.push({ node, name, id, depth, isOpen });
    if (!isOpen) return;
    const limit = more.get(id) ?? CHILDREN;
    node.items.slice(0, limit).forEach((item, i) => walk(item, node.keys ? node.keys[i] : i, `${id}/${path(node, i)}`, depth + 1));
    if (node.items.length > limit) out.push({ more: id, left: node.items.length - limit, id: `${id}/…`, depth: depth + 1 });
  };
  walk(root, null, "", 0);
  return out;
}

/** The ids of nodes whose key or value holds the text, each with the ids above it and its place among its siblings. */
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

/** Open at first: the root and what it holds directly, as long as that is short. */
function openAtFirst(root) {
  const open = new Set([""]);
  root.items?.slice(0, 30).forEach((item, i) => {
    if (item.items && (item.items.length <= 12 || root.items.length === 1)) open.add(`/${path(root, i)}`);
  });
  return open;
}

export function JsonTree({ root }) {
  const [open, setOpen] = useState(() => openAtFirst(root));
  const [more, setMore] = useState(() => new Map());
  const [active, setActive] = useState("");
  const [wanted, setWanted] = useState("");
  const [at, setAt] = useState(0);
  const id = useRef(nextId()).current;
  const tree = useRef(null);
  useEffect(() => setOpen(openAtFirst(root)), [root]);
  const lines = useMemo(() => linesOf(root, open, more), [root, open, more]);
  const matches = useMemo(() => (wanted ? find(root, wanted) : []), [root, wanted]);
  const hits = useMemo(() => new Set(matches.map((match) => match.id)), [matches]);

  const show = (match) => {
    if (!match) return;
    setOpen(new Set([...open, ...match.above.map((node) => node.id)]));
    const grown = new Map(more);
    for (const node of match.above) if (node.i >= (more.get(node.id) ?? CHILDREN)) grown.set(node.id, node.i + CHILDREN);
    setMore(grown);
    setActive(match.id);
  };
  useEffect(() => {
    setAt(0);
    show(matches[0]);
  }, [matches]);
  useEffect(() => {
    const line = lines.findIndex((one) => one.id === active);
    if (active) tree.current?.children[line]?.scrollIntoView({ block: "nearest" });
  }, [active, lines]);

  const toggle = (line, to = !line.isOpen) => {
    const next = new Set(open);
    if (to) next.add(line.id);
    else next.delete(line.id);
    setOpen(next);
    setActive(line.id);
  };
  const grow = (line) => setMore(new Map(more).set(line.more, (more.get(line.more) ?? CHILDREN) + CHILDREN * 5));
  const onKeyDown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const now = Math.max(0, lines.findIndex((line) => line.id === active));
    const line = lines[now];
    const move = { ArrowDown: now + 1, ArrowUp: now - 1, Home: 0, End: lines.length - 1 }[event.key];
    if (move !== undefined) setActive(lines[Math.max(0, Math.min(lines.length - 1, move))].id);
    else if (event.key === "ArrowRight" && line.isOpen === false) toggle(line, true);
    else if (event.key === "ArrowRight") setActive(lines[Math.min(lines.length - 1, now + 1)].id);
    else if (event.key === "ArrowLeft" && line.isOpen) toggle(line, false);
    else if (event.key === "ArrowLeft") setActive(lines.slice(0, now).reverse().find((one) => one.depth < line.depth)?.id ?? "");
    else if ((event.key === "Enter" || event.key === " ") && line.more !== undefined) grow(line);
    else if ((event.key === "Enter" || event.key === " ") && line.isOpen !== undefined) toggle(line);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const step = (by) => {
    const next = (at + by + matches.length) % matches.length;
    setAt(next);
    show(matches[next]);
  };
  return html`<div class="json">
    <div class="json-find">
      <input type="search" aria-label="Find in this body" placeholder="Find" value=${wanted} spellcheck=${false} onInput=${(event) => setWanted(event.target.value)}
        onKeyDown=${(event) => event.key === "Enter" && matches.length && step(event.shiftKey ? -1 : 1)} />
      <span class="dim" role="status">${wanted && (matches.length ? `${at + 1} of ${matches.length === MATCHES_MAX ? `${count(MATCHES_MAX)} or more` : count(matches.length)}` : "none")}</span>
    </div>
    <div class="tree" role="tree" aria-label="Body as JSON" tabindex="0" ref=${tree} onKeyDown=${onKeyDown} aria-activedescendant=${`${id}-${Math.max(0, lines.findIndex((line) => line.id === active))}`}>
      ${lines.map((line, index) => {
        const state = `tree-line${line.id === active ? " is-active" : ""}${hits.has(line.id) ? " is-hit" : ""}`;
        const indent = { paddingLeft: `${line.depth * 16 + 18}px` };
        if (line.more !== undefined) {
          return html`<div class="${state} more" role="treeitem" aria-level=${line.depth + 1} id=${`${id}-${index}`} style=${indent} onClick=${() => grow(line)}>${count(line.left)} more…</div>`;
        }
        return html`<div class=${state} role="treeitem" aria-level=${line.depth + 1} aria-expanded=${line.isOpen} aria-selected=${line.id === active} id=${`${id}-${index}`} style=${indent}
          onClick=${() => (line.isOpen === undefined ? setActive(line.id) : toggle(line))}><${Line} line=${line} /></div>`;
      })}
    </div>
  </div>`;
}

function Line({ line: { node, name, isOpen } }) {
  const key = name === null ? null : html`<span class="key"><${Text} text=${name} /></span><span class="dim">: </span>`;
  if (node.items) {
    const sizes = node.keys ? `{${count(node.items.length)}}` : `[${count(node.items.length)}]`;
    return html`<span class=${isOpen ? "twist open" : "twist"} aria-hidden="true"></span>${key}<span class="dim">${sizes}</span>`;
  }
  if (node.kind === "string") {
    const cut = node.text.length > STRING_MAX;
    return html`${key}<span class="string">"<${Text} text=${cut ? node.text.slice(0, STRING_MAX) : node.text} />"</span>${cut && html`<span class="dim"> … ${count(node.text.length)} characters, see Text</span>`}`;
  }
  return html`${key}<span class=${node.kind}>${node.text}</span>`;
}
