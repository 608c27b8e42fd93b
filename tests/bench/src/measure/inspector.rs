//! How soon the inspector shows its first list in a real browser, with a store full of events; and what ten open
//! inspectors cost a server that is at its limit.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::sleep;

use super::{Bench, progress};
use crate::load::{Measured, Plan, Stop};
use crate::parts::watching::{self, Seen};
use crate::process::{Input, Launch, Process};
use crate::relay::{Agent, Server, path_of};
use crate::report::{Findings, Goal, Spread, Table, number, spread_text};
use crate::seeds;
use crate::systems::{AGENT, APP, SERVER, small_post};

const STORED: &str = "inspector-stored";
const WATCHED: &str = "inspector-watched";

const INSPECTORS: usize = 10;

/// As the page does.
const OVERVIEW_EVERY: Duration = Duration::from_secs(5);

const CONNECTIONS: usize = 64;

/// Short, and many of them: the machine's mood changes within seconds.
const PAIR_WINDOW: Duration = Duration::from_secs(1);

/// Its npm packages may have to be fetched first.
const BROWSING_MAX: Duration = Duration::from_secs(420);

/// What closed inspectors leave behind is over by then, and counts for neither side.
const CLOSING: Duration = Duration::from_millis(200);

const FIRST_LIST_MS_WANTED: f64 = 200.0;
const COST_PERCENT_WANTED: f64 = 5.0;

/// What the browser's script says: milliseconds from the start of the navigation to the first drawn list.
#[derive(Debug, Serialize, Deserialize)]
struct FirstLists {
    /// Nothing of the page in the browser's cache.
    fresh_ms: Vec<f64>,
    /// As whoever comes back finds it.
    again_ms: Vec<f64>,
    /// A page with one script that draws as many lines of text: what browser and machine take by themselves.
    bare_ms: Vec<f64>,
}

/// A window without inspectors and one with them, beside each other.
#[derive(Debug, Serialize)]
struct Pair {
    alone: Measured,
    watched: Measured,
    /// What the inspectors were told in the second window.
    told: Seen,
}

impl Pair {
    /// Lines of each inspector for each request; a gap is one line, however much it says is missing.
    fn told_share(&self) -> f64 {
        self.told.lines as f64 / (INSPECTORS as u64 * self.watched.requests) as f64
    }
}

/// One side of all pairs together: one pair says little where the machine itself is faster and slower by a tenth.
struct Sum {
    per_second: f64,
    cpu_per_1k: f64,
}

fn alone(pair: &Pair) -> &Measured {
    &pair.alone
}

fn looked_at(pair: &Pair) -> &Measured {
    &pair.watched
}

impl Sum {
    fn of(pairs: &[Pair], side: Side) -> Self {
        let sum = |value: fn(&Measured) -> f64| pairs.iter().map(|pair| value(side(pair))).sum::<f64>();
        let requests = sum(|measured| measured.requests as f64);
        let cpu_seconds = sum(|measured| measured.used.cpu_seconds.get(SERVER).copied().unwrap_or_default());
        Self {
            per_second: requests / sum(|measured| measured.used.seconds),
            cpu_per_1k: cpu_seconds * 1e3 / requests,
        }
    }
}

type Side = fn(&Pair) -> &Measured;

pub(super) async fn run(bench: &Bench<'_>) -> Result<Findings> {
    let first = first_lists(bench).await?;
    let pairs = watched(bench).await?;
    let goals = goals(&first, &pairs);
    let tables = vec![
        first_table(bench.effort.stored_events, &first),
        cost_table(&pairs),
        Goal::table("inspector", &goals),
    ];
    let data =
        json!({ "events": bench.effort.stored_events, "first": first, "pairs": pairs, "goals": goals });
    Ok(Findings { tables, data })
}

/// Opens the inspector in Chromium, many times, on a server with all those events.
async fn first_lists(bench: &Bench<'_>) -> Result<FirstLists> {
    let data = Server::data_of(bench.crew, STORED);
    let seeded = seeds::sow(&data, bench.effort.stored_events, 1).await?;
    progress(&format!("inspector, {} events stored", number(bench.effort.stored_events as f64, 0)));
    let server = Server::start(bench.crew, STORED, None).await?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../inspector/first-list");
    let asked = json!({
        "origin": format!("http://{}", server.admin), "token": seeded.token, "tries": bench.effort.pages_opened,
    });
    let asked = format!("{asked}\n");
    let launch = Launch {
        name: "browser",
        binary: &script,
        arguments: Vec::new(),
        environment: Vec::new(),
        input: Input::Text(&asked),
    };
    let said = Process::start(launch, bench.crew.folder())?.finish(BROWSING_MAX).await?;
    let first: FirstLists =
        serde_json::from_str(&said).context("the browser's script did not say its figures")?;
    for (name, all) in [("fresh", &first.fresh_ms), ("again", &first.again_ms), ("bare", &first.bare_ms)] {
        // The bare page beside each of the others.
        let tries = bench.effort.pages_opened * if name == "bare" { 2 } else { 1 };
        ensure!(all.len() == tries, "{} pages were opened {name}", all.len());
        progress(&format!(
            "inspector, first list {name}: {} ms",
            spread_text(Spread::of(all.iter().copied()), 0)
        ));
    }
    drop(server);
    fs::remove_dir_all(&data)?;
    Ok(first)
}

/// Small POSTs to an app as fast as they go, with inspectors and without, turn by turn.
async fn watched(bench: &Bench<'_>) -> Result<Vec<Pair>> {
    let (app, app_addr) = bench.crew.app("app").await?;
    let mut server = Server::start(bench.crew, WATCHED, None).await?;
    let mut agent = Agent::start(bench.crew, WATCHED, &server.join_line(None).await?, app_addr).await?;
    let watching = watching::Plan {
        admin: server.admin,
        token: server.read_token().await?,
        inspectors: INSPECTORS,
        overview_every: OVERVIEW_EVERY,
    };
    let load = Plan {
        path: path_of(WATCHED),
        // Whatever is sent while inspectors are open counts, so that what they were told can be compared with it.
        warm_up: Duration::ZERO,
        stop: Stop::After(PAIR_WINDOW),
        watch: [(SERVER, server.id()), (AGENT, agent.id()), (APP, app.id())]
            .map(|(role, id)| (role.to_owned(), id))
            .into(),
        ..small_post(server.public, CONNECTIONS)
    };
    let mut pairs = Vec::new();
    bench.crew.load(&load).await?;
    for number_of in 0..bench.effort.watched_pairs {
        let mut alone = None;
        // Every other pair goes backwards: what the machine does more and more of must not count for one side.
        if number_of % 2 == 0 {
            alone = Some(bench.crew.load(&load).await?);
        }
        let mut watchers = bench.crew.watch(&watching).await?;
        let watched = bench.crew.load(&load).await?;
        let told = watchers.seen().await?;
        ensure!(told.lines > 0 && told.overviews > 0, "the inspectors were told nothing: {told:?}");
        drop(watchers);
        sleep(CLOSING).await;
        let alone = match alone {
            Some(alone) => alone,
            None => bench.crew.load(&load).await?,
        };
        let pair = Pair { alone, watched, told };
        progress(&format!(
            "inspector, pair {}: {}/s alone, {}/s watched",
            number_of + 1,
            number(pair.alone.per_second(), 0),
            number(pair.watched.per_second(), 0),
        ));
        pairs.push(pair);
        server.forget_logs()?;
        agent.forget_logs()?;
    }
    Ok(pairs)
}

fn first_table(events: u64, first: &FirstLists) -> Table {
    let title =
        format!("From opening the inspector to its first list, {} events stored", number(events as f64, 0));
    let mut table = Table::new(title, &["opened", "ms", "tries"]);
    let rows = [
        ("with nothing cached", &first.fresh_ms),
        ("again", &first.again_ms),
        ("a bare page in its place", &first.bare_ms),
    ];
    for (name, all) in rows {
        let spread = spread_text(Spread::of(all.iter().copied()), 0);
        table.row(vec![name.to_owned(), spread, all.len().to_string()]);
    }
    table
}

fn cost_table(pairs: &[Pair]) -> Table {
    let columns = [
        "inspectors",
        "requests/s",
        "CPU s/1k server",
        "p99 ms",
        "lines told of each",
        "errors",
        "foreign CPU %",
    ];
    let title =
        format!("Small POSTs to an app, concurrency {CONNECTIONS}, {INSPECTORS} inspectors open and none");
    let mut table = Table::new(title, &columns);
    let sides: [(&str, Side); 2] = [("0", alone), ("10", looked_at)];
    for (name, side) in sides {
        let spread = |value: fn(&Measured) -> f64| Spread::of(pairs.iter().map(|pair| value(side(pair))));
        let told = Spread::of(pairs.iter().map(Pair::told_share)).filter(|_| name != "0");
        table.row(vec![
            name.to_owned(),
            spread_text(spread(Measured::per_second), 0),
            spread_text(spread(|measured| measured.cpu_per_1k(SERVER)), 4),
            spread_text(spread(|measured| measured.p99_ms), 1),
            spread_text(told, 2),
            pairs.iter().map(|pair| side(pair).errors).sum::<u64>().to_string(),
            spread_text(spread(|measured| measured.used.foreign_cpu_percent), 0),
        ]);
    }
    table
}

/// First lists by their medians, costs by the sums over all pairs.
fn goals(first: &FirstLists, pairs: &[Pair]) -> Vec<Goal> {
    let median = |values: &[f64]| Spread::of(values.iter().copied()).map_or(f64::NAN, |spread| spread.median);
    let (without, with) = (Sum::of(pairs, alone), Sum::of(pairs, looked_at));
    let cpu_percent = (with.cpu_per_1k / without.cpu_per_1k - 1.0) * 100.0;
    // What reading costs the inspectors is in it: they share the cores.
    let throughput_percent = (1.0 - with.per_second / without.per_second) * 100.0;
    let list = |what: &str, all: &[f64]| {
        Goal::below(format!("ms to the first list, {what}"), FIRST_LIST_MS_WANTED, median(all), 0)
    };
    let cost = |what: &str, percent| {
        Goal::below(format!("% {what}, ten inspectors"), COST_PERCENT_WANTED, percent, 1)
    };
    vec![
        list("nothing cached", &first.fresh_ms),
        list("again", &first.again_ms),
        cost("more server CPU for a request", cpu_percent),
        cost("less throughput", throughput_percent),
    ]
}
