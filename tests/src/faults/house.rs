//! A data directory that is set up before its server first starts, the server and the agent as processes, and the
//! hands that stop, kill and start them.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use relay_server::clock::Clock;
use relay_server::model::{ProjectId, Scope};
use relay_server::serve::Addresses;
use relay_server::store::{DEFAULT_PROJECT, Store};
use tempfile::TempDir;

use crate::dice::Dice;
use crate::disk::Disk;
use crate::program::program;

/// A start takes a fifth of a second, an end as long as what is under way; one that takes this long hangs.
const PATIENCE: Duration = Duration::from_secs(40);

/// A program that runs. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    first: mpsc::Receiver<Option<String>>,
}

impl Process {
    /// Starts it. What it says on stderr is added to `log`; what it says on stdout after its first line is not read.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let stderr = File::options().append(true).create(true).open(log).expect("a log");
        let mut child = command
            .env_remove("RELAY_TOKEN")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("the program starts");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (send, first) = mpsc::channel();
        std::thread::spawn(move || {
            let mut lines = stdout.lines().map_while(Result::ok);
            let _ = send.send(lines.next());
            // Read to its end, so that it never waits for us.
            lines.for_each(drop);
        });
        Self { child, first }
    }

    /// Waits for its first line: `None` when it ended without one.
    ///
    /// # Panics
    /// When neither happens.
    pub fn first_line(&mut self) -> Option<String> {
        self.first.recv_timeout(PATIENCE).expect("a first line, or the end, within the bound")
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.id().to_string()]).status();
        assert!(sent.expect("kill runs").success(), "process {} is gone", self.id());
    }

    /// Kills it, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Whether it has ended.
    pub fn is_over(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_some()
    }

    /// Waits for its end; the exit code, `None` if a signal ended it.
    ///
    /// # Panics
    /// When it does not come.
    pub fn end(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("process {} does not end", self.id());
    }

    /// Tells it to end, and waits for that.
    pub fn finish(&mut self) -> Option<i32> {
        self.signal("TERM");
        self.end()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port nobody listens on, for TCP and UDP, outside the range the kernel takes ports from: so nobody takes it while
/// the program that owns it is down, and a connection to it while it is free cannot be made with itself.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).expect("chance");
    let mut dice = Dice::new(u64::from_ne_bytes(seed));
    for _ in 0..1_000 {
        let port = u16::try_from(dice.between(10_000..32_000)).expect("in range");
        let at = (Ipv4Addr::LOCALHOST, port);
        if TcpListener::bind(at).is_ok() && UdpSocket::bind(at).is_ok() {
            return port;
        }
    }
    panic!("no free port");
}

/// What a prepared data directory is known by.
#[derive(Debug, Clone)]
pub struct Identity {
    /// A token of scope `agent`.
    pub token: String,
    /// What agents pin.
    pub pin: String,
}

/// Prepares a data directory: what `setup` puts into its store, and the keys a server makes when it first starts.
///
/// # Panics
/// When that does not work.
pub async fn prepare(data: &Path, setup: impl AsyncFnOnce(&Store, ProjectId)) -> Identity {
    let store = Store::open(data, Clock::system()).await.expect("a store");
    let project = store.project(DEFAULT_PROJECT).await.expect("the project");
    setup(&store, project).await;
    let scope = Scope::Agent { sources: Vec::new(), create: false };
    let made = store.create_token(project, scope, "faults", None).await.expect("a token");
    store.close().await;
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let log = data.with_extension("log");
    let mut server = Process::start(&mut serve(data, [any; 3]), &log);
    assert!(server.first_line().is_some(), "{}", fs::read_to_string(log).unwrap_or_default());
    let pin = Addresses::of_data_dir(data).expect("written").pin.expect("a key of its own");
    assert_eq!(server.finish(), Some(0));
    Identity { token: made.text.0, pin }
}

/// `relay-server serve` on these ports: public, tunnel, admin.
#[must_use]
pub fn serve(data: &Path, ports: [SocketAddr; 3]) -> Command {
    let mut command = program("relay-server");
    command.args(["serve", "--json", "--data"]).arg(data);
    for (flag, addr) in ["--public", "--tunnel", "--admin"].iter().zip(ports) {
        command.arg(flag).arg(addr.to_string());
    }
    command
}

/// Where the public listener is, by the line a server says when it is ready.
#[must_use]
pub fn public_of(ready: &str) -> Option<SocketAddr> {
    let ready: serde_json::Value = serde_json::from_str(ready).ok()?;
    ready["public"].as_str()?.trim_start_matches("http://").parse().ok()
}

/// A route of the agent: source, destination, and what it forwards to.
pub type Route = (String, String, String);

/// A server and an agent, and the directory they live in.
#[derive(Debug)]
pub struct House {
    dir: TempDir,
    data: PathBuf,
    identity: Identity,
    ports: [SocketAddr; 3],
    server: Option<Process>,
    agent: Option<Process>,
}

impl House {
    /// A prepared house; nothing runs yet.
    pub async fn build(setup: impl AsyncFnOnce(&Store, ProjectId)) -> Self {
        let dir = tempfile::tempdir().expect("a temp dir");
        let data = dir.path().join("data");
        Self::build_at(dir, data, setup).await
    }

    /// The same with the data directory on another disk than everything else.
    pub async fn build_on(disk: &Path, setup: impl AsyncFnOnce(&Store, ProjectId)) -> Self {
        let dir = tempfile::tempdir().expect("a temp dir");
        Self::build_at(dir, disk.join("data"), setup).await
    }

    async fn build_at(dir: TempDir, data: PathBuf, setup: impl AsyncFnOnce(&Store, ProjectId)) -> Self {
        let identity = prepare(&data, setup).await;
        let ports = [(); 3].map(|()| SocketAddr::from((Ipv4Addr::LOCALHOST, free_port())));
        Self { dir, data, identity, ports, server: None, agent: None }
    }

    /// Ends whoever still runs, and leaves the directory where it is.
    #[must_use]
    pub fn keep(self) -> PathBuf {
        self.dir.keep()
    }

    /// The data directory.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.data.clone()
    }

    /// Where webhooks come in.
    #[must_use]
    pub fn public(&self) -> SocketAddr {
        self.ports[0]
    }

    /// Where agents connect.
    #[must_use]
    pub fn tunnel(&self) -> SocketAddr {
        self.ports[1]
    }

    /// What the server said in all its lives.
    #[must_use]
    pub fn server_log(&self) -> String {
        fs::read_to_string(self.dir.path().join("server.log")).unwrap_or_default()
    }

    /// What the agent said in all its lives.
    #[must_use]
    pub fn agent_log(&self) -> String {
        fs::read_to_string(self.dir.path().join("agent.log")).unwrap_or_default()
    }

    /// Starts the server, on this disk if one is given, and waits until it is ready.
    ///
    /// # Errors
    /// With its exit code, when it ends instead.
    pub fn start_server(&mut self, disk: Option<&Disk>) -> Result<(), Option<i32>> {
        let mut command = serve(&self.data(), self.ports);
        if let Some(disk) = disk {
            command.envs(disk.envs());
        }
        let mut server = Process::start(&mut command, &self.dir.path().join("server.log"));
        if server.first_line().is_none() {
            return Err(server.end());
        }
        self.server = Some(server);
        Ok(())
    }

    /// The running server.
    ///
    /// # Panics
    /// When there is none.
    pub fn server(&mut self) -> &mut Process {
        self.server.as_mut().expect("the server runs")
    }

    /// Kills the server: nothing is drained, nothing is said.
    pub fn kill_server(&mut self) {
        self.server().kill();
        self.server = None;
    }

    /// Tells the server to end; its exit code.
    pub fn finish_server(&mut self) -> Option<i32> {
        let code = self.server().finish();
        self.server = None;
        code
    }

    /// Has the agent log in, and writes its project file. It will dial `tunnel_at`.
    ///
    /// # Panics
    /// When that does not work.
    pub fn set_up_agent(&self, tunnel_at: SocketAddr, routes: &[Route]) {
        let Identity { token, pin } = &self.identity;
        let mut login = program("relay-agent")
            .args(["login", "-", "--offline", "--quiet"])
            .env("RELAY_CONFIG_DIR", self.dir.path().join("agent"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("starts");
        let line = format!("relay://{token}@{tunnel_at}#{pin}\n");
        login.stdin.take().expect("piped").write_all(line.as_bytes()).expect("written");
        assert!(login.wait().expect("ends").success(), "the agent does not log in");
        let route = |(source, destination, target): &Route| {
            format!(
                "[[route]]\nname = \"{source}\"\ndestination = \"{destination}\"\ntarget = \"{target}\"\n"
            )
        };
        let project = routes.iter().map(route).collect::<String>();
        fs::write(self.dir.path().join("relay-agent.toml"), project).expect("written");
    }

    /// Starts the agent, and does not wait for it.
    pub fn start_agent(&mut self) {
        let mut command = program("relay-agent");
        command.args(["up", "--json"]).arg(self.dir.path().join("relay-agent.toml"));
        command.env("RELAY_CONFIG_DIR", self.dir.path().join("agent"));
        self.agent = Some(Process::start(&mut command, &self.dir.path().join("agent.log")));
    }

    /// The running agent.
    ///
    /// # Panics
    /// When there is none.
    pub fn agent(&mut self) -> &mut Process {
        self.agent.as_mut().expect("the agent runs")
    }
}
