//! How sources stand: sums that are cheap enough to be looked at all day.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Store, StoreError, column, listing};
use crate::model::SourceId;

/// Deliveries counted of each kind and source; beyond it there are more, and that is enough to know.
pub const COUNTED_MAX: u64 = 100_000;

/// Sums of a source. `waiting`, `dead` and `cancelled` are counted up to [`COUNTED_MAX`] of those still stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Events acknowledged ever.
    pub accepted: u64,
    /// Deliveries the app took; `None` where there are too many of the others to count.
    pub delivered: Option<u64>,
    /// Deliveries that used up their schedule or were refused for good.
    pub dead: u64,
    /// Deliveries a person, a filter or a deleted destination ended.
    pub cancelled: u64,
    /// Deliveries still to be made, the ones under way included.
    pub waiting: u64,
    /// When the event of the oldest that waits came, unix milliseconds.
    pub oldest_waiting_ms: Option<u64>,
}

impl Store {
    /// How these sources stand, in their order.
    ///
    /// # Errors
    /// When the store fails, or it takes too long.
    pub async fn standings(&self, sources: Vec<SourceId>) -> Result<Vec<Standing>, StoreError> {
        self.read(move |conn| sources.into_iter().map(|source| standing(conn, source)).collect()).await
    }
}

const DEAD: &str = "SELECT count(*) FROM (SELECT 1 FROM deliveries INDEXED BY deliveries_dead
    WHERE source_id = ?1 AND state = 4 LIMIT ?2)";
const CANCELLED: &str = "SELECT count(*) FROM (SELECT 1 FROM deliveries INDEXED BY deliveries_cancelled
    WHERE source_id = ?1 AND state = 5 LIMIT ?2)";
const WAITING: &str = "SELECT ifnull(sum(
      (SELECT count(*) FROM (SELECT 1 FROM deliveries INDEXED BY deliveries_ready
         WHERE destination_id = destinations.id AND state = 0 LIMIT ?2))
    + (SELECT count(*) FROM (SELECT 1 FROM deliveries INDEXED BY deliveries_timed
         WHERE destination_id = destinations.id AND state IN (1, 2) LIMIT ?2))), 0)
    FROM destinations WHERE source_id = ?1";

fn standing(conn: &Connection, source: SourceId) -> rusqlite::Result<Standing> {
    let mut kept = conn.prepare_cached(
        "SELECT accepted, made, delivered, dead, cancelled FROM ledgers WHERE source_id = ?1",
    )?;
    let kept = kept.query_row([source.0], |row| {
        let at = |index| column::count(row, index);
        Ok([at(0)?, at(1)?, at(2)?, at(3)?, at(4)?])
    });
    let Some([accepted, made, delivered, dead, cancelled]) = kept.optional()? else {
        return Ok(Standing { delivered: Some(0), ..Standing::default() });
    };
    let count = |sql: &str| {
        conn.prepare_cached(sql)?
            .query_row(params![source.0, COUNTED_MAX as i64], |row| column::count(row, 0))
    };
    let (stored_dead, stored_cancelled, waiting) = (count(DEAD)?, count(CANCELLED)?, count(WAITING)?);
    let is_counted = [stored_dead, stored_cancelled, waiting].iter().all(|count| *count < COUNTED_MAX);
    let open_or_lost = delivered + dead + cancelled + waiting + stored_dead + stored_cancelled;
    let stored_delivered = made.saturating_sub(open_or_lost);
    let oldest = if waiting == 0 { Vec::new() } else { listing::oldest_waiting(conn, source, 1)? };
    Ok(Standing {
        accepted,
        delivered: is_counted.then_some(delivered + stored_delivered),
        dead: dead + stored_dead,
        cancelled: cancelled + stored_cancelled,
        waiting,
        oldest_waiting_ms: oldest.first().map(|delivery| delivery.id.event.unix_ms()),
    })
}
