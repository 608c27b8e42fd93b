//! What the relay costs, measured on real processes, side by side with going direct and with two plain proxy hops.
//!
//! The binary is its own crew: it starts itself again as app, hop, load generator and lossy link, so that each has
//! a process whose CPU and memory the kernel accounts for. [`lossy`] also serves the project's test-suite.
//! This is a program a person runs and reads, so its errors are `anyhow` throughout; [`lossy`] is the exception.

#![allow(clippy::disallowed_methods, reason = "measuring needs the clock as it is, and processes of its own")]

use anyhow::{Result, bail};
use tokio::signal::unix::{SignalKind, signal};

pub mod api;
pub mod cli;
pub mod copies;
pub mod crew;
pub mod dice;
pub mod load;
pub mod lossy;
pub mod machine;
pub mod measure;
pub mod parts;
pub mod process;
pub mod relay;
pub mod report;
pub mod seeds;
pub mod sink;
pub mod systems;
pub mod usage;

use cli::{Cli, Part};

/// Plays the part asked for, or drives the whole benchmark.
pub async fn run(cli: Cli) -> Result<()> {
    match cli.part {
        Some(Part::App) => parts::app::run().await,
        Some(Part::Hop { upstream }) => parts::hop::run(upstream).await,
        Some(Part::Lossy(options)) => parts::link::run(&options).await,
        Some(Part::Load { plan }) => {
            let measured = load::run(serde_json::from_str(&plan)?).await?;
            println!("{}", serde_json::to_string(&measured)?);
            Ok(())
        }
        Some(Part::Stream { plan }) => {
            let measured = load::open::run(serde_json::from_str(&plan)?).await?;
            println!("{}", serde_json::to_string(&measured)?);
            Ok(())
        }
        Some(Part::Accept { plan }) => parts::accepting::run(&serde_json::from_str(&plan)?).await,
        Some(Part::Claim { plan }) => parts::claiming::run(&serde_json::from_str(&plan)?).await,
        Some(Part::Watch { plan }) => parts::watching::run(serde_json::from_str(&plan)?).await,
        None => {
            let mut terminated = signal(SignalKind::terminate())?;
            // Leaving this way drops every handle, and with it every process.
            tokio::select! {
                ended = measure::all(&cli.options) => ended,
                _ = tokio::signal::ctrl_c() => bail!("interrupted"),
                _ = terminated.recv() => bail!("terminated"),
            }
        }
    }
}
