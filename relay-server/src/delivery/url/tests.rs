//! A sender and an app on real sockets: both run in the test itself, so that each knows what the other has done.

mod reach;
mod secure;
mod talk;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const PATIENCE: Duration = Duration::from_secs(30);

/// Nothing here may wait for longer than [`PATIENCE`].
async fn bounded<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("the test comes to its end")
}

fn policy(allowed: &[&str]) -> UrlPolicy {
    let allowed = allowed.iter().map(|net| net.parse().unwrap()).collect();
    UrlPolicy { allowed, ..UrlPolicy::default() }
}

/// Sends to 127.0.0.1 and to nothing else that is not public.
fn sender() -> UrlSender {
    UrlSender::new(policy(&["127.0.0.1/32"]), Tasks::default()).unwrap()
}

/// Answers the n-th question with the n-th list, the last one for ever; counts the questions.
fn resolver(answers: &[&[&str]]) -> (Resolver, Arc<AtomicUsize>) {
    let answers: Vec<Vec<IpAddr>> =
        answers.iter().map(|list| list.iter().map(|ip| ip.parse().unwrap()).collect()).collect();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let resolver: Resolver = Arc::new(move |_| {
        let nth = count.fetch_add(1, Ordering::SeqCst);
        let answer = answers[nth.min(answers.len() - 1)].clone();
        async move { Ok(answer) }.boxed()
    });
    (resolver, asked)
}

fn request(url: &str) -> UrlRequest {
    UrlRequest {
        url: url.parse().unwrap_or_else(|e| panic!("{url}: {e}")),
        method: "POST".to_owned(),
        target_suffix: Vec::new(),
        headers: HeaderBlock::default(),
        body: UrlBody::Bytes(Bytes::from_static(b"hello")),
        timeout: PATIENCE,
        answer_bytes_max: 1024,
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// Whether anybody has connected. On loopback the kernel has done that before `connect` returns.
fn was_connected_to(listener: TcpListener) -> bool {
    let listener = listener.into_std().unwrap();
    listener.accept().is_ok()
}

/// A request as it came: its head, and its body by `Content-Length`.
async fn read_request(io: &mut (impl AsyncRead + Unpin)) -> (String, Vec<u8>) {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = memchr::memmem::find(&bytes, b"\r\n\r\n") {
            break at + 4;
        }
        assert!(io.read_buf(&mut bytes).await.unwrap() > 0, "the request has a head");
    };
    let body = bytes.split_off(end);
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let mut body = body;
    while body.len() < length.map_or(0, |n| n.parse().unwrap()) {
        assert!(io.read_buf(&mut body).await.unwrap() > 0, "the request has its whole body");
    }
    (head, body)
}

/// Sends to an app that takes one whole request, says `answer`, and ends the connection.
async fn answered_with(answer: &[u8]) -> UrlResult {
    answered_with_to(answer, |_| ()).await
}

async fn answered_with_to(answer: &[u8], change: impl FnOnce(&mut UrlRequest)) -> UrlResult {
    let (listener, addr) = listen().await;
    let mut request = request(&format!("http://{addr}/"));
    change(&mut request);
    let sender = sender();
    let app = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
        // A sender that has heard enough may be gone.
        let _ = stream.write_all(answer).await;
        let _ = stream.shutdown().await;
    };
    bounded(async { tokio::join!(sender.send(request), app).0 }).await
}

fn not_sent(result: &UrlResult) -> &'static str {
    assert_eq!(result.app_us, 0, "nothing was sent");
    match &result.outcome {
        UrlOutcome::NotSent { reason, .. } => reason,
        other => panic!("sent: {other:?}"),
    }
}

fn no_answer(result: &UrlResult) -> &'static str {
    match &result.outcome {
        UrlOutcome::SentNoAnswer { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

fn answer(result: &UrlResult) -> (u16, &HeaderBlock, &Captured) {
    match &result.outcome {
        UrlOutcome::Answered { status, headers, body } => (*status, headers, body),
        other => panic!("{other:?}"),
    }
}
