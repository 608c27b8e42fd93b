//! Every vector of the reference gets the verdict it names, and every handshake the answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use protocol::field::HeaderBlock;
use provider::{Keys, Needs, Rejection, Request, Settings, Then, Verifier};
use serde_json::Value;

struct Kept(BTreeMap<String, String>);

impl Keys for Kept {
    fn get(&self, url: &str) -> Option<Arc<[u8]>> {
        self.0.get(url).map(|text| Arc::from(text.as_bytes()))
    }
}

fn block(headers: &Value) -> HeaderBlock {
    let mut block = HeaderBlock::default();
    for pair in headers.as_array().expect("headers") {
        let text = |at: usize| pair[at].as_str().expect("text").as_bytes();
        block.push(text(0), text(1)).expect("a field");
    }
    block
}

fn body(text: &Value) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(text.as_str().unwrap_or_default()).expect("Base64")
}

fn secrets(value: &Value) -> Vec<String> {
    match value {
        Value::String(one) => vec![one.clone()],
        Value::Array(many) => many.iter().map(|one| one.as_str().expect("a secret").to_owned()).collect(),
        _ => Vec::new(),
    }
}

/// What a vector configures, and what it stubs.
fn configured(vector: &Value) -> (Settings, Kept) {
    let mut settings = Settings {
        name: vector["provider"].as_str().expect("a provider").to_owned(),
        tolerance_s: vector["tolerance_s"].as_u64().map(|s| s.try_into().expect("small")),
        ..Settings::default()
    };
    let mut kept = BTreeMap::new();
    for (name, value) in vector["params"].as_object().into_iter().flatten() {
        match name.as_str() {
            "certs" => {
                for (url, pem) in value.as_object().expect("certificates") {
                    kept.insert(url.clone(), pem.as_str().expect("PEM").to_owned());
                }
            }
            "jwks" if settings.name == "plaid" => {
                settings.params.insert("jwks".to_owned(), value.to_string());
            }
            "jwks" => {
                kept.insert("https://www.googleapis.com/oauth2/v3/certs".to_owned(), value.to_string());
            }
            "form_field" | "verify_token" => {}
            _ => {
                settings.params.insert(name.clone(), value.as_str().expect("text").to_owned());
            }
        }
    }
    (settings, Kept(kept))
}

/// Whether a rejection is one the coarse reason of a vector allows.
fn fits(reason: &str, rejection: &Rejection) -> bool {
    match reason {
        "missing_signature" | "missing_id" => matches!(rejection, Rejection::HeaderMissing { .. }),
        "missing_timestamp" => matches!(rejection, Rejection::TimestampMissing { .. }),
        "malformed_signature" => {
            matches!(rejection, Rejection::Malformed { .. } | Rejection::UnknownVersion { .. })
        }
        "malformed_timestamp" => matches!(rejection, Rejection::Malformed { .. }),
        "no_supported_scheme" => matches!(rejection, Rejection::UnknownVersion { .. }),
        "stale_timestamp" => matches!(rejection, Rejection::Stale { .. }),
        "expired" => matches!(rejection, Rejection::Expired { .. }),
        "wrong_audience" | "wrong_principal" => matches!(rejection, Rejection::NotForUs { .. }),
        "unknown_key" => matches!(rejection, Rejection::KeyUnknown { .. }),
        "untrusted_cert_url" => matches!(rejection, Rejection::KeyRefused { .. }),
        "wrong_secret"
        | "tampered_body"
        | "tampered_header"
        | "wrong_url"
        | "wrong_key"
        | "wrong_signed_content" => matches!(
            rejection,
            Rejection::WrongSecret | Rejection::TokenWrong { .. } | Rejection::BodyAltered { .. }
        ),
        _ => true,
    }
}

#[test]
fn every_vector_gets_its_verdict() {
    let file: Value = serde_json::from_str(include_str!("vectors.json")).expect("JSON");
    let mut wrong = Vec::new();
    let vectors = file["vectors"].as_array().expect("vectors");
    assert!(vectors.len() >= 146);
    for vector in vectors {
        let id = &vector["id"];
        let (settings, kept) = configured(vector);
        let (headers, body) = (block(&vector["headers"]), body(&vector["body"]));
        let request = Request {
            method: vector["method"].as_str().expect("a method"),
            url: vector["url"].as_str().expect("a URL"),
            headers: &headers,
            body: &body,
        };
        let now_ms = vector["now"].as_u64().expect("a time") * 1000;
        let verifier = match Verifier::new(&settings, &secrets(&vector["secret"])) {
            Ok(verifier) => verifier,
            Err(error) => {
                wrong.push(format!("{id}: {error}"));
                continue;
            }
        };
        let verdict = verifier.verify(&request, now_ms, &kept);
        let reason = vector["reason"].as_str().expect("a reason");
        match (vector["expect"].as_str(), &verdict) {
            (Some("valid"), Ok(_)) => {}
            (Some("invalid"), Err(rejection)) if fits(reason, rejection) => {}
            (expected, got) => wrong.push(format!("{id}: expected {expected:?} ({reason}), got {got:?}")),
        }
        let provider = verifier.provider();
        let named = |field: &str, found: Option<String>| match vector[field].as_str() {
            Some(expected) if found.as_deref() != Some(expected) => {
                // GitHub and Linear have the action in the body; it is part of our name of the event.
                let with_action = found.as_deref().and_then(|found| found.strip_prefix(expected));
                let has_action = matches!(provider.name, "github" | "linear");
                (!has_action || !with_action.is_some_and(|rest| rest.starts_with('.')))
                    .then(|| format!("{id}: {field} {expected:?}, got {found:?}"))
            }
            _ => None,
        };
        wrong.extend(named("event_type", provider.event_name(&request)));
        wrong.extend(named("event_id", provider.delivery_id(&request)));
        // What is found out afterwards is still a refusal, and tells no secret.
        if let Err(rejection) = verdict {
            let explained = verifier.explain(&request, now_ms, &kept, &rejection).to_string();
            for secret in secrets(&vector["secret"]).iter().filter(|secret| secret.len() > 5) {
                assert!(!explained.contains(secret.as_str()), "{id}: {explained}");
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_handshake_gets_its_answer() {
    let file: Value = serde_json::from_str(include_str!("vectors.json")).expect("JSON");
    for vector in file["handshakes"].as_array().expect("handshakes") {
        let id = vector["id"].as_str().expect("an id");
        let (settings, kept) = configured(vector);
        let mut secrets = secrets(&vector["secret"]);
        if let Some(token) = vector["params"]["verify_token"].as_str() {
            secrets.push(format!("verify_token:{token}"));
        }
        let verifier = Verifier::new(&settings, &secrets).unwrap_or_else(|error| panic!("{id}: {error}"));
        let sent = &vector["request"];
        let (headers, body) = (block(&sent["headers"]), body(&sent["body"]));
        let request = Request {
            method: sent["method"].as_str().expect("a method"),
            url: sent["url"].as_str().expect("a URL"),
            headers: &headers,
            body: &body,
        };
        let now_ms = 1_760_000_000_000;
        let verdict = verifier.verify(&request, now_ms, &kept);
        let precondition = vector["precondition"].as_str().expect("a precondition");
        if precondition == "signature_invalid" {
            assert!(verdict.is_err(), "{id}");
            continue;
        }
        let greeting = verifier.greet(&request);
        // An empty list of events, signed: an ordinary delivery.
        if id == "line-verify" {
            assert!(verdict.is_ok() && greeting.is_none(), "{id}");
            continue;
        }
        let greeting = greeting.unwrap_or_else(|| panic!("{id}: not greeted"));
        if matches!(precondition, "signature_valid" | "token_valid") {
            assert_eq!(greeting.needs, Needs::ValidSignature, "{id}");
            assert!(verdict.is_ok(), "{id}: {verdict:?}");
        }
        let expected = &vector["response"];
        assert_eq!(Some(u64::from(greeting.answer.status)), expected["status"].as_u64(), "{id}");
        let header = |name: &str| {
            let found = greeting.answer.headers.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.clone())
        };
        if let Some(types) = expected["content_type"].as_array() {
            let found = header("content-type").unwrap_or_default();
            let is_one = types.iter().any(|one| found.starts_with(one.as_str().expect("a type")));
            assert!(is_one, "{id}: {found}");
            assert_eq!(header("x-content-type-options").as_deref(), Some("nosniff"), "{id}");
        }
        if !expected["body_json"].is_null() {
            let found: Value = serde_json::from_slice(&greeting.answer.body).expect("JSON");
            assert_eq!(found, expected["body_json"], "{id}");
        }
        if let Some(text) = expected["body"].as_str() {
            assert_eq!(greeting.answer.body, text.as_bytes(), "{id}");
        }
        for (name, value) in expected["headers"].as_object().into_iter().flatten() {
            assert_eq!(header(name).as_deref(), value.as_str(), "{id}");
        }
        let keeps = vector["store"].is_string();
        assert_eq!(matches!(greeting.then, Then::KeepSecret(_)), keeps, "{id}");
    }
}
