//! HTTP/1.1 heads: the one that is sent, and what of an answer may be believed. Bytes only.
//!
//! A hostile app cannot split an answer: one framing, no bare newline, no control characters, within caps.

use protocol::field::{BodyFraming, FieldError, HeaderBlock, is_field_value, is_hop_by_hop};

/// Largest head of an answer, in bytes, its punctuation included: what the ingress takes of a request.
pub(super) const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Most header fields of an answer, likewise.
const FIELDS_MAX: usize = 256;

/// The head of a request. `Host` and `Content-Length` stand where `headers` has them, letter case kept, with our
/// values; else `Host` comes first and `Content-Length` last. Fields of the connection stay out: it is ours.
pub(super) fn write_request(
    method: &str,
    target: &[u8],
    authority: &str,
    headers: &HeaderBlock,
    body_bytes: u64,
) -> Vec<u8> {
    let length = body_bytes.to_string();
    let mut out = Vec::with_capacity(headers.field_bytes() + 4 * headers.len() + target.len() + 256);
    for part in [method.as_bytes(), b" ", target, b" HTTP/1.1\r\n"] {
        out.extend_from_slice(part);
    }
    let mut line = |name: &[u8], value: &[u8]| {
        for part in [name, b": ", value, b"\r\n"] {
            out.extend_from_slice(part);
        }
    };
    if headers.find("host").is_none() {
        line(b"Host", authority.as_bytes());
    }
    let (mut has_host, mut has_length) = (false, false);
    for (name, value) in headers {
        if name.eq_ignore_ascii_case(b"host") {
            if !std::mem::replace(&mut has_host, true) {
                line(name, authority.as_bytes());
            }
        } else if name.eq_ignore_ascii_case(b"content-length") {
            if !std::mem::replace(&mut has_length, true) {
                line(name, length.as_bytes());
            }
        } else if !is_ours_to_say(name) {
            line(name, value);
        }
    }
    // RFC 9110 section 8.6: also when there is no content, where the method is one that has some.
    let has_none = matches!(method, "GET" | "HEAD" | "DELETE" | "OPTIONS");
    if !has_length && (body_bytes > 0 || !has_none) {
        line(b"Content-Length", length.as_bytes());
    }
    // Every request has a connection of its own.
    line(b"Connection", b"close");
    out.extend_from_slice(b"\r\n");
    out
}

/// Framing and connection; and `Expect`, `Trailer`: nothing is waited for, and no trailers are sent.
fn is_ours_to_say(name: &[u8]) -> bool {
    const NAMES: [&str; 3] = ["transfer-encoding", "expect", "trailer"];
    is_hop_by_hop(name) || NAMES.iter().any(|n| name.eq_ignore_ascii_case(n.as_bytes()))
}

/// How an answer's body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnswerFraming {
    /// There is none.
    None,
    /// After this many bytes.
    Length(u64),
    /// After its last chunk.
    Chunked,
    /// With the connection.
    UntilClose,
}

/// The head of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AnswerHead {
    pub(super) status: u16,
    /// All fields as sent.
    pub(super) headers: HeaderBlock,
    pub(super) framing: AnswerFraming,
}

/// A head that cannot be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum HeadError {
    #[error("it does not start like HTTP/1.1")]
    NotHttp,
    #[error("its head has more than {FIELDS_MAX} fields or {HEAD_BYTES_MAX} bytes")]
    TooLarge,
    #[error("{0}")]
    Field(#[from] FieldError),
}

/// Reads a head from the start of `bytes`, of which `scanned` were there at the last call. Gives it and its length;
/// `None` until more bytes come.
pub(super) fn read_answer(
    bytes: &[u8],
    scanned: usize,
    is_head_request: bool,
) -> Result<Option<(AnswerHead, usize)>, HeadError> {
    let start = bytes.len().min(5);
    if bytes[..start] != b"HTTP/"[..start] {
        return Err(HeadError::NotHttp);
    }
    let from = scanned.saturating_sub(3);
    let end = memchr::memmem::find(&bytes[from..], b"\r\n\r\n").map(|at| from + at + 4);
    if end.unwrap_or(bytes.len()) > HEAD_BYTES_MAX {
        return Err(HeadError::TooLarge);
    }
    let Some(end) = end else {
        // A bare newline in the first line means that this end will never come.
        let is_bare = memchr::memchr(b'\n', bytes).is_some_and(|at| bytes[at - 1] != b'\r');
        return if is_bare { Err(FieldError::Line.into()) } else { Ok(None) };
    };
    let head = &bytes[..end];
    let line_end = memchr::memmem::find(head, b"\r\n").unwrap_or(head.len());
    let (is_http10, status) = read_status_line(&head[..line_end]).ok_or(HeadError::NotHttp)?;
    let headers = HeaderBlock::from_lines(&head[line_end + 2..], 0).map_err(|error| match error {
        FieldError::TooMany => HeadError::TooLarge,
        error => error.into(),
    })?;
    if headers.len() > FIELDS_MAX {
        return Err(HeadError::TooLarge);
    }
    let promised = headers.framing()?;
    if is_http10 && promised == Some(BodyFraming::Chunked) {
        return Err(FieldError::TransferEncoding.into());
    }
    let has_no_body = is_head_request || status < 200 || status == 204 || status == 304;
    let framing = match promised {
        _ if has_no_body => AnswerFraming::None,
        Some(BodyFraming::Length(bytes)) => AnswerFraming::Length(bytes),
        Some(BodyFraming::Chunked) => AnswerFraming::Chunked,
        Some(BodyFraming::None) | None => AnswerFraming::UntilClose,
    };
    Ok(Some((AnswerHead { status, headers, framing }, end)))
}

fn read_status_line(line: &[u8]) -> Option<(bool, u16)> {
    let (version, rest) = line.split_at_checked(9)?;
    let is_http10 = match version {
        b"HTTP/1.1 " => false,
        b"HTTP/1.0 " => true,
        _ => return None,
    };
    let (digits, reason) = rest.split_at_checked(3)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let status = digits.iter().fold(0, |n, d| n * 10 + u16::from(d - b'0'));
    let is_ok = (100..=599).contains(&status) && matches!(reason, [] | [b' ', ..]) && is_field_value(reason);
    is_ok.then_some((is_http10, status))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn block(fields: &[(&str, &str)]) -> HeaderBlock {
        let mut block = HeaderBlock::default();
        for (name, value) in fields {
            block.push(name.as_bytes(), value.as_bytes()).unwrap();
        }
        block
    }

    fn written(method: &str, fields: &[(&str, &str)], body_bytes: u64) -> String {
        let head = write_request(method, b"/h", "app.example", &block(fields), body_bytes);
        String::from_utf8(head).unwrap()
    }

    #[test]
    fn host_and_length_stand_where_the_sender_had_them_with_our_values() {
        let fields = [
            ("X-b", "2"),
            ("hOST", "relay.example"),
            ("x-A", ""),
            ("CONTENT-length", "999"),
            ("X-b", "1"),
            ("Host", "evil.example"),
            ("Content-Length", "5"),
        ];
        assert_eq!(
            written("POST", &fields, 7),
            "POST /h HTTP/1.1\r\nX-b: 2\r\nhOST: app.example\r\nx-A: \r\nCONTENT-length: 7\r\nX-b: 1\r\n\
             Connection: close\r\n\r\n"
        );
    }

    #[test]
    fn what_concerns_the_connection_is_ours() {
        let fields = [
            ("Transfer-Encoding", "chunked"),
            ("Connection", "keep-alive, X-Secret"),
            ("Expect", "100-continue"),
            ("TE", "trailers"),
            ("Trailer", "X-Sum"),
            ("Upgrade", "websocket"),
            ("Keep-Alive", "timeout=5"),
        ];
        assert_eq!(
            written("POST", &fields, 0),
            "POST /h HTTP/1.1\r\nHost: app.example\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(
            written("GET", &[], 0),
            "GET /h HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\r\n"
        );
        assert!(written("DELETE", &[], 3).contains("Content-Length: 3\r\n"));
    }

    #[test]
    fn an_answers_body_ends_one_way() {
        use AnswerFraming as F;
        let cases = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", false, F::Length(2)),
            ("HTTP/1.1 200\r\nTransfer-Encoding: Chunked\r\n\r\n", false, F::Chunked),
            ("HTTP/1.0 200 OK\r\n\r\n", false, F::UntilClose),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", true, F::None),
            ("HTTP/1.1 204 \r\n\r\n", false, F::None),
            ("HTTP/1.1 304 x\r\nContent-Length: 9\r\n\r\n", false, F::None),
            ("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n", false, F::UntilClose),
        ];
        for (text, is_head_request, framing) in cases {
            let (head, used) = read_answer(text.as_bytes(), 0, is_head_request).unwrap().unwrap();
            assert_eq!((head.framing, used), (framing, text.len()), "{text:?}");
            for cut in 0..text.len() {
                assert_eq!(read_answer(&text.as_bytes()[..cut], 0, false), Ok(None), "{text:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_hostile_app_cannot_split_or_smuggle() {
        let cases = [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX: a\nSet-Cookie: evil\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX : a\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX\r\n\r\n",
            "HTTP/1.1 200 O\x0bK\r\n\r\n",
            "HTTP/1.1 200OK\r\n\r\n",
            "HTTP/1.1 999 OK\r\n\r\n",
            "HTTP/1.1 099 OK\r\n\r\n",
            "HTTP/2 200 OK\r\n\r\n",
            "ICY 200 OK\r\n\r\n",
            "\n",
            "\r\nHTTP/1.1 200 OK\r\n\r\n",
            "<html>",
            "HTTP/1.1 200 OK\nX: a\n\n",
        ];
        for case in cases {
            assert!(read_answer(case.as_bytes(), 0, false).is_err(), "{case:?}");
        }
    }

    #[test]
    fn a_head_is_bounded_in_bytes_and_fields() {
        let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "a".repeat(HEAD_BYTES_MAX));
        assert_eq!(read_answer(endless.as_bytes(), 0, false), Err(HeadError::TooLarge));
        let with_fields = |count| format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(count));
        assert!(read_answer(with_fields(FIELDS_MAX).as_bytes(), 0, false).is_ok());
        assert_eq!(read_answer(with_fields(FIELDS_MAX + 1).as_bytes(), 0, false), Err(HeadError::TooLarge));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn arbitrary_answers_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), scanned in 0usize..300) {
            let _ = read_answer(&bytes, scanned.min(bytes.len()), false);
            let http = [b"HTTP/1.1 200 OK\r\n", &bytes[..], b"\r\n\r\n"].concat();
            if let Ok(Some((head, _))) = read_answer(&http, 0, true) {
                for (name, value) in &head.headers {
                    prop_assert!(!name.iter().chain(value).any(|b| matches!(b, b'\r' | b'\n' | 0)));
                }
            }
        }
    }
}
