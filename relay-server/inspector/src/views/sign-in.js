// The sign-in of the server's own page: a token becomes a cookie that scripts cannot read. The agent's page has none.

import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { signIn } from "../model/session.js";
import { Field } from "../parts/controls.js";

export function SignIn({ was }) {
  const [token, setToken] = useState("");
  const [state, setState] = useState({ isBusy: false, error: null });
  const field = useRef(null);
  useEffect(() => {
    document.title = "Sign in · Inspector";
    field.current.focus();
  }, []);
  const submit = async (event) => {
    event.preventDefault();
    setState({ isBusy: true, error: null });
    try {
      await signIn(token.trim());
    } catch (error) {
      setState({ isBusy: false, error });
      field.current.select();
    }
  };
  return html`<main class="centered"><form class="sign-in" onSubmit=${submit}>
    <svg viewBox="0 0 16 16" aria-hidden="true"><path d="M1.5 8h8M6.5 4 10.5 8l-4 4M13.5 3v10" /></svg>
    <h1>Sign in to the inspector</h1>
    ${was && html`<p class="hint">You were signed out: the token was revoked, or the server was started anew.</p>`}
    <input type="text" autocomplete="username" value="relay" hidden readonly />
    <${Field} label="Token" error=${state.error?.message} help="Begins with rt_. It is sent to this server only, and kept in a cookie that scripts cannot read."
      control=${(rest) => html`<input ...${rest} ref=${field} type="password" value=${token} autocomplete="current-password" spellcheck=${false} onInput=${(event) => setToken(event.target.value)} />`} />
    <button type="submit" class="primary" disabled=${state.isBusy || !token.trim()}>${state.isBusy ? "Signing in…" : "Sign in"}</button>
    <details><summary>Where do I get one?</summary>
      <p>On the server's machine: the file <code>first-start.txt</code> in its data directory has the first, and this makes another:</p>
      <pre class="code">relay-server token create --scope admin</pre></details>
  </form></main>`;
}
