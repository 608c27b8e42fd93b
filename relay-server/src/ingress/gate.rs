//! The head gate: decides, from bytes alone, whether a request may come in.
//!
//! Strict where HTTP parsers differ: exactly one authority, one framing, no bare CR or LF, no NUL, no folded lines.
//! What passes is kept byte for byte; hyper, behind the gate, only ever sees a canonical head made from it.

use protocol::field::{BodyFraming, FieldError, HeaderBlock, is_target, is_token, list_names};
use protocol::limits::METHOD_BYTES_MAX;

use crate::refusal::Refusal;

/// Bytes of fields the relay adds to a request.
const ROOM_FOR_OURS: usize = 256;

/// Caps of a head.
#[derive(Debug, Clone, Copy)]
pub struct HeadLimits {
    /// Bytes of all fields.
    pub header_bytes_max: usize,
    /// Number of fields.
    pub header_fields_max: usize,
    /// Bytes of the target.
    pub target_bytes_max: usize,
}

/// A request head that may come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Method token as sent.
    pub method: String,
    /// Target in origin form, or `*`.
    pub target: Vec<u8>,
    /// HTTP/1.0.
    pub is_http10: bool,
    /// All fields as sent.
    pub headers: HeaderBlock,
    /// How the body ends.
    pub framing: BodyFraming,
    /// `Host`, or the authority of an absolute target; empty only for HTTP/1.0 without either.
    pub authority: String,
    /// Asks for `100 Continue` before the body.
    pub expects_continue: bool,
    /// Wants the connection closed afterwards.
    pub wants_close: bool,
    /// Takes trailers (`TE: trailers`).
    pub takes_trailers: bool,
    /// Protocol to switch to, when asked for properly.
    pub upgrade: Option<String>,
}

const fn bad(why: &'static str) -> Refusal {
    Refusal::BadRequest(why)
}

/// Where the head ends, if it is all here: the index after its empty line. `from` bytes were looked at before.
fn end_of_head(bytes: &[u8], from: usize) -> Option<usize> {
    memchr::memmem::find(&bytes[from.saturating_sub(3)..], b"\r\n\r\n")
        .map(|at| from.saturating_sub(3) + at + 4)
}

/// Reads a head from the start of `bytes`, of which `scanned` were there at the last call. Gives the head and its
/// length, or `None` until more bytes come.
///
/// # Errors
/// What to tell the sender; the connection is closed after it.
pub fn read_head(
    bytes: &[u8],
    scanned: usize,
    limits: &HeadLimits,
) -> Result<Option<(Head, usize)>, Refusal> {
    let Some(end) = end_of_head(bytes, scanned) else {
        return still_possible(bytes, limits).map(|()| None);
    };
    // One empty line before the request line is tolerated (RFC 9112 section 2.2).
    let start = if bytes.starts_with(b"\r\n") { 2 } else { 0 };
    let head = bytes.get(start..end).unwrap_or_default();
    let line_end = memchr::memmem::find(head, b"\r\n").ok_or(bad("no request line"))?;
    let (line, fields) = (&head[..line_end], &head[line_end + 2..]);
    let request_line = read_request_line(line, limits)?;
    let headers = read_fields(fields, limits)?;
    finish(request_line, headers).map(|head| Some((head, end)))
}

fn still_possible(bytes: &[u8], limits: &HeadLimits) -> Result<(), Refusal> {
    let line = memchr::memchr(b'\n', bytes).unwrap_or(bytes.len());
    if line > limits.target_bytes_max + METHOD_BYTES_MAX + 16 {
        return Err(Refusal::TargetTooLong);
    }
    // Names, values, and four bytes of punctuation a field.
    if bytes.len() - line > limits.header_bytes_max + 4 * limits.header_fields_max {
        return Err(Refusal::HeaderTooLarge);
    }
    Ok(())
}

struct RequestLine {
    method: String,
    target: Vec<u8>,
    authority: Option<String>,
    is_http10: bool,
}

fn read_request_line(line: &[u8], limits: &HeadLimits) -> Result<RequestLine, Refusal> {
    let mut parts = line.split(|b| *b == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(bad("the request line is not `METHOD target HTTP/1.1`"));
    };
    let is_http10 = match version {
        b"HTTP/1.1" => false,
        b"HTTP/1.0" => true,
        _ => return Err(bad("not an HTTP version this relay speaks")),
    };
    if method.len() > METHOD_BYTES_MAX || !is_token(method) {
        return Err(bad("the method is not a token"));
    }
    if method == b"CONNECT" || method == b"TRACE" {
        return Err(Refusal::MethodRefused);
    }
    if target.len() > limits.target_bytes_max {
        return Err(Refusal::TargetTooLong);
    }
    if !is_target(target) {
        return Err(bad("the request target holds control characters"));
    }
    let (target, authority) = split_target(method, target)?;
    let method = String::from_utf8_lossy(method).into_owned();
    Ok(RequestLine { method, target: target.to_vec(), authority, is_http10 })
}

/// Origin form as it is; absolute form taken apart; `*` for OPTIONS only.
fn split_target<'a>(method: &[u8], target: &'a [u8]) -> Result<(&'a [u8], Option<String>), Refusal> {
    if target.starts_with(b"/") || (target == b"*" && method == b"OPTIONS") {
        return Ok((target, None));
    }
    let scheme = [&b"http://"[..], b"https://"]
        .into_iter()
        .find(|s| target.get(..s.len()).is_some_and(|t| t.eq_ignore_ascii_case(s)))
        .ok_or(bad("the request target is neither a path nor an absolute URL"))?;
    let rest = &target[scheme.len()..];
    let slash = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let authority = check_authority(&rest[..slash])?;
    match rest.get(slash) {
        Some(b'/') => Ok((&rest[slash..], Some(authority))),
        None => Ok((b"/", Some(authority))),
        Some(_) => Err(bad("an absolute request target without a path")),
    }
}

/// Host and optional port, nothing else (RFC 9110 section 4.2.4 forbids user information).
///
/// # Errors
/// [`Refusal::BadRequest`] when it is anything else.
pub fn check_authority(bytes: &[u8]) -> Result<String, Refusal> {
    let is_host_byte = |b: &u8| {
        b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'~' | b':' | b'[' | b']' | b'%')
    };
    if bytes.is_empty() || bytes.len() > 255 + 6 || !bytes.iter().all(is_host_byte) {
        return Err(bad("the host is not a host"));
    }
    let port = match bytes.iter().rposition(|b| *b == b']') {
        Some(at) => &bytes[at + 1..],
        None => &bytes[bytes.iter().position(|b| *b == b':').unwrap_or(bytes.len())..],
    };
    let is_port =
        port.is_empty() || (port[0] == b':' && port.len() <= 6 && port[1..].iter().all(u8::is_ascii_digit));
    if !is_port || bytes[0] == b':' {
        return Err(bad("the host is not a host"));
    }
    Ok(String::from_utf8_lossy(bytes).to_ascii_lowercase())
}

fn read_fields(lines: &[u8], limits: &HeadLimits) -> Result<HeaderBlock, Refusal> {
    let block = HeaderBlock::from_lines(lines, ROOM_FOR_OURS).map_err(field_refusal)?;
    if block.len() > limits.header_fields_max || block.field_bytes() > limits.header_bytes_max {
        return Err(Refusal::HeaderTooLarge);
    }
    Ok(block)
}

/// What to tell a sender about fields that cannot be.
#[must_use]
pub fn field_refusal(error: FieldError) -> Refusal {
    match error {
        FieldError::TooMany => Refusal::HeaderTooLarge,
        FieldError::Name => bad("a header field name is not a token"),
        FieldError::Value => bad("a header field value holds control characters"),
        FieldError::ContentLength => bad("Content-Length is not one plain number"),
        FieldError::TransferEncoding => bad("Transfer-Encoding is not exactly `chunked`"),
        FieldError::TwoFramings => bad("Content-Length and Transfer-Encoding together"),
        FieldError::Line => bad("a header line is malformed"),
        FieldError::Truncated | FieldError::Disagree => bad("the header fields make no sense"),
    }
}

fn finish(line: RequestLine, headers: HeaderBlock) -> Result<Head, Refusal> {
    let framing = headers.framing().map_err(field_refusal)?;
    let has_no_body = matches!(framing, None | Some(BodyFraming::None));
    if line.is_http10 && framing == Some(BodyFraming::Chunked) {
        return Err(bad("Transfer-Encoding in HTTP/1.0"));
    }
    let mut host = None;
    let (mut expects_continue, mut takes_trailers, mut says_upgrade, mut upgrade) =
        (false, false, false, None);
    let (mut says_close, mut says_keep) = (false, false);
    for (name, value) in &headers {
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => match host {
                None => host = Some(check_authority(value)?),
                Some(_) => return Err(bad("two Host fields")),
            },
            6 if name.eq_ignore_ascii_case(b"expect") => {
                if !value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(bad("an Expect this relay does not know"));
                }
                expects_continue = true;
            }
            10 if name.eq_ignore_ascii_case(b"connection") => {
                says_close |= list_names(value, b"close");
                says_keep |= list_names(value, b"keep-alive");
                says_upgrade |= list_names(value, b"upgrade");
            }
            2 if name.eq_ignore_ascii_case(b"te") => takes_trailers |= list_names(value, b"trailers"),
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                upgrade = Some(String::from_utf8_lossy(value).to_ascii_lowercase());
            }
            _ => {}
        }
    }
    let authority = match (host, line.authority) {
        (Some(host), Some(authority)) if host != authority => {
            return Err(bad("Host and request target disagree"));
        }
        (Some(host), _) => host,
        // RFC 9112 section 3.2: a Host field is due even with an absolute target.
        (None, Some(authority)) if line.is_http10 => authority,
        (None, None) if line.is_http10 => String::new(),
        (None, _) => return Err(bad("no Host field")),
    };
    Ok(Head {
        method: line.method,
        target: line.target,
        is_http10: line.is_http10,
        headers,
        framing: framing.unwrap_or(BodyFraming::None),
        authority,
        expects_continue: expects_continue && !line.is_http10,
        wants_close: says_close || (line.is_http10 && !says_keep),
        takes_trailers,
        // With a body it is an ordinary request: after a switch nobody could tell the two apart.
        upgrade: upgrade.filter(|_| says_upgrade && !line.is_http10 && has_no_body),
    })
}

/// The head hyper gets to see: framing and connection handling, nothing a sender wrote.
#[must_use]
pub fn canonical(head: &Head, may_switch: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(160);
    out.extend_from_slice(head.method.as_bytes());
    out.extend_from_slice(if head.is_http10 { b" / HTTP/1.0\r\n" } else { b" / HTTP/1.1\r\n" });
    match head.framing {
        BodyFraming::None => {}
        BodyFraming::Length(n) => out.extend_from_slice(format!("content-length: {n}\r\n").as_bytes()),
        BodyFraming::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
    if may_switch {
        out.extend_from_slice(b"connection: upgrade\r\nupgrade: websocket\r\n");
    } else if head.wants_close {
        out.extend_from_slice(b"connection: close\r\n");
    } else if head.is_http10 {
        out.extend_from_slice(b"connection: keep-alive\r\n");
    }
    if head.expects_continue {
        out.extend_from_slice(b"expect: 100-continue\r\n");
    }
    if head.takes_trailers {
        out.extend_from_slice(b"te: trailers\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out
}

#[cfg(test)]
#[path = "gate/tests.rs"]
mod tests;
