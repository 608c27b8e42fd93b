//! The server's admin listener, asked as somebody's program would: one request on a connection of its own.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// No question takes longer, unless it never ends.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// What `GET path` answers.
pub async fn get(admin: SocketAddr, path: &str, token: &str) -> Result<(StatusCode, Bytes)> {
    let asked = async {
        let stream = TcpStream::connect(admin).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let request = Request::get(path)
            .header(HOST, admin.to_string())
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .body(Empty::<Bytes>::new())?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        connection.abort();
        anyhow::Ok((status, body))
    };
    timeout(ANSWER_MAX, asked)
        .await
        .with_context(|| format!("{path} was not answered within {ANSWER_MAX:?}"))?
}

/// As [`get`], for what has to be 200 with JSON.
pub async fn json(admin: SocketAddr, path: &str, token: &str) -> Result<Value> {
    let (status, body) = get(admin, path, token).await?;
    let text = String::from_utf8_lossy(&body);
    ensure!(status == StatusCode::OK, "{path} was answered {status}: {text}");
    serde_json::from_slice(&body).with_context(|| format!("{path} was not answered with JSON"))
}

/// Whether the server takes webhooks. Refused connections mean no.
pub async fn is_ready(admin: SocketAddr) -> bool {
    get(admin, "/readyz", "").await.is_ok_and(|(status, _)| status == StatusCode::OK)
}
