//! What becomes of the state when something happens. No terminal, no clock, no waiting: table tests below.

use protocol::id::{EventId, Slug};
use relay_agent::{AgentEvent, Answered, LinkState};
use serde_json::{Value, json};

use super::super::records;
use super::detail::Detail;
use super::draft::Draft;
use super::message::{Ask, Effect, Message, Purpose, Refusal, Reply};
use super::rows::Came;
use super::state::{LinkSeen, Load, Opened, Over, Question, State};
use super::{curl, keys, text};
use crate::output::{live, unit};

/// A pause in running through the list after which an event is asked for.
const REST_MS: u64 = 120;

/// An event is on record a moment after its answer: when to ask (again), and how often.
const RECORDED_MS: u64 = 300;
const RECORDED_TRIES: u32 = 10;

/// Replays whose answers are awaited at the same time.
const REPLAYED_MAX: usize = 32;

impl State {
    /// Takes in what happened at `now_ms`.
    pub(super) fn update(&mut self, message: Message, now_ms: u64) -> Vec<Effect> {
        self.now_ms = now_ms;
        let mut effects = match message {
            Message::Happened(events, counts) => {
                self.counts = counts;
                events.iter().flat_map(|event| self.happened(event)).collect()
            }
            Message::Skipped(count) => {
                self.skipped += count;
                self.complain(format!(
                    "the terminal stood still: {count} changes were not shown; the list is read again"
                ));
                self.histories()
            }
            Message::Pulse { rtt, heard } => {
                if let (LinkSeen::Live { .. }, Some(rtt), Some(heard)) = (&self.link, rtt, heard) {
                    let heard = u64::try_from(heard.as_millis()).unwrap_or(u64::MAX);
                    self.link = LinkSeen::Live { rtt, heard_ms: now_ms.saturating_sub(heard) };
                }
                vec![]
            }
            Message::Target(at, found) => {
                if let Some(lane) = self.lanes.get_mut(at) {
                    lane.missing = found;
                }
                vec![]
            }
            Message::Inspector(addr) => {
                self.setup.inspector = Some(addr);
                vec![]
            }
            Message::Told(text) => {
                self.say(text::value(&text));
                vec![]
            }
            Message::Question(open) => {
                self.question = open.map(|text| Question { text, since_ms: now_ms });
                vec![]
            }
            Message::Called(ask, result) => self.called(&ask, result),
            Message::Stopping => {
                self.is_stopping = true;
                vec![]
            }
            Message::Leave => vec![Effect::Leave],
            Message::Key(key) => keys::press(self, key),
            Message::Paste(text) => {
                keys::paste(self, &text);
                vec![]
            }
            Message::Size(columns, lines) => {
                self.size = (columns, lines);
                vec![]
            }
            Message::Edited(result) => self.edited(result),
            Message::Gone => vec![Effect::Wish(super::message::Wish::Gone), Effect::Leave],
        };
        effects.extend(self.tick(now_ms));
        effects
    }

    /// What is due by now.
    pub(super) fn tick(&mut self, now_ms: u64) -> Option<Effect> {
        self.now_ms = now_ms;
        self.status.take_if(|status| status.until_ms <= now_ms);
        let wanted = (self.is_full || self.is_split()).then(|| self.current().map(|row| row.id)).flatten();
        let Some(id) = wanted else {
            self.opened = None;
            return None;
        };
        let is_on_its_way = self.rows.get(id).is_some_and(|row| row.came == Came::OnItsWay);
        if self.opened.as_ref().is_none_or(|opened| opened.id != id) {
            let rest = if self.is_full { 0 } else { REST_MS };
            let load = Load::Due(now_ms + rest);
            self.opened = Some(Opened { id, load, tries: 0, known: None, why_not: None, scroll: [0, 0] });
        }
        let opened = self.opened.as_mut()?;
        match opened.load {
            // The server records an event when it is answered.
            Load::Due(at_ms) if at_ms <= now_ms && !is_on_its_way => {
                opened.load = Load::Asked;
                opened.tries += 1;
                Some(Ask::Detail(id).into())
            }
            _ => None,
        }
    }

    /// When something is due without anything happening.
    pub(super) fn due_ms(&self) -> Option<u64> {
        let load = self.opened.as_ref().and_then(|opened| match opened.load {
            Load::Due(at_ms) => Some(at_ms.max(self.now_ms + 1)),
            Load::Asked | Load::Done => None,
        });
        load.into_iter().chain(self.status.as_ref().map(|status| status.until_ms)).min()
    }

    fn happened(&mut self, event: &AgentEvent) -> Vec<Effect> {
        match event {
            AgentEvent::Link(link) => return self.linked(link),
            AgentEvent::Served { source, destination, result, .. } => {
                let of = |lane: &&mut super::state::Lane| {
                    lane.source == *source && lane.destination == *destination
                };
                if let Some(lane) = self.lanes.iter_mut().find(of) {
                    let result = result.as_ref().map(|url| text::value(url));
                    lane.url = Some(result.map_err(|error| text::value(&error.to_string())));
                }
            }
            AgentEvent::Arrived(arrived) => self.rows.arrived(arrived, self.now_ms),
            AgentEvent::Answered(answered) => self.answered(answered),
            AgentEvent::Notice(notice) => self.say(format!("note: {}", text::shown(notice))),
        }
        vec![]
    }

    fn linked(&mut self, link: &LinkState) -> Vec<Effect> {
        let now_ms = self.now_ms;
        match link {
            LinkState::Connecting { .. } => {
                if let LinkSeen::Down { next_ms, .. } = &mut self.link {
                    *next_ms = None;
                } else {
                    self.link = LinkSeen::Connecting { since_ms: now_ms };
                }
                vec![]
            }
            LinkState::Live { rtt, clock_skew_ms, .. } => {
                if let LinkSeen::Down { since_ms, .. } = self.link {
                    let time = std::time::Duration::from_millis(now_ms.saturating_sub(since_ms));
                    self.say(format!("live again after {}", unit::duration(time)));
                }
                self.link = LinkSeen::Live { rtt: *rtt, heard_ms: now_ms };
                self.clock_skew_ms = *clock_skew_ms;
                if let Some(text) = live::clock_skew(*clock_skew_ms) {
                    self.complain(text);
                }
                self.histories()
            }
            LinkState::Down { reason, next_try } => {
                let since_ms =
                    if let LinkSeen::Down { since_ms, .. } = self.link { since_ms } else { now_ms };
                let wait_ms = u64::try_from(next_try.as_millis()).unwrap_or(u64::MAX);
                let next_ms = Some(now_ms.saturating_add(wait_ms));
                self.link = LinkSeen::Down { since_ms, reason: text::shown(reason), next_ms };
                vec![]
            }
            // Said on the normal screen, with what to try next, when the program ends.
            LinkState::Ended(_) => vec![],
        }
    }

    /// What is asked for whenever the link is new.
    fn histories(&self) -> Vec<Effect> {
        let mut sources: Vec<_> = self.lanes.iter().map(|lane| lane.source.clone()).collect();
        sources.dedup();
        let of = |source: Slug| [Effect::from(Ask::History(source.clone())), Ask::Rules(source).into()];
        sources.into_iter().flat_map(of).collect()
    }

    fn answered(&mut self, answered: &Answered) {
        self.rows.answered(answered);
        let id = answered.event;
        if let Some(opened) = self.opened.as_mut().filter(|opened| opened.id == id) {
            opened.load = Load::Due(self.now_ms + RECORDED_MS);
            opened.tries = 0;
        }
        if let Some(at) = self.replayed.iter().position(|replayed| *replayed == id) {
            self.replayed.swap_remove(at);
            let label = self.rows.get(id).map_or_else(|| id.to_string(), super::rows::Row::label);
            match &answered.result {
                Ok(status) => {
                    self.say(format!("replay of {label}: {status}, app {}", unit::duration(answered.app)));
                }
                Err(why) => self.complain(format!("replay of {label}: no answer: {}", text::shown(why))),
            }
        }
    }

    fn called(&mut self, ask: &Ask, result: Result<Reply, Refusal>) -> Vec<Effect> {
        match (ask, result) {
            (Ask::Detail(id), result) => self.detailed(*id, result),
            (Ask::Exact(id, purpose), Ok(Reply::Exact(fixture))) => {
                let draft = || Draft::new((*fixture).clone());
                let command = || {
                    let lane = self
                        .lanes
                        .iter()
                        .find(|lane| Some(lane.source.as_str()) == fixture.source.as_deref());
                    lane.or(self.lanes.first()).map(|lane| curl::command(&fixture, &lane.target))
                };
                match purpose {
                    Purpose::Edit => {
                        let draft = draft();
                        self.drafted = Some((*id, draft.clone()));
                        vec![Effect::Edit(Box::new(draft))]
                    }
                    Purpose::Copy => {
                        let command = command();
                        self.say("copied as curl where the terminal lets it (OSC 52); C shows the command");
                        command.map(Effect::Copy).into_iter().collect()
                    }
                    Purpose::Show => command().map(Effect::Show).into_iter().collect(),
                }
            }
            (_, Ok(Reply::Exact(_))) => vec![],
            (Ask::History(_), Ok(Reply::Object(answer))) => {
                self.rows.recorded(&answer, self.clock_skew_ms);
                vec![]
            }
            (Ask::Rules(source) | Ask::Hold(source, _), Ok(Reply::Object(answer))) => {
                let held = answer.get("rules").and_then(|rules| rules.get("hold")).and_then(Value::as_bool);
                for lane in self.lanes.iter_mut().filter(|lane| lane.source == *source) {
                    lane.is_held = held;
                }
                if let Ask::Hold(source, wanted) = ask {
                    match (held, wanted) {
                        (None, _) => self.complain("this server cannot hold events"),
                        (Some(true), _) => {
                            self.say(format!("{source} is held: n lets the next one go, p all"));
                        }
                        (Some(false), _) => {
                            self.say(format!("{source} is not held: events pass as they come"));
                        }
                    }
                }
                vec![]
            }
            (Ask::Replay(..), Ok(Reply::Object(answer))) => {
                self.made(&answer, "replayed");
                vec![]
            }
            (Ask::Test(source), Ok(Reply::Object(answer))) => {
                let event = records::text(&answer, "event").or(records::text(&answer, "id")).unwrap_or("");
                self.say(format!("test event sent to {source}  {}", text::shown(event)));
                vec![]
            }
            (Ask::Next(source), Ok(Reply::Object(answer))) => {
                match records::text(&answer, "id") {
                    Some(id) => self.say(format!("let go: {}", text::shown(id))),
                    None => self.say(format!("nothing is held for {source}")),
                }
                vec![]
            }
            // An old server says nothing of rules it lacks; a history that cannot be had is no reason to complain.
            (Ask::Rules(_), Err(_)) => vec![],
            (ask, Err(refusal)) => {
                let text = match (ask, refusal.is_unknown) {
                    (Ask::Test(_), true) => self.no_tests(),
                    (Ask::Next(_), true) => "this server cannot let held events go one by one".to_owned(),
                    (Ask::Hold(..), true) => "this server cannot hold events".to_owned(),
                    _ => text::value(&refusal.text),
                };
                let what = match ask {
                    Ask::History(_) => "earlier events cannot be listed: ",
                    Ask::Replay(..) => "not replayed: ",
                    _ => "",
                };
                self.complain(format!("{what}{text}"));
                vec![]
            }
            (Ask::Exact(..), Ok(Reply::Object(_))) => vec![],
        }
    }

    fn no_tests(&self) -> String {
        let url = self.current_lane().and_then(|lane| lane.url.as_ref()?.as_ref().ok());
        let url = url.map_or_else(String::new, |url| {
            format!("; from a shell: curl -d '{{\"hello\":\"world\"}}' {url}")
        });
        format!("this server has no test events{url}")
    }

    fn made(&mut self, answer: &Value, what: &str) {
        let delivery = text::shown(records::text(answer, "delivery").unwrap_or("-"));
        self.say(format!("{what}: delivery {delivery}"));
        if let Some(event) = records::text(answer, "event").and_then(|id| id.parse().ok())
            && self.replayed.len() < REPLAYED_MAX
        {
            self.replayed.push(event);
        }
    }

    fn detailed(&mut self, id: EventId, result: Result<Reply, Refusal>) -> Vec<Effect> {
        let (now_ms, zone) = (self.now_ms, self.setup.zone.clone());
        let Some(opened) = self.opened.as_mut().filter(|opened| opened.id == id) else { return vec![] };
        // What was answered meanwhile is asked for again.
        if opened.load == Load::Asked {
            opened.load = Load::Done;
        }
        match result {
            Ok(Reply::Object(event)) => {
                opened.known = Some(Detail::of(&event, &zone));
                opened.why_not = None;
            }
            Ok(Reply::Exact(_)) => {}
            Err(Refusal { status: Some(404), .. }) if opened.tries < RECORDED_TRIES => {
                opened.load = Load::Due(now_ms + RECORDED_MS);
            }
            Err(refusal) => opened.why_not = Some(text::value(&refusal.text)),
        }
        vec![]
    }

    fn edited(&mut self, result: Result<String, String>) -> Vec<Effect> {
        let Some((id, draft)) = self.drafted.take() else { return vec![] };
        match result.and_then(|text| draft.change(&text)) {
            Ok(None) => self.say("nothing was changed, nothing is sent"),
            Ok(Some(change)) => {
                self.drafted = Some((id, draft));
                self.over = Over::Confirm(id, Box::new(change));
            }
            Err(why) => self.complain(format!("nothing is sent: {}", text::value(&why))),
        }
        vec![]
    }

    /// Sends the current event again, as it was.
    pub(super) fn replay(&mut self) -> Vec<Effect> {
        let Some(id) = self.current().map(|row| row.id) else { return self.nothing_chosen() };
        self.say("replaying…");
        vec![Ask::Replay(id, json!({})).into()]
    }

    /// There is no event to do something with.
    pub(super) fn nothing_chosen(&mut self) -> Vec<Effect> {
        self.complain("no event is listed yet; t sends a test event");
        vec![]
    }
}

#[cfg(test)]
mod tests;
