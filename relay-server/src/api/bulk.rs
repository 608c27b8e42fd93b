//! Replaying many events at once: those of a filter, or those whose deliveries stand in a state.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use protocol::id::EventId;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::error::ApiError;
use super::events::Wanted;
use super::identity::Caller;
use super::input::Body;
use super::{ApiState, deliveries, destinations, rules};
use crate::model::{DeliveryId, DeliveryState, DestinationId, ProjectId, Source, SourceId};
use crate::store::{
    DELIVERIES_MAX, DeliveryFilter, EVENTS_MAX, EventFilter, Only, REPLAY_STEP, Replayed, Store, StoreError,
};

/// Most replays of one call. More are walked by calls that follow each other, and a person can stop between them.
const MATCHED_MAX: usize = 10_000;

/// How long a call looks for more. What it did not come to by then is left to the next call.
const LOOK_MAX: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    source: Option<String>,
    #[serde(default)]
    filter: Filter,
    destination: Option<String>,
    #[serde(default)]
    dry_run: bool,
    limit: Option<usize>,
    before: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    state: Option<DeliveryState>,
    #[serde(flatten)]
    only: Wanted,
}

/// `POST /replay`: new deliveries of all that match, newest first, at most 10,000. `next` is the `before` of the call
/// that goes on where this one stopped.
pub(super) async fn replay(
    State(state): State<ApiState>,
    caller: Caller,
    Body(wish): Body<Wish>,
) -> Result<Json<Value>, ApiError> {
    let limit = wish.limit.unwrap_or(MATCHED_MAX);
    if !(1..=MATCHED_MAX).contains(&limit) {
        return Err(ApiError::malformed("limit: from 1 to 10000"));
    }
    let mut before = wish.before.as_deref().map(deliveries::before).transpose()?;
    let walk = Walk {
        project: caller.project(),
        targets: targets(&state, &caller, &wish)?,
        is_named: wish.destination.is_some(),
        state: wish.filter.state,
        only: wish.filter.only.only()?,
    };
    let until = Instant::now() + LOOK_MAX;
    let mut bulk = Bulk::new(&state.store, wish.dry_run, limit);
    let next = loop {
        let page = walk.page(&state.store, before).await?;
        if !bulk.take(page.found).await? {
            break bulk.last;
        }
        match page.next {
            Some(next) if Instant::now() < until => before = Some(next),
            next => break next,
        }
    };
    bulk.make().await?;
    Ok(Json(json!({
        "matched": bulk.seen.len(),
        "made": bulk.made,
        "refused": bulk.refused,
        "more": next.is_some(),
        "next": next.map(deliveries::cursor),
    })))
}

/// A source that may be touched, and where its events go if nothing else is said.
struct Target {
    source: Arc<Source>,
    destination: DestinationId,
}

/// The live sources meant, as far as the caller may manage them, and as far as they have the destination named.
fn targets(state: &ApiState, caller: &Caller, wish: &Wish) -> Result<HashMap<SourceId, Target>, ApiError> {
    let sources = match &wish.source {
        Some(slug) => vec![caller.managed(state, slug)?],
        None => {
            caller.must_manage_some()?;
            let mut sources = state.store.sources(caller.project());
            sources.retain(|source| caller.may_manage(source.slug.as_str()));
            sources
        }
    };
    let is_empty = sources.is_empty();
    let target = |source: Arc<Source>| {
        let destination = match &wish.destination {
            Some(name) => destinations::find(&source, name).ok()?.id,
            None => rules::primary(&source)?.id,
        };
        Some((source.id, Target { source, destination }))
    };
    let targets: HashMap<_, _> = sources.into_iter().filter_map(target).collect();
    if targets.is_empty() && !is_empty {
        return Err(ApiError::no_such_destination());
    }
    Ok(targets)
}

/// What to look for.
struct Walk {
    project: ProjectId,
    targets: HashMap<SourceId, Target>,
    is_named: bool,
    state: Option<DeliveryState>,
    only: Only,
}

struct Page {
    found: Vec<Found>,
    next: Option<DeliveryId>,
}

/// Something to replay.
struct Found {
    event: EventId,
    /// `None`: the destination it went to is deleted.
    destination: Option<DestinationId>,
    /// Where it stands in the walk.
    at: DeliveryId,
}

impl Walk {
    async fn page(&self, store: &Store, before: Option<DeliveryId>) -> Result<Page, StoreError> {
        match self.state {
            Some(state) => self.deliveries(store, state, before).await,
            None => self.events(store, before.map(|before| before.event)).await,
        }
    }

    async fn events(&self, store: &Store, before: Option<EventId>) -> Result<Page, StoreError> {
        let page = store.events(EventFilter {
            project: self.project,
            sources: Some(self.targets.keys().copied().collect()),
            before,
            limit: EVENTS_MAX,
            only: self.only.clone(),
        });
        let page = page.await?;
        let whole = |event| DeliveryId { event, no: 0 };
        let found = page.events.iter().map(|event| Found {
            event: event.id,
            destination: self.targets.get(&event.source).map(|target| target.destination),
            at: whole(event.id),
        });
        Ok(Page { found: found.collect(), next: page.next.map(whole) })
    }

    async fn deliveries(
        &self,
        store: &Store,
        state: DeliveryState,
        before: Option<DeliveryId>,
    ) -> Result<Page, StoreError> {
        let page = store.deliveries(DeliveryFilter {
            sources: self.targets.keys().copied().collect(),
            destination: None,
            state: Some(state),
            only: self.only.clone(),
            before,
            limit: DELIVERIES_MAX,
        });
        let page = page.await?;
        let found = page.deliveries.iter().map(|delivery| Found {
            event: delivery.id.event,
            destination: self.targets.get(&delivery.source).and_then(|target| {
                let same = target.source.destination(delivery.destination).map(|same| same.id);
                if self.is_named { Some(target.destination) } else { same }
            }),
            at: delivery.id,
        });
        Ok(Page { found: found.collect(), next: page.next })
    }
}

/// What is made of what was found, step by step.
struct Bulk<'a> {
    store: &'a Store,
    is_dry: bool,
    limit: usize,
    // An event may have died on its way to a destination more than once; it is sent again once.
    seen: HashSet<(EventId, Option<DestinationId>)>,
    last: Option<DeliveryId>,
    step: Vec<(EventId, DestinationId)>,
    made: usize,
    refused: usize,
}

impl<'a> Bulk<'a> {
    fn new(store: &'a Store, is_dry: bool, limit: usize) -> Self {
        let (seen, step) = (HashSet::new(), Vec::with_capacity(REPLAY_STEP));
        Self { store, is_dry, limit, seen, last: None, step, made: 0, refused: 0 }
    }

    /// Takes a page in. False when there was one too many.
    async fn take(&mut self, page: Vec<Found>) -> Result<bool, StoreError> {
        for Found { event, destination, at } in page {
            let wish = (event, destination);
            if self.seen.contains(&wish) {
                continue;
            }
            if self.seen.len() == self.limit {
                return Ok(false);
            }
            self.seen.insert(wish);
            self.last = Some(at);
            match destination {
                _ if self.is_dry => {}
                Some(destination) => self.step.push((event, destination)),
                None => self.refused += 1,
            }
            if self.step.len() == REPLAY_STEP {
                self.make().await?;
            }
        }
        Ok(true)
    }

    /// Makes the deliveries of this step.
    async fn make(&mut self) -> Result<(), StoreError> {
        if self.step.is_empty() {
            return Ok(());
        }
        let step = std::mem::replace(&mut self.step, Vec::with_capacity(REPLAY_STEP));
        for replayed in self.store.replay(step).await? {
            match replayed {
                Replayed::Made(_) => self.made += 1,
                Replayed::Truncated(_) | Replayed::Gone(_) | Replayed::NoDestination(_) => self.refused += 1,
            }
        }
        Ok(())
    }
}
