//! One large body at a time, up and down: throughput, CPU, and how much memory it makes the two ends take.

use anyhow::{Result, ensure};
use serde::Serialize;
use serde_json::json;

use super::{Bench, progress};
use crate::load::{Measured, Method, Stop};
use crate::report::{Findings, Spread, Table, number, spread_text};
use crate::systems::{AGENT, SERVER, Standing, System, Systems};
use crate::usage;

const BODY_MIB: u64 = 64;
const BODY_BYTES: u64 = BODY_MIB << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Way {
    Up,
    Down,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// One measurement: several bodies, one after the other.
#[derive(Debug, Serialize)]
struct Point {
    round: usize,
    system: System,
    way: Way,
    mib_per_second: f64,
    cpu_seconds_per_gib: f64,
    server_peak_mib: f64,
    agent_peak_mib: f64,
    measured: Measured,
}

pub(super) async fn run(bench: &Bench<'_>) -> Result<Findings> {
    let mut systems = Systems::start(bench.crew, bench.systems).await?;
    let mut points = Vec::new();
    for round in 0..bench.effort.rounds {
        for way in [Way::Up, Way::Down] {
            for standing in systems.in_order(round) {
                let point = measure(bench, standing, way, round).await?;
                standing.forget_logs()?;
                let speed = number(point.mib_per_second, 0);
                progress(&format!(
                    "bulk, round {}, {}, {}: {speed} MiB/s",
                    round + 1,
                    way.name(),
                    point.system.name()
                ));
                points.push(point);
            }
        }
    }
    let tables = [Way::Up, Way::Down].map(|way| table(way, bench.systems, &points)).into();
    Ok(Findings { tables, data: json!({ "points": points }) })
}

async fn measure(bench: &Bench<'_>, standing: &Standing<'_>, way: Way, round: usize) -> Result<Point> {
    let mut plan = standing.plan(1);
    match way {
        Way::Up => {
            plan.path.push_str(&format!("/up/{BODY_BYTES}"));
            plan.body_bytes = BODY_BYTES;
        }
        Way::Down => {
            plan.path.push_str(&format!("/down/{BODY_BYTES}"));
            plan.method = Method::Get;
            plan.body_bytes = 0;
            plan.answer_bytes = BODY_BYTES;
        }
    }
    // One body that does not count: it opens the connections and grows the buffers.
    plan.stop = Stop::AfterRequests(1);
    bench.crew.load(&plan).await?;
    if let Some((server, agent)) = standing.between() {
        usage::reset_peak(server)?;
        usage::reset_peak(agent)?;
    }
    plan.stop = Stop::AfterRequests(bench.effort.transfers);
    let measured = bench.crew.load(&plan).await?;
    let error = measured.first_error.as_deref().unwrap_or_default();
    let (name, way_name) = (standing.system.name(), way.name());
    ensure!(measured.errors == 0, "{name} did not carry {BODY_MIB} MiB {way_name}: {error}");

    let (server_peak_mib, agent_peak_mib) = match standing.between() {
        None => (0.0, 0.0),
        Some((server, agent)) => (peak_mib(server)?, peak_mib(agent)?),
    };
    let mib = (measured.requests * BODY_MIB) as f64;
    let cpu: f64 = [SERVER, AGENT].iter().filter_map(|role| measured.used.cpu_seconds.get(*role)).sum();
    Ok(Point {
        round,
        system: standing.system,
        way,
        mib_per_second: mib / measured.used.seconds,
        cpu_seconds_per_gib: cpu * 1_024.0 / mib,
        server_peak_mib,
        agent_peak_mib,
        measured,
    })
}

fn peak_mib(pid: u32) -> Result<f64> {
    Ok(usage::memory(pid)?.peak_kib as f64 / 1_024.0)
}

fn table(way: Way, systems: &[System], points: &[Point]) -> Table {
    let title = format!("One body of {BODY_MIB} MiB at a time, {}", way.name());
    let columns = [
        "system",
        "MiB/s",
        "of direct",
        "CPU s/GiB both",
        "server peak MiB",
        "agent peak MiB",
        "foreign CPU %",
    ];
    let mut table = Table::new(title, &columns);
    for system in systems {
        let own = || points.iter().filter(|point| point.way == way && point.system == *system);
        let ratio = Spread::of(own().filter_map(|point| {
            let same = |p: &&Point| p.round == point.round && p.way == way && p.system == System::Direct;
            Some(point.mib_per_second / points.iter().find(same)?.mib_per_second)
        }));
        let between = |value: fn(&Point) -> f64| {
            if *system == System::Direct { None } else { Spread::of(own().map(value)) }
        };
        let foreign = own().map(|point| point.measured.used.foreign_cpu_percent).fold(0.0, f64::max);
        table.row(vec![
            system.name().to_owned(),
            spread_text(Spread::of(own().map(|point| point.mib_per_second)), 0),
            spread_text(ratio, 2),
            spread_text(between(|point| point.cpu_seconds_per_gib), 2),
            spread_text(between(|point| point.server_peak_mib), 1),
            spread_text(between(|point| point.agent_peak_mib), 1),
            number(foreign, 0),
        ]);
    }
    table
}
