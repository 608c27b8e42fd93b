//! What a person who makes mistakes is told.

use super::read::text_of;
use super::*;

fn lines(text: &str) -> Vec<String> {
    let mistakes = text_of(text).expect_err("has mistakes");
    mistakes.into_iter().map(|m| format!("{}: {}", m.line.map_or(0, |line| line), m.text)).collect()
}

#[test]
fn an_empty_file_is_the_defaults() {
    assert_eq!(text_of("").unwrap(), Config::default());
    assert_eq!(Config::default().check(), Ok(()));
}

#[test]
fn every_key_can_be_set() {
    let config = text_of(
        r#"
        data = "/var/lib/relay"
        [public]
        addr = "[::]:80"
        url = "https://hooks.example.com"
        domain = "hooks.example.com"
        tls = { cert = "a.pem", key = "b.pem" }
        [tunnel]
        addr = "0.0.0.0:443"
        announce = "relay.example.com:443"
        [tunnel.tls]
        cert = "c.pem"
        key = "d.pem"
        [admin]
        addr = "127.0.0.1:9000"
        hosts = ["relay.internal"]
        [limits]
        body_bytes_max = 1000
        drain_ms = 5
        [retention]
        days = 1
        bytes_max = 5_000_000
        [log]
        format = "json"
        level = "debug"
        "#,
    )
    .unwrap();
    assert_eq!(config.check(), Ok(()));
    assert_eq!(config.public.tls, Some(TlsFiles { cert: "a.pem".into(), key: "b.pem".into() }));
    assert_eq!((config.limits.body_bytes_max, config.limits.head_ms), (1000, limits::HEAD_MS));
    assert_eq!(config.retention.policy(), Retention { age_ms: 86_400_000, bytes_max: 5_000_000 });
    assert_eq!((config.log.format, config.log.level.as_str()), (LogFormat::Json, "debug"));
}

#[test]
fn all_mistakes_are_told_at_once_with_lines_and_suggestions() {
    let told = lines(
        "dta = \"x\"\n\n[public]\nadr = \"0.0.0.0:80\"\nurl = 7\n\n[limit]\nx = 1\n\n[limits]\nbody_bytes = 1\n\
         drain_ms = \"soon\"\nhead_ms = -1\n[retention]\nzzz = 1\n",
    );
    let expected = [
        "1: there is no key `dta` at the top; did you mean `data`?",
        "4: there is no key `adr` in [public]; did you mean `addr`?",
        "5: public.url: invalid type: integer `7`, expected a string",
        "7: there is no key `limit` at the top; did you mean `limits`?",
        "11: there is no key `body_bytes` in [limits]; did you mean `body_bytes_max`?",
        "12: limits.drain_ms: invalid type: string \"soon\", expected u64",
        "13: limits.head_ms: invalid value: integer `-1`, expected u64",
        "15: there is no key `zzz` in [retention]; there are: days, bytes_max",
    ];
    assert_eq!(told, expected);
}

#[test]
fn nested_and_shapeless_mistakes_have_lines_too() {
    let told = lines("public = 3\n[tunnel.tls]\ncert = \"a\"\n[log]\nformat = \"xml\"\n");
    assert_eq!(told[0], "1: `public` is a section: write [public]");
    assert!(told[1].starts_with("2: tunnel.tls: missing field `key`"), "{told:?}");
    assert!(told[2].starts_with("5: log.format: unknown variant `xml`"), "{told:?}");
}

#[test]
fn what_is_no_toml_is_told_with_its_line() {
    let told = lines("data = \"x\"\n[public\nurl = \n");
    assert!(told[0].starts_with("2: "), "{told:?}");
}

#[test]
fn a_missing_file_is_a_mistake_with_its_name() {
    let told = Config::load(Path::new("/nowhere/relay.toml")).expect_err("is not there").to_string();
    assert!(told.starts_with("/nowhere/relay.toml cannot be used:\n  it cannot be read: "), "{told}");
}

#[test]
fn values_that_make_no_sense_are_told_all_at_once() {
    let mut config = Config::default();
    config.public.url = Some("hooks.example.com".to_owned());
    config.public.domain = Some("*.example.com".to_owned());
    config.tunnel.announce = Some("relay.example.com".to_owned());
    config.admin.addr.set_port(8080);
    config.limits.connections_max = 0;
    config.limits.header_bytes_max = 1_000_000;
    config.log.level = "loud,,=".to_owned();
    let told = config.check().expect_err("has mistakes");
    let starts: Vec<_> =
        told.list.iter().map(|m| m.text.split([':', ' ']).next().unwrap_or_default()).collect();
    let expected = [
        "public.url",
        "public.domain",
        "tunnel.announce",
        "public.addr",
        "limits.connections_max",
        "limits.header_bytes_max",
        "log.level",
    ];
    assert_eq!(starts, expected);
    config = Config::default();
    for url in ["https://a/?x=1", "ftp://a", "https://", "/h", "https://a/#b"] {
        config.public.url = Some(url.to_owned());
        assert!(config.check().is_err(), "{url}");
    }
    for url in ["https://a", "http://localhost:8080", "https://a.example/base/"] {
        config.public.url = Some(url.to_owned());
        assert_eq!(config.check(), Ok(()), "{url}");
    }
}
