//! The programs under test, as `cargo build` left them beside this one.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder with the programs: `target/debug`. A test binary lies one folder below it.
fn folder() -> PathBuf {
    let this = std::env::current_exe().expect("a program");
    let beside = this.parent().expect("a folder");
    let is_test = beside.file_name().is_some_and(|name| name == "deps");
    if is_test { beside.parent().expect("a folder").to_owned() } else { beside.to_owned() }
}

/// Where tests may keep what takes time to make: `target/tmp`.
#[must_use]
pub fn cache() -> PathBuf {
    folder().parent().map(Path::to_owned).unwrap_or_default().join("tmp")
}

/// One of our programs, ready to be started.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn program(name: &str) -> Command {
    let path = folder().join(name);
    assert!(path.is_file(), "{} is missing: run `cargo build -p {name}` first", path.display());
    Command::new(path)
}
