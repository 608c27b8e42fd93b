//! The flags, and the hidden words by which the binary starts itself as one of its own parts.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::measure::Chapter;
use crate::parts::link;
use crate::systems::System;

/// Measure the relay against going direct and against two plain reverse-proxy hops
///
/// Everything runs on loopback, in separate processes, in interleaved rounds. The whole takes about ten minutes.
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
    /// A lossy UDP link; commands come on standard input
    #[command(hide = true)]
    Lossy(link::Options),
}
