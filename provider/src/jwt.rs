//! JSON Web Tokens as some providers sign with them (RFC 7515, 7519). The algorithm is the provider's, never the token's:
//! `none`, and a public key used as an HMAC secret, are refused before a key is looked at.

use std::borrow::Cow;
use std::sync::Arc;

use ring::{digest, hmac, signature};
use serde::Deserialize;

use crate::cert;
use crate::encoding::{self, Encoding};
use crate::json::{self, Pointer};
use crate::reject::{CannotSign, Rejection, SettingsError};
use crate::scheme::{self, JwtAlg, JwtKeys, OneOrMany, check_time};
use crate::source::{Scope, Source};
use crate::verifier::{Verified, digest_of};
use crate::{Keys, Request};

pub(crate) struct Jwt {
    scheme: scheme::Jwt,
    secrets: Vec<(usize, hmac::Key)>,
    /// A key set that was given instead of one to fetch.
    given: Option<Arc<[u8]>>,
}

/// Longest token that is read.
const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// Keys of a set that are tried for a token that names none.
const KEYS_MAX: usize = 16;
/// How long a token lives that is made here.
const LIFE_S: u64 = 300;

#[derive(Deserialize)]
struct Head<'t> {
    #[serde(borrow)]
    alg: Cow<'t, str>,
    #[serde(borrow)]
    kid: Option<Cow<'t, str>>,
    crit: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Claims {
    iss: Option<String>,
    aud: Option<OneOrMany<String>>,
    exp: Option<f64>,
    nbf: Option<f64>,
    iat: Option<f64>,
    azp: Option<String>,
    appid: Option<String>,
    email: Option<String>,
    email_verified: Option<bool>,
}

#[derive(Deserialize)]
struct Key {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// A set, what Plaid answers, or one key.
#[derive(Deserialize)]
#[serde(untagged)]
enum KeySet {
    Set { keys: Vec<Key> },
    Answer { key: Box<Key> },
    One(Box<Key>),
}

impl KeySet {
    fn read(text: &[u8]) -> Option<Vec<Key>> {
        Some(match serde_json::from_slice(text).ok()? {
            Self::Set { keys } => keys,
            Self::Answer { key } | Self::One(key) => vec![*key],
        })
    }
}

impl Jwt {
    pub(crate) fn new(
        scheme: scheme::Jwt,
        secrets: &[(usize, String)],
        given: Option<String>,
    ) -> Result<Self, SettingsError> {
        if given.as_ref().is_some_and(|given| KeySet::read(given.as_bytes()).is_none()) {
            return Err(SettingsError::Param { name: "jwks".to_owned(), why: "it is no JSON Web Key (set)" });
        }
        if let Some(url) = &scheme.jwks_url {
            let place = url.split('#').next().and_then(cert::plain_url);
            let ending = scheme.jwks_host.as_deref().unwrap_or_default();
            if !place.is_some_and(|(host, _)| host.ends_with(ending)) {
                return Err(SettingsError::Table(
                    "the keys would lie at a place of somebody else".to_owned(),
                ));
            }
        }
        let keys =
            secrets.iter().map(|(at, secret)| (*at, hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())));
        let secrets = if scheme.keys == JwtKeys::Secret { keys.collect() } else { Vec::new() };
        Ok(Self { scheme, secrets, given: given.map(|given| Arc::from(given.into_bytes())) })
    }

    pub(crate) fn covers_body(&self) -> bool {
        self.scheme.body_claim.is_some()
    }

    /// Where tokens are a list in the body.
    pub(crate) fn each(&self) -> Option<&Pointer> {
        self.scheme.each.as_ref()
    }

    /// Whether it is checked with the provider's public keys.
    pub(crate) fn is_public(&self) -> bool {
        self.scheme.keys == JwtKeys::Jwks
    }

    pub(crate) fn can_sign(&self) -> bool {
        !self.secrets.is_empty()
    }

    pub(crate) fn verify(
        &self,
        scope: &Scope<'_>,
        now_ms: u64,
        keys: &dyn Keys,
    ) -> Result<Verified, Rejection> {
        let scheme = &self.scheme;
        if scheme.keys == JwtKeys::Secret && self.secrets.is_empty() {
            return Err(Rejection::NoSecret);
        }
        let name = scheme.from.name();
        let malformed = |why| Rejection::malformed(name.clone(), why);
        let value = scope.first(&scheme.from.0)?.ok_or_else(|| Rejection::missing(name.clone()))?;
        let token = crate::verifier::after_word(&value, &scheme.scheme)
            .and_then(|token| std::str::from_utf8(token).ok())
            .filter(|token| !token.is_empty() && token.len() <= TOKEN_BYTES_MAX)
            .ok_or_else(|| malformed("it is no token of the kind the provider sends"))?;
        let not_a_token = || malformed("it is no JSON Web Token");
        let (signed, mac) = token.rsplit_once('.').ok_or_else(not_a_token)?;
        let (head, claims) = signed.split_once('.').ok_or_else(not_a_token)?;
        let decode = |text: &str| Encoding::Base64url.decode(text.as_bytes()).ok_or_else(not_a_token);
        let (head, claims, mac) = (decode(head)?, decode(claims)?, decode(mac)?);
        let head: Head<'_> = serde_json::from_slice(&head).map_err(|_| not_a_token())?;
        if head.alg != scheme.alg.name() {
            return Err(Rejection::UnknownVersion { name });
        }
        if head.crit.is_some() {
            return Err(malformed("it asks for extensions that are not understood"));
        }
        let secret = match scheme.keys {
            JwtKeys::Secret => {
                let mut tried = self.secrets.iter();
                let matched = tried.find(|(_, key)| hmac::verify(key, signed.as_bytes(), &mac).is_ok());
                matched.map(|(at, _)| *at).ok_or(Rejection::WrongSecret)?
            }
            JwtKeys::Jwks => {
                self.check_public(head.kid.as_deref(), signed.as_bytes(), &mac, keys)?;
                0
            }
        };
        let signed_ms = self.check_claims(&claims, scope, now_ms)?;
        Ok(Verified { covers_body: self.covers_body(), secret, signed_ms })
    }

    fn check_public(
        &self,
        kid: Option<&str>,
        signed: &[u8],
        mac: &[u8],
        keys: &dyn Keys,
    ) -> Result<(), Rejection> {
        let is_plain = |kid: &str| {
            kid.len() <= 64 && kid.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        let mut url = self.scheme.jwks_url.clone().unwrap_or_else(|| "the key set of the source".to_owned());
        if url.contains("{kid}") && self.given.is_none() {
            let kid = kid.filter(|kid| is_plain(kid));
            let kid = kid.ok_or_else(|| Rejection::malformed(self.scheme.from.name(), "it names no key"))?;
            url = url.replace("{kid}", kid);
        }
        let text = match &self.given {
            Some(given) => Arc::clone(given),
            None => keys.get(&url).ok_or_else(|| Rejection::KeyWanted { url: url.clone() })?,
        };
        let set = KeySet::read(&text)
            .ok_or_else(|| Rejection::KeyUnusable { url: url.clone(), why: "it is no JSON Web Key set" })?;
        let of_kind = set
            .iter()
            .filter(|key| key.is_for(self.scheme.alg) && (kid.is_none() || kid == key.kid.as_deref()));
        let (mut is_known, mut is_right) = (false, false);
        for key in of_kind.take(KEYS_MAX) {
            is_known = true;
            is_right |= key.made(self.scheme.alg, signed, mac);
        }
        match (is_known, is_right) {
            (_, true) => Ok(()),
            (true, false) => Err(Rejection::WrongSecret),
            (false, false) => Err(Rejection::KeyUnknown { url }),
        }
    }

    fn check_claims(&self, text: &[u8], scope: &Scope<'_>, now_ms: u64) -> Result<Option<u64>, Rejection> {
        let scheme = &self.scheme;
        let malformed = |why| Rejection::malformed(scheme.from.name(), why);
        let claims: Claims =
            serde_json::from_slice(text).map_err(|_| malformed("its claims are not those of a token"))?;
        if !scheme.iss.is_empty() && !claims.iss.is_some_and(|iss| scheme.iss.contains(&iss)) {
            return Err(Rejection::NotForUs { what: "the issuer of the token" });
        }
        let skew_ms = u64::from(scheme.skew.unwrap_or(0)) * 1000;
        match claims.exp.map(to_ms) {
            Some(exp_ms) if now_ms > exp_ms.saturating_add(skew_ms) => {
                return Err(Rejection::Expired {
                    what: "the token",
                    ago_s: (now_ms - exp_ms).div_ceil(1000),
                });
            }
            None if scheme.keys == JwtKeys::Jwks && scheme.iat_tol.is_none() => {
                return Err(malformed("it does not say when it expires"));
            }
            _ => {}
        }
        let signed_ms = claims.iat.map(to_ms);
        if let Some(tolerance_s) = scheme.iat_tol {
            let signed_ms = signed_ms.ok_or_else(|| malformed("it does not say when it was made"))?;
            check_time(signed_ms, now_ms, tolerance_s)?;
        } else if let Some(skew) = scheme.skew {
            let latest = signed_ms.max(claims.nbf.map(to_ms)).unwrap_or(0);
            if latest > now_ms.saturating_add(skew_ms) {
                return Err(Rejection::Future {
                    ahead_s: (latest - now_ms).div_ceil(1000),
                    tolerance_s: skew,
                });
            }
        }
        let audience = self.audience(scope.request);
        let is_for_us = |wanted| claims.aud.is_some_and(|aud| aud.0.iter().any(|aud| aud == wanted));
        if !audience.is_none_or(is_for_us) {
            return Err(Rejection::NotForUs { what: "the audience of the token" });
        }
        if let Some(wanted) = &scheme.email {
            let is_ours = claims.email_verified == Some(true) && claims.email.as_ref() == Some(wanted);
            if !is_ours {
                return Err(Rejection::NotForUs { what: "the account that the token is of" });
            }
        }
        let client = claims.azp.or(claims.appid);
        if !scheme.client.is_empty() && !client.is_some_and(|client| scheme.client.contains(&client)) {
            return Err(Rejection::NotForUs { what: "the application that the token is of" });
        }
        if let Some(name) = &scheme.body_claim {
            let pointer = Pointer::parse(&format!("/{name}"));
            let claim = pointer.and_then(|pointer| json::find_text(text, &pointer));
            let claim = claim
                .and_then(|claim| encoding::hex(claim.as_bytes()))
                .ok_or_else(|| malformed("it holds no hash of the body"))?;
            if !encoding::is_same(&claim, digest::digest(&digest::SHA256, scope.request.body).as_ref()) {
                return Err(Rejection::BodyAltered {
                    how: "the token is right, but holds the hash of another body: something between the provider and \
                          the relay changed it, or the token belongs to another request",
                });
            }
        }
        Ok(signed_ms)
    }

    fn audience<'a>(&'a self, request: &Request<'a>) -> Option<&'a str> {
        self.scheme.aud.as_deref().map(|aud| if aud == "{url}" { request.url } else { aud })
    }

    pub(crate) fn sign(
        &self,
        request: &Request<'_>,
        now_ms: u64,
    ) -> Result<Vec<(String, String)>, CannotSign> {
        let (_, key) = match (self.scheme.keys, self.secrets.first()) {
            (JwtKeys::Jwks, _) => return Err(CannotSign::PublicKey),
            (JwtKeys::Secret, key) => key.ok_or(CannotSign::NoSecret)?,
        };
        let Some(Source::Header(header)) = self.scheme.from.0.first() else {
            return Err(CannotSign::InMessage);
        };
        let mut claims = serde_json::Map::new();
        let mut claim = |name: &str, value: serde_json::Value| claims.insert(name.to_owned(), value);
        claim("iat", (now_ms / 1000).into());
        claim("exp", (now_ms / 1000 + LIFE_S).into());
        if let Some(iss) = self.scheme.iss.first() {
            claim("iss", iss.as_str().into());
        }
        if let Some(aud) = self.audience(request) {
            claim("aud", aud.into());
        }
        if let Some(name) = &self.scheme.body_claim {
            let hash = digest_of(&digest::SHA256, &[Cow::Borrowed(request.body)]);
            claim(name, encoding::to_hex(hash.as_ref()).into());
        }
        let claims = serde_json::Value::Object(claims).to_string();
        let encode = |bytes: &[u8]| Encoding::Base64url.encode(bytes);
        let signed = format!("{}.{}", encode(br#"{"alg":"HS256","typ":"JWT"}"#), encode(claims.as_bytes()));
        let mac = encode(hmac::sign(key, signed.as_bytes()).as_ref());
        Ok(vec![(header.clone(), format!("{}{signed}.{mac}", self.scheme.scheme))])
    }
}

impl JwtAlg {
    fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}

impl Key {
    fn is_for(&self, alg: JwtAlg) -> bool {
        let kty = if alg == JwtAlg::Rs256 { "RSA" } else { "EC" };
        let is_free = |field: &Option<String>, value: &str| field.as_ref().is_none_or(|field| field == value);
        self.kty == kty && is_free(&self.alg, alg.name()) && is_free(&self.usage, "sig")
    }

    fn made(&self, alg: JwtAlg, signed: &[u8], mac: &[u8]) -> bool {
        let number = |field: &Option<String>| Encoding::Base64url.decode(field.as_ref()?.as_bytes());
        let verified = match alg {
            JwtAlg::Hs256 => None,
            JwtAlg::Rs256 => number(&self.n).zip(number(&self.e)).map(|(n, e)| {
                let key = signature::RsaPublicKeyComponents { n, e };
                key.verify(&signature::RSA_PKCS1_2048_8192_SHA256, signed, mac)
            }),
            JwtAlg::Es256 => number(&self.x).zip(number(&self.y)).map(|(x, y)| {
                let point = [&[4], x.as_slice(), y.as_slice()].concat();
                let is_curve = self.crv.as_deref() == Some("P-256") && x.len() == 32 && y.len() == 32;
                let key = signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point);
                if is_curve { key.verify(signed, mac) } else { Err(ring::error::Unspecified) }
            }),
        };
        verified.is_some_and(|verdict| verdict.is_ok())
    }
}

/// Seconds of a claim, which may have a fraction, as milliseconds.
fn to_ms(seconds: f64) -> u64 {
    // A cast of floating point saturates; what is no number becomes 0.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    let ms = (seconds * 1000.0) as u64;
    ms
}
