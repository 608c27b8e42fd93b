// What codes of the API mean, in words. One place, so that list, detail and overview say the same.

import { span } from "./format.js";

const REASONS = {
  agent_away: "no agent served the destination",
  agent_full: "every agent had as many requests in flight as it may",
  app_refused: "nothing listens where the agent forwards to",
  app_broke: "the app closed the connection, or answered something that is not HTTP",
  app_slow: "the app did not answer in time",
  answer_broke: "the app's answer broke off",
  request_broke: "the request broke off on its way",
  link_lost: "the link to the agent was lost",
  relay_stopped: "the relay stopped while it was under way",
  sender_gone: "the sender hung up",
  unasked_switch: "the app switched protocols unasked",
  request_refused: "no such request can be made to a URL",
  body_unreadable: "its stored body cannot be read",
  event_unreadable: "the stored event cannot be read",
  filtered: "the destination's filter leaves it out",
  filter_failed: "the destination's filter failed on it",
  transform_failed: "the destination's transform failed on it",
  destination_deleted: "the destination was deleted",
  source_deleted: "the source was deleted",
  skipped_by_agent: "the agent chose to skip what waited",
  edited: "it is an edited copy",
  published: "it was published through the API",
  triggered: "it is a test event",
  test: "it is a test event",
  held: "the source is on hold",
  hold: "the source is on hold",
  overloaded: "too much was under way",
  rate_limited: "as many requests as the source allows were waiting",
  handshake_not_awaited: "a handshake that nobody opened the source for",
  signature_invalid: "its signature is not good",
};

/** A reason as part of a sentence; codes that are new here are shown as they are. */
export const reason = (code) => (code ? (REASONS[code] ?? code.replaceAll("_", " ")) : "");

const SIGNATURES = {
  verified: "The provider signed this body.",
  sender_verified: "The provider sent it, but what it signs does not cover the body.",
  wrong_secret: "Rightly formed, and made with another secret, or of another body. Compare the secret here with the one at the provider.",
  body_altered: "Right for a body that lost its last line break or was written anew: something between the provider and here changed it.",
  secret_form: "Right if the secret is read otherwise: not decoded, in hex, or with a space at its end. Add it again exactly as the provider shows it.",
  stale: "Signed too long ago. Is the clock of this server right, or was it sent again?",
  future: "Signed ahead of the clock. Is the clock of this server right?",
  header_missing: "The header field with the signature is missing.",
  header_twice: "The header field with the signature is there twice.",
  malformed: "Not a signature of this provider.",
  unknown_version: "A version of the scheme that is not known here.",
  timestamp_missing: "The time that the signature covers is missing.",
  url_scheme: "Signed for another spelling of the URL (http or https). Compare public.url with what the provider has.",
  url_form: "Signed for another spelling of the URL. Compare public.url with what the provider has.",
  token_wrong: "The shared token is another one.",
  not_for_us: "A signed token for somebody else.",
  expired: "The signed token is too old.",
  key_wanted: "The provider's public key could not be had.",
  key_refused: "The public key it names is not the provider's.",
  key_unknown: "The provider has no such public key.",
  key_unusable: "The provider's public key cannot be used.",
  edited: "A copy that its owner edited, of an event whose signature was good.",
  handshake_not_awaited: "A handshake that brings a secret, and nobody opened the source for it.",
};

export const isSigned = (signature) => signature === "verified" || signature === "sender_verified";
export const signatureWords = (code) => SIGNATURES[code] ?? code.replaceAll("_", " ");

const toneOf = (status) => (status >= 500 || status === 0 ? "bad" : status >= 400 ? "warn" : status >= 300 ? "plain" : "good");
const SHAPES = { good: "dot", plain: "ring", warn: "triangle", bad: "square", info: "half" };

/** The chip of an event: `{text, tone, shape}`. Shape and text tell what the colour tells. */
export function chip({ outcome, status }) {
  if (outcome === "answered") return { text: String(status || "—"), tone: toneOf(status), shape: SHAPES[toneOf(status)] };
  if (outcome === "accepted") return { text: `${status || 202} stored`, tone: "info", shape: "half" };
  if (outcome === "duplicate") return { text: `${status} copy`, tone: "plain", shape: "ring" };
  if (outcome === "greeted") return { text: `${status} greeted`, tone: "plain", shape: "ring" };
  if (outcome === "refused") return { text: `${status} refused`, tone: "warn", shape: "triangle" };
  if (outcome === "not_sent") return { text: `${status || ""} not sent`.trim(), tone: "bad", shape: "square" };
  return { text: `${status || ""} no answer`.trim(), tone: "bad", shape: "square" };
}

const STATES = {
  waiting: { text: "waiting", tone: "info", shape: "clock" },
  leased: { text: "under way", tone: "info", shape: "clock" },
  delivered: { text: "delivered", tone: "good", shape: "dot" },
  dead: { text: "dead", tone: "bad", shape: "cross" },
  cancelled: { text: "cancelled", tone: "plain", shape: "dash" },
};
export const stateChip = (state) => STATES[state] ?? { text: state, tone: "plain", shape: "ring" };

/** What happened to an event, as one sentence. */
export function story({ outcome, status, reason: why, total_us: total }) {
  const because = why ? `: ${reason(why)}` : "";
  switch (outcome) {
    case "answered":
      return `The app answered ${status} in ${span(total)}.`;
    case "accepted":
      return `Stored, and the sender told ${status || 202}${because}.`;
    case "not_sent":
      return `Nothing reached the app${because}. The sender was told ${status}; sending it again is safe.`;
    case "sent_no_answer":
      return `It was sent, and no answer came${because}. The app may have acted.${status ? ` The sender was told ${status}.` : ""}`;
    case "refused":
      return `Refused with ${status}, before the app${because}.`;
    case "duplicate":
      return `A copy of an event that was taken before; answered like it, and not delivered again.`;
    case "greeted":
      return `A challenge of the provider, which the relay answered${because}.`;
    default:
      return outcome;
  }
}

/** What happened in one attempt. */
export function attemptStory({ outcome, status, reason: why, text }) {
  if (text) return text;
  if (outcome === "answered") return `The app answered ${status}.`;
  if (outcome === "not_sent") return `Nothing reached the app: ${reason(why)}.`;
  return `It was sent, and no answer came: ${reason(why)}.`;
}

export const nameOf = (event) => event.name || pathOf(event);

/** The path without what found the source, which is the same in every row. */
export function pathOf({ source, path }) {
  const mount = `/h/${source}`;
  return path.startsWith(mount) ? path.slice(mount.length) || "/" : path;
}
