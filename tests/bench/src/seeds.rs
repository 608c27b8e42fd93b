//! A store as it is after busy days, made in seconds: many sources of which few are busy, several methods and
//! outcomes, deliveries that wait.
//!
//! The store itself writes one event of each kind. Their rows are then copied into the database with nothing synced
//! until the end, and the store's own audit has to find the result whole.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use protocol::field::HeaderBlock;
use protocol::id::{AgentId, EventId};
use relay_server::clock::Clock;
use relay_server::delivery::verdict::AttemptOutcome;
use relay_server::model::{
    AttemptRecord, Captured, EventRecord, Outcome, RecordedAnswer, Scope, Source, SourceRules, Times,
};
use relay_server::store::{Acceptance, Audit, DEFAULT_PROJECT, NewDelivery, Next, Start, Store};
use rusqlite::Connection;
use rusqlite::types::Value;
use tokio::time::sleep;

use crate::copies::{DATABASE, KEY_SHIFT, Place, Rows};
use crate::dice::Dice;
use crate::load::visitor::json_of;

/// Sources. The n-th busiest gets one n-th of what the busiest gets, and that is a fifth of everything.
pub const SOURCES: usize = 100;

/// The events' times are spread over so much of the past: less than the week after which they would be deleted.
const SPREAD: Duration = Duration::from_secs(5 * 24 * 60 * 60);

/// Page cache while copying. More would only put off writing.
const CACHE_KIB: i32 = 256 * 1_024;

/// Events whose ids are remembered, to be asked for.
const REMEMBERED: u64 = 1_000;

/// How long the store may take to record an event of each kind.
const RECORDED_MAX: Duration = Duration::from_secs(10);

/// What was made.
#[derive(Debug)]
pub struct Seeded {
    /// Of scope admin.
    pub token: String,
    /// Names of the sources, the busiest first.
    pub slugs: Vec<String>,
    /// Ids of events from everywhere in the store, in no order.
    pub ids: Vec<String>,
    /// Deliveries that wait.
    pub waiting: u64,
    pub database_bytes: u64,
    /// Until the last byte was on disk, without the audit.
    pub seconds: f64,
}

/// One kind of event, and how many of a hundred are of it.
struct Kind {
    of_hundred: f64,
    method: &'static str,
    outcome: Outcome,
    status: u16,
    delivery: Option<Next>,
}

/// No event is a PATCH: that is the filter that finds nothing.
fn kinds() -> Vec<Kind> {
    let live =
        |of_hundred, method, outcome, status| Kind { of_hundred, method, outcome, status, delivery: None };
    let accepted = |of_hundred, next| Kind {
        of_hundred,
        method: "POST",
        outcome: Outcome::Accepted("agent_away"),
        status: 202,
        delivery: Some(next),
    };
    vec![
        accepted(5.0, Next::Ready),
        accepted(25.0, Next::Delivered),
        accepted(2.0, Next::Dead("refused_by_app")),
        live(50.0, "POST", Outcome::Answered, 200),
        live(6.0, "PUT", Outcome::Answered, 200),
        live(3.0, "DELETE", Outcome::Answered, 204),
        live(4.0, "POST", Outcome::Answered, 500),
        live(2.0, "POST", Outcome::SentNoAnswer("app_broke"), 502),
        live(2.0, "POST", Outcome::NotSent("app_refused"), 503),
        live(1.0, "POST", Outcome::Refused("body_too_large"), 413),
    ]
}

/// Fills `data`, which must be empty or not there, with so many events of 1 KiB.
pub async fn sow(data: &Path, events: u64, seed: u64) -> Result<Seeded> {
    let started = Instant::now();
    let clock = Clock::system();
    let store = Store::open(data, clock.clone()).await?;
    let project = store.project(DEFAULT_PROJECT).await?;
    let token = store.create_token(project, Scope::Admin, "benchmark", None).await?.text.0;
    let mut sources = Vec::new();
    for number in 0..SOURCES {
        let slug = format!("stored-{number:03}").parse()?;
        // Room for every sender of the benchmark at once.
        let rules = SourceRules { in_flight_max: 4_096, ..SourceRules::default() };
        sources.push(store.create_source(project, slug, rules, Default::default()).await?);
    }
    let kinds = kinds();
    let samples = record_each(&store, &kinds, &sources[0]).await?;
    store.close().await;

    let now_ms = clock.now_ms();
    let copying = Copying {
        shares: kinds.iter().map(|kind| kind.of_hundred).collect(),
        first_ms: now_ms - u64::try_from(SPREAD.as_millis())?,
        now_ms,
        events,
        dice: Dice::new(seed, 0),
    };
    let path = data.join(DATABASE);
    let (ids, waiting) = {
        let sources: Vec<_> =
            sources.iter().map(|source| (source.id.0, source.destinations[0].id.0)).collect();
        let path = path.clone();
        tokio::task::spawn_blocking(move || copying.run(&path, &samples, &sources)).await??
    };
    let seconds = started.elapsed().as_secs_f64();

    let audit = Audit::of_data_dir(data, false)?;
    ensure!(audit.is_balanced(), "the store that was made is not sound: {audit:?}");
    let found: u64 = audit.sources.iter().map(|source| source.waiting).sum();
    ensure!(found == waiting, "{waiting} deliveries should wait, {found} do");
    Ok(Seeded {
        token,
        slugs: sources.iter().map(|source| source.slug.to_string()).collect(),
        ids,
        waiting,
        database_bytes: std::fs::metadata(&path)?.len(),
        seconds,
    })
}

/// Has the store write one event of each kind, and says under which keys.
async fn record_each(store: &Store, kinds: &[Kind], source: &Source) -> Result<Vec<i64>> {
    let mut keys = Vec::new();
    let mut recorded = 0;
    for kind in kinds {
        // Without chance, so that bit 64 of it, which is kept elsewhere in the row, is 0 in every copy.
        let id = EventId::from_parts(store.next_event_id().sort_key(), 0);
        let record = Box::new(record(kind, id, source)?);
        keys.push(id.sort_key().cast_signed());
        let Some(next) = kind.delivery else {
            store.record(record)?;
            recorded += 1;
            continue;
        };
        let start = match next {
            Next::Ready => Start::Ready,
            next => Start::Tried(Box::new(attempt(next, id.unix_ms())), next),
        };
        let delivery = NewDelivery { destination: source.destinations[0].id, start };
        store.accept(Acceptance { record, deliveries: vec![delivery], dedupe: None }).await?;
    }
    let deadline = Instant::now() + RECORDED_MAX;
    while store.record_counts().written < recorded {
        ensure!(Instant::now() < deadline, "the store did not record within {RECORDED_MAX:?}");
        sleep(Duration::from_millis(5)).await;
    }
    Ok(keys)
}

struct Copying {
    shares: Vec<f64>,
    first_ms: u64,
    now_ms: u64,
    events: u64,
    dice: Dice,
}

impl Copying {
    /// Blocks. Gives the ids remembered, and how many deliveries wait.
    fn run(mut self, path: &Path, keys: &[i64], sources: &[(i64, i64)]) -> Result<(Vec<String>, u64)> {
        let conn = Connection::open(path)?;
        // If this breaks off, the whole directory goes: nothing here needs to survive a crash.
        conn.execute_batch(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;",
        )?;
        conn.pragma_update(None, "cache_size", -CACHE_KIB)?;
        let mut samples = keys.iter().map(|key| Rows::read(&conn, *key)).collect::<Result<Vec<_>>>()?;
        let busy: Vec<f64> = (1..=sources.len()).map(|rank| 1.0 / rank as f64).collect();
        let (mut accepted, mut made) = (vec![0_i64; sources.len()], vec![0_i64; sources.len()]);
        let (mut ids, mut waiting) = (Vec::new(), 0);
        conn.execute_batch("BEGIN")?;
        for key in keys {
            Rows::delete(&conn, *key)?;
        }
        let remember_every = (self.events / REMEMBERED).max(1);
        for number in 0..self.events {
            let source = self.dice.share(&busy);
            let kind = self.dice.share(&self.shares);
            let sample = &mut samples[kind];
            if sample.is_accepted() {
                accepted[source] += 1;
            }
            made[source] += i64::try_from(sample.deliveries)?;
            waiting += u64::from(kind == 0);
            let received_ms = self.first_ms + (self.now_ms - self.first_ms) * number / self.events;
            // Two may share a millisecond.
            let key = (received_ms << KEY_SHIFT) + (number & ((1 << KEY_SHIFT) - 1));
            let chance = self.dice.bits();
            let place = Place {
                key: key.cast_signed(),
                chance: chance.cast_signed(),
                source: sources[source].0,
                destination: sources[source].1,
                seq: accepted[source],
            };
            sample.write(&conn, &place)?;
            if number % remember_every == 0 {
                ids.push(EventId::from_parts(key, u128::from(chance)).to_string());
            }
        }
        conn.execute("DELETE FROM ledgers", [])?;
        for (at, (source, _)) in sources.iter().enumerate() {
            let row = [*source, accepted[at], made[at]].map(Value::Integer);
            conn.prepare_cached(
                "INSERT INTO ledgers (source_id, accepted, made, delivered, dead, cancelled)
                 VALUES (?1, ?2, ?3, 0, 0, 0)",
            )?
            .execute(rusqlite::params_from_iter(row))?;
        }
        conn.execute_batch("COMMIT")?;
        drop(conn);
        File::open(path)?.sync_all().context("the store cannot be brought to disk")?;
        // Asked in another order than they lie in.
        for at in (1..ids.len()).rev() {
            ids.swap(at, usize::try_from(self.dice.bits() % (at as u64 + 1))?);
        }
        Ok((ids, waiting))
    }
}

fn attempt(next: Next, started_ms: u64) -> AttemptRecord {
    let status = if next == Next::Delivered { 200 } else { 404 };
    AttemptRecord {
        started_ms,
        outcome: AttemptOutcome::Answered(status),
        text: None,
        agent: Some(AgentId(7)),
        answer: RecordedAnswer { status, ..RecordedAnswer::default() },
        times: Times { head_us: 0, total_us: 1_300, connect_us: 80, app_us: 700 },
        is_resigned: false,
    }
}

/// As a busy provider sends them: ten header fields, 1 KiB of body.
fn record(kind: &Kind, id: EventId, source: &Source) -> Result<EventRecord> {
    let mut headers = HeaderBlock::default();
    for (name, value) in [
        ("Host", "relay.example.org"),
        ("User-Agent", "GitHub-Hookshot/044aadd"),
        ("Content-Length", "1024"),
        ("Accept", "*/*"),
        ("Content-Type", "application/json"),
        ("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
        ("X-GitHub-Event", "issues"),
        ("X-GitHub-Hook-ID", "292430182"),
        ("X-Hub-Signature-256", "sha256=d57c68ca6f92289e6987922ff26938930f6e66a2d161ef06abdf1859230aa23c"),
        ("X-Forwarded-For", "192.0.2.10"),
    ] {
        headers.push(name.as_bytes(), value.as_bytes())?;
    }
    let mut answer = RecordedAnswer { status: kind.status, ..RecordedAnswer::default() };
    if kind.outcome == Outcome::Answered {
        answer.headers.push(b"Content-Length", b"2")?;
        answer.body = Captured::whole(Bytes::from_static(b"ok"));
    }
    Ok(EventRecord {
        id,
        source: source.id,
        remote: [192, 0, 2, 10].into(),
        method: kind.method.to_owned(),
        target: format!("/h/{}/hooks/incoming", source.slug).into_bytes(),
        headers,
        shape: Default::default(),
        body: Captured::whole(json_of(1_024).into()),
        related: None,
        outcome: kind.outcome.clone(),
        agent: (kind.outcome == Outcome::Answered).then_some(AgentId(7)),
        answer,
        times: Times { head_us: 1_200, total_us: 1_300, connect_us: 80, app_us: 700 },
        is_accepted: false,
        known: Default::default(),
    })
}

/// A store with one accepted event of this size, closed.
#[cfg(test)]
pub(crate) async fn one_accepted(data: &Path, body_bytes: u64) -> Result<()> {
    let store = Store::open(data, Clock::system()).await?;
    let project = store.project(DEFAULT_PROJECT).await?;
    let rules = SourceRules::default();
    let source = store.create_source(project, "one".parse()?, rules, Default::default()).await?;
    let kind = &kinds()[0];
    let mut record = Box::new(record(kind, store.next_event_id(), &source)?);
    record.body = Captured::whole(json_of(body_bytes).into());
    let delivery = NewDelivery { destination: source.destinations[0].id, start: Start::Ready };
    store.accept(Acceptance { record, deliveries: vec![delivery], dedupe: None }).await?;
    store.close().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use relay_server::store::{EventFilter, Only, OutcomeKind};

    use super::*;

    #[tokio::test]
    async fn a_store_that_was_sown_answers_as_if_it_had_grown() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let seeded = sow(folder.path(), 2_000, 5).await?;
        assert_eq!((seeded.slugs.len(), seeded.ids.len()), (SOURCES, 1_000));
        assert!((60..140).contains(&seeded.waiting), "a twentieth waits: {}", seeded.waiting);
        let audit = Audit::of_data_dir(folder.path(), true)?;
        assert!(audit.is_balanced(), "{audit:#?}");

        let store = Store::open(folder.path(), Clock::system()).await?;
        let project = store.project(DEFAULT_PROJECT).await?;
        assert!(store.verify_token(&seeded.token).await?.is_some());
        for id in seeded.ids.iter().take(50) {
            let event =
                store.event(project, id.parse()?).await?.context("an id that is remembered is there")?;
            assert_eq!(event.body.bytes.len(), 1_024);
        }
        let busiest = store.source(&seeded.slugs[0]).context("the source")?;
        let count = async |only: Only, sources| {
            let mut filter = EventFilter { project, sources, before: None, limit: 200, only };
            let mut found = 0;
            loop {
                let page = store.events(filter.clone()).await?;
                found += page.events.len();
                let Some(next) = page.next else { return anyhow::Ok(found) };
                filter.before = Some(next);
            }
        };
        assert_eq!(count(Only::default(), None).await?, 2_000);
        let of_busiest = count(Only::default(), Some(vec![busiest.id])).await?;
        assert!((300..480).contains(&of_busiest), "{of_busiest} of the busiest");
        let not_sent = Only { outcome: Some(OutcomeKind::NotSent), ..Only::default() };
        assert!((20..65).contains(&count(not_sent, None).await?));
        let nothing = Only { method: Some("PATCH".to_owned()), ..Only::default() };
        assert_eq!(count(nothing, None).await?, 0);
        store.close().await;
        Ok(())
    }

    #[test]
    fn the_kinds_come_to_a_hundred() {
        let all: f64 = kinds().iter().map(|kind| kind.of_hundred).sum();
        assert!((all - 100.0).abs() < f64::EPSILON);
    }
}
