//! Refusals: one shape, stable codes.

use std::borrow::Cow;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Method, StatusCode, Uri};

use crate::store::{SourceError, StoreError};

/// Where the codes are explained.
const DOC: &str = "docs/errors.md";

/// Why a call was refused.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// The request makes no sense: `malformed`.
    pub(super) fn malformed(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", message)
    }

    /// A token that is none, or none any more.
    pub(super) fn token_invalid() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "token_invalid", "the token is unknown, expired or revoked")
    }

    /// There is none, or none for this caller: which of the two is not told.
    pub(super) fn not_found(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    pub(super) fn no_such_source() -> Self {
        Self::not_found("source_not_found", "there is no such source")
    }

    pub(super) fn no_such_event() -> Self {
        Self::not_found("event_not_found", "there is no such event, or it was deleted by retention")
    }

    pub(super) fn no_such_destination() -> Self {
        Self::not_found("destination_not_found", "the source has no such destination")
    }

    pub(super) fn no_such_delivery() -> Self {
        Self::not_found("delivery_not_found", "there is no such delivery, or it was deleted by retention")
    }

    /// Something is wrong with the server itself; its log says more.
    pub(super) fn internal(message: &'static str) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// Its body was not kept whole.
    pub(super) fn truncated() -> Self {
        let message = "the event's body was not kept whole: what would be sent is not what came";
        Self::new(StatusCode::CONFLICT, "event_truncated", message)
    }

    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        match self.status {
            StatusCode::UNAUTHORIZED => Some((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            StatusCode::SERVICE_UNAVAILABLE => Some((RETRY_AFTER, HeaderValue::from_static("1"))),
            _ => None,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "error": { "code": self.code, "message": self.message, "doc": DOC } });
        let header = self.header();
        let mut response = (self.status, Json(body)).into_response();
        response.headers_mut().extend(header);
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let (code, message) = match error {
            StoreError::Busy => ("store_busy", "the server is busy; try again in a moment"),
            StoreError::TooSlow => ("store_too_slow", "that took too long to look up; ask for less"),
            StoreError::Full => ("disk_full", "the server's disk is full"),
            StoreError::Poisoned | StoreError::Closed => ("store_closed", "the server is going down"),
            StoreError::Database(cause) => {
                tracing::error!(error = %cause, "the database refused an API call");
                let message = "something is wrong with the server's database; its log says what";
                return Self::internal(message);
            }
        };
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
    }
}

impl From<SourceError> for ApiError {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Taken => {
                Self::new(StatusCode::CONFLICT, "name_taken", "the name is taken; choose another")
            }
            SourceError::NotFound => Self::no_such_source(),
            SourceError::TooMany => Self::new(StatusCode::CONFLICT, "too_many", error.to_string()),
            SourceError::Store(error) => error.into(),
        }
    }
}

/// The answer to a path that is none of ours.
pub(super) async fn no_such_route(uri: Uri) -> ApiError {
    ApiError::not_found("route_not_found", format!("there is nothing at {}", uri.path()))
}

/// The answer to a method the path does not take.
pub(super) async fn no_such_method(method: Method, uri: Uri) -> ApiError {
    let message = format!("{} does not take {method}", uri.path());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}
