//! Whether values make sense, each and together. What a type can say, the type says; this is the rest.

use std::net::SocketAddr;

use protocol::limits::TARGET_BYTES_MAX;

use super::limits::{HEADER_BYTES_MAX, HEADER_FIELDS_MAX};
use super::{Config, Limits, Mistake, Mistakes};

/// Most that may be kept of a body, in bytes: the store's queue holds 64 MiB of records.
const CAPTURE_BYTES_LIMIT: usize = 16 * 1024 * 1024;

/// Longest time to finish, in milliseconds. Whoever stops a server wants it stopped.
const DRAIN_MS_LIMIT: u64 = 600_000;

/// Everything wrong with `config`.
pub(super) fn config(config: &Config) -> Result<(), Mistakes> {
    let mut wrong = Vec::new();
    let mut claim = |holds: bool, text: &str| {
        if !holds {
            wrong.push(Mistake { line: None, text: text.to_owned() });
        }
    };
    claim(!config.data.as_os_str().is_empty(), "data: name a directory");
    let url = config.public.url.as_deref();
    claim(
        url.is_none_or(is_base_url),
        "public.url: write it like https://hooks.example.com, with neither query nor fragment",
    );
    let domain = config.public.domain.as_deref();
    claim(
        domain.is_none_or(is_domain),
        "public.domain: write it like hooks.example.com, without scheme, port or `*`",
    );
    let announce = config.tunnel.announce.as_deref();
    claim(announce.is_none_or(is_host_and_port), "tunnel.announce: write it like relay.example.com:4443");
    let (public, admin) = (config.public.addr, config.admin.addr);
    claim(!is_same_port(public, admin), "public.addr and admin.addr are the same; give them different ports");
    claim(
        config.admin.hosts.iter().all(|host| is_host(host)),
        "admin.hosts: write names like relay.internal, without scheme, port or path",
    );
    limits(&config.limits, &mut claim);
    claim(config.retention.days > 0, "retention.days: at least 1");
    claim(config.retention.bytes_max > 0, "retention.bytes_max: at least 1; events need some space");
    let is_level = tracing_subscriber::EnvFilter::try_new(&config.log.level).is_ok();
    claim(is_level, "log.level: error, warn, info, debug, trace, or directives like info,relay_server=debug");
    if wrong.is_empty() { Ok(()) } else { Err(Mistakes { file: None, list: wrong }) }
}

fn limits(limits: &Limits, claim: &mut impl FnMut(bool, &str)) {
    let at_least_one = [
        ("limits.body_bytes_max", limits.body_bytes_max),
        ("limits.header_bytes_max", limits.header_bytes_max as u64),
        ("limits.header_fields_max", limits.header_fields_max as u64),
        ("limits.target_bytes_max", limits.target_bytes_max as u64),
        ("limits.first_byte_ms", limits.first_byte_ms),
        ("limits.head_ms", limits.head_ms),
        ("limits.body_idle_ms", limits.body_idle_ms),
        ("limits.body_total_ms", limits.body_total_ms),
        ("limits.keep_alive_ms", limits.keep_alive_ms),
        ("limits.connections_max", limits.connections_max as u64),
        ("limits.connections_per_ip_max", limits.connections_per_ip_max as u64),
        ("limits.in_flight_per_agent", u64::from(limits.in_flight_per_agent)),
        ("limits.sessions_max", limits.sessions_max as u64),
        ("limits.unauthenticated_max", limits.unauthenticated_max as u64),
    ];
    for (name, value) in at_least_one {
        claim(value > 0, &format!("{name}: at least 1; no limit can be switched off"));
    }
    let at_most = [
        ("limits.header_bytes_max", limits.header_bytes_max as u64, HEADER_BYTES_MAX as u64),
        ("limits.header_fields_max", limits.header_fields_max as u64, HEADER_FIELDS_MAX as u64),
        ("limits.target_bytes_max", limits.target_bytes_max as u64, TARGET_BYTES_MAX as u64),
        ("limits.capture_bytes_max", limits.capture_bytes_max as u64, CAPTURE_BYTES_LIMIT as u64),
        ("limits.drain_ms", limits.drain_ms, DRAIN_MS_LIMIT),
    ];
    for (name, value, most) in at_most {
        claim(value <= most, &format!("{name}: at most {most}"));
    }
}

/// A name or address without port.
fn is_host(host: &str) -> bool {
    !host.is_empty()
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b':' | b'[' | b']'))
}

/// `example.com`: labels of letters, digits and inner hyphens (RFC 1123 section 2.1).
fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        let inner = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        (1..=63).contains(&label.len()) && inner && !label.starts_with('-') && !label.ends_with('-')
    };
    domain.len() <= 253 && domain.split('.').all(is_label)
}

fn is_host_and_port(text: &str) -> bool {
    text.rsplit_once(':')
        .is_some_and(|(host, port)| is_host(host) && port.parse::<u16>().is_ok_and(|port| port > 0))
}

fn is_base_url(url: &str) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else { return false };
    let has_scheme = matches!(uri.scheme_str(), Some("http" | "https"));
    has_scheme
        && uri.host().is_some_and(|host| !host.is_empty())
        && uri.query().is_none()
        && !url.contains('#')
}

fn is_same_port(a: SocketAddr, b: SocketAddr) -> bool {
    let overlap = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && overlap
}
