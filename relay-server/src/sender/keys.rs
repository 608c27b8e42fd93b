//! Public keys of providers that lie elsewhere: fetched once, over https, from hosts the provider's scheme names.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use protocol::field::HeaderBlock;
use provider::Keys;
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::delivery::url::{TargetUrl, UrlBody, UrlOutcome, UrlRequest, UrlSender};

/// How long a key is believed: an hour, so that one a provider takes back is not believed for long. For a day where a
/// newer one cannot be had.
const KEPT_MS: u64 = 60 * 60 * 1000;
const KEPT_AT_NEED_MS: u64 = 24 * KEPT_MS;

/// How soon a key is asked for again.
const AGAIN_MS: u64 = 10 * 1000;

/// Failures a minute after which nothing is fetched until the minute is over: whoever sends forged webhooks names URLs
/// without end, and the relay does not knock at each.
const FAILURES_PER_MINUTE_MAX: u32 = 30;

/// Most keys held: providers have a handful. Past it the oldest goes.
const KEYS_MAX: usize = 64;

/// Longest key: Google's list is 2 KiB, a chain of certificates 8.
const KEY_BYTES_MAX: usize = 64 * 1024;

/// Fetches at once, how long one waits for its turn, and how long one may take.
const FETCHES_MAX: usize = 8;
const TURN_MAX: Duration = Duration::from_secs(2);
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

struct Kept {
    key: Arc<[u8]>,
    fetched_ms: u64,
}

#[derive(Default)]
struct Held {
    keys: HashMap<String, Kept>,
    /// The minute of the last failure, and how many there were in it.
    failures: (u64, u32),
}

/// The keys. Cheap to clone.
#[derive(Clone)]
pub struct KeyRing {
    urls: UrlSender,
    clock: Clock,
    held: Arc<Mutex<Held>>,
    turns: Arc<Semaphore>,
}

impl KeyRing {
    /// An empty ring that fetches through `urls`.
    #[must_use]
    pub fn new(urls: UrlSender, clock: Clock) -> Self {
        Self { urls, clock, held: Arc::default(), turns: Arc::new(Semaphore::new(FETCHES_MAX)) }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().expect("nothing panics while it holds the keys")
    }

    /// The key at a URL, unless it is older than this.
    fn found(&self, url: &str, age_ms_max: u64) -> Option<Arc<[u8]>> {
        let now_ms = self.clock.now_ms();
        let held = self.held();
        held.keys
            .get(url)
            .filter(|kept| now_ms < kept.fetched_ms + age_ms_max)
            .map(|kept| Arc::clone(&kept.key))
    }

    /// Brings the key at `url`, which the provider's scheme has found to be one of its own. Says whether it is there.
    pub async fn fetch(&self, url: &str) -> bool {
        self.fetch_unless_younger(url, KEPT_MS).await
    }

    /// Brings the key at `url` once more, unless that was done a short while ago: the provider may have a new one. Says
    /// whether it is there.
    pub async fn fetch_again(&self, url: &str) -> bool {
        // Who has a fresh one has nothing to hope for from another look.
        self.found(url, AGAIN_MS).is_none() && self.fetch_unless_younger(url, AGAIN_MS).await
    }

    async fn fetch_unless_younger(&self, url: &str, age_ms_max: u64) -> bool {
        let Ok(Ok(_turn)) = tokio::time::timeout(TURN_MAX, self.turns.acquire()).await else { return false };
        if self.found(url, age_ms_max).is_some() {
            return true;
        }
        let minute = self.clock.now_ms() / 60_000;
        let failures = self.held().failures;
        let fetched = if failures.0 == minute && failures.1 >= FAILURES_PER_MINUTE_MAX {
            Err("too many could not be fetched in this minute".to_owned())
        } else {
            self.get(url).await
        };
        let now_ms = self.clock.now_ms();
        let mut held = self.held();
        match fetched {
            Ok(bytes) => {
                if held.keys.len() >= KEYS_MAX
                    && let Some(oldest) =
                        held.keys.iter().min_by_key(|(_, kept)| kept.fetched_ms).map(|(url, _)| url.clone())
                {
                    held.keys.remove(&oldest);
                }
                held.keys.insert(url.to_owned(), Kept { key: Arc::from(&bytes[..]), fetched_ms: now_ms });
                true
            }
            Err(why) => {
                let (of_minute, count) = held.failures;
                held.failures = (minute, if of_minute == minute { count + 1 } else { 1 });
                // Said for the first ones of a minute only: what is named in it comes from strangers.
                if held.failures.1 <= 3 {
                    tracing::warn!(url, why, "a provider's public key could not be fetched");
                }
                let Some(old) = held.keys.get_mut(url) else { return false };
                if now_ms >= old.fetched_ms + KEPT_AT_NEED_MS {
                    held.keys.remove(url);
                    return false;
                }
                // Believed until the next try.
                old.fetched_ms = old.fetched_ms.max(now_ms.saturating_sub(KEPT_MS) + AGAIN_MS);
                true
            }
        }
    }

    /// What lies at a URL. Never follows a redirect.
    ///
    /// # Errors
    /// A sentence.
    pub async fn get(&self, url: &str) -> Result<Bytes, String> {
        let url: TargetUrl = url.parse().map_err(|error| format!("{error}"))?;
        if let Some(why) = self.urls.refuses(&url) {
            return Err(why);
        }
        let request = UrlRequest {
            url,
            method: "GET".to_owned(),
            target_suffix: Vec::new(),
            headers: HeaderBlock::default(),
            body: UrlBody::Bytes(Bytes::new()),
            timeout: FETCH_TIMEOUT,
            answer_bytes_max: KEY_BYTES_MAX,
        };
        match self.urls.send(request).await.outcome {
            UrlOutcome::Answered { status: 200, body, .. } if !body.is_truncated() => Ok(body.bytes),
            UrlOutcome::Answered { status: 200, .. } => Err("the answer is too long".to_owned()),
            UrlOutcome::Answered { status, .. } => Err(format!("it answered {status}")),
            UrlOutcome::NotSent { text, .. } | UrlOutcome::SentNoAnswer { text, .. } => Err(text),
        }
    }
}

impl Keys for KeyRing {
    fn get(&self, url: &str) -> Option<Arc<[u8]>> {
        self.found(url, KEPT_MS)
    }
}
