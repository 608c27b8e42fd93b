//! `relay-agent events`: what came in lately, newest first.

use protocol::id::Slug;
use serde_json::Value;

use super::Exit;
use super::ask::Asker;
use super::context::Context;
use super::records;
use crate::output::table;
use crate::output::unit;

/// List events, newest first
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  relay-agent events --source github --limit 50\n  \
    relay-agent events --json | jq 'select(.status >= 500)'")]
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
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let mut asker = Asker::open(context).await?;
    let limit = usize::try_from(args.limit)?;
    let mut events: Vec<Value> = Vec::new();
    let mut before = args.before;
    // The server may hand out fewer at a time than asked for.
    loop {
        let path = path(args.source.as_ref(), before.as_deref(), limit - events.len());
        let answer = asker.get(&path).await?;
        let page = records::list(&answer, "events");
        events.extend(page.iter().take(limit - events.len()).cloned());
        before = answer.get("next").and_then(place);
        if page.is_empty() || before.is_none() || events.len() == limit {
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

/// Where a page of at most `limit` events is asked for.
pub(super) fn path(source: Option<&Slug>, before: Option<&str>, limit: usize) -> String {
    let mut path = format!("/api/v1/events?limit={limit}");
    if let Some(source) = source {
        path.push_str("&source=");
        path.push_str(source.as_str());
    }
    if let Some(before) = before {
        path.push_str("&before=");
        path.extend(before.bytes().map(percent));
    }
    path
}

/// A byte as it stands in a query value (RFC 3986 section 2.3 lists what needs no escape).
fn percent(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
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
    fn the_query_is_escaped() {
        let source: Slug = "github".parse().unwrap();
        assert_eq!(path(None, None, 20), "/api/v1/events?limit=20");
        assert_eq!(
            path(Some(&source), Some("a&b=c/ä"), 5),
            "/api/v1/events?limit=5&source=github&before=a%26b%3Dc%2F%C3%A4"
        );
    }

    #[test]
    fn the_next_place_is_a_text_or_a_number() {
        assert_eq!(place(&serde_json::json!("evt_1")).as_deref(), Some("evt_1"));
        assert_eq!(place(&serde_json::json!(7)).as_deref(), Some("7"));
        assert_eq!(place(&Value::Null), None);
    }
}
