//! What the relay knows of providers, for whoever sets up a source.

use axum::Json;
use provider::{Param, Provider, samples};
use serde::Serialize;
use serde_json::{Value, json};

use super::identity::Caller;

#[derive(Serialize)]
struct ProviderView {
    name: &'static str,
    title: &'static str,
    /// A form for those that are not known, and no provider.
    is_general: bool,
    /// What to give as secret, and where it is found.
    secret: &'static str,
    needs_secret: bool,
    params: &'static [Param],
    /// What it does after a failure.
    retries: &'static str,
    /// What to set at the relay.
    advice: &'static str,
    deadline_ms: Option<u32>,
    can_resign: bool,
    /// How a webhook is registered there, with `{url}` for the source's URL.
    register: &'static [String],
    /// Names of samples.
    samples: Vec<String>,
}

fn view(provider: &'static Provider) -> ProviderView {
    ProviderView {
        name: provider.name,
        title: &provider.title,
        is_general: provider.is_general,
        secret: &provider.facts.secret,
        needs_secret: provider.needs_secret(),
        params: &provider.params,
        retries: &provider.facts.retries,
        advice: &provider.facts.advice,
        deadline_ms: provider.facts.deadline_ms,
        can_resign: provider.can_resign,
        register: &provider.facts.steps,
        samples: samples::of(provider.name).into_iter().map(|sample| sample.name).collect(),
    }
}

/// `GET /providers`: by name.
pub(super) async fn list(_: Caller) -> Json<Value> {
    let all: Vec<_> = provider::all().iter().map(view).collect();
    Json(json!({ "providers": all }))
}
