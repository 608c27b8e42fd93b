//! A few questions to the server through the tunnel, for verbs that answer once and end.

use std::time::Duration;

use bytes::Bytes;
use protocol::id::SessionId;
use relay_agent::{Agent, AgentEvent, ApiCaller, ApiError, ApiLines, EndReason, LinkState, Server, Settings};
use serde_json::Value;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout, timeout_at};

use super::context::Context;
use super::exit::Exit;
use crate::config::join_line::host_and_port;
use crate::output::{Output, escape};

/// How long to try to connect. The agent's first four dials are short ones; the first that is patient enough for a
/// satellite comes after about eight seconds.
const LIVE_WAIT: Duration = Duration::from_secs(15);

/// Failed tries after which the wait is over: the short dials and the first long one.
const TRIES: u32 = 5;

/// How long to take leave. The server notices by itself what this cuts short.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// No connection.
    #[error("cannot reach {server}: {reason}\n  try: relay-agent doctor")]
    Unreachable {
        /// Which server.
        server: String,
        /// What came of the last try.
        reason: String,
    },
    /// The link is over for good.
    #[error(transparent)]
    Ended(#[from] EndReason),
    /// The server answered no.
    #[error("the server says: {text} ({code})")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Stable code.
        code: String,
        /// A sentence for a person.
        text: String,
    },
    /// The call broke.
    #[error("the call through the tunnel failed")]
    Call(#[source] ApiError),
    /// Something other than JSON.
    #[error("the server's answer to {0} is not what this version understands: are both of the same release?")]
    Unreadable(String),
}

impl AskError {
    /// The exit code; `None` where the reason inside has it.
    pub(crate) fn exit(&self) -> Option<Exit> {
        match self {
            Self::Unreachable { .. } => Some(Exit::Unreachable),
            Self::Refused { status: 401 | 403, .. } => Some(Exit::Refused),
            Self::Refused { .. } | Self::Call(_) | Self::Unreadable(_) => Some(Exit::Failed),
            Self::Ended(_) => None,
        }
    }
}

/// What was learned on connecting.
#[derive(Debug, Clone)]
pub(crate) struct Met {
    pub(crate) session: SessionId,
    pub(crate) rtt: Duration,
    pub(crate) server: String,
    pub(crate) clock_skew_ms: i64,
}

/// A live link that serves nothing.
pub(crate) struct Asker {
    agent: Agent,
    events: Receiver<AgentEvent>,
    /// The connection as it began.
    pub(crate) met: Met,
}

impl Asker {
    /// Connects to the server of this context.
    pub(crate) async fn open(context: &Context) -> anyhow::Result<Self> {
        let server = context.server()?;
        Self::open_to(context, server).await
    }

    /// Connects to a server.
    pub(crate) async fn open_to(context: &Context, server: Server) -> anyhow::Result<Self> {
        let address = host_and_port(&server);
        let settings = context.settings(server, Vec::new())?;
        Ok(Self::connect(context.output, settings, &address).await?)
    }

    async fn connect(output: Output, settings: Settings, address: &str) -> Result<Self, AskError> {
        let (agent, mut events) = Agent::start(settings);
        let deadline = Instant::now() + LIVE_WAIT;
        let mut failed = 0;
        let mut reason = "no answer".to_owned();
        while failed < TRIES {
            let Ok(event) = timeout_at(deadline, events.recv()).await else { break };
            match event {
                Some(AgentEvent::Link(LinkState::Live { session, rtt, server, clock_skew_ms })) => {
                    return Ok(Self { agent, events, met: Met { session, rtt, server, clock_skew_ms } });
                }
                Some(AgentEvent::Link(LinkState::Ended(reason))) => return Err(reason.into()),
                Some(AgentEvent::Link(LinkState::Down { reason: why, .. })) => {
                    failed += 1;
                    if failed == 1 {
                        output.say(&format!("{address}: {}; still trying…", escape::value(&why)));
                    }
                    reason = why;
                }
                Some(_) => {}
                None => return Err(EndReason::Stopped.into()),
            }
        }
        Err(AskError::Unreachable { server: address.to_owned(), reason })
    }

    /// The answer to `GET`, as JSON.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Value, AskError> {
        let answer = self.bytes(path).await?;
        serde_json::from_slice(&answer).map_err(|_| AskError::Unreadable(path.to_owned()))
    }

    /// The answer to `GET`, byte for byte.
    pub(crate) async fn bytes(&mut self, path: &str) -> Result<Bytes, AskError> {
        self.call("GET", path, None).await
    }

    /// The answer to `POST` of some JSON, as JSON.
    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> Result<Value, AskError> {
        let answer = self.call("POST", path, Some(body.to_string().into_bytes())).await?;
        serde_json::from_slice(&answer).map_err(|_| AskError::Unreadable(path.to_owned()))
    }

    /// The answer to `PATCH` of some JSON, as JSON.
    pub(crate) async fn patch(&mut self, path: &str, body: &Value) -> Result<Value, AskError> {
        let answer = self.call("PATCH", path, Some(body.to_string().into_bytes())).await?;
        serde_json::from_slice(&answer).map_err(|_| AskError::Unreadable(path.to_owned()))
    }

    /// `DELETE`, whose answer says nothing.
    pub(crate) async fn delete(&mut self, path: &str) -> Result<(), AskError> {
        self.call("DELETE", path, None).await.map(drop)
    }

    async fn call(&mut self, method: &str, path: &str, body: Option<Vec<u8>>) -> Result<Bytes, AskError> {
        let agent = &self.agent;
        let response = until_ended(&mut self.events, agent.api(method, path, body)).await?;
        let response = response.map_err(AskError::Call)?;
        match response.status {
            200..300 => Ok(response.body),
            status => Err(refusal(status, serde_json::from_slice(&response.body).ok().as_ref())),
        }
    }

    /// The lines of a `GET` that goes on.
    pub(crate) async fn lines(&mut self, path: &str) -> Result<ApiLines, AskError> {
        let agent = &self.agent;
        let opened = until_ended(&mut self.events, agent.api_stream(path)).await?;
        let mut lines = opened.map_err(AskError::Call)?;
        match lines.status() {
            200..300 => Ok(lines),
            status => {
                let body =
                    self.next_line(&mut lines).await?.and_then(|line| serde_json::from_str(&line).ok());
                Err(refusal(status, body.as_ref()))
            }
        }
    }

    /// The next line of such an answer; `None` at its end.
    pub(crate) async fn next_line(&mut self, lines: &mut ApiLines) -> Result<Option<String>, AskError> {
        until_ended(&mut self.events, lines.next_line()).await?.transpose().map_err(AskError::Call)
    }

    /// The round trip as it is now.
    pub(crate) fn rtt(&self) -> Duration {
        self.agent.rtt().unwrap_or(self.met.rtt)
    }

    /// A handle for calls beside this one.
    pub(crate) fn caller(&self) -> ApiCaller {
        self.agent.api_caller()
    }

    /// Waits for `work`, unless the link ends for good first.
    pub(crate) async fn until_ended<T>(&mut self, work: impl Future<Output = T>) -> Result<T, AskError> {
        until_ended(&mut self.events, work).await
    }

    /// Takes leave.
    pub(crate) async fn close(self) {
        let _ = timeout(CLOSE_WAIT, self.agent.drain()).await;
    }
}

/// Waits for `work`, unless the link ends for good first. Keeps the agent's events flowing meanwhile.
async fn until_ended<T>(
    events: &mut Receiver<AgentEvent>,
    work: impl Future<Output = T>,
) -> Result<T, AskError> {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return Ok(done),
            event = events.recv() => match event {
                Some(AgentEvent::Link(LinkState::Ended(reason))) => return Err(reason.into()),
                Some(_) => {}
                None => return Err(EndReason::Stopped.into()),
            },
        }
    }
}

/// A refusal as an error, in the server's words.
pub(super) fn refusal(status: u16, body: Option<&Value>) -> AskError {
    let error = body.and_then(|body| body.get("error"));
    let word = |key: &str| error.and_then(|error| error.get(key)).and_then(Value::as_str);
    AskError::Refused {
        status,
        code: word("code").map_or_else(|| format!("status {status}"), str::to_owned),
        text: word("message").unwrap_or("no").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_servers_words() {
        let body = serde_json::json!({ "error": { "code": "scope_refused", "message": "read only" } });
        let refused = refusal(403, Some(&body));
        assert_eq!(refused.to_string(), "the server says: read only (scope_refused)");
        assert_eq!(refused.exit(), Some(Exit::Refused));
        let odd = refusal(500, None);
        assert_eq!(odd.to_string(), "the server says: no (status 500)");
        assert_eq!(odd.exit(), Some(Exit::Failed));
    }
}
