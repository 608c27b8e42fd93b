//! A sample webhook, signed as the source's provider would sign it, put into the source as if it had been sent: for
//! trying an app out without the provider.

use std::net::{IpAddr, Ipv4Addr};

use axum::Json;
use axum::extract::{Path, State};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use protocol::field::{HeaderBlock, is_hop_by_hop, is_ours, is_target, is_token};
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::ApiError;
use super::identity::Caller;
use super::input::Body;
use super::{ApiState, entrusted};
use crate::model::{Captured, EventRecord, Known, Outcome, RecordedAnswer, RequestShape, SignatureSeen};
use crate::store::{NewDelivery, Start};

/// Largest body of a sample: as much as stands in the database.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Largest body of a call: that, as base64, and some room.
pub(super) const CALL_BYTES_MAX: usize = BODY_BYTES_MAX / 3 * 4 + 128 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sample {
    #[serde(default = "post")]
    method: String,
    /// What follows the source's URL: `/path?query`, or nothing.
    #[serde(default)]
    path: String,
    headers: Vec<(String, String)>,
    /// Base64.
    body: String,
}

fn post() -> String {
    "POST".to_owned()
}

/// `POST /sources/{slug}/trigger`: signs the sample with the newest secret, if there is one, and delivers it.
pub(super) async fn trigger(
    State(state): State<ApiState>,
    caller: Caller,
    Path(slug): Path<String>,
    Body(sample): Body<Sample>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let source = caller.managed(&state, &slug)?;
    let body =
        STANDARD.decode(&sample.body).map_err(|error| ApiError::malformed(format!("body: {error}")))?;
    if body.len() > BODY_BYTES_MAX {
        return Err(ApiError::malformed("body: at most 1 MiB"));
    }
    let mount = format!("/h/{}", source.slug);
    let target = format!("{mount}{}", sample.path).into_bytes();
    let is_path = sample.path.is_empty() || sample.path.starts_with(['/', '?']);
    if !is_path || !is_target(&target) || target.len() > protocol::limits::TARGET_BYTES_MAX {
        return Err(ApiError::malformed("path: nothing, or what begins with `/` or `?`, without spaces"));
    }
    if !is_token(sample.method.as_bytes()) || ["CONNECT", "TRACE"].contains(&sample.method.as_str()) {
        return Err(ApiError::malformed("method: the name of a method, never CONNECT or TRACE"));
    }
    let id = state.store.next_event_id();
    let mut headers = HeaderBlock::with_capacity(1024);
    let is_framing = |name: &[u8]| {
        [&b"content-length"[..], b"transfer-encoding", b"host"].iter().any(|n| name.eq_ignore_ascii_case(n))
    };
    let malformed = |error| ApiError::malformed(format!("headers: {error}"));
    for (name, value) in &sample.headers {
        let name = name.as_bytes();
        if !(is_hop_by_hop(name) || is_ours(name) || is_framing(name)) {
            headers.push(name, value.as_bytes()).map_err(malformed)?;
        }
    }
    headers.push(b"Content-Length", body.len().to_string().as_bytes()).map_err(malformed)?;
    let guard = source
        .guard(&state.senders.vault)
        .map_err(|error| ApiError::new(StatusCode::CONFLICT, "signature_unverifiable", error.to_string()))?;
    let mut known = Known::default();
    let mount = u16::try_from(mount.len()).expect("a slug is short");
    if let Some(guard) = guard {
        let url = state.senders.url(mount, &target, &headers);
        let request = provider::Request { method: &sample.method, url: &url, headers: &headers, body: &body };
        known.name = guard.provider.event_name(&request);
        known.sender_id = guard.provider.delivery_id(&request);
        if guard.is_checked {
            let fields = guard
                .verifier
                .sign(&request, state.clock.now_ms())
                .map_err(|error| ApiError::new(StatusCode::CONFLICT, "cannot_sign", error.to_string()))?;
            let mut signed = HeaderBlock::with_capacity(headers.as_bytes().len() + 512);
            let is_new =
                |name: &[u8]| fields.iter().any(|(new, _)| name.eq_ignore_ascii_case(new.as_bytes()));
            signed.copy_from(&headers, |name, _| !is_new(name)).map_err(malformed)?;
            for (name, value) in &fields {
                signed.push(name.as_bytes(), value.as_bytes()).map_err(malformed)?;
            }
            headers = guard.without_secrets(&signed);
            known.signature = if guard.provider.covers_body {
                SignatureSeen::Verified
            } else {
                SignatureSeen::SenderVerified
            };
        }
    }
    headers.push(b"Relay-Event-Id", id.text().as_bytes()).map_err(malformed)?;
    let is_signed = known.signature.is_good();
    let record = Box::new(EventRecord {
        id,
        source: source.id,
        // Nobody's address: it came over no public connection.
        remote: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        method: sample.method,
        target,
        headers,
        shape: RequestShape { mount, ..RequestShape::default() },
        body: Captured::whole(body.into()),
        related: None,
        outcome: Outcome::Accepted("triggered"),
        agent: None,
        answer: RecordedAnswer { status: 202, ..RecordedAnswer::default() },
        times: Default::default(),
        is_accepted: false,
        known,
    });
    let ready = |destination: &crate::model::Destination| NewDelivery {
        destination: destination.id,
        start: Start::Ready,
    };
    let deliveries: Vec<_> = source.destinations.iter().map(ready).collect();
    let count = deliveries.len();
    let seq = entrusted::take_in(&state, record, deliveries).await?;
    let told = json!({ "event": id.to_string(), "seq": seq, "deliveries": count, "signed": is_signed });
    Ok((StatusCode::ACCEPTED, Json(told)))
}
