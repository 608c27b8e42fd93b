//! Memory: what a connected agent costs the server while nothing happens, and what both ends hold after many
//! requests.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Serialize;
use serde_json::json;
use tokio::time::sleep;

use super::{Bench, progress};
use crate::load::Stop;
use crate::machine;
use crate::relay::{Agent, Server, path_of};
use crate::report::{Findings, Table, number};
use crate::systems::small_post;
use crate::usage;

/// Agents started at the same time. More would measure how two cores share out handshakes.
const BATCH: usize = 25;

/// Nothing says when a server has finished putting away what a handshake needed; keep-alives come every few seconds.
const SETTLE: Duration = Duration::from_secs(3);

/// Concurrency of the requests before the second weighing.
const CONNECTIONS: usize = 64;

#[derive(Debug, Serialize)]
struct Weight {
    agents: usize,
    server_kib: u64,
    /// Of the first agent started.
    agent_kib: u64,
}

pub(super) async fn run(bench: &Bench<'_>) -> Result<Findings> {
    let (idle, idle_table, note) = idle(bench).await?;
    let (used, used_table) = used(bench).await?;
    let per_agent = kib_per_agent(&idle);
    let data = json!({ "idle": idle, "kib_per_agent": per_agent, "note": note, "after_requests": used });
    Ok(Findings { tables: vec![idle_table, used_table], data })
}

async fn idle(bench: &Bench<'_>) -> Result<(Vec<Weight>, Table, Option<String>)> {
    let (_app, app_addr) = bench.crew.app("app").await?;
    let server = Server::start(bench.crew, "idle-server", None).await?;
    let join_line = server.join_line(None).await?;
    let mut agents: Vec<Agent> = Vec::new();
    let mut weights: Vec<Weight> = Vec::new();
    let mut note = None;
    for wanted in bench.effort.agent_counts {
        if let Some(last) = weights.last() {
            let needed_kib = (wanted - agents.len()) as u64 * last.agent_kib;
            if needed_kib > machine::memory_available_kib()? / 10 * 9 {
                let reason = format!("{wanted} agents do not fit into this machine's memory");
                progress(&reason);
                note = Some(reason);
                break;
            }
        }
        while agents.len() < *wanted {
            let end = wanted.min(&(agents.len() + BATCH)).to_owned();
            let sources: Vec<String> =
                (agents.len()..end).map(|number| format!("idle-{number:04}")).collect();
            agents.extend(Agent::start_all(bench.crew, &sources, &join_line, app_addr).await?);
            progress(&format!("idle, {} agents connected", agents.len()));
        }
        sleep(SETTLE).await;
        weights.push(Weight {
            agents: *wanted,
            server_kib: usage::memory(server.id())?.resident_kib,
            agent_kib: usage::memory(agents[0].id())?.resident_kib,
        });
    }
    let mut table = Table::new(
        "Memory with idle agents (resident)",
        &["agents", "server MiB", "agent MiB", "server KiB per agent, from 1 on"],
    );
    for (index, weight) in weights.iter().enumerate() {
        table.row(vec![
            number(weight.agents as f64, 0),
            number(weight.server_kib as f64 / 1_024.0, 1),
            number(weight.agent_kib as f64 / 1_024.0, 1),
            kib_per_agent(&weights[..=index]).map_or_else(|| "-".to_owned(), |kib| number(kib, 1)),
        ]);
    }
    Ok((weights, table, note))
}

fn kib_per_agent(weights: &[Weight]) -> Option<f64> {
    let (first, last) = (weights.first()?, weights.last()?);
    let more = last.agents - first.agents;
    (more > 0).then(|| (last.server_kib as f64 - first.server_kib as f64) / more as f64)
}

#[derive(Debug, Serialize)]
struct Used {
    requests: u64,
    server_kib: [u64; 2],
    agent_kib: [u64; 2],
}

/// Before and after the requests.
async fn used(bench: &Bench<'_>) -> Result<(Used, Table)> {
    let (_app, app_addr) = bench.crew.app("app").await?;
    let server = Server::start(bench.crew, "used-server", None).await?;
    let agent = Agent::start(bench.crew, "used", &server.join_line(None).await?, app_addr).await?;
    sleep(SETTLE).await;
    let before = [usage::memory(server.id())?, usage::memory(agent.id())?];

    let requests = bench.effort.requests_before_weighing;
    let mut plan = small_post(server.public, CONNECTIONS);
    plan.path = path_of("used");
    plan.stop = Stop::AfterRequests(requests);
    let measured = bench.crew.load(&plan).await?;
    let error = measured.first_error.as_deref().unwrap_or_default();
    ensure!(measured.errors == 0, "{} of {requests} requests failed: {error}", measured.errors);
    sleep(SETTLE).await;
    let after = [usage::memory(server.id())?, usage::memory(agent.id())?];

    let title = format!("Memory after {} requests (resident)", number(requests as f64, 0));
    let mut table = Table::new(title, &["process", "before MiB", "after MiB", "peak MiB"]);
    for (name, before, after) in [("server", before[0], after[0]), ("agent", before[1], after[1])] {
        let mib = [before.resident_kib, after.resident_kib, after.peak_kib].map(|kib| kib as f64 / 1_024.0);
        let cells = mib.map(|mib| number(mib, 1));
        table.row(std::iter::once(name.to_owned()).chain(cells).collect());
    }
    let used = Used {
        requests,
        server_kib: [before[0].resident_kib, after[0].resident_kib],
        agent_kib: [before[1].resident_kib, after[1].resident_kib],
    };
    Ok((used, table))
}
