//! Everything that can go wrong at once, one failed write at a time, and a disk that is full: nothing that was
//! acknowledged is lost. `cargo faults` does the first two for as long as one likes.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use relay_bench::lossy::{Conditions, LossyProxy};
use relay_server::model::{DeliveryState, DestinationRules, IfSlow, ReplyMode, SourceRules};
use relay_server::store::{Audit, DestinationChange, Store};
use relay_tests::app::{Behaviour, ok};
use relay_tests::client::{exchange, post};
use relay_tests::disk::{Disk, Fault};
use relay_tests::faults::app::FaultyApp;
use relay_tests::faults::writes::Lives;
use relay_tests::faults::{House, Power, Storm};
use relay_tests::world::route;
use relay_tests::{AgentInWorld, Answer, App, Sender, World};

const PATIENCE: Duration = Duration::from_secs(20);

fn storm(seed: u64, power: Power) -> Storm {
    Storm {
        seed,
        time: Duration::from_secs(6),
        requests: Some(700),
        kills_min: 2,
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
async fn nothing_acknowledged_is_lost_when_the_power_goes_and_without_syncs_it_is() {
    let ledger = storm(14, Power::Goes).run(|_| ()).await;
    assert!(ledger.is_kept(), "{ledger}");
    assert!(ledger.backlogs.len() >= 2 && ledger.backlogs.iter().all(|waiting| *waiting > 0), "{ledger}");

    let control = Storm { calm: Duration::from_secs(5), ..storm(14, Power::GoesUnsynced) };
    let ledger = control.run(|_| ()).await;
    assert!(!ledger.lost.is_empty(), "a database that is never synced loses something:\n{ledger}");
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

    /// Kills the server and starts it again.
    fn restart(&mut self) {
        self.house.kill_server();
        let log = self.house.server_log();
        self.house.start_server(self.room.envs()).unwrap_or_else(|code| {
            panic!("{code:?} on a full disk: {}", self.house.server_log().trim_start_matches(&log))
        });
    }

    /// Waits until the agent is there.
    async fn until_live(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.post("live", 10).await.1.status != 200 {
            assert!(Instant::now() < deadline, "the agent does not come");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Stores until that cannot be any more.
    async fn fill(&mut self) {
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
    full.until_live().await;
    full.stored.go().await;
    for size in [100, 3_000, 60_000, 1_572_864, 2_000] {
        assert_eq!(full.store(size).await.status, 202);
    }
    room.take();
    // Nothing is left but what is held back: enough to start.
    full.restart();
    full.fill().await;
    full.until_live().await;
    for size in [0, 300_000, 1_572_864] {
        assert_eq!(full.store(size).await.status, 503, "{size} bytes on a full disk");
        full.live_goes_on().await;
    }

    full.stored.come_back().await;
    full.wait_for_delivery().await;
    full.live_goes_on().await;

    // Another start, with still less room than the one before.
    full.restart();
    full.until_live().await;

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

#[tokio::test]
async fn a_large_event_gets_the_time_a_slow_link_needs_for_it() {
    let mut world = World::start().await;
    let accepted = SourceRules { reply: ReplyMode::Accepted, ..SourceRules::default() };
    world.source("hook", accepted).await;
    world.destination("hook", "default", |rules| rules.timeout_ms = 700).await;
    let app = App::start(Behaviour::Say(ok("done"))).await;
    let far = Conditions { delay: Duration::from_millis(120), ..Conditions::default() };
    let link = LossyProxy::start(world.addresses().tunnel, far).expect("a proxy");
    let settings = world.settings_at(link.addr()).await.with_route(route("hook", app.addr()));
    let agent = AgentInWorld::live(settings).await;
    // In the database, and in a file.
    for size in [1_000_000, 3_000_000] {
        let answer = world.post("hook", &vec![b'x'; size]).await;
        let event = answer.value("Relay-Event-Id").parse().expect("an id");
        let deadline = Instant::now() + PATIENCE;
        let attempts = loop {
            let found = world.server().store().deliveries_of(event).await.expect("deliveries");
            if found[0].0.state == DeliveryState::Delivered {
                break found[0].1.clone();
            }
            assert!(Instant::now() < deadline, "{size} bytes: {found:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert_eq!(attempts.len(), 1, "{attempts:?}");
        assert!(attempts[0].times.total_us > 900_000, "the link was fast: this proves nothing");
    }
    // The app itself still has no more than its time.
    app.behave(Behaviour::Silence);
    let answer = world.post("hook", b"x").await;
    let event = answer.value("Relay-Event-Id").parse().expect("an id");
    let deadline = Instant::now() + PATIENCE;
    let attempts = loop {
        let found = world.server().store().deliveries_of(event).await.expect("deliveries");
        if !found[0].1.is_empty() {
            break found[0].1.clone();
        }
        assert!(Instant::now() < deadline, "no attempt ends");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(attempts[0].reason.as_deref(), Some("app_slow"));
    assert!(attempts[0].times.total_us < 3_000_000, "{attempts:?}");
    app.behave(Behaviour::Say(ok("done")));
    agent.drain().await;
    drop(world);
}

#[tokio::test]
async fn a_sender_who_leaves_while_its_slow_event_is_kept_leaves_no_lease_behind() {
    let mut world = World::start().await;
    let rules = SourceRules { patience_ms: 200, if_slow: IfSlow::Accept, ..SourceRules::default() };
    world.source("hook", rules).await;
    let app = App::start(Behaviour::Slow(Duration::from_millis(500), ok("done"))).await;
    let agent = world.agent("hook", app.addr()).await;
    // Patience ends, and within some milliseconds of it the event is on disk: some leave just then.
    let senders = (0..80).map(|number: u64| {
        let public = world.public();
        tokio::spawn(async move {
            let mut sender = Sender::to(public).await;
            sender.say(&post("/h/hook", "", b"x")).await;
            tokio::time::sleep(Duration::from_micros(198_000 + number * 300)).await;
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.expect("sent");
    }
    let destination = world.server().store().source("hook").expect("the source").destinations[0].id;
    let deadline = Instant::now() + PATIENCE;
    while world.server().store().waiting(destination, 100).await.expect("counted") > 0 {
        assert!(Instant::now() < deadline, "leased, and nobody settles it");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    agent.drain().await;
    world.end().await;
}
