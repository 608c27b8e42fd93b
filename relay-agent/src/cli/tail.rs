//! `relay-agent tail`: events of every agent as they come in, until Ctrl-C. Nothing is forwarded.

use std::time::Duration;

use protocol::id::Slug;
use relay_agent::ApiLines;
use serde_json::Value;

use super::Exit;
use super::ask::{AskError, Asker};
use super::context::Context;
use super::records;
use super::signals::Signals;

/// Pause before asking again when the stream broke. The link itself reconnects with its own patience.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Watch events come in, until Ctrl-C; forwards nothing
#[derive(clap::Args)]
pub(super) struct Args {
    /// Only this source
    #[arg(long, value_name = "NAME")]
    source: Option<Slug>,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let mut signals = Signals::new()?;
    let mut asker = Asker::open(context).await?;
    let result = tokio::select! {
        result = follow(context, &mut asker, args.source.as_ref()) => result.map(|()| Exit::Done),
        () = signals.next() => Ok(Exit::Done),
    };
    asker.close().await;
    result
}

async fn follow(context: &Context, asker: &mut Asker, source: Option<&Slug>) -> anyhow::Result<()> {
    let query = source.map_or_else(String::new, |source| format!("?source={source}"));
    let path = format!("/api/v1/events/stream{query}");
    let mut lines = asker.lines(&path).await?;
    context.output.say("Watching; Ctrl-C stops.");
    loop {
        let why = match print_all(context, asker, &mut lines).await {
            Ok(()) => "the server ended the stream".to_owned(),
            Err(error) => match error.downcast::<AskError>()? {
                AskError::Call(error) => error.to_string(),
                over => return Err(over.into()),
            },
        };
        context.output.say(&format!("{why}; watching again, events in between are in `relay-agent events`"));
        lines = loop {
            tokio::time::sleep(AGAIN_AFTER).await;
            match asker.lines(&path).await {
                Ok(lines) => break lines,
                Err(AskError::Call(error)) => tracing::info!(%error, "not yet"),
                Err(over) => return Err(over.into()),
            }
        };
    }
}

async fn print_all(context: &Context, asker: &mut Asker, lines: &mut ApiLines) -> anyhow::Result<()> {
    while let Some(line) = asker.next_line(lines).await? {
        // Blank lines keep the stream from looking dead.
        let Ok(event) = serde_json::from_str::<Value>(&line) else { continue };
        if context.output.logs_json() {
            context.output.object(&event)?;
        } else {
            context.output.data(&records::line(&event, &context.zone))?;
        }
    }
    Ok(())
}
