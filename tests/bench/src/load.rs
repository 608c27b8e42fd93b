//! The load generator: a closed loop over so many connections, one request under way on each. It is frugal, because
//! it shares the cores with what it measures: requests are rendered once, answers are counted and not kept.
//!
//! It reads the CPU time of the processes it is told to watch at the very start and end of the measured window, so
//! that warm-up and start-up are in no figure. An answer that is not 200 with the expected length is an error.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{sleep, timeout};

use crate::usage;

pub mod answer;
pub mod histogram;
pub mod visitor;

use histogram::Histogram;
use visitor::{Dialer, Request};

/// What to send, where, and for how long. The driver hands it to the load process as one JSON argument.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    pub to: SocketAddr,
    pub path: String,
    pub method: Method,
    pub body_bytes: u64,
    /// Length of the body a right answer has.
    pub answer_bytes: u64,
    pub connections: usize,
    /// A new connection for every request, as most webhook senders do it.
    pub is_fresh: bool,
    pub warm_up: Duration,
    pub stop: Stop,
    /// Speak TLS, and trust exactly this certificate.
    pub certificate: Option<PathBuf>,
    /// Role and process id of those whose CPU time counts.
    pub watch: BTreeMap<String, u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    Get,
    Post,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stop {
    After(Duration),
    /// After so many answers, or errors, over all connections together.
    AfterRequests(u64),
}

/// A run that counts requests ends here at the latest.
pub const COUNTED_RUN_MAX: Duration = Duration::from_secs(180);

/// After an error a connection waits this long, so that a refusing server is not a busy loop.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(5);

/// What came out, of the measured window only.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    /// Right answers.
    pub requests: u64,
    pub errors: u64,
    /// Connections that got no answer at all during the window, right or wrong.
    pub silent_connections: usize,
    pub first_error: Option<String>,
    pub seconds: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
    /// By role, as in [`Plan::watch`].
    pub cpu_seconds: BTreeMap<String, f64>,
    pub load_cpu_seconds: f64,
    /// So much of the machine, in percent of all cores, went to neither the watched processes nor the load
    /// generator. Past a few percent the figures say more about the neighbours.
    pub foreign_cpu_percent: f64,
}

impl Measured {
    pub fn per_second(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    /// CPU seconds for 1,000 right answers. Zero for a role nobody watched.
    pub fn cpu_per_1k(&self, role: &str) -> f64 {
        self.cpu_seconds.get(role).copied().unwrap_or_default() * 1_000.0 / self.requests.max(1) as f64
    }
}

/// Runs a plan to its end.
pub async fn run(plan: Plan) -> Result<Measured> {
    let course = Rc::new(Course {
        dialer: Dialer::new(plan.to, plan.certificate.as_deref())?,
        request: Request::render(&plan),
        is_fresh: plan.is_fresh,
        answer_bytes: plan.answer_bytes,
        left: Cell::new(match plan.stop {
            Stop::After(_) => u64::MAX,
            Stop::AfterRequests(count) => count,
        }),
        is_measured: Cell::new(false),
        tally: RefCell::new(Tally::new(plan.connections)),
    });
    LocalSet::new().run_until(drive(plan, course)).await
}

async fn drive(plan: Plan, course: Rc<Course>) -> Result<Measured> {
    if matches!(plan.stop, Stop::AfterRequests(_)) {
        course.is_measured.set(true);
    }
    let mut visits = JoinSet::new();
    let mut before = Snapshot::take(&plan.watch)?;
    for number in 0..plan.connections {
        visits.spawn_local(visit(Rc::clone(&course), number));
    }
    match plan.stop {
        Stop::After(window) => {
            sleep(plan.warm_up).await;
            before = Snapshot::take(&plan.watch)?;
            course.is_measured.set(true);
            sleep(window).await;
        }
        Stop::AfterRequests(count) => {
            let all = async { while visits.join_next().await.is_some() {} };
            timeout(COUNTED_RUN_MAX, all)
                .await
                .with_context(|| format!("{count} requests did not finish in {COUNTED_RUN_MAX:?}"))?;
        }
    }
    course.is_measured.set(false);
    let after = Snapshot::take(&plan.watch)?;
    visits.abort_all();

    let cpu_seconds = after.since(&before);
    let load_cpu_seconds = after.own - before.own;
    let accounted = cpu_seconds.values().sum::<f64>() + load_cpu_seconds;
    let seconds = (after.at - before.at).as_secs_f64();
    let available = seconds * std::thread::available_parallelism()?.get() as f64;
    let tally = course.tally.borrow();
    Ok(Measured {
        requests: tally.latencies.count(),
        errors: tally.errors,
        silent_connections: tally.heard.iter().filter(|heard| !**heard).count(),
        first_error: tally.first_error.clone(),
        seconds,
        p50_ms: tally.latencies.quantile_ms(0.50),
        p99_ms: tally.latencies.quantile_ms(0.99),
        max_ms: tally.latencies.max_ms(),
        foreign_cpu_percent: ((after.machine - before.machine - accounted) * 100.0 / available).max(0.0),
        cpu_seconds,
        load_cpu_seconds,
    })
}

/// What all connections of one run share.
struct Course {
    dialer: Dialer,
    request: Request,
    is_fresh: bool,
    answer_bytes: u64,
    left: Cell<u64>,
    is_measured: Cell<bool>,
    tally: RefCell<Tally>,
}

struct Tally {
    latencies: Histogram,
    errors: u64,
    first_error: Option<String>,
    heard: Vec<bool>,
}

impl Tally {
    fn new(connections: usize) -> Self {
        Self { latencies: Histogram::new(), errors: 0, first_error: None, heard: vec![false; connections] }
    }
}

/// One connection's closed loop: request, answer, next request.
async fn visit(course: Rc<Course>, number: usize) {
    let mut visitor = None;
    while course.left.get() > 0 {
        course.left.set(course.left.get().saturating_sub(1));
        let started = Instant::now();
        let answered = async {
            let mut visitor = match visitor.take() {
                Some(visitor) => visitor,
                None => course.dialer.dial(course.answer_bytes).await?,
            };
            let answer = visitor.exchange(&course.request).await?;
            answer.check(course.answer_bytes)?;
            anyhow::Ok((answer.keeps_connection && !course.is_fresh).then_some(visitor))
        }
        .await;
        let took = started.elapsed();
        let is_error = answered.is_err();
        if course.is_measured.get() {
            let mut tally = course.tally.borrow_mut();
            tally.heard[number] = true;
            match &answered {
                Ok(_) => tally.latencies.record(took),
                Err(error) => {
                    tally.errors += 1;
                    tally.first_error.get_or_insert_with(|| format!("{error:#}"));
                }
            }
        }
        visitor = answered.ok().flatten();
        if is_error {
            sleep(PAUSE_AFTER_ERROR).await;
        }
    }
}

/// CPU time used so far by everyone who matters, at one moment.
struct Snapshot {
    at: Instant,
    watched: BTreeMap<String, f64>,
    own: f64,
    machine: f64,
}

impl Snapshot {
    fn take(watch: &BTreeMap<String, u32>) -> Result<Self> {
        let watched = watch
            .iter()
            .map(|(role, pid)| {
                let seconds = usage::cpu_seconds(*pid)
                    .with_context(|| format!("the {role} process ({pid}) has ended during a measurement"))?;
                Ok((role.clone(), seconds))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            at: Instant::now(),
            watched,
            own: usage::cpu_seconds(std::process::id())?,
            machine: usage::machine_cpu_seconds()?,
        })
    }

    fn since(&self, before: &Self) -> BTreeMap<String, f64> {
        self.watched.iter().map(|(role, seconds)| (role.clone(), seconds - before.watched[role])).collect()
    }
}
