//! UDP sockets for quinn that wake only for what they are waited for.
//!
//! quinn's own socket asks the kernel for readability and writability at once. The kernel then reports "writable"
//! after every datagram that leaves the send queue, which is one wake-up for nothing per packet; and a socket that
//! gave fewer datagrams than were asked for is asked again only to hear that it is empty. On a quiet tunnel these
//! two were four of the nine system calls of a request.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use quinn::udp::{RecvMeta, Transmit, UdpSocketState};
use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, TokioRuntime, UdpPoller};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::tuning;

/// tokio with our sockets.
#[derive(Debug)]
pub(super) struct TunnelRuntime;

impl Runtime for TunnelRuntime {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        TokioRuntime.new_timer(at)
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        TokioRuntime.spawn(future);
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let state = UdpSocketState::new((&socket).into())?;
        socket.set_nonblocking(true)?;
        let io = watch(socket, Interest::READABLE)?;
        Ok(Arc::new(TunnelSocket { io, state, is_full: AtomicBool::new(false) }))
    }

    fn now(&self) -> Instant {
        TokioRuntime.now()
    }
}

#[expect(
    deprecated,
    reason = "unsound only for a type whose descriptor may change while it is watched, which this socket's does not; \
              its replacement is an unsafe function"
)]
fn watch(socket: UdpSocket, interest: Interest) -> io::Result<AsyncFd<UdpSocket>> {
    AsyncFd::with_interest(socket, interest)
}

#[derive(Debug)]
struct TunnelSocket {
    io: AsyncFd<UdpSocket>,
    state: UdpSocketState,
    // Set when the kernel took nothing more; until somebody finds it writable again.
    is_full: AtomicBool,
}

impl AsyncUdpSocket for TunnelSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writability { socket: self, watch: None })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let sent = self.state.send(self.io.get_ref().into(), transmit);
        if sent.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            self.is_full.store(true, Ordering::Relaxed);
        }
        sent
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let room = bufs.len().min(meta.len());
        loop {
            let mut guard = ready!(self.io.poll_read_ready(cx))?;
            let Ok(received) = guard.try_io(|io| self.state.recv(io.get_ref().into(), bufs, meta)) else {
                continue;
            };
            // Fewer than asked for: the socket is empty, and the next arrival will be reported as a new edge.
            if matches!(received, Ok(count) if count < room) {
                guard.clear_ready();
            }
            return Poll::Ready(received);
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().local_addr()
    }

    fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }

    fn max_transmit_segments(&self) -> usize {
        self.state.max_gso_segments().min(tuning::SEND_DATAGRAMS_MAX)
    }

    fn max_receive_segments(&self) -> usize {
        self.state.gro_segments().min(tuning::RECEIVE_DATAGRAMS_MAX)
    }
}

/// Waits for room in the send buffer, through a second descriptor that is watched only meanwhile.
#[derive(Debug)]
struct Writability {
    socket: Arc<TunnelSocket>,
    watch: Option<AsyncFd<UdpSocket>>,
}

impl UdpPoller for Writability {
    fn poll_writable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        // quinn asks before every packet.
        if this.watch.is_none() && !this.socket.is_full.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        let watch = match &mut this.watch {
            Some(watch) => watch,
            none => {
                let socket = this.socket.io.get_ref().try_clone()?;
                none.insert(watch(socket, Interest::WRITABLE)?)
            }
        };
        let is_writable = ready!(watch.poll_write_ready(cx)).map(drop);
        this.watch = None;
        this.socket.is_full.store(false, Ordering::Relaxed);
        Poll::Ready(is_writable)
    }
}
