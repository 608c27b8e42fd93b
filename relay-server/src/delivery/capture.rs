//! Keeps the start of a body as it passes, for the record.

use bytes::Bytes;

use crate::model::Captured;

/// A body being kept, up to a cap.
#[derive(Debug)]
pub struct Capture {
    // Copied, not sliced: a slice would keep the whole network buffer it came in alive.
    kept: Vec<u8>,
    total_bytes: u64,
    is_complete: bool,
    bytes_max: usize,
}

impl Capture {
    /// Keeps at most `bytes_max` bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self { kept: Vec::new(), total_bytes: 0, is_complete: false, bytes_max }
    }

    /// Sees a piece pass.
    pub fn see(&mut self, piece: &[u8]) {
        let room = self.bytes_max - self.kept.len();
        self.kept.extend_from_slice(&piece[..piece.len().min(room)]);
        self.total_bytes += piece.len() as u64;
    }

    /// Sees the proper end.
    pub fn see_end(&mut self) {
        self.is_complete = true;
    }

    /// Whether more passed than could be kept.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.total_bytes > self.bytes_max as u64
    }

    /// The whole body, once it has come to its end and was kept whole.
    #[must_use]
    pub fn kept(&self) -> Option<Bytes> {
        (self.is_complete && !self.is_over()).then(|| Bytes::copy_from_slice(&self.kept))
    }

    /// What was kept; this capture starts anew.
    pub fn take(&mut self) -> Captured {
        Captured {
            bytes: Bytes::from(std::mem::take(&mut self.kept)),
            total_bytes: std::mem::take(&mut self.total_bytes),
            complete: std::mem::take(&mut self.is_complete),
            is_in_file: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_past_the_cap_is_kept_in_part_and_says_so() {
        let mut capture = Capture::new(4);
        capture.see(b"abc");
        capture.see(b"def");
        capture.see_end();
        let kept = capture.take();
        assert_eq!((&kept.bytes[..], kept.total_bytes, kept.is_truncated()), (&b"abcd"[..], 6, true));
    }

    #[test]
    fn a_body_that_broke_off_is_truncated_even_below_the_cap() {
        let mut capture = Capture::new(10);
        capture.see(b"abc");
        assert!(capture.take().is_truncated());
        capture.see(b"abc");
        capture.see_end();
        assert!(!capture.take().is_truncated());
    }
}
