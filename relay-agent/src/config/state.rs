//! `agent.toml`: this machine's lasting identity, and the name of the source made for each target by
//! `relay-agent TARGET`, so that its URL stays the same for good.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::path::Path;

use protocol::id::{AgentId, Slug};
use serde::{Deserialize, Serialize};

use super::{ConfigError, Directory, private_file};

const NAME: &str = "agent.toml";
const HEADER: &str = "# Kept by relay-agent: who this machine is, and the source made for each target.\n";

/// Characters of a made-up source name: 20 of 5 bits each. Its URL is all a sender needs, so nobody may guess it.
const SLUG_CHARS: usize = 20;
const SLUG_ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    agent: Option<String>,
    /// Server, then target, then source.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    sources: BTreeMap<String, BTreeMap<String, String>>,
}

/// A source remembered for a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remembered {
    pub(crate) target: String,
    pub(crate) source: Slug,
}

/// Who this machine is. Made from `chance` the first time.
pub(crate) fn agent_id(directory: &Directory, chance: [u8; 16]) -> Result<AgentId, ConfigError> {
    update(directory, |state| match &state.agent {
        Some(text) => text.parse().map_err(|_| "`agent` is not an agent id".to_owned()),
        None => {
            let id = AgentId(u128::from_be_bytes(chance));
            state.agent = Some(id.to_string());
            Ok(id)
        }
    })
}

/// The source that belongs to a target on a server. Made from `chance` the first time.
pub(crate) fn source_for(
    directory: &Directory,
    server: &str,
    target: &str,
    chance: [u8; SLUG_CHARS],
) -> Result<Slug, ConfigError> {
    update(directory, |state| {
        let of_server = state.sources.entry(server.to_owned()).or_default();
        let text = of_server.entry(target.to_owned()).or_insert_with(|| made_up(chance));
        text.parse().map_err(|error: protocol::id::NameError| error.to_string())
    })
}

/// What `relay-agent TARGET` has made on a server so far.
pub(crate) fn remembered(directory: &Directory, server: &str) -> Result<Vec<Remembered>, ConfigError> {
    let state = read(&directory.file(NAME))?;
    let of_server = state.sources.get(server).into_iter().flatten();
    let known = of_server.filter_map(|(target, source)| {
        source.parse().ok().map(|source| Remembered { target: target.clone(), source })
    });
    Ok(known.collect())
}

fn made_up(chance: [u8; SLUG_CHARS]) -> String {
    chance.iter().map(|byte| char::from(SLUG_ALPHABET[usize::from(byte & 31)])).collect()
}

/// Changes the file under a lock, so that two agents started at once agree on who they are.
fn update<T>(
    directory: &Directory,
    change: impl FnOnce(&mut State) -> Result<T, String>,
) -> Result<T, ConfigError> {
    directory.make()?;
    let path = directory.file(NAME);
    let _lock = lock(directory)?;
    let mut state = read(&path)?;
    let before = written(&path, &state)?;
    let result = change(&mut state).map_err(|text| ConfigError::Malformed { path: path.clone(), text })?;
    let after = written(&path, &state)?;
    if before != after {
        private_file::write(&path, &after)?;
    }
    Ok(result)
}

/// Held until dropped. Beside the file itself, which is replaced as a whole.
fn lock(directory: &Directory) -> Result<File, ConfigError> {
    let path = directory.file("agent.lock");
    let failed = |source| ConfigError::Write { path: path.clone(), source };
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    file.lock().map_err(failed)?;
    Ok(file)
}

fn read(path: &Path) -> Result<State, ConfigError> {
    let Some(text) = private_file::read(path)? else { return Ok(State::default()) };
    toml::from_str(&text)
        .map_err(|error| ConfigError::Malformed { path: path.to_owned(), text: error.message().to_owned() })
}

fn written(path: &Path, state: &State) -> Result<String, ConfigError> {
    let text = toml::to_string(state)
        .map_err(|error| ConfigError::Malformed { path: path.to_owned(), text: error.to_string() })?;
    Ok(format!("{HEADER}{text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> (tempfile::TempDir, Directory) {
        let temp = tempfile::tempdir().unwrap();
        let directory = Directory::locate(Some(temp.path())).unwrap();
        (temp, directory)
    }

    #[test]
    fn an_identity_is_made_once() {
        let (_temp, directory) = directory();
        let first = agent_id(&directory, [7; 16]).unwrap();
        assert_eq!(agent_id(&directory, [8; 16]).unwrap(), first);
    }

    #[test]
    fn a_target_keeps_its_source_and_each_server_has_its_own() {
        let (_temp, directory) = directory();
        let target = "http://localhost:3000";
        let first = source_for(&directory, "a.example:1", target, [1; 20]).unwrap();
        assert_eq!(first.as_str().len(), 20);
        assert_eq!(source_for(&directory, "a.example:1", target, [2; 20]).unwrap(), first);
        assert_ne!(source_for(&directory, "b.example:1", target, [3; 20]).unwrap(), first);
        assert_ne!(source_for(&directory, "a.example:1", "http://localhost:4000", [4; 20]).unwrap(), first);
        agent_id(&directory, [0; 16]).unwrap();
        let known = remembered(&directory, "a.example:1").unwrap();
        assert_eq!(known[0], Remembered { target: target.to_owned(), source: first });
        assert_eq!(known.len(), 2);
    }

    #[test]
    fn agents_started_at_once_agree_on_who_they_are() {
        let (_temp, directory) = directory();
        let ids: Vec<_> = std::thread::scope(|scope| {
            let start = |seed: u8| {
                scope.spawn({
                    let directory = &directory;
                    move || agent_id(directory, [seed; 16]).unwrap()
                })
            };
            let threads: Vec<_> = (0..8).map(start).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }

    #[test]
    fn made_up_names_use_all_of_the_chance() {
        let name = made_up(std::array::from_fn(|at| u8::try_from(at).unwrap()));
        assert_eq!(name, "0123456789abcdefghjk");
        assert_ne!(made_up([31; 20]), made_up([30; 20]));
        assert!(made_up([255; 20]).parse::<Slug>().is_ok());
    }

    #[test]
    fn a_broken_file_is_named() {
        let (_temp, directory) = directory();
        private_file::write(&directory.file(NAME), "agent = \"nobody\"\n").unwrap();
        let error = agent_id(&directory, [0; 16]).unwrap_err().to_string();
        assert!(error.contains("agent.toml") && error.contains("agent id"), "{error}");
    }
}
