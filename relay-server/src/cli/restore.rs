//! `relay-server restore`: a data directory made of a backup, looked at to the last page, and what to do next.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};

use super::backup::{Words, conclude};
use crate::config::DATA;
use crate::store::{CopyError, Manner, copy_store};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The backup.
    #[arg(value_name = "FROM_DIR")]
    from: PathBuf,
    /// The data directory to be made; empty, or not there yet.
    #[arg(long, env = "RELAY_DATA", default_value = DATA)]
    data: PathBuf,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut words = Words::new();
    // Without a slash at its end, so that `.before` makes another name.
    let (from, data) = (args.from.display(), args.data.components().as_path().display());
    let copied = copy_store(&args.from, &args.data, Manner::Restore, |progress| words.say(progress));
    words.end();
    let copied = match copied {
        Err(error @ CopyError::NotEmpty { .. }) => bail!(
            "{error}; end the server if one is at work there, move it away (mv {data} {data}.before), and try again"
        ),
        copied => copied.with_context(|| format!("{from} was not restored"))?,
    };
    let code = conclude(&copied, &format!("restored to {data}"));
    eprintln!(
        "next: put the configuration file in its place (it is in no backup), see that no other server works for the \
         same agents, and start `relay-server serve --data {data}`"
    );
    eprintln!(
        "what came after the backup is not in it: events accepted later are not there, and what was delivered later \
         will be delivered again"
    );
    if copied.secrets_missing.contains(&"tunnel-key.pem") {
        eprintln!(
            "there is no tunnel-key.pem: unless tunnel.tls is configured, every agent has to log in again"
        );
    }
    Ok(code)
}
