//! Events as they come, and none left out: the stream is opened first, and whatever it misses (a gap, a broken link, a
//! restarted server) is looked up in the list. What was in both comes twice: the caller knows what it has seen.

use std::time::Duration;

use protocol::id::{EventId, Slug};
use relay_agent::ApiLines;
use serde_json::Value;

use super::ask::{AskError, Asker};
use super::query::Query;
use super::{events, records};

/// Pause before asking again when the stream broke. The link itself reconnects with its own patience.
pub(super) const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The longest a source may let its sender wait. An event gets its id when it arrives and is told of when it is over,
/// so that old may be an event that was missed.
const PATIENCE_MAX_MS: u64 = 600_000;

/// The server tells of an event a moment before it can be asked for: it commits every 100 ms.
pub(super) const COMMIT_POLL: Duration = Duration::from_millis(100);
pub(super) const COMMIT_TRIES: u32 = 30;

/// Events of a page.
const PAGE: usize = 200;

/// What comes.
#[derive(Debug)]
pub(super) enum News {
    /// An event, as the stream tells it.
    Event(EventId, Value),
    /// What became of a delivery.
    Delivery(Value),
    /// What may have come while nobody watched, the oldest first.
    Missed(Vec<EventId>),
    /// The stream broke, and why. The next call asks for it again.
    Broke(String),
    /// Nothing, for as long as was to be waited.
    Quiet,
}

/// A watch over one source, or over all.
#[derive(Debug)]
pub(super) struct Following {
    source: Option<Slug>,
    lines: Option<ApiLines>,
    has_gap: bool,
    floor: EventId,
    // When the newest event of the stream came in, in unix milliseconds.
    seen_ms: u64,
}

impl Following {
    /// Begins to watch: everything that comes after the newest event there is now is told.
    pub(super) async fn start(asker: &mut Asker, source: Option<Slug>) -> Result<Self, AskError> {
        // In this order, so that nothing falls between.
        let lines = asker.lines(stream(source.as_ref()).text()).await?;
        let newest = list(asker, source.as_ref(), 1, 0).await?.pop();
        let floor = newest.unwrap_or(EventId(0));
        Ok(Self { source, lines: Some(lines), has_gap: false, floor, seen_ms: 0 })
    }

    /// What comes next. Cancel-safe: what a call that was dropped had begun is begun again.
    pub(super) async fn next(&mut self, asker: &mut Asker) -> Result<News, AskError> {
        self.next_within(asker, None).await
    }

    /// The same, or [`News::Quiet`] when nothing is told for so long.
    pub(super) async fn next_within(
        &mut self,
        asker: &mut Asker,
        quiet: Option<Duration>,
    ) -> Result<News, AskError> {
        loop {
            if self.has_gap {
                match self.missed(asker).await {
                    Ok(missed) => {
                        self.has_gap = false;
                        return Ok(News::Missed(missed));
                    }
                    Err(AskError::Call(error)) => return Ok(self.broke(error.to_string())),
                    Err(over) => return Err(over),
                }
            }
            let Some(lines) = &mut self.lines else { return self.watch_again(asker).await };
            let next_line = asker.next_line(lines);
            let told = match quiet {
                Some(quiet) => match tokio::time::timeout(quiet, next_line).await {
                    Ok(told) => told,
                    Err(_) => return Ok(News::Quiet),
                },
                None => next_line.await,
            };
            let line = match told {
                Ok(Some(line)) => line,
                Ok(None) => return Ok(self.broke("the server ended the stream".to_owned())),
                Err(AskError::Call(error)) => return Ok(self.broke(error.to_string())),
                Err(over) => return Err(over),
            };
            // Blank lines keep the stream from looking dead.
            let Ok(news) = serde_json::from_str::<Value>(&line) else { continue };
            match (records::text(&news, "type"), records::id_of(&news)) {
                (Some("gap"), _) => self.has_gap = true,
                (Some("delivery"), _) => return Ok(News::Delivery(news)),
                (_, Some(id)) => {
                    self.seen_ms = self.seen_ms.max(id.unix_ms());
                    return Ok(News::Event(id, news));
                }
                (_, None) => {}
            }
        }
    }

    /// Gives the stream up because what it brought could not be used: the next call looks it up again.
    pub(super) fn broke(&mut self, why: String) -> News {
        self.lines = None;
        self.has_gap = false;
        News::Broke(why)
    }

    async fn watch_again(&mut self, asker: &mut Asker) -> Result<News, AskError> {
        loop {
            tokio::time::sleep(AGAIN_AFTER).await;
            let opened = async {
                let lines = asker.lines(stream(self.source.as_ref()).text()).await?;
                Ok((lines, self.missed(asker).await?))
            };
            match opened.await {
                Ok((lines, missed)) => {
                    self.lines = Some(lines);
                    return Ok(News::Missed(missed));
                }
                Err(AskError::Call(error)) => tracing::info!(%error, "not yet"),
                Err(over) => return Err(over),
            }
        }
    }

    async fn missed(&self, asker: &mut Asker) -> Result<Vec<EventId>, AskError> {
        let from_ms = self.floor.unix_ms().max(self.seen_ms.saturating_sub(PATIENCE_MAX_MS));
        let mut missed = list(asker, self.source.as_ref(), usize::MAX, from_ms).await?;
        missed.retain(|id| *id > self.floor);
        Ok(missed)
    }
}

/// Where the stream is.
pub(super) fn stream(source: Option<&Slug>) -> Query {
    Query::of("/events/stream").maybe("source", source)
}

/// At most the newest `count` events received at `from_ms` or later, the oldest first.
pub(super) async fn list(
    asker: &mut Asker,
    source: Option<&Slug>,
    count: usize,
    from_ms: u64,
) -> Result<Vec<EventId>, AskError> {
    let mut ids = Vec::new();
    let mut before = None;
    loop {
        let limit = PAGE.min(count - ids.len());
        let query = Query::of("/events").with("limit", limit).maybe("source", source).maybe("before", before);
        let answer = asker.get(query.text()).await?;
        let page = records::list(&answer, "events");
        let in_time = page.iter().filter_map(records::id_of).filter(|id| id.unix_ms() >= from_ms);
        let found = ids.len();
        ids.extend(in_time.take(count - found));
        before = answer.get("next").and_then(events::place);
        let is_past = ids.len() < found + page.len();
        if is_past || before.is_none() || ids.len() == count {
            ids.reverse();
            return Ok(ids);
        }
    }
}
