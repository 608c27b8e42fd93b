//! Request bodies as hyper gives them, with their faults told apart and their length capped.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::gated::Gatekeeper;
use crate::delivery::body::BodyFault;
use crate::refusal::Refusal;

/// A request body on its way in.
#[derive(Debug)]
pub struct IncomingBody {
    inner: Incoming,
    left: u64,
    // HTTP/1 connections have a gate that keeps the time and knows what went wrong; HTTP/2 streams do not.
    keeper: Option<Gatekeeper>,
    idle: Option<(Duration, Pin<Box<Sleep>>)>,
}

impl IncomingBody {
    /// A body behind the gate.
    #[must_use]
    pub fn gated(inner: Incoming, bytes_max: u64, keeper: Gatekeeper) -> Self {
        Self { inner, left: bytes_max, keeper: Some(keeper), idle: None }
    }

    /// A body of an HTTP/2 stream, which may pause for `idle_max`.
    #[must_use]
    pub fn of_stream(inner: Incoming, bytes_max: u64, idle_max: Duration) -> Self {
        let idle = Some((idle_max, Box::pin(tokio::time::sleep(idle_max))));
        Self { inner, left: bytes_max, keeper: None, idle }
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
        let polled = match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Ready(polled) => polled,
            Poll::Pending => {
                let Some((_, sleep)) = &mut this.idle else { return Poll::Pending };
                ready!(sleep.as_mut().poll(cx));
                return Poll::Ready(Some(Err(BodyFault::Refused(Refusal::TooSlow))));
            }
        };
        if let Some((idle_max, sleep)) = &mut this.idle {
            sleep.as_mut().reset(Instant::now() + *idle_max);
        }
        let frame = match polled {
            None => return Poll::Ready(None),
            Some(Err(_)) => return Poll::Ready(Some(Err(this.fault()))),
            Some(Ok(frame)) => frame,
        };
        if let Some(data) = frame.data_ref() {
            match this.left.checked_sub(data.len() as u64) {
                Some(left) => this.left = left,
                None => return Poll::Ready(Some(Err(BodyFault::Refused(Refusal::BodyTooLarge)))),
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
