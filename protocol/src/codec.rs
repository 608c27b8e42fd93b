//! The one place that knows bincode.
//!
//! Messages are encoded with bincode 2.0.1: little endian, variable-length integers, a hard limit on what a decode
//! may claim, and no trailing bytes. bincode is no longer developed (RUSTSEC-2025-0141); nothing else in the house
//! names it, so that replacing it is a change to this file and to the protocol's version.

pub use bincode::de::Decoder;
pub use bincode::enc::Encoder;
pub use bincode::error::{DecodeError, EncodeError};
pub(crate) use bincode::impl_borrow_decode;
pub use bincode::{Decode, Encode};

use crate::limits::HEAD_FRAME_BYTES_MAX;

/// bincode counts claims in memory, not on the wire: a sequence of small elements claims more than it carries.
const CLAIM_BYTES_MAX: usize = 4 * HEAD_FRAME_BYTES_MAX;

fn config() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<CLAIM_BYTES_MAX>()
}

/// Bytes that are not the message they should be.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The bytes end early, claim too much, or hold a value no message has.
    #[error("malformed message: {0}")]
    Malformed(#[from] DecodeError),
    /// A whole message, and then something else.
    #[error("malformed message: {0} bytes after its end")]
    Trailing(usize),
}

/// Encodes a message. Messages are built from values that fit, so this cannot fail on them.
pub(crate) fn encode<T: Encode>(message: &T, into: &mut Vec<u8>) {
    bincode::encode_into_std_write(message, into, bincode::config::standard())
        .expect("encoding into memory cannot fail");
}

/// Decodes exactly one message from `bytes`.
pub(crate) fn decode<T: Decode<()>>(bytes: &[u8]) -> Result<T, CodecError> {
    let (message, used) = bincode::decode_from_slice(bytes, config())?;
    match bytes.len() - used {
        0 => Ok(message),
        trailing => Err(CodecError::Trailing(trailing)),
    }
}

/// A decode error of our own: the bytes parse, but the value is not allowed.
pub(crate) fn refuse(why: &'static str) -> DecodeError {
    DecodeError::Other(why)
}

/// Optional additions to a message: `(tag, bytes)`. A reader skips the tags it does not know, so that a newer peer
/// may say more without breaking an older one (bincode itself is positional and cannot).
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Extensions(pub Vec<(u16, Vec<u8>)>);

impl Extensions {
    /// The bytes under `tag`, if the peer sent any.
    #[must_use]
    pub fn find(&self, tag: u16) -> Option<&[u8]> {
        self.0.iter().find(|(t, _)| *t == tag).map(|(_, bytes)| bytes.as_slice())
    }
}
