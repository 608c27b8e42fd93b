//! Reading events back: pages of summaries, newest first, and one event with everything.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::net::IpAddr;

use bytes::Bytes;
use protocol::field::HeaderBlock;
use protocol::id::{AgentId, EventId};
use rusqlite::types::{Type, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::record::{ANSWER_COMPLETE, body_flags, id_of};
use super::retention::KEY_SHIFT;
use super::{Store, StoreError, column};
use crate::model::{
    Captured, EventRecord, Outcome, ProjectId, RecordedAnswer, RequestShape, SourceId, Times,
};

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
    /// What else they have to be.
    pub only: Only,
}

/// What an event has to be, to be listed. The default takes all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Only {
    /// Of this method.
    pub method: Option<String>,
    /// With this outcome.
    pub outcome: Option<OutcomeKind>,
    /// Answered with a status from the first to the second.
    pub status: Option<(u16, u16)>,
    /// Received at or after this, unix milliseconds.
    pub since_ms: Option<u64>,
    /// Received before this, unix milliseconds.
    pub until_ms: Option<u64>,
}

impl Only {
    /// Whether it asks for nothing but a time.
    pub(super) fn takes_all(&self) -> bool {
        self.method.is_none() && self.outcome.is_none() && self.status.is_none()
    }

    /// Keys of events received within the time: more than the first, less than the second.
    pub(super) fn keys(&self) -> (i64, i64) {
        let key_at = |ms: u64| column::number(ms).saturating_mul(1 << KEY_SHIFT);
        (self.since_ms.map_or(0, |ms| key_at(ms).saturating_sub(1)), self.until_ms.map_or(i64::MAX, key_at))
    }
}

/// A page of events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventPage {
    /// Newest first.
    pub events: Vec<EventSummary>,
    /// Where the next page begins (its `before`); `None` when there is none.
    pub next: Option<EventId>,
}

/// Most entries of the index, and most events, a filtered list looks at: some 3 ms each. What it did not come to is left
/// to the next page.
pub(super) const SCAN_MAX: usize = 4_000;
const SCAN_EVENTS_MAX: usize = 2_000;

/// Sources from which on a list first looks at events in their own order, whose ever they are.
const SOURCES_MANY: usize = 8;

/// Fewest entries looked at of each source.
pub(super) const SCAN_MIN: usize = 200;

/// Which of the [`Outcome`]s, without its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
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
    /// Stored; its deliveries tell the rest.
    Accepted,
    /// A copy of an event that came before.
    Duplicate,
    /// A challenge of the provider that the relay answered.
    Greeted,
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
    /// Its number among the source's accepted events; `None`: nothing was promised.
    pub seq: Option<u64>,
    /// The event it is an edited copy or a duplicate of.
    pub related: Option<EventId>,
    /// The provider's name for it.
    pub name: Option<String>,
    /// The provider's id of the delivery.
    pub sender_id: Option<String>,
    /// What came of checking its signature; `None`: nobody asked for it.
    pub signature: Option<String>,
    /// Why the signature was refused.
    pub signature_text: Option<String>,
}

/// An event with everything that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventDetail {
    /// The summary.
    pub summary: EventSummary,
    /// Header fields as forwarded.
    pub headers: HeaderBlock,
    /// See [`RequestShape`].
    pub shape: RequestShape,
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
            Outcome::Accepted(reason) => (OutcomeKind::Accepted, Some(reason)),
            Outcome::Duplicate => (OutcomeKind::Duplicate, None),
            Outcome::Greeted(kind) => (OutcomeKind::Greeted, Some(kind)),
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
            seq: None,
            related: record.related,
            name: record.known.name.clone(),
            sender_id: record.known.sender_id.clone(),
            signature: record.known.signature.code().map(str::to_owned),
            signature_text: record.known.signature.text().map(str::to_owned),
        }
    }
}

impl Store {
    /// A page of events, newest first. One that filters may be short, or empty, and still have a next page.
    ///
    /// # Errors
    /// When the store fails, or the question takes too long.
    pub async fn events(&self, filter: EventFilter) -> Result<EventPage, StoreError> {
        let mut sources = self.shared().cache.owned(filter.project);
        if let Some(only) = &filter.sources {
            sources.retain(|source| only.contains(source));
        }
        let limit = filter.limit.min(EVENTS_MAX);
        self.read(move |conn| {
            let found = newest(conn, &sources, &filter, limit)?;
            let events = summaries(conn, &found.keys)?;
            let last = events.last().filter(|_| events.len() == limit).map(|event| event.id);
            // Where the look ended is no event's id, but stands between two.
            let next = last.or(found.looked_back_to.map(|key| EventId::from_parts(key.cast_unsigned(), 0)));
            Ok(EventPage { events, next })
        })
        .await
    }

    /// These events with everything, as far as they are there, in the same order. Bodies in files stay there.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn load(&self, ids: Vec<EventId>) -> Result<Vec<EventDetail>, StoreError> {
        self.read_own(move |conn| {
            let mut one = conn.prepare_cached(&format!("{DETAIL} WHERE id = ?1"))?;
            let found = ids
                .iter()
                .filter_map(|id| one.query_row([id.sort_key().cast_signed()], detail).optional().transpose());
            found.collect()
        })
        .await
    }

    /// One event of the project, with headers and bodies.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn event(&self, project: ProjectId, id: EventId) -> Result<Option<EventDetail>, StoreError> {
        let found = self.read(move |conn| {
            let mut one = conn.prepare_cached(&format!("{DETAIL} WHERE id = ?1"))?;
            one.query_row([id.sort_key().cast_signed()], detail).optional()
        });
        let found = found.await?.filter(|found| found.summary.id == id);
        Ok(found
            .filter(|found| self.owner(found.summary.source).is_some_and(|owner| owner.project == project)))
    }
}

/// The events of these keys, as far as they are there.
pub(super) fn summaries(conn: &Connection, keys: &[i64]) -> rusqlite::Result<Vec<EventSummary>> {
    let mut one = conn.prepare_cached(&format!("SELECT {SUMMARY} FROM events WHERE id = ?1"))?;
    keys.iter().filter_map(|key| one.query_row([key], summary).optional().transpose()).collect()
}

struct Found {
    keys: Vec<i64>,
    /// Where a filtered look had enough; older ones were not looked at.
    looked_back_to: Option<i64>,
}

/// Keys of the newest `limit` events of any of these sources, newest first. Asks each source's own part of the index,
/// and less of each the more is known, so that one busy source cannot make the quiet ones expensive to list.
fn newest(
    conn: &Connection,
    sources: &[SourceId],
    filter: &EventFilter,
    limit: usize,
) -> rusqlite::Result<Found> {
    let only = &filter.only;
    let (since, until) = only.keys();
    let before = filter.before.map_or(until, |id| until.min(id.sort_key().cast_signed()));
    if sources.len() > SOURCES_MANY
        && let Some(found) = newest_in_order(conn, sources, only, (since, before), limit)?
    {
        return Ok(found);
    }
    let scan =
        if only.takes_all() { limit } else { (SCAN_MAX / sources.len().max(1)).max(SCAN_MIN).max(limit) };
    // The index holds every column named here: no row is read.
    let mut of_source = conn.prepare_cached(
        "SELECT id, outcome, status, method FROM events INDEXED BY events_by_source
         WHERE source_id = ?1 AND id < ?2 AND id > ?3 ORDER BY id DESC LIMIT ?4",
    )?;
    let mut found = BinaryHeap::with_capacity(limit + 1);
    let mut looked_back_to = None;
    for source in sources {
        let oldest =
            if found.len() == limit { found.peek().map_or(i64::MAX, |Reverse(key)| *key) } else { since };
        let mut rows = of_source.query(params![source.0, before, oldest, scan as i64])?;
        let (mut looked, mut last) = (0, 0);
        while let Some(row) = rows.next()? {
            (looked, last) = (looked + 1, row.get(0)?);
            if !only.takes_all() && !is_meant(only, row, [1, 2, 3])? {
                continue;
            }
            found.push(Reverse(last));
            if found.len() > limit && found.pop().is_some_and(|Reverse(gone)| gone == last) {
                // What follows in this source is older still.
                break;
            }
        }
        if !only.takes_all() && looked == scan {
            looked_back_to = looked_back_to.max(Some(last));
        }
    }
    let mut keys: Vec<i64> = found.into_sorted_vec().into_iter().map(|Reverse(key)| key).collect();
    if let Some(back_to) = looked_back_to {
        // Older ones may have younger siblings that were not looked at.
        keys.retain(|key| *key >= back_to);
    }
    Ok(Found { keys, looked_back_to })
}

/// The same by a look at the newest events of everybody: most of them are meant, where one project has most sources.
/// `None` where that is not so, and a look at each source will find more.
fn newest_in_order(
    conn: &Connection,
    sources: &[SourceId],
    only: &Only,
    (since, before): (i64, i64),
    limit: usize,
) -> rusqlite::Result<Option<Found>> {
    let sources: HashSet<_> = sources.iter().collect();
    let scan = if only.takes_all() { 4 * limit } else { SCAN_EVENTS_MAX.max(limit) };
    let mut events = conn.prepare_cached(
        "SELECT id, source_id, outcome, status, method FROM events
         WHERE id < ?1 AND id > ?2 ORDER BY id DESC LIMIT ?3",
    )?;
    let mut rows = events.query(params![before, since, scan as i64])?;
    let (mut keys, mut looked, mut last) = (Vec::with_capacity(limit), 0, 0);
    while keys.len() < limit
        && let Some(row) = rows.next()?
    {
        (looked, last) = (looked + 1, row.get(0)?);
        if sources.contains(&SourceId(row.get(1)?)) && (only.takes_all() || is_meant(only, row, [2, 3, 4])?) {
            keys.push(last);
        }
    }
    let had_enough = keys.len() < limit && looked == scan;
    if had_enough && only.takes_all() {
        return Ok(None);
    }
    Ok(Some(Found { keys, looked_back_to: had_enough.then_some(last) }))
}

/// Whether an event is meant whose outcome, status and method stand in these columns.
pub(super) fn is_meant(
    only: &Only,
    row: &Row<'_>,
    [outcome, status, method]: [usize; 3],
) -> rusqlite::Result<bool> {
    let of_status: u16 = row.get(status)?;
    Ok(only.outcome.map_or(Ok(true), |wanted| outcome_kind(row, outcome).map(|kind| kind == wanted))?
        && only.status.is_none_or(|(from, to)| (from..=to).contains(&of_status))
        && match &only.method {
            Some(wanted) => row.get_ref(method)?.as_str()? == wanted,
            None => true,
        })
}

pub(super) fn outcome_kind(row: &Row<'_>, index: usize) -> rusqlite::Result<OutcomeKind> {
    Ok(match row.get(index)? {
        0 => OutcomeKind::Answered,
        1 => OutcomeKind::NotSent,
        2 => OutcomeKind::SentNoAnswer,
        3 => OutcomeKind::Refused,
        4 => OutcomeKind::Accepted,
        5 => OutcomeKind::Duplicate,
        6 => OutcomeKind::Greeted,
        other => return Err(rusqlite::Error::IntegralValueOutOfRange(index, other)),
    })
}

/// Everything of an event, for [`detail`].
pub(super) const DETAIL: &str = "SELECT id, source_id, chance, flags, remote, method, target, outcome, reason, agent,
    status, request_bytes, answer_bytes, head_us, total_us, connect_us, app_us, seq, related, name, sender_id,
    signature, signature_text, mount, trailers, headers, answer_headers, request, answer FROM events LEFT JOIN bodies USING (id)";

const SUMMARY: &str = "id, source_id, chance, flags, remote, method, target, outcome, reason, agent, status,
    request_bytes, answer_bytes, head_us, total_us, connect_us, app_us, seq, related, name, sender_id,
    signature, signature_text";

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
        outcome: outcome_kind(row, 7)?,
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
        seq: column::count_or_none(row, 17)?,
        related: row.get::<_, Option<[u8; 16]>>(18)?.map(|id| EventId(u128::from_be_bytes(id))),
        name: row.get(19)?,
        sender_id: row.get(20)?,
        signature: row.get(21)?,
        signature_text: row.get(22)?,
    })
}

fn remote(row: &Row<'_>, index: usize) -> rusqlite::Result<IpAddr> {
    let bytes = row.get_ref(index)?.as_blob()?;
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Ok(v4.into());
    }
    <[u8; 16]>::try_from(bytes).map(IpAddr::from).map_err(|_| unreadable(index, "not an address"))
}

pub(super) fn headers(row: &Row<'_>, index: usize) -> rusqlite::Result<HeaderBlock> {
    HeaderBlock::from_bytes(row.get(index)?).map_err(|_| unreadable(index, "not a header block"))
}

fn body(row: &Row<'_>, index: usize, total_bytes: u64, is_complete: bool) -> rusqlite::Result<Captured> {
    let bytes: Option<Vec<u8>> = row.get(index)?;
    let bytes = Bytes::from(bytes.unwrap_or_default());
    Ok(Captured { bytes, total_bytes, complete: is_complete, is_in_file: false })
}

/// An event of a row of [`DETAIL`].
pub(super) fn detail(row: &Row<'_>) -> rusqlite::Result<EventDetail> {
    let summary = summary(row)?;
    let flags: i64 = row.get(3)?;
    let (is_complete, is_chunked, is_in_file) = body_flags(flags);
    let answer = RecordedAnswer {
        status: summary.status,
        headers: headers(row, 26)?,
        body: body(row, 28, summary.answer_bytes, flags & ANSWER_COMPLETE != 0)?,
    };
    let body = Captured { is_in_file, ..body(row, 27, summary.request_bytes, is_complete)? };
    let trailers = match row.get_ref(24)? {
        ValueRef::Null => HeaderBlock::default(),
        _ => headers(row, 24)?,
    };
    let shape = RequestShape { mount: row.get(23)?, is_chunked, trailers };
    Ok(EventDetail { headers: headers(row, 25)?, shape, body, answer, summary })
}
