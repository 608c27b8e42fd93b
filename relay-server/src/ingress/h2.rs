//! Heads of HTTP/2 requests, checked to the same rules as those of HTTP/1.

use http::request::Parts;
use protocol::field::{BodyFraming, HeaderBlock, is_token};
use protocol::limits::METHOD_BYTES_MAX;

use super::gate::{Head, HeadLimits, check_authority, field_refusal};
use crate::refusal::Refusal;

/// The head of a request that came over HTTP/2.
///
/// # Errors
/// What to tell the sender.
pub fn head_of(parts: &Parts, has_body: bool, limits: &HeadLimits) -> Result<Head, Refusal> {
    let method = parts.method.as_str();
    if method == "CONNECT" || method == "TRACE" {
        return Err(Refusal::MethodRefused);
    }
    if method.len() > METHOD_BYTES_MAX || !is_token(method.as_bytes()) {
        return Err(Refusal::BadRequest("the method is not a token"));
    }
    let target = parts.uri.path_and_query().map_or("/", |p| p.as_str()).as_bytes();
    if target.len() > limits.target_bytes_max {
        return Err(Refusal::TargetTooLong);
    }
    let is_path = target.starts_with(b"/") || (target == b"*" && method == "OPTIONS");
    if !is_path {
        return Err(Refusal::BadRequest("the request target is not a path"));
    }
    let authority = authority_of(parts)?;
    let mut headers = HeaderBlock::with_capacity(1024);
    headers.push(b"host", authority.as_bytes()).map_err(field_refusal)?;
    let mut cookie: Vec<u8> = Vec::new();
    for (name, value) in &parts.headers {
        if name == http::header::HOST {
            continue;
        }
        // One Cookie field may come in crumbs (RFC 9113 section 8.2.3); outside HTTP/2 it is one again.
        if name == http::header::COOKIE {
            if !cookie.is_empty() {
                cookie.extend_from_slice(b"; ");
            }
            cookie.extend_from_slice(value.as_bytes());
            continue;
        }
        headers.push(name.as_str().as_bytes(), value.as_bytes()).map_err(field_refusal)?;
        if headers.len() > limits.header_fields_max || headers.field_bytes() > limits.header_bytes_max {
            return Err(Refusal::HeaderTooLarge);
        }
    }
    if !cookie.is_empty() {
        headers.push(b"cookie", &cookie).map_err(field_refusal)?;
    }
    let framing = match headers.framing().map_err(field_refusal)? {
        Some(BodyFraming::Chunked) => return Err(Refusal::BadRequest("Transfer-Encoding over HTTP/2")),
        Some(framing) => framing,
        None if has_body => {
            headers.push(b"transfer-encoding", b"chunked").map_err(field_refusal)?;
            BodyFraming::Chunked
        }
        None => BodyFraming::None,
    };
    Ok(Head {
        method: method.to_owned(),
        target: target.to_vec(),
        is_http10: false,
        headers,
        framing,
        authority,
        expects_continue: false,
        wants_close: false,
        takes_trailers: true,
        upgrade: None,
    })
}

fn authority_of(parts: &Parts) -> Result<String, Refusal> {
    let mut hosts = parts.headers.get_all(http::header::HOST).iter();
    let host = hosts.next().map(|h| check_authority(h.as_bytes())).transpose()?;
    if hosts.next().is_some() {
        return Err(Refusal::BadRequest("two Host fields"));
    }
    let authority = parts.uri.authority().map(|a| check_authority(a.as_str().as_bytes())).transpose()?;
    match (authority, host) {
        (Some(a), Some(h)) if a != h => Err(Refusal::BadRequest("Host and :authority disagree")),
        (Some(a), _) => Ok(a),
        (None, Some(h)) => Ok(h),
        (None, None) => Err(Refusal::BadRequest("no authority")),
    }
}
