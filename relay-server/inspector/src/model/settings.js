// What this browser remembers: theme, width of the list, single-key shortcuts, which sources notify. Nothing of it is
// sent anywhere, and where storage is forbidden it lasts as long as the page.

import { Signal } from "./signal.js";

function read(name, fallback) {
  try {
    const text = localStorage.getItem(`relay.${name}`);
    return text === null ? fallback : JSON.parse(text);
  } catch {
    return fallback;
  }
}

function setting(name, fallback) {
  const signal = new Signal(read(name, fallback));
  signal.watch((value) => {
    try {
      localStorage.setItem(`relay.${name}`, JSON.stringify(value));
    } catch {
      // Forbidden or full: remembered until the page is closed.
    }
  });
  return signal;
}

/** Percent of the width that the list has beside an event. */
export const listShare = setting("list-share", 44);

/** Whether single letters are shortcuts. People who speak to their computer need to switch that off. */
export const shortcuts = setting("shortcuts", true);

/** Whether somebody signed in on this address. The session itself is in a cookie that scripts cannot read. */
export const hasSignedIn = setting("signed-in", false);

/** `{source: {new, failed, dead}}` */
export const notified = setting("notified", {});

/** `"dark"`, `"light"` or null: as the system has it. Plain text in storage, because first.js reads it first. */
export const theme = new Signal(document.documentElement.dataset.theme ?? null);

export function isDark() {
  return theme.value ? theme.value === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

export function switchTheme() {
  const next = isDark() ? "light" : "dark";
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  try {
    // Choosing what the system has anyway means to follow it again.
    if (next === system) localStorage.removeItem("relay.theme");
    else localStorage.setItem("relay.theme", next);
  } catch {
    // As above.
  }
  if (next === system) delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  theme.set(next === system ? null : next);
}
