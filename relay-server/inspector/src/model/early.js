// The answers to what first.js asked before this module was there. Each is handed out once: whoever asks again means it.

const FRESH_MS = 10_000;

/** By URL, promises of `{response, text}`. */
const asked = window.asked ?? new Map();
const here = new Map();
// One that was taken or forgotten before it came stays so: it is older than what is known by then, or somebody else's.
for (const [url, answer] of asked) answer.then((got) => void (asked.get(url) === answer && here.set(url, got)), () => {});

/** The answer to a GET of `url` that is under way, or nothing. */
export function taken(url) {
  const answer = asked.get(url);
  asked.delete(url);
  here.delete(url);
  return answer;
}

/** The body of a good answer to `url` that has come already, for who cannot wait; or nothing. */
export function takenHere(url) {
  const got = here.get(url);
  if (!got?.response.ok) return undefined;
  taken(url);
  return got.text;
}

/** Ends when all that the first drawing needs has come, or failed: the names of sources may come after it. */
export const firstHere = () => Promise.allSettled([...asked].filter(([url]) => url !== "api/v1/sources").map(([, answer]) => answer));

/** What was asked for before somebody signed in is worth nothing after. */
export function forget() {
  asked.clear();
  here.clear();
}

// What nobody took by then is out of date.
setTimeout(forget, FRESH_MS);
