//! Whom a request may reach, and what is said when it reaches nobody.

use super::*;

#[tokio::test]
async fn no_spelling_of_a_private_address_is_connected_to() {
    let (listener, addr) = listen().await;
    let sender = UrlSender::new(UrlPolicy::default(), Tasks::default()).unwrap();
    let hosts = [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "127.0.0.1.",
        "127.000.000.001",
        "2130706433",
        "0x7f000001",
        "0x7F.1",
        "0x7f.0x0.0x0.0x1",
        "0177.0.0.1",
        "017700000001",
        "0177.0x0.1",
        "%31%32%37.0.0.1",
        "127%2e0%2e0%2e1",
        "127。0。0。1",
        "１２７.0.0.1",
        "①②⑦.⓪.⓪.①",
        "0",
        "0.0.0.0",
        "0x0",
        "127.255.255.254",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "ⓛocalhost",
        "local%68ost",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::]",
        "[::127.0.0.1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::127.0.0.1]",
        "[2002:7f00:1::]",
        "[2001:0:7f00:1::]",
        "10.0.0.1",
        "0xa.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "3232235777",
        "100.64.0.1",
        "169.254.169.254",
        "0xa9fea9fe",
        "2852039166",
        "0251.0376.0251.0376",
        "169.254.43518",
        "[::ffff:169.254.169.254]",
        "[::ffff:a9fe:a9fe]",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "0xffffffff",
        "[fd00:ec2::254]",
        "[fc00::1]",
        "[fe80::1]",
        "[fec0::1]",
        "[ff02::1]",
        "[2001:db8::1]",
    ];
    for host in hosts {
        for scheme in ["http", "https"] {
            let text = format!("{scheme}://{host}:{}/", addr.port());
            let result = bounded(sender.send(request(&text))).await;
            // Not every system knows that the dot changes nothing here.
            let is_unknown = host == "localhost." && not_sent(&result) == "name_not_found";
            assert!(is_unknown || not_sent(&result) == "address_refused", "{text}: {result:?}");
            let url: TargetUrl = text.parse().unwrap();
            let is_name = matches!(url.host(), Host::Domain(_));
            assert_eq!(sender.refuses(&url).is_some(), !is_name, "told at the door: {text}");
        }
    }
    assert!(!was_connected_to(listener));
}

#[tokio::test]
async fn a_name_with_one_address_that_is_not_public_is_refused_whole() {
    let (listener, addr) = listen().await;
    for answer in [
        &["1.0.0.1", "127.0.0.1"][..],
        &["127.0.0.1", "1.0.0.1"],
        &["1.0.0.1", "2606:4700::1111", "::ffff:127.0.0.1"],
        &["169.254.169.254"],
    ] {
        let (resolver, _) = resolver(&[answer]);
        let sender = UrlSender::new(UrlPolicy::default(), Tasks::default()).unwrap().with_resolver(resolver);
        let result = bounded(sender.send(request(&format!("http://both.test:{}/", addr.port())))).await;
        assert_eq!(not_sent(&result), "address_refused", "{answer:?}");
    }
    assert!(!was_connected_to(listener));
}

/// 127.0.0.2 stands for the public address: the name says that first, and the loopback of the relay from then on.
#[tokio::test]
async fn a_name_that_changes_between_check_and_connect_changes_nothing() {
    let (listener, addr) = listen().await;
    let (resolver, asked) = resolver(&[&["127.0.0.2"], &["127.0.0.1"]]);
    let sender = UrlSender::new(policy(&["127.0.0.2/32"]), Tasks::default()).unwrap().with_resolver(resolver);
    let rebinding = || {
        let timeout = Duration::from_secs(5);
        UrlRequest { timeout, ..request(&format!("http://rebinding.test:{}/", addr.port())) }
    };
    let first = bounded(sender.send(rebinding())).await;
    assert!(not_sent(&first).starts_with("connect_"), "{first:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 1, "the name is asked for once a request");
    let second = bounded(sender.send(rebinding())).await;
    assert_eq!(not_sent(&second), "address_refused");
    assert_eq!(asked.load(Ordering::SeqCst), 2, "and checked anew for the next one");
    assert!(!was_connected_to(listener));
}

#[tokio::test]
async fn a_redirect_is_an_answer_like_any_other() {
    for status in [301, 302, 303, 307, 308] {
        let (elsewhere, there) = listen().await;
        let redirect =
            format!("HTTP/1.1 {status} Over there\r\nLocation: http://{there}/\r\nContent-Length: 0\r\n\r\n");
        let result = answered_with(redirect.as_bytes()).await;
        let (seen, headers, _) = answer(&result);
        assert_eq!(seen, status);
        assert_eq!(headers.find("location"), Some(format!("http://{there}/").as_bytes()));
        assert!(!was_connected_to(elsewhere));
    }
}

#[tokio::test]
async fn an_address_that_refuses_is_not_the_last_one() {
    let (listener, addr) = listen().await;
    let (resolver, _) = resolver(&[&["::1", "127.0.0.1"]]);
    let sender = UrlSender::new(policy(&["127.0.0.1/32", "::1/128"]), Tasks::default()).unwrap();
    let sender = sender.with_resolver(resolver);
    let app = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (head, _) = read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 204 Yes\r\n\r\n").await.unwrap();
        head
    };
    let request = request(&format!("http://app.test:{}/", addr.port()));
    let (result, head) = bounded(async { tokio::join!(sender.send(request), app) }).await;
    assert_eq!(answer(&result).0, 204);
    assert!(head.contains(&format!("Host: app.test:{}\r\n", addr.port())), "{head}");
}

#[tokio::test]
async fn nothing_listening_is_not_sent() {
    let (listener, addr) = listen().await;
    drop(listener);
    let result = bounded(sender().send(request(&format!("http://{addr}/")))).await;
    assert_eq!(not_sent(&result), "connect_refused");
}

#[tokio::test]
async fn a_name_without_addresses_is_not_sent() {
    let nobody: Resolver = Arc::new(|_| async { Err(io::Error::other("no such name")) }.boxed());
    let (nothing, _) = resolver(&[&[]]);
    for resolver in [nobody, nothing] {
        let result = bounded(sender().with_resolver(resolver).send(request("http://nobody.test/"))).await;
        assert_eq!(not_sent(&result), "name_not_found");
    }
    // RFC 6761: this one never exists, whatever answers here.
    let result = bounded(sender().send(request("http://nobody.invalid/"))).await;
    assert_eq!(not_sent(&result), "name_not_found");
}

/// A question to the system cannot be taken back, so it must not be asked again and again.
#[tokio::test(start_paused = true)]
async fn a_name_whose_servers_are_dead_is_asked_for_once_and_given_up_in_time() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let dead: Resolver = Arc::new(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        std::future::pending().boxed()
    });
    let sender = sender().with_resolver(dead);
    let begun = Instant::now();
    let sends = (0..100).map(|_| sender.send(request("http://dead.test/")));
    for result in futures_util::future::join_all(sends).await {
        assert_eq!(not_sent(&result), "name_not_found");
    }
    assert!(begun.elapsed() < Duration::from_secs(6));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_cannot_be_sent_is_said_before_anybody_is_connected_to() {
    let (listener, addr) = listen().await;
    let url = format!("http://{addr}/");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("body");
    std::fs::write(&path, b"short").unwrap();
    let with_body =
        |path: PathBuf, bytes| UrlRequest { body: UrlBody::File { path, bytes }, ..request(&url) };
    let cases = [
        ("body_unreadable", with_body(folder.path().join("missing"), 5)),
        ("body_unreadable", with_body(path.clone(), 6)),
        ("body_unreadable", with_body(path, 4)),
        ("request_refused", UrlRequest { target_suffix: b"/a b".to_vec(), ..request(&url) }),
        ("request_refused", UrlRequest { target_suffix: b"x".to_vec(), ..request(&url) }),
        ("request_refused", UrlRequest { method: "GET /evil HTTP/1.1\r\nX:".to_owned(), ..request(&url) }),
        ("request_refused", UrlRequest { method: "CONNECT".to_owned(), ..request(&url) }),
        ("request_refused", UrlRequest { method: String::new(), ..request(&url) }),
    ];
    for (reason, request) in cases {
        assert_eq!(not_sent(&bounded(sender().send(request)).await), reason);
    }
    let strict = UrlPolicy { plain_http: false, ..policy(&["127.0.0.1/32"]) };
    let strict = UrlSender::new(strict, Tasks::default()).unwrap();
    assert!(strict.refuses(&url.parse().unwrap()).is_some());
    assert_eq!(not_sent(&bounded(strict.send(request(&url))).await), "url_refused");
    let public = UrlSender::new(UrlPolicy::default(), Tasks::default()).unwrap();
    assert_eq!(not_sent(&bounded(public.send(request("http://1.0.0.1:25/"))).await), "port_refused");
    assert!(!was_connected_to(listener));
}
