//! What goes out, and what apps answer: well, early, slowly, never, or nonsense.

use super::*;
use exchange::{ANSWER_DEADLINE, exchange};

#[tokio::test]
async fn order_case_and_duplicates_of_fields_go_out_byte_for_byte() {
    let (listener, addr) = listen().await;
    let mut headers = HeaderBlock::default();
    for (name, value) in [
        (&b"User-Agent"[..], &b"Stripe/1.0"[..]),
        (b"HOST", b"relay.example"),
        (b"x-b", b"2"),
        (b"X-A", b""),
        (b"X-B", b"1"),
        (b"content-LENGTH", b"17"),
        (b"x-b", b"caf\xe9"),
        (b"Expect", b"100-continue"),
    ] {
        headers.push(name, value).unwrap();
    }
    let target_suffix = b"/a//b/../%2e?q=\xff".to_vec();
    let request = UrlRequest { headers, target_suffix, ..request(&format!("http://{addr}/hooks/?key=1")) };
    let sender = sender();
    let app = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"hello") {
            assert!(stream.read_buf(&mut seen).await.unwrap() > 0);
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nX-z: 1\r\nx-Z: 2\r\n\r\nok")
            .await
            .unwrap();
        seen
    };
    let (result, seen) = bounded(async { tokio::join!(sender.send(request), app) }).await;
    let mut expected =
        b"POST /hooks/a//b/../%2e?key=1&q=\xff HTTP/1.1\r\nUser-Agent: Stripe/1.0\r\nHOST: ".to_vec();
    expected.extend_from_slice(addr.to_string().as_bytes());
    expected.extend_from_slice(b"\r\nx-b: 2\r\nX-A: \r\nX-B: 1\r\ncontent-LENGTH: 5\r\nx-b: caf\xe9\r\n");
    expected.extend_from_slice(b"Connection: close\r\n\r\nhello");
    assert_eq!(String::from_utf8_lossy(&seen), String::from_utf8_lossy(&expected));
    assert_eq!(seen, expected);
    let (status, headers, body) = answer(&result);
    let fields: Vec<_> = headers.iter().collect();
    assert_eq!(fields, [(&b"content-length"[..], &b"2"[..]), (b"X-z", b"1"), (b"x-Z", b"2")]);
    assert_eq!((status, &body.bytes[..], body.is_truncated()), (200, &b"ok"[..], false));
    assert!(result.total_us >= result.connect_us + result.app_us && result.app_us > 0, "{result:?}");
}

#[tokio::test]
async fn answers_are_whole_where_they_end_in_due_form() {
    let cases: [(&[u8], &[u8], bool); 12] = [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole", b"whole", true),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole and more", b"whole", true),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nshort", b"short", false),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"", true),
        (b"HTTP/1.1 204 None\r\n\r\n", b"", true),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil close", b"until close", true),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\nX: y\r\n\r\n",
            b"abcde",
            true,
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", b"abc", false),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0x1\r\n", b"abc", false),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense", b"", false),
        (b"HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 103 Hm\r\nX: 1\r\n\r\nHTTP/1.1 200 OK\r\n\r\nx", b"x", true),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno", b"no", true),
    ];
    for (text, kept, is_complete) in cases {
        let result = answered_with(text).await;
        let (_, _, body) = answer(&result);
        let shown = String::from_utf8_lossy(text);
        assert_eq!((&body.bytes[..], body.complete), (kept, is_complete), "{shown}");
        assert_eq!(body.total_bytes, kept.len() as u64, "{shown}");
    }
    let of_head = answered_with_to(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", |request| {
        request.method = "HEAD".to_owned();
        request.body = UrlBody::Bytes(Bytes::new());
    });
    assert!(answer(&of_head.await).2.complete, "HEAD has no body, whatever its length");
}

#[tokio::test]
async fn of_a_long_answer_the_start_is_kept_and_the_rest_counted() {
    let text = [b"HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n".to_vec(), vec![b'x'; 500_000]].concat();
    let result = answered_with_to(&text, |request| request.answer_bytes_max = 10).await;
    let (_, _, body) = answer(&result);
    assert_eq!((&body.bytes[..], body.total_bytes, body.complete), (&[b'x'; 10][..], 500_000, true));
}

#[tokio::test]
async fn nonsense_is_no_answer() {
    let interim = "HTTP/1.1 100 Go on\r\n\r\n".repeat(50);
    let large = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(70_000));
    let cases = [
        "",
        "HTTP/1.1 200",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "220 mail.example ESMTP\r\n",
        "\u{15}\u{3}\u{1}\0\u{2}\u{2}\n",
        "<html>\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        &interim,
        &large,
    ];
    for text in cases {
        let result = answered_with(text.as_bytes()).await;
        assert_eq!(no_answer(&result), "answer_broke", "{text:.60}");
    }
}

#[tokio::test]
async fn an_app_that_takes_a_request_and_closes_may_have_acted() {
    let result = answered_with(b"").await;
    assert_eq!(no_answer(&result), "answer_broke");
    let (listener, addr) = listen().await;
    let body = UrlBody::Bytes(vec![b'x'; 32 * 1024 * 1024].into());
    let request = UrlRequest { body, ..request(&format!("http://{addr}/")) };
    let sender = sender();
    let app = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        // Closing with bytes unread makes the kernel reset the connection.
        stream.read_exact(&mut [0; 1000]).await.unwrap();
    };
    let (result, ()) = bounded(async { tokio::join!(sender.send(request), app) }).await;
    // Which of the two is noticed first is the kernel's business.
    assert!(["request_broke", "answer_broke"].contains(&no_answer(&result)), "{result:?}");
}

#[tokio::test]
async fn an_answer_that_comes_while_the_body_goes_out_is_heard() {
    const BODY_BYTES: usize = 32 * 1024 * 1024;
    for closes in [false, true] {
        let (listener, addr) = listen().await;
        let body = UrlBody::Bytes(vec![b'x'; BODY_BYTES].into());
        let request = UrlRequest { body, ..request(&format!("http://{addr}/")) };
        let sender = sender();
        let app = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_exact(&mut [0; 1000]).await.unwrap();
            stream.write_all(b"HTTP/1.1 413 Too much\r\nContent-Length: 4\r\n\r\nless").await.unwrap();
            (!closes).then_some(stream)
        };
        let (result, _open) = bounded(async { tokio::join!(sender.send(request), app) }).await;
        let (status, _, body) = answer(&result);
        assert_eq!((status, &body.bytes[..], body.complete), (413, &b"less"[..], true), "closes: {closes}");
    }
}

#[tokio::test]
async fn an_app_that_says_yes_at_once_still_gets_the_whole_body() {
    const BODY_BYTES: usize = 8 * 1024 * 1024;
    let (listener, addr) = listen().await;
    let body = UrlBody::Bytes(vec![b'x'; BODY_BYTES].into());
    let request = UrlRequest { body, ..request(&format!("http://{addr}/")) };
    let sender = sender();
    let app = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 202 Yes\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        read_request(&mut stream).await.1.len()
    };
    let (result, seen) = bounded(async { tokio::join!(sender.send(request), app) }).await;
    assert_eq!((answer(&result).0, seen), (202, BODY_BYTES));
}

#[tokio::test]
async fn an_endless_answer_ends_here() {
    for (framing, piece) in [
        ("Transfer-Encoding: chunked", format!("1000\r\n{}\r\n", "x".repeat(0x1000))),
        ("Content-Length: 999999999999", "x".repeat(0x1000)),
        ("Connection: close", "x".repeat(0x1000)),
    ] {
        let (listener, addr) = listen().await;
        let request = request(&format!("http://{addr}/"));
        let sender = sender();
        let app = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await;
            stream.write_all(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n").as_bytes()).await.unwrap();
            while stream.write_all(piece.as_bytes()).await.is_ok() {}
        };
        let (result, ()) = bounded(async { tokio::join!(sender.send(request), app) }).await;
        let (status, _, body) = answer(&result);
        assert_eq!((status, body.bytes.len(), body.complete), (200, 1024, false), "{framing}");
        assert!(
            (1024 * 1024..2 * 1024 * 1024).contains(&body.total_bytes),
            "{framing}: {}",
            body.total_bytes
        );
        assert!(Duration::from_micros(result.total_us) < ANSWER_DEADLINE, "{framing}");
    }
}

/// Runs an exchange against `app` in memory, on a clock that only moves when everybody waits.
async fn in_memory(
    head_by: Duration,
    app: impl AsyncFnOnce(tokio::io::DuplexStream),
) -> Result<exchange::Answer, NoAnswer> {
    let (ours, theirs) = tokio::io::duplex(1024);
    let head = b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n".to_vec();
    let request = Outgoing { head, body: Body::Bytes(Bytes::from_static(b"hello")), is_head: false };
    tokio::select! {
        answer = exchange(ours, request, Instant::now() + head_by, 1024) => answer,
        () = async { app(theirs).await; std::future::pending().await } => unreachable!("it waits for ever"),
    }
}

async fn drip(stream: &mut tokio::io::DuplexStream, bytes: impl Iterator<Item = u8>) {
    for byte in bytes {
        if stream.write_all(&[byte]).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_dripping_answer_ends_here_too() {
    let begun = Instant::now();
    let answer = in_memory(PATIENCE, async |mut stream| {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").await.unwrap();
        drip(&mut stream, std::iter::repeat(b'x')).await;
    })
    .await
    .unwrap();
    assert_eq!((answer.head.status, answer.body.complete), (200, false));
    assert!((9..=11).contains(&answer.body.total_bytes), "what came until then: {}", answer.body.total_bytes);
    assert!(begun.elapsed() <= ANSWER_DEADLINE + Duration::from_millis(1));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_or_never_comes_is_given_up_in_time() {
    let begun = Instant::now();
    let dripping = in_memory(PATIENCE, async |mut stream| {
        read_request(&mut stream).await;
        drip(&mut stream, b"HTTP/1.1 200 OK\r\nX: ".iter().copied().chain(std::iter::repeat(b'x'))).await;
    });
    assert_eq!(dripping.await.err().map(|e| e.reason), Some("answer_timeout"));
    let interim = in_memory(PATIENCE, async |mut stream| {
        read_request(&mut stream).await;
        drip(&mut stream, b"HTTP/1.1 102 Wait\r\n\r\n".iter().copied().cycle()).await;
    });
    assert_eq!(interim.await.err().map(|e| e.reason), Some("answer_timeout"));
    let silent = in_memory(PATIENCE, async |_stream| std::future::pending().await);
    assert_eq!(silent.await.err().map(|e| e.reason), Some("answer_timeout"));
    assert!(begun.elapsed() <= 3 * PATIENCE + Duration::from_millis(3));
}

#[tokio::test(start_paused = true)]
async fn an_app_that_says_yes_and_never_reads_holds_nobody_for_long() {
    let begun = Instant::now();
    let (ours, mut theirs) = tokio::io::duplex(1024);
    let body = Body::Bytes(vec![b'x'; 100_000].into());
    let request = Outgoing { head: b"POST / HTTP/1.1\r\n\r\n".to_vec(), body, is_head: false };
    theirs.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    let answer = exchange(ours, request, begun + PATIENCE, 1024).await.unwrap();
    assert_eq!((answer.head.status, answer.body.complete), (200, true));
    assert!(begun.elapsed() <= ANSWER_DEADLINE + Duration::from_millis(1));
}

#[tokio::test]
async fn an_app_that_never_answers_is_given_up_by_the_timeout() {
    let (listener, addr) = listen().await;
    let timeout = Duration::from_millis(300);
    let request = UrlRequest { timeout, ..request(&format!("http://{addr}/")) };
    let sender = sender();
    let app = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
        // Ends when the sender closes, which it does when it gives up.
        stream.read(&mut [0]).await.unwrap()
    };
    let (result, read) = bounded(async { tokio::join!(sender.send(request), app) }).await;
    assert_eq!((no_answer(&result), read), ("answer_timeout", 0));
    assert!(result.app_us + result.connect_us >= 300_000, "{result:?}");
}

#[tokio::test]
async fn a_dropped_request_closes_its_connection() {
    let (listener, addr) = listen().await;
    let sender = sender();
    let app = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
        stream
    };
    let mut stream: TcpStream = bounded(async {
        tokio::select! {
            result = sender.send(request(&format!("http://{addr}/"))) => panic!("{result:?}"),
            stream = app => stream,
        }
    })
    .await;
    assert_eq!(bounded(stream.read(&mut [0])).await.unwrap(), 0);
}

#[tokio::test]
async fn a_stored_body_that_ends_early_never_looks_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("body");
    std::fs::write(&path, vec![b'x'; 8 * 1024 * 1024]).unwrap();
    let (listener, addr) = listen().await;
    let body = UrlBody::File { path: path.clone(), bytes: 8 * 1024 * 1024 };
    let request = UrlRequest { body, ..request(&format!("http://{addr}/")) };
    let sender = sender();
    let app = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        // By now the file was found whole; the sockets' buffers do not hold all of it.
        std::fs::File::options().write(true).open(&path).unwrap().set_len(1000).unwrap();
        let mut seen = Vec::new();
        let end = stream.read_to_end(&mut seen).await;
        (end.is_err(), seen.len())
    };
    let (result, (_, seen)) = bounded(async { tokio::join!(sender.send(request), app) }).await;
    assert_eq!(no_answer(&result), "request_broke");
    assert!(seen < 8 * 1024 * 1024);
}
