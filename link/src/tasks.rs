//! Tasks that end: everything spawned here can be drained (finish what you hold) and then aborted.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A group of tasks with a two-stage stop. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    drain: CancellationToken,
    abort: CancellationToken,
    // The token itself takes a lock to answer this, and it is asked for every request.
    is_draining: Arc<AtomicBool>,
}

impl Tasks {
    /// Runs `task` until it ends or the group is aborted.
    pub fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let abort = self.abort.clone();
        self.tracker.spawn(async move {
            tokio::select! {
                () = task => {}
                () = abort.cancelled() => {}
            }
        });
    }

    /// Runs a task that ends by itself once its link or connection does: it is counted, but not aborted, and costs less.
    pub fn spawn_brief<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tracker.spawn(task);
    }

    /// Says that nothing new is to be begun.
    pub fn begin_drain(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
        self.drain.cancel();
    }

    /// Whether nothing new is to be begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
    }

    /// Waits until [`Tasks::begin_drain`].
    pub async fn draining(&self) {
        self.drain.cancelled().await;
    }

    /// Waits for every task, at most `deadline`; then aborts the rest. Says whether all ended by themselves.
    pub async fn finish(&self, deadline: Duration) -> bool {
        self.tracker.close();
        let clean = tokio::time::timeout(deadline, self.tracker.wait()).await.is_ok();
        self.abort().await;
        clean
    }

    /// Stops every task where it stands.
    pub async fn abort(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
        self.drain.cancel();
        self.abort.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Stops every task where it stands, without waiting for it to notice.
    pub fn kill(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
        self.drain.cancel();
        self.abort.cancel();
    }

    /// Tasks that have not ended.
    #[must_use]
    pub fn alive(&self) -> usize {
        self.tracker.len()
    }
}
