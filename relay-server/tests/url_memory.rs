//! A stored body is streamed. In a process of its own, because memory is the process's.

use std::time::Duration;

use link::Tasks;
use protocol::field::HeaderBlock;
use relay_server::delivery::url::{UrlBody, UrlOutcome, UrlPolicy, UrlRequest, UrlSender};
use ring::digest::{Context, SHA256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const BODY_BYTES: usize = 25 * 1024 * 1024;

/// Most memory this process ever had, in bytes. Only Linux tells.
fn peak_bytes() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<usize>().ok()? * 1024)
}

#[tokio::test]
async fn a_large_stored_body_arrives_whole_and_is_never_held_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("body");
    let mut sent = Context::new(&SHA256);
    {
        let mut file = std::fs::File::create(&path).unwrap();
        for n in 0..BODY_BYTES / 4096 {
            let block: Vec<u8> = (0..4096).map(|at| ((n * 31 + at * 7) % 251).to_le_bytes()[0]).collect();
            sent.update(&block);
            std::io::Write::write_all(&mut file, &block).unwrap();
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let policy = UrlPolicy { allowed: vec!["127.0.0.1/32".parse().unwrap()], ..UrlPolicy::default() };
    let sender = UrlSender::new(policy, Tasks::default()).unwrap();
    let request = UrlRequest {
        url,
        method: "POST".to_owned(),
        target_suffix: Vec::new(),
        headers: HeaderBlock::default(),
        body: UrlBody::File { path, bytes: BODY_BYTES as u64 },
        timeout: Duration::from_secs(60),
        answer_bytes_max: 1024,
    };
    let app = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let (mut received, mut left) = (Context::new(&SHA256), BODY_BYTES);
        let mut piece = vec![0; 16 * 1024];
        while left > 0 {
            let read = stream.read(&mut piece).await.unwrap();
            assert!(read > 0, "{left} bytes are missing");
            received.update(&piece[..read]);
            left -= read;
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        received
    };
    let before = peak_bytes();
    let both = async { tokio::join!(sender.send(request), app) };
    let (result, received) = tokio::time::timeout(Duration::from_secs(60), both).await.unwrap();
    assert!(matches!(result.outcome, UrlOutcome::Answered { status: 200, .. }), "{:?}", result.outcome);
    assert_eq!(sent.finish().as_ref(), received.finish().as_ref());
    if let (Some(before), Some(after)) = (before, peak_bytes()) {
        assert!(after - before < BODY_BYTES / 5, "{} bytes more than before", after - before);
    }
}
