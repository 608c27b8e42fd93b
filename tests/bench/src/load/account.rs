//! What is counted of a run: latencies, errors, and the CPU time of everyone who matters, over exactly one window.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::histogram::Histogram;
use crate::usage;

/// Latencies of what was answered right, and what was not.
#[derive(Debug, Default)]
pub struct Tally {
    pub latencies: Histogram,
    pub errors: u64,
    pub first_error: Option<String>,
}

impl Tally {
    pub fn note<T>(&mut self, took: Duration, answered: &Result<T>) {
        match answered {
            Ok(_) => self.latencies.record(took),
            Err(error) => {
                self.errors += 1;
                self.first_error.get_or_insert_with(|| format!("{error:#}"));
            }
        }
    }
}

/// CPU time used so far by everyone who matters, at one moment.
#[derive(Debug)]
pub struct Snapshot {
    at: Instant,
    watched: BTreeMap<String, f64>,
    own: f64,
    machine: f64,
}

/// CPU time used within a window.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Used {
    pub seconds: f64,
    /// By role, as watched.
    pub cpu_seconds: BTreeMap<String, f64>,
    /// Of the process that looked, which is a load generator more often than not.
    pub load_cpu_seconds: f64,
    /// So much of the machine, in percent of all cores, went to neither the watched processes nor the load
    /// generator. Past a few percent the figures say more about the neighbours.
    pub foreign_cpu_percent: f64,
}

impl Used {
    /// CPU seconds of a role for 1,000 of something. Zero for a role nobody watched.
    pub fn cpu_per_1k(&self, role: &str, count: u64) -> f64 {
        self.cpu_seconds.get(role).copied().unwrap_or_default() * 1_000.0 / count.max(1) as f64
    }
}

impl Snapshot {
    /// `watch`: role and process id.
    pub fn take(watch: &BTreeMap<String, u32>) -> Result<Self> {
        let watched = watch
            .iter()
            .map(|(role, pid)| {
                let seconds = usage::cpu_seconds(*pid)
                    .with_context(|| format!("the {role} process ({pid}) has ended during a measurement"))?;
                Ok((role.clone(), seconds))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            at: Instant::now(),
            watched,
            own: usage::cpu_seconds(std::process::id())?,
            machine: usage::machine_cpu_seconds()?,
        })
    }

    /// What was used between `before`, of the same processes, and this.
    pub fn since(&self, before: &Self) -> Result<Used> {
        let cpu_seconds: BTreeMap<String, f64> =
            self.watched.iter().map(|(role, used)| (role.clone(), used - before.watched[role])).collect();
        let load_cpu_seconds = self.own - before.own;
        let accounted = cpu_seconds.values().sum::<f64>() + load_cpu_seconds;
        let seconds = (self.at - before.at).as_secs_f64();
        let available = seconds * std::thread::available_parallelism()?.get() as f64;
        let foreign_cpu_percent = ((self.machine - before.machine - accounted) * 100.0 / available).max(0.0);
        Ok(Used { seconds, cpu_seconds, load_cpu_seconds, foreign_cpu_percent })
    }
}
