//! `relay-agent login [JOIN_LINE|-]`: keeps a server and a token, after having connected with them once.

use std::io::{IsTerminal as _, Read as _};

use anyhow::Context as _;
use relay_agent::Server;
use serde_json::{Value, json};

use super::Exit;
use super::ask::{AskError, Asker};
use super::context::{Context, UsageError};
use super::records;
use crate::config::credentials;
use crate::config::join_line::{self, host_and_port};
use crate::output::escape;

/// A join line is far shorter; what is longer was piped in by mistake.
const STDIN_BYTES_MAX: u64 = 64 * 1024;

/// Keep a server and a token, from the join line the server printed
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  relay-agent login                              asks for the join line without showing it
  relay-agent login - < join-line.txt
  relay-server token create --scope agent | relay-agent login -")]
pub(super) struct Args {
    /// relay://TOKEN@HOST:PORT#sha256:PIN, or `-` for stdin. Better left out: arguments show in `ps`
    #[arg(value_name = "JOIN_LINE")]
    line: Option<String>,
    /// Keep it without connecting
    #[arg(long)]
    offline: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let line = match args.line.as_deref() {
        Some("-") => from_stdin()?,
        Some(line) => {
            context
                .output
                .say("note: a join line among the arguments shows in `ps` and in the shell's history;");
            context.output.say("      `relay-agent login` alone asks for it without showing it");
            line.to_owned()
        }
        None => asked_for()?,
    };
    let server = join_line::parse(&line)?;
    let directory = context.directory()?;
    let learned = if args.offline { None } else { Some(learn(context, server.clone()).await?) };
    let path = credentials::save(&directory, &server)?;
    if context.output.json {
        let mut object = json!({
            "type": "login",
            "server": host_and_port(&server),
            "pin": server.pin.map(|pin| pin.to_string()),
            "file": path,
        });
        object["token"] = learned.map_or(Value::Null, |learned| learned.whoami);
        context.output.object(&object)?;
        return Ok(Exit::Done);
    }
    context.output.say(&trusted(&server));
    match learned {
        Some(learned) => {
            context.output.say(&format!("Token     {}", describe_token(&learned.whoami)));
            context.output.say(&format!("Server    {}", escape::line(&learned.program)));
        }
        None => context.output.say("Not tried yet (--offline)."),
    }
    context.output.say(&format!("Kept in   {}", path.display()));
    context.output.say("Next      relay-agent 3000");
    Ok(Exit::Done)
}

struct Learned {
    program: String,
    whoami: Value,
}

async fn learn(context: &Context, server: Server) -> anyhow::Result<Learned> {
    context.output.say(&format!("Connecting to {}…", host_and_port(&server)));
    let mut asker = Asker::open_to(context, server).await.context("not logged in")?;
    let whoami = match asker.get("/api/v1/whoami").await {
        Ok(whoami) => whoami,
        // The handshake has proved the token; a server that does not tell about it is no reason to refuse it.
        Err(AskError::Refused { status: 404, .. }) => Value::Null,
        Err(error) => return Err(error.into()),
    };
    let program = asker.met.server.clone();
    asker.close().await;
    Ok(Learned { program, whoami })
}

fn trusted(server: &Server) -> String {
    let address = host_and_port(server);
    match server.pin {
        Some(pin) => format!("Trusted   {address}, by its key {pin}"),
        None => format!("Trusted   {address}, by a certificate of a public authority for {}", server.host),
    }
}

/// `laptop, scope agent (github, stripe)`.
pub(super) fn describe_token(whoami: &Value) -> String {
    let token = whoami.get("token").filter(|token| token.is_object()).unwrap_or(whoami);
    let label = records::text(token, "label").unwrap_or("unnamed");
    let scope = match token.get("scope") {
        Some(Value::String(scope)) => scope.clone(),
        Some(scope) => records::text_or_dash(scope, "scope"),
        None => "-".to_owned(),
    };
    let holder = token.get("scope").filter(|scope| scope.is_object()).unwrap_or(token);
    let sources: Vec<_> = records::list(holder, "sources").iter().filter_map(Value::as_str).collect();
    let sources = if sources.is_empty() { String::new() } else { format!(" ({})", sources.join(", ")) };
    escape::line(&format!("{label}, scope {scope}{sources}"))
}

fn asked_for() -> anyhow::Result<String> {
    if !std::io::stdin().is_terminal() {
        return from_stdin();
    }
    Ok(rpassword::prompt_password("Join line (not shown): ")?)
}

fn from_stdin() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin().lock().take(STDIN_BYTES_MAX).read_to_string(&mut text).context("cannot read stdin")?;
    if text.trim().is_empty() {
        return Err(UsageError::Other("no join line on stdin".to_owned()).into());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_described_however_the_server_nests_it() {
        let table = [
            (json!({ "label": "laptop", "scope": "admin" }), "laptop, scope admin"),
            (
                json!({ "label": "ci", "scope": { "scope": "agent", "sources": ["a", "b"] } }),
                "ci, scope agent (a, b)",
            ),
            (
                json!({ "token": { "label": "ci", "scope": "agent", "sources": ["a"] } }),
                "ci, scope agent (a)",
            ),
            (json!({ "label": "\u{1b}[2J", "scope": "read" }), "\\u{1b}[2J, scope read"),
            (Value::Null, "unnamed, scope -"),
        ];
        for (whoami, shown) in table {
            assert_eq!(describe_token(&whoami), shown);
        }
    }

    #[test]
    fn what_was_trusted_is_said() {
        let server = join_line::parse("relay://t@relay.example.com:443").unwrap();
        assert!(trusted(&server).ends_with("by a certificate of a public authority for relay.example.com"));
    }
}
