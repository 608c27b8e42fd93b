//! `relay-agent status`: one look at server, link, token, clock, and who serves what.

use serde_json::{Value, json};

use super::Exit;
use super::ask::Asker;
use super::context::Context;
use super::login::describe_token;
use super::records;
use crate::config::join_line::host_and_port;
use crate::output::live::clock_skew;
use crate::output::style::{DIM, GOOD, paint};
use crate::output::{escape, table, unit};

/// One look: server, link, clock, sources and who serves them
#[derive(clap::Args)]
pub(super) struct Args {}

pub(super) async fn run(context: &Context, _args: Args) -> anyhow::Result<Exit> {
    let server = context.server()?;
    let address = host_and_port(&server);
    let pin = server.pin.map(|pin| pin.to_string());
    let mut asker = Asker::open_to(context, server).await?;
    let sources = asker.get("/api/v1/sources").await?;
    let agents = asker.get("/api/v1/agents").await?;
    let whoami = asker.get("/api/v1/whoami").await?;
    let (rtt, met) = (asker.rtt(), asker.met.clone());
    asker.close().await;
    if context.output.json {
        context.output.object(&json!({
            "type": "status",
            "server": address,
            "pin": pin,
            "program": met.server,
            "link": "live",
            "session": met.session.to_string(),
            "rtt_us": u64::try_from(rtt.as_micros())?,
            "clock_skew_ms": met.clock_skew_ms,
            "token": whoami,
            "sources": records::list(&sources, "sources"),
            "agents": records::list(&agents, "agents"),
        }))?;
        return Ok(Exit::Done);
    }
    let fact = |name: &str, value: &str| {
        context.output.data(&format!("{}  {value}", paint(DIM, &format!("{name:<6}"))))
    };
    fact("server", &format!("{address}  {}", escape::line(&met.server)))?;
    fact("trust", &pin.map_or_else(|| "a public certificate".to_owned(), |pin| format!("its key, {pin}")))?;
    fact("link", &format!("{}  rtt {}  {}", paint(GOOD, "live"), unit::duration(rtt), met.session))?;
    fact("token", &describe_token(&whoami))?;
    fact("clock", &clock_skew(met.clock_skew_ms).unwrap_or_else(|| "agrees with the server's".to_owned()))?;
    let rows = rows(records::list(&sources, "sources"), records::list(&agents, "agents"));
    if rows.is_empty() {
        context.output.say("No sources yet: `relay-agent 3000` makes one.");
        return Ok(Exit::Done);
    }
    context.output.data("")?;
    for line in table::lines(["SOURCE", "URL", "SERVED BY"], &rows) {
        context.output.data(&line)?;
    }
    Ok(Exit::Done)
}

fn rows(sources: &[Value], agents: &[Value]) -> Vec<[String; 3]> {
    let row = |source: &Value| {
        let slug = records::text_or_dash(source, "slug");
        let by: Vec<_> = agents.iter().filter_map(|agent| serving(agent, &slug)).collect();
        let by = if by.is_empty() { "nobody".to_owned() } else { by.join(", ") };
        [slug, records::text_or_dash(source, "url"), by]
    };
    sources.iter().map(row).collect()
}

/// `laptop`, or `laptop (ci)` for a destination other than the default, where this agent serves the source.
fn serving(agent: &Value, slug: &str) -> Option<String> {
    let serves = records::list(agent, "serves");
    let named = |serve: &&Value| {
        let plain = serve.as_str().map(|text| text.split_once('/').map_or(text, |(source, _)| source));
        plain == Some(slug)
            || [records::text(serve, "source"), records::text(serve, "slug")].contains(&Some(slug))
    };
    let serve = serves.iter().find(named)?;
    let host = records::text(agent, "host").or_else(|| records::text(agent, "agent")).unwrap_or("an agent");
    let plain = serve.as_str().and_then(|text| text.split_once('/')).map(|(_, destination)| destination);
    match plain.or_else(|| records::text(serve, "destination")) {
        None | Some("default") => Some(host.to_owned()),
        Some(destination) => Some(format!("{host} ({destination})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_names_who_serves_it() {
        let sources = [json!({ "slug": "github", "url": "https://r/h/github" }), json!({ "slug": "stripe" })];
        let agents = [
            json!({ "host": "laptop", "serves": [{ "source": "github", "destination": "default" }] }),
            json!({ "agent": "agt_1", "serves": [{ "slug": "github", "destination": "ci" }, 3] }),
            json!({ "host": "idle" }),
            json!({ "host": "vm", "serves": ["github/ci", "other"] }),
        ];
        assert_eq!(
            rows(&sources, &agents),
            [
                ["github", "https://r/h/github", "laptop, agt_1 (ci), vm (ci)"].map(str::to_owned),
                ["stripe", "-", "nobody"].map(str::to_owned),
            ]
        );
    }
}
