//! Who a server is: a certificate of a public authority, or a key of its own that agents pin.
//!
//! A pin is the SHA-256 of the public key (SubjectPublicKeyInfo), so a certificate may be renewed around the same key.

use std::fmt;
use std::io;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use ring::digest;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

/// SHA-256 of a server's public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin([u8; 32]);

/// Text that is not a pin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a pin: expected `sha256:` and 64 hexadecimal digits")]
pub struct PinError;

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl FromStr for Pin {
    type Err = PinError;
    fn from_str(text: &str) -> Result<Self, PinError> {
        let digits = text.strip_prefix("sha256:").ok_or(PinError)?.as_bytes();
        let mut pin = [0; 32];
        if digits.len() != 64 {
            return Err(PinError);
        }
        for (byte, pair) in pin.iter_mut().zip(digits.chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| PinError)?;
            if !pair.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(PinError);
            }
            *byte = u8::from_str_radix(pair, 16).map_err(|_| PinError)?;
        }
        Ok(Self(pin))
    }
}

impl Pin {
    fn of_certificate(certificate: &CertificateDer<'_>) -> Result<Self, Error> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        let hash = digest::digest(&digest::SHA256, &parsed.subject_public_key_info());
        Ok(Self(hash.as_ref().try_into().expect("SHA-256 gives 32 bytes")))
    }
}

/// Certificate chain and key of a server.
#[derive(Debug)]
pub struct ServerIdentity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
    pin: Pin,
}

/// Writes a file only its owner can read, whole or not at all. When this returns it survives a power cut.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write;
    let partial = path.with_extension("partial");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&partial)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&partial, path)?;
    // The new name is in the directory, which is synced by itself.
    #[cfg(unix)]
    if let Some(dir) = path.parent() {
        // An empty parent means here.
        std::fs::File::open(dir.join("."))?.sync_all()?;
    }
    Ok(())
}

impl ServerIdentity {
    /// The server's own key, made on the first call and kept in `dir` (`tunnel-key.pem`, `tunnel-cert.pem`).
    ///
    /// # Errors
    /// When the files cannot be read, written or understood.
    pub fn load_or_make(dir: &Path) -> io::Result<Self> {
        let (cert, key) = (dir.join("tunnel-cert.pem"), dir.join("tunnel-key.pem"));
        if !key.exists() || !cert.exists() {
            // Agents pin the key: as long as it is there, only the certificate around it is made anew.
            let pair = match std::fs::read_to_string(&key) {
                Ok(pem) => rcgen::KeyPair::from_pem(&pem),
                Err(error) if error.kind() == io::ErrorKind::NotFound => rcgen::KeyPair::generate(),
                Err(error) => return Err(error),
            };
            let pair = pair.map_err(|error| io::Error::other(format!("{}: {error}", key.display())))?;
            let params =
                rcgen::CertificateParams::new(vec!["relay.invalid".to_owned()]).map_err(io::Error::other)?;
            let certificate = params.self_signed(&pair).map_err(io::Error::other)?;
            write_private(&key, pair.serialize_pem().as_bytes())?;
            write_private(&cert, certificate.pem().as_bytes())?;
        }
        Self::from_files(&cert, &key)
    }

    /// A chain and key from PEM files.
    ///
    /// # Errors
    /// When the files cannot be read, or hold no certificate or no key.
    pub fn from_files(cert: &Path, key: &Path) -> io::Result<Self> {
        let bad =
            |path: &Path, error: &dyn fmt::Display| io::Error::other(format!("{}: {error}", path.display()));
        let chain: Vec<_> = CertificateDer::pem_file_iter(cert)
            .and_then(Iterator::collect)
            .map_err(|error| bad(cert, &error))?;
        let first = chain.first().ok_or_else(|| bad(cert, &"no certificate in this file"))?;
        let pin = Pin::of_certificate(first).map_err(|error| bad(cert, &error))?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(|error| bad(key, &error))?;
        Ok(Self { chain, key, pin })
    }

    /// What agents pin.
    #[must_use]
    pub fn pin(&self) -> Pin {
        self.pin
    }
}

/// Accepts exactly one key, whatever the certificate around it says.
#[derive(Debug)]
pub(crate) struct PinnedVerifier {
    pin: Pin,
    provider: Arc<CryptoProvider>,
}

impl PinnedVerifier {
    pub(crate) fn new(pin: Pin, provider: Arc<CryptoProvider>) -> Self {
        Self { pin, provider }
    }
}

impl ServerCertVerifier for PinnedVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if Pin::of_certificate(end_entity)? == self.pin {
            return Ok(ServerCertVerified::assertion());
        }
        Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    // The signatures prove that the peer holds the pinned key.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_reads_back_from_its_text_and_nothing_else_does() {
        let pin = Pin([0xa5; 32]);
        assert_eq!(pin.to_string().parse(), Ok(pin));
        for bad in ["", "sha256:", "sha256:a5", &pin.to_string()[7..], &"sha256:+5".repeat(32), "sha256:ä"] {
            assert_eq!(bad.parse::<Pin>(), Err(PinError), "{bad}");
        }
    }

    #[test]
    fn the_servers_own_key_is_made_once_and_kept_private() {
        let dir = tempfile::tempdir().expect("temp dir");
        let first = ServerIdentity::load_or_make(dir.path()).expect("made").pin();
        assert_eq!(ServerIdentity::load_or_make(dir.path()).expect("kept").pin(), first);
        std::fs::remove_file(dir.path().join("tunnel-cert.pem")).expect("removed");
        assert_eq!(ServerIdentity::load_or_make(dir.path()).expect("made around it").pin(), first);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = dir.path().join("tunnel-key.pem").metadata().expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
}
