//! Public keys of providers that lie elsewhere: fetched once, over https, from hosts the provider's scheme names.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use protocol::field::HeaderBlock;
use provider::Keys;

use crate::clock::Clock;
use crate::delivery::url::{TargetUrl, UrlBody, UrlOutcome, UrlRequest, UrlSender};

/// How long a key is believed: an hour, so that one a provider takes back is not believed for long.
const KEPT_MS: u64 = 60 * 60 * 1000;

/// How soon a key that could not be had is asked for again: whoever sends forged webhooks must not have the relay knock
/// there for each.
const AGAIN_MS: u64 = 10 * 1000;

/// Most keys held: providers have a handful. Past it the oldest goes.
const KEYS_MAX: usize = 64;

/// Longest key: Google's list is 2 KiB, a chain of certificates 8.
const KEY_BYTES_MAX: usize = 64 * 1024;

const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

struct Kept {
    key: Option<Arc<[u8]>>,
    fetched_ms: u64,
}

/// The keys. Cheap to clone.
#[derive(Clone)]
pub struct KeyRing {
    urls: UrlSender,
    clock: Clock,
    kept: Arc<Mutex<HashMap<String, Kept>>>,
    // One fetch at a time: whoever comes second finds what the first has brought.
    fetching: Arc<tokio::sync::Mutex<()>>,
}

impl KeyRing {
    /// An empty ring that fetches through `urls`.
    #[must_use]
    pub fn new(urls: UrlSender, clock: Clock) -> Self {
        Self { urls, clock, kept: Arc::default(), fetching: Arc::default() }
    }

    fn found(&self, url: &str) -> Option<Option<Arc<[u8]>>> {
        let now_ms = self.clock.now_ms();
        let kept = self.kept.lock().expect("key lock");
        let found = kept.get(url)?;
        let good_for = if found.key.is_some() { KEPT_MS } else { AGAIN_MS };
        (now_ms < found.fetched_ms + good_for).then(|| found.key.clone())
    }

    /// Brings the key at `url`, which the provider's scheme has found to be one of its own. Says whether it is there.
    pub async fn fetch(&self, url: &str) -> bool {
        let _fetching = self.fetching.lock().await;
        if let Some(found) = self.found(url) {
            return found.is_some();
        }
        let key = match self.get(url).await {
            Ok(bytes) => Some(Arc::from(&bytes[..])),
            Err(why) => {
                tracing::warn!(url, why, "a provider's public key could not be fetched");
                None
            }
        };
        let is_there = key.is_some();
        let mut kept = self.kept.lock().expect("key lock");
        if kept.len() >= KEYS_MAX
            && let Some(oldest) =
                kept.iter().min_by_key(|(_, one)| one.fetched_ms).map(|(url, _)| url.clone())
        {
            kept.remove(&oldest);
        }
        kept.insert(url.to_owned(), Kept { key, fetched_ms: self.clock.now_ms() });
        is_there
    }

    /// Brings the key at `url` once more, unless that was tried a short while ago: the provider may have a new one. Says
    /// whether it was.
    pub async fn fetch_again(&self, url: &str) -> bool {
        let is_old = {
            let mut kept = self.kept.lock().expect("key lock");
            let now_ms = self.clock.now_ms();
            let is_old = kept.get(url).is_none_or(|one| now_ms >= one.fetched_ms + AGAIN_MS);
            if is_old {
                kept.remove(url);
            }
            is_old
        };
        is_old && self.fetch(url).await
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
        self.found(url).flatten()
    }
}
