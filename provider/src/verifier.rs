//! Verifies and signs for one source. Keys are prepared once; a request costs one digest over its body for each secret.

mod check;
mod prepare;
mod sample;
mod sign;
mod standard;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use ring::hmac;

use crate::condition::Condition;
use crate::custom::{Contentful, Twilio, aws_sns, paypal};
use crate::greet;
use crate::jwt::Jwt;
use crate::reject::{CannotSign, Rejection, SettingsError};
use crate::scheme::{Alg, KeyForm, Mac, PublicKey, Token};
use crate::settings::Settings;
use crate::table::Provider;
use crate::{Greeting, Keys, Request};

pub(crate) use check::{after_word, digest_of, tag_of};

pub(crate) use standard::Standard;

/// Secrets that are tried for one source.
pub const SECRETS_MAX: usize = 16;

/// Verifies and signs for one source. Cheap to clone.
#[derive(Clone)]
pub struct Verifier(Arc<Inner>);

/// A request that was really sent by who holds the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Whether the body is signed too. False for tokens: the sender is known, the content is not vouched for.
    pub covers_body: bool,
    /// Which secret matched, counted from 0. 0 where there is none.
    pub secret: usize,
    /// When it was signed, where that is signed too. Milliseconds since 1970.
    pub signed_ms: Option<u64>,
}

pub(crate) struct Inner {
    pub(crate) provider: &'static Provider,
    pub(crate) settings: Settings,
    /// With their places in the list that was given; those that sign nothing are left out.
    pub(crate) secrets: Vec<(usize, String)>,
    /// Entries that only the handshake knows.
    pub(crate) verify_tokens: Vec<String>,
    alternatives: Vec<(Vec<Condition>, Prepared)>,
    /// What has to be right besides.
    also: Vec<(Vec<Condition>, Prepared)>,
    main: Prepared,
}

/// A scheme with its keys; each key with the place of its secret.
pub(crate) enum Prepared {
    Hmac { scheme: Mac, keys: Vec<(usize, hmac::Key)> },
    Concat { scheme: Mac, keys: Vec<(usize, String)> },
    Token { scheme: Token, secrets: Vec<(usize, String)> },
    Basic { secrets: Vec<(usize, String)> },
    PublicKey { scheme: PublicKey, curve: Curve, keys: Vec<(usize, Vec<u8>)> },
    Standard(Standard),
    Jwt(Jwt),
    Twilio(Twilio),
    AwsSns(aws_sns::Expected),
    PayPal(paypal::Expected),
    Contentful(Contentful),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Curve {
    Ed25519,
    P256,
}

impl Verifier {
    /// Prepares the keys of one source. Several secrets: any of them passes, the first is signed with. None yet: every
    /// request is refused with [`Rejection::NoSecret`], but greeted all the same.
    ///
    /// A secret that starts with `verify_token:` is what the handshake of Meta compares; it signs nothing.
    ///
    /// # Errors
    /// When there is no such provider, or a parameter or secret cannot be used.
    pub fn new(settings: &Settings, secrets: &[String]) -> Result<Self, SettingsError> {
        prepare::inner(settings, secrets, None).map(|inner| Self(Arc::new(inner)))
    }

    /// The same with secrets read in another form, to find out that they were given in it.
    pub(crate) fn with_form(settings: &Settings, secrets: &[String], form: KeyForm) -> Option<Self> {
        prepare::inner(settings, secrets, Some(form)).ok().map(|inner| Self(Arc::new(inner)))
    }

    /// Whether this request was sent by who holds a secret (or the provider's private key).
    ///
    /// # Errors
    /// Why not. The signature is looked at before the time, so [`Rejection::Stale`] means that it is right.
    pub fn verify(&self, request: &Request<'_>, now_ms: u64, keys: &dyn Keys) -> Result<Verified, Rejection> {
        let (prepared, is_main) = self.0.prepared(request);
        let mut verified = prepared.verify(request, now_ms, keys)?;
        for (when, also) in &self.0.also {
            if when.iter().all(|condition| condition.holds(request)) {
                also.verify(request, now_ms, keys)?;
            }
        }
        if self.0.provider.is_general {
            // What is signed is the source's to say, not the table's.
            verified.covers_body = prepared.covers_body();
        } else if is_main {
            verified.covers_body = self.0.provider.covers_body || prepared.covers_body();
        }
        Ok(verified)
    }

    /// The fields that make this request pass [`Verifier::verify`]: signature, time, and an id where it is part of what
    /// is signed. They replace those of the same names.
    ///
    /// # Errors
    /// When the scheme does not allow it, or the request lacks what is signed.
    pub fn sign(&self, request: &Request<'_>, now_ms: u64) -> Result<Vec<(String, String)>, CannotSign> {
        let mut fields = self.0.to_sign(request).sign(request, now_ms)?;
        // Some providers sign in several headers, and an application may look at any of them.
        for (_, variant) in &self.0.alternatives {
            let Prepared::Hmac { scheme, .. } = variant else { continue };
            let is_sent = scheme.sig.header().is_some_and(|name| {
                request.headers.find(&name).is_some() && !fields.iter().any(|(field, _)| *field == name)
            });
            if is_sent {
                fields.extend(variant.sign(request, now_ms)?);
            }
        }
        Ok(fields)
    }

    /// Why a request is refused whatever its body: it lacks the header field with the signature, and is no question that
    /// is answered unsigned. `request.body` is not looked at.
    #[must_use]
    pub fn refused_by_head(&self, request: &Request<'_>) -> Option<Rejection> {
        let may_be_greeted = self.0.provider.greetings.iter().any(greet::Handshake::is_unsigned);
        let variants = || self.0.alternatives.iter().map(|(_, variant)| variant);
        if may_be_greeted || !std::iter::once(&self.0.main).chain(variants()).all(|it| it.is_missing(request))
        {
            return None;
        }
        let name = self.0.main.signature_header()?;
        Some(Rejection::missing(name))
    }

    /// Header fields whose value is itself a secret of the source (a token, or user and password), with the first of them:
    /// what has no place in a record.
    #[must_use]
    pub fn secret_fields(&self) -> Vec<(String, String)> {
        let variants = self.0.alternatives.iter().map(|(_, variant)| variant);
        std::iter::once(&self.0.main).chain(variants).filter_map(Prepared::secret_field).collect()
    }

    /// Whether nothing can be checked without a secret of the source's own: otherwise public keys are enough.
    #[must_use]
    pub fn needs_secret(&self) -> bool {
        match self.0.signs_with() {
            Prepared::Jwt(jwt) => !jwt.is_public(),
            Prepared::AwsSns(_) | Prepared::PayPal(_) => false,
            _ => true,
        }
    }

    /// Whether more is checked than what a secret is for: then nothing passes without one, not even unchecked.
    #[must_use]
    pub fn checks_more(&self) -> bool {
        !self.0.also.is_empty()
    }

    /// Whether [`Verifier::sign`] can succeed.
    #[must_use]
    pub fn can_sign(&self) -> bool {
        self.0.signs_with().can_sign()
    }

    /// Whether this is no webhook but the question a provider asks before (or while) it sends webhooks, and the answer
    /// to it.
    #[must_use]
    pub fn greet(&self, request: &Request<'_>) -> Option<Greeting> {
        greet::greet(&self.0, request)
    }

    /// Why a request was refused, found out by trying what commonly goes wrong: another form of the body, the URL or the
    /// secret. Costs a bounded number of verifications, so it is for what people look at.
    #[must_use]
    pub fn explain(
        &self,
        request: &Request<'_>,
        now_ms: u64,
        keys: &dyn Keys,
        rejection: &Rejection,
    ) -> Rejection {
        crate::explain::explain(self, &self.0, request, now_ms, keys, rejection)
    }

    /// The provider's table entry.
    #[must_use]
    pub fn provider(&self) -> &'static Provider {
        self.0.provider
    }
}

impl Inner {
    /// The scheme for a request, and whether it is the main one.
    fn prepared(&self, request: &Request<'_>) -> (&Prepared, bool) {
        let alternative = self.alternatives.iter().find(|(when, prepared)| {
            when.iter().all(|condition| condition.holds(request)) && prepared.has_own_key()
        });
        alternative.map_or((&self.main, true), |(_, prepared)| (prepared, false))
    }

    /// The scheme to sign a request with: the one it came with, or the one that the first secret is for.
    fn to_sign(&self, request: &Request<'_>) -> &Prepared {
        match self.prepared(request) {
            (prepared, false) => prepared,
            _ => self.signs_with(),
        }
    }

    fn signs_with(&self) -> &Prepared {
        let own = self.alternatives.iter().find(|(when, prepared)| {
            let is_chosen = !when.is_empty() && when.iter().all(|condition| condition.param().is_some());
            is_chosen || prepared.is_for_first_secret(&self.secrets)
        });
        own.map_or(&self.main, |(_, prepared)| prepared)
    }

    pub(crate) fn params(&self) -> &BTreeMap<String, String> {
        &self.settings.params
    }

    /// The key of the first secret, for a reply that is made with it.
    pub(crate) fn reply_key(&self, alg: Alg, form: KeyForm) -> Option<hmac::Key> {
        let (_, secret) = self.secrets.first()?;
        let bytes = form.key(secret).ok()??;
        Some(hmac::Key::new(alg.hmac(), &bytes))
    }
}

impl Prepared {
    /// Whether a variant that takes only some secrets has one.
    fn has_own_key(&self) -> bool {
        match self {
            Self::Standard(standard) => standard.has_own_key(),
            _ => true,
        }
    }

    /// Whether a variant takes only some secrets, and the first of the source is one.
    fn is_for_first_secret(&self, secrets: &[(usize, String)]) -> bool {
        match (self, secrets.first()) {
            (Self::Standard(standard), Some((position, _))) => standard.is_only_for(*position),
            _ => false,
        }
    }
}

impl fmt::Debug for Verifier {
    /// How many secrets, never which.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("provider", &self.0.provider.name)
            .field("secrets", &self.0.secrets.len())
            .finish_non_exhaustive()
    }
}
