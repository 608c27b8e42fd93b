//! The events that are listed: bounded, newest first, each once however often it comes.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use protocol::id::EventId;
use relay_agent::{Answered, Arrived};
use serde_json::Value;

use super::super::recorded::mount;
use super::super::records;
use super::text;

/// Most events that are listed. A row takes less than a kilobyte, for its texts are cut.
pub(super) const ROWS_MAX: usize = 5_000;

/// What came of an event, as far as it is known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Came {
    /// The app has it.
    OnItsWay,
    /// The app's status.
    Answered(u16),
    /// Why there is no answer.
    Nothing(String),
    /// As the server recorded it: what its sender got, and the outcome where it was none of the app's.
    Recorded(Option<u16>, Option<String>),
}

/// One event. What strangers wrote is escaped and cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) id: EventId,
    /// When it came (last), by the clock of this machine.
    pub(super) at_ms: u64,
    pub(super) source: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) name: Option<String>,
    pub(super) came: Came,
    pub(super) app: Option<Duration>,
    pub(super) body_bytes: Option<u64>,
    pub(super) attempt: u32,
    /// How often it came to this agent.
    pub(super) times: u32,
}

impl Row {
    fn arrived(arrived: &Arrived, at_ms: u64) -> Self {
        Self {
            id: arrived.event,
            at_ms,
            source: arrived.source.to_string(),
            method: text::shown(&arrived.method),
            path: text::shown(&arrived.path),
            name: arrived.name.as_deref().map(text::shown),
            came: Came::OnItsWay,
            app: None,
            body_bytes: arrived.body_bytes,
            attempt: arrived.attempt,
            times: 1,
        }
    }

    /// As the server lists it; its clock is ahead of ours by so much.
    fn recorded(event: &Value, clock_skew_ms: i64) -> Option<Self> {
        let id = records::id_of(event)?;
        let received_ms = records::moment(event, "received_at").unwrap_or(id.unix_ms());
        let status = records::number(event, "status").and_then(|status| u16::try_from(status).ok());
        let word = |key| text::shown(records::text(event, key).unwrap_or("-"));
        let outcome = records::text(event, "outcome").filter(|outcome| *outcome != "answered");
        let came = match (status, outcome) {
            (Some(status), None) => Came::Answered(status),
            (status, outcome) => Came::Recorded(status, outcome.map(text::shown)),
        };
        // As the app sees it, like what arrives here.
        let path = records::text(event, "path").unwrap_or("-");
        let rest = &path[mount(path.as_bytes(), records::text(event, "source"))..];
        let slash = if rest.starts_with(['/', '-']) { "" } else { "/" };
        Some(Self {
            id,
            at_ms: received_ms.saturating_add_signed(-clock_skew_ms),
            source: word("source"),
            method: word("method"),
            path: text::shown(&format!("{slash}{rest}")),
            name: records::text(event, "name").map(text::shown),
            came,
            app: records::number(event, "app_us").filter(|us| *us > 0).map(Duration::from_micros),
            body_bytes: records::number(event, "body_bytes"),
            attempt: 1,
            times: 0,
        })
    }

    /// What it is called: the provider's name, else its request.
    pub(super) fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("{} {}", self.method, self.path))
    }

    /// What came of it, in a word or two.
    pub(super) fn result(&self) -> String {
        match &self.came {
            Came::OnItsWay => "on its way".to_owned(),
            Came::Answered(status) => status.to_string(),
            Came::Nothing(_) => "no answer".to_owned(),
            Came::Recorded(Some(status), Some(outcome)) => format!("{status} {outcome}"),
            Came::Recorded(Some(status), None) => status.to_string(),
            Came::Recorded(None, outcome) => outcome.clone().unwrap_or_else(|| "-".to_owned()),
        }
    }

    /// Whether it has all these words somewhere; `words` is lower-case.
    fn matches(&self, words: &str) -> bool {
        let why = if let Came::Nothing(why) = &self.came { why.as_str() } else { "" };
        let name = self.name.as_deref().unwrap_or("");
        let (id, result) = (self.id.to_string(), self.result());
        let all = [name, &self.method, &self.path, &self.source, &result, why, &id].join(" ").to_lowercase();
        words.split_whitespace().all(|word| all.contains(word))
    }
}

/// Where a row stands: by time, and by id within a millisecond.
pub(super) type Place = (u64, EventId);

/// The list.
#[derive(Debug, Default)]
pub(super) struct Rows {
    by_place: BTreeMap<Place, Row>,
    places: HashMap<EventId, Place>,
    /// Words to look for; lower-case.
    filter: String,
}

impl Rows {
    /// How many there are, shown or not.
    pub(super) fn len(&self) -> usize {
        self.by_place.len()
    }

    pub(super) fn get(&self, id: EventId) -> Option<&Row> {
        self.by_place.get(self.places.get(&id)?)
    }

    fn put(&mut self, row: Row) {
        let place = (row.at_ms, row.id);
        if let Some(before) = self.places.insert(row.id, place) {
            self.by_place.remove(&before);
        }
        self.by_place.insert(place, row);
        if self.by_place.len() > ROWS_MAX
            && let Some(((_, id), _)) = self.by_place.pop_first()
        {
            self.places.remove(&id);
        }
    }

    /// One is on its way to the app; one that was here before comes again.
    pub(super) fn arrived(&mut self, arrived: &Arrived, now_ms: u64) {
        let times = self.get(arrived.event).map_or(0, |row| row.times);
        self.put(Row { times: times + 1, ..Row::arrived(arrived, now_ms) });
    }

    /// How it ended.
    pub(super) fn answered(&mut self, answered: &Answered) {
        let place = self.places.get(&answered.event);
        let Some(row) = place.and_then(|place| self.by_place.get_mut(place)) else { return };
        row.came = match &answered.result {
            Ok(status) => Came::Answered(*status),
            Err(why) => Came::Nothing(text::shown(why)),
        };
        row.app = Some(answered.app).filter(|time| !time.is_zero());
    }

    /// What the server lists; what came here is known better.
    pub(super) fn recorded(&mut self, answer: &Value, clock_skew_ms: i64) {
        for event in records::list(answer, "events") {
            let Some(row) = Row::recorded(event, clock_skew_ms) else { continue };
            if self.get(row.id).is_none_or(|known| known.times == 0) {
                self.put(row);
            }
        }
    }

    pub(super) fn filter(&self) -> &str {
        &self.filter
    }

    pub(super) fn set_filter(&mut self, words: &str) {
        self.filter = words.to_lowercase();
    }

    /// Those to be shown, newest first.
    pub(super) fn shown(&self) -> impl Iterator<Item = &Row> {
        let is_any = self.filter.trim().is_empty();
        self.by_place.values().rev().filter(move |row| is_any || row.matches(&self.filter))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arrived(n: u64, path: &str) -> Arrived {
        Arrived {
            event: EventId(u128::from(n)),
            attempt: 1,
            source: "hook".parse().unwrap(),
            method: "POST".to_owned(),
            path: path.to_owned(),
            name: None,
            body_bytes: None,
            unchecked: None,
        }
    }

    fn paths(rows: &Rows) -> Vec<&str> {
        rows.shown().map(|row| row.path.as_str()).collect()
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_go_first() {
        let mut rows = Rows::default();
        for n in 0..ROWS_MAX as u64 + 10 {
            rows.arrived(&arrived(n, "/x"), n);
        }
        assert_eq!((rows.len(), rows.places.len()), (ROWS_MAX, ROWS_MAX));
        assert!(rows.get(EventId(9)).is_none() && rows.get(EventId(10)).is_some());
    }

    #[test]
    fn an_event_that_comes_again_is_one_row_at_the_top() {
        let mut rows = Rows::default();
        rows.arrived(&arrived(1, "/a"), 1);
        rows.arrived(&arrived(2, "/b"), 2);
        rows.arrived(&arrived(1, "/a"), 3);
        assert_eq!(paths(&rows), ["/a", "/b"]);
        assert_eq!(rows.get(EventId(1)).unwrap().times, 2);
    }

    #[test]
    fn what_came_here_is_known_better_than_what_the_server_lists() {
        let mut rows = Rows::default();
        let mut seen = arrived(7, "/seen");
        seen.event = "evt_1m80zd95t00001dmr98s33qz0a".parse().unwrap();
        rows.arrived(&seen, 5_000);
        let listed = json!({ "events": [
            { "id": seen.event.to_string(), "path": "/h/hook/seen", "status": 200 },
            { "id": "evt_1m80zd95t00001dmr98s33qz0b", "received_at": "1970-01-01T00:00:04Z", "source": "hook",
              "method": "POST", "path": "/h/hook/\u{1b}[2J", "status": 202, "outcome": "accepted", "body_bytes": 3 },
            { "id": "odd" }, 3,
        ] });
        rows.recorded(&listed, 1_000);
        assert_eq!(paths(&rows), ["/seen", "/\\u{1b}[2J"]);
        let old = rows.shown().last().unwrap();
        assert_eq!((old.at_ms, old.result().as_str(), old.times), (3_000, "202 accepted", 0));
    }

    #[test]
    fn a_filter_wants_every_word_somewhere() {
        let mut rows = Rows::default();
        rows.arrived(&arrived(1, "/Orders/paid"), 1);
        rows.arrived(&arrived(2, "/orders/new"), 2);
        let failed = |n: u128| Answered {
            event: EventId(n),
            source: "hook".parse().unwrap(),
            result: Err("nothing listens".to_owned()),
            app: Duration::ZERO,
            tunnel: Duration::ZERO,
        };
        rows.answered(&failed(2));
        rows.answered(&failed(99));
        for (words, expected) in [
            ("orders", &["/orders/new", "/Orders/paid"][..]),
            ("post PAID", &["/Orders/paid"]),
            ("no answer", &["/orders/new"]),
            ("listens", &["/orders/new"]),
            ("  ", &["/orders/new", "/Orders/paid"]),
            ("nowhere", &[]),
        ] {
            rows.set_filter(words);
            assert_eq!(paths(&rows), expected, "{words}");
        }
    }
}
