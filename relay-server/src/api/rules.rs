//! Whether rules can be kept: checked at the door, all mistakes told at once, each by the name of its field.

use http::StatusCode;
use protocol::control::Sharing;
use protocol::field::{is_field_value, is_hop_by_hop, is_ours, is_token};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ApiState;
use super::error::ApiError;
use crate::jq::EXPRESSION_BYTES_MAX;
use crate::model::{
    AcceptedReply, Dedupe, DedupeBy, Destination, DestinationRules, ProjectId, ProviderRules, ReplyMode,
    Source, SourceRules,
};
use crate::sender::Guard;

/// Longest patience of a source, and longest an attempt may take: an agent gives up on its app after ten minutes too.
const PATIENCE_MS_MAX: u32 = 600_000;

/// Most methods and networks a source may name. Each request is held against them.
const METHODS_MAX: usize = 32;
const NETWORKS_MAX: usize = 256;

/// Most header fields of a source's own receipt, most bytes of them, and of its body: it is kept in memory, and sent
/// for every event.
const REPLY_FIELDS_MAX: usize = 32;
const REPLY_FIELD_BYTES_MAX: usize = 8 * 1024;
const REPLY_BODY_BYTES_MAX: usize = 64 * 1024;

/// Longest header name or pointer by which copies are recognised.
const DEDUPE_NAME_BYTES_MAX: usize = 1024;

/// Most names of events a destination may ask for, and longest: each event is held against them.
const EVENTS_MAX: usize = 64;
const EVENT_NAME_BYTES_MAX: usize = 100;

/// Most parameters of a provider's scheme, and longest: a set of keys is the longest of them.
const PARAMS_MAX: usize = 16;
const PARAM_BYTES_MAX: usize = 16 * 1024;

/// Longest a copy is recognised, and longest a delivery is tried: thirty days. Each key takes some 100 bytes of disk.
const LONG_S: u32 = 30 * 24 * 60 * 60;

/// Most attempts at once, and most begun a second, of one destination. The dispatcher has 1,024 places in all.
const CONCURRENCY_MAX: u32 = 256;
const PACE_MAX: u32 = 10_000;

/// Steepest schedule: from a second to a day in five steps.
const FACTOR_MAX: u32 = 10;

/// How agents share a destination, as the API says it.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SharingName {
    #[default]
    Pool,
    Replace,
    Broadcast,
}

impl From<Sharing> for SharingName {
    fn from(sharing: Sharing) -> Self {
        match sharing {
            Sharing::Pool => Self::Pool,
            Sharing::Replace => Self::Replace,
            Sharing::Broadcast => Self::Broadcast,
        }
    }
}

impl From<SharingName> for Sharing {
    fn from(name: SharingName) -> Self {
        match name {
            SharingName::Pool => Self::Pool,
            SharingName::Replace => Self::Replace,
            SharingName::Broadcast => Self::Broadcast,
        }
    }
}

/// Changes `rules` by a merge patch (RFC 7396): what is named changes, `null` sets back to the default. One field is
/// replaced as a whole: `by`, which is one of several forms, and two of them make none.
pub(super) fn patch(rules: &mut Value, change: Map<String, Value>) {
    if !rules.is_object() {
        *rules = Value::Object(Map::new());
    }
    let Value::Object(fields) = rules else { return };
    for (name, value) in change {
        match value {
            Value::Null => drop(fields.remove(&name)),
            Value::Object(inner) if name != "by" => patch(fields.entry(name).or_insert(Value::Null), inner),
            value => drop(fields.insert(name, value)),
        }
    }
}

/// What is wrong, as far as it is known.
#[derive(Default)]
struct Mistakes(Vec<String>);

impl Mistakes {
    fn unless(&mut self, holds: bool, otherwise: impl Into<String>) {
        if !holds {
            self.0.push(otherwise.into());
        }
    }

    fn into_result(self) -> Result<(), ApiError> {
        if self.0.is_empty() { Ok(()) } else { Err(ApiError::malformed(self.0.join("; "))) }
    }
}

/// Whether a header field is not for people to set: it frames the message, concerns one connection, or is the relay's.
pub(super) fn is_reserved(name: &[u8]) -> bool {
    const NAMES: [&str; 4] = ["content-length", "transfer-encoding", "trailer", "expect"];
    NAMES.iter().any(|ours| name.eq_ignore_ascii_case(ours.as_bytes()))
        || is_hop_by_hop(name)
        || is_ours(name)
}

/// Whether the rules of a source can be kept.
pub(super) fn check_source(rules: &SourceRules) -> Result<(), ApiError> {
    let mut wrong = Mistakes::default();
    let is_method = |method: &String| {
        is_token(method.as_bytes())
            && !["CONNECT", "TRACE"].iter().any(|never| method.eq_ignore_ascii_case(never))
    };
    wrong.unless(rules.methods.len() <= METHODS_MAX, "rules.methods: at most 32");
    wrong.unless(
        rules.methods.iter().all(is_method),
        "rules.methods: names of methods, never CONNECT or TRACE",
    );
    wrong.unless(rules.networks.len() <= NETWORKS_MAX, "rules.networks: at most 256");
    let is_patience = (1..=PATIENCE_MS_MAX).contains(&rules.patience_ms);
    wrong.unless(is_patience, "rules.patience_ms: from 1 to 600000");
    wrong.unless(rules.in_flight_max > 0, "rules.in_flight_max: at least 1; `paused` stops everything");
    check_reply(&rules.accepted, &mut wrong);
    if let Some(dedupe) = &rules.dedupe {
        check_dedupe(dedupe, &mut wrong);
    }
    if let Some(provider) = &rules.provider {
        check_provider(provider, &mut wrong);
    }
    let is_open = rules.provider.as_ref().and_then(|rules| provider::find(&rules.name));
    wrong.unless(
        !(rules.smee && is_open.is_some_and(|provider| provider.sends_secret_openly())),
        "rules.smee: this provider sends its secret in the URL or the body, and whoever listens would learn it",
    );
    wrong.into_result()
}

/// Whether there is such a provider, and it takes these settings.
fn check_provider(rules: &ProviderRules, wrong: &mut Mistakes) {
    let is_short = rules.params.iter().all(|(name, value)| name.len() + value.len() <= PARAM_BYTES_MAX)
        && rules.params.len() <= PARAMS_MAX;
    wrong.unless(is_short, "rules.provider.params: at most 16, of 16 KiB each");
    let known = provider::find(&rules.name).map_or(&[][..], |provider| &provider.params);
    for param in known.iter().filter(|param| param.required && !rules.params.contains_key(&param.name)) {
        wrong.unless(false, format!("rules.provider.params.{}: needed: {}", param.name, param.what));
    }
    if is_short && let Err(error) = Guard::new(rules, &[]) {
        wrong.unless(false, format!("rules.provider: {error}"));
    }
}

fn check_reply(reply: &AcceptedReply, wrong: &mut Mistakes) {
    wrong.unless((200..=299).contains(&reply.status), "rules.accepted.status: from 200 to 299");
    wrong.unless(reply.headers.len() <= REPLY_FIELDS_MAX, "rules.accepted.headers: at most 32");
    let bytes: usize = reply.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    wrong.unless(bytes <= REPLY_FIELD_BYTES_MAX, "rules.accepted.headers: at most 8 KiB together");
    for (name, value) in reply.headers.iter().take(REPLY_FIELDS_MAX) {
        let shown = name.chars().take(64).collect::<String>();
        wrong.unless(
            is_token(name.as_bytes()),
            format!("rules.accepted.headers: {shown:?} is no name of a header field"),
        );
        wrong.unless(
            !is_reserved(name.as_bytes()),
            format!("rules.accepted.headers: {shown} is the relay's own to say"),
        );
        wrong.unless(
            is_field_value(value.as_bytes()),
            format!("rules.accepted.headers: the value of {shown} holds control characters"),
        );
    }
    let body_bytes = reply.body.as_ref().map_or(0, String::len);
    wrong.unless(body_bytes <= REPLY_BODY_BYTES_MAX, "rules.accepted.body: at most 64 KiB");
    let has_no_body = matches!(reply.status, 204 | 205);
    wrong.unless(!has_no_body || body_bytes == 0, "rules.accepted.body: an answer 204 or 205 has none");
}

fn check_dedupe(dedupe: &Dedupe, wrong: &mut Mistakes) {
    let is_window = (1..=LONG_S).contains(&dedupe.window_s);
    wrong.unless(is_window, "rules.dedupe.window_s: from 1 to 2592000, which is 30 days");
    match &dedupe.by {
        DedupeBy::Header(name) => wrong.unless(
            is_token(name.as_bytes()) && name.len() <= DEDUPE_NAME_BYTES_MAX,
            "rules.dedupe.by.header: the name of a header field",
        ),
        DedupeBy::Pointer(pointer) => wrong.unless(
            pointer.len() <= DEDUPE_NAME_BYTES_MAX && provider::json::Pointer::parse(pointer).is_some(),
            "rules.dedupe.by.pointer: a JSON pointer such as `/data/id`; empty means the whole body",
        ),
        DedupeBy::Provider | DedupeBy::Body => {}
    }
}

/// Whether the rules of a destination can be kept, but for its expressions: see [`check_expressions`].
pub(super) fn check_destination(state: &ApiState, rules: &DestinationRules) -> Result<(), ApiError> {
    let mut wrong = Mistakes::default();
    let refused = rules.url.as_ref().and_then(|url| state.urls.refuses(url));
    wrong.0.extend(refused.map(|why| format!("rules.url: {why}")));
    let is_timeout = (1..=PATIENCE_MS_MAX).contains(&rules.timeout_ms);
    wrong.unless(is_timeout, "rules.timeout_ms: from 1 to 600000");
    let is_concurrency = (1..=CONCURRENCY_MAX).contains(&rules.concurrency);
    wrong.unless(is_concurrency, "rules.concurrency: from 1 to 256; `paused` stops everything");
    let is_pace = rules.pace_per_s.is_none_or(|pace| (1..=PACE_MAX).contains(&pace));
    wrong.unless(is_pace, "rules.pace_per_s: from 1 to 10000, or null for none");
    let retry = &rules.retry;
    let is_factor = (1..=FACTOR_MAX).contains(&retry.factor);
    wrong.unless(is_factor, "rules.retry.factor: from 1 to 10");
    wrong.unless(retry.first_s > 0, "rules.retry.first_s: at least 1; `for_s` 0 makes one attempt only");
    let is_rising = retry.first_s <= retry.delay_s_max;
    wrong.unless(is_rising, "rules.retry.delay_s_max: not less than `first_s`");
    wrong.unless(retry.delay_s_max <= LONG_S, "rules.retry.delay_s_max: at most 2592000, which is 30 days");
    wrong.unless(retry.for_s <= LONG_S, "rules.retry.for_s: at most 2592000, which is 30 days");
    let is_name = |name: &String| (1..=EVENT_NAME_BYTES_MAX).contains(&name.len());
    wrong.unless(
        rules.events.len() <= EVENTS_MAX && rules.events.iter().all(is_name),
        "rules.events: at most 64 names of events, of 1 to 100 bytes each; `invoice.*` takes all that begin so",
    );
    for (name, expression) in [("filter", &rules.filter), ("transform", &rules.transform)] {
        let Some(expression) = expression else { continue };
        let is_said = !expression.trim().is_empty();
        wrong.unless(is_said, format!("rules.{name}: a jq expression, or null for none"));
        let is_short = expression.len() <= EXPRESSION_BYTES_MAX;
        wrong.unless(is_short, format!("rules.{name}: at most {EXPRESSION_BYTES_MAX} bytes"));
    }
    wrong.into_result()
}

/// Whether those of `expressions` compile that [`check_destination`] has nothing against.
pub(super) async fn check_expressions(
    state: &ApiState,
    owner: ProjectId,
    expressions: [(&str, Option<&str>); 2],
) -> Result<(), ApiError> {
    for (name, expression) in expressions {
        let is_said = |text: &&str| text.len() <= EXPRESSION_BYTES_MAX && !text.trim().is_empty();
        let Some(expression) = expression.filter(is_said) else { continue };
        match state.jq.check(owner, expression).await {
            Ok(()) => {}
            Err(error) if error.is_passing() => {
                tracing::warn!(%error, "an expression could not be checked");
                let message = "the expression could not be checked now; try again in a moment";
                return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "jq_unavailable", message));
            }
            Err(error) => return Err(ApiError::malformed(format!("rules.{name}: {error}"))),
        }
    }
    Ok(())
}

/// Whether a source and its primary destination go together. What a live sender is answered with is the app's answer
/// to what was sent, byte for byte: nothing may be left out or made anew on the way.
pub(super) fn check_primary(reply: ReplyMode, primary: &DestinationRules) -> Result<(), ApiError> {
    if reply != ReplyMode::Live || (primary.filter.is_none() && primary.transform.is_none()) {
        return Ok(());
    }
    let message = "a source with `reply: live` answers what its primary destination answers, byte for byte, so that \
                   destination can have neither filter nor transform: set `reply: accepted`, or put them on another \
                   destination";
    Err(ApiError::new(StatusCode::CONFLICT, "live_primary", message))
}

/// The primary destination of a source.
pub(super) fn primary(source: &Source) -> Option<&Destination> {
    source.destinations.first()
}
