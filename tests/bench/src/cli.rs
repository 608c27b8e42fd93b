//! The flags, and the hidden words by which the binary starts itself as one of its own parts.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::measure::Chapter;
use crate::parts::link;
use crate::systems::System;

/// Measure the relay against going direct and against two plain reverse-proxy hops
///
/// Everything runs on loopback, in separate processes, in interleaved rounds. The whole takes about seventeen minutes.
#[derive(Debug, Parser)]
#[command(name = "bench-relay", args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(flatten)]
    pub options: Options,
    #[command(subcommand)]
    pub part: Option<Part>,
}

#[derive(Debug, clap::Args)]
pub struct Options {
    /// One short round of everything: shows that it runs, not what it costs
    #[arg(long)]
    pub quick: bool,
    /// Measure only these
    #[arg(long, value_delimiter = ',', value_name = "CHAPTER,...")]
    pub only: Vec<Chapter>,
    /// Compare only these, in the chapters that compare
    #[arg(long, value_delimiter = ',', value_name = "SYSTEM,...")]
    pub systems: Vec<System>,
    /// Where to write the figures
    #[arg(long, value_name = "FILE", default_value = "bench-out/bench.json")]
    pub out: PathBuf,
    /// How long each measurement of `durable` lasts, in milliseconds [default: 700; 300 with --quick]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(50..))]
    pub durable_ms: Option<u64>,
    /// How many events `backlog` has waiting [default: 100000; 5000 with --quick]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(100..))]
    pub backlog_events: Option<u64>,
    /// How many events `stored` finds stored; about 2.5 KiB of disk each [default: 1000000; 50000 with --quick]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1000..))]
    pub stored_events: Option<u64>,
    /// How long `stored` asks its questions, in seconds [default: 30; 5 with --quick]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..))]
    pub stored_seconds: Option<u64>,
    /// Run even if built without optimisation: shows that it runs, says nothing about what anything costs
    #[arg(long, requires = "no_build")]
    pub unoptimised: bool,
    /// Take relay-server and relay-agent as they lie beside this binary, without building them first
    #[arg(long)]
    pub no_build: bool,
}

impl Options {
    pub fn chapters(&self) -> &[Chapter] {
        if self.only.is_empty() { Chapter::ALL } else { &self.only }
    }

    pub fn systems(&self) -> &[System] {
        if self.systems.is_empty() { System::ALL } else { &self.systems }
    }
}

#[derive(Debug, Subcommand)]
pub enum Part {
    /// The app that answers
    #[command(hide = true)]
    App,
    /// A plain reverse-proxy hop
    #[command(hide = true)]
    Hop {
        #[arg(long, value_name = "ADDR")]
        upstream: SocketAddr,
    },
    /// The load generator; takes its plan as JSON
    #[command(hide = true)]
    Load { plan: String },
    /// The load generator of the open loop; takes its plan, and prints what it measured, as JSON
    #[command(hide = true)]
    Stream { plan: String },
    /// Accepts events without HTTP, by a plan
    #[command(hide = true)]
    Accept { plan: String },
    /// Plays the dispatcher on a store at rest, by a plan
    #[command(hide = true)]
    Claim { plan: String },
    /// Open inspectors, by a plan; commands come on standard input
    #[command(hide = true)]
    Watch { plan: String },
    /// A lossy UDP link; commands come on standard input
    #[command(hide = true)]
    Lossy(link::Options),
}
