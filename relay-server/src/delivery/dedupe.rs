//! By what two copies of one webhook are told from two webhooks. Pure.

use protocol::field::HeaderBlock;
use ring::digest::{Context, SHA256};

use crate::model::{Captured, Dedupe, DedupeBy};
use crate::store::DedupeKey;

/// Header fields in which providers send an id of the delivery that stays the same when it is sent again.
const FIELDS: [&str; 12] = [
    "webhook-id",
    "svix-id",
    "x-github-delivery",
    "x-gitlab-event-uuid",
    "x-gitea-delivery",
    "x-request-uuid",
    "x-shopify-event-id",
    "x-shopify-webhook-id",
    "linear-delivery",
    "x-wc-webhook-delivery-id",
    "twitch-eventsub-message-id",
    "ce-id",
];

/// The key of an event, where the rule finds an id in it.
#[must_use]
pub fn key(rule: &Dedupe, headers: &HeaderBlock, body: &Captured) -> Option<DedupeKey> {
    let found = match &rule.by {
        DedupeBy::Provider => provider_id(headers, body)?,
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
    let hash = hash.finish().as_ref()[..16].try_into().expect("SHA-256 has more than 16 bytes");
    Some(DedupeKey { hash, window_ms: u64::from(rule.window_s) * 1_000 })
}

fn provider_id(headers: &HeaderBlock, body: &Captured) -> Option<Vec<u8>> {
    let in_header = FIELDS.iter().find_map(|name| headers.find(name));
    if let Some(id) = in_header {
        return Some(id.to_vec());
    }
    // Stripe has it in the body, Slack too.
    if headers.find("stripe-signature").is_some() {
        return value_at(body, "/id");
    }
    headers.find("x-slack-signature").and_then(|_| value_at(body, "/event_id"))
}

/// The value in the JSON body at a pointer (RFC 6901), as text; empty values are no ids.
fn value_at(body: &Captured, pointer: &str) -> Option<Vec<u8>> {
    let document: serde_json::Value = serde_json::from_slice(&body.bytes).ok()?;
    match document.pointer(pointer)? {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) if text.is_empty() => None,
        serde_json::Value::String(text) => Some(text.clone().into_bytes()),
        other => Some(other.to_string().into_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn hash(by: DedupeBy, headers: &[(&str, &str)], body: &'static str) -> Option<[u8; 16]> {
        let mut block = HeaderBlock::default();
        for (name, value) in headers {
            block.push(name.as_bytes(), value.as_bytes()).expect("a field");
        }
        let rule = Dedupe { by, window_s: 60 };
        key(&rule, &block, &Captured::whole(Bytes::from_static(body.as_bytes()))).map(|key| key.hash)
    }

    #[test]
    fn copies_have_one_key_and_others_another() {
        let github = |id| hash(DedupeBy::Provider, &[("X-GitHub-Delivery", id)], "{}");
        assert_eq!(github("a"), github("a"));
        assert_ne!(github("a"), github("b"));
        let stripe = |body| hash(DedupeBy::Provider, &[("Stripe-Signature", "t=1")], body);
        assert_eq!(stripe(r#"{"id":"evt_1","n":1}"#), stripe(r#"{"id":"evt_1","n":2}"#));
        assert_ne!(stripe(r#"{"id":"evt_1"}"#), stripe(r#"{"id":"evt_2"}"#));
        let pointer = |body| hash(DedupeBy::Pointer("/a/0".to_owned()), &[], body);
        assert_eq!(pointer(r#"{"a":[7]}"#), pointer(r#"{"a":[7, 8]}"#));
        let header = |value| hash(DedupeBy::Header("x-key".to_owned()), &[("X-Key", value)], "");
        assert_ne!(header("1"), header("2"));
        assert_eq!(hash(DedupeBy::Body, &[], "same"), hash(DedupeBy::Body, &[("a", "b")], "same"));
    }

    #[test]
    fn an_event_without_an_id_has_no_copies() {
        assert_eq!(hash(DedupeBy::Provider, &[], "{}"), None);
        assert_eq!(hash(DedupeBy::Header("x-key".to_owned()), &[], "{}"), None);
        for body in ["not json", "{}", r#"{"id":null}"#, r#"{"id":""}"#] {
            assert_eq!(hash(DedupeBy::Pointer("/id".to_owned()), &[], body), None, "{body}");
        }
    }
}
