//! Small POSTs while the tunnel runs over a link with delay and random loss. Senders and app stay near their ends.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail};
use serde::Serialize;
use serde_json::json;

use super::{Bench, progress};
use crate::load::{Measured, Stop};
use crate::process::Process;
use crate::relay::{Agent, Server, path_of};
use crate::report::{Findings, Spread, Table, number, spread_text};
use crate::systems::{AGENT, SERVER, small_post};

const CONNECTIONS: usize = 64;
const ONE_WAY_MS: u64 = 20;
const LOSSES: [f64; 3] = [0.0, 0.01, 0.03];

/// The link answers a command at once.
const LINK_ANSWER_MAX: Duration = Duration::from_secs(5);

#[derive(Debug, Serialize)]
struct Point {
    round: usize,
    loss: f64,
    measured: Measured,
}

pub(super) async fn run(bench: &Bench<'_>) -> Result<Findings> {
    let (_app, app_addr) = bench.crew.app("app").await?;
    let mut server = Server::start(bench.crew, "wan-server", None).await?;
    let (mut link, link_addr) = bench.crew.link("wan-link", server.tunnel).await?;
    // The agent meets the link as it is: a path that is longer than its first round trips looks like a queue for a while.
    set(&mut link, 0.0).await?;
    let join_line = server.join_line(Some(link_addr)).await?;
    let mut agent = Agent::start(bench.crew, "wan", &join_line, app_addr).await?;

    let mut plan = small_post(server.public, CONNECTIONS);
    plan.path = path_of("wan");
    plan.warm_up = bench.effort.wan_warm_up;
    plan.stop = Stop::After(bench.effort.wan_window);
    plan.watch = BTreeMap::from([(SERVER.to_owned(), server.id()), (AGENT.to_owned(), agent.id())]);

    let mut points = Vec::new();
    for round in 0..bench.effort.rounds {
        let mut losses = LOSSES;
        if round % 2 == 1 {
            losses.reverse();
        }
        for loss in losses {
            set(&mut link, loss).await?;
            let measured = bench.crew.load(&plan).await?;
            server.forget_logs()?;
            agent.forget_logs()?;
            let speed = number(measured.per_second(), 0);
            progress(&format!("wan, round {}, {} % loss: {speed}/s", round + 1, loss * 100.0));
            points.push(Point { round, loss, measured });
        }
    }
    Ok(Findings { tables: vec![table(&points)], data: json!({ "points": points }) })
}

async fn set(link: &mut Process, loss: f64) -> Result<()> {
    link.tell(&format!("set drop={loss} delay-ms={ONE_WAY_MS}"))?;
    let refused = link.line(LINK_ANSWER_MAX, |line| Some(line["error"].as_str().map(str::to_owned)));
    if let Some(error) = refused.await? {
        bail!("the link did not take its conditions: {error}");
    }
    Ok(())
}

fn table(points: &[Point]) -> Table {
    let title =
        format!("Small POST, concurrency {CONNECTIONS}, tunnel over {} ms round trip", 2 * ONE_WAY_MS);
    let columns = ["loss each way", "requests/s", "of loss-free", "p50 ms", "p99 ms", "errors"];
    let mut table = Table::new(title, &columns);
    for loss in LOSSES {
        let is = |point: &&Point, loss: f64| (point.loss - loss).abs() < f64::EPSILON;
        let own = || points.iter().filter(move |point| is(point, loss));
        let ratio = Spread::of(own().filter_map(|point| {
            let free = points.iter().find(|p| p.round == point.round && is(p, 0.0))?.measured.per_second();
            (free > 0.0).then(|| point.measured.per_second() / free)
        }));
        let spread = |value: fn(&Measured) -> f64| Spread::of(own().map(|point| value(&point.measured)));
        let errors: u64 = own().map(|p| p.measured.errors + p.measured.silent_connections as u64).sum();
        table.row(vec![
            format!("{} %", number(loss * 100.0, 0)),
            spread_text(spread(Measured::per_second), 0),
            spread_text(ratio, 2),
            spread_text(spread(|measured| measured.p50_ms), 1),
            spread_text(spread(|measured| measured.p99_ms), 1),
            errors.to_string(),
        ]);
    }
    table
}
