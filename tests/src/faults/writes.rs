//! A short life of a server, told once for every write and sync in it, each of which fails once.
//!
//! What has to hold: nothing that was acknowledged is lost, whatever fails. After a failed sync the server ends, says
//! so by its exit code, and the next one delivers what is there. After a full disk it goes on.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use protocol::id::AgentId;
use relay_agent::{Agent, Route, Settings, Token};
use tempfile::TempDir;
use tokio::task::{JoinSet, block_in_place};

use super::app::FaultyApp;
use super::arrangement::{PLANS, Plan};
use super::house::{Identity, Process, prepare, serve};
use super::journal::{Journal, Told};
use super::ledger::Ledger;
use super::sender::Request;
use super::storm::waiting;
use crate::disk::{Disk, Fault, Kind, Operation};

/// Lives at a time: as many as a small machine has cores.
const AT_A_TIME: usize = 2;

/// How long a full disk may keep the server from accepting, and how long what was kept may take.
const RECOVERY: Duration = Duration::from_secs(5);
const DELIVERY: Duration = Duration::from_secs(20);

/// Exit code of a server whose disk failed.
const EXIT_STORE: i32 = 70;

/// Sizes of the bodies: in memory, in a file that turns out small, in a file that stays.
const SIZES: [usize; 3] = [2_048, 300 * 1_024, 1_572_864];

/// A prepared data directory, of which each life gets a copy.
pub struct Lives {
    dir: TempDir,
    identity: Identity,
}

/// One server, its agent, and where it listens.
struct Up {
    server: Process,
    public: SocketAddr,
    _agent: Agent,
    _events: tokio::sync::mpsc::Receiver<relay_agent::AgentEvent>,
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("made");
    for entry in fs::read_dir(from).expect("readable") {
        let path = entry.expect("readable").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("copied");
        }
    }
}

impl Lives {
    /// Prepares the directory.
    pub async fn prepare() -> Self {
        let dir = tempfile::tempdir().expect("a temp dir");
        let identity = prepare(&dir.path().join("data"), async |store, project| {
            for plan in PLANS {
                plan.set_up(store, project).await;
            }
        })
        .await;
        Self { dir, identity }
    }

    /// A life without a fault: how many operations there are in it.
    ///
    /// # Errors
    /// What went wrong all the same.
    pub async fn count(&self) -> Result<u64, String> {
        let (operations, _) = self.live(None).await?;
        Ok(operations.len() as u64)
    }

    /// Lives once for each of these operations, with each of these faults. Says what went wrong, if anything did.
    ///
    /// `say` hears of each life.
    pub async fn try_all(
        self: std::sync::Arc<Self>,
        operations: impl Iterator<Item = u64>,
        faults: &[Fault],
        mut say: impl FnMut(String),
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut running = JoinSet::new();
        let mut trials = operations.flat_map(|at| faults.iter().map(move |fault| (at, *fault)));
        loop {
            while running.len() < AT_A_TIME
                && let Some((at, fault)) = trials.next()
            {
                let this = std::sync::Arc::clone(&self);
                running.spawn(async move { (at, fault, this.live(Some((at, fault))).await) });
            }
            let Some(lived) = running.join_next().await else { return wrong };
            let (at, fault, lived) = lived.expect("a life does not panic");
            match lived {
                Ok((_, end)) => say(format!("operation {at}, {fault:?}: {end}")),
                Err(what) => {
                    let what = format!("operation {at}, {fault:?}: {what}");
                    say(what.clone());
                    wrong.push(what);
                }
            }
        }
    }

    /// One life and the one after it. Gives the operations of the first, and how it ended.
    async fn live(&self, fault: Option<(u64, Fault)>) -> Result<(Vec<Operation>, String), String> {
        let place = tempfile::tempdir().expect("a temp dir");
        let data = place.path().join("data");
        block_in_place(|| copy(&self.dir.path().join("data"), &data));
        let disk = match fault {
            Some((at, fault)) => Disk::failing(&data, at, fault),
            None => Disk::counting(&data),
        };
        let (app, journal) = (FaultyApp::start(0, true).await, Journal::default());
        let (code, was_ready) = self.first_life(&data, &disk, &app, &journal).await?;
        let operations = disk.operations();
        let failed = operations.iter().find(|one| one.failed.is_some());
        let end = format!("{code:?} after {failed:?}");
        judge_end(&operations, was_ready, code).map_err(|what| format!("{what}: {end}\n{}", log(&data)))?;

        let mut up = self
            .start(&data, None, &app)
            .await
            .map_err(|code| format!("{end}; the next start does not work: {code:?}\n{}", log(&data)))?;
        let deadline = Instant::now() + DELIVERY;
        while waiting(&data) != Some(0) {
            if Instant::now() > deadline {
                let said = log(&data);
                let evidence = place.keep();
                return Err(format!(
                    "{end}; then something waits for ever (see {})\n{said}",
                    evidence.display()
                ));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let code = block_in_place(|| up.server.finish());
        if code != Some(0) {
            return Err(format!("{end}; the next one ended with {code:?}\n{}", log(&data)));
        }
        let mut ledger = Ledger::default();
        ledger.draw(&data, &journal, &app.arrivals()).await;
        if !ledger.is_kept() {
            return Err(format!("{end}\n{ledger}\n{}", log(&data)));
        }
        Ok((operations, end))
    }

    /// Starts a server and an agent that forwards everything to the app.
    async fn start(&self, data: &Path, disk: Option<&Disk>, app: &FaultyApp) -> Result<Up, Option<i32>> {
        let mut command = serve(data, [SocketAddr::from(([127, 0, 0, 1], 0)); 3]);
        if let Some(disk) = disk {
            command.envs(disk.envs());
        }
        let mut server = Process::start(&mut command, &data.with_extension("log"));
        let Some(line) = block_in_place(|| server.first_line()) else { return Err(server.end()) };
        let ready: serde_json::Value = serde_json::from_str(&line).map_err(|_| None)?;
        let addr = |name: &str| -> Option<SocketAddr> {
            ready[name].as_str()?.trim_start_matches("http://").parse().ok()
        };
        let (public, tunnel) = addr("public").zip(addr("tunnel")).ok_or(None)?;
        let server_of_agent = relay_agent::Server {
            host: tunnel.ip().to_string(),
            port: tunnel.port(),
            pin: Some(self.identity.pin.parse().expect("a pin")),
            token: Token::new(self.identity.token.clone()),
        };
        let mut settings = Settings::new(server_of_agent, AgentId(1));
        for plan in PLANS {
            for (name, place) in plan.destinations.iter().zip(plan.places()) {
                let target = format!("http://{}/{place}", app.addr()).parse().expect("a target");
                let mut route = Route::new(plan.name.parse().expect("a slug"), target);
                route.destination = name.parse().expect("a name");
                settings = settings.with_route(route);
            }
        }
        let (agent, events) = Agent::start(settings);
        Ok(Up { server, public, _agent: agent, _events: events })
    }

    /// A server that starts, accepts, delivers, accepts again and ends. Its exit code, and whether it was ready.
    async fn first_life(
        &self,
        data: &Path,
        disk: &Disk,
        app: &FaultyApp,
        journal: &Journal,
    ) -> Result<(Option<i32>, bool), String> {
        let mut up = match self.start(data, Some(disk), app).await {
            Ok(up) => up,
            Err(code) => return Ok((code, false)),
        };
        let orders =
            [(0, SIZES[0]), (0, SIZES[2]), (4, SIZES[1]), (1, SIZES[0]), (5, SIZES[2]), (5, SIZES[2])];
        for (number, (at, size)) in (1..).zip(orders) {
            // The last is the one before it again.
            let copied = if number == orders.len() as u64 { number - 1 } else { number };
            let name = format!("{}-{copied}", PLANS[at].name);
            send_until_told(&mut up, journal, (at, PLANS[at]), &name, copied, size).await?;
            if number == 3 {
                // A delivery, before more is accepted.
                let deadline = Instant::now() + Duration::from_secs(3);
                while app.count() == 0 && Instant::now() < deadline && !up.server.is_over() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        }
        if !up.server.is_over() {
            up.server.signal("TERM");
        }
        Ok((block_in_place(|| up.server.end()), true))
    }
}

/// Sends a webhook until there is a yes, or no server any more. A full disk says when to come again, and has to
/// recover.
async fn send_until_told(
    up: &mut Up,
    journal: &Journal,
    (at, plan): (usize, Plan),
    name: &str,
    number: u64,
    size: usize,
) -> Result<(), String> {
    let deadline = Instant::now() + RECOVERY;
    for turn in 0.. {
        // What was refused may have been kept all the same where a sync failed: so each has a name of its own.
        let tag = if turn == 0 { name.to_owned() } else { format!("{name}-{turn}") };
        let body = vec![b'a' + u8::try_from(number).unwrap_or(0); size];
        let request = Request::new(plan, tag, number, "POST", body);
        let told = request.exchange_at(up.public, journal).await;
        journal.note(request.sent(at, told.clone()));
        match told {
            Told::Yes { .. } => return Ok(()),
            Told::No { says_when: false, .. } => return Err(format!("refused without a time: {told:?}")),
            _ if up.server.is_over() => return Ok(()),
            _ if Instant::now() > deadline => return Err(format!("it does not recover: {told:?}")),
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    Ok(())
}

fn log(data: &Path) -> String {
    let log: PathBuf = data.with_extension("log");
    let said = fs::read_to_string(log).unwrap_or_default();
    let said: Vec<_> = said.lines().filter(|line| !line.contains("\"level\":\"INFO\"")).collect();
    said.join("\n")
}

/// Whether a server may end like this after what failed.
fn judge_end(operations: &[Operation], was_ready: bool, code: Option<i32>) -> Result<(), &'static str> {
    let Some(failed) = operations.iter().find(|one| one.failed.is_some()) else {
        return if code == Some(0) { Ok(()) } else { Err("ended badly, and nothing had failed") };
    };
    if !was_ready {
        return if code == Some(1) { Ok(()) } else { Err("did not start, and did not say so by its code") };
    }
    let holds_events = failed.name.starts_with("relay.db") || failed.name.starts_with("bodies");
    let is_sync = failed.kind == Kind::Sync;
    if failed.failed == Some(28) {
        // A sync is not to be repeated, whatever it failed with: what the kernel could not write it may forget.
        let may_end = is_sync && holds_events && code == Some(EXIT_STORE);
        return if code == Some(0) || may_end { Ok(()) } else { Err("a full disk ended it") };
    }
    // The log is emptied at the end, when nothing is promised any more.
    let after = operations.iter().filter(|one| one.number > failed.number);
    let is_at_the_end = after.clone().all(|one| one.kind != Kind::Sync);
    match code {
        Some(EXIT_STORE) if holds_events => Ok(()),
        Some(EXIT_STORE) => Err("ended because of a file that holds no events"),
        Some(0) if is_sync && holds_events && !is_at_the_end => Err("went on after a sync had failed"),
        Some(0) => Ok(()),
        _ => Err("ended with a code of its own"),
    }
}
