use super::*;

const FIELDS: [(&str, &str); 8] = [
    ("Host", "hooks.example"),
    ("X-A", "1"),
    ("Content-Type", "text/plain"),
    ("Content-Encoding", "gzip"),
    ("x-a", "2"),
    ("Transfer-Encoding", "chunked"),
    ("Connection", "keep-alive"),
    ("X-Forwarded-For", "192.0.2.1"),
];

fn block(fields: &[(&str, &str)]) -> HeaderBlock {
    let mut block = HeaderBlock::default();
    for (name, value) in fields {
        block.push(name.as_bytes(), value.as_bytes()).expect("valid field");
    }
    block
}

fn applied(output: &str) -> Result<Option<Transformed>, TransformError> {
    let (headers, body) = (block(&FIELDS), Bytes::from_static(b"old"));
    let event =
        JqEvent { id: "e", source: "s", method: "POST", target: b"/a?b=1", headers: &headers, body: &body };
    apply(Some(output.as_bytes()), &event)
}

fn sent(output: &str) -> Transformed {
    applied(output).unwrap_or_else(|e| panic!("{output}: {e}")).expect("sent")
}

fn fields(request: &Transformed) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    request.headers.iter().map(|(name, value)| (text(name), text(value))).collect()
}

fn pairs(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn what_is_not_named_stays_as_it_was() {
    let same = sent("{}");
    assert_eq!(
        (same.method.as_str(), &same.target[..], &same.body[..]),
        ("POST", &b"/a?b=1"[..], &b"old"[..])
    );
    assert_eq!(fields(&same), pairs(&FIELDS));
    assert_eq!(sent("{\"drop\":false,\"headers\":{}}"), same);
    let other = sent("{\"method\":\"PUT\",\"path\":\"/x/\u{e9}?c=2&d\"}");
    assert_eq!((other.method.as_str(), &other.target[..]), ("PUT", "/x/\u{e9}?c=2&d".as_bytes()));
    assert_eq!((&other.headers, &other.body), (&same.headers, &same.body));
}

#[test]
fn nothing_is_sent_when_it_says_drop_or_nothing() {
    assert_eq!(applied("{\"drop\":true,\"method\":\"PUT\"}"), Ok(None));
    let (headers, body) = (HeaderBlock::default(), Bytes::new());
    let event = JqEvent { id: "", source: "", method: "GET", target: b"/", headers: &headers, body: &body };
    assert_eq!(apply(None, &event), Ok(None));
}

#[test]
fn fields_are_replaced_added_and_removed_by_name() {
    let request = sent(
        "{\"headers\":{\"X-a\":\"3\",\"x-new\":[\"4\",\"5\"],\"content-encoding\":null,\"absent\":null}}",
    );
    let mut expected = pairs(&FIELDS);
    expected.retain(|(name, _)| !["x-a", "content-encoding"].contains(&name.to_ascii_lowercase().as_str()));
    expected.extend(pairs(&[("X-a", "3"), ("x-new", "4"), ("x-new", "5")]));
    assert_eq!(fields(&request), expected);
    assert_eq!(&request.body[..], b"old");
}

#[test]
fn all_headers_of_the_document_may_be_given_back() {
    let given = "{\"headers\":{\"host\":\"hooks.example\",\"x-a\":[\"1\",\"2\"],\"transfer-encoding\":\"chunked\",\
        \"connection\":\"keep-alive\",\"x-forwarded-for\":\"192.0.2.1\",\"te\":null,\"x-more\":\"1\"}}";
    let request = sent(given);
    assert_eq!(request.headers.find("x-more"), Some(&b"1"[..]));
    assert_eq!(request.headers.find("host"), Some(&b"hooks.example"[..]));
    assert_eq!(request.headers.len(), FIELDS.len() + 1);
}

#[test]
fn a_new_body_brings_its_own_framing() {
    let kept = [
        ("Host", "hooks.example"),
        ("X-A", "1"),
        ("x-a", "2"),
        ("Connection", "keep-alive"),
        ("X-Forwarded-For", "192.0.2.1"),
    ];
    let framed = |more: &[(&str, &str)]| {
        let mut all = pairs(&kept);
        all.extend(pairs(more));
        all.sort();
        all
    };
    for (output, body, more) in [
        (
            "{\"body\":\"n\u{e9}w\\n\"}",
            "n\u{e9}w\n",
            &[("Content-Type", "text/plain"), ("Content-Length", "5")][..],
        ),
        ("{\"body\":\"\"}", "", &[("Content-Type", "text/plain"), ("Content-Length", "0")]),
        (
            "{\"body\":{\"b\":12345678901234567890,\"a\":1.10}}",
            "{\"b\":12345678901234567890,\"a\":1.10}",
            &[("Content-Type", "application/json"), ("Content-Length", "35")],
        ),
        ("{\"body\":null}", "null", &[("Content-Type", "application/json"), ("Content-Length", "4")]),
        (
            "{\"body\":[1],\"headers\":{\"content-type\":\"text/x\",\"content-encoding\":\"identity\"}}",
            "[1]",
            &[("content-type", "text/x"), ("content-encoding", "identity"), ("Content-Length", "3")],
        ),
        ("{\"body\":1,\"headers\":{\"content-type\":null}}", "1", &[("Content-Length", "1")]),
    ] {
        let request = sent(output);
        assert_eq!(request.body, body.as_bytes(), "{output}");
        let mut all = fields(&request);
        all.sort();
        assert_eq!(all, framed(more), "{output}");
        let length = u64::try_from(body.len()).expect("short");
        let framing = request.headers.framing().expect("one framing");
        assert_eq!(framing, Some(protocol::field::BodyFraming::Length(length)));
    }
}

#[test]
fn fields_of_connection_and_relay_cannot_be_set() {
    for name in [
        "Content-Length",
        "transfer-encoding",
        "Trailer",
        "HOST",
        "Connection",
        "Keep-Alive",
        "TE",
        "Upgrade",
        "Proxy-Authorization",
        "Proxy-Connection",
        "Relay-Event-Id",
        "relay_attempt",
        "X-Forwarded-For",
        "x_forwarded_proto",
        "Forwarded",
    ] {
        for value in ["\"7\"", "[\"7\"]", "[\"a\",\"b\"]"] {
            let output = format!("{{\"headers\":{{\"{name}\":{value}}}}}");
            assert_eq!(applied(&output), Err(TransformError::HeaderRefused(name.to_owned())), "{output}");
        }
    }
    for output in ["{\"headers\":{\"host\":null}}", "{\"headers\":{\"transfer-encoding\":[]}}"] {
        assert!(matches!(applied(output), Err(TransformError::HeaderRefused(_))), "{output}");
    }
}

#[test]
fn what_is_no_transform_is_refused_with_a_reason() {
    use TransformError::{Header, HeaderTwice, HeaderType, Method, NotAnObject, Path, Type, UnknownKeys};
    let long_path = format!("{{\"path\":\"/{}\"}}", "a".repeat(TARGET_BYTES_MAX));
    let long_method = format!("{{\"method\":\"{}\"}}", "A".repeat(METHOD_BYTES_MAX + 1));
    for (output, expected) in [
        ("null", NotAnObject),
        ("true", NotAnObject),
        ("[1]", NotAnObject),
        ("", NotAnObject),
        ("{\"url\":1,\"a\\nb\":2}", UnknownKeys(vec!["a\\nb".to_owned(), "url".to_owned()])),
        ("{\"drop\":1}", Type("drop", "true or false")),
        ("{\"method\":null}", Type("method", "a string")),
        ("{\"path\":[]}", Type("path", "a string")),
        ("{\"headers\":[]}", Type("headers", "an object")),
        ("{\"method\":\"\"}", Method),
        ("{\"method\":\"GET /\"}", Method),
        ("{\"method\":\"connect\"}", Method),
        (&long_method, Method),
        ("{\"path\":\"\"}", Path),
        ("{\"path\":\"a\"}", Path),
        ("{\"path\":\"http://a/\"}", Path),
        ("{\"path\":\"/a b\"}", Path),
        ("{\"path\":\"/a\\r\\nX: 1\"}", Path),
        ("{\"path\":\"/a#b\"}", Path),
        (&long_path, Path),
        ("{\"headers\":{\"a\":1}}", HeaderType("a".to_owned())),
        ("{\"headers\":{\"a\":[null]}}", HeaderType("a".to_owned())),
        ("{\"headers\":{\"a\":\"1\",\"A\":\"2\"}}", HeaderTwice("a".to_owned())),
        ("{\"headers\":{\"a b\":\"1\"}}", Header("a b".to_owned(), FieldError::Name)),
        ("{\"headers\":{\"\":\"1\"}}", Header(String::new(), FieldError::Name)),
        ("{\"headers\":{\"a\":\"1\\r\\nb: 2\"}}", Header("a".to_owned(), FieldError::Value)),
    ] {
        assert_eq!(applied(output), Err(expected), "{output}");
    }
    let many = format!("{{\"headers\":{{\"a\":[{}\"\"]}}}}", "\"\",".repeat(300));
    assert_eq!(applied(&many), Err(Header("a".to_owned(), FieldError::TooMany)));
    let long = applied(&format!("{{\"{}\":1}}", "k".repeat(1_000_000))).expect_err("unknown").to_string();
    assert!(long.len() < 200, "{long}");
}
