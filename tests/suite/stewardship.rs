//! What a server is entrusted with: proved, copied, brought over to the next version, by the program itself.

use std::fs;
use std::path::Path;
use std::process::Output;

use relay_tests::App;
use relay_tests::app::{Behaviour, ok};
use relay_tests::disk::{Disk, Fault, Kind, Unsynced};
use rusqlite::Connection;

use crate::disk::{Place, for_each_number};
use crate::programs::{House, program, serve};

fn run(verb: &str, arguments: &[&Path], data: &Path, disk: Option<&Disk>) -> Said {
    let mut command = program("relay-server");
    command.args(verb.split(' ')).args(arguments).arg("--data").arg(data);
    command.envs(disk.map(Disk::envs).into_iter().flatten());
    Said(command.output().expect("runs"))
}

fn audit(data: &Path) -> Said {
    run("audit", &[], data, None)
}

/// What a program said, and how it ended.
struct Said(Output);

impl Said {
    fn code(&self) -> Option<i32> {
        self.0.status.code()
    }

    fn out(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    fn err(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    /// How it has to end, and what it has to say on the way.
    #[track_caller]
    fn has(self, code: i32, parts: &[&str]) -> Self {
        let all = self.out() + &self.err();
        assert_eq!(self.code(), Some(code), "{all}");
        for part in parts {
            assert!(all.contains(part), "`{part}` is not in:\n{all}");
        }
        self
    }
}

/// The row of a table: the numbers of a source.
fn row(text: &str, source: &str) -> Vec<u64> {
    let line =
        text.lines().find(|line| line.starts_with(source)).unwrap_or_else(|| panic!("{source}:\n{text}"));
    line.split_whitespace().skip(1).map(|number| number.parse().expect("a number")).collect()
}

fn tamper(data: &Path, sql: &str) {
    let conn = Connection::open(data.join("relay.db")).expect("opens");
    conn.busy_timeout(std::time::Duration::from_secs(10)).expect("set");
    assert_eq!(conn.execute(sql, []).expect("done"), 1, "{sql}");
}

/// A house with a source, three events accepted for an agent that is away, and one it took before.
async fn house_with_a_backlog() -> House {
    let house = House::start();
    house.log_in();
    let app = App::start(Behaviour::Say(ok("taken"))).await;
    let mut agent = house.agent("hook", &app);
    assert_eq!(house.post("hook").await.expect("up").status, 200);
    agent.signal("TERM");
    assert_eq!(agent.exit_code(), Some(0));
    for _ in 0..3 {
        assert_eq!(house.post("hook").await.expect("up").status, 202);
    }
    house
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_at_work_one_that_was_killed_and_one_that_rests_are_proved() {
    let mut house = house_with_a_backlog().await;
    let data = house.data();
    let expected = [3, 3, 0, 3, 0, 0, 0, 3];
    assert_eq!(row(&audit(&data).has(0, &["\nbalanced: "]).out(), "hook"), expected, "at work");
    house.server.kill();
    assert!(fs::metadata(data.join("relay.db-wal")).expect("left").len() > 0);
    assert_eq!(row(&audit(&data).has(0, &["\nbalanced: "]).out(), "hook"), expected, "killed");
    house.server = serve(&data, &house.ports);
    house.server.line_with(&[("type", "ready")]);
    let app = App::start(Behaviour::Say(ok("taken"))).await;
    let _agent = house.agent("hook", &app);
    app.wait_for(3).await;
    house.server.signal("TERM");
    assert_eq!(house.server.exit_code(), Some(0));
    let said = run("audit --deep --json", &[], &data, None).has(0, &[]);
    let json: serde_json::Value = serde_json::from_str(&said.out()).expect("one object");
    assert_eq!((&json["balanced"], &json["sources"][0]["accepted"]), (&true.into(), &3.into()));
    assert_eq!(json["sources"][0]["delivered"], 3, "{json}");
    assert_eq!(said.err(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_ends_an_audit_with_code_one_and_its_name() {
    let house = house_with_a_backlog().await;
    let data = house.data();
    tamper(&data, "DELETE FROM events WHERE seq = 2");
    let said = audit(&data)
        .has(1, &["accepted events of hook that are nowhere, by number (1):\n  2\n", "NOT balanced: "]);
    assert!(said.out().ends_with("deliveries have lost their event: 1\n"), "{}", said.out());
    run("audit --deeply", &[], &data, None).has(2, &["--deep"]);
    audit(&data.join("elsewhere")).has(1, &["no store", "--data"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_house_moves_to_another_place_by_its_backup() {
    let mut house = house_with_a_backlog().await;
    let data = house.data();
    let outside = tempfile::tempdir().expect("a temp dir");
    let (backup, restored) = (outside.path().join("backup"), outside.path().join("restored"));
    let said = run("backup", &[&backup], &data, None).has(0, &["balanced: "]);
    assert_eq!(row(&said.out(), "hook")[7], 3, "all wait");
    assert!(!backup.join("relay.db-wal").exists() && !backup.join("first-start.txt").exists());
    run("backup", &[&backup], &data, None).has(1, &["is not empty", "empty or not there yet"]);
    run("restore", &[&backup], &data, None).has(1, &["is not empty", "mv ", ".before"]);
    assert_eq!(house.post("hook").await.expect("up").status, 202);
    house.server.kill();
    run("restore", &[&backup], &restored, None).has(0, &["4 events", "next: ", "delivered again"]);
    // The same addresses and the same key: the agent does not notice.
    house.server = serve(&restored, &house.ports);
    house.server.line_with(&[("type", "ready")]);
    let app = App::start(Behaviour::Say(ok("taken"))).await;
    let _agent = house.agent("hook", &app);
    app.wait_for(3).await;
    house.server.signal("TERM");
    assert_eq!(house.server.exit_code(), Some(0));
    assert_eq!(app.recorded().len(), 3, "what came after the backup is not in it");
    assert_eq!(row(&audit(&restored).has(0, &[]).out(), "hook"), [3, 3, 0, 3, 3, 0, 0, 0]);
    assert_eq!(row(&audit(&data).has(0, &[]).out(), "hook"), [4, 4, 0, 4, 0, 0, 0, 4]);
}

/// A small store, with a body in a file.
fn small_store(place: &Place) {
    assert!(place.live(&Disk::counting(&place.data())).is_clean());
    let event = "INSERT INTO events VALUES ((1700000000000 << 20) + 1, 1, 5, 19, x'7f000001', 'POST', x'2f', 0, NULL, NULL, 200,
        5, 0, 0, 0, 0, 0, x'', x'', NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL)";
    tamper(&place.data(), event);
    let id = protocol::id::EventId::from_parts((1_700_000_000_000 << 20) + 1, 5);
    fs::write(place.data().join("bodies").join(id.to_string()), "hello").expect("written");
}

#[test]
fn whichever_operation_of_a_backup_fails_it_is_whole_or_not_there() {
    let original = Place::new();
    small_store(&original);
    // `new` is made, `there` is an empty directory already.
    for name in ["target/new", "target/there"] {
        let attempt = |faulty: &dyn Fn(&Path) -> Disk, unsynced: Option<Unsynced>| -> Result<u64, String> {
            let place = Place::new();
            let (parent, to) = (place.dir.path().join("target"), place.dir.path().join(name));
            fs::create_dir(&parent).expect("made");
            if name.ends_with("there") {
                fs::create_dir(&to).expect("made");
            }
            let mut disk = faulty(&parent);
            let said = run("backup", &[&to], &original.data(), Some(&disk));
            let count = disk.count();
            if let Some(unsynced) = unsynced {
                disk.power_cut(unsynced);
            }
            let is_there = to.join("relay.db").exists();
            let wrong = |what: &str| Err(format!("{what}: {:?} {}", said.code(), said.err()));
            if said.code() == Some(0) && !is_there {
                return wrong("it said that there is a backup");
            }
            if unsynced.is_none() && said.code() != Some(0) && !said.err().starts_with("relay-server: ") {
                return wrong("it does not say why, and only that");
            }
            if !is_there {
                return Ok(count);
            }
            let found = run("audit --deep", &[], &to, None);
            let secrets = ["tunnel-key.pem", "tunnel-cert.pem", "tunnel-secret", "signing-secret"];
            if found.code() != Some(0) {
                return wrong(&format!("half a backup looks whole: {}{}", found.out(), found.err()));
            }
            if secrets
                .iter()
                .any(|name| fs::read(to.join(name)).ok() != fs::read(original.data().join(name)).ok())
            {
                return wrong("a secret is missing");
            }
            Ok(count)
        };
        let last = attempt(&Disk::counting, None).expect("it works");
        assert!(last > 20, "{last}");
        for_each_number(last, |at| {
            let fault = if at % 2 == 0 { Fault::Io } else { Fault::Full };
            attempt(&|dir| Disk::failing(dir, at, fault), None)?;
            attempt(&|dir| Disk::power(dir).cut_at(at), Some(Unsynced::Lost))?;
            if at % 3 == 0 {
                attempt(&|dir| Disk::power(dir).cut_at(at), Some(Unsynced::Torn(at)))?;
            }
            Ok(())
        });
        // And once it said so, it is there after a power cut.
        attempt(&Disk::power, Some(Unsynced::Lost)).expect("it stays");
    }
}

/// A store as the first schema left it, with rows of every table.
fn first_schema(data: &Path) {
    fs::create_dir(data).expect("made");
    let conn = Connection::open(data.join("relay.db")).expect("opens");
    conn.execute_batch(
        "PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;",
    )
    .expect("set");
    conn.execute_batch(include_str!("../../relay-server/src/store/schema/0001.sql")).expect("made");
    conn.execute_batch(include_str!("../../relay-server/src/store/schema/0001.rows.sql")).expect("filled");
}

/// The schema of this version.
const SCHEMA: i64 = 4;

#[test]
fn whichever_operation_of_an_upgrade_fails_the_next_one_works_and_nothing_is_lost() {
    let attempt = |faulty: &dyn Fn(&Path) -> Disk, unsynced: Option<Unsynced>| -> Result<u64, String> {
        let place = Place::new();
        first_schema(&place.data());
        let mut disk = faulty(&place.data());
        let said = run("token list", &[], &place.data(), Some(&disk));
        let count = disk.count();
        if said.err().contains("panicked") || (unsynced.is_none() && !matches!(said.code(), Some(0 | 1))) {
            return Err(format!("{:?}: {}", said.code(), said.err()));
        }
        if let Some(unsynced) = unsynced {
            disk.power_cut(unsynced);
        }
        let next = run("token list", &[], &place.data(), None);
        if next.code() != Some(0) || next.out().lines().count() != 4 {
            return Err(format!("the next one: {:?}: {}{}", next.code(), next.out(), next.err()));
        }
        let conn = Connection::open(place.data().join("relay.db")).expect("opens");
        let number = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("a number");
        let found = [
            number("PRAGMA user_version"),
            number("SELECT count(*) FROM events"),
            number("SELECT count(*) FROM bodies"),
            number("SELECT sum(is_primary) FROM destinations"),
        ];
        let audited = run("audit --deep", &[], &place.data(), None);
        if found != [SCHEMA, 6, 5, 4] || audited.code() != Some(0) {
            return Err(format!("{found:?}: {}", audited.out()));
        }
        Ok(count)
    };
    let last = attempt(&Disk::counting, None).expect("it works");
    assert!(last > 30, "{last}");
    for_each_number(last, |at| {
        let fault = if at % 2 == 0 { Fault::Io } else { Fault::Full };
        attempt(&|dir| Disk::failing(dir, at, fault).half_written(), None)?;
        attempt(&|dir| Disk::power(dir).cut_at(at), Some(Unsynced::Lost))?;
        if at % 3 == 0 {
            attempt(&|dir| Disk::power(dir).cut_at(at), Some(Unsynced::Torn(at)))?;
        }
        Ok(())
    });
}

#[test]
fn a_store_of_another_version_is_refused_with_what_to_do() {
    let place = Place::new();
    first_schema(&place.data());
    let older = format!("older version (schema 1, this version knows {SCHEMA})");
    audit(&place.data()).has(1, &[older.as_str(), "start the server once"]);
    let backup = place.dir.path().join("backup");
    run("backup", &[&backup], &place.data(), None).has(0, &["6 events", "older version", "up to date"]);
    assert!(place.live(&Disk::counting(&place.data())).is_clean());
    audit(&place.data()).has(0, &["balanced: "]);
    Connection::open(place.data().join("relay.db"))
        .expect("opens")
        .pragma_update(None, "user_version", SCHEMA + 1)
        .expect("set");
    let before = fs::read(place.data().join("relay.db")).expect("there");
    let newer = SCHEMA + 1;
    let expected =
        format!("was written by a newer version (schema {newer}, this version knows {SCHEMA}); update");
    let expected = [expected.as_str()];
    audit(&place.data()).has(1, &expected);
    run("token list", &[], &place.data(), None).has(1, &expected);
    run("backup", &[&place.dir.path().join("again")], &place.data(), None).has(1, &expected);
    run("restore", &[&place.data()], &place.dir.path().join("again"), None).has(1, &expected);
    assert!(!place.dir.path().join("again").exists());
    let life = place.live(&Disk::counting(&place.data()));
    assert!(!life.was_ready && life.code == Some(1) && life.said.contains(expected[0]), "{life:?}");
    assert!(fs::read(place.data().join("relay.db")).expect("there") == before, "and left as it was");
}

#[test]
fn a_directory_that_cannot_be_written_is_audited_or_it_is_said_what_to_do() {
    let place = Place::new();
    small_store(&place);
    // `tamper` was its last user, and took the log away with it.
    run("audit", &[], &place.data(), Some(&Disk::read_only(&place.data())))
        .has(1, &["cannot be read without writing beside it", "copy the directory"]);
    // A backup has no log.
    let backup = place.dir.path().join("backup");
    run("backup", &[&backup], &place.data(), None).has(0, &[]);
    run("audit", &[], &backup, Some(&Disk::read_only(&backup))).has(0, &["balanced: "]);
}

#[test]
fn a_first_start_that_was_cut_off_before_it_told_its_tokens_is_followed_by_advice() {
    let place = Place::new();
    // The last name that changes is the one under which the tokens are found.
    let renames = Disk::counting(&place.data()).only(&[Kind::Rename]);
    assert!(place.live(&renames).is_clean());
    assert_eq!(renames.operations().last().expect("some").name, "first-start.txt");
    assert!(!place.live(&Disk::counting(&place.data())).said.contains("cut off"), "a whole one says nothing");

    let place = Place::new();
    let disk = Disk::power(&place.data()).only(&[Kind::Rename]).cut_at(renames.count());
    let mut disk = disk;
    assert!(!place.live(&disk).was_ready);
    disk.power_cut(Unsynced::Lost);
    assert!(!place.file("first-start.txt").exists());
    for _ in 0..2 {
        let life = place.live(&Disk::counting(&place.data()));
        assert!(life.is_clean() && life.said.contains("token create"), "{life:?}");
        assert!(life.said.contains("--scope admin"), "{life:?}");
    }
    run("token create --label found", &[], &place.data(), None).has(0, &["relay://"]);
    for _ in 0..2 {
        let life = place.live(&Disk::counting(&place.data()));
        assert!(life.is_clean() && !life.said.contains("cut off"), "{life:?}");
    }
    assert!(!place.file("first-start.partial").exists());
}
