//! What the screen does about what happens and about keys, as tables.

use std::time::Duration;

use jiff::tz::TimeZone;
use protocol::control::ServeError;
use protocol::id::DestinationName;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use relay_agent::{Arrived, EndReason, Route};

use super::super::message::{Counts, Wish};
use super::super::state::{Focus, Setup};
use super::*;

const START_MS: u64 = 1_772_370_185_000;

/// A screen somebody sits at.
struct Desk {
    state: State,
    now_ms: u64,
    effects: Vec<Effect>,
}

impl Desk {
    fn of(sources: &[&str], size: (u16, u16)) -> Self {
        let route = |name: &&str| Route::new(name.parse().unwrap(), "3000".parse().unwrap());
        let setup = Setup {
            server: "r.example:4433".to_owned(),
            routes: sources.iter().map(route).collect(),
            zone: TimeZone::UTC,
            inspector: None,
        };
        Self { state: State::new(setup, size, START_MS), now_ms: START_MS, effects: vec![] }
    }

    fn new() -> Self {
        Self::of(&["hook"], (80, 24))
    }

    fn tell(&mut self, message: Message) -> &mut Self {
        self.now_ms += 1;
        self.effects = self.state.update(message, self.now_ms);
        self
    }

    fn happened(&mut self, event: AgentEvent) -> &mut Self {
        self.tell(Message::Happened(vec![event], Counts::default()))
    }

    fn arrived(&mut self, n: u128) -> &mut Self {
        self.happened(AgentEvent::Arrived(Arrived {
            event: EventId(n),
            attempt: 1,
            source: self.state.lanes[0].source.clone(),
            method: "POST".to_owned(),
            path: format!("/{n}"),
            name: None,
            body_bytes: Some(3),
            unchecked: None,
        }))
    }

    fn answered(&mut self, n: u128, result: Result<u16, &str>) -> &mut Self {
        self.happened(AgentEvent::Answered(Answered {
            event: EventId(n),
            source: self.state.lanes[0].source.clone(),
            result: result.map_err(str::to_owned),
            app: Duration::from_millis(12),
            tunnel: Duration::from_millis(1),
        }))
    }

    fn press(&mut self, code: KeyCode) -> &mut Self {
        self.tell(Message::Key(KeyEvent::new(code, KeyModifiers::NONE)))
    }

    fn keys(&mut self, keys: &str) -> &mut Self {
        for key in keys.chars() {
            self.press(KeyCode::Char(key));
        }
        self
    }

    fn later(&mut self, ms: u64) -> Option<Effect> {
        self.now_ms += ms;
        self.state.tick(self.now_ms)
    }

    fn wishes(&self) -> Vec<&Wish> {
        let mut wishes = Vec::new();
        for effect in &self.effects {
            if let Effect::Wish(wish) = effect {
                wishes.push(wish);
            }
        }
        wishes
    }

    fn status(&self) -> &str {
        self.state.status.as_ref().map_or("", |status| status.text.as_str())
    }

    fn current(&self) -> u128 {
        self.state.current().map_or(0, |row| row.id.0)
    }
}

fn refused(status: u16, is_unknown: bool) -> Result<Reply, Refusal> {
    Err(Refusal { status: Some(status), is_unknown, text: "the server says: no (code)".to_owned() })
}

fn hook() -> Slug {
    "hook".parse().unwrap()
}

#[test]
fn the_newest_is_followed_until_somebody_chooses() {
    let mut desk = Desk::new();
    desk.arrived(1).arrived(2);
    assert_eq!(desk.current(), 2);
    desk.press(KeyCode::Down).arrived(3);
    assert_eq!(desk.current(), 1, "the chosen one stays chosen");
    for (key, expected) in [('g', 3), ('G', 1), ('k', 2), ('j', 1), ('j', 1)] {
        assert_eq!(desk.keys(&key.to_string()).current(), expected, "{key}");
    }
    desk.keys("g").arrived(4);
    assert_eq!(desk.current(), 4, "at the top the newest is followed again");
}

#[test]
fn the_link_is_always_in_some_state() {
    let mut desk = Desk::new();
    let down =
        |next: u64| LinkState::Down { reason: "gone\u{7}".to_owned(), next_try: Duration::from_millis(next) };
    desk.happened(AgentEvent::Link(LinkState::Connecting { attempt: 1 }));
    assert!(matches!(desk.state.link, LinkSeen::Connecting { .. }));
    desk.happened(AgentEvent::Link(down(500)));
    let since = desk.now_ms;
    desk.later(1_000);
    desk.happened(AgentEvent::Link(LinkState::Connecting { attempt: 2 }));
    assert!(matches!(desk.state.link, LinkSeen::Down { next_ms: None, .. }), "trying now");
    desk.happened(AgentEvent::Link(down(3_000)));
    let expected = LinkSeen::Down {
        since_ms: since,
        reason: "gone\\u{7}".to_owned(),
        next_ms: Some(desk.now_ms + 3_000),
    };
    assert_eq!(desk.state.link, expected, "down since the first time");
    desk.happened(AgentEvent::Link(live()));
    assert_eq!(desk.status(), "live again after 1.0 s");
    assert_eq!(desk.wishes(), [&Wish::Ask(Ask::History(hook())), &Wish::Ask(Ask::Rules(hook()))]);
    let heard = Some(Duration::from_millis(400));
    desk.tell(Message::Pulse { rtt: Some(Duration::from_millis(9)), heard });
    let expected = LinkSeen::Live { rtt: Duration::from_millis(9), heard_ms: desk.now_ms - 400 };
    assert_eq!(desk.state.link, expected);
    desk.happened(AgentEvent::Link(LinkState::Ended(EndReason::Revoked)));
    assert!(desk.effects.is_empty());
}

fn live() -> LinkState {
    LinkState::Live {
        session: protocol::id::SessionId(1),
        rtt: Duration::from_millis(12),
        server: "relay-server 0.1.0".to_owned(),
        clock_skew_ms: 0,
    }
}

#[test]
fn an_event_is_asked_for_when_it_is_looked_at_and_until_it_is_on_record() {
    let mut desk = Desk::new();
    desk.arrived(1).press(KeyCode::Enter);
    assert!(desk.state.is_full && desk.wishes().is_empty(), "it is still on its way");
    desk.answered(1, Ok(200));
    assert_eq!(desk.later(RECORDED_MS), Some(Ask::Detail(EventId(1)).into()));
    let ask = || Ask::Detail(EventId(1));
    desk.tell(Message::Called(ask(), refused(404, false)));
    assert_eq!(desk.later(1), None);
    assert_eq!(desk.later(RECORDED_MS), Some(ask().into()), "not on record yet");
    let event = json!({ "id": EventId(1).to_string(), "method": "POST", "path": "/1" });
    desk.tell(Message::Called(ask(), Ok(Reply::Object(event))));
    assert!(desk.state.opened.as_ref().unwrap().known.is_some());
    assert_eq!(desk.later(60_000), None, "asked once");
    for _ in 0..2 {
        desk.press(KeyCode::Esc);
    }
    assert!(!desk.state.is_full && desk.state.opened.is_none());
}

#[test]
fn beside_the_list_only_an_event_that_is_rested_on_is_asked_for() {
    let mut desk = Desk::of(&["hook"], (120, 30));
    for n in 1..=3 {
        desk.arrived(n).answered(n, Ok(200));
    }
    desk.keys("jj");
    assert!(desk.wishes().is_empty());
    assert_eq!(desk.later(REST_MS), Some(Ask::Detail(EventId(1)).into()));
}

#[test]
fn a_replay_tells_what_came_of_it() {
    let mut desk = Desk::new();
    desk.keys("r");
    assert!(desk.wishes().is_empty() && desk.status().starts_with("no event is listed"));
    desk.arrived(1).answered(1, Ok(500)).keys("r");
    let ask = Ask::Replay(EventId(1), json!({}));
    assert_eq!(desk.wishes(), [&Wish::Ask(ask.clone())]);
    let made = json!({ "event": EventId(1).to_string(), "delivery": "evt_x.2" });
    desk.tell(Message::Called(ask.clone(), Ok(Reply::Object(made))));
    assert_eq!(desk.status(), "replayed: delivery evt_x.2");
    desk.arrived(1).answered(1, Ok(200));
    assert_eq!(desk.status(), "replay of POST /1: 200, app 12 ms");
    desk.tell(Message::Called(ask, refused(409, false)));
    assert_eq!(desk.status(), "not replayed: the server says: no (code)");
    assert!(desk.state.status.as_ref().unwrap().is_bad);
    desk.later(60_000);
    assert_eq!(desk.status(), "", "words go by themselves");
}

#[test]
fn hold_next_and_test_are_asked_for_and_an_old_server_is_named() {
    let mut desk = Desk::new();
    let held = |is_held: bool| Ok(Reply::Object(json!({ "rules": { "hold": is_held } })));
    desk.keys("p");
    assert_eq!(desk.wishes(), [&Wish::Ask(Ask::Hold(hook(), true))]);
    desk.tell(Message::Called(Ask::Hold(hook(), true), held(true)));
    assert_eq!(desk.status(), "hook is held: n lets the next one go, p all");
    assert_eq!(desk.keys("p").wishes(), [&Wish::Ask(Ask::Hold(hook(), false))]);
    assert_eq!(desk.keys("n").wishes(), [&Wish::Ask(Ask::Next(hook()))]);
    desk.tell(Message::Called(Ask::Next(hook()), Ok(Reply::Object(json!({})))));
    assert_eq!(desk.status(), "nothing is held for hook");
    assert_eq!(desk.keys("t").wishes(), [&Wish::Ask(Ask::Test(hook()))]);
    for (ask, expected) in [
        (Ask::Test(hook()), "this server has no test events"),
        (Ask::Next(hook()), "this server cannot let held events go one by one"),
        (Ask::Hold(hook(), true), "this server cannot hold events"),
    ] {
        desk.tell(Message::Called(ask, refused(404, true)));
        assert_eq!(desk.status(), expected);
    }
    desk.tell(Message::Called(Ask::Hold(hook(), true), Ok(Reply::Object(json!({ "rules": {} })))));
    assert_eq!(desk.status(), "this server cannot hold events");
}

#[test]
fn a_filter_is_live_and_can_be_taken_back() {
    let mut desk = Desk::new();
    desk.arrived(11).arrived(22).keys("/11");
    assert_eq!((desk.current(), desk.state.rows.shown().count()), (11, 1));
    assert_eq!(desk.keys("rq").wishes(), Vec::<&Wish>::new(), "typed, not pressed");
    for _ in 0..2 {
        desk.press(KeyCode::Backspace);
    }
    desk.press(KeyCode::Enter).keys("r");
    assert_eq!(desk.wishes(), [&Wish::Ask(Ask::Replay(EventId(11), json!({})))]);
    desk.press(KeyCode::Esc);
    assert_eq!(desk.state.rows.shown().count(), 2);
    desk.keys("/x").press(KeyCode::Esc);
    assert_eq!(desk.state.rows.filter(), "", "what was there before");
    desk.tell(Message::Paste("rrr".to_owned()));
    assert!(desk.effects.is_empty() && desk.state.rows.filter().is_empty(), "pasted text is no keys");
}

#[test]
fn the_question_about_what_waited_takes_no_key_that_was_meant_for_something_else() {
    let question = || Message::Question(Some("3 events waited for hook. Deliver?".to_owned()));
    for (key, expected) in [
        (KeyCode::Char('a'), Some("all")),
        (KeyCode::Char('l'), Some("latest")),
        (KeyCode::Char('n'), Some("none")),
        (KeyCode::Esc, Some("")),
        (KeyCode::Char('x'), None),
        (KeyCode::Enter, None),
    ] {
        let mut desk = Desk::new();
        desk.tell(question()).press(key);
        assert!(desk.wishes().is_empty(), "too soon");
        desk.later(1_000);
        desk.press(key);
        let wish = expected.map(Wish::Answer);
        assert_eq!(desk.wishes(), wish.iter().collect::<Vec<_>>(), "{key:?}");
        assert_eq!(desk.state.question.is_none(), wish.is_some());
    }
    let mut desk = Desk::new();
    desk.tell(question()).tell(Message::Question(None));
    assert!(desk.state.question.is_none(), "answered elsewhere");
}

#[test]
fn an_edited_copy_is_shown_before_it_is_sent() {
    let fixture = relay_agent::fixture::Fixture {
        id: None,
        source: Some("hook".to_owned()),
        received_ms: None,
        name: None,
        status: None,
        method: "POST".to_owned(),
        target: b"/h/hook".to_vec(),
        mount: 7,
        headers: Default::default(),
        body: b"old".to_vec().into(),
    };
    let ask = |purpose| Ask::Exact(EventId(1), purpose);
    let exact = || Ok(Reply::Exact(Box::new(fixture.clone())));
    let edited = |desk: &mut Desk, text: &str| {
        desk.tell(Message::Called(ask(Purpose::Edit), exact()));
        assert!(matches!(desk.effects[..], [Effect::Edit(_)]), "{:?}", desk.effects);
        desk.tell(Message::Edited(Ok(text.to_owned())));
    };
    let mut desk = Desk::new();
    desk.arrived(1).answered(1, Ok(200)).keys("e");
    assert_eq!(desk.wishes(), [&Wish::Ask(ask(Purpose::Edit))]);
    edited(&mut desk, "POST /h/hook\n\nold");
    assert_eq!(desk.status(), "nothing was changed, nothing is sent");
    edited(&mut desk, "POST /h/hook\n\nnew");
    assert!(matches!(desk.state.over, Over::Confirm(..)) && desk.wishes().is_empty());
    assert!(matches!(desk.keys("e").effects[..], [Effect::Edit(_)]), "once more");
    edited(&mut desk, "POST /h/hook\n\nnew");
    desk.keys("y");
    let wish = json!({ "body": { "text": "new" } });
    assert_eq!(desk.wishes(), [&Wish::Ask(Ask::Replay(EventId(1), wish))]);
    edited(&mut desk, "POST /h/hook\n\nnew");
    assert!(desk.keys("n").wishes().is_empty() && desk.status() == "nothing is sent");
    edited(&mut desk, "nonsense");
    assert!(desk.status().starts_with("nothing is sent: the first line is METHOD PATH"), "{}", desk.status());
    desk.tell(Message::Called(ask(Purpose::Copy), exact()));
    let command = "curl -X POST --path-as-is http://localhost:3000/ --data-binary old";
    assert_eq!(desk.effects, [Effect::Copy(command.to_owned())]);
    desk.tell(Message::Called(ask(Purpose::Show), exact()));
    assert_eq!(desk.effects, [Effect::Show(command.to_owned())]);
}

#[test]
fn leaving_finishes_first_and_ctrl_c_is_never_refused() {
    let ctrl_c = || Message::Key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
    let mut desk = Desk::new();
    assert_eq!(desk.keys("q").wishes(), [&Wish::Stop]);
    desk.tell(Message::Stopping);
    assert!(desk.keys("q").wishes().is_empty(), "a second q is no wish to cut off");
    desk.keys("/").tell(ctrl_c());
    assert_eq!(desk.wishes(), [&Wish::Stop]);
    desk.tell(Message::Question(Some("?".to_owned()))).tell(ctrl_c());
    assert_eq!(desk.wishes(), [&Wish::Stop]);
    assert_eq!(desk.tell(Message::Leave).effects, [Effect::Leave]);
    assert_eq!(desk.tell(Message::Gone).effects, [Effect::Wish(Wish::Gone), Effect::Leave]);
}

#[test]
fn what_was_left_out_is_counted_and_the_list_is_read_again() {
    let mut desk = Desk::new();
    desk.tell(Message::Skipped(7));
    assert_eq!(desk.state.skipped, 7);
    assert!(desk.status().contains("7 changes were not shown"), "{}", desk.status());
    assert_eq!(desk.wishes().first(), Some(&&Wish::Ask(Ask::History(hook()))));
}

#[test]
fn the_browser_is_for_an_inspector_that_runs() {
    let mut desk = Desk::new();
    desk.arrived(1).keys("o");
    assert!(desk.effects.is_empty() && desk.status().starts_with("no inspector runs here"));
    desk.state.setup.inspector = Some("127.0.0.1:4040".parse().unwrap());
    let url = format!("http://127.0.0.1:4040/#/events/{}", EventId(1));
    assert_eq!(desk.keys("o").effects, [Effect::Browse(url)]);
}

#[test]
fn tab_goes_where_there_is_something() {
    let mut desk = Desk::of(&["hook"], (120, 30));
    desk.press(KeyCode::Tab);
    assert_eq!(desk.state.focus, Focus::List, "no event yet");
    desk.arrived(1);
    for expected in [Focus::Request, Focus::List] {
        assert_eq!(desk.press(KeyCode::Tab).state.focus, expected);
    }
    desk.press(KeyCode::Enter);
    for expected in [Focus::Answer, Focus::Request] {
        assert_eq!(desk.press(KeyCode::Tab).state.focus, expected);
    }
    desk.state.drawn.scroll_max = [5, 0];
    desk.keys("jjj").press(KeyCode::Tab).keys("jj");
    assert_eq!(desk.state.opened.as_ref().unwrap().scroll, [3, 0]);
}

#[test]
fn a_route_that_is_refused_says_why() {
    let mut desk = Desk::new();
    let error = ServeError { code: "taken_over".to_owned(), text: "by\u{1b}another".to_owned() };
    desk.happened(AgentEvent::Served {
        source: hook(),
        destination: DestinationName::default(),
        result: Err(error),
        waiting: None,
    });
    let url = desk.state.lanes[0].url.clone().unwrap().unwrap_err();
    assert!(url.contains("by\\u{1b}another"), "{url}");
    desk.tell(Message::Target(0, Some("nothing listens".to_owned()))).tell(Message::Target(9, None));
    assert_eq!(desk.state.lanes[0].missing.as_deref(), Some("nothing listens"));
}
