//! Copies of an event for agents that listen in: the other agents of a broadcast, and other destinations.
//!
//! The primary sets the pace. A copy that cannot keep up is broken off, which its agent sees, and counted.

use bytes::Bytes;
use link::{BodySend, FrameRecv};
use protocol::code::StreamCode;
use protocol::field::HeaderBlock;
use protocol::head::RequestHead;
use tokio::sync::mpsc;

use super::live::OPEN_DEADLINE;
use crate::tunnel::registry::Claim;
use link::Tasks;

/// Pieces a copy may lag behind the primary.
const LAG_PIECES_MAX: usize = 16;

/// How long a copy's app may take to answer; nobody waits for the answer.
const ANSWER_DEADLINE: std::time::Duration = std::time::Duration::from_secs(60);

enum Part {
    Data(Bytes),
    End(HeaderBlock),
}

/// The copies of one event.
#[derive(Default)]
pub struct Copies(Vec<mpsc::Sender<Part>>);

impl Copies {
    /// Starts a copy for each claim.
    #[must_use]
    pub fn start(tasks: &Tasks, claims: Vec<Claim>, head: &RequestHead) -> Self {
        let start_one = |claim: Claim| {
            let (parts, queue) = mpsc::channel(LAG_PIECES_MAX);
            let head = RequestHead { serve: claim.serve, ..head.clone() };
            tasks.spawn(async move {
                if let Err(error) = send(&claim, &head, queue).await {
                    tracing::debug!(%error, session.id = %claim.session.id, "a copy broke off");
                }
            });
            parts
        };
        Self(claims.into_iter().map(start_one).collect())
    }

    /// Passes a piece on to those that keep up.
    pub fn data(&mut self, data: &Bytes) {
        self.0.retain(|copy| copy.try_send(Part::Data(data.clone())).is_ok());
    }

    /// Passes the end on.
    pub fn end(self, trailers: &HeaderBlock) {
        for copy in self.0 {
            let _ = copy.try_send(Part::End(trailers.clone()));
        }
    }
}

async fn send(
    claim: &Claim,
    head: &RequestHead,
    mut parts: mpsc::Receiver<Part>,
) -> Result<(), link::ExchangeError> {
    let (half, recv) = claim.session.link().open(OPEN_DEADLINE).await?;
    let mut bytes = Vec::new();
    head.write(&mut bytes);
    let mut send = BodySend::new(half, bytes.into(), head.body);
    loop {
        match parts.recv().await {
            Some(Part::Data(data)) => {
                send.queue(data)?;
                send.flush().await?;
            }
            Some(Part::End(trailers)) => {
                send.end(&trailers).await?;
                break;
            }
            // The sender broke off, or this copy lagged too far behind.
            None => {
                send.reset(StreamCode::TRUNCATED);
                return Ok(());
            }
        }
    }
    let mut frames = FrameRecv::new(recv);
    // The place in the flight is held until the app has answered; the answer itself is nobody's.
    let _ = tokio::time::timeout(ANSWER_DEADLINE, frames.next_frame()).await;
    Ok(())
}
