//! Destinations of a source: where its events go, by which rules, and the secret they are signed with.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use protocol::id::DestinationName;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::identity::Caller;
use super::input::Body;
use super::rules::{self, SharingName};
use super::{ApiState, backlog};
use crate::model::{Destination, DestinationRules, Source};
use crate::store::{DestinationChange, SourceError};

#[derive(Serialize)]
pub(super) struct DestinationView<'a> {
    name: &'a str,
    is_primary: bool,
    sharing: SharingName,
    rules: &'a DestinationRules,
}

/// The destinations of a source as the API shows them, the primary first.
pub(super) fn views<'a>(source: &'a Source) -> Vec<DestinationView<'a>> {
    let view = |(at, destination): (usize, &'a Destination)| DestinationView {
        name: destination.name.as_str(),
        is_primary: at == 0,
        sharing: destination.sharing.into(),
        rules: &destination.rules,
    };
    source.destinations.iter().enumerate().map(view).collect()
}

/// The source's destination of that name.
pub(super) fn find<'a>(source: &'a Source, name: &str) -> Result<&'a Destination, ApiError> {
    let mut those = source.destinations.iter();
    those.find(|destination| destination.name.as_str() == name).ok_or_else(ApiError::no_such_destination)
}

fn shown(source: &Source, name: &str) -> Result<Json<Value>, ApiError> {
    let view = views(source).into_iter().find(|view| view.name == name);
    view.map(|view| Json(json!(view))).ok_or_else(ApiError::no_such_destination)
}

/// `GET /sources/{slug}/destinations`: the primary first, the others in the order they were made.
pub(super) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Path(slug): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let source = caller.source(&state, &slug)?;
    Ok(Json(json!({ "destinations": views(&source) })))
}

/// `GET /sources/{slug}/destinations/{name}`.
pub(super) async fn show(
    State(state): State<ApiState>,
    caller: Caller,
    Path((slug, name)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    shown(&*caller.source(&state, &slug)?, &name)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewDestination {
    name: String,
    #[serde(default)]
    sharing: SharingName,
    #[serde(default)]
    rules: DestinationRules,
    #[serde(default)]
    primary: bool,
}

/// `POST /sources/{slug}/destinations`: events get a delivery to it from here on.
pub(super) async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    Path(slug): Path<String>,
    Body(new): Body<NewDestination>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    caller.managed(&state, &slug)?;
    let name = new.name.parse::<DestinationName>().map_err(|error| ApiError::malformed(error.to_string()))?;
    rules::check_destination(&state, &new.rules)?;
    let expressions =
        [("filter", new.rules.filter.as_deref()), ("transform", new.rules.transform.as_deref())];
    rules::check_expressions(&state, caller.project(), expressions).await?;
    let _changing = state.changing.lock().await;
    let source = caller.managed(&state, &slug)?;
    if new.primary {
        rules::check_primary(source.rules.reply, &new.rules)?;
    }
    let made = state.store.create_destination(source.id, name.clone(), new.sharing.into(), new.rules).await?;
    let made = if new.primary {
        let destination = find(&made, name.as_str())?.id;
        let change = DestinationChange { is_primary: true, ..DestinationChange::default() };
        state.store.update_destination(made.id, destination, change).await?
    } else {
        made
    };
    Ok((StatusCode::CREATED, shown(&made, name.as_str())?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    rules: Option<Map<String, Value>>,
    sharing: Option<SharingName>,
    primary: Option<bool>,
}

/// `PATCH /sources/{slug}/destinations/{name}`: the rules named change, `null` sets one back to its default (RFC 7396).
pub(super) async fn change(
    State(state): State<ApiState>,
    caller: Caller,
    Path((slug, name)): Path<(String, String)>,
    Body(change): Body<Change>,
) -> Result<Json<Value>, ApiError> {
    find(&*caller.managed(&state, &slug)?, &name)?;
    if change.primary == Some(false) {
        return Err(ApiError::malformed("primary: only `true`; another one becomes it by taking its place"));
    }
    let said = |rule| change.rules.as_ref().and_then(|rules| rules.get(rule)).and_then(Value::as_str);
    let expressions = [("filter", said("filter")), ("transform", said("transform"))];
    rules::check_expressions(&state, caller.project(), expressions).await?;
    let _changing = state.changing.lock().await;
    let source: Arc<Source> = caller.managed(&state, &slug)?;
    let destination = find(&source, &name)?;
    let rules = match change.rules {
        Some(patch) => {
            let malformed = |error: serde_json::Error| ApiError::malformed(error.to_string());
            let mut rules = serde_json::to_value(&*destination.rules).map_err(malformed)?;
            rules::patch(&mut rules, patch);
            let rules = serde_json::from_value::<DestinationRules>(rules).map_err(malformed)?;
            rules::check_destination(&state, &rules)?;
            Some(rules)
        }
        None => None,
    };
    let is_primary = change.primary == Some(true);
    let was_primary = rules::primary(&source).is_some_and(|primary| primary.id == destination.id);
    if is_primary || was_primary {
        rules::check_primary(source.rules.reply, rules.as_ref().unwrap_or(&destination.rules))?;
    }
    let change = DestinationChange { rules, is_primary, sharing: change.sharing.map(Into::into) };
    let source = state.store.update_destination(source.id, destination.id, change).await?;
    shown(&source, &name)
}

/// `DELETE /sources/{slug}/destinations/{name}`: what waits for it is cancelled. Where it was the primary, the oldest
/// of the others takes its place.
pub(super) async fn delete(
    State(state): State<ApiState>,
    caller: Caller,
    Path((slug, name)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    caller.managed(&state, &slug)?;
    let changing = state.changing.lock().await;
    let source = caller.managed(&state, &slug)?;
    let destination = find(&source, &name)?;
    if let Some(heir) = source.destinations.iter().find(|other| other.id != destination.id) {
        let is_primary = rules::primary(&source).is_some_and(|primary| primary.id == destination.id);
        if is_primary {
            rules::check_primary(source.rules.reply, &heir.rules)?;
        }
    }
    state.store.delete_destination(source.id, destination.id).await.map_err(|error| match error {
        SourceError::TooMany => {
            let message =
                "a source has at least one destination; make another one first, or delete the source";
            ApiError::new(StatusCode::CONFLICT, "last_destination", message)
        }
        error => error.into(),
    })?;
    drop(changing);
    backlog::cancel_deleted(&state, destination.id).await;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /sources/{slug}/destinations/{name}/secret`: what its receiver checks signatures with. For managers only, since
/// whoever has it can sign.
pub(super) async fn secret(
    State(state): State<ApiState>,
    caller: Caller,
    Path((slug, name)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let source = caller.managed(&state, &slug)?;
    let destination = find(&source, &name)?;
    Ok(Json(json!({ "secret": state.signing.secret(destination.id) })))
}
