use proptest::prelude::*;

use super::*;

const PIN: &str = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

#[test]
fn a_join_line_comes_apart() {
    let server = parse(&format!(" relay://tok_A-1@Relay.Example.com:4433#{PIN}\n")).unwrap();
    assert_eq!(server.host, "relay.example.com");
    assert_eq!(server.port, 4433);
    assert_eq!(server.pin.unwrap().to_string(), PIN);
    assert_eq!(server.token.reveal(), "tok_A-1");
    assert_eq!(host_and_port(&server), "relay.example.com:4433");

    let public = parse("relay://t@relay.example.com:443").unwrap();
    assert_eq!(public.pin, None, "without a pin a public authority has to vouch for the server");
}

#[test]
fn addresses_of_every_kind_are_read() {
    for (text, host, shown) in [
        ("localhost:1", "localhost", "localhost:1"),
        ("127.0.0.1:4433", "127.0.0.1", "127.0.0.1:4433"),
        ("[::1]:4433", "::1", "[::1]:4433"),
        ("[2001:DB8:0::1]:4433", "2001:db8::1", "[2001:db8::1]:4433"),
        ("xn--bcher-kva.example:65535", "xn--bcher-kva.example", "xn--bcher-kva.example:65535"),
        ("my_host:9", "my_host", "my_host:9"),
        ("4chan.example:9", "4chan.example", "4chan.example:9"),
    ] {
        let server = parse_address(text).unwrap().with(Token::new("t".to_owned()));
        assert_eq!((server.host.as_str(), host_and_port(&server).as_str()), (host, shown));
    }
}

#[test]
fn each_slip_is_named() {
    let host = |text: &str| JoinLineError::Host(text.to_owned());
    let table = [
        ("", JoinLineError::NotAJoinLine),
        ("https://t@h:1", JoinLineError::NotAJoinLine),
        ("relay-agent login relay://t@h:1", JoinLineError::NotAJoinLine),
        ("relay://h:1", JoinLineError::NoToken),
        ("relay://@h:1", JoinLineError::NoToken),
        ("relay://t k@h:1", JoinLineError::Token),
        ("relay://t:k@h:1", JoinLineError::Token),
        ("relay://t\u{1b}@h:1", JoinLineError::Token),
        ("relay://ä@h:1", JoinLineError::Token),
        ("relay://t@u@h:1", JoinLineError::UnwantedToken),
        ("relay://t@h", JoinLineError::Port),
        ("relay://t@h:", JoinLineError::Port),
        ("relay://t@h:0", JoinLineError::Port),
        ("relay://t@h:+1", JoinLineError::Port),
        ("relay://t@h:65536", JoinLineError::Port),
        ("relay://t@h:1/", JoinLineError::Port),
        ("relay://t@h:1?x", JoinLineError::Port),
        ("relay://t@[::1]", JoinLineError::Port),
        ("relay://t@:1", host("")),
        ("relay://t@::1:1", host("::1")),
        ("relay://t@[h]:1", host("h")),
        ("relay://t@[fe80::1%eth0]:1", host("fe80::1%eth0")),
        ("relay://t@1.2.3.999:1", host("1.2.3.999")),
        ("relay://t@a..b:1", host("a..b")),
        ("relay://t@-a:1", host("-a")),
        ("relay://t@bücher.example:1", host("b\\u{fc}cher.example")),
        ("relay://t@a b:1", host("a b")),
        ("relay://t@a\r\nb:1", host("a\\r\\nb")),
        ("relay://t@h:1#", JoinLineError::Pin),
        ("relay://t@h:1#sha256:0011", JoinLineError::Pin),
        ("relay://t@h:1#sha1:00", JoinLineError::Pin),
    ];
    for (line, error) in table {
        assert_eq!(parse(line), Err(error), "{line:?}");
    }
    let long = format!("relay://{}@h:1", "t".repeat(LINE_BYTES_MAX));
    assert_eq!(parse(&long), Err(JoinLineError::TooLong));
}

proptest! {
    #[test]
    fn no_line_makes_it_panic_and_no_error_repeats_the_token(line in ".{0,200}", tail in ".{0,40}") {
        let _ = parse(&line);
        let secret = "SECRETSECRETSECRET";
        if let Err(error) = parse(&format!("relay://{secret}@{tail}")) {
            prop_assert!(!error.to_string().contains(secret));
        }
    }
}
