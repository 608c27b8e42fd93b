//! All sources in memory, read without a lock: the first thing every request asks for.
//!
//! Only the writer thread changes it, after the commit that made the change true.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use protocol::id::Slug;

use crate::model::{DestinationId, ProjectId, Source, SourceId};

/// What a commit changed.
pub(super) enum Change {
    /// A source is new, or other than before.
    Source(Arc<Source>),
    /// A source is gone; its name stays.
    Deleted(SourceId),
    /// A destination has something to do.
    Arrived(DestinationId),
}

/// Whose a source is, or was: kept when it is deleted, for its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The project.
    pub project: ProjectId,
    /// The name.
    pub slug: Slug,
}

#[derive(Clone, Default)]
struct Maps {
    live: HashMap<String, Arc<Source>>,
    owners: HashMap<SourceId, Arc<Owner>>,
    by_destination: HashMap<DestinationId, Arc<Source>>,
}

/// The sources.
#[derive(Default)]
pub(super) struct Cache(ArcSwap<Maps>);

impl Cache {
    /// The cache of `sources`, and of `deleted` ones.
    pub(super) fn new(sources: Vec<Arc<Source>>, deleted: Vec<(SourceId, Owner)>) -> Self {
        let mut maps = Maps::default();
        maps.owners.extend(deleted.into_iter().map(|(id, owner)| (id, Arc::new(owner))));
        for source in sources {
            maps.apply(Change::Source(source));
        }
        Self(ArcSwap::from_pointee(maps))
    }

    /// The live source of that name.
    pub(super) fn source(&self, slug: &str) -> Option<Arc<Source>> {
        self.0.load().live.get(slug).cloned()
    }

    /// The live sources of a project, by name.
    pub(super) fn sources(&self, project: ProjectId) -> Vec<Arc<Source>> {
        let maps = self.0.load();
        let mut found: Vec<_> = maps.live.values().filter(|s| s.project == project).cloned().collect();
        found.sort_unstable_by(|a, b| a.slug.cmp(&b.slug));
        found
    }

    /// The live source a destination belongs to.
    pub(super) fn source_of(&self, destination: DestinationId) -> Option<Arc<Source>> {
        self.0.load().by_destination.get(&destination).cloned()
    }

    /// Whose the source is or was.
    pub(super) fn owner(&self, source: SourceId) -> Option<Arc<Owner>> {
        self.0.load().owners.get(&source).cloned()
    }

    /// Every source the project ever had.
    pub(super) fn owned(&self, project: ProjectId) -> Vec<SourceId> {
        self.0.load().owners.iter().filter(|(_, owner)| owner.project == project).map(|(id, _)| *id).collect()
    }

    /// Makes the changes of one commit visible, all at once.
    pub(super) fn apply(&self, changes: Vec<Change>) {
        if changes.iter().all(|change| matches!(change, Change::Arrived(_))) {
            return;
        }
        let mut maps = Maps::clone(&self.0.load());
        for change in changes {
            maps.apply(change);
        }
        self.0.store(Arc::new(maps));
    }
}

impl Maps {
    fn apply(&mut self, change: Change) {
        match change {
            Change::Source(source) => {
                let owner = Owner { project: source.project, slug: source.slug.clone() };
                self.owners.insert(source.id, Arc::new(owner));
                let before = self.live.insert(source.slug.as_str().to_owned(), Arc::clone(&source));
                for gone in before.iter().flat_map(|before| &before.destinations) {
                    self.by_destination.remove(&gone.id);
                }
                for destination in &source.destinations {
                    self.by_destination.insert(destination.id, Arc::clone(&source));
                }
            }
            Change::Arrived(_) => {}
            Change::Deleted(id) => {
                self.live.retain(|_, source| source.id != id);
                self.by_destination.retain(|_, source| source.id != id);
            }
        }
    }
}
