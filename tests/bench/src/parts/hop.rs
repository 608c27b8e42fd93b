//! A plain reverse-proxy hop: hyper in, pooled hyper connections out, one thread, and nothing else. No logs, no
//! limits, no header hygiene but for `Connection`, without which no connection would stay pooled when senders
//! close theirs. Two of these in a row are the least that server and agent could be.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{Request, Response, header};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

pub async fn run(upstream: SocketAddr) -> Result<()> {
    let pool = Pool { upstream, idle: Arc::default() };
    super::accept_each(|stream| {
        let pool = pool.clone();
        let service = service_fn(move |request| forward(pool.clone(), request));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    })
    .await
}

async fn forward(pool: Pool, mut request: Request<Incoming>) -> Result<Response<Pooled>> {
    request.headers_mut().remove(header::CONNECTION);
    let mut connection = pool.take().await?;
    let response = connection.send_request(request).await?;
    Ok(response.map(|body| Pooled { body, connection: Some(connection), pool }))
}

#[derive(Clone)]
struct Pool {
    upstream: SocketAddr,
    /// As many as were ever in use at once: the driver bounds that.
    idle: Arc<Mutex<Vec<SendRequest<Incoming>>>>,
}

impl Pool {
    async fn take(&self) -> Result<SendRequest<Incoming>> {
        while let Some(mut connection) = self.pop() {
            if connection.ready().await.is_ok() {
                return Ok(connection);
            }
        }
        let stream = TcpStream::connect(self.upstream).await.context("the next hop is not there")?;
        stream.set_nodelay(true)?;
        let (connection, driver) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(driver);
        Ok(connection)
    }

    fn pop(&self) -> Option<SendRequest<Incoming>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn put(&self, connection: SendRequest<Incoming>) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}

/// An answer's body, which gives its connection back when it has been read.
struct Pooled {
    body: Incoming,
    connection: Option<SendRequest<Incoming>>,
    pool: Pool,
}

impl Drop for Pooled {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take().filter(|connection| !connection.is_closed()) {
            self.pool.put(connection);
        }
    }
}

impl Body for Pooled {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
