//! Secrets of sources, as they come: encrypted by whoever keeps the key.

use std::sync::Arc;

use protocol::id::Slug;
use rusqlite::{Connection, params};

use super::cache::Change;
use super::sources::{find, load};
use super::{SourceError, Store, column};
use crate::model::{ProjectId, SealedSecret, SecretId, Source, SourceId};

/// Most secrets of a source: each may have to be tried on every request.
const SECRETS_MAX: usize = 8;

impl Store {
    /// Gives a source one more secret.
    ///
    /// # Errors
    /// [`SourceError::NotFound`] when the project has no such source, [`SourceError::TooMany`] at 8 secrets.
    pub async fn add_secret(
        &self,
        project: ProjectId,
        slug: Slug,
        sealed: Vec<u8>,
        label: String,
    ) -> Result<(SecretId, Arc<Source>), SourceError> {
        let now_ms = self.now_ms();
        let added = self.write(move |conn, changes| {
            let Some(id) = find(conn, project, &slug)? else { return Ok(Err(SourceError::NotFound)) };
            if of_source(conn, id)?.len() >= SECRETS_MAX {
                return Ok(Err(SourceError::TooMany));
            }
            let secret = conn
                .prepare_cached(
                    "INSERT INTO secrets (source_id, sealed, label, created_ms) VALUES (?1, ?2, ?3, ?4)",
                )?
                .insert(params![id.0, sealed, label, now_ms])?;
            let Some(source) = load(conn, id)? else { return Ok(Err(SourceError::NotFound)) };
            changes.push(Change::Source(Arc::clone(&source)));
            Ok(Ok((SecretId(secret), source)))
        });
        added.await?
    }

    /// Forgets a secret. What it signed is refused from here on.
    ///
    /// # Errors
    /// [`SourceError::NotFound`] when the source has no such secret.
    pub async fn delete_secret(
        &self,
        project: ProjectId,
        slug: Slug,
        secret: SecretId,
    ) -> Result<Arc<Source>, SourceError> {
        self.change(move |conn| {
            let Some(id) = find(conn, project, &slug)? else { return Ok(Err(SourceError::NotFound)) };
            let gone = conn
                .prepare_cached("DELETE FROM secrets WHERE id = ?1 AND source_id = ?2")?
                .execute(params![secret.0, id.0])?;
            if gone == 0 {
                return Ok(Err(SourceError::NotFound));
            }
            load(conn, id).map(|source| source.ok_or(SourceError::NotFound))
        })
        .await
    }
}

/// The secrets of a source, oldest first.
pub(super) fn of_source(conn: &Connection, source: SourceId) -> rusqlite::Result<Vec<SealedSecret>> {
    conn.prepare_cached("SELECT id, sealed, label, created_ms FROM secrets WHERE source_id = ?1 ORDER BY id")?
        .query_map([source.0], |row| {
            Ok(SealedSecret {
                id: SecretId(row.get(0)?),
                sealed: row.get(1)?,
                label: row.get(2)?,
                created_ms: column::count(row, 3)?,
            })
        })?
        .collect()
}
