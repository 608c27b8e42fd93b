//! Pictures as text files beside this one, compared exactly. `RELAY_BLESS=1` writes them anew: look at what changed.

use std::fs;
use std::path::Path;
use std::time::Duration;

use jiff::tz::TimeZone;
use protocol::id::{DestinationName, EventId, SessionId};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;
use relay_agent::{AgentEvent, Answered, Arrived, LinkState, Route};
use serde_json::json;

use super::super::message::{Ask, Message, Reply};
use super::super::state::{Setup, State};
use super::*;

const PLAIN: Look = Look { is_coloured: false, is_unicode: true };
const START_MS: u64 = 1_772_370_185_000;
const SIZES: [(u16, u16); 4] = [(120, 24), (80, 20), (50, 16), (50, 10)];

fn picture(state: &mut State, look: Look) -> String {
    let (columns, lines) = state.size;
    let mut terminal = Terminal::new(TestBackend::new(columns, lines)).unwrap();
    let mut drawn = Drawn::default();
    terminal.draw(|frame| drawn = draw(frame, state, look)).unwrap();
    state.settle(drawn);
    let buffer = terminal.backend().buffer();
    let mut text = String::new();
    for line in 0..lines {
        let mut skip = 0;
        let mut shown = String::new();
        for column in 0..columns {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            let symbol = buffer[(column, line)].symbol();
            assert!(!symbol.chars().any(char::is_control), "{symbol:?} in line {line}");
            skip = text::columns(symbol).saturating_sub(1);
            shown.push_str(symbol);
        }
        text.push_str(shown.trim_end());
        text.push('\n');
    }
    text
}

/// Compares with the file of that name, or writes it.
#[expect(clippy::disallowed_methods, reason = "a test asks how it was started")]
fn same(name: &str, shown: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/screen/draw/pictures").join(name);
    if std::env::var_os("RELAY_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, shown).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == shown, "{name} is other than {}:\n{shown}", path.display());
}

fn setup(sources: &[&str]) -> Setup {
    let route = |name: &&str| Route::new(name.parse().unwrap(), "3000".parse().unwrap());
    Setup {
        server: "relay.example:4433".to_owned(),
        routes: sources.iter().map(route).collect(),
        zone: TimeZone::UTC,
        inspector: None,
    }
}

fn happened(state: &mut State, events: Vec<AgentEvent>, after_ms: u64) {
    let mut counts = state.counts;
    for event in &events {
        match event {
            AgentEvent::Arrived(_) => counts.arrived += 1,
            AgentEvent::Answered(answered) => {
                counts.answered += 1;
                counts.failed += u64::from(!matches!(answered.result, Ok(0..400)));
            }
            _ => {}
        }
    }
    let now_ms = state.now_ms + after_ms;
    state.update(Message::Happened(events, counts), now_ms);
}

fn served(state: &mut State, source: &str) {
    let served = AgentEvent::Served {
        source: source.parse().unwrap(),
        destination: DestinationName::default(),
        result: Ok(format!("https://relay.example/h/{source}")),
        waiting: None,
    };
    happened(state, vec![served], 0);
}

fn live(sources: &[&str], size: (u16, u16)) -> State {
    let mut state = State::new(setup(sources), size, START_MS);
    let link = LinkState::Live {
        session: SessionId(1),
        rtt: Duration::from_millis(12),
        server: "relay-server 0.1.0".to_owned(),
        clock_skew_ms: 0,
    };
    happened(&mut state, vec![AgentEvent::Link(link)], 0);
    sources.iter().for_each(|source| served(&mut state, source));
    state
}

fn event(
    state: &mut State,
    n: u128,
    source: &str,
    name: Option<&str>,
    path: &str,
    result: Option<Result<u16, &str>>,
) {
    let arrived = AgentEvent::Arrived(Arrived {
        event: EventId(n),
        attempt: 1,
        source: source.parse().unwrap(),
        method: "POST".to_owned(),
        path: path.to_owned(),
        name: name.map(str::to_owned),
        body_bytes: Some(u64::try_from(n).unwrap() * 700),
        unchecked: None,
    });
    happened(state, vec![arrived], 1_000);
    if let Some(result) = result {
        let answered = AgentEvent::Answered(Answered {
            event: EventId(n),
            source: source.parse().unwrap(),
            app: if result.is_ok() { Duration::from_millis(12) } else { Duration::ZERO },
            result: result.map_err(str::to_owned),
            tunnel: Duration::from_millis(3),
        });
        happened(state, vec![answered], 12);
    }
}

fn busy(size: (u16, u16)) -> State {
    let mut state = live(&["github", "stripe"], size);
    event(&mut state, 1, "github", Some("push"), "/hooks", Some(Ok(200)));
    event(&mut state, 2, "stripe", Some("invoice.paid"), "/", Some(Ok(302)));
    event(&mut state, 3, "github", None, "/hooks/日本語?x=\u{1b}[2J\u{202e}\t", Some(Ok(404)));
    event(
        &mut state,
        4,
        "github",
        Some("pull_request.opened"),
        "/hooks",
        Some(Err("the app closed the connection")),
    );
    event(&mut state, 1, "github", Some("push"), "/hooks", Some(Ok(200)));
    event(
        &mut state,
        5,
        "stripe",
        Some("charge.failed"),
        "/a/rather/long/path/that/has/no/room/everywhere",
        None,
    );
    state
}

fn press(state: &mut State, keys: &str) {
    for key in keys.chars() {
        let code = if key == '\n' { KeyCode::Enter } else { KeyCode::Char(key) };
        let now_ms = state.now_ms;
        state.update(Message::Key(KeyEvent::new(code, KeyModifiers::NONE)), now_ms);
    }
}

fn detail(size: (u16, u16)) -> State {
    let mut state = busy(size);
    press(&mut state, "j\n");
    let id = state.current().unwrap().id;
    let event = json!({
        "id": id.to_string(), "source": "github", "received_at": "2026-03-01T13:03:05.120Z", "method": "POST",
        "path": "/h/github", "name": "push", "status": 200, "outcome": "answered", "head_us": 41_000,
        "app_us": 12_000, "remote": "192.0.2.1", "signature": "verified",
        "headers": [["Host", "relay.example"], ["Content-Type", "application/json"],
            ["X-Hub-Signature-256", "sha256=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"],
            ["X-Odd", "\u{1b}]0;owned\u{7}"]],
        "body": { "text": "{\"ref\":\"refs/heads/main\",\"commits\":[{\"id\":1,\"message\":\"caf\u{e9} \u{202e}\"}]}", "total_bytes": 73 },
        "answer": { "status": 200, "headers": [["Content-Type", "text/plain"]],
            "body": { "text": "thanks\n\tbye\n", "total_bytes": 12 } },
        "deliveries": [{ "id": "evt_1.1", "destination": "default", "state": "delivered", "is_replay": true,
            "ended_at": "2026-03-01T13:03:09Z", "attempts": [
                { "no": 1, "started_at": "2026-03-01T13:03:07Z", "outcome": "not_sent", "status": 0,
                  "reason": "app_refused", "total_us": 900 },
                { "no": 2, "started_at": "2026-03-01T13:03:09Z", "outcome": "answered", "status": 200, "total_us": 41_000 }] }],
    });
    let now_ms = state.now_ms + 1_000;
    state.update(Message::Called(Ask::Detail(id), Ok(Reply::Object(event))), now_ms);
    state
}

fn pictures(name: &str, make: impl Fn((u16, u16)) -> State) {
    for (columns, lines) in SIZES {
        let shown = picture(&mut make((columns, lines)), PLAIN);
        same(&format!("{name}-{columns}x{lines}.txt"), &shown);
    }
}

#[test]
fn empty() {
    pictures("empty", |size| live(&["github"], size));
}

#[test]
fn list() {
    pictures("list", busy);
}

#[test]
fn one_in_full() {
    pictures("detail", detail);
}

#[test]
fn beside_the_list() {
    let mut state = detail((120, 24));
    let now_ms = state.now_ms;
    state.update(Message::Key(KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE)), now_ms);
    same("beside-120x24.txt", &picture(&mut state, PLAIN));
}

#[test]
fn down() {
    pictures("down", |size| {
        let mut state = busy(size);
        let link =
            |reason: &str| LinkState::Down { reason: reason.to_owned(), next_try: Duration::from_secs(11) };
        happened(&mut state, vec![AgentEvent::Link(link("timed out: nothing was heard for 15 s"))], 1_000);
        state.tick(state.now_ms + 8_000);
        state
    });
}

#[test]
fn target_missing() {
    pictures("missing", |size| {
        let mut state = live(&["github"], size);
        let found = "nothing listens on localhost:3000; something listens on port 3001. Is the app running, on this port?";
        event(&mut state, 1, "github", Some("push"), "/hooks", Some(Err(found)));
        let now_ms = state.now_ms + 1_000;
        state.update(Message::Target(0, Some(found.to_owned())), now_ms);
        state
    });
}

#[test]
fn backlog() {
    pictures("backlog", |size| {
        let mut state = live(&["github"], size);
        let question = "12 events waited for github. Deliver [a]ll, only the [l]atest, [n]one?";
        let now_ms = state.now_ms + 1_000;
        state.update(Message::Question(Some(question.to_owned())), now_ms);
        state
    });
}

#[test]
fn help() {
    pictures("help", |size| {
        let mut state = busy(size);
        press(&mut state, "?");
        state
    });
}

#[test]
fn filter() {
    pictures("filter", |size| {
        let mut state = busy(size);
        press(&mut state, "/push");
        state
    });
}

#[test]
fn an_edited_copy() {
    let mut state = busy((80, 20));
    let fixture = relay_agent::fixture::Fixture {
        id: None,
        source: Some("github".to_owned()),
        received_ms: None,
        name: None,
        status: None,
        method: "POST".to_owned(),
        target: b"/h/github".to_vec(),
        mount: 9,
        headers: Default::default(),
        body: b"{\n  \"ref\": \"main\",\n  \"forced\": false\n}".to_vec().into(),
    };
    let id = state.current().unwrap().id;
    let exact = Reply::Exact(Box::new(fixture));
    let ask = Ask::Exact(id, super::super::message::Purpose::Edit);
    let now_ms = state.now_ms;
    state.update(Message::Called(ask, Ok(exact)), now_ms);
    let edited = "POST /h/github\nX-Debug: 1\n\n{\n  \"ref\": \"main\",\n  \"forced\": true\n}";
    state.update(Message::Edited(Ok(edited.to_owned())), now_ms);
    same("confirm-80x20.txt", &picture(&mut state, PLAIN));
}

#[test]
fn a_terminal_of_ascii_alone_gets_ascii_alone() {
    let shown = picture(&mut busy((80, 20)), Look { is_unicode: false, ..PLAIN });
    assert!(shown.is_ascii(), "{shown}");
    same("ascii-80x20.txt", &shown);
}

#[test]
fn every_size_is_drawn() {
    for columns in [1, 7, 35, 36, 40, 49, 75, 76, 109, 110, 300] {
        for lines in [1, 7, 8, 9, 12, 60] {
            for make in [busy, detail, |size| live(&["a", "b", "c", "d", "e", "f"], size)] {
                let shown = picture(&mut make((columns, lines)), PLAIN);
                assert_eq!(shown.lines().count(), usize::from(lines));
            }
        }
    }
    let small = picture(&mut busy((30, 6)), PLAIN);
    assert!(small.starts_with("The window is too small: 36"), "{small}");
}

#[test]
fn colours_only_repeat_what_the_words_say() {
    let colours = |look: Look| {
        let mut terminal = Terminal::new(TestBackend::new(80, 20)).unwrap();
        let state = busy((80, 20));
        terminal
            .draw(|frame| {
                draw(frame, &state, look);
            })
            .unwrap();
        let cells = terminal.backend().buffer().content.iter();
        cells.filter(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset).count()
    };
    assert_eq!(colours(PLAIN), 0);
    assert!(colours(Look { is_coloured: true, ..PLAIN }) > 0);
}
