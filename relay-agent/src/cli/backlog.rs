//! `relay-agent backlog SOURCE[/DEST] [all|latest|none]`: what waits for a destination, and what shall become of it.

use serde_json::{Value, json};

use super::Exit;
use super::ask::Asker;
use super::context::Context;
use super::filter::one_of;
use super::names::Place;
use super::query::Query;
use super::records;
use crate::output::escape;

const EXAMPLES: &str = "\
Examples:
  relay-agent backlog github             how many events wait
  relay-agent backlog github latest      only the newest is delivered, the others are cancelled
  relay-agent backlog github/ci none     none is
  relay-agent backlog github all         all are, also where an agent was told to leave them waiting

Cancelled deliveries stay on record; `relay-agent replay --source github --state cancelled` makes new ones.";

/// Show how many events wait for a destination, or skip them
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The source, or one of its destinations [default: the one called `default`]
    #[arg(value_name = "SOURCE[/DEST]")]
    place: Place,
    /// What to do with them: `all`, `latest` or `none`
    #[arg(value_name = "WHICH", value_parser = keep)]
    keep: Option<String>,
}

fn keep(text: &str) -> Result<String, String> {
    one_of(text, &["all", "latest", "none"])
}

/// How many, for people. The server stops counting at some point, and says so.
fn how_many(backlog: &Value) -> String {
    let count = records::number(backlog, "waiting").unwrap_or(0);
    let is_more = backlog.get("is_more").and_then(Value::as_bool).unwrap_or(false);
    match (count, is_more) {
        (1, false) => "1 event".to_owned(),
        (count, false) => format!("{count} events"),
        (count, true) => format!("{count} events or more"),
    }
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let Args { place, keep } = args;
    let path = Query::of(format!("{}/backlog", place.destination_path()));
    let mut asker = Asker::open(context).await?;
    let backlog = asker.get(path.text()).await?;
    let cancelled = match &keep {
        Some(keep) => {
            let answer = asker.post(path.text(), &json!({ "keep": keep })).await?;
            Some(records::number(&answer, "cancelled").unwrap_or(0))
        }
        None => None,
    };
    asker.close().await;
    if context.output.json {
        context.output.object(&object(&place, &backlog, keep.as_deref(), cancelled))?;
    } else {
        context.output.data(&escape::line(&sentence(&place, &backlog, keep.as_deref(), cancelled)))?;
    }
    Ok(Exit::Done)
}

fn sentence(place: &Place, backlog: &Value, keep: Option<&str>, cancelled: Option<u64>) -> String {
    let how_many = how_many(backlog);
    match (keep, cancelled) {
        (Some("all"), _) => {
            format!("waiting for {place}: {how_many}, delivered as soon as an agent serves it")
        }
        (Some(_), Some(cancelled)) => {
            format!("waiting for {place}: {how_many}, of which {cancelled} are cancelled now")
        }
        _ => format!("waiting for {place}: {how_many}"),
    }
}

fn object(place: &Place, backlog: &Value, keep: Option<&str>, cancelled: Option<u64>) -> Value {
    json!({
        "type": "backlog",
        "source": place.source.as_str(),
        "destination": place.destination.clone().unwrap_or_default().as_str(),
        "waiting": records::number(backlog, "waiting"),
        "is_more": backlog.get("is_more").and_then(Value::as_bool).unwrap_or(false),
        "keep": keep,
        "cancelled": cancelled,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waited_and_what_was_done_is_one_sentence_and_one_object() {
        let place: Place = "github/ci".parse().unwrap();
        let of = |count: u64, is_more: bool| json!({ "waiting": count, "is_more": is_more });
        let table = [
            (of(0, false), None, None, "waiting for github/ci: 0 events"),
            (of(1, false), None, None, "waiting for github/ci: 1 event"),
            (of(100_000, true), None, None, "waiting for github/ci: 100000 events or more"),
            (
                of(12, false),
                Some("all"),
                Some(0),
                "waiting for github/ci: 12 events, delivered as soon as an agent serves it",
            ),
            (
                of(12, false),
                Some("latest"),
                Some(11),
                "waiting for github/ci: 12 events, of which 11 are cancelled now",
            ),
        ];
        for (backlog, keep, cancelled, expected) in table {
            assert_eq!(sentence(&place, &backlog, keep, cancelled), expected);
        }
        let expected = json!({
            "type": "backlog", "source": "github", "destination": "ci", "waiting": 12, "is_more": false,
            "keep": "none", "cancelled": 12,
        });
        assert_eq!(object(&place, &of(12, false), Some("none"), Some(12)), expected);
    }
}
