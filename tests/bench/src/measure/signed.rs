//! What checking signatures costs, and what a flood of forged webhooks does to those that are signed.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use protocol::field::HeaderBlock;
use provider::{NoKeys, Request, Settings, Verifier};
use relay_server::clock::Clock;
use relay_server::entropy;
use relay_server::model::{ProviderRules, SourceRules};
use relay_server::sender::Vault;
use relay_server::store::{DEFAULT_PROJECT, Store};
use ring::digest::{SHA256, digest};
use serde::Serialize;
use serde_json::json;

use super::{Bench, progress};
use crate::load::visitor::json_of;
use crate::load::{Method, open};
use crate::relay::{Agent, Server, path_of};
use crate::report::{Findings, Goal, Spread, Table, number, spread_text};
use crate::systems::SERVER;

const NAME: &str = "signed";
const SECRET: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Schemes most used: over the body, over a time and the body, as base64, with an id, with the URL.
const PROVIDERS: [&str; 6] = ["github", "stripe", "slack", "shopify", "standard_webhooks", "square"];

/// Bodies, how often each is checked in a round, and what one check may take, in microseconds.
const SIZES: [(u64, u32, f64); 2] = [(1 << 10, 4_000, 30.0), (1 << 20, 60, 1_000.0)];
const ROUNDS: usize = 7;

/// Webhooks a second: a busy provider, and somebody who forges four times as many from as many connections.
const SIGNED_PER_SECOND: f64 = 1_000.0;
const FORGED_PER_SECOND: f64 = 4_000.0;
const CONNECTIONS: usize = 32;

const BODY_BYTES: u64 = 1_024;
const WARM_UP: Duration = Duration::from_secs(1);

const P99_MS_WANTED: f64 = 10.0;

#[derive(Debug, Serialize)]
struct Cost {
    provider: &'static str,
    body_bytes: u64,
    micros: Vec<f64>,
    /// `None` where nothing is asked for.
    wanted_micros: Option<f64>,
}

impl Cost {
    fn median(&self) -> f64 {
        let mut sorted = self.micros.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }
}

pub(super) async fn run(bench: &Bench<'_>) -> Result<Findings> {
    let costs = tokio::task::spawn_blocking(costs).await??;
    progress("signed, the cost of a check");
    let alone = flooded(bench, 0.0).await?;
    progress("signed, alone");
    let flood = flooded(bench, FORGED_PER_SECOND).await?;
    progress("signed, under a flood");
    let goals = goals(&costs, &flood);
    let tables = vec![costs_table(&costs), flood_table(&alone, &flood), Goal::table("signed", &goals)];
    Ok(Findings { tables, data: json!({ "costs": costs, "alone": alone, "flood": flood, "goals": goals }) })
}

/// What stands in place of a provider: what no check over all of a body can undercut on this machine.
const DIGEST_ALONE: &str = "SHA-256 alone";

/// Rounds of one check after the other, the providers in turn, so that a busy minute of the machine hits all.
fn costs() -> Result<Vec<Cost>> {
    let mut costs = Vec::new();
    for (body_bytes, times, wanted_micros) in SIZES {
        let body = json_of(body_bytes);
        let mut checks = Vec::new();
        for provider in PROVIDERS {
            checks.push((provider, signed_by(provider, &body)?, Vec::new()));
        }
        let mut digests = Vec::new();
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            for _ in 0..times {
                black_box(digest(&SHA256, black_box(&body)));
            }
            digests.push(begun.elapsed().as_secs_f64() * 1e6 / f64::from(times));
            for (provider, (verifier, headers, now_ms), micros) in &mut checks {
                let request = Request { method: "POST", url: URL, headers, body: &body };
                let begun = Instant::now();
                for _ in 0..times {
                    let checked = black_box(&verifier).verify(black_box(&request), *now_ms, &NoKeys);
                    checked.with_context(|| format!("{provider} refuses what it signed"))?;
                }
                micros.push(begun.elapsed().as_secs_f64() * 1e6 / f64::from(times));
            }
        }
        costs.extend(checks.into_iter().map(|(provider, _, micros)| Cost {
            provider,
            body_bytes,
            micros,
            wanted_micros: Some(wanted_micros),
        }));
        costs.push(Cost { provider: DIGEST_ALONE, body_bytes, micros: digests, wanted_micros: None });
    }
    Ok(costs)
}

const URL: &str = "https://hooks.example.com/h/signed";

fn verifier(provider: &str) -> Result<Verifier> {
    let secret = if provider == "standard_webhooks" { format!("whsec_{SECRET}") } else { SECRET.to_owned() };
    let settings = Settings { name: provider.to_owned(), ..Settings::default() };
    Ok(Verifier::new(&settings, &[secret])?)
}

/// A verifier, and the header fields of a body that it signed; its clock stands still.
fn signed_by(provider: &str, body: &[u8]) -> Result<(Verifier, HeaderBlock, u64)> {
    let (verifier, now_ms) = (verifier(provider)?, Clock::system().now_ms());
    let mut headers = HeaderBlock::default();
    headers.push(b"Content-Type", b"application/json")?;
    let unsigned = Request { method: "POST", url: URL, headers: &headers, body };
    let fields = verifier.sign(&unsigned, now_ms)?;
    for (name, value) in &fields {
        headers.push(name.as_bytes(), value.as_bytes())?;
    }
    Ok((verifier, headers, now_ms))
}

/// Signed webhooks to an app, and so many forged ones a second beside them.
async fn flooded(bench: &Bench<'_>, forged_per_second: f64) -> Result<open::Measured> {
    let name = format!("{NAME}-{forged_per_second}");
    let data = Server::data_of(bench.crew, &name);
    prepare(&data).await?;
    let server = Server::start(bench.crew, &name, None).await?;
    let (_app, app) = bench.crew.app(&name).await?;
    let agent = Agent::start(bench.crew, NAME, &server.join_line(None).await?, app).await?;
    let (_, headers, _) = signed_by("github", &json_of(BODY_BYTES))?;
    let signature = headers.find("x-hub-signature-256").context("GitHub's field")?;
    let signature = String::from_utf8(signature.to_vec())?;
    let forged = "sha256=".to_owned() + &"0".repeat(64);
    let stream = |name: &str, signature: String, status, per_second| open::Stream {
        name: name.to_owned(),
        to: server.public,
        method: Method::Post,
        paths: vec![path_of(NAME)],
        fields: vec![("X-Hub-Signature-256".to_owned(), signature)],
        body_bytes: BODY_BYTES,
        status,
        per_second,
        connections: CONNECTIONS,
    };
    let mut streams = vec![stream("signed", signature, 200, SIGNED_PER_SECOND)];
    if forged_per_second > 0.0 {
        streams.push(stream("forged", forged, 401, forged_per_second));
    }
    let plan = open::Plan {
        streams,
        warm_up: WARM_UP,
        window: bench.effort.claim_window,
        watch: BTreeMap::from([(SERVER.to_owned(), server.id())]),
        seed: 1,
    };
    let measured = bench.crew.stream(&plan).await?;
    drop((agent, server));
    std::fs::remove_dir_all(data)?;
    Ok(measured)
}

/// A source whose provider signs with the secret.
async fn prepare(data: &Path) -> Result<()> {
    let store = Store::open(data, Clock::system()).await?;
    let project = store.project(DEFAULT_PROJECT).await?;
    let provider = Some(ProviderRules { name: "github".to_owned(), ..ProviderRules::default() });
    let rules = SourceRules { provider, ..SourceRules::default() };
    let source = store.create_source(project, NAME.parse()?, rules, Default::default()).await?;
    let vault = Vault::load_or_keep(&data.join("secrets-key"), entropy::random())?;
    let sealed = vault.seal(source.id, SECRET);
    store.add_secret(project, source.slug.clone(), sealed, String::new()).await?;
    store.close().await;
    Ok(())
}

fn costs_table(costs: &[Cost]) -> Table {
    let mut table = Table::new("One signature checked", &["provider", "body KiB", "µs", "MiB/s"]);
    for cost in costs {
        let rate = cost.body_bytes as f64 / cost.median() * 1e6 / f64::from(1 << 20);
        table.row(vec![
            cost.provider.to_owned(),
            (cost.body_bytes >> 10).to_string(),
            spread_text(Spread::of(cost.micros.iter().copied()), 2),
            number(rate, 0),
        ]);
    }
    table
}

fn flood_table(alone: &open::Measured, flood: &open::Measured) -> Table {
    let columns =
        ["what", "beside", "asked/s", "right", "p50 ms", "p99 ms", "most ms", "errors", "foreign CPU %"];
    let mut table =
        Table::new("Signed webhooks to an app, alone and beside a flood of forged ones", &columns);
    for (beside, measured) in [("nothing", alone), ("the other", flood)] {
        for stream in &measured.streams {
            table.row(vec![
                stream.name.clone(),
                beside.to_owned(),
                number(stream.asked as f64 / measured.used.seconds, 0),
                number(stream.answered as f64, 0),
                number(stream.p50_ms, 2),
                number(stream.p99_ms, 2),
                number(stream.max_ms, 1),
                stream.first_error.as_ref().map_or_else(
                    || stream.errors.to_string(),
                    |first| format!("{} ({first})", stream.errors),
                ),
                number(measured.used.foreign_cpu_percent, 0),
            ]);
        }
    }
    table
}

fn goals(costs: &[Cost], flood: &open::Measured) -> Vec<Goal> {
    let mut goals: Vec<Goal> = costs
        .iter()
        .filter_map(|cost| {
            let what = format!("µs, {}, {} KiB", cost.provider, cost.body_bytes >> 10);
            Some(Goal::below(what, cost.wanted_micros?, cost.median(), 2))
        })
        .collect();
    if let Some(signed) = flood.streams.first() {
        goals.push(Goal::below(
            "signed ones not answered by the app, under the flood",
            1.0,
            signed.errors as f64,
            0,
        ));
        goals.push(Goal::below("p99 ms, signed ones under the flood", P99_MS_WANTED, signed.p99_ms, 2));
    }
    goals
}
