//! Who serves what. The registry *admits* and *evicts* sessions, seats them at destinations, and picks one per event.
//!
//! Every removal names the session, and a session is one epoch of its instance: a late farewell of an old connection
//! can never remove the new one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use protocol::code::CloseCode;
use protocol::control::Sharing;
use protocol::id::{AgentId, InstanceId, SessionId};

use super::session::Session;
use crate::model::{DestinationId, ProjectId, TokenId};

/// A session at a destination.
#[derive(Debug, Clone)]
struct Seat {
    session: Arc<Session>,
    serve: u32,
    takes_backlog: bool,
}

#[derive(Debug, Default)]
struct State {
    sessions: HashMap<SessionId, Arc<Session>>,
    // With the project: ids are the agents' own words, and count among their own only.
    instances: HashMap<(ProjectId, AgentId, InstanceId), SessionId>,
}

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    // Read for every event, written when an agent comes or goes.
    seats: RwLock<HashMap<DestinationId, Vec<Seat>>>,
    turn: AtomicU32,
    epochs: AtomicU64,
}

/// Handle on the registry. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Registry(Arc<Inner>);

/// A later connection of the same instance is already there.
#[derive(Debug, PartialEq, Eq)]
pub struct Stale;

/// One place in a session's flight, given back when dropped.
#[derive(Debug)]
pub struct Claim {
    /// The session to use.
    pub session: Arc<Session>,
    /// The agent's number for the serve.
    pub serve: u32,
}

impl Claim {
    fn try_on(seat: &Seat) -> Option<Self> {
        seat.session.take_place().then(|| Self { session: Arc::clone(&seat.session), serve: seat.serve })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.session.give_place_back();
    }
}

/// Why nobody can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoClaim {
    /// No agent serves the destination.
    Away,
    /// Every agent that does has as much in flight as it may.
    Full,
}

impl Registry {
    /// The next epoch: larger than all before.
    #[must_use]
    pub fn next_epoch(&self) -> u64 {
        self.0.epochs.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Lets a session in. The one it takes over from, if any, comes back already unseated; it may finish what it holds.
    ///
    /// # Errors
    /// [`Stale`] when a later connection of the same instance is there already, or one with another token: ids are no
    /// secret, so knowing them takes nothing over.
    pub fn admit(&self, session: &Arc<Session>) -> Result<Option<Arc<Session>>, Stale> {
        let mut state = self.0.state.lock().expect("registry lock");
        let key = (session.project, session.agent, session.instance);
        let before = state.instances.get(&key).and_then(|id| state.sessions.get(id)).cloned();
        if before.as_ref().is_some_and(|b| b.attempt >= session.attempt || b.token != session.token) {
            return Err(Stale);
        }
        state.instances.insert(key, session.id);
        state.sessions.insert(session.id, Arc::clone(session));
        drop(state);
        if let Some(before) = &before {
            before.retire(CloseCode::TAKEN_OVER);
            self.unseat_all(before.id);
        }
        Ok(before)
    }

    /// Removes a session that is gone.
    pub fn evict(&self, session: &Session) {
        let mut state = self.0.state.lock().expect("registry lock");
        state.sessions.remove(&session.id);
        let key = (session.project, session.agent, session.instance);
        if state.instances.get(&key) == Some(&session.id) {
            state.instances.remove(&key);
        }
        drop(state);
        self.unseat_all(session.id);
    }

    /// Seats a session at a destination; `takes_backlog` says whether it wants what waits there. With
    /// [`Sharing::Replace`] the sessions of other instances lose their seat and come back, to be told.
    pub fn seat(
        &self,
        session: &Arc<Session>,
        destination: DestinationId,
        sharing: Sharing,
        serve: u32,
        takes_backlog: bool,
    ) -> Vec<(Arc<Session>, u32)> {
        let mut seats = self.0.seats.write().expect("registry lock");
        let row = seats.entry(destination).or_default();
        row.retain(|seat| seat.session.id != session.id);
        let replaced = match sharing {
            Sharing::Replace => row.drain(..).map(|seat| (seat.session, seat.serve)).collect(),
            Sharing::Pool | Sharing::Broadcast => Vec::new(),
        };
        row.push(Seat { session: Arc::clone(session), serve, takes_backlog });
        replaced
    }

    /// From here on a session's seat at a destination wants what waits there; without a session, every seat does. Says
    /// whether there is one.
    pub fn release_backlog(&self, destination: DestinationId, session: Option<SessionId>) -> bool {
        let mut seats = self.0.seats.write().expect("registry lock");
        let row = seats.get_mut(&destination).into_iter().flatten();
        let mut found = false;
        for seat in row.filter(|seat| session.is_none_or(|session| session == seat.session.id)) {
            seat.takes_backlog = true;
            found = true;
        }
        found
    }

    /// Takes away one seat of a session, by its serve number.
    pub fn unseat(&self, session: SessionId, serve: u32) {
        self.remove_seats(|seat| seat.session.id == session && seat.serve == serve);
    }

    fn unseat_all(&self, session: SessionId) {
        self.remove_seats(|seat| seat.session.id == session);
    }

    fn remove_seats(&self, is_gone: impl Fn(&Seat) -> bool) {
        let mut seats = self.0.seats.write().expect("registry lock");
        seats.retain(|_, row| {
            row.retain(|seat| !is_gone(seat));
            !row.is_empty()
        });
    }

    /// Picks who gets the next event of a destination: pool and replace take the one with the least in flight
    /// (healthy ones first), broadcast the one that has served longest. `not` were tried already.
    ///
    /// # Errors
    /// When nobody serves it, or everybody is full.
    pub fn claim(
        &self,
        destination: DestinationId,
        sharing: Sharing,
        not: &[SessionId],
    ) -> Result<Claim, NoClaim> {
        self.claim_seat(destination, sharing, |seat| !not.contains(&seat.session.id))
    }

    /// Picks who gets a stored event of a destination, among those that want what waited.
    ///
    /// # Errors
    /// When nobody does, or everybody is full.
    pub fn claim_for_backlog(&self, destination: DestinationId, sharing: Sharing) -> Result<Claim, NoClaim> {
        self.claim_seat(destination, sharing, |seat| seat.takes_backlog)
    }

    /// Whether somebody serves a destination.
    #[must_use]
    pub fn is_served(&self, destination: DestinationId) -> bool {
        let seats = self.0.seats.read().expect("registry lock");
        let row = seats.get(&destination).map_or(&[][..], Vec::as_slice);
        row.iter().any(|seat| seat.session.takes_new())
    }

    /// Whether somebody at a destination wants what waits there.
    #[must_use]
    pub fn takes_backlog(&self, destination: DestinationId) -> bool {
        let seats = self.0.seats.read().expect("registry lock");
        let row = seats.get(&destination).map_or(&[][..], Vec::as_slice);
        row.iter().any(|seat| seat.takes_backlog && seat.session.takes_new())
    }

    fn claim_seat(
        &self,
        destination: DestinationId,
        sharing: Sharing,
        may: impl Fn(&Seat) -> bool,
    ) -> Result<Claim, NoClaim> {
        let seats = self.0.seats.read().expect("registry lock");
        let row = seats.get(&destination).map_or(&[][..], Vec::as_slice);
        let mut able: Vec<&Seat> = row.iter().filter(|s| s.session.takes_new() && may(s)).collect();
        if able.is_empty() {
            return Err(NoClaim::Away);
        }
        if able.len() > 1 && sharing != Sharing::Broadcast {
            // Equal ones take turns.
            let turn = self.0.turn.fetch_add(1, Ordering::Relaxed) as usize % able.len();
            able.rotate_left(turn);
            able.sort_by_key(|seat| (seat.session.is_suspect(), seat.session.in_flight()));
        }
        able.into_iter().find_map(Claim::try_on).ok_or(NoClaim::Full)
    }

    /// Everybody else at the destination, for copies of a broadcast.
    #[must_use]
    pub fn claim_others(&self, destination: DestinationId, primary: Option<SessionId>) -> Vec<Claim> {
        let seats = self.0.seats.read().expect("registry lock");
        let row = seats.get(&destination).map_or(&[][..], Vec::as_slice);
        row.iter()
            .filter(|s| Some(s.session.id) != primary && s.session.takes_new())
            .filter_map(Claim::try_on)
            .collect()
    }

    /// Sessions of a project.
    #[must_use]
    pub fn sessions(&self, project: ProjectId) -> Vec<Arc<Session>> {
        let state = self.0.state.lock().expect("registry lock");
        state.sessions.values().filter(|s| s.project == project).cloned().collect()
    }

    /// Every session.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Session>> {
        self.0.state.lock().expect("registry lock").sessions.values().cloned().collect()
    }

    /// Sessions let in with this token.
    #[must_use]
    pub fn of_token(&self, token: TokenId) -> Vec<Arc<Session>> {
        self.all().into_iter().filter(|s| s.token == token).collect()
    }

    /// Number of sessions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.state.lock().expect("registry lock").sessions.len()
    }

    /// Whether nobody is connected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
