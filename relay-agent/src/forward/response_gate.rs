//! The gate for answers: decides, from bytes alone, whether a response head may go back through the tunnel.
//!
//! A hostile app cannot split or smuggle a response: one framing, no bare newline, no control characters. What passes
//! is kept byte for byte; hyper only sees a canonical head made from it.

use std::io::Write;

use protocol::field::{BodyFraming, FieldError, HeaderBlock, is_field_value, list_names};
use protocol::limits::{HEADER_BYTES_MAX, HEADER_FIELDS_MAX, TEXT_BYTES_MAX};

/// A response head that may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawResponse {
    pub(crate) status: u16,
    pub(crate) reason: Vec<u8>,
    /// All fields as sent.
    pub(crate) headers: HeaderBlock,
    /// How the body ends; `Chunked` also where it ends with the connection.
    pub(crate) framing: BodyFraming,
    /// The connection serves no further request.
    pub(crate) closes: bool,
    /// The body's end is the connection's end.
    pub(crate) until_close: bool,
}

/// A response head that may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GateError {
    #[error("the app's answer does not start like HTTP")]
    NotHttp,
    #[error("the app's answer has more header fields or bytes than allowed")]
    TooLarge,
    #[error("the app's answer is not possible HTTP: {0}")]
    Field(#[from] FieldError),
}

/// Bytes of a response head, punctuation included.
const HEAD_BYTES_MAX: usize = HEADER_BYTES_MAX + 4 * HEADER_FIELDS_MAX + TEXT_BYTES_MAX;

/// Reads a head from the start of `bytes`, of which `scanned` were there at the last call; `None` until more come.
pub(crate) fn read_head(
    bytes: &[u8],
    scanned: usize,
    is_head_request: bool,
) -> Result<Option<(RawResponse, usize)>, GateError> {
    let start_matters = bytes.len().min(5);
    if bytes[..start_matters] != b"HTTP/"[..start_matters] {
        return Err(GateError::NotHttp);
    }
    let from = scanned.saturating_sub(3);
    let Some(end) = memchr::memmem::find(&bytes[from..], b"\r\n\r\n").map(|at| from + at + 4) else {
        // A bare newline in the first line means that this end will never come.
        let has_bare_newline =
            memchr::memchr(b'\n', bytes).is_some_and(|at| at == 0 || bytes[at - 1] != b'\r');
        return match bytes.len() {
            _ if has_bare_newline => Err(FieldError::Line.into()),
            0..=HEAD_BYTES_MAX => Ok(None),
            _ => Err(GateError::TooLarge),
        };
    };
    let head = &bytes[..end];
    let line_end = memchr::memmem::find(head, b"\r\n").unwrap_or(head.len());
    let (is_http10, status, reason) = read_status_line(&head[..line_end]).ok_or(GateError::NotHttp)?;
    let headers = HeaderBlock::from_lines(&head[line_end + 2..], 0)?;
    let promised = headers.framing()?;
    if is_http10 && promised == Some(BodyFraming::Chunked) {
        return Err(FieldError::TransferEncoding.into());
    }
    let has_no_body = is_head_request || status < 200 || status == 204 || status == 304;
    let (mut says_close, mut says_keep) = (false, false);
    for (name, value) in &headers {
        if name.eq_ignore_ascii_case(b"connection") {
            says_close |= list_names(value, b"close");
            says_keep |= list_names(value, b"keep-alive");
        }
    }
    let until_close = !has_no_body && promised.is_none();
    let framing = if has_no_body { BodyFraming::None } else { promised.unwrap_or(BodyFraming::Chunked) };
    let closes = says_close || until_close || (is_http10 && !says_keep);
    Ok(Some((RawResponse { status, reason: reason.to_vec(), headers, framing, closes, until_close }, end)))
}

fn read_status_line(line: &[u8]) -> Option<(bool, u16, &[u8])> {
    let (version, rest) = line.split_at_checked(9)?;
    let is_http10 = match version {
        b"HTTP/1.1 " => false,
        b"HTTP/1.0 " => true,
        _ => return None,
    };
    let (digits, rest) = rest.split_at_checked(3)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let status = digits.iter().fold(0, |n, d| n * 10 + u16::from(d - b'0'));
    let reason = match rest {
        [] => &[][..],
        [b' ', reason @ ..] => reason,
        _ => return None,
    };
    let is_ok = (100..=599).contains(&status) && reason.len() <= TEXT_BYTES_MAX && is_field_value(reason);
    is_ok.then_some((is_http10, status, reason))
}

/// The head hyper gets to see.
pub(crate) fn canonical(response: &RawResponse) -> Vec<u8> {
    let mut out = Vec::with_capacity(96);
    let mut line = |text: std::fmt::Arguments<'_>| out.write_fmt(text).expect("a vector takes it all");
    line(format_args!("HTTP/1.1 {} -\r\n", response.status));
    match response.framing {
        _ if response.status == 101 => line(format_args!("connection: upgrade\r\nupgrade: websocket\r\n")),
        BodyFraming::Length(n) => line(format_args!("content-length: {n}\r\n")),
        BodyFraming::Chunked if !response.until_close => line(format_args!("transfer-encoding: chunked\r\n")),
        BodyFraming::Chunked | BodyFraming::None => {}
    }
    if response.closes {
        line(format_args!("connection: close\r\n"));
    }
    line(format_args!("\r\n"));
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<RawResponse, GateError> {
        read_head(text.as_bytes(), 0, false).map(|read| read.expect("complete").0)
    }

    #[test]
    fn ordinary_answers_pass_as_they_are() {
        let head = read("HTTP/1.1 200 Fine, thanks\r\nX-A: 1\r\nSet-Cookie: a\r\nContent-Length: 2\r\nset-cookie: b\r\n\r\n").expect("valid");
        assert_eq!(
            (head.status, head.reason.as_slice(), head.framing),
            (200, &b"Fine, thanks"[..], BodyFraming::Length(2))
        );
        assert_eq!(head.headers.len(), 4);
        assert!(!head.closes);
        let old = read("HTTP/1.0 200\r\n\r\n").expect("valid");
        assert!(old.until_close && old.closes && old.reason.is_empty());
        assert_eq!(
            read("HTTP/1.1 304 -\r\nContent-Length: 9\r\n\r\n").expect("valid").framing,
            BodyFraming::None
        );
    }

    #[test]
    fn a_hostile_app_cannot_split_or_smuggle() {
        let cases = [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX: a\nSet-Cookie: evil\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX : a\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
            "HTTP/1.1 200 O\x0bK\r\n\r\n",
            "HTTP/1.1 999 OK\r\n\r\n",
            "HTTP/1.1 2000 OK\r\n\r\n",
            "HTTP/1.1 -20 OK\r\n\r\n",
            "HTTP/2 200 OK\r\n\r\n",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "ICY 200 OK\r\n\r\n",
            "<html>",
            "HTTP/1.1 200 OK\nX: a\n\n",
        ];
        for case in cases {
            assert!(read_head(case.as_bytes(), 0, false).is_err(), "{case:?}");
        }
        let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "a".repeat(80 * 1024));
        assert_eq!(read_head(endless.as_bytes(), 0, false), Err(GateError::TooLarge));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn arbitrary_answers_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), scanned in 0usize..300) {
            let _ = read_head(&bytes, scanned.min(bytes.len()), false);
            let http = [b"HTTP/1.1 200 OK\r\n", &bytes[..], b"\r\n\r\n"].concat();
            if let Ok(Some((head, _))) = read_head(&http, 0, true) {
                for (name, value) in &head.headers {
                    prop_assert!(!name.iter().chain(value).any(|b| matches!(b, b'\r' | b'\n' | 0)));
                }
            }
        }
    }
}
