//! The verdict of each kind of scheme.

use std::borrow::Cow;

use ring::{digest, hmac, signature};

use super::{Curve, Prepared, Verified};
use crate::custom::{aws_sns, paypal};
use crate::encoding::{self, Encoding};
use crate::json;
use crate::reject::Rejection;
use crate::scheme::{Mac, PUBLIC_KEY_CANDIDATES_MAX, PublicKey, Token, check_time};
use crate::source::{Scope, Source};
use crate::{Keys, Request};

/// Items of a batch that are signed one by one.
const ITEMS_MAX: usize = 1024;

impl Prepared {
    pub(super) fn verify(
        &self,
        request: &Request<'_>,
        now_ms: u64,
        keys: &dyn Keys,
    ) -> Result<Verified, Rejection> {
        let scope = Scope::new(request);
        match self {
            Self::Hmac { scheme, keys } => {
                need(keys)?;
                each(scheme.each.as_ref(), &scope, |scope| mac(scheme, keys, scope, now_ms))
            }
            Self::Concat { scheme, keys } => {
                need(keys)?;
                concat(scheme, keys, &scope)
            }
            Self::Token { scheme, secrets } => {
                need(secrets)?;
                each(scheme.each.as_ref(), &scope, |scope| token(scheme, secrets, scope))
            }
            Self::Basic { secrets } => {
                need(secrets)?;
                basic(secrets, &scope)
            }
            Self::PublicKey { scheme, curve, keys } => {
                need(keys)?;
                public_key(scheme, *curve, keys, &scope, now_ms)
            }
            Self::Standard(standard) => standard.verify(&scope, now_ms),
            Self::Jwt(jwt) => each(jwt.each(), &scope, |scope| jwt.verify(scope, now_ms, keys)),
            Self::Twilio(twilio) => twilio.verify(&scope),
            Self::AwsSns(expected) => aws_sns::verify(request, expected, now_ms, keys),
            Self::PayPal(expected) => paypal::verify(&scope, expected, now_ms, keys),
            Self::Contentful(contentful) => contentful.verify(&scope, now_ms),
        }
    }

    /// The one header field without which nothing passes.
    pub(super) fn signature_header(&self) -> Option<String> {
        match self {
            Self::Hmac { scheme, .. } | Self::Concat { scheme, .. } => scheme.sig.header(),
            Self::PublicKey { scheme, .. } => scheme.sig.header(),
            Self::Token { scheme, .. } => match scheme.from.0.as_slice() {
                [Source::Header(name)] => Some(name.clone()),
                _ => None,
            },
            Self::Basic { .. } => Some("authorization".to_owned()),
            _ => None,
        }
    }

    /// Whether that field is known, and is not there.
    pub(super) fn is_missing(&self, request: &Request<'_>) -> bool {
        self.signature_header().is_some_and(|name| request.headers.find(&name).is_none())
    }

    pub(super) fn covers_body(&self) -> bool {
        match self {
            Self::Hmac { scheme, .. } | Self::Concat { scheme, .. } => {
                scheme.signed.0.iter().any(crate::template::Template::covers_body)
            }
            Self::Token { .. } | Self::Basic { .. } => false,
            Self::PublicKey { scheme, .. } => scheme.signed.covers_body(),
            Self::Jwt(jwt) => jwt.covers_body(),
            Self::Standard(_) | Self::Twilio(_) | Self::AwsSns(_) | Self::PayPal(_) | Self::Contentful(_) => {
                true
            }
        }
    }
}

fn need<T>(keys: &[T]) -> Result<(), Rejection> {
    if keys.is_empty() { Err(Rejection::NoSecret) } else { Ok(()) }
}

/// The whole request, or every item of a batch: a single wrong one spoils it.
fn each(
    items_at: Option<&json::Pointer>,
    scope: &Scope<'_>,
    check: impl Fn(&Scope<'_>) -> Result<Verified, Rejection>,
) -> Result<Verified, Rejection> {
    let Some(pointer) = items_at else { return check(scope) };
    let name = "the batch";
    let array = json::find(scope.request.body, pointer)
        .ok_or_else(|| Rejection::malformed(name, "the body is not the JSON the provider sends"))?;
    let items = json::items(array, ITEMS_MAX)
        .ok_or_else(|| Rejection::malformed(name, "it is no list, or too long a one"))?;
    let mut verdict = Err(Rejection::malformed(name, "it is empty"));
    for item in items {
        verdict = Ok(check(&Scope { item: Some(item), ..*scope })?);
    }
    verdict
}

fn mac(
    scheme: &Mac,
    keys: &[(usize, hmac::Key)],
    scope: &Scope<'_>,
    now_ms: u64,
) -> Result<Verified, Rejection> {
    let candidates = scheme.sig.candidates(scope, Some(scheme.alg.digest().output_len()))?;
    let time = scheme.ts.as_ref().map(|ts| ts.read(scope, &scheme.sig)).transpose()?;
    let text = time.as_ref().map_or("", |(text, _)| text.as_str());
    let mut matched = None;
    for template in &scheme.signed.0 {
        let parts = template.parts(scope, text, "")?;
        matched = keys.iter().find_map(|(at, key)| {
            let tag = tag_of(key, &parts);
            is_among(&candidates, tag.as_ref()).then_some(*at)
        });
        if matched.is_some() {
            break;
        }
    }
    finish(matched, scheme.ts.as_ref().zip(time).map(|(ts, (_, ms))| (ms, ts.tol)), now_ms, true)
}

fn concat(scheme: &Mac, keys: &[(usize, String)], scope: &Scope<'_>) -> Result<Verified, Rejection> {
    let candidates = scheme.sig.candidates(scope, Some(scheme.alg.digest().output_len()))?;
    let mut matched = None;
    for template in &scheme.signed.0 {
        for (at, secret) in keys {
            let tag = digest_of(scheme.alg.digest(), &template.parts(scope, "", secret)?);
            if is_among(&candidates, tag.as_ref()) {
                matched = Some(*at);
            }
        }
    }
    finish(matched, None, 0, true)
}

/// The verdict once signatures were compared: the time counts only when one of them is right.
fn finish(
    matched: Option<usize>,
    time: Option<(u64, u32)>,
    now_ms: u64,
    covers_body: bool,
) -> Result<Verified, Rejection> {
    let secret = matched.ok_or(Rejection::WrongSecret)?;
    if let Some((ms, tolerance_s)) = time {
        check_time(ms, now_ms, tolerance_s)?;
    }
    Ok(Verified { covers_body, secret, signed_ms: time.map(|(ms, _)| ms) })
}

fn is_among(candidates: &[Vec<u8>], tag: &[u8]) -> bool {
    candidates.iter().fold(false, |found, candidate| found | encoding::is_same(candidate, tag))
}

/// What is signed, in pieces: the body among them is never copied.
pub(crate) type Parts<'p, 'a> = &'p [Cow<'a, [u8]>];

/// The HMAC over parts, in order.
pub(crate) fn tag_of(key: &hmac::Key, parts: Parts<'_, '_>) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    parts.iter().for_each(|part| context.update(part));
    context.sign()
}

/// The digest over parts, in order.
pub(crate) fn digest_of(algorithm: &'static digest::Algorithm, parts: Parts<'_, '_>) -> digest::Digest {
    let mut context = digest::Context::new(algorithm);
    parts.iter().for_each(|part| context.update(part));
    context.finish()
}

/// The value of a token place, without the word before it.
fn token(scheme: &Token, secrets: &[(usize, String)], scope: &Scope<'_>) -> Result<Verified, Rejection> {
    for source in &scheme.from.0 {
        let Some(value) = scope.read(source)? else { continue };
        let is_header = matches!(source, Source::Header(_));
        let token = if is_header && !scheme.scheme.is_empty() {
            after_word(&value, &scheme.scheme).ok_or_else(|| {
                Rejection::malformed(source.name(), "the word before the token is another one")
            })?
        } else {
            &value
        };
        let matched = secrets.iter().find(|(_, secret)| encoding::is_same(secret.as_bytes(), token));
        return match matched {
            Some((at, _)) => Ok(Verified { covers_body: false, secret: *at, signed_ms: None }),
            None => Err(Rejection::TokenWrong { name: source.name() }),
        };
    }
    Err(Rejection::missing(scheme.from.name()))
}

/// What follows a word like `Bearer `, in any letter case.
pub(crate) fn after_word<'v>(value: &'v [u8], word: &str) -> Option<&'v [u8]> {
    let (start, rest) = value.split_at_checked(word.len())?;
    start.eq_ignore_ascii_case(word.as_bytes()).then_some(rest)
}

fn basic(secrets: &[(usize, String)], scope: &Scope<'_>) -> Result<Verified, Rejection> {
    const NAME: &str = "authorization";
    let value = scope.header(NAME)?.ok_or_else(|| Rejection::missing(NAME))?;
    let decoded = after_word(value, "Basic ")
        .and_then(|encoded| Encoding::Base64.decode(encoded))
        .ok_or_else(|| Rejection::malformed(NAME, "it is not `Basic` and Base64 of user:password"))?;
    let matched = secrets.iter().find(|(_, secret)| encoding::is_same(secret.as_bytes(), &decoded));
    match matched {
        Some((at, _)) => Ok(Verified { covers_body: false, secret: *at, signed_ms: None }),
        None => Err(Rejection::TokenWrong { name: NAME.to_owned() }),
    }
}

fn public_key(
    scheme: &PublicKey,
    curve: Curve,
    keys: &[(usize, Vec<u8>)],
    scope: &Scope<'_>,
    now_ms: u64,
) -> Result<Verified, Rejection> {
    let (algorithm, bytes): (&dyn signature::VerificationAlgorithm, _) = match curve {
        Curve::Ed25519 => (&signature::ED25519, Some(64)),
        Curve::P256 => (&signature::ECDSA_P256_SHA256_ASN1, None),
    };
    let mut candidates = scheme.sig.candidates(scope, bytes)?;
    candidates.truncate(PUBLIC_KEY_CANDIDATES_MAX);
    let time = scheme.ts.as_ref().map(|ts| ts.read(scope, &scheme.sig)).transpose()?;
    let text = time.as_ref().map_or("", |(text, _)| text.as_str());
    // ring wants the message in one piece.
    let message = scheme.signed.parts(scope, text, "")?.concat();
    let matched = keys.iter().find(|(_, key)| {
        let key = signature::UnparsedPublicKey::new(algorithm, key);
        candidates.iter().any(|candidate| key.verify(&message, candidate).is_ok())
    });
    let matched = matched.map(|(at, _)| *at);
    finish(matched, scheme.ts.as_ref().zip(time).map(|(ts, (_, ms))| (ms, ts.tol)), now_ms, true)
}
