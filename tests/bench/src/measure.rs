//! The chapters of the benchmark. To add one: a file, a variant, a line in each `match` here.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use clap::ValueEnum;
use serde_json::Value;

use crate::cli::Options;
use crate::crew::{Crew, build_product};
use crate::machine::Machine;
use crate::report::{Findings, Report};
use crate::systems::System;

mod backlog;
mod bulk;
mod durable;
mod idle;
mod inspector;
mod restart;
mod signed;
mod small;
mod stored;
mod wan;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Chapter {
    /// Small POSTs: requests per second, latency, CPU per request
    Small,
    /// One large body at a time: throughput, CPU, peak memory
    Bulk,
    /// Memory per connected agent, and after many requests
    Idle,
    /// Time to the first answer after a server crash and after a cut link
    Restart,
    /// Small POSTs over a link with delay and loss
    Wan,
    /// Events accepted and on disk: per second, and how long the 202 takes
    Durable,
    /// A backlog delivered when its agent comes
    Backlog,
    /// Start, questions and claims with a million events stored
    Stored,
    /// Signatures checked, and a flood of forged ones
    Signed,
    /// The inspector's first list with a million events stored, and what ten open ones cost
    Inspector,
}

impl Chapter {
    pub const ALL: &[Self] = &[
        Self::Small,
        Self::Bulk,
        Self::Idle,
        Self::Restart,
        Self::Wan,
        Self::Durable,
        Self::Backlog,
        Self::Stored,
        Self::Signed,
        Self::Inspector,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Bulk => "bulk",
            Self::Idle => "idle",
            Self::Restart => "restart",
            Self::Wan => "wan",
            Self::Durable => "durable",
            Self::Backlog => "backlog",
            Self::Stored => "stored",
            Self::Signed => "signed",
            Self::Inspector => "inspector",
        }
    }

    /// Whether it compares the systems chosen, or is about the product alone.
    fn compares(self) -> bool {
        matches!(self, Self::Small | Self::Bulk)
    }

    async fn run(self, bench: &Bench<'_>) -> Result<Findings> {
        // Boxed: each is a long story, and they never run at the same time.
        match self {
            Self::Small => Box::pin(small::run(bench)).await,
            Self::Bulk => Box::pin(bulk::run(bench)).await,
            Self::Idle => Box::pin(idle::run(bench)).await,
            Self::Restart => Box::pin(restart::run(bench)).await,
            Self::Wan => Box::pin(wan::run(bench)).await,
            Self::Durable => Box::pin(durable::run(bench)).await,
            Self::Backlog => Box::pin(backlog::run(bench)).await,
            Self::Stored => Box::pin(stored::run(bench)).await,
            Self::Signed => Box::pin(signed::run(bench)).await,
            Self::Inspector => Box::pin(inspector::run(bench)).await,
        }
    }
}

/// What every chapter works with.
struct Bench<'a> {
    crew: &'a Crew,
    systems: &'a [System],
    effort: Effort,
}

/// How much of everything.
struct Effort {
    rounds: usize,
    warm_up: Duration,
    window: Duration,
    /// Large bodies one after the other, as one figure: CPU time comes in steps of 10 ms.
    transfers: u64,
    /// Rising.
    agent_counts: &'static [usize],
    requests_before_weighing: u64,
    tries: usize,
    /// The congestion controller needs round trips, not requests, to find its way.
    wan_warm_up: Duration,
    wan_window: Duration,
    durable_window: Duration,
    backlog_events: u64,
    stored_events: u64,
    stored_window: Duration,
    /// Of the dispatcher's turns alone.
    claim_window: Duration,
    /// Pages opened, of each kind.
    pages_opened: usize,
    /// Windows with inspectors open, each beside one without.
    watched_pairs: usize,
}

impl Effort {
    const FULL: Self = Self {
        rounds: 3,
        warm_up: Duration::from_secs(1),
        window: Duration::from_secs(3),
        transfers: 8,
        agent_counts: &[1, 100, 1_000],
        requests_before_weighing: 100_000,
        tries: 5,
        wan_warm_up: Duration::from_secs(2),
        wan_window: Duration::from_secs(6),
        durable_window: Duration::from_millis(700),
        backlog_events: 100_000,
        stored_events: 1_000_000,
        stored_window: Duration::from_secs(30),
        claim_window: Duration::from_secs(10),
        pages_opened: 15,
        watched_pairs: 120,
    };

    const QUICK: Self = Self {
        rounds: 1,
        warm_up: Duration::from_millis(300),
        window: Duration::from_secs(1),
        transfers: 2,
        agent_counts: &[1, 10, 50],
        requests_before_weighing: 10_000,
        tries: 2,
        wan_warm_up: Duration::from_secs(1),
        wan_window: Duration::from_secs(2),
        durable_window: Duration::from_millis(300),
        backlog_events: 5_000,
        stored_events: 50_000,
        stored_window: Duration::from_secs(5),
        claim_window: Duration::from_secs(2),
        pages_opened: 3,
        watched_pairs: 1,
    };

    /// As much as the flags ask for.
    fn of(options: &Options) -> Self {
        let all = if options.quick { Self::QUICK } else { Self::FULL };
        Self {
            durable_window: options.durable_ms.map_or(all.durable_window, Duration::from_millis),
            backlog_events: options.backlog_events.unwrap_or(all.backlog_events),
            stored_events: options.stored_events.unwrap_or(all.stored_events),
            stored_window: options.stored_seconds.map_or(all.stored_window, Duration::from_secs),
            ..all
        }
    }
}

/// Runs the chapters chosen, prints their tables, and writes the report. A chapter that fails does not stop the
/// others, but makes the whole an error.
pub async fn all(options: &Options) -> Result<()> {
    let is_optimised = !cfg!(debug_assertions);
    if !is_optimised && !options.unoptimised {
        bail!("this benchmark was built without optimisation: run `cargo bench-relay`");
    }
    let crew = Crew::assemble()?;
    let chapters = options.chapters();
    let compares_product = options.systems().iter().any(|system| system.is_product());
    if chapters.iter().any(|chapter| compares_product || !chapter.compares()) {
        if !options.no_build {
            build_product()?;
        }
        crew.check_product()?;
    }

    let effort = Effort::of(options);
    let mut report = Report {
        machine: Machine::look()?,
        is_quick: options.quick,
        is_optimised,
        rounds: effort.rounds,
        chapters: serde_json::Map::new(),
    };
    println!("{}\n", machine_line(&report.machine));
    let bench = Bench { crew: &crew, systems: options.systems(), effort };
    let mut failed = Vec::new();
    for chapter in chapters {
        let found = match chapter.run(&bench).await {
            Ok(findings) => {
                for table in &findings.tables {
                    println!("{}", table.text());
                }
                findings.data
            }
            Err(error) => {
                eprintln!("{} failed: {error:#}", chapter.name());
                failed.push(chapter.name());
                Value::String(format!("{error:#}"))
            }
        };
        report.chapters.insert(chapter.name().to_owned(), found);
        // After every chapter, so that an interrupted run keeps what it has.
        report.write(&options.out)?;
    }
    println!("The figures are in {}.", options.out.display());
    ensure!(failed.is_empty(), "not measured: {}", failed.join(", "));
    Ok(())
}

fn machine_line(machine: &Machine) -> String {
    format!(
        "{} cores, {}, {} MiB, {}, kernel {}, {}",
        machine.cores,
        machine.cpu_model,
        machine.memory_mib,
        machine.operating_system,
        machine.kernel,
        machine.measured_at
    )
}

/// Talk goes to standard error, so that the tables can be piped.
fn progress(text: &str) {
    eprintln!("  {text}");
}
