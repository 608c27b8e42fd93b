//! A provider's scheme as its TOML file says it: `verify = {kind="hmac", …}`.
//!
//! | kind | keys |
//! |---|---|
//! | `hmac` | `alg` sha1, sha256, sha512; `key` utf8 (default), hex, base64, sha1 (the digest of the text is the key); `signed` one template or several of which any may match; `sig`; `ts`; `each` (a pointer to an array: every item is signed by itself) |
//! | `concat` | the same, a plain digest over a template with `{secret}` |
//! | `token` | `from`, `scheme` (a word before it: `Bearer `), `each` |
//! | `basic` | none: the secret is `user:password` |
//! | `ed25519`, `ecdsa_p256` | `key` hex, base64, spki_base64; `signed`, `sig`, `ts`; the secret is the public key |
//! | `standard_webhooks` | `key` whsec, whsec_only (other secrets are for the other scheme), utf8; `tol` |
//! | `jwt` | `from`, `scheme`, `alg`, `keys` secret or jwks, `jwks_url`, `jwks_host`, `iss`, `aud`, `email`, `body_claim`, `iat_tol`, `skew` |
//! | `custom` | `name` twilio, aws_sns, paypal, contentful |
//!
//! `sig = {from, split, prefix, enc}`: the items of a list that start with `prefix`; any may match.
//! `ts = {from, split, prefix, unit, tol}`: unit s, ms or rfc3339; `tol` seconds either way, 0 for any.
//! `{param:name=default}` in any text is filled from the source's settings before all this is read.

use std::borrow::Cow;

use ring::{digest, hmac};
use serde::Deserialize;

use crate::encoding::{self, Encoding};
use crate::json::Pointer;
use crate::reject::Rejection;
use crate::source::{self, Scope, Source};
use crate::template::Template;
use crate::time;

/// See the module.
#[derive(Deserialize, Clone, Debug)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Scheme {
    Hmac(Mac),
    Concat(Mac),
    Token(Token),
    Basic,
    Ed25519(PublicKey),
    EcdsaP256(PublicKey),
    StandardWebhooks(Standard),
    Jwt(Jwt),
    Custom(Custom),
}

#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mac {
    pub(crate) alg: Alg,
    #[serde(default)]
    pub(crate) key: KeyForm,
    pub(crate) signed: OneOrMany<Template>,
    pub(crate) sig: SignatureAt,
    pub(crate) ts: Option<TimeAt>,
    pub(crate) each: Option<Pointer>,
}

#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Token {
    pub(crate) from: Places,
    #[serde(default)]
    pub(crate) scheme: String,
    pub(crate) each: Option<Pointer>,
}

#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct PublicKey {
    pub(crate) key: KeyForm,
    pub(crate) signed: Template,
    pub(crate) sig: SignatureAt,
    pub(crate) ts: Option<TimeAt>,
}

#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Standard {
    pub(crate) key: KeyForm,
    pub(crate) tol: u32,
}

#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Jwt {
    pub(crate) from: Places,
    #[serde(default)]
    pub(crate) scheme: String,
    pub(crate) alg: JwtAlg,
    pub(crate) keys: JwtKeys,
    pub(crate) jwks_url: Option<String>,
    /// What the host of that URL must end with, where a parameter is part of it.
    pub(crate) jwks_host: Option<String>,
    #[serde(default)]
    pub(crate) iss: Vec<String>,
    pub(crate) aud: Option<String>,
    pub(crate) email: Option<String>,
    /// Applications whose token it may be (`azp`, in older tokens `appid`).
    #[serde(default)]
    pub(crate) client: Vec<String>,
    pub(crate) each: Option<Pointer>,
    pub(crate) body_claim: Option<String>,
    pub(crate) iat_tol: Option<u32>,
    pub(crate) skew: Option<u32>,
}

#[derive(Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JwtAlg {
    #[serde(rename = "HS256")]
    Hs256,
    #[serde(rename = "RS256")]
    Rs256,
    #[serde(rename = "ES256")]
    Es256,
}

#[derive(Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JwtKeys {
    Secret,
    Jwks,
}

#[derive(Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Custom {
    Twilio,
    AwsSns,
    Paypal,
    Contentful,
}

#[derive(Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Alg {
    Sha1,
    Sha256,
    Sha512,
}

impl Alg {
    pub(crate) fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }

    pub(crate) fn digest(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

/// What bytes a secret stands for.
#[derive(Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeyForm {
    #[default]
    Utf8,
    Hex,
    Base64,
    Whsec,
    WhsecOnly,
    Sha1,
    SpkiBase64,
}

/// What stands before the point of a P-256 key in its SubjectPublicKeyInfo (RFC 5480): there is one way to write it.
const P256_SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

impl KeyForm {
    /// The key a secret stands for; `None` when it belongs to another scheme of the provider.
    pub(crate) fn key(self, secret: &str) -> Result<Option<Vec<u8>>, &'static str> {
        if secret.is_empty() {
            return Err("it is empty");
        }
        let key = match self {
            Self::Utf8 => secret.as_bytes().to_vec(),
            Self::Hex => encoding::hex(secret.as_bytes()).ok_or("it is not hexadecimal")?,
            Self::Base64 => encoding::base64_secret(secret).ok_or("it is not Base64")?,
            Self::Whsec => encoding::base64_secret(secret.strip_prefix("whsec_").unwrap_or(secret))
                .ok_or("what follows whsec_ is not Base64")?,
            Self::WhsecOnly => match secret.strip_prefix("whsec_") {
                Some(text) => encoding::base64_secret(text).ok_or("what follows whsec_ is not Base64")?,
                None => return Ok(None),
            },
            Self::Sha1 => {
                digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes()).as_ref().to_vec()
            }
            Self::SpkiBase64 => {
                let whole = encoding::base64_secret(secret).ok_or("it is not Base64")?;
                whole.strip_prefix(&P256_SPKI).ok_or("it is no P-256 public key")?.to_vec()
            }
        };
        if key.is_empty() { Err("it is empty") } else { Ok(Some(key)) }
    }
}

/// Where signatures are.
#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignatureAt {
    pub(crate) from: Places,
    pub(crate) split: Option<String>,
    #[serde(default)]
    pub(crate) prefix: String,
    pub(crate) enc: Encoding,
}

/// Signatures in one request, of which any may match: DocuSign sends one for each of up to a hundred keys.
pub(crate) const CANDIDATES_MAX: usize = 128;
/// Signatures in one request that cost a public key operation each.
pub(crate) const PUBLIC_KEY_CANDIDATES_MAX: usize = 16;

impl SignatureAt {
    pub(crate) fn name(&self) -> String {
        self.from.name()
    }

    /// The header that holds it, where it is one.
    pub(crate) fn header(&self) -> Option<String> {
        match self.from.0.as_slice() {
            [Source::Header(name)] => Some(name.clone()),
            [Source::Series(prefix)] => Some(format!("{prefix}1")),
            _ => None,
        }
    }

    /// The decoded signatures; at least one.
    pub(crate) fn candidates(
        &self,
        scope: &Scope<'_>,
        wanted_bytes: Option<usize>,
    ) -> Result<Vec<Vec<u8>>, Rejection> {
        let values = self.values(scope)?;
        let mut found = Vec::new();
        let (mut count, mut is_other_version, mut is_other_length) = (0, false, false);
        for value in &values {
            let text = std::str::from_utf8(value)
                .map_err(|_| Rejection::malformed(self.name(), "it is not text"))?;
            let whole = [text];
            let items: &mut dyn Iterator<Item = &str> = match &self.split {
                Some(split) => &mut text.split(split.as_str()),
                None => &mut whole.into_iter(),
            };
            for item in items {
                count += 1;
                if count > CANDIDATES_MAX {
                    return Err(Rejection::malformed(self.name(), "it holds too many signatures"));
                }
                let Some(encoded) = item.strip_prefix(self.prefix.as_str()) else {
                    is_other_version |= is_versioned(item);
                    continue;
                };
                match self.enc.decode(encoded.as_bytes()) {
                    Some(decoded) if wanted_bytes.is_none_or(|bytes| bytes == decoded.len()) => {
                        found.push(decoded);
                    }
                    Some(_) => is_other_length = true,
                    None => {}
                }
            }
        }
        match (found.is_empty(), is_other_version, is_other_length) {
            (false, ..) => Ok(found),
            (true, _, true) => {
                Err(Rejection::malformed(self.name(), "the signature does not have the length it must have"))
            }
            (true, true, false) => Err(Rejection::UnknownVersion { name: self.name() }),
            (true, false, false) => Err(Rejection::malformed(
                self.name(),
                "it is not of the form in which the provider writes signatures",
            )),
        }
    }

    fn values<'a>(&self, scope: &Scope<'a>) -> Result<Vec<Cow<'a, [u8]>>, Rejection> {
        let missing = || Rejection::missing(self.name());
        if let [Source::Series(prefix)] = self.from.0.as_slice() {
            let mut names: Vec<&[u8]> = Vec::new();
            let mut values = Vec::new();
            for (field, value) in scope.request.headers {
                let number = field
                    .split_at_checked(prefix.len())
                    .filter(|(start, _)| start.eq_ignore_ascii_case(prefix.as_bytes()))
                    .map(|(_, number)| number);
                let Some(number) = number.filter(|number| number.iter().all(u8::is_ascii_digit)) else {
                    continue;
                };
                if names.contains(&number) {
                    return Err(Rejection::HeaderTwice {
                        name: String::from_utf8_lossy(field).to_ascii_lowercase(),
                    });
                }
                if names.len() == CANDIDATES_MAX {
                    return Err(Rejection::malformed(self.name(), "there are too many signatures"));
                }
                names.push(number);
                values.push(Cow::Borrowed(value));
            }
            return if values.is_empty() { Err(missing()) } else { Ok(values) };
        }
        scope.first(&self.from.0)?.map(|value| vec![value]).ok_or_else(missing)
    }
}

/// Whether an item looks like `version=signature`.
fn is_versioned(item: &str) -> bool {
    item.split_once('=').is_some_and(|(version, rest)| {
        !rest.is_empty()
            && rest != "="
            && version.len() <= 16
            && version.starts_with(|c: char| c.is_ascii_alphabetic())
    })
}

/// Where the signed time is.
#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct TimeAt {
    pub(crate) from: Places,
    pub(crate) split: Option<String>,
    #[serde(default)]
    pub(crate) prefix: String,
    pub(crate) unit: Unit,
    #[serde(deserialize_with = "number")]
    pub(crate) tol: u32,
}

/// A number, or one that was filled in as text.
fn number<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(u32),
        Text(String),
    }
    match Either::deserialize(from)? {
        Either::Number(number) => Ok(number),
        Either::Text(text) => {
            text.parse().map_err(|_| serde::de::Error::custom("the tolerance is no number"))
        }
    }
}

#[derive(Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    S,
    Ms,
    Rfc3339,
}

impl Unit {
    pub(crate) fn write(self, ms: u64) -> String {
        match self {
            Self::S => (ms / 1000).to_string(),
            Self::Ms => ms.to_string(),
            Self::Rfc3339 => time::to_rfc3339(ms),
        }
    }
}

impl TimeAt {
    /// The time as it is written, and in milliseconds.
    pub(crate) fn read(&self, scope: &Scope<'_>, sig: &SignatureAt) -> Result<(String, u64), Rejection> {
        let name = self.from.name();
        let Some(value) = scope.first(&self.from.0)? else {
            return Err(Rejection::TimestampMissing { name });
        };
        let malformed = |why| Rejection::malformed(name.clone(), why);
        let whole = std::str::from_utf8(&value).map_err(|_| malformed("it is not text"))?;
        let text = match &self.split {
            None => whole.strip_prefix(self.prefix.as_str()),
            Some(split) => {
                let mut items =
                    whole.split(split.as_str()).filter_map(|item| item.strip_prefix(self.prefix.as_str()));
                let first = items.next();
                if items.next().is_some() {
                    return Err(malformed("it holds two times"));
                }
                first
            }
        };
        let Some(text) = text else {
            return Err(if self.from == sig.from {
                malformed("it holds no time, which is part of what is signed")
            } else {
                Rejection::TimestampMissing { name }
            });
        };
        let ms = match self.unit {
            Unit::S => time::digits(text).map(|seconds| seconds.saturating_mul(1000)),
            Unit::Ms => time::digits(text),
            Unit::Rfc3339 => time::rfc3339_ms(text),
        };
        match ms {
            Some(ms) => Ok((text.to_owned(), ms)),
            None => Err(malformed("the time is not written as the provider writes it")),
        }
    }
}

/// Whether a signed time is near enough to now.
pub(crate) fn check_time(signed_ms: u64, now_ms: u64, tolerance_s: u32) -> Result<(), Rejection> {
    let tolerance_ms = u64::from(tolerance_s) * 1000;
    if tolerance_s == 0 {
        Ok(())
    } else if now_ms.saturating_sub(signed_ms) > tolerance_ms {
        Err(Rejection::Stale { age_s: (now_ms - signed_ms).div_ceil(1000), tolerance_s })
    } else if signed_ms.saturating_sub(now_ms) > tolerance_ms {
        Err(Rejection::Future { ahead_s: (signed_ms - now_ms).div_ceil(1000), tolerance_s })
    } else {
        Ok(())
    }
}

/// Places of which the first that is there counts.
#[derive(Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(try_from = "String")]
pub(crate) struct Places(pub(crate) Vec<Source>);

impl Places {
    pub(crate) fn name(&self) -> String {
        self.0.first().map(Source::name).unwrap_or_default()
    }
}

impl TryFrom<String> for Places {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        source::parse_all(&text).map(Self).ok_or_else(|| format!("`{text}` is no place in a request"))
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no template")))
    }
}

impl<'de> Deserialize<'de> for Pointer {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no JSON pointer")))
    }
}

/// One, or a list.
#[derive(Clone, Debug)]
pub(crate) struct OneOrMany<T>(pub(crate) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either<T> {
            One(T),
            Many(Vec<T>),
        }
        Ok(Self(match Either::deserialize(from)? {
            Either::One(one) => vec![one],
            Either::Many(many) => many,
        }))
    }
}
