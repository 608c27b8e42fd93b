//! The store's promises, each on a database of its own.

mod deliveries;

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use protocol::control::Sharing;
use protocol::field::HeaderBlock;
use protocol::id::{AgentId, EventId, Slug};
use tempfile::TempDir;

use super::*;
use crate::delivery::verdict::AttemptOutcome;
use crate::model::{
    AttemptRecord, Captured, DestinationId, Outcome, ProjectId, RecordedAnswer, Scope, SourceId, SourceRules,
    Times,
};

pub(super) const NOW: u64 = 1_700_000_000_000;

/// A store in a directory of its own.
pub(super) struct Home {
    pub(super) dir: TempDir,
    pub(super) clock: Clock,
    pub(super) store: Store,
}

pub(super) async fn home() -> Home {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOW);
    let store = Store::open(dir.path(), clock.clone()).await.unwrap();
    Home { dir, clock, store }
}

impl Home {
    pub(super) async fn reopened(self) -> Self {
        self.store.close().await;
        let store = Store::open(self.dir.path(), self.clock.clone()).await.unwrap();
        Self { store, ..self }
    }

    pub(super) async fn source(&self, project: ProjectId, slug: &str) -> SourceId {
        let made = self.store.create_source(project, name(slug), SourceRules::default(), Sharing::Pool).await;
        made.unwrap().id
    }

    /// Waits until the writer is done with what was recorded so far.
    pub(super) async fn settled(&self, events: u64) {
        let written = async {
            while self.store.record_counts().written + self.store.record_counts().lost < events {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), written).await.expect("records are written in time");
    }

    pub(super) async fn list(&self, project: ProjectId) -> Vec<EventId> {
        let filter = EventFilter { project, sources: None, before: None, limit: 200, only: Only::default() };
        self.store.events(filter).await.unwrap().events.into_iter().map(|event| event.id).collect()
    }

    /// The destinations of a source, the primary first; made until there are so many.
    pub(super) async fn destinations(&self, slug: &str, count: usize) -> Vec<DestinationId> {
        let source = self.store.source(slug).unwrap();
        for no in source.destinations.len()..count {
            let named = format!("copy-{no}").parse().unwrap();
            self.store.ensure_destination(source.id, named, Sharing::Pool).await.unwrap();
        }
        self.store
            .source(slug)
            .unwrap()
            .destinations
            .iter()
            .map(|destination| destination.id)
            .take(count)
            .collect()
    }

    /// Takes an event in, with a delivery to each of these. A body of more than 100 bytes goes into a file.
    pub(super) async fn accept(&self, source: SourceId, body: &[u8], to: &[DestinationId]) -> EventId {
        let mut record = event(self.store.next_event_id(), source);
        record.outcome = Outcome::Accepted("test");
        record.body = Captured::whole(Bytes::copy_from_slice(body));
        if body.len() > 100 {
            let mut partial = self.store.body_files().begin(record.id).unwrap();
            partial.write(body).unwrap();
            partial.finish().unwrap().keep(true);
            (record.body.is_in_file, record.body.bytes) = (true, Bytes::new());
        }
        let id = record.id;
        let deliveries = to
            .iter()
            .map(|destination| NewDelivery { destination: *destination, start: Start::Ready })
            .collect();
        let accepted = self.store.accept(Acceptance { record, deliveries, dedupe: None }).await.unwrap();
        assert!(matches!(accepted, Accepted::Stored { .. }));
        id
    }

    /// Leases what is ready for a destination, at most so many, and settles it so.
    pub(super) async fn settle(&self, destination: DestinationId, limit: u32, next: Next) -> usize {
        let want = Want {
            destination,
            limit,
            lease_ms: 60_000,
            bytes_max: u64::MAX,
            is_strict: false,
            is_on_hold: false,
        };
        let leased = self.store.advance(Arc::default(), vec![want], u64::MAX).await.unwrap().leased;
        let settlements = leased.iter().map(|one| Settlement {
            delivery: one.delivery,
            attempt: one.attempt,
            record: Some(Box::new(attempt(next))),
            next,
        });
        let settlements: Vec<_> = settlements.collect();
        self.store.advance(Arc::new(settlements), Vec::new(), u64::MAX).await.unwrap();
        leased.len()
    }

    /// Everything that can be looked at.
    pub(super) fn audit(&self) -> Audit {
        Audit::of_data_dir(self.dir.path(), true).unwrap()
    }

    /// Does something to the database behind the store's back.
    pub(super) fn tamper(&self, sql: &str) -> usize {
        Connection::open(self.dir.path().join("relay.db")).unwrap().execute(sql, []).unwrap()
    }
}

/// An attempt after which a delivery stands like this.
pub(super) fn attempt(next: Next) -> AttemptRecord {
    let outcome = match next {
        Next::Delivered => AttemptOutcome::Answered(200),
        Next::RetryAt(_) => AttemptOutcome::Answered(503),
        Next::Dead(_) => AttemptOutcome::Answered(404),
        Next::Ready | Next::Cancelled(_) => AttemptOutcome::NotSent("app_refused"),
    };
    let answer = RecordedAnswer { status: 200, headers: HeaderBlock::default(), body: captured(b"answered") };
    AttemptRecord {
        started_ms: NOW,
        outcome,
        text: None,
        agent: None,
        answer,
        times: Times::default(),
        is_resigned: false,
    }
}

pub(super) fn name(slug: &str) -> Slug {
    slug.parse().unwrap()
}

fn headers(fields: &[(&str, &[u8])]) -> HeaderBlock {
    let mut block = HeaderBlock::default();
    for (name, value) in fields {
        block.push(name.as_bytes(), value).unwrap();
    }
    block
}

pub(super) fn captured(bytes: &'static [u8]) -> Captured {
    Captured {
        bytes: Bytes::from_static(bytes),
        total_bytes: bytes.len() as u64,
        complete: true,
        is_in_file: false,
    }
}

pub(super) fn event(id: EventId, source: SourceId) -> Box<EventRecord> {
    Box::new(EventRecord {
        id,
        source,
        remote: "2001:db8::7".parse().unwrap(),
        method: "POST".to_owned(),
        target: b"/h/github/a%2Fb?x=\xff".to_vec(),
        headers: headers(&[("X-A", b"1"), ("x-a", b"caf\xe9")]),
        body: captured(b"hello \xff\0"),
        outcome: Outcome::SentNoAnswer("app_broke"),
        shape: Default::default(),
        related: None,
        is_accepted: false,
        known: Default::default(),
        agent: Some(AgentId(u128::MAX - 5)),
        answer: RecordedAnswer {
            status: 502,
            headers: headers(&[("Server", b"x")]),
            body: captured(b"oops"),
        },
        times: Times { head_us: 1, total_us: 2, connect_us: 3, app_us: 4 },
    })
}

pub(super) const DEFAULT: ProjectId = ProjectId(1);

#[tokio::test]
async fn the_default_project_exists_from_the_first_start() {
    let home = home().await;
    assert_eq!(home.store.project(DEFAULT_PROJECT).await.unwrap(), DEFAULT);
    let other = home.store.project("other").await.unwrap();
    assert_ne!(other, DEFAULT);
    assert_eq!(home.store.project("other").await.unwrap(), other);
}

#[tokio::test]
async fn an_event_reads_back_exactly() {
    let home = home().await;
    let source = home.source(DEFAULT, "github").await;
    let mut records: Vec<_> = (0..40).map(|_| event(home.store.next_event_id(), source)).collect();
    records[1].body = Captured { complete: false, total_bytes: 70_000, ..captured(b"the start") };
    records[2].body = Captured::default();
    records[2].answer.body = Captured::default();
    records[2].agent = None;
    records[2].remote = "192.0.2.1".parse().unwrap();
    for (record, outcome) in records.iter_mut().zip([
        Outcome::Answered,
        Outcome::NotSent("app_refused"),
        Outcome::Refused("overloaded"),
    ]) {
        record.outcome = outcome;
    }
    for record in &records {
        home.store.record(record.clone()).unwrap();
    }
    home.settled(40).await;
    let home = home.reopened().await;
    for record in records {
        let found = home.store.event(DEFAULT, record.id).await.unwrap().expect("recorded");
        assert_eq!(found.summary, EventSummary::from(&*record));
        assert_eq!(found.headers, record.headers);
        assert_eq!(found.body, record.body);
        assert_eq!(found.answer, record.answer);
    }
}

#[tokio::test]
async fn what_is_queued_is_written_when_the_last_handle_goes() {
    let home = home().await;
    let source = home.source(DEFAULT, "github").await;
    let ids: Vec<_> = (0..3_000).map(|_| home.store.next_event_id()).collect();
    for id in &ids {
        home.store.record(event(*id, source)).unwrap();
    }
    let (dir, clock) = (home.dir, home.clock);
    tokio::task::spawn_blocking(move || drop(home.store)).await.unwrap();
    let store = Store::open(dir.path(), clock).await.unwrap();
    for id in [ids[0], ids[1_500], ids[2_999]] {
        assert!(store.event(DEFAULT, id).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn an_id_finds_its_event_only_with_its_chance() {
    let home = home().await;
    let source = home.source(DEFAULT, "github").await;
    let id = home.store.next_event_id();
    home.store.record(event(id, source)).unwrap();
    home.settled(1).await;
    assert!(home.store.event(DEFAULT, id).await.unwrap().is_some());
    for bit in [0, 1, 63, 64] {
        assert_eq!(home.store.event(DEFAULT, EventId(id.0 ^ (1 << bit))).await.unwrap(), None, "bit {bit}");
    }
}

#[tokio::test]
async fn event_ids_rise_even_when_the_clock_goes_back() {
    let home = home().await;
    let source = home.source(DEFAULT, "github").await;
    let first = home.store.next_event_id();
    assert_eq!(first.unix_ms(), NOW);
    home.clock.set(NOW - 60_000);
    let second = home.store.next_event_id();
    assert!(second.sort_key() > first.sort_key());
    home.store.record(event(second, source)).unwrap();
    home.settled(1).await;
    let home = home.reopened().await;
    assert!(home.store.next_event_id().sort_key() > second.sort_key(), "after a restart too");
    home.clock.set(NOW + 5);
    assert_eq!(home.store.next_event_id().unix_ms(), NOW + 5);
}

#[tokio::test]
async fn events_come_newest_first_page_by_page() {
    let home = home().await;
    let sources =
        [home.source(DEFAULT, "a").await, home.source(DEFAULT, "b").await, home.source(DEFAULT, "c").await];
    let mut ids: Vec<_> = (0..500).map(|_| home.store.next_event_id()).collect();
    for (at, id) in ids.iter().enumerate() {
        home.store.record(event(*id, sources[if at % 50 == 0 { 2 } else { at % 2 }])).unwrap();
    }
    home.settled(500).await;
    ids.reverse();
    let mut seen = Vec::new();
    let mut filter =
        EventFilter { project: DEFAULT, sources: None, before: None, limit: 70, only: Only::default() };
    loop {
        let page = home.store.events(filter.clone()).await.unwrap().events;
        let Some(last) = page.last() else { break };
        filter.before = Some(last.id);
        seen.extend(page.into_iter().map(|event| event.id));
    }
    assert_eq!(seen, ids);
    filter = EventFilter { before: None, limit: 9_999, sources: Some(vec![sources[2]]), ..filter };
    let rare = home.store.events(filter.clone()).await.unwrap().events;
    assert_eq!(rare.len(), 10);
    assert!(rare.iter().all(|event| event.source == sources[2]));
    filter.sources = Some(Vec::new());
    assert_eq!(home.store.events(filter).await.unwrap().events, [], "no source is not every source");
    assert_eq!(home.list(DEFAULT).await.len(), EVENTS_MAX);
}

#[tokio::test]
async fn nothing_of_another_project_is_visible() {
    let home = home().await;
    let other = home.store.project("other").await.unwrap();
    let source = home.source(other, "theirs").await;
    let id = home.store.next_event_id();
    home.store.record(event(id, source)).unwrap();
    home.settled(1).await;
    let token = home.store.create_token(other, Scope::Admin, "", None).await.unwrap();
    assert!(home.store.sources(DEFAULT).is_empty());
    assert_eq!(home.list(DEFAULT).await, []);
    let by_source = EventFilter {
        project: DEFAULT,
        sources: Some(vec![source]),
        before: None,
        limit: 9,
        only: Only::default(),
    };
    assert_eq!(home.store.events(by_source).await.unwrap().events, []);
    assert_eq!(home.store.event(DEFAULT, id).await.unwrap(), None);
    assert_eq!(home.store.tokens(DEFAULT).await.unwrap(), []);
    assert!(!home.store.revoke_token(DEFAULT, token.token.id).await.unwrap());
    let rules = SourceRules::default();
    let updated = home.store.update_source(DEFAULT, name("theirs"), rules).await;
    assert!(matches!(updated, Err(SourceError::NotFound)));
    let deleted = home.store.delete_source(DEFAULT, name("theirs")).await;
    assert!(matches!(deleted, Err(SourceError::NotFound)));
    assert_eq!(home.list(other).await, [id]);
    assert!(home.store.verify_token(&token.text.0).await.unwrap().is_some());
}

#[tokio::test]
async fn a_deleted_slug_is_never_given_to_another_project() {
    let home = home().await;
    let other = home.store.project("other").await.unwrap();
    let first = home.source(DEFAULT, "mine").await;
    let id = home.store.next_event_id();
    home.store.record(event(id, first)).unwrap();
    home.settled(1).await;
    home.store.delete_source(DEFAULT, name("mine")).await.unwrap();
    assert_eq!(home.store.source("mine"), None);
    let home = home.reopened().await;
    let stolen = home.store.create_source(other, name("mine"), SourceRules::default(), Sharing::Pool).await;
    assert!(matches!(stolen, Err(SourceError::Taken)));
    let again = home.source(DEFAULT, "mine").await;
    assert_ne!(again, first, "its own project may have it back, as a new source");
    assert_eq!(home.list(DEFAULT).await, [id], "old events stay until retention takes them");
    assert_eq!(home.store.owner(first).unwrap().slug, name("mine"));
}

#[tokio::test]
async fn a_name_is_given_once() {
    let home = home().await;
    home.source(DEFAULT, "mine").await;
    let again = home.store.create_source(DEFAULT, name("mine"), SourceRules::default(), Sharing::Pool).await;
    assert!(matches!(again, Err(SourceError::Taken)));
}

#[tokio::test]
async fn a_changed_source_is_seen_at_once_and_after_a_restart() {
    let home = home().await;
    let id = home.source(DEFAULT, "mine").await;
    let rules = SourceRules { paused: true, patience_ms: 7, ..SourceRules::default() };
    home.store.update_source(DEFAULT, name("mine"), rules.clone()).await.unwrap();
    let named = "copy".parse::<protocol::id::DestinationName>().unwrap();
    for sharing in [Sharing::Broadcast, Sharing::Replace] {
        home.store.ensure_destination(id, named.clone(), sharing).await.unwrap();
    }
    let before = home.store.source("mine").unwrap();
    assert_eq!(before.rules, rules);
    let names: Vec<_> = before.destinations.iter().map(|d| (d.name.as_str(), d.sharing)).collect();
    assert_eq!(names, [("default", Sharing::Pool), ("copy", Sharing::Broadcast)]);
    let home = home.reopened().await;
    assert_eq!(home.store.source("mine").unwrap(), before);
    assert_eq!(home.store.sources(DEFAULT), [before]);
}

#[tokio::test]
async fn a_token_is_never_stored_as_text() {
    let home = home().await;
    let made = home.store.create_token(DEFAULT, Scope::Admin, "ci", None).await.unwrap();
    let text = made.text.0;
    assert_eq!((text.len(), &text[..3]), (46, "rt_"));
    assert_eq!(home.store.verify_token(&text).await.unwrap(), Some(made.token));
    let dir = home.dir;
    home.store.close().await;
    for name in ["relay.db", "reserve"] {
        let bytes = std::fs::read(dir.path().join(name)).unwrap();
        let needle = &text.as_bytes()[3..];
        assert!(!bytes.windows(needle.len()).any(|window| window == needle));
    }
}

#[tokio::test]
async fn unknown_expired_and_revoked_tokens_are_no_tokens() {
    let home = home().await;
    let store = &home.store;
    let scope = Scope::Agent { sources: vec!["a".to_owned()], create: false };
    let made = store.create_token(DEFAULT, scope.clone(), "x", Some(NOW + 10)).await.unwrap();
    assert_eq!(store.verify_token(&made.text.0).await.unwrap().map(|t| t.scope), Some(scope));
    for wrong in
        ["", "rt_", "rt_é", &made.text.0[1..], &format!("{}A", made.text.0), &made.text.0.to_lowercase()]
    {
        assert_eq!(store.verify_token(wrong).await.unwrap(), None, "{wrong}");
    }
    home.clock.set(NOW + 10);
    assert_eq!(store.verify_token(&made.text.0).await.unwrap(), None, "expired");
    let made = store.create_token(DEFAULT, Scope::Read, "y", None).await.unwrap();
    assert_eq!(store.revoked_since(0).await.unwrap(), []);
    assert!(store.is_token_good(made.token.id).await.unwrap());
    assert!(store.revoke_token(DEFAULT, made.token.id).await.unwrap());
    assert_eq!(store.verify_token(&made.text.0).await.unwrap(), None, "revoked");
    assert!(!store.is_token_good(made.token.id).await.unwrap());
    assert_eq!(store.revoked_since(NOW + 10).await.unwrap(), [made.token.id]);
    assert_eq!(store.revoked_since(NOW + 11).await.unwrap(), []);
    home.clock.set(NOW + 90);
    assert!(store.revoke_token(DEFAULT, made.token.id).await.unwrap(), "again");
    assert_eq!(store.tokens(DEFAULT).await.unwrap()[1].revoked_ms, Some(NOW + 10), "since the first time");
}

#[tokio::test]
async fn two_processes_can_write() {
    let home = home().await;
    let source = home.source(DEFAULT, "github").await;
    let other = Store::open(home.dir.path(), home.clock.clone()).await.unwrap();
    for round in 0..20 {
        home.store.record(event(home.store.next_event_id(), source)).unwrap();
        let made = other.create_token(DEFAULT, Scope::Read, "beside", None).await.unwrap();
        assert!(home.store.verify_token(&made.text.0).await.unwrap().is_some(), "round {round}");
        assert!(other.revoke_token(DEFAULT, made.token.id).await.unwrap());
        assert!(home.store.revoked_since(NOW).await.unwrap().contains(&made.token.id));
    }
    other.close().await;
    home.settled(20).await;
    assert_eq!(home.store.record_counts(), RecordCounts { written: 20, lost: 0 });
}

#[tokio::test]
async fn records_are_bounded() {
    let home = home().await;
    let source = home.source(DEFAULT, "github").await;
    // The writer stands still while this job runs.
    let (go, stop) = std::sync::mpsc::channel::<()>();
    let (begun, begins) = tokio::sync::oneshot::channel();
    let (job, blocked) = job::job(move |_, _| {
        begun.send(()).ok();
        stop.recv().ok();
        Ok(())
    });
    home.store.shared().queue.put_job(job).unwrap();
    begins.await.unwrap();
    let mut taken = 0;
    while home.store.record(event(home.store.next_event_id(), source)).is_ok() {
        taken += 1;
    }
    assert_eq!(taken, 16_384);
    go.send(()).unwrap();
    blocked.await.unwrap().unwrap();
    home.settled(taken).await;
    let mut large = event(home.store.next_event_id(), source);
    large.body.bytes = Bytes::from(vec![0; 65 * 1024 * 1024]);
    assert_eq!(home.store.record(large), Err(RecordFull), "by bytes too");
    assert_eq!(home.store.record_counts(), RecordCounts { written: taken, lost: 0 });
}

#[tokio::test]
async fn pruning_keeps_the_newest() {
    let home = home().await;
    let source = home.source(DEFAULT, "github").await;
    let mut ids = Vec::new();
    for age in 0..1_200 {
        home.clock.set(NOW + age);
        ids.push(home.store.next_event_id());
        home.store.record(event(ids[ids.len() - 1], source)).unwrap();
    }
    home.settled(1_200).await;
    let policy = Retention { age_ms: 100, bytes_max: u64::MAX };
    let mut steps = Vec::new();
    loop {
        let step = home.store.prune(policy, Cursor::default()).await.unwrap();
        steps.push(step.events);
        if !step.more {
            break;
        }
    }
    assert_eq!(steps, [500, 500, 99], "older than 100 ms at NOW + 1199");
    ids.reverse();
    assert_eq!(home.list(DEFAULT).await, ids[..101]);
    assert!(
        home.store.event(DEFAULT, ids[0]).await.unwrap().is_some_and(|found| found.body.bytes.len() == 8)
    );
}

#[tokio::test]
async fn pruning_by_size_gives_the_space_back_and_leaves_no_trace() {
    let home = home().await;
    let source = home.source(DEFAULT, "github").await;
    const MARK: &[u8] = b"a very particular secret";
    let big = Bytes::from(MARK.repeat(4_000));
    for _ in 0..600 {
        let mut record = event(home.store.next_event_id(), source);
        record.body =
            Captured { total_bytes: big.len() as u64, bytes: big.clone(), complete: true, is_in_file: false };
        while home.store.record(record.clone()).is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    home.settled(600).await;
    let newest = home.list(DEFAULT).await[0];
    let bytes_max = 8 * 1024 * 1024;
    let policy = Retention { age_ms: u64::MAX, bytes_max };
    let mut steps = 0;
    while home.store.prune(policy, Cursor::default()).await.unwrap().more {
        steps += 1;
    }
    assert!(steps >= 10, "each step is short: {steps}");
    assert_eq!(home.list(DEFAULT).await[0], newest);
    let Home { dir, store, .. } = home;
    while store.prune(Retention { age_ms: 0, bytes_max: 0 }, Cursor::default()).await.unwrap().more {}
    store.close().await;
    let file = std::fs::read(dir.path().join("relay.db")).unwrap();
    assert!(file.len() < 32 * 1024 * 1024, "of 58 MB");
    let traces = file.windows(MARK.len()).filter(|window| *window == MARK).count();
    assert_eq!(traces, 0, "deleted bytes are gone");
}

/// A disk of `pages` pages; 0 takes the limit away.
async fn limit_disk(store: &Store, pages: i64) {
    let limited = store.write(move |conn, _| {
        let now: i64 = conn.query_row("PRAGMA page_count", [], |row| row.get(0))?;
        let limit = if pages == 0 { 4_000_000_000 } else { now + pages };
        conn.query_row(&format!("PRAGMA max_page_count = {limit}"), [], |_| Ok(()))
    });
    limited.await.unwrap();
}

#[tokio::test]
async fn a_full_disk_loses_records_and_recovers_by_itself() {
    let home = home().await;
    let source = home.source(DEFAULT, "github").await;
    limit_disk(&home.store, 4).await;
    let mut asked = 0;
    while home.store.health() == Health::Ok {
        for _ in 0..100 {
            home.store.record(event(home.store.next_event_id(), source)).unwrap();
        }
        asked += 100;
        home.settled(asked).await;
    }
    assert_eq!(home.store.health(), Health::Full);
    assert!(home.store.record_counts().lost > 0);
    assert!(home.store.project(DEFAULT_PROJECT).await.is_ok(), "what needs no space still works");
    limit_disk(&home.store, 0).await;
    let recovery = async {
        while home.store.health() == Health::Full {
            home.store.record(event(home.store.next_event_id(), source)).unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), recovery).await.expect("recovers");
    let lost = home.store.record_counts().lost;
    let id = home.store.next_event_id();
    home.store.record(event(id, source)).unwrap();
    home.store.project("flush").await.unwrap();
    let found = async {
        while home.store.event(DEFAULT, id).await.unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), found).await.expect("recorded again");
    assert_eq!(home.store.record_counts().lost, lost);
}

#[tokio::test]
async fn a_failed_disk_is_told_and_nothing_is_taken_any_more() {
    let home = home().await;
    let source = home.source(DEFAULT, "github").await;
    let failed = home.store.write(|_, _| -> rusqlite::Result<()> {
        let fsync_failed = rusqlite::ffi::Error::new(1034);
        Err(rusqlite::Error::SqliteFailure(fsync_failed, None))
    });
    assert!(matches!(failed.await, Err(StoreError::Poisoned)));
    let how = tokio::time::timeout(Duration::from_secs(20), home.store.poisoned()).await.expect("told");
    assert!(how.contains("I/O"), "{how}");
    let after = home.store.project("x").await;
    assert!(matches!(after, Err(StoreError::Poisoned)));
    assert_eq!(home.store.record(event(home.store.next_event_id(), source)), Err(RecordFull));
    home.store.close().await;
}

#[tokio::test]
async fn a_job_that_fails_takes_only_itself_back() {
    let home = home().await;
    let broken = home.store.write(|conn, _| {
        conn.execute("INSERT INTO projects (name, created_ms) VALUES ('half', 0)", [])?;
        conn.execute("INSERT INTO projects (name, created_ms) VALUES ('half', 0)", [])
    });
    let (broken, whole) = tokio::join!(broken, home.store.project("whole"));
    assert!(matches!(broken, Err(StoreError::Database(_))));
    let whole = whole.unwrap();
    assert_eq!(home.store.project("whole").await.unwrap(), whole);
    let half = home.store.read(|conn| {
        conn.query_row("SELECT count(*) FROM projects WHERE name = 'half'", [], |row| row.get::<_, i64>(0))
    });
    assert_eq!(half.await.unwrap(), 0);
}

#[tokio::test]
async fn a_question_that_takes_too_long_is_cut_off() {
    let home = home().await;
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    let asked = home.store.read(move |conn| conn.query_row(endless, [], |row| row.get::<_, i64>(0)));
    assert!(matches!(asked.await, Err(StoreError::TooSlow)));
    assert_eq!(home.list(DEFAULT).await, [], "the connection still answers");
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let home = home().await;
    let other = home.store.clone();
    home.store.close().await;
    assert!(matches!(other.project("x").await, Err(StoreError::Closed)));
}

#[tokio::test]
async fn a_body_on_its_way_in_survives_a_command_beside_the_server() {
    let home = home().await;
    let files = home.store.body_files().clone();
    let (whole, begun) = (home.store.next_event_id(), home.store.next_event_id());
    let mut partial = files.begin(whole).unwrap();
    partial.write(b"whole, and its event not committed yet").unwrap();
    partial.finish().unwrap().keep(true);
    let mut partial = files.begin(begun).unwrap();
    partial.write(b"the first half, ").unwrap();
    // As `token create` does.
    Store::open(home.dir.path(), home.clock.clone()).await.unwrap().close().await;
    partial.write(b"and the second").unwrap();
    partial.finish().unwrap().keep(true);
    assert!(files.path(whole).is_file());
    assert_eq!(std::fs::read(files.path(begun)).unwrap(), b"the first half, and the second");
    home.store.sweep_bodies().await.unwrap();
    assert!(!files.path(whole).exists() && !files.path(begun).exists(), "a server's start sweeps them");
}

async fn refused(dir: &Path) -> OpenError {
    match Store::open(dir, Clock::fixed(NOW)).await {
        Ok(_) => panic!("opened"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn what_is_not_ours_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("relay.db");
    std::fs::write(&file, b"my diary, and more than sixteen bytes of it".repeat(99)).unwrap();
    assert!(matches!(refused(dir.path()).await, OpenError::NotADatabase { .. }));
    assert!(
        matches!(refused(&file).await, OpenError::Directory { .. }),
        "a file where the directory should be"
    );
    std::fs::remove_file(&file).unwrap();
    let theirs = Connection::open(&file).unwrap();
    theirs.execute_batch("CREATE TABLE diary (page TEXT)").unwrap();
    drop(theirs);
    assert!(matches!(refused(dir.path()).await, OpenError::NotADatabase { .. }));
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    let home = home().await;
    let dir = home.dir;
    home.store.close().await;
    let newer = Connection::open(dir.path().join("relay.db")).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    let error = refused(dir.path()).await;
    assert!(matches!(error, OpenError::Newer { found: 99, known: 4, .. }), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn only_this_user_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("a/b");
    let store = Store::open(&dir, Clock::fixed(NOW)).await.unwrap();
    store.project("x").await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    for file in std::fs::read_dir(&dir).unwrap() {
        let path = file.unwrap().path();
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&path), expected, "{}", path.display());
    }
}

#[tokio::test]
async fn the_log_begins_anew_while_events_come_in() {
    let home = home().await;
    let source = home.source(DEFAULT, "hook").await;
    let log = home.dir.path().join("relay.db-wal");
    let (mut written, mut longest) = (0_u64, 0);
    for _ in 0..160 {
        let batch = (0..64).map(|_| {
            let mut record = event(home.store.next_event_id(), source);
            record.body = captured(&[b'x'; 16 * 1024]);
            let acceptance = Acceptance { record, deliveries: Vec::new(), dedupe: None };
            home.store.accept(acceptance)
        });
        for accepted in futures_util::future::join_all(batch).await {
            accepted.unwrap();
            written += 16 * 1024;
        }
        longest = longest.max(std::fs::metadata(&log).unwrap().len());
        // As commits do on a disk.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(
        written >= 160 << 20 && longest < 96 << 20,
        "a log of {longest} bytes for {written} bytes of events"
    );
}

#[tokio::test]
async fn lists_of_many_sources_lose_none_and_repeat_none() {
    let home = home().await;
    let mut sources = Vec::new();
    for number in 0..12 {
        sources.push(home.source(DEFAULT, &format!("s{number}")).await);
    }
    let elsewhere = home.store.project("elsewhere").await.unwrap();
    let foreign = home.source(elsewhere, "foreign").await;
    for number in 0..5_000_usize {
        let of = if number % 3 == 0 { foreign } else { sources[number * number % sources.len()] };
        let mut record = event(home.store.next_event_id(), of);
        // Rare enough for a look to end without a page.
        record.method = if number % 97 == 0 { "DELETE" } else { "POST" }.to_owned();
        home.store.record(record).unwrap();
    }
    home.settled(5_000).await;
    let read = async |method: Option<&str>, limit| {
        let only = Only { method: method.map(str::to_owned), ..Only::default() };
        let mut filter = EventFilter { project: DEFAULT, sources: None, before: None, limit, only };
        let mut all = Vec::new();
        loop {
            let page = home.store.events(filter.clone()).await.unwrap();
            assert!(page.events.len() <= limit);
            all.extend(page.events);
            let Some(next) = page.next else { return all };
            filter.before = Some(next);
        }
    };
    let all = read(None, 200).await;
    let deleted: Vec<_> = all.iter().filter(|event| event.method == "DELETE").cloned().collect();
    assert!(all.is_sorted_by_key(|event| std::cmp::Reverse(event.id)));
    assert_eq!((all.len(), deleted.is_empty()), (3_333, false));
    assert!(all.iter().all(|event| event.source != foreign));
    for limit in [7, 50, 200] {
        assert_eq!(read(None, limit).await, all, "by {limit}");
        assert_eq!(read(Some("DELETE"), limit).await, deleted, "by {limit}");
    }
    assert!(read(Some("PATCH"), 50).await.is_empty());
}
