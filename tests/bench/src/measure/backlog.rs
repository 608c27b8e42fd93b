//! A backlog: many events accepted while nobody serves their source, then an agent comes. How fast does it get them,
//! what does it cost in memory, and does each arrive, once?

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use relay_server::clock::Clock;
use relay_server::model::{DestinationRules, SourceRules};
use relay_server::store::{Audit, DEFAULT_PROJECT, DestinationChange, Store};
use serde::Serialize;
use serde_json::json;
use tokio::time::sleep;

use super::durable::receipt_bytes;
use super::{Bench, progress};
use crate::load::account::{Snapshot, Used};
use crate::load::{Measured, Plan, Stop};
use crate::machine::file_system_of;
use crate::relay::{Agent, Server, path_of};
use crate::report::{Findings, Goal, Table, number};
use crate::sink::{Seen, Sink};
use crate::systems::{AGENT, SERVER, small_post};
use crate::usage;

/// Senders while nobody is there.
const SENDERS: usize = 64;

/// Attempts under way at once: the default, and as many as the app can bear.
const CONCURRENCIES: [Option<u32>; 2] = [None, Some(64)];

/// How often memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A backlog that takes longer than this is not going to be delivered.
const DELIVERED_MAX: Duration = Duration::from_secs(300);

/// After the last body arrived: until the store says so too.
const SETTLED_MAX: Duration = Duration::from_secs(20);

#[derive(Debug, Serialize)]
struct Point {
    /// None: the default rules.
    concurrency: Option<u32>,
    events: u64,
    accepting: Measured,
    /// From the first body at the app to the last.
    delivering_seconds: f64,
    /// From the agent's live line to the first body.
    first_after_ms: f64,
    /// From the agent's live line to the first look after the last body.
    used: Used,
    weights: Vec<Weight>,
    server_peak_kib: u64,
    agent_peak_kib: u64,
    seen: Seen,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Weight {
    delivered: u64,
    server_kib: u64,
    agent_kib: u64,
}

impl Point {
    fn name(&self) -> String {
        self.concurrency.map_or_else(|| "default".to_owned(), |most| format!("concurrency {most}"))
    }

    fn per_second(&self) -> f64 {
        self.events as f64 / self.delivering_seconds
    }

    /// What both weighed when this part of the backlog was delivered.
    fn weight_at(&self, part: f64) -> Option<Weight> {
        let wanted = self.events as f64 * part;
        self.weights.iter().find(|weight| weight.delivered as f64 >= wanted).copied()
    }
}

pub(super) async fn run(bench: &Bench<'_>) -> Result<Findings> {
    let mut points = Vec::new();
    for concurrency in CONCURRENCIES {
        let point = measure(bench, concurrency).await?;
        progress(&format!("backlog, {}: {}/s", point.name(), number(point.per_second(), 0)));
        points.push(point);
    }
    let goals: Vec<Goal> = points
        .iter()
        .map(|point| {
            let other = point.events - point.seen.once + point.seen.strange;
            Goal::below(format!("bodies not seen exactly once, {}", point.name()), 1.0, other as f64, 0)
        })
        .collect();
    let tables = vec![table(&points), memory_table(&points), Goal::table("backlog", &goals)];
    let file_system = file_system_of(bench.crew.folder())?;
    Ok(Findings { tables, data: json!({ "file_system": file_system, "points": points, "goals": goals }) })
}

async fn measure(bench: &Bench<'_>, concurrency: Option<u32>) -> Result<Point> {
    let events = bench.effort.backlog_events;
    let name = format!("backlog-{}", concurrency.unwrap_or_default());
    let data = Server::data_of(bench.crew, &name);
    prepare(&data, &name, concurrency).await?;
    let mut server = Server::start(bench.crew, &name, None).await?;
    let accepting = accept(bench, &server, &name, events).await?;
    server.forget_logs()?;

    let sink = Sink::start(usize::try_from(events)?).await?;
    let join_line = server.join_line(None).await?;
    usage::reset_peak(server.id())?;
    let agent = Agent::start(bench.crew, &name, &join_line, sink.addr).await?;
    let live_at = Instant::now();
    let watch = BTreeMap::from([(SERVER.to_owned(), server.id()), (AGENT.to_owned(), agent.id())]);
    let before = Snapshot::take(&watch)?;
    let weights = deliver(&sink, &server, &agent, events).await?;
    let used = Snapshot::take(&watch)?.since(&before)?;
    settled(&data, &name, events).await?;
    let (first, last) = sink.span().context("nothing was delivered")?;
    let point = Point {
        concurrency,
        events,
        accepting,
        delivering_seconds: (last - first).as_secs_f64(),
        // The agent may be given work before it has told us that it is live.
        first_after_ms: first.saturating_duration_since(live_at).as_secs_f64() * 1e3,
        used,
        weights,
        server_peak_kib: usage::memory(server.id())?.peak_kib,
        agent_peak_kib: usage::memory(agent.id())?.peak_kib,
        seen: sink.seen(),
    };
    drop((agent, server));
    fs::remove_dir_all(data)?;
    Ok(point)
}

/// A source nobody serves yet.
async fn prepare(data: &Path, name: &str, concurrency: Option<u32>) -> Result<()> {
    let store = Store::open(data, Clock::system()).await?;
    let project = store.project(DEFAULT_PROJECT).await?;
    let rules = SourceRules { in_flight_max: 4_096, ..SourceRules::default() };
    let source = store.create_source(project, name.parse()?, rules, Default::default()).await?;
    if let Some(concurrency) = concurrency {
        let rules = DestinationRules { concurrency, ..DestinationRules::default() };
        let change = DestinationChange { rules: Some(rules), ..DestinationChange::default() };
        store.update_destination(source.id, source.destinations[0].id, change).await?;
    }
    store.close().await;
    Ok(())
}

/// Sends them all, each with a number of its own. An agent that is away makes the server accept.
async fn accept(bench: &Bench<'_>, server: &Server<'_>, source: &str, events: u64) -> Result<Measured> {
    let plan = Plan {
        path: path_of(source),
        numbered_from: Some(0),
        status: 202,
        answer_bytes: receipt_bytes(),
        stop: Stop::AfterRequests(events),
        watch: BTreeMap::from([(SERVER.to_owned(), server.id())]),
        ..small_post(server.public, SENDERS)
    };
    let measured = bench.crew.load(&plan).await?;
    let error = measured.first_error.as_deref().unwrap_or_default();
    ensure!(measured.errors == 0, "{} of {events} events were not accepted: {error}", measured.errors);
    Ok(measured)
}

/// Waits until every number has come, and weighs both meanwhile.
async fn deliver(sink: &Sink, server: &Server<'_>, agent: &Agent, events: u64) -> Result<Vec<Weight>> {
    let deadline = Instant::now() + DELIVERED_MAX;
    let mut weights = Vec::new();
    loop {
        let delivered = sink.distinct();
        weights.push(Weight {
            delivered,
            server_kib: usage::memory(server.id())?.resident_kib,
            agent_kib: usage::memory(agent.id())?.resident_kib,
        });
        if delivered == events {
            return Ok(weights);
        }
        ensure!(
            Instant::now() < deadline,
            "{delivered} of {events} events were delivered in {DELIVERED_MAX:?}"
        );
        sleep(LOOK_EVERY).await;
    }
}

/// Waits until the store accounts for every delivery: none is under way then that could arrive a second time.
async fn settled(data: &Path, source: &str, events: u64) -> Result<()> {
    let deadline = Instant::now() + SETTLED_MAX;
    loop {
        let data = data.to_owned();
        let audit = tokio::task::spawn_blocking(move || Audit::of_data_dir(&data, false)).await??;
        let found =
            audit.sources.iter().find(|found| found.source == source).context("no event was accepted")?;
        ensure!(found.is_balanced() && found.accepted == events, "the audit does not add up: {found:?}");
        if found.delivered == events {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "not settled within {SETTLED_MAX:?}: {found:?}");
        sleep(LOOK_EVERY).await;
    }
}

fn table(points: &[Point]) -> Table {
    let events = points.first().map_or(0, |point| point.events);
    let title = format!("{} waiting events of 1 KiB, and then an agent", number(events as f64, 0));
    let columns = [
        "rules",
        "accepts/s before",
        "deliveries/s",
        "first after ms",
        "CPU s/1k server",
        "CPU s/1k agent",
        "seen once",
        "more than once",
        "never",
        "foreign CPU %",
    ];
    let mut table = Table::new(title, &columns);
    for point in points {
        table.row(vec![
            point.name(),
            number(point.accepting.per_second(), 0),
            number(point.per_second(), 0),
            number(point.first_after_ms, 0),
            number(point.used.cpu_per_1k(SERVER, point.events), 3),
            number(point.used.cpu_per_1k(AGENT, point.events), 3),
            number(point.seen.once as f64, 0),
            number(point.seen.more_than_once as f64, 0),
            number(point.seen.never as f64, 0),
            number(point.used.foreign_cpu_percent, 0),
        ]);
    }
    table
}

fn memory_table(points: &[Point]) -> Table {
    const PARTS: [f64; 3] = [0.1, 0.5, 0.9];
    let columns = ["rules", "process", "10 % MiB", "50 % MiB", "90 % MiB", "peak MiB"];
    let mut table = Table::new("Memory while the backlog is delivered (resident)", &columns);
    let mib = |kib: u64| number(kib as f64 / 1_024.0, 1);
    for point in points {
        let [server, agent]: [fn(Weight) -> u64; 2] = [|weight| weight.server_kib, |weight| weight.agent_kib];
        for (process, of, peak_kib) in
            [("server", server, point.server_peak_kib), ("agent", agent, point.agent_peak_kib)]
        {
            let at = PARTS.map(|part| point.weight_at(part).map_or_else(|| "-".to_owned(), |w| mib(of(w))));
            let front = [point.name(), process.to_owned()];
            table.row(front.into_iter().chain(at).chain([mib(peak_kib)]).collect());
        }
    }
    table
}
