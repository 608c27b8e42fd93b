// The inspector begins here: it asks who is looking, and draws the sign-in or the page that the fragment names. A new
// page is one file in views/, a line in more.js and one in PAGES. Pages but the first come with more.js, in idle time or
// when somebody goes there.

import { html, render, useEffect, useRef, useState } from "./vendor/preact.js";
import { firstHere } from "./model/early.js";
import { start, stop } from "./model/live.js";
import { go, link, route } from "./model/route.js";
import { begin, session, signOut } from "./model/session.js";
import { switchTheme, isDark, theme } from "./model/settings.js";
import { useSignal } from "./model/signal.js";
import { attempt, Host } from "./parts/dialog.js";
import { useKeys } from "./parts/keys.js";
import { lazy, preload, whenIdle } from "./parts/lazy.js";
import { Presence } from "./parts/presence.js";
import { Trouble } from "./parts/text.js";
import { Events } from "./views/events.js";

const KeysHelp = lazy("KeysHelp");
const SignIn = lazy("SignIn");
const Source = lazy("Source");
const Sources = lazy("Sources");

const PAGES = [
  { id: "events", title: "Events", key: "e", view: Events },
  { id: "overview", title: "Overview", key: "o", view: lazy("Overview") },
  { id: "sources", title: "Sources", key: "s", view: ({ name, ...rest }) => (name ? html`<${Source} key=${name} name=${name} onReady=${rest.onReady} />` : html`<${Sources} ...${rest} />`) },
  { id: "deliveries", title: "Deliveries", key: "d", view: lazy("Deliveries") },
  { id: "agents", title: "Agents", key: "a", view: lazy("Agents") },
  { id: "tokens", title: "Tokens", key: "t", view: lazy("Tokens") },
];

/** So long an empty page may stand there before it says what it waits for. */
const MOMENT_MS = 150;

function Page() {
  const { page, name, q, params } = useSignal(route);
  const { token, program, canSignOut } = useSignal(session);
  useSignal(theme);
  const [isHelp, setHelp] = useState(false);
  useEffect(() => {
    start();
    return stop;
  }, []);
  const isFirst = useRef(true);
  // A new page begins at its heading, for whoever listens instead of looking.
  const home = () => !isFirst.current && document.querySelector("main [data-home]")?.focus({ preventScroll: true });
  useEffect(() => {
    home();
    isFirst.current = false;
  }, [page, page === "events" || name]);
  const keys = { "?": () => setHelp(true) };
  for (const { id, key } of PAGES) keys[`g ${key}`] = () => go(link(id));
  useKeys(keys);
  const current = PAGES.find(({ id }) => id === page);
  return html`
    <a class="skip" href="#main" onClick=${(event) => {
      event.preventDefault();
      document.querySelector("[data-home]")?.focus();
    }}>Skip to the content</a>
    <header class="top">
      <a class="brand" href=${link("events")} aria-label="Inspector, all events"><svg viewBox="0 0 16 16" aria-hidden="true"><path d="M1.5 8h8M6.5 4 10.5 8l-4 4M13.5 3v10" /></svg><span>Inspector</span></a>
      <nav aria-label="Pages">${PAGES.map(({ id, title }) => html`<a href=${link(id)} aria-current=${id === page ? "page" : undefined}>${title}</a>`)}</nav>
      <div class="top-end">
        <${Presence} />
        <button type="button" class="bare" onClick=${switchTheme} aria-label=${isDark() ? "Light theme" : "Dark theme"} title=${isDark() ? "Light theme" : "Dark theme"}>
          <svg viewBox="0 0 16 16" aria-hidden="true"><circle cx="8" cy="8" r="5.5" /><path class="filled" d="M8 2.5a5.5 5.5 0 0 1 0 11z" /></svg></button>
        <button type="button" class="bare" aria-label="Keys" title="Keys (?)" onClick=${() => setHelp(true)}>?</button>
        ${canSignOut && token && html`<button type="button" class="bare small sign-out" title=${`${program ?? ""} · ${token.label || "token"}, scope ${token.scope}`} onClick=${() => attempt(signOut)}>Sign out</button>`}
      </div>
    </header>
    <main id="main" class=${`page page-${page}`}>
      ${current ? html`<${current.view} onReady=${home} name=${name} q=${q} params=${params} />` : html`<div class="padded"><h1 tabindex="-1" data-home>No such page</h1><p>The address does not name a page. <a href=${link("events")}>All events</a></p></div>`}
    </main>
    ${isHelp && html`<${KeysHelp} pages=${PAGES} onClose=${() => setHelp(false)} />`}`;
}

function App() {
  const { phase, error, was } = useSignal(session);
  return html`
    ${phase === "in" && html`<${Page} />`}
    ${phase === "out" && html`<${SignIn} was=${was} />`}
    ${phase === "failed" && html`<main class="centered"><h1>Inspector</h1><${Trouble} error=${error} retry=${begin} /></main>`}
    ${phase === "asking" && html`<main class="centered"><p class="dim loading" role="status">Asking the server who you are…</p></main>`}
    <${Host} />`;
}

const { page, name } = route.value;
if (page !== "events" || name) preload();
// The first drawing is the list itself, if what it needs is here within a moment, and not an empty page before it.
const moment = new Promise((over) => setTimeout(over, MOMENT_MS));
Promise.race([Promise.all([begin(), firstHere()]), moment]).then(() => {
  render(html`<${App} />`, document.getElementById("app"));
  whenIdle(preload);
});
