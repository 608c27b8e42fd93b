//! New deliveries of old events, because a person asked.

use protocol::id::EventId;
use rusqlite::{Connection, OptionalExtension, params};

use super::accept::{self, NewDelivery, Start};
use super::cache::Change;
use super::{Store, StoreError, column, record};
use crate::model::{DeliveryId, DestinationId, SourceId};

/// Most events replayed in one transaction.
pub const REPLAY_STEP: usize = 500;

/// What became of a wish to replay an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replayed {
    /// It will be delivered.
    Made(DeliveryId),
    /// Its body was not kept whole: delivering it would be delivering something else.
    Truncated(EventId),
    /// There is no such event any more.
    Gone(EventId),
    /// The destination is deleted, or its source is.
    NoDestination(EventId),
}

impl Store {
    /// Makes a delivery of each of these events to a destination, at most [`REPLAY_STEP`] in one go.
    ///
    /// # Errors
    /// When the store fails; none was made then.
    pub async fn replay(&self, wishes: Vec<(EventId, DestinationId)>) -> Result<Vec<Replayed>, StoreError> {
        let now_ms = self.now_ms();
        self.write(move |conn, changes| {
            changes.extend(wishes.iter().map(|(_, destination)| Change::Arrived(*destination)));
            wishes.iter().map(|(event, destination)| replay(conn, *event, *destination, now_ms)).collect()
        })
        .await
    }
}

fn replay(
    conn: &Connection,
    event: EventId,
    destination: DestinationId,
    now_ms: i64,
) -> rusqlite::Result<Replayed> {
    let key = event.sort_key().cast_signed();
    let mut find = conn.prepare_cached(
        "SELECT source_id, flags, request_bytes, ifnull(length(request), 0),
                (SELECT ifnull(max(no), 0) FROM deliveries WHERE event_id = ?1)
         FROM events LEFT JOIN bodies USING (id) WHERE id = ?1",
    )?;
    let found = find
        .query_row([key], |row| {
            let (is_complete, _, is_in_file) = record::body_flags(row.get(1)?);
            let is_whole = is_complete && (is_in_file || column::count(row, 2)? == column::count(row, 3)?);
            Ok((SourceId(row.get(0)?), is_whole, row.get::<_, u32>(4)?))
        })
        .optional()?;
    let Some((source, is_whole, last)) = found else { return Ok(Replayed::Gone(event)) };
    if !is_whole {
        return Ok(Replayed::Truncated(event));
    }
    let mut is_there = conn.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM destinations JOIN sources ON sources.id = source_id WHERE destinations.id = ?1
           AND source_id = ?2 AND destinations.deleted_ms IS NULL AND sources.deleted_ms IS NULL)",
    )?;
    // A delivery to nowhere would wait for ever.
    if !is_there.query_row(params![destination.0, source.0], |row| row.get(0))? {
        return Ok(Replayed::NoDestination(event));
    }
    conn.prepare_cached(
        "INSERT INTO ledgers VALUES (?1, 0, 1, 0, 0, 0) ON CONFLICT DO UPDATE SET made = made + 1",
    )?
    .execute(params![source.0])?;
    let no = last + 1;
    accept::insert(conn, key, no, source, &NewDelivery { destination, start: Start::Replay }, now_ms)?;
    Ok(Replayed::Made(DeliveryId { event, no }))
}
