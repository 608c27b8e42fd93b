//! stand-in
use std::net::SocketAddr; use std::path::PathBuf;
#[derive(Debug, Clone)] pub struct TlsFiles { pub cert: PathBuf, pub key: PathBuf }
#[derive(Debug, Clone)] pub struct PublicConfig { pub addr: SocketAddr, pub url: Option<String>, pub domain: Option<String>, pub tls: Option<TlsFiles> }
#[derive(Debug, Clone)] pub struct TunnelConfig { pub addr: SocketAddr, pub tls: Option<TlsFiles>, pub announce: Option<String> }
#[derive(Debug, Clone)] pub struct AdminConfig { pub addr: SocketAddr }
#[derive(Debug, Clone)] pub struct Limits { pub body_bytes_max: u64, pub header_bytes_max: usize, pub header_fields_max: usize, pub target_bytes_max: usize, pub first_byte_ms: u64, pub head_ms: u64, pub body_idle_ms: u64, pub body_rate_min: u64, pub body_total_ms: u64, pub keep_alive_ms: u64, pub connections_max: usize, pub connections_per_ip_max: usize, pub in_flight_per_agent: u32, pub capture_bytes_max: usize, pub sessions_max: usize, pub unauthenticated_max: usize, pub drain_ms: u64 }
impl Default for Limits { fn default() -> Self { Self { body_bytes_max: 25<<20, header_bytes_max: 65536, header_fields_max: 256, target_bytes_max: 16384, first_byte_ms: 10000, head_ms: 10000, body_idle_ms: 30000, body_rate_min: 1024, body_total_ms: 300_000, keep_alive_ms: 75000, connections_max: 10000, connections_per_ip_max: 1000, in_flight_per_agent: 256, capture_bytes_max: 256<<10, sessions_max: 10000, unauthenticated_max: 256, drain_ms: 25000 } } }
#[derive(Debug, Clone)] pub struct RetentionConfig {}
impl RetentionConfig { pub fn policy(&self) -> crate::store::Retention { crate::store::Retention { age_ms: 7*86400*1000, bytes_max: 10<<30 } } }
#[derive(Debug, Clone)] pub struct Config { pub data: PathBuf, pub public: PublicConfig, pub tunnel: TunnelConfig, pub admin: AdminConfig, pub limits: Limits, pub retention: RetentionConfig, pub log: LogConfig }

impl Default for Config { fn default() -> Self { let a: SocketAddr = ([127,0,0,1],0).into(); Self { data: PathBuf::new(), public: PublicConfig { addr: a, url: None, domain: None, tls: None }, tunnel: TunnelConfig { addr: a, tls: None, announce: None }, admin: AdminConfig { addr: a }, limits: Limits::default(), retention: RetentionConfig {}, log: LogConfig { format: LogFormat::Auto, level: "info".into() } } } }
#[derive(Debug, Clone, Copy, Default)] pub enum LogFormat { #[default] Auto, Text, Json }
#[derive(Debug, Clone)] pub struct LogConfig { pub format: LogFormat, pub level: String }
impl Config { pub fn load(_p: &std::path::Path) -> anyhow::Result<Self> { let mut c = Self::default(); c.limits.body_bytes_max = 134217728; Ok(c) } pub fn check(&self) -> anyhow::Result<()> { Ok(()) } }
