//! A disk that fails, fills up or loses its power under a real program.
//!
//! [`Disk`] stands for one directory. Its [`envs`](Disk::envs) put a small library (`tests/faults/disk.c`, compiled
//! here once) between a program and the kernel. What happens is told through a shared file, so it may change while
//! the program runs: [`Disk::fail_from_now_on`], [`Disk::heal`], [`Disk::set_room`]. After the program was killed,
//! [`Disk::power_cut`] leaves in the directory what a disk would have kept. The head of the C file says what is
//! modelled, and what is not.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use tempfile::{NamedTempFile, TempDir};

use crate::dice::Dice;

/// The library's source, part of this program: what is compiled is what it was built with.
const SOURCE: &str = include_str!("../faults/disk.c");

/// Granularity of what survives a power cut, in bytes. The C file says the same.
const SECTOR_BYTES: usize = 512;

/// Size of the file through which harness and library talk: one page.
const CONTROL_BYTES: usize = 4096;

/// Fields of that file, by their place. The C file says the same.
#[derive(Clone, Copy)]
enum Field {
    Count,
    FailFrom,
    FailUntil,
    FailErrno,
    Kinds,
    CutAt,
    Room,
    Flags,
}

const FLAG_POWER: u64 = 1;
const FLAG_HALF: u64 = 2;
const FLAG_LYING: u64 = 4;
const FLAG_READ_ONLY: u64 = 8;
const FLAG_UNSYNCED_DATABASE: u64 = 16;

/// What a failing operation fails with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `EIO`: the device reports an error.
    Io,
    /// `ENOSPC`: the disk is full.
    Full,
}

impl Fault {
    fn errno(self) -> u64 {
        match self {
            Self::Io => 5,
            Self::Full => 28,
        }
    }
}

/// What a program does to a disk. Only what could succeed is counted: removing a file that is not there is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Bytes are written.
    Write,
    /// A size is set, or a file opened so that it is emptied.
    Truncate,
    /// Space is asked for (`fallocate`).
    Allocate,
    /// A file or directory is synced.
    Sync,
    /// A name changes.
    Rename,
    /// A name goes.
    Unlink,
    /// A file, directory or second name is made.
    Create,
}

impl Kind {
    const ALL: [Self; 7] =
        [Self::Write, Self::Truncate, Self::Allocate, Self::Sync, Self::Rename, Self::Unlink, Self::Create];

    fn bit(self) -> u64 {
        1 << self as u64
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| format!("{kind:?}").to_lowercase() == name)
    }
}

/// One operation a program did, or was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// From 1, in the order they happened.
    pub number: u64,
    /// What.
    pub kind: Kind,
    /// Length of a write or allocation, size that was set; 0 for the others.
    pub bytes: u64,
    /// The error number it was made to fail with. A full disk ([`Disk::set_room`]) does not show here.
    pub failed: Option<i32>,
    /// To what, within the directory; `.` is the directory itself. A rename names its target.
    pub name: String,
}

/// What becomes of unsynced work when the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsynced {
    /// Nothing of it survives.
    Lost,
    /// Each sector of 512 bytes survives or does not, and so do a file's new size and all new names of a directory,
    /// as dice with this seed say.
    Torn(u64),
}

/// One directory and what happens to it.
///
/// Holds for every process started with [`envs`](Self::envs), and what they start, together.
pub struct Disk {
    dir: PathBuf,
    state: TempDir,
    control: File,
}

impl Disk {
    /// A disk that works, and on which operations under `dir` are counted. `dir` need not exist yet, its parent must.
    ///
    /// # Panics
    /// When the parent does not exist, or the library cannot be compiled.
    #[must_use]
    pub fn counting(dir: &Path) -> Self {
        let parent =
            dir.parent().expect("a parent").canonicalize().expect("the parent of the directory is there");
        let dir = parent.join(dir.file_name().expect("a name"));
        // Beside the directory: hard links and sizes then mean the same.
        let state = tempfile::Builder::new().prefix("disk-").tempdir_in(&parent).expect("a temp dir");
        let control = state.path().join("control");
        fs::write(&control, [0; CONTROL_BYTES]).expect("written");
        let control = File::options().read(true).write(true).open(control).expect("opens");
        let disk = Self { dir, state, control };
        disk.set(Field::Room, u64::MAX);
        disk.set(Field::Kinds, Kind::ALL.into_iter().map(Kind::bit).sum());
        disk
    }

    /// A disk on which operation number `at` (from 1) fails.
    #[must_use]
    pub fn failing(dir: &Path, at: u64, fault: Fault) -> Self {
        Self::counting(dir).and_fail(at, fault)
    }

    /// A disk of which it is known at all times what it would hold after a power cut. What is in `dir` now counts as
    /// synced.
    #[must_use]
    pub fn power(dir: &Path) -> Self {
        let disk = Self::counting(dir);
        disk.raise(FLAG_POWER);
        disk.hold_what_is_there();
        disk
    }

    /// A disk that can be read but not written, as a file system mounted read-only.
    #[must_use]
    pub fn read_only(dir: &Path) -> Self {
        let disk = Self::counting(dir);
        disk.raise(FLAG_READ_ONLY);
        disk
    }

    /// Operation number `at` (from 1) fails, too.
    #[must_use]
    pub fn and_fail(self, at: u64, fault: Fault) -> Self {
        self.set(Field::FailErrno, fault.errno());
        self.set(Field::FailUntil, at + 1);
        self.set(Field::FailFrom, at);
        self
    }

    /// Not one but so many operations in a row fail; `u64::MAX` is all from there on.
    #[must_use]
    pub fn for_operations(self, operations: u64) -> Self {
        self.set(Field::FailUntil, self.field(Field::FailFrom).saturating_add(operations));
        self
    }

    /// A write that fails has written the first half.
    #[must_use]
    pub fn half_written(self) -> Self {
        self.raise(FLAG_HALF);
        self
    }

    /// Only these kinds are counted, and so only they fail.
    #[must_use]
    pub fn only(self, kinds: &[Kind]) -> Self {
        self.set(Field::Kinds, kinds.iter().map(|kind| kind.bit()).fold(0, |all, bit| all | bit));
        self
    }

    /// Syncs succeed and keep nothing: the control of a test that says nothing is lost.
    #[must_use]
    pub fn lying(self) -> Self {
        self.raise(FLAG_LYING);
        self
    }

    /// Syncs of the database and its log keep nothing, those of everything else do: what `PRAGMA synchronous = OFF` makes
    /// of a server when the power goes.
    #[must_use]
    pub fn without_syncs_of_the_database(self) -> Self {
        self.raise(FLAG_UNSYNCED_DATABASE);
        self
    }

    /// The process that is about to do operation number `at` (from 1) is killed instead: the moment of a power cut,
    /// exactly. Call [`power_cut`](Self::power_cut) once it ended.
    #[must_use]
    pub fn cut_at(self, at: u64) -> Self {
        self.set(Field::CutAt, at);
        self
    }

    /// Every operation fails from here on.
    pub fn fail_from_now_on(&self, fault: Fault) {
        self.set(Field::FailErrno, fault.errno());
        self.set(Field::FailUntil, u64::MAX);
        self.set(Field::FailFrom, 1);
    }

    /// Nothing fails any more.
    pub fn heal(&self) {
        self.set(Field::FailUntil, 0);
    }

    /// Files may grow by so many bytes together before the disk is full; what is removed or cut short makes room
    /// again. `None`: there is always room (default). Sizes count, holes as well.
    ///
    /// Not to be called while a program writes, except with 0 and `None`: what it takes meanwhile would not count.
    pub fn set_room(&self, bytes: Option<u64>) {
        self.set(Field::Room, bytes.unwrap_or(u64::MAX));
    }

    /// The environment of the programs concerned.
    ///
    /// # Panics
    /// When the library cannot be compiled.
    #[must_use]
    pub fn envs(&self) -> [(&'static str, OsString); 3] {
        [
            ("LD_PRELOAD", library().into()),
            ("DISK_DIR", self.dir.clone().into()),
            ("DISK_STATE", self.state.path().into()),
        ]
    }

    /// How many operations there were so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.field(Field::Count)
    }

    /// All operations so far.
    ///
    /// # Panics
    /// When the library wrote something this does not understand.
    #[must_use]
    pub fn operations(&self) -> Vec<Operation> {
        let log = fs::read_to_string(self.state.path().join("log")).unwrap_or_default();
        let read = |line: &str| {
            let mut fields = line.splitn(5, ' ');
            let number = fields.next()?.parse().ok()?;
            let kind = Kind::from_name(fields.next()?)?;
            let bytes = fields.next()?.parse().ok()?;
            let failed = Some(fields.next()?.parse().ok()?).filter(|errno| *errno != 0);
            Some(Operation { number, kind, bytes, failed, name: fields.next()?.to_owned() })
        };
        log.lines().map(|line| read(line).unwrap_or_else(|| panic!("a line of the log: {line}"))).collect()
    }

    /// The power goes: the directory is as the disk held it, and the next life begins, with counts from 0 and without
    /// the faults of the last one. All programs must have been killed and waited for.
    ///
    /// # Panics
    /// When the disk is not one of [`Disk::power`].
    pub fn power_cut(&mut self, unsynced: Unsynced) {
        assert!(self.field(Field::Flags) & FLAG_POWER != 0, "only `Disk::power` knows what was synced");
        if let Unsynced::Torn(seed) = unsynced {
            self.tear(&mut Dice::new(seed));
        }
        if let Ok(live) = fs::metadata(&self.dir) {
            fs::set_permissions(self.held("tree"), live.permissions()).expect("rights are set");
        }
        remove(&self.dir);
        fs::rename(self.held("tree"), &self.dir).expect("what was held becomes the directory");
        for name in ["objects", "dirty", "log"] {
            remove(&self.held(name));
        }
        for field in [Field::Count, Field::FailFrom, Field::FailUntil, Field::CutAt] {
            self.set(field, 0);
        }
        self.hold_what_is_there();
    }

    fn held(&self, name: &str) -> PathBuf {
        self.state.path().join(name)
    }

    fn field(&self, field: Field) -> u64 {
        let mut bytes = [0; 8];
        self.control.read_exact_at(&mut bytes, field as u64 * 8).expect("the control file is read");
        u64::from_ne_bytes(bytes)
    }

    fn set(&self, field: Field, value: u64) {
        self.control
            .write_all_at(&value.to_ne_bytes(), field as u64 * 8)
            .expect("the control file is written");
    }

    fn raise(&self, flag: u64) {
        self.set(Field::Flags, self.field(Field::Flags) | flag);
    }

    /// Everything in the directory counts as synced.
    fn hold_what_is_there(&self) {
        for name in ["tree", "objects", "dirty"] {
            fs::create_dir(self.held(name)).expect("a folder is made");
        }
        let tree = self.held("tree");
        if let Ok(live) = fs::metadata(&self.dir) {
            fs::set_permissions(&tree, live.permissions()).expect("rights are set");
        }
        for (path, live) in files_under(&self.dir) {
            let held = tree.join(path.strip_prefix(&self.dir).expect("inside"));
            fs::create_dir_all(held.parent().expect("a folder")).expect("a folder is made");
            fs::copy(&path, &held).expect("copied");
            fs::hard_link(&held, self.object(live.ino())).expect("linked");
        }
    }

    fn object(&self, inode: u64) -> PathBuf {
        self.held("objects").join(inode.to_string())
    }

    /// Lets some of what was not synced survive.
    fn tear(&self, dice: &mut Dice) {
        let mut live = files_under(&self.dir);
        live.sort_by(|one, other| one.0.cmp(&other.0));
        for (path, metadata) in &live {
            let dirty = fs::read(self.held("dirty").join(metadata.ino().to_string()));
            // Empty where the program was killed before its first write to the file.
            if let Some(dirty) = dirty.ok().filter(|dirty| !dirty.is_empty()) {
                tear_file(path, metadata.len(), &self.object(metadata.ino()), &dirty, dice).expect("torn");
            }
        }
        let mut folders: HashMap<&Path, bool> = HashMap::new();
        let mut gone = files_under(&self.held("tree"));
        for (path, metadata) in &live {
            let name = path.strip_prefix(&self.dir).expect("inside");
            let held = self.held("tree").join(name);
            gone.retain(|(path, _)| *path != held);
            let object = self.object(metadata.ino());
            let survives = *folders.entry(name.parent().expect("a folder")).or_insert_with(|| dice.coin());
            if survives && object.is_file() {
                fs::create_dir_all(held.parent().expect("a folder")).expect("a folder is made");
                remove(&held);
                fs::hard_link(object, held).expect("linked");
            }
        }
        for (path, _) in gone {
            let name = path.strip_prefix(self.held("tree")).expect("inside");
            if folders.get(name.parent().expect("a folder")).copied().unwrap_or(false) {
                remove(&path);
            }
        }
    }
}

/// Copies unsynced sectors of a file over what is held of it, or does not.
fn tear_file(live: &Path, size: u64, object: &Path, dirty: &[u8], dice: &mut Dice) -> io::Result<()> {
    let word = |at: usize| {
        let word = u64::from_ne_bytes(dirty[at..at + 8].try_into().expect("eight bytes"));
        usize::try_from(word).expect("64-bit machines only, as the C file says")
    };
    let (low, high, bits) = (word(0), word(8), &dirty[16..]);
    let from = File::open(live)?;
    let to = File::options().write(true).open(object)?;
    // A file that was cut short: its new size may have survived.
    if to.metadata()?.len() > size && dice.coin() {
        to.set_len(size)?;
    }
    for sector in (low..high).filter(|sector| bits[sector / 8] & 1 << (sector % 8) != 0) {
        let mut block = [0; SECTOR_BYTES];
        let at = (sector * SECTOR_BYTES) as u64;
        let got = from.read_at(&mut block, at)?;
        if got > 0 && dice.coin() {
            to.write_all_at(&block[..got], at)?;
        }
    }
    Ok(())
}

/// Regular files under `folder`, all the way down.
fn files_under(folder: &Path) -> Vec<(PathBuf, fs::Metadata)> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    for entry in entries {
        let path = entry.expect("readable").path();
        let metadata = fs::symlink_metadata(&path).expect("there");
        if metadata.is_dir() {
            found.extend(files_under(&path));
        } else if metadata.is_file() {
            found.push((path, metadata));
        }
    }
    found
}

fn remove(path: &Path) {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => panic!("{}: {error}", path.display()),
        _ => {}
    }
}

/// The compiled library, made once for each content and kept under the build's own `tmp`.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let mut hasher = DefaultHasher::new();
        SOURCE.hash(&mut hasher);
        let cache = crate::program::cache();
        let path = cache.join(format!("disk-{:016x}.so", hasher.finish()));
        if !path.is_file() {
            fs::create_dir_all(&cache).expect("a cache folder");
            compile(&cache, &path);
        }
        path
    })
}

/// Somebody else may be doing the same: whoever comes last replaces it with an equal one, at once.
fn compile(cache: &Path, path: &Path) {
    let partial = NamedTempFile::new_in(cache).expect("a temp file");
    let mut compiler = Command::new("cc")
        .args(["-std=c11", "-O1", "-g", "-Wall", "-U_FORTIFY_SOURCE", "-fPIC", "-shared", "-pthread", "-o"])
        .arg(partial.path())
        .args(["-x", "c", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("a C compiler called cc (SQLite is built with it, too)");
    compiler.stdin.take().expect("piped").write_all(SOURCE.as_bytes()).expect("the compiler reads");
    assert!(compiler.wait().expect("the compiler ends").success(), "tests/faults/disk.c does not compile");
    partial.persist(path).expect("kept");
}
