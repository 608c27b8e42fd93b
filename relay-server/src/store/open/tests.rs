//! Stores that older versions wrote.

use std::time::Instant;

use protocol::control::Sharing;
use protocol::id::{AgentId, EventId, Slug};

use super::*;
use crate::clock::Clock;
use crate::model::{DestinationId, IfAway, IfSenderLeaves, ProjectId, Scope, SourceId, SourceRules};
use crate::store::tests::{DEFAULT, Home, NOW};
use crate::store::{
    Audit, EventFilter, Manner, Next, Only, OutcomeKind, Replayed, SourceError, Store, copy_store,
};

const OTHER: ProjectId = ProjectId(2);

/// A store as schema 0001 left it, with rows of every table, and its file.
fn first_schema() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    let conn = Connection::open(&path).unwrap();
    conn.execute_batch(
        "PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;",
    )
    .unwrap();
    conn.execute_batch(MIGRATIONS[0]).unwrap();
    conn.execute_batch(include_str!("../schema/0001.rows.sql")).unwrap();
    (dir, path)
}

async fn open(dir: tempfile::TempDir) -> Home {
    let clock = Clock::fixed(NOW);
    let store = Store::open(dir.path(), clock.clone()).await.unwrap();
    Home { dir, clock, store }
}

fn number(path: &Path, sql: &str) -> i64 {
    Connection::open(path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

fn event(ms: u64, no: u64, chance: u128) -> EventId {
    EventId::from_parts((ms << 20) + no, chance)
}

fn answered() -> EventId {
    event(NOW, 1, 5)
}

fn without_answer() -> EventId {
    event(NOW, 2, (1 << 65) - 1)
}

fn cut() -> EventId {
    event(NOW, 3, 7)
}

fn slug(name: &str) -> Slug {
    name.parse().unwrap()
}

#[tokio::test]
async fn a_new_store_has_its_pages_and_one_that_is_refused_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    Store::open(dir.path(), Clock::fixed(NOW)).await.unwrap().close().await;
    assert_eq!((number(&path, "PRAGMA page_size"), number(&path, "PRAGMA auto_vacuum")), (8192, 2));
    Connection::open(&path).unwrap().pragma_update(None, "user_version", VERSION + 1).unwrap();
    let before = fs::read(&path).unwrap();
    let refused = Store::open(dir.path(), Clock::fixed(NOW)).await.err().unwrap();
    assert!(matches!(refused, OpenError::Newer { .. }), "{refused}");
    assert!(fs::read(&path).unwrap() == before);
}

#[tokio::test]
async fn sources_and_destinations_of_the_first_schema_are_as_they_were() {
    let (dir, path) = first_schema();
    let home = open(dir).await;
    assert_eq!(number(&path, "PRAGMA user_version"), VERSION);
    let names: Vec<_> = home.store.sources(DEFAULT).iter().map(|source| source.slug.to_string()).collect();
    assert_eq!(names, ["github", "stripe"]);
    let github = home.store.source("github").unwrap();
    let expected = SourceRules {
        methods: vec!["POST".to_owned()],
        networks: vec!["192.0.2.0/24".parse().unwrap()],
        patience_ms: 7_000,
        body_bytes_max: Some(1_000),
        if_away: IfAway::Refuse,
        if_sender_leaves: IfSenderLeaves::Cancel,
        ..SourceRules::default()
    };
    assert_eq!((&github.rules, github.created_ms), (&expected, NOW + 1));
    let destinations = |slug: &str| -> Vec<_> {
        let source = home.store.source(slug).unwrap();
        source.destinations.iter().map(|one| (one.id.0, one.name.to_string(), one.sharing)).collect()
    };
    let named = |id, name: &str, sharing| (id, name.to_owned(), sharing);
    let of_github = [
        named(1, "default", Sharing::Pool),
        named(5, "copy", Sharing::Broadcast),
        named(7, "archive", Sharing::Pool),
    ];
    assert_eq!(destinations("github"), of_github, "the lowest was the primary, and is");
    assert_eq!(
        destinations("stripe"),
        [named(2, "main", Sharing::Replace), named(6, "default", Sharing::Pool)]
    );
    assert!(home.store.source("stripe").unwrap().rules.paused);
    assert_eq!(home.store.sources(OTHER).len(), 1);
    assert_eq!(home.store.source("gone"), None);
    assert_eq!(home.store.owner(SourceId(4)).unwrap().slug, slug("gone"));
    let taken = home.store.create_source(OTHER, slug("gone"), SourceRules::default(), Sharing::Pool).await;
    assert!(matches!(taken, Err(SourceError::Taken)), "a deleted name stays its project's");
    // What is new works on what is old.
    let more =
        home.store.ensure_destination(SourceId(1), "late".parse().unwrap(), Sharing::Pool).await.unwrap();
    assert_eq!(more.destinations[0].id, DestinationId(1));
    let heir = home.store.delete_destination(SourceId(1), DestinationId(1)).await.unwrap();
    assert_eq!(heir.destinations[0].id, DestinationId(5));
}

/// The same as schema 0002 left it, with a delivery that was attempted once.
fn second_schema() -> (tempfile::TempDir, PathBuf) {
    let (dir, path) = first_schema();
    let conn = Connection::open(&path).unwrap();
    conn.execute_batch(MIGRATIONS[1]).unwrap();
    let key = answered().sort_key().cast_signed();
    conn.execute_batch(&format!(
        "INSERT INTO deliveries VALUES ({key}, 1, 1, 1, 0, 3, 1, {NOW}, {NOW}, 0, NULL);
         INSERT INTO attempts VALUES ({key}, 1, 1, {NOW}, 0, NULL, NULL, NULL, 200, 1, 2, 3, 2, 0, x'', x'6f6b');
         INSERT INTO ledgers VALUES (1, 0, 1, 0, 0, 0);
         PRAGMA user_version = 2;"
    ))
    .unwrap();
    (dir, path)
}

#[tokio::test]
async fn what_the_second_schema_kept_is_there_and_nothing_of_it_was_signed_afresh() {
    let (dir, path) = second_schema();
    let home = open(dir).await;
    assert_eq!(number(&path, "PRAGMA user_version"), VERSION);
    let made = home.store.deliveries_of(answered()).await.unwrap();
    let (delivery, _) = &made[0];
    let attempts = home.store.attempts(delivery.id).await.unwrap();
    let [attempt] = &attempts[..] else { panic!("{attempts:?}") };
    assert_eq!(
        (attempt.status, &*attempt.answer.body.bytes, attempt.is_resigned),
        (Some(200), &b"ok"[..], false)
    );
    let event = home.store.event(DEFAULT, answered()).await.unwrap().unwrap();
    assert_eq!((event.summary.name, event.summary.signature), (None, None));
    let source = home.store.source("github").unwrap();
    assert!(source.secrets.is_empty() && source.rules.provider.is_none());
    let (_, source) =
        home.store.add_secret(DEFAULT, source.slug.clone(), vec![1, 2], String::new()).await.unwrap();
    assert_eq!(source.secrets[0].sealed, [1, 2]);
}

#[tokio::test]
async fn tokens_of_the_first_schema_open_what_they_opened() {
    let (dir, _) = first_schema();
    let home = open(dir).await;
    home.clock.set(NOW + 10);
    let text = |letter: &str| format!("rt_{}", letter.repeat(43));
    let scope = |letter| {
        let store = home.store.clone();
        async move { store.verify_token(&text(letter)).await.unwrap().map(|token| (token.project, token.scope)) }
    };
    assert_eq!(scope("A").await, Some((DEFAULT, Scope::Admin)));
    let only_github = Scope::Agent { sources: vec!["github".to_owned()], create: false };
    assert_eq!(scope("B").await, Some((DEFAULT, only_github)));
    assert_eq!((scope("C").await, scope("D").await), (None, None), "revoked, expired");
    assert_eq!(home.store.tokens(DEFAULT).await.unwrap().len(), 3);
    assert_eq!(home.store.tokens(OTHER).await.unwrap()[0].expires_ms, Some(NOW + 4));
}

#[tokio::test]
async fn events_of_the_first_schema_are_listed_and_read_back() {
    let (dir, _) = first_schema();
    let home = open(dir).await;
    let ids = home.list(DEFAULT).await;
    assert_eq!(ids, [event(NOW + 1, 3, 10), event(NOW + 1, 1, 8), cut(), without_answer(), answered()]);
    assert_eq!(home.list(OTHER).await, [event(NOW + 1, 2, 9)]);
    let only = Only { outcome: Some(OutcomeKind::NotSent), ..Only::default() };
    let filter = EventFilter { project: DEFAULT, sources: None, before: None, limit: 9, only };
    let found = home.store.events(filter).await.unwrap().events;
    assert_eq!(
        found.iter().map(|one| one.id).collect::<Vec<_>>(),
        [cut()],
        "by the index that was built anew"
    );
    let first = home.store.event(DEFAULT, answered()).await.unwrap().unwrap();
    assert_eq!(
        (&*first.body.bytes, first.body.complete, first.body.is_in_file),
        (&b"hello"[..], true, false)
    );
    assert_eq!((&*first.answer.body.bytes, first.answer.status), (&b"ok"[..], 200));
    assert_eq!(first.headers.iter().collect::<Vec<_>>(), [(&b"X-A"[..], &b"1"[..]), (b"x-a", b"caf\xe9")]);
    assert_eq!((first.summary.seq, first.summary.related), (None, None));
    assert_eq!((first.summary.times.head_us, first.summary.times.app_us), (10, 40));
    let second = home.store.event(DEFAULT, without_answer()).await.unwrap().unwrap();
    assert_eq!(
        (second.summary.outcome, second.summary.reason.as_deref()),
        (OutcomeKind::SentNoAnswer, Some("app_broke"))
    );
    assert_eq!(
        (second.summary.agent, second.summary.remote),
        (Some(AgentId(u128::MAX - 5)), "2001:db8::7".parse().unwrap())
    );
    assert_eq!((&*second.body.bytes, &*second.summary.target), (&b"\x00\xffA"[..], &b"/h/github\xff"[..]));
    let third = home.store.event(DEFAULT, cut()).await.unwrap().unwrap();
    assert!(third.body.is_truncated() && third.summary.request_bytes == 70_000);
    assert!(home.store.next_event_id().sort_key() > event(NOW + 1, 3, 0).sort_key(), "ids go on rising");
}

#[tokio::test]
async fn events_of_the_first_schema_can_be_replayed_and_the_books_begin_balanced() {
    let (dir, _) = first_schema();
    let home = open(dir).await;
    assert_eq!(home.audit(), Audit::default(), "nothing was promised then");
    let to = DestinationId(1);
    let wishes = vec![(answered(), to), (cut(), to), (without_answer(), to)];
    let replayed = home.store.replay(wishes).await.unwrap();
    assert!(
        matches!(replayed[..], [Replayed::Made(_), Replayed::Truncated(_), Replayed::Made(_)]),
        "{replayed:?}"
    );
    assert_eq!(home.settle(to, 9, Next::Delivered).await, 2);
    home.accept(SourceId(1), b"new", &[to]).await;
    let audit = home.audit();
    assert!(audit.is_balanced(), "{audit:?}");
    assert_eq!((audit.sources[0].accepted, audit.sources[0].deliveries, audit.sources[0].waiting), (1, 3, 1));
}

#[tokio::test]
async fn a_store_of_the_first_schema_can_be_backed_up_before_it_is_brought_up_to_date() {
    let (dir, _) = first_schema();
    let outside = tempfile::tempdir().unwrap();
    let (backup, restored) = (outside.path().join("backup"), outside.path().join("restored"));
    let copied = copy_store(dir.path(), &backup, Manner::Backup, |_| {}).unwrap();
    assert_eq!((copied.events, copied.newest_ms, copied.audit), (6, Some(NOW + 1), None));
    let home = open(dir).await;
    copy_store(&backup, &restored, Manner::Restore, |_| {}).unwrap();
    assert_eq!(number(&restored.join(FILE), "PRAGMA user_version"), 1);
    let store = Store::open(&restored, Clock::fixed(NOW)).await.unwrap();
    let (here, there) = (
        store.event(DEFAULT, answered()).await.unwrap(),
        home.store.event(DEFAULT, answered()).await.unwrap(),
    );
    assert!(here.is_some() && here == there);
}

#[tokio::test]
async fn a_step_that_fails_at_its_end_leaves_the_old_schema_whole() {
    let (dir, path) = first_schema();
    // The last statement of the step finds its name taken.
    Connection::open(&path).unwrap().execute_batch("CREATE INDEX events_in_files ON events(status)").unwrap();
    let dump = || {
        let conn = Connection::open(&path).unwrap();
        let mut all = conn.prepare("SELECT name || ifnull(sql, '') FROM sqlite_schema ORDER BY 1").unwrap();
        let schema: Vec<String> = all.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let primaries = number(&path, "SELECT count(*) FROM destinations");
        (schema, primaries, number(&path, "PRAGMA user_version"))
    };
    let before = dump();
    for _ in 0..2 {
        assert!(matches!(Store::open(dir.path(), Clock::fixed(NOW)).await, Err(OpenError::Database { .. })));
        assert_eq!(dump(), before);
    }
    Connection::open(&path).unwrap().execute_batch("DROP INDEX events_in_files").unwrap();
    let home = open(dir).await;
    assert_eq!(home.list(DEFAULT).await.len(), 5);
    assert_eq!(number(&path, "SELECT sum(is_primary) FROM destinations"), 4, "one for each source");
}

#[tokio::test]
async fn a_hundred_thousand_events_are_brought_up_to_date_in_seconds() {
    let (dir, path) = first_schema();
    Connection::open(&path)
        .unwrap()
        .execute_batch(&format!(
            "BEGIN;
             CREATE TEMP TABLE n AS WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 100099) SELECT i FROM n;
             INSERT INTO events SELECT ({NOW} << 20) + i, 1 + i % 2, i, 3, x'7f000001', 'POST', CAST('/h/github' AS BLOB), 0, NULL, NULL,
               200, 800, 0, 1, 2, 3, 4, zeroblob(600), x'' FROM n;
             INSERT INTO bodies SELECT ({NOW} << 20) + i, zeroblob(800), x'' FROM n;
             COMMIT;"
        ))
        .unwrap();
    let begun = Instant::now();
    let home = open(dir).await;
    let took = begun.elapsed();
    assert!(took.as_secs() < 5, "{took:?}");
    assert_eq!(number(&path, "SELECT count(*) FROM events"), 100_006);
    assert_eq!(home.list(DEFAULT).await.len(), 200);
}
