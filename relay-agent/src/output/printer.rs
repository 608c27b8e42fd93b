//! Writes lines to stdout from a thread of its own, so that a paused terminal (`less`, Ctrl-S) never holds up a
//! webhook. When the queue is full, lines are left out and the next one that fits says how many.

use std::io::Write;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::thread;
use std::time::Duration;

/// Lines that may wait: some seconds of a busy log, well under a megabyte.
const WAITING_MAX: usize = 4096;

/// How long the last lines may take to get out before the program ends without them.
const FINISH_WAIT: Duration = Duration::from_secs(2);

/// Nobody reads the output any more.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the output was closed by whoever read it")]
pub(crate) struct Closed;

/// A queue of lines in front of a writer.
pub(crate) struct Printer {
    lines: SyncSender<String>,
    ended: Receiver<()>,
    skipped: u64,
    skipped_line: fn(u64) -> String,
}

impl Printer {
    /// Prints to `out`. `skipped_line` is the line that stands for so many lines left out.
    pub(crate) fn start(out: impl Write + Send + 'static, skipped_line: fn(u64) -> String) -> Self {
        let (lines, waiting) = mpsc::sync_channel(WAITING_MAX);
        let (end, ended) = mpsc::sync_channel(1);
        thread::spawn(move || {
            write_lines(out, &waiting);
            let _ = end.send(());
        });
        Self { lines, ended, skipped: 0, skipped_line }
    }

    /// Puts a line in the queue, or counts it when there is no room. Never waits.
    pub(crate) fn print(&mut self, line: String) -> Result<(), Closed> {
        if self.skipped > 0 {
            match self.lines.try_send((self.skipped_line)(self.skipped)) {
                Ok(()) => self.skipped = 0,
                Err(TrySendError::Full(_)) => {
                    self.skipped += 1;
                    return Ok(());
                }
                Err(TrySendError::Disconnected(_)) => return Err(Closed),
            }
        }
        match self.lines.try_send(line) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => {
                self.skipped += 1;
                Ok(())
            }
            Err(TrySendError::Disconnected(_)) => Err(Closed),
        }
    }

    /// Waits until everything queued is out, within [`FINISH_WAIT`].
    pub(crate) fn finish(self) {
        drop(self.lines);
        if self.ended.recv_timeout(FINISH_WAIT) == Err(RecvTimeoutError::Timeout) {
            tracing::debug!("the output does not take its last lines");
        }
    }
}

/// Lines that come close together go out in one write: a person does not see the pause, and under load a line costs
/// no wake-up of its own.
const GATHER: Duration = Duration::from_millis(10);

/// Bytes of one write.
const GATHER_BYTES_MAX: usize = 64 * 1024;

fn write_lines(mut out: impl Write, waiting: &Receiver<String>) {
    while let Ok(mut lines) = waiting.recv() {
        lines.push('\n');
        if out.write_all(lines.as_bytes()).and_then(|()| out.flush()).is_err() {
            return;
        }
        thread::sleep(GATHER);
        lines.clear();
        while lines.len() < GATHER_BYTES_MAX
            && let Ok(line) = waiting.try_recv()
        {
            lines.push_str(&line);
            lines.push('\n');
        }
        if out.write_all(lines.as_bytes()).and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    /// Takes a line only when told to; ends when the other side is dropped.
    struct Gate(Receiver<()>, mpsc::Sender<String>);

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.recv().map_err(io::Error::other)?;
            self.1.send(String::from_utf8_lossy(bytes).into_owned()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stuck_terminal_costs_lines_not_time_and_says_so() {
        let (open, gate) = mpsc::channel();
        let (written, seen) = mpsc::channel();
        let mut printer = Printer::start(Gate(gate, written), |count| format!("{count} left out"));
        let total = WAITING_MAX + 100;
        for n in 0..total {
            printer.print(n.to_string()).unwrap();
        }
        let skipped = printer.skipped;
        assert!(skipped >= 98, "{skipped}");
        let mut text = String::new();
        let mut read_until = |end: &str| {
            while !text.ends_with(end) {
                open.send(()).unwrap();
                text.push_str(&seen.recv_timeout(Duration::from_secs(5)).unwrap());
            }
            text.lines().count()
        };
        let last_kept = total - usize::try_from(skipped).unwrap();
        assert_eq!(read_until(&format!("{}\n", last_kept - 1)), last_kept, "every line that was kept");
        printer.print("after".to_owned()).unwrap();
        read_until(&format!("{skipped} left out\nafter\n"));
    }

    #[test]
    fn a_reader_that_went_away_is_noticed() {
        let (open, gate) = mpsc::channel::<()>();
        let (written, _seen) = mpsc::channel();
        drop(open);
        let mut printer = Printer::start(Gate(gate, written), |_| String::new());
        let mut tries = 0;
        while printer.print("x".to_owned()).is_ok() {
            tries += 1;
            assert!(tries < 10_000_000, "the closed output was never noticed");
            thread::yield_now();
        }
        printer.finish();
    }
}
