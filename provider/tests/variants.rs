//! Variants of schemes that one provider has, and what must not pass for one of them.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use protocol::field::HeaderBlock;
use provider::{Keys, NoKeys, Rejection, Request, Settings, SettingsError, Verified, Verifier};
use ring::{digest, hmac};

const URL: &str = "https://hooks.example.com/h/ep_1";
const NOW_MS: u64 = 1_760_000_000_000;

struct Sent<'a> {
    method: &'a str,
    url: &'a str,
    headers: &'a [(&'a str, &'a str)],
    body: &'a [u8],
}

impl Sent<'_> {
    fn verify(&self, verifier: &Verifier, keys: &dyn Keys) -> Result<Verified, Rejection> {
        let mut headers = HeaderBlock::default();
        for (name, value) in self.headers {
            headers.push(name.as_bytes(), value.as_bytes()).expect("a field");
        }
        let request = Request { method: self.method, url: self.url, headers: &headers, body: self.body };
        verifier.verify(&request, NOW_MS, keys)
    }
}

fn verifier(name: &str, params: &[(&str, &str)], secrets: &[&str]) -> Verifier {
    let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let settings = Settings { name: name.to_owned(), params, tolerance_s: None };
    Verifier::new(&settings, &secrets.iter().map(ToString::to_string).collect::<Vec<_>>())
        .expect("a verifier")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn hubspots_older_signatures_count_where_the_newest_is_not_sent() {
    let hubspot = verifier("hubspot", &[], &["secret"]);
    let body = b"[{}]";
    let hash = |text: &str| hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    let (v1, v2) = (hash("secret[{}]"), hash(&format!("secretPOST{URL}[{{}}]")));
    let verify =
        |headers: &[(&str, &str)]| Sent { method: "POST", url: URL, headers, body }.verify(&hubspot, &NoKeys);
    for (version, signature, passes) in [
        (Some("v1"), &v1, true),
        (Some("v2"), &v2, true),
        (Some("v2"), &v1, false),
        (None, &v1, true),
        (None, &v2, true),
    ] {
        let mut headers = vec![("X-HubSpot-Signature", signature.as_str())];
        headers.extend(version.map(|version| ("X-HubSpot-Signature-Version", version)));
        assert_eq!(verify(&headers).is_ok(), passes, "{version:?}");
        // Beside a newest one that is wrong, a right older one counts nothing.
        headers.push(("X-HubSpot-Signature-v3", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="));
        headers.push(("X-HubSpot-Request-Timestamp", "1760000000000"));
        assert_eq!(verify(&headers), Err(Rejection::WrongSecret));
    }
}

#[test]
fn gitlabs_signature_counts_before_its_token() {
    let token = ("X-Gitlab-Token", "tok-123");
    let wrong = ("webhook-signature", "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    let times = [("webhook-id", "1"), ("webhook-timestamp", "1760000000")];
    let verify = |verifier: &Verifier, headers: &[(&str, &str)]| {
        Sent { method: "POST", url: URL, headers, body: b"{}" }.verify(verifier, &NoKeys)
    };
    let both = verifier("gitlab", &[], &["tok-123", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]);
    assert_eq!(verify(&both, &[token]).map(|verified| verified.covers_body), Ok(false));
    assert_eq!(verify(&both, &[token, wrong, times[0], times[1]]), Err(Rejection::WrongSecret));
    // A source that has only the token cannot check the signature.
    assert!(verify(&verifier("gitlab", &[], &["tok-123"]), &[token, wrong, times[0], times[1]]).is_ok());
}

#[test]
fn a_token_does_not_choose_how_it_is_checked() {
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let claims = encode(
        r#"{"iss":"netlify","sha256":"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}"#,
    );
    let token = |head: &str, key: &[u8]| {
        let signed = format!("{}.{claims}", encode(head));
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac))
    };
    let verify = |verifier: &Verifier, header: &str, token: &str| {
        Sent { method: "POST", url: URL, headers: &[(header, token)], body: b"{}" }.verify(verifier, &NoKeys)
    };
    let netlify = verifier("netlify", &[], &["secret"]);
    let ours = |token: &str| verify(&netlify, "X-Webhook-Signature", token);
    let right = token(r#"{"alg":"HS256"}"#, b"secret");
    assert!(ours(&right).is_ok_and(|verified| verified.covers_body));
    for head in [r#"{"alg":"none"}"#, r#"{"alg":"RS256"}"#, r#"{"alg":"hs256"}"#, r#"{"alg":"HS512"}"#] {
        assert!(matches!(ours(&token(head, b"secret")), Err(Rejection::UnknownVersion { .. })), "{head}");
    }
    assert!(ours(&token(r#"{"alg":"HS256","crit":["b64"]}"#, b"secret")).is_err());
    let (unsigned, _) = right.rsplit_once('.').expect("three parts");
    assert!(ours(&format!("{unsigned}.")).is_err());
    assert!(ours(unsigned).is_err());

    // The public key as an HMAC secret.
    let set = r#"{"keys":[{"kty":"RSA","kid":"1","n":"xkWkLhKzy7kF","e":"AQAB"}]}"#;
    let google = verifier("google_pubsub", &[("email", "a@b.example"), ("jwks", set)], &[]);
    let forged = format!("Bearer {}", token(r#"{"alg":"HS256","kid":"1"}"#, set.as_bytes()));
    assert!(matches!(verify(&google, "Authorization", &forged), Err(Rejection::UnknownVersion { .. })));
}

#[test]
fn keys_are_asked_for_by_urls_that_were_checked() {
    struct Never;
    impl Keys for Never {
        fn get(&self, url: &str) -> Option<Arc<[u8]>> {
            panic!("asked for {url}")
        }
    }
    let sns = verifier("aws_sns", &[], &[]);
    let verify = |url: &str, keys: &dyn Keys| {
        let body = format!(
            r#"{{"Type":"Notification","MessageId":"1","TopicArn":"t","Message":"m","Timestamp":"2025-10-09T08:53:20.000Z",
               "SignatureVersion":"2","Signature":"AAAA","SigningCertURL":"{url}"}}"#
        );
        Sent { method: "POST", url: URL, headers: &[], body: body.as_bytes() }.verify(&sns, keys)
    };
    let right = "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-1.pem";
    assert_eq!(verify(right, &NoKeys), Err(Rejection::KeyWanted { url: right.to_owned() }));
    for wrong in [
        "https://sns.eu-central-1.amazonaws.com.evil.example/a.pem",
        "https://sns.eu-central-1.amazonaws.com@evil.example/a.pem",
        "https://evil.example/sns.eu-central-1.amazonaws.com/a.pem",
        "https://s3.eu-central-1.amazonaws.com/bucket/a.pem",
        "https://sns.eu-central-1.amazonaws.com/a.pem?x=.pem",
    ] {
        assert!(matches!(verify(wrong, &Never), Err(Rejection::KeyRefused { .. })), "{wrong}");
    }
    let paypal = verifier("paypal", &[("webhook_id", "1")], &[]);
    let verify = |url: &str, keys: &dyn Keys| {
        let headers = [
            ("PayPal-Transmission-Id", "1"),
            ("PayPal-Transmission-Time", "2025-10-09T08:53:20Z"),
            ("PayPal-Transmission-Sig", "AAAA"),
            ("PayPal-Auth-Algo", "SHA256withRSA"),
            ("PayPal-Cert-Url", url),
        ];
        Sent { method: "POST", url: URL, headers: &headers, body: b"{}" }.verify(&paypal, keys)
    };
    assert!(matches!(verify("https://api.paypal.com/v1/certs/1", &NoKeys), Err(Rejection::KeyWanted { .. })));
    for wrong in ["https://paypal.com.evil.example/1", "https://evilpaypal.com/1", "http://api.paypal.com/1"]
    {
        assert!(matches!(verify(wrong, &Never), Err(Rejection::KeyRefused { .. })), "{wrong}");
    }
}

#[test]
fn a_signed_url_vouches_for_no_other_body() {
    let twilio = verifier("twilio", &[], &["12345"]);
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"12345"), URL.as_bytes());
    let signature = STANDARD.encode(mac);
    let header = ("X-Twilio-Signature", signature.as_str());
    let json = ("Content-Type", "application/json");
    let verify = |method: &str, headers: &[(&str, &str)], body: &[u8]| {
        Sent { method, url: URL, headers, body }.verify(&twilio, &NoKeys)
    };
    assert!(verify("GET", &[header], b"").is_ok());
    assert!(matches!(verify("POST", &[header, json], b"{}"), Err(Rejection::Malformed { .. })));
    let settings = ("X-Twilio-Webhooks-Signature-Settings", "key=k,algorithm=NONE");
    assert!(matches!(verify("GET", &[header, settings], b""), Err(Rejection::UnknownVersion { .. })));
}

#[test]
fn an_empty_or_broken_batch_passes_nothing() {
    let adyen = verifier("adyen", &[], &["44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"]);
    let graph = verifier("msgraph", &[], &["sekret"]);
    for (verifier, bodies) in [
        (&adyen, [r#"{"notificationItems":[]}"#, "{}", r#"{"notificationItems":{}}"#]),
        (&graph, [r#"{"value":[]}"#, r#"{"value":[{}]}"#, r#"{"value":[{"clientState":"sekret"},{}]}"#]),
    ] {
        for body in bodies {
            let sent = Sent { method: "POST", url: URL, headers: &[], body: body.as_bytes() };
            assert!(sent.verify(verifier, &NoKeys).is_err(), "{body}");
        }
    }
}

#[test]
fn every_signature_that_a_request_carries_is_made_anew() {
    let gitea = verifier("gitea", &[], &["new"]);
    let mut headers = HeaderBlock::default();
    for name in ["X-Gitea-Signature", "X-Gogs-Signature", "X-Hub-Signature-256"] {
        headers.push(name.as_bytes(), b"old").expect("a field");
    }
    let request = Request { method: "POST", url: URL, headers: &headers, body: b"{}" };
    let fields = gitea.sign(&request, NOW_MS).expect("signatures");
    let value = |wanted: &str| fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
    let plain = value("x-gitea-signature").expect("it");
    assert_eq!(value("x-gogs-signature").as_ref(), Some(&plain));
    assert_eq!(value("x-hub-signature-256"), Some(format!("sha256={plain}")));
    assert_eq!(value("x-forgejo-signature"), None);
}

#[test]
fn a_private_key_signs_what_its_public_half_verifies() {
    let private = verifier("standard_webhooks", &[], &["whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="]);
    let public = verifier("standard_webhooks", &[], &["whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="]);
    let headers = HeaderBlock::default();
    let request = Request { method: "POST", url: URL, headers: &headers, body: b"{}" };
    let fields = private.sign(&request, NOW_MS).expect("a signature");
    assert!(fields.iter().any(|(_, value)| value.starts_with("v1a,")));
    let headers: Vec<(&str, &str)> =
        fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    for verifier in [&private, &public] {
        let sent = Sent { method: "POST", url: URL, headers: &headers, body: b"{}" };
        assert!(sent.verify(verifier, &NoKeys).is_ok());
    }
    assert!(!public.can_sign());
    assert_eq!(public.sign(&request, NOW_MS), Err(provider::CannotSign::PublicKey));
}

#[test]
fn settings_that_verify_nothing_are_refused() {
    let made = |name: &str, params: &[(&str, &str)], secrets: &[&str]| {
        let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let settings = Settings { name: name.to_owned(), params, tolerance_s: None };
        Verifier::new(&settings, &secrets.iter().map(ToString::to_string).collect::<Vec<_>>()).map(|_| ())
    };
    assert!(matches!(made("nobody", &[], &[]), Err(SettingsError::UnknownProvider { .. })));
    assert!(matches!(made("paypal", &[], &[]), Err(SettingsError::ParamMissing { .. })));
    assert!(matches!(made("google_pubsub", &[], &[]), Err(SettingsError::ParamMissing { .. })));
    assert!(matches!(made("github", &[("x", "y")], &[]), Err(SettingsError::ParamUnknown { .. })));
    assert!(matches!(made("github", &[], &["a", ""]), Err(SettingsError::Secret { position: 2, .. })));
    assert!(matches!(made("discord", &[], &["00ff"]), Err(SettingsError::Secret { .. })));
    assert!(matches!(made("postmark", &[], &["no colon"]), Err(SettingsError::Secret { .. })));
    assert!(matches!(made("standard_webhooks", &[], &["whsec_!"]), Err(SettingsError::Secret { .. })));
    assert!(matches!(made("plaid", &[("environment", "evil.example/")], &[]), Err(SettingsError::Table(_))));
    assert_eq!(made("plaid", &[("environment", "sandbox")], &[]), Ok(()));
    assert_eq!(made("github", &[], &["a"; 17]), Err(SettingsError::TooManySecrets));
    assert_eq!(made("SVIX", &[], &["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]), Ok(()));
}

/// Tokens of a key that was made for this test, and thrown away: `entra.json`.
#[test]
fn tokens_of_microsofts_are_for_one_directory_one_application_and_from_one() {
    let made: serde_json::Value = serde_json::from_str(include_str!("entra.json")).expect("JSON");
    let text = |name: &str| made[name].as_str().expect("a text").to_owned();
    let set = serde_json::json!({ "keys": [{ "kty": "RSA", "use": "sig", "kid": "k1", "n": text("n"), "e": "AQAB" }] });
    let set = set.to_string();
    let eventgrid = |tenant: &str, audience: &str| {
        verifier("azure_eventgrid", &[("tenant", tenant), ("audience", audience), ("jwks", &set)], &[])
    };
    let ours = eventgrid("tenant-1", "api://app");
    assert!(!ours.needs_secret() && verifier("azure_eventgrid", &[], &["x"]).needs_secret());
    let verify = |verifier: &Verifier, url: &str, token: &str| {
        let token = format!("Bearer {token}");
        let headers = [("Authorization", token.as_str())];
        Sent { method: "POST", url, headers: &headers, body: b"[]" }.verify(verifier, &NoKeys)
    };
    assert!(verify(&ours, URL, &text("event_grid")).is_ok());
    let not_for_us = |verdict| matches!(verdict, Err(Rejection::NotForUs { .. }));
    assert!(not_for_us(verify(&ours, URL, &text("event_grid_other_app"))));
    assert!(not_for_us(verify(&eventgrid("tenant-2", "api://app"), URL, &text("event_grid"))));
    assert!(not_for_us(verify(&eventgrid("tenant-1", "api://other"), URL, &text("event_grid"))));
    assert!(verify(&ours, &format!("{URL}?code=anything"), "").is_err(), "the URL's secret is out of use");

    let graph =
        verifier("msgraph", &[("tenant", "tenant-1"), ("app_id", "app-1"), ("jwks", &set)], &["state"]);
    let notified = |state: &str, tokens: &[String]| {
        let mut body = serde_json::json!({ "value": [{ "clientState": state, "changeType": "created" }] });
        if !tokens.is_empty() {
            body["validationTokens"] = tokens.into();
        }
        let body = body.to_string();
        Sent { method: "POST", url: URL, headers: &[], body: body.as_bytes() }.verify(&graph, &NoKeys)
    };
    let (right, other) = (text("graph"), text("graph_other_app"));
    assert!(notified("state", std::slice::from_ref(&right)).is_ok());
    assert!(notified("state", &[]).is_ok(), "without resource data there are no tokens");
    assert!(not_for_us(notified("state", &[right.clone(), other])));
    assert!(notified("state", &["x".to_owned()]).is_err());
    assert!(notified("guess", &[right]).is_err());
    let without = verifier("msgraph", &[("tenant", "tenant-1"), ("app_id", "app-1"), ("jwks", &set)], &[]);
    assert!(without.checks_more(), "nothing comes in unchecked");
    assert!(provider::find("msgraph").is_some_and(provider::Provider::sends_secret_openly));
    assert!(!provider::find("gitlab").is_some_and(provider::Provider::sends_secret_openly));
}
