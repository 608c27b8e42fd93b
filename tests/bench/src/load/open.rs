//! The open loop: several streams of requests, each with a rate of its own, that come when they are due whether or
//! not those before were answered, as senders and people do it.
//!
//! Arrivals are Poisson, from seeded dice, and set before the start. A thread of its own says when each is due, since
//! tokio's timers know whole milliseconds only. A latency counts from then on: waiting for a free connection, and this
//! process being late, are in it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{sleep_until, timeout};

use super::Method;
use super::account::{Snapshot, Tally, Used};
use super::visitor::{Dialer, Request, Visitor};
use crate::dice::Dice;

/// How long after its end a run waits for answers still to come. What has not come by then is an error.
pub const LAST_ANSWERS_MAX: Duration = Duration::from_secs(10);

/// Between the end of all dialling and the first arrival.
const START_IN: Duration = Duration::from_millis(20);

/// A hint how much to read at a time: a page of events is some 20 KiB.
const ANSWER_BYTES: u64 = 32 << 10;

/// What to send, handed to the load process as one JSON text.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    pub streams: Vec<Stream>,
    pub warm_up: Duration,
    pub window: Duration,
    /// Role and process id of those whose CPU time counts.
    pub watch: BTreeMap<String, u32>,
    pub seed: u64,
}

/// Requests of one kind.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Stream {
    pub name: String,
    pub to: SocketAddr,
    pub method: Method,
    /// Asked in turn.
    pub paths: Vec<String>,
    /// Header fields on top of those a request needs.
    pub fields: Vec<(String, String)>,
    pub body_bytes: u64,
    /// Status of a right answer.
    pub status: u16,
    pub per_second: f64,
    /// Kept connections. As many requests can be under way; one that is due while all are waits.
    pub connections: usize,
}

/// What came out, of the measured window only: a request belongs to it if it was due in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    /// As in the plan.
    pub streams: Vec<StreamMeasured>,
    pub used: Used,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StreamMeasured {
    pub name: String,
    pub per_second_wanted: f64,
    /// Due in the window.
    pub asked: u64,
    /// Right answers.
    pub answered: u64,
    /// Wrong answers, broken connections, and no answer at all.
    pub errors: u64,
    pub first_error: Option<String>,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

/// One request that is due.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Arrival {
    /// From the start.
    at: Duration,
    stream: usize,
}

/// Every arrival of a run, in order. Pure.
fn arrivals(rates: &[f64], lasting: Duration, seed: u64) -> Vec<Arrival> {
    let mut all = Vec::new();
    for ((stream, rate), lane) in rates.iter().enumerate().zip(0..) {
        let mut dice = Dice::new(seed, lane);
        let mut at = 0.0;
        loop {
            // 1 - roll is never 0.
            at -= (1.0 - dice.roll()).ln() / rate;
            if at >= lasting.as_secs_f64() {
                break;
            }
            all.push(Arrival { at: Duration::from_secs_f64(at), stream });
        }
    }
    all.sort_by_key(|arrival| arrival.at);
    all
}

/// Runs a plan to its end.
pub async fn run(plan: Plan) -> Result<Measured> {
    for stream in &plan.streams {
        ensure!(stream.per_second > 0.0 && !stream.paths.is_empty(), "{} would ask nothing", stream.name);
    }
    LocalSet::new().run_until(drive(plan)).await
}

async fn drive(plan: Plan) -> Result<Measured> {
    let rates: Vec<f64> = plan.streams.iter().map(|stream| stream.per_second).collect();
    let arrivals = arrivals(&rates, plan.warm_up + plan.window, plan.seed);
    let mut visits = JoinSet::new();
    let (mut callers, mut tallies) = (Vec::new(), Vec::new());
    for (index, stream) in plan.streams.iter().enumerate() {
        let wanted = arrivals.iter().filter(|arrival| arrival.stream == index).count();
        // Room for all there will ever be: the thread that calls must not wait for anybody.
        let (caller, calls) = mpsc::channel(wanted.max(1));
        let tally = Rc::new(RefCell::new(Tally::default()));
        let calls = Rc::new(Mutex::new(calls));
        let course = Rc::new(Course::new(stream, Rc::clone(&tally))?);
        for _ in 0..stream.connections {
            let dialled = course.dialer.dial(ANSWER_BYTES).await?;
            visits.spawn_local(visit(Rc::clone(&course), Rc::clone(&calls), dialled));
        }
        callers.push(caller);
        tallies.push(tally);
    }

    let start = Instant::now() + START_IN;
    let measured_from = start + plan.warm_up;
    let asked: Vec<u64> = (0..plan.streams.len())
        .map(|index| {
            let own = arrivals.iter().filter(|arrival| arrival.stream == index && arrival.at >= plan.warm_up);
            own.count() as u64
        })
        .collect();
    let calling = thread::Builder::new().name("caller".to_owned());
    let calling = calling.spawn(move || call(&arrivals, start, measured_from, &callers))?;
    sleep_until(measured_from.into()).await;
    let before = Snapshot::take(&plan.watch)?;
    sleep_until((measured_from + plan.window).into()).await;
    let after = Snapshot::take(&plan.watch)?;
    // Those that never come are counted below, as asked and not answered.
    let _ = timeout(LAST_ANSWERS_MAX, async { while visits.join_next().await.is_some() {} }).await;
    visits.abort_all();
    // Over: its schedule is, and whoever listened is gone.
    ensure!(calling.join().is_ok(), "the thread that says what is due panicked");

    let streams = plan.streams.iter().zip(tallies).zip(asked);
    let streams =
        streams.map(|((stream, tally), asked)| StreamMeasured::new(stream, &tally.borrow(), asked)).collect();
    Ok(Measured { streams, used: after.since(&before)? })
}

impl StreamMeasured {
    fn new(stream: &Stream, tally: &Tally, asked: u64) -> Self {
        let answered = tally.latencies.count();
        let unanswered = asked.saturating_sub(answered + tally.errors);
        let silence = || format!("no answer within {LAST_ANSWERS_MAX:?} of the end");
        Self {
            name: stream.name.clone(),
            per_second_wanted: stream.per_second,
            asked,
            answered,
            errors: tally.errors + unanswered,
            first_error: tally.first_error.clone().or_else(|| (unanswered > 0).then(silence)),
            p50_ms: tally.latencies.quantile_ms(0.50),
            p99_ms: tally.latencies.quantile_ms(0.99),
            max_ms: tally.latencies.max_ms(),
        }
    }
}

/// Says when each arrival is due. Ends with the last, or with everybody who listens.
fn call(arrivals: &[Arrival], start: Instant, measured_from: Instant, callers: &[mpsc::Sender<Call>]) {
    for arrival in arrivals {
        let due = start + arrival.at;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if callers[arrival.stream].try_send(Call { due, is_measured: due >= measured_from }).is_err() {
            return;
        }
    }
}

#[derive(Debug)]
struct Call {
    due: Instant,
    is_measured: bool,
}

/// What the connections of one stream share.
struct Course {
    dialer: Dialer,
    requests: Vec<Request>,
    next: RefCell<usize>,
    status: u16,
    tally: Rc<RefCell<Tally>>,
}

impl Course {
    fn new(stream: &Stream, tally: Rc<RefCell<Tally>>) -> Result<Self> {
        let fields: Vec<(&str, &str)> =
            stream.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let render = |path: &String| Request::new(stream.to, stream.method, path, &fields, stream.body_bytes);
        Ok(Self {
            dialer: Dialer::new(stream.to, None)?,
            requests: stream.paths.iter().map(render).collect(),
            next: RefCell::new(0),
            status: stream.status,
            tally,
        })
    }

    fn next_request(&self) -> &Request {
        let mut next = self.next.borrow_mut();
        *next = (*next + 1) % self.requests.len();
        &self.requests[*next]
    }

    async fn ask(&self, visitor: Option<Visitor>) -> Result<Option<Visitor>> {
        let mut visitor = match visitor {
            Some(visitor) => visitor,
            None => self.dialer.dial(ANSWER_BYTES).await?,
        };
        let answer = visitor.exchange(self.next_request()).await?;
        ensure!(answer.status == self.status, "the answer was {}", answer.status);
        Ok(answer.keeps_connection.then_some(visitor))
    }
}

/// One connection: takes what is due, in turn with the stream's others.
async fn visit(course: Rc<Course>, calls: Rc<Mutex<mpsc::Receiver<Call>>>, dialled: Visitor) {
    let mut visitor = Some(dialled);
    loop {
        let call = calls.lock().await.recv().await;
        let Some(Call { due, is_measured }) = call else { return };
        let answered = course.ask(visitor.take()).await;
        if is_measured {
            course.tally.borrow_mut().note(due.elapsed(), &answered);
        }
        visitor = answered.ok().flatten();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::Sink;

    #[test]
    fn arrivals_come_in_order_at_the_rates_asked_and_in_bursts() {
        let all = arrivals(&[1_000.0, 50.0], Duration::from_secs(20), 1);
        assert!(all.is_sorted_by_key(|arrival| arrival.at));
        let count = |stream| all.iter().filter(|arrival| arrival.stream == stream).count();
        assert!((19_500..20_500).contains(&count(0)), "{}", count(0));
        assert!((900..1_100).contains(&count(1)), "{}", count(1));
        let gaps = all.windows(2).map(|pair| pair[1].at - pair[0].at);
        let tight = gaps.filter(|gap| *gap < Duration::from_micros(100)).count() as f64 / all.len() as f64;
        assert!((0.08..0.12).contains(&tight), "a tenth follow within a tenth of the mean gap: {tight}");
        assert_eq!(all, arrivals(&[1_000.0, 50.0], Duration::from_secs(20), 1));
    }

    fn stream(name: &str, to: SocketAddr, per_second: f64, status: u16) -> Stream {
        Stream {
            name: name.to_owned(),
            to,
            method: Method::Post,
            paths: vec!["/a".to_owned(), "/b".to_owned()],
            fields: vec![("X-A".to_owned(), "1".to_owned())],
            body_bytes: 1_024,
            status,
            per_second,
            connections: 4,
        }
    }

    #[tokio::test]
    async fn every_request_due_is_asked_and_counted_and_a_wrong_status_is_an_error() -> Result<()> {
        let sink = Sink::start(0).await?;
        let plan = Plan {
            streams: vec![stream("right", sink.addr, 200.0, 200), stream("wrong", sink.addr, 20.0, 202)],
            warm_up: Duration::from_millis(200),
            window: Duration::from_secs(1),
            watch: BTreeMap::new(),
            seed: 3,
        };
        let asked = arrivals(&[200.0, 20.0], plan.warm_up + plan.window, 3).len();
        let measured = run(plan).await?;
        let [right, wrong] = &measured.streams[..] else { panic!("two streams") };
        assert_eq!((right.answered, right.errors), (right.asked, 0), "{right:?}");
        assert_eq!((wrong.answered, wrong.errors), (0, wrong.asked), "{wrong:?}");
        assert!(wrong.first_error.as_deref().is_some_and(|error| error.contains("200")), "{wrong:?}");
        assert!(right.p50_ms > 0.0 && right.p50_ms <= right.p99_ms && right.p99_ms <= right.max_ms);
        assert_eq!(sink.requests(), asked as u64, "those of the warm-up too");
        Ok(())
    }
}
