//! Answers from whoever sits at the terminal, one line each, read only while a question is open.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::sync::mpsc as threads;

use tokio::sync::mpsc;

/// Whether there is somebody to ask: input and output are a terminal, and it is ours. Reading in the background would
/// stop the whole program, forwarding and all.
pub(super) fn is_somebody_there() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal() && is_in_foreground()
}

#[cfg(unix)]
fn is_in_foreground() -> bool {
    rustix::termios::tcgetpgrp(io::stdin()).is_ok_and(|group| group == rustix::process::getpgrp())
}

#[cfg(not(unix))]
fn is_in_foreground() -> bool {
    true
}

/// Lines from stdin. The thread that waits for one cannot be interrupted; it ends with the program.
pub(super) struct Answers {
    ask: threads::Sender<()>,
    lines: mpsc::Receiver<Option<String>>,
    // A line that was asked for and did not come yet.
    is_due: bool,
}

impl Answers {
    pub(super) fn new() -> Self {
        let (ask, asked) = threads::channel::<()>();
        let (line, lines) = mpsc::channel(1);
        std::thread::spawn(move || {
            while asked.recv().is_ok() {
                let mut text = String::new();
                let is_read = io::stdin().lock().read_line(&mut text).is_ok_and(|bytes| bytes > 0);
                if line.blocking_send(is_read.then_some(text)).is_err() {
                    return;
                }
            }
        });
        Self { ask, lines, is_due: false }
    }

    /// The next line; `None` when the input has ended. Safe to cancel.
    pub(super) async fn line(&mut self) -> Option<String> {
        if !self.is_due {
            self.is_due = self.ask.send(()).is_ok();
        }
        let line = self.lines.recv().await.flatten();
        self.is_due = false;
        line
    }
}
