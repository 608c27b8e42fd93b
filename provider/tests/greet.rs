//! Handshakes are strict: what is nearly one is no handshake, and nobody has webhooks signed by asking.

use protocol::field::HeaderBlock;
use provider::{Greeting, Needs, NoKeys, Request, Settings, Then, Verifier};

const URL: &str = "https://hooks.example.com/h/ep_1";
const NOW_MS: u64 = 1_760_000_000_000;

fn verifier(name: &str, secrets: &[&str]) -> Verifier {
    let mut settings = Settings { name: name.to_owned(), ..Settings::default() };
    if name == "braintree" {
        settings.params.insert("public_key".to_owned(), "pub".to_owned());
    }
    Verifier::new(&settings, &secrets.iter().map(ToString::to_string).collect::<Vec<_>>())
        .expect("a verifier")
}

fn block(headers: &[(&str, &str)]) -> HeaderBlock {
    let mut block = HeaderBlock::default();
    for (name, value) in headers {
        block.push(name.as_bytes(), value.as_bytes()).expect("a field");
    }
    block
}

fn greet(
    verifier: &Verifier,
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Option<Greeting> {
    let headers = block(headers);
    verifier.greet(&Request { method, url, headers: &headers, body: body.as_bytes() })
}

fn text(greeting: Option<Greeting>) -> Option<String> {
    greeting.map(|greeting| String::from_utf8(greeting.answer.body).expect("text"))
}

#[test]
fn meta_is_answered_only_with_the_token_of_the_source() {
    let meta = verifier("meta", &["app-secret", "verify_token:vt"]);
    let ask = |query: &str| text(greet(&meta, "GET", &format!("{URL}?{query}"), &[], ""));
    assert_eq!(ask("hub.mode=subscribe&hub.challenge=11&hub.verify_token=vt").as_deref(), Some("11"));
    for wrong in [
        "hub.mode=subscribe&hub.challenge=11&hub.verify_token=vu",
        "hub.mode=subscribe&hub.challenge=11",
        "hub.mode=unsubscribe&hub.challenge=11&hub.verify_token=vt",
        "hub.mode=subscribe&hub.challenge=%3Cscript%3E&hub.verify_token=vt",
        "hub.mode=subscribe&hub.challenge=1&hub.challenge=2&hub.verify_token=vt",
    ] {
        assert_eq!(ask(wrong), None, "{wrong}");
    }
    let without = verifier("meta", &["app-secret"]);
    let query = "hub.mode=subscribe&hub.challenge=11&hub.verify_token=app-secret";
    assert_eq!(greet(&without, "GET", &format!("{URL}?{query}"), &[], ""), None);
}

#[test]
fn the_reply_to_x_signs_no_webhook() {
    let x = verifier("x", &["consumer-secret"]);
    let ask = |token: &str| text(greet(&x, "GET", &format!("{URL}?crc_token={token}"), &[], ""));
    // What X documents: base64 of the HMAC of the token.
    let expected = r#"{"response_token":"sha256=2RUZDVKjSpEV/C/r9ivMsVZJ4DFPAawjJFQQzY+6ba4="}"#;
    assert_eq!(ask("challenge").as_deref(), Some(expected));
    for webhook in ["%7B%22for_user_id%22%3A1%7D", "[]%20", "%22text%22"] {
        assert_eq!(ask(webhook), None, "{webhook}");
    }
}

#[test]
fn zoom_is_answered_with_the_mac_of_its_token_once_it_is_verified() {
    let zoom = verifier("zoom", &["zsec"]);
    let body = r#"{"event":"endpoint.url_validation","payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"}}"#;
    let greeting = greet(&zoom, "POST", URL, &[], body).expect("a greeting");
    assert_eq!(greeting.needs, Needs::ValidSignature);
    let answer: serde_json::Value = serde_json::from_slice(&greeting.answer.body).expect("JSON");
    assert_eq!(answer["plainToken"], "qgg8vlvZRS6UYooatFL8Aw");
    assert_eq!(answer["encryptedToken"].as_str().map(str::len), Some(64));
    let signed_text = r#"{"event":"endpoint.url_validation","payload":{"plainToken":"v0:1760000000:{}"}}"#;
    assert_eq!(greet(&zoom, "POST", URL, &[], signed_text), None);
}

#[test]
fn secrets_are_kept_from_strict_shapes_only() {
    let notion = verifier("notion", &[]);
    let greeting = greet(&notion, "POST", URL, &[], r#"{"verification_token":"secret_abc"}"#).expect("it");
    assert_eq!(greeting.then, Then::KeepSecret("secret_abc".to_owned()));
    assert!(!format!("{greeting:?}").contains("secret_abc"));
    assert_eq!(
        greet(&notion, "POST", URL, &[], r#"{"verification_token":"secret_abc","type":"page.created"}"#),
        None
    );
    assert_eq!(
        greet(&notion, "POST", URL, &[("X-Notion-Signature", "sha256=00")], r#"{"verification_token":"s"}"#),
        None
    );
    let asana = verifier("asana", &[]);
    assert!(greet(&asana, "POST", URL, &[("X-Hook-Secret", "abc")], "{}").is_some());
    assert_eq!(greet(&asana, "POST", URL, &[("X-Hook-Secret", "a b<>")], "{}"), None);
    assert_eq!(
        greet(&asana, "POST", URL, &[("X-Hook-Secret", "abc"), ("X-Hook-Signature", "00")], "{}"),
        None
    );
    assert_eq!(greet(&asana, "GET", URL, &[("X-Hook-Secret", "abc")], ""), None);
}

#[test]
fn sns_is_confirmed_at_its_own_host_only() {
    let sns = verifier("aws_sns", &[]);
    let ask = |url: &str| {
        let body = format!(r#"{{"Type":"SubscriptionConfirmation","SubscribeURL":"{url}"}}"#);
        greet(&sns, "POST", URL, &[], &body).map(|greeting| (greeting.needs, greeting.then))
    };
    let right =
        "https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription&TopicArn=arn:aws:sns:x&Token=2336";
    assert_eq!(ask(right), Some((Needs::ValidSignature, Then::Fetch(right.to_owned()))));
    for wrong in [
        "http://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription&Token=1",
        "https://sns.us-west-2.amazonaws.com.evil.example/?Action=ConfirmSubscription&Token=1",
        "https://sns.us-west-2.amazonaws.com:8443/?Action=ConfirmSubscription&Token=1",
        "https://u@sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription&Token=1",
        "https://sns.us-west-2.amazonaws.com/?Action=Unsubscribe&Token=1",
        "https://169.254.169.254/?Action=ConfirmSubscription&Token=1",
    ] {
        assert_eq!(ask(wrong), None, "{wrong}");
    }
}

#[test]
fn the_other_questions_are_answered_in_their_shape() {
    let head = |name: &str| greet(&verifier(name, &["s"]), "HEAD", URL, &[], "").map(|it| it.answer.status);
    for name in ["trello", "intercom", "mandrill"] {
        assert_eq!(head(name), Some(200), "{name}");
    }
    assert_eq!(head("github"), None);

    let woo = verifier("woocommerce", &["s"]);
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    assert!(greet(&woo, "POST", URL, &[form], "webhook_id=15").is_some());
    for (headers, body) in [
        (vec![form], "webhook_id=15&a=b"),
        (vec![form], "webhook_id="),
        (vec![form], "webhook_id=1x"),
        (vec![form, ("X-WC-Webhook-Signature", "x")], "webhook_id=15"),
        (vec![], "webhook_id=15"),
    ] {
        assert_eq!(greet(&woo, "POST", URL, &headers, body), None, "{body}");
    }

    let events = verifier("cloudevents", &["s"]);
    let origin = ("WebHook-Request-Origin", "eventemitter.example.com");
    let answer =
        greet(&events, "OPTIONS", URL, &[origin, ("WebHook-Request-Rate", "120")], "").expect("it").answer;
    assert!(answer.headers.contains(&("WebHook-Allowed-Origin".to_owned(), origin.1.to_owned())));
    assert!(answer.headers.contains(&("WebHook-Allowed-Rate".to_owned(), "120".to_owned())));
    assert_eq!(greet(&events, "OPTIONS", URL, &[], ""), None);
    assert_eq!(greet(&events, "OPTIONS", URL, &[("WebHook-Request-Origin", "a/b")], ""), None);

    let grid = verifier("azure_eventgrid", &["s"]);
    let body = r#"[{"eventType":"Microsoft.EventGrid.SubscriptionValidationEvent","data":{"validationCode":"512d38b6"}}]"#;
    let asked = greet(&grid, "POST", URL, &[("aeg-event-type", "SubscriptionValidation")], body);
    assert_eq!(text(asked).as_deref(), Some(r#"{"validationResponse":"512d38b6"}"#));
    assert_eq!(greet(&grid, "POST", URL, &[("aeg-event-type", "Notification")], body), None);

    let braintree = verifier("braintree", &["private"]);
    let ask =
        |challenge: &str| text(greet(&braintree, "GET", &format!("{URL}?bt_challenge={challenge}"), &[], ""));
    let reply = ask("20f9f8ed05f77439fe955c977e4c8a53").expect("it");
    assert!(reply.starts_with("pub|") && reply.len() == 44, "{reply}");
    assert_eq!(ask("PHhtbD4="), None);

    let twitch = verifier("twitch", &["s3cRe7xxxx"]);
    let kind = ("Twitch-Eventsub-Message-Type", "webhook_callback_verification");
    let asked =
        greet(&twitch, "POST", URL, &[kind], r#"{"challenge":"pogchamp-kappa-360noscope"}"#).expect("it");
    assert_eq!(
        (asked.needs, asked.answer.body.as_slice()),
        (Needs::ValidSignature, &b"pogchamp-kappa-360noscope"[..])
    );

    let discord = verifier("discord", &[&"00".repeat(32)]);
    assert_eq!(greet(&discord, "POST", URL, &[], r#"{"type":0}"#).map(|it| it.answer.status), Some(204));
    assert_eq!(
        greet(&discord, "POST", URL, &[], r#"{"type":1,"event":{"type":"APPLICATION_AUTHORIZED"}}"#),
        None
    );

    let dropbox = verifier("dropbox", &["s"]);
    assert_eq!(
        text(greet(&dropbox, "GET", &format!("{URL}?challenge=abc"), &[], "")).as_deref(),
        Some("abc")
    );
    assert_eq!(greet(&dropbox, "GET", &format!("{URL}?challenge={}", "a".repeat(5000)), &[], ""), None);
}

/// Text that a stranger chose is never shown as a page.
#[test]
fn echoed_text_is_plain_and_not_guessed_at() {
    let graph = verifier("msgraph", &["s"]);
    let url = format!("{URL}?validationToken=%3Cscript%3Ealert(1)%3C/script%3E");
    let answer = greet(&graph, "POST", &url, &[], "").expect("it").answer;
    assert!(answer.headers.contains(&("Content-Type".to_owned(), "text/plain; charset=utf-8".to_owned())));
    assert!(answer.headers.contains(&("X-Content-Type-Options".to_owned(), "nosniff".to_owned())));
    assert_eq!(greet(&graph, "POST", &format!("{URL}?validationToken=%00"), &[], ""), None);
    assert_eq!(greet(&graph, "POST", &url, &[], "{}"), None);
    assert_eq!(greet(&graph, "GET", &url, &[], ""), None);
}

/// A signed greeting is not answered by the caller before this says so.
#[test]
fn a_signed_question_without_signature_does_not_verify() {
    let slack = verifier("slack", &["slk"]);
    let body = r#"{"type":"url_verification","challenge":"abc"}"#;
    assert_eq!(greet(&slack, "POST", URL, &[], body).map(|it| it.needs), Some(Needs::ValidSignature));
    let headers = block(&[]);
    let request = Request { method: "POST", url: URL, headers: &headers, body: body.as_bytes() };
    assert!(slack.verify(&request, NOW_MS, &NoKeys).is_err());
}
