// Runs before the rest of the page is there: it asks who is looking, and for the first list, so that both answers are on
// their way while the modules still are. It imports nothing, so that nothing holds it up.

const FRESH_MS = 10_000;

const started = new Map();

const start = (url) => {
  const answer = fetch(url);
  // Whoever takes it hears of a failure; an answer that nobody takes fails in silence.
  answer.catch(() => {});
  started.set(url, answer);
};

/** The answer to a GET of `url` that is under way, once: whoever asks again means it. */
export function taken(url) {
  const answer = started.get(url);
  started.delete(url);
  return answer;
}

/** What was asked for before somebody signed in is worth nothing after. */
export const forget = () => started.clear();

// What nobody took by then is out of date.
setTimeout(forget, FRESH_MS);

const [path, search = ""] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
const [page, name] = path.split("/");
start("api/v1/whoami");
if (!page || page === "events") {
  const q = (new URLSearchParams(search).get("q") ?? "").trim();
  start(`api/v1/events?${new URLSearchParams({ ...(q && { q }), limit: 100 })}`);
  start("api/v1/sources");
  if (/^evt_[0-9a-z]+$/.test(name)) start(`api/v1/events/${name}`);
}
