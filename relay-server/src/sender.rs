//! Who sends: checks signatures of providers, answers their challenges, keeps the secrets this takes.
//!
//! How each provider does it is known to the crate `provider`, which takes bytes, secrets and the time. Here is what
//! that needs of the house: the key that opens secrets, public keys that lie elsewhere, the URL a provider knows.

mod guard;
mod keys;
mod pairing;
mod vault;

use std::sync::Arc;
use std::time::Duration;

use protocol::field::HeaderBlock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use self::guard::{Guard, OnceGuard};
pub use self::keys::KeyRing;
pub use self::pairing::Pairings;
pub use self::vault::Vault;
use crate::clock::Clock;
use crate::delivery::url::UrlSender;

/// Bodies in files that are read back at once, to be checked or signed: each is up to 25 MiB of memory.
const BODIES_READ_MAX: usize = 4;

/// How long one waits for such a place. The sender is told to come again then.
const READ_WAIT_MAX: Duration = Duration::from_secs(5);

/// What checking takes. Cheap to clone.
#[derive(Clone)]
pub struct Senders {
    /// Opens the secrets of sources.
    pub vault: Arc<Vault>,
    /// Public keys of providers.
    pub keys: KeyRing,
    /// Base of public URLs, without a slash at the end.
    pub base: Arc<str>,
    /// Sources that wait for a handshake with a secret in it.
    pub pairings: Pairings,
    reading: Arc<Semaphore>,
    /// Wall clock.
    pub clock: Clock,
}

impl Senders {
    /// With this vault, reached by providers at `base`; public keys are fetched through `urls`.
    #[must_use]
    pub fn new(vault: Vault, base: &str, urls: UrlSender, clock: Clock) -> Self {
        Self {
            vault: Arc::new(vault),
            keys: KeyRing::new(urls, clock.clone()),
            base: base.into(),
            pairings: Pairings::default(),
            reading: Arc::new(Semaphore::new(BODIES_READ_MAX)),
            clock,
        }
    }

    /// A place to hold a long body in memory; `None` when there is none for a while.
    pub async fn place_for_body(&self) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.reading).acquire_owned();
        tokio::time::timeout(READ_WAIT_MAX, place).await.ok()?.ok()
    }

    /// The URL a request was sent to, as its provider knows it: some sign it. Found by the path, a source is at the
    /// relay's own URL; found by a name of its own (`mount` 0), at that name.
    #[must_use]
    pub fn url(&self, mount: u16, target: &[u8], headers: &HeaderBlock) -> String {
        let target = String::from_utf8_lossy(target);
        let host = headers.find("x-forwarded-host").filter(|_| mount == 0);
        match (host, self.base.split_once("://")) {
            (Some(host), Some((scheme, _))) => {
                format!("{scheme}://{}{target}", String::from_utf8_lossy(host))
            }
            _ => format!("{}{target}", self.base),
        }
    }
}
