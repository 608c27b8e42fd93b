//! `relay-agent sources`: the sources this token may see, with their URLs.

use serde_json::Value;

use super::Exit;
use super::ask::Asker;
use super::context::Context;
use super::records;
use crate::output::table;

/// List sources and their URLs
#[derive(clap::Args)]
pub(super) struct Args {}

pub(super) async fn run(context: &Context, _args: Args) -> anyhow::Result<Exit> {
    let mut asker = Asker::open(context).await?;
    let answer = asker.get("/api/v1/sources").await?;
    asker.close().await;
    let sources = records::list(&answer, "sources");
    if context.output.json {
        sources.iter().try_for_each(|source| context.output.object(source))?;
        return Ok(Exit::Done);
    }
    if sources.is_empty() {
        context.output.say("No sources yet: `relay-agent 3000` makes one.");
        return Ok(Exit::Done);
    }
    let row = |source: &Value| {
        [
            records::text_or_dash(source, "slug"),
            records::text_or_dash(source, "url"),
            rules(source),
            records::moment_or_dash(source, "created_at", &context.zone),
        ]
    };
    let rows: Vec<_> = sources.iter().map(row).collect();
    for line in table::lines(["NAME", "URL", "REPLY", "CREATED"], &rows) {
        context.output.data(&line)?;
    }
    Ok(Exit::Done)
}

fn rules(source: &Value) -> String {
    let Some(rules) = source.get("rules") else { return "-".to_owned() };
    let is_paused = rules.get("paused").and_then(Value::as_bool).unwrap_or(false);
    if is_paused { "paused".to_owned() } else { records::text_or_dash(rules, "reply") }
}
