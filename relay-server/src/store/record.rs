//! Writing events down. What this costs is part of every request: two inserts, one index, nothing looked up.
//!
//! An event is recorded when it is over, or accepted before anybody is told so ([`super::accept`]); of an accepted one
//! that was live, the record adds what came later.

use std::net::IpAddr;

use protocol::id::EventId;
use rusqlite::{Connection, ErrorCode, params};

use super::column::number;
use crate::model::{EventRecord, Outcome};

/// Bits of `events.flags`.
const REQUEST_COMPLETE: i64 = 1;
pub(super) const ANSWER_COMPLETE: i64 = 2;
const CHANCE_BIT_64: i64 = 4;
const REQUEST_CHUNKED: i64 = 8;
const REQUEST_IN_FILE: i64 = 16;

/// The id's 65 bits of chance as the table keeps them: the low 64, and one among the flags.
#[expect(clippy::cast_possible_truncation, reason = "the low half is what is wanted")]
const fn chance_of(id: EventId) -> (i64, i64) {
    let high = if (id.0 >> 64) & 1 == 1 { CHANCE_BIT_64 } else { 0 };
    ((id.0 as u64).cast_signed(), high)
}

/// The id whose parts these are; undoes [`chance_of`].
pub(super) fn id_of(key: u64, chance: i64, flags: i64) -> EventId {
    let high = u128::from(flags & CHANCE_BIT_64 != 0) << 64;
    EventId::from_parts(key, high | u128::from(chance.cast_unsigned()))
}

/// What the flags say of a request's body: complete, chunked, in a file.
pub(super) const fn body_flags(flags: i64) -> (bool, bool, bool) {
    (flags & REQUEST_COMPLETE != 0, flags & REQUEST_CHUNKED != 0, flags & REQUEST_IN_FILE != 0)
}

/// What a record costs while it waits, in bytes.
pub(super) fn weight(record: &EventRecord) -> usize {
    let headers = record.headers.as_bytes().len() + record.answer.headers.as_bytes().len();
    let bodies = record.body.bytes.len() + record.answer.body.bytes.len();
    size_of::<EventRecord>() + record.method.len() + record.target.len() + headers + bodies
}

/// `events.outcome` and `events.reason`.
fn outcome(outcome: &Outcome) -> (i64, Option<&'static str>) {
    match *outcome {
        Outcome::Answered => (0, None),
        Outcome::NotSent(reason) => (1, Some(reason)),
        Outcome::SentNoAnswer(reason) => (2, Some(reason)),
        Outcome::Refused(reason) => (3, Some(reason)),
        Outcome::Accepted(reason) => (4, Some(reason)),
        Outcome::Duplicate => (5, None),
        Outcome::Greeted(kind) => (6, Some(kind)),
    }
}

/// Writes the records down, and says how many. One whose id is taken is left out: only a second process that records
/// into the same database could have done that, and the others must not suffer for it.
///
/// # Errors
/// When the database refuses for any other reason.
pub(super) fn insert(conn: &Connection, records: &[Box<EventRecord>]) -> rusqlite::Result<usize> {
    let mut written = 0;
    for record in records {
        let done = if record.is_accepted { complete(conn, record) } else { insert_one(conn, record, None) };
        match done {
            Ok(()) => written += 1,
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}

/// Inserts one event; `seq` where it is accepted.
///
/// # Errors
/// When the database refuses, also because the id is taken.
pub(super) fn insert_one(conn: &Connection, record: &EventRecord, seq: Option<i64>) -> rusqlite::Result<()> {
    let mut event = conn.prepare_cached(
        "INSERT INTO events VALUES
         (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21,?22,?23,?24,?25,?26,?27)",
    )?;
    let id = record.id.sort_key().cast_signed();
    let (chance, mut flags) = chance_of(record.id);
    flags |= if record.body.complete { REQUEST_COMPLETE } else { 0 };
    flags |= if record.answer.body.complete { ANSWER_COMPLETE } else { 0 };
    flags |= if record.shape.is_chunked { REQUEST_CHUNKED } else { 0 };
    flags |= if record.body.is_in_file { REQUEST_IN_FILE } else { 0 };
    let (outcome, reason) = outcome(&record.outcome);
    let (v4, v6);
    let remote: &[u8] = match record.remote {
        IpAddr::V4(ip) => {
            v4 = ip.octets();
            &v4
        }
        IpAddr::V6(ip) => {
            v6 = ip.octets();
            &v6
        }
    };
    let agent = record.agent.map(|agent| agent.0.to_be_bytes());
    let answer = &record.answer;
    let trailers = &record.shape.trailers;
    event.execute(params![
        id,
        record.source.0,
        chance,
        flags,
        remote,
        record.method,
        record.target,
        outcome,
        reason,
        agent,
        answer.status,
        number(record.body.total_bytes),
        number(answer.body.total_bytes),
        number(record.times.head_us),
        number(record.times.total_us),
        number(record.times.connect_us),
        number(record.times.app_us),
        record.headers.as_bytes(),
        answer.headers.as_bytes(),
        seq,
        record.shape.mount,
        (!trailers.is_empty()).then(|| trailers.as_bytes()),
        record.related.map(|related| related.0.to_be_bytes()),
        record.known.name,
        record.known.sender_id,
        record.known.signature.code(),
        record.known.signature.text(),
    ])?;
    if !record.body.bytes.is_empty() || !answer.body.bytes.is_empty() {
        insert_bodies(conn, id, record.body.bytes.as_ref(), answer.body.bytes.as_ref())?;
    }
    Ok(())
}

fn insert_bodies(conn: &Connection, id: i64, request: &[u8], answer: &[u8]) -> rusqlite::Result<()> {
    conn.prepare_cached("INSERT INTO bodies VALUES (?1,?2,?3)")?
        .execute(params![id, request, answer])
        .map(drop)
}

/// Adds to an accepted event how its live exchange ended.
fn complete(conn: &Connection, record: &EventRecord) -> rusqlite::Result<()> {
    let id = record.id.sort_key().cast_signed();
    let answer = &record.answer;
    let is_there = conn
        .prepare_cached(
            "UPDATE events SET flags = flags | ?2, answer_bytes = ?3, total_us = ?4 WHERE id = ?1",
        )?
        .execute(params![
            id,
            if answer.body.complete { ANSWER_COMPLETE } else { 0 },
            number(answer.body.total_bytes),
            number(record.times.total_us),
        ])?;
    // Retention may have been faster than the exchange: nothing may be left of an event that went.
    if is_there == 0 || answer.body.bytes.is_empty() {
        return Ok(());
    }
    let updated = conn
        .prepare_cached("UPDATE bodies SET answer = ?2 WHERE id = ?1")?
        .execute(params![id, answer.body.bytes.as_ref()])?;
    if updated == 0 { insert_bodies(conn, id, b"", answer.body.bytes.as_ref()) } else { Ok(()) }
}
