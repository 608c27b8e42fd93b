//! What an expression gets to see of an event, and what a filter's output says.
//!
//! Pure. Numbers of a JSON body keep their spelling: the body is put into the document as the bytes it came in.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use protocol::field::HeaderBlock;
use serde::Serialize;
use serde_json::value::RawValue;

use super::json::{self, NESTING_MAX, Unshown};

/// An event as expressions see it.
#[derive(Debug, Clone, Copy)]
pub struct JqEvent<'a> {
    /// The event's id, as people see it.
    pub id: &'a str,
    /// Name of its source.
    pub source: &'a str,
    /// Method token.
    pub method: &'a str,
    /// Request target as sent.
    pub target: &'a [u8],
    /// Header fields as sent.
    pub headers: &'a HeaderBlock,
    /// The whole body.
    pub body: &'a Bytes,
}

#[derive(Serialize)]
struct Document<'a> {
    id: &'a str,
    source: &'a str,
    method: &'a str,
    path: Cow<'a, str>,
    query: Named<'a>,
    headers: Named<'a>,
    body: Option<&'a RawValue>,
    text: Option<&'a str>,
}

/// Values by name, sorted by name.
type Named<'a> = BTreeMap<Cow<'a, str>, OneOrMany<'a>>;

#[derive(Serialize)]
#[serde(untagged)]
enum OneOrMany<'a> {
    One(Cow<'a, str>),
    Many(Vec<Cow<'a, str>>),
}

fn add<'a>(named: &mut Named<'a>, name: Cow<'a, str>, value: Cow<'a, str>) {
    match named.get_mut(&name) {
        None => {
            named.insert(name, OneOrMany::One(value));
        }
        Some(OneOrMany::Many(values)) => values.push(value),
        Some(one) => {
            if let OneOrMany::One(first) = std::mem::replace(one, OneOrMany::Many(Vec::new())) {
                *one = OneOrMany::Many(vec![first, value]);
            }
        }
    }
}

/// The input of expressions about `event`: an object of
/// - `id`, `source`, `method`;
/// - `path`: the target up to its `?`, not decoded;
/// - `query`: names and values decoded; a value that came once is a string, one that came again an array of them all;
/// - `headers`: the same with lower-case names;
/// - `body`: the body if it is JSON, else null. JSON here is UTF-8, nested less than 120 deep, without half surrogates
///   and without numbers of more than 1,000 digits;
/// - `text`: the body as a string if it is UTF-8 and no JSON, else null.
///
/// Bytes of target and header fields that are no UTF-8 show as U+FFFD.
///
/// # Errors
/// Why the body cannot be shown where it [looks like JSON](looks_like_json). An app's own parser may take such a body,
/// and an expression that saw null in its place would let it pass unseen.
///
/// # Panics
/// Never: strings and maps of them can be written.
pub fn document(event: &JqEvent<'_>) -> Result<Vec<u8>, Unshown> {
    let is_said = !event.body.trim_ascii().is_empty();
    // The document is one level itself.
    let body = match json::piece(event.body, NESTING_MAX - 1) {
        Ok(body) => Some(body),
        Err(why) if is_said && looks_like_json(event.headers, event.body) => return Err(why),
        Err(_) => None,
    };
    let (path, query) = split_target(event.target);
    let mut document = Document {
        id: event.id,
        source: event.source,
        method: event.method,
        path: String::from_utf8_lossy(path),
        query: Named::new(),
        headers: Named::new(),
        body,
        text: None,
    };
    for (name, value) in form_urlencoded::parse(query) {
        add(&mut document.query, name, value);
    }
    for (name, value) in event.headers {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        add(&mut document.headers, name.into(), String::from_utf8_lossy(value));
    }
    if document.body.is_none() {
        document.text = std::str::from_utf8(event.body).ok();
    }
    Ok(serde_json::to_vec(&document).expect("strings and maps of strings can be written"))
}

/// Whether somebody may read a body as JSON of which `start` is known: its content type says so, or it begins with a
/// brace or a bracket, as far as one can see.
#[must_use]
pub fn looks_like_json(headers: &HeaderBlock, start: &[u8]) -> bool {
    let says_json = |value: &[u8]| {
        let media_type = value.split(|byte| *byte == b';').next().unwrap_or_default();
        media_type.windows(4).any(|part| part.eq_ignore_ascii_case(b"json"))
    };
    let is_content_type = |name: &[u8]| name.eq_ignore_ascii_case(b"content-type");
    // Some parsers take a byte order mark.
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    matches!(start.first(), None | Some(b'{' | b'['))
        || headers.iter().any(|(name, value)| is_content_type(name) && says_json(value))
}

/// Path, and query without its `?`.
fn split_target(target: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'?', target) {
        Some(at) => (&target[..at], &target[at + 1..]),
        None => (target, &[]),
    }
}

/// Whether an event passes a filter: its first output is there, and neither false nor null.
#[must_use]
pub fn is_match(output: Option<&[u8]>) -> bool {
    output.is_some_and(|json| !matches!(json.trim_ascii(), b"false" | b"null"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(fields: &[(&str, &[u8])]) -> HeaderBlock {
        let mut block = HeaderBlock::default();
        for (name, value) in fields {
            block.push(name.as_bytes(), value).expect("valid field");
        }
        block
    }

    fn of(target: &[u8], fields: &[(&str, &[u8])], body: &[u8]) -> serde_json::Value {
        let (headers, body) = (block(fields), Bytes::copy_from_slice(body));
        let event =
            JqEvent { id: "evt_1", source: "shop", method: "POST", target, headers: &headers, body: &body };
        serde_json::from_slice(&document(&event).expect("shown")).expect("JSON")
    }

    #[test]
    fn a_document_shows_the_whole_event() {
        let shown = of(
            b"/a%20b/c?x=1&y=a%20b+c&x=2&z&x=",
            &[("Content-Type", b"application/json"), ("X-A", b"1"), ("x-a", b"2"), ("X-a", b"\xff")],
            b"{\"n\": 1}",
        );
        let expected = serde_json::json!({
            "id": "evt_1",
            "source": "shop",
            "method": "POST",
            "path": "/a%20b/c",
            "query": {"x": ["1", "2", ""], "y": "a b c", "z": ""},
            "headers": {"content-type": "application/json", "x-a": ["1", "2", "\u{fffd}"]},
            "body": {"n": 1},
            "text": null,
        });
        assert_eq!(shown, expected);
        let shown = of(b"/caf\xe9", &[], b"");
        assert_eq!(shown["path"], "/caf\u{fffd}");
        assert_eq!(shown["query"], serde_json::json!({}));
        assert_eq!(shown["headers"], serde_json::json!({}));
    }

    #[test]
    fn a_body_is_json_or_text_or_neither() {
        let nested = |levels: usize| [b"[".repeat(levels), b"]".repeat(levels)].concat();
        for (body, is_json, is_text) in [
            (&b"{}"[..], true, false),
            (b" \"x\" \n", true, false),
            (b"1e400", true, false),
            (b"", false, true),
            (b"a=1&b=2", false, true),
            (br#""\ud800""#, false, true),
            (b"\xff", false, false),
            (b"\"\xff\"", false, false),
            (&nested(NESTING_MAX - 1), true, false),
        ] {
            let headers = HeaderBlock::default();
            let body = Bytes::copy_from_slice(body);
            let event =
                JqEvent { id: "", source: "", method: "", target: b"/", headers: &headers, body: &body };
            let written = String::from_utf8(document(&event).expect("shown")).expect("text");
            assert_eq!(!written.contains("\"body\":null"), is_json, "{body:?}");
            assert_eq!(!written.contains("\"text\":null"), is_text, "{body:?}");
            assert!(json::nesting(written.as_bytes()) <= NESTING_MAX, "a worker takes it");
        }
    }

    /// A filter such as `.body.type != "refund"` passes what it sees as null.
    #[test]
    fn what_an_app_may_read_as_json_is_shown_or_refused() {
        let plain: &[(&str, &[u8])] = &[("Content-Type", b"text/plain")];
        let json: &[(&str, &[u8])] = &[("content-type", b"Application/vnd.shop+JSON; charset=utf-8")];
        let nested = [b"[".repeat(NESTING_MAX), b"]".repeat(NESTING_MAX)].concat();
        let long = format!("{{\"type\":\"refund\",\"n\":{}}}", "1".repeat(1_001));
        for (fields, body, expected) in [
            (plain, &br#"{"type":"refund","x":"\ud800"}"#[..], Err(Unshown::Surrogate)),
            (plain, &nested, Err(Unshown::Nesting)),
            (plain, long.as_bytes(), Err(Unshown::Number)),
            (plain, b" \n{'type':'refund'}", Err(Unshown::Invalid)),
            (plain, b"\xef\xbb\xbf{\"type\":\"refund\"}", Err(Unshown::Invalid)),
            (plain, b"{} {}", Err(Unshown::Invalid)),
            (plain, b"{\"type\":\"refund\",\"x\":\"\xff\"}", Err(Unshown::Invalid)),
            (json, br#""\ud800""#, Err(Unshown::Surrogate)),
            (json, b"\x1f\x8b\x08", Err(Unshown::Invalid)),
            (plain, br#""\ud800""#, Ok(())),
            (plain, b"\x1f\x8b\x08", Ok(())),
            (plain, b"type=refund", Ok(())),
            (json, b"", Ok(())),
            (json, b" \r\n", Ok(())),
        ] {
            let (headers, body) = (block(fields), Bytes::copy_from_slice(body));
            let event =
                JqEvent { id: "", source: "", method: "", target: b"/", headers: &headers, body: &body };
            assert_eq!(document(&event).map(drop), expected, "{body:?}");
        }
        assert!(looks_like_json(&HeaderBlock::default(), &[b' '; 64]), "nothing speaks against it yet");
    }

    #[test]
    fn numbers_keep_their_spelling() {
        let headers = HeaderBlock::default();
        let body = Bytes::from_static(b"[12345678901234567890123, 1.10, 1E5]");
        let event = JqEvent { id: "", source: "", method: "", target: b"/", headers: &headers, body: &body };
        let written = String::from_utf8(document(&event).expect("shown")).expect("text");
        assert!(written.contains("[12345678901234567890123, 1.10, 1E5]"), "{written}");
    }

    #[test]
    fn a_filter_passes_unless_it_says_no() {
        for (output, expected) in [
            (Some(&b"true"[..]), true),
            (Some(b"0"), true),
            (Some(b"\"\""), true),
            (Some(b"{}"), true),
            (Some(b"\"false\""), true),
            (Some(b"false"), false),
            (Some(b"null"), false),
            (None, false),
        ] {
            assert_eq!(is_match(output), expected, "{output:?}");
        }
    }
}
