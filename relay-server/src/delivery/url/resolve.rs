//! Names become addresses: within a deadline, one question a name at a time, a bounded number of names at once.
//!
//! The system's resolver blocks a thread and cannot be interrupted, so a question that nobody waits for any more still
//! holds its place until it ends. A name whose servers are dead takes one place, however many deliveries wait for it.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use link::Tasks;
use tokio::sync::{Semaphore, oneshot};

use super::NotSent;

/// How long a name may take. The system's resolver gives a server five seconds before it asks the next one.
const RESOLVE_DEADLINE: Duration = Duration::from_secs(5);

/// Names asked for at once. The threads are shared with everything else that blocks (512 in all).
const NAMES_MAX: usize = 32;

/// Gives every address of a name. The one of [`system`] asks the operating system.
pub type Resolver = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// What the operating system says: its hosts file, then DNS.
#[must_use]
pub fn system() -> Resolver {
    Arc::new(|name| {
        async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|addr| addr.ip()).collect())
        }
        .boxed()
    })
}

type Found = Result<Arc<[IpAddr]>, String>;
type Asked = Shared<oneshot::Receiver<Found>>;

/// The names being asked for. Nothing is kept beyond that: every request asks anew.
#[derive(Clone)]
pub(super) struct Lookups {
    resolver: Resolver,
    tasks: Tasks,
    places: Arc<Semaphore>,
    asked: Arc<Mutex<HashMap<String, Asked>>>,
}

impl fmt::Debug for Lookups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookups").finish_non_exhaustive()
    }
}

impl Lookups {
    pub(super) fn new(resolver: Resolver, tasks: Tasks) -> Self {
        Self { resolver, tasks, places: Arc::new(Semaphore::new(NAMES_MAX)), asked: Arc::default() }
    }

    /// The same tasks, another resolver.
    pub(super) fn with_resolver(&self, resolver: Resolver) -> Self {
        Self::new(resolver, self.tasks.clone())
    }

    /// Every address of `name`; at least one.
    pub(super) async fn find(&self, name: &str) -> Result<Arc<[IpAddr]>, NotSent> {
        let none = |why: &str| NotSent::new("name_not_found", format!("{name} cannot be resolved: {why}"));
        match tokio::time::timeout(RESOLVE_DEADLINE, self.ask(name)).await {
            Err(_) => Err(none(&format!("no answer within {} s", RESOLVE_DEADLINE.as_secs()))),
            Ok(Err(_)) => Err(none("the question was given up")),
            Ok(Ok(Err(why))) => Err(none(&why)),
            Ok(Ok(Ok(found))) if found.is_empty() => Err(none("it has no address")),
            Ok(Ok(Ok(found))) => Ok(found),
        }
    }

    fn ask(&self, name: &str) -> Asked {
        let (told, answer) = oneshot::channel();
        let answer = answer.shared();
        {
            let mut asked = self.asked.lock().expect("lookups lock");
            if let Some(under_way) = asked.get(name) {
                return under_way.clone();
            }
            asked.insert(name.to_owned(), answer.clone());
        }
        // From here on without the lock: a runtime that is stopping drops the task, and the entry with it, at once.
        let entry = Entry { asked: Arc::clone(&self.asked), name: name.to_owned() };
        let (places, lookup) = (Arc::clone(&self.places), (self.resolver)(name.to_owned()));
        self.tasks.spawn(async move {
            // Whoever waits for the answer waits for a place, too; past the deadline nobody does.
            let Ok(Ok(_place)) = tokio::time::timeout(RESOLVE_DEADLINE, places.acquire()).await else {
                return;
            };
            let found = lookup.await.map(Arc::from).map_err(|error| error.to_string());
            // First the entry: who asks from now on wants a new answer.
            drop(entry);
            let _ = told.send(found);
        });
        answer
    }
}

/// A name in the list of those asked for.
struct Entry {
    asked: Arc<Mutex<HashMap<String, Asked>>>,
    name: String,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.asked.lock().expect("lookups lock").remove(&self.name);
    }
}
