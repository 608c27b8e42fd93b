// Where the reader is, kept in the fragment so that every page has an address: `#/events/evt_…?q=status:5xx`.

import { Signal } from "./signal.js";

const PAGES = ["events", "overview", "sources", "deliveries", "agents", "tokens"];

function parse(hash) {
  const [path, search = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const [page, name = ""] = path.split("/");
  const params = new URLSearchParams(search);
  return {
    page: PAGES.includes(page) ? page : page ? "nowhere" : "events",
    name: decode(name),
    q: params.get("q") ?? "",
    params,
  };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export const route = new Signal(parse(location.hash));
addEventListener("hashchange", () => route.set(parse(location.hash)));

export function link(page, name = "", params = {}) {
  const said = Object.entries(params).filter(([, value]) => value);
  const search = new URLSearchParams(said).toString();
  return `#/${page}${name && `/${encodeURIComponent(name)}`}${search && `?${search}`}`;
}

/** `replace` leaves no step behind for the back button: for typing a search, and for moving along a list. */
export function go(target, { replace = false } = {}) {
  if (target === location.hash) return;
  if (replace) {
    history.replaceState(null, "", target);
    route.set(parse(location.hash));
  } else {
    location.hash = target;
  }
}
