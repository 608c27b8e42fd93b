//! Tokens: who may do what, and who is asking.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use protocol::id::Slug;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::ApiError;
use super::identity::Caller;
use super::input::Body;
use super::{ApiState, moment};
use crate::model::{Scope, Token, TokenId};

/// Longest label, in bytes. It is for people.
const LABEL_BYTES_MAX: usize = 200;

/// Most sources a token may be bound to: as many as a session may serve.
const SOURCES_MAX: usize = protocol::limits::SERVES_MAX;

#[derive(Serialize)]
struct TokenView<'a> {
    id: i64,
    #[serde(flatten)]
    scope: &'a Scope,
    label: &'a str,
    created_at: String,
    expires_at: Option<String>,
    revoked_at: Option<String>,
}

fn view(token: &Token) -> TokenView<'_> {
    TokenView {
        id: token.id.0,
        scope: &token.scope,
        label: &token.label,
        created_at: moment::text(token.created_ms),
        expires_at: token.expires_ms.map(moment::text),
        revoked_at: token.revoked_ms.map(moment::text),
    }
}

/// `GET /whoami`: the caller's own token, and the server's version.
pub(super) async fn whoami(caller: Caller) -> Json<Value> {
    let program = concat!("relay-server ", env!("CARGO_PKG_VERSION"));
    Json(json!({ "token": view(caller.token()), "program": program }))
}

/// `GET /tokens`: the project's, oldest first, without their texts: those are not kept.
pub(super) async fn list(State(state): State<ApiState>, caller: Caller) -> Result<Json<Value>, ApiError> {
    caller.must_see_all()?;
    let tokens = state.store.tokens(caller.project()).await?;
    let views: Vec<_> = tokens.iter().map(view).collect();
    Ok(Json(json!({ "tokens": views })))
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ScopeName {
    Admin,
    Agent,
    Read,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    scope: ScopeName,
    sources: Option<Vec<String>>,
    create: Option<bool>,
    #[serde(default)]
    label: String,
    expires_at: Option<String>,
}

impl NewToken {
    fn scope(&self) -> Result<Scope, ApiError> {
        if let ScopeName::Agent = self.scope {
            let sources = self.sources.clone().unwrap_or_default();
            if sources.len() > SOURCES_MAX {
                return Err(ApiError::malformed("sources: at most 256"));
            }
            if let Some(Err(error)) = sources.iter().map(|name| name.parse::<Slug>()).find(Result::is_err) {
                return Err(ApiError::malformed(format!("sources: {error}")));
            }
            return Ok(Scope::Agent { sources, create: self.create.unwrap_or(true) });
        }
        if self.sources.is_some() || self.create.is_some() {
            return Err(ApiError::malformed("`sources` and `create` are for scope `agent`"));
        }
        Ok(if let ScopeName::Read = self.scope { Scope::Read } else { Scope::Admin })
    }

    fn expires_ms(&self, now_ms: u64) -> Result<Option<u64>, ApiError> {
        let Some(text) = &self.expires_at else { return Ok(None) };
        let moment = moment::parse(text).filter(|moment| *moment > now_ms);
        let wrong = || ApiError::malformed("expires_at: a moment to come, like 2030-01-01T00:00:00Z");
        moment.map(Some).ok_or_else(wrong)
    }
}

/// `POST /tokens`: the one answer that holds its text.
pub(super) async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    Body(new): Body<NewToken>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    caller.must_be_admin()?;
    if new.label.len() > LABEL_BYTES_MAX {
        return Err(ApiError::malformed("label: at most 200 bytes"));
    }
    let (scope, expires_ms) = (new.scope()?, new.expires_ms(state.clock.now_ms())?);
    let made = state.store.create_token(caller.project(), scope, &new.label, expires_ms).await?;
    Ok((StatusCode::CREATED, Json(json!({ "token": view(&made.token), "text": made.text.0 }))))
}

/// `DELETE /tokens/{id}`: it is good for nothing from here on, and its sessions end.
pub(super) async fn revoke(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    caller.must_be_admin()?;
    let no_such = || ApiError::not_found("token_not_found", "there is no such token");
    let id = TokenId(id.parse().map_err(|_| no_such())?);
    if !state.store.revoke_token(caller.project(), id).await? {
        return Err(no_such());
    }
    (state.revoked)(id);
    Ok(StatusCode::NO_CONTENT)
}
