//! What a store full of events does to a server: how soon it takes webhooks after a start, and how long people wait for
//! their lists while events come in. Then the dispatcher's turns on the same store.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::fs::{Advice, fadvise};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::{Bench, progress};
use crate::api;
use crate::load::{Measured, Method, open};
use crate::machine::file_system_of;
use crate::parts::claiming::{self, Turns};
use crate::relay::{Server, path_of};
use crate::report::{Findings, Goal, Spread, Table, number, spread_text};
use crate::seeds::{self, Seeded};
use crate::systems::SERVER;

const NAME: &str = "stored";

/// The store has to be made within this.
const SOWN_MAX: Duration = Duration::from_secs(60);

/// Webhooks that come in meanwhile, for whichever source; nobody serves them, so they are accepted.
const INCOMING: &str = "accept (the 202)";
const INCOMING_PER_SECOND: f64 = 2_000.0;
const INCOMING_CONNECTIONS: usize = 64;

/// Each question is asked so often: eight kinds of them are eighty a second, more than a few people's browsers do.
const ASKED_PER_SECOND: f64 = 10.0;
const ASKING_CONNECTIONS: usize = 4;

const WARM_UP: Duration = Duration::from_secs(1);

/// Turns of the dispatcher, each claiming as many as the default rules of a destination allow at once.
const TURNS_PER_SECOND: f64 = 100.0;
const CLAIMS: u32 = 16;

/// A start later than this is never.
const READY_MAX: Duration = Duration::from_secs(60);
const READY_LOOK_EVERY: Duration = Duration::from_millis(1);

const P99_MS_WANTED: f64 = 10.0;
const READY_MS_WANTED: f64 = 1_000.0;
const SOWN_SECONDS_WANTED: f64 = 60.0;

const BODY_BYTES: u64 = 1_024;

/// How much of the database the kernel holds in memory at a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Cache {
    Warm,
    Cold,
}

impl Cache {
    fn name(self) -> &'static str {
        match self {
            Self::Warm => "files in the page cache",
            Self::Cold => "files not in memory",
        }
    }
}

#[derive(Debug, Serialize)]
struct Starts {
    cache: Cache,
    ready_ms: Vec<f64>,
}

pub(super) async fn run(bench: &Bench<'_>) -> Result<Findings> {
    let events = bench.effort.stored_events;
    let data = Server::data_of(bench.crew, NAME);
    let sowing = timeout(SOWN_MAX * 3, seeds::sow(&data, events, 1)).await;
    let seeded = sowing.context("the store is not made in three times as long as it may take")??;
    let mib = seeded.database_bytes as f64 / (1 << 20) as f64;
    progress(&format!(
        "stored, {} events ({} MiB) made in {} s",
        number(events as f64, 0),
        number(mib, 0),
        number(seeded.seconds, 1)
    ));

    let mut server = Server::start(bench.crew, NAME, None).await?;
    let mut starts = Vec::new();
    for cache in [Cache::Warm, Cache::Cold] {
        starts.push(restarts(bench, &mut server, &data, cache).await?);
    }
    let questions = questions(&seeded);
    for question in &questions {
        question.check(&server, &seeded.token).await?;
    }
    let asked = bench.crew.stream(&plan(bench, &server, &seeded, &questions)).await?;
    // With what has come in since, and the log as a crash leaves it.
    let after_crash = restarts(bench, &mut server, &data, Cache::Warm).await?;
    drop(server);

    progress("stored, the dispatcher's turns");
    let claims = claiming::Plan {
        data: data.clone(),
        body_bytes: BODY_BYTES,
        accepts_per_second: INCOMING_PER_SECOND,
        turns_per_second: TURNS_PER_SECOND,
        claims: CLAIMS,
        warm_up: WARM_UP,
        window: bench.effort.claim_window,
    };
    let turns = bench.crew.claim(&claims).await?;
    fs::remove_dir_all(&data)?;

    let goals = goals(&seeded, &starts, &after_crash, &asked, &turns);
    let tables = vec![
        starts_table(events, &starts, &after_crash),
        questions_table(&asked, &turns),
        Goal::table("stored", &goals),
    ];
    let data = json!({
        "file_system": file_system_of(bench.crew.folder())?,
        "events": events,
        "sources": seeded.slugs.len(),
        "waiting": seeded.waiting,
        "database_bytes": seeded.database_bytes,
        "made_in_seconds": seeded.seconds,
        "starts": starts,
        "starts_after_crash": after_crash,
        "asked": asked,
        "turns": turns,
        "goals": goals,
    });
    Ok(Findings { tables, data })
}

/// Kills the server and starts it again, several times: from the start of the process to the first 200 of `/readyz`.
async fn restarts(bench: &Bench<'_>, server: &mut Server<'_>, data: &Path, cache: Cache) -> Result<Starts> {
    let mut ready_ms = Vec::new();
    for _ in 0..bench.effort.tries {
        server.kill();
        if cache == Cache::Cold {
            evict(data)?;
        }
        let since = Instant::now();
        server.start_again()?;
        let ready = async {
            while !api::is_ready(server.admin).await {
                sleep(READY_LOOK_EVERY).await;
            }
        };
        timeout(READY_MAX, ready).await.with_context(|| format!("not ready within {READY_MAX:?}"))?;
        let took_ms = since.elapsed().as_secs_f64() * 1e3;
        progress(&format!("stored, {}: ready after {} ms", cache.name(), number(took_ms, 0)));
        ready_ms.push(took_ms);
    }
    Ok(Starts { cache, ready_ms })
}

/// Has the kernel forget what it holds of the files: the next read comes from the disk.
fn evict(data: &Path) -> Result<()> {
    for entry in fs::read_dir(data)? {
        let path = entry?.path();
        if path.is_file() {
            let file = File::open(&path)?;
            // Only what is on disk can be forgotten.
            file.sync_all()?;
            fadvise(&file, 0, None, Advice::DontNeed)
                .with_context(|| format!("cannot forget {}", path.display()))?;
        }
    }
    Ok(())
}

/// Something people ask the API.
struct Question {
    name: &'static str,
    paths: Vec<String>,
    expects: Expects,
}

/// What makes an answer a right one. Looked at once, before it counts.
enum Expects {
    /// A full page of events with this field and value, where one is named.
    Page(Option<(&'static str, &'static str)>),
    Nothing,
    TheEvent,
}

fn questions(seeded: &Seeded) -> Vec<Question> {
    let busiest = &seeded.slugs[0];
    let list = |name, query: String, expects| Question {
        name,
        paths: vec![format!("/api/v1/events?limit=50{query}")],
        expects,
    };
    vec![
        list("newest 50", String::new(), Expects::Page(None)),
        list("newest 50 of the busiest source", format!("&source={busiest}"), Expects::Page(None)),
        list("newest 50 with status 5xx", "&status=5xx".to_owned(), Expects::Page(None)),
        list(
            "newest 50 not sent",
            "&outcome=not_sent".to_owned(),
            Expects::Page(Some(("outcome", "not_sent"))),
        ),
        list("newest 50 DELETE", "&method=DELETE".to_owned(), Expects::Page(Some(("method", "DELETE")))),
        list("a method nobody uses", "&method=PATCH".to_owned(), Expects::Nothing),
        list(
            "a method nobody uses, busiest source",
            format!("&method=PATCH&source={busiest}"),
            Expects::Nothing,
        ),
        Question {
            name: "one event by id",
            paths: seeded.ids.iter().map(|id| format!("/api/v1/events/{id}")).collect(),
            expects: Expects::TheEvent,
        },
    ]
}

impl Question {
    /// Whether the server answers it, and rightly. A filtered page may be short and have a next one.
    async fn check(&self, server: &Server<'_>, token: &str) -> Result<()> {
        let path = &self.paths[0];
        let answer = api::json(server.admin, path, token).await?;
        let events = || answer["events"].as_array().with_context(|| format!("{path} gave no list: {answer}"));
        match &self.expects {
            Expects::Page(field) => {
                let events = events()?;
                let is_page = events.len() == 50 || (path.contains("50&") && !answer["next"].is_null());
                ensure!(is_page, "{path} gave {} events and no next page", events.len());
                if let Some((name, value)) = field {
                    let is_meant = |event: &Value| event[*name] == *value;
                    ensure!(events.iter().all(is_meant), "{path} gave events that were not meant");
                }
            }
            Expects::Nothing => ensure!(events()?.is_empty(), "{path} gave events that were not meant"),
            Expects::TheEvent => {
                let id = path.rsplit('/').next();
                ensure!(answer["id"].as_str() == id, "{path} gave another event: {}", answer["id"]);
            }
        }
        Ok(())
    }
}

/// Everything at once: webhooks coming in, and every question.
fn plan(bench: &Bench<'_>, server: &Server<'_>, seeded: &Seeded, questions: &[Question]) -> open::Plan {
    let incoming = open::Stream {
        name: INCOMING.to_owned(),
        to: server.public,
        method: Method::Post,
        paths: seeded.slugs.iter().map(|slug| path_of(slug)).collect(),
        fields: Vec::new(),
        body_bytes: BODY_BYTES,
        status: 202,
        per_second: INCOMING_PER_SECOND,
        connections: INCOMING_CONNECTIONS,
    };
    let asking = questions.iter().map(|question| open::Stream {
        name: question.name.to_owned(),
        to: server.admin,
        method: Method::Get,
        paths: question.paths.clone(),
        fields: vec![("Authorization".to_owned(), format!("Bearer {}", seeded.token))],
        body_bytes: 0,
        status: 200,
        per_second: ASKED_PER_SECOND,
        connections: ASKING_CONNECTIONS,
    });
    open::Plan {
        streams: std::iter::once(incoming).chain(asking).collect(),
        warm_up: WARM_UP,
        window: bench.effort.stored_window,
        watch: BTreeMap::from([(SERVER.to_owned(), server.id())]),
        seed: 1,
    }
}

fn starts_table(events: u64, starts: &[Starts], after_crash: &Starts) -> Table {
    let title = format!("From the start to ready, {} events stored", number(events as f64, 0));
    let mut table = Table::new(title, &["start", "ready after ms", "tries"]);
    let idle = starts.iter().map(|starts| ("killed idle", starts));
    for (how, starts) in idle.chain([("killed under load", after_crash)]) {
        let spread = Spread::of(starts.ready_ms.iter().copied());
        let name = format!("{how}; {}", starts.cache.name());
        table.row(vec![name, spread_text(spread, 0), starts.ready_ms.len().to_string()]);
    }
    table
}

fn questions_table(asked: &open::Measured, turns: &Turns) -> Table {
    let title = format!("While {} events a second come in", number(INCOMING_PER_SECOND, 0));
    let columns = ["what", "asked", "asked/s", "p50 ms", "p99 ms", "most ms", "errors", "foreign CPU %"];
    let mut table = Table::new(title, &columns);
    let errors = |count: u64, first: &Option<String>| {
        first.as_ref().map_or_else(|| count.to_string(), |first| format!("{count} ({first})"))
    };
    for stream in &asked.streams {
        table.row(vec![
            stream.name.clone(),
            number(stream.asked as f64, 0),
            number(stream.asked as f64 / asked.used.seconds, 0),
            number(stream.p50_ms, 2),
            number(stream.p99_ms, 2),
            number(stream.max_ms, 1),
            errors(stream.errors, &stream.first_error),
            number(asked.used.foreign_cpu_percent, 0),
        ]);
    }
    let claimed = turns.claimed as f64 / turns.turns.requests.max(1) as f64;
    let turn = format!("dispatcher's turn, {} claimed (store alone)", number(claimed, 1));
    for (name, measured) in
        [(turn, &turns.turns), ("accept beside it (store alone)".to_owned(), &turns.accepts)]
    {
        let Measured { requests, p50_ms, p99_ms, max_ms, .. } = measured;
        table.row(vec![
            name,
            number((requests + measured.errors) as f64, 0),
            number((requests + measured.errors) as f64 / measured.used.seconds, 0),
            number(*p50_ms, 2),
            number(*p99_ms, 2),
            number(*max_ms, 1),
            errors(measured.errors, &measured.first_error),
            number(measured.used.foreign_cpu_percent, 0),
        ]);
    }
    table
}

/// Starts by their slowest, latencies by their 99th percentile.
fn goals(
    seeded: &Seeded,
    starts: &[Starts],
    after_crash: &Starts,
    asked: &open::Measured,
    turns: &Turns,
) -> Vec<Goal> {
    let all = starts.iter().chain([after_crash]).flat_map(|starts| starts.ready_ms.iter().copied());
    let mut goals = vec![
        Goal::below("seconds to make the store", SOWN_SECONDS_WANTED, seeded.seconds, 1),
        Goal::below("ms until ready, the slowest start", READY_MS_WANTED, all.fold(f64::NAN, f64::max), 0),
    ];
    for stream in asked.streams.iter().filter(|stream| stream.name != INCOMING) {
        let p99_ms = if stream.answered == 0 { f64::NAN } else { stream.p99_ms };
        goals.push(Goal::below(format!("p99 ms, {}", stream.name), P99_MS_WANTED, p99_ms, 2));
    }
    goals.push(Goal::below("p99 ms, dispatcher's turn", P99_MS_WANTED, turns.turns.p99_ms, 2));
    goals
}
