//! `relay-agent record DIR`: events as files, past ones or as they come. Forwards nothing.
//!
//! What is in the directory already is left alone, so a run that was broken off is simply run again.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, civil};
use protocol::field::is_token;
use protocol::id::{EventId, Slug};
use relay_agent::fixture::Fixture;
use relay_agent::{ApiLines, clock};
use serde_json::{Value, json};

use super::Exit;
use super::ask::{AskError, Asker};
use super::context::{Context, UsageError};
use super::recorded::{self, RecordedError};
use super::signals::Signals;
use super::{events, records};
use crate::output::style::{BAD, ODD, paint};
use crate::output::{complain, escape, stdout_is_terminal};

/// Pause before asking again when the stream broke. The link itself reconnects with its own patience.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The server tells of an event a moment before it can be asked for: it commits every 100 ms.
const COMMIT_POLL: Duration = Duration::from_millis(100);
const COMMIT_TRIES: u32 = 30;

/// The longest a source may let its sender wait. An event gets its id when it arrives and is told of when it is over,
/// so that old may be an event that was missed.
const PATIENCE_MAX_MS: u64 = 600_000;

/// Events of a page.
const PAGE: usize = 200;

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
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Since>,
    /// Go on with events as they come, until Ctrl-C
    #[arg(long)]
    follow: bool,
    /// Leave out these header fields
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = field_name)]
    without_headers: Vec<String>,
}

/// A moment as people name it.
#[derive(Debug, Clone)]
enum Since {
    At(Timestamp),
    /// In this machine's time zone.
    Local(civil::DateTime),
    Ago(Span),
}

fn since(text: &str) -> Result<Since, String> {
    let at = text.parse().map(Since::At).ok();
    let local = || text.parse().map(Since::Local).ok();
    let ago = || text.parse().ok().filter(|span: &Span| span.is_positive()).map(Since::Ago);
    at.or_else(local).or_else(ago).ok_or_else(|| {
        format!("expected a time such as `2h`, `2026-03-01` or `2026-03-01T14:00:00Z`, not `{text}`")
    })
}

impl Since {
    fn unix_ms(&self, now_ms: u64, zone: &TimeZone) -> Result<u64, jiff::Error> {
        let moment = match self {
            Self::At(moment) => *moment,
            Self::Local(local) => local.to_zoned(zone.clone())?.timestamp(),
            Self::Ago(span) => {
                let now = Timestamp::from_millisecond(i64::try_from(now_ms).unwrap_or(i64::MAX))?;
                now.to_zoned(zone.clone()).checked_sub(*span)?.timestamp()
            }
        };
        Ok(u64::try_from(moment.as_millisecond()).unwrap_or(0))
    }
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
        Recorder { context, asker, args, known, seen_ms: 0, counts: Counts::default(), said: Instant::now() };
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
    /// When the newest event of the stream came in, in unix milliseconds.
    seen_ms: u64,
    counts: Counts,
    said: Instant,
}

impl Recorder<'_> {
    async fn record(&mut self, past: Past) -> anyhow::Result<()> {
        if !self.args.follow {
            return self.record_past(past).await;
        }
        // In this order, so that nothing falls between: what is in both is written once.
        let mut lines = self.watch().await?;
        let floor = self.newest().await?;
        self.record_past(past).await?;
        let of = self.args.source.as_ref().map_or_else(|| "any source".to_owned(), |s| format!("source {s}"));
        self.context.output.say(&format!("Waiting for events of {of}; Ctrl-C stops."));
        loop {
            let why = match self.record_lines(&mut lines, floor).await {
                Ok(()) => "the server ended the stream".to_owned(),
                Err(error) => match error.downcast::<AskError>()? {
                    AskError::Call(error) => error.to_string(),
                    over => return Err(over.into()),
                },
            };
            self.context.output.say(&format!("{why}; watching again"));
            lines = loop {
                tokio::time::sleep(AGAIN_AFTER).await;
                match self.watch_again(floor).await {
                    Ok(lines) => break lines,
                    Err(error) => match error.downcast::<AskError>()? {
                        AskError::Call(error) => tracing::info!(%error, "not yet"),
                        over => return Err(over.into()),
                    },
                }
            };
        }
    }

    async fn watch(&mut self) -> Result<ApiLines, AskError> {
        let query = self.args.source.as_ref().map_or_else(String::new, |source| format!("?source={source}"));
        self.asker.lines(&format!("/api/v1/events/stream{query}")).await
    }

    async fn watch_again(&mut self, floor: EventId) -> anyhow::Result<ApiLines> {
        let lines = self.watch().await?;
        self.catch_up(floor).await?;
        Ok(lines)
    }

    async fn record_lines(&mut self, lines: &mut ApiLines, floor: EventId) -> anyhow::Result<()> {
        while let Some(line) = self.asker.next_line(lines).await? {
            // Blank lines keep the stream from looking dead.
            let Ok(event) = serde_json::from_str::<Value>(&line) else { continue };
            if records::text(&event, "type") == Some("gap") {
                self.catch_up(floor).await?;
            } else if let Some(id) = id_of(&event) {
                self.record_one(id, COMMIT_TRIES).await?;
                self.seen_ms = self.seen_ms.max(id.unix_ms());
            }
        }
        Ok(())
    }

    /// Writes what came while nobody watched.
    async fn catch_up(&mut self, floor: EventId) -> anyhow::Result<()> {
        let from_ms = floor.unix_ms().max(self.seen_ms.saturating_sub(PATIENCE_MAX_MS));
        let mut missed = self.list(usize::MAX, from_ms).await?;
        missed.retain(|id| *id > floor && !self.known.contains(id));
        for id in missed {
            self.record_one(id, 1).await?;
        }
        Ok(())
    }

    async fn record_past(&mut self, past: Past) -> anyhow::Result<()> {
        let ids = match past {
            Past::None => Vec::new(),
            Past::Ids(ids) => ids,
            Past::Last(count) => self.list(count, 0).await?,
            Past::SinceMs(ms) => self.list(usize::MAX, ms).await?,
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

    /// At most the newest `count` events received at `from_ms` or later, the oldest first.
    async fn list(&mut self, count: usize, from_ms: u64) -> Result<Vec<EventId>, AskError> {
        let mut ids = Vec::new();
        let mut before = None;
        loop {
            let limit = PAGE.min(count - ids.len());
            let answer =
                self.asker.get(&events::path(self.args.source.as_ref(), before.as_deref(), limit)).await?;
            let page = records::list(&answer, "events");
            let in_time = page.iter().filter_map(id_of).filter(|id| id.unix_ms() >= from_ms);
            let found = ids.len();
            ids.extend(in_time.take(count - found));
            before = answer.get("next").and_then(events::place);
            let is_past = ids.len() < found + page.len();
            if page.is_empty() || is_past || before.is_none() || ids.len() == count {
                ids.reverse();
                return Ok(ids);
            }
        }
    }

    /// The newest event there is, or one that is older than any.
    async fn newest(&mut self) -> Result<EventId, AskError> {
        Ok(self.list(1, 0).await?.pop().unwrap_or(EventId(0)))
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

fn id_of(event: &Value) -> Option<EventId> {
    records::text(event, "id")?.parse().ok()
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
    fn a_moment_is_named_as_people_do() {
        let east = TimeZone::fixed(jiff::tz::offset(1));
        let table = [
            ("2026-11-22T10:54:39Z", NOW - 250),
            ("2026-11-22T11:54:39+01:00", NOW - 250),
            ("2026-11-22T11:54:39", NOW - 250),
            ("2026-11-22", NOW - 250 - (11 * 3600 + 54 * 60 + 39) * 1000),
            ("2h", NOW - 7_200_000),
            ("90s", NOW - 90_000),
            ("1h 30m", NOW - 5_400_000),
            ("3 days", NOW - 3 * 86_400_000),
            ("PT1M", NOW - 60_000),
        ];
        for (text, expected) in table {
            assert_eq!(since(text).expect(text).unix_ms(NOW, &east).unwrap(), expected, "{text}");
        }
        for text in ["", "soon", "-2h", "0s", "7", "2026-13-01"] {
            assert!(since(text).is_err(), "{text}");
        }
        assert_eq!(since("100y").unwrap().unix_ms(NOW, &east).unwrap(), 0, "everything there is");
        assert!(since("15000y").unwrap().unix_ms(NOW, &east).is_err(), "before every calendar");
    }

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
