//! Writes lines to stdout from a thread of its own, so that a paused terminal (`less`, Ctrl-S) never holds up a
//! webhook. When the queue is full, lines are left out and the next one that fits says how many.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

/// Bytes of lines that may wait: some seconds of a busy log.
const WAITING_BYTES_MAX: usize = 1024 * 1024;

/// How long the last lines may take to get out before the program ends without them.
const FINISH_WAIT: Duration = Duration::from_secs(2);

/// Nobody reads the output any more.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the output was closed by whoever read it")]
pub(crate) struct Closed;

/// Lines that go out together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    text: Vec<u8>,
    lines: u64,
}

impl Batch {
    /// Adds a line, given without its end.
    pub(crate) fn line(&mut self, line: &str) {
        self.line_with(|text| text.extend_from_slice(line.as_bytes()));
    }

    /// How many there are.
    pub(crate) fn lines(&self) -> usize {
        usize::try_from(self.lines).unwrap_or(usize::MAX)
    }

    #[cfg(test)]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.text).expect("lines are text")
    }

    /// Adds what `write` writes as a line.
    pub(crate) fn line_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.text);
        self.text.push(b'\n');
        self.lines += 1;
    }
}

/// A queue of lines in front of a writer.
pub(crate) struct Printer {
    batches: Sender<Batch>,
    // Bytes in the queue.
    waiting: Arc<AtomicUsize>,
    ended: Receiver<()>,
    skipped: u64,
    skipped_line: fn(u64) -> String,
}

impl Printer {
    /// Prints to `out`. `skipped_line` is the line that stands for so many lines left out.
    pub(crate) fn start(out: impl Write + Send + 'static, skipped_line: fn(u64) -> String) -> Self {
        let (batches, queue) = mpsc::channel();
        let (end, ended) = mpsc::sync_channel(1);
        let waiting = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&waiting);
        thread::spawn(move || {
            write_batches(out, &queue, &counted);
            let _ = end.send(());
        });
        Self { batches, waiting, ended, skipped: 0, skipped_line }
    }

    /// Puts lines in the queue, or counts them when there is no room. Never waits.
    pub(crate) fn print(&mut self, batch: Batch) -> Result<(), Closed> {
        if batch.lines == 0 {
            return Ok(());
        }
        if self.waiting.load(Ordering::Relaxed) + batch.text.len() > WAITING_BYTES_MAX {
            self.skipped += batch.lines;
            return Ok(());
        }
        if self.skipped > 0 {
            let mut note = Batch::default();
            note.line(&(self.skipped_line)(std::mem::take(&mut self.skipped)));
            self.queue(note)?;
        }
        self.queue(batch)
    }

    fn queue(&self, batch: Batch) -> Result<(), Closed> {
        self.waiting.fetch_add(batch.text.len(), Ordering::Relaxed);
        self.batches.send(batch).map_err(|_| Closed)
    }

    /// Waits until everything queued is out, within [`FINISH_WAIT`].
    pub(crate) fn finish(self) {
        drop(self.batches);
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

fn write_batches(mut out: impl Write, queue: &Receiver<Batch>, waiting: &AtomicUsize) {
    let mut put = |text: &[u8]| {
        let is_out = out.write_all(text).and_then(|()| out.flush()).is_ok();
        waiting.fetch_sub(text.len(), Ordering::Relaxed);
        is_out
    };
    while let Ok(Batch { mut text, .. }) = queue.recv() {
        if !put(&text) {
            return;
        }
        thread::sleep(GATHER);
        text.clear();
        while text.len() < GATHER_BYTES_MAX
            && let Ok(batch) = queue.try_recv()
        {
            text.extend_from_slice(&batch.text);
        }
        if !put(&text) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    /// Says when it is asked to write, and writes when told to; ends when the other side is dropped.
    struct Gate {
        asked: Sender<()>,
        open: Receiver<()>,
        written: Sender<String>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.asked.send(()).map_err(io::Error::other)?;
            self.open.recv().map_err(io::Error::other)?;
            self.written.send(String::from_utf8_lossy(bytes).into_owned()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn line(text: &str) -> Batch {
        let mut batch = Batch::default();
        batch.line(text);
        batch
    }

    #[test]
    fn a_stuck_terminal_costs_lines_not_time_and_says_so() {
        let (asked, stuck) = mpsc::channel();
        let (opener, open) = mpsc::channel();
        let (written, seen) = mpsc::channel();
        let mut printer = Printer::start(Gate { asked, open, written }, |count| format!("{count} left out"));
        printer.print(line("first")).unwrap();
        stuck.recv_timeout(Duration::from_secs(5)).unwrap();
        // Sixteen bytes a line; the first one waits too, for it is not out yet.
        let kept = WAITING_BYTES_MAX / 16 - 1;
        for n in 0..kept + 100 {
            printer.print(line(&format!("{n:015}"))).unwrap();
        }
        assert_eq!(printer.skipped, 100);
        let mut text = String::new();
        let mut read_until = |end: &str| {
            while !text.ends_with(end) {
                opener.send(()).unwrap();
                text.push_str(&seen.recv_timeout(Duration::from_secs(5)).unwrap());
            }
            text.lines().count()
        };
        let lines = read_until(&format!("{:015}\n", kept - 1));
        assert_eq!(lines, 1 + kept, "every line that was kept");
        printer.print(line("after")).unwrap();
        read_until("100 left out\nafter\n");
    }

    #[test]
    fn a_reader_that_went_away_is_noticed() {
        let (asked, _stuck) = mpsc::channel();
        let (opener, open) = mpsc::channel::<()>();
        let (written, _seen) = mpsc::channel();
        drop(opener);
        let mut printer = Printer::start(Gate { asked, open, written }, |_| String::new());
        let mut tries = 0;
        while printer.print(line("x")).is_ok() {
            tries += 1;
            assert!(tries < 10_000_000, "the closed output was never noticed");
            thread::yield_now();
        }
        printer.finish();
    }
}
