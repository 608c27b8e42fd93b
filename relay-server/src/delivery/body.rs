//! Request bodies as delivery sees them: pieces, trailers, or the one reason why there are no more.

use bytes::Bytes;
use futures_util::FutureExt;
use http_body::Body;
use http_body_util::BodyExt;
use protocol::field::HeaderBlock;

use crate::refusal::Refusal;

/// Why a request body ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    /// The sender can still be told.
    #[error("{0}")]
    Refused(Refusal),
    /// The sender is gone.
    #[error("the sender hung up")]
    Gone,
}

/// A request body with its faults told apart.
pub trait RequestBody: Body<Data = Bytes, Error = BodyFault> + Send + Unpin + 'static {}
impl<B: Body<Data = Bytes, Error = BodyFault> + Send + Unpin + 'static> RequestBody for B {}

/// Bytes gathered before a request is sent on without waiting for the rest.
const GATHER_BYTES_MAX: usize = 64 * 1024;

/// What of a body was there at once.
#[derive(Debug, Default)]
pub struct Gathered {
    /// The pieces.
    pub pieces: Vec<Bytes>,
    /// Present when the body is complete.
    pub end: Option<HeaderBlock>,
}

/// The next piece or the trailers; `None` at the end.
pub enum Piece {
    /// Bytes.
    Data(Bytes),
    /// Trailers; the end follows.
    Trailers(HeaderBlock),
}

fn piece_of(frame: http_body::Frame<Bytes>) -> Piece {
    match frame.into_data() {
        Ok(data) => Piece::Data(data),
        Err(frame) => {
            let mut block = HeaderBlock::default();
            for (name, value) in frame.trailers_ref().into_iter().flatten() {
                // What cannot be a field is no loss; the caps of a block bound the rest.
                let _ = block.push(name.as_str().as_bytes(), value.as_bytes());
            }
            Piece::Trailers(block)
        }
    }
}

/// Waits for the next piece.
///
/// # Errors
/// The fault that ended the body.
pub async fn next_piece(body: &mut impl RequestBody) -> Result<Option<Piece>, BodyFault> {
    body.frame().await.transpose().map(|frame| frame.map(piece_of))
}

/// Takes what is there without waiting: for most webhooks, all of it.
///
/// # Errors
/// The fault that ended the body.
pub fn gather(body: &mut impl RequestBody) -> Result<Gathered, BodyFault> {
    let mut gathered = Gathered::default();
    let mut bytes = 0;
    let mut trailers = HeaderBlock::default();
    while bytes < GATHER_BYTES_MAX {
        if body.is_end_stream() {
            gathered.end = Some(trailers);
            break;
        }
        match next_piece(body).now_or_never().transpose()? {
            None => break,
            Some(None) => {
                gathered.end = Some(trailers);
                break;
            }
            Some(Some(Piece::Data(data))) => {
                bytes += data.len();
                gathered.pieces.push(data);
            }
            Some(Some(Piece::Trailers(block))) => trailers = block,
        }
    }
    Ok(gathered)
}
