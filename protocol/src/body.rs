//! Bodies that prove their end.
//!
//! A stream that just ends may have been cut: QUIC finishes a stream whose sender was dropped. So a body is either
//! exactly as long as its head declared, or it comes in frames and says END. Anything else is
//! [`BodyError::Truncated`], and nobody may take it for whole.

use bytes::{Buf, Bytes, BytesMut};

use crate::field::{BodyFraming, HeaderBlock};
use crate::frame::{FRAME_HEADER_BYTES, FrameKind, frame_header};
use crate::limits::{DATA_FRAME_BYTES_MAX, TRAILER_BYTES_MAX};

/// A body that is not what its head promised.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Ended before its end.
    #[error("the body broke off before its end")]
    Truncated,
    /// Longer than declared, or bytes after its end.
    #[error("the body runs past its end")]
    Overrun,
    /// A frame that has no place in a body.
    #[error("malformed body frame")]
    Malformed,
}

/// Turns body bytes into wire bytes.
#[derive(Debug)]
pub struct BodyWriter {
    framing: BodyFraming,
    left: u64,
}

impl BodyWriter {
    /// A writer for a body of this framing.
    #[must_use]
    pub fn new(framing: BodyFraming) -> Self {
        Self { framing, left: if let BodyFraming::Length(n) = framing { n } else { 0 } }
    }

    /// Adds what `data` becomes on the wire to `out`. No copy is made.
    ///
    /// # Errors
    /// [`BodyError::Overrun`] when more comes than was declared.
    pub fn data(&mut self, mut data: Bytes, out: &mut Vec<Bytes>) -> Result<(), BodyError> {
        if self.framing == BodyFraming::Chunked {
            while !data.is_empty() {
                let piece = data.split_to(data.len().min(DATA_FRAME_BYTES_MAX));
                out.push(Bytes::copy_from_slice(&frame_header(FrameKind::DATA, piece.len())));
                out.push(piece);
            }
            return Ok(());
        }
        self.left = self.left.checked_sub(data.len() as u64).ok_or(BodyError::Overrun)?;
        if !data.is_empty() {
            out.push(data);
        }
        Ok(())
    }

    /// Adds the end of the body to `out`. Trailers of a body without chunks are dropped: it has no place for them.
    ///
    /// # Errors
    /// [`BodyError::Truncated`] when less came than was declared.
    pub fn end(self, trailers: &HeaderBlock, out: &mut Vec<Bytes>) -> Result<(), BodyError> {
        if self.framing == BodyFraming::Chunked {
            let trailers =
                if trailers.as_bytes().len() > TRAILER_BYTES_MAX { &[] } else { trailers.as_bytes() };
            out.push(Bytes::copy_from_slice(&frame_header(FrameKind::END, trailers.len())));
            if !trailers.is_empty() {
                out.push(Bytes::copy_from_slice(trailers));
            }
            return Ok(());
        }
        if self.left == 0 { Ok(()) } else { Err(BodyError::Truncated) }
    }
}

/// A piece of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyPart {
    /// Some bytes of it.
    Data(Bytes),
    /// That was all, with these trailers.
    End(HeaderBlock),
}

#[derive(Debug)]
enum Expect {
    /// This many bytes of a body of declared length.
    Length(u64),
    /// The header of the next frame.
    Frame,
    /// The rest of a DATA frame.
    Data(usize),
    /// The whole payload of the END frame.
    End(usize),
    Nothing,
}

/// Turns wire bytes into body parts. Push bytes, pull parts.
#[derive(Debug)]
pub struct BodyReader {
    expect: Expect,
    input: Bytes,
    // Bytes of a frame header or END payload that came in pieces.
    pieces: BytesMut,
}

impl BodyReader {
    /// A reader for a body of this framing.
    #[must_use]
    pub fn new(framing: BodyFraming) -> Self {
        let expect = match framing {
            BodyFraming::None => Expect::Length(0),
            BodyFraming::Length(n) => Expect::Length(n),
            BodyFraming::Chunked => Expect::Frame,
        };
        Self { expect, input: Bytes::new(), pieces: BytesMut::new() }
    }

    /// Adds bytes that arrived. Call [`BodyReader::next_part`] until it gives `None` before pushing again.
    pub fn push(&mut self, bytes: Bytes) {
        debug_assert!(self.input.is_empty(), "parts are pulled before more is pushed");
        self.input = bytes;
    }

    /// Whether END was reached.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.expect, Expect::Nothing)
    }

    fn gather(&mut self, bytes: usize) -> Option<Bytes> {
        if self.pieces.is_empty() && self.input.len() >= bytes {
            return Some(self.input.split_to(bytes));
        }
        let piece = self.input.split_to(self.input.len().min(bytes - self.pieces.len()));
        self.pieces.extend_from_slice(&piece);
        (self.pieces.len() == bytes).then(|| self.pieces.split().freeze())
    }

    /// The next part, or `None` until more bytes are pushed.
    ///
    /// # Errors
    /// When the bytes are no such body.
    pub fn next_part(&mut self) -> Result<Option<BodyPart>, BodyError> {
        loop {
            match self.expect {
                Expect::Nothing if self.input.is_empty() => return Ok(None),
                Expect::Nothing => return Err(BodyError::Overrun),
                Expect::Length(0) => {
                    self.expect = Expect::Nothing;
                    return Ok(Some(BodyPart::End(HeaderBlock::default())));
                }
                Expect::Length(left) => {
                    let take = usize::try_from(left).unwrap_or(usize::MAX).min(self.input.len());
                    if take == 0 {
                        return Ok(None);
                    }
                    self.expect = Expect::Length(left - take as u64);
                    return Ok(Some(BodyPart::Data(self.input.split_to(take))));
                }
                Expect::Frame => {
                    let Some(header) = self.gather(FRAME_HEADER_BYTES) else { return Ok(None) };
                    let kind = FrameKind(header[0]);
                    let length = (&header[1..]).get_u32_le() as usize;
                    if length > kind.payload_bytes_max() {
                        return Err(BodyError::Malformed);
                    }
                    self.expect = match kind {
                        FrameKind::DATA => Expect::Data(length),
                        FrameKind::END => Expect::End(length),
                        _ => return Err(BodyError::Malformed),
                    };
                }
                Expect::Data(0) => self.expect = Expect::Frame,
                Expect::Data(left) => {
                    let take = left.min(self.input.len());
                    if take == 0 {
                        return Ok(None);
                    }
                    self.expect = Expect::Data(left - take);
                    return Ok(Some(BodyPart::Data(self.input.split_to(take))));
                }
                Expect::End(length) => {
                    let Some(trailers) = self.gather(length) else { return Ok(None) };
                    let trailers =
                        HeaderBlock::from_bytes(trailers.to_vec()).map_err(|_| BodyError::Malformed)?;
                    self.expect = Expect::Nothing;
                    return Ok(Some(BodyPart::End(trailers)));
                }
            }
        }
    }

    /// Says that the stream ended.
    ///
    /// # Errors
    /// [`BodyError::Truncated`] when the body had not.
    pub fn finish(&self) -> Result<(), BodyError> {
        if self.is_done() { Ok(()) } else { Err(BodyError::Truncated) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(framing: BodyFraming, pieces: &[&[u8]]) -> Vec<u8> {
        let mut writer = BodyWriter::new(framing);
        let mut out = Vec::new();
        for piece in pieces {
            writer.data(Bytes::copy_from_slice(piece), &mut out).expect("within length");
        }
        let mut trailers = HeaderBlock::default();
        trailers.push(b"x-sum", b"7").expect("valid");
        writer.end(&trailers, &mut out).expect("complete");
        out.concat()
    }

    fn read(framing: BodyFraming, wire: &[u8], step: usize) -> Result<(Vec<u8>, HeaderBlock), BodyError> {
        let mut reader = BodyReader::new(framing);
        let mut body = Vec::new();
        let mut end = None;
        let mut pieces = wire.chunks(step.max(1));
        loop {
            match reader.next_part()? {
                Some(BodyPart::Data(data)) => body.extend_from_slice(&data),
                Some(BodyPart::End(trailers)) => end = Some(trailers),
                None => match pieces.next() {
                    Some(piece) => reader.push(Bytes::copy_from_slice(piece)),
                    None => break,
                },
            }
        }
        reader.finish()?;
        Ok((body, end.expect("finish checked")))
    }

    #[test]
    fn bodies_survive_any_cut_of_the_wire() {
        let big = vec![7; DATA_FRAME_BYTES_MAX + 10];
        for step in [1, 2, 5, 6, 1000, usize::MAX >> 1] {
            let pieces: &[&[u8]] = &[b"hello", b"", &big];
            let (body, trailers) =
                read(BodyFraming::Chunked, &wire(BodyFraming::Chunked, pieces), step).expect("valid");
            assert_eq!(body, pieces.concat());
            assert_eq!(trailers.find("x-sum"), Some(&b"7"[..]));
            let framing = BodyFraming::Length(pieces.concat().len() as u64);
            assert_eq!(read(framing, &wire(framing, pieces), step).expect("valid").0, pieces.concat());
        }
    }

    #[test]
    fn a_truncated_stream_never_looks_complete() {
        let whole = wire(BodyFraming::Chunked, &[b"hello", b"world"]);
        for cut in 0..whole.len() {
            assert_eq!(
                read(BodyFraming::Chunked, &whole[..cut], 3).err(),
                Some(BodyError::Truncated),
                "cut {cut}"
            );
        }
        for cut in 0..10 {
            assert!(read(BodyFraming::Length(10), &[0; 10][..cut], 3).is_err(), "cut {cut}");
        }
    }

    #[test]
    fn bytes_after_the_end_are_an_error() {
        let mut long = wire(BodyFraming::Chunked, &[b"hello"]);
        long.push(0);
        assert_eq!(read(BodyFraming::Chunked, &long, 100).err(), Some(BodyError::Overrun));
        assert_eq!(read(BodyFraming::Length(3), b"hello", 100).err(), Some(BodyError::Overrun));
        assert_eq!(read(BodyFraming::None, b"h", 100).err(), Some(BodyError::Overrun));
    }

    #[test]
    fn a_writer_refuses_more_or_less_than_was_declared() {
        let mut out = Vec::new();
        let mut writer = BodyWriter::new(BodyFraming::Length(3));
        assert_eq!(writer.data(Bytes::from_static(b"four"), &mut out), Err(BodyError::Overrun));
        let mut writer = BodyWriter::new(BodyFraming::Length(3));
        writer.data(Bytes::from_static(b"tw"), &mut out).expect("within");
        assert_eq!(writer.end(&HeaderBlock::default(), &mut out), Err(BodyError::Truncated));
    }
}
