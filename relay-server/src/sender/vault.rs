//! Secrets of sources at rest: encrypted with a key of the server that is not in the database.

use std::io;
use std::path::Path;

use link::EndpointSecret;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::entropy;
use crate::model::SourceId;

/// First byte of what is sealed: the way it was done.
const VERSION: u8 = 1;

/// Seals and opens. Shows nothing of itself in `Debug`.
pub struct Vault(LessSafeKey);

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(…)")
    }
}

impl Vault {
    /// A vault with this key.
    #[must_use]
    pub fn new(key: &EndpointSecret) -> Self {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &key.derive("secrets of sources"));
        Self(LessSafeKey::new(key.expect("32 bytes are a key")))
    }

    /// With the key in `path`, or `fresh`, kept there for this user only.
    ///
    /// # Errors
    /// When the file cannot be read or made, or holds something else.
    pub fn load_or_keep(path: &Path, fresh: [u8; 32]) -> io::Result<Self> {
        EndpointSecret::load_or_keep(path, fresh).map(|key| Self::new(&key))
    }

    /// The secret as it may lie in a database, good for this source only.
    #[must_use]
    pub fn seal(&self, source: SourceId, secret: &str) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = entropy::random();
        let mut sealed = secret.as_bytes().to_vec();
        let nonce_of_use = Nonce::assume_unique_for_key(nonce);
        self.0
            .seal_in_place_append_tag(nonce_of_use, aad(source), &mut sealed)
            .expect("a secret is far shorter than what the cipher takes");
        [&[VERSION], &nonce[..], &sealed].concat()
    }

    /// What was sealed; `None` where it was with another key, for another source, or is none.
    #[must_use]
    pub fn open(&self, source: SourceId, sealed: &[u8]) -> Option<String> {
        let (version, rest) = sealed.split_first()?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
        if *version != VERSION {
            return None;
        }
        let mut opened = sealed.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let secret = self.0.open_in_place(nonce, aad(source), &mut opened).ok()?;
        String::from_utf8(secret.to_vec()).ok()
    }
}

fn aad(source: SourceId) -> Aad<Vec<u8>> {
    Aad::from(format!("source {}", source.0).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_for_its_source_with_its_key_alone() {
        let vault = Vault::new(&EndpointSecret::new([1; 32]));
        let sealed = vault.seal(SourceId(7), "whsec_abc");
        assert!(!sealed.windows(5).any(|bytes| bytes == b"whsec"));
        assert_eq!(vault.open(SourceId(7), &sealed).as_deref(), Some("whsec_abc"));
        assert_eq!(vault.open(SourceId(8), &sealed), None);
        assert_eq!(Vault::new(&EndpointSecret::new([2; 32])).open(SourceId(7), &sealed), None);
        assert_ne!(vault.seal(SourceId(7), "whsec_abc"), sealed, "never sealed alike twice");
        for cut in 0..sealed.len() {
            assert_eq!(vault.open(SourceId(7), &sealed[..cut]), None);
            let mut turned = sealed.clone();
            turned[cut] ^= 1;
            assert_eq!(vault.open(SourceId(7), &turned), None, "byte {cut}");
        }
    }
}
