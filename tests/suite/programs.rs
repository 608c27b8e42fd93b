//! The programs themselves, as processes: crash, restart, drain, and what they say.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use relay_tests::app::{Behaviour, ok};
use relay_tests::client::{Sender, post};
pub(crate) use relay_tests::program::program;
use relay_tests::{Answer, App};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(20);

/// A process that is killed when dropped, with its stdout as lines.
pub(crate) struct Process {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::start_with_env(command.env_remove("RELAY_TOKEN"))
    }

    /// The same, with the token it is given.
    pub(crate) fn start_with_env(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// Waits (bounded) for a JSON line that has all these fields.
    pub(crate) fn line_with(&self, fields: &[(&str, &str)]) -> serde_json::Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).unwrap_or_else(|_| panic!("no line with {fields:?}"));
            let Ok(value) = serde_json::from_str::<serde_json::Value>(&line) else { continue };
            if fields.iter().all(|(name, expected)| value[name] == *expected) {
                return value;
            }
        }
    }

    /// The next line, if one comes within that time.
    pub(crate) fn line_within(&self, time: Duration) -> Option<String> {
        self.lines.recv_timeout(time).ok()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").arg(format!("-{signal}")).arg(self.child.id().to_string()).status();
        assert!(sent.expect("kill runs").success());
    }

    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the program does not end");
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A server, an agent and an app, each a process of its own (the app lives in the test).
pub(crate) struct House {
    dir: TempDir,
    pub(crate) server: Process,
    public: SocketAddr,
    pub(crate) ports: [String; 3],
}

pub(crate) fn serve(data: &Path, ports: &[String; 3]) -> Process {
    let mut command = program("relay-server");
    command.arg("serve").arg("--json").arg("--data").arg(data);
    for (flag, addr) in ["--public", "--tunnel", "--admin"].iter().zip(ports) {
        command.arg(flag).arg(addr);
    }
    Process::start(&mut command)
}

impl House {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().expect("a temp dir");
        let any = || "127.0.0.1:0".to_owned();
        let server = serve(&dir.path().join("data"), &[any(), any(), any()]);
        let ready = server.line_with(&[("type", "ready")]);
        let at =
            |name: &str| ready[name].as_str().expect("an address").trim_start_matches("http://").to_owned();
        let ports = [at("public"), at("tunnel"), at("admin")];
        let public = ports[0].parse().expect("an address");
        Self { dir, server, public, ports }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn join_line(&self) -> String {
        let made = program("relay-server").args(["token", "create", "--data"]).arg(self.data()).output();
        let made = made.expect("the program runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let text = String::from_utf8(made.stdout).expect("text");
        assert_eq!(text.lines().count(), 1, "one join line, alone");
        text
    }

    pub(crate) fn agent_command(&self) -> Command {
        let mut command = program("relay-agent");
        command.env("RELAY_CONFIG_DIR", self.dir.path().join("agent"));
        command
    }

    pub(crate) fn log_in(&self) {
        let mut login = self.agent_command();
        let mut login = login
            .args(["login", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        login.stdin.take().expect("piped").write_all(self.join_line().as_bytes()).expect("written");
        let done = login.wait_with_output().expect("ends");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    pub(crate) fn agent(&self, name: &str, app: &App) -> Process {
        let agent =
            Process::start(self.agent_command().args(["forward", name, &app.addr().to_string(), "--json"]));
        agent.line_with(&[("type", "source"), ("name", name)]);
        agent
    }

    pub(crate) async fn post(&self, name: &str) -> Option<Answer> {
        let stream = tokio::net::TcpStream::connect(self.public).await;
        stream.ok()?;
        let mut sender = Sender::to(self.public).await;
        sender.say(&post(&format!("/h/{name}"), "", b"x")).await;
        Some(sender.answer().await)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_and_restarted_server_is_served_again_within_a_second_and_a_half() {
    let mut house = House::start();
    house.log_in();
    let app = App::start(Behaviour::Say(ok("served"))).await;
    let _agent = house.agent("hook", &app);
    // Under load: senders that come and go while the server dies under them.
    let public = house.public;
    let load = tokio::spawn(async move {
        loop {
            if let Ok(mut stream) = tokio::net::TcpStream::connect(public).await {
                use tokio::io::{AsyncReadExt, AsyncWriteExt};
                let _ = stream.write_all(&post("/h/hook", "", b"load")).await;
                let _ = stream.read(&mut [0; 512]).await;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    app.wait_for(50).await;
    house.server.kill();
    house.server = serve(&house.data(), &house.ports);
    house.server.line_with(&[("type", "ready")]);
    let up = Instant::now();
    let served = loop {
        match tokio::time::timeout(Duration::from_secs(2), house.post("hook")).await {
            Ok(Some(answer)) if answer.status == 200 => break up.elapsed(),
            _ => assert!(up.elapsed() < PATIENCE, "never served again"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    load.abort();
    assert!(served < Duration::from_millis(1500), "served again after {served:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_a_killed_agent_are_told_so_and_none_hangs() {
    let house = House::start();
    house.log_in();
    let app = App::start(Behaviour::Silence).await;
    let mut agent = house.agent("hook", &app);
    let mut waiting = Vec::new();
    for _ in 0..5 {
        let mut sender = Sender::to(house.public).await;
        sender.say(&post("/h/hook", "", b"x")).await;
        waiting.push(sender);
    }
    app.wait_for(5).await;
    let killed = Instant::now();
    agent.kill();
    for mut sender in waiting {
        let answer = sender.answer().await;
        assert!(matches!(answer.status, 502 | 503), "{}", answer.head);
    }
    assert!(killed.elapsed() < Duration::from_secs(10), "told after {:?}", killed.elapsed());
    let after = house.post("hook").await.expect("the server is up");
    assert_eq!(after.status, 202, "kept for whoever comes: {}", after.head);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_drains_and_a_second_one_aborts() {
    let mut house = House::start();
    house.log_in();
    let app = App::start(Behaviour::Slow(Duration::from_millis(700), ok("finished"))).await;
    let mut agent = house.agent("hook", &app);
    let mut sender = Sender::to(house.public).await;
    sender.say(&post("/h/hook", "", b"x")).await;
    app.wait_for(1).await;
    house.server.signal("TERM");
    assert_eq!(sender.answer().await.text(), "finished");
    assert_eq!(house.server.exit_code(), Some(0));
    agent.line_with(&[("type", "link"), ("state", "down")]);
    agent.signal("TERM");
    assert_eq!(agent.exit_code(), Some(0));

    let mut house = House::start();
    house.log_in();
    let app = App::start(Behaviour::Silence).await;
    let _agent = house.agent("hook", &app);
    let mut sender = Sender::to(house.public).await;
    sender.say(&post("/h/hook", "", b"x")).await;
    app.wait_for(1).await;
    house.server.signal("TERM");
    // The first one is being obeyed once the port takes nobody any more.
    while tokio::net::TcpStream::connect(house.public).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    house.server.signal("TERM");
    assert_eq!(house.server.exit_code(), Some(130));
}

#[test]
fn first_secrets_go_to_a_private_file_when_nobody_sits_at_a_terminal() {
    let house = House::start();
    let path = house.data().join("first-start.txt");
    let text = std::fs::read_to_string(&path).expect("kept");
    assert!(text.contains("relay://") && text.contains("#sha256:"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| path.metadata().expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&house.data()), 0o700);
        assert_eq!(mode(&house.data().join("tunnel-key.pem")), 0o600);
    }
}

#[test]
fn mistakes_end_with_a_clear_word_and_code_two() {
    let dir = tempfile::tempdir().expect("a temp dir");
    let file = dir.path().join("relay.toml");
    std::fs::write(&file, "[limits]\nbody_byte_max = 5\n[publik]\naddr = \"x\"\n").expect("written");
    let ran = program("relay-server").args(["serve", "--config"]).arg(&file).output().expect("runs");
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.status.code(), Some(2), "{said}");
    assert!(
        said.contains("body_bytes_max") && said.contains("public"),
        "both mistakes, with suggestions: {said}"
    );
    let ran = program("relay-agent").args(["forward", "name", "not-a-target"]).output().expect("runs");
    assert_eq!(ran.status.code(), Some(2));
    let ran =
        program("relay-server").args(["token", "create", "--data", "/nonexistent"]).output().expect("runs");
    assert!(!ran.status.success());
    assert!(String::from_utf8_lossy(&ran.stderr).contains("relay-server serve"));
}
