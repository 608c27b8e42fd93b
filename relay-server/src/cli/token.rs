//! `relay-server token`: works on the data directory, beside a running server or without one.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Subcommand, ValueEnum};

use crate::clock::Clock;
use crate::config::DATA;
use crate::model::{Scope, TokenId};
use crate::serve::Addresses;
use crate::store::{DEFAULT_PROJECT, Store};

/// What a token is for.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ScopeName {
    /// Everything in the project.
    Admin,
    /// Serve sources, make new ones, see their events.
    Agent,
    /// See, not change.
    Read,
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
    /// The server's data directory.
    #[arg(long, env = "RELAY_DATA", default_value = DATA, global = true)]
    data: PathBuf,
    /// Whose tokens.
    #[arg(long, env = "RELAY_PROJECT", default_value = DEFAULT_PROJECT, global = true)]
    project: String,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a token and print its join line (or, with another scope, the token) alone on stdout.
    Create {
        /// What it is for.
        #[arg(long, value_enum, default_value = "agent")]
        scope: ScopeName,
        /// Only these sources (may be repeated); without it, any of the project.
        #[arg(long = "source")]
        sources: Vec<String>,
        /// May not make sources that do not exist.
        #[arg(long)]
        no_create: bool,
        /// A name to know it by.
        #[arg(long, default_value = "")]
        label: String,
        /// Good for so many days; without it, until revoked.
        #[arg(long)]
        days: Option<u32>,
        /// Where agents shall dial instead of the address the server announces.
        #[arg(long, value_name = "HOST:PORT")]
        tunnel_at: Option<String>,
    },
    /// List the project's tokens; their texts were shown once and are not kept.
    List,
    /// Revoke a token; sessions that use it end within a second.
    Revoke {
        /// Its number, as `list` shows it.
        id: i64,
    },
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if !args.data.is_dir() {
        bail!(
            "there is no data directory {}; start `relay-server serve` once, or name it with --data",
            args.data.display()
        );
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let clock = Clock::system();
        let store = Store::open(&args.data, clock.clone()).await?;
        let done = act(args, &store, &clock).await;
        store.close().await;
        done
    })
}

async fn act(args: &Args, store: &Store, clock: &Clock) -> anyhow::Result<ExitCode> {
    let project = store.project(&args.project).await?;
    match &args.verb {
        Verb::Create { scope, sources, no_create, label, days, tunnel_at } => {
            let expires_ms = days.map(|days| clock.now_ms() + u64::from(days) * 24 * 60 * 60 * 1000);
            let kind = match scope {
                ScopeName::Admin => Scope::Admin,
                ScopeName::Read => Scope::Read,
                ScopeName::Agent => Scope::Agent { sources: sources.clone(), create: !no_create },
            };
            let made = store.create_token(project, kind, label, expires_ms).await?;
            if !matches!(scope, ScopeName::Agent) {
                println!("{}", made.text.0);
                return Ok(ExitCode::SUCCESS);
            }
            let mut addresses = Addresses::of_data_dir(&args.data).with_context(|| {
                format!(
                    "no server has run on {} yet, so there is nothing to join; start it once",
                    args.data.display()
                )
            })?;
            if let Some(at) = tunnel_at {
                addresses.announce.clone_from(at);
            }
            println!("{}", addresses.join_line(&made.text));
        }
        Verb::List => {
            println!("{:<6} {:<8} {:<24} {:<10} label", "id", "scope", "created", "state");
            for token in store.tokens(project).await? {
                let created = i64::try_from(token.created_ms)
                    .ok()
                    .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
                let created =
                    created.map(|t| t.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()).unwrap_or_default();
                let scope = match token.scope {
                    Scope::Admin => "admin",
                    Scope::Agent { .. } => "agent",
                    Scope::Read => "read",
                };
                let state = if token.revoked_ms.is_some() {
                    "revoked"
                } else if token.is_good(clock.now_ms()) {
                    "good"
                } else {
                    "expired"
                };
                println!(
                    "{:<6} {scope:<8} {created:<24} {state:<10} {}",
                    token.id.0,
                    token.label.escape_debug()
                );
            }
        }
        Verb::Revoke { id } => {
            if !store.revoke_token(project, TokenId(*id)).await? {
                bail!(
                    "there is no good token {id} in project {}; `relay-server token list` shows them",
                    args.project
                );
            }
            eprintln!("token {id} is revoked");
        }
    }
    Ok(ExitCode::SUCCESS)
}
