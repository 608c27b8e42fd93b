use protocol::control::ServeError;
use protocol::id::SessionId;
use relay_agent::EndReason;

use super::*;

const URL: &str = "https://relay.example.com/h/github";
/// 2026-03-01 14:03:05 UTC.
const NOW: u64 = 1_772_373_785_000;

fn route(source: &str, target: &str) -> Route {
    Route::new(source.parse().unwrap(), target.parse().unwrap())
}

fn log_of(routes: &[Route], detail: Detail) -> LiveLog {
    LiveLog::new("relay.example.com:4433".to_owned(), routes, TimeZone::UTC, detail)
}

fn log() -> LiveLog {
    log_of(&[route("github", "http://localhost:3000/hooks")], Detail::default())
}

/// The lines as a terminal without colour shows them.
fn plain(log: &mut LiveLog, event: &AgentEvent, seconds: u64) -> Vec<String> {
    let lines = log.lines(event, NOW + seconds * 1000);
    lines.iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect()
}

fn live(rtt_ms: u64, clock_skew_ms: i64) -> AgentEvent {
    let rtt = Duration::from_millis(rtt_ms);
    let server = "relay-server 0.1.0".to_owned();
    AgentEvent::Link(LinkState::Live { session: SessionId(1), rtt, server, clock_skew_ms })
}

fn down(reason: &str, next_try_ms: u64) -> AgentEvent {
    let next_try = Duration::from_millis(next_try_ms);
    AgentEvent::Link(LinkState::Down { reason: reason.to_owned(), next_try })
}

fn arrived(name: Option<&str>) -> AgentEvent {
    AgentEvent::Arrived(Arrived {
        unchecked: None,
        event: EventId(7),
        attempt: 1,
        source: "github".parse().unwrap(),
        method: "POST".to_owned(),
        path: "/hooks".to_owned(),
        name: name.map(str::to_owned),
        body_bytes: Some(1229),
    })
}

fn answered(result: Result<u16, &str>) -> AgentEvent {
    AgentEvent::Answered(Answered {
        event: EventId(7),
        source: "github".parse().unwrap(),
        result: result.map_err(str::to_owned),
        app: Duration::from_millis(12),
        tunnel: Duration::from_millis(41),
    })
}

fn served(result: Result<&str, &str>) -> AgentEvent {
    let error = |text: &str| ServeError { code: "scope_refused".to_owned(), text: text.to_owned() };
    AgentEvent::Served {
        source: "github".parse().unwrap(),
        destination: Default::default(),
        result: result.map(str::to_owned).map_err(error),
        waiting: None,
    }
}

#[test]
fn an_event_is_two_facts() {
    let mut log = log();
    assert_eq!(plain(&mut log, &arrived(Some("push")), 0), ["14:03:05  →  push  POST /hooks  1.2 KiB"]);
    assert_eq!(plain(&mut log, &answered(Ok(200)), 0), ["14:03:05  ←  200  push  app 12 ms  tunnel 41 ms"]);
}

#[test]
fn an_event_without_a_name_goes_by_its_request() {
    let mut log = log();
    assert_eq!(plain(&mut log, &arrived(None), 0), ["14:03:05  →  POST /hooks  1.2 KiB"]);
    assert_eq!(
        plain(&mut log, &answered(Ok(204)), 1),
        ["14:03:06  ←  204  POST /hooks  app 12 ms  tunnel 41 ms"]
    );
}

#[test]
fn a_failure_says_why_and_which_event() {
    let mut log = log();
    let id = EventId(7);
    plain(&mut log, &arrived(Some("push")), 0);
    assert_eq!(
        plain(&mut log, &answered(Err("nothing listens on 127.0.0.1:3000")), 0),
        [format!("14:03:05  ✗  push  no answer: nothing listens on 127.0.0.1:3000  {id}")],
    );
    plain(&mut log, &arrived(Some("push")), 0);
    assert_eq!(
        plain(&mut log, &answered(Ok(500)), 0),
        [format!("14:03:05  ←  500  push  app 12 ms  tunnel 41 ms  {id}")],
    );
    assert_eq!(
        plain(&mut log, &answered(Ok(500)), 0),
        [format!("14:03:05  ←  500  {id}  app 12 ms  tunnel 41 ms")],
        "an answer whose arrival was not seen goes by its id, once",
    );
}

#[test]
fn an_app_that_stays_down_is_described_once() {
    let mut log = log();
    let mut fail = |text: Result<u16, &str>| plain(&mut log, &answered(text), 0).remove(0);
    let down = Err("nothing listens on 127.0.0.1:3000");
    assert!(fail(down).contains("nothing listens"));
    assert!(fail(down).contains("no answer: as before"));
    fail(Ok(200));
    assert!(fail(down).contains("nothing listens"));
}

#[test]
fn several_sources_are_told_apart() {
    let routes = [route("github", "http://localhost:3000"), route("stripe", "http://localhost:4000")];
    let mut log = log_of(&routes, Detail::default());
    assert_eq!(
        plain(&mut log, &arrived(Some("push")), 0),
        ["14:03:05  →  github  push  POST /hooks  1.2 KiB"]
    );
    let line = &plain(&mut log, &answered(Ok(200)), 0)[0];
    assert_eq!(line, "14:03:05  ←  200  github  push  app 12 ms  tunnel 41 ms");
}

#[test]
fn the_header_is_shown_once_and_again_only_when_it_changes() {
    let mut log = log();
    let first = plain(&mut log, &served(Ok(URL)), 0);
    assert_eq!(
        first,
        [
            "",
            "source  github",
            "URL     https://relay.example.com/h/github",
            "target  http://localhost:3000/hooks",
            "try     curl -d '{\"hello\":\"world\"}' https://relay.example.com/h/github",
            "stop    Ctrl-C; requests in flight are finished first",
            "",
        ]
    );
    assert!(plain(&mut log, &served(Ok(URL)), 1).is_empty(), "a reconnect does not repeat it");
    let moved = plain(&mut log, &served(Ok("https://other.example.com/h/github")), 2);
    assert_eq!(moved[1], "The URL of github changed; it was https://relay.example.com/h/github");
    let lost = plain(&mut log, &served(Err("this token may not serve github")), 3);
    assert_eq!(lost, ["14:03:08  not served  github: this token may not serve github"]);
}

#[test]
fn the_link_is_said_by_presence() {
    let mut log = log();
    let connecting = |attempt| AgentEvent::Link(LinkState::Connecting { attempt });
    assert_eq!(plain(&mut log, &connecting(1), 0), ["14:03:05  connecting to relay.example.com:4433…"]);
    assert_eq!(
        plain(&mut log, &live(23, 0), 0),
        ["14:03:05  live  relay.example.com:4433  rtt 23 ms  relay-server 0.1.0"]
    );
    assert_eq!(
        plain(&mut log, &down("no answer", 2400), 1),
        ["14:03:06  down since 14:03:06: no answer; next try in 2.4 s"]
    );
    assert!(plain(&mut log, &connecting(2), 3).is_empty());
    assert_eq!(
        plain(&mut log, &down("no answer", 4800), 4),
        ["14:03:09  down since 14:03:06; next try in 4.8 s"],
        "the first moment stays, the reason is not repeated",
    );
    assert_eq!(
        plain(&mut log, &down("no such host", 20), 5),
        ["14:03:10  down since 14:03:06: no such host; trying again"],
    );
    assert_eq!(
        plain(&mut log, &live(25, 0), 13),
        ["14:03:18  live  again after 12.0 s  relay.example.com:4433  rtt 25 ms  relay-server 0.1.0"]
    );
    assert!(plain(&mut log, &AgentEvent::Link(LinkState::Ended(EndReason::Stopped)), 20).is_empty());
}

#[test]
fn a_clock_that_is_off_is_mentioned() {
    let lines = plain(&mut log(), &live(23, 95_000), 0);
    let expected = "14:03:05  clock  this machine is 1 min 35 s behind the server: \
                    signatures with a time in them may be refused";
    assert_eq!(lines[1], expected);
    assert_eq!(clock_skew(-29_999), None);
    assert!(clock_skew(-30_000).unwrap().contains("ahead of"));
}

#[test]
fn quiet_keeps_the_url_and_the_trouble() {
    let mut log = log_of(&[route("github", "http://localhost:3000")], Detail { quiet: true, ids: false });
    assert!(plain(&mut log, &live(23, 0), 0).is_empty());
    assert_eq!(plain(&mut log, &served(Ok(URL)), 0).len(), 5);
    assert!(plain(&mut log, &arrived(Some("push")), 0).is_empty());
    assert!(plain(&mut log, &answered(Ok(200)), 0).is_empty());
    plain(&mut log, &arrived(Some("push")), 0);
    assert_eq!(plain(&mut log, &answered(Err("refused")), 0).len(), 1);
    assert_eq!(plain(&mut log, &down("no answer", 500), 0).len(), 1);
    assert_eq!(plain(&mut log, &live(23, 0), 0).len(), 1, "what was down is said to be back");
}

#[test]
fn nothing_written_by_strangers_reaches_the_terminal_raw() {
    let mut log = log();
    let evil = "\x1b]0;owned\x07\u{202e}\n";
    let mut events = vec![
        AgentEvent::Notice(evil.to_owned()),
        served(Err(evil)),
        served(Ok(evil)),
        down(evil, 1),
        answered(Err(evil)),
    ];
    let AgentEvent::Arrived(mut hostile) = arrived(Some(evil)) else { unreachable!() };
    hostile.path = evil.to_owned();
    hostile.method = evil.to_owned();
    events.insert(0, AgentEvent::Arrived(hostile));
    for event in events {
        for line in log.lines(&event, NOW) {
            assert!(!line.contains(['\x07', '\n', '\u{202e}']) && !line.contains("\x1b]"), "{line:?}");
        }
    }
}

#[test]
fn repeated_attempts_and_ids_are_shown_where_asked() {
    let mut log = log_of(&[route("github", "http://localhost:3000")], Detail { quiet: false, ids: true });
    let AgentEvent::Arrived(mut second) = arrived(Some("push")) else { unreachable!() };
    second.attempt = 2;
    let line = &plain(&mut log, &AgentEvent::Arrived(second), 0)[0];
    assert_eq!(*line, format!("14:03:05  →  push  POST /hooks  1.2 KiB  attempt 2  {}", EventId(7)));
    assert!(plain(&mut log, &answered(Ok(200)), 0)[0].ends_with(&EventId(7).to_string()));
}
