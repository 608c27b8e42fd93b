//! What people noted about events, and what a list says beside each: pinned, its note, what became of its deliveries.

use std::collections::HashMap;

use protocol::id::EventId;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Store, StoreError, column};
use crate::model::{DeliveryState, ProjectId};

/// Most pinned events of a project, and most bytes of their bodies: retention passes over each of them at every round, and
/// deletes others in their place where it goes by size.
pub const PINNED_MAX: u32 = 1_000;
const PINNED_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What stands beside an event in a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beside {
    /// Kept, whatever its age.
    pub is_pinned: bool,
    /// What its owner noted.
    pub note: Option<String>,
    /// What became of its deliveries: the one that asks for most attention. `None`: it has none.
    pub late: Option<DeliveryState>,
}

/// What is to change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MarkChange {
    /// Whether it is kept.
    pub is_pinned: Option<bool>,
    /// `Some(None)` takes the note away.
    pub note: Option<Option<String>>,
}

/// What became of a wish to mark an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marked {
    /// It is as it was wished.
    Done,
    /// As many are pinned as may be.
    TooManyPinned,
}

impl Store {
    /// What stands beside these events.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn beside(&self, events: Vec<EventId>) -> Result<HashMap<EventId, Beside>, StoreError> {
        self.read(move |conn| events.into_iter().map(|event| Ok((event, beside(conn, event)?))).collect())
            .await
    }

    /// Pins, unpins, notes.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn mark(
        &self,
        project: ProjectId,
        event: EventId,
        change: MarkChange,
    ) -> Result<Marked, StoreError> {
        self.write(move |conn, _| mark(conn, project, event, &change)).await
    }
}

fn beside(conn: &Connection, event: EventId) -> rusqlite::Result<Beside> {
    let key = event.sort_key().cast_signed();
    let (is_pinned, note) = mark_of(conn, key)?;
    let late = worst(&states(conn, key)?);
    Ok(Beside { is_pinned, note, late })
}

pub(super) fn mark_of(conn: &Connection, key: i64) -> rusqlite::Result<(bool, Option<String>)> {
    let mut find = conn.prepare_cached("SELECT is_pinned, note FROM marks WHERE event_id = ?1")?;
    let found = find.query_row([key], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(found.unwrap_or_default())
}

/// States of an event's newest deliveries, each once or more.
pub(super) fn states(conn: &Connection, key: i64) -> rusqlite::Result<Vec<DeliveryState>> {
    conn.prepare_cached("SELECT state FROM deliveries WHERE event_id = ?1 ORDER BY no DESC LIMIT 50")?
        .query_map([key], |row| {
            Ok(match row.get(0)? {
                0 | 2 => DeliveryState::Waiting,
                1 => DeliveryState::Leased,
                3 => DeliveryState::Delivered,
                4 => DeliveryState::Dead,
                5 => DeliveryState::Cancelled,
                other => return Err(rusqlite::Error::IntegralValueOutOfRange(0, other)),
            })
        })?
        .collect()
}

fn worst(states: &[DeliveryState]) -> Option<DeliveryState> {
    use DeliveryState::{Cancelled, Dead, Delivered, Leased, Waiting};
    [Dead, Waiting, Leased, Delivered, Cancelled].into_iter().find(|state| states.contains(state))
}

fn mark(
    conn: &Connection,
    project: ProjectId,
    event: EventId,
    change: &MarkChange,
) -> rusqlite::Result<Marked> {
    let key = event.sort_key().cast_signed();
    let (was_pinned, was_note) = mark_of(conn, key)?;
    let is_pinned = change.is_pinned.unwrap_or(was_pinned);
    let note = change.note.clone().unwrap_or(was_note);
    if is_pinned && !was_pinned {
        let (pinned, bytes): (u32, u64) = conn.query_row(
            "SELECT count(*), ifnull(sum(request_bytes), 0) FROM events JOIN sources ON sources.id = source_id
             WHERE project_id = ?1 AND (events.id = ?2 OR events.id IN (SELECT event_id FROM marks WHERE is_pinned))",
            params![project.0, key],
            |row| Ok((row.get(0)?, column::count(row, 1)?)),
        )?;
        if pinned > PINNED_MAX || bytes > PINNED_BYTES_MAX {
            return Ok(Marked::TooManyPinned);
        }
    }
    if is_pinned || note.is_some() {
        conn.prepare_cached("INSERT OR REPLACE INTO marks SELECT id, ?2, ?3 FROM events WHERE id = ?1")?
            .execute(params![key, is_pinned, note])?;
    } else {
        conn.prepare_cached("DELETE FROM marks WHERE event_id = ?1")?.execute([key])?;
    }
    Ok(Marked::Done)
}
