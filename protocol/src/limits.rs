//! Numbers both sides agree on. Each is a cap on something the other side could otherwise grow.

use std::time::Duration;

/// Largest control frame, in bytes. A greeting that serves 256 sources with long names stays below 40 KiB.
pub const CONTROL_FRAME_BYTES_MAX: usize = 64 * 1024;

/// Largest head frame, in bytes: 64 KiB of header fields (the ingress cap), 16 KiB of target, and room for ours.
pub const HEAD_FRAME_BYTES_MAX: usize = 96 * 1024;

/// Largest data frame of a chunked body, in bytes. Small enough to share a connection fairly.
pub const DATA_FRAME_BYTES_MAX: usize = 64 * 1024;

/// Largest block of header fields of one head, in bytes (names and values): the 64 KiB an ingress takes, and ours.
pub const HEADER_BYTES_MAX: usize = 66 * 1024;

/// Most header fields of one head: the 256 an ingress takes, and ours.
pub const HEADER_FIELDS_MAX: usize = 272;

/// Longest request target, in bytes. RFC 9110 section 4.1 asks for at least 8,000.
pub const TARGET_BYTES_MAX: usize = 16 * 1024;

/// Longest method token, in bytes. The longest registered one (UPDATEREDIRECTREF) has 17.
pub const METHOD_BYTES_MAX: usize = 32;

/// Most trailer bytes of one body.
pub const TRAILER_BYTES_MAX: usize = 8 * 1024;

/// Most sources one session may serve.
pub const SERVES_MAX: usize = 256;

/// Up to how many deliveries that wait are counted for an agent that comes: past this, a person needs no number.
pub const WAITING_MAX: u32 = 100_000;

/// Longest text of a failure, refusal or notice, in bytes. It is for people, not for data.
pub const TEXT_BYTES_MAX: usize = 1024;

/// Bytes a peer may send before it is welcomed: one greeting frame.
pub const GREETING_BYTES_MAX: usize = CONTROL_FRAME_BYTES_MAX;

/// How long a new connection may take to greet.
pub const GREETING_DEADLINE: Duration = Duration::from_secs(5);

/// QUIC keep-alive of the agent. Below the 30 s after which common NATs forget a UDP mapping.
pub const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// A connection from which nothing was heard for this long is dead (three keep-alives).
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(15);
