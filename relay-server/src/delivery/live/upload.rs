//! A live request's body on its way to the agent, and what can still be had of it when nobody took it.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use http_body::{Body, Frame};
use link::{BodySend, ExchangeError, SendHalf, Tasks};
use protocol::code::StreamCode;
use protocol::field::{BodyFraming, HeaderBlock};
use protocol::head::{RequestFlags, RequestHead};
use tokio::fs::File;
use tokio::sync::oneshot;
use tokio_util::io::ReaderStream;

use crate::delivery::body::{BodyFault, Gathered, Piece, RequestBody, gather, next_piece};
use crate::delivery::capture::Capture;
use crate::delivery::copies::Copies;
use crate::delivery::intake::{Fault, Intake, Whole};
use crate::model::Captured;

/// Bytes of a file read at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// How a pump ended.
pub(super) enum PumpEnd {
    /// The sender brought the whole body, with these trailers.
    Whole(HeaderBlock),
    /// It did not.
    Fault(BodyFault),
}

/// A body that is still coming: from the sender, or from the file it was stored in.
enum Rest<B> {
    Coming(B),
    Stored(ReaderStream<File>),
}

impl<B: RequestBody> Body for Rest<B> {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        match &mut *self {
            Self::Coming(body) => Pin::new(body).poll_frame(cx),
            Self::Stored(file) => {
                let chunk = ready!(Pin::new(file).poll_next(cx));
                // A file that cannot be read any more: whoever is sent to sees a broken request, never a short one.
                Poll::Ready(chunk.map(|chunk| chunk.map(Frame::data).map_err(|_| BodyFault::Gone)))
            }
        }
    }
}

/// A request's body: what of it was there at once, and the rest.
pub(super) struct Upload<B> {
    gathered: Gathered,
    rest: Option<(B, Copies)>,
    stored: Option<Whole>,
    pumping: Option<oneshot::Receiver<PumpEnd>>,
    capture: Arc<Mutex<Capture>>,
}

/// How far a request got with its first write.
pub(super) enum FirstSent {
    /// All of the body was sent, or is being sent.
    Under,
    /// The stream stays open, in case the app switches protocols.
    Switchable(BodySend),
}

impl<B: RequestBody> Upload<B> {
    /// Takes what of the body is there without waiting.
    ///
    /// # Errors
    /// The fault that ended it.
    pub(super) fn begin(mut body: B, capture: Arc<Mutex<Capture>>) -> Result<Self, BodyFault> {
        let gathered = gather(&mut body)?;
        {
            let mut capture = capture.lock().expect("capture lock");
            gathered.pieces.iter().for_each(|piece| capture.see(piece));
            if gathered.end.is_some() {
                capture.see_end();
            }
        }
        Ok(Self { gathered, rest: Some((body, Copies::default())), stored: None, pumping: None, capture })
    }

    /// Waits for the whole body, so that it can be kept whatever happens next.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn complete(
        &mut self,
        intake: &Intake,
        event: protocol::id::EventId,
    ) -> Result<(), Fault> {
        if self.gathered.end.is_some() {
            return Ok(());
        }
        let Some((body, copies)) = self.rest.take() else { return Ok(()) };
        let gathered = std::mem::take(&mut self.gathered);
        let whole = intake.read_whole(event, gathered, Some(body), &self.capture).await?;
        if whole.body.is_in_file {
            self.stored = Some(whole);
        } else {
            self.gathered = Gathered { pieces: vec![whole.body.bytes], end: Some(whole.trailers) };
        }
        drop(copies);
        Ok(())
    }

    /// Has copies go where the body goes.
    pub(super) fn copy_to(&mut self, mut copies: Copies) {
        for piece in &self.gathered.pieces {
            copies.data(piece);
        }
        match (&mut self.rest, &self.gathered.end) {
            (Some((_, slot)), _) => *slot = copies,
            // It was taken in whole before.
            (None, Some(trailers)) => copies.end(trailers),
            (None, None) => {}
        }
    }

    /// Whether the request can be sent to somebody else: nothing of the body was given away.
    pub(super) fn can_be_sent_again(&self) -> bool {
        self.gathered.end.is_some() || self.stored.is_some() || self.rest.is_some()
    }

    /// Sends head and gathered body in one write, and has the rest follow.
    ///
    /// # Errors
    /// When the stream is gone.
    pub(super) async fn send(
        &mut self,
        tasks: &Tasks,
        half: SendHalf,
        head: &RequestHead,
    ) -> Result<FirstSent, ExchangeError> {
        let mut bytes = Vec::with_capacity(head.headers.as_bytes().len() + head.target.len() + 128);
        head.write(&mut bytes);
        if head.flags.has(RequestFlags::UPGRADE) {
            let mut send = BodySend::new(half, bytes.into(), BodyFraming::Chunked);
            send.flush().await?;
            return Ok(FirstSent::Switchable(send));
        }
        let mut send = BodySend::new(half, bytes.into(), head.body);
        for piece in &self.gathered.pieces {
            send.queue(piece.clone())?;
        }
        if let Some(trailers) = &self.gathered.end {
            send.end(trailers).await?;
            if let Some((_, copies)) = self.rest.take() {
                copies.end(trailers);
            }
            return Ok(FirstSent::Under);
        }
        send.flush().await?;
        if let Some(whole) = &self.stored
            && let Some(file) = &whole.file
        {
            let file = File::open(file.path()).await.map_err(|_| protocol::body::BodyError::Truncated)?;
            let file = Rest::<B>::Stored(ReaderStream::with_capacity(file, CHUNK_BYTES));
            let (tell, _) = oneshot::channel();
            let trailers = whole.trailers.clone();
            tasks.spawn(pump(file, send, None, Copies::default(), trailers, tell));
            return Ok(FirstSent::Under);
        }
        // From here on the body is on its way and cannot be sent to anybody else.
        if let Some((body, copies)) = self.rest.take() {
            let (tell, told) = oneshot::channel();
            let capture = Some(Arc::clone(&self.capture));
            tasks.spawn(pump(Rest::Coming(body), send, capture, copies, HeaderBlock::default(), tell));
            self.pumping = Some(told);
        }
        Ok(FirstSent::Under)
    }

    /// Whether the sender is still sending.
    pub(super) fn is_pumping(&self) -> bool {
        self.pumping.is_some()
    }

    /// Waits until the sender's body is over, and says why it broke if it did. Safe to cancel; never ends where
    /// nothing is being pumped.
    pub(super) async fn broke(&mut self) -> BodyFault {
        let Some(pumping) = &mut self.pumping else { return std::future::pending().await };
        let end = pumping.await;
        self.pumping = None;
        match end {
            Ok(PumpEnd::Fault(fault)) => fault,
            Ok(PumpEnd::Whole(trailers)) => {
                self.end_of_pump(trailers);
                std::future::pending().await
            }
            Err(_) => std::future::pending().await,
        }
    }

    /// A body that came while it was passed on can be kept if all of it was captured.
    fn end_of_pump(&mut self, trailers: HeaderBlock) {
        let kept = self.capture.lock().expect("capture lock").kept();
        if let Some(bytes) = kept {
            self.gathered = Gathered { pieces: vec![bytes], end: Some(trailers) };
        }
    }

    /// The whole body for the store, if it can still be had.
    ///
    /// # Errors
    /// `None` when part of it is gone for good, else why the rest did not come.
    pub(super) async fn whole(
        mut self,
        intake: &Intake,
        event: protocol::id::EventId,
    ) -> Result<Whole, Option<Fault>> {
        if let Some(pumping) = self.pumping.take() {
            match pumping.await {
                Ok(PumpEnd::Whole(trailers)) => self.end_of_pump(trailers),
                Ok(PumpEnd::Fault(fault)) => return Err(Some(fault.into())),
                Err(_) => return Err(None),
            }
        }
        if let Some(whole) = self.stored {
            return Ok(whole);
        }
        if self.gathered.end.is_none() && self.rest.is_none() {
            return Err(None);
        }
        let rest = self.rest.map(|(body, _)| body);
        let whole = intake.read_whole(event, self.gathered, rest, &self.capture).await;
        whole.map_err(Some)
    }

    /// What is known of the body for the record of an event that is not kept for later.
    pub(super) fn is_whole(&self) -> bool {
        self.gathered.end.is_some() || self.stored.is_some()
    }

    /// The whole body, if it is here, while it is being sent.
    pub(super) fn whole_so_far(&self) -> Option<Whole> {
        if let Some(whole) = &self.stored {
            return Some(whole.clone());
        }
        let trailers = self.gathered.end.clone()?;
        Some(Whole { body: Captured::whole(joined(self.gathered.pieces.clone())), trailers, file: None })
    }

    /// The whole body, which is known to be here.
    pub(super) fn into_whole(self) -> Option<Whole> {
        if let Some(whole) = self.stored {
            return Some(whole);
        }
        let Gathered { pieces, end } = self.gathered;
        end.map(|trailers| Whole { body: Captured::whole(joined(pieces)), trailers, file: None })
    }
}

/// Pieces as one.
fn joined(mut pieces: Vec<Bytes>) -> Bytes {
    if pieces.len() == 1 { pieces.swap_remove(0) } else { pieces.concat().into() }
}

/// Moves the rest of a request body into the tunnel at the pace of the slower side. When the other side wants no more,
/// the body is still heard to its end while it can be captured whole: it may have to be kept.
async fn pump(
    mut body: impl RequestBody,
    send: BodySend,
    capture: Option<Arc<Mutex<Capture>>>,
    mut copies: Copies,
    mut trailers: HeaderBlock,
    tell: oneshot::Sender<PumpEnd>,
) {
    let mut send = Some(send);
    let end = loop {
        let piece = match next_piece(&mut body).await {
            Ok(Some(Piece::Data(data))) => data,
            Ok(Some(Piece::Trailers(block))) => {
                trailers = block;
                continue;
            }
            Ok(None) => {
                if let Some(capture) = &capture {
                    capture.lock().expect("capture lock").see_end();
                }
                copies.end(&trailers);
                // A short body resets the stream: the app sees a broken request, never a short complete one.
                let ended = match send {
                    Some(send) => send.end(&trailers).await,
                    None => Ok(()),
                };
                break match ended {
                    Err(ExchangeError::Body(_)) => PumpEnd::Fault(BodyFault::Gone),
                    _ => PumpEnd::Whole(trailers),
                };
            }
            Err(fault) => {
                if let Some(send) = send {
                    send.reset(StreamCode::CANCELLED);
                }
                break PumpEnd::Fault(fault);
            }
        };
        let can_be_kept = capture.as_ref().is_some_and(|capture| {
            let mut capture = capture.lock().expect("capture lock");
            capture.see(&piece);
            !capture.is_over()
        });
        copies.data(&piece);
        if let Some(sending) = &mut send {
            let sent = match sending.queue(piece) {
                Ok(()) => sending.flush().await,
                Err(_) => break PumpEnd::Fault(BodyFault::Gone),
            };
            if sent.is_err() {
                // An early answer: the app wants no more of it. Whoever waits for the head hears why.
                send = None;
            }
        }
        if send.is_none() && !can_be_kept {
            return;
        }
    };
    let _ = tell.send(end);
}
