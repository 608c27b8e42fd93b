//! What an event's header says of its provider: the name it gives the event, and who it is.

use protocol::field::HeaderBlock;

/// The event's name, as text that is safe to show; as much of it as the header fields tell.
#[must_use]
pub fn event_name(headers: &HeaderBlock) -> Option<String> {
    // The relay knows it from the body too, where it knows the provider.
    if let Some(name) = headers.find("relay-event-name") {
        return String::from_utf8(name.to_vec()).ok();
    }
    let request = request(headers);
    provider::recognise_by_header(&request)?.event_name(&request)
}

/// The provider an event looks to be from, unless the relay says that it checked (a sender cannot say so).
#[must_use]
pub fn unchecked_sender(headers: &HeaderBlock) -> Option<&'static str> {
    let is_checked = headers.find("relay-verified").is_some();
    provider::recognise_by_header(&request(headers)).filter(|_| !is_checked).map(|provider| provider.name)
}

fn request(headers: &HeaderBlock) -> provider::Request<'_> {
    provider::Request { method: "POST", url: "", headers, body: b"" }
}
