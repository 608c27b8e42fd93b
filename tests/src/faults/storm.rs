//! A server, an agent and an app under senders that do not stop, while each of them is killed, stopped, ended and
//! started again, the network between them is cut or loses packets, and the power goes.
//!
//! Which troubles come, in what order and how long they last, what is sent and how the app behaves: all that is thrown
//! by seeded dice. When exactly a trouble strikes is the machine's to say, so a seed gives the same storm and not the
//! same run.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use relay_bench::lossy::{Conditions, LossyProxy};
use relay_server::store::{Audit, SourceAudit};
use tokio::task::{JoinSet, block_in_place};

use super::House;
use super::app::FaultyApp;
use super::arrangement::PLANS;
use super::journal::Journal;
use super::ledger::Ledger;
use super::sender::Sender;
use crate::dice::Dice;
use crate::disk::{Disk, Unsynced};

/// What a kill of the server takes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// The process alone: what it wrote is there.
    Stays,
    /// Everything the disk was not made to keep.
    Goes,
    /// The same with a database that is never synced, as with `synchronous = OFF`: the control, which has to lose
    /// something.
    GoesUnsynced,
}

/// What happens, and for how long.
#[derive(Debug, Clone)]
pub struct Storm {
    /// Where the dice start.
    pub seed: u64,
    /// How long there are troubles.
    pub time: Duration,
    /// Requests after which it is enough, whatever the time.
    pub requests: Option<usize>,
    /// It does not end before the server was killed so often.
    pub kills_min: usize,
    /// Longest pause of a sender between two requests, in milliseconds.
    pub pause_ms: u64,
    /// See [`Power`].
    pub power: Power,
    /// How long the backlog may take once everything is well again.
    pub calm: Duration,
    /// Whether data and logs are left where they are.
    pub keeps_evidence: bool,
}

/// How long a backlog may take to form before a kill.
const BACKLOG_DEADLINE: Duration = Duration::from_secs(5);

/// How often progress is told once it is calm.
const SAY_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    ServerKilled,
    ServerEnded,
    ServerStopped,
    AgentKilled,
    AgentEnded,
    AgentStopped,
    AppGone,
    AppStalled,
    LinkCut,
    LinkLossy,
}

/// Who is in trouble. Each of them at most once at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Server,
    Agent,
    App,
    Link,
}

impl Trouble {
    /// With how many parts of the whole it comes, and how long it lasts, in milliseconds.
    const ALL: [(Self, u64, std::ops::Range<u64>); 10] = [
        (Self::ServerKilled, 5, 20..600),
        (Self::ServerEnded, 1, 20..400),
        (Self::ServerStopped, 1, 200..1_500),
        (Self::AgentKilled, 2, 20..800),
        (Self::AgentEnded, 1, 20..400),
        (Self::AgentStopped, 2, 200..2_000),
        (Self::AppGone, 3, 50..1_200),
        (Self::AppStalled, 2, 200..2_000),
        (Self::LinkCut, 3, 200..2_000),
        (Self::LinkLossy, 1, 500..3_000),
    ];

    fn thrown(dice: &mut Dice) -> (Self, Duration) {
        let mut left = dice.between(0..Self::ALL.iter().map(|(_, parts, _)| parts).sum());
        for (trouble, parts, lasts) in Self::ALL {
            if left < parts {
                return (trouble, Duration::from_millis(dice.between(lasts)));
            }
            left -= parts;
        }
        unreachable!("the parts make the whole")
    }

    fn who(self) -> Who {
        match self {
            Self::ServerKilled | Self::ServerEnded | Self::ServerStopped => Who::Server,
            Self::AgentKilled | Self::AgentEnded | Self::AgentStopped => Who::Agent,
            Self::AppGone | Self::AppStalled => Who::App,
            Self::LinkCut | Self::LinkLossy => Who::Link,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::ServerKilled => "server killed",
            Self::ServerEnded => "server ended and started",
            Self::ServerStopped => "server stopped and continued",
            Self::AgentKilled => "agent killed",
            Self::AgentEnded => "agent ended and started",
            Self::AgentStopped => "agent stopped and continued",
            Self::AppGone => "app gone",
            Self::AppStalled => "app stalled",
            Self::LinkCut => "link cut",
            Self::LinkLossy => "link lossy",
        }
    }
}

/// Everybody while it storms.
struct Scene<'a> {
    storm: &'a Storm,
    house: House,
    disk: Option<Disk>,
    app: FaultyApp,
    link: LossyProxy,
    journal: Arc<Journal>,
    dice: Dice,
    troubles: Vec<(Trouble, Instant)>,
    ledger: Ledger,
    say: &'a mut (dyn FnMut(String) + Send),
    started: Instant,
    /// Of the server. After one that left nothing to be read no backlog is known.
    kills: usize,
}

/// Deliveries that wait, by what is on disk; `None` when that cannot be read.
pub(super) fn waiting(data: &Path) -> Option<u64> {
    let audit = Audit::of_data_dir(data, false).ok()?;
    Some(audit.sources.iter().map(|source| source.waiting).sum())
}

/// The same in words, source by source.
fn waiting_in_words(data: &Path) -> String {
    let Ok(audit) = Audit::of_data_dir(data, false) else { return "unknown".to_owned() };
    let words = |source: &SourceAudit| format!("{} for {}", source.waiting, source.source);
    audit.sources.iter().filter(|source| source.waiting > 0).map(words).collect::<Vec<_>>().join(", ")
}

impl Storm {
    /// Lets it storm, waits until everything that was kept is delivered, and draws up the balance. `say` hears what
    /// happens. Needs a runtime of several threads.
    pub async fn run(&self, mut say: impl FnMut(String) + Send) -> Ledger {
        let house = House::build(async |store, project| {
            for plan in PLANS {
                plan.set_up(store, project).await;
            }
        })
        .await;
        let disk = match self.power {
            Power::Stays => None,
            Power::Goes => Some(Disk::power(&house.data())),
            Power::GoesUnsynced => Some(Disk::power(&house.data()).without_syncs_of_the_database()),
        };
        let app = FaultyApp::start(self.seed, false).await;
        let link = LossyProxy::start(house.tunnel(), Conditions::default()).expect("a proxy");
        let routes: Vec<_> = PLANS
            .iter()
            .flat_map(|plan| plan.destinations.iter().map(move |name| (plan, *name)))
            .map(|(plan, name)| {
                let target = format!("http://{}/{}.{name}", app.addr(), plan.name);
                (plan.name.to_owned(), name.to_owned(), target)
            })
            .collect();
        house.set_up_agent(link.addr(), &routes);
        let mut scene = Scene {
            storm: self,
            house,
            disk,
            app,
            link,
            journal: Arc::default(),
            dice: Dice::of(self.seed, u64::MAX),
            troubles: Vec::new(),
            ledger: Ledger::default(),
            say: &mut say,
            started: Instant::now(),
            kills: 0,
        };
        let is_up = scene.start_server();
        scene.house.start_agent();
        let stop = Arc::new(AtomicBool::new(false));
        let mut senders = scene.start_senders(&stop);
        if is_up {
            scene.blow().await;
        }
        stop.store(true, Ordering::Relaxed);
        scene.app.behave(true);
        // Those told to end come last: they may wait for the others.
        scene
            .troubles
            .sort_by_key(|(trouble, _)| !matches!(trouble, Trouble::ServerEnded | Trouble::AgentEnded));
        while let Some((trouble, _)) = scene.troubles.pop() {
            scene.end(trouble).await;
        }
        while senders.join_next().await.is_some() {}
        scene.settle().await
    }
}

impl Scene<'_> {
    fn tell(&mut self, what: &str) {
        let (sent, told) = self.journal.counts();
        let line = format!(
            "{:6.1} s  {what}; {sent} sent, {told} acknowledged, {} reached the app",
            self.started.elapsed().as_secs_f64(),
            self.app.count()
        );
        (self.say)(line);
    }

    fn start_senders(&self, stop: &Arc<AtomicBool>) -> JoinSet<()> {
        let mut senders = JoinSet::new();
        for (at, plan) in PLANS.into_iter().enumerate() {
            for number in 0..plan.senders {
                let sender = Sender {
                    public: self.house.public(),
                    plan,
                    at,
                    number,
                    seed: self.storm.seed,
                    pause_ms: self.storm.pause_ms,
                    journal: Arc::clone(&self.journal),
                    stop: Arc::clone(stop),
                };
                senders.spawn(sender.run());
            }
        }
        senders
    }

    /// Troubles, until it is enough.
    async fn blow(&mut self) {
        let end = Instant::now() + self.storm.time;
        let mut next = Instant::now() + Duration::from_millis(300);
        loop {
            let now = Instant::now();
            while let Some(at) = self.troubles.iter().position(|(_, until)| *until <= now) {
                let (trouble, _) = self.troubles.swap_remove(at);
                if !self.is_ending_over(trouble) {
                    // What it holds may wait for somebody else who is in trouble.
                    self.troubles.push((trouble, Instant::now() + Duration::from_millis(20)));
                    continue;
                }
                if !self.end(trouble).await {
                    return;
                }
            }
            let is_enough = self.storm.requests.is_some_and(|most| self.journal.counts().0 >= most);
            let is_short_of_kills = self.kills < self.storm.kills_min;
            let is_late = now >= end || is_enough;
            if is_late && !is_short_of_kills {
                return;
            }
            if now >= next {
                let (mut trouble, lasts) = Trouble::thrown(&mut self.dice);
                if is_late {
                    trouble = Trouble::ServerKilled;
                }
                if self.troubles.iter().all(|(other, _)| other.who() != trouble.who()) {
                    self.begin(trouble).await;
                    self.troubles.push((trouble, Instant::now() + lasts));
                }
                next = Instant::now() + Duration::from_millis(self.dice.between(100..1_500));
            }
            let wake = self.troubles.iter().map(|(_, until)| *until).chain([next]).min().unwrap_or(next);
            tokio::time::sleep_until(wake.into()).await;
        }
    }

    async fn begin(&mut self, trouble: Trouble) {
        if trouble == Trouble::ServerKilled {
            self.wait_for_backlog().await;
        }
        self.tell(trouble.words());
        *self.ledger.troubles.entry(trouble.words()).or_default() += 1;
        match trouble {
            Trouble::ServerKilled => self.kill_server(),
            Trouble::ServerEnded => self.house.server().signal("TERM"),
            Trouble::ServerStopped => self.house.server().signal("STOP"),
            Trouble::AgentKilled => self.house.agent().kill(),
            Trouble::AgentEnded => self.house.agent().signal("TERM"),
            Trouble::AgentStopped => self.house.agent().signal("STOP"),
            Trouble::AppGone => self.app.go().await,
            Trouble::AppStalled => self.app.stall(true),
            Trouble::LinkCut => self.link.cut(),
            Trouble::LinkLossy => {
                self.link.set(Conditions { drop: 0.1, reorder: 0.1, ..Conditions::default() });
            }
        }
    }

    /// Whether whoever was told to end has ended.
    fn is_ending_over(&mut self, trouble: Trouble) -> bool {
        match trouble {
            Trouble::ServerEnded => self.house.server().is_over(),
            Trouble::AgentEnded => self.house.agent().is_over(),
            _ => true,
        }
    }

    /// Ends a trouble. Says whether everybody is there.
    async fn end(&mut self, trouble: Trouble) -> bool {
        if matches!(trouble, Trouble::ServerEnded | Trouble::AgentEnded) {
            let is_server = trouble == Trouble::ServerEnded;
            let process = if is_server { self.house.server() } else { self.house.agent() };
            let code = block_in_place(|| process.end());
            if code != Some(0) {
                let who = if is_server { "server" } else { "agent" };
                self.ledger.breach("ends of programs", format!("the {who} ended with {code:?}"));
            }
        }
        match trouble {
            Trouble::ServerKilled | Trouble::ServerEnded => return self.start_server(),
            Trouble::ServerStopped => self.house.server().signal("CONT"),
            Trouble::AgentKilled | Trouble::AgentEnded => self.house.start_agent(),
            Trouble::AgentStopped => self.house.agent().signal("CONT"),
            Trouble::AppGone => self.app.come_back().await,
            Trouble::AppStalled => self.app.stall(false),
            Trouble::LinkCut => self.link.heal(),
            Trouble::LinkLossy => self.link.set(Conditions::default()),
        }
        true
    }

    fn start_server(&mut self) -> bool {
        let started = block_in_place(|| self.house.start_server(self.disk.as_ref()));
        if let Err(code) = started {
            let log = self.house.server_log();
            let last = log.lines().last().unwrap_or_default().to_owned();
            self.ledger.breach("starts", format!("the server does not start: {code:?}, {last}"));
        }
        started.is_ok()
    }

    /// Waits until something waits: a kill is to find a backlog. Where everything is well, the app goes for a while.
    async fn wait_for_backlog(&mut self) {
        let data = self.house.data();
        let deadline = Instant::now() + BACKLOG_DEADLINE;
        let mut is_app_held = false;
        while waiting(&data).is_none_or(|waiting| waiting < 3) && Instant::now() < deadline {
            if !is_app_held && self.troubles.iter().all(|(other, _)| other.who() != Who::App) {
                is_app_held = true;
                self.app.stall(true);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if is_app_held {
            self.app.stall(false);
        }
    }

    fn kill_server(&mut self) {
        self.kills += 1;
        block_in_place(|| {
            self.house.kill_server();
            if let Some(disk) = &mut self.disk {
                let unsynced =
                    if self.dice.percent(40) { Unsynced::Torn(self.dice.throw()) } else { Unsynced::Lost };
                disk.power_cut(unsynced);
            }
        });
        match waiting(&self.house.data()) {
            Some(waiting) => self.ledger.backlogs.push(waiting),
            None => self.ledger.breach("the store", "cannot be read after a kill".to_owned()),
        }
    }

    /// Waits until nothing waits, ends everybody, and draws up the balance.
    async fn settle(mut self) -> Ledger {
        self.tell("calm");
        let data = self.house.data();
        let deadline = Instant::now() + self.storm.calm;
        let mut left = None;
        let mut say_at = Instant::now() + SAY_EVERY;
        while Instant::now() < deadline {
            left = waiting(&data);
            if left == Some(0) {
                break;
            }
            if Instant::now() > say_at {
                say_at += SAY_EVERY;
                self.tell(&format!("waiting: {}", waiting_in_words(&data)));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        if left != Some(0) {
            let what =
                format!("{:?} after everything was well: {}", self.storm.calm, waiting_in_words(&data));
            self.ledger.breach("still waiting", what);
        }
        self.tell("all delivered");
        if !self.ledger.breaches.contains_key("starts") {
            let codes = block_in_place(|| (self.house.finish_server(), self.house.agent().finish()));
            if codes != (Some(0), Some(0)) {
                self.ledger.breach("ends of programs", format!("server and agent ended with {codes:?}"));
            }
        }
        for (who, log) in [("server", self.house.server_log()), ("agent", self.house.agent_log())] {
            let bad = |line: &&str| line.contains("panicked") || line.contains("\"level\":\"ERROR\"");
            for line in log.lines().filter(bad) {
                self.ledger.breach("errors in a log", format!("{who}: {line}"));
            }
        }
        let arrivals = self.app.arrivals();
        self.ledger.draw(&data, &self.journal, &arrivals).await;
        if self.storm.keeps_evidence {
            self.ledger.evidence = Some(self.house.keep());
        }
        self.ledger
    }
}
