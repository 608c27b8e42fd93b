//! `relay-agent forward [NAME] TARGET`, and `relay-agent TARGET`: one source to one local target.

use std::path::PathBuf;
use std::time::Duration;

use protocol::control::Sharing;
use protocol::id::{DestinationName, Slug};
use relay_agent::entropy::random;
use relay_agent::settings::ANSWER_TIMEOUT;
use relay_agent::{HostField, Route, Target};
use serde_json::Value;

use super::Exit;
use super::context::{Context, require_file};
use super::destinations::event_names;
use super::filter::one_of;
use super::provider::ProviderArgs;
use super::serve::{SourceWish, Wishes, serve};
use crate::config::join_line::host_and_port;
use crate::config::{state, words};

const EXAMPLES: &str = "\
Examples:
  relay-agent forward github 3000
  relay-agent forward stripe http://localhost:4000/webhooks
  relay-agent forward ci https://ci.internal --host preserve --target-ca internal-ca.pem
  relay-agent forward app unix:/run/app.sock
  relay-agent forward github 3000 --backlog latest --reply accepted
  relay-agent forward github 3000 --provider github --secret-file secret

When stdout is not a terminal, or with --json, every line is a JSON object; docs/agent.md lists them.";

/// Forward a source to a local target until Ctrl-C
#[derive(clap::Args)]
#[command(allow_missing_positional = true, after_help = EXAMPLES)]
pub(super) struct Args {
    /// The source; its URL ends in /h/NAME. Without it: one made for this target, the same every time
    #[arg(value_name = "NAME")]
    name: Option<Slug>,
    /// Where to: PORT, HOST:PORT, http://…, https://… or unix:/path/to.sock
    #[arg(value_name = "TARGET", value_parser = words::target)]
    target: Target,
    /// What the app sees as Host: `target`, `preserve` (what the sender wrote) or a value
    #[arg(long, value_name = "HOST", default_value = "target", value_parser = words::host_field)]
    host: HostField,
    /// The destination within the source
    #[arg(long, value_name = "NAME", default_value_t)]
    destination: DestinationName,
    /// If the destination is new: `pool` (one agent gets each event), `replace` (the newest gets all) or `broadcast`
    #[arg(long, value_name = "HOW", default_value = "pool", value_parser = words::sharing)]
    sharing: Sharing,
    /// If the source is new: let senders switch protocols (WebSocket)
    #[arg(long)]
    upgrade: bool,
    /// Serve the source only if it exists already
    #[arg(long)]
    no_create: bool,
    /// How long the app may take to begin its answer [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = words::answer_timeout)]
    timeout: Option<Duration>,
    /// Extra certificate authority (PEM) for an https:// target
    #[arg(long, value_name = "FILE")]
    target_ca: Option<PathBuf>,
    /// How senders are answered, as a rule of the source: `live` (the app's own answer) or `accepted` (202 once stored)
    #[arg(long, value_name = "HOW", value_parser = reply)]
    reply: Option<String>,
    /// Only events of these names: `push,pull_request`, `invoice.*`; '' for all
    #[arg(long, value_name = "NAMES", value_parser = event_names)]
    events: Option<Value>,
    #[command(flatten)]
    sender: ProviderArgs,
    #[command(flatten)]
    wishes: Wishes,
}

fn reply(text: &str) -> Result<String, String> {
    one_of(text, &["live", "accepted"])
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    if let Some(ca) = &args.target_ca {
        require_file(ca)?;
    }
    let server = context.server()?;
    let source = match args.name {
        Some(name) => name,
        None => {
            let target = args.target.to_string();
            state::source_for(&context.directory()?, &host_and_port(&server), &target, random())?
        }
    };
    let wish = SourceWish {
        source: source.clone(),
        reply: args.reply,
        provider: args.sender.rules(),
        secret: args.sender.secret()?,
        events: args.events.map(|events| (args.destination.clone(), events)),
    };
    let route = Route {
        destination: args.destination,
        host: args.host,
        create: !args.no_create,
        sharing: args.sharing,
        upgrade: args.upgrade,
        answer_timeout: args.timeout.unwrap_or(ANSWER_TIMEOUT),
        ..Route::new(source, args.target)
    };
    let mut settings = context.settings(server, vec![route])?;
    settings.target_ca = args.target_ca;
    serve(context, settings, args.wishes, wish.or_none()).await
}
