//! A UDP link that behaves badly on purpose: it stands in front of one upstream address and loses, delays and
//! reorders datagrams, and can be cut and healed while traffic runs.
//!
//! Every client address gets an upstream socket of its own, so the upstream sees as many peers as there are.
//! Chance is seeded, one die per client and direction: a client that sends as many datagrams again loses the same
//! ones. It does not shape bandwidth, does not keep ECN marks, and works on loopback only.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;

mod command;
mod fate;
mod held;
mod pump;
#[cfg(test)]
mod tests;

pub use command::{Command, CommandError};

/// What the link does to each datagram, in each direction alike. The default is a clear link.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Conditions {
    /// Probability that a datagram is lost, 0.0 to 1.0.
    pub drop: f64,
    /// Time a datagram is under way, one way. Never less; timers tick in milliseconds, so one or two of them more.
    pub delay: Duration,
    /// On top of the delay, evenly spread between nothing and this. Order is kept, as a queue in a router keeps it.
    pub jitter: Duration,
    /// Probability that a datagram is held back for [`REORDER_HOLD`] more, while those behind it go past.
    pub reorder: f64,
    /// Where the dice start. Read when a client first appears: a later change is for later clients.
    pub seed: u64,
}

/// How long a datagram picked for reordering is held back: past QUIC's threshold of three packets under load, far
/// below any timeout.
pub const REORDER_HOLD: Duration = Duration::from_millis(4);

impl Conditions {
    /// Nothing to wait for: what is not lost can go out at once.
    fn is_instant(&self) -> bool {
        self.delay.is_zero() && self.jitter.is_zero() && self.reorder <= 0.0
    }
}

/// The running proxy. Dropping it ends its tasks and closes its sockets.
///
/// ```no_run
/// # use std::net::SocketAddr;
/// # use relay_bench::lossy::{Conditions, LossyProxy};
/// # async fn story(tunnel: SocketAddr) -> std::io::Result<()> {
/// let link = LossyProxy::start(tunnel, Conditions { drop: 0.01, ..Conditions::default() })?;
/// // An agent dials link.addr() instead of the tunnel.
/// link.cut();
/// link.heal();
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct LossyProxy {
    addr: SocketAddr,
    link: Arc<Link>,
    pump: AbortHandle,
}

/// What the handle and the pump both see.
#[derive(Debug)]
struct Link {
    upstream: SocketAddr,
    conditions: Mutex<Conditions>,
    is_cut: AtomicBool,
    forwarded: AtomicU64,
    dropped: AtomicU64,
}

impl LossyProxy {
    /// Stands up a proxy on a free loopback port. Must be called inside a tokio runtime.
    pub fn start(upstream: SocketAddr, conditions: Conditions) -> io::Result<Self> {
        Self::start_at(loopback_like(upstream), upstream, conditions)
    }

    /// As [`LossyProxy::start`], on an address of the caller's choice.
    pub fn start_at(listen: SocketAddr, upstream: SocketAddr, conditions: Conditions) -> io::Result<Self> {
        let front = pump::socket(listen)?;
        let addr = front.local_addr()?;
        let link = Arc::new(Link {
            upstream,
            conditions: Mutex::new(conditions),
            is_cut: AtomicBool::new(false),
            forwarded: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        });
        let pump = tokio::spawn(pump::run(front, Arc::clone(&link))).abort_handle();
        Ok(Self { addr, link, pump })
    }

    /// Where clients send to instead of the upstream.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// New conditions from the next datagram on. What is already under way arrives when it would have.
    pub fn set(&self, conditions: Conditions) {
        *self.link.conditions.lock().unwrap_or_else(PoisonError::into_inner) = conditions;
    }

    /// The conditions now in force.
    pub fn conditions(&self) -> Conditions {
        self.link.conditions()
    }

    /// Loses everything in both directions, also what is under way, until [`LossyProxy::heal`].
    pub fn cut(&self) {
        self.link.is_cut.store(true, Ordering::Relaxed);
    }

    /// Ends a cut. The conditions are what they were.
    pub fn heal(&self) {
        self.link.is_cut.store(false, Ordering::Relaxed);
    }

    pub fn is_cut(&self) -> bool {
        self.link.is_cut()
    }

    /// Datagrams passed on, both directions together.
    pub fn forwarded(&self) -> u64 {
        self.link.forwarded.load(Ordering::Relaxed)
    }

    /// Datagrams lost, both directions together: by chance, by a cut, or because a queue was full.
    pub fn dropped(&self) -> u64 {
        self.link.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for LossyProxy {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

impl Link {
    fn conditions(&self) -> Conditions {
        *self.conditions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Relaxed)
    }

    fn count_forwarded(&self) {
        self.forwarded.fetch_add(1, Ordering::Relaxed);
    }

    fn count_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

/// A free port on loopback, of the address family the other end has.
fn loopback_like(other: SocketAddr) -> SocketAddr {
    match other {
        SocketAddr::V4(_) => (Ipv4Addr::LOCALHOST, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::LOCALHOST, 0).into(),
    }
}
