//! `relay-agent deliveries`: stored deliveries, those of the newest events first.

use protocol::id::{DestinationName, Slug};
use serde_json::Value;

use super::Exit;
use super::ask::Asker;
use super::context::Context;
use super::events::place;
use super::filter::one_of;
use super::query::Query;
use super::records;
use crate::output::{escape, table};

/// Where a delivery stands, in the server's words.
pub(super) const STATES: [&str; 5] = ["waiting", "leased", "delivered", "dead", "cancelled"];

const EXAMPLES: &str = "\
Examples:
  relay-agent deliveries --state dead
  relay-agent deliveries --source github --state waiting --json | jq -r .id | xargs relay-agent cancel

waiting: its turn or its time has not come   leased: an attempt is under way   delivered: the app took it
dead: its schedule is used up, or the app refused it for good   cancelled: ended by a person or a rule";

/// List stored deliveries and where they stand
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Only of this source
    #[arg(long, value_name = "NAME")]
    source: Option<Slug>,
    /// Only to the destination of this name
    #[arg(long, value_name = "NAME")]
    destination: Option<DestinationName>,
    /// Only in this state: waiting, leased, delivered, dead or cancelled
    #[arg(long, value_name = "STATE", value_parser = state)]
    state: Option<String>,
    /// How many at most
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Only those of events before this place in the list, as the last line of a longer list names it
    #[arg(long, value_name = "PLACE")]
    before: Option<String>,
}

/// A state by name.
pub(super) fn state(text: &str) -> Result<String, String> {
    one_of(text, &STATES)
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let mut asker = Asker::open(context).await?;
    let limit = usize::try_from(args.limit)?;
    let query = Query::of("/deliveries")
        .maybe("source", args.source.as_ref())
        .maybe("destination", args.destination.as_ref())
        .maybe("state", args.state.as_deref());
    let mut deliveries: Vec<Value> = Vec::new();
    let mut before = args.before;
    loop {
        let page = query.clone().with("limit", limit - deliveries.len()).maybe("before", before.as_deref());
        let answer = asker.get(page.text()).await?;
        let listed = records::list(&answer, "deliveries");
        deliveries.extend(listed.iter().take(limit - deliveries.len()).cloned());
        before = answer.get("next").and_then(place);
        if before.is_none() || deliveries.len() == limit {
            break;
        }
    }
    asker.close().await;
    show(context, &deliveries)?;
    if let Some(place) = before {
        context.output.say(&format!("More: relay-agent deliveries --before {place}"));
    }
    Ok(Exit::Done)
}

fn show(context: &Context, deliveries: &[Value]) -> anyhow::Result<()> {
    if context.output.json {
        deliveries.iter().try_for_each(|delivery| context.output.object(delivery))?;
        return Ok(());
    }
    if deliveries.is_empty() {
        context.output.say("No deliveries.");
        return Ok(());
    }
    let rows: Vec<_> = deliveries.iter().map(|delivery| row(delivery, context)).collect();
    let header = ["DELIVERY", "SOURCE", "DESTINATION", "STATE", "ATTEMPTS", "WHEN", "REASON"];
    for line in table::lines(header, &rows) {
        context.output.data(&line)?;
    }
    Ok(())
}

fn row(delivery: &Value, context: &Context) -> [String; 7] {
    let attempts =
        records::number(delivery, "attempts").map_or_else(|| "-".to_owned(), |count| count.to_string());
    let is_replay = delivery.get("is_replay").and_then(Value::as_bool).unwrap_or(false);
    let state = records::text_or_dash(delivery, "state");
    [
        records::text_or_dash(delivery, "id"),
        records::text_or_dash(delivery, "source"),
        records::text_or_dash(delivery, "destination"),
        if is_replay { format!("{state} (replay)") } else { state },
        attempts,
        records::when(delivery, &context.zone),
        escape::line(records::text(delivery, "reason").unwrap_or("-")),
    ]
}
