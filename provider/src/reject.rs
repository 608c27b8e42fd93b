//! Why a request is refused, why settings cannot be used, why nothing can be signed. Written for developers: what
//! happened, to which header, what to try. Never a secret and never the signature that would have passed.

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The source has no secret to verify with.
    #[error("the source has no secret yet: give it the one from the provider's settings")]
    NoSecret,
    /// What carries the signature, or is signed, is not there.
    #[error(
        "`{name}` is missing: the sender is not the provider, its secret is not set there, or something on the way \
         dropped it"
    )]
    HeaderMissing {
        /// Header, or place in the body.
        name: String,
    },
    /// A header that must come once came more often.
    #[error("`{name}` came more than once: two readers could take different ones")]
    HeaderTwice {
        /// Header, or place in the body.
        name: String,
    },
    /// Something cannot be read.
    #[error("`{name}` cannot be read: {why}")]
    Malformed {
        /// Header, or place in the body.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Signatures of kinds that are not accepted.
    #[error("`{name}` holds no signature of a version that is accepted")]
    UnknownVersion {
        /// The header.
        name: String,
    },
    /// The signature has the right form, but no secret makes it.
    #[error(
        "no secret of the source makes this signature: compare it with the one in the provider's settings (of this very \
         webhook, and of test or live mode)"
    )]
    WrongSecret,
    /// The signature is right for another form of the body.
    #[error("the body is not the one that was signed: {how}")]
    BodyAltered {
        /// For which form it is right, and what to look for.
        how: &'static str,
    },
    /// The signature is right when the secret is written otherwise.
    #[error("the secret is written in another form than the provider uses it in: {hint}")]
    SecretForm {
        /// What to change.
        hint: &'static str,
    },
    /// Signed for `http` instead of `https`, or the other way round.
    #[error("it was signed for {signed}: register the URL with the scheme it is reached by")]
    UrlScheme {
        /// The URL that was signed.
        signed: String,
    },
    /// Signed for another spelling of the URL.
    #[error(
        "it was signed for {signed}: the public URL of the relay, or the one registered, is spelled otherwise"
    )]
    UrlForm {
        /// The URL that was signed.
        signed: String,
    },
    /// Signed too long ago. The signature itself is right.
    #[error(
        "it was signed {age_s} s ago, and {tolerance_s} s are allowed: it is old or sent again, or a clock is wrong"
    )]
    Stale {
        /// How old it is.
        age_s: u64,
        /// How old it may be.
        tolerance_s: u32,
    },
    /// Signed in the future. The signature itself is right.
    #[error("it was signed {ahead_s} s in the future, and {tolerance_s} s are allowed: compare the clocks")]
    Future {
        /// How far ahead.
        ahead_s: u64,
        /// How far it may be.
        tolerance_s: u32,
    },
    /// A time is part of what is signed, and is not there.
    #[error("the time in `{name}` is missing: it is part of what is signed")]
    TimestampMissing {
        /// Header, or place in the body.
        name: String,
    },
    /// A public key is not here yet: fetch this URL (no redirects, size and time limited), keep it, ask again.
    #[error("the provider's public key at {url} is not here yet")]
    KeyWanted {
        /// A URL whose host was checked.
        url: String,
    },
    /// A public key lies where none of the provider's keys lie. Never fetched.
    #[error("{url} is no place where this provider keeps its keys")]
    KeyRefused {
        /// The URL, shortened.
        url: String,
    },
    /// What is kept for this URL does not hold the key: it may be new. Fetch again, but not at every request.
    #[error("the key that signed this is not among those at {url}: it is new, or not the provider's")]
    KeyUnknown {
        /// A URL whose host was checked.
        url: String,
    },
    /// What lies at this URL is no key that can be used.
    #[error("the key at {url} cannot be used: {why}")]
    KeyUnusable {
        /// A URL whose host was checked.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A shared token is another one.
    #[error("the token in `{name}` is not one of the source's secrets")]
    TokenWrong {
        /// Header, or place in the query or body.
        name: String,
    },
    /// A token or certificate is past its time.
    #[error("{what} expired {ago_s} s ago")]
    Expired {
        /// Token or certificate.
        what: &'static str,
        /// How long ago.
        ago_s: u64,
    },
    /// Rightly signed, for somebody else: audience, issuer, account or topic.
    #[error("it is signed for somebody else: {what} is another one than the source expects")]
    NotForUs {
        /// Which of them.
        what: &'static str,
    },
}

impl Rejection {
    /// A stable word for logs, interfaces and documentation.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoSecret => "no_secret",
            Self::HeaderMissing { .. } => "header_missing",
            Self::HeaderTwice { .. } => "header_twice",
            Self::Malformed { .. } => "malformed",
            Self::UnknownVersion { .. } => "unknown_version",
            Self::WrongSecret => "wrong_secret",
            Self::BodyAltered { .. } => "body_altered",
            Self::SecretForm { .. } => "secret_form",
            Self::UrlScheme { .. } => "url_scheme",
            Self::UrlForm { .. } => "url_form",
            Self::Stale { .. } => "stale",
            Self::Future { .. } => "future",
            Self::TimestampMissing { .. } => "timestamp_missing",
            Self::KeyWanted { .. } => "key_wanted",
            Self::KeyRefused { .. } => "key_refused",
            Self::KeyUnknown { .. } => "key_unknown",
            Self::KeyUnusable { .. } => "key_unusable",
            Self::TokenWrong { .. } => "token_wrong",
            Self::Expired { .. } => "expired",
            Self::NotForUs { .. } => "not_for_us",
        }
    }

    pub(crate) fn missing(name: impl Into<String>) -> Self {
        Self::HeaderMissing { name: name.into() }
    }

    pub(crate) fn malformed(name: impl Into<String>, why: &'static str) -> Self {
        Self::Malformed { name: name.into(), why }
    }
}

/// Why settings and secrets make no [`crate::Verifier`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// No such provider.
    #[error("no provider is called `{name}`")]
    UnknownProvider {
        /// As given.
        name: String,
    },
    /// A parameter without which nothing can be verified.
    #[error("the parameter `{name}` is needed")]
    ParamMissing {
        /// Which.
        name: String,
    },
    /// A parameter the provider does not have.
    #[error("there is no parameter `{name}`; this provider has: {known}")]
    ParamUnknown {
        /// Which.
        name: String,
        /// Those there are.
        known: String,
    },
    /// A parameter that cannot be used.
    #[error("the parameter `{name}` cannot be used: {why}")]
    Param {
        /// Which.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A secret that cannot be used.
    #[error("secret {position} cannot be used: {why}")]
    Secret {
        /// Counted from 1.
        position: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// More secrets than are tried.
    #[error("at most {} secrets are tried", crate::SECRETS_MAX)]
    TooManySecrets,
    /// The parameters and the provider's entry do not make a scheme.
    #[error("the parameters make no scheme: {0}")]
    Table(String),
}

/// Why nothing can be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CannotSign {
    /// The source has no secret.
    #[error("the source has no secret to sign with")]
    NoSecret,
    /// Only the provider has the private key.
    #[error("the provider signs with a private key that only it has")]
    PublicKey,
    /// The signature is no header: a changed body or URL would be another request.
    #[error("the signature is part of the body or the URL, not a header")]
    InMessage,
    /// The request lacks what is signed.
    #[error("the request cannot be signed: {0}")]
    Request(#[from] Rejection),
}
