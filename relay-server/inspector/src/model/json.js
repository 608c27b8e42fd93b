// JSON as it was written: numbers keep their digits, keys their order and their doubles. JSON.parse would show
// 12345678901234567890 as another number, which is no help to somebody who looks for it.

/** Deeper documents are shown as text. */
const DEPTH_MAX = 400;

export class NotJson extends Error {
  constructor(message, at) {
    super(message);
    this.at = at;
  }
}

/** Nodes are `{kind: "object" | "array" | "string" | "number" | "literal", keys?, items?, text?}`. */
export function parse(text) {
  let at = 0;
  const fail = (what) => {
    throw new NotJson(what, at);
  };
  const space = () => {
    while (at < text.length && " \t\r\n".includes(text[at])) at += 1;
  };
  const SIMPLE = /[^"\\\u0000-\u001f]*/y;
  function string() {
    const start = at;
    at += 1;
    for (;;) {
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
  function container(open, depth) {
    const node = open === "{" ? { kind: "object", keys: [], items: [] } : { kind: "array", items: [] };
    const close = open === "{" ? "}" : "]";
    at += 1;
    space();
    if (text[at] === close) {
      at += 1;
      return node;
    }
    for (;;) {
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

/** The document again, one line a value: for diffs and for the editor. */
export function pretty(node, indent = "") {
  if (node.kind === "string") return JSON.stringify(node.text);
  if (!node.items) return node.text;
  const [open, close] = node.keys ? "{}" : "[]";
  if (!node.items.length) return open + close;
  const inner = `${indent}  `;
  const lines = node.items.map((item, i) => inner + (node.keys ? `${JSON.stringify(node.keys[i])}: ` : "") + pretty(item, inner));
  return `${open}\n${lines.join(",\n")}\n${indent}${close}`;
}

/** Where a mistake is, as people count: `line 3, column 7`. */
export function position(text, at) {
  const before = text.slice(0, at).split("\n");
  return `line ${before.length}, column ${before.at(-1).length + 1}`;
}
