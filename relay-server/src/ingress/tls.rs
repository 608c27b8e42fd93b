//! TLS of the public listener: certificate files, read again when they change.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

use crate::config::TlsFiles;
use link::Tasks;

/// How often the files are looked at. Renewals come every few weeks; a minute would do, tests like it shorter.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The certificate in use.
#[derive(Debug)]
struct Current(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

fn load(files: &TlsFiles) -> io::Result<CertifiedKey> {
    let bad =
        |path: &Path, error: &dyn std::fmt::Display| io::Error::other(format!("{}: {error}", path.display()));
    let chain: Vec<_> = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect)
        .map_err(|error| bad(&files.cert, &error))?;
    if chain.is_empty() {
        return Err(bad(&files.cert, &"no certificate in this file"));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| bad(&files.key, &error))?;
    let provider = rustls::crypto::ring::default_provider();
    CertifiedKey::from_der(chain, key, &provider).map_err(|error| bad(&files.key, &error))
}

fn changed(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|m| m.modified()).ok()
}

/// An acceptor for these files, which are watched from now on.
///
/// # Errors
/// When they cannot be read or do not belong together. A later change that is broken keeps the old certificate.
pub fn acceptor(files: TlsFiles, tasks: &Tasks) -> io::Result<TlsAcceptor> {
    let current = Arc::new(Current(ArcSwap::from_pointee(load(&files)?)));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let draining = tasks.clone();
    tasks.spawn(async move {
        let mut seen = (changed(&files.cert), changed(&files.key));
        while tokio::time::timeout(LOOK_EVERY, draining.draining()).await.is_err() {
            let now = (changed(&files.cert), changed(&files.key));
            if now == seen {
                continue;
            }
            seen = now;
            match load(&files) {
                Ok(key) => {
                    current.0.store(Arc::new(key));
                    tracing::info!(cert = %files.cert.display(), "certificate loaded again");
                }
                Err(error) => tracing::warn!(%error, "new certificate cannot be used; keeping the old one"),
            }
        }
    });
    Ok(TlsAcceptor::from(Arc::new(config)))
}
