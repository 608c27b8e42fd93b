//! Forgetting: the oldest events first, one short step per call, and the freed pages back to the disk.
//!
//! An event with a delivery that still waits is passed over, whatever its age. What is forgotten of accepted events is
//! written into their source's ledger, so that an audit still adds up.

use protocol::id::EventId;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Health, Store, StoreError, column, record};

/// How long events are kept, and how much of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Age in milliseconds past which an event goes.
    pub age_ms: u64,
    /// Size of what the database holds, in bytes, past which the oldest go.
    pub bytes_max: u64,
}

/// What one step did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Events that went.
    pub events: usize,
    /// Whether there is more to do: call again.
    pub more: bool,
    /// Where to go on, past events that still wait.
    pub after: Cursor,
}

/// How far a round of forgetting has come. The default is its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor(i64);

/// Most events of a step, and most bytes of their bodies: what keeps it to a few milliseconds of the writer's time.
const STEP_EVENTS_MAX: i64 = 500;
const STEP_BYTES_MAX: i64 = 2 * 1024 * 1024;

/// Most pages given back in a step.
const STEP_PAGES_MAX: i64 = 200;

/// Free pages are reused by the next events; giving them back means moving the newest pages. So it is done only past
/// this part of the file, and this many pages (8 MiB), or when the disk is full.
const FREE_PART: i64 = 4;
const FREE_PAGES: i64 = 1_024;

/// Where an event's time stands in its key.
pub(super) const KEY_SHIFT: u32 = 20;

impl Store {
    /// One step of forgetting what `policy` no longer keeps.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn prune(&self, policy: Retention, after: Cursor) -> Result<Pruned, StoreError> {
        let oldest_ms = self.clock().now_ms().saturating_sub(policy.age_ms);
        let oldest_key = column::number(oldest_ms).checked_shl(KEY_SHIFT).unwrap_or(i64::MAX);
        let bytes_max = column::number(policy.bytes_max);
        let is_full = self.health() == Health::Full;
        let now_ms = self.now_ms();
        let step = self.write(move |conn, _| {
            conn.prepare_cached(
                "DELETE FROM dedupe WHERE (source_id, key) IN (
                   SELECT source_id, key FROM dedupe WHERE expires_ms < ?1 LIMIT ?2)",
            )?
            .execute(params![now_ms, STEP_EVENTS_MAX])?;
            let is_over = Size::of(conn)?.used_bytes() > bytes_max;
            let (mut pruned, files) = forget(conn, if is_over { i64::MAX } else { oldest_key }, after)?;
            let size = Size::of(conn)?;
            if is_over {
                pruned.more &= size.used_bytes() > bytes_max || has_older(conn, oldest_key, pruned.after)?;
            }
            if size.has_much_free() || (is_full && size.free_pages > 0) {
                give_back(conn)?;
                let left = Size::of(conn)?;
                pruned.more |= left.has_much_free() && left.free_pages < size.free_pages;
            }
            Ok((pruned, files))
        });
        let (pruned, files) = step.await?;
        let dir = self.body_files().clone();
        // After the commit: a file without its row is swept, a row without its file would be a loss.
        let _ =
            tokio::task::spawn_blocking(move || files.into_iter().for_each(|event| dir.remove(event))).await;
        Ok(pruned)
    }
}

struct Size {
    page_bytes: i64,
    pages: i64,
    free_pages: i64,
}

impl Size {
    fn of(conn: &Connection) -> rusqlite::Result<Self> {
        let number = |pragma| conn.query_row(pragma, [], |row| row.get(0));
        Ok(Self {
            page_bytes: number("PRAGMA page_size")?,
            pages: number("PRAGMA page_count")?,
            free_pages: number("PRAGMA freelist_count")?,
        })
    }

    fn used_bytes(&self) -> i64 {
        (self.pages - self.free_pages) * self.page_bytes
    }

    fn has_much_free(&self) -> bool {
        self.free_pages > (self.pages / FREE_PART).max(FREE_PAGES)
    }
}

/// An event that goes.
struct Going {
    key: i64,
    event: EventId,
    source: i64,
    seq: Option<i64>,
    is_in_file: bool,
}

/// Deletes a step of events older than `key`, from `after` on, and says whose bodies' files have to go too.
fn forget(conn: &Connection, key: i64, after: Cursor) -> rusqlite::Result<(Pruned, Vec<EventId>)> {
    // A body's length stands at the front of its row: its pages are not read.
    let mut oldest = conn.prepare_cached(
        "SELECT id, chance, flags, source_id, seq, ifnull(length(request) + length(answer), 0),
                EXISTS (SELECT 1 FROM deliveries WHERE event_id = events.id AND state < 3)
         FROM events LEFT JOIN bodies USING (id) WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT ?3",
    )?;
    let mut rows = oldest.query(params![after.0, key, STEP_EVENTS_MAX])?;
    let (mut going, mut bytes, mut last) = (Vec::new(), 0, after.0);
    while bytes < STEP_BYTES_MAX {
        let Some(row) = rows.next()? else { break };
        last = row.get(0)?;
        if row.get(6)? {
            continue;
        }
        bytes += row.get::<_, i64>(5)?;
        let flags = row.get(2)?;
        going.push(Going {
            key: last,
            event: record::id_of(column::count(row, 0)?, row.get(1)?, flags),
            source: row.get(3)?,
            seq: row.get(4)?,
            is_in_file: record::body_flags(flags).2,
        });
    }
    drop(rows);
    for one in &going {
        forget_deliveries(conn, one)?;
        if let Some(seq) = one.seq {
            forget_seq(conn, one.source, seq)?;
        }
        conn.prepare_cached("DELETE FROM events WHERE id = ?1")?.execute([one.key])?;
        conn.prepare_cached("DELETE FROM bodies WHERE id = ?1")?.execute([one.key])?;
    }
    let after = Cursor(last);
    let pruned = Pruned { events: going.len(), more: has_older(conn, key, after)?, after };
    Ok((pruned, going.iter().filter(|one| one.is_in_file).map(|one| one.event).collect()))
}

fn forget_deliveries(conn: &Connection, going: &Going) -> rusqlite::Result<()> {
    let mut count = conn.prepare_cached(
        "SELECT ifnull(sum(state = 3), 0), ifnull(sum(state = 4), 0), ifnull(sum(state = 5), 0) FROM deliveries
         WHERE event_id = ?1",
    )?;
    let (delivered, dead, cancelled): (i64, i64, i64) =
        count.query_row([going.key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    if delivered + dead + cancelled == 0 {
        return Ok(());
    }
    conn.prepare_cached(
        "UPDATE ledgers SET delivered = delivered + ?2, dead = dead + ?3, cancelled = cancelled + ?4
         WHERE source_id = ?1",
    )?
    .execute(params![going.source, delivered, dead, cancelled])?;
    conn.prepare_cached("DELETE FROM attempts WHERE event_id = ?1")?.execute([going.key])?;
    conn.prepare_cached("DELETE FROM deliveries WHERE event_id = ?1")?.execute([going.key])?;
    Ok(())
}

/// Adds a number to the ranges of forgotten ones; neighbours grow together.
fn forget_seq(conn: &Connection, source: i64, seq: i64) -> rusqlite::Result<()> {
    let mut before = conn.prepare_cached(
        "SELECT first_seq FROM (SELECT first_seq, last_seq FROM forgotten WHERE source_id = ?1 AND first_seq < ?2
           ORDER BY first_seq DESC LIMIT 1) WHERE last_seq = ?2 - 1",
    )?;
    let first = before.query_row([source, seq], |row| row.get(0)).optional()?.unwrap_or(seq);
    let mut following = conn.prepare_cached(
        "DELETE FROM forgotten WHERE source_id = ?1 AND first_seq = ?2 + 1 RETURNING last_seq",
    )?;
    let last = following.query_row([source, seq], |row| row.get(0)).optional()?.unwrap_or(seq);
    conn.prepare_cached("INSERT OR REPLACE INTO forgotten VALUES (?1, ?2, ?3)")?
        .execute([source, first, last])
        .map(drop)
}

fn has_older(conn: &Connection, key: i64, after: Cursor) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT EXISTS (SELECT 1 FROM events WHERE id > ?1 AND id < ?2)")?
        .query_row([after.0, key], |row| row.get(0))
}

/// Cuts free pages off the file's end, moving used ones forward.
fn give_back(conn: &Connection) -> rusqlite::Result<()> {
    let mut vacuum = conn.prepare(&format!("PRAGMA incremental_vacuum({STEP_PAGES_MAX})"))?;
    let mut rows = vacuum.query([])?;
    // One step frees one page.
    while rows.next()?.is_some() {}
    Ok(())
}
