//! A sender that writes exactly the bytes it is given and reads the answer as it comes.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Every wait of a test is bounded by this.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// An answer as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Status line and header lines, without the empty line.
    pub head: String,
    /// Body, chunk framing removed.
    pub body: Vec<u8>,
    /// Trailer lines.
    pub trailers: String,
    /// Whether the body came to its proper end.
    pub is_whole: bool,
}

impl Answer {
    /// Values of all fields called `name`.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<&str> {
        let fields = self.head.lines().skip(1).filter_map(|l| l.split_once(':'));
        fields.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim()).collect()
    }

    /// The value of the only field called `name`.
    #[must_use]
    pub fn value(&self, name: &str) -> &str {
        match self.values(name)[..] {
            [only] => only,
            ref other => panic!("{} fields called {name} in\n{}", other.len(), self.head),
        }
    }

    /// Body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A connection to the public listener.
#[derive(Debug)]
pub struct Sender {
    stream: TcpStream,
    inbox: Vec<u8>,
}

impl Sender {
    /// Connects.
    pub async fn to(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).await.expect("the public listener takes connections");
        stream.set_nodelay(true).expect("a socket");
        Self { stream, inbox: Vec::new() }
    }

    /// Writes these bytes. The other side may have closed already: the answer tells.
    pub async fn say(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// Takes nothing more and says no more.
    pub async fn hang_up(mut self) {
        let _ = self.stream.shutdown().await;
    }

    async fn more(&mut self) -> bool {
        matches!(tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.inbox)).await, Ok(Ok(n)) if n > 0)
    }

    async fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.inbox.windows(end.len()).position(|w| w == end) {
                let rest = self.inbox.split_off(at + end.len());
                let mut taken = std::mem::replace(&mut self.inbox, rest);
                taken.truncate(at);
                return Some(taken);
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// Whatever comes next, at least one byte; empty at the end.
    pub async fn some(&mut self) -> Vec<u8> {
        if self.inbox.is_empty() {
            self.more().await;
        }
        std::mem::take(&mut self.inbox)
    }

    /// Whether the other side closes now.
    pub async fn is_closed(&mut self) -> bool {
        self.inbox.is_empty() && !self.more().await
    }

    /// The head of the next answer.
    ///
    /// # Panics
    /// When none comes.
    pub async fn head(&mut self) -> Answer {
        let head = self.until(b"\r\n\r\n").await.unwrap_or_else(|| {
            panic!("no answer; got {:?}", String::from_utf8_lossy(&self.inbox));
        });
        let head = String::from_utf8_lossy(&head).into_owned();
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        Answer { status, head, body: Vec::new(), trailers: String::new(), is_whole: false }
    }

    /// The next answer, whole. `to_head` says that the request was a HEAD.
    pub async fn answer_to(&mut self, to_head: bool) -> Answer {
        let mut answer = self.head().await;
        if to_head || matches!(answer.status, 100..200 | 204 | 304) {
            answer.is_whole = true;
            return answer;
        }
        if let Some(length) = answer.values("content-length").first() {
            let length: usize = length.parse().expect("a length");
            while self.inbox.len() < length && self.more().await {}
            answer.is_whole = self.inbox.len() >= length;
            answer.body = self.inbox.drain(..length.min(self.inbox.len())).collect();
        } else if answer.values("transfer-encoding").is_empty() {
            while self.more().await {}
            answer.body = std::mem::take(&mut self.inbox);
            answer.is_whole = true;
        } else {
            answer.is_whole = self.chunks(&mut answer).await.is_some();
        }
        answer
    }

    async fn chunks(&mut self, answer: &mut Answer) -> Option<()> {
        loop {
            let size = self.until(b"\r\n").await?;
            let size = usize::from_str_radix(&String::from_utf8_lossy(&size), 16).ok()?;
            if size == 0 {
                break;
            }
            while self.inbox.len() < size + 2 {
                if !self.more().await {
                    answer.body.append(&mut self.inbox);
                    return None;
                }
            }
            answer.body.extend(self.inbox.drain(..size));
            self.inbox.drain(..2);
        }
        loop {
            let line = self.until(b"\r\n").await?;
            if line.is_empty() {
                return Some(());
            }
            answer.trailers.push_str(&String::from_utf8_lossy(&line));
            answer.trailers.push('\n');
        }
    }

    /// The next answer, whole.
    pub async fn answer(&mut self) -> Answer {
        self.answer_to(false).await
    }
}

/// Sends these bytes on a connection of their own and gives the answer.
pub async fn exchange(addr: SocketAddr, bytes: &[u8]) -> Answer {
    let mut sender = Sender::to(addr).await;
    sender.say(bytes).await;
    sender.answer().await
}

/// A POST with these header lines (each with its end) and body.
#[must_use]
pub fn post(target: &str, lines: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: relay.test\r\n{lines}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}
