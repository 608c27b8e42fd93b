//! The document of this API: OpenAPI 3.1, kept by hand, held against the routes and their answers by tests.

use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;

/// The document.
pub(super) const DOCUMENT: &str = include_str!("openapi.json");

/// `GET /openapi.json`. Without a token: it is the same for everybody, and tools fetch it before they have one.
pub(super) async fn show() -> Response {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}
