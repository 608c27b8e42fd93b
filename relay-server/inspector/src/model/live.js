// The live stream: one EventSource for the page, whatever is shown. Lines are queued and handed on once per frame, so a
// thousand arrivals a second cost sixty drawings. It says when it is not live, and takes care to come back by itself.

import { address, get } from "./api.js";
import { notified } from "./settings.js";
import { Signal } from "./signal.js";

/** More than so many lines between two frames (a tab that slept) are counted, not kept: the list is asked for them. */
const QUEUE_MAX = 4000;

/** After so long without running, the connection is taken for dead: the machine slept. */
const SLEPT_MS = 40_000;

/** So long a hidden tab goes on listening. */
const HIDDEN_MS = 60_000;

/** `{phase: "connecting" | "live" | "down" | "resting", since, retryAt}` */
export const presence = new Signal({ phase: "connecting", since: Date.now() });

const listeners = new Set();
let source = null;
let failures = 0;
let timer = 0;
let queue = [];
let missed = 0;
let isScheduled = false;
let awake = Date.now();

/** `listener({lines, isBack})`; `isBack`: the stream was away, and what came meanwhile has to be asked for. */
export function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function start() {
  stop();
  presence.set({ phase: "connecting", since: Date.now() });
  source = new EventSource(address("/events/stream"));
  source.onopen = () => {
    failures = 0;
    presence.set({ phase: "live", since: Date.now() });
    tell({ lines: [], isBack: true });
  };
  source.onmessage = ({ data }) => take(data);
  source.onerror = down;
}

export function stop() {
  clearTimeout(timer);
  timer = 0;
  source?.close();
  source = null;
}

function down() {
  stop();
  const wait = Math.min(30_000, 1000 * 2 ** failures) * (0.5 + Math.random() / 2);
  failures += 1;
  const since = presence.value.phase === "down" ? presence.value.since : Date.now();
  presence.set({ phase: "down", since, retryAt: Date.now() + wait });
  timer = setTimeout(start, wait);
  // An EventSource does not say why it failed. Whoami does: a revoked token shows the sign-in.
  if (failures === 2) get("/whoami").catch(() => {});
}

function take(data) {
  let line;
  try {
    line = JSON.parse(data);
  } catch {
    line = { type: "gap", missed: 1 };
  }
  if (queue.length < QUEUE_MAX) queue.push(line);
  else missed += line.type === "gap" ? line.missed : 1;
  if (isScheduled) return;
  isScheduled = true;
  // Frames do not come while the tab is hidden; a timer does, if slowly.
  if (document.hidden) setTimeout(flush, 500);
  else requestAnimationFrame(flush);
}

function flush() {
  isScheduled = false;
  const lines = queue;
  queue = [];
  if (missed) lines.push({ type: "gap", missed });
  missed = 0;
  tell({ lines, isBack: false });
}

function tell(news) {
  for (const listener of [...listeners]) listener(news);
}

export function retryNow() {
  if (presence.value.phase !== "live") start();
}

setInterval(() => {
  const slept = Date.now() - awake > SLEPT_MS;
  awake = Date.now();
  if (slept && source && !document.hidden) start();
}, 5000);
addEventListener("online", retryNow);

// A browser opens six connections to a host, for all its tabs together, and a stream holds one for as long as it lives:
// a tab that nobody looks at gives its own back, unless notices are wanted of it, and so does one that is left.
let hiddenTimer = 0;
const isWatching = () => Object.values(notified.value).some((kinds) => Object.values(kinds).includes(true));
const rest = () => {
  if (!source && !timer) return;
  stop();
  presence.set({ phase: "resting", since: Date.now() });
};
const wake = () => {
  clearTimeout(hiddenTimer);
  if (presence.value.phase === "resting") start();
};
addEventListener("pagehide", rest);
addEventListener("pageshow", wake);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    hiddenTimer = setTimeout(() => isWatching() || rest(), HIDDEN_MS);
    return;
  }
  wake();
  if (isScheduled) flush();
  if (source === null && timer) retryNow();
});
