//! The running log for a terminal: plain lines that are only ever appended. Two facts per event, each as it comes:
//! it arrived, it was answered. The state of the link is always said, never left to silence.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use jiff::tz::TimeZone;
use protocol::id::{EventId, Slug};
use relay_agent::{AgentEvent, Answered, Arrived, LinkState, Route};

use super::style::{BAD, BOLD, DIM, GOOD, ODD, of_status, paint};
use super::{escape, unit};

/// A clock this far off makes providers' signed timestamps look stale or early (most allow five minutes).
pub(crate) const SKEW_SHOWN_MS: u64 = 30_000;

/// Arrivals remembered for their answer line. An agent has at most 256 in flight by default; past this they are
/// forgotten and the answer shows the event's id instead.
const LABELS_MAX: usize = 4096;

/// A pause shorter than this is none to a person.
const AT_ONCE: Duration = Duration::from_millis(100);

/// What to leave out and what to add.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Detail {
    /// Only URLs, trouble and failures.
    pub(crate) quiet: bool,
    /// The event's id on every line, not only on failures.
    pub(crate) ids: bool,
}

/// Turns what happens into lines.
pub(crate) struct LiveLog {
    server: String,
    routes: Vec<(Slug, String)>,
    zone: TimeZone,
    detail: Detail,
    shown: BTreeMap<Slug, Result<String, String>>,
    labels: HashMap<EventId, String>,
    down: Option<Down>,
    last_failure: Option<String>,
    greeted: bool,
    /// Sources of which it was said whom they look to be from.
    recognised: BTreeSet<Slug>,
}

/// An outage that is going on.
struct Down {
    since_ms: u64,
    reason: String,
}

impl LiveLog {
    /// A log of these routes; times are shown in `zone`.
    pub(crate) fn new(server: String, routes: &[Route], zone: TimeZone, detail: Detail) -> Self {
        let routes = routes.iter().map(|route| (route.source.clone(), route.target.to_string())).collect();
        Self {
            server,
            routes,
            zone,
            detail,
            shown: BTreeMap::new(),
            labels: HashMap::new(),
            down: None,
            last_failure: None,
            greeted: false,
            recognised: BTreeSet::new(),
        }
    }

    /// The lines for something that happened at `now_ms`, with colour; often one, sometimes none.
    pub(crate) fn lines(&mut self, event: &AgentEvent, now_ms: u64) -> Vec<String> {
        let lines = match event {
            AgentEvent::Link(state) => self.link(state, now_ms),
            AgentEvent::Served { source, result, .. } => {
                let result = result.clone().map_err(|error| error.to_string());
                return self.served(source, result, now_ms);
            }
            AgentEvent::Arrived(arrived) => self.arrived(arrived),
            AgentEvent::Answered(answered) => self.answered(answered),
            AgentEvent::Notice(text) => vec![format!("{}  {}", paint(BOLD, "note"), escape::line(text))],
        };
        lines.into_iter().map(|line| self.timed(now_ms, &line)).collect()
    }

    /// A line with the time in front.
    pub(crate) fn timed(&self, now_ms: u64, line: &str) -> String {
        format!("{}  {line}", paint(DIM, &unit::time_of_day(now_ms, &self.zone)))
    }

    fn link(&mut self, state: &LinkState, now_ms: u64) -> Vec<String> {
        match state {
            // While down, the line before this one said when the next try comes.
            LinkState::Connecting { .. } if self.down.is_some() || self.detail.quiet => vec![],
            LinkState::Connecting { .. } => vec![format!("connecting to {}…", self.server)],
            LinkState::Live { rtt, server, clock_skew_ms, .. } => {
                let again = self.down.take().map(|down| {
                    let time = Duration::from_millis(now_ms.saturating_sub(down.since_ms));
                    format!("again after {}  ", unit::duration(time))
                });
                if self.detail.quiet && again.is_none() {
                    return skewed(*clock_skew_ms);
                }
                let (rtt, again) = (unit::duration(*rtt), again.unwrap_or_default());
                let live = paint(GOOD, "live");
                let mut lines =
                    vec![format!("{live}  {again}{}  rtt {rtt}  {}", self.server, escape::line(server))];
                lines.extend(skewed(*clock_skew_ms));
                lines
            }
            LinkState::Down { reason, next_try } => vec![self.down(reason, *next_try, now_ms)],
            // Said on stderr, with what to try next, when the program ends.
            LinkState::Ended(_) => vec![],
        }
    }

    /// One line a try: since when, why (once, while it stays the same), and when it goes on.
    fn down(&mut self, reason: &str, next_try: Duration, now_ms: u64) -> String {
        let since_ms = self.down.as_ref().map_or(now_ms, |down| down.since_ms);
        let is_known = self.down.as_ref().is_some_and(|down| down.reason == reason);
        self.down = Some(Down { since_ms, reason: reason.to_owned() });
        let since = paint(BAD, &format!("down since {}", unit::time_of_day(since_ms, &self.zone)));
        let why = if is_known { String::new() } else { format!(": {}", escape::value(reason)) };
        if next_try < AT_ONCE {
            return format!("{since}{why}; trying again");
        }
        format!("{since}{why}; next try in {}", unit::duration(next_try))
    }

    /// The header of a route, the first time it is served and whenever its answer changes.
    fn served(&mut self, source: &Slug, result: Result<String, String>, now_ms: u64) -> Vec<String> {
        if self.shown.get(source) == Some(&result) {
            return vec![];
        }
        let before = self.shown.insert(source.clone(), result.clone());
        let url = match result {
            Ok(url) => escape::value(&url),
            Err(text) => {
                let line = format!("{}  {source}: {}", paint(BAD, "not served"), escape::value(&text));
                return vec![self.timed(now_ms, &line)];
            }
        };
        let mut lines = vec![String::new()];
        if let Some(Ok(before)) = before {
            lines.push(paint(BAD, &format!("The URL of {source} changed; it was {before}")));
        }
        let key = |name: &str| paint(DIM, &format!("{name:<6}"));
        lines.push(format!("{}  {source}", key("source")));
        lines.push(format!("{}  {}", key("URL"), paint(BOLD, &url)));
        let targets = self.routes.iter().filter(|(of, _)| of == source);
        lines.extend(targets.map(|(_, target)| format!("{}  {}", key("target"), escape::value(target))));
        if !self.greeted && !self.detail.quiet {
            self.greeted = true;
            lines.push(format!("{}  curl -d '{{\"hello\":\"world\"}}' {url}", key("try")));
            lines.push(format!("{}  Ctrl-C; requests in flight are finished first", key("stop")));
        }
        lines.push(String::new());
        lines
    }

    fn arrived(&mut self, arrived: &Arrived) -> Vec<String> {
        let name = arrived.name.as_deref().map(escape::line);
        let request = format!("{} {}", escape::line(&arrived.method), escape::line(&arrived.path));
        if self.labels.len() >= LABELS_MAX {
            self.labels.clear();
        }
        self.labels.insert(arrived.event, name.clone().unwrap_or_else(|| request.clone()));
        if self.detail.quiet {
            return vec![];
        }
        let mut parts = self.opening("→", &arrived.source);
        parts.extend(name.map(|name| paint(BOLD, &name)));
        parts.push(request);
        parts.extend(arrived.body_bytes.filter(|bytes| *bytes > 0).map(unit::bytes));
        if arrived.attempt > 1 {
            parts.push(paint(ODD, &format!("attempt {}", arrived.attempt)));
        }
        if self.detail.ids {
            parts.push(paint(DIM, &arrived.event.to_string()));
        }
        let mut lines = vec![parts.join("  ")];
        lines.extend(self.recognised(arrived));
        lines
    }

    /// Once a source: whom its webhooks look to be from, and how to have that checked.
    fn recognised(&mut self, arrived: &Arrived) -> Option<String> {
        let provider = provider::find(arrived.unchecked?)?;
        let is_new = self.recognised.insert(arrived.source.clone());
        is_new.then(|| {
            format!(
                "{}  this looks like {}; have its signatures checked: relay-agent source {} --provider {} --secret-file -",
                paint(BOLD, "note"), provider.title, arrived.source, provider.name
            )
        })
    }

    fn answered(&mut self, answered: &Answered) -> Vec<String> {
        let label = self.labels.remove(&answered.event);
        let is_good = matches!(answered.result, Ok(0..400));
        if self.detail.quiet && is_good {
            self.last_failure = None;
            return vec![];
        }
        let mut parts = self.opening(if answered.result.is_ok() { "←" } else { "✗" }, &answered.source);
        // The id leads on to `relay-agent event ID`, which is what one wants after a failure.
        let id = answered.event.to_string();
        let with_id = label.is_some() && (self.detail.ids || !is_good);
        let label = label.unwrap_or_else(|| id.clone());
        match &answered.result {
            Ok(status) => {
                parts.insert(1, paint(of_status(*status), &status.to_string()));
                parts.push(label);
                parts.push(format!("app {}", unit::duration(answered.app)));
                parts.push(format!("tunnel {}", unit::duration(answered.tunnel)));
            }
            Err(reason) => {
                parts.push(label);
                // An app that is down says the same at length for every event.
                let is_known = self.last_failure.as_ref() == Some(reason);
                let reason = if is_known { "as before" } else { reason };
                parts.push(format!("{} {}", paint(BAD, "no answer:"), escape::value(reason)));
            }
        }
        self.last_failure = answered.result.as_ref().err().cloned();
        if with_id {
            parts.push(paint(DIM, &id));
        }
        vec![parts.join("  ")]
    }

    /// The arrow, and the source where there are several to tell apart.
    fn opening(&self, arrow: &str, source: &Slug) -> Vec<String> {
        let several = self.routes.iter().any(|(of, _)| *of != self.routes[0].0);
        std::iter::once(arrow.to_owned()).chain(several.then(|| source.to_string())).collect()
    }
}

fn skewed(clock_skew_ms: i64) -> Vec<String> {
    clock_skew(clock_skew_ms).into_iter().map(|text| format!("{}  {text}", paint(ODD, "clock"))).collect()
}

/// A sentence about a clock that is wrong enough to matter.
pub(crate) fn clock_skew(skew_ms: i64) -> Option<String> {
    let off = skew_ms.unsigned_abs();
    let side = if skew_ms > 0 { "behind" } else { "ahead of" };
    (off >= SKEW_SHOWN_MS).then(|| {
        let off = unit::duration(Duration::from_millis(off));
        format!("this machine is {off} {side} the server: signatures with a time in them may be refused")
    })
}

#[cfg(test)]
mod tests;
