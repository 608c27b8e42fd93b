//! `relay-agent pause SOURCE[/DEST]` and `resume`: a source that takes nothing in, or a destination that keeps what is
//! stored for it waiting.

use serde_json::{Value, json};

use super::Exit;
use super::ask::Asker;
use super::context::Context;
use super::names::Place;
use super::query::Query;

const EXAMPLES: &str = "\
Examples:
  relay-agent pause github            its URL answers 503, and nothing stored is delivered
  relay-agent pause github/default    its URL takes events as ever; what is stored for `default` waits
  relay-agent resume github";

/// Pause a source, or one destination of it
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A source, or a destination of it
    #[arg(value_name = "SOURCE[/DEST]")]
    place: Place,
}

/// Go on with a source or destination that was paused
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ResumeArgs {
    /// A source, or a destination of it
    #[arg(value_name = "SOURCE[/DEST]")]
    place: Place,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    set(context, &args.place, true).await
}

pub(super) async fn resume(context: &Context, args: ResumeArgs) -> anyhow::Result<Exit> {
    set(context, &args.place, false).await
}

async fn set(context: &Context, place: &Place, paused: bool) -> anyhow::Result<Exit> {
    let path = match place.destination {
        Some(_) => Query::of(place.destination_path()),
        None => Query::of(format!("/sources/{}", place.source)),
    };
    let mut asker = Asker::open(context).await?;
    let answer = asker.patch(path.text(), &json!({ "rules": { "paused": paused } })).await?;
    asker.close().await;
    if context.output.json {
        context.output.object(&answer)?;
        return Ok(Exit::Done);
    }
    context.output.data(&sentence(place, &answer, paused))?;
    Ok(Exit::Done)
}

/// What is so now, as the server said it.
fn sentence(place: &Place, answer: &Value, asked: bool) -> String {
    let said = answer.get("rules").and_then(|rules| rules.get("paused")).and_then(Value::as_bool);
    match (said.unwrap_or(asked), &place.destination) {
        (false, _) => format!("{place} goes on"),
        (true, None) => format!("{place} is paused: its URL answers 503, and what is stored waits"),
        (true, Some(_)) => format!("{place} is paused: what is stored for it waits"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_what_the_server_says() {
        let source: Place = "github".parse().unwrap();
        let destination: Place = "github/ci".parse().unwrap();
        let of = |paused: bool| json!({ "rules": { "paused": paused } });
        assert!(sentence(&source, &of(true), true).contains("answers 503"));
        assert_eq!(
            sentence(&destination, &of(true), true),
            "github/ci is paused: what is stored for it waits"
        );
        assert_eq!(sentence(&source, &of(false), true), "github goes on");
        assert_eq!(sentence(&source, &json!({}), false), "github goes on");
    }
}
