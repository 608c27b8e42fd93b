//! Sources and destinations: read from memory, changed by the writer.

use std::sync::Arc;

use protocol::control::Sharing;
use protocol::id::{DestinationName, Slug};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::cache::{Cache, Change, Owner};
use super::column;
use super::{SourceError, Store, destinations, secrets};
use crate::model::{Destination, DestinationId, DestinationRules, ProjectId, Source, SourceId, SourceRules};

/// Most live sources of a project. Each costs about 1 KiB of memory, and listing a project's events asks each once.
const SOURCES_MAX: i64 = 10_000;

impl Store {
    /// The source of that name, of whatever project. From memory: no lock, no wait, no allocation.
    #[must_use]
    pub fn source(&self, slug: &str) -> Option<Arc<Source>> {
        self.shared().cache.source(slug)
    }

    /// The sources of a project, by name. From memory.
    #[must_use]
    pub fn sources(&self, project: ProjectId) -> Vec<Arc<Source>> {
        self.shared().cache.sources(project)
    }

    /// Whose a source is or, if it was deleted, was. From memory.
    #[must_use]
    pub fn owner(&self, source: SourceId) -> Option<Arc<Owner>> {
        self.shared().cache.owner(source)
    }

    /// Every source the project has or had: events and deliveries of a deleted one stay. From memory.
    #[must_use]
    pub fn owned_sources(&self, project: ProjectId) -> Vec<SourceId> {
        self.shared().cache.owned(project)
    }

    /// Makes a source, with a destination called `default`.
    ///
    /// # Errors
    /// [`SourceError::Taken`] when the name is in use, or was ever used by another project.
    pub async fn create_source(
        &self,
        project: ProjectId,
        slug: Slug,
        rules: SourceRules,
        sharing: Sharing,
    ) -> Result<Arc<Source>, SourceError> {
        let now = self.now_ms();
        self.change(move |conn| {
            let mut taken = conn.prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM sources WHERE slug = ?1 AND (deleted_ms IS NULL OR project_id <> ?2))",
            )?;
            if taken.query_row(params![slug.as_str(), project.0], |row| row.get(0))? {
                return Ok(Err(SourceError::Taken));
            }
            let mut count =
                conn.prepare_cached("SELECT count(*) FROM sources WHERE project_id = ?1 AND deleted_ms IS NULL")?;
            if count.query_row([project.0], |row| row.get::<_, i64>(0))? >= SOURCES_MAX {
                return Ok(Err(SourceError::TooMany));
            }
            let mut make = conn.prepare_cached(
                "INSERT INTO sources (project_id, slug, rules, created_ms) VALUES (?1, ?2, ?3, ?4)",
            )?;
            let id = SourceId(make.insert(params![project.0, slug.as_str(), column::to_json(&rules)?, now])?);
            destinations::add(conn, id, &DestinationName::default(), sharing, &DestinationRules::default())?;
            load(conn, id).map(|source| source.ok_or(SourceError::NotFound))
        })
        .await
    }

    /// Gives a source other rules.
    ///
    /// # Errors
    /// [`SourceError::NotFound`] when the project has no such source.
    pub async fn update_source(
        &self,
        project: ProjectId,
        slug: Slug,
        rules: SourceRules,
    ) -> Result<Arc<Source>, SourceError> {
        self.change(move |conn| {
            let Some(id) = find(conn, project, &slug)? else { return Ok(Err(SourceError::NotFound)) };
            let mut update = conn.prepare_cached("UPDATE sources SET rules = ?2 WHERE id = ?1")?;
            update.execute(params![id.0, column::to_json(&rules)?])?;
            load(conn, id).map(|source| source.ok_or(SourceError::NotFound))
        })
        .await
    }

    /// Deletes a source. Its name stays reserved for the project, its events stay until retention takes them.
    ///
    /// # Errors
    /// [`SourceError::NotFound`] when the project has no such source.
    pub async fn delete_source(&self, project: ProjectId, slug: Slug) -> Result<(), SourceError> {
        let now = self.now_ms();
        let deleted = self.write(move |conn, changes| {
            let Some(id) = find(conn, project, &slug)? else { return Ok(Err(SourceError::NotFound)) };
            conn.prepare_cached("UPDATE sources SET deleted_ms = ?2 WHERE id = ?1")?
                .execute(params![id.0, now])?;
            conn.prepare_cached("DELETE FROM secrets WHERE source_id = ?1")?.execute([id.0])?;
            changes.push(Change::Deleted(id));
            Ok(Ok(()))
        });
        deleted.await?
    }

    /// The source with a destination of that name, made if there is none; one that is there keeps its sharing.
    ///
    /// # Errors
    /// [`SourceError::NotFound`] when there is no such source, [`SourceError::TooMany`] at 32 destinations or
    /// 1,000 names ever used.
    pub async fn ensure_destination(
        &self,
        source: SourceId,
        name: DestinationName,
        sharing: Sharing,
    ) -> Result<Arc<Source>, SourceError> {
        self.change(move |conn| {
            let Some(found) = load(conn, source)? else { return Ok(Err(SourceError::NotFound)) };
            if found.destinations.iter().any(|d| d.name == name) {
                return Ok(Ok(found));
            }
            if !destinations::has_room(conn, &found, &name)? {
                return Ok(Err(SourceError::TooMany));
            }
            destinations::add(conn, source, &name, sharing, &DestinationRules::default())?;
            load(conn, source).map(|source| source.ok_or(SourceError::NotFound))
        })
        .await
    }
}

pub(super) fn find(conn: &Connection, project: ProjectId, slug: &Slug) -> rusqlite::Result<Option<SourceId>> {
    conn.prepare_cached("SELECT id FROM sources WHERE slug = ?1 AND project_id = ?2 AND deleted_ms IS NULL")?
        .query_row(params![slug.as_str(), project.0], |row| row.get(0).map(SourceId))
        .optional()
}

const COLUMNS: &str = "SELECT id, project_id, slug, rules, created_ms FROM sources";

pub(super) fn load(conn: &Connection, id: SourceId) -> rusqlite::Result<Option<Arc<Source>>> {
    let mut one = conn.prepare_cached(&format!("{COLUMNS} WHERE id = ?1 AND deleted_ms IS NULL"))?;
    let source = one.query_row([id.0], |row| source(conn, row)).optional()?;
    Ok(source.map(Arc::new))
}

fn source(conn: &Connection, row: &Row<'_>) -> rusqlite::Result<Source> {
    let id = SourceId(row.get(0)?);
    Ok(Source {
        id,
        project: ProjectId(row.get(1)?),
        slug: column::parsed(row, 2)?,
        rules: column::from_json(row, 3)?,
        destinations: destinations_of(conn, id)?,
        created_ms: column::count(row, 4)?,
        secrets: secrets::of_source(conn, id)?,
        guard: Default::default(),
    })
}

fn destinations_of(conn: &Connection, source: SourceId) -> rusqlite::Result<Vec<Destination>> {
    conn.prepare_cached(
        "SELECT id, name, sharing, rules FROM destinations WHERE source_id = ?1 AND deleted_ms IS NULL
         ORDER BY is_primary DESC, id",
    )?
    .query_map([source.0], |row| {
        let sharing = match row.get(2)? {
            0 => Sharing::Pool,
            1 => Sharing::Replace,
            2 => Sharing::Broadcast,
            other => return Err(rusqlite::Error::IntegralValueOutOfRange(2, other)),
        };
        let rules = Arc::new(column::from_json(row, 3)?);
        Ok(Destination { id: DestinationId(row.get(0)?), name: column::parsed(row, 1)?, sharing, rules })
    })?
    .collect()
}

/// Everything the cache holds, as the database has it.
///
/// # Errors
/// When the database refuses, or holds what this version does not understand.
pub(super) fn load_all(conn: &Connection) -> rusqlite::Result<Cache> {
    let live = conn
        .prepare(&format!("{COLUMNS} WHERE deleted_ms IS NULL"))?
        .query_map([], |row| source(conn, row).map(Arc::new))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let deleted = conn
        .prepare("SELECT id, project_id, slug FROM sources WHERE deleted_ms IS NOT NULL")?
        .query_map([], |row| {
            let owner = Owner { project: ProjectId(row.get(1)?), slug: column::parsed(row, 2)? };
            Ok((SourceId(row.get(0)?), owner))
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(Cache::new(live, deleted))
}
