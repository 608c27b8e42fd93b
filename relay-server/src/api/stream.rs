//! Events as they happen: one JSON object a line, or one Server-Sent Event each for who accepts that, until the caller
//! leaves, its token ends, or the server drains.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::ApiState;
use super::error::ApiError;
use super::identity::Caller;
use super::input::Params;

mod teller;

pub use self::teller::Tellers;
use self::teller::{Audience, Hearing};

/// How often the token and the server's state are looked at: a revoked token sees nothing new after a second.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks without an event after which an empty line is sent: proxies close what is silent for a minute.
const SILENT_LOOKS_MAX: u32 = 15;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Only {
    source: Option<String>,
}

/// `GET /events/stream?source=`: events from now on. What came too fast is told as `{"type":"gap","missed":n}`.
pub(super) async fn follow(
    State(state): State<ApiState>,
    caller: Caller,
    Params(only): Params<Only>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let only = only.source.map(|slug| caller.source(&state, &slug)).transpose()?.map(|source| source.id);
    let busy = || ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_watchers", "as many watch as may");
    let form = Form::wanted(&headers);
    let audience = Audience::new(&caller, only, form);
    let hearing = state.tellers.hear(audience, &state.store, &state.activity).ok_or_else(busy)?;
    let mut look = interval_at(Instant::now() + LOOK_EVERY, LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let follower = Follower { state, caller, hearing, look, silent_looks: 0, form };
    let lines = futures_util::stream::unfold(follower, |mut follower| async {
        let lines = follower.next_lines().await?;
        Some((Ok::<_, Infallible>(lines), follower))
    });
    Ok(([(CONTENT_TYPE, form.media_type())], Body::from_stream(lines)).into_response())
}

struct Follower {
    state: ApiState,
    caller: Caller,
    hearing: Hearing,
    look: Interval,
    silent_looks: u32,
    form: Form,
}

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Form {
    Lines,
    /// Server-Sent Events, for browsers.
    Sse,
}

impl Form {
    fn wanted(headers: &HeaderMap) -> Self {
        let accepts = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        if accepts.contains("text/event-stream") { Self::Sse } else { Self::Lines }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Lines => "application/x-ndjson",
            Self::Sse => "text/event-stream",
        }
    }

    /// Events that come within this are told together: people see no difference, and each write costs more than what
    /// it says.
    fn together(self) -> Duration {
        match self {
            Self::Lines => Duration::from_millis(50),
            Self::Sse => Duration::from_millis(100),
        }
    }

    /// Most bytes told together. To people 2,000 events a second are as good as twice as many: of more they hear the
    /// number, and find them in the list.
    fn together_bytes_max(self) -> usize {
        match self {
            Self::Lines => 256 << 10,
            Self::Sse => 80 << 10,
        }
    }

    fn write(self, line: &impl Serialize, lines: &mut Vec<u8>) {
        let (before, after): (&[u8], &[u8]) = match self {
            Self::Lines => (b"", b"\n"),
            Self::Sse => (b"data: ", b"\n\n"),
        };
        lines.extend_from_slice(before);
        serde_json::to_writer(&mut *lines, line).expect("no keys but text, and memory takes it all");
        lines.extend_from_slice(after);
    }

    fn nothing(self) -> &'static str {
        match self {
            Self::Lines => "\n",
            Self::Sse => ":\n\n",
        }
    }
}

impl Follower {
    /// The next lines; `None` when there shall be no more.
    async fn next_lines(&mut self) -> Option<Bytes> {
        loop {
            tokio::select! {
                lines = self.hearing.next() => {
                    self.silent_looks = 0;
                    return lines;
                }
                _ = self.look.tick() => {
                    self.may_go_on().await.then_some(())?;
                    self.silent_looks += 1;
                    if self.silent_looks >= SILENT_LOOKS_MAX {
                        self.silent_looks = 0;
                        return Some(Bytes::from_static(self.form.nothing().as_bytes()));
                    }
                }
            }
        }
    }

    async fn may_go_on(&self) -> bool {
        // A store that cannot say is no reason to end: it says so again in a second.
        (self.state.ready)() && self.state.store.is_token_good(self.caller.token_id()).await.unwrap_or(true)
    }
}
