//! A sample webhook, signed as the source's provider would sign it, put into the source as if it had been sent: for
//! trying an app out without the provider.

use std::net::{IpAddr, Ipv4Addr};

use axum::Json;
use axum::extract::{Path, State};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use protocol::field::{HeaderBlock, is_hop_by_hop, is_ours, is_target, is_token};
use provider::samples::{self, Made};
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::ApiError;
use super::identity::Caller;
use super::input::Body;
use super::{ApiState, entrusted};
use crate::entropy;
use crate::model::{
    Captured, EventRecord, Known, Outcome, RecordedAnswer, RequestShape, SignatureSeen, Source,
};
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
    if !is_token(sample.method.as_bytes()) || ["CONNECT", "TRACE"].contains(&sample.method.as_str()) {
        return Err(ApiError::malformed("method: the name of a method, never CONNECT or TRACE"));
    }
    let is_passed_on = |(name, _): &(String, String)| {
        let name = name.as_bytes();
        let is_framing = [&b"content-length"[..], b"transfer-encoding", b"host"]
            .iter()
            .any(|framing| name.eq_ignore_ascii_case(framing));
        !(is_hop_by_hop(name) || is_ours(name) || is_framing)
    };
    let headers = sample.headers.into_iter().filter(is_passed_on).collect();
    put_in(&state, &source, Made { method: sample.method, path: sample.path, headers, body }).await
}

/// Signs a sample, where its source can, and takes it in as if it had been sent.
async fn put_in(
    state: &ApiState,
    source: &Source,
    mut made: Made,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let mount = format!("/h/{}", source.slug);
    let is_path = made.path.is_empty() || made.path.starts_with(['/', '?']);
    let is_fine = |target: &[u8]| is_target(target) && target.len() <= protocol::limits::TARGET_BYTES_MAX;
    if !is_path || !is_fine(format!("{mount}{}", made.path).as_bytes()) {
        return Err(ApiError::malformed("path: nothing, or what begins with `/` or `?`, without spaces"));
    }
    let guard = source
        .guard(&state.senders.vault)
        .map_err(|error| ApiError::new(StatusCode::CONFLICT, "signature_unverifiable", error.to_string()))?;
    let mount_bytes = u16::try_from(mount.len()).expect("a slug is short");
    let url_of = |path: &str| {
        state.senders.url(mount_bytes, format!("{mount}{path}").as_bytes(), &HeaderBlock::default())
    };
    let checked_by = guard.as_ref().filter(|guard| guard.is_checked);
    if let Some(guard) = checked_by {
        guard
            .verifier
            .sign_sample(&mut made, url_of, state.clock.now_ms())
            .map_err(|error| ApiError::new(StatusCode::CONFLICT, "cannot_sign", error.to_string()))?;
    }
    let malformed = |error| ApiError::malformed(format!("headers: {error}"));
    let mut headers = HeaderBlock::with_capacity(1024);
    for (name, value) in &made.headers {
        headers.push(name.as_bytes(), value.as_bytes()).map_err(malformed)?;
    }
    headers.push(b"Content-Length", made.body.len().to_string().as_bytes()).map_err(malformed)?;
    let mut known = Known::default();
    if let Some(guard) = &guard {
        let url = url_of(&made.path);
        let request =
            provider::Request { method: &made.method, url: &url, headers: &headers, body: &made.body };
        known.name = guard.provider.event_name(&request);
        known.sender_id = guard.provider.delivery_id(&request);
        known.id_alone = guard.provider.id_alone;
    }
    if let Some(guard) = checked_by {
        headers = guard.without_secrets(&headers);
        known.signature =
            if guard.provider.covers_body { SignatureSeen::Verified } else { SignatureSeen::SenderVerified };
    }
    let id = state.store.next_event_id();
    headers.push(b"Relay-Event-Id", id.text().as_bytes()).map_err(malformed)?;
    let record = Box::new(EventRecord {
        id,
        source: source.id,
        // Nobody's address: it came over no public connection.
        remote: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        method: made.method,
        target: format!("{mount}{}", made.path).into_bytes(),
        headers,
        shape: RequestShape { mount: mount_bytes, ..RequestShape::default() },
        body: Captured::whole(made.body.into()),
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
    let seq = entrusted::take_in(state, record, deliveries).await?;
    let told = json!({
        "event": id.to_string(), "seq": seq, "deliveries": count, "signed": checked_by.is_some(),
    });
    Ok((StatusCode::ACCEPTED, Json(told)))
}

/// Which sample; without one, the first of the source's provider, or a few words where there is none.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Test {
    provider: Option<String>,
    event: Option<String>,
}

/// `POST /sources/{slug}/test`: a sample of its provider, made here, put into the source as [`trigger`] does.
pub(super) async fn test(
    State(state): State<ApiState>,
    caller: Caller,
    Path(slug): Path<String>,
    Body(test): Body<Test>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let source = caller.managed(&state, &slug)?;
    let name = test.provider.or_else(|| source.rules.provider.as_ref().map(|rules| rules.name.clone()));
    let made = match (name, test.event) {
        (None, Some(_)) => return Err(ApiError::malformed("event: say `provider` too")),
        (None, None) => first_words(),
        (Some(name), event) => {
            let provider = provider::find(&name)
                .ok_or_else(|| ApiError::malformed("provider: there is none of that name"))?;
            let sample = match event {
                Some(event) => samples::find(provider.name, &event)
                    .ok_or_else(|| ApiError::malformed("event: there is no sample of that name"))?,
                None => match samples::of(provider.name).into_iter().next() {
                    Some(sample) => sample,
                    None => return put_in(&state, &source, first_words()).await,
                },
            };
            sample
                .make(&[], state.clock.now_ms(), entropy::random)
                .map_err(|error| ApiError::malformed(error.to_string()))?
        }
    };
    put_in(&state, &source, made).await
}

/// A webhook of nobody's, to see that one arrives.
fn first_words() -> Made {
    Made {
        method: "POST".to_owned(),
        path: String::new(),
        headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
        body: br#"{"hello":"from the relay","this is":"a test event"}"#.to_vec(),
    }
}
