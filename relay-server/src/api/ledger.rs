//! What a source was entrusted with, and what became of it.

use axum::Json;
use axum::extract::{Path, State};

use super::ApiState;
use super::error::ApiError;
use super::identity::Caller;
use crate::store::Ledger;

/// `GET /sources/{slug}/ledger`: `accepted` is `stored` and `forgotten`, `deliveries` are `delivered`, `dead`,
/// `cancelled` and `waiting`.
pub(super) async fn show(
    State(state): State<ApiState>,
    caller: Caller,
    Path(slug): Path<String>,
) -> Result<Json<Ledger>, ApiError> {
    let source = caller.source(&state, &slug)?;
    Ok(Json(state.store.ledger(source.id).await?))
}
