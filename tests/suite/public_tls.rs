//! TLS at the public port: certificate files, read again when they change.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use relay_server::config::TlsFiles;
use relay_tests::World;
use relay_tests::app::{App, Behaviour, ok};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

/// Writes a new certificate for `hooks.test` and gives it.
fn new_certificate(dir: &Path) -> CertificateDer<'static> {
    let pair = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec!["hooks.test".to_owned()]).expect("a name");
    let certificate = params.self_signed(&pair).expect("a certificate");
    std::fs::write(dir.join("key.pem"), pair.serialize_pem()).expect("written");
    std::fs::write(dir.join("cert.pem"), certificate.pem()).expect("written");
    certificate.der().clone()
}

/// Sends a request over TLS, trusting exactly this certificate; `None` when the server shows another.
async fn post(addr: SocketAddr, trusted: &CertificateDer<'static>) -> Option<String> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = tokio::net::TcpStream::connect(addr).await.expect("a connection");
    let name = ServerName::try_from("hooks.test").expect("a name");
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
    let request =
        b"POST /h/hook HTTP/1.1\r\nHost: hooks.test\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx";
    stream.write_all(request).await.expect("written");
    let mut answer = Vec::new();
    // The end may come without a TLS farewell; what was read counts.
    let _ = stream.read_to_end(&mut answer).await;
    Some(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn a_renewed_certificate_is_used_without_a_restart_and_a_broken_one_is_not() {
    let dir = tempfile::tempdir().expect("a temp dir");
    let first = new_certificate(dir.path());
    let files = TlsFiles { cert: dir.path().join("cert.pem"), key: dir.path().join("key.pem") };
    let mut world = World::with(|config| config.public.tls = Some(files)).await;
    assert!(world.addresses().public_url.starts_with("https://"));
    let app = App::start(Behaviour::Say(ok("secure"))).await;
    let _agent = world.agent("hook", app.addr()).await;
    let answer = post(world.public(), &first).await.expect("the first certificate");
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("secure"), "{answer}");
    assert_eq!(app.only().await.values("x-forwarded-proto"), ["https"]);

    let second = new_certificate(dir.path());
    let replaced = Instant::now();
    while post(world.public(), &second).await.is_none() {
        assert!(replaced.elapsed() < Duration::from_secs(15), "the new certificate is not used");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(post(world.public(), &first).await.is_none(), "the old one is gone");

    std::fs::write(dir.path().join("cert.pem"), "not a certificate").expect("written");
    let broken = Instant::now();
    while broken.elapsed() < Duration::from_secs(3) {
        assert!(post(world.public(), &second).await.is_some(), "a broken file keeps the certificate in use");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
