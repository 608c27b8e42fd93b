//! What a person wants sent again, and how: as it was, or as an edited copy, with all that has to follow from an edit.
//! Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use protocol::field::{FieldError, HeaderBlock, is_field_value, is_target, is_token};
use protocol::id::EventId;
use protocol::limits::{METHOD_BYTES_MAX, TARGET_BYTES_MAX};
use serde::Deserialize;

use super::error::ApiError;
use super::rules::is_reserved;
use crate::jq::is_free;
use crate::model::{
    Captured, EventRecord, Known, Outcome, RecordedAnswer, RequestShape, SignatureSeen, Times,
};
use crate::store::{EventDetail, INLINE_BYTES_MAX};

/// Where an event is to be sent again, and what is to be other than in the original.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    pub(super) destination: Option<String>,
    method: Option<String>,
    path: Option<String>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    remove_headers: Vec<String>,
    body: Option<NewBody>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum NewBody {
    Text(String),
    Base64(String),
}

impl NewBody {
    fn bytes(&self) -> Result<Bytes, ApiError> {
        let bytes = match self {
            Self::Text(text) => text.clone().into_bytes(),
            Self::Base64(text) => {
                STANDARD.decode(text).map_err(|error| ApiError::malformed(format!("body.base64: {error}")))?
            }
        };
        if bytes.len() as u64 > INLINE_BYTES_MAX {
            return Err(ApiError::malformed("body: at most 1 MiB"));
        }
        Ok(bytes.into())
    }
}

impl Wish {
    /// Whether nothing is to be changed.
    pub(super) fn is_as_it_was(&self) -> bool {
        self.method.is_none()
            && self.path.is_none()
            && self.headers.is_empty()
            && self.remove_headers.is_empty()
            && self.body.is_none()
    }

    /// The copy of `original`, as a new event. Its body stands in the record, unless it stays in a file of the
    /// original's.
    pub(super) fn apply(self, original: EventDetail, id: EventId) -> Result<Box<EventRecord>, ApiError> {
        self.check()?;
        let body = self.body.as_ref().map(NewBody::bytes).transpose()?;
        if body.is_none() && original.body.is_truncated() {
            return Err(ApiError::truncated());
        }
        let headers = self.fields(&original.headers, id, body.as_ref().map(Bytes::len));
        let headers = headers.map_err(|error| ApiError::malformed(format!("headers: {error}")))?;
        let summary = original.summary;
        let was_good =
            matches!(summary.signature.as_deref(), Some("verified" | "sender_verified" | "edited"));
        let signature = if was_good { SignatureSeen::Edited } else { SignatureSeen::Unchecked };
        let target = self.path.map_or(summary.target.clone(), String::into_bytes);
        let mount = mount_of(&target, &summary.target, original.shape.mount);
        let shape = match body {
            Some(_) => RequestShape { mount, ..RequestShape::default() },
            None => RequestShape { mount, ..original.shape },
        };
        Ok(Box::new(EventRecord {
            id,
            source: summary.source,
            remote: summary.remote,
            method: self.method.unwrap_or(summary.method),
            target,
            headers,
            shape,
            body: body.map_or(original.body, Captured::whole),
            related: Some(summary.id),
            outcome: Outcome::Accepted("edited"),
            agent: None,
            answer: RecordedAnswer { status: 202, ..RecordedAnswer::default() },
            times: Times::default(),
            is_accepted: false,
            known: Known { name: summary.name, sender_id: summary.sender_id, id_alone: false, signature },
        }))
    }

    fn check(&self) -> Result<(), ApiError> {
        let is_method = |method: &String| {
            is_token(method.as_bytes())
                && method.len() <= METHOD_BYTES_MAX
                && !["CONNECT", "TRACE"].contains(&method.as_str())
        };
        if self.method.as_ref().is_some_and(|method| !is_method(method)) {
            return Err(ApiError::malformed("method: the name of a method, never CONNECT or TRACE"));
        }
        let is_path = |path: &String| {
            path.starts_with('/') && is_target(path.as_bytes()) && path.len() <= TARGET_BYTES_MAX
        };
        if self.path.as_ref().is_some_and(|path| !is_path(path)) {
            let message = "path: begins with `/`, without spaces, at most 16 KiB; `%20` is a space";
            return Err(ApiError::malformed(message));
        }
        let names = self.headers.iter().map(|(name, _)| name).chain(&self.remove_headers);
        for name in names {
            if !is_token(name.as_bytes()) {
                let shown = name.chars().take(64).collect::<String>();
                return Err(ApiError::malformed(format!("headers: {shown:?} is no name of a header field")));
            }
            if is_reserved(name.as_bytes()) || !is_free(name.as_bytes()) {
                return Err(ApiError::malformed(format!(
                    "headers: {name} is the relay's own to say, as are Host, Relay-*, X-Forwarded-*, Forwarded and \
                     what frames the message or concerns one connection; leave it out"
                )));
            }
        }
        if let Some((name, _)) = self.headers.iter().find(|(_, value)| !is_field_value(value.as_bytes())) {
            return Err(ApiError::malformed(format!(
                "headers: the value of {name} holds control characters"
            )));
        }
        Ok(())
    }

    /// The fields of the copy. A new value stands where the first old one stood, or at the end.
    fn fields(
        &self,
        original: &HeaderBlock,
        id: EventId,
        body_bytes: Option<usize>,
    ) -> Result<HeaderBlock, FieldError> {
        let mut ours = vec![("Relay-Event-Id".to_owned(), id.to_string())];
        let mut gone: Vec<&str> = self.remove_headers.iter().map(String::as_str).collect();
        if let Some(bytes) = body_bytes {
            ours.push(("Content-Length".to_owned(), bytes.to_string()));
            // They are about the old bytes.
            gone.extend(["Transfer-Encoding", "Content-Encoding", "Trailer"]);
        }
        let new = [ours, self.headers.clone()].concat();
        let mut fields = HeaderBlock::with_capacity(original.as_bytes().len() + 256);
        let mut is_said = vec![false; new.len()];
        for (name, value) in original {
            let is_same = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
            let mut is_replaced = false;
            for ((new_name, new_value), is_said) in new.iter().zip(&mut is_said) {
                if is_same(new_name) {
                    is_replaced = true;
                    if !std::mem::replace(is_said, true) {
                        fields.push(new_name.as_bytes(), new_value.as_bytes())?;
                    }
                }
            }
            if !is_replaced && !gone.iter().any(|gone| is_same(gone)) {
                fields.push(name, value)?;
            }
        }
        let unsaid = new.iter().zip(is_said).filter(|(_, is_said)| !is_said);
        for ((name, value), _) in unsaid {
            fields.push(name.as_bytes(), value.as_bytes())?;
        }
        Ok(fields)
    }
}

/// How much of the new target found the source: as much as of the old one, if both begin alike.
fn mount_of(target: &[u8], original: &[u8], mount: u16) -> u16 {
    let at = usize::from(mount);
    let is_kept = original.len() >= at
        && target.starts_with(&original[..at])
        && matches!(target.get(at), None | Some(b'/' | b'?'));
    if is_kept { mount } else { 0 }
}
