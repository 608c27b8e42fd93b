//! Configuration: one type per section, which is the very type its part takes.
//!
//! Flags win over `RELAY_*`, that over the file, the file over these defaults. [`Config::load`] reads a file and tells
//! all its mistakes at once; [`Config::check`] looks at the result, wherever its values came from.

mod check;
pub mod limits;
mod read;

#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use self::limits::Limits;
pub use self::read::{Mistake, Mistakes};
use crate::delivery::url::UrlPolicy;
use crate::store::Retention;

/// Data directory: beside where the server was started, so that a first try needs no rights and leaves one folder.
pub const DATA: &str = "./relay-data";

/// Public listener: every interface, because senders come from outside; 8080, because ports below 1024 need rights.
pub const PUBLIC_ADDR: SocketAddr = addr(Ipv4Addr::UNSPECIFIED, 8080);

/// Tunnel listener: every interface, because agents come from outside.
pub const TUNNEL_ADDR: SocketAddr = addr(Ipv4Addr::UNSPECIFIED, 4443);

/// Admin listener: this machine only, because it speaks plain HTTP and shows metrics to whoever asks.
pub const ADMIN_ADDR: SocketAddr = addr(Ipv4Addr::LOCALHOST, 8081);

/// Days events are kept: a week with its weekend.
pub const RETENTION_DAYS: u32 = 7;

/// Bytes of events kept: what a small disk can spare.
pub const RETENTION_BYTES_MAX: u64 = 10 * 1024 * 1024 * 1024;

/// Log level: one line per agent that comes or goes, none per request.
pub const LOG_LEVEL: &str = "info";

const fn addr(ip: Ipv4Addr, port: u16) -> SocketAddr {
    SocketAddr::V4(std::net::SocketAddrV4::new(ip, port))
}

/// Everything that can be configured.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Data directory. Default [`DATA`].
    pub data: PathBuf,
    /// Where webhooks come in.
    pub public: PublicConfig,
    /// Where agents connect.
    pub tunnel: TunnelConfig,
    /// Where API, health and metrics are.
    pub admin: AdminConfig,
    /// Caps and deadlines.
    pub limits: Limits,
    /// Where destinations that are URLs may be.
    pub urls: UrlPolicy,
    /// How expressions of destinations are run.
    pub jq: JqConfig,
    /// How long events are kept.
    pub retention: RetentionConfig,
    /// With what secrets of sources are encrypted.
    pub secrets: SecretsConfig,
    /// What is logged, and how.
    pub log: LogConfig,
}

/// The public listener.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PublicConfig {
    /// TCP address. Default [`PUBLIC_ADDR`].
    pub addr: SocketAddr,
    /// Base of public URLs as senders reach it, such as `https://hooks.example.com`. Default: made of `addr`.
    pub url: Option<String>,
    /// Sources are also found at `<name>.<domain>`.
    pub domain: Option<String>,
    /// Certificate and key; without them the listener speaks plain HTTP, for a proxy in front.
    pub tls: Option<TlsFiles>,
}

/// A certificate chain and its key, both PEM.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// The chain, the server's own certificate first.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// The tunnel listener.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TunnelConfig {
    /// UDP address. Default [`TUNNEL_ADDR`].
    pub addr: SocketAddr,
    /// A certificate agents verify by public authorities; without it they pin the server's own key.
    pub tls: Option<TlsFiles>,
    /// `HOST:PORT` agents dial, as join lines say it. Default: made of `addr`.
    pub announce: Option<String>,
}

/// The admin listener.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// TCP address. Default [`ADMIN_ADDR`].
    pub addr: SocketAddr,
    /// Further names under which it is reached, for a proxy in front; any other `Host` is refused with 421.
    pub hosts: Vec<String>,
}

/// How expressions of destinations are run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JqConfig {
    /// The program that runs them. Default: the one that runs the server.
    pub program: Option<PathBuf>,
}

/// How long events are kept; whichever comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Days. Default [`RETENTION_DAYS`].
    pub days: u32,
    /// Bytes in the database. Default [`RETENTION_BYTES_MAX`].
    pub bytes_max: u64,
}

impl RetentionConfig {
    /// What the store is asked to keep.
    #[must_use]
    pub fn policy(&self) -> Retention {
        Retention { age_ms: u64::from(self.days) * 24 * 60 * 60 * 1000, bytes_max: self.bytes_max }
    }
}

/// With what secrets of sources are encrypted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecretsConfig {
    /// A file of 32 bytes, made on the first start. Default: `secrets-key` in the data directory.
    pub key_file: Option<PathBuf>,
    /// The key itself, from the environment (`RELAY_SECRETS_KEY`); no file is read or made then.
    #[serde(skip)]
    pub key: Option<SecretsKey>,
}

/// 32 bytes. Shows nothing of itself in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretsKey(pub [u8; 32]);

impl std::fmt::Debug for SecretsKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretsKey(…)")
    }
}

impl std::str::FromStr for SecretsKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "64 hexadecimal digits, as `openssl rand -hex 32` prints them";
        let text = text.trim();
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(wrong);
        }
        let mut key = [0; 32];
        for (at, byte) in key.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| wrong)?;
        }
        Ok(Self(key))
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// See [`LogFormat`].
    pub format: LogFormat,
    /// A level, or directives such as `info,relay_server::tunnel=debug`. Default [`LOG_LEVEL`].
    pub level: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: DATA.into(),
            public: PublicConfig::default(),
            tunnel: TunnelConfig::default(),
            admin: AdminConfig::default(),
            limits: Limits::default(),
            urls: UrlPolicy::default(),
            jq: JqConfig::default(),
            retention: RetentionConfig::default(),
            secrets: SecretsConfig::default(),
            log: LogConfig::default(),
        }
    }
}

impl Default for PublicConfig {
    fn default() -> Self {
        Self { addr: PUBLIC_ADDR, url: None, domain: None, tls: None }
    }
}

impl Default for TunnelConfig {
    fn default() -> Self {
        Self { addr: TUNNEL_ADDR, tls: None, announce: None }
    }
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self { addr: ADMIN_ADDR, hosts: Vec::new() }
    }
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self { days: RETENTION_DAYS, bytes_max: RETENTION_BYTES_MAX }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::default(), level: LOG_LEVEL.to_owned() }
    }
}

impl Config {
    /// The defaults with what the file says. [`Config::check`] is left to the caller, who has flags to apply first.
    ///
    /// # Errors
    /// With every mistake of the file, each with its line.
    pub fn load(path: &Path) -> Result<Self, Mistakes> {
        read::file(path)
    }

    /// Whether the values make sense, each and together.
    ///
    /// # Errors
    /// With everything that does not.
    pub fn check(&self) -> Result<(), Mistakes> {
        check::config(self)
    }
}
