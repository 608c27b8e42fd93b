//! `relay-agent tail`: events of every agent as they come in, and what becomes of deliveries, until Ctrl-C. Nothing is
//! forwarded.

use protocol::id::Slug;
use relay_agent::{ApiLines, clock};
use serde_json::Value;

use super::Exit;
use super::ask::{AskError, Asker};
use super::context::Context;
use super::following::{AGAIN_AFTER, stream};
use super::records;
use super::signals::Signals;
use crate::output::style::{DIM, paint};

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
    let path = stream(source);
    let mut lines = asker.lines(path.text()).await?;
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
            match asker.lines(path.text()).await {
                Ok(lines) => break lines,
                Err(AskError::Call(error)) => tracing::info!(%error, "not yet"),
                Err(over) => return Err(over.into()),
            }
        };
    }
}

/// The line that stands for what came too fast.
fn missed(gap: &Value) -> String {
    let count = records::number(gap, "missed").unwrap_or(0);
    paint(DIM, &format!("… {count} came too fast to be shown; `relay-agent events` has them"))
}

async fn print_all(context: &Context, asker: &mut Asker, lines: &mut ApiLines) -> anyhow::Result<()> {
    while let Some(line) = asker.next_line(lines).await? {
        // Blank lines keep the stream from looking dead.
        let Ok(event) = serde_json::from_str::<Value>(&line) else { continue };
        if context.output.logs_json() {
            context.output.object(&event)?;
            continue;
        }
        let line = match records::text(&event, "type") {
            Some("delivery") => records::delivery_line(&event, clock::unix_ms(), &context.zone),
            Some("gap") => missed(&event),
            _ => records::line(&event, &context.zone),
        };
        context.output.data(&line)?;
    }
    Ok(())
}
