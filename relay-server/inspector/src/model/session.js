// Who is looking, and what they may do. The server decides; this only keeps the page from offering what it would refuse.

import { forget } from "./early.js";
import { ApiError, get, post, remove, signedOut } from "./api.js";
import { hasSignedIn } from "./settings.js";
import { Signal } from "./signal.js";

/** `{phase: "asking" | "out" | "in" | "failed", token, program, canSignOut, error}`. On the agent's page nobody signed in, so nobody can sign out. */
export const session = new Signal({ phase: "asking" });

signedOut.watch((out) => {
  if (!out) return;
  forget();
  session.set({ phase: "out", was: session.value.phase === "in" });
});

export async function begin() {
  try {
    const { token, program } = await get("/whoami");
    signedOut.set(false);
    session.set({ phase: "in", token, program, canSignOut: hasSignedIn.value });
  } catch (error) {
    forget();
    if (error instanceof ApiError && error.status === 401) session.set({ phase: "out", was: session.value.was });
    else session.set({ phase: "failed", error });
  }
}

/** Refused with `token_invalid` where the token is not good. */
export async function signIn(token) {
  await post("/session", { token });
  hasSignedIn.set(true);
  await begin();
}

export async function signOut() {
  await remove("/session");
  forget();
  hasSignedIn.set(false);
  session.set({ phase: "out" });
}

/** Why the caller may not manage this source; null: it may. Without a source: make a new one. */
export function whyNotManage(source) {
  const token = session.value.token;
  if (!token || token.scope === "admin") return null;
  if (token.scope === "read") return "This token may only look (scope read).";
  if (!token.create) return "This token may serve its sources, and not manage them.";
  if (source && token.sources?.length && !token.sources.includes(source)) return "This token is for other sources.";
  return null;
}

/** Why the caller may not do what takes scope `admin`; null: it may. */
export function whyNotAdmin() {
  return session.value.token?.scope === "admin" ? null : "It takes a token of scope admin.";
}
