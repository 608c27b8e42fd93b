// Replaying all that a search finds: counted first, confirmed, then done with its progress shown. The server takes
// simple terms; a search with others is replayed event by event, as far as its rows are loaded.

import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { post } from "../model/api.js";
import { count, plural } from "../model/format.js";
import { bulkFilter } from "../model/search.js";
import { Dialog } from "../parts/dialog.js";
import { Trouble } from "../parts/text.js";

const ONE_BY_ONE_MAX = 500;

export function ReplayMany({ query, list, onClose }) {
  // What comes after the count is left out: the same moment ends both.
  const { source, filter, left } = useRef(bulkFilter(query)).current;
  const until = useRef(filter.until ?? new Date().toISOString()).current;
  const ids = useRef(left.length ? list.rows.filter((row) => !row.gap).map((row) => row.id).reverse().slice(0, ONE_BY_ONE_MAX) : []).current;
  const [state, setState] = useState({ phase: left.length ? "counted" : "counting", matched: ids.length, made: 0, refused: 0, more: false, error: null });
  const stopped = useRef(false);
  const ask = (dry, before) => post("/replay", { ...(source && { source }), filter: { ...filter, until }, dry_run: dry, limit: dry ? 10_000 : 200, ...(before && { before }) });
  useEffect(() => {
    if (left.length) return undefined;
    ask(true).then(
      ({ matched, refused, more }) => setState((was) => ({ ...was, phase: "counted", matched, refused, more })),
      (error) => setState((was) => ({ ...was, phase: "failed", error })),
    );
    return () => (stopped.current = true);
  }, []);
  const run = async () => {
    let made = 0;
    let refused = 0;
    const said = () => setState((was) => ({ ...was, phase: "running", made, refused }));
    said();
    try {
      if (left.length) {
        for (const id of ids) {
          if (stopped.current) break;
          await post(`/events/${id}/replay`).then(() => (made += 1), (error) => {
            if (error.status !== 409 && error.status !== 404) throw error;
            refused += 1;
          });
          said();
        }
      } else {
        let before = null;
        do {
          const answer = await ask(false, before);
          made += answer.made;
          refused += answer.refused;
          before = answer.more ? answer.next : null;
          said();
        } while (before && !stopped.current);
      }
      setState((was) => ({ ...was, phase: "done" }));
    } catch (error) {
      setState((was) => ({ ...was, phase: "failed", error }));
    }
  };
  const { phase, matched, made, refused, more, error } = state;
  const actions = html`
    ${phase === "running" && html`<button type="button" onClick=${() => (stopped.current = true)}>Stop here</button>`}
    ${phase !== "running" && html`<button type="button" onClick=${onClose}>${phase === "done" || phase === "failed" ? "Close" : "Do not replay"}</button>`}
    ${phase === "counted" && html`<button type="button" class="primary" disabled=${!matched} onClick=${run}>Replay ${plural(matched, "event")}</button>`}`;
  return html`<${Dialog} title="Replay many" onClose=${() => phase !== "running" && onClose()} actions=${actions}>
    <p>${query.trim() ? html`All that match <code>${query}</code>.` : "All events, of every source you may manage. A search narrows it down."}</p>
    ${left.length > 0 && html`<p class="hint">The server's own replay has no words for ${left.map((term, at) => html`${at > 0 && ", "}<code>${term}</code>`)}. The ${count(ids.length)} rows loaded in the list are replayed one after the other${ids.length === ONE_BY_ONE_MAX ? `, ${ONE_BY_ONE_MAX} at most` : ""}.</p>`}
    <p role="status">
      ${phase === "counting" && "Counting…"}
      ${phase === "counted" && html`<b>${plural(matched, "event")}${more ? " or more" : ""}</b> ${matched === 1 ? "matches" : "match"}. ${filter.state ? "Each goes to the destination of its delivery again." : "Each goes to the primary destination of its source."}`}
      ${(phase === "running" || phase === "done") && html`<b>${count(made)}</b> of ${count(matched)} replayed${refused ? `, ${count(refused)} refused (the body was not kept whole, or the destination is gone)` : ""}.${phase === "done" ? " Done." : ""}`}
    </p>
    ${(phase === "running" || phase === "done") && html`<progress aria-label="Progress" max=${Math.max(1, matched)} value=${made + refused}></progress>`}
    <${Trouble} error=${error} />
  <//>`;
}
