//! Projects: what tokens, sources and events belong to.

use rusqlite::{OptionalExtension, params};

use super::{Store, StoreError};
use crate::model::ProjectId;

/// The project that exists from the first start.
pub const DEFAULT_PROJECT: &str = "default";

impl Store {
    /// The project of that name, made if there is none.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn project(&self, name: &str) -> Result<ProjectId, StoreError> {
        let name = name.to_owned();
        let now = self.now_ms();
        self.write(move |conn, _| {
            let mut find = conn.prepare_cached("SELECT id FROM projects WHERE name = ?1")?;
            if let Some(id) = find.query_row([&name], |row| row.get(0)).optional()? {
                return Ok(ProjectId(id));
            }
            let mut make = conn.prepare_cached("INSERT INTO projects (name, created_ms) VALUES (?1, ?2)")?;
            make.insert(params![name, now]).map(ProjectId)
        })
        .await
    }
}
