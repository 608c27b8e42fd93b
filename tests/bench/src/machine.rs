//! Where and when a measurement was made: without this a figure means nothing.

use std::fs;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::usage;

#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    pub cpu_model: String,
    pub cores: usize,
    pub memory_mib: u64,
    pub kernel: String,
    pub operating_system: String,
    /// UTC, to the second.
    pub measured_at: String,
}

impl Machine {
    pub fn look() -> Result<Self> {
        let meminfo = fs::read_to_string("/proc/meminfo").context("cannot read /proc/meminfo")?;
        Ok(Self {
            cpu_model: value_in("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism()?.get(),
            memory_mib: usage::kib(&meminfo, "MemTotal:").unwrap_or_default() / 1_024,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            operating_system: value_in("/etc/os-release", "PRETTY_NAME"),
            measured_at: jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        })
    }
}

/// What the kernel thinks could be given to new processes without swapping.
pub fn memory_available_kib() -> Result<u64> {
    let meminfo = fs::read_to_string("/proc/meminfo").context("cannot read /proc/meminfo")?;
    usage::kib(&meminfo, "MemAvailable:").context("/proc/meminfo has no MemAvailable")
}

/// The first `name: value` or `name=value` of a file. "unknown" where there is none, as on some architectures.
fn value_in(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let found = text.lines().find_map(|line| {
        let (key, value) = line.split_once([':', '='])?;
        (key.trim() == name).then(|| value.trim().trim_matches('"').to_owned())
    });
    found.unwrap_or_else(|| "unknown".to_owned())
}
