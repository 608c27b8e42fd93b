//! `cargo faults`: the relay in a storm, as long as you like, and a ledger at its end. Exits with 1 when a promise was
//! broken.

#![allow(clippy::disallowed_methods, reason = "tests own their process: they may throw dice")]

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use relay_tests::disk::Fault;
use relay_tests::faults::writes::Lives;
use relay_tests::faults::{Power, Storm};

/// How long the backlog may take once everything is well again.
const CALM: Duration = Duration::from_secs(120);

/// Send webhooks through a relay while everything around it fails, and see what became of each.
#[derive(Debug, Parser)]
#[command(name = "cargo faults")]
struct Args {
    /// Where the dice start; without it, anywhere.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How long there are troubles.
    #[arg(long, value_name = "M", default_value_t = 1.0)]
    minutes: f64,
    /// Stop after so many requests.
    #[arg(long, value_name = "K")]
    events: Option<usize>,
    /// Longest pause of a sender between two requests, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 60)]
    pause: u64,
    /// Take the power with every kill of the server: what was not synced is gone.
    #[arg(long)]
    power: bool,
    /// The control: the same with a database that is never synced, as with `synchronous = OFF`. Has to lose something;
    /// exits with 1 if it does not.
    #[arg(long, conflicts_with = "power")]
    unsynced: bool,
    /// Leave data and logs where they are, and say where.
    #[arg(long)]
    keep: bool,
    /// No storm: a short life of a server for every write and sync in it, each of which fails once.
    #[arg(long)]
    every_write: bool,
    /// Only this write or sync of that life, so often.
    #[arg(long, value_names = ["NUMBER", "TIMES"], num_args = 2, requires = "every_write")]
    only: Option<Vec<u64>>,
}

fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    // A closed pipe ends the talk, not the run.
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    Ok(runtime
        .block_on(async { if args.every_write { every_write(args.only).await } else { storm(args).await } }))
}

async fn every_write(only: Option<Vec<u64>>) -> ExitCode {
    let lives = Arc::new(Lives::prepare().await);
    let last = match lives.count().await {
        Ok(last) => last,
        Err(what) => {
            say(&format!("a life without a fault: {what}"));
            return ExitCode::FAILURE;
        }
    };
    say(&format!("{last} operations, each with EIO and ENOSPC"));
    let tried: Vec<u64> = match only.as_deref() {
        Some([number, times]) => vec![*number; usize::try_from(*times).unwrap_or(1)],
        _ => (1..=last).collect(),
    };
    let lived = tried.len() * 2;
    let wrong = lives.try_all(tried.into_iter(), &[Fault::Io, Fault::Full], |line| say(&line)).await;
    say(&format!("\n{} of {lived} lives ended badly", wrong.len()));
    wrong.iter().for_each(|what| say(what));
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn storm(args: Args) -> ExitCode {
    let seed = args.seed.unwrap_or_else(|| {
        let mut seed = [0; 4];
        getrandom::fill(&mut seed).expect("chance");
        u32::from_ne_bytes(seed).into()
    });
    let power = match (args.power, args.unsynced) {
        (_, true) => Power::GoesUnsynced,
        (true, _) => Power::Goes,
        _ => Power::Stays,
    };
    say(&format!("seed {seed}, power {power:?}"));
    let storm = Storm {
        seed,
        time: Duration::from_secs_f64(args.minutes * 60.0),
        requests: args.events,
        kills_min: 1,
        pause_ms: args.pause,
        power,
        calm: CALM,
        keeps_evidence: args.keep,
    };
    let ledger = storm.run(|line| say(&line)).await;
    say(&format!("\nseed          {seed}\n{ledger}"));
    let is_well = if power == Power::GoesUnsynced { !ledger.lost.is_empty() } else { ledger.is_kept() };
    say(if is_well { "as it should be" } else { "NOT as it should be" });
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
