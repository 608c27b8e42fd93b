//! `relay-agent wait`: until an event that matches was delivered; prints it. For scripts and tests.
//!
//! Nothing falls between: it watches first, and looks at what was there only then. What a broken link or a restarted
//! server kept from being told is looked up.

mod wanted;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use protocol::id::{EventId, Slug};
use relay_agent::clock;
use serde_json::Value;

use self::wanted::{Standing, Wanted, standing};
use super::Exit;
use super::ask::{AskError, Asker};
use super::context::Context;
use super::following::{AGAIN_AFTER, COMMIT_POLL, COMMIT_TRIES, Following, News, list};
use super::moments::{Moment, moment};
use super::query::Query;
use super::recorded::{self, RecordedError};
use super::signals::Signals;
use super::{filter, records};
use crate::config::words;
use crate::output::complain;
use crate::output::style::{BAD, paint};
use crate::output::unit;

/// How often to look at events that match and were not delivered yet, in case nobody tells what becomes of them.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Most of them looked at each time; the newest.
const LOOKED_AT_MAX: usize = 100;

const EXAMPLES: &str = "\
Examples:
  relay-agent wait --source github --event push --timeout 30s | jq .id
  relay-agent wait --source stripe --body evt_123 --since 1m
  relay-agent wait --source billing --status 5xx

An event was delivered when the app answered it below 400, live or later. With --status the app's answer with that
status counts, and no other. Everything that is asked has to be so. Exit code 0 with the event on stdout, as
`relay-agent event ID --json` has it; 1 when the time is up, with what came on stderr.";

/// Wait until an event that matches was delivered, and print it
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Of this source
    #[arg(long, value_name = "NAME")]
    source: Option<Slug>,
    /// Sent with this method
    #[arg(long, value_name = "METHOD", value_parser = filter::method)]
    method: Option<String>,
    /// To a path that begins so, as it was sent or as the app sees it
    #[arg(long, value_name = "PREFIX")]
    path: Option<String>,
    /// Answered by the app with this status, or one of a class: `200`, `2xx`
    #[arg(long, value_name = "STATUS", value_parser = filter::status)]
    status: Option<filter::Status>,
    /// With this header field; may be repeated
    #[arg(long, value_name = "NAME: VALUE", value_parser = super::replay::field)]
    header: Vec<(String, String)>,
    /// With this text somewhere in its body
    #[arg(long, value_name = "TEXT")]
    body: Option<String>,
    /// Called so by its provider, such as `push`
    #[arg(long, value_name = "NAME")]
    event: Option<String>,
    /// How long
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = words::patience)]
    timeout: Duration,
    /// Also if it came before, but not before then: `2m`, `2026-03-01T14:00:00Z`
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Moment>,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let since_ms = args.since.map(|since| since.unix_ms(clock::unix_ms(), &context.zone)).transpose()?;
    let mut signals = Signals::new()?;
    let asker = Asker::open(context).await?;
    let wanted = Wanted {
        method: args.method,
        path: args.path,
        status: args.status,
        headers: args.header,
        body: args.body,
        name: args.event,
    };
    let mut waiting = Waiting {
        context,
        asker,
        source: args.source,
        wanted,
        rejected: BTreeSet::new(),
        over: BTreeSet::new(),
        pending: BTreeSet::new(),
        differed: BTreeMap::new(),
    };
    let found = tokio::select! {
        found = tokio::time::timeout(args.timeout, waiting.find(since_ms)) => found,
        () = signals.next() => {
            waiting.asker.close().await;
            return Ok(Exit::Aborted);
        }
    };
    let exit = match found {
        Ok(found) => {
            context.output.object(&found?)?;
            Exit::Done
        }
        Err(_) => {
            complain(&format!("{}: {}", paint(BAD, "error"), waiting.came_to_nothing(args.timeout)));
            Exit::Failed
        }
    };
    waiting.asker.close().await;
    Ok(exit)
}

struct Waiting<'a> {
    context: &'a Context,
    asker: Asker,
    source: Option<Slug>,
    wanted: Wanted,
    /// Looked at, and not what is waited for.
    rejected: BTreeSet<EventId>,
    /// Those of them that were not delivered, and may be once somebody replays them.
    over: BTreeSet<EventId>,
    /// What is waited for, were it delivered.
    pending: BTreeSet<EventId>,
    /// In what how many of the rejected differed.
    differed: BTreeMap<&'static str, u64>,
}

impl Waiting<'_> {
    async fn find(&mut self, since_ms: Option<u64>) -> anyhow::Result<Value> {
        let mut following = Following::start(&mut self.asker, self.source.clone()).await?;
        while let Some(since_ms) = since_ms {
            match self.look_back(since_ms).await {
                Ok(Some(found)) => return Ok(found),
                Ok(None) => break,
                Err(AskError::Call(error)) => tracing::info!(%error, "not yet"),
                Err(over) => return Err(over.into()),
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
        loop {
            let quiet = (!self.pending.is_empty()).then_some(LOOK_EVERY);
            let news = following.next_within(&mut self.asker, quiet).await?;
            match self.take(news).await {
                Ok(Some(found)) => return Ok(found),
                Ok(None) => {}
                // Looked up again with whatever else was missed.
                Err(AskError::Call(error)) => drop(following.broke(error.to_string())),
                Err(over) => return Err(over.into()),
            }
        }
    }

    async fn look_back(&mut self, since_ms: u64) -> Result<Option<Value>, AskError> {
        let ids = list(&mut self.asker, self.source.as_ref(), usize::MAX, since_ms).await?;
        self.look_at_all(ids).await
    }

    async fn take(&mut self, news: News) -> Result<Option<Value>, AskError> {
        match news {
            News::Event(id, line) => {
                let differs = self.wanted.line_differs(&line);
                if differs.is_empty() {
                    return self.look(id, COMMIT_TRIES).await;
                }
                self.reject(id, &differs);
                Ok(None)
            }
            News::Delivery(line) => self.look_at_delivery(&line).await,
            News::Missed(ids) => {
                let pending = std::mem::take(&mut self.pending);
                let all: BTreeSet<_> = pending.into_iter().chain(ids).collect();
                self.look_at_all(all.into_iter().collect()).await
            }
            News::Quiet => {
                let newest = self.pending.iter().rev().take(LOOKED_AT_MAX).copied().collect();
                self.look_at_all(newest).await
            }
            News::Broke(why) => {
                self.context.output.say(&format!("{why}; watching again"));
                Ok(None)
            }
        }
    }

    async fn look_at_all(&mut self, ids: Vec<EventId>) -> Result<Option<Value>, AskError> {
        // Should a call break, the rest is still waited for.
        self.pending.extend(ids.iter().filter(|id| !self.rejected.contains(id)));
        for id in ids {
            if let Some(found) = self.look(id, 1).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// A delivery that is what is waited for makes its event so, however old that is.
    async fn look_at_delivery(&mut self, line: &Value) -> Result<Option<Value>, AskError> {
        let Some(id) = records::text(line, "event").and_then(|text| text.parse().ok()) else {
            return Ok(None);
        };
        let is_rejected = self.rejected.contains(&id) && !self.over.contains(&id);
        if !self.wanted.is_delivered_by(line) || is_rejected {
            return Ok(None);
        }
        let Some(event) = self.fetch(id, COMMIT_TRIES).await? else { return Ok(None) };
        let differs = self.differs(id, &event).await?;
        if differs.is_empty() {
            return Ok(Some(event));
        }
        self.reject(id, &differs);
        Ok(None)
    }

    /// The event, if it is what is waited for.
    async fn look(&mut self, id: EventId, tries: u32) -> Result<Option<Value>, AskError> {
        if self.rejected.contains(&id) {
            return Ok(None);
        }
        let Some(event) = self.fetch(id, tries).await? else { return Ok(None) };
        let differs = self.differs(id, &event).await?;
        if !differs.is_empty() {
            self.reject(id, &differs);
            return Ok(None);
        }
        match standing(&event, self.wanted.status.as_ref()) {
            Standing::Delivered => return Ok(Some(event)),
            Standing::Open => drop(self.pending.insert(id)),
            Standing::Over => {
                self.reject(id, &[self.wanted.undelivered()]);
                self.over.insert(id);
            }
        }
        Ok(None)
    }

    async fn fetch(&mut self, id: EventId, tries: u32) -> Result<Option<Value>, AskError> {
        let path = Query::of(format!("/events/{id}"));
        for _ in 1..tries {
            match self.asker.get(path.text()).await {
                Err(AskError::Refused { status: 404, .. }) => tokio::time::sleep(COMMIT_POLL).await,
                fetched => return fetched.map(Some),
            }
        }
        match self.asker.get(path.text()).await {
            Err(AskError::Refused { status: 404, .. }) => {
                self.pending.remove(&id);
                Ok(None)
            }
            fetched => fetched.map(Some),
        }
    }

    /// In what its request differs.
    async fn differs(&mut self, id: EventId, event: &Value) -> Result<Vec<&'static str>, AskError> {
        let mut differs = self.wanted.request_differs(event);
        let Some(text) = &self.wanted.body else { return Ok(differs) };
        let text = text.clone();
        match recorded::body(&mut self.asker, id, event).await {
            Ok((body, ..)) if contains(&body, text.as_bytes()) => {}
            Err(RecordedError::Ask(error)) => return Err(error),
            Ok(_) | Err(_) => differs.push("body"),
        }
        Ok(differs)
    }

    fn reject(&mut self, id: EventId, differs: &[&'static str]) {
        self.pending.remove(&id);
        if self.rejected.insert(id) {
            for field in differs {
                *self.differed.entry(field).or_default() += 1;
            }
        }
    }

    /// What came instead.
    fn came_to_nothing(&self, timeout: Duration) -> String {
        let all = self.rejected.len() + self.pending.len();
        let time = unit::duration(timeout);
        if all == 0 {
            return format!("nothing matched within {time}: no event came");
        }
        let mut parts: Vec<_> =
            self.differed.iter().map(|(field, count)| format!("{field} ({count})")).collect();
        if !self.pending.is_empty() {
            parts.push(format!("not delivered yet ({})", self.pending.len()));
        }
        let s = if all == 1 { "" } else { "s" };
        format!("nothing matched within {time}: {all} event{s} came and differed in {}", parts.join(", "))
    }
}

/// Whether `needle` is somewhere in `bytes`.
fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    needle.is_empty() || memchr::memmem::find(bytes, needle).is_some()
}
