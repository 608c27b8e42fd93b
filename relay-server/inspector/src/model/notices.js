// Notices of the system for sources whose reader asked for them: new events, failed ones, dead deliveries. Several of
// one kind within a few seconds are one notice, so that a burst does not bury the desktop.

import { listen } from "./live.js";
import { link } from "./route.js";
import { notified } from "./settings.js";
import { nameOf } from "./words.js";
import { plain } from "./format.js";

const GATHER_MS = 3000;

export const KINDS = [["new", "new events"], ["failed", "events that failed"], ["dead", "dead deliveries"]];

const isFailed = ({ outcome, status }) => status >= 500 || outcome === "not_sent" || outcome === "sent_no_answer";

/** `[source, kind, text, address]` of a line that is worth a notice. */
function* noticesOf(line) {
  const wanted = notified.value[line.source];
  if (!wanted) return;
  if (line.type === "event" && wanted.failed && isFailed(line)) yield [line.source, "failed", `${plain(nameOf(line))}: ${line.status || "no answer"}`, link("events", line.id)];
  else if (line.type === "event" && wanted.new) yield [line.source, "new", plain(nameOf(line)), link("events", line.id)];
  if (line.type === "delivery" && wanted.dead && line.state === "dead") yield [line.source, "dead", `A delivery to ${line.destination} died`, link("events", line.event)];
}

let gathered = new Map();
let timer = 0;

function show() {
  timer = 0;
  for (const [key, { source, kind, text, address, count }] of gathered) {
    const notice = new Notification(`${source}: ${KINDS.find(([id]) => id === kind)[1]}`, { body: count > 1 ? `${text}, and ${count - 1} more` : text, tag: `relay-${key}` });
    notice.onclick = () => {
      focus();
      location.hash = address;
      notice.close();
    };
  }
  gathered = new Map();
}

listen(({ lines }) => {
  if (typeof Notification === "undefined" || Notification.permission !== "granted") return;
  for (const line of lines) {
    for (const [source, kind, text, address] of noticesOf(line)) {
      const key = `${source}-${kind}`;
      gathered.set(key, { source, kind, text, address, count: (gathered.get(key)?.count ?? 0) + 1 });
    }
  }
  if (gathered.size && !timer) timer = setTimeout(show, GATHER_MS);
});

/** Asks the browser, where it has not been asked; gives why it will not be, or null. */
export async function permission() {
  if (typeof Notification === "undefined") return "This browser has no notifications, or not on this address (it takes https or localhost).";
  const answer = Notification.permission === "default" ? await Notification.requestPermission() : Notification.permission;
  return answer === "granted" ? null : "The browser does not allow notifications for this page. Its settings for this address can.";
}
