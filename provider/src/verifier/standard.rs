//! Standard Webhooks (standardwebhooks.com), and Svix, which had them first: `webhook-id`, `webhook-timestamp`,
//! `webhook-signature` with `v1` (HMAC-SHA256) or `v1a` (Ed25519) over `{id}.{timestamp}.{body}`.
//!
//! The kind of secret decides: `whsec_` takes only `v1`, `whpk_` (and `whsk_`, the private half) only `v1a`.

use std::borrow::Cow;

use ring::hmac;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use super::{Verified, tag_of};
use crate::encoding::{self, Encoding};
use crate::reject::{CannotSign, Rejection, SettingsError};
use crate::scheme::{self, KeyForm, PUBLIC_KEY_CANDIDATES_MAX, check_time};
use crate::source::Scope;
use crate::time;

pub(crate) struct Standard {
    keys: Vec<(usize, Key)>,
    tolerance_s: u32,
    is_only_whsec: bool,
}

enum Key {
    Secret(hmac::Key),
    Public(Vec<u8>),
    Private(Box<Ed25519KeyPair>),
}

impl Standard {
    pub(super) fn new(scheme: &scheme::Standard, secrets: &[(usize, String)]) -> Result<Self, SettingsError> {
        let mut keys = Vec::new();
        for (at, secret) in secrets {
            let wrong = |why| SettingsError::Secret { position: at + 1, why };
            let key = if let Some(text) =
                secret.strip_prefix("whpk_").filter(|_| scheme.key == KeyForm::Whsec)
            {
                let bytes = encoding::base64_secret(text).filter(|bytes| bytes.len() == 32);
                Key::Public(bytes.ok_or_else(|| wrong("what follows whpk_ is not Base64 of 32 bytes"))?)
            } else if let Some(text) = secret.strip_prefix("whsk_").filter(|_| scheme.key == KeyForm::Whsec) {
                let bytes = encoding::base64_secret(text);
                // Libraries write the seed alone, or the seed and the public key.
                let pair = bytes.and_then(|bytes| match bytes.split_at_checked(32) {
                    Some((seed, [])) => Ed25519KeyPair::from_seed_unchecked(seed).ok(),
                    Some((seed, public)) => Ed25519KeyPair::from_seed_and_public_key(seed, public).ok(),
                    None => None,
                });
                Key::Private(Box::new(pair.ok_or_else(|| wrong("what follows whsk_ is no Ed25519 key"))?))
            } else {
                match scheme.key.key(secret).map_err(wrong)? {
                    Some(bytes) => Key::Secret(hmac::Key::new(hmac::HMAC_SHA256, &bytes)),
                    None => continue,
                }
            };
            keys.push((*at, key));
        }
        Ok(Self { keys, tolerance_s: scheme.tol, is_only_whsec: scheme.key == KeyForm::WhsecOnly })
    }

    pub(super) fn has_own_key(&self) -> bool {
        !self.is_only_whsec || !self.keys.is_empty()
    }

    pub(super) fn is_only_for(&self, position: usize) -> bool {
        self.is_only_whsec && self.keys.iter().any(|(at, _)| *at == position)
    }

    pub(super) fn can_sign(&self) -> bool {
        self.keys.first().is_some_and(|(_, key)| !matches!(key, Key::Public(_)))
    }

    pub(super) fn verify(&self, scope: &Scope<'_>, now_ms: u64) -> Result<Verified, Rejection> {
        if self.keys.is_empty() {
            return Err(Rejection::NoSecret);
        }
        let family = family(scope);
        let name = |field: &str| format!("{family}-{field}");
        let list = scope.header_text(&name("signature"))?;
        let id = scope.header_text(&name("id"))?;
        let Some(written) = scope.header(&name("timestamp"))? else {
            return Err(Rejection::TimestampMissing { name: name("timestamp") });
        };
        let written = std::str::from_utf8(written).unwrap_or_default();
        let signed_ms = time::digits(written)
            .map(|seconds| seconds * 1000)
            .ok_or_else(|| Rejection::malformed(name("timestamp"), "it is not a number of seconds"))?;
        if id.is_empty() {
            return Err(Rejection::malformed(name("id"), "it is empty"));
        }
        let signatures = signatures(list, &name("signature"))?;
        let parts = parts(id, written, scope.request.body);
        let mut is_of_version = false;
        let mut is_readable = false;
        for (at, key) in &self.keys {
            let (version, bytes) = if matches!(key, Key::Secret(_)) { ("v1", 32) } else { ("v1a", 64) };
            let ours = signatures.iter().filter(|(of, _)| *of == version).map(|(_, encoded)| *encoded);
            let mut decoded = Vec::new();
            for encoded in ours {
                is_of_version = true;
                decoded.extend(Encoding::Base64.decode(encoded.as_bytes()).filter(|tag| tag.len() == bytes));
            }
            is_readable |= !decoded.is_empty();
            if key.made_one_of(&decoded, &parts) {
                check_time(signed_ms, now_ms, self.tolerance_s)?;
                return Ok(Verified { covers_body: true, secret: *at, signed_ms: Some(signed_ms) });
            }
        }
        Err(match (is_of_version, is_readable) {
            (false, _) => Rejection::UnknownVersion { name: name("signature") },
            (true, false) => {
                Rejection::malformed(name("signature"), "the signature is not Base64 of the right length")
            }
            (true, true) => Rejection::WrongSecret,
        })
    }

    pub(super) fn sign(&self, scope: &Scope<'_>, now_ms: u64) -> Result<Vec<(String, String)>, CannotSign> {
        let (_, key) = self.keys.first().ok_or(CannotSign::NoSecret)?;
        let family = family(scope);
        let name = |field: &str| format!("{family}-{field}");
        let id = match scope.header(&name("id")).map_err(CannotSign::Request)? {
            Some(id) => String::from_utf8_lossy(id).into_owned(),
            None => super::sign::id(scope.request, now_ms),
        };
        let written = (now_ms / 1000).to_string();
        let parts = parts(&id, &written, scope.request.body);
        let signature = match key {
            Key::Secret(key) => format!("v1,{}", Encoding::Base64.encode(tag_of(key, &parts).as_ref())),
            Key::Private(pair) => {
                format!("v1a,{}", Encoding::Base64.encode(pair.sign(&parts.concat()).as_ref()))
            }
            Key::Public(_) => return Err(CannotSign::PublicKey),
        };
        Ok(vec![(name("id"), id), (name("timestamp"), written), (name("signature"), signature)])
    }
}

impl Key {
    fn made_one_of(&self, signatures: &[Vec<u8>], parts: &[Cow<'_, [u8]>]) -> bool {
        let public = match self {
            Self::Secret(key) => {
                let tag = tag_of(key, parts);
                return signatures
                    .iter()
                    .fold(false, |found, one| found | encoding::is_same(one, tag.as_ref()));
            }
            Self::Public(key) => key.as_slice(),
            Self::Private(pair) => pair.public_key().as_ref(),
        };
        if signatures.is_empty() {
            return false;
        }
        let message = parts.concat();
        let key = UnparsedPublicKey::new(&ED25519, public);
        signatures
            .iter()
            .take(PUBLIC_KEY_CANDIDATES_MAX)
            .any(|signature| key.verify(&message, signature).is_ok())
    }
}

/// `webhook` or `svix`: what the request's headers start with.
fn family(scope: &Scope<'_>) -> &'static str {
    let is_there = |name| matches!(scope.header(name), Ok(Some(_)) | Err(_));
    if !is_there("webhook-signature") && (is_there("svix-signature") || is_there("svix-id")) {
        "svix"
    } else {
        "webhook"
    }
}

fn signatures<'l>(list: &'l str, name: &str) -> Result<Vec<(&'l str, &'l str)>, Rejection> {
    let items: Vec<&str> = list.split(' ').take(scheme::CANDIDATES_MAX + 1).collect();
    if items.len() > scheme::CANDIDATES_MAX {
        return Err(Rejection::malformed(name, "it holds too many signatures"));
    }
    let versioned: Vec<_> = items.iter().filter_map(|item| item.split_once(',')).collect();
    if versioned.is_empty() {
        return Err(Rejection::malformed(name, "it holds no `version,signature`"));
    }
    Ok(versioned)
}

fn parts<'a>(id: &'a str, written: &'a str, body: &'a [u8]) -> [Cow<'a, [u8]>; 5] {
    [id.as_bytes(), b".", written.as_bytes(), b".", body].map(Cow::Borrowed)
}
