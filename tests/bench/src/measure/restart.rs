//! How long senders wait for the app's answer after the server crashed and came back, and after the link between
//! server and agent was cut and healed. The agent is left running and finds its own way back.

use std::cell::Cell;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Serialize;
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use super::{Bench, progress};
use crate::crew::Crew;
use crate::load::Plan;
use crate::load::visitor::{Dialer, Request};
use crate::process::Process;
use crate::relay::{Agent, Server, path_of};
use crate::report::{Findings, Spread, Table, number, spread_text};
use crate::systems::small_post;

/// Between two tries of the sender. Also the resolution of what is measured.
const TRY_EVERY: Duration = Duration::from_millis(5);

/// A try without an answer is given up, and the next one made.
const TRY_MAX: Duration = Duration::from_millis(250);

/// Later than this is never.
const FIRST_ANSWER_MAX: Duration = Duration::from_secs(60);

/// So many right answers in a row, and the relay is as it was.
const STEADY: usize = 20;

const DOWNTIMES: [Duration; 2] = [Duration::ZERO, Duration::from_secs(2)];
const CUTS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(5)];

#[derive(Debug, Serialize)]
struct Row {
    trouble: &'static str,
    lasted_seconds: f64,
    first_answer_ms: Vec<f64>,
    /// Tries that saw no answer within a minute.
    never: usize,
}

pub(super) async fn run(bench: &Bench<'_>) -> Result<Findings> {
    let mut rows = Vec::new();
    for downtime in DOWNTIMES {
        rows.push(restart(bench, downtime).await?);
    }
    for lasting in CUTS {
        rows.push(cut(bench, lasting).await?);
    }
    let mut table = Table::new(
        "Time to the first answer of the app",
        &["trouble", "lasted s", "first answer ms", "tries", "never"],
    );
    for row in &rows {
        table.row(vec![
            row.trouble.to_owned(),
            number(row.lasted_seconds, 0),
            spread_text(Spread::of(row.first_answer_ms.iter().copied()), 0),
            (row.first_answer_ms.len() + row.never).to_string(),
            row.never.to_string(),
        ]);
    }
    Ok(Findings { tables: vec![table], data: json!({ "rows": rows }) })
}

/// From the start of the new server process.
async fn restart(bench: &Bench<'_>, downtime: Duration) -> Result<Row> {
    let mut row = Row::new("server killed and started again", downtime);
    let mut rig = Rig::start(bench.crew, "restart", false).await?;
    while row.tries() < bench.effort.tries && row.never == 0 {
        rig.steady().await?;
        rig.server.kill();
        sleep(downtime).await;
        let since = Instant::now();
        rig.server.start_again()?;
        let answered = timeout(FIRST_ANSWER_MAX, rig.sender.first_answer(&Cell::new(Some(since)))).await;
        row.add(answered.ok());
    }
    Ok(row)
}

/// From the moment the link is healed. The sender sends before, during and after the cut.
async fn cut(bench: &Bench<'_>, lasting: Duration) -> Result<Row> {
    let mut row = Row::new("link cut and healed", lasting);
    let mut rig = Rig::start(bench.crew, "cut", true).await?;
    while row.tries() < bench.effort.tries && row.never == 0 {
        rig.steady().await?;
        let since = Cell::new(None);
        let link = rig.link.as_mut().expect("this rig has a link");
        link.tell("cut")?;
        let heal = async {
            sleep(lasting).await;
            link.tell("heal")?;
            since.set(Some(Instant::now()));
            anyhow::Ok(())
        };
        let (healed, answered) =
            tokio::join!(heal, timeout(lasting + FIRST_ANSWER_MAX, rig.sender.first_answer(&since)));
        healed?;
        row.add(answered.ok());
    }
    Ok(row)
}

impl Row {
    fn new(trouble: &'static str, lasted: Duration) -> Self {
        Self { trouble, lasted_seconds: lasted.as_secs_f64(), first_answer_ms: Vec::new(), never: 0 }
    }

    fn tries(&self) -> usize {
        self.first_answer_ms.len() + self.never
    }

    fn add(&mut self, took: Option<Duration>) {
        let text = took.map_or("never".to_owned(), |took| format!("{} ms", took.as_millis()));
        progress(&format!("restart, {} for {} s: {text}", self.trouble, self.lasted_seconds));
        match took {
            Some(took) => self.first_answer_ms.push(took.as_secs_f64() * 1_000.0),
            None => self.never += 1,
        }
    }
}

/// One relay, its app, and a sender; with a link that can be cut, or without.
struct Rig<'a> {
    sender: Sender,
    _agent: Agent,
    link: Option<Process>,
    server: Server<'a>,
    _app: Process,
}

impl<'a> Rig<'a> {
    async fn start(crew: &'a Crew, name: &str, has_link: bool) -> Result<Self> {
        let (app, app_addr) = crew.app("app").await?;
        let server = Server::start(crew, &format!("{name}-server"), None).await?;
        let link = if has_link { Some(crew.link("link", server.tunnel).await?) } else { None };
        let join_line = server.join_line(link.as_ref().map(|(_, addr)| *addr)).await?;
        let agent = Agent::start(crew, name, &join_line, app_addr).await?;
        let mut plan = small_post(server.public, 1);
        plan.path = path_of(name);
        plan.is_fresh = true;
        let sender = Sender::new(&plan)?;
        Ok(Self { sender, _agent: agent, link: link.map(|(process, _)| process), server, _app: app })
    }

    async fn steady(&self) -> Result<()> {
        let deadline = Instant::now() + FIRST_ANSWER_MAX;
        let mut in_a_row = 0;
        while in_a_row < STEADY {
            ensure!(
                Instant::now() < deadline,
                "the relay did not answer steadily within {FIRST_ANSWER_MAX:?}"
            );
            in_a_row = if self.sender.is_answered().await { in_a_row + 1 } else { 0 };
            sleep(TRY_EVERY).await;
        }
        Ok(())
    }
}

/// Sends one request after the other, each on a connection of its own.
struct Sender {
    dialer: Dialer,
    request: Request,
    answer_bytes: u64,
}

impl Sender {
    fn new(plan: &Plan) -> Result<Self> {
        Ok(Self {
            dialer: Dialer::new(plan.to, None)?,
            request: Request::render(plan),
            answer_bytes: plan.answer_bytes,
        })
    }

    /// Only the app's own answer counts: the relay's 202, 502 and 503 do not.
    async fn is_answered(&self) -> bool {
        let once = async {
            let answer = self.dialer.dial(self.answer_bytes).await?.exchange(&self.request).await?;
            answer.check(200, self.answer_bytes)
        };
        timeout(TRY_MAX, once).await.is_ok_and(|answered| answered.is_ok())
    }

    /// The time from `since` to the first answer after it. `since` may be set while this is waiting.
    async fn first_answer(&self, since: &Cell<Option<Instant>>) -> Duration {
        loop {
            let is_answered = self.is_answered().await;
            if let (true, Some(since)) = (is_answered, since.get()) {
                return since.elapsed();
            }
            sleep(TRY_EVERY).await;
        }
    }
}
