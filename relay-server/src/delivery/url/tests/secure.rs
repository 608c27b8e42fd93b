//! TLS: only to whoever proves the name of the URL.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

use super::*;

/// A certificate authority that nobody has heard of.
struct Authority {
    root: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).unwrap().der().clone();
        Self { root, issuer: Issuer::new(params, key) }
    }

    fn acceptor(&self, name: &str, protocols: &[&[u8]]) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }

    fn believed(&self) -> UrlSender {
        let (resolver, _) = resolver(&[&["127.0.0.1"]]);
        let roots = vec![self.root.clone()];
        UrlSender::with_roots(policy(&["127.0.0.1/32"]), Tasks::default(), roots)
            .unwrap()
            .with_resolver(resolver)
    }
}

/// Sends to `https://host`; gives what came of it, and of the app's side: the name asked for, the protocol, the head.
async fn ask(
    sender: UrlSender,
    host: &str,
    acceptor: TlsAcceptor,
) -> (UrlResult, Option<(Option<String>, Option<Vec<u8>>, String)>) {
    let (listener, addr) = listen().await;
    let request = request(&format!("https://{host}:{}/hook", addr.port()));
    let app = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(stream).await.ok()?;
        let (head, _) = read_request(&mut stream).await;
        let (_, tls) = stream.get_ref();
        let seen = (tls.server_name().map(str::to_owned), tls.alpn_protocol().map(<[u8]>::to_vec), head);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\ndone").await.unwrap();
        stream.shutdown().await.unwrap();
        Some(seen)
    };
    bounded(async { tokio::join!(sender.send(request), app) }).await
}

#[tokio::test]
async fn an_authority_that_was_given_in_is_believed_for_the_name_of_the_url() {
    let authority = Authority::new();
    let acceptor = || authority.acceptor("app.test", &[b"h2", b"http/1.1"]);
    for (host, acceptor) in [("app.test", acceptor()), ("App.Test.", acceptor())] {
        let (result, seen) = ask(authority.believed(), host, acceptor).await;
        let (status, _, body) = answer(&result);
        assert_eq!((status, &body.bytes[..], body.complete), (200, &b"done"[..], true));
        let (name, protocol, head) = seen.unwrap();
        assert_eq!((name.as_deref(), protocol.as_deref()), (Some("app.test"), Some(&b"http/1.1"[..])));
        assert!(head.starts_with("POST /hook HTTP/1.1\r\nHost: app.test"), "{head}");
    }
    let (result, seen) = ask(authority.believed(), "127.0.0.1", authority.acceptor("127.0.0.1", &[])).await;
    assert_eq!(answer(&result).0, 200);
    assert_eq!(seen.unwrap().0, None, "an address is no name to ask for");
}

#[tokio::test]
async fn a_certificate_that_does_not_prove_the_name_gets_nothing() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let unbelieved = {
        let (resolver, _) = resolver(&[&["127.0.0.1"]]);
        sender().with_resolver(resolver)
    };
    let cases = [
        ("another name", authority.believed(), "app.test", authority.acceptor("other.test", &[])),
        ("a stranger's", authority.believed(), "app.test", stranger.acceptor("app.test", &[])),
        ("an unknown authority's", unbelieved, "app.test", authority.acceptor("app.test", &[])),
        ("a name for an address", authority.believed(), "127.0.0.1", authority.acceptor("app.test", &[])),
        ("only HTTP/2", authority.believed(), "app.test", authority.acceptor("app.test", &[b"h2"])),
    ];
    for (what, sender, host, acceptor) in cases {
        let (result, seen) = ask(sender, host, acceptor).await;
        assert_eq!(not_sent(&result), "tls_failed", "{what}");
        assert_eq!(seen, None, "{what}");
    }
}

#[tokio::test]
async fn a_server_without_tls_gets_nothing() {
    let (listener, addr) = listen().await;
    let sender = sender();
    let app = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let mut seen = Vec::new();
        let _ = stream.read_to_end(&mut seen).await;
        seen
    };
    let request = request(&format!("https://{addr}/"));
    let (result, seen) = bounded(async { tokio::join!(sender.send(request), app) }).await;
    assert_eq!(not_sent(&result), "tls_failed");
    assert!(memchr::memmem::find(&seen, b"POST").is_none());
}

#[tokio::test]
async fn a_server_that_accepts_and_says_nothing_is_given_up_unsent() {
    let (listener, addr) = listen().await;
    let timeout = Duration::from_millis(300);
    let request = UrlRequest { timeout, ..request(&format!("https://{addr}/")) };
    let result = bounded(sender().send(request)).await;
    assert_eq!(not_sent(&result), "connect_timeout");
    assert!(was_connected_to(listener));
}

#[tokio::test]
async fn an_answer_that_tls_does_not_end_is_not_whole() {
    let authority = Authority::new();
    let (listener, addr) = listen().await;
    let acceptor = authority.acceptor("app.test", &[]);
    let app = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(stream).await.unwrap();
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhalf").await.unwrap();
        stream.flush().await.unwrap();
        // The connection goes without the word that says so: anybody in between could have cut it.
        let (mut tcp, _) = stream.into_inner();
        tcp.shutdown().await.unwrap();
    };
    let sender = authority.believed();
    let request = request(&format!("https://app.test:{}/", addr.port()));
    let (result, ()) = bounded(async { tokio::join!(sender.send(request), app) }).await;
    let (status, _, body) = answer(&result);
    assert_eq!((status, &body.bytes[..], body.complete), (200, &b"half"[..], false));
}
