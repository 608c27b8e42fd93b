//! The agent's screen on a real terminal: what it shows, what its keys do, and that the terminal is given back.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use relay_tests::app::{Behaviour, ok};
use relay_tests::client::{PATIENCE, post};
use relay_tests::{App, World};
use tokio::sync::watch;

use crate::fixtures::Verbs;
use crate::programs::House;

const ENTER: &str = "\r";
const ESCAPE: &str = "\u{1b}";
const CTRL_C: &str = "\u{3}";

/// What a terminal got: the picture, and every byte.
struct Seen {
    picture: vt100::Parser,
    bytes: Vec<u8>,
}

/// A program on a terminal of its own.
struct OnScreen {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn std::io::Write + Send>,
    seen: Arc<Mutex<Seen>>,
    news: watch::Receiver<u64>,
    /// Whether the terminal stands still.
    stuck: Arc<(Mutex<bool>, Condvar)>,
}

fn size(cols: u16, rows: u16) -> PtySize {
    PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }
}

impl OnScreen {
    fn start(command: &Command, cols: u16, rows: u16) -> Self {
        let pty = native_pty_system().openpty(size(cols, rows)).expect("a terminal");
        let mut on_it = CommandBuilder::new(command.get_program());
        on_it.args(command.get_args());
        on_it.env("TERM", "xterm-256color");
        on_it.env("LC_ALL", "C.UTF-8");
        on_it.env_remove("NO_COLOR");
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => on_it.env(name, value),
                None => on_it.env_remove(name),
            }
        }
        let child = pty.slave.spawn_command(on_it).expect("the program starts");
        let mut screen = pty.master.try_clone_reader().expect("readable");
        let keys = pty.master.take_writer().expect("writable");
        let seen =
            Arc::new(Mutex::new(Seen { picture: vt100::Parser::new(rows, cols, 0), bytes: Vec::new() }));
        let (tell, news) = watch::channel(0);
        let stuck = Arc::new((Mutex::new(false), Condvar::new()));
        let (shown, gate) = (Arc::clone(&seen), Arc::clone(&stuck));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // A terminal nobody is at any more cannot be read.
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                let (is_stuck, changed) = &*gate;
                drop(changed.wait_while(is_stuck.lock().expect("gate"), |is_stuck| *is_stuck));
                let mut shown = shown.lock().expect("seen");
                shown.picture.process(&bytes[..count]);
                shown.bytes.extend_from_slice(&bytes[..count]);
                drop(shown);
                tell.send_modify(|news| *news += 1);
            }
        });
        Self { child, master: pty.master, keys, seen, news, stuck }
    }

    fn shown(&self) -> String {
        self.seen.lock().expect("seen").picture.screen().contents()
    }

    fn written(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().expect("seen").bytes).into_owned()
    }

    fn is_alternate(&self) -> bool {
        self.seen.lock().expect("seen").picture.screen().alternate_screen()
    }

    /// Waits (bounded) until all of this is in the picture.
    async fn until(&mut self, texts: &[&str]) -> String {
        self.until_it(texts, |shown| texts.iter().all(|text| shown.contains(text))).await
    }

    async fn until_it(&mut self, what: &[&str], is_it: impl Fn(&str) -> bool) -> String {
        let mut news = self.news.clone();
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let shown = self.shown();
                if is_it(&shown) {
                    return Some(shown);
                }
                if news.changed().await.is_err() {
                    return None;
                }
            }
        });
        let shown = waited.await.ok().flatten();
        shown.unwrap_or_else(|| panic!("{what:?} is never shown; on the screen:\n{}", self.shown()))
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("typed");
        self.keys.flush().expect("typed");
    }

    fn resize(&mut self, cols: u16, rows: u16) {
        self.seen.lock().expect("seen").picture.screen_mut().set_size(rows, cols);
        self.master.resize(size(cols, rows)).expect("resized");
    }

    fn stand_still(&self, is_stuck: bool) {
        *self.stuck.0.lock().expect("gate") = is_stuck;
        self.stuck.1.notify_all();
    }

    /// Waits (bounded) for the end, and for everything that was written.
    async fn exit_code(mut self) -> (u32, String) {
        let mut news = self.news.clone();
        let over = async { while news.changed().await.is_ok() {} };
        assert!(tokio::time::timeout(PATIENCE, over).await.is_ok(), "it does not end:\n{}", self.shown());
        let status = self.child.wait().expect("a child");
        assert!(!self.is_alternate(), "the normal screen is back");
        let seen = self.seen.lock().expect("seen");
        assert!(!seen.picture.screen().hide_cursor() && !seen.picture.screen().bracketed_paste());
        drop(seen);
        (status.exit_code(), self.shown())
    }
}

impl Drop for OnScreen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Keeps a picture where somebody wants to look at it.
fn keep(name: &str, shown: &str) {
    let folder = relay_tests::program::cache().join("pictures");
    let kept = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(folder.join(name), shown));
    kept.expect("pictures can be kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_listed_opened_and_replayed_and_the_terminal_is_given_back() {
    let mut world = World::start().await;
    let app = App::start(Behaviour::Say(ok("served"))).await;
    let verbs = Verbs::of(&mut world).await;
    let to = app.addr().to_string();
    let mut screen = OnScreen::start(&verbs.command(&["forward", "hook", &to]), 120, 30);
    let shown = screen.until(&["live ·", "heard", "/h/hook", "No events yet"]).await;
    assert!(screen.is_alternate());
    keep("empty-120.txt", &shown);
    let odd = "Content-Type: application/json\r\nX-GitHub-Event: push\r\nX-Evil: a\u{9b}31mb\r\n";
    let request = post("/h/hook/a", odd, b"{\"ref\":\"refs/heads/main\",\"id\":1.0}");
    assert_eq!(world.exchange(&request).await.status, 200);
    // Beside the list the newest is shown by itself, once it is on record.
    let shown = screen.until(&["push", "200", "1 forwarded", "\"id\": 1.0", "X-Evil: a\\u{9b}31mb"]).await;
    keep("split-120.txt", &shown);
    screen.press(ENTER);
    let shown = screen.until(&["> Request", "Answer", "served", "Esc back"]).await;
    keep("detail-120.txt", &shown);
    screen.press(ESCAPE);
    screen.until(&["Enter open"]).await;
    screen.press("r");
    screen.until(&["replay of push: 200", "2 forwarded"]).await;
    assert_eq!(app.wait_for(2).await.len(), 2);
    screen.resize(50, 16);
    let shown = screen.until_it(&["fifty columns"], |shown| {
        shown.contains("push")
            && shown.contains("? help")
            && shown.lines().all(|line| line.chars().count() <= 50)
    });
    keep("list-50.txt", &shown.await);
    screen.press("?");
    screen.until(&["any key closes this"]).await;
    screen.press("x");
    screen.until_it(&["no help"], |shown| !shown.contains("any key closes this")).await;
    screen.press("q");
    let (code, left) = screen.exit_code().await;
    keep("left.txt", &left);
    assert_eq!(code, 0, "{left}");
    assert!(left.contains("/h/hook") && left.contains("2 events forwarded, 0 failed"), "{left}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_edited_seen_as_it_was_changed_and_sent() {
    let mut world = World::start().await;
    let app = App::start(Behaviour::Say(ok("served"))).await;
    let verbs = Verbs::of(&mut world).await;
    let to = app.addr().to_string();
    let mut command = verbs.command(&["forward", "hook", &to, "--no-inspector"]);
    command.env("VISUAL", "sed -i s/old/new/");
    let mut screen = OnScreen::start(&command, 80, 24);
    screen.until(&["live ·", "/h/hook"]).await;
    assert_eq!(world.post("hook", b"some old text").await.status, 200);
    screen.until(&["1 forwarded"]).await;
    world.recorded(1).await;
    screen.press("e");
    let shown =
        screen.until(&["Send the edited copy?", "- some old text", "+ some new text", "y send"]).await;
    keep("confirm-80.txt", &shown);
    assert_eq!(app.recorded().len(), 1, "nothing is sent before a yes");
    screen.press("y");
    let recorded = app.wait_for(2).await;
    assert_eq!(recorded[1].body, b"some new text");
    screen.until(&["replay of", "200"]).await;
    screen.press("c");
    screen.until(&["copied as curl"]).await;
    let written = screen.written();
    assert!(written.contains("\u{1b}]52;c;Y3VybC"), "the clipboard gets `curl`");
    screen.press("C");
    screen.until(&["curl -X POST", "Enter goes back."]).await;
    screen.press(ENTER);
    screen.until(&["? help"]).await;
    let done = ["test event sent to hook", "hook is held", "nothing is held for hook", "hook is not held"];
    for (key, done) in ["t", "p", "n", "p"].into_iter().zip(done) {
        screen.press(key);
        screen.until(&[done]).await;
    }
    screen.press("o");
    screen.until(&["no inspector runs here"]).await;
    screen.press(CTRL_C);
    assert_eq!(screen.exit_code().await.0, 0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_not_there_is_told_before_an_event_has_to_find_out() {
    let mut world = World::start().await;
    let app = App::start(Behaviour::Say(ok("served"))).await;
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = gone.local_addr().expect("bound");
    drop(gone);
    let verbs = Verbs::of(&mut world).await;
    let mut screen = OnScreen::start(&verbs.command(&["forward", "hook", &at.to_string()]), 80, 24);
    let shown = screen.until(&["live ·", &format!("! nothing listens on {at}")]).await;
    keep("missing-80.txt", &shown);
    let back = tokio::net::TcpListener::bind(at).await.expect("the same port");
    let _app = App::on(back, Behaviour::Say(ok("back")));
    screen.until_it(&["no warning"], |shown| !shown.contains("nothing listens")).await;
    assert_eq!(world.post("hook", b"x").await.text(), "back");
    screen.until(&["1 forwarded", "0 failed"]).await;
    screen.press("q");
    assert_eq!(screen.exit_code().await.0, 0);
    drop(app);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waited_is_asked_about_in_a_dialogue() {
    let mut world = World::start().await;
    world.source("hook", Default::default()).await;
    for _ in 0..3 {
        assert_eq!(world.post("hook", b"x").await.status, 202);
    }
    let app = App::start(Behaviour::Say(ok("served"))).await;
    let verbs = Verbs::of(&mut world).await;
    let to = app.addr().to_string();
    let mut screen = OnScreen::start(&verbs.command(&["forward", "hook", &to]), 80, 24);
    let shown = screen.until(&["What waited", "3 events waited for hook.", "deliver the latest"]).await;
    keep("backlog-80.txt", &shown);
    // A key that comes at once may have been meant for something else: it is pressed until it counts.
    let mut pressed = 0;
    while screen.shown().contains("What waited") {
        screen.press("a");
        pressed += 1;
        // Ages are told every second.
        screen.news.borrow_and_update();
        assert!(screen.news.changed().await.is_ok() && pressed < 100, "{}", screen.shown());
    }
    app.wait_for(3).await;
    screen.until(&["3 forwarded"]).await;
    screen.press("q");
    let (code, left) = screen.exit_code().await;
    assert_eq!(code, 0);
    assert!(left.contains("3 events waited for hook: delivered now, the oldest first"), "{left}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_gone_is_told_with_its_age_and_the_next_try() {
    let mut house = House::start();
    house.log_in();
    let app = App::start(Behaviour::Say(ok("served"))).await;
    let mut command = house.agent_command();
    command.env_remove("RELAY_TOKEN").args(["forward", "hook", &app.addr().to_string()]);
    let mut screen = OnScreen::start(&command, 80, 24);
    screen.until(&["live ·"]).await;
    house.server.kill();
    let shown = screen.until(&["down for", "next try in"]).await;
    keep("down-80.txt", &shown);
    screen.press("q");
    assert_eq!(screen.exit_code().await.0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_means_lines_and_nothing_else() {
    let mut world = World::start().await;
    let app = App::start(Behaviour::Say(ok("served"))).await;
    let verbs = Verbs::of(&mut world).await;
    let to = app.addr().to_string();
    for (words, term) in
        [(&["--plain"][..], "xterm-256color"), (&[], "dumb"), (&["--quiet"], "xterm-256color")]
    {
        let mut command = verbs.command(&[&["forward", "hook", &to], words].concat());
        command.env("NO_COLOR", "1").env("TERM", term);
        let mut screen = OnScreen::start(&command, 120, 30);
        screen.until(&["/h/hook"]).await;
        assert_eq!(world.post("hook", b"x").await.status, 200);
        if words != ["--quiet"] {
            screen.until(&["←  200"]).await;
        }
        screen.press(CTRL_C);
        let written = {
            let seen = Arc::clone(&screen.seen);
            assert_eq!(screen.exit_code().await.0, 0);
            let seen = seen.lock().expect("seen");
            String::from_utf8_lossy(&seen.bytes).into_owned()
        };
        assert!(!written.contains('\u{1b}'), "{words:?}: {written:?}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_finishes_what_is_in_flight_and_a_second_one_does_not_wait_for_it() {
    let mut world = World::start().await;
    let app = App::start(Behaviour::Silence).await;
    let verbs = Verbs::of(&mut world).await;
    let to = app.addr().to_string();
    let mut screen = OnScreen::start(&verbs.command(&["forward", "hook", &to]), 80, 24);
    screen.until(&["live ·", "/h/hook"]).await;
    let public = world.public();
    let sent = tokio::spawn(async move {
        relay_tests::client::exchange(public, &post("/h/hook", "", b"x")).await;
    });
    screen.until(&["on its way", "1 on the way"]).await;
    screen.press(CTRL_C);
    screen.until(&["finishing what is in flight (1) · Ctrl-C stops at once"]).await;
    assert!(screen.is_alternate(), "it can still be watched");
    screen.press(CTRL_C);
    assert_eq!(screen.exit_code().await.0, 130);
    sent.await.expect("the sender was told something");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_stands_still_holds_up_no_webhook() {
    let mut world = World::start().await;
    let app = App::start(Behaviour::Say(ok("served"))).await;
    let verbs = Verbs::of(&mut world).await;
    let to = app.addr().to_string();
    let mut screen = OnScreen::start(&verbs.command(&["forward", "hook", &to]), 200, 60);
    screen.until(&["live ·", "/h/hook"]).await;
    screen.stand_still(true);
    for _ in 0..300 {
        assert_eq!(world.post("hook", b"x").await.text(), "served");
    }
    screen.stand_still(false);
    screen.until(&["300 forwarded"]).await;
    screen.press("q");
    assert_eq!(screen.exit_code().await.0, 0);
    world.end().await;
}

#[test]
fn the_pictures_of_the_agent_are_text_for_people() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../relay-agent/src/cli/screen/draw/pictures");
    for entry in std::fs::read_dir(folder).expect("pictures") {
        let text = std::fs::read_to_string(entry.expect("readable").path()).expect("text");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "no escapes in {text}");
    }
}
