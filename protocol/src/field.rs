//! Header fields: which may exist at all, which may pass, and what they say about the body.
//!
//! A [`HeaderBlock`] holds pairs in the order they were sent, duplicates and letter case included, as one run of
//! bytes. Decoding checks every pair, so a block that exists cannot split a message.

use std::fmt;

use crate::codec::{Decode, DecodeError, Decoder, Encode, EncodeError, Encoder, impl_borrow_decode, refuse};
use crate::limits::{HEADER_BYTES_MAX, HEADER_FIELDS_MAX};

/// `tchar` of RFC 9110 section 5.6.2.
const fn is_tchar(byte: u8) -> bool {
    matches!(
        byte,
        b'!' | b'#'
            | b'$'
            | b'%'
            | b'&'
            | b'\''
            | b'*'
            | b'+'
            | b'-'
            | b'.'
            | b'^'
            | b'_'
            | b'`'
            | b'|'
            | b'~'
    ) || byte.is_ascii_alphanumeric()
}

/// [`is_tchar`] of every byte: names are checked several times for every request.
const IS_TCHAR: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0u8;
    while byte < 128 {
        table[byte as usize] = is_tchar(byte);
        byte += 1;
    }
    table
};

/// A token of RFC 9110: what a method or field name must be.
#[must_use]
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|b| IS_TCHAR[usize::from(*b)])
}

/// A field value of RFC 9110 section 5.5: visible ASCII, space, tab, and any byte above 0x7f. No CR, LF, NUL.
#[must_use]
pub fn is_field_value(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| matches!(b, b'\t' | b' '..=b'~' | 0x80..=0xff))
}

/// A request target as it may stand on a request line: visible ASCII and bytes above 0x7f, nothing else.
#[must_use]
pub fn is_target(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|b| matches!(b, b'!'..=b'~' | 0x80..=0xff))
}

/// Fields that concern one connection only (RFC 9110 section 7.6.1, and the two proxy ones of section 11.7).
/// `Transfer-Encoding` is framing and handled with it.
#[must_use]
pub fn is_hop_by_hop(name: &[u8]) -> bool {
    const NAMES: [&str; 7] = [
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "upgrade",
    ];
    NAMES.iter().any(|n| name.eq_ignore_ascii_case(n.as_bytes()))
}

/// Fields a `Connection` field may not take away: they frame or route the message.
#[must_use]
pub fn is_protected(name: &[u8]) -> bool {
    const NAMES: [&str; 4] = ["host", "content-length", "transfer-encoding", "trailer"];
    NAMES.iter().any(|n| name.eq_ignore_ascii_case(n.as_bytes())) || is_ours(name)
}

/// `Relay-*`: only the relay says these. Also with an underscore: CGI and its kind make one variable of both.
#[must_use]
pub fn is_ours(name: &[u8]) -> bool {
    name.get(..6).is_some_and(|start| is_same_variable(start, b"relay-"))
}

/// Whether two field names become the same variable where `-` and `_` are one (CGI, WSGI, PHP).
#[must_use]
pub fn is_same_variable(name: &[u8], other: &[u8]) -> bool {
    let folded = |byte: &u8| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    name.len() == other.len() && name.iter().map(folded).eq(other.iter().map(folded))
}

/// Fields that say where a request comes from. The relay says them itself; a sender's own claim counts nothing.
#[must_use]
pub fn says_origin(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 4] = [b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded"];
    NAMES.iter().any(|n| is_same_variable(name, n))
}

/// Whether a field may stand after a body: most that frame, route or authorise may not (RFC 9110 section 6.5.1).
#[must_use]
pub fn may_trail(name: &[u8]) -> bool {
    const NEVER: [&str; 12] = [
        "authorization",
        "cache-control",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "cookie",
        "host",
        "max-forwards",
        "set-cookie",
        "trailer",
        "transfer-encoding",
    ];
    let is_never = NEVER.iter().any(|n| name.eq_ignore_ascii_case(n.as_bytes()));
    !(is_never || is_hop_by_hop(name) || is_ours(name) || says_origin(name))
}

/// The fields of `trailers` that may stand after a body, as HTTP/1 lines with their ends.
#[must_use]
pub fn trailer_lines(trailers: &HeaderBlock) -> Vec<u8> {
    let mut lines = Vec::new();
    for (name, value) in trailers.iter().filter(|(name, _)| may_trail(name)) {
        for part in [name, b": ", value, b"\r\n"] {
            lines.extend_from_slice(part);
        }
    }
    lines
}

/// Whether a comma-separated list names `token` (ASCII case does not count).
#[must_use]
pub fn list_names(list: &[u8], token: &[u8]) -> bool {
    list.split(|b| *b == b',').any(|item| item.trim_ascii().eq_ignore_ascii_case(token))
}

/// Header fields that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// A name that is no token.
    #[error("a header field name is not a token")]
    Name,
    /// A value with control characters.
    #[error("a header field value holds control characters")]
    Value,
    /// More fields or bytes than agreed.
    #[error("more than {HEADER_FIELDS_MAX} header fields or {HEADER_BYTES_MAX} bytes of them")]
    TooMany,
    /// Bytes that are no block.
    #[error("a header block ends inside a field")]
    Truncated,
    /// A line without a colon, or with a bare newline.
    #[error("a header line is malformed")]
    Line,
    /// `Content-Length` twice, or not a plain decimal number.
    #[error("Content-Length is not one plain number")]
    ContentLength,
    /// `Transfer-Encoding` other than exactly `chunked`.
    #[error("Transfer-Encoding is not exactly `chunked`")]
    TransferEncoding,
    /// Both framings at once.
    #[error("Content-Length and Transfer-Encoding together")]
    TwoFramings,
    /// The fields promise another body than the head declares.
    #[error("the header fields and the declared body disagree")]
    Disagree,
}

/// How a body's end is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum BodyFraming {
    /// There is no body.
    None,
    /// Exactly this many bytes.
    Length(u64),
    /// Until an end is said; trailers may follow.
    Chunked,
}

/// Header fields in the order sent, duplicates and case kept.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HeaderBlock {
    // Per field: name length u16, value length u32, name, value. Little endian.
    bytes: Vec<u8>,
    count: usize,
}

const FIELD_OVERHEAD: usize = 6;

impl HeaderBlock {
    /// An empty block with room for `bytes` of names and values.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), count: 0 }
    }

    /// Adds a field at the end.
    ///
    /// # Errors
    /// When name or value cannot be a header field, or a cap is reached.
    pub fn push(&mut self, name: &[u8], value: &[u8]) -> Result<(), FieldError> {
        if !is_token(name) {
            return Err(FieldError::Name);
        }
        if !is_field_value(value) {
            return Err(FieldError::Value);
        }
        let name_bytes = u16::try_from(name.len()).map_err(|_| FieldError::TooMany)?;
        let value_bytes = u32::try_from(value.len()).map_err(|_| FieldError::TooMany)?;
        if self.count == HEADER_FIELDS_MAX || self.field_bytes() + name.len() + value.len() > HEADER_BYTES_MAX
        {
            return Err(FieldError::TooMany);
        }
        self.bytes.extend_from_slice(&name_bytes.to_le_bytes());
        self.bytes.extend_from_slice(&value_bytes.to_le_bytes());
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(value);
        self.count += 1;
        Ok(())
    }

    /// Adds those fields of `other` that `keep` wants. They were checked when `other` was made.
    ///
    /// # Errors
    /// [`FieldError::TooMany`] when a cap is reached; the fields before it are added.
    pub fn copy_from(
        &mut self,
        other: &Self,
        mut keep: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), FieldError> {
        let mut rest = other.bytes.as_slice();
        while let Some((name, value, after)) = split_field(rest) {
            let field = &rest[..rest.len() - after.len()];
            rest = after;
            if keep(name, value) {
                if self.count == HEADER_FIELDS_MAX
                    || self.field_bytes() + name.len() + value.len() > HEADER_BYTES_MAX
                {
                    return Err(FieldError::TooMany);
                }
                self.bytes.extend_from_slice(field);
                self.count += 1;
            }
        }
        Ok(())
    }

    /// Number of fields.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of all names and values.
    #[must_use]
    pub fn field_bytes(&self) -> usize {
        self.bytes.len() - self.count * FIELD_OVERHEAD
    }

    /// The fields, in order.
    #[must_use]
    pub fn iter(&self) -> Fields<'_> {
        Fields { rest: &self.bytes }
    }

    /// The value of the first field called `name`.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// The block as stored bytes; [`HeaderBlock::from_bytes`] reads them back.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A block from its bytes, every field checked.
    ///
    /// # Errors
    /// When the bytes are no block, or a field is one that cannot be.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, FieldError> {
        let mut count = 0;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (name, value, after) = split_field(rest).ok_or(FieldError::Truncated)?;
            if !is_token(name) {
                return Err(FieldError::Name);
            }
            if !is_field_value(value) {
                return Err(FieldError::Value);
            }
            rest = after;
            count += 1;
        }
        let block = Self { bytes, count };
        if count > HEADER_FIELDS_MAX || block.field_bytes() > HEADER_BYTES_MAX {
            return Err(FieldError::TooMany);
        }
        Ok(block)
    }

    /// A block from the lines of an HTTP/1 head, up to and with the empty line. `room` bytes are kept free for more.
    ///
    /// # Errors
    /// At the first line that parsers could read differently: folded, bare newline, space before the colon.
    pub fn from_lines(lines: &[u8], room: usize) -> Result<Self, FieldError> {
        let has_bare_newline = memchr::memchr_iter(b'\n', lines).any(|at| at == 0 || lines[at - 1] != b'\r');
        if has_bare_newline {
            return Err(FieldError::Line);
        }
        let mut block = Self::with_capacity(lines.len() + room);
        let mut rest = lines;
        while !rest.starts_with(b"\r\n") {
            let end = memchr::memmem::find(rest, b"\r\n").ok_or(FieldError::Truncated)?;
            let line = &rest[..end];
            rest = &rest[end + 2..];
            let colon = memchr::memchr(b':', line).ok_or(FieldError::Line)?;
            block.push(&line[..colon], trim_field(&line[colon + 1..]))?;
        }
        Ok(block)
    }

    /// The framing the fields themselves promise: one number, exactly `chunked`, or nothing. `None` means silent.
    ///
    /// # Errors
    /// When they are ambiguous in any way.
    pub fn framing(&self) -> Result<Option<BodyFraming>, FieldError> {
        let mut length = None;
        let mut chunked = false;
        for (name, value) in self {
            if name.eq_ignore_ascii_case(b"content-length") {
                if length.is_some() {
                    return Err(FieldError::ContentLength);
                }
                length = Some(plain_number(value).ok_or(FieldError::ContentLength)?);
            } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                if chunked || !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                    return Err(FieldError::TransferEncoding);
                }
                chunked = true;
            }
        }
        match (length, chunked) {
            (Some(_), true) => Err(FieldError::TwoFramings),
            (Some(n), false) => Ok(Some(BodyFraming::Length(n))),
            (None, true) => Ok(Some(BodyFraming::Chunked)),
            (None, false) => Ok(None),
        }
    }
}

/// Optional white space around a value: spaces and tabs only (RFC 9110 section 5.6.3).
fn trim_field(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Decimal digits only, and small enough for an `i63` (SQLite, JavaScript and everyone else agree below that).
fn plain_number(value: &[u8]) -> Option<u64> {
    let digits = value.trim_ascii();
    if digits.is_empty() || digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |n, d| n * 10 + u64::from(d - b'0')))
}

fn split_field(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (header, rest) = bytes.split_first_chunk::<FIELD_OVERHEAD>()?;
    let name_bytes = u16::from_le_bytes([header[0], header[1]]) as usize;
    let value_bytes = u32::from_le_bytes([header[2], header[3], header[4], header[5]]) as usize;
    let (name, rest) = rest.split_at_checked(name_bytes)?;
    let (value, rest) = rest.split_at_checked(value_bytes)?;
    Some((name, value, rest))
}

/// Iterator over the fields of a [`HeaderBlock`]: `(name, value)`.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value, rest) = split_field(self.rest)?;
        self.rest = rest;
        Some((name, value))
    }
}

impl<'a> IntoIterator for &'a HeaderBlock {
    type Item = (&'a [u8], &'a [u8]);
    type IntoIter = Fields<'a>;
    fn into_iter(self) -> Fields<'a> {
        self.iter()
    }
}

impl fmt::Debug for HeaderBlock {
    /// Names only: values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|(name, _)| String::from_utf8_lossy(name).into_owned()))
            .finish()
    }
}

impl Encode for HeaderBlock {
    fn encode<E: Encoder>(&self, e: &mut E) -> Result<(), EncodeError> {
        self.bytes.encode(e)
    }
}

impl<C> Decode<C> for HeaderBlock {
    fn decode<D: Decoder<Context = C>>(d: &mut D) -> Result<Self, DecodeError> {
        Self::from_bytes(Vec::<u8>::decode(d)?).map_err(|_| refuse("a header block that cannot be"))
    }
}

impl_borrow_decode!(HeaderBlock);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_become_the_relays_own_variables_are_its_own() {
        for name in ["Relay-Event-Id", "relay_attempt", "RELAY_Replay"] {
            assert!(is_ours(name.as_bytes()), "{name}");
        }
        for name in ["X-Forwarded-For", "x_forwarded_for", "X_Forwarded-Proto", "forwarded"] {
            assert!(says_origin(name.as_bytes()) && !may_trail(name.as_bytes()), "{name}");
        }
        for name in ["Relayed-By", "X-Forwarded-Form", "X-Sum"] {
            assert!(!is_ours(name.as_bytes()) && !says_origin(name.as_bytes()), "{name}");
            assert!(may_trail(name.as_bytes()), "{name}");
        }
    }

    fn block(fields: &[(&str, &str)]) -> HeaderBlock {
        let mut block = HeaderBlock::default();
        for (name, value) in fields {
            block.push(name.as_bytes(), value.as_bytes()).expect("valid field");
        }
        block
    }

    #[test]
    fn order_duplicates_and_case_survive() {
        let pairs = [("X-A", "1"), ("x-b", ""), ("X-a", "2"), ("X-A", "3")];
        let again = HeaderBlock::from_bytes(block(&pairs).as_bytes().to_vec()).expect("own bytes");
        let seen: Vec<_> = again.iter().collect();
        let expected: Vec<_> = pairs.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn bytes_above_ascii_pass_and_control_characters_do_not() {
        let mut block = HeaderBlock::default();
        assert_eq!(block.push(b"x", b"caf\xe9 \xff"), Ok(()));
        for bad in [&b"a\r\nb"[..], b"a\nb", b"a\rb", b"a\0b", b"\x1b[2J", b"\x7f"] {
            assert_eq!(block.push(b"x", bad), Err(FieldError::Value));
        }
        for bad in [&b""[..], b"a b", b"a:", b"a\n", "ä".as_bytes()] {
            assert_eq!(block.push(bad, b""), Err(FieldError::Name));
        }
    }

    #[test]
    fn ambiguous_framing_is_an_error() {
        type Fields = &'static [(&'static str, &'static str)];
        let cases: &[(Fields, Result<Option<BodyFraming>, FieldError>)] = &[
            (&[], Ok(None)),
            (&[("Content-Length", "12")], Ok(Some(BodyFraming::Length(12)))),
            (&[("content-length", " 0 ")], Ok(Some(BodyFraming::Length(0)))),
            (&[("Transfer-Encoding", "Chunked")], Ok(Some(BodyFraming::Chunked))),
            (&[("Content-Length", "12"), ("Content-Length", "12")], Err(FieldError::ContentLength)),
            (&[("Content-Length", "+12")], Err(FieldError::ContentLength)),
            (&[("Content-Length", "1, 1")], Err(FieldError::ContentLength)),
            (&[("Content-Length", "")], Err(FieldError::ContentLength)),
            (&[("Content-Length", "9999999999999999999")], Err(FieldError::ContentLength)),
            (&[("Transfer-Encoding", "gzip, chunked")], Err(FieldError::TransferEncoding)),
            (&[("Transfer-Encoding", "chunked,")], Err(FieldError::TransferEncoding)),
            (&[("Transfer-Encoding", "\u{b}chunked")], Err(FieldError::TransferEncoding)),
            (
                &[("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")],
                Err(FieldError::TransferEncoding),
            ),
            (&[("Content-Length", "1"), ("Transfer-Encoding", "chunked")], Err(FieldError::TwoFramings)),
        ];
        for (fields, expected) in cases {
            let mut built = HeaderBlock::default();
            if fields.iter().any(|(n, v)| built.push(n.as_bytes(), v.as_bytes()).is_err()) {
                continue;
            }
            assert_eq!(built.framing(), *expected, "{fields:?}");
        }
    }

    #[test]
    fn caps_hold() {
        let mut block = HeaderBlock::default();
        for _ in 0..HEADER_FIELDS_MAX {
            block.push(b"n", b"v").expect("below the cap");
        }
        assert_eq!(block.push(b"n", b"v"), Err(FieldError::TooMany));
        let mut block = HeaderBlock::default();
        assert_eq!(block.push(b"n", &vec![b'v'; HEADER_BYTES_MAX]), Err(FieldError::TooMany));
    }
}
