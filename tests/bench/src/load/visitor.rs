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
#[derive(Debug, Clone)]
pub struct Request {
    /// The head, and the body too where it is small: one write is one packet.
    opening: Vec<u8>,
    /// Bytes of the head.
    head_bytes: usize,
    /// The rest of the body is this, over and over.
    filling: Vec<u8>,
    rest_bytes: u64,
}

const FILLING_BYTES: u64 = 64 << 10;

impl Request {
    pub fn render(plan: &Plan) -> Self {
        let close = [("Connection", "close")];
        let fields = if plan.is_fresh { &close[..] } else { &[] };
        Self::new(plan.to, plan.method, &plan.path, fields, plan.body_bytes)
    }

    /// `fields` come on top of `Host`, and of what a body needs.
    pub fn new(to: SocketAddr, method: Method, path: &str, fields: &[(&str, &str)], body_bytes: u64) -> Self {
        let name = match method {
            Method::Get => "GET",
            Method::Post => "POST",
        };
        let mut opening = format!("{name} {path} HTTP/1.1\r\nHost: {to}\r\n");
        if method == Method::Post {
            opening.push_str("Content-Type: application/json\r\n");
            opening.push_str(&format!("Content-Length: {body_bytes}\r\n"));
        }
        for (name, value) in fields {
            opening.push_str(&format!("{name}: {value}\r\n"));
        }
        opening.push_str("\r\n");
        let mut opening = opening.into_bytes();
        let head_bytes = opening.len();
        if body_bytes <= FILLING_BYTES {
            opening.extend(json_of(body_bytes));
            return Self { opening, head_bytes, filling: Vec::new(), rest_bytes: 0 };
        }
        Self { opening, head_bytes, filling: json_of(FILLING_BYTES), rest_bytes: body_bytes }
    }

    /// Has the body carry this number. Only a body of 38 bytes to 64 KiB can.
    pub fn set_number(&mut self, number: u64) {
        let at = self.head_bytes + NUMBER_AT;
        let digits = format!("{number:0NUMBER_DIGITS$}");
        self.opening[at..at + NUMBER_DIGITS].copy_from_slice(digits.as_bytes());
    }
}

const FRAME: &str = r#"{"number":"000000000000","padding":""}"#;
const NUMBER_AT: usize = r#"{"number":""#.len();
const NUMBER_DIGITS: usize = 12;

/// JSON of exactly this many bytes; spaces where an object does not fit.
pub fn json_of(bytes: u64) -> Vec<u8> {
    let bytes = usize::try_from(bytes).expect("a piece of a body fits into memory");
    match bytes.checked_sub(FRAME.len()) {
        Some(padding) => {
            let (front, end) = FRAME.split_at(FRAME.len() - 2);
            format!("{front}{}{end}", "x".repeat(padding)).into_bytes()
        }
        None => vec![b' '; bytes],
    }
}

/// The number in a body made here; none in any other.
pub fn number_in(body: &[u8]) -> Option<u64> {
    let digits = body.get(NUMBER_AT..NUMBER_AT + NUMBER_DIGITS)?;
    (body.starts_with(&FRAME.as_bytes()[..NUMBER_AT]))
        .then(|| std::str::from_utf8(digits).ok()?.parse().ok())?
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
        for bytes in [38, 39, 1_024, FILLING_BYTES] {
            let body = json_of(bytes);
            assert_eq!(body.len() as u64, bytes);
            assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok());
        }
        assert_eq!(json_of(3), b"   ");
        assert_eq!(json_of(0), b"");
    }

    #[test]
    fn a_number_put_into_a_body_is_read_back_out_of_it() {
        let to = SocketAddr::from(([127, 0, 0, 1], 80));
        let mut request = Request::new(to, Method::Post, "/", &[("X-A", "1")], 1_024);
        for number in [0, 7, 999_999_999_999] {
            request.set_number(number);
            let body = &request.opening[request.head_bytes..];
            assert_eq!(number_in(body), Some(number));
            assert!(serde_json::from_slice::<serde_json::Value>(body).is_ok());
        }
        assert_eq!(number_in(b"ok"), None);
        assert_eq!(number_in(&[b'x'; 64]), None);
    }
}
