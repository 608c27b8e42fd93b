//! Copies of one webhook that arrive at the same instant: the first goes on, the others wait for its end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use crate::model::SourceId;

type Key = (SourceId, [u8; 16]);

/// What is under way, by what copies have in common. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct UnderWay {
    // As many as there are live events of sources that look for copies.
    firsts: Arc<Mutex<HashMap<Key, watch::Receiver<()>>>>,
}

/// The first of its copies. Lets the next one go on when dropped.
#[derive(Debug)]
pub struct FirstCopy {
    under_way: UnderWay,
    key: Key,
    _over: watch::Sender<()>,
}

impl UnderWay {
    /// Waits until no copy of it is under way, and is the one from then on.
    pub async fn enter(&self, source: SourceId, hash: [u8; 16]) -> FirstCopy {
        let key = (source, hash);
        loop {
            let mut before = {
                let mut firsts = self.firsts.lock().expect("nothing panics while it holds the list");
                match firsts.get(&key) {
                    Some(before) => before.clone(),
                    None => {
                        let (over, waits) = watch::channel(());
                        firsts.insert(key, waits);
                        return FirstCopy { under_way: self.clone(), key, _over: over };
                    }
                }
            };
            // Never sent to: it ends when the first is dropped.
            let _ = before.changed().await;
        }
    }
}

impl Drop for FirstCopy {
    fn drop(&mut self) {
        let mut firsts = self.under_way.firsts.lock().expect("nothing panics while it holds the list");
        firsts.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn copies_go_one_after_the_other_and_others_do_not_wait() {
        let under_way = UnderWay::default();
        let first = under_way.enter(SourceId(1), [1; 16]).await;
        let mut second = Box::pin(under_way.enter(SourceId(1), [1; 16]));
        assert!((&mut second).now_or_never().is_none(), "waits for the first");
        assert!(under_way.enter(SourceId(2), [1; 16]).now_or_never().is_some(), "another source");
        assert!(under_way.enter(SourceId(1), [2; 16]).now_or_never().is_some(), "another event");
        drop(first);
        drop(second.await);
        assert!(under_way.firsts.lock().expect("the list").is_empty(), "nothing is left behind");
    }
}
