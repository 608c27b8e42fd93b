//! Ctrl-C and SIGTERM: the first asks to drain, a second to stop at once.

use std::io;

/// Both signals as one.
pub(crate) struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    /// From here on they no longer end the process by themselves.
    #[cfg(unix)]
    pub(crate) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next one.
    #[cfg(unix)]
    pub(crate) async fn next(&mut self) {
        self.is_next_interrupt().await;
    }

    /// Waits for the next one. Says whether it was Ctrl-C, which may be meant for somebody else at the same terminal.
    #[cfg(unix)]
    pub(crate) async fn is_next_interrupt(&mut self) -> bool {
        tokio::select! {
            _ = self.interrupt.recv() => true,
            _ = self.terminate.recv() => false,
        }
    }

    /// From here on Ctrl-C no longer ends the process by itself.
    #[cfg(not(unix))]
    #[expect(clippy::unnecessary_wraps, reason = "the same shape as on unix")]
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Waits for the next one.
    #[cfg(not(unix))]
    pub(crate) async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }

    /// Waits for the next one.
    #[cfg(not(unix))]
    pub(crate) async fn is_next_interrupt(&mut self) -> bool {
        self.next().await;
        true
    }
}
