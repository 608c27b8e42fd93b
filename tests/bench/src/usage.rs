//! CPU time and memory of a process, and of the whole machine, out of `/proc`.

use std::fs;

use anyhow::{Context, Result};

/// The kernel counts CPU time for user space in hundredths of a second on every architecture Rust supports.
const USER_HZ: f64 = 100.0;

/// CPU time a process has used so far, user and system, all threads. Steps of 10 ms.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    process_cpu_seconds(&stat).with_context(|| format!("{path} is not as proc(5) says"))
}

/// CPU time the machine has spent on anything but waiting, all cores, since it started.
pub fn machine_cpu_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
    busy_seconds(&stat).context("/proc/stat is not as proc(5) says")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    pub resident_kib: u64,
    /// The most that was resident since the start, or since [`reset_peak`].
    pub peak_kib: u64,
}

pub fn memory(pid: u32) -> Result<Memory> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let field = |name| kib(&status, name).with_context(|| format!("{path} has no {name}"));
    Ok(Memory { resident_kib: field("VmRSS:")?, peak_kib: field("VmHWM:")? })
}

/// From here on [`Memory::peak_kib`] counts anew.
pub fn reset_peak(pid: u32) -> Result<()> {
    let path = format!("/proc/{pid}/clear_refs");
    fs::write(&path, "5").with_context(|| format!("cannot write {path}"))
}

/// The value of a line like `VmRSS:     1234 kB`, as in `/proc/PID/status` and `/proc/meminfo`.
pub fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line[name.len()..].trim().trim_end_matches("kB").trim().parse().ok()
}

/// Fields 14 and 15, counted behind the name, which may hold blanks and brackets of its own.
fn process_cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut times = fields.split(' ').skip(11).map(str::parse::<f64>);
    let (user, system) = (times.next()?.ok()?, times.next()?.ok()?);
    Some((user + system) / USER_HZ)
}

fn busy_seconds(stat: &str) -> Option<f64> {
    let fields: Vec<f64> = stat
        .lines()
        .next()?
        .strip_prefix("cpu ")?
        .split_whitespace()
        .take(8)
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    let [user, nice, system, _idle, _iowait, irq, softirq, steal] = fields[..] else { return None };
    Some((user + nice + system + irq + softirq + steal) / USER_HZ)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_with_brackets_and_blanks_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 10 0 0 0 150 50 9 9 20 0 1 0 100 1 1\n";
        assert_eq!(process_cpu_seconds(stat), Some(2.0));
        assert_eq!(process_cpu_seconds("7 (a) S 1"), None);
    }

    #[test]
    fn waiting_is_not_work() {
        let stat = "cpu  100 0 200 900 900 0 100 0 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n";
        assert_eq!(busy_seconds(stat), Some(4.0));
    }

    #[test]
    fn this_process_can_be_looked_at() -> Result<()> {
        let pid = std::process::id();
        assert!(cpu_seconds(pid)? >= 0.0);
        reset_peak(pid)?;
        let memory = memory(pid)?;
        assert!(memory.resident_kib > 100 && memory.peak_kib >= 100);
        Ok(())
    }
}
