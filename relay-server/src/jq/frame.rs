//! What the relay and a jq worker say to each other over the worker's stdin and stdout.
//!
//! A question is a kind, two lengths, the expression and the input; an answer is a kind, a length and its bytes.
//! Lengths are little endian. Both sides are one program, so the form may change with any release.

use std::io;

/// Bytes before the expression of a question: kind, length of the expression, length of the input.
pub(super) const QUESTION_HEAD_BYTES: usize = 9;

/// Bytes before the text of an answer: kind, length.
pub(super) const ANSWER_HEAD_BYTES: usize = 5;

/// Longest text that explains a failure, in characters. It is for people, not for data.
pub(super) const TEXT_CHARS_MAX: usize = 500;

/// Most bytes of such a text: four a character, and the three of the ellipsis of one that was cut.
pub(super) const TEXT_BYTES_MAX: usize = 4 * TEXT_CHARS_MAX + 3;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    /// Does the expression compile?
    Check,
    /// What is its first output?
    Run,
}

/// A head of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct QuestionHead {
    pub kind: Question,
    pub expression_bytes: u32,
    pub input_bytes: u32,
}

impl QuestionHead {
    pub(super) fn to_bytes(self) -> [u8; QUESTION_HEAD_BYTES] {
        let mut bytes = [0; QUESTION_HEAD_BYTES];
        bytes[0] = match self.kind {
            Question::Check => 0,
            Question::Run => 1,
        };
        bytes[1..5].copy_from_slice(&self.expression_bytes.to_le_bytes());
        bytes[5..].copy_from_slice(&self.input_bytes.to_le_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: [u8; QUESTION_HEAD_BYTES]) -> io::Result<Self> {
        let [kind, e0, e1, e2, e3, i0, i1, i2, i3] = bytes;
        let kind = match kind {
            0 => Question::Check,
            1 => Question::Run,
            _ => return Err(malformed("a question of no known kind")),
        };
        Ok(Self {
            kind,
            expression_bytes: u32::from_le_bytes([e0, e1, e2, e3]),
            input_bytes: u32::from_le_bytes([i0, i1, i2, i3]),
        })
    }
}

/// What a worker answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Its limits are set; it waits for questions. Said once, unasked.
    Ready,
    /// It compiles; or it ran and gave no output.
    Nothing,
    /// The first output, as JSON.
    Output(Vec<u8>),
    /// It does not compile, and why.
    Invalid(String),
    /// It raised an error, and which.
    Failed(String),
    /// Input or output is beyond a cap.
    TooLarge,
}

impl Answer {
    fn parts(&self) -> (u8, &[u8]) {
        match self {
            Self::Ready => (0, &[]),
            Self::Nothing => (1, &[]),
            Self::Output(json) => (2, json),
            Self::Invalid(text) => (3, text.as_bytes()),
            Self::Failed(text) => (4, text.as_bytes()),
            Self::TooLarge => (5, &[]),
        }
    }

    pub(super) fn write(&self, to: &mut impl io::Write) -> io::Result<()> {
        let (kind, text) = self.parts();
        let length = u32::try_from(text.len()).map_err(|_| malformed("an answer of more than 4 GiB"))?;
        let [l0, l1, l2, l3] = length.to_le_bytes();
        to.write_all(&[kind, l0, l1, l2, l3])?;
        to.write_all(text)?;
        to.flush()
    }

    /// How many bytes follow `head`, which must be within what its kind may have.
    pub(super) fn text_bytes(head: [u8; ANSWER_HEAD_BYTES], output_bytes_max: usize) -> io::Result<usize> {
        let [kind, l0, l1, l2, l3] = head;
        let most = match kind {
            2 => output_bytes_max,
            3 | 4 => TEXT_BYTES_MAX,
            _ => 0,
        };
        let length = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
        if length > most {
            return Err(malformed("an answer longer than agreed"));
        }
        Ok(length)
    }

    pub(super) fn from_parts(head: [u8; ANSWER_HEAD_BYTES], text: Vec<u8>) -> io::Result<Self> {
        let words = |text| String::from_utf8(text).map_err(|_| malformed("an answer that is no text"));
        match head[0] {
            0 => Ok(Self::Ready),
            1 => Ok(Self::Nothing),
            2 => Ok(Self::Output(text)),
            3 => Ok(Self::Invalid(words(text)?)),
            4 => Ok(Self::Failed(words(text)?)),
            5 => Ok(Self::TooLarge),
            _ => Err(malformed("an answer of no known kind")),
        }
    }
}

pub(super) fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(answer: &Answer, output_bytes_max: usize) -> io::Result<Answer> {
        let mut said = Vec::new();
        answer.write(&mut said)?;
        let (head, text) = said.split_first_chunk::<ANSWER_HEAD_BYTES>().expect("a head");
        assert_eq!(Answer::text_bytes(*head, output_bytes_max)?, text.len());
        Answer::from_parts(*head, text.to_vec())
    }

    #[test]
    fn what_is_said_is_what_is_heard() {
        for kind in [Question::Check, Question::Run] {
            let head = QuestionHead { kind, expression_bytes: 7, input_bytes: 0x0102_0304 };
            assert_eq!(QuestionHead::from_bytes(head.to_bytes()).expect("own bytes"), head);
        }
        for answer in [
            Answer::Ready,
            Answer::Nothing,
            Answer::Output(b"[1]".to_vec()),
            Answer::Invalid("line 1".to_owned()),
            Answer::Failed("é".to_owned()),
            Answer::TooLarge,
        ] {
            assert_eq!(heard(&answer, 3).expect("own bytes"), answer);
        }
    }

    #[test]
    fn an_answer_beyond_its_cap_is_not_read() {
        assert!(heard(&Answer::Output(b"[10]".to_vec()), 3).is_err());
        assert!(heard(&Answer::Failed("x".repeat(TEXT_BYTES_MAX + 1)), usize::MAX).is_err());
        assert!(Answer::text_bytes([0, 1, 0, 0, 0], usize::MAX).is_err(), "nothing follows a ready");
        assert!(Answer::from_parts([9, 0, 0, 0, 0], Vec::new()).is_err());
        assert!(QuestionHead::from_bytes([2, 0, 0, 0, 0, 0, 0, 0, 0]).is_err());
    }
}
