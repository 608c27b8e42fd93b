//! The name a provider gives an event, where a header says it.

use protocol::field::HeaderBlock;

/// Header fields that carry an event's name.
const FIELDS: [&str; 14] = [
    "x-github-event",
    "x-gitlab-event",
    "x-gitea-event",
    "x-event-key",
    "x-shopify-topic",
    "x-wc-webhook-topic",
    "x-event-name",
    "x-webhook-event",
    "linear-event",
    "sentry-hook-resource",
    "x-twitch-eventsub-subscription-type",
    "x-zm-event",
    "ce-type",
    "x-amz-sns-message-type",
];

/// Longest name worth showing.
const NAME_BYTES_MAX: usize = 60;

/// The event's name, as text that is safe to show.
#[must_use]
pub fn event_name(headers: &HeaderBlock) -> Option<String> {
    let value = headers.iter().find_map(|(name, value)| {
        FIELDS.iter().any(|f| name.eq_ignore_ascii_case(f.as_bytes())).then_some(value)
    })?;
    let is_plain = !value.is_empty()
        && value.len() <= NAME_BYTES_MAX
        && value.iter().all(|b| b.is_ascii_graphic() || *b == b' ');
    is_plain.then(|| String::from_utf8_lossy(value).into_owned())
}
