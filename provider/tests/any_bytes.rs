//! Whatever comes, nothing panics and nothing unsigned passes.

use std::sync::Arc;

use proptest::prelude::*;
use protocol::field::HeaderBlock;
use provider::{Keys, Request, Settings, Verifier, all, recognise};

/// Whatever is asked for is there, and is rubbish.
struct Rubbish(Vec<u8>);

impl Keys for Rubbish {
    fn get(&self, _: &str) -> Option<Arc<[u8]>> {
        Some(Arc::from(self.0.as_slice()))
    }
}

fn verifiers() -> Vec<Verifier> {
    let secrets = [
        "user:secret",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "44782DEF547AAA06",
        "YWJj",
        "cb260c8410d1efd47941094f8d0ac1ed5daf2a33b487b53039ce24331edfb022",
        "yyYMhBDR79R5QQlPjQrB7V2vKjO0h7UwOc4kMx7fsCI=",
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYYJQdLwEfMVfw8ikt0TSPsy4TfF8kb0exq0OHoZmPfBHUUy8UkYjqd9m5zpq11hFGmBtYfdKhnZziOQdZyLAtA==",
    ];
    let params = ["header", "email", "webhook_id", "public_key"];
    let verifiers: Vec<Verifier> = all()
        .iter()
        .map(|provider| {
            let made = secrets.iter().find_map(|secret| {
                // With as few parameters as it takes.
                (0..=params.len())
                    .flat_map(|count| (0..params.len()).map(move |from| (from, count)))
                    .find_map(|(from, count)| {
                        let chosen = params.iter().cycle().skip(from).take(count);
                        let params = chosen.map(|name| ((*name).to_owned(), "x".to_owned())).collect();
                        let settings = Settings { name: provider.name.to_owned(), params, tolerance_s: None };
                        Verifier::new(&settings, &[(*secret).to_owned()]).ok()
                    })
            });
            made.unwrap_or_else(|| panic!("{}", provider.name))
        })
        .collect();
    verifiers
}

/// Header names that some provider reads, so that rubbish reaches what reads them.
const NAMES: [&str; 40] = [
    "content-type",
    "authorization",
    "x-hub-signature-256",
    "x-hub-signature",
    "stripe-signature",
    "paddle-signature",
    "x-slack-signature",
    "x-slack-request-timestamp",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "svix-id",
    "svix-signature",
    "x-hubspot-signature-v3",
    "x-hubspot-signature",
    "x-hubspot-request-timestamp",
    "x-twilio-signature",
    "x-twilio-webhooks-signature-settings",
    "x-contentful-signature",
    "x-contentful-signed-headers",
    "x-contentful-timestamp",
    "paypal-transmission-sig",
    "paypal-transmission-id",
    "paypal-transmission-time",
    "paypal-cert-url",
    "paypal-auth-algo",
    "plaid-verification",
    "x-webhook-signature",
    "x-signature-ed25519",
    "x-signature-timestamp",
    "x-docusign-signature-1",
    "x-docusign-signature-2",
    "x-github-event",
    "x-zendesk-webhook-signature-timestamp",
    "x-zendesk-webhook-signature",
    "x-hook-secret",
    "webhook-request-origin",
    "x-gitlab-token",
    "x-shopify-hmac-sha256",
    "twitch-eventsub-message-timestamp",
];

fn value() -> impl Strategy<Value = Vec<u8>> {
    let written = prop_oneof![
        Just("application/x-www-form-urlencoded".to_owned()),
        Just("1760000000".to_owned()),
        Just("2025-10-09T08:53:20Z".to_owned()),
        Just("SHA256withRSA".to_owned()),
        Just("https://api.paypal.com/certs/a".to_owned()),
        Just("Bearer eyJhbGciOiJSUzI1NiJ9.e30.AAAA".to_owned()),
        Just("eyJhbGciOiJIUzI1NiJ9.e30.AAAA".to_owned()),
        "(sha256=|sha1=|v0=|t=1760000000,v1=|ts=1;h1=|v1,|v1a,)?[0-9a-f]{64}",
        "[A-Za-z0-9+/]{43}=",
        "[ -~]{0,60}",
    ];
    prop_oneof![
        written.prop_map(String::into_bytes),
        prop::collection::vec(prop_oneof![32..127u8, 128..=255u8], 0..60),
    ]
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        "[\\[\\]{}\",:0-9a-z\\\\ \n]{0,120}".prop_map(String::into_bytes),
        "([a-z]{1,3}=[a-z%0-9+]{0,4}&){0,10}".prop_map(String::into_bytes),
        Just(br#"{"notificationItems":[{},{"NotificationRequestItem":null}]}"#.to_vec()),
        Just(br#"{"value":[{"clientState":1},[],"x"]}"#.to_vec()),
        Just(br#"{"signature":{"timestamp":"1","token":[],"signature":{}}}"#.to_vec()),
        Just(
            br#"{"Type":"Notification","Message":"","MessageId":"","Timestamp":"","TopicArn":"","Signature":"AAAA",
               "SignatureVersion":"2","SigningCertURL":"https://sns.us-east-1.amazonaws.com/a.pem"}"#
                .to_vec()
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_request_gets_a_verdict(
        fields in prop::collection::vec((prop::sample::select(NAMES.to_vec()), value()), 0..12),
        body in body(),
        url in prop_oneof![
            Just("https://hooks.example.com/h/a?crc_token=x&bodySHA256=00".to_owned()),
            "https?://[a-z.:@]{0,12}[/?#%a-zé=&]{0,20}",
            "\\PC{0,30}",
        ],
        method in "(GET|POST|HEAD|OPTIONS|P)",
        kept in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..100),
            Just(br#"{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"},{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}"#.to_vec()),
            Just(b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----".to_vec()),
        ],
        now_ms in any::<u64>(),
    ) {
        let mut headers = HeaderBlock::default();
        for (name, value) in fields {
            let _ = headers.push(name.as_bytes(), &value);
        }
        let request = Request { method: &method, url: &url, headers: &headers, body: &body };
        let kept = Rubbish(kept);
        for verifier in verifiers() {
            let name = verifier.provider().name;
            match verifier.verify(&request, now_ms, &kept) {
                Ok(verified) => prop_assert!(false, "{name}: {verified:?}"),
                Err(rejection) => {
                    let explained = verifier.explain(&request, now_ms, &kept, &rejection);
                    prop_assert!(!explained.to_string().is_empty() && !explained.code().is_empty());
                }
            }
            let _ = verifier.greet(&request);
            let _ = verifier.sign(&request, now_ms);
            let provider = verifier.provider();
            for text in [provider.event_name(&request), provider.delivery_id(&request)].into_iter().flatten() {
                prop_assert!(!text.is_empty() && text.len() <= 200 && !text.chars().any(char::is_control));
            }
        }
        let _ = recognise(&request);
    }
}
