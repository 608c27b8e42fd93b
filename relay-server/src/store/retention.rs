//! Forgetting: the oldest events first, one short step per call, and the freed pages back to the disk.

use rusqlite::{Connection, params};

use super::{Health, Store, StoreError, column};

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
}

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
const KEY_SHIFT: u32 = 20;

impl Store {
    /// One step of forgetting what `policy` no longer keeps.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn prune(&self, policy: Retention) -> Result<Pruned, StoreError> {
        let oldest_ms = self.clock().now_ms().saturating_sub(policy.age_ms);
        let oldest_key = column::number(oldest_ms).checked_shl(KEY_SHIFT).unwrap_or(i64::MAX);
        let bytes_max = column::number(policy.bytes_max);
        let is_full = self.health() == Health::Full;
        self.write(move |conn, _| {
            let is_over = Size::of(conn)?.used_bytes() > bytes_max;
            let mut pruned = delete(conn, if is_over { i64::MAX } else { oldest_key })?;
            let size = Size::of(conn)?;
            if is_over {
                pruned.more =
                    pruned.events > 0 && (size.used_bytes() > bytes_max || has_older(conn, oldest_key)?);
            }
            if size.has_much_free() || (is_full && size.free_pages > 0) {
                give_back(conn)?;
                let left = Size::of(conn)?;
                pruned.more |= left.has_much_free() && left.free_pages < size.free_pages;
            }
            Ok(pruned)
        })
        .await
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

/// Deletes a step of events older than `key`.
fn delete(conn: &Connection, key: i64) -> rusqlite::Result<Pruned> {
    // A body's length stands at the front of its row: its pages are not read.
    let mut oldest = conn.prepare_cached(
        "SELECT id, ifnull(length(request) + length(answer), 0) FROM events LEFT JOIN bodies USING (id)
         WHERE id < ?1 ORDER BY id LIMIT ?2",
    )?;
    let mut rows = oldest.query(params![key, STEP_EVENTS_MAX])?;
    let (mut events, mut bytes, mut last) = (0, 0, None);
    while bytes < STEP_BYTES_MAX {
        let Some(row) = rows.next()? else { break };
        last = Some(row.get::<_, i64>(0)?);
        bytes += row.get::<_, i64>(1)?;
        events += 1;
    }
    drop(rows);
    let Some(last) = last else { return Ok(Pruned::default()) };
    conn.prepare_cached("DELETE FROM events WHERE id <= ?1")?.execute([last])?;
    conn.prepare_cached("DELETE FROM bodies WHERE id <= ?1")?.execute([last])?;
    Ok(Pruned { events, more: has_older(conn, key)? })
}

fn has_older(conn: &Connection, key: i64) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT EXISTS (SELECT 1 FROM events WHERE id < ?1)")?
        .query_row([key], |row| row.get(0))
}

/// Cuts free pages off the file's end, moving used ones forward.
fn give_back(conn: &Connection) -> rusqlite::Result<()> {
    let mut vacuum = conn.prepare(&format!("PRAGMA incremental_vacuum({STEP_PAGES_MAX})"))?;
    let mut rows = vacuum.query([])?;
    // One step frees one page.
    while rows.next()?.is_some() {}
    Ok(())
}
