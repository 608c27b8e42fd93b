//! What one source was entrusted with, and what became of it: the audit's sums, for whoever asks.

use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;

use super::{Store, StoreError, column};
use crate::model::SourceId;

/// Counts of one source, all of one moment. `accepted` is `stored` and `forgotten`; `deliveries` are `delivered`,
/// `dead`, `cancelled` and `waiting`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Ledger {
    /// Events acknowledged ever.
    pub accepted: u64,
    /// Of those, still in the store.
    pub stored: u64,
    /// Of those, deleted by retention after all their deliveries had ended.
    pub forgotten: u64,
    /// Deliveries made ever.
    pub deliveries: u64,
    /// Deliveries the app took.
    pub delivered: u64,
    /// Deliveries that used up their schedule or were refused for good.
    pub dead: u64,
    /// Deliveries a person, a filter or a deleted destination ended.
    pub cancelled: u64,
    /// Deliveries still to be made, the ones under way included.
    pub waiting: u64,
}

impl Store {
    /// The sums of a source; all zero for one that never accepted anything. Counts what it holds and what waits.
    ///
    /// # Errors
    /// When the store fails, or there is so much that it takes too long.
    pub async fn ledger(&self, source: SourceId) -> Result<Ledger, StoreError> {
        self.read(move |conn| ledger(conn, source)).await
    }
}

/// Each out of an index that holds nothing else. What was delivered is the rest: to count that as well would be to read
/// everybody's deliveries, which is the audit's to do.
const DEAD: &str =
    "SELECT count(*) FROM deliveries INDEXED BY deliveries_dead WHERE source_id = ?1 AND state = 4";
const CANCELLED: &str =
    "SELECT count(*) FROM deliveries INDEXED BY deliveries_cancelled WHERE source_id = ?1 AND state = 5";
const WAITING: &str = "SELECT ifnull(sum(
      (SELECT count(*) FROM deliveries INDEXED BY deliveries_ready
         WHERE destination_id = destinations.id AND state = 0)
    + (SELECT count(*) FROM deliveries INDEXED BY deliveries_timed
         WHERE destination_id = destinations.id AND state IN (1, 2))), 0)
    FROM destinations WHERE source_id = ?1";

fn ledger(conn: &Connection, source: SourceId) -> rusqlite::Result<Ledger> {
    let tx = conn.unchecked_transaction()?;
    let kept = tx.query_row(
        "SELECT accepted, made, delivered, dead, cancelled FROM ledgers WHERE source_id = ?1",
        [source.0],
        |row| {
            Ok(Ledger {
                accepted: column::count(row, 0)?,
                deliveries: column::count(row, 1)?,
                delivered: column::count(row, 2)?,
                dead: column::count(row, 3)?,
                cancelled: column::count(row, 4)?,
                ..Ledger::default()
            })
        },
    );
    let Some(mut ledger) = kept.optional()? else { return Ok(Ledger::default()) };
    let stored = "SELECT count(seq) FROM events INDEXED BY events_by_source WHERE source_id = ?1";
    ledger.stored = tx.query_row(stored, [source.0], |row| column::count(row, 0))?;
    let forgotten = "SELECT ifnull(sum(last_seq - first_seq + 1), 0) FROM forgotten WHERE source_id = ?1";
    ledger.forgotten = tx.query_row(forgotten, [source.0], |row| column::count(row, 0))?;
    let count = |sql| tx.query_row(sql, [source.0], |row| column::count(row, 0));
    let (dead, cancelled) = (count(DEAD)?, count(CANCELLED)?);
    ledger.waiting = count(WAITING)?;
    let forgotten = ledger.delivered + ledger.dead + ledger.cancelled;
    let over = ledger.deliveries.saturating_sub(forgotten).saturating_sub(ledger.waiting);
    ledger.delivered += over.saturating_sub(dead + cancelled);
    ledger.dead += dead;
    ledger.cancelled += cancelled;
    Ok(ledger)
}
