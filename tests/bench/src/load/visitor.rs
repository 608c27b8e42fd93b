//! One connection of a sender: dial, write a request, read its answer.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::answer::{Answer, Reading};
use super::{Method, Plan};

/// A request as bytes, ready to send any number of times.
#[derive(Debug)]
pub struct Request {
    /// The head, and the body too where it is small: one write is one packet.
    opening: Vec<u8>,
    /// The rest of the body is this, over and over.
    filling: Vec<u8>,
    rest_bytes: u64,
}

const FILLING_BYTES: u64 = 64 << 10;

impl Request {
    pub fn render(plan: &Plan) -> Self {
        let method = match plan.method {
            Method::Get => "GET",
            Method::Post => "POST",
        };
        let mut opening = format!("{method} {} HTTP/1.1\r\nHost: {}\r\n", plan.path, plan.to);
        if plan.method == Method::Post {
            opening.push_str("Content-Type: application/json\r\n");
            opening.push_str(&format!("Content-Length: {}\r\n", plan.body_bytes));
        }
        if plan.is_fresh {
            opening.push_str("Connection: close\r\n");
        }
        opening.push_str("\r\n");
        let mut opening = opening.into_bytes();
        if plan.body_bytes <= FILLING_BYTES {
            opening.extend(json_of(plan.body_bytes));
            return Self { opening, filling: Vec::new(), rest_bytes: 0 };
        }
        Self { opening, filling: json_of(FILLING_BYTES), rest_bytes: plan.body_bytes }
    }
}

/// JSON of exactly this many bytes; spaces where an object does not fit.
fn json_of(bytes: u64) -> Vec<u8> {
    const FRAME: &str = r#"{"kind":"measured","padding":""}"#;
    let bytes = usize::try_from(bytes).expect("a piece of a body fits into memory");
    match bytes.checked_sub(FRAME.len()) {
        Some(padding) => FRAME.replace(r#":""}"#, &format!(r#":"{}"}}"#, "x".repeat(padding))).into_bytes(),
        None => vec![b' '; bytes],
    }
}

/// Opens connections to one address, with TLS or without.
pub struct Dialer {
    to: SocketAddr,
    tls: Option<TlsConnector>,
}

impl Dialer {
    /// `certificate`: speak TLS, and trust this one certificate (PEM) and no other.
    pub fn new(to: SocketAddr, certificate: Option<&Path>) -> Result<Self> {
        let tls = certificate.map(pinned).transpose()?;
        Ok(Self { to, tls })
    }

    /// `answer_bytes` is a hint how much to read at a time.
    pub async fn dial(&self, answer_bytes: u64) -> Result<Visitor> {
        let stream =
            TcpStream::connect(self.to).await.with_context(|| format!("cannot reach {}", self.to))?;
        stream.set_nodelay(true)?;
        let stream: Box<dyn Duplex> = match &self.tls {
            None => Box::new(stream),
            Some(tls) => {
                let name = ServerName::IpAddress(self.to.ip().into());
                Box::new(tls.connect(name, stream).await.context("the TLS handshake failed")?)
            }
        };
        let buffer_bytes =
            if answer_bytes > SMALL_BUFFER_BYTES as u64 { LARGE_BUFFER_BYTES } else { SMALL_BUFFER_BYTES };
        Ok(Visitor { stream, buffer: vec![0; buffer_bytes] })
    }
}

const SMALL_BUFFER_BYTES: usize = 4 << 10;
const LARGE_BUFFER_BYTES: usize = 256 << 10;

fn pinned(certificate: &Path) -> Result<TlsConnector> {
    let certificate = CertificateDer::from_pem_file(certificate)
        .with_context(|| format!("cannot read the certificate {}", certificate.display()))?;
    let mut roots = RootCertStore::empty();
    roots.add(certificate)?;
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// One open connection.
pub struct Visitor {
    stream: Box<dyn Duplex>,
    buffer: Vec<u8>,
}

impl Visitor {
    pub async fn exchange(&mut self, request: &Request) -> Result<Answer> {
        let written = self.write(request).await.context("cannot send the request");
        // Who refuses a large body answers before its end, and that answer says more than the broken pipe.
        match (written, self.read().await) {
            (Err(error), Err(_)) => Err(error),
            (_, read) => read,
        }
    }

    async fn read(&mut self) -> Result<Answer> {
        let mut reading = Reading::default();
        loop {
            let bytes = self.stream.read(&mut self.buffer).await.context("cannot read the answer")?;
            ensure!(bytes > 0, "the connection ended before the answer did");
            if let Some(answer) = reading.push(&self.buffer[..bytes])? {
                return Ok(answer);
            }
        }
    }

    async fn write(&mut self, request: &Request) -> Result<()> {
        self.stream.write_all(&request.opening).await?;
        let mut left = request.rest_bytes;
        while left > 0 {
            let piece = left.min(request.filling.len() as u64);
            let end = usize::try_from(piece).expect("a piece is at most the filling");
            self.stream.write_all(&request.filling[..end]).await?;
            left -= piece;
        }
        // TLS may still hold the last record.
        self.stream.flush().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_json_of_exactly_the_length_asked_for() {
        for bytes in [32, 33, 1_024, FILLING_BYTES] {
            let body = json_of(bytes);
            assert_eq!(body.len() as u64, bytes);
            assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok());
        }
        assert_eq!(json_of(3), b"   ");
        assert_eq!(json_of(0), b"");
    }
}
