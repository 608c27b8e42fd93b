//! Follows a chunked HTTP/1 body to its end, and stops at the first byte that parsers could read differently.

use crate::limits::TRAILER_BYTES_MAX;

/// Digits of a chunk size. Sixteen hold any length there is.
const SIZE_DIGITS_MAX: u8 = 16;

/// Bytes of all chunk extensions of one body. Nobody uses them; a stranger may flood with them.
const EXTENSION_BYTES_MAX: usize = 4 * 1024;

/// A chunked body that cannot be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// At the first doubt.
    #[error("malformed chunked body")]
    Malformed,
    /// Its trailers are longer than 8 KiB.
    #[error("trailers of more than {TRAILER_BYTES_MAX} bytes")]
    TrailersTooLong,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Size { digits: u8, size: u64 },
    Extension { size: u64 },
    SizeNewline { size: u64 },
    Data { left: u64 },
    DataReturn,
    DataNewline,
    TrailerStart,
    TrailerLine,
    TrailerNewline,
    LastNewline,
    Done,
}

/// A chunked body being followed.
#[derive(Debug)]
pub struct ChunkWalker {
    at: At,
    extension_bytes: usize,
    trailer_bytes: usize,
}

impl Default for ChunkWalker {
    fn default() -> Self {
        Self { at: At::Size { digits: 0, size: 0 }, extension_bytes: 0, trailer_bytes: 0 }
    }
}

impl ChunkWalker {
    /// Whether the body is over.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.at == At::Done
    }

    /// Whether the last chunk was walked over, and trailers or the empty line that ends the body come next.
    #[must_use]
    pub fn is_at_trailers(&self) -> bool {
        self.at == At::TrailerStart
    }

    /// Walks over `bytes`; gives how many belong to the body.
    ///
    /// # Errors
    /// When this is no chunked body, or its trailers are too long.
    pub fn walk(&mut self, bytes: &[u8]) -> Result<usize, ChunkError> {
        self.walk_until(bytes, Self::is_done)
    }

    /// Walks over `bytes`, but not past where trailers start; gives how many were walked over.
    ///
    /// # Errors
    /// When this is no chunked body.
    pub fn walk_to_trailers(&mut self, bytes: &[u8]) -> Result<usize, ChunkError> {
        self.walk_until(bytes, |walker| walker.is_at_trailers() || walker.is_done())
    }

    /// Walks over `bytes` to the end of the next piece of data; gives how many were walked over, and that piece. It is
    /// empty when `bytes` hold no data before they, or the body, end.
    ///
    /// # Errors
    /// When this is no chunked body, or its trailers are too long.
    pub fn next_data<'a>(&mut self, bytes: &'a [u8]) -> Result<(usize, &'a [u8]), ChunkError> {
        let start =
            self.walk_until(bytes, |walker| matches!(walker.at, At::Data { .. }) || walker.is_done())?;
        let At::Data { left } = self.at else { return Ok((start, &[])) };
        let piece = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - start);
        let end = start + self.walk(&bytes[start..start + piece])?;
        Ok((end, &bytes[start..end]))
    }

    fn walk_until(&mut self, bytes: &[u8], is_far_enough: fn(&Self) -> bool) -> Result<usize, ChunkError> {
        let mut used = 0;
        while used < bytes.len() && !is_far_enough(self) {
            if let At::Data { left } = self.at {
                let step = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - used);
                used += step;
                let left = left - step as u64;
                self.at = if left == 0 { At::DataReturn } else { At::Data { left } };
                continue;
            }
            self.at = self.step(bytes[used])?;
            used += 1;
        }
        Ok(used)
    }

    fn step(&mut self, byte: u8) -> Result<At, ChunkError> {
        let bad = ChunkError::Malformed;
        Ok(match (self.at, byte) {
            (At::Size { digits, size }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F')
                if digits < SIZE_DIGITS_MAX =>
            {
                let digit = char::from(byte).to_digit(16).unwrap_or(0);
                // Bits that would leave at the top make the size ambiguous between parsers.
                if size >> 59 != 0 {
                    return Err(bad);
                }
                At::Size { digits: digits + 1, size: (size << 4) | u64::from(digit) }
            }
            (At::Size { digits: 1.., size }, b'\r') | (At::Extension { size }, b'\r') => {
                At::SizeNewline { size }
            }
            (At::Size { digits: 1.., size }, b';' | b' ' | b'\t')
            | (At::Extension { size }, b'\t' | b' '..=b'~' | 0x80..) => {
                self.extension_bytes += 1;
                if self.extension_bytes > EXTENSION_BYTES_MAX {
                    return Err(bad);
                }
                At::Extension { size }
            }
            (At::SizeNewline { size: 0 }, b'\n') => At::TrailerStart,
            (At::SizeNewline { size }, b'\n') => At::Data { left: size },
            (At::DataReturn, b'\r') => At::DataNewline,
            (At::DataNewline, b'\n') => At::Size { digits: 0, size: 0 },
            (At::TrailerStart, b'\r') => At::LastNewline,
            (At::TrailerStart | At::TrailerLine, b'\t' | b' '..=b'~' | 0x80..) => {
                self.trailer_bytes += 1;
                if self.trailer_bytes > TRAILER_BYTES_MAX {
                    return Err(ChunkError::TrailersTooLong);
                }
                At::TrailerLine
            }
            (At::TrailerLine, b'\r') => At::TrailerNewline,
            (At::TrailerNewline, b'\n') => At::TrailerStart,
            (At::LastNewline, b'\n') => At::Done,
            _ => return Err(bad),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(text: &[u8], step: usize) -> Result<(usize, bool), ChunkError> {
        let mut walker = ChunkWalker::default();
        let mut used = 0;
        for piece in text.chunks(step) {
            let n = walker.walk(piece)?;
            used += n;
            if n < piece.len() {
                break;
            }
        }
        Ok((used, walker.is_done()))
    }

    #[test]
    fn whole_bodies_end_where_they_end() {
        let bodies: &[&[u8]] = &[
            b"0\r\n\r\n",
            b"5\r\nhello\r\n0\r\n\r\n",
            b"A\r\n0123456789\r\n00005;ext=\"v\"\r\nhello\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n",
        ];
        for body in bodies {
            for step in 1..=body.len() {
                assert_eq!(walk(body, step), Ok((body.len(), true)));
                let next = [*body, b"POST "].concat();
                assert_eq!(walk(&next, next.len()).map(|(used, _)| used), Ok(body.len()));
            }
        }
    }

    #[test]
    fn the_data_comes_out_without_its_chunks_however_the_bytes_come() {
        let body = b"A\r\n0123456789\r\n00003;ext=\"v\"\r\n\r\nz\r\n0\r\nX-Sum: 1\r\n\r\nnext";
        for step in 1..=body.len() {
            let (mut walker, mut data, mut used) = (ChunkWalker::default(), Vec::new(), 0);
            for mut piece in body.chunks(step) {
                while !piece.is_empty() && !walker.is_done() {
                    let (walked, found) = walker.next_data(piece).unwrap();
                    data.extend_from_slice(found);
                    piece = &piece[walked..];
                    used += walked;
                }
            }
            assert!(walker.is_done(), "in steps of {step}");
            assert_eq!((&data[..], used), (&b"0123456789\r\nz"[..], body.len() - 4), "in steps of {step}");
        }
    }

    #[test]
    fn every_doubt_is_an_error() {
        let bodies: &[&[u8]] = &[
            b"\r\n",
            b"0x5\r\nhello\r\n",
            b"+5\r\nhello\r\n",
            b"-5\r\n",
            b" 5\r\nhello\r\n",
            b"5\nhello\r\n",
            b"5\rXhello",
            b"5\r\nhelloX\r\n",
            b"5\r\nhello\n0\r\n\r\n",
            b"5;a\nb\r\nhello\r\n",
            b"5_0\r\n",
            b"11111111111111111\r\n",
            b"ffffffffffffffff0\r\n",
            b"fffffffffffffffff\r\n",
            b"0\r\nX: 1\n\r\n",
            b"0\r\nX: \x001\r\n\r\n",
        ];
        for body in bodies {
            assert!(walk(body, body.len()).is_err(), "{}", String::from_utf8_lossy(body));
        }
        let long = [b"5;".to_vec(), vec![b'e'; 5000]].concat();
        assert!(walk(&long, 100).is_err(), "extension flood");
        let long = [b"0\r\nX: ".to_vec(), vec![b'v'; 9000]].concat();
        assert_eq!(walk(&long, 100), Err(ChunkError::TrailersTooLong), "trailer flood");
    }
}
