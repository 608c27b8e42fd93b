//! Events accepted for good: how many a second, and how long a sender waits for its 202. Nobody serves the source, so
//! that accepting is all there is.
//!
//! Beside the server, in the same rounds: the store's own interface without HTTP, and the same rows written by the
//! plainest writer that keeps the same promise.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use protocol::id::EventId;
use relay_server::clock::Clock;
use relay_server::model::{ReplyMode, SourceRules};
use relay_server::store::{DEFAULT_PROJECT, Store};
use serde::Serialize;
use serde_json::json;

use super::{Bench, progress};
use crate::load::{Measured, Method, Plan, Stop, open};
use crate::machine::file_system_of;
use crate::parts::accepting;
use crate::relay::{Server, path_of};
use crate::report::{Findings, Goal, Spread, Table, number, spread_text};
use crate::systems::{SERVER, small_post};

const SOURCE: &str = "durable";

const CONCURRENCIES: [usize; 4] = [1, 16, 64, 256];
const BODIES_KIB: [u64; 2] = [1, 16];

/// Before each measurement: connections are open and statements prepared after a few hundred.
const WARM_UP: Duration = Duration::from_millis(250);

/// The open loop: rate, connections that may wait at once, and length relative to the closed loop's.
const OPEN_PER_SECOND: f64 = 1_000.0;
const OPEN_CONNECTIONS: usize = 64;
const OPEN_WINDOWS: u32 = 4;

const PER_SECOND_WANTED: f64 = 10_000.0;
const P99_MS_WANTED: f64 = 10.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Way {
    Http,
    Store,
    Rows,
}

impl Way {
    const ALL: [Self; 3] = [Self::Http, Self::Store, Self::Rows];

    fn name(self) -> &'static str {
        match self {
            Self::Http => "HTTP/1.1 to the server",
            Self::Store => "Store::accept",
            Self::Rows => "rows, plain SQLite",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Shape {
    body_kib: u64,
    concurrency: usize,
}

fn shapes() -> impl Iterator<Item = Shape> {
    BODIES_KIB
        .into_iter()
        .flat_map(|body_kib| CONCURRENCIES.map(|concurrency| Shape { body_kib, concurrency }))
}

#[derive(Debug, Serialize)]
struct Point {
    round: usize,
    way: Way,
    #[serde(flatten)]
    shape: Shape,
    #[serde(flatten)]
    measured: Measured,
}

impl Point {
    /// Of the process that accepts. Without HTTP that is the one that submits too.
    fn cpu_us_each(&self) -> f64 {
        let own = self.measured.used.load_cpu_seconds * 1e6 / self.measured.requests.max(1) as f64;
        if self.way == Way::Http { self.measured.cpu_per_1k(SERVER) * 1e3 } else { own }
    }
}

#[derive(Debug, Serialize)]
struct OpenPoint {
    round: usize,
    body_kib: u64,
    measured: open::Measured,
}

pub(super) async fn run(bench: &Bench<'_>) -> Result<Findings> {
    let file_system = file_system_of(bench.crew.folder())?;
    ensure!(
        file_system != "tmpfs",
        "{} is in memory, where nothing is durable: name a folder on a disk with TMPDIR",
        bench.crew.folder().display()
    );
    let like = sample(bench).await?;
    let (mut points, mut open_points) = (Vec::new(), Vec::new());
    for round in 0..bench.effort.rounds {
        // A new store each round: what lies there already is `stored`'s business.
        let name = format!("durable-{round}");
        let mut server = start(bench, &name).await?;
        // First, while the disk has nothing left to do of what the closed loops write at full speed.
        for body_kib in BODIES_KIB {
            let measured = bench.crew.stream(&open_plan(bench, &server, body_kib, round)).await?;
            progress(&format!(
                "durable, round {}, {body_kib} KiB at {OPEN_PER_SECOND}/s: p99 {} ms",
                round + 1,
                number(measured.streams[0].p99_ms, 2)
            ));
            open_points.push(OpenPoint { round, body_kib, measured });
        }
        for shape in shapes() {
            let mut ways = Way::ALL;
            if round % 2 == 1 {
                ways.reverse();
            }
            for way in ways {
                let measured = measure(bench, &server, &like, way, shape).await?;
                server.forget_logs()?;
                let Shape { body_kib, concurrency } = shape;
                progress(&format!(
                    "durable, round {}, {body_kib} KiB, concurrency {concurrency}, {}: {}/s",
                    round + 1,
                    way.name(),
                    number(measured.per_second(), 0)
                ));
                points.push(Point { round, way, shape, measured });
            }
        }
        drop(server);
        fs::remove_dir_all(Server::data_of(bench.crew, &name))?;
    }
    let goals = goals(&points, &open_points);
    let tables = vec![table(&points), open_table(&open_points), Goal::table("durable", &goals)];
    let data = json!({
        "file_system": file_system, "points": points, "open_loop": open_points, "goals": goals,
    });
    Ok(Findings { tables, data })
}

/// A server whose one source accepts whatever comes.
async fn start<'a>(bench: &Bench<'a>, name: &str) -> Result<Server<'a>> {
    let store = Store::open(&Server::data_of(bench.crew, name), Clock::system()).await?;
    let project = store.project(DEFAULT_PROJECT).await?;
    // As many at once as are sent: the last one's place may not be free when its sender has the answer.
    let rules = SourceRules { reply: ReplyMode::Accepted, in_flight_max: 4_096, ..SourceRules::default() };
    store.create_source(project, SOURCE.parse()?, rules, Default::default()).await?;
    store.close().await;
    Server::start(bench.crew, name, None).await
}

/// A data directory at rest with one event of each size, as the server wrote it.
async fn sample(bench: &Bench<'_>) -> Result<PathBuf> {
    let name = "durable-sample";
    let server = start(bench, name).await?;
    for body_kib in BODIES_KIB {
        let plan = Plan { stop: Stop::AfterRequests(1), ..plan(&server, Shape { body_kib, concurrency: 1 }) };
        let measured = bench.crew.load(&plan).await?;
        let error = measured.first_error.as_deref().unwrap_or_default();
        ensure!(measured.errors == 0, "the server does not accept: {error}");
    }
    Ok(Server::data_of(bench.crew, name))
}

fn plan(server: &Server<'_>, shape: Shape) -> Plan {
    Plan {
        path: path_of(SOURCE),
        body_bytes: shape.body_kib << 10,
        status: 202,
        answer_bytes: receipt_bytes(),
        watch: BTreeMap::from([(SERVER.to_owned(), server.id())]),
        ..small_post(server.public, shape.concurrency)
    }
}

/// Length of what the relay says to an event it keeps.
pub(super) fn receipt_bytes() -> u64 {
    json!({ "accepted": true, "event": EventId(0).to_string() }).to_string().len() as u64
}

async fn measure(
    bench: &Bench<'_>,
    server: &Server<'_>,
    like: &Path,
    way: Way,
    shape: Shape,
) -> Result<Measured> {
    let window = bench.effort.durable_window;
    let way = match way {
        Way::Http => {
            let plan = Plan { warm_up: WARM_UP, stop: Stop::After(window), ..plan(server, shape) };
            return bench.crew.load(&plan).await;
        }
        Way::Store => accepting::Way::Store,
        Way::Rows => accepting::Way::Rows,
    };
    let folder = bench.crew.folder().join("durable-without-http");
    let plan = accepting::Plan {
        way,
        like: like.to_owned(),
        body_bytes: shape.body_kib << 10,
        folder: folder.clone(),
        submitters: shape.concurrency,
        warm_up: WARM_UP,
        window,
    };
    let measured = bench.crew.accept(&plan).await;
    fs::remove_dir_all(folder)?;
    measured
}

fn open_plan(bench: &Bench<'_>, server: &Server<'_>, body_kib: u64, round: usize) -> open::Plan {
    let stream = open::Stream {
        name: format!("{body_kib} KiB"),
        to: server.public,
        method: Method::Post,
        paths: vec![path_of(SOURCE)],
        fields: Vec::new(),
        body_bytes: body_kib << 10,
        status: 202,
        per_second: OPEN_PER_SECOND,
        connections: OPEN_CONNECTIONS,
    };
    open::Plan {
        streams: vec![stream],
        warm_up: WARM_UP,
        window: bench.effort.durable_window * OPEN_WINDOWS,
        watch: BTreeMap::from([(SERVER.to_owned(), server.id())]),
        seed: round as u64,
    }
}

fn of(points: &[Point], way: Way, shape: Shape) -> impl Iterator<Item = &Point> + Clone {
    points.iter().filter(move |point| point.way == way && point.shape == shape)
}

fn table(points: &[Point]) -> Table {
    let columns = [
        "body KiB",
        "concurrency",
        "way",
        "accepts/s",
        "of plain rows",
        "p50 ms",
        "p99 ms",
        "CPU µs each",
        "errors",
        "foreign CPU %",
    ];
    let mut table = Table::new("Accepted and on disk, closed loop", &columns);
    for shape in shapes() {
        for way in Way::ALL {
            let own = of(points, way, shape);
            let spread = |value: &dyn Fn(&Point) -> f64| Spread::of(own.clone().map(value));
            let ratio = Spread::of(own.clone().filter_map(|point| {
                let plain = of(points, Way::Rows, shape).find(|plain| plain.round == point.round)?;
                let plain = plain.measured.per_second();
                (plain > 0.0).then(|| point.measured.per_second() / plain)
            }));
            let errors: u64 =
                own.clone().map(|p| p.measured.errors + p.measured.silent_connections as u64).sum();
            let first_error = own.clone().find_map(|point| point.measured.first_error.as_ref());
            let foreign = own.clone().map(|point| point.measured.used.foreign_cpu_percent);
            table.row(vec![
                shape.body_kib.to_string(),
                shape.concurrency.to_string(),
                way.name().to_owned(),
                spread_text(spread(&|point| point.measured.per_second()), 0),
                spread_text(ratio, 2),
                spread_text(spread(&|point| point.measured.p50_ms), 2),
                spread_text(spread(&|point| point.measured.p99_ms), 2),
                spread_text(spread(&Point::cpu_us_each), 0),
                first_error.map_or_else(|| errors.to_string(), |first| format!("{errors} ({first})")),
                number(foreign.fold(0.0, f64::max), 0),
            ]);
        }
    }
    table
}

fn open_table(points: &[OpenPoint]) -> Table {
    let title = format!("Accepted and on disk, {} a second as they come", number(OPEN_PER_SECOND, 0));
    let columns =
        ["body KiB", "asked/s", "p50 ms", "p99 ms", "most ms", "CPU µs each", "errors", "foreign CPU %"];
    let mut table = Table::new(title, &columns);
    for body_kib in BODIES_KIB {
        let own = || points.iter().filter(move |point| point.body_kib == body_kib);
        let spread =
            |value: fn(&open::Measured) -> f64| Spread::of(own().map(|point| value(&point.measured)));
        let first = own().find_map(|point| point.measured.streams[0].first_error.as_ref());
        let errors: u64 = own().map(|point| point.measured.streams[0].errors).sum();
        let foreign = own().map(|point| point.measured.used.foreign_cpu_percent);
        table.row(vec![
            body_kib.to_string(),
            spread_text(spread(|run| run.streams[0].asked as f64 / run.used.seconds), 0),
            spread_text(spread(|run| run.streams[0].p50_ms), 2),
            spread_text(spread(|run| run.streams[0].p99_ms), 2),
            spread_text(spread(|run| run.streams[0].max_ms), 1),
            spread_text(spread(|run| run.used.cpu_per_1k(SERVER, run.streams[0].answered) * 1e3), 0),
            first.map_or_else(|| errors.to_string(), |first| format!("{errors} ({first})")),
            number(foreign.fold(0.0, f64::max), 0),
        ]);
    }
    table
}

/// By medians of the rounds, as the tables show them.
fn goals(points: &[Point], open_points: &[OpenPoint]) -> [Goal; 2] {
    let median = |values: Option<Spread>| values.map_or(f64::NAN, |spread| spread.median);
    let best = CONCURRENCIES.into_iter().map(|concurrency| {
        let shape = Shape { body_kib: 1, concurrency };
        median(Spread::of(of(points, Way::Http, shape).map(|point| point.measured.per_second())))
    });
    let small = open_points.iter().filter(|point| point.body_kib == 1);
    let p99 = median(Spread::of(small.map(|point| point.measured.streams[0].p99_ms)));
    [
        Goal::at_least(
            "accepts/s over HTTP, 1 KiB, best concurrency",
            PER_SECOND_WANTED,
            best.fold(f64::NAN, f64::max),
            0,
        ),
        Goal::below("p99 ms of the 202, 1 KiB, 1,000/s", P99_MS_WANTED, p99, 2),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_as_long_as_the_server_writes_it() {
        assert_eq!(
            receipt_bytes(),
            r#"{"accepted":true,"event":"evt_00000000000000000000000000"}"#.len() as u64
        );
    }
}
