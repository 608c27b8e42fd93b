//! The questions providers ask before they send webhooks, and the answers.
//!
//! Whoever knows a URL can ask, so each shape is strict, what is echoed is short and of few characters, and text is sent
//! with `X-Content-Type-Options: nosniff`: nothing that a stranger sends is ever shown as a page. An answer that is made
//! with a secret takes only characters that no webhook is made of: else a stranger could have webhooks signed.
//!
//! `[[handshake]]` of a provider's file; `methods` and `when` (conditions as in `condition.rs`) must all hold.
//!
//! | kind | keys |
//! |---|---|
//! | `echo_query` | `from`; `verify_token`: a place whose value is a secret `verify_token:…` of the source |
//! | `echo_json` | `from`; `to`: the name in the JSON answer, without it the answer is text |
//! | `echo_header` | `from`; `to_header` or `to`; `keep_secret`: the value becomes the source's secret |
//! | `hmac_reply` | `from`, `alg`, `key`, `enc`, `prefix`; `to`, and `copy_to` for the question itself; without `to` it is text |
//! | `static` | `status`, `json`; `digits_form`: the body is this one field with a number and nothing else |
//! | `cloudevents_options` | `from`: the header with the origin |
//! | `capture_secret` | `from`: the place of the secret, in a body of nothing else |
//! | `confirm_fetch` | `from`: the place of the URL to open; `host`: whose it must be (`sns`) |
//!
//! Everywhere: `chars` of the value (`token`, `hex`, `text`), `body = "empty"`, `signed = true`.

use std::collections::BTreeMap;

use ring::hmac;
use serde::Deserialize;

use crate::Request;
use crate::cert;
use crate::condition::Condition;
use crate::encoding::{self, Encoding};
use crate::reject::SettingsError;
use crate::scheme::{Alg, KeyForm, Places};
use crate::settings::fill;
use crate::source::Scope;
use crate::verifier::Inner;

/// A question of the provider, and the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// What kind of handshake it is.
    pub kind: &'static str,
    /// What must hold before it is answered.
    pub needs: Needs,
    /// What is answered.
    pub answer: Answer,
    /// What is done besides.
    pub then: Then,
}

/// What must hold before a greeting is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: the provider cannot sign it.
    Nothing,
    /// [`crate::Verifier::verify`] must pass first.
    ValidSignature,
}

/// An answer to the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Header fields.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

/// What a greeting asks for besides the answer.
#[derive(Clone, PartialEq, Eq)]
pub enum Then {
    /// Nothing.
    Nothing,
    /// This is the secret from now on. Only while the owner waits for it: else anybody could replace it.
    KeepSecret(String),
    /// Open this URL (its host was checked) to confirm. No redirects.
    Fetch(String),
}

impl std::fmt::Debug for Then {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::KeepSecret(_) => "KeepSecret",
            Self::Fetch(_) => "Fetch",
        })
    }
}

/// One shape; see the module.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Handshake {
    kind: Kind,
    methods: Vec<String>,
    #[serde(default)]
    when: Vec<Condition>,
    from: Option<Places>,
    #[serde(default)]
    chars: Chars,
    body: Option<Empty>,
    #[serde(default)]
    signed: bool,
    to: Option<String>,
    copy_to: Option<String>,
    to_header: Option<String>,
    #[serde(default)]
    keep_secret: bool,
    verify_token: Option<Places>,
    alg: Option<Alg>,
    #[serde(default)]
    key: KeyForm,
    enc: Option<Encoding>,
    #[serde(default)]
    prefix: String,
    status: Option<u16>,
    json: Option<String>,
    digits_form: Option<String>,
    host: Option<Host>,
}

#[derive(Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Kind {
    EchoQuery,
    EchoJson,
    EchoHeader,
    HmacReply,
    Static,
    CloudeventsOptions,
    CaptureSecret,
    ConfirmFetch,
}

#[derive(Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Chars {
    /// What tokens are made of: no brace, colon, space or quote, so no JSON and no signed text of any provider.
    #[default]
    Token,
    /// 20 to 32 lower-case hexadecimal digits.
    Hex,
    /// Visible ASCII and space.
    Text,
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "snake_case")]
enum Empty {
    Empty,
}

#[derive(Deserialize, Debug, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum Host {
    Sns,
}

/// Longest value that is echoed or kept.
const VALUE_BYTES_MAX: usize = 4096;
/// Largest body that holds a question.
const BODY_BYTES_MAX: usize = 64 * 1024;

pub(crate) fn greet(inner: &Inner, request: &Request<'_>) -> Option<Greeting> {
    if request.body.len() > BODY_BYTES_MAX {
        return None;
    }
    inner.provider.greetings.iter().find_map(|handshake| handshake.answer(inner, request))
}

impl Handshake {
    pub(crate) fn kind(&self) -> &'static str {
        match self.kind {
            Kind::EchoQuery => "echo_query",
            Kind::EchoJson => "echo_json",
            Kind::EchoHeader => "echo_header",
            Kind::HmacReply => "hmac_reply",
            Kind::Static => "static",
            Kind::CloudeventsOptions => "cloudevents_options",
            Kind::CaptureSecret => "capture_secret",
            Kind::ConfirmFetch => "confirm_fetch",
        }
    }

    /// Whether it is answered without a signature.
    pub(crate) fn is_unsigned(&self) -> bool {
        !self.signed
    }

    pub(crate) fn has_verify_token(&self) -> bool {
        self.verify_token.is_some()
    }

    /// Whether the source gives what its answer is made of.
    pub(crate) fn check(
        &self,
        params: &BTreeMap<String, String>,
        used: &mut Vec<String>,
    ) -> Result<(), SettingsError> {
        fill(&self.prefix, params, used).map(|_| ())
    }

    fn answer(&self, inner: &Inner, request: &Request<'_>) -> Option<Greeting> {
        let is_asked = self.methods.iter().any(|method| method == request.method)
            && (self.body.is_none() || request.body.is_empty())
            && self.when.iter().all(|condition| condition.holds(request));
        if !is_asked {
            return None;
        }
        let (answer, then) = match self.kind {
            Kind::Static => (self.fixed(request)?, Then::Nothing),
            Kind::EchoQuery => {
                self.has_token_of(inner, request)?;
                (text(self.value(request)?), Then::Nothing)
            }
            Kind::EchoJson => (self.named(self.value(request)?), Then::Nothing),
            Kind::EchoHeader => self.echo_header(self.value(request)?),
            Kind::HmacReply => (self.mac(inner, &self.value(request)?)?, Then::Nothing),
            Kind::CloudeventsOptions => (options(request, &self.value(request)?)?, Then::Nothing),
            Kind::CaptureSecret => (empty(200), Then::KeepSecret(self.value(request)?)),
            Kind::ConfirmFetch => (empty(200), Then::Fetch(self.url(request)?)),
        };
        let needs = if self.signed { Needs::ValidSignature } else { Needs::Nothing };
        Some(Greeting { kind: self.kind(), needs, answer, then })
    }

    /// The value that is asked with, if it is one that may be answered.
    fn value(&self, request: &Request<'_>) -> Option<String> {
        let value = self.raw(request)?;
        let is_fine = match self.chars {
            Chars::Token => {
                value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte))
            }
            Chars::Hex => {
                (20..=32).contains(&value.len())
                    && value.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
            }
            Chars::Text => value.bytes().all(|byte| matches!(byte, b' '..=b'~')),
        };
        is_fine.then_some(value)
    }

    fn raw(&self, request: &Request<'_>) -> Option<String> {
        let value = Scope::new(request).first(&self.from.as_ref()?.0).ok()??;
        let value = String::from_utf8(value.into_owned()).ok()?;
        (!value.is_empty() && value.len() <= VALUE_BYTES_MAX).then_some(value)
    }

    fn url(&self, request: &Request<'_>) -> Option<String> {
        let url = self.raw(request).filter(|url| url.bytes().all(|byte| byte.is_ascii_graphic()))?;
        let (place, query) = url.split_once('?')?;
        let (host, path) = cert::plain_url(place)?;
        match self.host? {
            Host::Sns => {
                let is_theirs = cert::is_sns_host(host) && path.is_empty();
                let is_confirmation =
                    query.starts_with("Action=ConfirmSubscription&") && !query.contains('#');
                (is_theirs && is_confirmation).then(|| url.clone())
            }
        }
    }

    fn has_token_of(&self, inner: &Inner, request: &Request<'_>) -> Option<()> {
        let Some(place) = &self.verify_token else { return Some(()) };
        let given = Scope::new(request).first(&place.0).ok()??;
        let mut tokens = inner.verify_tokens.iter();
        tokens.any(|token| encoding::is_same(token.as_bytes(), &given)).then_some(())
    }

    fn fixed(&self, request: &Request<'_>) -> Option<Answer> {
        if let Some(name) = &self.digits_form {
            let value = request.body.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
            if value.is_empty() || value.len() > 20 || !value.iter().all(u8::is_ascii_digit) {
                return None;
            }
        }
        let status = self.status?;
        Some(match &self.json {
            Some(text) => Answer { status, ..json(text.clone().into_bytes()) },
            None => empty(status),
        })
    }

    fn named(&self, value: String) -> Answer {
        match &self.to {
            Some(name) => object(&[(name, &value)]),
            None => text(value),
        }
    }

    fn echo_header(&self, value: String) -> (Answer, Then) {
        let mut answer = match &self.to_header {
            Some(_) => empty(200),
            None => self.named(value.clone()),
        };
        if let Some(name) = &self.to_header {
            answer.headers.push((name.clone(), value.clone()));
        }
        (answer, if self.keep_secret { Then::KeepSecret(value) } else { Then::Nothing })
    }

    fn mac(&self, inner: &Inner, value: &str) -> Option<Answer> {
        let key = inner.reply_key(self.alg?, self.key)?;
        let prefix = fill(&self.prefix, inner.params(), &mut Vec::new()).ok()?;
        let mac = format!("{prefix}{}", self.enc?.encode(hmac::sign(&key, value.as_bytes()).as_ref()));
        Some(match (&self.to, &self.copy_to) {
            (Some(name), Some(copy)) => object(&[(copy, value), (name, &mac)]),
            (Some(name), None) => object(&[(name, &mac)]),
            (None, _) => text(mac),
        })
    }
}

/// CloudEvents web hooks, section 4: who may send here, and as often as it asks to.
fn options(request: &Request<'_>, origin: &str) -> Option<Answer> {
    let is_origin = origin.len() <= 253
        && origin.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    if !is_origin {
        return None;
    }
    let mut answer = empty(200);
    answer.headers.push(("Allow".to_owned(), "POST, OPTIONS".to_owned()));
    answer.headers.push(("WebHook-Allowed-Origin".to_owned(), origin.to_owned()));
    let rate = request.headers.find("webhook-request-rate").and_then(|rate| std::str::from_utf8(rate).ok());
    if let Some(rate) = rate.filter(|rate| *rate == "*" || crate::time::digits(rate).is_some()) {
        answer.headers.push(("WebHook-Allowed-Rate".to_owned(), rate.to_owned()));
    }
    Some(answer)
}

fn empty(status: u16) -> Answer {
    Answer { status, headers: Vec::new(), body: Vec::new() }
}

fn text(value: String) -> Answer {
    typed("text/plain; charset=utf-8", value.into_bytes())
}

fn json(body: Vec<u8>) -> Answer {
    typed("application/json", body)
}

fn typed(media_type: &str, body: Vec<u8>) -> Answer {
    let headers = [("Content-Type", media_type), ("X-Content-Type-Options", "nosniff")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    Answer { status: 200, headers, body }
}

fn object(fields: &[(&str, &str)]) -> Answer {
    let string = |text: &str| serde_json::Value::from(text).to_string();
    let fields: Vec<String> =
        fields.iter().map(|(name, value)| format!("{}:{}", string(name), string(value))).collect();
    json(format!("{{{}}}", fields.join(",")).into_bytes())
}
