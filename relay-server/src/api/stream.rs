//! Events as they happen: one JSON object a line, or one Server-Sent Event each for who accepts that, until the caller leaves, its token ends, or the server drains.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::ApiState;
use super::error::ApiError;
use super::events::{self, EventView};
use super::identity::Caller;
use super::input::Params;
use crate::activity::{Seen, Settled, Watch};
use crate::delivery::verdict::AttemptOutcome;
use crate::store::{Next, OutcomeKind, Settlement};

/// How often the token and the server's state are looked at: a revoked token sees nothing new after a second.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks without an event after which an empty line is sent: proxies close what is silent for a minute.
const SILENT_LOOKS_MAX: u32 = 15;

/// Events that come within this are told together: a browser draws no faster, and each write costs more than what it says.
const TOGETHER: Duration = Duration::from_millis(50);

/// Most bytes told together.
const TOGETHER_BYTES_MAX: usize = 256 * 1024;

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
    let wants = {
        let (state, caller) = (state.clone(), caller.clone());
        move |source| only.is_none_or(|only| only == source) && caller.name_of(&state, source).is_some()
    };
    let watch = state.activity.watch(wants).ok_or_else(busy)?;
    let mut look = interval_at(Instant::now() + LOOK_EVERY, LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let form = Form::wanted(&headers);
    let told = Instant::now() - TOGETHER;
    let follower = Follower { state, caller, watch, look, silent_looks: 0, form, told };
    let lines = futures_util::stream::unfold(follower, |mut follower| async {
        let lines = follower.next_lines().await?;
        Some((Ok::<_, Infallible>(lines), follower))
    });
    Ok(([(CONTENT_TYPE, form.media_type())], Body::from_stream(lines)).into_response())
}

struct Follower {
    state: ApiState,
    caller: Caller,
    watch: Watch,
    look: Interval,
    silent_looks: u32,
    form: Form,
    /// When lines were last told.
    told: Instant,
}

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

    fn write(self, json: &str, lines: &mut String) {
        match self {
            Self::Lines => lines.extend([json, "\n"]),
            Self::Sse => lines.extend(["data: ", json, "\n\n"]),
        }
    }

    fn nothing(self) -> &'static str {
        match self {
            Self::Lines => "\n",
            Self::Sse => ":\n\n",
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    r#type: &'static str,
    #[serde(flatten)]
    event: EventView<'a>,
}

/// A settled attempt of a stored delivery.
fn settled_line(settled: &Settled, source: &str) -> serde_json::Value {
    let Settlement { delivery, attempt, record, next } = &settled.settlement;
    let (outcome, status, reason) = match record.as_ref().map(|record| record.outcome) {
        None => (None, None, None),
        Some(AttemptOutcome::Answered(status)) => (Some(OutcomeKind::Answered), Some(status), None),
        Some(AttemptOutcome::NotSent(reason)) => (Some(OutcomeKind::NotSent), None, Some(reason)),
        Some(AttemptOutcome::SentNoAnswer(reason)) => (Some(OutcomeKind::SentNoAnswer), None, Some(reason)),
    };
    let ended_by = match next {
        Next::Dead(reason) | Next::Cancelled(reason) => Some(*reason),
        Next::Ready | Next::RetryAt(_) | Next::Delivered => None,
    };
    json!({
        "type": "delivery", "id": delivery.to_string(), "event": delivery.event.to_string(), "source": source,
        "destination": settled.destination.as_str(), "state": next.state(), "attempt": attempt,
        "outcome": outcome, "status": status, "reason": ended_by.or(reason),
        "total_us": record.as_ref().map(|record| record.times.total_us),
    })
}

enum Happened {
    Seen(Option<Seen>),
    TimeToLook,
}

impl Follower {
    /// The next lines; `None` when there shall be no more.
    async fn next_lines(&mut self) -> Option<Bytes> {
        // What comes at once is told at once; what comes thick is told together.
        let mut pause = std::pin::pin!(tokio::time::sleep_until(self.told + TOGETHER));
        loop {
            let happened = tokio::select! {
                seen = async { pause.as_mut().await; self.watch.next().await } => Happened::Seen(seen),
                _ = self.look.tick() => Happened::TimeToLook,
            };
            let mut lines = String::new();
            match happened {
                Happened::Seen(seen) => {
                    self.write(&seen?, &mut lines);
                    while lines.len() < TOGETHER_BYTES_MAX
                        && let Some(seen) = self.watch.next_now()
                    {
                        self.write(&seen, &mut lines);
                    }
                }
                Happened::TimeToLook => {
                    self.may_go_on().await.then_some(())?;
                    self.sign_of_life(&mut lines);
                }
            }
            if !lines.is_empty() {
                self.silent_looks = 0;
                self.told = Instant::now();
                return Some(lines.into());
            }
        }
    }

    fn write(&self, seen: &Seen, lines: &mut String) {
        match seen {
            Seen::Gap(missed) => {
                self.form.write(&json!({ "type": "gap", "missed": missed }).to_string(), lines);
            }
            Seen::Settled(settled) => {
                let Some(source) = self.caller.name_of(&self.state, settled.source) else { return };
                self.form.write(&settled_line(settled, &source).to_string(), lines);
            }
            Seen::Event(told) => {
                let Some(source) = self.caller.name_of(&self.state, told.event.source) else { return };
                let text = told.text(|event| {
                    let line = Line { r#type: "event", event: events::view(event, source) };
                    serde_json::to_string(&line).unwrap_or_default()
                });
                self.form.write(text, lines);
            }
        }
    }

    async fn may_go_on(&self) -> bool {
        // A store that cannot say is no reason to end: it says so again in a second.
        (self.state.ready)() && self.state.store.is_token_good(self.caller.token_id()).await.unwrap_or(true)
    }

    fn sign_of_life(&mut self, lines: &mut String) {
        self.silent_looks += 1;
        if self.silent_looks >= SILENT_LOOKS_MAX {
            lines.push_str(self.form.nothing());
        }
    }
}
