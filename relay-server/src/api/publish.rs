//! Publishing: an event that is said by the caller, for every destination of a source. The shape is that of Standard
//! Webhooks, and every delivery of it is signed.

use std::net::{IpAddr, Ipv4Addr};

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use protocol::field::HeaderBlock;
use protocol::id::EventId;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::error::ApiError;
use super::identity::Caller;
use super::input::Body;
use super::{ApiState, entrusted, moment};
use crate::model::{Captured, EventRecord, Outcome, RecordedAnswer, RequestShape, Source, Times};
use crate::store::{NewDelivery, Start};

/// Longest name of an event.
const NAME_BYTES_MAX: usize = 120;

/// Largest payload: as much as stands in the database, and as a transform can take.
const PAYLOAD_BYTES_MAX: usize = 1024 * 1024;

/// Largest body of a call: payload, name, and some white space.
pub(super) const CALL_BYTES_MAX: usize = 1024 * 1024 + 64 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewEvent {
    name: String,
    // As it was written: numbers keep their digits, members their order.
    payload: Box<RawValue>,
}

#[derive(Serialize)]
struct Envelope<'a> {
    r#type: &'a str,
    timestamp: String,
    data: &'a RawValue,
}

/// `POST /sources/{slug}/publish`: takes the event in, and says what it will be delivered as.
pub(super) async fn publish(
    State(state): State<ApiState>,
    caller: Caller,
    Path(slug): Path<String>,
    Body(new): Body<NewEvent>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let source = caller.managed(&state, &slug)?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if !(1..=NAME_BYTES_MAX).contains(&new.name.len()) || !new.name.bytes().all(is_name) {
        return Err(ApiError::malformed("name: 1 to 120 letters, digits, `.`, `_` and `-`"));
    }
    if new.payload.get().len() > PAYLOAD_BYTES_MAX {
        let message = "payload: at most 1 MiB as JSON text";
        return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message));
    }
    let timestamp = moment::text(state.clock.now_ms());
    let envelope = Envelope { r#type: &new.name, timestamp, data: &new.payload };
    let body = serde_json::to_vec(&envelope).map_err(|error| ApiError::malformed(error.to_string()))?;
    let event = state.store.next_event_id();
    let ready = |destination: &crate::model::Destination| NewDelivery {
        destination: destination.id,
        start: Start::Ready,
    };
    let deliveries: Vec<_> = source.destinations.iter().map(ready).collect();
    let count = deliveries.len();
    let seq = entrusted::take_in(&state, record(event, &source, body), deliveries).await?;
    let told = json!({ "event": event.to_string(), "seq": seq, "deliveries": count });
    Ok((StatusCode::ACCEPTED, Json(told)))
}

/// The event as a sender would have sent it to the source's URL.
fn record(id: EventId, source: &Source, body: Vec<u8>) -> Box<EventRecord> {
    let target = format!("/h/{}", source.slug).into_bytes();
    let mut headers = HeaderBlock::with_capacity(128);
    let fields = [
        ("Content-Type", "application/json".to_owned()),
        ("Content-Length", body.len().to_string()),
        ("Relay-Event-Id", id.to_string()),
    ];
    for (name, value) in fields {
        headers.push(name.as_bytes(), value.as_bytes()).expect("three short fields");
    }
    let mount = u16::try_from(target.len()).expect("a slug is short");
    Box::new(EventRecord {
        id,
        source: source.id,
        // Nobody's address: it came over no public connection.
        remote: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        method: "POST".to_owned(),
        target,
        headers,
        shape: RequestShape { mount, ..RequestShape::default() },
        body: Captured::whole(body.into()),
        related: None,
        outcome: Outcome::Accepted("published"),
        agent: None,
        answer: RecordedAnswer { status: 202, ..RecordedAnswer::default() },
        times: Times::default(),
        is_accepted: false,
        known: Default::default(),
    })
}
