//! Bodies as the API shows them: as text or base64 inside of JSON, or byte for byte as a download. One that is in a
//! file of the store is never held whole.

use std::io;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use protocol::id::EventId;
use serde::Serialize;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, Take};

use super::ApiState;
use super::error::ApiError;
use crate::model::Captured;

/// Bytes shown of a body that is in a file; the rest is for the download.
const SHOWN_BYTES_MAX: u64 = 256 * 1024;

/// Bytes of a file read at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// Says on a body that it is not the whole one.
const TRUNCATED: HeaderName = HeaderName::from_static("relay-truncated");

/// A body as text where it is some, else as base64. `truncated` says that it was not kept whole; `is_partial` that
/// more was kept than is shown here.
#[derive(Serialize)]
pub(super) struct BodyView<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    total_bytes: u64,
    truncated: bool,
    is_partial: bool,
}

/// What is shown of a body.
pub(super) struct Shown {
    body: Captured,
    is_partial: bool,
}

impl Shown {
    pub(super) fn view(&self) -> BodyView<'_> {
        let bytes = &self.body.bytes;
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => Some(text),
            // What is shown may end within a character.
            Err(error) if self.is_partial && error.error_len().is_none() => {
                std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()
            }
            Err(_) => None,
        };
        BodyView {
            text,
            base64: text.is_none().then(|| STANDARD.encode(bytes)),
            total_bytes: self.body.total_bytes,
            truncated: self.body.is_truncated(),
            is_partial: self.is_partial,
        }
    }
}

/// A body that is in memory, as far as it was kept.
pub(super) fn view(body: &Captured) -> BodyView<'_> {
    let text = std::str::from_utf8(&body.bytes).ok();
    BodyView {
        text,
        base64: text.is_none().then(|| STANDARD.encode(&body.bytes)),
        total_bytes: body.total_bytes,
        truncated: body.is_truncated(),
        is_partial: false,
    }
}

/// The start of an event's body: all that was kept, unless that is a file.
pub(super) async fn start(state: &ApiState, event: EventId, body: &Captured) -> Result<Shown, ApiError> {
    if !body.is_in_file {
        return Ok(Shown { body: body.clone(), is_partial: false });
    }
    let mut bytes = Vec::new();
    let mut file = open(state, event, SHOWN_BYTES_MAX).await?;
    file.read_to_end(&mut bytes).await.map_err(|error| unreadable(event, &error))?;
    let is_partial = (bytes.len() as u64) < body.total_bytes;
    Ok(Shown { body: Captured { bytes: bytes.into(), ..body.clone() }, is_partial })
}

/// The body of an event as a download.
pub(super) async fn download(state: &ApiState, event: EventId, body: Captured) -> Result<Response, ApiError> {
    let is_truncated = if body.is_truncated() { "true" } else { "false" };
    let fields = [
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{event}.bin\"")),
        (TRUNCATED, is_truncated.to_owned()),
    ];
    if !body.is_in_file {
        return Ok((fields, body.bytes).into_response());
    }
    let file = open(state, event, body.total_bytes).await?;
    let chunks = stream::unfold(Some(file), |file| async {
        let mut file = file?;
        match next_chunk(&mut file).await {
            Ok(None) => None,
            Ok(Some(chunk)) => Some((Ok(chunk), Some(file))),
            Err(error) => Some((Err(error), None)),
        }
    });
    let length = [(CONTENT_LENGTH, body.total_bytes.to_string())];
    Ok((fields, length, Body::from_stream(chunks)).into_response())
}

async fn next_chunk(file: &mut Take<File>) -> io::Result<Option<Bytes>> {
    let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
    let read = file.read_buf(&mut chunk).await?;
    Ok((read > 0).then(|| chunk.freeze()))
}

async fn open(state: &ApiState, event: EventId, most: u64) -> Result<Take<File>, ApiError> {
    let file = File::open(state.store.body_files().path(event)).await;
    file.map(|file| file.take(most)).map_err(|error| unreadable(event, &error))
}

/// Retention may have taken the event between two looks. Any other reason is ours to know.
fn unreadable(event: EventId, error: &io::Error) -> ApiError {
    if error.kind() == io::ErrorKind::NotFound {
        return ApiError::no_such_event();
    }
    tracing::error!(%error, event.id = %event, "the file of a body could not be read");
    ApiError::internal("a stored body could not be read; the server's log says why")
}
