//! `relay-server backup`: a copy of the data directory, whole or not there, and what an audit says of it.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::audit;
use crate::config::DATA;
use crate::store::{Copied, CopyError, Manner, Progress, copy_store};

/// Time between two words about how far it is, where somebody looks and where a log is kept. What is done sooner is
/// not spoken of in a log.
const WORD_EVERY_SHOWN: Duration = Duration::from_millis(100);
const WORD_EVERY_LOGGED: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to; empty, or not there yet.
    #[arg(value_name = "TO_DIR")]
    to: PathBuf,
    /// The server's data directory.
    #[arg(long, env = "RELAY_DATA", default_value = DATA)]
    data: PathBuf,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut words = Words::new();
    let copied = copy_store(&args.data, &args.to, Manner::Backup, |progress| words.say(progress));
    words.end();
    let copied = match copied {
        Err(error @ CopyError::NotEmpty { .. }) => {
            bail!("{error}; name a directory that is empty or not there yet")
        }
        copied => copied.with_context(|| format!("there is no backup in {}", args.to.display()))?,
    };
    Ok(conclude(&copied, &format!("backup in {}", args.to.display())))
}

/// Says what is in a copy and whether it adds up. What is missing in the original is missing here, too: the copy stays.
pub(super) fn conclude(copied: &Copied, what: &str) -> ExitCode {
    let newest = copied.newest_ms.map(|ms| format!(", the newest received {}", audit::moment(ms)));
    let (events, files) = (copied.events, copied.files);
    eprintln!("{what}: {events} events{}, {files} bodies in files", newest.unwrap_or_default());
    let Some(found) = &copied.audit else {
        eprintln!(
            "an older version wrote it, so it was not audited; the next start of this version's server on it brings it up to date"
        );
        return ExitCode::SUCCESS;
    };
    print!("{}", audit::report(found));
    if !found.is_balanced() {
        eprintln!(
            "it is a whole copy of a store in which something is missing: `relay-server audit` on both says what"
        );
    }
    audit::exit_code(found)
}

/// How far a copy is, on stderr: in one line that changes where somebody looks, else now and then.
pub(super) struct Words {
    is_shown: bool,
    last: Instant,
}

impl Words {
    pub(super) fn new() -> Self {
        Self { is_shown: std::io::stderr().is_terminal(), last: Instant::now() }
    }

    pub(super) fn say(&mut self, progress: Progress) {
        let every = if self.is_shown { WORD_EVERY_SHOWN } else { WORD_EVERY_LOGGED };
        if self.last.elapsed() < every {
            return;
        }
        self.last = Instant::now();
        let text = match progress {
            Progress::Database(done, all) => {
                format!("database: {} of {} MiB", done / 1024 / 1024, all / 1024 / 1024)
            }
            Progress::Bodies(done, all) => format!("bodies: {done} of {all} files"),
            Progress::Audit => "audit of the copy".to_owned(),
        };
        if self.is_shown {
            eprint!("\r\x1b[K{text}");
            let _ = std::io::stderr().flush();
        } else {
            eprintln!("{text}");
        }
    }

    pub(super) fn end(&self) {
        if self.is_shown {
            eprint!("\r\x1b[K");
        }
    }
}
