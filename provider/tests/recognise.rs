//! Whose webhook a request is, by what only that provider sends.

use base64::Engine as _;
use protocol::field::HeaderBlock;
use provider::{Request, recognise, recognise_by_header};
use serde_json::Value;

fn found(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<&'static str> {
    let mut block = HeaderBlock::default();
    for (name, value) in headers {
        block.push(name.as_bytes(), value.as_bytes()).expect("a field");
    }
    let request = Request { method, url, headers: &block, body };
    let found = recognise(&request).map(|provider| provider.name);
    // The quick way sees less, and nothing else.
    let by_header = recognise_by_header(&request).map(|provider| provider.name);
    assert!(by_header.is_none() || by_header == found, "{by_header:?} and {found:?}");
    found
}

#[test]
fn a_request_is_recognised_by_what_only_its_provider_sends() {
    const URL: &str = "https://hooks.example.com/h/ep_1";
    const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
    let github =
        [("X-GitHub-Event", "push"), ("X-GitHub-Delivery", "d"), ("X-Hub-Signature-256", "sha256=00")];
    let with = |more: &[(&'static str, &'static str)]| [&github[..], more].concat();
    for (headers, body, expected) in [
        (with(&[]), &b"{}"[..], Some("github")),
        // Gitea sends GitHub's names too.
        (with(&[("X-Gitea-Event", "push")]), b"{}", Some("gitea")),
        (with(&[("X-Forgejo-Event", "push")]), b"{}", Some("gitea")),
        (vec![("X-Hub-Signature-256", "sha256=00")], br#"{"object":"page","entry":[{}]}"#, Some("meta")),
        (
            vec![("X-Hub-Signature", "sha1=00")],
            br#"{"type":"notification_event","topic":"ping"}"#,
            Some("intercom"),
        ),
        (vec![("Stripe-Signature", "t=1,v1=00")], b"{}", Some("stripe")),
        (
            vec![("X-Gitlab-Event", "Push Hook"), ("webhook-id", "1"), ("webhook-signature", "v1,x")],
            b"{}",
            Some("gitlab"),
        ),
        (vec![("X-Slack-Signature", "v0=00"), ("X-Slack-Request-Timestamp", "1")], b"{}", Some("slack")),
        (
            vec![
                ("X-Shopify-Topic", "orders/create"),
                ("X-Shopify-Hmac-Sha256", "x"),
                ("X-Shopify-Shop-Domain", "x.myshopify.com"),
            ],
            b"{}",
            Some("shopify"),
        ),
        (
            vec![("webhook-id", "1"), ("webhook-timestamp", "1"), ("webhook-signature", "v1,x")],
            b"{}",
            Some("standard_webhooks"),
        ),
        (
            vec![("webhook-id", "1"), ("webhook-timestamp", "1"), ("webhook-signature", "v1,x")],
            br#"{"producer":"stores/abc","scope":"store/order/created"}"#,
            Some("bigcommerce"),
        ),
        (vec![FORM], b"bt_signature=a&bt_payload=b", Some("braintree")),
        (vec![("X-Amz-Sns-Message-Type", "Notification")], b"{}", Some("aws_sns")),
        (vec![], br#"{"notificationItems":[{"NotificationRequestItem":{}}]}"#, Some("adyen")),
        (vec![("Content-Type", "application/json")], br#"{"hello":1}"#, None),
        (vec![], b"", None),
    ] {
        assert_eq!(found("POST", URL, &headers, body), expected, "{headers:?}");
    }
    assert_eq!(found("GET", &format!("{URL}?crc_token=abc"), &[], b""), Some("x"));
    assert_eq!(found("POST", &format!("{URL}?validationToken=abc"), &[], b""), Some("msgraph"));
}

/// No vector of one provider is taken for another's.
#[test]
fn no_vector_is_taken_for_anothers() {
    let file: Value = serde_json::from_str(include_str!("vectors.json")).expect("JSON");
    let mut wrong = Vec::new();
    for vector in file["vectors"].as_array().expect("vectors") {
        let text = |field: &str| vector[field].as_str().expect("text");
        let pairs: Vec<(&str, &str)> = vector["headers"]
            .as_array()
            .expect("headers")
            .iter()
            .map(|pair| (pair[0].as_str().expect("a name"), pair[1].as_str().expect("a value")))
            .collect();
        let body = base64::engine::general_purpose::STANDARD.decode(text("body")).expect("Base64");
        let expected = provider::find(text("provider")).expect("a provider").name;
        // These sign as Standard Webhooks and have little of their own.
        let is_fine = |found: &str| {
            found == expected
                || (matches!(found, "standard_webhooks" | "svix")
                    && matches!(expected, "svix" | "clerk" | "resend" | "openai"))
        };
        if let Some(found) = found(text("method"), text("url"), &pairs, &body).filter(|found| !is_fine(found))
        {
            wrong.push(format!("{}: {found}", text("id")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
