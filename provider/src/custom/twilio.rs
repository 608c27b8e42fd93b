//! Twilio: the URL with all form fields, or the URL with the hash of another body in its query.
//!
//! Twilio signs some URLs with their port and some without, so both count.

use std::borrow::Cow;

use ring::{digest, hmac};

use crate::encoding::{self, Encoding};
use crate::reject::{CannotSign, Rejection};
use crate::source::{self, Scope};
use crate::template::{form_fields, joined};
use crate::verifier::{Verified, tag_of};

pub(crate) struct Twilio {
    /// SHA-1 (the account's token) and SHA-256 (a shared key) of each secret: the request says which.
    keys: Vec<(usize, hmac::Key, hmac::Key)>,
}

const SIGNATURE: &str = "x-twilio-signature";
const SETTINGS: &str = "x-twilio-webhooks-signature-settings";
const BODY_HASH: &str = "bodySHA256";

impl Twilio {
    pub(crate) fn new(secrets: &[(usize, String)]) -> Self {
        let key = |algorithm, secret: &str| hmac::Key::new(algorithm, secret.as_bytes());
        let keys = secrets.iter().map(|(at, secret)| {
            (*at, key(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret), key(hmac::HMAC_SHA256, secret))
        });
        Self { keys: keys.collect() }
    }

    pub(crate) fn can_sign(&self) -> bool {
        !self.keys.is_empty()
    }

    pub(crate) fn verify(&self, scope: &Scope<'_>) -> Result<Verified, Rejection> {
        if self.keys.is_empty() {
            return Err(Rejection::NoSecret);
        }
        let value = scope.header(SIGNATURE)?.ok_or_else(|| Rejection::missing(SIGNATURE))?;
        let is_sha256 = is_sha256(scope)?;
        let bytes = if is_sha256 { 32 } else { 20 };
        let signature = Encoding::Base64
            .decode(value)
            .filter(|signature| signature.len() == bytes)
            .ok_or_else(|| Rejection::malformed(SIGNATURE, "it is not Base64 of the right length"))?;
        let fields = fields(scope)?;
        let hash = body_hash(scope)?;
        let matched = urls(scope.request.url).iter().find_map(|url| {
            self.keys.iter().find_map(|(at, sha1, sha256)| {
                let key = if is_sha256 { sha256 } else { sha1 };
                let tag = tag_of(key, &[Cow::Borrowed(url.as_bytes()), Cow::Borrowed(&fields)]);
                encoding::is_same(tag.as_ref(), &signature).then_some(*at)
            })
        });
        let secret = matched.ok_or(Rejection::WrongSecret)?;
        match hash {
            Hash::Of(wanted) if !encoding::is_same(&wanted, sha256(scope).as_ref()) => {
                Err(Rejection::BodyAltered {
                    how: "the URL is rightly signed, but holds the hash of another body: something between Twilio and the \
                      relay changed it",
                })
            }
            // A body that nothing vouches for: the URL alone may come from another request.
            Hash::Wanted => Err(Rejection::malformed(
                "bodySHA256 of the query",
                "it is missing, so the body is not signed",
            )),
            Hash::Of(_) | Hash::NotWanted => Ok(Verified { covers_body: true, secret, signed_ms: None }),
        }
    }

    pub(crate) fn sign(&self, scope: &Scope<'_>) -> Result<Vec<(String, String)>, CannotSign> {
        let (_, sha1, sha256_key) = self.keys.first().ok_or(CannotSign::NoSecret)?;
        match body_hash(scope)? {
            Hash::Of(wanted) if wanted == sha256(scope).as_ref() => {}
            Hash::NotWanted => {}
            Hash::Of(_) | Hash::Wanted => return Err(CannotSign::InMessage),
        }
        let key = if is_sha256(scope)? { sha256_key } else { sha1 };
        let fields = fields(scope)?;
        let tag = tag_of(key, &[Cow::Borrowed(scope.request.url.as_bytes()), Cow::Borrowed(&fields)]);
        Ok(vec![(SIGNATURE.to_owned(), Encoding::Base64.encode(tag.as_ref()))])
    }
}

/// What the query says of a body that is no form.
enum Hash {
    NotWanted,
    Wanted,
    Of(Vec<u8>),
}

fn body_hash(scope: &Scope<'_>) -> Result<Hash, Rejection> {
    if source::is_form(scope.request) {
        return Ok(Hash::NotWanted);
    }
    let place = source::Source::Query(BODY_HASH.to_owned());
    match scope.read(&place)? {
        Some(text) => {
            let hash = encoding::hex(&text).filter(|hash| hash.len() == 32);
            hash.map(Hash::Of)
                .ok_or_else(|| Rejection::malformed(place.name(), "it is not a SHA-256 in hexadecimal"))
        }
        None if scope.request.body.is_empty() => Ok(Hash::NotWanted),
        None => Ok(Hash::Wanted),
    }
}

fn sha256(scope: &Scope<'_>) -> digest::Digest {
    digest::digest(&digest::SHA256, scope.request.body)
}

/// `key=…,algorithm=HMAC_SHA256` for shared keys; without the header it is SHA-1.
fn is_sha256(scope: &Scope<'_>) -> Result<bool, Rejection> {
    let Some(value) = scope.header(SETTINGS)? else { return Ok(false) };
    let mut items = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    match items.find_map(|item| item.strip_prefix(b"algorithm=")) {
        Some(b"HMAC_SHA256") => Ok(true),
        Some(b"HMAC_SHA1") => Ok(false),
        _ => Err(Rejection::UnknownVersion { name: SETTINGS.to_owned() }),
    }
}

/// Names and values, sorted; equal pairs count once.
fn fields(scope: &Scope<'_>) -> Result<Vec<u8>, Rejection> {
    let mut fields = form_fields(scope)?;
    fields.sort();
    fields.dedup();
    Ok(joined(&fields))
}

/// The URL as it is, and with its port written or left out.
fn urls(url: &str) -> Vec<String> {
    let mut urls = vec![url.to_owned()];
    if let Some((scheme, rest)) = url.split_once("://") {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (host, path) = rest.split_at(end);
        let port = if scheme == "https" { ":443" } else { ":80" };
        match host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit())) {
            Some((host, _)) => urls.push(format!("{scheme}://{host}{path}")),
            None => urls.push(format!("{scheme}://{host}{port}{path}")),
        }
    }
    urls
}
