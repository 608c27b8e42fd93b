//! One worker process as the relay sees it: started, asked, ended. Dropping it kills it, so whoever stops waiting for
//! an answer leaves no worker in the middle of one.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::JqSettings;
use super::frame::{ANSWER_HEAD_BYTES, Answer, QUESTION_HEAD_BYTES, Question, QuestionHead, malformed};
use super::strikes::Cost;

/// How long a worker may take to start. It takes some milliseconds on an idle machine.
const START_DEADLINE: Duration = Duration::from_secs(5);

/// How long a process that closed its stdout, or was killed, may take to be gone.
const END_DEADLINE: Duration = Duration::from_millis(500);

/// Questions up to this size are sent in one write: what a pipe holds.
const ONE_WRITE_BYTES_MAX: usize = 64 * 1024;

/// A running worker that waits for a question.
pub(super) struct Worker {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    output_bytes_max: usize,
    /// Questions answered.
    pub runs: u32,
}

/// Why a worker gave no answer.
#[derive(Debug)]
pub(super) enum Death {
    /// What it was asked is to blame.
    Cost(Cost),
    /// Something else, in words.
    Other(String),
}

impl Worker {
    /// Starts a worker and waits until its limits are set.
    pub(super) async fn start(settings: &JqSettings) -> io::Result<Self> {
        // Twice the deadline: it ends a worker whose relay cannot, and must not come before the relay.
        let cpu_seconds = settings.time_max.as_secs().saturating_mul(2).saturating_add(1);
        let mut child = Command::new(&settings.program)
            .arg("jq-worker")
            .arg(format!("--memory-bytes-max={}", settings.memory_bytes_max))
            .arg(format!("--input-bytes-max={}", settings.input_bytes_max))
            .arg(format!("--output-bytes-max={}", settings.output_bytes_max))
            .arg(format!("--cpu-seconds-max={cpu_seconds}"))
            .env_clear()
            .current_dir("/")
            // Ctrl-C at a terminal is for the relay, which may still have events to deliver.
            .process_group(0)
            .kill_on_drop(true)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (stdin, stdout) = pipes.ok_or_else(|| io::Error::other("a process without pipes"))?;
        let stdout = BufReader::with_capacity(ONE_WRITE_BYTES_MAX, stdout);
        let output_bytes_max = settings.output_bytes_max;
        let mut worker = Self { child, stdin, stdout, output_bytes_max, runs: 0 };
        match timeout(START_DEADLINE, worker.hear()).await {
            Ok(Ok(Answer::Ready)) => Ok(worker),
            Ok(Ok(_)) => Err(malformed("a program that is no jq worker")),
            Ok(Err(error)) => match worker.end().await {
                Some(status) => Err(io::Error::other(format!("the worker did not start ({status})"))),
                None => Err(error),
            },
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the worker did not start in time")),
        }
    }

    /// Asks one question. After an error, or when this is not waited for, the worker is of no more use.
    pub(super) async fn ask(&mut self, kind: Question, expression: &str, input: &[u8]) -> io::Result<Answer> {
        let too_long = |_| malformed("a question of more than 4 GiB");
        let head = QuestionHead {
            kind,
            expression_bytes: u32::try_from(expression.len()).map_err(too_long)?,
            input_bytes: u32::try_from(input.len()).map_err(too_long)?,
        };
        let (together, rest) =
            if input.len() <= ONE_WRITE_BYTES_MAX { (input, &[][..]) } else { (&[][..], input) };
        let mut question = Vec::with_capacity(QUESTION_HEAD_BYTES + expression.len() + together.len());
        question.extend_from_slice(&head.to_bytes());
        question.extend_from_slice(expression.as_bytes());
        question.extend_from_slice(together);
        self.stdin.write_all(&question).await?;
        self.stdin.write_all(rest).await?;
        let answer = self.hear().await?;
        if answer == Answer::Ready {
            return Err(malformed("an answer that was not asked for"));
        }
        self.runs += 1;
        Ok(answer)
    }

    async fn hear(&mut self) -> io::Result<Answer> {
        let mut head = [0; ANSWER_HEAD_BYTES];
        self.stdout.read_exact(&mut head).await?;
        let mut text = vec![0; Answer::text_bytes(head, self.output_bytes_max)?];
        self.stdout.read_exact(&mut text).await?;
        Answer::from_parts(head, text)
    }

    /// The process, gone by itself or killed. `None` when it is neither in time.
    async fn end(&mut self) -> Option<ExitStatus> {
        if let Ok(Ok(status)) = timeout(END_DEADLINE, self.child.wait()).await {
            return Some(status);
        }
        self.kill().await
    }

    /// Kills the process and waits until its memory is free.
    pub(super) async fn kill(&mut self) -> Option<ExitStatus> {
        // It fails for a process that is gone.
        let _ = self.child.start_kill();
        timeout(END_DEADLINE, self.child.wait()).await.ok()?.ok()
    }

    /// What became of a worker that failed to answer with `error`.
    pub(super) async fn death(mut self, error: &io::Error) -> Death {
        match self.end().await {
            Some(status) => cause(status),
            None => Death::Other(format!("a jq worker broke: {error}")),
        }
    }
}

/// Rust aborts when memory or stack is used up; a stack that cannot grow, or has no guard, is a fault of addressing.
fn cause(status: ExitStatus) -> Death {
    const SIGABRT: i32 = 6;
    const SIGSEGV: i32 = 11;
    let sigbus = if cfg!(target_os = "linux") { 7 } else { 10 };
    const SIGXCPU: i32 = 24;
    match status.signal() {
        Some(SIGABRT | SIGSEGV) => Death::Cost(Cost::Memory),
        Some(SIGXCPU) => Death::Cost(Cost::Time),
        Some(signal) if signal == sigbus => Death::Cost(Cost::Memory),
        _ => Death::Other(format!("a jq worker died ({status})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_death_says_who_is_to_blame() {
        let died = |signal| cause(ExitStatus::from_raw(signal));
        assert!(matches!(died(6), Death::Cost(Cost::Memory)));
        assert!(matches!(died(11), Death::Cost(Cost::Memory)));
        assert!(matches!(died(24), Death::Cost(Cost::Time)));
        assert!(matches!(died(9), Death::Other(_)), "somebody else killed it");
        assert!(matches!(died(1 << 8), Death::Other(_)), "it gave up");
    }
}
