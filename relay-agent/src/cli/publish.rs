//! `relay-agent publish SOURCE NAME`: an event of our own making, delivered to the source's destinations, signed.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use protocol::id::Slug;
use serde_json::{Value, json};

use super::Exit;
use super::ask::Asker;
use super::context::{Context, UsageError};
use super::query::Query;
use super::records;
use crate::output::escape;

/// The API takes bodies of at most 1 MiB.
const PAYLOAD_BYTES_MAX: u64 = 1024 * 1024;

const EXAMPLES: &str = "\
Examples:
  relay-agent publish billing invoice.paid --payload-file invoice.json
  echo '{\"id\": 7}' | relay-agent publish billing invoice.paid --payload-file -

Destinations get it as a POST, signed as Standard Webhooks has it.";

/// Send an event of your own to a source's destinations
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The source
    #[arg(value_name = "SOURCE")]
    source: Slug,
    /// The event's name, such as `invoice.paid`
    #[arg(value_name = "NAME")]
    name: String,
    /// File with the payload, JSON; `-` reads stdin. Without it the payload is null
    #[arg(long, value_name = "FILE")]
    payload_file: Option<PathBuf>,
}

fn payload(path: &Path) -> anyhow::Result<Value> {
    let shown = path.display();
    let mut text = Vec::new();
    let read =
        |reader: &mut dyn Read, text: &mut Vec<u8>| reader.take(PAYLOAD_BYTES_MAX + 1).read_to_end(text);
    if path == Path::new("-") {
        read(&mut std::io::stdin().lock(), &mut text).context("stdin cannot be read")?;
    } else {
        let opened = File::open(path).and_then(|mut file| read(&mut file, &mut text));
        opened.map_err(|error| UsageError::Other(format!("cannot read {shown}: {error}")))?;
    }
    if text.len() as u64 > PAYLOAD_BYTES_MAX {
        return Err(UsageError::Other(format!("{shown} holds more than 1 MiB")).into());
    }
    let parsed = serde_json::from_slice(&text);
    Ok(parsed.map_err(|error| UsageError::Other(format!("{shown} is not JSON: {error}")))?)
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let payload = args.payload_file.as_deref().map(payload).transpose()?;
    let path = Query::of(format!("/sources/{}/publish", args.source));
    let mut asker = Asker::open(context).await?;
    let answer = asker.post(path.text(), &json!({ "name": args.name, "payload": payload })).await?;
    asker.close().await;
    if context.output.json {
        context.output.object(&answer)?;
        return Ok(Exit::Done);
    }
    context.output.data(&escape::line(&records::text_or_dash(&answer, "event")))?;
    if let Some(count) = records::number(&answer, "deliveries") {
        let s = if count == 1 { "y" } else { "ies" };
        context.output.say(&format!("published to {}: {count} deliver{s}", args.source));
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_json_and_of_bounded_size() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("payload.json");
        std::fs::write(&path, "{\"id\": 7}\n").unwrap();
        assert_eq!(payload(&path).unwrap(), json!({ "id": 7 }));
        std::fs::write(&path, "id: 7").unwrap();
        assert!(payload(&path).unwrap_err().to_string().contains("is not JSON"));
        std::fs::write(&path, format!("\"{}\"", "x".repeat(1024 * 1024))).unwrap();
        assert!(payload(&path).unwrap_err().to_string().contains("more than 1 MiB"));
        let missing = payload(&dir.path().join("missing")).unwrap_err();
        assert!(missing.is::<UsageError>(), "{missing}");
    }
}
