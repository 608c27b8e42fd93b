//! Events like one that a real store holds: as records for the store's own interface, and as bare rows.
//!
//! The rows are read from that store and written again with another place, so that what goes straight into SQLite is
//! what the product itself would have written there.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use protocol::id::EventId;
use relay_server::model::{Captured, DestinationId, EventRecord, Outcome, RecordedAnswer, SourceId};
use relay_server::store::{Acceptance, EventDetail, EventFilter, NewDelivery, OutcomeKind, Start, Store};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

/// Name of the database in a data directory.
pub const DATABASE: &str = "relay.db";

/// Every table that has rows of an event, and the column that names it.
const TABLES: [(&str, &str); 4] =
    [("events", "id"), ("bodies", "id"), ("deliveries", "event_id"), ("attempts", "event_id")];

/// Below the milliseconds of an event's key.
pub const KEY_SHIFT: u32 = 20;

/// The newest event of a store that a filter takes and whose body has so many bytes.
pub async fn newest(store: &Store, filter: EventFilter, body_bytes: u64) -> Result<EventDetail> {
    let page = store.events(filter).await?;
    let found = page.events.iter().find(|event| event.request_bytes == body_bytes);
    let id = found.with_context(|| format!("no event with {body_bytes} bytes is stored"))?.id;
    store.load(vec![id]).await?.pop().context("the event is gone")
}

/// Makes accepted events like one there is, each with one delivery that waits.
#[derive(Debug)]
pub struct Template {
    record: EventRecord,
}

impl Template {
    pub fn new(like: EventDetail) -> Result<Self> {
        ensure!(like.summary.outcome == OutcomeKind::Accepted, "the event was not accepted");
        // Once a process: the record holds a reason as text of the program.
        let reason: &'static str = like.summary.reason.clone().unwrap_or_default().leak();
        Ok(Self {
            record: EventRecord {
                id: like.summary.id,
                source: like.summary.source,
                remote: like.summary.remote,
                method: like.summary.method,
                target: like.summary.target,
                headers: like.headers,
                shape: like.shape,
                body: like.body,
                related: None,
                outcome: Outcome::Accepted(reason),
                agent: None,
                answer: RecordedAnswer { body: Captured::default(), ..like.answer },
                times: like.summary.times,
                is_accepted: false,
                known: Default::default(),
            },
        })
    }

    /// Another one, received now through this source.
    pub fn acceptance(&self, id: EventId, source: SourceId, destination: DestinationId) -> Acceptance {
        let record = Box::new(EventRecord { id, source, ..self.record.clone() });
        Acceptance {
            record,
            deliveries: vec![NewDelivery { destination, start: Start::Ready }],
            dedupe: None,
        }
    }
}

/// All rows of one event.
#[derive(Debug)]
pub struct Rows {
    tables: Vec<Table>,
    received_ms: i64,
    /// Deliveries it has, of whatever state.
    pub deliveries: usize,
}

#[derive(Debug)]
struct Table {
    insert: String,
    roles: Vec<(usize, Role)>,
    rows: Vec<Vec<Value>>,
}

/// What another event has in a column instead.
#[derive(Debug, Clone, Copy)]
enum Role {
    Key,
    Chance,
    Source,
    Destination,
    Seq,
    Time,
}

/// What tells one event from another like it.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Its id's sort key.
    pub key: i64,
    /// Its id's chance, of which bit 64 stays as it was.
    pub chance: i64,
    pub source: i64,
    pub destination: i64,
    /// Taken where the event was accepted.
    pub seq: i64,
}

fn role(column: &str) -> Option<Role> {
    Some(match column {
        "id" | "event_id" => Role::Key,
        "chance" => Role::Chance,
        "source_id" => Role::Source,
        "destination_id" => Role::Destination,
        "seq" => Role::Seq,
        "start_ms" | "due_ms" | "started_ms" => Role::Time,
        _ => return None,
    })
}

impl Rows {
    /// The rows of the event with this sort key.
    pub fn read(conn: &Connection, key: i64) -> Result<Self> {
        let mut tables = Vec::new();
        let mut deliveries = 0;
        for (table, named_by) in TABLES {
            let mut all = conn.prepare(&format!("SELECT * FROM {table} WHERE {named_by} = ?1"))?;
            let columns: Vec<String> = all.column_names().map(str::to_owned).collect();
            let row = |row: &rusqlite::Row<'_>| (0..columns.len()).map(|at| row.get(at)).collect();
            let rows = all.query_map([key], row)?.collect::<rusqlite::Result<Vec<Vec<Value>>>>()?;
            ensure!(table != "events" || rows.len() == 1, "there is no event with the key {key}");
            if table == "deliveries" {
                deliveries = rows.len();
            }
            let places = vec!["?"; columns.len()].join(",");
            tables.push(Table {
                insert: format!("INSERT INTO {table} VALUES ({places})"),
                roles: columns.iter().enumerate().filter_map(|(at, name)| Some((at, role(name)?))).collect(),
                rows,
            });
        }
        Ok(Self { tables, received_ms: key >> KEY_SHIFT, deliveries })
    }

    /// Whether the event was accepted, and so has a number within its source.
    pub fn is_accepted(&self) -> bool {
        let events = &self.tables[0];
        let mut seq = events.roles.iter().filter(|(_, role)| matches!(role, Role::Seq));
        seq.any(|(at, _)| events.rows[0][*at] != Value::Null)
    }

    /// Writes the event again, in another place.
    pub fn write(&mut self, conn: &Connection, place: &Place) -> rusqlite::Result<()> {
        let received_ms = place.key >> KEY_SHIFT;
        let later_ms = received_ms - self.received_ms;
        for table in &mut self.tables {
            for row in &mut table.rows {
                for (at, role) in &table.roles {
                    row[*at] = match (role, &row[*at]) {
                        // What did not happen, or has no number, stays so.
                        (Role::Seq, Value::Null) | (Role::Time, Value::Integer(0)) => continue,
                        (Role::Time, Value::Integer(ms)) => Value::Integer(ms + later_ms),
                        (Role::Time, _) => continue,
                        (Role::Key, _) => Value::Integer(place.key),
                        (Role::Chance, _) => Value::Integer(place.chance),
                        (Role::Source, _) => Value::Integer(place.source),
                        (Role::Destination, _) => Value::Integer(place.destination),
                        (Role::Seq, _) => Value::Integer(place.seq),
                    };
                }
                conn.prepare_cached(&table.insert)?.execute(params_from_iter(row.iter()))?;
            }
        }
        self.received_ms = received_ms;
        Ok(())
    }

    /// Removes the event itself.
    pub fn delete(conn: &Connection, key: i64) -> rusqlite::Result<()> {
        for (table, named_by) in TABLES {
            conn.execute(&format!("DELETE FROM {table} WHERE {named_by} = ?1"), [key])?;
        }
        Ok(())
    }
}

/// A connection to the database of a data directory nobody else has open.
pub fn open(data: &Path) -> Result<Connection> {
    let path = data.join(DATABASE);
    ensure!(path.exists(), "there is no database in {}", data.display());
    Ok(Connection::open(path)?)
}
