//! The fields that make a request pass: the same templates as for verifying, read from the fields about to be sent.

use ring::digest;

use super::check::Parts;
use super::{Prepared, digest_of, tag_of};
use crate::Request;
use crate::encoding::{self, Encoding};
use crate::reject::CannotSign;
use crate::scheme::{Mac, Token};
use crate::source::{Scope, Source};

impl Prepared {
    pub(super) fn can_sign(&self) -> bool {
        match self {
            Self::Hmac { scheme, keys } => is_in_header(scheme) && !keys.is_empty(),
            Self::Concat { scheme, keys } => is_in_header(scheme) && !keys.is_empty(),
            Self::Token { scheme, secrets } => {
                matches!(scheme.from.0.first(), Some(Source::Header(_))) && !secrets.is_empty()
            }
            Self::Basic { secrets } => !secrets.is_empty(),
            Self::Standard(standard) => standard.can_sign(),
            Self::Twilio(twilio) => twilio.can_sign(),
            Self::Contentful(contentful) => contentful.can_sign(),
            Self::Jwt(jwt) => jwt.can_sign(),
            Self::PublicKey { .. } | Self::AwsSns(_) | Self::PayPal(_) => false,
        }
    }

    pub(super) fn sign(
        &self,
        request: &Request<'_>,
        now_ms: u64,
    ) -> Result<Vec<(String, String)>, CannotSign> {
        let scope = Scope::new(request);
        match self {
            Self::Hmac { scheme, keys } => {
                let (_, key) = keys.first().ok_or(CannotSign::NoSecret)?;
                mac(scheme, request, now_ms, "", &|parts| tag_of(key, parts).as_ref().to_vec())
            }
            Self::Concat { scheme, keys } => {
                let (_, secret) = keys.first().ok_or(CannotSign::NoSecret)?;
                let algorithm = scheme.alg.digest();
                mac(scheme, request, now_ms, secret, &|parts| digest_of(algorithm, parts).as_ref().to_vec())
            }
            Self::Token { scheme, secrets } => token(scheme, secrets),
            Self::Basic { .. } => self.secret_field().map(|field| vec![field]).ok_or(CannotSign::NoSecret),
            Self::Standard(standard) => standard.sign(&scope, now_ms),
            Self::Twilio(twilio) => twilio.sign(&scope),
            Self::Contentful(contentful) => contentful.sign(&scope, now_ms),
            Self::Jwt(jwt) => jwt.sign(request, now_ms),
            Self::PublicKey { .. } | Self::AwsSns(_) | Self::PayPal(_) => Err(CannotSign::PublicKey),
        }
    }
}

fn is_in_header(scheme: &Mac) -> bool {
    scheme.sig.header().is_some() && scheme.each.is_none()
}

/// The signature header, the time's, and an id where one is signed and the request has none.
fn mac(
    scheme: &Mac,
    request: &Request<'_>,
    now_ms: u64,
    secret: &str,
    make: &dyn Fn(Parts<'_, '_>) -> Vec<u8>,
) -> Result<Vec<(String, String)>, CannotSign> {
    let (header, template) = match (scheme.sig.header(), scheme.signed.0.first()) {
        (Some(header), Some(template)) if is_in_header(scheme) => (header, template),
        _ => return Err(CannotSign::InMessage),
    };
    let sent = Scope::new(request);
    let mut fields = Vec::new();
    for name in template.headers() {
        if sent.header(name)?.is_none() {
            fields.push((name.to_owned(), id(request, now_ms)));
        }
    }
    let is_beside = scheme.ts.as_ref().is_some_and(|ts| ts.from == scheme.sig.from);
    let mut time = String::new();
    if let Some(ts) = &scheme.ts {
        match ts.from.0.first() {
            Some(Source::Header(name)) => {
                time = ts.unit.write(now_ms);
                if !is_beside {
                    fields.push((name.clone(), format!("{}{time}", ts.prefix)));
                }
            }
            // A time inside the body is signed as it stands.
            _ => time = ts.read(&sent, &scheme.sig)?.0,
        }
    }
    let scope = Scope { fields: &fields, ..sent };
    let signature = scheme.sig.enc.encode(&make(&template.parts(&scope, &time, secret)?));
    let mut value = format!("{}{signature}", scheme.sig.prefix);
    if let Some(ts) = scheme.ts.as_ref().filter(|_| is_beside) {
        value = format!("{}{time}{}{value}", ts.prefix, scheme.sig.split.as_deref().unwrap_or_default());
    }
    fields.push((header, value));
    Ok(fields)
}

impl Prepared {
    /// The header field whose value is a secret of the source: a token, or user and password.
    pub(super) fn secret_field(&self) -> Option<(String, String)> {
        match self {
            Self::Token { scheme, secrets } => token(scheme, secrets).ok()?.into_iter().next(),
            Self::Basic { secrets } => {
                let (_, secret) = secrets.first()?;
                Some((
                    "authorization".to_owned(),
                    format!("Basic {}", Encoding::Base64.encode(secret.as_bytes())),
                ))
            }
            _ => None,
        }
    }
}

fn token(scheme: &Token, secrets: &[(usize, String)]) -> Result<Vec<(String, String)>, CannotSign> {
    let (_, secret) = secrets.first().ok_or(CannotSign::NoSecret)?;
    match scheme.from.0.first() {
        Some(Source::Header(name)) if scheme.each.is_none() => {
            Ok(vec![(name.clone(), format!("{}{secret}", scheme.scheme))])
        }
        _ => Err(CannotSign::InMessage),
    }
}

/// An id for a request that has none: the same request at the same time has the same.
pub(super) fn id(request: &Request<'_>, now_ms: u64) -> String {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(&now_ms.to_be_bytes());
    hash.update(request.url.as_bytes());
    hash.update(request.body);
    format!("msg_{}", encoding::to_hex(&hash.finish().as_ref()[..12]))
}
