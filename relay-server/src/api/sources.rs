//! Sources: their URLs and rules.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use protocol::control::Sharing;
use protocol::field::is_token;
use protocol::id::Slug;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::identity::Caller;
use super::input::Body;
use super::{ApiState, moment};
use crate::entropy;
use crate::model::{ReplyMode, Source, SourceRules};

/// Longest a sender may be kept waiting, in milliseconds: nothing on the way keeps a request open for longer.
const PATIENCE_MS_MAX: u32 = 600_000;

/// Most methods and networks of a source: each request is compared with them.
const METHODS_MAX: usize = 32;
const NETWORKS_MAX: usize = 256;

/// How agents share a destination, as the API says it.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SharingName {
    #[default]
    Pool,
    Replace,
    Broadcast,
}

impl From<Sharing> for SharingName {
    fn from(sharing: Sharing) -> Self {
        match sharing {
            Sharing::Pool => Self::Pool,
            Sharing::Replace => Self::Replace,
            Sharing::Broadcast => Self::Broadcast,
        }
    }
}

impl From<SharingName> for Sharing {
    fn from(name: SharingName) -> Self {
        match name {
            SharingName::Pool => Self::Pool,
            SharingName::Replace => Self::Replace,
            SharingName::Broadcast => Self::Broadcast,
        }
    }
}

#[derive(Serialize)]
pub(super) struct SourceView<'a> {
    slug: &'a str,
    url: String,
    rules: &'a SourceRules,
    destinations: Vec<DestinationView<'a>>,
    created_at: String,
}

#[derive(Serialize)]
struct DestinationView<'a> {
    name: &'a str,
    sharing: SharingName,
}

fn view<'a>(state: &ApiState, source: &'a Source) -> SourceView<'a> {
    let destination = |d: &'a crate::model::Destination| DestinationView {
        name: d.name.as_str(),
        sharing: d.sharing.into(),
    };
    SourceView {
        slug: source.slug.as_str(),
        url: (state.public_url)(&source.slug),
        rules: &source.rules,
        destinations: source.destinations.iter().map(destination).collect(),
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
    caller.must_be_admin()?;
    let slug = match new.slug {
        Some(text) => text.parse::<Slug>().map_err(|error| ApiError::malformed(error.to_string()))?,
        None => unguessable_slug(),
    };
    check(&new.rules)?;
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
    let source: Arc<Source> = caller.source(&state, &slug)?;
    caller.must_be_admin()?;
    let malformed = |error: serde_json::Error| ApiError::malformed(error.to_string());
    let mut rules = serde_json::to_value(&source.rules).map_err(malformed)?;
    if let Value::Object(fields) = &mut rules {
        for (name, value) in change.rules {
            match value {
                Value::Null => drop(fields.remove(&name)),
                value => drop(fields.insert(name, value)),
            }
        }
    }
    let rules = serde_json::from_value::<SourceRules>(rules).map_err(malformed)?;
    check(&rules)?;
    let source = state.store.update_source(caller.project(), source.slug.clone(), rules).await?;
    Ok(Json(json!(view(&state, &source))))
}

/// `DELETE /sources/{slug}`: its URL answers 404 from here on. Nobody else can have the name.
pub(super) async fn delete(
    State(state): State<ApiState>,
    caller: Caller,
    Path(slug): Path<String>,
) -> Result<StatusCode, ApiError> {
    let source = caller.source(&state, &slug)?;
    caller.must_be_admin()?;
    state.store.delete_source(caller.project(), source.slug.clone()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether rules can be kept.
fn check(rules: &SourceRules) -> Result<(), ApiError> {
    let is_method = |method: &String| {
        is_token(method.as_bytes())
            && !["CONNECT", "TRACE"].iter().any(|never| method.eq_ignore_ascii_case(never))
    };
    let claims = [
        (rules.methods.len() <= METHODS_MAX, "rules.methods: at most 32"),
        (rules.methods.iter().all(is_method), "rules.methods: names of methods, never CONNECT or TRACE"),
        (rules.networks.len() <= NETWORKS_MAX, "rules.networks: at most 256"),
        ((1..=PATIENCE_MS_MAX).contains(&rules.patience_ms), "rules.patience_ms: from 1 to 600000"),
        // Nothing is stored for later yet, and a 202 that promises it would be a lie.
        (rules.reply == ReplyMode::Live, "rules.reply: only `live`; this server stores no deliveries yet"),
        (rules.in_flight_max > 0, "rules.in_flight_max: at least 1; `paused` stops everything"),
    ];
    match claims.into_iter().find(|(holds, _)| !holds) {
        Some((_, wrong)) => Err(ApiError::malformed(wrong)),
        None => Ok(()),
    }
}
