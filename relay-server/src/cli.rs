//! The command line: one file per verb, listed here.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod audit;
mod backup;
mod jq_worker;
mod restore;
mod serve;
mod token;

/// The exit code of a usage or configuration mistake.
const EXIT_USAGE: u8 = 2;

/// Accepts webhooks at stable URLs and forwards them through a tunnel to your own machine.
#[derive(Debug, Parser)]
#[command(
    name = "relay-server",
    version,
    about,
    after_help = "Exit codes: 0 done or drained, 1 failed, 2 usage or \
configuration mistake, 130 aborted by a second signal.\nDocumentation: docs/ in the source tree."
)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the relay.
    Serve(Box<serve::Args>),
    /// Make, list and revoke tokens; works beside a running server.
    Token(token::Args),
    /// Prove that nothing entrusted to this server is lost; works beside a running server. Exit code 1: something is.
    Audit(audit::Args),
    /// Copy the data directory, beside a running server or without one.
    Backup(backup::Args),
    /// Make a data directory of a backup.
    Restore(restore::Args),
    /// Evaluate jq expressions for a running server, which starts this itself.
    #[command(hide = true)]
    JqWorker(jq_worker::Args),
}

impl Cli {
    /// Runs the verb and says how it went.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let ran = match self.verb {
            Verb::Serve(args) => serve::run(*args),
            Verb::Token(args) => token::run(&args),
            Verb::Audit(args) => audit::run(&args),
            Verb::Backup(args) => backup::run(&args),
            Verb::Restore(args) => restore::run(&args),
            Verb::JqWorker(args) => jq_worker::run(&args),
        };
        ran.unwrap_or_else(|error| {
            eprintln!("relay-server: {error:#}");
            ExitCode::FAILURE
        })
    }
}
