//! Copies of stores that rest and of stores at work, and what they are refused for.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use tempfile::TempDir;
use tokio::runtime::Handle;

use super::*;
use crate::clock::Clock;
use crate::model::Scope;
use crate::store::tests::{DEFAULT, Home, NOW, home};
use crate::store::{Cursor, Next, Retention, Store, Want};

/// A commit takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// A place for copies, and a store with two sources, eight events (two bodies in files), a token and all secrets.
struct Original {
    home: Home,
    events: Vec<EventId>,
    token: String,
    outside: TempDir,
}

async fn original() -> Original {
    let home = home().await;
    let mut events = Vec::new();
    for (slug, count) in [("one", 1), ("two", 2)] {
        let source = home.source(DEFAULT, slug).await;
        let to = home.destinations(slug, count).await;
        for no in 0..4 {
            events.push(home.accept(source, &vec![b'0' + no; if no == 2 { 9_000 } else { 9 }], &to).await);
        }
        assert_eq!(home.settle(to[0], 2, Next::Delivered).await, 2);
    }
    let made = home.store.create_token(DEFAULT, Scope::Read, "kept", None).await.unwrap();
    for name in SECRETS {
        fs::write(home.dir.path().join(name), name).unwrap();
    }
    Original { home, events, token: made.text.0.clone(), outside: tempfile::tempdir().unwrap() }
}

impl Original {
    fn data(&self) -> &Path {
        self.home.dir.path()
    }

    fn at(&self, name: &str) -> PathBuf {
        self.outside.path().join(name)
    }

    fn copy(&self, to: &str, manner: Manner) -> Result<Copied, CopyError> {
        copy_store(self.data(), &self.at(to), manner, |_| {})
    }

    fn outside(&self) -> Vec<String> {
        names(self.outside.path())
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_backup_beside_a_server_and_what_is_restored_of_it_are_the_store_as_it_was() {
    let original = original().await;
    let audit = original.home.audit();
    let copied = original.copy("backup", Manner::Backup).unwrap();
    let expected = Copied {
        events: 8,
        newest_ms: Some(NOW),
        files: 2,
        secrets_missing: Vec::new(),
        audit: Some(audit.clone()),
    };
    assert_eq!(copied, expected);
    let restored = copy_store(&original.at("backup"), &original.at("restored"), Manner::Restore, |_| {});
    assert_eq!(restored.unwrap(), expected);
    assert_eq!(original.outside(), ["backup", "restored"]);
    for dir in ["backup", "restored"] {
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&original.at(dir)), 0o700);
        let files = [
            "bodies",
            "relay.db",
            "secrets-key",
            "signing-secret",
            "tunnel-cert.pem",
            "tunnel-key.pem",
            "tunnel-secret",
        ];
        assert_eq!(names(&original.at(dir)), files, "and no log that would have to go with it");
        for name in files {
            assert_eq!(
                mode(&original.at(dir).join(name)),
                if name == "bodies" { 0o700 } else { 0o600 },
                "{name}"
            );
        }
        for name in SECRETS {
            assert_eq!(fs::read(original.at(dir).join(name)).unwrap(), name.as_bytes());
        }
    }
    // The original goes on, and neither copy notices.
    original
        .home
        .store
        .create_source(DEFAULT, "three".parse().unwrap(), Default::default(), Default::default())
        .await
        .unwrap();
    let clock = Clock::fixed(NOW);
    let store = Store::open(&original.at("restored"), clock.clone()).await.unwrap();
    assert_eq!(store.sources(DEFAULT).len(), 2);
    assert!(store.verify_token(&original.token).await.unwrap().is_some());
    for event in &original.events {
        let (here, there) = (
            store.event(DEFAULT, *event).await.unwrap(),
            original.home.store.event(DEFAULT, *event).await.unwrap(),
        );
        assert_eq!(here, there);
        if here.unwrap().body.is_in_file {
            let body = |store: &Store| fs::read(store.body_files().path(*event)).unwrap();
            assert_eq!(body(&store), body(&original.home.store));
        }
    }
    store.sweep_bodies().await.unwrap();
    let home = Home { dir: tempfile::tempdir().unwrap(), clock, store };
    let to = home.store.source("one").unwrap().destinations[0].id;
    assert_eq!(home.settle(to, 9, Next::Delivered).await, 2, "what waited is delivered by the copy");
    home.store.close().await;
    let after = Audit::of_data_dir(&original.at("restored"), true).unwrap();
    assert!(after.is_balanced() && after.sources[0].delivered == 4, "{after:?}");
    assert_eq!(Audit::of_data_dir(&original.at("backup"), true).unwrap(), audit);
}

#[tokio::test]
async fn bodies_of_a_backup_take_no_space_and_those_of_a_restore_are_its_own() {
    let original = original().await;
    original.copy("backup", Manner::Backup).unwrap();
    copy_store(&original.at("backup"), &original.at("restored"), Manner::Restore, |_| {}).unwrap();
    let body = original.events[2].to_string();
    let inode = |dir: &Path| fs::metadata(dir.join("bodies").join(&body)).unwrap().ino();
    assert_eq!(inode(original.data()), inode(&original.at("backup")));
    assert_ne!(inode(&original.at("backup")), inode(&original.at("restored")));
    // Retention removes a name, not what another name stands for.
    original.home.store.body_files().remove(original.events[2]);
    assert!(Audit::of_data_dir(&original.at("backup"), true).unwrap().is_balanced());
    assert!(!original.home.audit().is_balanced());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_made_while_everything_moves_is_one_moment() {
    let original = Arc::new(original().await);
    let (go_on, turns) = (AtomicBool::new(true), Arc::new(AtomicU64::new(0)));
    let busy = async {
        let home = &original.home;
        let source = home.store.source("two").unwrap().id;
        let to = home.destinations("two", 2).await;
        while go_on.load(Ordering::Relaxed) {
            home.accept(source, &vec![b'x'; 9_000], &to).await;
            home.settle(to[0], 2, Next::Delivered).await;
            home.settle(to[1], 1, Next::Delivered).await;
            home.clock.set(home.clock.now_ms() + 10);
            let policy = Retention { age_ms: 100, bytes_max: u64::MAX };
            home.store.prune(policy, Cursor::default()).await.unwrap();
            turns.fetch_add(1, Ordering::Relaxed);
        }
    };
    let copies = tokio::task::spawn_blocking({
        let (original, turns) = (Arc::clone(&original), Arc::clone(&turns));
        move || {
            let copy = |no| {
                let mut steps = 0;
                // Between any two steps of the copy something is committed.
                let copied = copy_store(
                    original.data(),
                    &original.at(&format!("copy-{no}")),
                    Manner::Backup,
                    |progress| {
                        steps += usize::from(matches!(progress, Progress::Database(..)));
                        let (before, begun) = (turns.load(Ordering::Relaxed), Instant::now());
                        while turns.load(Ordering::Relaxed) == before && begun.elapsed() < PATIENCE {
                            std::thread::yield_now();
                        }
                    },
                );
                (copied.unwrap(), steps)
            };
            (0..4).map(copy).collect::<Vec<_>>()
        }
    });
    let copies = async {
        let copies = copies.await;
        go_on.store(false, Ordering::Relaxed);
        copies.unwrap()
    };
    let ((), copies) = tokio::join!(busy, copies);
    let mut accepted = Vec::new();
    for (no, (copied, steps)) in copies.iter().enumerate() {
        assert!(*steps > 3, "in several steps: {steps}");
        let audit = Audit::of_data_dir(&original.at(&format!("copy-{no}")), true).unwrap();
        assert!(audit.is_balanced(), "{audit:?}");
        assert_eq!(copied.audit.as_ref(), Some(&audit));
        accepted.push(audit.sources[1].accepted);
    }
    assert!(accepted.is_sorted_by(|one, next| one < next), "each is a later moment: {accepted:?}");
    assert!(original.home.audit().is_balanced());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_forgets_meanwhile_the_copy_forgets_too() {
    let original = Arc::new(original().await);
    let handle = Handle::current();
    let copying = tokio::task::spawn_blocking({
        let original = Arc::clone(&original);
        move || {
            let mut has_forgotten = false;
            copy_store(original.data(), &original.at("copy"), Manner::Backup, |progress| {
                // The database is copied; of the bodies none is.
                if matches!(progress, Progress::Database(done, all) if done == all) && !has_forgotten {
                    has_forgotten = true;
                    handle.block_on(async {
                        let home = &original.home;
                        for slug in ["one", "two"] {
                            for to in home.destinations(slug, 1).await {
                                while home.settle(to, 9, Next::Delivered).await > 0 {}
                            }
                        }
                        home.clock.set(NOW + 1_000);
                        let everything = Retention { age_ms: 0, bytes_max: u64::MAX };
                        assert_eq!(home.store.prune(everything, Cursor::default()).await.unwrap().events, 4);
                    });
                }
            })
        }
    });
    let copied = copying.await.unwrap().unwrap();
    // All of `one` was forgotten, the body in a file among it. `two` has a second destination: it still waits there.
    assert_eq!((copied.events, copied.files), (7, 1));
    let audit = copied.audit.unwrap();
    assert!(audit.is_balanced(), "{audit:?}");
    let one = &audit.sources[0];
    assert_eq!((one.accepted, one.stored, one.forgotten), (4, 3, 1), "only what cannot be kept is forgotten");
    assert_eq!((one.deliveries, one.delivered, one.cancelled, one.waiting), (4, 2, 1, 1));
    assert!(Audit::of_data_dir(&original.at("copy"), true).unwrap().is_balanced());
}

#[tokio::test]
async fn what_is_missing_in_the_original_is_missing_in_the_copy_and_said() {
    let original = original().await;
    let lost = original.events[6];
    fs::remove_file(original.home.store.body_files().path(lost)).unwrap();
    fs::remove_file(original.data().join("tunnel-key.pem")).unwrap();
    let copied = original.copy("copy", Manner::Backup).unwrap();
    assert_eq!(copied.audit.unwrap().bodies_missing, [lost.to_string()]);
    assert_eq!(copied.secrets_missing, ["tunnel-key.pem"]);
    assert_eq!((copied.events, copied.files), (8, 1), "all the rest is there");
}

#[tokio::test]
async fn the_log_of_a_killed_server_is_in_the_copy() {
    let original = original().await;
    let crashed = original.at("crashed");
    fs::create_dir(&crashed).unwrap();
    for name in ["relay.db", "relay.db-wal"] {
        fs::copy(original.data().join(name), crashed.join(name)).unwrap();
    }
    let copied = copy_store(&crashed, &original.at("copy"), Manner::Restore, |_| {}).unwrap();
    assert_eq!(copied.events, 8);
    assert_eq!(copied.audit.unwrap().bodies_missing.len(), 2, "the files were left behind");
}

#[tokio::test]
async fn leases_in_a_copy_run_out_with_the_next_start() {
    let original = original().await;
    let to = original.home.destinations("one", 1).await[0];
    let want = Want {
        destination: to,
        limit: 9,
        lease_ms: 60_000,
        bytes_max: u64::MAX,
        is_strict: false,
        is_on_hold: false,
    };
    assert_eq!(
        original.home.store.advance(Arc::default(), vec![want], u64::MAX).await.unwrap().leased.len(),
        2
    );
    original.copy("copy", Manner::Restore).unwrap();
    let store = Store::open(&original.at("copy"), Clock::fixed(NOW)).await.unwrap();
    assert_eq!(store.expire_leases().await.unwrap(), 2);
    assert_eq!(store.advance(Arc::default(), vec![want], u64::MAX).await.unwrap().leased.len(), 2);
}

#[tokio::test]
async fn a_target_with_something_in_it_is_refused_and_left_alone() {
    let original = original().await;
    let to = original.at("taken");
    fs::create_dir(&to).unwrap();
    fs::write(to.join("diary"), "mine").unwrap();
    let refused = original.copy("taken", Manner::Backup).unwrap_err();
    assert!(matches!(&refused, CopyError::NotEmpty { holds, .. } if holds == "diary"), "{refused}");
    assert_eq!(names(&to), ["diary"]);
    let refused = original.copy("taken/diary", Manner::Backup).unwrap_err();
    assert!(matches!(refused, CopyError::File { .. }), "a file: {refused}");
    let refused = original.copy("no/such/place", Manner::Backup).unwrap_err();
    assert!(
        matches!(refused, CopyError::File { .. }) && refused.to_string().contains("no/such"),
        "{refused}"
    );
    for (to, what) in [(original.data().to_owned(), "itself"), (original.data().join("copy"), "in it")] {
        let refused = copy_store(original.data(), &to, Manner::Backup, |_| {}).unwrap_err();
        assert!(
            matches!(refused, CopyError::NotEmpty { .. } | CopyError::Inside { .. }),
            "{what}: {refused}"
        );
        assert!(!original.data().join("copy").exists());
    }
    let nothing =
        copy_store(&original.at("nowhere"), &original.at("copy"), Manner::Restore, |_| {}).unwrap_err();
    assert!(matches!(nothing, CopyError::Store(OpenError::Missing { .. })), "{nothing}");
    assert_eq!(original.outside(), ["taken"]);
}

#[tokio::test]
async fn a_directory_that_is_there_gets_its_database_last() {
    let original = original().await;
    // As a new mount looks.
    let to = original.at("mounted");
    fs::create_dir_all(to.join("lost+found")).unwrap();
    copy_store(original.data(), &to, Manner::Restore, |progress| {
        if progress == Progress::Audit {
            assert_eq!(names(&to), ["lost+found", "partial"], "no store before it is whole");
            assert_eq!(original.outside(), ["mounted"], "and nothing beside it");
            let again = copy_store(original.data(), &to, Manner::Restore, |_| {}).unwrap_err();
            assert!(matches!(again, CopyError::Unfinished { .. }), "{again}");
        }
    })
    .unwrap();
    assert!(Audit::of_data_dir(&to, true).unwrap().is_balanced());
    assert_eq!(names(&to).len(), 8, "seven of the store, and what was there");
}

#[tokio::test]
async fn a_copy_that_fails_leaves_nothing() {
    let original = original().await;
    let body = original.home.store.body_files().path(original.events[2]);
    fs::remove_file(&body).unwrap();
    fs::create_dir(&body).unwrap();
    fs::create_dir(original.at("empty")).unwrap();
    for to in ["new", "empty"] {
        let failed = original.copy(to, Manner::Restore).unwrap_err();
        assert!(matches!(failed, CopyError::File { .. }), "{failed}");
        assert!(names(&original.at("empty")).is_empty());
    }
    assert_eq!(original.outside(), ["empty"]);
    // One that was cut off, or is at work, is nobody else's to remove.
    fs::create_dir(original.at("new.partial")).unwrap();
    let refused = original.copy("new", Manner::Backup).unwrap_err();
    assert!(
        matches!(&refused, CopyError::Unfinished { path } if *path == original.at("new.partial")),
        "{refused}"
    );
}

#[tokio::test]
async fn a_strangers_backup_is_restored_from_plain_files_only_and_no_more_of_them_than_it_says() {
    let original = original().await;
    fs::write(original.at("outside"), vec![b'2'; 9_000]).unwrap();
    let body = original.home.store.body_files().path(original.events[2]);
    let secret = original.data().join("signing-secret");
    let (body_before, secret_before) = (fs::read(&body).unwrap(), fs::read(&secret).unwrap());
    for (path, before, long) in [(&body, &body_before, 9_001), (&secret, &secret_before, 64 * 1024 + 1)] {
        let link = || std::os::unix::fs::symlink(original.at("outside"), path).unwrap();
        let pipe = || {
            let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
            assert!(made.success());
        };
        let longer = || fs::write(path, vec![b'x'; long]).unwrap();
        let kinds: [(&str, &dyn Fn()); 3] =
            [("no plain file", &link), ("no plain file", &pipe), ("longer than", &longer)];
        for (why, make) in kinds {
            fs::remove_file(path).unwrap();
            make();
            let failed = original.copy("restored", Manner::Restore).unwrap_err();
            let CopyError::File { path: named, source } = &failed else { panic!("{failed}") };
            assert!(named == path && source.to_string().contains(why), "{failed}: {source}");
            assert_eq!(original.outside(), ["outside"], "nothing is left of it");
        }
        fs::remove_file(path).unwrap();
        fs::write(path, before).unwrap();
    }
    assert!(original.copy("restored", Manner::Restore).unwrap().audit.unwrap().is_balanced());
    // A server's own secrets may be links to where they are kept.
    fs::rename(&secret, original.at("kept")).unwrap();
    std::os::unix::fs::symlink(original.at("kept"), &secret).unwrap();
    original.copy("backup", Manner::Backup).unwrap();
    assert!(fs::symlink_metadata(original.at("backup/signing-secret")).unwrap().is_file());
}
