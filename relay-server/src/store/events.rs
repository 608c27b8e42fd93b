//! Reading events back: pages of summaries, newest first, and one event with everything.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::IpAddr;

use bytes::Bytes;
use protocol::field::HeaderBlock;
use protocol::id::{AgentId, EventId};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::record::{ANSWER_COMPLETE, REQUEST_COMPLETE, id_of};
use super::{Store, StoreError, column};
use crate::model::{Captured, EventRecord, Outcome, ProjectId, RecordedAnswer, SourceId, Times};

/// Most events of one page.
pub const EVENTS_MAX: usize = 200;

/// Which events to list.
#[derive(Debug, Clone)]
pub struct EventFilter {
    /// Whose.
    pub project: ProjectId,
    /// Only those of these sources; `None` takes every source of the project. Others' sources are left out.
    pub sources: Option<Vec<SourceId>>,
    /// Only older ones than this.
    pub before: Option<EventId>,
    /// At most so many; cut to [`EVENTS_MAX`].
    pub limit: usize,
}

/// Which of the [`Outcome`]s, without its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeKind {
    /// The app answered.
    Answered,
    /// Not a byte reached the app.
    NotSent,
    /// The app may have acted.
    SentNoAnswer,
    /// Refused at the door.
    Refused,
}

/// One line about an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventSummary {
    /// Its id.
    pub id: EventId,
    /// Through which source it came; [`Store::owner`] knows its name.
    pub source: SourceId,
    /// Who sent it.
    pub remote: IpAddr,
    /// Method as sent.
    pub method: String,
    /// Request target as sent.
    pub target: Vec<u8>,
    /// What happened.
    pub outcome: OutcomeKind,
    /// Why, where no answer came.
    pub reason: Option<String>,
    /// Which agent it went to.
    pub agent: Option<AgentId>,
    /// Status sent to the sender.
    pub status: u16,
    /// Bytes of the request body that passed.
    pub request_bytes: u64,
    /// Bytes of the answer's body that passed.
    pub answer_bytes: u64,
    /// Where the time went.
    pub times: Times,
}

/// An event with everything that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventDetail {
    /// The summary.
    pub summary: EventSummary,
    /// Header fields as forwarded.
    pub headers: HeaderBlock,
    /// Request body.
    pub body: Captured,
    /// What the sender was told.
    pub answer: RecordedAnswer,
}

impl From<&EventRecord> for EventSummary {
    fn from(record: &EventRecord) -> Self {
        let (outcome, reason) = match record.outcome {
            Outcome::Answered => (OutcomeKind::Answered, None),
            Outcome::NotSent(reason) => (OutcomeKind::NotSent, Some(reason)),
            Outcome::SentNoAnswer(reason) => (OutcomeKind::SentNoAnswer, Some(reason)),
            Outcome::Refused(reason) => (OutcomeKind::Refused, Some(reason)),
        };
        Self {
            id: record.id,
            source: record.source,
            remote: record.remote,
            method: record.method.clone(),
            target: record.target.clone(),
            outcome,
            reason: reason.map(str::to_owned),
            agent: record.agent,
            status: record.answer.status,
            request_bytes: record.body.total_bytes,
            answer_bytes: record.answer.body.total_bytes,
            times: record.times,
        }
    }
}

impl Store {
    /// Events, newest first.
    ///
    /// # Errors
    /// When the store fails, or the question takes too long.
    pub async fn events(&self, filter: EventFilter) -> Result<Vec<EventSummary>, StoreError> {
        let mut sources = self.shared().cache.owned(filter.project);
        if let Some(only) = &filter.sources {
            sources.retain(|source| only.contains(source));
        }
        let before = filter.before.map_or(i64::MAX, |id| id.sort_key().cast_signed());
        let limit = filter.limit.min(EVENTS_MAX);
        self.read(move |conn| {
            let keys = newest(conn, &sources, before, limit)?;
            let mut one = conn.prepare_cached(&format!("SELECT {SUMMARY} FROM events WHERE id = ?1"))?;
            keys.into_iter().filter_map(|key| one.query_row([key], summary).optional().transpose()).collect()
        })
        .await
    }

    /// One event of the project, with headers and bodies.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn event(&self, project: ProjectId, id: EventId) -> Result<Option<EventDetail>, StoreError> {
        let found = self.read(move |conn| {
            let mut one = conn.prepare_cached(&format!(
                "SELECT {SUMMARY}, headers, answer_headers, request, answer FROM events
                 LEFT JOIN bodies USING (id) WHERE id = ?1"
            ))?;
            one.query_row([id.sort_key().cast_signed()], detail).optional()
        });
        let found = found.await?.filter(|found| found.summary.id == id);
        Ok(found
            .filter(|found| self.owner(found.summary.source).is_some_and(|owner| owner.project == project)))
    }
}

/// Keys of the newest `limit` events of any of these sources, newest first. Asks each source's own part of the index,
/// and less of each the more is known, so that one busy source cannot make the quiet ones expensive to list.
fn newest(conn: &Connection, sources: &[SourceId], before: i64, limit: usize) -> rusqlite::Result<Vec<i64>> {
    let mut of_source = conn.prepare_cached(
        "SELECT id FROM events WHERE source_id = ?1 AND id < ?2 AND id > ?3 ORDER BY id DESC LIMIT ?4",
    )?;
    let mut found = BinaryHeap::with_capacity(limit + 1);
    for source in sources {
        let oldest =
            if found.len() == limit { found.peek().map_or(i64::MAX, |Reverse(key)| *key) } else { 0 };
        let keys = of_source
            .query_map(params![source.0, before, oldest, limit as i64], |row| row.get::<_, i64>(0))?;
        for key in keys {
            found.push(Reverse(key?));
            if found.len() > limit {
                found.pop();
            }
        }
    }
    Ok(found.into_sorted_vec().into_iter().map(|Reverse(key)| key).collect())
}

const SUMMARY: &str = "id, source_id, chance, flags, remote, method, target, outcome, reason, agent, status,
    request_bytes, answer_bytes, head_us, total_us, connect_us, app_us";

fn unreadable(index: usize, what: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(index, Type::Blob, what.into())
}

fn summary(row: &Row<'_>) -> rusqlite::Result<EventSummary> {
    Ok(EventSummary {
        id: id_of(column::count(row, 0)?, row.get(2)?, row.get(3)?),
        source: SourceId(row.get(1)?),
        remote: remote(row, 4)?,
        method: row.get(5)?,
        target: row.get(6)?,
        outcome: match row.get(7)? {
            0 => OutcomeKind::Answered,
            1 => OutcomeKind::NotSent,
            2 => OutcomeKind::SentNoAnswer,
            3 => OutcomeKind::Refused,
            other => return Err(rusqlite::Error::IntegralValueOutOfRange(7, other)),
        },
        reason: row.get(8)?,
        agent: row.get::<_, Option<[u8; 16]>>(9)?.map(|id| AgentId(u128::from_be_bytes(id))),
        status: row.get(10)?,
        request_bytes: column::count(row, 11)?,
        answer_bytes: column::count(row, 12)?,
        times: Times {
            head_us: column::count(row, 13)?,
            total_us: column::count(row, 14)?,
            connect_us: column::count(row, 15)?,
            app_us: column::count(row, 16)?,
        },
    })
}

fn remote(row: &Row<'_>, index: usize) -> rusqlite::Result<IpAddr> {
    let bytes = row.get_ref(index)?.as_blob()?;
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Ok(v4.into());
    }
    <[u8; 16]>::try_from(bytes).map(IpAddr::from).map_err(|_| unreadable(index, "not an address"))
}

fn headers(row: &Row<'_>, index: usize) -> rusqlite::Result<HeaderBlock> {
    HeaderBlock::from_bytes(row.get(index)?).map_err(|_| unreadable(index, "not a header block"))
}

fn body(row: &Row<'_>, index: usize, total_bytes: u64, is_complete: bool) -> rusqlite::Result<Captured> {
    let bytes: Option<Vec<u8>> = row.get(index)?;
    Ok(Captured { bytes: Bytes::from(bytes.unwrap_or_default()), total_bytes, complete: is_complete })
}

fn detail(row: &Row<'_>) -> rusqlite::Result<EventDetail> {
    let summary = summary(row)?;
    let flags: i64 = row.get(3)?;
    let answer = RecordedAnswer {
        status: summary.status,
        headers: headers(row, 18)?,
        body: body(row, 20, summary.answer_bytes, flags & ANSWER_COMPLETE != 0)?,
    };
    let body = body(row, 19, summary.request_bytes, flags & REQUEST_COMPLETE != 0)?;
    Ok(EventDetail { headers: headers(row, 17)?, body, answer, summary })
}
