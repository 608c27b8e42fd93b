//! Secrets of a source, by which its provider's signatures are checked: given, listed without their texts, taken back.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::ApiError;
use super::identity::Caller;
use super::input::Body;
use super::{ApiState, moment};
use crate::model::{ProviderRules, SealedSecret, SecretId, Source};
use crate::sender::Guard;

/// Longest secret, in bytes: a public key in PEM is 200.
const SECRET_BYTES_MAX: usize = 4 * 1024;

/// Longest label, in bytes. It is for people.
const LABEL_BYTES_MAX: usize = 200;

#[derive(Serialize)]
pub(super) struct SecretView<'a> {
    id: i64,
    label: &'a str,
    created_at: String,
}

/// The secrets of a source, without their texts.
pub(super) fn views(source: &Source) -> Vec<SecretView<'_>> {
    source.secrets.iter().map(view).collect()
}

fn view(secret: &SealedSecret) -> SecretView<'_> {
    SecretView { id: secret.id.0, label: &secret.label, created_at: moment::text(secret.created_ms) }
}

/// `GET /sources/{slug}/secrets`: oldest first.
pub(super) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Path(slug): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let source = caller.source(&state, &slug)?;
    Ok(Json(json!({ "secrets": views(&source) })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSecret {
    secret: String,
    #[serde(default)]
    label: String,
}

/// `POST /sources/{slug}/secrets`: whatever is signed with it passes from here on; so does what older ones sign.
pub(super) async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    Path(slug): Path<String>,
    Body(new): Body<NewSecret>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    caller.managed(&state, &slug)?;
    let _changing = state.changing.lock().await;
    let source = caller.managed(&state, &slug)?;
    if new.secret.is_empty() || new.secret.len() > SECRET_BYTES_MAX {
        return Err(ApiError::malformed("secret: 1 to 4096 bytes"));
    }
    if new.label.len() > LABEL_BYTES_MAX {
        return Err(ApiError::malformed("label: at most 200 bytes"));
    }
    let Some(rules) = &source.rules.provider else {
        let message =
            "the source has no provider yet: set `rules.provider` first, so that the secret can be checked";
        return Err(ApiError::new(StatusCode::CONFLICT, "no_provider", message));
    };
    let is_same = |kept: &&SealedSecret| {
        state.senders.vault.open(source.id, &kept.sealed).as_ref() == Some(&new.secret)
    };
    if let Some(kept) = source.secrets.iter().find(is_same) {
        return Ok((StatusCode::OK, Json(json!(view(kept)))));
    }
    check(&state, &source, rules, Some(&new.secret))?;
    let sealed = state.senders.vault.seal(source.id, &new.secret);
    let added = state.store.add_secret(caller.project(), source.slug.clone(), sealed, new.label).await;
    let (id, source) = added?;
    let made = source.secrets.iter().find(|secret| secret.id == id).map(view);
    Ok((StatusCode::CREATED, Json(json!(made))))
}

/// `DELETE /sources/{slug}/secrets/{id}`: what it signed is refused from here on. Never the last one while the source has
/// a provider: everything would pass unchecked.
pub(super) async fn delete(
    State(state): State<ApiState>,
    caller: Caller,
    Path((slug, id)): Path<(String, i64)>,
) -> Result<StatusCode, ApiError> {
    caller.managed(&state, &slug)?;
    let _changing = state.changing.lock().await;
    let source = caller.managed(&state, &slug)?;
    let is_last = source.secrets.len() == 1 && source.secrets[0].id == SecretId(id);
    if is_last && source.rules.provider.is_some() {
        let message =
            "it is the last one: give the new one first, or take the provider away (`provider` null)";
        return Err(ApiError::new(StatusCode::CONFLICT, "last_secret", message));
    }
    state.store.delete_secret(caller.project(), source.slug.clone(), SecretId(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /sources/{slug}/pair`: the next handshake of the provider that brings a secret is believed, for ten minutes.
pub(super) async fn pair(
    State(state): State<ApiState>,
    caller: Caller,
    Path(slug): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let source = caller.managed(&state, &slug)?;
    let until_ms = state.senders.pairings.open(source.id, state.clock.now_ms());
    Ok(Json(json!({ "until": moment::text(until_ms) })))
}

/// Whether a source's provider can work with these rules and the secrets there are, and with one more.
pub(super) fn check(
    state: &ApiState,
    source: &Source,
    rules: &ProviderRules,
    more: Option<&str>,
) -> Result<(), ApiError> {
    let kept = source.secrets.iter().map(|secret| state.senders.vault.open(source.id, &secret.sealed));
    // One that cannot be opened is no reason to refuse a new one: that is how it is mended.
    let secrets: Vec<String> = kept.flatten().chain(more.map(str::to_owned)).collect();
    Guard::new(rules, &secrets)
        .map(drop)
        .map_err(|error| ApiError::malformed(format!("rules.provider: {error}")))
}
