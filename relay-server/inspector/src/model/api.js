// Calls of the API, and the one kind of error they give. Everything stays on the page's own origin; every call that
// changes something carries `Relay-Inspector`, which no other web page can send.

import { taken, takenHere } from "./early.js";
import { Signal } from "./signal.js";

/** Becomes true once the server no longer takes the session: the page shows the sign-in. */
export const signedOut = new Signal(false);

export class ApiError extends Error {
  constructor(code, message, status) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

/** `path` below `/api/v1`, with those of `query` that say something. */
export function address(path, query = {}) {
  const said = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const search = new URLSearchParams(said).toString();
  return `api/v1${path}${search && `?${search}`}`;
}

async function call(method, path, { query, body, signal } = {}) {
  const { response, text } = await send(method, address(path, query), body, signal);
  if (response.status === 204) return null;
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ApiError("unreadable", `The answer (${response.status}) was not what this page expects. Reload the page.`, response.status);
  }
  if (response.ok) return value;
  const { code = "unknown", message = `The server answered ${response.status}.` } = value?.error ?? {};
  if (response.status === 401 && path !== "/session") signedOut.set(true);
  throw new ApiError(code, sentence(message), response.status);
}

async function send(method, url, body, signal) {
  const headers = {};
  if (method !== "GET") headers["Relay-Inspector"] = "1";
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    const early = method === "GET" && taken(url);
    if (early) return await early;
    const response = await fetch(url, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
    return { response, text: await response.text() };
  } catch (cause) {
    if (cause.name === "AbortError") throw cause;
    throw new ApiError("unreachable", "The server did not answer. Is it running, and is this machine connected to it?", 0);
  }
}

/** What `get` would give, if first.js asked for it and it came already; undefined otherwise. */
export function getHere(path, query) {
  const text = takenHere(address(path, query));
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    // `get` asks anew, and says what is wrong.
    return undefined;
  }
}

export const get = (path, query, signal) => call("GET", path, { query, signal });
export const post = (path, body = {}) => call("POST", path, { body });
export const patch = (path, body) => call("PATCH", path, { body });
export const remove = (path) => call("DELETE", path);

/** Messages of the API begin in lower case, as parts of a log line do. */
function sentence(message) {
  const text = message.charAt(0).toUpperCase() + message.slice(1);
  return /[.?!]$/.test(text) ? text : `${text}.`;
}
