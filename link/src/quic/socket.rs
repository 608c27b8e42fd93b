//! UDP sockets for quinn that wake only for what they are waited for.
//!
//! quinn's own socket asks the kernel for readability and writability at once. The kernel then reports "writable"
//! after every datagram that leaves the send queue, which is one wake-up for nothing per packet; and a socket that
//! gave fewer datagrams than were asked for is asked again only to hear that it is empty. On a quiet tunnel these
//! were two of the eight system calls of a request on the server.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use quinn::udp::{RecvMeta, Transmit, UdpSocketState};
use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, TokioRuntime, UdpPoller};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::Sleep;

use super::tuning;

/// Whether a read gives as many datagrams as there are and fit. Elsewhere quinn reads one at a time.
const READS_ALL: bool = cfg!(any(target_os = "linux", target_os = "android", target_os = "freebsd"));

/// How long a full send buffer is left alone. The 4 MiB that are asked for last a card of 10 Gbit/s for 3 ms.
const FULL_PAUSE: Duration = Duration::from_millis(1);

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
        #[expect(
            deprecated,
            reason = "unsound only for a type whose descriptor may change while it is watched, which this socket's does \
                      not; its replacement is an unsafe function"
        )]
        let io = AsyncFd::with_interest(socket, Interest::READABLE)?;
        Ok(Arc::new(TunnelSocket { io, state, is_full: AtomicBool::new(false) }))
    }

    fn now(&self) -> Instant {
        TokioRuntime.now()
    }
}

#[derive(Debug)]
struct TunnelSocket {
    io: AsyncFd<UdpSocket>,
    state: UdpSocketState,
    // Set when the kernel took nothing more; until somebody tries again.
    is_full: AtomicBool,
}

impl AsyncUdpSocket for TunnelSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writability { socket: self, pause: None })
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
            if READS_ALL && matches!(received, Ok(count) if count < room) {
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

/// Waits for room in the send buffer: by the clock, since to be woken by the kernel would cost every connection a
/// descriptor of its own, and a send buffer is full only while the network card is the bottleneck.
#[derive(Debug)]
struct Writability {
    socket: Arc<TunnelSocket>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl UdpPoller for Writability {
    fn poll_writable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        // quinn asks before every packet.
        if this.pause.is_none() && !this.socket.is_full.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        let pause = this.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(FULL_PAUSE)));
        ready!(Future::poll(pause.as_mut(), cx));
        this.pause = None;
        this.socket.is_full.store(false, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}
