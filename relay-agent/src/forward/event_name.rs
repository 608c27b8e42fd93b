//! The name a provider gives an event, where its header says who sent it.

use protocol::field::HeaderBlock;

/// The event's name, as text that is safe to show; as much of it as the header fields tell.
#[must_use]
pub fn event_name(headers: &HeaderBlock) -> Option<String> {
    let request = provider::Request { method: "POST", url: "", headers, body: b"" };
    provider::recognise(&request)?.event_name(&request)
}
