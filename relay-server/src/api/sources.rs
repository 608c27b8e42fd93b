//! Sources: their URLs and rules.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use protocol::id::Slug;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::destinations::DestinationView;
use super::error::ApiError;
use super::identity::Caller;
use super::input::Body;
use super::rules::SharingName;
use super::secrets::SecretView;
use super::{ApiState, backlog, destinations, moment, rules, secrets};
use crate::entropy;
use crate::model::{Source, SourceRules};

#[derive(Serialize)]
pub(super) struct SourceView<'a> {
    slug: &'a str,
    url: String,
    rules: &'a SourceRules,
    secrets: Vec<SecretView<'a>>,
    destinations: Vec<DestinationView<'a>>,
    created_at: String,
}

fn view<'a>(state: &ApiState, source: &'a Source) -> SourceView<'a> {
    SourceView {
        slug: source.slug.as_str(),
        url: (state.public_url)(&source.slug),
        rules: &source.rules,
        secrets: secrets::views(source),
        destinations: destinations::views(source),
        created_at: moment::text(source.created_ms),
    }
}

/// `GET /sources`: those the caller may look at, by name.
pub(super) async fn list(State(state): State<ApiState>, caller: Caller) -> Result<Json<Value>, ApiError> {
    let mut sources = state.store.sources(caller.project());
    sources.retain(|source| caller.may_see(source.slug.as_str()));
    let views: Vec<_> = sources.iter().map(|source| view(&state, source)).collect();
    Ok(Json(json!({ "sources": views })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSource {
    slug: Option<String>,
    #[serde(default)]
    rules: SourceRules,
    #[serde(default)]
    sharing: SharingName,
}

/// `POST /sources`: without a `slug`, one nobody can guess is made.
pub(super) async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    Body(new): Body<NewSource>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let slug = match new.slug {
        Some(text) => text.parse::<Slug>().map_err(|error| ApiError::malformed(error.to_string()))?,
        None => unguessable_slug(),
    };
    // Whoever may serve it into being may make it.
    caller.must_manage(slug.as_str())?;
    rules::check_source(&new.rules)?;
    let source = state.store.create_source(caller.project(), slug, new.rules, new.sharing.into()).await?;
    Ok((StatusCode::CREATED, Json(json!(view(&state, &source)))))
}

/// 128 bits of chance as 26 letters and digits, none of which is mistaken for another.
fn unguessable_slug() -> Slug {
    let id = protocol::id::EventId(entropy::random_u128()).to_string();
    let digits = id.split_once('_').map_or(id.as_str(), |(_, digits)| digits);
    digits.parse().expect("26 letters and digits are a name")
}

/// `GET /sources/{slug}`.
pub(super) async fn show(
    State(state): State<ApiState>,
    caller: Caller,
    Path(slug): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let source = caller.source(&state, &slug)?;
    Ok(Json(json!(view(&state, &source))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceChange {
    rules: Map<String, Value>,
}

/// `PATCH /sources/{slug}`: the rules named change, `null` sets one back to its default (RFC 7396).
pub(super) async fn change(
    State(state): State<ApiState>,
    caller: Caller,
    Path(slug): Path<String>,
    Body(change): Body<SourceChange>,
) -> Result<Json<Value>, ApiError> {
    caller.managed(&state, &slug)?;
    let _changing = state.changing.lock().await;
    let source = caller.managed(&state, &slug)?;
    let malformed = |error: serde_json::Error| ApiError::malformed(error.to_string());
    let mut rules = serde_json::to_value(&source.rules).map_err(malformed)?;
    // Parameters of one provider mean nothing to another.
    let name = |rules: Option<&Value>| rules.and_then(|provider| provider.get("name")).cloned();
    let (before, after) = (name(rules.get("provider")), name(change.rules.get("provider")));
    if after.is_some() && after != before {
        rules["provider"] = Value::Null;
    }
    rules::patch(&mut rules, change.rules);
    let rules = serde_json::from_value::<SourceRules>(rules).map_err(malformed)?;
    rules::check_source(&rules)?;
    if let Some(primary) = rules::primary(&source) {
        rules::check_primary(rules.reply, &primary.rules)?;
    }
    if let Some(provider) = &rules.provider {
        secrets::check(&state, &source, provider, None)?;
    }
    let source = state.store.update_source(caller.project(), source.slug.clone(), rules).await?;
    Ok(Json(json!(view(&state, &source))))
}

/// `DELETE /sources/{slug}`: its URL answers 404 from here on, and what waits is cancelled. Nobody else can have the
/// name.
pub(super) async fn delete(
    State(state): State<ApiState>,
    caller: Caller,
    Path(slug): Path<String>,
) -> Result<StatusCode, ApiError> {
    let source = caller.source(&state, &slug)?;
    caller.must_be_admin()?;
    state.store.delete_source(caller.project(), source.slug.clone()).await?;
    for destination in &source.destinations {
        backlog::cancel_deleted(&state, destination.id).await;
    }
    Ok(StatusCode::NO_CONTENT)
}
