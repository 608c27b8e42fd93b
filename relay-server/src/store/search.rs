//! Finding events by what people type: a walk from the newest back, which ends when a page is full or enough was looked
//! at. What it did not come to is left to the next page.

use std::collections::HashMap;

use protocol::id::EventId;
use rusqlite::{Connection, Row, params};

use super::events::{self, EventPage};
use super::record::id_of;
use super::{Only, Store, StoreError, column, marks};
use crate::model::{ProjectId, SourceId};
use crate::search::{Facts, Needs, Search};

/// Most work of one look, in rows: 50 ms where all is in memory.
const WORK_MAX: usize = 8_000;

/// What it costs to read more of an event than its row, in rows; and so many bytes of a body cost one more.
const READ_COST: usize = 4;
const BYTES_PER_ROW: usize = 8 * 1024;

impl Store {
    /// A page of the events that are looked for, newest first, of these sources of the project (`None`: of all). It may be
    /// short, or empty, and still have a next page.
    ///
    /// # Errors
    /// When the store fails, or the question takes too long.
    pub async fn search(
        &self,
        project: ProjectId,
        sources: Option<Vec<SourceId>>,
        before: Option<EventId>,
        limit: usize,
        search: Search,
    ) -> Result<EventPage, StoreError> {
        let limit = limit.min(events::EVENTS_MAX);
        let mut names = HashMap::new();
        for id in self.owned_sources(project) {
            let is_meant = sources.as_ref().is_none_or(|sources| sources.contains(&id));
            if let Some(owner) =
                self.owner(id).filter(|owner| is_meant && search.wants_source(owner.slug.as_str()))
            {
                names.insert(id, owner.slug.to_string());
            }
        }
        self.read(move |conn| walk(conn, &names, &search, before, limit)).await
    }
}

const COLUMNS: &str = "id, source_id, chance, flags, method, status, outcome, target, mount, name, sender_id, signature, headers";

fn walk(
    conn: &Connection,
    names: &HashMap<SourceId, String>,
    search: &Search,
    before: Option<EventId>,
    limit: usize,
) -> rusqlite::Result<EventPage> {
    let (since_ms, until_ms) = search.between();
    let (since, until) = Only { since_ms, until_ms, ..Only::default() }.keys();
    let before = before.map_or(until, |id| until.min(id.sort_key().cast_signed()));
    let only_source = names.keys().next().filter(|_| names.len() == 1);
    let by_source = format!(
        "SELECT {COLUMNS} FROM events INDEXED BY events_by_source
         WHERE source_id = ?3 AND id < ?1 AND id > ?2 ORDER BY id DESC LIMIT ?4"
    );
    let all = format!(
        "SELECT {COLUMNS} FROM events WHERE id < ?1 AND id > ?2 AND ?3 = 0 ORDER BY id DESC LIMIT ?4"
    );
    if names.is_empty() {
        return Ok(EventPage::default());
    }
    let mut candidates = conn.prepare_cached(if only_source.is_some() { &by_source } else { &all })?;
    let source = only_source.map_or(0, |source| source.0);
    let mut rows = candidates.query(params![before, since, source, WORK_MAX as i64])?;
    let (mut found, mut work, mut last, mut is_over) = (Vec::with_capacity(limit), 0, 0, true);
    while let Some(row) = rows.next()? {
        last = row.get(0)?;
        work += 1;
        if let Some(name) = names.get(&SourceId(row.get(1)?)) {
            let (is_meant, cost) = judge(conn, row, last, name, search)?;
            work += cost;
            if is_meant {
                found.push(last);
            }
        }
        if found.len() == limit || work >= WORK_MAX {
            is_over = false;
            break;
        }
    }
    let events = events::summaries(conn, &found)?;
    let next = (!is_over).then(|| EventId::from_parts(last.cast_unsigned(), 0));
    Ok(EventPage { events, next })
}

/// Whether an event is meant, and what it cost to find out.
fn judge(
    conn: &Connection,
    row: &Row<'_>,
    key: i64,
    source: &str,
    search: &Search,
) -> rusqlite::Result<(bool, usize)> {
    let text = |index: usize| -> rusqlite::Result<Option<&str>> { Ok(row.get_ref(index)?.as_str_or_null()?) };
    let id = id_of(column::count(row, 0)?, row.get(2)?, row.get(3)?).to_string();
    let facts = Facts {
        source,
        id: &id,
        method: row.get_ref(4)?.as_str()?,
        status: row.get(5)?,
        outcome: events::outcome_kind(row, 6)?,
        target: row.get_ref(7)?.as_blob()?,
        mount: row.get::<_, u32>(8)? as usize,
        name: text(9)?,
        sender_id: text(10)?,
        signature: text(11)?,
    };
    let weight = search.weight();
    // A target may have 16 KiB, and is looked through for each word.
    let row_cost = facts.target.len() * weight / BYTES_PER_ROW;
    if !search.holds(&facts) {
        return Ok((false, row_cost));
    }
    let Needs { headers, body, deliveries, mark } = search.needs();
    let mut cost = row_cost;
    if headers {
        let block = events::headers(row, 12)?;
        cost += READ_COST + block.as_bytes().len() * weight / BYTES_PER_ROW;
        if !search.holds_headers(&block) {
            return Ok((false, cost));
        }
    }
    if mark {
        cost += READ_COST;
        let (is_pinned, note) = marks::mark_of(conn, key)?;
        if !search.holds_mark(is_pinned, note.as_deref()) {
            return Ok((false, cost));
        }
    }
    if deliveries {
        cost += READ_COST;
        if !search.holds_deliveries(&marks::states(conn, key)?) {
            return Ok((false, cost));
        }
    }
    if body {
        let mut of_event = conn.prepare_cached("SELECT request FROM bodies WHERE id = ?1")?;
        let mut bodies = of_event.query([key])?;
        let found = bodies.next()?;
        let bytes = match &found {
            Some(row) => row.get_ref(0)?.as_blob()?,
            None => &[],
        };
        cost += READ_COST + bytes.len() * weight / BYTES_PER_ROW;
        return Ok((search.holds_body(bytes), cost));
    }
    Ok((true, cost))
}
