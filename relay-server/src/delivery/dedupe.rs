//! By what two copies of one webhook are told from two webhooks. Pure.

use protocol::field::HeaderBlock;
use provider::json::{self, Pointer};
use ring::digest::{Context, SHA256};
use serde_json::value::RawValue;

use crate::model::{Captured, Dedupe, DedupeBy, Known};
use crate::store::DedupeKey;

/// Longest value, in bytes, that is read to be an id however it is spelled. A longer one is its own text.
const PARSED_BYTES_MAX: usize = 4 * 1024;

/// The key of an event, where the rule finds an id in it.
#[must_use]
pub fn key(rule: &Dedupe, known: &Known, headers: &HeaderBlock, body: &Captured) -> Option<DedupeKey> {
    let found = match &rule.by {
        // What is in a file would have to be read for it.
        DedupeBy::Provider if body.is_in_file && !known.id_alone => return None,
        DedupeBy::Provider => known.sender_id.as_ref()?.as_bytes().to_vec(),
        DedupeBy::Header(name) => headers.find(name)?.to_vec(),
        DedupeBy::Pointer(pointer) => value_at(body, pointer)?,
        DedupeBy::Body if body.is_in_file => return None,
        DedupeBy::Body => body.bytes.to_vec(),
    };
    let mut hash = Context::new(&SHA256);
    // The kind of id is part of it: a header's value is not the same as an equal body.
    hash.update(&[match rule.by {
        DedupeBy::Provider => 0,
        DedupeBy::Header(_) => 1,
        DedupeBy::Pointer(_) => 2,
        DedupeBy::Body => 3,
    }]);
    hash.update(&found);
    // One id may stand for several events, and who is not verified may guess one.
    if rule.by == DedupeBy::Provider && !known.id_alone {
        hash.update(b"\0");
        hash.update(&body.bytes);
    }
    let hash = hash.finish().as_ref()[..16].try_into().expect("SHA-256 has more than 16 bytes");
    Some(DedupeKey { hash, window_ms: u64::from(rule.window_s) * 1_000 })
}

/// The value in the JSON body at a pointer (RFC 6901), as text; empty values are no ids.
fn value_at(body: &Captured, pointer: &str) -> Option<Vec<u8>> {
    id_text(json::find(&body.bytes, &Pointer::parse(pointer)?)?)
}

fn id_text(found: &RawValue) -> Option<Vec<u8>> {
    let text = found.get();
    if text.len() > PARSED_BYTES_MAX {
        return Some(text.as_bytes().to_vec());
    }
    match serde_json::from_str(text).ok()? {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) if text.is_empty() => None,
        serde_json::Value::String(text) => Some(text.into_bytes()),
        other => Some(other.to_string().into_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn hash(by: DedupeBy, sender_id: &str, headers: &[(&str, &str)], body: &'static str) -> Option<[u8; 16]> {
        let mut block = HeaderBlock::default();
        for (name, value) in headers {
            block.push(name.as_bytes(), value.as_bytes()).expect("a field");
        }
        let rule = Dedupe { by, window_s: 60 };
        let sender_id = Some(sender_id.to_owned()).filter(|id| !id.is_empty());
        key(
            &rule,
            &Known { sender_id, id_alone: true, ..Known::default() },
            &block,
            &Captured::whole(Bytes::from_static(body.as_bytes())),
        )
        .map(|key| key.hash)
    }

    #[test]
    fn copies_have_one_key_and_others_another() {
        let provider = |id, body| hash(DedupeBy::Provider, id, &[], body);
        assert_eq!(provider("a", "{}"), provider("a", "{\"attempt\":2}"));
        assert_ne!(provider("a", "{}"), provider("b", "{}"));
        assert_eq!(provider("", "{}"), None);
        let pointer = |body| hash(DedupeBy::Pointer("/a/0".to_owned()), "", &[], body);
        assert_eq!(pointer(r#"{"a":[7]}"#), pointer(r#"{"a":[7, 8]}"#));
        let header = |value| hash(DedupeBy::Header("x-key".to_owned()), "", &[("X-Key", value)], "");
        assert_ne!(header("1"), header("2"));
        assert_eq!(hash(DedupeBy::Body, "", &[], "same"), hash(DedupeBy::Body, "", &[("a", "b")], "same"));
    }

    /// A page of Postmark's or Meta's names the same message again when something else happened to it.
    #[test]
    fn one_id_with_two_bodies_is_two_events_where_the_provider_does_not_say_otherwise() {
        let rule = Dedupe { by: DedupeBy::Provider, window_s: 60 };
        let hash = |id_alone, body: &'static str| {
            let known = Known { sender_id: Some("a".to_owned()), id_alone, ..Known::default() };
            let body = Captured::whole(Bytes::from_static(body.as_bytes()));
            key(&rule, &known, &HeaderBlock::default(), &body).map(|key| key.hash)
        };
        assert_eq!(hash(false, "sent"), hash(false, "sent"));
        assert_ne!(hash(false, "sent"), hash(false, "read"));
        assert_eq!(hash(true, "try 1"), hash(true, "try 2"));
    }

    #[test]
    fn a_pointer_finds_what_it_found_when_the_whole_document_was_read() {
        let documents = [
            r#"{"id":"first","a":{"b":[10,{"c":"deep"},1.50]},"id":"last"}"#,
            r#"{"id":"first","id":{"x":1}}"#,
            r#"{"a":{"b":[1,2]},"a":{"c":1}}"#,
            r#"{"a/b":1,"m~n":true,"":{"":"empty"},"\u0069d":"escaped"}"#,
            r#"[["x"],{"id":7}]"#,
            r#"{ "id" : { "b" : 2, "a" : [ null ] } }"#,
            "\"text\"",
            "{} {}",
            r#"{"id":"cut"#,
            r#"{"id":"kept","broken":}"#,
            "null",
            "7",
        ];
        let pointers = [
            "",
            "/id",
            "/a/b/0",
            "/a/b/1/c",
            "/a/b/2",
            "/a/b/00",
            "/a/b/-1",
            "/a/b/+1",
            "/a/b",
            "/a",
            "/a/c",
            "/a~1b",
            "/m~0n",
            "//",
            "/",
            "/0/0",
            "/1/id",
            "/id/x",
            "id",
            "/a/b/99999999999999999999",
        ];
        for (document, pointer) in documents.iter().flat_map(|d| pointers.map(|pointer| (d, pointer))) {
            let whole = serde_json::from_str::<serde_json::Value>(document).ok();
            let expected =
                whole.as_ref().and_then(|whole| whole.pointer(pointer)).and_then(|value| match value {
                    serde_json::Value::Null => None,
                    serde_json::Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
                    other => Some(other.to_string()),
                });
            let body = Captured::whole(Bytes::from_static(document.as_bytes()));
            let found = value_at(&body, pointer).map(|found| String::from_utf8(found).unwrap());
            assert_eq!(found, expected, "{pointer} of {document}");
        }
    }

    /// A document that was read whole had a limit for it; one that is skipped needs none, and no stack.
    #[test]
    fn what_is_not_on_the_way_is_skipped_however_deep_it_nests() {
        let deep = format!("{{\"deep\":{}{},\"id\":\"evt_1\"}}", "[".repeat(400_000), "]".repeat(400_000));
        let body = Captured::whole(Bytes::from(deep));
        assert_eq!(value_at(&body, "/id").as_deref(), Some(&b"evt_1"[..]));
        let names = "/deep".to_owned() + &"/0".repeat(400_000);
        assert_eq!(value_at(&body, &names), None);
    }

    #[test]
    fn an_event_without_an_id_has_no_copies() {
        assert_eq!(hash(DedupeBy::Provider, "", &[], "{}"), None);
        assert_eq!(hash(DedupeBy::Header("x-key".to_owned()), "", &[], "{}"), None);
        for body in ["not json", "{}", r#"{"id":null}"#, r#"{"id":""}"#] {
            assert_eq!(hash(DedupeBy::Pointer("/id".to_owned()), "", &[], body), None, "{body}");
        }
    }
}
