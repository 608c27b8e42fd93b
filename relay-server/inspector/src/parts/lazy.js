// Views that few need at once: the module of them all is fetched when one is drawn first, or in idle time before. Until
// it is there nothing stands in the view's place but, after a moment, a word; a module that cannot be had says so.

import { html, useEffect, useState } from "../vendor/preact.js";
import { Trouble } from "./text.js";

let views = null;
const more = async () => (views ??= await import("../more.js"));

/** Fetches the late views unasked. Without them the page goes on; whoever needs one is told then. */
export const preload = () => more().catch(() => {});

/** The view `name` of more.js. `onReady` hears when it came late. */
export function lazy(name) {
  function Lazy(props) {
    const [error, setError] = useState(null);
    const [late, draw] = useState(0);
    const view = views?.[name];
    const again = () => {
      setError(null);
      more().then(() => draw(1), () => setError({ message: "A part of this page could not be loaded. Is the server running? If trying again does not help, reload the page." }));
    };
    useEffect(() => {
      if (!view) again();
    }, []);
    useEffect(() => {
      if (late) props.onReady?.();
    }, [late]);
    if (view) return html`<${view} ...${props} />`;
    if (error) return html`<div class="unloaded"><${Trouble} error=${error} retry=${again} />${props.onClose && html`<button type="button" onClick=${props.onClose}>Close</button>`}</div>`;
    return html`<p class="dim loading" role="status">Loading…</p>`;
  }
  return Lazy;
}

/** Runs when the browser has nothing else to do, and in any case within two seconds. */
export const whenIdle = (work) => (window.requestIdleCallback ? requestIdleCallback(work, { timeout: 2000 }) : setTimeout(work, 300));
