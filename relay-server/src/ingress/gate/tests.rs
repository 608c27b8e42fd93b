use proptest::prelude::*;

use super::*;

const LIMITS: HeadLimits =
    HeadLimits { header_bytes_max: 64 * 1024, header_fields_max: 256, target_bytes_max: 16 * 1024 };

fn read(text: &[u8]) -> Result<Head, Refusal> {
    match read_head(text, 0, &LIMITS)? {
        Some((head, used)) => {
            assert_eq!(used, text.len(), "all of it is head");
            Ok(head)
        }
        None => panic!("incomplete: {}", String::from_utf8_lossy(text)),
    }
}

fn with_lines(lines: &str) -> Vec<u8> {
    format!("POST /h/a HTTP/1.1\r\n{lines}\r\n").into_bytes()
}

#[test]
fn what_is_ambiguous_anywhere_is_refused_here() {
    let hosted = [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length: \r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: , chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding\t: chunked\r\n",
        " Transfer-Encoding: chunked\r\n",
        "X: a\r\n folded\r\n",
        "X: a\nY: b\r\n",
        "X: a\rb\r\n",
        "X: a\0b\r\n",
        "X: \x1b[31m\r\n",
        "No colon here\r\n",
        ": no name\r\n",
        "N\u{e4}me: v\r\n",
        "Host: b\r\n",
        "Expect: something\r\n",
    ];
    for lines in hosted {
        let text = with_lines(&format!("Host: a\r\n{lines}"));
        assert!(matches!(read(&text), Err(Refusal::BadRequest(_))), "{lines:?} gave {:?}", read(&text));
    }
    for host in ["", "a b", "a/b", "user@a", "<script>", "a:b", "a:99999999", "a\"", ":80", "a,b", "[::1]x"] {
        let text = with_lines(&format!("Host: {host}\r\n"));
        assert!(matches!(read(&text), Err(Refusal::BadRequest(_))), "host {host:?}");
    }
    assert!(matches!(read(&with_lines("")), Err(Refusal::BadRequest(_))), "no Host");
}

#[test]
fn request_lines_have_one_form() {
    let refused: &[&[u8]] = &[
        b"POST  /a HTTP/1.1",
        b"POST /a  HTTP/1.1",
        b"POST /a",
        b"POST /a HTTP/1.1 ",
        b"POST /a HTTP/2.0",
        b"POST /a http/1.1",
        b"PRI * HTTP/2.0",
        b"POST * HTTP/1.1",
        b"POST a HTTP/1.1",
        b"POST ftp://a/ HTTP/1.1",
        b"POST http://b/x HTTP/1.1",
        b"POST http://u@a/x HTTP/1.1",
        b"POST http://a?x HTTP/1.1",
        b"PO(ST /a HTTP/1.1",
        b" POST /a HTTP/1.1",
        b"POST /a\x01 HTTP/1.1",
        b"CONNECT a:443 HTTP/1.1",
        b"TRACE / HTTP/1.1",
        b"MMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMM / HTTP/1.1",
    ];
    for line in refused {
        let text = [line, &b"\r\nHost: a\r\n\r\n"[..]].concat();
        assert!(read(&text).is_err(), "{}", String::from_utf8_lossy(line));
    }
}

#[test]
fn targets_pass_byte_for_byte() {
    let targets: &[&[u8]] = &[
        b"/",
        b"/a/../b//c/./d",
        b"/%2e%2E/%00%zz",
        b"/a?b=1&b=2&&=?#frag",
        b"/caf\xc3\xa9\xff",
        b"/|\"^<>`{}\\;",
    ];
    for target in targets {
        let text = [b"POST ", *target, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
        assert_eq!(read(&text).expect("valid").target, *target);
    }
    let absolute = read(b"POST http://A:80/x?y HTTP/1.1\r\nHost: a:80\r\n\r\n").expect("valid");
    assert_eq!((absolute.target.as_slice(), absolute.authority.as_str()), (&b"/x?y"[..], "a:80"));
    assert_eq!(read(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").expect("valid").target, b"*");
}

#[test]
fn fields_keep_order_case_duplicates_and_bytes() {
    let head = read(b"\r\nPOST / HTTP/1.1\r\nX-b: 1\r\nHOST:a\r\nx-B: \t two \t\r\nEmpty:\r\nLatin: caf\xe9\r\nX-b: 3\r\n\r\n")
        .expect("valid");
    let seen: Vec<_> = head.headers.iter().collect();
    let expected: Vec<(&[u8], &[u8])> = vec![
        (b"X-b", b"1"),
        (b"HOST", b"a"),
        (b"x-B", b"two"),
        (b"Empty", b""),
        (b"Latin", b"caf\xe9"),
        (b"X-b", b"3"),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn limits_answer_with_their_own_status() {
    let long_target = format!("POST /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(16 * 1024));
    assert_eq!(read(long_target.as_bytes()), Err(Refusal::TargetTooLong));
    let endless_line = vec![b'a'; 20 * 1024];
    assert_eq!(read_head(&endless_line, 0, &LIMITS), Err(Refusal::TargetTooLong));
    let many = with_lines(&format!("Host: a\r\n{}", "a: b\r\n".repeat(256)));
    assert_eq!(read(&many), Err(Refusal::HeaderTooLarge));
    let big = with_lines(&format!("Host: a\r\nX: {}\r\n", "v".repeat(65 * 1024)));
    assert_eq!(read(&big), Err(Refusal::HeaderTooLarge));
    let endless = [b"POST / HTTP/1.1\r\nX: ".to_vec(), vec![b'v'; 70 * 1024]].concat();
    assert_eq!(read_head(&endless, 0, &LIMITS), Err(Refusal::HeaderTooLarge));
}

#[test]
fn http_1_0_closes_unless_it_asks_not_to() {
    assert!(read(b"GET / HTTP/1.0\r\n\r\n").expect("valid").wants_close);
    assert!(!read(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").expect("valid").wants_close);
    assert!(read(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
}

#[test]
fn an_upgrade_counts_only_with_its_connection_field() {
    assert_eq!(read(&with_lines("Host: a\r\nUpgrade: h2c\r\n")).expect("valid").upgrade, None);
    let asked = read(&with_lines("Host: a\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"));
    assert_eq!(asked.expect("valid").upgrade.as_deref(), Some("websocket"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), at in 0usize..400) {
        let _ = read_head(&bytes, at.min(bytes.len()), &LIMITS);
        let _ = read_head(&[&bytes[..], b"\r\n\r\n"].concat(), 0, &LIMITS);
    }

    #[test]
    fn a_head_is_read_the_same_however_it_was_cut(cut in 0usize..60) {
        let text = b"POST /h/a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
        let cut = cut.min(text.len());
        let first = read_head(&text[..cut], 0, &LIMITS).expect("valid so far");
        let scanned = if first.is_none() { cut } else { 0 };
        let second = read_head(text, scanned, &LIMITS).expect("valid");
        prop_assert!(first.is_none() || first == second);
        prop_assert_eq!(second.map(|(_, used)| used), Some(text.len() - 5));
    }

    #[test]
    fn what_passes_is_canonical_for_hyper(lines in prop::collection::vec("[ -~]{0,30}", 0..6)) {
        let text = format!("POST / HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", lines.join("\r\n"));
        if let Ok(Some((head, _))) = read_head(text.as_bytes(), 0, &LIMITS) {
            let canonical = canonical(&head, false);
            let mut fields = [httparse::EMPTY_HEADER; 8];
            let mut request = httparse::Request::new(&mut fields);
            prop_assert!(request.parse(&canonical).expect("hyper reads it").is_complete());
        }
    }
}
