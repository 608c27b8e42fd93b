//! Tokens: made, verified, listed, revoked. The text is shown once and never stored.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::control::TokenText;
use ring::digest::{SHA256, digest};
use rusqlite::{OptionalExtension, Row, params};

use super::column;
use super::{Store, StoreError};
use crate::entropy;
use crate::model::{ProjectId, Scope, Token, TokenId};

/// What every token's text starts with, so that scanners of leaked secrets can tell it.
const PREFIX: &str = "rt_";

/// Characters after the prefix: 256 bits in base64 for URLs, without padding.
const DIGITS: usize = 43;

/// A token just made, with the one chance to see its text.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// The token.
    pub token: Token,
    /// Its text: `rt_` and 43 characters.
    pub text: TokenText,
}

const COLUMNS: &str = "SELECT id, project_id, scope, label, created_ms, expires_ms, revoked_ms FROM tokens";

fn token(row: &Row<'_>) -> rusqlite::Result<Token> {
    Ok(Token {
        id: TokenId(row.get(0)?),
        project: ProjectId(row.get(1)?),
        scope: column::from_json(row, 2)?,
        label: row.get(3)?,
        created_ms: column::count(row, 4)?,
        expires_ms: column::count_or_none(row, 5)?,
        revoked_ms: column::count_or_none(row, 6)?,
    })
}

/// What is stored of a token's text. A plain hash is enough: there are 256 bits of chance to guess.
fn hash(text: &str) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    out
}

impl Store {
    /// Makes a token. `expires_ms` is in unix milliseconds; `None` never expires.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn create_token(
        &self,
        project: ProjectId,
        scope: Scope,
        label: &str,
        expires_ms: Option<u64>,
    ) -> Result<NewToken, StoreError> {
        let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(entropy::random::<32>()));
        let hash = hash(&text);
        let label = label.to_owned();
        let created_ms = self.clock().now_ms();
        let token = self.write(move |conn, _| {
            let mut make = conn.prepare_cached(
                "INSERT INTO tokens (project_id, hash, scope, label, created_ms, expires_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?;
            let expires = expires_ms.map(column::number);
            let created = column::number(created_ms);
            let id =
                make.insert(params![project.0, hash, column::to_json(&scope)?, label, created, expires])?;
            Ok(Token { id: TokenId(id), project, scope, label, created_ms, expires_ms, revoked_ms: None })
        });
        Ok(NewToken { token: token.await?, text: TokenText(text) })
    }

    /// The token of that text; `None` when it is unknown, expired or revoked.
    ///
    /// # Errors
    /// When the store fails: that says nothing about the token.
    pub async fn verify_token(&self, text: &str) -> Result<Option<Token>, StoreError> {
        if text.len() != PREFIX.len() + DIGITS || !text.starts_with(PREFIX) {
            return Ok(None);
        }
        let hash = hash(text);
        let now = self.clock().now_ms();
        let found = self.read_own(move |conn| {
            conn.prepare_cached(&format!("{COLUMNS} WHERE hash = ?1"))?.query_row([hash], token).optional()
        });
        Ok(found.await?.filter(|token| token.is_good(now)))
    }

    /// Whether the token is neither expired nor revoked by now.
    ///
    /// # Errors
    /// When the store fails: that says nothing about the token.
    pub async fn is_token_good(&self, id: TokenId) -> Result<bool, StoreError> {
        let now = self.clock().now_ms();
        let found = self.read_own(move |conn| {
            conn.prepare_cached(&format!("{COLUMNS} WHERE id = ?1"))?.query_row([id.0], token).optional()
        });
        Ok(found.await?.is_some_and(|token| token.is_good(now)))
    }

    /// The tokens of a project, oldest first, the expired and revoked ones among them.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn tokens(&self, project: ProjectId) -> Result<Vec<Token>, StoreError> {
        self.read(move |conn| {
            conn.prepare_cached(&format!("{COLUMNS} WHERE project_id = ?1 ORDER BY id"))?
                .query_map([project.0], token)?
                .collect()
        })
        .await
    }

    /// Revokes a token. Says whether the project has it; one revoked before stays revoked since then.
    ///
    /// # Errors
    /// When the store fails: the token may still be good then.
    pub async fn revoke_token(&self, project: ProjectId, id: TokenId) -> Result<bool, StoreError> {
        let now = self.now_ms();
        self.write(move |conn, _| {
            let mut revoke = conn.prepare_cached(
                "UPDATE tokens SET revoked_ms = coalesce(revoked_ms, ?3) WHERE id = ?1 AND project_id = ?2",
            )?;
            Ok(revoke.execute(params![id.0, project.0, now])? == 1)
        })
        .await
    }

    /// The tokens revoked at `unix_ms` or later, by whatever process. Ask with some overlap: another process reads
    /// its clock a moment before its revocation can be seen here.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn revoked_since(&self, unix_ms: u64) -> Result<Vec<TokenId>, StoreError> {
        let since = column::number(unix_ms);
        self.read_own(move |conn| {
            conn.prepare_cached("SELECT id FROM tokens WHERE revoked_ms >= ?1")?
                .query_map([since], |row| row.get(0).map(TokenId))?
                .collect()
        })
        .await
    }
}

impl Token {
    /// Whether the token may still be used at `unix_ms`.
    #[must_use]
    pub fn is_good(&self, unix_ms: u64) -> bool {
        self.revoked_ms.is_none() && self.expires_ms.is_none_or(|expires| unix_ms < expires)
    }
}
