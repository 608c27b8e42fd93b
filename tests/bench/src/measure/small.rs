//! Small POSTs in a closed loop, at several concurrencies, and with a new connection for every request.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;
use serde_json::json;

use super::{Bench, progress};
use crate::load::{Measured, Stop};
use crate::report::{Findings, Spread, Table, number, spread_text};
use crate::systems::{AGENT, SERVER, System, Systems};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Shape {
    is_fresh: bool,
    connections: usize,
}

const SHAPES: [Shape; 5] = [
    Shape { is_fresh: false, connections: 1 },
    Shape { is_fresh: false, connections: 16 },
    Shape { is_fresh: false, connections: 64 },
    Shape { is_fresh: false, connections: 256 },
    Shape { is_fresh: true, connections: 16 },
];

impl Shape {
    fn name(self) -> String {
        let connection = if self.is_fresh { "new connection per request" } else { "kept connections" };
        format!("concurrency {}, {connection}", self.connections)
    }

    /// With TLS, a new connection per request measures handshakes, in the load generator as much as in the server.
    fn suits(self, system: System) -> bool {
        !(self.is_fresh && system == System::RelayTls)
    }
}

/// One measurement.
#[derive(Debug, Serialize)]
struct Point {
    round: usize,
    system: System,
    #[serde(flatten)]
    shape: Shape,
    #[serde(flatten)]
    measured: Measured,
}

/// All rounds of one system in one shape.
#[derive(Debug, Serialize)]
struct Row {
    system: System,
    #[serde(flatten)]
    shape: Shape,
    per_second: Option<Spread>,
    ratio_to_direct: Option<Spread>,
    ratio_to_two_hops: Option<Spread>,
    p50_ms: Option<Spread>,
    p99_ms: Option<Spread>,
    cpu_server_per_1k: Option<Spread>,
    cpu_agent_per_1k: Option<Spread>,
    cpu_both_per_1k: Option<Spread>,
    /// Wrong answers, broken connections, and connections that heard nothing. All rounds together.
    errors: u64,
    first_error: Option<String>,
    foreign_cpu_percent_worst: f64,
}

pub(super) async fn run(bench: &Bench<'_>) -> Result<Findings> {
    let mut systems = Systems::start(bench.crew, bench.systems).await?;
    let mut points = Vec::new();
    for round in 0..bench.effort.rounds {
        for shape in SHAPES {
            for standing in systems.in_order(round) {
                if !shape.suits(standing.system) {
                    continue;
                }
                let mut plan = standing.plan(shape.connections);
                plan.is_fresh = shape.is_fresh;
                plan.warm_up = bench.effort.warm_up;
                plan.stop = Stop::After(bench.effort.window);
                let measured = bench.crew.load(&plan).await?;
                standing.forget_logs()?;
                let system = standing.system;
                progress(&format!(
                    "small, round {}, {}, {}: {}/s",
                    round + 1,
                    shape.name(),
                    system.name(),
                    number(measured.per_second(), 0)
                ));
                points.push(Point { round, system, shape, measured });
            }
        }
    }
    let rows = rows(bench.systems, &points);
    let tables = SHAPES.iter().map(|shape| table(*shape, &rows)).collect();
    Ok(Findings { tables, data: json!({ "rows": rows, "points": points }) })
}

fn rows(systems: &[System], points: &[Point]) -> Vec<Row> {
    let mut by_place: BTreeMap<(Shape, System), Vec<&Point>> = BTreeMap::new();
    for point in points {
        by_place.entry((point.shape, point.system)).or_default().push(point);
    }
    let places = SHAPES.iter().flat_map(|shape| systems.iter().map(move |system| (*shape, *system)));
    places.filter_map(|place| Some(row(place, by_place.get(&place)?, points))).collect()
}

fn row((shape, system): (Shape, System), own: &[&Point], points: &[Point]) -> Row {
    let spread =
        |value: &dyn Fn(&Measured) -> f64| Spread::of(own.iter().map(|point| value(&point.measured)));
    // Round by round: the machine's mood changes between rounds more than within one.
    let ratio_to = |other: System| {
        Spread::of(own.iter().filter_map(|point| {
            let same = |p: &&Point| p.round == point.round && p.shape == shape && p.system == other;
            let base = points.iter().find(same)?.measured.per_second();
            (base > 0.0).then(|| point.measured.per_second() / base)
        }))
    };
    let cpu = |roles: &'static [&str]| {
        if system == System::Direct {
            return None;
        }
        spread(&|measured| roles.iter().map(|role| measured.cpu_per_1k(role)).sum())
    };
    Row {
        system,
        shape,
        per_second: spread(&Measured::per_second),
        ratio_to_direct: ratio_to(System::Direct),
        ratio_to_two_hops: ratio_to(System::TwoHops),
        p50_ms: spread(&|measured| measured.p50_ms),
        p99_ms: spread(&|measured| measured.p99_ms),
        cpu_server_per_1k: cpu(&[SERVER]),
        cpu_agent_per_1k: cpu(&[AGENT]),
        cpu_both_per_1k: cpu(&[SERVER, AGENT]),
        errors: own.iter().map(|p| p.measured.errors + p.measured.silent_connections as u64).sum(),
        first_error: own.iter().find_map(|point| point.measured.first_error.clone()),
        foreign_cpu_percent_worst: own
            .iter()
            .map(|p| p.measured.used.foreign_cpu_percent)
            .fold(0.0, f64::max),
    }
}

fn table(shape: Shape, rows: &[Row]) -> Table {
    let columns = [
        "system",
        "requests/s",
        "of direct",
        "of two hops",
        "p50 ms",
        "p99 ms",
        "CPU s/1k server",
        "CPU s/1k agent",
        "CPU s/1k both",
        "errors",
        "foreign CPU %",
    ];
    let title = format!("Small POST (1 KiB up, 2 B down), {}", shape.name());
    let mut table = Table::new(title, &columns);
    for row in rows.iter().filter(|row| row.shape == shape) {
        table.row(vec![
            row.system.name().to_owned(),
            spread_text(row.per_second, 0),
            spread_text(row.ratio_to_direct, 3),
            spread_text(row.ratio_to_two_hops, 2),
            spread_text(row.p50_ms, 2),
            spread_text(row.p99_ms, 2),
            spread_text(row.cpu_server_per_1k, 3),
            spread_text(row.cpu_agent_per_1k, 3),
            spread_text(row.cpu_both_per_1k, 3),
            row.first_error
                .as_ref()
                .map_or_else(|| row.errors.to_string(), |first| format!("{} ({first})", row.errors)),
            number(row.foreign_cpu_percent_worst, 0),
        ]);
    }
    table
}
