//! `relay-agent record DIR`: events as files, past ones or as they come. Forwards nothing.
//!
//! What is in the directory already is left alone, so a run that was broken off is simply run again.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use protocol::field::is_token;
use protocol::id::{EventId, Slug};
use relay_agent::clock;
use relay_agent::fixture::Fixture;
use serde_json::{Value, json};

use super::Exit;
use super::ask::{AskError, Asker};
use super::context::{Context, UsageError};
use super::following::{COMMIT_POLL, COMMIT_TRIES, Following, News, list};
use super::moments::{Moment, moment};
use super::recorded::{self, RecordedError};
use super::signals::Signals;
use crate::output::style::{BAD, ODD, paint};
use crate::output::{complain, escape, stdout_is_terminal};

/// How often to say how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(2);

const EXAMPLES: &str = "\
Examples:
  relay-agent record fixtures --source github --last 20
  relay-agent record fixtures --since 2h
  relay-agent record fixtures evt_…
  relay-agent record fixtures --follow --without-headers Authorization,Cookie

One directory an event: event.json, headers, and the body byte for byte; docs/agent.md describes them.
Secrets in header fields are kept: they are what makes signatures verify.";

/// Write events to files, past ones or as they come
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Where to; made if it is missing
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// These events, `evt_…`
    #[arg(value_name = "ID", conflicts_with_all = ["last", "since", "source"])]
    ids: Vec<EventId>,
    /// Only this source
    #[arg(long, value_name = "NAME")]
    source: Option<Slug>,
    /// The newest so many
    #[arg(long, value_name = "COUNT", conflicts_with = "since", value_parser = clap::value_parser!(u32).range(1..))]
    last: Option<u32>,
    /// Everything since then: `2h`, `3 days`, `2026-03-01`, `2026-03-01T14:00:00Z`
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Moment>,
    /// Go on with events as they come, until Ctrl-C
    #[arg(long)]
    follow: bool,
    /// Leave out these header fields
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = field_name)]
    without_headers: Vec<String>,
}

fn field_name(text: &str) -> Result<String, String> {
    let name = text.trim();
    if is_token(name.as_bytes()) {
        Ok(name.to_owned())
    } else {
        Err(format!("`{name}` is not the name of a header field"))
    }
}

/// Which events that are over are wanted.
enum Past {
    None,
    Ids(Vec<EventId>),
    Last(usize),
    SinceMs(u64),
}

impl Args {
    fn past(&self, zone: &TimeZone) -> anyhow::Result<Past> {
        Ok(match (&self.since, self.last) {
            _ if !self.ids.is_empty() => Past::Ids(self.ids.clone()),
            (Some(since), _) => Past::SinceMs(since.unix_ms(clock::unix_ms(), zone)?),
            (None, Some(last)) => Past::Last(usize::try_from(last)?),
            (None, None) if self.follow => Past::None,
            (None, None) => {
                let text = "say which events: --last COUNT, --since TIME, ids, or --follow for those to come";
                return Err(UsageError::Other(text.to_owned()).into());
            }
        })
    }
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let past = args.past(&context.zone)?;
    let follow = args.follow;
    let mut signals = Signals::new()?;
    let known = known(&args.dir);
    let asker = Asker::open(context).await?;
    let mut recorder =
        Recorder { context, asker, args, known, counts: Counts::default(), said: Instant::now() };
    let ended = tokio::select! {
        ended = recorder.record(past) => ended.map(|()| Exit::Done),
        () = signals.next() => Ok(if follow { Exit::Done } else { Exit::Aborted }),
    };
    recorder.sum_up();
    let is_complete = recorder.counts.refused == 0;
    recorder.asker.close().await;
    ended.map(|exit| if exit == Exit::Done && !is_complete { Exit::Failed } else { exit })
}

/// The events that have a directory here already.
fn known(dir: &std::path::Path) -> BTreeSet<EventId> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let id = |name: &str| name.split('-').find_map(|part| part.parse().ok());
    entries.filter_map(|entry| id(entry.file_name().to_str()?)).collect()
}

#[derive(Default)]
struct Counts {
    written: u64,
    there: u64,
    refused: u64,
}

struct Recorder<'a> {
    context: &'a Context,
    asker: Asker,
    args: Args,
    /// On disk, or refused: not to be asked for again.
    known: BTreeSet<EventId>,
    counts: Counts,
    said: Instant,
}

impl Recorder<'_> {
    async fn record(&mut self, past: Past) -> anyhow::Result<()> {
        if !self.args.follow {
            return self.record_past(past).await;
        }
        let mut following = Following::start(&mut self.asker, self.args.source.clone()).await?;
        self.record_past(past).await?;
        let of = self.args.source.as_ref().map_or_else(|| "any source".to_owned(), |s| format!("source {s}"));
        self.context.output.say(&format!("Waiting for events of {of}; Ctrl-C stops."));
        loop {
            let mut news = following.next(&mut self.asker).await?;
            let recorded = match &mut news {
                News::Event(id, _) => self.record_one(*id, COMMIT_TRIES).await,
                News::Missed(missed) => self.record_missed(std::mem::take(missed)).await,
                News::Broke(_) | News::Delivery(_) | News::Quiet => Ok(()),
            };
            if let Err(error) = recorded {
                news = match error.downcast::<AskError>()? {
                    AskError::Call(error) => following.broke(error.to_string()),
                    over => return Err(over.into()),
                };
            }
            if let News::Broke(why) = news {
                self.context.output.say(&format!("{why}; watching again"));
            }
        }
    }

    /// Writes what came while nobody watched.
    async fn record_missed(&mut self, mut missed: Vec<EventId>) -> anyhow::Result<()> {
        missed.retain(|id| !self.known.contains(id));
        for id in missed {
            self.record_one(id, 1).await?;
        }
        Ok(())
    }

    async fn record_past(&mut self, past: Past) -> anyhow::Result<()> {
        let ids = match past {
            Past::None => Vec::new(),
            Past::Ids(ids) => ids,
            Past::Last(count) => list(&mut self.asker, self.args.source.as_ref(), count, 0).await?,
            Past::SinceMs(ms) => list(&mut self.asker, self.args.source.as_ref(), usize::MAX, ms).await?,
        };
        let total = ids.len();
        for (done, id) in ids.into_iter().enumerate() {
            self.record_one(id, 1).await?;
            // On a terminal the lines themselves show it.
            if !stdout_is_terminal() && self.said.elapsed() >= PROGRESS_EVERY {
                self.said = Instant::now();
                self.context.output.say(&format!("{} of {total}…", done + 1));
            }
        }
        Ok(())
    }

    async fn record_one(&mut self, id: EventId, tries: u32) -> anyhow::Result<()> {
        if self.known.contains(&id) {
            self.counts.there += 1;
            return Ok(());
        }
        let mut fetched = recorded::fetch(&mut self.asker, id).await;
        for _ in 1..tries {
            if !matches!(fetched, Err(RecordedError::Gone)) {
                break;
            }
            tokio::time::sleep(COMMIT_POLL).await;
            fetched = recorded::fetch(&mut self.asker, id).await;
        }
        match fetched {
            Ok(fixture) => self.write(fixture)?,
            Err(RecordedError::Ask(error)) => return Err(error.into()),
            Err(error) => {
                self.counts.refused += 1;
                complain(&format!("{}: {id} is not written: {error}", paint(BAD, "warning")));
            }
        }
        self.known.insert(id);
        Ok(())
    }

    fn write(&mut self, fixture: Fixture) -> anyhow::Result<()> {
        let fixture = fixture.without(&self.args.without_headers);
        let written = fixture.write(&self.args.dir)?;
        if !written.is_new {
            self.counts.there += 1;
            return Ok(());
        }
        self.counts.written += 1;
        let path = written.path.display().to_string();
        if self.context.output.json {
            self.context.output.object(&object(&fixture, &path))?;
        } else {
            self.context.output.data(&escape::value(&path))?;
        }
        Ok(())
    }

    fn sum_up(&self) {
        let Counts { written, there, refused } = self.counts;
        let mut parts =
            vec![format!("{written} written to {}", escape::value(&self.args.dir.display().to_string()))];
        parts.extend((there > 0).then(|| format!("{there} there already")));
        parts.extend((refused > 0).then(|| paint(ODD, &format!("{refused} not written"))));
        self.context.output.say(&parts.join(", "));
    }
}

fn object(fixture: &Fixture, path: &str) -> Value {
    json!({
        "type": "recorded",
        "fixture": path,
        "event": fixture.id.map(|id| id.to_string()),
        "source": fixture.source,
        "name": fixture.name,
        "method": fixture.method,
        "path": String::from_utf8_lossy(&fixture.target),
        "status": fixture.status,
        "body_bytes": fixture.body.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_344_879_250;

    #[test]
    fn events_that_have_a_directory_are_known() {
        let dir = tempfile::tempdir().unwrap();
        let id = EventId::from_parts(NOW << 20, 7);
        for name in [format!("20261122T105439Z-{id}-push"), "notes".to_owned(), ".evt.partial".to_owned()] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        assert_eq!(known(dir.path()), BTreeSet::from([id]));
        assert!(known(&dir.path().join("missing")).is_empty());
    }
}
