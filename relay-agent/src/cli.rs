//! The command line. Every verb is one file below and one line in [`Verb`]; what verbs share is
//! [`context`] (whom to talk to), [`ask`] (a few questions through the tunnel) and [`serve`] (forwarding until told
//! to stop, on a [`screen`] where there is one). How each ends is in [`exit`].

mod ask;
mod backlog;
mod cancel;
mod completions;
mod context;
mod deliveries;
mod destinations;
mod doctor;
mod event;
mod events;
mod exit;
mod filter;
mod following;
mod forward;
mod login;
mod logout;
mod mcp;
mod moments;
mod names;
mod pause;
mod provider;
mod providers;
mod publish;
mod query;
mod record;
mod recorded;
mod records;
mod replay;
mod screen;
mod serve;
mod signals;
mod source;
mod sources;
mod status;
mod surroundings;
mod tail;
mod trigger;
mod up;
mod verify;
mod wait;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use relay_agent::Token;

use self::context::Context;
pub(crate) use self::exit::Exit;
use crate::config::words;
use crate::suggest::nearest;

const EXAMPLES: &str = "\
Examples:
  relay-agent login                         paste the join line the server printed
  relay-agent 3000                          a stable public URL for localhost:3000
  relay-agent forward github 3000           the source named `github`: …/h/github
  relay-agent up                            every route of relay-agent.toml
  relay-agent record fixtures --last 20     events as files
  relay-agent replay fixtures --to 3000     and to a local app again, without a server
  relay-agent replay evt_…                  an event once more, by the server
  relay-agent wait --event push             until one was delivered; for scripts
  relay-agent trigger stripe invoice.paid   a signed sample, without any account
  relay-agent verify evt_…                  why a signature is good, or is not
  relay-agent doctor                        what stands between you and the server

Exit codes:
  0 done, or stopped and drained   1 failed                    2 usage or configuration
  3 refused by the server          4 server not reachable      5 server could not prove who it is
  6 taken over by another agent    130 stopped without draining

Environment: RELAY_SERVER, RELAY_TOKEN, RELAY_TOKEN_FILE, RELAY_CONFIG_DIR, RELAY_LOG, NO_COLOR";

/// Forwards webhooks from a relay-server to this machine.
#[derive(Parser)]
#[command(
    name = "relay-agent",
    version,
    after_help = EXAMPLES,
    override_usage = "relay-agent [OPTIONS] TARGET\n       relay-agent [OPTIONS] VERB …",
    subcommand_value_name = "VERB",
    subcommand_help_heading = "Verbs",
    disable_help_subcommand = true,
    arg_required_else_help = true,
    infer_long_args = false
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) options: Options,
    #[command(subcommand)]
    verb: Verb,
}

/// What every verb takes.
#[derive(clap::Args)]
#[command(next_help_heading = "Options of every verb")]
pub(crate) struct Options {
    /// Print JSON, one object a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say only what was asked for and what went wrong
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more; twice for debugging
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Colour the output; `auto` obeys NO_COLOR
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t)]
    pub(crate) color: Color,
    /// Directory of credentials and identity
    #[arg(long, global = true, value_name = "DIR", env = "RELAY_CONFIG_DIR", hide_env = true)]
    config_dir: Option<PathBuf>,
    /// The server, instead of the one logged in to: HOST:PORT[#sha256:PIN]
    #[arg(long, global = true, value_name = "ADDRESS", env = "RELAY_SERVER", hide_env = true)]
    server: Option<String>,
    /// File with the token, instead of the one logged in with
    #[arg(long, global = true, value_name = "FILE", env = "RELAY_TOKEN_FILE", hide_env = true)]
    token_file: Option<PathBuf>,
    /// The environment is the only way in: an argument could be read by everyone on this machine.
    #[arg(long, global = true, env = "RELAY_TOKEN", hide = true, value_parser = parse_token)]
    token: Option<Token>,
    /// Filter of the diagnostics on stderr, such as `relay_agent=debug`.
    #[arg(long, global = true, env = "RELAY_LOG", hide = true, value_name = "FILTER")]
    pub(crate) log: Option<String>,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

/// The verbs, in the order of a first day.
#[derive(Subcommand)]
enum Verb {
    Login(login::Args),
    Forward(forward::Args),
    Up(up::Args),
    Sources(sources::Args),
    Source(source::Args),
    Destinations(destinations::Args),
    Pause(pause::Args),
    Resume(pause::ResumeArgs),
    Events(events::Args),
    Event(event::Args),
    Tail(tail::Args),
    Wait(wait::Args),
    Record(record::Args),
    Replay(Box<replay::Args>),
    Publish(publish::Args),
    Providers(providers::Args),
    Trigger(trigger::Args),
    Verify(verify::Args),
    Deliveries(deliveries::Args),
    Cancel(cancel::Args),
    Backlog(backlog::Args),
    Mcp(mcp::Args),
    Status(status::Args),
    Doctor(doctor::Args),
    Completions(completions::Args),
    Logout(logout::Args),
    /// `relay-agent 3000` means `relay-agent forward 3000`; [`parse`] writes it out.
    #[command(external_subcommand)]
    Unnamed(Vec<OsString>),
}

/// Text is checked where it is used: an error here would print the token.
fn parse_token(text: &str) -> Result<Token, std::convert::Infallible> {
    Ok(Token::new(text.trim().to_owned()))
}

/// Reads the arguments, the program's name first.
///
/// # Errors
/// A [`clap::Error`] also for `--help` and `--version`: its exit code is 0 then.
pub(crate) fn parse(arguments: Vec<OsString>) -> Result<Cli, clap::Error> {
    refuse_token_argument(&arguments)?;
    let cli = parse_plain(&arguments)?;
    let Verb::Unnamed(rest) = &cli.verb else { return Ok(cli) };
    let given: Vec<&str> = rest.iter().filter_map(|word| word.to_str()).collect();
    refuse_misspelt_verb(&given)?;
    let mut written_out = arguments;
    written_out.insert(written_out.len() - rest.len(), "forward".into());
    parse_plain(&written_out)
}

fn parse_plain(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    let matches = Cli::command().try_get_matches_from(arguments)?;
    Cli::from_arg_matches(&matches)
}

fn refuse_token_argument(arguments: &[OsString]) -> Result<(), clap::Error> {
    let is_token = |text: &str| text == "--token" || text.starts_with("--token=");
    if arguments.iter().filter_map(|argument| argument.to_str()).any(is_token) {
        let text = "a token among the arguments can be read by everyone on this machine; \
                    use `relay-agent login`, --token-file or RELAY_TOKEN";
        return Err(Cli::command().error(ErrorKind::UnknownArgument, text));
    }
    Ok(())
}

/// A first word that is no target was meant as a verb. Never taken for the name of a source: a slip would make one.
fn refuse_misspelt_verb(given: &[&str]) -> Result<(), clap::Error> {
    let Some(word) = given.first() else { return Ok(()) };
    let Err(error) = words::target(word) else { return Ok(()) };
    let command = Cli::command();
    let meant = nearest(word, command.get_subcommands().map(clap::Command::get_name)).map(str::to_owned);
    let is_forward = given.get(1).is_some_and(|second| words::target(second).is_ok());
    let word = word.escape_debug();
    let text = match meant {
        Some(verb) => format!("`{word}` is neither a verb nor a target; did you mean `{verb}`?"),
        None if is_forward => format!("`{word}` is not a verb; did you mean `forward {word} {}`?", given[1]),
        None => format!("`{word}` is neither a verb nor a target ({error})"),
    };
    Err(Cli::command().error(ErrorKind::InvalidSubcommand, text))
}

/// Does what was asked. Says what went wrong on stderr.
pub(crate) async fn run(cli: Cli) -> Exit {
    let context = Context::new(cli.options);
    let result = match cli.verb {
        Verb::Login(args) => login::run(&context, args).await,
        Verb::Forward(args) => forward::run(&context, args).await,
        Verb::Up(args) => up::run(&context, args).await,
        Verb::Sources(args) => sources::run(&context, args).await,
        Verb::Source(args) => source::run(&context, args).await,
        Verb::Destinations(args) => destinations::run(&context, args).await,
        Verb::Pause(args) => pause::run(&context, args).await,
        Verb::Resume(args) => pause::resume(&context, args).await,
        Verb::Events(args) => events::run(&context, args).await,
        Verb::Event(args) => event::run(&context, args).await,
        Verb::Tail(args) => tail::run(&context, args).await,
        Verb::Wait(args) => wait::run(&context, args).await,
        Verb::Record(args) => record::run(&context, args).await,
        Verb::Replay(args) => replay::run(&context, *args).await,
        Verb::Publish(args) => publish::run(&context, args).await,
        Verb::Providers(args) => providers::run(&context, &args),
        Verb::Trigger(args) => trigger::run(&context, args).await,
        Verb::Verify(args) => verify::run(&context, args).await,
        Verb::Deliveries(args) => deliveries::run(&context, args).await,
        Verb::Cancel(args) => cancel::run(&context, args).await,
        Verb::Backlog(args) => backlog::run(&context, args).await,
        Verb::Mcp(args) => mcp::run(&context, args).await,
        Verb::Status(args) => status::run(&context, args).await,
        Verb::Doctor(args) => doctor::run(&context, args).await,
        Verb::Completions(args) => completions::run(&context, args),
        Verb::Logout(args) => logout::run(&context, args),
        Verb::Unnamed(_) => unreachable!("parse wrote `forward` in its place"),
    };
    result.unwrap_or_else(|error| exit::explain(&error))
}

#[cfg(test)]
mod tests;
