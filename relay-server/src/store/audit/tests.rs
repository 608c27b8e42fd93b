//! What an audit says of stores that are as they should be, and of stores somebody has been at.

use std::time::Instant;

use super::*;
use crate::model::DestinationId;
use crate::store::tests::{DEFAULT, Home, NOW, home, name};
use crate::store::{Cursor, Next, Retention};

/// Ten accepted events with two deliveries each, one body in a file, some over and some not: balanced.
struct Kept {
    home: Home,
    events: Vec<EventId>,
    to: Vec<DestinationId>,
}

async fn kept() -> Kept {
    let home = home().await;
    let source = home.source(DEFAULT, "github").await;
    let to = home.destinations("github", 2).await;
    let mut events = Vec::new();
    for no in 0..10 {
        let body = vec![b'x'; if no == 5 { 5_000 } else { 50 }];
        events.push(home.accept(source, &body, &to).await);
    }
    assert_eq!(home.settle(to[0], 4, Next::Delivered).await, 4);
    assert_eq!(home.settle(to[0], 2, Next::Dead("gone")).await, 2);
    assert_eq!(home.settle(to[1], 3, Next::RetryAt(NOW + 1_000)).await, 3);
    assert_eq!(home.settle(to[1], 1, Next::Cancelled("filtered")).await, 1);
    Kept { home, events, to }
}

/// What the audit finds once `sql` was done to one row.
async fn after(sql: impl Fn(&Kept) -> String) -> (Audit, Vec<EventId>) {
    let kept = kept().await;
    assert_eq!(kept.home.tamper(&sql(&kept)), 1, "one row is concerned");
    (kept.home.audit(), kept.events)
}

fn key(event: EventId) -> i64 {
    event.sort_key().cast_signed()
}

#[tokio::test]
async fn a_store_at_work_is_balanced() {
    let kept = kept().await;
    let expected = SourceAudit {
        source: "github".to_owned(),
        accepted: 10,
        stored: 10,
        deliveries: 20,
        delivered: 4,
        dead: 2,
        cancelled: 1,
        waiting: 13,
        ..SourceAudit::default()
    };
    let audit = kept.home.audit();
    assert_eq!(audit, Audit { sources: vec![expected], ..Audit::default() });
    assert!(audit.is_balanced());
    let shallow = Audit::of_data_dir(kept.home.dir.path(), false).unwrap();
    assert_eq!(shallow, audit);
    let home = kept.home.reopened().await;
    assert_eq!(home.audit(), audit, "also after a restart");
}

#[tokio::test]
async fn what_was_forgotten_after_its_end_still_counts() {
    let kept = kept().await;
    for to in &kept.to {
        while kept.home.settle(*to, 100, Next::Delivered).await > 0 {}
    }
    kept.home.clock.set(NOW + 2_000);
    kept.home.settle(kept.to[1], 100, Next::Delivered).await;
    let policy = Retention { age_ms: 0, bytes_max: u64::MAX };
    assert_eq!(kept.home.store.prune(policy, Cursor::default()).await.unwrap().events, 10);
    let audit = kept.home.audit();
    assert!(audit.is_balanced(), "{audit:?}");
    let github = &audit.sources[0];
    assert_eq!((github.stored, github.forgotten, github.delivered, github.waiting), (0, 10, 17, 0));
}

#[tokio::test]
async fn an_accepted_event_that_is_gone_is_named_by_its_number() {
    let (audit, _) = after(|kept| format!("DELETE FROM events WHERE id = {}", key(kept.events[6]))).await;
    assert!(!audit.is_balanced());
    assert_eq!(audit.sources[0].missing, [(7, 7)]);
    let orphan = |no| Orphan { source: "github".to_owned(), received_ms: NOW, no };
    assert_eq!(audit.deliveries_without_event, [orphan(1), orphan(2)]);
    let (audit, _) = after(|kept| format!("DELETE FROM events WHERE id = {}", key(kept.events[9]))).await;
    assert_eq!(audit.sources[0].missing, [(10, 10)], "the newest, too");
    let (audit, _) =
        after(|kept| format!("UPDATE events SET seq = 3 WHERE id = {}", key(kept.events[6]))).await;
    assert_eq!((&*audit.sources[0].missing, &*audit.sources[0].excess), (&[(7, 7)][..], &[(3, 3)][..]));
    assert!(!audit.is_balanced(), "although as many are stored as were accepted");
}

#[tokio::test]
async fn a_ledger_that_was_set_back_is_seen() {
    let (audit, _) = after(|_| "UPDATE ledgers SET accepted = 8".to_owned()).await;
    assert_eq!((&*audit.sources[0].missing, &*audit.sources[0].excess), (&[][..], &[(9, 10)][..]));
    let (audit, _) = after(|_| "DELETE FROM ledgers".to_owned()).await;
    assert_eq!((audit.sources[0].accepted, &*audit.sources[0].excess), (0, &[(1, 10)][..]));
    let (audit, _) = after(|_| "UPDATE ledgers SET made = 19".to_owned()).await;
    assert!(!audit.is_balanced() && audit.sources[0].accounted() == 20);
    let (audit, _) = after(|_| "INSERT INTO forgotten VALUES (1, 4, 5)".to_owned()).await;
    assert_eq!((audit.sources[0].forgotten, &*audit.sources[0].excess), (2, &[(4, 5)][..]));
}

#[tokio::test]
async fn a_delivery_that_is_gone_is_counted_and_named() {
    for (no, is_named) in [(1, true), (2, false)] {
        let delete = |kept: &Kept| {
            format!("DELETE FROM deliveries WHERE event_id = {} AND no = {no}", key(kept.events[8]))
        };
        let (audit, events) = after(delete).await;
        assert!(!audit.is_balanced());
        assert_eq!((audit.sources[0].deliveries, audit.sources[0].accounted()), (20, 19));
        let names = if is_named { vec![format!("{}.1", events[8])] } else { Vec::new() };
        assert_eq!(audit.deliveries_missing, names, "the last one of several leaves no gap");
    }
    let kept = kept().await;
    assert_eq!(
        kept.home.tamper(&format!("DELETE FROM deliveries WHERE event_id = {}", key(kept.events[8]))),
        2
    );
    let audit = kept.home.audit();
    assert_eq!(
        (audit.sources[0].accounted(), &*audit.deliveries_missing),
        (18, &[format!("{}.1", kept.events[8])][..])
    );
}

#[tokio::test]
async fn a_body_that_is_gone_or_cut_is_named() {
    for sql in ["DELETE FROM bodies WHERE id = ", "UPDATE bodies SET request = x'00' WHERE id = "] {
        let (audit, events) = after(|kept| format!("{sql}{}", key(kept.events[2]))).await;
        assert_eq!(audit.bodies_missing, [events[2].to_string()], "{sql}");
        assert!(!audit.is_balanced());
    }
    let kept = kept().await;
    let path = kept.home.store.body_files().path(kept.events[5]);
    for is_there in [true, false] {
        if is_there {
            std::fs::write(&path, b"too short").unwrap();
        } else {
            std::fs::remove_file(&path).unwrap();
        }
        let audit = Audit::of_data_dir(kept.home.dir.path(), false).unwrap();
        assert_eq!(audit.bodies_missing, [kept.events[5].to_string()], "without looking deep");
    }
}

#[tokio::test]
async fn a_state_that_says_what_never_happened_is_named() {
    // Event 9 waits, 1 was delivered, 5 is dead at the first destination; 1 waits for its time at the second.
    for (no, delivery, state) in
        [(9, 1, 3), (9, 1, 4), (9, 1, 1), (9, 1, 77), (1, 1, 5), (5, 1, 3), (1, 2, 4)]
    {
        let set = |kept: &Kept| {
            let event = key(kept.events[no - 1]);
            format!("UPDATE deliveries SET state = {state} WHERE event_id = {event} AND no = {delivery}")
        };
        let (audit, events) = after(set).await;
        let expected = [format!("{}.{delivery}", events[no - 1])];
        assert_eq!(audit.deliveries_in_doubt, expected, "{no}.{delivery} in state {state}");
        assert!(!audit.is_balanced());
    }
}

#[tokio::test]
async fn damage_to_the_file_is_named() {
    let kept = kept().await;
    let Home { dir, store, .. } = kept.home;
    store.close().await;
    let conn = Connection::open(dir.path().join("relay.db")).unwrap();
    let page: i64 = conn
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'tokens_by_project'", [], |row| {
            row.get(0)
        })
        .unwrap();
    drop(conn);
    let file = std::fs::File::options().write(true).open(dir.path().join("relay.db")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[0x55; 8192], (page as u64 - 1) * 8192).unwrap();
    let audit = Audit::of_data_dir(dir.path(), true).unwrap();
    assert!(!audit.damage.is_empty() && !audit.is_balanced());
}

#[tokio::test]
async fn two_sources_of_one_name_are_told_apart() {
    let kept = kept().await;
    kept.home.store.delete_source(DEFAULT, name("github")).await.unwrap();
    let again = kept.home.source(DEFAULT, "github").await;
    let to = kept.home.destinations("github", 1).await;
    for _ in 0..3 {
        kept.home.accept(again, b"x", &to).await;
    }
    let audit = kept.home.audit();
    assert!(audit.is_balanced());
    let found: Vec<_> = audit.sources.iter().map(|one| (one.is_deleted, one.accepted)).collect();
    assert_eq!(found, [(false, 3), (true, 10)]);
    kept.home.tamper(&format!("DELETE FROM events WHERE source_id = {} AND seq = 2", again.0));
    let audit = kept.home.audit();
    assert_eq!((&*audit.sources[0].missing, &*audit.sources[1].missing), (&[(2, 2)][..], &[][..]));
}

#[tokio::test]
async fn what_a_killed_server_left_in_its_log_counts() {
    let kept = kept().await;
    let crashed = tempfile::tempdir().unwrap();
    for name in ["relay.db", "relay.db-wal"] {
        std::fs::copy(kept.home.dir.path().join(name), crashed.path().join(name)).unwrap();
    }
    assert!(std::fs::metadata(crashed.path().join("relay.db-wal")).unwrap().len() > 0);
    let body = kept.home.store.body_files().path(kept.events[5]);
    std::fs::create_dir(crashed.path().join("bodies")).unwrap();
    std::fs::copy(&body, crashed.path().join("bodies").join(body.file_name().unwrap())).unwrap();
    assert_eq!(Audit::of_data_dir(crashed.path(), true).unwrap(), kept.home.audit());
    // The control: without the log there is nothing.
    std::fs::remove_file(crashed.path().join("relay.db-wal")).unwrap();
    assert!(Audit::of_data_dir(crashed.path(), true).is_err());
}

#[tokio::test]
async fn a_file_that_retention_takes_meanwhile_is_no_loss() {
    let kept = kept().await;
    let conn = open::look(kept.home.dir.path()).unwrap().0;
    let moment = conn.unchecked_transaction().unwrap();
    assert!(has_file(&moment, key(kept.events[5])).unwrap());
    for to in &kept.to {
        kept.home.store.cancel_waiting(*to, None, "test").await.unwrap();
    }
    let policy = Retention { age_ms: 0, bytes_max: u64::MAX };
    kept.home.clock.set(NOW + 1);
    assert_eq!(kept.home.store.prune(policy, Cursor::default()).await.unwrap().events, 10);
    let files = BodyFiles::of_directory(kept.home.dir.path());
    assert_eq!(without_file(&moment, &files).unwrap(), [(key(kept.events[5]), kept.events[5])]);
    drop(moment);
    assert!(!has_file(&conn, key(kept.events[5])).unwrap());
}

#[tokio::test]
async fn where_there_is_no_store_or_another_versions_it_says_so_and_makes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let missing = Audit::of_data_dir(&dir.path().join("nowhere"), false).unwrap_err();
    assert!(missing.to_string().contains("no store") && missing.to_string().contains("--data"), "{missing}");
    assert!(matches!(Audit::of_data_dir(dir.path(), false), Err(OpenError::Missing { .. })));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    let conn = Connection::open(dir.path().join("relay.db")).unwrap();
    conn.execute_batch(include_str!("../schema/0001.sql")).unwrap();
    conn.execute_batch("PRAGMA application_id = 0x52454c59; PRAGMA user_version = 1").unwrap();
    let older = Audit::of_data_dir(dir.path(), false).unwrap_err();
    assert!(older.to_string().contains("start the server once"), "{older}");
    conn.execute_batch("PRAGMA user_version = 99").unwrap();
    let newer = Audit::of_data_dir(dir.path(), false).unwrap_err();
    assert!(newer.to_string().contains("update"), "{newer}");
}

/// Fills a store by SQL: as many events as asked for, each with a body and a delivery that is over, in 20 sources.
pub(in crate::store) fn fill(home: &Home, events: i64) {
    let conn = Connection::open(home.dir.path().join("relay.db")).unwrap();
    conn.execute_batch(&format!(
        "BEGIN;
         CREATE TEMP TABLE n AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {events}) SELECT i FROM n;
         INSERT INTO events SELECT ({NOW} << 20) + i, 1 + i % 20, 7, 1, x'7f000001', 'POST', CAST('/h/github' AS BLOB), 4, 'agent_away', NULL,
           202, 200, 0, 1, 2, 3, 4, zeroblob(600), x'', (i + 19) / 20, 9, NULL, NULL, NULL, NULL, NULL, NULL FROM n;
         INSERT INTO bodies SELECT ({NOW} << 20) + i, zeroblob(200), x'' FROM n;
         INSERT INTO deliveries SELECT ({NOW} << 20) + i, 1, 1 + i % 20, 1 + i % 20, 0, 3, 1, {NOW}, {NOW}, 0, NULL FROM n;
         INSERT INTO ledgers SELECT source_id, count(*), count(*), 0, 0, 0 FROM events GROUP BY source_id;
         COMMIT;"
    ))
    .unwrap();
}

#[tokio::test]
async fn a_hundred_thousand_events_are_audited_in_a_moment() {
    let home = home().await;
    for no in 0..20 {
        home.source(DEFAULT, &format!("source-{no}")).await;
    }
    fill(&home, 100_000);
    let begun = Instant::now();
    let audit = Audit::of_data_dir(home.dir.path(), false).unwrap();
    let took = begun.elapsed();
    assert!(audit.is_balanced(), "{:?}", audit.sources[0]);
    assert_eq!(audit.sources.iter().map(|one| one.accepted).sum::<u64>(), 100_000);
    assert!(took.as_secs() < 3, "{took:?}: a tenth of it is usual");
}

#[test]
fn numbers_are_compared_as_ranges() {
    for (known, accepted, missing, excess) in [
        (&[][..], 0, &[][..], &[][..]),
        (&[], 3, &[(1, 3)], &[]),
        (&[(1, 3)], 3, &[], &[]),
        (&[(2, 2), (5, 6)], 7, &[(1, 1), (3, 4), (7, 7)], &[]),
        (&[(1, 5), (3, 4)], 5, &[], &[(3, 4)]),
        (&[(1, 3), (3, 5)], 5, &[], &[(3, 3)]),
        (&[(1, 5)], 3, &[], &[(4, 5)]),
        (&[(1, 2), (9, 9)], 3, &[(3, 3)], &[(9, 9)]),
        (&[(0, 2)], 2, &[], &[(0, 0)]),
        (&[(1, 1), (1, 1)], 1, &[], &[(1, 1)]),
    ] {
        let (found_missing, found_excess) = compared(known, accepted);
        assert_eq!((&*found_missing, &*found_excess), (missing, excess), "{known:?} of {accepted}");
    }
}
