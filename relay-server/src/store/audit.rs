//! The proof: accepted = delivered + dead + cancelled + waiting, for every source, and what is missing by name.
//!
//! Reads only, in one transaction, so it may run beside a server at work.

use std::path::Path;

use protocol::id::{EventId, Slug};
use rusqlite::{Connection, params};
use serde::Serialize;

use super::files::BodyFiles;
use super::{OpenError, column, open, record};

/// What an audit found of one source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SourceAudit {
    /// The source's name, also of a deleted one.
    pub source: String,
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
}

impl SourceAudit {
    /// Whether everything is accounted for.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.missing.is_empty()
            && self.accepted == self.stored + self.forgotten
            && self.deliveries == self.delivered + self.dead + self.cancelled + self.waiting
    }
}

/// What an audit found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// Each source that ever accepted an event, or had one replayed.
    pub sources: Vec<SourceAudit>,
    /// Events whose body should be in a file and is not, or not whole.
    pub bodies_missing: Vec<String>,
    /// Deliveries whose event is not there.
    pub deliveries_without_event: u64,
    /// What SQLite's own check of the file found; only of a deep audit.
    pub damage: Vec<String>,
}

impl Audit {
    /// Whether everything is accounted for.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.sources.iter().all(SourceAudit::is_balanced)
            && self.bodies_missing.is_empty()
            && self.deliveries_without_event == 0
            && self.damage.is_empty()
    }

    /// Audits what is in `data_dir`. `is_deep` also has every page and every body looked at.
    ///
    /// # Errors
    /// When there is no store, or it cannot be read.
    pub fn of_data_dir(data_dir: &Path, is_deep: bool) -> Result<Self, OpenError> {
        let path = data_dir.join(open::FILE);
        if let Err(source) = std::fs::metadata(&path) {
            return Err(OpenError::Directory { path, source });
        }
        let conn = open::reader(&path)?;
        open::check_version(&conn, &path)?;
        let files = BodyFiles::in_directory(data_dir)
            .map_err(|source| OpenError::Directory { path: path.clone(), source })?;
        audit(&conn, &files, is_deep).map_err(|source| OpenError::Database { path, source })
    }
}

fn audit(conn: &Connection, files: &BodyFiles, is_deep: bool) -> rusqlite::Result<Audit> {
    let tx = conn.unchecked_transaction()?;
    let mut audit = Audit { sources: sources(&tx)?, ..Audit::default() };
    for source in &mut audit.sources {
        if source.accepted != source.stored + source.forgotten {
            source.missing = missing(&tx, source)?;
        }
    }
    let mut in_files = tx.prepare(
        "SELECT id, chance, flags, request_bytes FROM events INDEXED BY events_in_files WHERE flags & 16",
    )?;
    let mut rows = in_files.query([])?;
    while let Some(row) = rows.next()? {
        let event: EventId = record::id_of(column::count(row, 0)?, row.get(1)?, row.get(2)?);
        let bytes = column::count(row, 3)?;
        if std::fs::metadata(files.path(event)).map_or(0, |file| file.len()) != bytes {
            audit.bodies_missing.push(event.to_string());
        }
    }
    audit.deliveries_without_event = tx.query_row(
        "SELECT count(*) FROM deliveries WHERE NOT EXISTS (SELECT 1 FROM events WHERE id = event_id)",
        [],
        |row| column::count(row, 0),
    )?;
    if is_deep {
        let mut without = tx.prepare(
            "SELECT events.id, chance, flags FROM events LEFT JOIN bodies ON bodies.id = events.id
             WHERE seq IS NOT NULL AND request_bytes > 0 AND NOT flags & 16
               AND ifnull(length(request), 0) <> request_bytes",
        )?;
        let found = without.query_map([], |row| {
            Ok(record::id_of(column::count(row, 0)?, row.get(1)?, row.get(2)?).to_string())
        })?;
        audit.bodies_missing.extend(found.collect::<rusqlite::Result<Vec<_>>>()?);
        let checked = tx
            .prepare("PRAGMA quick_check")?
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<Vec<String>>>()?;
        audit.damage = checked.into_iter().filter(|line| line != "ok").collect();
    }
    Ok(audit)
}

fn sources(conn: &Connection) -> rusqlite::Result<Vec<SourceAudit>> {
    let mut states =
        conn.prepare("SELECT source_id, state, count(*) FROM deliveries GROUP BY source_id, state")?;
    let counted = states
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, column::count(row, 2)?)))?
        .collect::<rusqlite::Result<Vec<(i64, i64, u64)>>>()?;
    let mut ledgers = conn.prepare(
        "SELECT source_id, slug, accepted, made, delivered, dead, cancelled,
                (SELECT count(seq) FROM events INDEXED BY events_by_source WHERE events.source_id = ledgers.source_id),
                (SELECT ifnull(sum(last_seq - first_seq + 1), 0) FROM forgotten WHERE forgotten.source_id = ledgers.source_id)
         FROM ledgers JOIN sources ON sources.id = source_id ORDER BY slug, source_id",
    )?;
    let of_source = |row: &rusqlite::Row<'_>| {
        let id: i64 = row.get(0)?;
        let now = |wanted: &[i64]| {
            let those = counted.iter().filter(|(source, state, _)| *source == id && wanted.contains(state));
            those.map(|(.., count)| count).sum::<u64>()
        };
        let slug: Slug = column::parsed(row, 1)?;
        Ok(SourceAudit {
            source: slug.to_string(),
            accepted: column::count(row, 2)?,
            stored: column::count(row, 7)?,
            forgotten: column::count(row, 8)?,
            deliveries: column::count(row, 3)?,
            delivered: column::count(row, 4)? + now(&[3]),
            dead: column::count(row, 5)? + now(&[4]),
            cancelled: column::count(row, 6)? + now(&[5]),
            waiting: now(&[0, 1, 2]),
            missing: Vec::new(),
        })
    };
    ledgers.query_map([], of_source)?.collect()
}

/// Which numbers from 1 to the newest are neither stored nor forgotten.
fn missing(conn: &Connection, source: &SourceAudit) -> rusqlite::Result<Vec<(u64, u64)>> {
    let mut known = conn.prepare(
        "SELECT seq, seq FROM events JOIN sources ON sources.id = source_id WHERE slug = ?1 AND seq IS NOT NULL
         UNION ALL
         SELECT first_seq, last_seq FROM forgotten JOIN sources ON sources.id = source_id WHERE slug = ?1
         ORDER BY 1",
    )?;
    let mut rows = known.query(params![source.source])?;
    let (mut missing, mut next) = (Vec::new(), 1);
    while let Some(row) = rows.next()? {
        let first = column::count(row, 0)?;
        if first > next {
            missing.push((next, first - 1));
        }
        next = next.max(column::count(row, 1)? + 1);
    }
    if next <= source.accepted {
        missing.push((next, source.accepted));
    }
    Ok(missing)
}
