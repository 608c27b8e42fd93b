//! Is all well? Every source in a line, and what asks for somebody, with what to do about it.

mod problem;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use self::problem::{Problem, Seen, problems};
use super::error::ApiError;
use super::identity::Caller;
use super::{ApiState, moment};
use crate::model::{ProjectId, Source};
use crate::pulse::{Hour, Minute};
use crate::store::{Health, Standing};

/// How long what was told is told again: however many look, sources are counted so often.
const FRESH_MS: u64 = 2_000;

/// What was last told to each project. Cheap to clone.
#[derive(Clone, Default)]
pub struct Overviews(Arc<Mutex<HashMap<ProjectId, Told>>>);

/// When, in unix milliseconds, and what.
type Told = (u64, Arc<Vec<Line>>);

/// A source in a line.
#[derive(Clone)]
pub(super) struct Line {
    source: Arc<Source>,
    standing: Standing,
    hour: Hour,
    /// Destinations that wait for an agent, of those that need one.
    unserved: Vec<String>,
    agents: usize,
}

#[derive(Serialize)]
struct LineView<'a> {
    slug: &'a str,
    url: String,
    provider: Option<&'a str>,
    paused: bool,
    hold: bool,
    agents: usize,
    accepted: u64,
    delivered: Option<u64>,
    waiting: u64,
    dead: u64,
    cancelled: u64,
    oldest_waiting_at: Option<String>,
    minutes: Vec<MinuteView>,
    p50_us: Option<u64>,
    p99_us: Option<u64>,
}

#[derive(Serialize)]
struct MinuteView {
    events: u32,
    failed: u32,
}

impl From<&Minute> for MinuteView {
    fn from(minute: &Minute) -> Self {
        Self { events: minute.events, failed: minute.failed }
    }
}

/// `GET /overview`: at most two seconds old.
pub(super) async fn show(State(state): State<ApiState>, caller: Caller) -> Result<Json<Value>, ApiError> {
    let lines = lines(&state, caller.project()).await?;
    let lines: Vec<&Line> = lines.iter().filter(|line| caller.may_see(line.source.slug.as_str())).collect();
    let sources: Vec<_> = lines.iter().map(|line| view(&state, line)).collect();
    let is_full = matches!(state.store.health(), Health::Full);
    let found: Vec<Problem> = problem::of_server(is_full)
        .into_iter()
        .chain(lines.iter().flat_map(|line| problems(&seen(line), state.clock.now_ms())))
        .collect();
    let server = json!({ "version": env!("CARGO_PKG_VERSION") });
    Ok(Json(json!({ "server": server, "sources": sources, "problems": found })))
}

async fn lines(state: &ApiState, project: ProjectId) -> Result<Arc<Vec<Line>>, ApiError> {
    let now_ms = state.clock.now_ms();
    // Held while it is counted: whoever asks meanwhile is told the same.
    let mut overviews = state.overviews.0.lock().await;
    let known = overviews.get(&project).cloned();
    if let Some((told_ms, lines)) = known
        && now_ms.abs_diff(told_ms) < FRESH_MS
    {
        return Ok(lines);
    }
    let sources = state.store.sources(project);
    let standings = state.store.standings(sources.iter().map(|source| source.id).collect()).await?;
    let agents = (state.agents)(project);
    let mut serving: BTreeMap<&str, usize> = BTreeMap::new();
    agents.iter().flat_map(|agent| &agent.serves).for_each(|serve| *serving.entry(serve).or_default() += 1);
    let line = |(source, standing): (Arc<Source>, Standing)| {
        let slug = source.slug.as_str();
        let served = |name: &str| serving.get(format!("{slug}/{name}").as_str()).copied().unwrap_or_default();
        let by_agent = source.destinations.iter().filter(|destination| destination.rules.url.is_none());
        let unserved =
            by_agent.map(|d| d.name.as_str()).filter(|name| served(name) == 0).map(str::to_owned).collect();
        let agents = source.destinations.iter().map(|destination| served(destination.name.as_str())).sum();
        let hour = state.pulse.hour(source.id, now_ms);
        Line { source, standing, hour, unserved, agents }
    };
    let lines = Arc::new(sources.into_iter().zip(standings).map(line).collect::<Vec<_>>());
    overviews.insert(project, (now_ms, Arc::clone(&lines)));
    Ok(lines)
}

fn view<'a>(state: &ApiState, line: &'a Line) -> LineView<'a> {
    let Line { source, standing, hour, agents, .. } = line;
    LineView {
        slug: source.slug.as_str(),
        url: (state.public_url)(&source.slug),
        provider: source.rules.provider.as_ref().map(|provider| provider.name.as_str()),
        paused: source.rules.paused,
        hold: source.rules.hold,
        agents: *agents,
        accepted: standing.accepted,
        delivered: standing.delivered,
        waiting: standing.waiting,
        dead: standing.dead,
        cancelled: standing.cancelled,
        oldest_waiting_at: standing.oldest_waiting_ms.map(moment::text),
        minutes: hour.minutes.iter().map(MinuteView::from).collect(),
        p50_us: hour.p50_us,
        p99_us: hour.p99_us,
    }
}

fn seen(line: &Line) -> Seen<'_> {
    Seen {
        slug: line.source.slug.as_str(),
        rules: &line.source.rules,
        patience_ms: line.source.patience_ms(),
        standing: line.standing,
        hour: &line.hour,
        unserved: line.unserved.first().map(String::as_str),
    }
}
