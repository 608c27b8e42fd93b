//! The relay's own signature on what it sends: Standard Webhooks, `v1`, HMAC-SHA256.
//!
//! Each destination has a secret of its own, made from one key of the server and the destination's number: nothing
//! secret stands in the database, and a backup without the key can sign nothing.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use link::EndpointSecret;
use protocol::id::EventId;
use ring::hmac;

use crate::delivery::tunnelled::StoredBody;
use crate::model::DestinationId;

/// What the server signs with. Shows nothing of itself in `Debug`. Cheap to clone.
#[derive(Clone)]
pub struct SigningKey(hmac::Key);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

impl SigningKey {
    /// The key in `path`, or `fresh`, kept there for this user only.
    ///
    /// # Errors
    /// When the file cannot be read or made, or holds something else.
    pub fn load_or_keep(path: &Path, fresh: [u8; 32]) -> io::Result<Self> {
        let secret = EndpointSecret::load_or_keep(path, fresh)?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &secret.derive("webhook signatures"))))
    }

    fn secret_bytes(&self, destination: DestinationId) -> hmac::Tag {
        hmac::sign(&self.0, format!("destination {}", destination.0).as_bytes())
    }

    /// The destination's secret as its receiver needs it: `whsec_` and base64.
    #[must_use]
    pub fn secret(&self, destination: DestinationId) -> String {
        format!("whsec_{}", STANDARD.encode(self.secret_bytes(destination)))
    }

    /// The header fields that sign this body at this time. Reads the body if it is in a file: blocks.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn sign(
        &self,
        destination: DestinationId,
        event: EventId,
        unix_s: u64,
        body: &StoredBody,
    ) -> io::Result<[(&'static str, String); 3]> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.secret_bytes(destination).as_ref());
        let mut signing = hmac::Context::with_key(&key);
        signing.update(format!("{event}.{unix_s}.").as_bytes());
        match body {
            StoredBody::Bytes(bytes) => signing.update(bytes),
            StoredBody::File(path, _) => {
                let mut file = File::open(path)?;
                let mut chunk = vec![0; 64 * 1024];
                loop {
                    match file.read(&mut chunk)? {
                        0 => break,
                        read => signing.update(&chunk[..read]),
                    }
                }
            }
        }
        let signature = format!("v1,{}", STANDARD.encode(signing.sign()));
        Ok([
            ("Webhook-Id", event.to_string()),
            ("Webhook-Timestamp", unix_s.to_string()),
            ("Webhook-Signature", signature),
        ])
    }
}
