//! Request bodies as hyper gives them, with their faults told apart and their length capped.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use link::Tasks;
use tokio::time::{Instant, Sleep};

use super::gated::{GateLimits, Gatekeeper};
use super::pace::{Pace, Verdict};
use crate::delivery::body::BodyFault;
use crate::refusal::Refusal;

/// A request body on its way in.
#[derive(Debug)]
pub struct IncomingBody {
    // Present until dropped.
    inner: Option<Incoming>,
    left: u64,
    // HTTP/1 connections have a gate that keeps the time and knows what went wrong; HTTP/2 streams do not.
    keeper: Option<Gatekeeper>,
    clock: Option<Box<Clock>>,
    linger: Option<Tasks>,
}

/// Keeps the time of an HTTP/2 body.
#[derive(Debug)]
struct Clock {
    limits: GateLimits,
    pace: Pace,
    sleep: Pin<Box<Sleep>>,
}

impl Clock {
    /// Called while nothing is here; ready when it took too long.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match self.pace.wait(Instant::now(), &self.limits) {
                Verdict::TooSlow => return Poll::Ready(()),
                Verdict::WaitUntil(next) => self.sleep.as_mut().reset(next),
            }
            ready!(self.sleep.as_mut().poll(cx));
        }
    }
}

/// After an early answer the rest of an HTTP/2 body is read and thrown away for this long and this far. Ending the stream
/// at once (RST_STREAM, as RFC 9113 section 8.1 allows) makes some senders lose the answer.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES_MAX: usize = 256 * 1024;

async fn linger(mut body: Incoming) {
    let mut seen = 0;
    while seen < LINGER_BYTES_MAX
        && let Some(Ok(frame)) = body.frame().await
    {
        seen += frame.data_ref().map_or(0, Bytes::len);
    }
    // Past the cap nothing more is granted to the sender; it has its answer by the time this ends.
    if seen >= LINGER_BYTES_MAX {
        tokio::time::sleep(LINGER).await;
    }
}

impl Drop for IncomingBody {
    fn drop(&mut self) {
        if let (Some(body), Some(tasks)) = (self.inner.take(), &self.linger)
            && !body.is_end_stream()
        {
            tasks.spawn(async move {
                let _ = tokio::time::timeout(LINGER, linger(body)).await;
            });
        }
    }
}

impl IncomingBody {
    /// A body behind the gate.
    #[must_use]
    pub fn gated(inner: Incoming, bytes_max: u64, keeper: Gatekeeper) -> Self {
        Self { inner: Some(inner), left: bytes_max, keeper: Some(keeper), clock: None, linger: None }
    }

    /// A body of an HTTP/2 stream, which must keep the pace that `limits` ask for.
    #[must_use]
    pub fn of_stream(inner: Incoming, limits: GateLimits, tasks: Tasks) -> Self {
        let sleep = Box::pin(tokio::time::sleep(limits.body_idle));
        let clock = Some(Box::new(Clock { limits, pace: Pace::default(), sleep }));
        Self { inner: Some(inner), left: u64::MAX, keeper: None, clock, linger: Some(tasks) }
    }

    /// The same, of at most `bytes_max`.
    #[must_use]
    pub fn limited(mut self, bytes_max: u64) -> Self {
        self.left = bytes_max;
        self
    }

    fn fault(&self) -> BodyFault {
        let refusal = self.keeper.as_ref().and_then(Gatekeeper::fault);
        refusal.map_or(BodyFault::Gone, BodyFault::Refused)
    }
}

impl Body for IncomingBody {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let this = &mut *self;
        let Some(inner) = &mut this.inner else { return Poll::Ready(None) };
        let polled = match Pin::new(inner).poll_frame(cx) {
            Poll::Ready(polled) => polled,
            Poll::Pending => {
                let Some(clock) = &mut this.clock else { return Poll::Pending };
                ready!(clock.poll(cx));
                return Poll::Ready(Some(Err(BodyFault::Refused(Refusal::TooSlow))));
            }
        };
        let frame = match polled {
            None => return Poll::Ready(None),
            Some(Err(_)) => return Poll::Ready(Some(Err(this.fault()))),
            Some(Ok(frame)) => frame,
        };
        if let Some(data) = frame.data_ref() {
            if let Some(clock) = &mut this.clock {
                clock.pace.came(Instant::now(), data.len());
            }
            match this.left.checked_sub(data.len() as u64) {
                Some(left) => this.left = left,
                None => return Poll::Ready(Some(Err(BodyFault::Refused(Refusal::BodyTooLarge)))),
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}
