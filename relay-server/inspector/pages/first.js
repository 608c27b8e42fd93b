// Runs before anything is drawn and before the page's modules are there, which are deferred; it is none. It asks
// who is looking and for the first list, so that the answers are on their way while the modules still are (early.js hands
// them out), and sets a remembered theme, so that the other one does not flash.
{
  const asked = new Map();
  const ask = (url) => {
    const answer = fetch(url).then(async (response) => ({ response, text: await response.text() }));
    // Whoever takes it hears of a failure; an answer that nobody takes fails in silence.
    answer.catch(() => {});
    asked.set(url, answer);
  };
  const [path, search = ""] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const [page, name] = path.split("/");
  ask("api/v1/whoami");
  if (!page || page === "events") {
    const q = (new URLSearchParams(search).get("q") ?? "").trim();
    ask(`api/v1/events?${new URLSearchParams({ ...(q && { q }), limit: 50 })}`);
    ask("api/v1/sources");
    if (/^evt_[0-9a-z]+$/.test(name)) ask(`api/v1/events/${name}`);
  }
  window.asked = asked;

  try {
    const theme = localStorage.getItem("relay.theme");
    if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
  } catch {
    // Storage may be forbidden; the system's theme holds then.
  }
}
