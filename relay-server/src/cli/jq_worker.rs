//! `relay-server jq-worker`: the process in which jq expressions run. The server starts it; it is no use to people.

use std::process::ExitCode;

use anyhow::Context;

use crate::jq::WorkerLimits;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Address space this process may have.
    #[arg(long)]
    memory_bytes_max: u64,
    /// Largest input of one run.
    #[arg(long)]
    input_bytes_max: usize,
    /// Largest output of one run.
    #[arg(long)]
    output_bytes_max: usize,
    /// Processor time of one run, in seconds.
    #[arg(long)]
    cpu_seconds_max: u64,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let limits = WorkerLimits {
        memory_bytes_max: args.memory_bytes_max,
        input_bytes_max: args.input_bytes_max,
        output_bytes_max: args.output_bytes_max,
        cpu_seconds_max: args.cpu_seconds_max,
    };
    crate::jq::work(limits).context("the jq worker cannot go on")?;
    Ok(ExitCode::SUCCESS)
}
