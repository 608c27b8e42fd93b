//! The envelope: `kind: u8 | length: u32 little endian | payload`.
//!
//! [`FrameReader`] takes bytes as they come and gives frames as they complete. A length above the cap of its kind
//! is refused when its five header bytes are there, before anything is stored for it.

use bytes::{Buf, Bytes, BytesMut};

use crate::limits::{CONTROL_FRAME_BYTES_MAX, DATA_FRAME_BYTES_MAX, HEAD_FRAME_BYTES_MAX, TRAILER_BYTES_MAX};

/// Bytes in front of every payload.
pub const FRAME_HEADER_BYTES: usize = 5;

/// What a frame is. A number of our own: enum positions never cross the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FrameKind(pub u8);

impl FrameKind {
    /// Agent's first word on the control stream.
    pub const GREETING: Self = Self(0x01);
    /// Server's yes.
    pub const WELCOME: Self = Self(0x02);
    /// Server's no.
    pub const REFUSAL: Self = Self(0x03);
    /// Are you there? Either side.
    pub const PING: Self = Self(0x04);
    /// I am. Either side.
    pub const PONG: Self = Self(0x05);
    /// Agent: route this source to me from now on.
    pub const SERVE: Self = Self(0x06);
    /// Server: the source is served, or why not.
    pub const SERVED: Self = Self(0x07);
    /// Agent: no longer.
    pub const UNSERVE: Self = Self(0x08);
    /// Either side: nothing new, please; what runs may finish.
    pub const DRAIN: Self = Self(0x09);
    /// Server: a word for the person at the agent.
    pub const NOTICE: Self = Self(0x0a);
    /// A request head; opens an exchange.
    pub const REQUEST: Self = Self(0x20);
    /// A response head.
    pub const RESPONSE: Self = Self(0x21);
    /// An interim (1xx) response head.
    pub const INTERIM: Self = Self(0x22);
    /// No response: why, and whether the app may have acted.
    pub const FAILURE: Self = Self(0x23);
    /// Bytes of a chunked body.
    pub const DATA: Self = Self(0x24);
    /// End of a chunked body, with its trailers.
    pub const END: Self = Self(0x25);

    /// Unknown kinds with the high bit set may be skipped; unknown kinds without it end the connection.
    #[must_use]
    pub const fn is_optional(self) -> bool {
        self.0 & 0x80 != 0
    }

    /// The largest payload of this kind, in bytes.
    #[must_use]
    pub const fn payload_bytes_max(self) -> usize {
        match self {
            Self::REQUEST | Self::RESPONSE | Self::INTERIM | Self::FAILURE => HEAD_FRAME_BYTES_MAX,
            Self::DATA => DATA_FRAME_BYTES_MAX,
            Self::END => TRAILER_BYTES_MAX,
            _ => CONTROL_FRAME_BYTES_MAX,
        }
    }
}

/// One whole frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: FrameKind,
    /// What it says.
    pub payload: Bytes,
}

/// Bytes that cannot be frames of this protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The claimed length is above the cap of the kind.
    #[error("frame of kind {kind:#04x} claims {claimed} bytes, more than the {allowed} allowed")]
    TooLong {
        /// Kind byte as received.
        kind: u8,
        /// Length as claimed.
        claimed: usize,
        /// Cap of the kind.
        allowed: usize,
    },
    /// The stream ended inside a frame.
    #[error("the stream ended inside a frame, {missing} bytes short")]
    Truncated {
        /// Bytes that should have followed, as far as known.
        missing: usize,
    },
}

/// Five bytes for a frame of `kind` with a payload of `payload_bytes`.
///
/// # Panics
/// When the payload is above the cap of its kind: the caller has split or refused it before.
#[must_use]
pub fn frame_header(kind: FrameKind, payload_bytes: usize) -> [u8; FRAME_HEADER_BYTES] {
    assert!(payload_bytes <= kind.payload_bytes_max(), "frame payloads are within their cap");
    let length = u32::try_from(payload_bytes).expect("caps are far below 4 GiB").to_le_bytes();
    [kind.0, length[0], length[1], length[2], length[3]]
}

/// Appends a whole frame, its payload written by `payload`.
pub(crate) fn write_frame(kind: FrameKind, into: &mut Vec<u8>, payload: impl FnOnce(&mut Vec<u8>)) {
    let start = into.len();
    into.extend_from_slice(&[0; FRAME_HEADER_BYTES]);
    payload(into);
    let header = frame_header(kind, into.len() - start - FRAME_HEADER_BYTES);
    into[start..start + FRAME_HEADER_BYTES].copy_from_slice(&header);
}

/// Push bytes, pull frames. Holds at most one incomplete frame and what was pushed after it.
#[derive(Debug, Default)]
pub struct FrameReader {
    whole: Bytes,
    partial: BytesMut,
}

impl FrameReader {
    /// Adds bytes that arrived.
    pub fn push(&mut self, bytes: Bytes) {
        if self.partial.is_empty() && self.whole.is_empty() {
            self.whole = bytes;
        } else {
            if !self.whole.is_empty() {
                self.partial.extend_from_slice(&self.whole);
                self.whole = Bytes::new();
            }
            self.partial.extend_from_slice(&bytes);
        }
    }

    fn peeked(&self) -> &[u8] {
        if self.partial.is_empty() { &self.whole } else { &self.partial }
    }

    fn take(&mut self, bytes: usize) -> Bytes {
        if self.partial.is_empty() {
            self.whole.split_to(bytes)
        } else {
            self.partial.split_to(bytes).freeze()
        }
    }

    /// The next whole frame, or `None` until more bytes are pushed.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let peeked = self.peeked();
        let Some((header, rest)) = peeked.split_first_chunk::<FRAME_HEADER_BYTES>() else {
            return Ok(None);
        };
        let kind = FrameKind(header[0]);
        let claimed = u32::from_le_bytes([header[1], header[2], header[3], header[4]]) as usize;
        let allowed = kind.payload_bytes_max();
        if claimed > allowed {
            return Err(FrameError::TooLong { kind: kind.0, claimed, allowed });
        }
        if rest.len() < claimed {
            return Ok(None);
        }
        let mut payload = self.take(FRAME_HEADER_BYTES + claimed);
        payload.advance(FRAME_HEADER_BYTES);
        Ok(Some(Frame { kind, payload }))
    }

    /// Bytes pushed and not yet part of a frame that was pulled: the start of a raw body, or of the next frame.
    pub fn take_rest(&mut self) -> Bytes {
        let all = self.peeked().len();
        self.take(all)
    }

    /// Says that no more bytes come. An error when that cuts a frame short.
    pub fn finish(&self) -> Result<(), FrameError> {
        let peeked = self.peeked();
        if peeked.is_empty() {
            return Ok(());
        }
        let missing = match peeked.split_first_chunk::<FRAME_HEADER_BYTES>() {
            None => FRAME_HEADER_BYTES - peeked.len(),
            Some((h, rest)) => {
                (u32::from_le_bytes([h[1], h[2], h[3], h[4]]) as usize).saturating_sub(rest.len())
            }
        };
        Err(FrameError::Truncated { missing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(kind: FrameKind, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write_frame(kind, &mut out, |into| into.extend_from_slice(payload));
        out
    }

    #[test]
    fn frames_come_out_whole_however_the_bytes_were_cut() {
        let mut wire = framed(FrameKind::PING, b"one");
        wire.extend(framed(FrameKind::DATA, &[7; 300]));
        wire.extend(framed(FrameKind::END, b""));
        for step in [1, 2, 3, 7, 64, wire.len()] {
            let mut reader = FrameReader::default();
            let mut seen = Vec::new();
            for piece in wire.chunks(step) {
                reader.push(Bytes::copy_from_slice(piece));
                while let Some(frame) = reader.next_frame().expect("valid frames") {
                    seen.push((frame.kind, frame.payload.len()));
                }
            }
            assert_eq!(
                seen,
                [(FrameKind::PING, 3), (FrameKind::DATA, 300), (FrameKind::END, 0)],
                "step {step}"
            );
            assert_eq!(reader.finish(), Ok(()));
        }
    }

    #[test]
    fn a_length_bomb_is_refused_by_its_five_header_bytes() {
        let mut reader = FrameReader::default();
        reader.push(Bytes::from_static(&[0x20, 0xff, 0xff, 0xff, 0xff]));
        assert!(matches!(reader.next_frame(), Err(FrameError::TooLong { kind: 0x20, .. })));
    }

    #[test]
    fn an_end_inside_a_frame_is_an_error() {
        let mut reader = FrameReader::default();
        reader.push(Bytes::from(framed(FrameKind::PING, b"12345678")).slice(..8));
        assert_eq!(reader.next_frame(), Ok(None));
        assert_eq!(reader.finish(), Err(FrameError::Truncated { missing: 5 }));
    }

    #[test]
    fn what_follows_a_frame_can_be_taken_raw() {
        let mut wire = framed(FrameKind::REQUEST, b"head");
        wire.extend_from_slice(b"body bytes");
        let mut reader = FrameReader::default();
        reader.push(Bytes::from(wire));
        assert!(reader.next_frame().expect("valid").is_some());
        assert_eq!(reader.take_rest(), &b"body bytes"[..]);
        assert_eq!(reader.finish(), Ok(()));
    }
}
