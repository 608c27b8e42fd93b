//! What holds for every provider whose signatures can be made: what was signed passes, and what was changed does not.

use std::collections::BTreeMap;

use protocol::field::HeaderBlock;
use provider::{NoKeys, Provider, Rejection, Request, Settings, Verifier};

const NOW_MS: u64 = 1_760_000_000_000;
const URL: &str = "https://hooks.example.com/h/ep_1?x=1";
const JSON: &[u8] = br#"{"webhookTimestamp":1760000000000,"name":"some text"}"#;
const FORM: &[u8] = b"Body=some+text&From=%2B1";
const TOLERANCE_S: u32 = 60;

/// A request that can be changed.
#[derive(Clone)]
struct Message {
    url: String,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Message {
    fn new(body: &[u8]) -> Self {
        let media_type = if body == FORM { "application/x-www-form-urlencoded" } else { "application/json" };
        let fields = vec![("content-type".to_owned(), media_type.to_owned())];
        Self { url: URL.to_owned(), fields, body: body.to_vec() }
    }

    fn with<T>(&self, look: impl FnOnce(&Request<'_>) -> T) -> T {
        let mut headers = HeaderBlock::default();
        for (name, value) in &self.fields {
            headers.push(name.as_bytes(), value.as_bytes()).expect("a field");
        }
        look(&Request { method: "POST", url: &self.url, headers: &headers, body: &self.body })
    }

    fn verify(&self, verifier: &Verifier, now_ms: u64) -> Result<provider::Verified, Rejection> {
        self.with(|request| verifier.verify(request, now_ms, &NoKeys))
    }

    fn signed(&self, verifier: &Verifier) -> (Self, Vec<String>) {
        let fields = self.with(|request| verifier.sign(request, NOW_MS)).expect("a signature");
        let mut signed = self.clone();
        signed.fields.retain(|(name, _)| !fields.iter().any(|(field, _)| field.eq_ignore_ascii_case(name)));
        let names = fields.iter().map(|(name, _)| name.clone()).collect();
        signed.fields.extend(fields);
        (signed, names)
    }
}

fn settings(provider: &Provider) -> Settings {
    let mut params = BTreeMap::new();
    if matches!(provider.name, "hmac" | "header") {
        params.insert("header".to_owned(), "x-signature".to_owned());
    }
    if provider.name == "braintree" {
        params.insert("public_key".to_owned(), "public".to_owned());
    }
    Settings { name: provider.name.to_owned(), params, tolerance_s: Some(TOLERANCE_S) }
}

/// A verifier that can sign, and one with another secret.
fn verifiers(provider: &Provider) -> Option<(Verifier, Verifier)> {
    let secrets = [
        ("user:a-secret-of-the-source", "user:another-secret"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_YW5vdGhlci0yNC1ieXRlLXNlY3JldCEh"),
        ("44782DEF547AAA06C910C43932B1EB0C", "34782DEF547AAA06C910C43932B1EB0C"),
        ("YWlydGFibGUtbWFjLXNlY3JldA==", "YW5vdGhlci1zZWNyZXQ="),
    ];
    secrets.iter().find_map(|(one, other)| {
        let make = |secret: &str| Verifier::new(&settings(provider), &[secret.to_owned()]).ok();
        let verifier = make(one)?;
        verifier.can_sign().then(|| Some((verifier, make(other)?)))?
    })
}

fn signing() -> Vec<(&'static Provider, Verifier, Verifier, Message)> {
    let found: Vec<_> = provider::all()
        .iter()
        .filter_map(|provider| {
            let (verifier, other) = verifiers(provider)?;
            let message =
                Message::new(if matches!(provider.name, "twilio" | "mandrill") { FORM } else { JSON });
            Some((provider, verifier, other, message))
        })
        .collect();
    assert!(found.len() >= 60, "{}", found.len());
    found
}

#[test]
fn what_was_signed_passes() {
    for (provider, verifier, _, message) in signing() {
        let (signed, _) = message.signed(&verifier);
        let verified = signed.verify(&verifier, NOW_MS);
        assert_eq!(verified.as_ref().map(|verified| verified.secret), Ok(0), "{}", provider.name);
        assert_eq!(
            verified.map(|verified| verified.covers_body),
            Ok(provider.covers_body),
            "{}",
            provider.name
        );
        // Signing what is signed already changes nothing but the signature.
        let (again, _) = signed.signed(&verifier);
        assert!(again.verify(&verifier, NOW_MS).is_ok(), "{}", provider.name);
    }
}

/// A delivery that comes a day late passes the application's own check again, where that is promised.
#[test]
fn what_can_be_resigned_passes_a_day_later() {
    const LATER_MS: u64 = NOW_MS + 24 * 60 * 60 * 1000;
    let signing = signing();
    for provider in provider::all().iter().filter(|provider| provider.can_resign) {
        assert!(signing.iter().any(|(other, ..)| other.name == provider.name), "{}", provider.name);
    }
    for (provider, verifier, _, message) in signing {
        let (mut late, _) = message.signed(&verifier);
        let fields = late.with(|request| verifier.sign(request, LATER_MS)).expect("a signature");
        late.fields.retain(|(name, _)| !fields.iter().any(|(field, _)| field == name));
        late.fields.extend(fields);
        let verdict = late.verify(&verifier, LATER_MS);
        assert_eq!(verdict.is_ok(), provider.can_resign, "{}: {verdict:?}", provider.name);
    }
}

#[test]
fn a_changed_body_is_refused_where_it_is_signed() {
    for (provider, verifier, _, message) in signing() {
        let (mut signed, _) = message.signed(&verifier);
        let at = signed.body.windows(4).position(|four| four == b"text").expect("some text");
        signed.body[at] ^= 1;
        let verdict = signed.verify(&verifier, NOW_MS);
        if provider.covers_body {
            let is_right = matches!(verdict, Err(Rejection::WrongSecret | Rejection::BodyAltered { .. }));
            assert!(is_right, "{}: {verdict:?}", provider.name);
        } else {
            assert!(verdict.is_ok_and(|verified| !verified.covers_body), "{}", provider.name);
        }
    }
}

#[test]
fn another_secret_is_refused() {
    for (provider, verifier, other, message) in signing() {
        let (signed, _) = message.signed(&verifier);
        let verdict = signed.verify(&other, NOW_MS);
        let is_right = matches!(verdict, Err(Rejection::WrongSecret | Rejection::TokenWrong { .. }));
        assert!(is_right, "{}: {verdict:?}", provider.name);
    }
}

#[test]
fn a_missing_or_doubled_field_is_refused_by_its_name() {
    for (provider, verifier, _, message) in signing() {
        let (signed, names) = message.signed(&verifier);
        for name in names {
            let mut missing = signed.clone();
            missing.fields.retain(|(field, _)| *field != name);
            let verdict = missing.verify(&verifier, NOW_MS);
            let is_right = match &verdict {
                Err(Rejection::HeaderMissing { name: told } | Rejection::TimestampMissing { name: told }) => {
                    // GitLab without its newer signature is looked at for the older token.
                    *told == name || (provider.name == "gitlab" && told == "x-gitlab-token")
                }
                _ => false,
            };
            assert!(is_right, "{} without {name}: {verdict:?}", provider.name);

            let mut doubled = signed.clone();
            let value = doubled.fields.iter().find(|(field, _)| *field == name).expect("it").1.clone();
            doubled.fields.push((name.to_uppercase(), value));
            let verdict = doubled.verify(&verifier, NOW_MS);
            let is_right = matches!(&verdict, Err(Rejection::HeaderTwice { name: told }) if *told == name);
            assert!(is_right, "{} with two {name}: {verdict:?}", provider.name);
        }
    }
}

#[test]
fn a_signed_time_counts_for_so_long_both_ways() {
    let mut timed = 0;
    for (provider, verifier, _, message) in signing() {
        let (signed, _) = message.signed(&verifier);
        let Ok(Some(signed_ms)) = signed.verify(&verifier, NOW_MS).map(|verified| verified.signed_ms) else {
            continue;
        };
        // Made to live long by itself.
        if matches!(provider.name, "netlify" | "monday") {
            continue;
        }
        timed += 1;
        assert_eq!(signed_ms, NOW_MS, "{}", provider.name);
        let edge = u64::from(TOLERANCE_S) * 1000;
        for (now_ms, is_late) in [(NOW_MS + edge + 1, true), (NOW_MS - edge - 1, false)] {
            let verdict = signed.verify(&verifier, now_ms);
            let is_right = match verdict {
                Err(Rejection::Stale { age_s, .. }) => is_late && age_s == u64::from(TOLERANCE_S) + 1,
                Err(Rejection::Future { ahead_s, .. }) => !is_late && ahead_s == u64::from(TOLERANCE_S) + 1,
                _ => false,
            };
            assert!(is_right, "{}: {verdict:?}", provider.name);
        }
        assert!(signed.verify(&verifier, NOW_MS + edge - 1).is_ok(), "{}", provider.name);
    }
    assert!(timed >= 15, "{timed}");
}

#[test]
fn any_of_several_secrets_passes_and_the_first_one_signs() {
    let settings = Settings { name: "github".to_owned(), ..Settings::default() };
    let verifier = |secrets: &[&str]| {
        Verifier::new(&settings, &secrets.iter().map(ToString::to_string).collect::<Vec<_>>())
            .expect("a verifier")
    };
    let (signed, _) = Message::new(JSON).signed(&verifier(&["old"]));
    let verdict = signed.verify(&verifier(&["new", "old"]), NOW_MS);
    assert_eq!(verdict.map(|verified| verified.secret), Ok(1));
    assert_eq!(signed.verify(&verifier(&[]), NOW_MS), Err(Rejection::NoSecret));
    assert!(!verifier(&[]).can_sign());
}

#[test]
fn nothing_shows_a_secret() {
    for (_, verifier, ..) in signing() {
        let shown = format!("{verifier:?}");
        for secret in ["a-secret", "MfKQ9r8", "44782DEF", "YWlydGF"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

#[test]
fn a_header_form_is_made_of_its_parameters() {
    let made = |pairs: &[(&str, &str)]| {
        let params = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let settings = Settings { name: "hmac".to_owned(), params, tolerance_s: None };
        Verifier::new(&settings, &["secret".to_owned()])
    };
    let verifier = made(&[
        ("header", "X-Mine"),
        ("algorithm", "sha512"),
        ("encoding", "base64"),
        ("prefix", "v9="),
        ("timestamp_header", "X-Time"),
        ("signed", "{method}.{ts}.{body}"),
    ])
    .expect("a verifier");
    let (signed, _) = Message::new(JSON).signed(&verifier);
    let value = |name: &str| signed.fields.iter().find(|(field, _)| field == name).expect(name).1.clone();
    assert!(value("x-mine").starts_with("v9=") && value("x-mine").ends_with("=="));
    assert_eq!(value("x-time"), "1760000000");
    assert!(signed.verify(&verifier, NOW_MS + 300_000).is_ok());
    assert!(matches!(signed.verify(&verifier, NOW_MS + 300_001), Err(Rejection::Stale { .. })));

    for wrong in [
        &[][..],
        &[("header", "two words")],
        &[("header", "x"), ("algorithm", "md5")],
        &[("header", "x"), ("signed", "{nothing}")],
        &[("header", "x"), ("headr", "x")],
        &[("header", "x"), ("timestamp_header", "t"), ("signed", "{body}")],
    ] {
        assert!(made(wrong).is_err(), "{wrong:?}");
    }
}

/// What commonly goes wrong is told, by its own word.
#[test]
fn what_went_wrong_is_found_out() {
    let make = |name: &str, secret: &str| {
        let settings = Settings { name: name.to_owned(), ..Settings::default() };
        Verifier::new(&settings, &[secret.to_owned()]).expect("a verifier")
    };
    let explained = |verifier: &Verifier, message: &Message| {
        let rejection = message.verify(verifier, NOW_MS).expect_err("a refusal");
        message.with(|request| verifier.explain(request, NOW_MS, &NoKeys, &rejection)).code()
    };
    let github = make("github", "secret");
    let with_body = |from: &[u8], to: &[u8]| {
        let (mut signed, _) = Message::new(from).signed(&github);
        signed.body = to.to_vec();
        explained(&github, &signed)
    };
    let pretty = b"{\n  \"a\": [\n    1,\n    \"b, c: {\\\"\"\n  ],\n  \"d\": {}\n}";
    let compact = br#"{"a":[1,"b, c: {\""],"d":{}}"#;
    for (from, to) in [
        (&b"{}\n"[..], &b"{}"[..]),
        (b"{}", b"{}\n"),
        (b"{}\r\n", b"{}"),
        (b"a\r\nb", b"a\nb"),
        (b"a\nb", b"a\r\nb"),
        (pretty, compact),
        (compact, pretty),
        (br#"{"a": [1, 2]}"#, br#"{"a":[1,2]}"#),
        (b"", b"{}"),
    ] {
        assert_eq!(with_body(from, to), "body_altered", "{}", String::from_utf8_lossy(from));
    }
    assert_eq!(with_body(b"{\"a\":1}", b"{\"a\":2}"), "wrong_secret");

    // The form was read and written anew.
    let mut form = Message::new(FORM);
    form.body = b"a=b%20c&d=e".to_vec();
    let (mut signed, _) = form.signed(&github);
    signed.body = b"a=b+c&d=e".to_vec();
    assert_eq!(explained(&github, &signed), "body_altered");

    let with_url = |registered: &str| {
        let square = make("square", "secret");
        let mut message = Message::new(JSON);
        message.url = registered.to_owned();
        let (mut signed, _) = message.signed(&square);
        signed.url = "https://hooks.example.com/h/ep_1".to_owned();
        explained(&square, &signed)
    };
    assert_eq!(with_url("http://hooks.example.com/h/ep_1"), "url_scheme");
    assert_eq!(with_url("https://hooks.example.com/h/ep_1/"), "url_form");
    assert_eq!(with_url("https://hooks.example.com:443/h/ep_1"), "url_form");
    assert_eq!(with_url("https://other.example/"), "wrong_secret");

    let with_secret = |name: &str, theirs: &str, ours: &str| {
        let (signed, _) = Message::new(JSON).signed(&make(name, theirs));
        explained(&make(name, ours), &signed)
    };
    assert_eq!(with_secret("github", "secret", "secret\n"), "secret_form");
    assert_eq!(with_secret("github", "secret", " secret"), "secret_form");
    assert_eq!(with_secret("github", "secret", "\"secret\""), "secret_form");
    assert_eq!(with_secret("github", "secret\n", "secret"), "secret_form");
    assert_eq!(with_secret("github", "secret", "c2VjcmV0"), "secret_form");
    assert_eq!(with_secret("stripe", "whsec_abc", "abc"), "secret_form");
    assert_eq!(with_secret("gitlab", "token", "token "), "secret_form");
    assert_eq!(with_secret("github", "secret", "another"), "wrong_secret");
}

/// Samples may be changed to hold their signature, so all can be signed but those of a private key.
#[test]
fn a_signed_sample_passes_wherever_its_provider_signs() {
    let mut signed = 0;
    for provider in provider::samples::providers().filter_map(provider::find) {
        let Some(verifier) = sample_verifier(provider) else { continue };
        for sample in provider::samples::of(provider.name) {
            let mut made = sample.make(&[], NOW_MS, || [7; 16]).expect("a sample");
            let url_of = |path: &str| format!("https://hooks.example.com/h/ep_1{path}");
            match verifier.sign_sample(&mut made, url_of, NOW_MS) {
                Ok(()) => {}
                Err(provider::CannotSign::PublicKey) => continue,
                // A challenge has nothing of what is signed.
                Err(provider::CannotSign::Request(_)) if is_challenge(&verifier, &made) => continue,
                Err(error) => panic!("{} {}: {error}", provider.name, sample.name),
            }
            let verdict = look_at(&made, |request| verifier.verify(request, NOW_MS, &NoKeys));
            let is_good = verdict.is_ok() || is_challenge(&verifier, &made);
            assert!(is_good, "{} {}: {verdict:?}", provider.name, sample.name);
            signed += usize::from(verdict.is_ok());
        }
    }
    assert!(signed >= 120, "{signed}");
}

fn sample_verifier(provider: &Provider) -> Option<Verifier> {
    let secrets = [
        "user:a-secret-of-the-source",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "44782DEF547AAA06C910C43932B1EB0C",
        "YWlydGFibGUtbWFjLXNlY3JldA==",
    ];
    secrets.iter().find_map(|secret| Verifier::new(&settings(provider), &[(*secret).to_owned()]).ok())
}

fn look_at<T>(made: &provider::samples::Made, look: impl FnOnce(&Request<'_>) -> T) -> T {
    let url = format!("https://hooks.example.com/h/ep_1{}", made.path);
    let message = Message { url, fields: made.headers.clone(), body: made.body.clone() };
    let mut headers = HeaderBlock::default();
    for (name, value) in &message.fields {
        headers.push(name.as_bytes(), value.as_bytes()).expect("a field");
    }
    look(&Request { method: &made.method, url: &message.url, headers: &headers, body: &message.body })
}

fn is_challenge(verifier: &Verifier, made: &provider::samples::Made) -> bool {
    look_at(made, |request| verifier.greet(request)).is_some()
}

/// A long body is not taken in for a request that nothing in it could save.
#[test]
fn what_is_refused_by_its_head_is_refused_with_every_body() {
    let mut by_head = 0;
    for (provider, verifier, _, message) in signing() {
        let (signed, _) = message.signed(&verifier);
        let of_signed = signed.with(|request| verifier.refused_by_head(request));
        assert_eq!(of_signed, None, "{}", provider.name);
        let Some(rejection) = message.with(|request| verifier.refused_by_head(request)) else { continue };
        by_head += 1;
        assert_eq!(rejection.code(), "header_missing", "{}", provider.name);
        for body in [&b""[..], JSON, FORM, b"\xff\0", b"{\"type\":\"url_verification\",\"challenge\":\"x\"}"]
        {
            let unsigned = Message::new(body);
            assert!(unsigned.verify(&verifier, NOW_MS).is_err(), "{}", provider.name);
            let greeting = unsigned.with(|request| verifier.greet(request));
            let is_unsigned = |greeting: provider::Greeting| greeting.needs == provider::Needs::Nothing;
            assert!(!greeting.is_some_and(is_unsigned), "{}", provider.name);
        }
    }
    assert!(by_head >= 30, "{by_head}");
}
