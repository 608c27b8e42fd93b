//! Taking an event in for good: event, body, deliveries, dedupe and ledger in one transaction. Whoever is told
//! [`Accepted`] may acknowledge: it is on disk.

use protocol::id::EventId;
use rusqlite::{Connection, OptionalExtension, params};

use super::cache::Change;
use super::deliveries::{self, State};
use super::job::Kind;
use super::record;
use super::{Store, StoreError, column};
use crate::model::{AttemptRecord, DestinationId, EventRecord, Outcome, SourceId};

/// What is to be taken in.
#[derive(Debug)]
pub struct Acceptance {
    /// The event. Its body is whole: in `bytes`, or in its file.
    pub record: Box<EventRecord>,
    /// Where it has to go.
    pub deliveries: Vec<NewDelivery>,
    /// By what a second copy is recognised.
    pub dedupe: Option<DedupeKey>,
}

/// A delivery to be made.
#[derive(Debug)]
pub struct NewDelivery {
    /// Where to.
    pub destination: DestinationId,
    /// Where it stands from the start.
    pub start: Start,
}

/// Where a new delivery stands.
#[derive(Debug)]
pub enum Start {
    /// To be claimed.
    Ready,
    /// To be claimed; an event of old, because a person asked.
    Replay,
    /// Its first attempt is under way since then (unix milliseconds), and will be settled by whoever makes it.
    UnderWay(u64),
    /// Its first attempt is over.
    Tried(Box<AttemptRecord>, super::Next),
}

/// By what a second copy of an event is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DedupeKey {
    /// Part of a hash of the id.
    pub hash: [u8; 16],
    /// For how long, in milliseconds.
    pub window_ms: u64,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// It is on disk.
    Stored {
        /// Its number among the source's accepted events, from 1.
        seq: u64,
    },
    /// It is a copy, recorded as such, and not delivered.
    Duplicate {
        /// The event that came first.
        of: EventId,
    },
}

impl Store {
    /// Takes an event in. Resolves when it is on disk; dropping the future does not take it back.
    ///
    /// # Errors
    /// When it is not on disk, and will not be.
    pub async fn accept(&self, acceptance: Acceptance) -> Result<Accepted, StoreError> {
        let now_ms = self.now_ms();
        let weight = record::weight(&acceptance.record);
        self.write_repeatable(Kind::Accept { weight }, move |conn, changes| {
            let accepted = accept(conn, &acceptance, now_ms)?;
            let those = acceptance.deliveries.iter().map(|delivery| delivery.destination);
            changes.extend(those.map(Change::Arrived));
            Ok(accepted)
        })
        .await
    }

    /// The live event a copy is recognised by, if there was one within its window.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn first_copy(&self, source: SourceId, key: DedupeKey) -> Result<Option<EventId>, StoreError> {
        let now_ms = self.now_ms();
        self.read_own(move |conn| Ok(live_first(conn, source, key, now_ms)?.map(|(first, _)| first))).await
    }

    /// Remembers a live event, answered well, so that a copy is recognised.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn remember(&self, source: SourceId, key: DedupeKey, event: EventId) -> Result<(), StoreError> {
        let now_ms = self.now_ms();
        self.write(move |conn, _| remember(conn, source, key, event.sort_key().cast_signed(), now_ms)).await
    }
}

fn accept(conn: &Connection, acceptance: &Acceptance, now_ms: i64) -> rusqlite::Result<Accepted> {
    let Acceptance { record, deliveries, dedupe } = acceptance;
    let key = record.id.sort_key().cast_signed();
    if let Some(dedupe) = *dedupe {
        if let Some((of, status)) = live_first(conn, record.source, dedupe, now_ms)? {
            let mut copy = EventRecord { body: Default::default(), ..EventRecord::clone(record) };
            (copy.outcome, copy.related, copy.answer.status) = (Outcome::Duplicate, Some(of), status);
            record::insert_one(conn, &copy, None)?;
            return Ok(Accepted::Duplicate { of });
        }
        remember(conn, record.source, dedupe, key, now_ms)?;
    }
    let seq = next_seq(conn, record.source, deliveries.len())?;
    record::insert_one(conn, record, Some(seq))?;
    for (no, delivery) in (1_u32..).zip(deliveries) {
        insert(conn, key, no, record.source, delivery, now_ms)?;
    }
    Ok(Accepted::Stored { seq: seq.cast_unsigned() })
}

/// The number of the next event a source is entrusted with, which makes so many deliveries.
pub(super) fn next_seq(conn: &Connection, source: SourceId, deliveries: usize) -> rusqlite::Result<i64> {
    conn.prepare_cached(
        "INSERT INTO ledgers VALUES (?1, 1, ?2, 0, 0, 0)
         ON CONFLICT DO UPDATE SET accepted = accepted + 1, made = made + excluded.made RETURNING accepted",
    )?
    .query_row(params![source.0, deliveries as i64], |row| row.get(0))
}

pub(super) fn insert(
    conn: &Connection,
    event: i64,
    no: u32,
    source: SourceId,
    delivery: &NewDelivery,
    now_ms: i64,
) -> rusqlite::Result<()> {
    let mut make = conn
        .prepare_cached("INSERT INTO deliveries VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, NULL, NULL)")?;
    let (state, attempts, start_ms, due_ms) = match &delivery.start {
        Start::Ready | Start::Replay => (State::Ready, 0, 0, now_ms),
        Start::UnderWay(started_ms) => {
            (State::Leased, 1, column::number(*started_ms), now_ms + deliveries::LIVE_LEASE_MS)
        }
        Start::Tried(attempt, _) => (State::Leased, 1, column::number(attempt.started_ms), now_ms),
    };
    let is_replay = matches!(delivery.start, Start::Replay);
    let destination = delivery.destination.0;
    make.execute(params![event, no, source.0, destination, is_replay, state, attempts, start_ms, due_ms])?;
    if let Start::Tried(attempt, next) = &delivery.start {
        deliveries::settle(conn, (event, no), 1, Some(attempt), *next, now_ms)?;
    }
    Ok(())
}

/// `events.outcome` of a live event that was answered.
const ANSWERED: i64 = 0;

/// The first copy within its window, unless it came to nothing: then the second takes its place.
fn live_first(
    conn: &Connection,
    source: SourceId,
    dedupe: DedupeKey,
    now_ms: i64,
) -> rusqlite::Result<Option<(EventId, u16)>> {
    let mut find = conn.prepare_cached(
        "SELECT event_id, chance, flags, status, outcome FROM dedupe JOIN events ON id = event_id
         WHERE dedupe.source_id = ?1 AND key = ?2 AND expires_ms > ?3",
    )?;
    let first = find
        .query_row(params![source.0, dedupe.hash, now_ms], |row| {
            let id = record::id_of(column::count(row, 0)?, row.get(1)?, row.get(2)?);
            Ok((id, row.get(3)?, row.get::<_, i64>(4)? == ANSWERED))
        })
        .optional()?;
    let Some((first, status, is_answered)) = first else { return Ok(None) };
    if is_answered {
        // Live: whatever became of it at other destinations. Only what the app took is remembered.
        return Ok(Some((first, status)));
    }
    let mut came_to =
        conn.prepare_cached("SELECT EXISTS (SELECT 1 FROM deliveries WHERE event_id = ?1 AND state <= 3)")?;
    let is_open_or_taken: bool = came_to.query_row([first.sort_key().cast_signed()], |row| row.get(0))?;
    Ok(is_open_or_taken.then_some((first, status)))
}

fn remember(
    conn: &Connection,
    source: SourceId,
    dedupe: DedupeKey,
    event: i64,
    now_ms: i64,
) -> rusqlite::Result<()> {
    let expires_ms = now_ms.saturating_add(column::number(dedupe.window_ms));
    conn.prepare_cached("INSERT OR REPLACE INTO dedupe VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![source.0, dedupe.hash, event, expires_ms])
        .map(drop)
}
