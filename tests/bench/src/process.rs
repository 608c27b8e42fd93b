//! A child process: started with its output in files, listened to by reading them, and killed by its own id when
//! its handle goes. Files instead of pipes, because a thousand agents must not cost the driver a thousand
//! descriptors, and because the last lines of a log belong into an error message.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::time::{Instant, sleep};

/// How often a waiting driver looks. Nothing measured hangs on it.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// So much of a log goes into an error message.
const LOG_TAIL_BYTES: u64 = 2_000;

/// What to start.
#[derive(Debug)]
pub struct Launch<'a> {
    /// Names the log files, and the process in messages. Unique among those that run at the same time.
    pub name: &'a str,
    pub binary: &'a Path,
    pub arguments: Vec<OsString>,
    pub environment: Vec<(&'a str, OsString)>,
    pub input: Input<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input<'a> {
    Nothing,
    Text(&'a str),
    /// Stays open as long as the handle: for commands, and to tell a part to end.
    Open,
}

#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    output: Log,
    errors: PathBuf,
}

#[derive(Debug)]
struct Log {
    path: PathBuf,
    read_bytes: u64,
}

impl Process {
    /// Starts it, with logs in `folder`.
    pub fn start(launch: Launch<'_>, folder: &Path) -> Result<Self> {
        let output = folder.join(format!("{}.out", launch.name));
        let errors = folder.join(format!("{}.err", launch.name));
        // What an earlier process of this name said is not what this one says.
        let read_bytes = fs::metadata(&output).map_or(0, |earlier| earlier.len());
        let mut command = Command::new(launch.binary);
        command.args(&launch.arguments).stdout(log_file(&output)?).stderr(log_file(&errors)?);
        command.stdin(if launch.input == Input::Nothing { Stdio::null() } else { Stdio::piped() });
        // A developer's own settings must not be part of the measurement.
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("RELAY_") || name == "RUST_LOG") {
                command.env_remove(name);
            }
        }
        command.envs(launch.environment);
        let mut child =
            command.spawn().with_context(|| format!("cannot start {}", launch.binary.display()))?;
        let mut input = child.stdin.take();
        if let Input::Text(text) = launch.input {
            let mut input = input.take().context("a child has no standard input")?;
            input.write_all(text.as_bytes())?;
        }
        let output = Log { path: output, read_bytes };
        Ok(Self { name: launch.name.to_owned(), child, input, output, errors })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line of JSON on its standard output from which `pick` takes something.
    pub async fn line<T>(&mut self, limit: Duration, mut pick: impl FnMut(&Value) -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + limit;
        loop {
            // Looked at before the output is, so that the last words of a process that ended are still read.
            let ended = self.child.try_wait()?;
            for line in self.output.new_lines()? {
                if let Some(found) = serde_json::from_str(&line).ok().as_ref().and_then(&mut pick) {
                    return Ok(found);
                }
            }
            if let Some(status) = ended {
                bail!("{} ended ({status}) instead of getting ready{}", self.name, self.last_words());
            }
            if Instant::now() >= deadline {
                bail!("{} was not ready within {limit:?}{}", self.name, self.last_words());
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Waits for its end, and returns its whole standard output.
    pub async fn finish(mut self, limit: Duration) -> Result<String> {
        let status = self.end(limit).await?;
        if !status.success() {
            bail!("{} failed ({status}){}", self.name, self.last_words());
        }
        Ok(self.output.new_lines()?.join("\n"))
    }

    async fn end(&mut self, limit: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                bail!("{} did not finish within {limit:?}{}", self.name, self.last_words());
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Writes one line to its standard input, which must be [`Input::Open`].
    pub fn tell(&mut self, line: &str) -> Result<()> {
        let input = self.input.as_mut().with_context(|| format!("{} takes no commands", self.name))?;
        writeln!(input, "{line}").with_context(|| format!("{} no longer listens", self.name))
    }

    /// Empties its logs. At full load a server's log grows by megabytes a second.
    pub fn forget_logs(&mut self) -> Result<()> {
        for path in [&self.output.path, &self.errors] {
            OpenOptions::new().write(true).open(path)?.set_len(0)?;
        }
        self.output.read_bytes = 0;
        Ok(())
    }

    /// SIGKILL, as a crash would. Gone when this returns.
    pub fn kill(&mut self) {
        // Fails only for a process that has ended already, which is what was wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }

    fn last_words(&self) -> String {
        let tail = tail(&self.errors).unwrap_or_default();
        let tail = tail.trim();
        if tail.is_empty() { String::new() } else { format!(". Its last words:\n{tail}") }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Log {
    /// The complete lines written since the last look.
    fn new_lines(&mut self) -> Result<Vec<String>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.read_bytes))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let complete = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        self.read_bytes += complete as u64;
        Ok(String::from_utf8_lossy(&bytes[..complete]).lines().map(str::to_owned).collect())
    }
}

/// Appending, so that emptying the file takes effect for a writer that has it open.
fn log_file(path: &Path) -> Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.with_context(|| format!("cannot write {}", path.display()))
}

fn tail(path: &Path) -> Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn shell(script: &str, input: Input<'_>, folder: &Path) -> Result<Process> {
        let arguments = vec!["-c".into(), script.into()];
        let binary = Path::new("/bin/sh");
        Process::start(Launch { name: "shell", binary, arguments, environment: Vec::new(), input }, folder)
    }

    #[tokio::test]
    async fn a_line_is_found_among_others_and_only_once_it_is_complete() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let script = r#"echo talk; printf '{"state":'; read go; echo '"live"}'; sleep 60"#;
        let mut process = shell(script, Input::Open, folder.path())?;
        process.tell("go")?;
        let state = process.line(LIMIT, |line| line["state"].as_str().map(str::to_owned)).await?;
        assert_eq!(state, "live");
        Ok(())
    }

    #[tokio::test]
    async fn a_process_that_fails_says_why() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let process = shell("echo no such port >&2; exit 3", Input::Nothing, folder.path())?;
        let error = process.finish(LIMIT).await.expect_err("it failed").to_string();
        assert!(error.contains("no such port") && error.contains('3'), "{error}");
        Ok(())
    }

    #[tokio::test]
    async fn text_is_its_whole_input() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let process = shell("cat", Input::Text("relay://token\n"), folder.path())?;
        assert_eq!(process.finish(LIMIT).await?, "relay://token");
        Ok(())
    }

    #[tokio::test]
    async fn a_dropped_handle_leaves_no_process() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let process = shell("sleep 60", Input::Nothing, folder.path())?;
        let proc = PathBuf::from(format!("/proc/{}", process.id()));
        assert!(proc.exists());
        drop(process);
        assert!(!proc.exists());
        Ok(())
    }
}
