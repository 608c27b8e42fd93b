// The event as the API gives it, and the request as it stood on the wire, as far as that was kept.

import { html, useState } from "../vendor/preact.js";
import { decode } from "../model/body.js";
import { CopyButton, Segments } from "../parts/controls.js";
import { Text } from "../parts/text.js";

const SHOWN_MAX = 64 * 1024;

export function Raw({ event }) {
  const [kind, setKind] = useState("http");
  const { text } = decode(event.body);
  const head = [`${event.method} ${event.path} HTTP/1.1`, ...event.headers.map(([name, value]) => `${name}: ${value}`)].join("\n");
  const all = kind === "http" ? `${head}\n\n${text ?? `(${event.body_bytes} bytes that are not text)`}` : JSON.stringify(event, null, 2);
  return html`<div class="bar"><${Segments} label="Form" choices=${[["http", "Request"], ["json", "JSON of the API"]]} current=${kind} onChange=${setKind} /><span class="grow"></span><${CopyButton} text=${all} /></div>
    <pre class="code" tabindex="0" aria-label="Raw"><${Text} text=${all.slice(0, SHOWN_MAX)} lines /></pre>
    ${all.length > SHOWN_MAX && html`<p class="hint">Only the beginning is shown. The tab Request has the body in parts.</p>`}`;
}
