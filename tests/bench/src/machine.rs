//! Where and when a measurement was made: without this a figure means nothing.

use std::fs;
use std::path::Path;

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

/// The kind of file system a folder is on, such as `ext4`; "unknown" where the kernel does not say.
pub fn file_system_of(folder: &Path) -> Result<String> {
    let folder = folder.canonicalize().with_context(|| format!("{} is not there", folder.display()))?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("cannot read /proc/self/mountinfo")?;
    Ok(file_system(&mounts, &folder).unwrap_or("unknown").to_owned())
}

/// The last of the deepest mounts above `folder`, as proc_pid_mountinfo(5) lays them out.
fn file_system<'a>(mounts: &'a str, folder: &Path) -> Option<&'a str> {
    let above = mounts.lines().filter_map(|line| {
        let (front, back) = line.split_once(" - ")?;
        let point = Path::new(front.split(' ').nth(4)?);
        folder.starts_with(point).then_some((point.components().count(), back.split(' ').next()?))
    });
    above.max_by_key(|(depth, _)| *depth).map(|(_, kind)| kind)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_on_the_deepest_mount_above_it() {
        let mounts = "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
                      30 22 0:26 / /tmp rw,nosuid - tmpfs tmpfs rw\n\
                      31 22 0:27 / /tmpfoo rw - xfs /dev/vdb rw\n";
        for (folder, expected) in
            [("/tmp/a/b", "tmpfs"), ("/tmp", "tmpfs"), ("/tmpfoo", "xfs"), ("/var/lib", "ext4")]
        {
            assert_eq!(file_system(mounts, Path::new(folder)), Some(expected), "{folder}");
        }
        assert_eq!(file_system("", Path::new("/")), None);
    }
}
