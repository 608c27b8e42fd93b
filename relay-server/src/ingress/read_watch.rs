//! Answers on HTTP/2 streams, taken back from senders that do not read them.
//!
//! Behind HTTP/1 a socket that takes nothing is noticed by the gate. An HTTP/2 sender may keep one stream's window shut
//! and the connection busy; without this it would hold its exchange, and its agent's place, for ever.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use link::Tasks;
use tokio::time::Instant;

use crate::delivery::answer::{AnswerBody, BrokeOff};

/// How often it is looked at within the time a sender has.
const LOOKS: u32 = 4;

struct Watched {
    // Taken back from a sender that does not read.
    body: Option<AnswerBody>,
    // Since when the sender has had no room for more; `None` while it waits for the app.
    unread_since: Option<Instant>,
}

/// An answer that is given up when the sender takes none of it for too long.
pub struct ReadWatch(Arc<Mutex<Watched>>);

fn lock(watched: &Mutex<Watched>) -> MutexGuard<'_, Watched> {
    watched.lock().expect("nothing panics while it holds an answer")
}

async fn watch(watched: Weak<Mutex<Watched>>, unread_max: Duration) {
    loop {
        tokio::time::sleep(unread_max / LOOKS).await;
        let Some(watched) = watched.upgrade() else { return };
        let mut state = lock(&watched);
        if state.unread_since.is_some_and(|since| since.elapsed() >= unread_max) {
            let body = state.body.take();
            drop(state);
            drop(body);
            return;
        }
    }
}

impl ReadWatch {
    /// Watches over `body`. One that is here already holds nothing up, and is not watched.
    #[must_use]
    pub fn over(body: AnswerBody, unread_max: Duration, tasks: &Tasks) -> Self {
        let is_here = body.is_here();
        let watched = Watched { body: Some(body), unread_since: Some(Instant::now()) };
        let watched = Arc::new(Mutex::new(watched));
        if !is_here {
            tasks.spawn(watch(Arc::downgrade(&watched), unread_max));
        }
        Self(watched)
    }
}

impl Body for ReadWatch {
    type Data = Bytes;
    type Error = BrokeOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokeOff>>> {
        let mut state = lock(&self.0);
        let Some(body) = &mut state.body else { return Poll::Ready(Some(Err(BrokeOff))) };
        let polled = Pin::new(body).poll_frame(cx);
        state.unread_since = None;
        let frame = ready!(polled);
        if frame.is_some() {
            state.unread_since = Some(Instant::now());
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        lock(&self.0).body.as_ref().is_some_and(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        lock(&self.0).body.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}
