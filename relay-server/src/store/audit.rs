//! The proof: accepted = stored + forgotten, and made = delivered + dead + cancelled + waiting, for every source; and
//! what is missing by name.
//!
//! Reads only, in one transaction, so it may run beside a server at work. Every sequence number has to be there once,
//! every delivery of every event too, and none may say of itself what was never recorded.

#[cfg(test)]
pub(super) mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use protocol::id::EventId;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row};
use serde::Serialize;

use super::files::BodyFiles;
use super::{OpenError, column, open, record};

/// Most numbers named of one gap between the deliveries of an event.
const GAP_MAX: usize = 1_000;

/// What an audit found of one source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SourceAudit {
    /// The source's name.
    pub source: String,
    /// Whether it was deleted since. Another one may have its name by now.
    pub is_deleted: bool,
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
    /// Sequence numbers of acknowledged events that are nowhere, as ranges.
    pub missing: Vec<(u64, u64)>,
    /// Sequence numbers that more than one event has, or that were never given, as ranges.
    pub excess: Vec<(u64, u64)>,
}

impl SourceAudit {
    /// Deliveries whose end, or that they wait, is known.
    #[must_use]
    pub fn accounted(&self) -> u64 {
        self.delivered + self.dead + self.cancelled + self.waiting
    }

    /// Whether everything is accounted for.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.missing.is_empty()
            && self.excess.is_empty()
            && self.accepted == self.stored + self.forgotten
            && self.deliveries == self.accounted()
    }
}

/// A delivery without an event; what is left to know it by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Orphan {
    /// The source's name.
    pub source: String,
    /// When its event was received, unix milliseconds.
    pub received_ms: u64,
    /// Its number among the event's deliveries.
    pub no: u32,
}

/// What an audit found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// Each source that was ever entrusted with something, by name.
    pub sources: Vec<SourceAudit>,
    /// Events that have to have a body, and have none, or not all of it. Without a deep audit only those whose body is
    /// a file.
    pub bodies_missing: Vec<String>,
    /// Deliveries that are not there, as far as they can be named.
    pub deliveries_missing: Vec<String>,
    /// Deliveries whose state is none, or that say what was never recorded: delivered without an answer, dead or
    /// cancelled without a reason, leased without an attempt.
    pub deliveries_in_doubt: Vec<String>,
    /// Deliveries whose event is not there.
    pub deliveries_without_event: Vec<Orphan>,
    /// What SQLite says of the file itself; looked for by a deep audit only.
    pub damage: Vec<String>,
}

impl Audit {
    /// Whether everything is accounted for.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.sources.iter().all(SourceAudit::is_balanced)
            && self.bodies_missing.is_empty()
            && self.deliveries_missing.is_empty()
            && self.deliveries_in_doubt.is_empty()
            && self.deliveries_without_event.is_empty()
            && self.damage.is_empty()
    }

    /// Audits what is in `data_dir`: a few seconds for a million events. `is_deep` also has every page and every
    /// body looked at; while that goes on, a server's log cannot be reused and grows. Blocks.
    ///
    /// # Errors
    /// When there is no store, or another version wrote it, or it cannot be read.
    pub fn of_data_dir(data_dir: &Path, is_deep: bool) -> Result<Self, OpenError> {
        let (conn, found) = open::look(data_dir)?;
        let path = data_dir.join(open::FILE);
        if found < open::VERSION {
            return Err(OpenError::Older { path, found, known: open::VERSION });
        }
        match audit(&conn, &BodyFiles::of_directory(data_dir), is_deep) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
                Ok(Self { damage: vec![error.to_string()], ..Self::default() })
            }
            audited => audited.map_err(|source| OpenError::Database { path, source }),
        }
    }
}

fn audit(conn: &Connection, files: &BodyFiles, is_deep: bool) -> rusqlite::Result<Audit> {
    let tx = conn.unchecked_transaction()?;
    let mut audit = Audit::default();
    let mut books = Books::open(&tx)?;
    books.count_events(&tx)?;
    books.count_deliveries(&tx, &mut audit)?;
    let without_file = without_file(&tx, files)?;
    if is_deep {
        audit.bodies_missing = without_body(&tx)?;
        audit.damage = damage(&tx)?;
    }
    audit.sources = books.close(&tx, &mut audit.deliveries_missing)?;
    drop(tx);
    // A new look: what retention deleted meanwhile took its file along, and rows go before files.
    for (key, event) in without_file {
        if has_file(conn, key)? {
            audit.bodies_missing.push(event.to_string());
        }
    }
    Ok(audit)
}

/// What is known of each source, by its number.
struct Books(BTreeMap<i64, Book>);

#[derive(Default)]
struct Book {
    found: SourceAudit,
    /// Sequence numbers stored or forgotten, as ranges.
    known: Vec<(u64, u64)>,
}

impl Books {
    fn open(tx: &Connection) -> rusqlite::Result<Self> {
        let mut books = Self(BTreeMap::new());
        let mut ledgers =
            tx.prepare("SELECT source_id, accepted, made, delivered, dead, cancelled FROM ledgers")?;
        let mut rows = ledgers.query([])?;
        while let Some(row) = rows.next()? {
            let book = books.of(row.get(0)?);
            book.found.accepted = column::count(row, 1)?;
            book.found.deliveries = column::count(row, 2)?;
            book.found.delivered = column::count(row, 3)?;
            book.found.dead = column::count(row, 4)?;
            book.found.cancelled = column::count(row, 5)?;
        }
        Ok(books)
    }

    fn of(&mut self, source: i64) -> &mut Book {
        self.0.entry(source).or_default()
    }

    fn count_events(&mut self, tx: &Connection) -> rusqlite::Result<()> {
        // The index holds what is asked for: the rows, ten times its size, are not read.
        let mut stored = tx.prepare(
            "SELECT source_id, seq FROM events INDEXED BY events_by_source WHERE seq IS NOT NULL ORDER BY source_id, id",
        )?;
        let mut rows = stored.query([])?;
        while let Some(row) = rows.next()? {
            let (book, seq) = (self.of(row.get(0)?), column::count(row, 1)?);
            book.found.stored += 1;
            match book.known.last_mut() {
                Some((_, last)) if *last + 1 == seq => *last = seq,
                _ => book.known.push((seq, seq)),
            }
        }
        let mut forgotten = tx.prepare("SELECT source_id, first_seq, last_seq FROM forgotten")?;
        let mut rows = forgotten.query([])?;
        while let Some(row) = rows.next()? {
            let (book, first, last) = (self.of(row.get(0)?), column::count(row, 1)?, column::count(row, 2)?);
            book.found.forgotten += (last + 1).saturating_sub(first);
            book.known.push((first, last));
        }
        Ok(())
    }

    fn count_deliveries(&mut self, tx: &Connection, audit: &mut Audit) -> rusqlite::Result<()> {
        let mut all = tx.prepare(
            "SELECT event_id, no, source_id, state, attempts, outcome, reason IS NULL,
                    EXISTS (SELECT 1 FROM events INDEXED BY events_by_source
                            WHERE events.source_id = deliveries.source_id AND events.id = event_id)
             FROM deliveries ORDER BY event_id, no",
        )?;
        let mut rows = all.query([])?;
        let (mut event, mut next_no) = (None, 1);
        while let Some(row) = rows.next()? {
            let (key, no, source): (i64, u32, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let found = &mut self.of(source).found;
            match row.get(3)? {
                0..=2 => found.waiting += 1,
                3 => found.delivered += 1,
                4 => found.dead += 1,
                5 => found.cancelled += 1,
                _ => {}
            }
            if event.replace(key) != Some(key) {
                next_no = 1;
            }
            if !row.get::<_, bool>(7)? {
                let received_ms = key.cast_unsigned() >> super::retention::KEY_SHIFT;
                audit.deliveries_without_event.push(Orphan { source: name(tx, source)?.0, received_ms, no });
            } else {
                for lost in (next_no..no).take(GAP_MAX) {
                    audit.deliveries_missing.push(named(tx, key, lost)?);
                }
                if !is_plausible(row)? {
                    audit.deliveries_in_doubt.push(named(tx, key, no)?);
                }
            }
            next_no = no.saturating_add(1);
        }
        Ok(())
    }

    /// The results by name. Names deliveries that were all their event had.
    fn close(
        self,
        tx: &Connection,
        deliveries_missing: &mut Vec<String>,
    ) -> rusqlite::Result<Vec<SourceAudit>> {
        let mut results = Vec::with_capacity(self.0.len());
        for (source, mut book) in self.0 {
            book.known.sort_unstable();
            let mut found = book.found;
            (found.missing, found.excess) = compared(&book.known, found.accepted);
            (found.source, found.is_deleted) = name(tx, source)?;
            if found.accounted() < found.deliveries {
                deliveries_missing.extend(without_delivery(tx, source)?);
            }
            results.push(found);
        }
        results.sort_by(|a, b| (&a.source, a.is_deleted).cmp(&(&b.source, b.is_deleted)));
        Ok(results)
    }
}

/// Ranges of numbers.
type Ranges = Vec<(u64, u64)>;

/// Which numbers from 1 to `accepted` are not among the known ones, and which known ones are too many. In order.
fn compared(known: &[(u64, u64)], accepted: u64) -> (Ranges, Ranges) {
    let (mut missing, mut excess, mut next) = (Vec::new(), Vec::new(), 1);
    for &(first, last) in known {
        if next < first && next <= accepted {
            missing.push((next, accepted.min(first - 1)));
        }
        if first < next {
            excess.push((first, last.min(next - 1)));
        }
        if last > accepted && last >= next {
            excess.push((first.max(next).max(accepted + 1), last));
        }
        next = next.max(last.saturating_add(1));
    }
    if next <= accepted {
        missing.push((next, accepted));
    }
    (missing, excess)
}

/// Whether a delivery's state says no more than was recorded of it.
fn is_plausible(row: &Row<'_>) -> rusqlite::Result<bool> {
    let (attempts, outcome): (i64, Option<i64>) = (row.get(4)?, row.get(5)?);
    let has_reason = !row.get::<_, bool>(6)?;
    Ok(match row.get(3)? {
        0 | 2 => true,
        1 => attempts > 0,
        3 => attempts > 0 && outcome == Some(0) && !has_reason,
        4 | 5 => has_reason,
        _ => false,
    })
}

/// A source's name, and whether it was deleted.
fn name(tx: &Connection, source: i64) -> rusqlite::Result<(String, bool)> {
    let mut find = tx.prepare_cached("SELECT slug, deleted_ms IS NOT NULL FROM sources WHERE id = ?1")?;
    let found = find.query_row([source], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(found.unwrap_or_else(|| (format!("source {source}, of which nothing else is known"), true)))
}

/// A delivery of an event that is there.
fn named(tx: &Connection, key: i64, no: u32) -> rusqlite::Result<String> {
    let mut find = tx.prepare_cached("SELECT id, chance, flags FROM events WHERE id = ?1")?;
    find.query_row([key], event).map(|event| format!("{event}.{no}"))
}

fn event(row: &Row<'_>) -> rusqlite::Result<EventId> {
    Ok(record::id_of(column::count(row, 0)?, row.get(1)?, row.get(2)?))
}

/// First deliveries of events that were stored to be delivered, and have none.
fn without_delivery(tx: &Connection, source: i64) -> rusqlite::Result<Vec<String>> {
    tx.prepare(
        "SELECT id, chance, flags FROM events INDEXED BY events_by_source
         WHERE source_id = ?1 AND outcome = 4 AND seq IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM deliveries WHERE event_id = events.id)",
    )?
    .query_map([source], event)?
    .map(|event| event.map(|event| format!("{event}.1")))
    .collect()
}

/// Events whose body should be a file, and is none, or not a whole one.
fn without_file(tx: &Connection, files: &BodyFiles) -> rusqlite::Result<Vec<(i64, EventId)>> {
    let mut in_files = tx.prepare(
        "SELECT id, chance, flags, request_bytes FROM events INDEXED BY events_in_files WHERE flags & 16",
    )?;
    let mut rows = in_files.query([])?;
    let mut without = Vec::new();
    while let Some(row) = rows.next()? {
        let (event, bytes) = (event(row)?, column::count(row, 3)?);
        if !std::fs::symlink_metadata(files.path(event))
            .is_ok_and(|file| file.is_file() && file.len() == bytes)
        {
            without.push((row.get(0)?, event));
        }
    }
    Ok(without)
}

/// Whether there is an event whose body is a file.
pub(super) fn has_file(conn: &Connection, key: i64) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT EXISTS (SELECT 1 FROM events WHERE id = ?1 AND flags & 16)")?
        .query_row([key], |row| row.get(0))
}

/// Events that were promised, or are to be delivered, and whose body is not in the database as it should be.
fn without_body(tx: &Connection) -> rusqlite::Result<Vec<String>> {
    tx.prepare(
        "SELECT events.id, chance, flags FROM events LEFT JOIN bodies ON bodies.id = events.id
         WHERE request_bytes > 0 AND NOT flags & 16 AND ifnull(length(request), 0) <> request_bytes
           AND (seq IS NOT NULL OR EXISTS (SELECT 1 FROM deliveries WHERE event_id = events.id AND state < 3))",
    )?
    .query_map([], event)?
    .map(|event| event.map(|event| event.to_string()))
    .collect()
}

/// What SQLite finds when it looks at every page and every entry of every index.
fn damage(tx: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut check = tx.prepare("PRAGMA integrity_check")?;
    let lines = check.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}
