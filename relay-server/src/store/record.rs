//! Writing events down. What this costs is part of every request: two inserts, one index, nothing looked up.

use std::net::IpAddr;

use protocol::id::EventId;
use rusqlite::{Connection, ErrorCode, params};

use super::column::number;
use crate::model::{EventRecord, Outcome};

/// Bits of `events.flags`.
pub(super) const REQUEST_COMPLETE: i64 = 1;
pub(super) const ANSWER_COMPLETE: i64 = 2;
const CHANCE_BIT_64: i64 = 4;

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

/// `events.outcome` and `events.reason`.
fn outcome(outcome: &Outcome) -> (i64, Option<&'static str>) {
    match *outcome {
        Outcome::Answered => (0, None),
        Outcome::NotSent(reason) => (1, Some(reason)),
        Outcome::SentNoAnswer(reason) => (2, Some(reason)),
        Outcome::Refused(reason) => (3, Some(reason)),
    }
}

/// Inserts the records, and says how many. One whose id is taken is left out: only a second process that records into
/// the same database could have done that, and the others must not suffer for it.
///
/// # Errors
/// When the database refuses for any other reason.
pub(super) fn insert(conn: &Connection, records: &[Box<EventRecord>]) -> rusqlite::Result<usize> {
    if records.is_empty() {
        return Ok(0);
    }
    let mut event = conn.prepare_cached(
        "INSERT INTO events VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19)",
    )?;
    let mut bodies = conn.prepare_cached("INSERT INTO bodies VALUES (?1,?2,?3)")?;
    let mut inserted = 0;
    for record in records {
        let id = record.id.sort_key().cast_signed();
        let (chance, mut flags) = chance_of(record.id);
        flags |= if record.body.complete { REQUEST_COMPLETE } else { 0 };
        flags |= if record.answer.body.complete { ANSWER_COMPLETE } else { 0 };
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
        let done = event.execute(params![
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
        ]);
        match done {
            Ok(_) => inserted += 1,
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => continue,
            Err(error) => return Err(error),
        }
        if !record.body.bytes.is_empty() || !answer.body.bytes.is_empty() {
            bodies.execute(params![id, record.body.bytes.as_ref(), answer.body.bytes.as_ref()])?;
        }
    }
    Ok(inserted)
}
