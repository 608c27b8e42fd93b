//! The secret a server's endpoint keeps across restarts.
//!
//! With it a restarted server can tell its agents at once that their connections are gone (stateless reset) instead
//! of leaving them to their idle timeout. Both keys must persist: a connection id that was not made with our key is
//! dropped before the reset path is reached.

use std::io;
use std::path::Path;

use ring::hmac;

const SECRET_BYTES: usize = 32;

/// 32 random bytes, and the keys derived from them.
#[derive(Clone)]
pub struct EndpointSecret([u8; SECRET_BYTES]);

impl EndpointSecret {
    /// A secret from its bytes.
    #[must_use]
    pub const fn new(bytes: [u8; SECRET_BYTES]) -> Self {
        Self(bytes)
    }

    /// Reads the secret from `path`, or keeps `fresh` there, readable by its owner only.
    ///
    /// # Errors
    /// When the file cannot be read or written, or is not 32 bytes long.
    pub fn load_or_keep(path: &Path, fresh: [u8; SECRET_BYTES]) -> io::Result<Self> {
        match std::fs::read(path) {
            Ok(bytes) => bytes.try_into().map(Self).map_err(|_| {
                io::Error::other(format!(
                    "{} should hold 32 bytes; remove it and start again",
                    path.display()
                ))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                crate::identity::write_private(path, &fresh)?;
                Ok(Self(fresh))
            }
            Err(error) => Err(error),
        }
    }

    /// A key made of the secret, for this use alone.
    #[must_use]
    pub fn derive(&self, label: &str) -> [u8; 32] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.0), label.as_bytes());
        tag.as_ref().try_into().expect("SHA-256 gives 32 bytes")
    }

    pub(crate) fn reset_key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.derive("stateless reset"))
    }

    pub(crate) fn connection_id_key(&self) -> u64 {
        let key = self.derive("connection ids");
        u64::from_le_bytes([key[0], key[1], key[2], key[3], key[4], key[5], key[6], key[7]])
    }

    pub(crate) fn token_key(&self) -> ring::hkdf::Prk {
        ring::hkdf::Salt::new(ring::hkdf::HKDF_SHA256, &[]).extract(&self.derive("address validation"))
    }
}
