//! What stays on the normal screen: the URLs, how much was forwarded, and what still has to be known.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::id::{DestinationName, Slug};
use relay_agent::{AgentEvent, Route};

use super::super::names::place;
use super::message::Counts;
use crate::output::style::{BAD, BOLD, DIM, paint};
use crate::output::{escape, unit};

/// Words that are repeated at the end.
const TOLD_MAX: usize = 20;

/// Counts from the first event on; nothing is left out here.
pub(super) struct Summary {
    pub(super) counts: Counts,
    routes: Vec<(Slug, DestinationName, String)>,
    urls: BTreeMap<(Slug, DestinationName), String>,
    told: Vec<String>,
    since_ms: u64,
}

impl Summary {
    pub(super) fn new(routes: &[Route], now_ms: u64) -> Self {
        let route =
            |route: &Route| (route.source.clone(), route.destination.clone(), route.target.to_string());
        Self {
            counts: Counts::default(),
            routes: routes.iter().map(route).collect(),
            urls: BTreeMap::new(),
            told: Vec::new(),
            since_ms: now_ms,
        }
    }

    pub(super) fn take(&mut self, event: &AgentEvent) {
        match event {
            AgentEvent::Arrived(_) => self.counts.arrived += 1,
            AgentEvent::Answered(answered) => {
                self.counts.answered += 1;
                self.counts.failed += u64::from(!matches!(answered.result, Ok(0..400)));
            }
            AgentEvent::Served { source, destination, result: Ok(url), .. } => {
                self.urls.insert((source.clone(), destination.clone()), url.clone());
            }
            AgentEvent::Served { .. } | AgentEvent::Link(_) | AgentEvent::Notice(_) => {}
        }
    }

    /// Something was done that whoever reads the end should know.
    pub(super) fn told(&mut self, text: &str) {
        if self.told.len() == TOLD_MAX {
            self.told.remove(0);
        }
        self.told.push(text.to_owned());
    }

    /// The numbers of a source's routes.
    pub(super) fn routes_of(&self, source: &Slug) -> Vec<usize> {
        let of = |(at, (of, ..)): (usize, &(Slug, DestinationName, String))| (of == source).then_some(at);
        self.routes.iter().enumerate().filter_map(of).collect()
    }

    pub(super) fn lines(&self, now_ms: u64) -> Vec<String> {
        let mut lines = Vec::new();
        for (source, destination, target) in &self.routes {
            let Some(url) = self.urls.get(&(source.clone(), destination.clone())) else { continue };
            let (url, place) = (paint(BOLD, &escape::value(url)), place(source, destination));
            lines.push(format!("{place}  {url} → {}", escape::value(target)));
        }
        lines.extend(self.told.iter().map(|told| escape::value(told)));
        let time = match now_ms.saturating_sub(self.since_ms) / 1000 {
            0 => "less than a second".to_owned(),
            seconds @ 1..60 => format!("{seconds} s"),
            seconds => unit::duration(Duration::from_secs(seconds)),
        };
        let events = if self.counts.answered == 1 { "event" } else { "events" };
        let failed = format!("{} failed", self.counts.failed);
        let failed = if self.counts.failed > 0 { paint(BAD, &failed) } else { failed };
        lines.push(format!("{} {events} forwarded, {failed}, in {time}", self.counts.answered));
        if self.counts.failed > 0 {
            lines.push(paint(DIM, "relay-agent events lists them"));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use relay_agent::Answered;

    use super::*;

    #[test]
    fn the_end_says_what_was_forwarded_and_what_failed() {
        let route = Route::new("hook".parse().unwrap(), "3000".parse().unwrap());
        let mut summary = Summary::new(&[route], 0);
        summary.take(&AgentEvent::Served {
            source: "hook".parse().unwrap(),
            destination: DestinationName::default(),
            result: Ok("https://r.example/h/hook".to_owned()),
            waiting: None,
        });
        for result in [Ok(200), Ok(500), Err("nothing listens".to_owned())] {
            summary.take(&AgentEvent::Answered(Answered {
                event: protocol::id::EventId(1),
                source: "hook".parse().unwrap(),
                result,
                app: Duration::ZERO,
                tunnel: Duration::ZERO,
            }));
        }
        summary.told("2 events wait\u{7}");
        let lines: Vec<_> =
            summary.lines(65_000).iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect();
        let expected = [
            "hook  https://r.example/h/hook → http://localhost:3000",
            "2 events wait\\u{7}",
            "3 events forwarded, 2 failed, in 1 min 5 s",
            "relay-agent events lists them",
        ];
        assert_eq!(lines, expected);
    }
}
