//! `relay-server serve`: configuration, runtime, and the life of the server until it is told to stop.

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::EXIT_USAGE;
use crate::clock::Clock;
use crate::config::{Config, LogFormat, TlsFiles};
use crate::model::Scope;
use crate::serve::Server;
use crate::store::DEFAULT_PROJECT;

/// Holds the first tokens when nobody sat at a terminal to read them.
const FIRST_START_FILE: &str = "first-start.txt";

/// There from before the first tokens are made until somebody was told them. Left behind by a first start that was cut
/// off in between: what it made nobody knows.
const FIRST_START_UNTOLD: &str = "first-start.partial";

/// What the first tokens are called.
const FIRST_LABEL: &str = "made on the first start";

/// Exit code after a second signal.
const EXIT_ABORTED: u8 = 130;

/// Exit code when the disk can no longer be trusted: a supervisor should start the server again.
const EXIT_STORE: u8 = 70;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Configuration file (TOML). Flags win over the environment, the environment over the file.
    #[arg(long, env = "RELAY_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data directory; made on the first start.
    #[arg(long, env = "RELAY_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where webhooks come in (TCP).
    #[arg(long, env = "RELAY_PUBLIC", value_name = "ADDR")]
    public: Option<SocketAddr>,
    /// Where agents connect (UDP).
    #[arg(long, env = "RELAY_TUNNEL", value_name = "ADDR")]
    tunnel: Option<SocketAddr>,
    /// Where API, health and metrics are; keep it private.
    #[arg(long, env = "RELAY_ADMIN", value_name = "ADDR")]
    admin: Option<SocketAddr>,
    /// Base of public URLs, as senders reach it (https://hooks.example.com).
    #[arg(long, env = "RELAY_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,
    /// Sources are also found at <name>.<DOMAIN>.
    #[arg(long, env = "RELAY_DOMAIN", value_name = "DOMAIN")]
    domain: Option<String>,
    /// What agents dial, for join lines.
    #[arg(long, env = "RELAY_ANNOUNCE", value_name = "HOST:PORT")]
    announce: Option<String>,
    /// Certificate chain of the public listener (PEM); read again when it changes.
    #[arg(long, env = "RELAY_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its private key (PEM).
    #[arg(long, env = "RELAY_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Key that encrypts secrets of sources, a file of 32 bytes [default: DIR/secrets-key, made on the first start]. The
    /// key itself may stand in the environment as RELAY_SECRETS_KEY, 64 hexadecimal digits.
    #[arg(long, env = "RELAY_SECRETS_KEY_FILE", value_name = "FILE")]
    secrets_key_file: Option<PathBuf>,
    /// Largest request body in bytes.
    #[arg(long, env = "RELAY_BODY_BYTES_MAX", value_name = "BYTES")]
    body_bytes_max: Option<u64>,
    /// Threads that carry traffic; without it, one less than there are cores.
    #[arg(long, env = "RELAY_WORKERS", value_name = "N")]
    workers: Option<usize>,
    /// Say where everything listens as one JSON line on stdout.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (workers, json) = (args.workers, args.json);
    let config = match configured(args) {
        Ok(config) => config,
        Err(mistakes) => {
            eprintln!("relay-server: {mistakes}");
            return Ok(ExitCode::from(EXIT_USAGE));
        }
    };
    start_logging(&config);
    runtime(workers)?.block_on(live(config, json))
}

fn configured(args: Args) -> anyhow::Result<Config> {
    let mut config = match &args.config {
        Some(path) => Config::load(path)?,
        None => Config::default(),
    };
    if let Some(data) = args.data {
        config.data = data;
    }
    if let Some(addr) = args.public {
        config.public.addr = addr;
    }
    if let Some(addr) = args.tunnel {
        config.tunnel.addr = addr;
    }
    if let Some(addr) = args.admin {
        config.admin.addr = addr;
    }
    if let Some(bytes) = args.body_bytes_max {
        config.limits.body_bytes_max = bytes;
    }
    if let (Some(cert), Some(key)) = (args.tls_cert, args.tls_key) {
        config.public.tls = Some(TlsFiles { cert, key });
    }
    config.secrets.key_file = args.secrets_key_file.or(config.secrets.key_file);
    #[expect(clippy::disallowed_methods, reason = "a key on the command line could be read by everybody")]
    if let Ok(key) = std::env::var("RELAY_SECRETS_KEY") {
        let key = key.parse().map_err(|wrong| anyhow::anyhow!("RELAY_SECRETS_KEY: {wrong}"))?;
        config.secrets.key = Some(key);
    }
    config.public.url = args.public_url.or(config.public.url);
    config.public.domain = args.domain.or(config.public.domain);
    config.tunnel.announce = args.announce.or(config.tunnel.announce);
    config.check()?;
    Ok(config)
}

fn start_logging(config: &Config) {
    let filter = tracing_subscriber::EnvFilter::builder().parse_lossy(&config.log.level);
    let logs = tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter);
    let is_terminal = std::io::stderr().is_terminal();
    let as_json = match config.log.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !is_terminal,
    };
    if as_json {
        logs.json().flatten_event(true).init();
    } else {
        logs.with_ansi(is_terminal).with_target(false).init();
    }
}

/// One runtime for everything, on all cores but one: the store's writer and the kernel's network work take the other.
/// A single thread needs no wake-ups between threads and is the cheapest where two cores are all there is. tokio's LIFO slot would run the QUIC driver after every single write, so that nothing
/// is sent in batches: switching it off lets writes that come together leave together.
fn runtime(workers: Option<usize>) -> anyhow::Result<Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = workers.unwrap_or(cores - 1).max(1);
    let mut builder = if workers == 1 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    if workers > 1 {
        builder.worker_threads(workers);
        #[cfg(tokio_unstable)]
        builder.disable_lifo_slot();
    }
    builder.enable_all().build().context("the runtime cannot be started")
}

/// SIGTERM and Ctrl-C, counted together.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// As many open files as this process may have: the usual soft limit of 1,024 is for programs that use `select`, and a
/// connection takes one each.
#[cfg(unix)]
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}

async fn live(config: Config, json: bool) -> anyhow::Result<ExitCode> {
    #[cfg(unix)]
    raise_file_limit();
    let mut signals = Signals::listen()?;
    let data = config.data.clone();
    let server = Server::start(config, Clock::system()).await?;
    say_how_to_begin(&server, &data).await?;
    say_where(&server, json)?;
    tokio::select! {
        () = signals.next() => {}
        why = server.failed() => {
            tracing::error!(reason = why, "the store can no longer be trusted; ending so that a restart reads what the disk has");
            server.abort().await;
            return Ok(ExitCode::from(EXIT_STORE));
        }
    }
    tracing::info!("draining: finishing what is under way; a second signal aborts");
    tokio::select! {
        clean = server.drain() => {
            if !clean {
                tracing::warn!("some requests did not finish in time and were broken off");
            }
            Ok(ExitCode::SUCCESS)
        }
        () = signals.next() => {
            tracing::warn!("aborted by a second signal");
            Ok(ExitCode::from(EXIT_ABORTED))
        }
    }
}

fn say_where(server: &Server, json: bool) -> anyhow::Result<()> {
    let at = server.addresses();
    if json {
        let ready = serde_json::json!({
            "type": "ready",
            "public": at.public_url,
            "tunnel": at.tunnel.to_string(),
            "admin": format!("http://{}", at.admin),
        });
        let mut out = std::io::stdout().lock();
        writeln!(out, "{ready}")?;
        out.flush()?;
    }
    tracing::info!(public.url = at.public_url, public.addr = %at.public, tunnel.addr = %at.tunnel, admin.addr = %at.admin, "serving");
    Ok(())
}

/// On the first start: tokens, so that there is a next step.
async fn say_how_to_begin(server: &Server, data: &Path) -> anyhow::Result<()> {
    let store = server.store();
    let project = store.project(DEFAULT_PROJECT).await?;
    let untold = data.join(FIRST_START_UNTOLD);
    let tokens = store.tokens(project).await?;
    if !tokens.is_empty() {
        if tokens.iter().any(|token| token.label != FIRST_LABEL) {
            // Somebody found out what to do. A mark that stays would only have the server look again.
            let _ = std::fs::remove_file(untold);
        } else if untold.exists() {
            tracing::warn!(
                data = %data.display(),
                "the first start was cut off before anybody was told its tokens; make others with `relay-server token create` (a join line) and `relay-server token create --scope admin`"
            );
        }
        return Ok(());
    }
    keep(&untold, "").with_context(|| format!("{} cannot be written", untold.display()))?;
    let admin = store.create_token(project, Scope::Admin, FIRST_LABEL, None).await?;
    let agent = Scope::Agent { sources: Vec::new(), create: true };
    let agent = store.create_token(project, agent, FIRST_LABEL, None).await?;
    let text = format!(
        "First start. These secrets are shown once:\n\n  \
         admin token   {}\n  \
         agents join   {}\n\n\
         On the machine your app runs on:\n\n  \
         relay-agent login      # and paste the join line\n  \
         relay-agent 3000       # forward webhooks to localhost:3000\n\n\
         More join lines: relay-server token create\n",
        admin.text.0,
        server.addresses().join_line(&agent.text)
    );
    if std::io::stderr().is_terminal() {
        eprintln!("\n{text}");
        let _ = std::fs::remove_file(untold);
        return Ok(());
    }
    // Nobody reads a log by its nature once: secrets go into a file only the owner can read.
    let path = data.join(FIRST_START_FILE);
    let kept = keep(&untold, &text).and_then(|()| {
        std::fs::rename(&untold, &path)?;
        sync_directory_of(&path)
    });
    kept.with_context(|| {
        format!(
            "the first tokens were made but could not be written to {}; make others with `relay-server token create`",
            path.display()
        )
    })?;
    tracing::info!(path = %path.display(), "first start: the admin token and a join line are in this file; remove it once read");
    Ok(())
}

/// Writes a file only its owner can read. When this returns it survives a power cut.
fn keep(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    // A new file's name is synced with it on the usual file systems, but nothing promises that.
    file.sync_all()?;
    sync_directory_of(path)
}

fn sync_directory_of(path: &Path) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), |dir| std::fs::File::open(dir.join("."))?.sync_all())
}
