//! Caps and deadlines, each with its reason. None can be switched off: a server without one is a server that one
//! sender can stop.

use serde::Deserialize;

/// Largest request body, in bytes: GitHub's own cap, the largest among the common providers.
pub const BODY_BYTES_MAX: u64 = 25 * 1024 * 1024;

/// Most bytes of a request's header fields. Browsers and proxies send below 16 KiB; the tunnel's frames end at 96 KiB.
pub const HEADER_BYTES_MAX: usize = 64 * 1024;

/// Most header fields of a request. Real ones have about 20.
pub const HEADER_FIELDS_MAX: usize = 256;

/// Longest request target, in bytes. RFC 9110 section 4.1 asks for at least 8,000.
pub const TARGET_BYTES_MAX: usize = 16 * 1024;

/// How long a new connection may be silent: a lost packet or two, not a parking place.
pub const FIRST_BYTE_MS: u64 = 10_000;

/// How long a request head may take to arrive: what slow-header attacks hold a connection for.
pub const HEAD_MS: u64 = 10_000;

/// How long a body, or an answer nobody reads, may stand still: longer than TCP needs to recover from an outage.
pub const BODY_IDLE_MS: u64 = 30_000;

/// Slowest a body may come on average, in bytes per second, after its first ten seconds. A modem is faster.
pub const BODY_RATE_MIN: u64 = 1_024;

/// Longest a body may take in all: 25 MiB at 90 KB/s.
pub const BODY_TOTAL_MS: u64 = 300_000;

/// How long a connection may wait for its next request: above the 60 s after which common senders close theirs, so
/// that it is they who close.
pub const KEEP_ALIVE_MS: u64 = 75_000;

/// Most public connections: at some 50 KiB each, 500 MB.
pub const CONNECTIONS_MAX: usize = 10_000;

/// Most public connections of one address (loopback exempt, where a proxy may stand): a tenth, so that ten are needed
/// to fill the house.
pub const CONNECTIONS_PER_IP_MAX: usize = 1_000;

/// Most requests on their way to one agent.
pub const IN_FLIGHT_PER_AGENT: u32 = 256;

/// Most bytes kept of each body, of requests and of answers. Nearly all webhooks are below 64 KiB.
pub const CAPTURE_BYTES_MAX: usize = 256 * 1024;

/// Most agents connected.
pub const SESSIONS_MAX: usize = 10_000;

/// Most tunnel connections that have not shown a token yet: each costs a handshake and some buffers.
pub const UNAUTHENTICATED_MAX: usize = 256;

/// How long requests under way may take to finish when the server stops: below the 30 s after which common
/// supervisors kill.
pub const DRAIN_MS: u64 = 25_000;

/// Caps and deadlines. Sizes in bytes, times in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Largest request body. Default [`BODY_BYTES_MAX`]; a source may take less.
    pub body_bytes_max: u64,
    /// Most bytes of header fields. Default and most [`HEADER_BYTES_MAX`].
    pub header_bytes_max: usize,
    /// Most header fields. Default and most [`HEADER_FIELDS_MAX`].
    pub header_fields_max: usize,
    /// Longest request target. Default and most [`TARGET_BYTES_MAX`].
    pub target_bytes_max: usize,
    /// Silence of a new connection. Default [`FIRST_BYTE_MS`].
    pub first_byte_ms: u64,
    /// Arrival of a request head. Default [`HEAD_MS`].
    pub head_ms: u64,
    /// Standstill of a body. Default [`BODY_IDLE_MS`].
    pub body_idle_ms: u64,
    /// Bytes per second of a body. Default [`BODY_RATE_MIN`].
    pub body_rate_min: u64,
    /// A body in all. Default [`BODY_TOTAL_MS`].
    pub body_total_ms: u64,
    /// Between two requests of a connection. Default [`KEEP_ALIVE_MS`].
    pub keep_alive_ms: u64,
    /// Public connections. Default [`CONNECTIONS_MAX`].
    pub connections_max: usize,
    /// Public connections of one address. Default [`CONNECTIONS_PER_IP_MAX`].
    pub connections_per_ip_max: usize,
    /// Requests under way to one agent. Default [`IN_FLIGHT_PER_AGENT`].
    pub in_flight_per_agent: u32,
    /// Bytes kept of each body. Default [`CAPTURE_BYTES_MAX`].
    pub capture_bytes_max: usize,
    /// Agents connected. Default [`SESSIONS_MAX`].
    pub sessions_max: usize,
    /// Tunnel connections without a token. Default [`UNAUTHENTICATED_MAX`].
    pub unauthenticated_max: usize,
    /// Time to finish when stopping. Default [`DRAIN_MS`].
    pub drain_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: BODY_BYTES_MAX,
            header_bytes_max: HEADER_BYTES_MAX,
            header_fields_max: HEADER_FIELDS_MAX,
            target_bytes_max: TARGET_BYTES_MAX,
            first_byte_ms: FIRST_BYTE_MS,
            head_ms: HEAD_MS,
            body_idle_ms: BODY_IDLE_MS,
            body_rate_min: BODY_RATE_MIN,
            body_total_ms: BODY_TOTAL_MS,
            keep_alive_ms: KEEP_ALIVE_MS,
            connections_max: CONNECTIONS_MAX,
            connections_per_ip_max: CONNECTIONS_PER_IP_MAX,
            in_flight_per_agent: IN_FLIGHT_PER_AGENT,
            capture_bytes_max: CAPTURE_BYTES_MAX,
            sessions_max: SESSIONS_MAX,
            unauthenticated_max: UNAUTHENTICATED_MAX,
            drain_ms: DRAIN_MS,
        }
    }
}
