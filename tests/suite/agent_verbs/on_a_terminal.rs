//! The question of what shall become of what waited, asked in lines on a real terminal.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use relay_tests::App;
use relay_tests::app::{Behaviour, ok};
use relay_tests::client::PATIENCE;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::{bodies, with_waiting};
use crate::fixtures::{Verbs, said};

/// A program on a terminal of its own.
struct OnTerminal {
    child: Child,
    keys: File,
    shown: Arc<Mutex<String>>,
}

impl OnTerminal {
    fn start(command: &Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("ours");
        let name = ptsname(&master, Vec::new()).expect("a name").into_string().expect("text");
        let slave = OpenOptions::new().read(true).write(true).open(name).expect("opens");
        // The terminal has to be the program's own, or it would not be asked.
        let mut of_session = Command::new("setsid");
        of_session.arg("--ctty").arg(command.get_program()).args(command.get_args()).arg("--plain");
        of_session.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let stdio = || Stdio::from(slave.try_clone().expect("another"));
        let child = of_session.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().expect("setsid runs");
        let keys = File::from(master);
        let mut screen = keys.try_clone().expect("another");
        let shown = Arc::new(Mutex::new(String::new()));
        let seen = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut bytes = [0; 1024];
            // A terminal nobody is at any more cannot be read.
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                seen.lock().expect("shown").push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Self { child, keys, shown }
    }

    fn shown(&self) -> String {
        self.shown.lock().expect("shown").clone()
    }

    /// Waits (bounded) until this is on the screen, and clears it.
    async fn until(&self, text: &str) -> String {
        let shown = tokio::time::timeout(PATIENCE, async {
            loop {
                if self.shown().contains(text) {
                    return std::mem::take(&mut *self.shown.lock().expect("shown"));
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        shown.await.unwrap_or_else(|_| panic!("`{text}` is never shown; on the screen: {}", self.shown()))
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("typed");
    }

    fn exit_code(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the program does not end; on the screen: {}", self.shown());
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const QUESTION: &str = "events waited for hook. Deliver [a]ll, only the [l]atest, [n]one?";
const CTRL_C: &str = "\u{3}";
const CTRL_D: &str = "\u{4}";

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_asked_once_while_live_events_pass() {
    let mut world = with_waiting(3).await;
    let app = App::start(Behaviour::Say(ok("live"))).await;
    let verbs = Verbs::of(&mut world).await;
    let to = app.addr().to_string();
    let mut agent = OnTerminal::start(&verbs.command(&["forward", "hook", &to]));
    let shown = agent.until(QUESTION).await;
    assert!(shown.contains("3 events waited"), "{shown}");
    // More than a few lines push the question out of sight: it is shown again.
    for _ in 0..6 {
        assert_eq!(world.post("hook", b"live").await.text(), "live");
    }
    agent.until(QUESTION).await;
    assert_eq!(bodies(&app), ["live"; 6]);
    agent.press("huh?\n");
    agent.until(QUESTION).await;
    agent.press("a\n");
    agent.until("3 events waited for hook: delivered now, the oldest first").await;
    app.wait_for(9).await;
    for session in world.server().registry().all() {
        session.close(protocol::code::CloseCode::GO_AWAY, "again");
    }
    agent.until("again after").await;
    assert_eq!(world.post("hook", b"live").await.text(), "live");
    agent.press(CTRL_C);
    assert_eq!(agent.exit_code(), Some(0));
    assert!(!agent.shown().contains(QUESTION), "not asked again after a reconnect: {}", agent.shown());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_leaves_everything_waiting_and_says_how_to_get_it() {
    let mut world = with_waiting(2).await;
    let app = App::start(Behaviour::Say(ok("live"))).await;
    let verbs = Verbs::of(&mut world).await;
    let to = app.addr().to_string();
    let left = "2 events wait for hook; to have them delivered: relay-agent backlog hook all";
    // The end of the input: forwarding goes on with live events.
    let mut agent = OnTerminal::start(&verbs.command(&["forward", "hook", &to]));
    agent.until(QUESTION).await;
    agent.press(CTRL_D);
    agent.until(left).await;
    assert_eq!(world.post("hook", b"live").await.text(), "live");
    agent.press(CTRL_C);
    assert_eq!(agent.exit_code(), Some(0));
    // Ctrl-C stops, as ever.
    let mut agent = OnTerminal::start(&verbs.command(&["forward", "hook", &to]));
    agent.until(QUESTION).await;
    agent.press(CTRL_C);
    agent.until(left).await;
    assert_eq!(agent.exit_code(), Some(0));
    assert_eq!(bodies(&app), ["live"]);
    // Nobody is asked who said it beforehand, or does not want to hear.
    let mut agent = OnTerminal::start(&verbs.command(&["forward", "hook", &to, "--quiet"]));
    agent.until("2 events waited for hook: delivered now").await;
    app.wait_for(3).await;
    agent.press(CTRL_C);
    assert_eq!(agent.exit_code(), Some(0));
    assert!(!agent.shown().contains(QUESTION));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_left_waiting_can_be_had_while_the_agent_runs() {
    let mut world = with_waiting(2).await;
    let app = App::start(Behaviour::Say(ok("live"))).await;
    let verbs = Verbs::of(&mut world).await;
    let mut agent = OnTerminal::start(&verbs.command(&["forward", "hook", &app.addr().to_string()]));
    agent.until(QUESTION).await;
    agent.press("\n");
    agent.until("to have them delivered: relay-agent backlog hook all").await;
    assert_eq!(world.post("hook", b"live").await.text(), "live");
    assert_eq!(bodies(&app), ["live"]);
    let ran = verbs.run(&["backlog", "hook", "all"]).await;
    assert_eq!(ran.status.code(), Some(0), "{}", said(&ran));
    app.wait_for(3).await;
    agent.press(CTRL_C);
    assert_eq!(agent.exit_code(), Some(0));
    world.end().await;
}
