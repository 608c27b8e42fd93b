//! Destinations of a source: made, changed, deleted.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use protocol::control::Sharing;
use protocol::id::DestinationName;
use rusqlite::{Connection, OptionalExtension, params};

use super::cache::Change;
use super::sources::load;
use super::{SourceError, Store, StoreError, column};
use crate::model::{DestinationId, DestinationRules, Source, SourceId};

/// Most destinations of a source. Each gets a copy of every event.
const DESTINATIONS_MAX: usize = 32;

/// Most names a source's destinations ever had. A name means the same destination for ever, so that of a deleted one
/// stays, and whoever made and deleted them without end would fill the disk.
const NAMES_MAX: u32 = 1_000;

/// What is to be changed of a destination.
#[derive(Debug, Clone, Default)]
pub struct DestinationChange {
    /// Other rules.
    pub rules: Option<DestinationRules>,
    /// Makes it the primary.
    pub is_primary: bool,
    /// How agents share it from now on.
    pub sharing: Option<Sharing>,
}

impl Store {
    /// Makes a destination.
    ///
    /// # Errors
    /// [`SourceError::Taken`] when the source has one of that name, [`SourceError::TooMany`] at 32, or when 1,000 names
    /// were used and this is none of them.
    pub async fn create_destination(
        &self,
        source: SourceId,
        name: DestinationName,
        sharing: Sharing,
        rules: DestinationRules,
    ) -> Result<Arc<Source>, SourceError> {
        self.change(move |conn| {
            let Some(found) = load(conn, source)? else { return Ok(Err(SourceError::NotFound)) };
            if found.destinations.iter().any(|d| d.name == name) {
                return Ok(Err(SourceError::Taken));
            }
            if !has_room(conn, &found, &name)? {
                return Ok(Err(SourceError::TooMany));
            }
            add(conn, source, &name, sharing, &rules)?;
            load(conn, source).map(|source| source.ok_or(SourceError::NotFound))
        })
        .await
    }

    /// Changes a destination.
    ///
    /// # Errors
    /// [`SourceError::NotFound`] when the source has none of that name.
    pub async fn update_destination(
        &self,
        source: SourceId,
        destination: DestinationId,
        change: DestinationChange,
    ) -> Result<Arc<Source>, SourceError> {
        self.change(move |conn| {
            if let Some(rules) = &change.rules {
                conn.prepare_cached(
                    "UPDATE destinations SET rules = ?2 WHERE id = ?1 AND deleted_ms IS NULL",
                )?
                .execute(params![destination.0, column::to_json(rules)?])?;
            }
            if let Some(sharing) = change.sharing {
                conn.prepare_cached("UPDATE destinations SET sharing = ?2 WHERE id = ?1")?
                    .execute(params![destination.0, sharing_code(sharing)])?;
            }
            if change.is_primary {
                conn.prepare_cached("UPDATE destinations SET is_primary = (id = ?2) WHERE source_id = ?1")?
                    .execute(params![source.0, destination.0])?;
            }
            load(conn, source).map(|source| source.ok_or(SourceError::NotFound))
        })
        .await
    }

    /// Deletes a destination; what waits for it is left to [`Store::cancel_waiting`].
    ///
    /// # Errors
    /// [`SourceError::TooMany`] when it is the source's only one: a source always has one.
    pub async fn delete_destination(
        &self,
        source: SourceId,
        destination: DestinationId,
    ) -> Result<Arc<Source>, SourceError> {
        let now_ms = self.now_ms();
        self.change(move |conn| {
            let Some(found) = load(conn, source)? else { return Ok(Err(SourceError::NotFound)) };
            let Some(heir) = found.destinations.iter().find(|d| d.id != destination) else {
                return Ok(Err(SourceError::TooMany));
            };
            // Its name stays for what was delivered to it; nobody reads its rules any more.
            let blank = column::to_json(&DestinationRules::default())?;
            conn.prepare_cached(
                "UPDATE destinations SET deleted_ms = ?2, is_primary = 0, rules = ?3 WHERE id = ?1",
            )?
            .execute(params![destination.0, now_ms, blank])?;
            // The first of those left, if it was the primary that went.
            conn.prepare_cached(
                "UPDATE destinations SET is_primary = 1 WHERE id = ?1 AND NOT EXISTS (
                   SELECT 1 FROM destinations WHERE source_id = ?2 AND is_primary)",
            )?
            .execute(params![heir.id.0, source.0])?;
            load(conn, source).map(|source| source.ok_or(SourceError::NotFound))
        })
        .await
    }

    /// The live source a destination belongs to. From memory.
    #[must_use]
    pub fn source_of(&self, destination: DestinationId) -> Option<Arc<Source>> {
        self.shared().cache.source_of(destination)
    }

    /// The name of a destination, also of a deleted one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn destination_name(&self, id: DestinationId) -> Result<Option<String>, StoreError> {
        self.read(move |conn| {
            conn.prepare_cached("SELECT name FROM destinations WHERE id = ?1")?
                .query_row([id.0], |row| row.get(0))
                .optional()
        })
        .await
    }

    /// The names of these destinations, also of deleted ones.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn destination_names(
        &self,
        ids: HashSet<DestinationId>,
    ) -> Result<HashMap<DestinationId, String>, StoreError> {
        self.read(move |conn| {
            let mut name = conn.prepare_cached("SELECT name FROM destinations WHERE id = ?1")?;
            let mut names = HashMap::with_capacity(ids.len());
            for id in ids {
                let found: Option<String> = name.query_row([id.0], |row| row.get(0)).optional()?;
                names.extend(found.map(|found| (id, found)));
            }
            Ok(names)
        })
        .await
    }

    /// The destination of that name, if the source has or had one: a name means the same one for ever.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn destination_of_name(
        &self,
        source: SourceId,
        name: DestinationName,
    ) -> Result<Option<DestinationId>, StoreError> {
        self.read(move |conn| {
            conn.prepare_cached("SELECT id FROM destinations WHERE source_id = ?1 AND name = ?2")?
                .query_row(params![source.0, name.as_str()], |row| row.get(0).map(DestinationId))
                .optional()
        })
        .await
    }

    /// A change whose result goes into the cache with its commit.
    pub(super) async fn change<F>(&self, change: F) -> Result<Arc<Source>, SourceError>
    where
        F: FnOnce(&Connection) -> rusqlite::Result<Result<Arc<Source>, SourceError>> + Send + 'static,
    {
        let changed = self.write(move |conn, changes| {
            let changed = change(conn)?;
            if let Ok(source) = &changed {
                changes.push(Change::Source(Arc::clone(source)));
            }
            Ok(changed)
        });
        changed.await?
    }
}

/// Whether the source may have another destination, of that name.
pub(super) fn has_room(conn: &Connection, source: &Source, name: &DestinationName) -> rusqlite::Result<bool> {
    if source.destinations.len() >= DESTINATIONS_MAX {
        return Ok(false);
    }
    let (used, is_known) = conn
        .prepare_cached("SELECT count(*), ifnull(max(name = ?2), 0) FROM destinations WHERE source_id = ?1")?
        .query_row(params![source.id.0, name.as_str()], |row| {
            Ok((row.get::<_, u32>(0)?, row.get::<_, bool>(1)?))
        })?;
    Ok(is_known || used < NAMES_MAX)
}

/// Inserts a destination; one of that name that was deleted comes back with its old id.
pub(super) fn add(
    conn: &Connection,
    source: SourceId,
    name: &DestinationName,
    sharing: Sharing,
    rules: &DestinationRules,
) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT INTO destinations (source_id, name, sharing, rules, is_primary)
         VALUES (?1, ?2, ?3, ?4, NOT EXISTS (SELECT 1 FROM destinations WHERE source_id = ?1 AND is_primary))
         ON CONFLICT DO UPDATE SET sharing = excluded.sharing, rules = excluded.rules, deleted_ms = NULL",
    )?
    .execute(params![source.0, name.as_str(), sharing_code(sharing), column::to_json(rules)?])
    .map(drop)
}

const fn sharing_code(sharing: Sharing) -> i64 {
    match sharing {
        Sharing::Pool => 0,
        Sharing::Replace => 1,
        Sharing::Broadcast => 2,
    }
}
