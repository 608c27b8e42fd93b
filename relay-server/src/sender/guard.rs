//! What stands between a source's URL and its app once it is known who sends.

use std::sync::{Arc, OnceLock};

use protocol::field::HeaderBlock;
use provider::{Provider, SettingsError, Verifier};

use super::Vault;
use crate::allowance::Allowance;
use crate::model::{GreetBy, ProviderRules, Source};

/// Stands in a record for a value that is a secret.
const KEPT: &[u8] = b"(kept by the relay)";

/// Refusals a second of one source that are explained: people read a few, and each costs as much as two dozen checks.
const EXPLAINED_PER_S_MAX: u32 = 10;

/// A source's provider, ready to be asked about each request.
pub struct Guard {
    /// Who sends.
    pub provider: &'static Provider,
    /// Checks, greets and signs.
    pub verifier: Verifier,
    /// Whether requests are checked: not as long as the source has no secret to check them by.
    pub is_checked: bool,
    /// Who answers challenges.
    pub greet: GreetBy,
    /// Whether deliveries that come late are signed afresh.
    pub resigns: bool,
    /// Header fields whose value is a secret, with the newest.
    secret_fields: Vec<(String, String)>,
    /// Refusals that are explained, and kept with their bodies: not each of a flood.
    pub explained: Allowance,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Guard({})", self.provider.name)
    }
}

/// Why a source's requests cannot be checked. Nothing is let through then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unguarded {
    /// The rules name nobody known: written by a newer version.
    #[error("no provider is called {0:?}")]
    Unknown(String),
    /// A secret was sealed with another key.
    #[error(
        "a secret of this source cannot be opened: the server's secrets-key is not the one it was kept with"
    )]
    Sealed,
    /// The provider cannot work with what the source says.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

impl Guard {
    /// A guard by these rules, with these secrets, oldest first.
    ///
    /// # Errors
    /// When rules and secrets do not make one.
    pub fn new(rules: &ProviderRules, secrets: &[String]) -> Result<Self, Unguarded> {
        let provider = provider::find(&rules.name).ok_or_else(|| Unguarded::Unknown(rules.name.clone()))?;
        // The newest comes first: it is the one to sign with.
        let secrets: Vec<String> = secrets.iter().rev().cloned().collect();
        let verifier = Verifier::new(&rules.settings(), &secrets)?;
        Ok(Self {
            provider,
            secret_fields: verifier.secret_fields(),
            is_checked: !secrets.is_empty() || !verifier.needs_secret() || verifier.checks_more(),
            verifier,
            greet: rules.greet,
            resigns: rules.resign,
            explained: Allowance::new(EXPLAINED_PER_S_MAX),
        })
    }

    /// The fields of a request as they may be written down: without a value that is a secret.
    #[must_use]
    pub fn without_secrets(&self, headers: &HeaderBlock) -> HeaderBlock {
        self.replacing(headers, |_, _| Some(KEPT))
    }

    /// The fields as they were sent, but with the newest secret, of a request that [`Guard::without_secrets`] wrote down.
    #[must_use]
    pub fn with_secrets(&self, headers: &HeaderBlock) -> HeaderBlock {
        self.replacing(headers, |value, secret| (value == KEPT).then_some(secret))
    }

    fn replacing<'g>(
        &'g self,
        headers: &HeaderBlock,
        other: impl Fn(&[u8], &'g [u8]) -> Option<&'g [u8]>,
    ) -> HeaderBlock {
        let mut replaced = HeaderBlock::with_capacity(headers.as_bytes().len() + 64);
        for (name, value) in headers {
            let secret =
                self.secret_fields.iter().find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()));
            let value = secret.and_then(|(_, secret)| other(value, secret.as_bytes())).unwrap_or(value);
            // A secret that is longer than what it stands for may not fit into a full block; the app refuses it then.
            let _ = replaced.push(name, value);
        }
        replaced
    }

    /// Whether a value of these fields is a secret.
    #[must_use]
    pub fn has_secret_fields(&self) -> bool {
        !self.secret_fields.is_empty()
    }

    fn of_source(source: &Source, rules: &ProviderRules, vault: &Vault) -> Result<Self, Unguarded> {
        let opened = source.secrets.iter().map(|secret| vault.open(source.id, &secret.sealed));
        let secrets = opened.collect::<Option<Vec<_>>>().ok_or(Unguarded::Sealed)?;
        Self::new(rules, &secrets)
    }
}

/// The guard of one state of a source's rules, made when it is first needed.
#[derive(Debug, Clone, Default)]
pub struct OnceGuard(OnceLock<Result<Option<Arc<Guard>>, Unguarded>>);

/// It says nothing that the rules do not say.
impl PartialEq for OnceGuard {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for OnceGuard {}

impl Source {
    /// The source's guard; `None` where it has no provider.
    ///
    /// # Errors
    /// Why nothing can be checked.
    pub fn guard(&self, vault: &Vault) -> Result<Option<Arc<Guard>>, Unguarded> {
        let made = self.guard.0.get_or_init(|| {
            let Some(rules) = &self.rules.provider else { return Ok(None) };
            let made = Guard::of_source(self, rules, vault);
            if let Err(error) = &made {
                tracing::error!(%error, source.slug = %self.slug, "signatures cannot be checked; everything is refused");
            }
            made.map(|guard| Some(Arc::new(guard)))
        });
        made.clone()
    }

    /// Whether requests are checked before anything else is done with them.
    #[must_use]
    pub fn is_guarded(&self) -> bool {
        self.rules.provider.is_some()
    }
}
