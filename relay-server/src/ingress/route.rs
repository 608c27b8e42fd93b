//! From a gated head to an order: which source, whether it takes this, and what is forwarded.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Instant;

use protocol::field::{HeaderBlock, is_hop_by_hop, is_ours, is_protected, list_names, says_origin};
use protocol::id::EventId;

use super::gate::Head;
use crate::delivery::live::{Flight, Order};
use crate::model::{Source, SourceId};
use crate::refusal::Refusal;
use crate::store::Store;

/// Path under which sources are found.
const MOUNT: &[u8] = b"/h/";

/// Who is on the other end of a public connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// Address of the sender.
    pub remote: IpAddr,
    /// Whether the connection is encrypted.
    pub is_tls: bool,
}

/// Finds sources and checks their rules.
#[derive(Clone)]
pub struct Router {
    store: Store,
    domain: Option<String>,
    flights: Arc<RwLock<HashMap<SourceId, Arc<AtomicU32>>>>,
}

impl Router {
    /// A router over the sources of `store`; with a `domain`, sources are also found at `<slug>.<domain>`.
    #[must_use]
    pub fn new(store: Store, domain: Option<String>) -> Self {
        Self {
            store,
            domain: domain.map(|d| format!(".{}", d.to_ascii_lowercase())),
            flights: Arc::default(),
        }
    }

    /// The source a head is for, and how many bytes of its target found it.
    ///
    /// # Errors
    /// [`Refusal::SourceNotFound`].
    pub fn find(&self, head: &Head) -> Result<(Arc<Source>, u16), Refusal> {
        let (slug, mount) = self.slug_of(head).ok_or(Refusal::SourceNotFound)?;
        let source = self.store.source(slug).ok_or(Refusal::SourceNotFound)?;
        Ok((source, mount))
    }

    fn slug_of<'h>(&self, head: &'h Head) -> Option<(&'h str, u16)> {
        if let Some(domain) = &self.domain {
            let host = head.authority.split(':').next().unwrap_or_default();
            if let Some(slug) = host.strip_suffix(domain.as_str()) {
                return Some((slug, 0));
            }
        }
        let rest = head.target.strip_prefix(MOUNT)?;
        let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(rest.len());
        let mount = u16::try_from(MOUNT.len() + end).ok()?;
        Some((std::str::from_utf8(&rest[..end]).ok()?, mount))
    }

    /// Whether the source takes this request now; the [`Flight`] is held while it is under way.
    ///
    /// # Errors
    /// What to tell the sender.
    pub fn check(
        &self,
        source: &Source,
        head: &Head,
        peer: Peer,
        body_bytes_max: u64,
    ) -> Result<Flight, Refusal> {
        let rules = &source.rules;
        if !rules.methods.is_empty() && !rules.methods.contains(&head.method) {
            return Err(Refusal::MethodRefused);
        }
        Self::check_network(source, peer)?;
        if rules.paused {
            return Err(Refusal::Paused);
        }
        if matches!(head.framing, protocol::field::BodyFraming::Length(n) if n > body_bytes_max) {
            return Err(Refusal::BodyTooLarge);
        }
        let flight = self.flight(source.id);
        if flight.fetch_add(1, Ordering::Relaxed) >= rules.in_flight_max {
            flight.fetch_sub(1, Ordering::Relaxed);
            return Err(Refusal::RateLimited);
        }
        Ok(Flight(flight))
    }

    /// Whether the source takes anything from there.
    ///
    /// # Errors
    /// What to tell the sender.
    pub fn check_network(source: &Source, peer: Peer) -> Result<(), Refusal> {
        let networks = &source.rules.networks;
        let is_taken =
            networks.is_empty() || networks.iter().any(|n| n.contains(&peer.remote.to_canonical()));
        if is_taken { Ok(()) } else { Err(Refusal::NetworkRefused) }
    }

    /// Whether this asks for the source's event stream, where it has one: `GET` of its very URL, with `Accept`.
    #[must_use]
    pub fn wants_stream(source: &Source, head: &Head, mount: u16) -> bool {
        let accepts = || {
            let accept = head.headers.find("accept").unwrap_or_default();
            memchr::memmem::find(&accept.to_ascii_lowercase(), b"text/event-stream").is_some()
        };
        let rest = head.target.get(usize::from(mount)..).unwrap_or_default();
        source.rules.smee && head.method == "GET" && matches!(rest, b"" | b"/") && accepts()
    }

    fn flight(&self, source: SourceId) -> Arc<AtomicU32> {
        if let Some(flight) = self.flights.read().expect("flight lock").get(&source) {
            return Arc::clone(flight);
        }
        Arc::clone(self.flights.write().expect("flight lock").entry(source).or_default())
    }
}

/// What is forwarded: everything as sent, less what concerns the connection or pretends to be ours, plus what the app
/// should know.
///
/// # Errors
/// [`Refusal::HeaderTooLarge`] when ours do not fit any more.
pub fn forwarded(head: &Head, peer: Peer, event: EventId, is_upgrade: bool) -> Result<HeaderBlock, Refusal> {
    let mut named: Vec<&[u8]> = Vec::new();
    for (name, value) in &head.headers {
        if name.eq_ignore_ascii_case(b"connection") {
            named.extend(value.split(|b| *b == b',').map(<[u8]>::trim_ascii));
        }
    }
    let mut block = HeaderBlock::with_capacity(head.headers.as_bytes().len() + 256);
    let is_switching = |name: &[u8], value: &[u8]| {
        name.eq_ignore_ascii_case(b"upgrade")
            || (name.eq_ignore_ascii_case(b"connection") && list_names(value, b"upgrade"))
    };
    let goes = |name: &[u8], value: &[u8]| {
        let is_named = !is_protected(name) && named.iter().any(|n| name.eq_ignore_ascii_case(n));
        let is_kept = !(is_hop_by_hop(name) || is_named || is_ours(name) || is_replaced(name));
        is_kept || (is_upgrade && is_switching(name, value))
    };
    let ours = (|| {
        block.copy_from(&head.headers, goes)?;
        block.push(b"X-Forwarded-For", peer.remote.to_canonical().to_string().as_bytes())?;
        block.push(b"X-Forwarded-Proto", if peer.is_tls { b"https" } else { b"http" })?;
        if !head.authority.is_empty() {
            block.push(b"X-Forwarded-Host", head.authority.as_bytes())?;
        }
        block.push(b"Relay-Event-Id", event.text().as_bytes())?;
        block.push(b"Relay-Attempt", b"1")
    })();
    ours.map_err(|_| Refusal::HeaderTooLarge)?;
    Ok(block)
}

/// Answered here (`Expect`), about HTTP/2 only, or said by us alone.
fn is_replaced(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"expect") || name.eq_ignore_ascii_case(b"http2-settings") || says_origin(name)
}

/// An order for a head that was let through.
///
/// # Errors
/// [`Refusal::HeaderTooLarge`].
pub fn order(
    head: &Head,
    source: Arc<Source>,
    mount: u16,
    peer: Peer,
    event: EventId,
    received: Instant,
) -> Result<Order, Refusal> {
    let is_upgrade = head.upgrade.as_deref() == Some("websocket") && source.rules.upgrade;
    let headers = forwarded(head, peer, event, is_upgrade)?;
    Ok(Order {
        event,
        source,
        remote: peer.remote,
        received,
        method: head.method.clone(),
        target: head.target.clone(),
        mount,
        headers,
        framing: head.framing,
        is_upgrade,
    })
}
