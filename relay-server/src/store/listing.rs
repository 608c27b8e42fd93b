//! Deliveries as lists: by source, destination, state and what their event was, newest event first.
//!
//! Each state is found by an index of its own; delivered and cancelled ones through the events of their source. A look
//! that filters has an end: what it did not come to is left to the next page.

use std::collections::BTreeMap;

use protocol::id::EventId;
use rusqlite::{Connection, OptionalExtension, params};

use super::deliveries::{COLUMNS, delivery, key_of};
use super::events::{SCAN_MAX, SCAN_MIN, is_meant};
use super::{Only, Store, StoreError};
use crate::model::{Delivery, DeliveryId, DeliveryState, DestinationId, SourceId};

/// Most deliveries of one page.
pub const DELIVERIES_MAX: usize = 200;

/// Which deliveries are meant.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// Only of these sources.
    pub sources: Vec<SourceId>,
    /// Only to this destination.
    pub destination: Option<DestinationId>,
    /// Only in this state; `None` takes those that wait, are leased or dead.
    pub state: Option<DeliveryState>,
    /// What their event has to be.
    pub only: Only,
    /// Only older ones than this; number 0 of an event stands before all of that event's.
    pub before: Option<DeliveryId>,
    /// At most so many; cut to [`DELIVERIES_MAX`].
    pub limit: usize,
}

/// A page of deliveries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryPage {
    /// Newest event first; of one event, the newest delivery first.
    pub deliveries: Vec<Delivery>,
    /// Where the next page begins (its `before`); `None` when there is none.
    pub next: Option<DeliveryId>,
}

impl Store {
    /// A page of deliveries. One that filters may be short, or empty, and still have a next page.
    ///
    /// # Errors
    /// When the store fails, or the question takes too long.
    pub async fn deliveries(&self, filter: DeliveryFilter) -> Result<DeliveryPage, StoreError> {
        self.read(move |conn| page(conn, &filter)).await
    }
}

impl Store {
    /// Those that wait for the destinations of a source, oldest event first.
    ///
    /// # Errors
    /// When the store fails, or the question takes too long.
    pub async fn oldest_waiting(&self, source: SourceId, limit: usize) -> Result<Vec<Delivery>, StoreError> {
        let limit = limit.min(DELIVERIES_MAX);
        self.read(move |conn| oldest_waiting(conn, source, limit)).await
    }
}

pub(super) fn oldest_waiting(
    conn: &Connection,
    source: SourceId,
    limit: usize,
) -> rusqlite::Result<Vec<Delivery>> {
    let mut of_source = conn.prepare_cached("SELECT id FROM destinations WHERE source_id = ?1")?;
    let destinations: Vec<i64> =
        of_source.query_map([source.0], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let mut keys: Vec<Key> = Vec::new();
    for destination in destinations {
        for part in [OLDEST_READY, OLDEST_TIMED] {
            let mut oldest = conn.prepare_cached(part)?;
            let found =
                oldest.query_map(params![destination, limit as i64], |row| Ok((row.get(0)?, row.get(1)?)))?;
            keys.extend(found.collect::<rusqlite::Result<Vec<_>>>()?);
        }
    }
    keys.sort_unstable();
    keys.truncate(limit);
    let mut one = conn.prepare_cached(&format!("{COLUMNS} WHERE event_id = ?1 AND no = ?2"))?;
    keys.iter()
        .filter_map(|(event, no)| one.query_row(params![event, no], delivery).optional().transpose())
        .collect()
}

const OLDEST_READY: &str = "SELECT event_id, no FROM deliveries INDEXED BY deliveries_ready
    WHERE destination_id = ?1 AND state = 0 ORDER BY event_id, no LIMIT ?2";
const OLDEST_TIMED: &str = "SELECT event_id, no FROM deliveries INDEXED BY deliveries_timed
    WHERE destination_id = ?1 AND state IN (1, 2) AND state = 2 ORDER BY event_id, no LIMIT ?2";

type Key = (i64, u32);

const FIRST: Key = (0, 0);

/// Waiting deliveries that are ready, those that wait for their time, those under way, and dead ones. Parameters:
/// destination (of dead ones: source), and from there on the two keys between which they stand, and how many.
const READY: &str = "SELECT event_id, no FROM deliveries INDEXED BY deliveries_ready
    WHERE destination_id = ?1 AND state = 0 AND (event_id, no) > (?2, ?3) AND (event_id, no) < (?4, ?5)
    ORDER BY event_id DESC, no DESC LIMIT ?6";
const TIMED: &str = "SELECT event_id, no FROM deliveries INDEXED BY deliveries_timed
    WHERE destination_id = ?1 AND state IN (1, 2) AND state = 2
      AND (event_id, no) > (?2, ?3) AND (event_id, no) < (?4, ?5)
    ORDER BY event_id DESC, no DESC LIMIT ?6";
const LEASED: &str = "SELECT event_id, no FROM deliveries INDEXED BY deliveries_timed
    WHERE destination_id = ?1 AND state IN (1, 2) AND state = 1
      AND (event_id, no) > (?2, ?3) AND (event_id, no) < (?4, ?5)
    ORDER BY event_id DESC, no DESC LIMIT ?6";
const DEAD: &str = "SELECT event_id, no FROM deliveries INDEXED BY deliveries_dead
    WHERE source_id = ?1 AND state = 4 AND (event_id, no) > (?2, ?3) AND (event_id, no) < (?4, ?5)
    ORDER BY event_id DESC, no DESC LIMIT ?6";

fn page(conn: &Connection, filter: &DeliveryFilter) -> rusqlite::Result<DeliveryPage> {
    use DeliveryState::{Cancelled, Dead, Delivered, Leased, Waiting};
    let limit = filter.limit.clamp(1, DELIVERIES_MAX);
    let (since, until) = filter.only.keys();
    let before = filter.before.map_or((until, 0), |before| key_of(before).min((until, 0)));
    // The newest delivery of the newest event that is too old.
    let since = (since, u32::MAX);
    let scan = (SCAN_MAX / filter.sources.len().max(1)).max(SCAN_MIN).max(limit);
    let mut look =
        Look { conn, filter, limit, before, since, scan, found: BTreeMap::new(), looked_back_to: None };
    for source in &filter.sources {
        match filter.state {
            None => {
                look.by_destination(*source, &[READY, TIMED, LEASED])?;
                look.by_index(DEAD, source.0)?;
            }
            Some(Waiting) => look.by_destination(*source, &[READY, TIMED])?,
            Some(Leased) => look.by_destination(*source, &[LEASED])?,
            Some(Dead) => look.by_index(DEAD, source.0)?,
            Some(Delivered) => look.by_event(*source, 3)?,
            Some(Cancelled) => look.by_event(*source, 5)?,
        }
    }
    Ok(look.page())
}

struct Look<'a> {
    conn: &'a Connection,
    filter: &'a DeliveryFilter,
    limit: usize,
    before: Key,
    since: Key,
    /// How many to look at in each place.
    scan: usize,
    found: BTreeMap<Key, Delivery>,
    /// Where a look had enough; older ones were not looked at.
    looked_back_to: Option<Key>,
}

impl Look<'_> {
    /// The key past which nothing can come into the page any more.
    fn floor(&self) -> Key {
        match self.found.first_key_value() {
            Some((oldest, _)) if self.found.len() == self.limit => (*oldest).max(self.since),
            _ => self.since,
        }
    }

    fn by_destination(&mut self, source: SourceId, parts: &[&str]) -> rusqlite::Result<()> {
        let destinations = match self.filter.destination {
            Some(destination) => vec![destination.0],
            None => {
                let mut of_source =
                    self.conn.prepare_cached("SELECT id FROM destinations WHERE source_id = ?1")?;
                of_source.query_map([source.0], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?
            }
        };
        for destination in destinations {
            for part in parts {
                self.by_index(part, destination)?;
            }
        }
        Ok(())
    }

    fn by_index(&mut self, part: &str, of: i64) -> rusqlite::Result<()> {
        let (floor, before) = (self.floor(), self.before);
        let mut keys = self.conn.prepare_cached(part)?;
        let mut rows = keys.query(params![of, floor.0, floor.1, before.0, before.1, self.scan as i64])?;
        let (mut looked, mut last) = (0, FIRST);
        while let Some(row) = rows.next()? {
            (looked, last) = (looked + 1, (row.get(0)?, row.get(1)?));
            if !self.see(last)? {
                return Ok(());
            }
        }
        if looked == self.scan {
            self.looked_back_to = self.looked_back_to.max(Some(last));
        }
        Ok(())
    }

    fn by_event(&mut self, source: SourceId, state: i64) -> rusqlite::Result<()> {
        let (floor, before) = (self.floor(), self.before);
        let mut events = self.conn.prepare_cached(
            "SELECT id FROM events INDEXED BY events_by_source
             WHERE source_id = ?1 AND id >= ?2 AND id <= ?3 ORDER BY id DESC LIMIT ?4",
        )?;
        let mut of_event = self.conn.prepare_cached(
            "SELECT no FROM deliveries WHERE event_id = ?1 AND state = ?2 AND (event_id, no) < (?3, ?4) ORDER BY no DESC",
        )?;
        let mut rows = events.query(params![source.0, floor.0, before.0, self.scan as i64])?;
        let (mut looked, mut last) = (0, 0);
        while let Some(row) = rows.next()? {
            (looked, last) = (looked + 1, row.get(0)?);
            let mut numbers = of_event.query(params![last, state, before.0, before.1])?;
            while let Some(row) = numbers.next()? {
                let key = (last, row.get(0)?);
                if key > floor && !self.see(key)? {
                    return Ok(());
                }
            }
        }
        if looked == self.scan {
            self.looked_back_to = self.looked_back_to.max(Some((last, 0)));
        }
        Ok(())
    }

    /// Takes a delivery into the page if it is meant. False when those that follow in its place are older than all of
    /// a page that is full.
    fn see(&mut self, key: Key) -> rusqlite::Result<bool> {
        let only = &self.filter.only;
        let mut one = self.conn.prepare_cached(&format!("{COLUMNS} WHERE event_id = ?1 AND no = ?2"))?;
        let seen = one.query_row(params![key.0, key.1], |row| {
            Ok((delivery(row)?, only.takes_all() || is_meant(only, row, [11, 12, 13])?))
        });
        let meant = seen.optional()?.filter(|(_, is_meant)| *is_meant).map(|(delivery, _)| delivery);
        let is_there =
            |delivery: &Delivery| self.filter.destination.is_none_or(|only| only == delivery.destination);
        let Some(delivery) = meant.filter(is_there) else { return Ok(true) };
        self.found.insert(key, delivery);
        let oldest = if self.found.len() > self.limit { self.found.pop_first() } else { None };
        Ok(oldest.is_none_or(|(oldest, _)| oldest != key))
    }

    fn page(mut self) -> DeliveryPage {
        if let Some(back_to) = self.looked_back_to {
            // Older ones may have younger siblings that were not looked at.
            self.found = self.found.split_off(&back_to);
        }
        let last = self.found.first_key_value().map(|(_, delivery)| delivery.id);
        let last = last.filter(|_| self.found.len() == self.limit);
        let deliveries = self.found.into_values().rev().collect();
        // Where the look ended is no event's id, but stands between two.
        let between = |(key, no): Key| DeliveryId { event: EventId::from_parts(key.cast_unsigned(), 0), no };
        DeliveryPage { deliveries, next: last.or(self.looked_back_to.map(between)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[tokio::test]
    async fn lists_come_out_of_an_index_in_their_order() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), Clock::fixed(1_700_000_000_000)).await.unwrap();
        for (part, index, is_in_order) in [
            (READY, "deliveries_ready", true),
            (DEAD, "deliveries_dead", true),
            (TIMED, "deliveries_timed", false),
            (LEASED, "deliveries_timed", false),
        ] {
            let plan = store.read(move |conn| {
                let mut plan = conn.prepare(&format!("EXPLAIN QUERY PLAN {part}"))?;
                let rows = plan.query_map([1, 0, 0, 9, 9, 5], |row| row.get::<_, String>(3))?;
                rows.collect::<rusqlite::Result<Vec<_>>>()
            });
            let plan = plan.await.unwrap().join("; ");
            assert!(plan.contains(index), "{plan}");
            assert_eq!(!plan.contains("TEMP B-TREE"), is_in_order, "{plan}");
            assert!(!is_in_order || plan.contains("(event_id,no)>"), "the keys bound the search: {plan}");
        }
    }
}
