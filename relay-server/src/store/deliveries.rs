//! Stored deliveries: claimed, settled, cancelled, listed.
//!
//! [`Store::advance`] is the dispatcher's one turn: what is over is settled and what comes next is leased in the same
//! transaction, so that not even a power cut can let a later delivery begin while an earlier one is still open on disk.

use std::borrow::Cow;

use protocol::field::HeaderBlock;
use protocol::id::{AgentId, EventId};
use rusqlite::types::{ToSql, ToSqlOutput};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::cache::Change;
use super::job::Kind;
use super::{Store, StoreError, column, record};
use crate::delivery::verdict::AttemptOutcome;
use crate::model::{
    AttemptRecord, Delivery, DeliveryId, DeliveryState, DestinationId, ProjectId, SourceId, Times,
};

/// Lease of a delivery whose first attempt is a live exchange that goes on: longer than an app may take to answer.
pub(super) const LIVE_LEASE_MS: i64 = 180_000;

/// Deliveries cancelled in one step: 10 ms of the writer's time.
pub const CANCEL_STEP: usize = 1_000;

/// Deliveries of one event that are read back with their attempts, and attempts of each: the newest. A person may
/// replay as often as they like, and a destination may be away for days.
const SHOWN_MAX: u32 = 50;
const ATTEMPTS_SHOWN_MAX: u32 = 20;

/// Bytes of an answer's header kept of an attempt: as many as of its body. Whoever owns an app, or a URL, sends as much
/// as a header may have, again and again.
const ANSWER_HEADER_BYTES_MAX: usize = 16 * 1024;

/// Attempts read back of a single delivery.
const ATTEMPTS_OF_ONE_MAX: u32 = 100;

/// Most deliveries made ready in one go when their time has come. The next turn takes more.
const PROMOTED_MAX: i64 = 256;

/// Where a delivery stands among all: by its event, and by its number within that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryKey(i64, u32);

/// `deliveries.state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Ready = 0,
    Leased = 1,
    Timed = 2,
    Delivered = 3,
    Dead = 4,
    Cancelled = 5,
}

impl ToSql for State {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(*self as i64))
    }
}

/// Where a delivery stands after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// To be claimed again, in its old place.
    Ready,
    /// To be claimed again at this time, unix milliseconds.
    RetryAt(u64),
    /// The app took it.
    Delivered,
    /// Never again by itself; why.
    Dead(&'static str),
    /// Ended by a rule; why.
    Cancelled(&'static str),
}

impl Next {
    /// The same as people are told it.
    #[must_use]
    pub const fn state(self) -> DeliveryState {
        match self {
            Self::Ready | Self::RetryAt(_) => DeliveryState::Waiting,
            Self::Delivered => DeliveryState::Delivered,
            Self::Dead(_) => DeliveryState::Dead,
            Self::Cancelled(_) => DeliveryState::Cancelled,
        }
    }
}

/// What became of a leased delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// Which.
    pub delivery: DeliveryId,
    /// Number of the attempt.
    pub attempt: u32,
    /// The attempt; `None`: none was made after all.
    pub record: Option<Box<AttemptRecord>>,
    /// Where it stands now.
    pub next: Next,
}

/// What the dispatcher wants of a destination.
#[derive(Debug, Clone, Copy)]
pub struct Want {
    /// Which.
    pub destination: DestinationId,
    /// Most deliveries.
    pub limit: u32,
    /// Most bytes of bodies to be held in memory.
    pub bytes_max: u64,
    /// How long they are leased, in milliseconds.
    pub lease_ms: u64,
    /// One at a time, and only while none waits for its next attempt.
    pub is_strict: bool,
    /// The source is on hold: only those that a person asked for.
    pub is_on_hold: bool,
}

/// A leased delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leased {
    /// Which.
    pub delivery: DeliveryId,
    /// Where to.
    pub destination: DestinationId,
    /// Number of the attempt to be made, from 1.
    pub attempt: u32,
    /// When the first attempt began, unix milliseconds: this one, if it is the first.
    pub start_ms: u64,
    /// A person asked for it.
    pub is_replay: bool,
    /// Bytes of the event's body that have to be held in memory.
    pub memory_bytes: u64,
}

/// A destination after a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lane {
    /// Which.
    pub destination: DestinationId,
    /// Whether there may be more to claim at once.
    pub has_more: bool,
    /// When the next one becomes due, unix milliseconds.
    pub next_due_ms: Option<u64>,
}

/// What a turn came to.
#[derive(Debug, Default)]
pub struct Advanced {
    /// To be attempted.
    pub leased: Vec<Leased>,
    /// The destinations asked for.
    pub lanes: Vec<Lane>,
}

/// One attempt as it is read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// From 1 within its delivery.
    pub no: u32,
    /// When it began, unix milliseconds.
    pub started_ms: u64,
    /// What happened.
    pub outcome: super::OutcomeKind,
    /// Why, where no answer came.
    pub reason: Option<String>,
    /// A sentence about it.
    pub text: Option<String>,
    /// Which agent it went to.
    pub agent: Option<AgentId>,
    /// Status of the answer.
    pub status: Option<u16>,
    /// The answer.
    pub answer: crate::model::RecordedAnswer,
    /// Where the time went.
    pub times: Times,
    /// It was signed afresh for this attempt.
    pub is_resigned: bool,
}

impl Store {
    /// One turn of the dispatcher, which leases no more bodies than `bytes_max` together. When it resolves, what it says
    /// is on disk.
    ///
    /// # Errors
    /// When nothing of it is; the same settlements may be tried again.
    pub async fn advance(
        &self,
        settlements: std::sync::Arc<Vec<Settlement>>,
        wants: Vec<Want>,
        bytes_max: u64,
    ) -> Result<Advanced, StoreError> {
        let now_ms = self.now_ms();
        self.write_repeatable(Kind::Advance, move |conn, _| {
            for Settlement { delivery, attempt, record, next } in settlements.iter() {
                settle(conn, key_of(*delivery), *attempt, record.as_deref(), *next, now_ms)?;
            }
            let mut advanced = Advanced::default();
            let mut bytes_left = bytes_max;
            for &want in &wants {
                let want = Want { bytes_max: want.bytes_max.min(bytes_left), ..want };
                let bytes = claim(conn, want, now_ms, &mut advanced)?;
                bytes_left = bytes_left.saturating_sub(bytes);
            }
            Ok(advanced)
        })
        .await
    }

    /// Every destination with something open. Asked once, at the start.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn open_destinations(&self) -> Result<Vec<DestinationId>, StoreError> {
        self.read(|conn| {
            let mut next_ready = conn.prepare(
                "SELECT min(destination_id) FROM deliveries INDEXED BY deliveries_ready
                 WHERE state = 0 AND destination_id > ?1",
            )?;
            let mut next_timed = conn.prepare(
                "SELECT min(destination_id) FROM deliveries INDEXED BY deliveries_timed
                 WHERE state IN (1, 2) AND destination_id > ?1",
            )?;
            let mut found = Vec::new();
            let mut last = i64::MIN;
            // Jumps from one to the next: however many deliveries wait, this reads two entries a destination.
            loop {
                let ready: Option<i64> = next_ready.query_row([last], |row| row.get(0))?;
                let timed: Option<i64> = next_timed.query_row([last], |row| row.get(0))?;
                let Some(next) = [ready, timed].into_iter().flatten().min() else { return Ok(found) };
                found.push(DestinationId(next));
                last = next;
            }
        })
        .await
    }

    /// Makes leases of an earlier life of this server run out: their attempts were cut off by its end.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn expire_leases(&self) -> Result<usize, StoreError> {
        self.write(move |conn, _| {
            conn.execute("UPDATE deliveries INDEXED BY deliveries_timed SET due_ms = 0 WHERE state IN (1, 2) AND state = 1", [])
        })
        .await
    }

    /// Makes those of a destination ready that wait for their next attempt because the app did not answer the last: of
    /// the 10,000 that are due first. What an app asked for by its answer stands.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn hasten(&self, destination: DestinationId) -> Result<usize, StoreError> {
        let now_ms = self.now_ms();
        self.write(move |conn, changes| {
            changes.push(Change::Arrived(destination));
            conn.prepare_cached(
                "UPDATE deliveries SET due_ms = ?2 WHERE (event_id, no) IN (
                   SELECT event_id, no FROM deliveries INDEXED BY deliveries_timed
                   WHERE destination_id = ?1 AND state IN (1, 2) AND due_ms > ?2 LIMIT 10000)
                 AND state = 2 AND outcome <> 0",
            )?
            .execute(params![destination.0, now_ms])
        })
        .await
    }

    /// How many deliveries to a destination wait, counted up to `most`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn waiting(&self, destination: DestinationId, most: u32) -> Result<u64, StoreError> {
        self.read(move |conn| {
            conn.prepare_cached(
                "SELECT (SELECT count(*) FROM (SELECT 1 FROM deliveries INDEXED BY deliveries_ready
                           WHERE destination_id = ?1 AND state = 0 LIMIT ?2))
                      + (SELECT count(*) FROM (SELECT 1 FROM deliveries INDEXED BY deliveries_timed
                           WHERE destination_id = ?1 AND state IN (1, 2) LIMIT ?2))",
            )?
            .query_row(params![destination.0, most], |row| column::count(row, 0))
        })
        .await
        .map(|count| count.min(u64::from(most)))
    }

    /// Ends a delivery that waits or is under way. An attempt under way goes on, and is recorded. Says whether it did.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn cancel(&self, delivery: DeliveryId, reason: &'static str) -> Result<bool, StoreError> {
        let now_ms = self.now_ms();
        self.write(move |conn, changes| {
            let destination = cancel(conn, key_of(delivery), reason, now_ms)?;
            // Where order is strict, others may have waited for this one.
            changes.extend(destination.map(Change::Arrived));
            Ok(destination.is_some())
        })
        .await
    }

    /// Has a delivery that waits go next, though its source is on hold. Says whether it waits.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn release(&self, delivery: DeliveryId) -> Result<bool, StoreError> {
        self.write(move |conn, changes| {
            let (event, no) = key_of(delivery);
            let mut release = conn.prepare_cached(
                "UPDATE deliveries SET is_replay = CASE is_replay WHEN 0 THEN 2 ELSE is_replay END, state = 0
                 WHERE event_id = ?1 AND no = ?2 AND state IN (0, 2) RETURNING destination_id",
            )?;
            let destination =
                release.query_row(params![event, no], |row| row.get(0).map(DestinationId)).optional()?;
            changes.extend(destination.map(Change::Arrived));
            Ok(destination.is_some())
        })
        .await
    }

    /// Ends a delivery that waits, and no other, because an edited copy goes in its place. Says whether it did.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn withdraw(&self, delivery: DeliveryId) -> Result<bool, StoreError> {
        self.move_state(delivery, "state IN (0, 2)", State::Cancelled, Some("edited")).await
    }

    /// Has a delivery wait again that was withdrawn.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put_back(&self, delivery: DeliveryId) -> Result<bool, StoreError> {
        self.move_state(delivery, "state = 5 AND reason = 'edited'", State::Ready, None).await
    }

    async fn move_state(
        &self,
        delivery: DeliveryId,
        from: &'static str,
        to: State,
        reason: Option<&'static str>,
    ) -> Result<bool, StoreError> {
        let now_ms = self.now_ms();
        self.write(move |conn, changes| {
            let (event, no) = key_of(delivery);
            let mut change = conn.prepare_cached(&format!(
                "UPDATE deliveries SET state = ?3, due_ms = ?4, reason = ?5
                 WHERE event_id = ?1 AND no = ?2 AND {from} RETURNING destination_id"
            ))?;
            let found =
                change.query_row(params![event, no, to, now_ms, reason], |row| row.get(0).map(DestinationId));
            let destination = found.optional()?;
            changes.extend(destination.map(Change::Arrived));
            Ok(destination.is_some())
        })
        .await
    }

    /// The newest of those that wait for a destination.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn newest_waiting(
        &self,
        destination: DestinationId,
    ) -> Result<Option<DeliveryKey>, StoreError> {
        self.read(move |conn| {
            conn.prepare_cached(
                "SELECT event_id, no FROM (
                   SELECT * FROM (SELECT event_id, no FROM deliveries INDEXED BY deliveries_ready
                     WHERE destination_id = ?1 AND state = 0 ORDER BY event_id DESC, no DESC LIMIT 1)
                   UNION ALL
                   SELECT * FROM (SELECT event_id, no FROM deliveries INDEXED BY deliveries_timed
                     WHERE destination_id = ?1 AND state IN (1, 2) AND state = 2
                     ORDER BY event_id DESC, no DESC LIMIT 1))
                 ORDER BY event_id DESC, no DESC LIMIT 1",
            )?
            .query_row([destination.0], |row| Ok(DeliveryKey(row.get(0)?, row.get(1)?)))
            .optional()
        })
        .await
    }

    /// Ends a step (at most [`CANCEL_STEP`]) of those that wait for a destination, but not `keep` and what is newer.
    /// Says how many; fewer than a step when none are left.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn cancel_waiting(
        &self,
        destination: DestinationId,
        keep: Option<DeliveryKey>,
        reason: &'static str,
    ) -> Result<usize, StoreError> {
        let now_ms = self.now_ms();
        self.write(move |conn, changes| {
            changes.push(Change::Arrived(destination));
            cancel_step(conn, destination, keep, reason, now_ms)
        })
        .await
    }

    /// Ends a step of those that wait for a deleted destination, the ones an earlier life of this server left leased
    /// included: none, once the destination has been made again. Says how many, as [`Store::cancel_waiting`] does.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn cancel_deleted(&self, destination: DestinationId) -> Result<usize, StoreError> {
        let now_ms = self.now_ms();
        self.write(move |conn, _| {
            let is_there: bool = conn
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM destinations d JOIN sources s ON s.id = d.source_id
                     WHERE d.id = ?1 AND d.deleted_ms IS NULL AND s.deleted_ms IS NULL)",
                )?
                .query_row([destination.0], |row| row.get(0))?;
            if is_there {
                return Ok(0);
            }
            promote(conn, destination, now_ms)?;
            cancel_step(conn, destination, None, "destination_deleted", now_ms)
        })
        .await
    }

    /// One delivery.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        self.read(move |conn| {
            let (event, no) = key_of(id);
            let mut one = conn.prepare_cached(&format!("{COLUMNS} WHERE event_id = ?1 AND no = ?2"))?;
            one.query_row(params![event, no], delivery).optional()
        })
        .await
        .map(|found| found.filter(|delivery| delivery.id == id))
    }

    /// The newest 50 deliveries of an event with the newest 20 attempts of each, in the order they were made: without
    /// the headers and bodies of their answers, which [`Store::attempts`] has.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn deliveries_of(&self, event: EventId) -> Result<Vec<(Delivery, Vec<Attempt>)>, StoreError> {
        let key = event.sort_key().cast_signed();
        self.read(move |conn| {
            let newest = format!("{COLUMNS} WHERE event_id = ?1 ORDER BY no DESC LIMIT ?2");
            let mut of_event = conn.prepare_cached(&newest)?;
            let found = of_event
                .query_map(params![key, SHOWN_MAX], delivery)?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            let with_attempts = |delivery: Delivery| {
                let attempts = attempts(conn, (key, delivery.id.no), ATTEMPTS_SHOWN_MAX, Answers::Left)?;
                Ok((delivery, attempts))
            };
            found.into_iter().rev().map(with_attempts).collect()
        })
        .await
    }

    /// The newest 100 attempts of a delivery, in the order they were made.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn attempts(&self, delivery: DeliveryId) -> Result<Vec<Attempt>, StoreError> {
        self.read(move |conn| attempts(conn, key_of(delivery), ATTEMPTS_OF_ONE_MAX, Answers::Read)).await
    }

    /// Whether a delivery belongs to the project.
    #[must_use]
    pub fn is_of_project(&self, delivery: &Delivery, project: ProjectId) -> bool {
        self.owner(delivery.source).is_some_and(|owner| owner.project == project)
    }
}

pub(super) fn key_of(delivery: DeliveryId) -> (i64, u32) {
    (delivery.event.sort_key().cast_signed(), delivery.no)
}

/// Ends an attempt. One that is no longer leased (a person cancelled it, or the lease ran out) keeps its state; the
/// attempt is recorded all the same.
pub(super) fn settle(
    conn: &Connection,
    (event, no): (i64, u32),
    attempt: u32,
    record: Option<&AttemptRecord>,
    next: Next,
    now_ms: i64,
) -> rusqlite::Result<()> {
    let (state, due_ms, mut reason) = match next {
        Next::Ready => (State::Ready, now_ms, None),
        Next::RetryAt(due_ms) => (State::Timed, column::number(due_ms), None),
        Next::Delivered => (State::Delivered, now_ms, None),
        Next::Dead(reason) => (State::Dead, now_ms, Some(reason)),
        Next::Cancelled(reason) => (State::Cancelled, now_ms, Some(reason)),
    };
    let outcome = record.map(|record| outcome_of(record.outcome));
    reason = reason.or(outcome.and_then(|(_, reason)| reason));
    conn.prepare_cached(
        "UPDATE deliveries SET state = ?4, due_ms = ?5, outcome = ifnull(?6, outcome), reason = ?7, attempts = ?8,
           start_ms = iif(?8 = 0, 0, start_ms)
         WHERE event_id = ?1 AND no = ?2 AND state = 1 AND attempts = ?3",
    )?
    .execute(params![
        event,
        no,
        attempt,
        state,
        due_ms,
        outcome.map(|(code, _)| code),
        reason,
        if record.is_some() { attempt } else { attempt.saturating_sub(1) },
    ])?;
    record.map_or(Ok(()), |record| insert_attempt(conn, (event, no), attempt, record))
}

fn outcome_of(outcome: AttemptOutcome) -> (i64, Option<&'static str>) {
    match outcome {
        AttemptOutcome::Answered(_) => (0, None),
        AttemptOutcome::NotSent(reason) => (1, Some(reason)),
        AttemptOutcome::SentNoAnswer(reason) => (2, Some(reason)),
    }
}

fn insert_attempt(
    conn: &Connection,
    (event, no): (i64, u32),
    attempt: u32,
    record: &AttemptRecord,
) -> rusqlite::Result<()> {
    let (outcome, reason) = outcome_of(record.outcome);
    let answer = &record.answer;
    let headers = kept_of(&answer.headers);
    // Of a delivery that was cancelled, and whose event retention has deleted, nothing may be left.
    conn.prepare_cached(
        "INSERT OR IGNORE INTO attempts SELECT ?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17
         WHERE EXISTS (SELECT 1 FROM deliveries WHERE event_id = ?1 AND no = ?2)",
    )?
    .execute(params![
        event,
        no,
        attempt,
        column::number(record.started_ms),
        outcome,
        reason,
        record.text,
        record.agent.map(|agent| agent.0.to_be_bytes()),
        (answer.status != 0).then_some(answer.status),
        column::number(record.times.connect_us),
        column::number(record.times.app_us),
        column::number(record.times.total_us),
        column::number(answer.body.total_bytes),
        answer.body.is_truncated() || headers.len() < answer.headers.len(),
        headers.as_bytes(),
        answer.body.bytes.as_ref(),
        record.is_resigned,
    ])
    .map(drop)
}

/// The first fields of a header, as many as fit into [`ANSWER_HEADER_BYTES_MAX`].
fn kept_of(headers: &HeaderBlock) -> Cow<'_, HeaderBlock> {
    if headers.field_bytes() <= ANSWER_HEADER_BYTES_MAX {
        return Cow::Borrowed(headers);
    }
    let mut kept = HeaderBlock::with_capacity(ANSWER_HEADER_BYTES_MAX);
    let mut bytes = 0;
    let fits = |name: &[u8], value: &[u8]| {
        bytes += name.len() + value.len();
        bytes <= ANSWER_HEADER_BYTES_MAX
    };
    // Less than a block that was one.
    let _ = kept.copy_from(headers, fits);
    Cow::Owned(kept)
}

/// Ends one that is not over, and says whose it was.
fn cancel(
    conn: &Connection,
    (event, no): (i64, u32),
    reason: &'static str,
    now_ms: i64,
) -> rusqlite::Result<Option<DestinationId>> {
    conn.prepare_cached(
        "UPDATE deliveries SET state = 5, due_ms = ?4, reason = ?3
         WHERE event_id = ?1 AND no = ?2 AND state < 3 RETURNING destination_id",
    )?
    .query_row(params![event, no, reason, now_ms], |row| row.get(0).map(DestinationId))
    .optional()
}

fn cancel_step(
    conn: &Connection,
    destination: DestinationId,
    keep: Option<DeliveryKey>,
    reason: &'static str,
    now_ms: i64,
) -> rusqlite::Result<usize> {
    let before = keep.unwrap_or(DeliveryKey(i64::MAX, u32::MAX));
    let mut waiting = conn.prepare_cached(
        "SELECT event_id, no FROM deliveries INDEXED BY deliveries_ready
           WHERE destination_id = ?1 AND state = 0 AND (event_id, no) < (?2, ?3)
         UNION ALL
         SELECT event_id, no FROM deliveries INDEXED BY deliveries_timed
           WHERE destination_id = ?1 AND state IN (1, 2) AND state = 2 AND (event_id, no) < (?2, ?3)
         LIMIT ?4",
    )?;
    let keys = waiting
        .query_map(params![destination.0, before.0, before.1, CANCEL_STEP as i64], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<rusqlite::Result<Vec<(i64, u32)>>>()?;
    for key in &keys {
        cancel(conn, *key, reason, now_ms)?;
    }
    Ok(keys.len())
}

/// Makes ready what is due, and leases what is ready. Says how many bytes of memory that takes.
fn claim(conn: &Connection, want: Want, now_ms: i64, into: &mut Advanced) -> rusqlite::Result<u64> {
    let destination = want.destination;
    let is_promoting_more = promote(conn, destination, now_ms)?;
    let next_due_ms = |conn: &Connection| -> rusqlite::Result<Option<u64>> {
        conn.prepare_cached(
            "SELECT min(due_ms) FROM deliveries INDEXED BY deliveries_timed
             WHERE destination_id = ?1 AND state IN (1, 2)",
        )?
        .query_row([destination.0], |row| column::count_or_none(row, 0))
    };
    let before = next_due_ms(conn)?;
    if want.is_strict && before.is_some() {
        into.lanes.push(Lane { destination, has_more: false, next_due_ms: before });
        return Ok(0);
    }
    let limit = if want.is_strict { want.limit.min(1) } else { want.limit };
    let mut ready = conn.prepare_cached(if want.is_on_hold {
        "SELECT event_id, no, attempts, start_ms, chance, flags, is_replay, request_bytes
         FROM deliveries INDEXED BY deliveries_asked JOIN events ON id = event_id
         WHERE destination_id = ?1 AND state = 0 AND is_replay <> 0 ORDER BY event_id, no LIMIT ?2"
    } else {
        "SELECT event_id, no, attempts, start_ms, chance, flags, is_replay, request_bytes
         FROM deliveries INDEXED BY deliveries_ready JOIN events ON id = event_id
         WHERE destination_id = ?1 AND state = 0 ORDER BY event_id, no LIMIT ?2"
    })?;
    let found = ready
        .query_map(params![destination.0, limit], |row| {
            let event = record::id_of(column::count(row, 0)?, row.get(4)?, row.get(5)?);
            let start_ms = match row.get(3)? {
                0 => now_ms,
                start_ms => start_ms,
            };
            Ok(Leased {
                delivery: DeliveryId { event, no: row.get(1)? },
                destination,
                attempt: row.get::<_, u32>(2)? + 1,
                start_ms: start_ms.cast_unsigned(),
                is_replay: is_replay(row, 6)?,
                memory_bytes: if record::body_flags(row.get(5)?).2 { 0 } else { column::count(row, 7)? },
            })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let is_full_page = found.len() == limit as usize;
    let mut bytes = 0;
    let is_room = |one: &Leased| {
        bytes += one.memory_bytes;
        bytes <= want.bytes_max
    };
    let leased: Vec<Leased> = found.iter().copied().take_while(is_room).collect();
    let is_short_of_room = leased.len() < found.len();
    let mut lease = conn.prepare_cached(
        "UPDATE deliveries SET state = 1, attempts = ?3, start_ms = ?4, due_ms = ?5 WHERE event_id = ?1 AND no = ?2",
    )?;
    let until_ms = now_ms.saturating_add(column::number(want.lease_ms));
    for one in &leased {
        let (event, no) = key_of(one.delivery);
        lease.execute(params![event, no, one.attempt, column::number(one.start_ms), until_ms])?;
    }
    let has_more = is_promoting_more || is_full_page || is_short_of_room;
    let next_due_ms = if leased.is_empty() { before } else { next_due_ms(conn)? };
    into.lanes.push(Lane { destination, has_more, next_due_ms });
    let bytes = leased.iter().map(|one| one.memory_bytes).sum();
    into.leased.extend(leased);
    Ok(bytes)
}

/// Makes ready what waited for its time, and what was leased to somebody who never settled it: that attempt may have
/// reached the app. Says whether there is more of it.
fn promote(conn: &Connection, destination: DestinationId, now_ms: i64) -> rusqlite::Result<bool> {
    let mut due = conn.prepare_cached(
        "SELECT event_id, no, state, attempts FROM deliveries INDEXED BY deliveries_timed
         WHERE destination_id = ?1 AND state IN (1, 2) AND due_ms <= ?2 ORDER BY due_ms LIMIT ?3",
    )?;
    let due = due
        .query_map(params![destination.0, now_ms, PROMOTED_MAX], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?
        .collect::<rusqlite::Result<Vec<(i64, u32, i64, u32)>>>()?;
    let mut ready = conn.prepare_cached("UPDATE deliveries SET state = 0 WHERE event_id = ?1 AND no = ?2")?;
    for (event, no, state, attempt) in &due {
        if *state == State::Leased as i64 {
            let cut_off = AttemptRecord {
                started_ms: now_ms.cast_unsigned(),
                outcome: AttemptOutcome::SentNoAnswer("relay_stopped"),
                text: Some("the relay ended while this attempt was under way".to_owned()),
                agent: None,
                answer: Default::default(),
                times: Times::default(),
                is_resigned: false,
            };
            insert_attempt(conn, (*event, *no), *attempt, &cut_off)?;
        }
        ready.execute(params![event, no])?;
    }
    Ok(due.len() as i64 == PROMOTED_MAX)
}

pub(super) const COLUMNS: &str =
    "SELECT event_id, no, deliveries.source_id, destination_id, state, attempts, due_ms,
    deliveries.reason, chance, flags, is_replay, events.outcome, events.status, method
    FROM deliveries JOIN events ON id = event_id";

pub(super) fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    let event = record::id_of(column::count(row, 0)?, row.get(8)?, row.get(9)?);
    let (state, is_timed) = match row.get(4)? {
        0 => (DeliveryState::Waiting, false),
        1 => (DeliveryState::Leased, false),
        2 => (DeliveryState::Waiting, true),
        3 => (DeliveryState::Delivered, false),
        4 => (DeliveryState::Dead, false),
        5 => (DeliveryState::Cancelled, false),
        other => return Err(rusqlite::Error::IntegralValueOutOfRange(4, other)),
    };
    let time_ms = column::count(row, 6)?;
    let is_over = matches!(state, DeliveryState::Delivered | DeliveryState::Dead | DeliveryState::Cancelled);
    Ok(Delivery {
        id: DeliveryId { event, no: row.get(1)? },
        source: SourceId(row.get(2)?),
        destination: DestinationId(row.get(3)?),
        state,
        attempts: row.get(5)?,
        due_ms: is_timed.then_some(time_ms),
        ended_ms: is_over.then_some(time_ms),
        reason: row.get(7)?,
        is_replay: is_replay(row, 10)?,
    })
}

/// Let go while its source was on hold is no replay.
fn is_replay(row: &Row<'_>, index: usize) -> rusqlite::Result<bool> {
    Ok(row.get::<_, i64>(index)? == 1)
}

/// Whether header and body of the answers are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answers {
    Read,
    Left,
}

/// The newest `most` attempts of a delivery, in the order they were made.
fn attempts(
    conn: &Connection,
    (event, no): (i64, u32),
    most: u32,
    answers: Answers,
) -> rusqlite::Result<Vec<Attempt>> {
    let answer = match answers {
        Answers::Read => "answer_headers, answer",
        Answers::Left => "x'', x''",
    };
    let mut newest = conn.prepare_cached(&format!(
        "SELECT attempt, started_ms, outcome, reason, text, agent, status, connect_us, app_us, total_us,
                answer_bytes, answer_is_cut, is_resigned, {answer}
         FROM attempts WHERE event_id = ?1 AND no = ?2 ORDER BY attempt DESC LIMIT ?3"
    ))?;
    let found = newest.query_map(params![event, no, most], attempt)?.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(found.into_iter().rev().collect())
}

fn attempt(row: &Row<'_>) -> rusqlite::Result<Attempt> {
    use super::OutcomeKind;
    use crate::model::{Captured, RecordedAnswer};
    let status: Option<u16> = row.get(6)?;
    let bytes: Vec<u8> = row.get(14)?;
    Ok(Attempt {
        no: row.get(0)?,
        started_ms: column::count(row, 1)?,
        outcome: match row.get(2)? {
            0 => OutcomeKind::Answered,
            1 => OutcomeKind::NotSent,
            2 => OutcomeKind::SentNoAnswer,
            other => return Err(rusqlite::Error::IntegralValueOutOfRange(2, other)),
        },
        reason: row.get(3)?,
        text: row.get(4)?,
        agent: row.get::<_, Option<[u8; 16]>>(5)?.map(|id| AgentId(u128::from_be_bytes(id))),
        status,
        answer: RecordedAnswer {
            status: status.unwrap_or_default(),
            headers: super::events::headers(row, 13)?,
            body: Captured {
                bytes: bytes.into(),
                total_bytes: column::count(row, 10)?,
                complete: !row.get::<_, bool>(11)?,
                is_in_file: false,
            },
        },
        times: Times {
            head_us: 0,
            connect_us: column::count(row, 7)?,
            app_us: column::count(row, 8)?,
            total_us: column::count(row, 9)?,
        },
        is_resigned: row.get(12)?,
    })
}
