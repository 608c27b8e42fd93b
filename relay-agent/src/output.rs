//! Everything a person or a script reads from this program. Data goes to stdout, talk to stderr.
//!
//! What was written by strangers (paths, event names, bodies, the server's sentences) is escaped before it can reach
//! a terminal, see [`escape`]. What can be decided without a terminal is a pure function to lines of text.

pub(crate) mod escape;
pub(crate) mod held;
pub(crate) mod json;
pub(crate) mod live;
pub(crate) mod printer;
pub(crate) mod style;
pub(crate) mod table;
pub(crate) mod unit;

use std::io::{self, IsTerminal as _, Write as _};

/// How this run speaks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// JSON was asked for.
    pub(crate) json: bool,
    /// Only what went wrong, and what was asked for.
    pub(crate) quiet: bool,
}

impl Output {
    /// Whether a running log is written as JSON lines: on request, and to anything that is not a terminal.
    pub(crate) fn logs_json(self) -> bool {
        self.json || !stdout_is_terminal()
    }

    /// One line of data on stdout.
    pub(crate) fn data(self, line: &str) -> io::Result<()> {
        let mut out = anstream::stdout().lock();
        writeln!(out, "{line}")?;
        out.flush()
    }

    /// One JSON object as a line on stdout.
    pub(crate) fn object(self, object: &serde_json::Value) -> io::Result<()> {
        self.data(&object.to_string())
    }

    /// A word to the person, on stderr; left out when quiet.
    pub(crate) fn say(self, line: &str) {
        if !self.quiet {
            complain(line);
        }
    }
}

/// A word to the person that is said even when quiet. A closed stderr has nobody left to tell.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{line}");
}

/// Whether stdout is shown to a person as it is written.
pub(crate) fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}
