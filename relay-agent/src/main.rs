//! The agent's program: read the arguments, set up diagnostics, do what was asked, end with a code that tells the
//! truth. The work is in the library (`relay_agent`) and in [`cli`].

mod cli;
mod config;
mod output;
mod suggest;

use std::process::ExitCode;

use clap::error::ErrorKind;
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Color, Exit};

// glibc's malloc showed among the costliest symbols of the agent under load; jemalloc also gives memory back.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = match cli::parse(std::env::args_os().collect()) {
        Ok(cli) => cli,
        Err(error) => return explain_usage(&error),
    };
    colour(cli.options.color);
    if let Err(wrong) = diagnostics(&cli) {
        output::complain(&format!("error: RELAY_LOG: {wrong}"));
        return Exit::Usage.into();
    }
    match run(cli) {
        Ok(exit) => exit.into(),
        Err(error) => {
            output::complain(&format!("error: {error:#}"));
            Exit::Failed.into()
        }
    }
}

/// One thread is enough: bytes only pass through here.
fn run(cli: Cli) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let exit = runtime.block_on(Box::pin(cli::run(cli)));
    // Name lookups run on threads that cannot be interrupted; nobody waits for them any more.
    runtime.shutdown_background();
    Ok(exit)
}

fn colour(when: Color) {
    let choice = match when {
        Color::Auto => anstream::ColorChoice::Auto,
        Color::Always => anstream::ColorChoice::Always,
        Color::Never => anstream::ColorChoice::Never,
    };
    choice.write_global();
}

/// Diagnostics go to stderr, beside what the verbs say; by default only what somebody should look at.
fn diagnostics(cli: &Cli) -> anyhow::Result<()> {
    let usual = match cli.options.verbose {
        0 => "warn",
        1 => "warn,relay_agent=info,relay_link=info",
        2 => "info,relay_agent=debug,relay_link=debug",
        _ => "debug",
    };
    let filter = EnvFilter::try_new(cli.options.log.as_deref().unwrap_or(usual))?;
    let is_coloured = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| output::held::Stderr)
        .with_ansi(is_coloured)
        .init();
    Ok(())
}

/// Help and version are answers, everything else a mistake; clap knows the stream and the code of each.
fn explain_usage(error: &clap::Error) -> ExitCode {
    let is_answer = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    // A closed stream has nobody left to tell.
    let _ = error.print();
    if is_answer { Exit::Done.into() } else { Exit::Usage.into() }
}
