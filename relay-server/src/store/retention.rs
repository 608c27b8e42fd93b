//! Forgetting: the oldest events first, one short step per call, and the freed pages back to the disk.
//!
//! An event with a delivery that still waits is passed over, whatever its age, and so is one that is pinned. What is forgotten of accepted events is
//! written into their source's ledger, so that an audit still adds up.

#[cfg(test)]
mod tests;

use protocol::id::EventId;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Health, Store, StoreError, column, record};

/// How long events are kept, and how much of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Age in milliseconds past which an event goes.
    pub age_ms: u64,
    /// Size of what the database and the files of bodies hold, in bytes, past which the oldest go.
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

/// How far forgetting has come. The default is the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    key: i64,
    /// What the files of bodies hold, in bytes; counted by the first step of a round.
    file_bytes: Option<i64>,
    rounds: u32,
}

impl Cursor {
    /// Where the next round begins: past what this one found still waiting, so that a long backlog is not looked
    /// through again and again; but every tenth time at the very start, for what has ended since.
    #[must_use]
    pub fn next_round(self) -> Self {
        let rounds = self.rounds + 1;
        if rounds == ROUNDS_PER_START { Self::default() } else { Self { rounds, file_bytes: None, ..self } }
    }
}

/// Rounds from one that begins at the start to the next. With one a minute, what ended late goes ten minutes late.
const ROUNDS_PER_START: u32 = 10;

/// Most events a step looks at, and most bytes of what it deletes: what keeps it to a few milliseconds of the writer's
/// time.
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
        let file_bytes = match after.file_bytes {
            Some(bytes) => bytes,
            None => self.file_bytes().await,
        };
        let step = self.write(move |conn, _| {
            conn.prepare_cached(
                "DELETE FROM dedupe WHERE (source_id, key) IN (
                   SELECT source_id, key FROM dedupe WHERE expires_ms < ?1 LIMIT ?2)",
            )?
            .execute(params![now_ms, STEP_EVENTS_MAX])?;
            let excess = Size::of(conn)?.used_bytes().saturating_add(file_bytes) - bytes_max;
            let is_over = excess > 0;
            let step = if is_over {
                forget(conn, i64::MAX, after.key, excess)?
            } else {
                forget(conn, oldest_key, after.key, i64::MAX)?
            };
            let file_bytes = (file_bytes - step.file_bytes).max(0);
            let size = Size::of(conn)?;
            let mut more = step.more;
            if is_over {
                more &= size.used_bytes().saturating_add(file_bytes) > bytes_max
                    || has_older(conn, oldest_key, step.after)?;
            }
            if size.has_much_free() || (is_full && size.free_pages > 0) {
                give_back(conn)?;
                let left = Size::of(conn)?;
                more |= left.has_much_free() && left.free_pages < size.free_pages;
            }
            let after = Cursor { key: step.after, file_bytes: Some(file_bytes), ..after };
            Ok((Pruned { events: step.events, more, after }, step.files))
        });
        let (pruned, files) = step.await?;
        let dir = self.body_files().clone();
        // After the commit: a file without its row is swept, a row without its file would be a loss.
        let _ =
            tokio::task::spawn_blocking(move || files.into_iter().for_each(|event| dir.remove(event))).await;
        Ok(pruned)
    }

    /// What the files of bodies hold. Where they cannot be counted, retention goes by the database alone.
    async fn file_bytes(&self) -> i64 {
        let dir = self.body_files().clone();
        let counted = tokio::task::spawn_blocking(move || dir.bytes()).await;
        match counted.map_err(std::io::Error::other).flatten() {
            Ok(bytes) => column::number(bytes),
            Err(error) => {
                tracing::warn!(%error, "the files of bodies could not be counted");
                0
            }
        }
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

/// What a step of forgetting did.
struct Step {
    events: usize,
    more: bool,
    /// Key of the last event it looked at.
    after: i64,
    /// Whose bodies' files have to go, and what they hold.
    files: Vec<EventId>,
    file_bytes: i64,
}

/// An event that goes.
struct Going {
    key: i64,
    source: i64,
    seq: Option<i64>,
}

/// Deletes a step of events older than `key`, from `after` on; fewer once files of so many bytes have to go.
fn forget(conn: &Connection, key: i64, after: i64, file_bytes_max: i64) -> rusqlite::Result<Step> {
    let mut oldest = conn.prepare_cached(
        "SELECT id, chance, flags, source_id, seq, request_bytes,
                EXISTS (SELECT 1 FROM deliveries WHERE event_id = events.id AND state < 3)
                  OR EXISTS (SELECT 1 FROM marks WHERE event_id = events.id AND is_pinned)
         FROM events WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT ?3",
    )?;
    // A blob's length stands at the front of its row: its pages are not read.
    let mut weight = conn.prepare_cached(
        "SELECT ifnull((SELECT length(request) + length(answer) FROM bodies WHERE id = ?1), 0)
              + (SELECT ifnull(sum(length(answer)), 0) FROM attempts WHERE event_id = ?1)",
    )?;
    let mut rows = oldest.query(params![after, key, STEP_EVENTS_MAX])?;
    let mut step = Step { events: 0, more: false, after, files: Vec::new(), file_bytes: 0 };
    let (mut going, mut bytes) = (Vec::new(), 0);
    while bytes < STEP_BYTES_MAX && step.file_bytes < file_bytes_max {
        let Some(row) = rows.next()? else { break };
        step.after = row.get(0)?;
        if row.get(6)? {
            continue;
        }
        bytes += weight.query_row([step.after], |row| row.get::<_, i64>(0))?;
        let flags = row.get(2)?;
        if record::body_flags(flags).2 {
            step.files.push(record::id_of(column::count(row, 0)?, row.get(1)?, flags));
            step.file_bytes += row.get::<_, i64>(5)?;
        }
        going.push(Going { key: step.after, source: row.get(3)?, seq: row.get(4)? });
    }
    drop(rows);
    for one in &going {
        let_go(conn, one)?;
    }
    step.events = going.len();
    step.more = has_older(conn, key, step.after)?;
    Ok(step)
}

/// Deletes one event, of a copy of a store that has forgotten it meanwhile. What waited for it in the copy has ended
/// there; how, the copy cannot know.
pub(super) fn forget_one(conn: &Connection, key: i64) -> rusqlite::Result<()> {
    conn.execute(
        "UPDATE deliveries SET state = 5, reason = 'forgotten' WHERE event_id = ?1 AND state < 3",
        [key],
    )?;
    let going = conn
        .query_row("SELECT source_id, seq FROM events WHERE id = ?1", [key], |row| {
            Ok(Going { key, source: row.get(0)?, seq: row.get(1)? })
        })
        .optional()?;
    going.map_or(Ok(()), |going| let_go(conn, &going))
}

fn let_go(conn: &Connection, going: &Going) -> rusqlite::Result<()> {
    forget_deliveries(conn, going)?;
    if let Some(seq) = going.seq {
        forget_seq(conn, going.source, seq)?;
    }
    conn.prepare_cached("DELETE FROM events WHERE id = ?1")?.execute([going.key])?;
    conn.prepare_cached("DELETE FROM bodies WHERE id = ?1")?.execute([going.key])?;
    conn.prepare_cached("DELETE FROM marks WHERE event_id = ?1")?.execute([going.key])?;
    Ok(())
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

fn has_older(conn: &Connection, key: i64, after: i64) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT EXISTS (SELECT 1 FROM events WHERE id > ?1 AND id < ?2)")?
        .query_row([after, key], |row| row.get(0))
}

/// Cuts free pages off the file's end, moving used ones forward.
fn give_back(conn: &Connection) -> rusqlite::Result<()> {
    let mut vacuum = conn.prepare(&format!("PRAGMA incremental_vacuum({STEP_PAGES_MAX})"))?;
    let mut rows = vacuum.query([])?;
    // One step frees one page.
    while rows.next()?.is_some() {}
    Ok(())
}
