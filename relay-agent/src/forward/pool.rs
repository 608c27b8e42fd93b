//! Connections to one app, kept only while they are provably good.
//!
//! Apps close idle connections (Node after 5 s, some after 1 s), and a request written into a closing connection may
//! or may not have been seen. So a connection is reused only within a time in which no server closes, and only while
//! hyper sees it open. Under load that is nearly always; a rare webhook gets a fresh one.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use link::Tasks;

use super::connect::{Connector, Unreachable};
use super::exchange::RequestBody;
use super::tap::{TapHandle, TappedIo};

/// Longest pause after which a connection is still used. Half of the shortest keep-alive seen in the wild (1 s).
const REUSE_WITHIN: Duration = Duration::from_millis(500);

/// How long hyper may take to notice. An early answer leaves a request behind that may never be over.
const READY_WITHIN: Duration = Duration::from_millis(5);

/// Most idle connections kept.
const IDLE_MAX: usize = 64;

/// A connection to the app, used by one exchange at a time.
#[derive(Debug)]
pub(crate) struct LocalConnection {
    pub(crate) sender: SendRequest<RequestBody>,
    pub(crate) tap: TapHandle,
}

/// The connections of one route. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    connector: Connector,
    tasks: Tasks,
    idle: Arc<Mutex<Vec<(Instant, LocalConnection)>>>,
}

impl Pool {
    pub(crate) fn new(connector: Connector, tasks: Tasks) -> Self {
        Self { connector, tasks, idle: Arc::default() }
    }

    fn pop(&self) -> Option<LocalConnection> {
        let mut idle = self.idle.lock().expect("pool lock");
        let (since, connection) = idle.pop()?;
        if since.elapsed() > REUSE_WITHIN {
            // The rest was put back earlier still.
            idle.clear();
            return None;
        }
        Some(connection)
    }

    /// One that was used a moment ago.
    pub(crate) async fn reusable(&self) -> Option<LocalConnection> {
        while let Some(mut connection) = self.pop() {
            // Its last answer was read to the end; hyper may need one more turn to notice.
            let turn = tokio::time::timeout(READY_WITHIN, connection.sender.ready());
            if matches!(turn.await, Ok(Ok(()))) {
                return Some(connection);
            }
        }
        None
    }

    /// A new one.
    pub(crate) async fn fresh(&self) -> Result<LocalConnection, Unreachable> {
        let io = self.connector.connect().await?;
        let (tapped, tap) = TappedIo::new(io);
        let shaken = http1::Builder::new().handshake(TokioIo::new(tapped)).await;
        let (sender, connection) = shaken.map_err(|error| Unreachable { text: error.to_string() })?;
        self.tasks.spawn(async move {
            // The exchange hears of errors through its response; an idle connection may just end.
            let _ = connection.with_upgrades().await;
        });
        Ok(LocalConnection { sender, tap })
    }

    /// Puts a connection back whose exchange is over.
    pub(crate) fn give_back(&self, connection: LocalConnection) {
        let mut idle = self.idle.lock().expect("pool lock");
        if idle.len() >= IDLE_MAX {
            idle.remove(0);
        }
        idle.push((Instant::now(), connection));
    }
}
