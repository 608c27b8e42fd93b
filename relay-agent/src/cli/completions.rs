//! `relay-agent completions SHELL`: a script for the shell's tab key.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::context::Context;
use super::{Cli, Exit};

const EXAMPLES: &str = "\
Examples:
  relay-agent completions bash > ~/.local/share/bash-completion/completions/relay-agent
  relay-agent completions zsh > \"${fpath[1]}/_relay-agent\"
  relay-agent completions fish > ~/.config/fish/completions/relay-agent.fish";

/// Print a completion script for a shell
#[derive(Clone, Copy, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

pub(super) fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "relay-agent", &mut script);
    context.output.data(String::from_utf8_lossy(&script).trim_end())?;
    Ok(Exit::Done)
}
