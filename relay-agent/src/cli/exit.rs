//! How the program ends: one visible list of exit codes, and which error leads to which.

use std::io;
use std::process::ExitCode;

use relay_agent::EndReason;
use relay_agent::fixture::FixtureError;

use super::ask::AskError;
use super::context::UsageError;
use super::serve::ServeEnd;
use crate::config::ConfigError;
use crate::config::join_line::JoinLineError;
use crate::config::project::ProjectError;
use crate::output::style::{BAD, paint};
use crate::output::{self, escape};

/// What the caller is told. Documented in `--help` and `docs/agent.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done; for a forwarding verb: stopped by Ctrl-C or SIGTERM, with everything in flight finished.
    Done = 0,
    /// Anything without a number of its own.
    Failed = 1,
    /// The arguments or a file on this machine are wrong. clap uses the same number.
    Usage = 2,
    /// Token, scope or version refused.
    Refused = 3,
    /// No connection, for verbs that ask once.
    Unreachable = 4,
    /// The server is not the one that was trusted.
    Identity = 5,
    /// Another agent serves instead.
    TakenOver = 6,
    /// A second Ctrl-C cut short what was in flight. 128 + SIGINT, as shells have it.
    Aborted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<&EndReason> for Exit {
    fn from(reason: &EndReason) -> Self {
        match reason {
            EndReason::Stopped => Self::Done,
            EndReason::Refused(_) | EndReason::Revoked => Self::Refused,
            EndReason::Identity(_) => Self::Identity,
            EndReason::TakenOver => Self::TakenOver,
        }
    }
}

/// What to try when a server cannot prove who it is. Never a way around it.
pub(super) const NEW_IDENTITY: &str =
    "ask whoever runs the server for a new join line and log in with it: it carries the key to expect";

/// What to try when a token is refused.
pub(super) const NEW_TOKEN: &str =
    "get a new join line (`relay-server token create --scope agent`) and run `relay-agent login`";

/// What to try when the link ended for good.
fn advice(reason: &EndReason) -> Option<&'static str> {
    match reason {
        EndReason::Stopped => None,
        EndReason::Refused(_) | EndReason::Revoked => Some(NEW_TOKEN),
        EndReason::Identity(_) => Some(NEW_IDENTITY),
        EndReason::TakenOver => Some("stop the other one, or give this one its own RELAY_CONFIG_DIR"),
    }
}

/// Says what went wrong and what to try, and how to end.
pub(crate) fn explain(error: &anyhow::Error) -> Exit {
    let exit = of(error);
    // A reader that has seen enough (`| head`) is no failure.
    if exit == Exit::Done {
        return exit;
    }
    output::complain(&format!("{}: {}", paint(BAD, "error"), escape::text(&format!("{error:#}"))));
    if let Some(advice) = error.chain().find_map(end_reason).and_then(advice) {
        output::complain(&format!("  try: {advice}"));
    }
    exit
}

fn end_reason<'e>(cause: &'e (dyn std::error::Error + 'static)) -> Option<&'e EndReason> {
    match cause.downcast_ref::<AskError>() {
        Some(AskError::Ended(reason)) => Some(reason),
        _ => cause.downcast_ref::<EndReason>(),
    }
}

fn of(error: &anyhow::Error) -> Exit {
    error.chain().find_map(of_cause).unwrap_or(Exit::Failed)
}

fn of_cause(cause: &(dyn std::error::Error + 'static)) -> Option<Exit> {
    if let Some(reason) = end_reason(cause) {
        return Some(reason.into());
    }
    if let Some(error) = cause.downcast_ref::<AskError>() {
        return error.exit();
    }
    if let Some(end) = cause.downcast_ref::<ServeEnd>() {
        return Some(end.exit());
    }
    if let Some(error) = cause.downcast_ref::<io::Error>() {
        return (error.kind() == io::ErrorKind::BrokenPipe).then_some(Exit::Done);
    }
    let is_usage = cause.is::<ConfigError>()
        || cause.is::<UsageError>()
        || cause.is::<JoinLineError>()
        || cause.is::<FixtureError>()
        || cause.is::<ProjectError>();
    is_usage.then_some(Exit::Usage)
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn each_end_has_its_number() {
        let io = |kind| anyhow::Error::from(io::Error::from(kind));
        let table = [
            (EndReason::Stopped.into(), Exit::Done),
            (EndReason::Refused(String::new()).into(), Exit::Refused),
            (EndReason::Revoked.into(), Exit::Refused),
            (EndReason::Identity(String::new()).into(), Exit::Identity),
            (EndReason::TakenOver.into(), Exit::TakenOver),
            (AskError::Ended(EndReason::Identity(String::new())).into(), Exit::Identity),
            (JoinLineError::Port.into(), Exit::Usage),
            (ConfigError::NoHome.into(), Exit::Usage),
            (FixtureError::NoFixture("x".into()).into(), Exit::Usage),
            (io(io::ErrorKind::BrokenPipe), Exit::Done),
            (io(io::ErrorKind::NotFound), Exit::Failed),
            (anyhow::anyhow!("anything else"), Exit::Failed),
        ];
        for (error, exit) in table {
            assert_eq!(of(&error), exit, "{error}");
        }
        let wrapped: anyhow::Result<()> = Err(EndReason::TakenOver.into());
        assert_eq!(of(&wrapped.context("while serving").unwrap_err()), Exit::TakenOver);
    }
}
