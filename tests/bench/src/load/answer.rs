//! Reads an HTTP/1.1 answer just far enough to know its status, where it ends and how long its body was.
//! Pure: bytes are pushed in, the body is counted and thrown away.

use anyhow::{Context, Result, bail, ensure};

/// A complete answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body_bytes: u64,
    pub keeps_connection: bool,
}

impl Answer {
    /// An error unless this has the status given, and a body of the length given.
    pub fn check(&self, status: u16, body_bytes: u64) -> Result<()> {
        ensure!(self.status == status, "the answer was {}", self.status);
        ensure!(
            self.body_bytes == body_bytes,
            "the answer had {} bytes instead of {body_bytes}",
            self.body_bytes
        );
        Ok(())
    }
}

/// One answer being read.
#[derive(Debug)]
pub struct Reading {
    answer: Answer,
    part: Part,
}

#[derive(Debug)]
enum Part {
    /// Collects the head while it comes in pieces.
    Head(Vec<u8>),
    Sized {
        left: u64,
    },
    ChunkSize {
        size: u64,
        has_digits: bool,
    },
    ChunkExtension {
        size: u64,
    },
    ChunkData {
        left: u64,
    },
    ChunkEnd,
    Trailer {
        line_bytes: u64,
    },
    Done,
}

/// Past this a head is not one of ours.
const HEAD_BYTES_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 64;

impl Default for Reading {
    fn default() -> Self {
        Self {
            answer: Answer { status: 0, body_bytes: 0, keeps_connection: true },
            part: Part::Head(Vec::new()),
        }
    }
}

impl Reading {
    /// Takes the next bytes. The answer, once it is complete.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<Option<Answer>> {
        while !bytes.is_empty() {
            bytes = self.step(bytes)?;
            if matches!(self.part, Part::Done) {
                ensure!(bytes.is_empty(), "there were bytes behind the end of the answer");
                return Ok(Some(self.answer));
            }
        }
        Ok(None)
    }

    /// Moves on by at least one byte, and returns the bytes not looked at yet.
    fn step<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8]> {
        match &mut self.part {
            Part::Head(earlier) if earlier.is_empty() => {
                let Some((part, used)) = head(&mut self.answer, bytes)? else {
                    earlier.extend_from_slice(bytes);
                    return Ok(&[]);
                };
                self.part = part;
                Ok(&bytes[used..])
            }
            Part::Head(earlier) => {
                let before = earlier.len();
                earlier.extend_from_slice(bytes);
                ensure!(earlier.len() <= HEAD_BYTES_MAX, "the head of the answer does not end");
                let Some((part, used)) = head(&mut self.answer, earlier)? else {
                    return Ok(&[]);
                };
                self.part = part;
                Ok(&bytes[used - before..])
            }
            Part::Sized { left } => {
                let (taken, rest) = split(bytes, *left);
                *left -= taken;
                self.answer.body_bytes += taken;
                if *left == 0 {
                    self.part = Part::Done;
                }
                Ok(rest)
            }
            Part::ChunkData { left } => {
                let (taken, rest) = split(bytes, *left);
                *left -= taken;
                self.answer.body_bytes += taken;
                if *left == 0 {
                    self.part = Part::ChunkEnd;
                }
                Ok(rest)
            }
            _ => {
                self.framing(bytes[0])?;
                Ok(&bytes[1..])
            }
        }
    }

    /// One byte of what stands between the chunks.
    fn framing(&mut self, byte: u8) -> Result<()> {
        self.part = match (&self.part, byte) {
            (Part::ChunkSize { size, has_digits: true }, b'\r' | b';') => {
                Part::ChunkExtension { size: *size }
            }
            (Part::ChunkSize { size, .. }, _) => {
                let digit = char::from(byte).to_digit(16).context("a chunk size is not hexadecimal")?;
                let size = size
                    .checked_mul(16)
                    .and_then(|size| size.checked_add(u64::from(digit)))
                    .context("a chunk size overflows")?;
                Part::ChunkSize { size, has_digits: true }
            }
            (Part::ChunkExtension { size: 0 }, b'\n') => Part::Trailer { line_bytes: 0 },
            (Part::ChunkExtension { size }, b'\n') => Part::ChunkData { left: *size },
            (Part::ChunkExtension { size }, _) => Part::ChunkExtension { size: *size },
            (Part::ChunkEnd, b'\r') => Part::ChunkEnd,
            (Part::ChunkEnd, b'\n') => Part::ChunkSize { size: 0, has_digits: false },
            (Part::Trailer { line_bytes: 0 }, b'\n') => Part::Done,
            (Part::Trailer { .. }, b'\n') => Part::Trailer { line_bytes: 0 },
            (Part::Trailer { line_bytes }, b'\r') => Part::Trailer { line_bytes: *line_bytes },
            (Part::Trailer { line_bytes }, _) => Part::Trailer { line_bytes: line_bytes + 1 },
            (part, byte) => bail!("unexpected byte {byte:#04x} in {part:?}"),
        };
        Ok(())
    }
}

/// Parses a head if it is there as a whole: what follows it, and its length.
fn head(answer: &mut Answer, bytes: &[u8]) -> Result<Option<(Part, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(used) = parsed.parse(bytes).context("the answer is not HTTP/1")? else {
        return Ok(None);
    };
    answer.status = parsed.code.context("the answer has no status")?;
    if (100..200).contains(&answer.status) {
        return Ok(Some((Part::Head(Vec::new()), used)));
    }
    let mut length = None;
    let mut is_chunked = false;
    for header in parsed.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            let value = std::str::from_utf8(header.value).context("a content-length is not a number")?;
            length = Some(value.trim().parse().context("a content-length is not a number")?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            is_chunked = header.value.eq_ignore_ascii_case(b"chunked");
        } else if header.name.eq_ignore_ascii_case("connection") {
            answer.keeps_connection = !header.value.eq_ignore_ascii_case(b"close");
        }
    }
    let part = match (is_chunked, length) {
        (true, _) => Part::ChunkSize { size: 0, has_digits: false },
        (false, Some(0)) => Part::Done,
        (false, Some(left)) => Part::Sized { left },
        (false, None) if answer.status == 204 => Part::Done,
        (false, None) => bail!("the answer ({}) has neither a length nor chunks", answer.status),
    };
    Ok(Some((part, used)))
}

fn split(bytes: &[u8], at_most: u64) -> (u64, &[u8]) {
    let taken = usize::try_from(at_most).map_or(bytes.len(), |most| most.min(bytes.len()));
    (taken as u64, &bytes[taken..])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the answer whole, and again byte by byte: both must come to the same.
    fn read(text: &str) -> Result<Option<Answer>> {
        let whole = Reading::default().push(text.as_bytes())?;
        let mut reading = Reading::default();
        let mut last = None;
        for byte in text.as_bytes() {
            last = reading.push(std::slice::from_ref(byte))?;
        }
        assert_eq!(whole, last, "{text:?}");
        Ok(whole)
    }

    fn answer(status: u16, body_bytes: u64, keeps_connection: bool) -> Option<Answer> {
        Some(Answer { status, body_bytes, keeps_connection })
    }

    #[test]
    fn answers_end_where_they_say() -> Result<()> {
        for (text, expected) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", answer(200, 2, true)),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok", answer(200, 2, false)),
            ("HTTP/1.1 204 No Content\r\n\r\n", answer(204, 0, true)),
            ("HTTP/1.1 503 Away\r\nContent-Length: 0\r\n\r\n", answer(503, 0, true)),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                answer(200, 2, true),
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n1A;x=y\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n",
                answer(200, 28, true),
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nDigest: x\r\n\r\n",
                answer(200, 1, true),
            ),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", None),
            ("HTTP/1.1 200 OK\r\nContent-Le", None),
        ] {
            assert_eq!(read(text)?, expected, "{text:?}");
        }
        Ok(())
    }

    #[test]
    fn broken_answers_are_errors() {
        for text in [
            "SSH-2.0-OpenSSH_9.2p1\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok!",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n",
        ] {
            assert!(Reading::default().push(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn only_the_right_status_with_the_right_length_passes() {
        let answer = Answer { status: 200, body_bytes: 2, keeps_connection: true };
        assert!(answer.check(200, 2).is_ok());
        assert!(answer.check(200, 3).is_err());
        assert!(Answer { status: 202, ..answer }.check(200, 2).is_err());
    }
}
