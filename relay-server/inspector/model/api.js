// Calls of the API, and the one kind of error they give. Everything stays on the page's own origin; every call that
// changes something carries `Relay-Inspector`, which no other web page can send.

import { taken } from "../first.js";
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
  const response = await send(method, address(path, query), body, signal);
  if (response.status === 204) return null;
  let value;
  try {
    value = await response.json();
  } catch (cause) {
    if (cause.name === "AbortError") throw cause;
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
    return await ((method === "GET" && taken(url)) || fetch(url, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) }));
  } catch (cause) {
    if (cause.name === "AbortError") throw cause;
    throw new ApiError("unreachable", "The server did not answer. Is it running, and is this machine connected to it?", 0);
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
