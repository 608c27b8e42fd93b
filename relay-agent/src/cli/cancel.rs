//! `relay-agent cancel DELIVERY…`: ends deliveries that wait. An attempt that is under way goes on, and is recorded.

use serde_json::json;

use super::Exit;
use super::ask::{AskError, Asker};
use super::context::Context;
use super::names::DeliveryId;
use super::query::Query;
use crate::output::style::{BAD, paint};
use crate::output::{complain, escape};

const EXAMPLES: &str = "\
Examples:
  relay-agent cancel evt_….1
  relay-agent deliveries --state waiting --json | jq -r .id | xargs relay-agent cancel

All that wait for a destination: `relay-agent backlog SOURCE none`. Exit code 0 when every one was cancelled.";

/// End deliveries that wait
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The deliveries, `evt_….1`
    #[arg(value_name = "DELIVERY", required = true)]
    ids: Vec<DeliveryId>,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let mut asker = Asker::open(context).await?;
    let mut exit = Exit::Done;
    for id in args.ids {
        match asker.post(Query::of(format!("/deliveries/{id}/cancel")).text(), &json!({})).await {
            Ok(answer) if context.output.json => {
                context.output.object(answer.get("delivery").unwrap_or(&answer))?;
            }
            Ok(_) => context.output.data(&format!("{id} cancelled"))?,
            // One that is over says nothing about the next one.
            Err(AskError::Refused { status: 404 | 409, text, .. }) => {
                exit = Exit::Failed;
                complain(&format!("{}: {id}: {}", paint(BAD, "error"), escape::value(&text)));
            }
            Err(error) => return Err(error.into()),
        }
    }
    asker.close().await;
    Ok(exit)
}
