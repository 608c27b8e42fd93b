//! Everything that can go wrong at once, one failed write at a time, and a disk that is full: nothing that was
//! acknowledged is lost. `cargo faults` does the first two for as long as one likes.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use relay_server::model::{DestinationRules, ReplyMode, SourceRules};
use relay_server::store::{Audit, DestinationChange, Store};
use relay_tests::Answer;
use relay_tests::client::{exchange, post};
use relay_tests::disk::{Disk, Fault};
use relay_tests::faults::app::FaultyApp;
use relay_tests::faults::writes::Lives;
use relay_tests::faults::{House, Power, Storm};

const PATIENCE: Duration = Duration::from_secs(20);

fn storm(seed: u64, power: Power) -> Storm {
    Storm {
        seed,
        time: Duration::from_secs(6),
        requests: Some(700),
        pause_ms: 150,
        power,
        calm: Duration::from_secs(60),
        keeps_evidence: false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_reordered_or_doubled_whoever_is_killed() {
    let ledger = storm(5, Power::Stays).run(|_| ()).await;
    assert!(ledger.is_kept(), "{ledger}");
    assert!(ledger.backlogs.len() >= 2 && ledger.backlogs.iter().all(|waiting| *waiting > 0), "{ledger}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_the_power_goes_and_on_a_disk_that_lies_it_is() {
    let ledger = storm(14, Power::Goes).run(|_| ()).await;
    assert!(ledger.is_kept(), "{ledger}");
    assert!(ledger.backlogs.len() >= 2 && ledger.backlogs.iter().all(|waiting| *waiting > 0), "{ledger}");

    let control = Storm { calm: Duration::from_secs(5), ..storm(14, Power::GoesFromALyingDisk) };
    let ledger = control.run(|_| ()).await;
    assert!(!ledger.lost.is_empty(), "a disk that keeps nothing loses something:\n{ledger}");
}

/// A disk with room to be taken away and given back.
trait Room {
    fn take(&self);
    fn give_back(&self);
    fn envs(&self) -> Option<&Disk>;
}

impl Room for Disk {
    fn take(&self) {
        self.set_room(Some(0));
    }

    fn give_back(&self) {
        self.set_room(None);
    }

    fn envs(&self) -> Option<&Disk> {
        Some(self)
    }
}

/// A file system of its own, in memory.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Needs the right to mount.
    fn mount() -> Option<Self> {
        let place = tempfile::tempdir().expect("a temp dir");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=40m", "small"])
            .arg(place.path())
            .output()
            .is_ok_and(|ran| ran.status.success());
        mounted.then(|| Self(place))
    }

    fn path(&self) -> &std::path::Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

impl Room for SmallDisk {
    fn take(&self) {
        use std::io::Write;
        let mut file = std::fs::File::create(self.path().join("filler")).expect("made");
        for block in [1 << 20, 1 << 12, 1] {
            while file.write_all(&vec![0; block]).is_ok() {}
        }
    }

    fn give_back(&self) {
        std::fs::remove_file(self.path().join("filler")).expect("removed");
    }

    fn envs(&self) -> Option<&Disk> {
        None
    }
}

async fn two_sources(store: &Store, project: relay_server::model::ProjectId) {
    for (name, reply) in [("live", ReplyMode::Live), ("stored", ReplyMode::Accepted)] {
        let rules = SourceRules { reply, ..SourceRules::default() };
        let made =
            store.create_source(project, name.parse().expect("a slug"), rules, Default::default()).await;
        let source = made.expect("a source");
        let rules = Some(DestinationRules { timeout_ms: 2_500, ..DestinationRules::default() });
        let change = DestinationChange { rules, ..DestinationChange::default() };
        store.update_destination(source.id, source.destinations[0].id, change).await.expect("changed");
    }
}

/// A house whose disk fills up, with an app for each source.
struct FullHouse<'a, R> {
    house: House,
    room: &'a R,
    live: FaultyApp,
    stored: FaultyApp,
    accepted: Vec<String>,
    sent: u32,
}

impl<R: Room> FullHouse<'_, R> {
    async fn post(&mut self, source: &str, size: usize) -> (String, Answer) {
        self.sent += 1;
        let tag = format!("{source}-{}", self.sent);
        let lines = format!("X-Tag: {tag}\r\n");
        let bytes = post(&format!("/h/{source}/x"), &lines, &vec![b'x'; size]);
        (tag, exchange(self.house.public(), &bytes).await)
    }

    /// Stores an event if it can be; the answer.
    async fn store(&mut self, size: usize) -> Answer {
        let (tag, answer) = self.post("stored", size).await;
        if answer.status == 202 {
            self.accepted.push(tag);
        } else {
            assert_eq!((answer.status, answer.value("Relay-Error")), (503, "disk_full"), "{}", answer.head);
            assert!(answer.value("Retry-After").parse::<u32>().is_ok_and(|wait| wait > 0));
        }
        answer
    }

    async fn live_goes_on(&mut self) {
        let (tag, answer) = self.post("live", 2_000).await;
        assert_eq!((answer.status, answer.value("App-Says")), (200, tag.as_str()), "{}", answer.head);
    }

    /// Whether all that was accepted has been taken.
    fn is_all_delivered(&self) -> bool {
        let arrivals = self.stored.arrivals();
        self.accepted.iter().all(|tag| arrivals.iter().any(|one| one.tag == *tag && one.is_taken()))
    }

    async fn wait_for_delivery(&self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.is_all_delivered() {
            assert!(
                Instant::now() < deadline,
                "stored events are not delivered:\n{}",
                self.house.server_log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Fills the disk, and stores until that cannot be any more.
    async fn fill(&mut self) {
        self.room.take();
        for _ in 0..2_000 {
            if self.store(8_000).await.status == 503 {
                return;
            }
        }
        panic!("a full disk takes event after event");
    }
}

/// A disk that fills up and has room again, from a sender's and an app's view.
async fn fills_up(room: &impl Room, house: House) {
    let live = FaultyApp::start(0, true).await;
    let stored = FaultyApp::start(0, true).await;
    let routes = [("live", &live), ("stored", &stored)];
    let routes = routes.map(|(name, app)| {
        (name.to_owned(), "default".to_owned(), format!("http://{}/{name}.default", app.addr()))
    });
    house.set_up_agent(house.tunnel(), &routes);
    let mut full = FullHouse { house, room, live, stored, accepted: Vec::new(), sent: 0 };
    full.house.start_server(room.envs()).expect("starts");
    full.house.start_agent();
    let deadline = Instant::now() + PATIENCE;
    while full.post("live", 10).await.1.status != 200 {
        assert!(Instant::now() < deadline, "the agent does not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    full.stored.go().await;
    for size in [100, 3_000, 60_000, 1_572_864, 2_000] {
        assert_eq!(full.store(size).await.status, 202);
    }
    full.fill().await;
    for size in [0, 300_000, 1_572_864] {
        assert_eq!(full.store(size).await.status, 503, "{size} bytes on a full disk");
        full.live_goes_on().await;
    }

    full.stored.come_back().await;
    full.wait_for_delivery().await;
    full.live_goes_on().await;

    // A restart on a full disk: what was stored meanwhile is delivered all the same.
    full.stored.go().await;
    full.fill().await;
    full.house.kill_server();
    let log = full.house.server_log();
    full.house.start_server(room.envs()).unwrap_or_else(|code| {
        panic!("{code:?} on a full disk: {}", full.house.server_log().trim_start_matches(&log))
    });
    full.stored.come_back().await;
    full.wait_for_delivery().await;
    assert_eq!(full.store(300_000).await.status, 503);

    room.give_back();
    let freed = Instant::now();
    while full.store(5_000).await.status != 202 {
        assert!(
            freed.elapsed() < Duration::from_secs(2),
            "not accepting {:?} after there was room",
            freed.elapsed()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    full.live_goes_on().await;
    full.wait_for_delivery().await;
    let data = full.house.data();
    assert_eq!(full.house.finish_server(), Some(0));
    let audit = Audit::of_data_dir(&data, true).expect("an audit");
    assert!(audit.is_balanced(), "{audit:?}");
    let stored = audit.sources.iter().find(|source| source.source == "stored").expect("audited");
    assert_eq!((stored.accepted, stored.delivered), (full.accepted.len() as u64, full.accepted.len() as u64));
    assert!(full.live.count() > 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_what_is_new_delivers_what_is_stored_and_accepts_again_with_room() {
    let house = House::build(two_sources).await;
    let disk = Disk::counting(&house.data());
    fills_up(&disk, house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_on_a_real_file_system_that_is_full() {
    let Some(small) = SmallDisk::mount() else {
        // The test above does the same without a file system of its own.
        eprintln!("skipped: mounting a small tmpfs is not permitted here (it needs root)");
        return;
    };
    let house = House::build_on(small.path(), two_sources).await;
    fills_up(&small, house).await;
}

/// Of some five hundred operations, about so many are tried here; `cargo faults --every-write` tries each.
const TRIED: u64 = 8;

#[tokio::test(flavor = "multi_thread")]
async fn a_write_or_sync_that_fails_once_loses_nothing_that_was_acknowledged() {
    let lives = Arc::new(Lives::prepare().await);
    let last = lives.count().await.expect("a life without a fault");
    let step = usize::try_from(last / TRIED).expect("a number");
    let tried = (3..=last).step_by(step);
    let wrong = Arc::clone(&lives).try_all(tried, &[Fault::Io, Fault::Full], |_| ()).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
