//! The load generator: a closed loop over so many connections, one request under way on each. It is frugal, because
//! it shares the cores with what it measures: requests are rendered once, answers are counted and not kept.
//!
//! It reads the CPU time of the processes it is told to watch at the very start and end of the measured window, so
//! that warm-up and start-up are in no figure. An answer of another status or length than expected is an error.
//! [`open`] is the other kind: requests come when they are due, whatever became of those before.

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

pub mod account;
pub mod answer;
pub mod histogram;
pub mod open;
pub mod visitor;

use account::{Snapshot, Tally, Used};
use visitor::{Dialer, Request};

/// What to send, where, and for how long. The driver hands it to the load process as one JSON argument.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    pub to: SocketAddr,
    pub path: String,
    pub method: Method,
    pub body_bytes: u64,
    /// Every body carries a number of its own, counted from this one on; [`visitor::number_in`] reads it back.
    pub numbered_from: Option<u64>,
    /// Status of a right answer.
    pub status: u16,
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
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
    #[serde(flatten)]
    pub used: Used,
}

impl Measured {
    /// `silent_connections` as in the field.
    pub fn new(tally: &Tally, silent_connections: usize, used: Used) -> Self {
        Self {
            requests: tally.latencies.count(),
            errors: tally.errors,
            silent_connections,
            first_error: tally.first_error.clone(),
            p50_ms: tally.latencies.quantile_ms(0.50),
            p99_ms: tally.latencies.quantile_ms(0.99),
            max_ms: tally.latencies.max_ms(),
            used,
        }
    }

    pub fn per_second(&self) -> f64 {
        self.requests as f64 / self.used.seconds
    }

    /// CPU seconds for 1,000 right answers. Zero for a role nobody watched.
    pub fn cpu_per_1k(&self, role: &str) -> f64 {
        self.used.cpu_per_1k(role, self.requests)
    }
}

/// Runs a plan to its end.
pub async fn run(plan: Plan) -> Result<Measured> {
    let course = Rc::new(Course {
        dialer: Dialer::new(plan.to, plan.certificate.as_deref())?,
        request: Request::render(&plan),
        is_fresh: plan.is_fresh,
        status: plan.status,
        answer_bytes: plan.answer_bytes,
        next_number: plan.numbered_from.map(Cell::new),
        left: Cell::new(match plan.stop {
            Stop::After(_) => u64::MAX,
            Stop::AfterRequests(count) => count,
        }),
        is_measured: Cell::new(false),
        tally: RefCell::default(),
        heard: (0..plan.connections).map(|_| Cell::new(false)).collect(),
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

    let silent_connections = course.heard.iter().filter(|heard| !heard.get()).count();
    Ok(Measured::new(&course.tally.borrow(), silent_connections, after.since(&before)?))
}

/// What all connections of one run share.
struct Course {
    dialer: Dialer,
    request: Request,
    is_fresh: bool,
    status: u16,
    answer_bytes: u64,
    next_number: Option<Cell<u64>>,
    left: Cell<u64>,
    is_measured: Cell<bool>,
    tally: RefCell<Tally>,
    /// By connection.
    heard: Vec<Cell<bool>>,
}

/// One connection's closed loop: request, answer, next request.
async fn visit(course: Rc<Course>, number: usize) {
    let mut visitor = None;
    let mut request = course.request.clone();
    while course.left.get() > 0 {
        course.left.set(course.left.get().saturating_sub(1));
        if let Some(next) = &course.next_number {
            request.set_number(next.replace(next.get() + 1));
        }
        let started = Instant::now();
        let answered = async {
            let mut visitor = match visitor.take() {
                Some(visitor) => visitor,
                None => course.dialer.dial(course.answer_bytes).await?,
            };
            let answer = visitor.exchange(&request).await?;
            answer.check(course.status, course.answer_bytes)?;
            anyhow::Ok((answer.keeps_connection && !course.is_fresh).then_some(visitor))
        }
        .await;
        let took = started.elapsed();
        let is_error = answered.is_err();
        if course.is_measured.get() {
            course.heard[number].set(true);
            course.tally.borrow_mut().note(took, &answered);
        }
        visitor = answered.ok().flatten();
        if is_error {
            sleep(PAUSE_AFTER_ERROR).await;
        }
    }
}
