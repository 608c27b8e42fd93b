//! Whose turn it is. Runs of one project wait for each other before they wait for a worker, so that each project waits
//! for the others as if they had one run each, however many they have.
//!
//! A project has one run at a time in good standing, and one more of those that struck lately; all projects together
//! have one of the latter.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;

use super::lock;
use super::strikes::Standing;
use crate::model::ProjectId;

/// Runs that may wait at once. Each holds an input of a megabyte at most.
const WAITING_MAX: usize = 256;

/// Runs of one project that may wait at once: a quarter, so that no project takes away the places of all others.
const WAITING_OF_ONE_MAX: usize = 64;

/// Everybody who waits for a worker or has one.
#[derive(Default)]
pub(super) struct Turns {
    lines: HashMap<ProjectId, Line>,
    waiting: usize,
}

/// The runs of one project.
struct Line {
    present: usize,
    waiting: usize,
    good: Arc<Semaphore>,
    suspect: Arc<Semaphore>,
}

/// A run that waits, or has a worker, until dropped.
pub(super) struct Visit<'a> {
    turns: &'a Mutex<Turns>,
    owner: ProjectId,
    is_waiting: bool,
    good: Arc<Semaphore>,
    suspect: Arc<Semaphore>,
}

impl<'a> Visit<'a> {
    /// `None` when too many wait already, or too many of this project.
    pub(super) fn begin(turns: &'a Mutex<Turns>, owner: ProjectId) -> Option<Self> {
        let mut all = lock(turns);
        if all.waiting >= WAITING_MAX {
            return None;
        }
        let line = all.lines.entry(owner).or_insert_with(|| Line {
            present: 0,
            waiting: 0,
            good: Arc::new(Semaphore::new(1)),
            suspect: Arc::new(Semaphore::new(1)),
        });
        if line.waiting >= WAITING_OF_ONE_MAX {
            return None;
        }
        line.present += 1;
        line.waiting += 1;
        let (good, suspect) = (Arc::clone(&line.good), Arc::clone(&line.suspect));
        all.waiting += 1;
        drop(all);
        Some(Self { turns, owner, is_waiting: true, good, suspect })
    }

    /// What a run in this standing has to hold before it may wait for a worker.
    pub(super) fn line(&self, standing: Standing) -> Arc<Semaphore> {
        Arc::clone(if standing == Standing::Suspect { &self.suspect } else { &self.good })
    }

    /// It has a worker.
    pub(super) fn served(&mut self) {
        if std::mem::replace(&mut self.is_waiting, false) {
            let mut all = lock(self.turns);
            all.waiting -= 1;
            if let Some(line) = all.lines.get_mut(&self.owner) {
                line.waiting -= 1;
            }
        }
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.served();
        let mut all = lock(self.turns);
        if let Some(line) = all.lines.get_mut(&self.owner) {
            line.present -= 1;
            if line.present == 0 {
                all.lines.remove(&self.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_project_takes_a_quarter_of_the_places_to_wait() {
        let turns = Mutex::default();
        let owners = (0..4).map(ProjectId);
        let mut visits = Vec::new();
        for owner in owners {
            for _ in 0..WAITING_OF_ONE_MAX {
                visits.push(Visit::begin(&turns, owner).expect("a place"));
            }
            assert!(Visit::begin(&turns, owner).is_none(), "no more of this one");
        }
        assert!(Visit::begin(&turns, ProjectId(4)).is_none(), "no more at all");
        visits[0].served();
        let late = Visit::begin(&turns, ProjectId(0)).expect("who is served does not wait");
        drop((late, visits));
        assert!(lock(&turns).lines.is_empty() && lock(&turns).waiting == 0, "nothing is left of them");
    }
}
