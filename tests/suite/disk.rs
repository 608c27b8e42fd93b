//! Disks that fail, fill up, and lose their power: the server under them, and that the injector does as it says.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use relay_tests::disk::{Disk, Fault, Kind, Unsynced};
use tempfile::TempDir;

use crate::programs::program;

/// A start, a stop or a command takes a tenth of a second; one that takes this long hangs.
const PATIENCE: Duration = Duration::from_secs(15);

/// Servers at a time where many are tried: as many as a small machine has cores. Other tests measure time meanwhile.
const AT_A_TIME: usize = 2;

/// A directory that is about to be the server's, and what surrounds it.
pub(crate) struct Place {
    pub(crate) dir: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temp dir") }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.data().join(name)
    }

    fn read(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.file(name)).ok()
    }

    /// Starts a server; when this returns it is ready, or it is about to end.
    pub(crate) fn start(&self, disk: &Disk) -> Running {
        let mut command = program("relay-server");
        command.arg("serve").arg("--json").arg("--data").arg(self.data()).envs(disk.envs());
        for flag in ["--public", "--tunnel", "--admin"] {
            command.args([flag, "127.0.0.1:0"]);
        }
        let said = self.dir.path().join("said");
        let stderr = File::create(&said).expect("made");
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).spawn().expect("starts");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (send, first) = mpsc::channel();
        std::thread::spawn(move || send.send(stdout.lines().next().and_then(Result::ok)));
        let mut running = Running { child, said, is_ready: false };
        let line = first.recv_timeout(PATIENCE).expect("ready, or at its end, within the bound");
        running.is_ready = line.is_some_and(|line| line.contains("\"ready\""));
        running
    }

    /// A server from its start to its end: told to end as soon as it is ready.
    pub(crate) fn live(&self, disk: &Disk) -> Life {
        let mut running = self.start(disk);
        if running.is_ready {
            running.terminate();
        }
        running.end()
    }

    /// A new token's label, once the token was handed out.
    fn make_token(&self, disk: &Disk, label: &str) {
        let mut command = program("relay-server");
        command.args(["token", "create", "--label", label, "--data"]).arg(self.data()).envs(disk.envs());
        let made = command.output().expect("runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    fn tokens(&self) -> String {
        let listed = program("relay-server").args(["token", "list", "--data"]).arg(self.data()).output();
        let listed = listed.expect("runs");
        assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
        String::from_utf8(listed.stdout).expect("text")
    }

    /// Runs a shell in the directory, which is made first.
    fn shell(&self, disk: &Disk, script: &str) -> Output {
        fs::create_dir_all(self.data()).expect("made");
        Command::new("sh")
            .args(["-c", script])
            .current_dir(self.data())
            .envs(disk.envs())
            .output()
            .expect("a shell runs")
    }

    /// Runs a shell that must succeed.
    fn does(&self, disk: &Disk, script: &str) {
        let ran = self.shell(disk, script);
        assert!(ran.status.success(), "{script}: {}", String::from_utf8_lossy(&ran.stderr));
    }
}

/// What became of a server.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) was_ready: bool,
    /// `None`: killed by a signal.
    pub(crate) code: Option<i32>,
    pub(crate) said: String,
}

impl Life {
    pub(crate) fn is_clean(&self) -> bool {
        self.was_ready && self.code == Some(0)
    }

    /// Why this is not how a server may meet a fault: it serves and ends (70: the disk failed meanwhile), or it says
    /// in one line what happened.
    fn offence(&self) -> Option<&'static str> {
        let last = self.said.lines().last().unwrap_or_default();
        if self.said.contains("panicked") || self.said.contains("backtrace") {
            Some("it panicked")
        } else if self.was_ready {
            (!matches!(self.code, Some(0 | 70))).then_some("it was ready, and did not end well")
        } else if self.code != Some(1) {
            Some("it did not start, and its exit code is not 1")
        } else {
            (!last.starts_with("relay-server: ")).then_some("it did not start, and does not say why")
        }
    }
}

/// A server; killed when dropped.
pub(crate) struct Running {
    child: Child,
    said: PathBuf,
    pub(crate) is_ready: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Running {
    pub(crate) fn terminate(&self) {
        let told = Command::new("kill").arg(self.child.id().to_string()).stderr(Stdio::null()).status();
        told.expect("kill runs");
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub(crate) fn end(&mut self) -> Life {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().expect("a child") {
                let said = fs::read_to_string(&self.said).expect("text");
                return Life { was_ready: self.is_ready, code: status.code(), said };
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        panic!("the server hangs");
    }
}

/// Operations of a first start and the end after it. Two threads write, so their order is not always the same.
fn operations_of_a_first_life() -> u64 {
    let place = Place::new();
    let disk = Disk::counting(&place.data());
    assert!(place.live(&disk).is_clean());
    disk.count()
}

/// Tries each number from 1 to `last`, some at a time, and fails with all that went wrong.
pub(crate) fn for_each_number(last: u64, attempt: impl Fn(u64) -> Result<(), String> + Sync) {
    let (next, wrong) = (AtomicU64::new(1), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number > last {
                        return;
                    }
                    if let Err(what) = attempt(number) {
                        wrong.lock().expect("no panic").push(format!("operation {number}: {what}"));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("no panic");
    assert!(wrong.is_empty(), "{} of {last}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_start_is_counted_operation_by_operation() {
    let place = Place::new();
    let disk = Disk::counting(&place.data());
    let life = place.live(&disk);
    assert!(life.is_clean(), "{life:?}");
    let operations = disk.operations();
    assert_eq!(operations.len() as u64, disk.count());
    assert!(operations.iter().zip(1..).all(|(operation, number)| operation.number == number));
    let kinds: HashSet<_> = operations.iter().map(|operation| operation.kind).collect();
    for kind in [Kind::Create, Kind::Write, Kind::Sync, Kind::Rename, Kind::Unlink, Kind::Truncate] {
        assert!(kinds.contains(&kind), "{kind:?}");
    }
    let bytes = |name: &str| {
        let of_it = operations.iter().filter(|one| one.kind == Kind::Write && one.name == name);
        of_it.map(|one| one.bytes).sum::<u64>()
    };
    let size = |name| fs::metadata(place.file(name)).expect("there").len();
    assert_eq!(bytes("reserve"), size("reserve"));
    assert_eq!(bytes("run.json.partial"), size("run.json"));
    assert!(bytes("relay.db-wal") > 100_000, "the schema goes through the log");
    assert!(operations.iter().all(|one| one.failed.is_none()));

    let again = Disk::counting(&place.data());
    assert!(place.live(&again).is_clean());
    assert!(again.count() < disk.count() / 3, "the second start does {}", again.count());
}

#[test]
fn whichever_operation_fails_a_start_ends_well_or_says_why_and_the_next_one_works() {
    let last = operations_of_a_first_life();
    for_each_number(last, |at| {
        // Each operation with EIO and half of what was to be written there; every second with ENOSPC, too.
        let mut faults = vec![Fault::Io];
        if at % 2 == 0 {
            faults.push(Fault::Full);
        }
        for fault in faults {
            let place = Place::new();
            let mut disk = Disk::failing(&place.data(), at, fault);
            if fault == Fault::Io {
                disk = disk.half_written();
            }
            let life = place.live(&disk);
            let failed = disk.operations().into_iter().find(|one| one.failed.is_some());
            let wrong = |what: &str, life: &Life| Err(format!("{what}: {fault:?} at {failed:?}: {life:?}"));
            if let Some(offence) = life.offence() {
                return wrong(offence, &life);
            }
            // Bytes 18 and 19 of a database say whether it has a write-ahead log.
            if life.was_ready && place.read("relay.db").is_none_or(|bytes| bytes[18..20] != [2, 2]) {
                return wrong("it serves without a write-ahead log", &life);
            }
            let next = place.live(&Disk::counting(&place.data()));
            if !next.is_clean() {
                return wrong("the next start does not work", &next);
            }
        }
        Ok(())
    });
}

#[test]
fn wherever_the_power_goes_in_a_first_life_the_next_start_works() {
    let last = operations_of_a_first_life();
    for_each_number(last, |at| {
        let mut cuts = vec![Unsynced::Lost];
        if at % 3 == 0 {
            cuts.push(Unsynced::Torn(at));
        }
        for unsynced in cuts {
            let place = Place::new();
            let mut disk = Disk::power(&place.data()).cut_at(at);
            let life = place.live(&disk);
            disk.power_cut(unsynced);
            let next = place.live(&Disk::counting(&place.data()));
            if !next.is_clean() {
                return Err(format!("{unsynced:?}: {next:?} after {life:?}"));
            }
        }
        Ok(())
    });
}

#[test]
fn who_the_server_is_and_its_first_secrets_survive_a_power_cut_once_it_serves() {
    let place = Place::new();
    let mut disk = Disk::power(&place.data());
    let mut running = place.start(&disk);
    assert!(running.is_ready);
    let names = ["tunnel-key.pem", "tunnel-cert.pem", "tunnel-secret", "first-start.txt"];
    let before = names.map(|name| place.read(name).expect("there"));
    running.kill();
    disk.power_cut(Unsynced::Lost);
    for (name, before) in names.into_iter().zip(before) {
        assert_eq!(place.read(name), Some(before), "{name}");
    }
}

#[test]
fn tokens_that_were_handed_out_survive_one_power_cut_after_the_other() {
    let place = Place::new();
    let mut disk = Disk::power(&place.data());
    let mut labels = Vec::new();
    for (life, unsynced) in [Unsynced::Lost, Unsynced::Torn(1), Unsynced::Torn(2)].into_iter().enumerate() {
        let mut running = place.start(&disk);
        assert!(running.is_ready);
        for number in 0..4 {
            let label = format!("life-{life}-token-{number}");
            place.make_token(&disk, &label);
            labels.push(label);
        }
        running.kill();
        disk.power_cut(unsynced);
        let kept = place.tokens();
        for label in &labels {
            assert!(kept.contains(label), "{label} is lost:\n{kept}");
        }
        // `token list` was not watched: from here on, what it left counts as synced.
        disk = Disk::power(&place.data());
    }

    // The control: on a disk that lies about its syncs the same is lost.
    let mut disk = disk.lying();
    let mut running = place.start(&disk);
    place.make_token(&disk, "lied-about");
    running.kill();
    disk.power_cut(Unsynced::Lost);
    let kept = place.tokens();
    assert!(!kept.contains("lied-about"), "{kept}");
    assert!(labels.iter().all(|label| kept.contains(label)), "{kept}");
}

#[test]
fn a_disk_that_cannot_be_written_is_named_in_one_line() {
    let place = Place::new();
    for is_new in [true, false] {
        let life = place.live(&Disk::read_only(&place.data()));
        assert!(!life.was_ready && life.offence().is_none(), "{life:?}");
        let path = place.data().display().to_string();
        assert!(life.said.contains(&path) && life.said.contains("Read-only file system"), "{}", life.said);
        assert_eq!(life.said.lines().count(), 1, "{}", life.said);
        assert_eq!(place.data().exists(), !is_new, "nothing was written");
        assert!(place.live(&Disk::counting(&place.data())).is_clean());
    }
}

#[test]
fn a_first_start_on_a_full_disk_says_so_and_works_once_there_is_room() {
    let place = Place::new();
    let disk = Disk::counting(&place.data());
    disk.set_room(Some(64 * 1024));
    let life = place.live(&disk);
    assert!(!life.was_ready && life.offence().is_none() && life.said.contains("full"), "{life:?}");
    disk.set_room(None);
    assert!(place.live(&disk).is_clean());
}

// From here on: the injector itself, under programs everybody has.

static OLD: [u8; 100 * 512] = [b'o'; 100 * 512];
static NEW: [u8; 100 * 512] = [b'n'; 100 * 512];

/// A place with a durable file `kept`, and files `old` and `new` outside to copy from.
fn place_with_a_file() -> (Place, Disk) {
    let place = Place::new();
    fs::create_dir(place.data()).expect("made");
    fs::write(place.file("kept"), OLD).expect("written");
    fs::write(place.dir.path().join("old"), OLD).expect("written");
    fs::write(place.dir.path().join("new"), NEW).expect("written");
    let disk = Disk::power(&place.data());
    (place, disk)
}

#[test]
fn of_data_only_what_was_synced_survives() {
    let (place, mut disk) = place_with_a_file();
    place.does(
        &disk,
        "dd if=../new of=synced conv=fsync
         dd if=../new of=unsynced
         dd if=../new of=kept bs=512 count=3 seek=4 conv=notrunc,fsync
         dd if=../new of=kept bs=512 count=3 seek=50 conv=notrunc
         dd if=../new of=longer bs=512 count=10 conv=fdatasync
         dd if=../new of=longer bs=512 count=10 oflag=append conv=notrunc
         echo text > through-the-shell; sync through-the-shell; echo lost >> through-the-shell",
    );
    assert_eq!(place.read("unsynced"), Some(NEW.to_vec()), "before the cut all is there");
    disk.power_cut(Unsynced::Lost);
    assert_eq!(place.read("synced"), Some(NEW.to_vec()));
    assert_eq!(place.read("unsynced"), None);
    let mut expected = OLD.to_vec();
    expected[4 * 512..7 * 512].fill(b'n');
    assert_eq!(place.read("kept"), Some(expected));
    assert_eq!(place.read("longer"), Some(NEW[..5120].to_vec()));
    assert_eq!(place.read("through-the-shell"), Some(b"text\n".to_vec()));
}

#[test]
fn sizes_are_durable_by_a_sync_of_the_file() {
    let (place, mut disk) = place_with_a_file();
    place.does(&disk, "truncate -s 700 kept; cp ../old other; sync other; : > other");
    disk.power_cut(Unsynced::Lost);
    assert_eq!(place.read("kept"), Some(OLD.to_vec()));
    assert_eq!(place.read("other"), Some(OLD.to_vec()));
    // Cut short and grown again: what was beyond the cut reads as zeros.
    place.does(
        &disk,
        "truncate -s 700 kept; truncate -s 2000 kept; sync kept; truncate -s 10 other; sync other",
    );
    disk.power_cut(Unsynced::Lost);
    let mut expected = OLD[..2000].to_vec();
    expected[700..].fill(0);
    assert_eq!(place.read("kept"), Some(expected));
    assert_eq!(place.read("other"), Some(OLD[..10].to_vec()));
    // Emptied by being opened, and grown again.
    place.does(&disk, ": > kept; truncate -s 2000 kept; sync kept");
    disk.power_cut(Unsynced::Lost);
    assert_eq!(place.read("kept"), Some(vec![0; 2000]));
}

#[test]
fn names_are_durable_by_a_sync_of_their_directory() {
    let (place, mut disk) = place_with_a_file();
    place.does(
        &disk,
        "cp ../old target; cp ../new partial; sync target partial; mv partial target; mv kept moved",
    );
    disk.power_cut(Unsynced::Lost);
    let names = |names: [&str; 4]| names.map(|name| place.read(name).map(|bytes| bytes[0]));
    let all = ["target", "partial", "kept", "moved"];
    assert_eq!(names(all), [Some(b'o'), Some(b'n'), Some(b'o'), None]);
    place.does(&disk, "mv partial target; mv kept moved; sync .");
    disk.power_cut(Unsynced::Lost);
    assert_eq!(names(all), [Some(b'n'), None, None, Some(b'o')]);
    place.does(&disk, "rm target; mkdir folder; cp ../new folder/file; sync folder/file; ln moved second");
    disk.power_cut(Unsynced::Lost);
    assert_eq!(
        names(["target", "folder/file", "moved", "second"]),
        [Some(b'n'), Some(b'n'), Some(b'o'), None]
    );
    place.does(&disk, "rm target folder/file; cp ../new empty; sync . folder");
    disk.power_cut(Unsynced::Lost);
    assert_eq!((place.read("target"), place.read("folder/file")), (None, None));
    assert_eq!(place.read("empty"), Some(Vec::new()), "its name was synced, its data was not");
}

#[test]
fn a_file_that_takes_the_name_of_another_with_its_first_sync_does_not_make_that_one_vanish() {
    let (place, mut disk) = place_with_a_file();
    place.does(&disk, "mv kept kept.1; cp ../new kept; sync kept");
    disk.power_cut(Unsynced::Lost);
    assert_eq!(place.read("kept"), Some(NEW.to_vec()));
    assert_eq!(place.read("kept.1"), Some(OLD.to_vec()));
}

#[test]
fn what_a_failed_sync_dropped_is_not_brought_back_by_the_next_one() {
    let (place, disk) = place_with_a_file();
    let mut disk = disk.only(&[Kind::Sync]).and_fail(1, Fault::Io);
    let first = place.shell(&disk, "dd if=../new of=kept bs=512 count=10 conv=notrunc,fsync");
    assert!(!first.status.success(), "dd is told of the failed sync");
    place.does(&disk, "dd if=../new of=kept bs=512 count=5 seek=20 conv=notrunc; sync kept");
    disk.power_cut(Unsynced::Lost);
    let mut expected = OLD.to_vec();
    expected[20 * 512..25 * 512].fill(b'n');
    assert_eq!(place.read("kept"), Some(expected));
}

#[test]
fn unsynced_sectors_survive_a_torn_cut_one_by_one_as_the_dice_say() {
    let torn = |seed| {
        let (place, mut disk) = place_with_a_file();
        place.does(
            &disk,
            "dd if=../new of=kept conv=notrunc; dd if=../new of=grown; cp ../new safe; sync safe",
        );
        disk.power_cut(Unsynced::Torn(seed));
        assert_eq!(place.read("safe"), Some(NEW.to_vec()));
        (place.read("kept").expect("there"), place.read("grown"))
    };
    let (kept, grown) = torn(1);
    assert!(kept.chunks(512).all(|sector| sector == &OLD[..512] || sector == &NEW[..512]));
    let survived = kept.chunks(512).filter(|sector| sector[0] == b'n').count();
    assert!((20..80).contains(&survived), "{survived} of 100");
    assert_eq!(torn(1), (kept, grown), "the same dice, the same cut");
    let grown: HashSet<_> = (1..7).map(|seed| torn(seed).1.is_some()).collect();
    assert_eq!(grown.len(), 2, "a new name survives sometimes");
}

#[test]
fn operations_fail_as_told() {
    let place = Place::new();
    let disk = Disk::failing(&place.data(), 3, Fault::Full).for_operations(2);
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    place.does(&disk, "touch 1; touch 2");
    for name in ["3", "4"] {
        let ran = place.shell(&disk, &format!("touch {name}"));
        assert!(!ran.status.success() && said(&ran).contains("No space left"), "{ran:?}");
        assert!(!place.file(name).exists());
    }
    place.does(&disk, "touch 5; touch ../outside");
    let log: Vec<_> = disk.operations().into_iter().map(|one| (one.name, one.failed)).collect();
    let expected = [("1", None), ("2", None), ("3", Some(28)), ("4", Some(28)), ("5", None)];
    assert_eq!(log, expected.map(|(name, failed)| (name.to_owned(), failed)));

    disk.fail_from_now_on(Fault::Io);
    for script in ["touch 6", "cp 5 9", "rm 1", "mv 1 2", "mkdir 7", "sync 1", "ln 1 8", "truncate -s 9 1"] {
        let ran = place.shell(&disk, script);
        assert!(!ran.status.success() && said(&ran).contains("Input/output error"), "{script}: {ran:?}");
    }
    disk.heal();
    place.does(&disk, "touch 6; rm 1; mv 2 3; mkdir 7");

    let disk = Disk::failing(&place.data(), 1, Fault::Io).only(&[Kind::Write]).half_written();
    place.shell(&disk, "dd if=/dev/zero of=half bs=1000 count=1");
    assert_eq!(place.read("half"), Some(vec![0; 500]));
}

#[test]
fn a_full_disk_takes_what_fits_and_has_room_again_after_a_removal() {
    let place = Place::new();
    let disk = Disk::counting(&place.data());
    disk.set_room(Some(10_000));
    let ran = place.shell(&disk, "dd if=/dev/zero of=large bs=4096 count=5");
    assert!(
        !ran.status.success() && String::from_utf8_lossy(&ran.stderr).contains("No space left"),
        "{ran:?}"
    );
    assert_eq!(place.read("large"), Some(vec![0; 10_000]));
    place.does(&disk, "dd if=/dev/zero of=large bs=5000 count=2 conv=notrunc");
    assert!(!place.shell(&disk, "echo > more").status.success());
    place.does(&disk, "rm large; dd if=/dev/zero of=small bs=9000 count=1; rm more");
    assert!(!place.shell(&disk, "dd if=/dev/zero of=more bs=1001 count=1").status.success());
}

#[test]
fn the_power_goes_right_before_the_operation_it_was_asked_to() {
    let (place, disk) = place_with_a_file();
    let mut disk = disk.cut_at(4);
    let ran = place.shell(&disk, "touch 1; sync 1; touch 2; sync 2; touch 3");
    assert!(!ran.status.success(), "the shell is killed, too");
    assert_eq!(disk.count(), 3);
    assert!(place.file("2").exists() && !place.file("3").exists());
    disk.power_cut(Unsynced::Lost);
    assert!(place.file("1").exists() && !place.file("2").exists());
}
