//! `relay-agent events`: what came in lately, newest first.

use protocol::id::Slug;
use relay_agent::clock;
use serde_json::Value;

use super::Exit;
use super::ask::Asker;
use super::context::Context;
use super::filter::{self, Filter};
use super::query::Query;
use super::records;
use crate::output::table;
use crate::output::unit;

/// List events, newest first
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  relay-agent events --source github --limit 50\n  \
    relay-agent events --status 5xx --since 2h\n  relay-agent events --outcome accepted --method POST\n  \
    relay-agent events --json | jq 'select(.body_bytes > 65536)'")]
pub(super) struct Args {
    /// Only this source
    #[arg(long, value_name = "NAME")]
    source: Option<Slug>,
    /// How many at most
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Only events before this place in the list, as the last line of a longer list names it
    #[arg(long, value_name = "PLACE")]
    before: Option<String>,
    /// Only events sent with this method
    #[arg(long, value_name = "METHOD", value_parser = filter::method)]
    method: Option<String>,
    #[command(flatten)]
    filter: Filter,
    /// Only events of which this came: answered, not_sent, sent_no_answer, refused, accepted or duplicate
    #[arg(long, value_name = "OUTCOME", value_parser = filter::outcome)]
    outcome: Option<String>,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let mut asker = Asker::open(context).await?;
    let limit = usize::try_from(args.limit)?;
    let mut events: Vec<Value> = Vec::new();
    let mut before = args.before;
    let query = Query::of("/events")
        .maybe("source", args.source.as_ref())
        .maybe("method", args.method.as_deref())
        .maybe("outcome", args.outcome.as_deref());
    let query = args.filter.ask(query, clock::unix_ms(), &context.zone)?;
    // The server may hand out fewer at a time than asked for, and none while it looks further back.
    loop {
        let page = query.clone().with("limit", limit - events.len()).maybe("before", before.as_deref());
        let answer = asker.get(page.text()).await?;
        events.extend(records::list(&answer, "events").iter().take(limit - events.len()).cloned());
        before = answer.get("next").and_then(place);
        if before.is_none() || events.len() == limit {
            break;
        }
    }
    asker.close().await;
    show(context, &events)?;
    if let Some(place) = before {
        context.output.say(&format!("More: relay-agent events --before {place}"));
    }
    Ok(Exit::Done)
}

/// Where the next page begins; `None` after the last one.
pub(super) fn place(next: &Value) -> Option<String> {
    next.as_str().map(str::to_owned).or_else(|| next.as_u64().map(|number| number.to_string()))
}

fn show(context: &Context, events: &[Value]) -> anyhow::Result<()> {
    if context.output.json {
        events.iter().try_for_each(|event| context.output.object(event))?;
        return Ok(());
    }
    if events.is_empty() {
        context.output.say("No events.");
        return Ok(());
    }
    let row = |event: &Value| {
        [
            records::moment_or_dash(event, "received_at", &context.zone),
            records::text_or_dash(event, "source"),
            records::result(event),
            records::text_or_dash(event, "name"),
            crate::output::escape::line(&records::request(event)),
            records::number(event, "body_bytes").map_or_else(|| "-".to_owned(), unit::bytes),
            records::took(event, "head_us").unwrap_or_else(|| "-".to_owned()),
            records::text_or_dash(event, "id"),
        ]
    };
    let rows: Vec<_> = events.iter().map(row).collect();
    let header = ["RECEIVED", "SOURCE", "RESULT", "NAME", "REQUEST", "SIZE", "ANSWER", "EVENT"];
    for line in table::lines(header, &rows) {
        context.output.data(&line)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_place_is_a_text_or_a_number() {
        assert_eq!(place(&serde_json::json!("evt_1")).as_deref(), Some("evt_1"));
        assert_eq!(place(&serde_json::json!(7)).as_deref(), Some("7"));
        assert_eq!(place(&Value::Null), None);
    }
}
