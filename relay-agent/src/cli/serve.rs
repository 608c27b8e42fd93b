//! Forwarding until told to stop: prints what happens, drains on the first signal, gives up on the second.

mod log;
mod returning;
mod terminal;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use protocol::control::ServeError;
use protocol::id::{DestinationName, Slug};
use relay_agent::inspector::{self, Inspector};
use relay_agent::{Agent, AgentEvent, EndReason, LinkState, Route, Settings};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::Receiver;
use tokio::time::{Interval, MissedTickBehavior, interval};

use self::log::Log;
use self::returning::{Choice, Keep, Returning, Step};
use self::terminal::{Answers, is_somebody_there};
use super::ask::{AskError, refusal};
use super::context::Context;
use super::exit::Exit;
use super::filter::one_of;
use super::provider::secret_body;
use super::query::Query;
use super::records;
use super::screen::{self, Message, Wish};
use super::signals::Signals;
use crate::output::printer::Closed;

/// Most events shown in one go.
const BATCH_MAX: usize = 64;

/// Lines after which an open question is shown again: it is still in sight then.
const ASK_AGAIN_LINES: usize = 10;

/// How often a screen is told how the link fares.
const PULSE: Duration = Duration::from_secs(1);

/// Most questions of a screen under way at once.
const ASKED_MAX: usize = 64;

/// A call that broke with the link is made again so often, so far apart; each waits for the link by itself.
const CALL_TRIES: u32 = 5;
const CALL_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Why forwarding ended, where the link itself did not.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeEnd {
    /// Not one route is served.
    #[error("nothing is served: {0}")]
    NothingServed(ServeError),
    /// The source is served, but its senders are not answered as was asked for.
    #[error("the rules of {of} cannot be set: {error}")]
    RuleNotSet {
        /// The source.
        of: Slug,
        /// Why.
        error: AskError,
    },
    /// See [`Closed`].
    #[error(transparent)]
    OutputClosed(#[from] Closed),
}

impl ServeEnd {
    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::NothingServed(error) if error.code == "taken_over" => Exit::TakenOver,
            Self::NothingServed(_) => Exit::Refused,
            Self::RuleNotSet { error, .. } => error.exit().unwrap_or(Exit::Failed),
            Self::OutputClosed(_) => Exit::Failed,
        }
    }
}

/// What forwarding verbs take besides their routes.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct Wishes {
    /// Plain lines, also on a terminal
    #[arg(long)]
    plain: bool,
    /// What to do with events that waited while no agent was there: `all` delivers them, `latest` only the newest,
    /// `none` none of them; `ask` asks [default: ask on a terminal, all elsewhere]
    #[arg(long, value_name = "WHICH", value_parser = choice)]
    backlog: Option<Choice>,
    /// Where the web inspector listens [default: 127.0.0.1:4040, or the next free port]
    #[arg(long, value_name = "ADDR", conflicts_with = "no_inspector")]
    inspector: Option<SocketAddr>,
    /// Serve no web inspector
    #[arg(long)]
    no_inspector: bool,
}

fn choice(text: &str) -> Result<Choice, String> {
    let names = Choice::NAMES.map(|(name, _)| name);
    let name = one_of(text, &names)?;
    let found = Choice::NAMES.into_iter().find(|(known, _)| *known == name);
    Ok(found.map_or(Choice::All, |(_, choice)| choice))
}

impl Wishes {
    /// The web inspector, unless nobody wants it. Where only its usual port cannot be had, all else goes on.
    async fn inspector(self, context: &Context, agent: &Agent) -> anyhow::Result<Option<Inspector>> {
        if self.no_inspector {
            return Ok(None);
        }
        let addr = self.inspector.unwrap_or(inspector::ADDR);
        match Inspector::start(agent.api_caller(), addr, self.inspector.is_some()).await {
            Ok(inspector) => Ok(Some(inspector)),
            Err(error) if self.inspector.is_some() => Err(anyhow::Error::new(error)),
            Err(error) => {
                context.output.say(&format!("note: {error}"));
                Ok(None)
            }
        }
    }

    /// The choice, with nobody asked who is not there. A script never waits for an answer.
    fn choice(self, context: &Context) -> Choice {
        let output = context.output;
        match self.backlog.unwrap_or(Choice::Ask) {
            Choice::Ask if output.json || output.quiet || !is_somebody_there() => {
                if self.backlog.is_some() {
                    output.say("note: nobody is here to ask; everything that waited is delivered");
                }
                Choice::All
            }
            choice => choice,
        }
    }
}

/// What is to be set at a source before it is served.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct SourceWish {
    pub(super) source: Slug,
    /// How its senders are answered: `live` or `accepted`.
    pub(super) reply: Option<String>,
    /// Who they are, as the API says it.
    pub(super) provider: Option<Value>,
    /// What they sign with.
    pub(super) secret: Option<String>,
    /// Which events a destination is to get.
    pub(super) events: Option<(DestinationName, Value)>,
}

impl SourceWish {
    /// The wish, if there is anything to it.
    pub(super) fn or_none(self) -> Option<Self> {
        let is_any =
            self.reply.is_some() || self.provider.is_some() || self.secret.is_some() || self.events.is_some();
        is_any.then_some(self)
    }

    fn rules(&self) -> Map<String, Value> {
        let reply = self.reply.as_deref().map(|reply| ("reply".to_owned(), Value::from(reply)));
        let provider = self.provider.clone().map(|provider| ("provider".to_owned(), provider));
        reply.into_iter().chain(provider).collect()
    }
}

/// Serves the routes of `settings` and shows what happens.
pub(super) async fn serve(
    context: &Context,
    mut settings: Settings,
    wishes: Wishes,
    rule: Option<SourceWish>,
) -> anyhow::Result<Exit> {
    let mut signals = Signals::new()?;
    let choice = wishes.choice(context);
    let is_plain = wishes.plain;
    for route in &mut settings.routes {
        route.backlog = choice.backlog();
    }
    let log = Log::new(context, &settings, is_plain);
    let standing = Standing::new(&settings.routes);
    let returning = Returning::new(&settings.routes, choice);
    let (agent, mut events) = Agent::start(settings);
    let inspector = wishes.inspector(context, &agent).await?;
    let mut serving = Serving {
        agent: &agent,
        log,
        standing,
        returning,
        rule,
        calls: FuturesUnordered::new(),
        asked: None,
        pulse: interval(PULSE),
    };
    serving.pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
    if let Some(inspector) = inspector.as_ref().filter(|_| !context.output.quiet) {
        serving.log.inspector(inspector.addr())?;
    }
    let result = serving.run(&mut events, &mut signals).await;
    serving.leave();
    let Serving { mut log, calls, .. } = serving;
    drop(calls);
    if let Err(ServeStop::Ended(reason)) = result {
        log.finish();
        return Err(reason.into());
    }
    log.stopping("finishing what is in flight; Ctrl-C again stops at once");
    let drained = {
        let mut drain = std::pin::pin!(agent.drain());
        loop {
            tokio::select! {
                () = &mut drain => break true,
                is_interrupt = signals.is_next_interrupt() => if !(is_interrupt && log.is_away()) {
                    break false;
                },
                wish = log.wish() => match wish {
                    Some(Wish::Stop) => break false,
                    Some(Wish::Ask(_) | Wish::Answer(_)) => {}
                    Some(Wish::Gone) | None => log.lose_screen(),
                },
                Some(event) = events.recv() => drop(log.show(&[event])),
            }
        }
    };
    while let Ok(event) = events.try_recv() {
        let _ = log.show(&[event]);
    }
    log.finish();
    match result {
        _ if !drained => Ok(Exit::Aborted),
        Err(ServeStop::Over(end)) => Err(end.into()),
        Ok(()) | Err(ServeStop::Ended(_)) => Ok(Exit::Done),
    }
}

/// Why forwarding stops by itself.
enum ServeStop {
    /// The link is over for good.
    Ended(EndReason),
    /// Something here is.
    Over(ServeEnd),
}

impl From<ServeEnd> for ServeStop {
    fn from(end: ServeEnd) -> Self {
        Self::Over(end)
    }
}

/// What a call to the server came to.
enum Called {
    Cancelled(usize, Keep, Result<u64, String>),
    RuleSet(SourceWish, Result<(), AskError>),
    /// Something the screen asked for.
    Shown(Message),
}

type Call<'a> = Pin<Box<dyn Future<Output = Called> + 'a>>;

enum Turn {
    Events(usize),
    Stop,
    Called(Called),
    Line(Option<String>),
    Wish(Option<Wish>),
    Pulse,
}

/// Forwarding while it goes on.
struct Serving<'a> {
    agent: &'a Agent,
    log: Log,
    standing: Standing,
    returning: Returning,
    rule: Option<SourceWish>,
    calls: FuturesUnordered<Call<'a>>,
    /// The question as it was last shown, and how many lines have followed it.
    asked: Option<(String, usize)>,
    pulse: Interval,
}

impl Serving<'_> {
    /// Goes on until somebody or something stops it.
    async fn run(
        &mut self,
        events: &mut Receiver<AgentEvent>,
        signals: &mut Signals,
    ) -> Result<(), ServeStop> {
        let mut answers = None;
        let mut happened = Vec::with_capacity(BATCH_MAX);
        loop {
            happened.clear();
            let is_asking = self.ask()? && self.log.has_lines();
            let line = async {
                match is_asking {
                    true => answers.get_or_insert_with(Answers::new).line().await,
                    false => std::future::pending().await,
                }
            };
            let turn = tokio::select! {
                count = events.recv_many(&mut happened, BATCH_MAX) => Turn::Events(count),
                is_interrupt = signals.is_next_interrupt() => {
                    if is_interrupt && self.log.is_away() {
                        continue;
                    }
                    Turn::Stop
                }
                _ = self.pulse.tick(), if !self.log.has_lines() => Turn::Pulse,
                Some(called) = self.calls.next(), if !self.calls.is_empty() => Turn::Called(called),
                line = line => Turn::Line(line),
                wish = self.log.wish() => Turn::Wish(wish),
            };
            match turn {
                Turn::Events(0) | Turn::Stop => return Ok(()),
                Turn::Events(_) => self.take(&happened)?,
                Turn::Called(Called::Cancelled(at, keep, result)) => {
                    let steps = self.returning.cancelled(at, keep, result);
                    self.follow(steps)?;
                }
                Turn::Called(Called::RuleSet(rule, result)) => self.rule_is_set(&rule, result)?,
                Turn::Called(Called::Shown(message)) => self.log.inform(message),
                Turn::Line(line) => self.answer(line.as_deref())?,
                Turn::Wish(Some(Wish::Stop)) => return Ok(()),
                Turn::Wish(Some(Wish::Gone)) => return Err(ServeEnd::from(Closed).into()),
                Turn::Wish(Some(Wish::Answer(word))) => self.answer(Some(word))?,
                Turn::Wish(Some(Wish::Ask(ask))) => self.look_up(ask),
                // The screen broke, which is a bug of ours; forwarding does not end for it.
                Turn::Wish(None) => {
                    self.log.lose_screen();
                    self.asked = None;
                }
                Turn::Pulse => {
                    for (at, target) in self.log.pulse(self.agent) {
                        let look = async move { Message::Target(at, screen::missing(&target).await) };
                        self.calls.push(Box::pin(async { Called::Shown(look.await) }));
                    }
                }
            }
        }
    }

    fn answer(&mut self, line: Option<&str>) -> Result<(), ServeEnd> {
        let steps = self.returning.answered(line);
        self.asked = None;
        self.follow(steps)
    }

    /// Asks the server what the screen wants to know.
    fn look_up(&mut self, ask: screen::Ask) {
        if self.calls.len() >= ASKED_MAX {
            return self
                .log
                .inform(Message::Told("too much is asked for at once; nothing was done".to_owned()));
        }
        let agent = self.agent;
        self.calls.push(Box::pin(async move { Called::Shown(screen::call(agent, ask).await) }));
    }

    fn take(&mut self, happened: &[AgentEvent]) -> Result<(), ServeStop> {
        let shown = self.log.show(happened).map_err(ServeEnd::from)?;
        if let Some((_, lines)) = &mut self.asked {
            *lines += shown;
        }
        let ended = happened.iter().find_map(|event| match event {
            AgentEvent::Link(LinkState::Ended(reason)) => Some(reason.clone()),
            _ => None,
        });
        if let Some(reason) = ended {
            return Err(ServeStop::Ended(reason));
        }
        if let Some(error) = happened.iter().find_map(|event| self.standing.after(event)) {
            return Err(ServeEnd::NothingServed(error).into());
        }
        for event in happened {
            let AgentEvent::Served { source, destination, result, waiting } = event else { continue };
            if result.is_err() {
                self.returning.refused(source, destination);
                continue;
            }
            if let Some(rule) = self.rule.take_if(|rule| rule.source == *source) {
                self.calls.push(Box::pin(set_rule(self.agent, rule)));
            }
            let steps = self.returning.served(source, destination, *waiting);
            self.follow(steps)?;
        }
        Ok(())
    }

    fn follow(&mut self, steps: Vec<Step>) -> Result<(), ServeEnd> {
        for step in steps {
            match step {
                Step::Tell(told) => self.log.tell(&told.text(), |at| told.object(at))?,
                Step::Release(at) => {
                    let (source, destination) = self.returning.route(at);
                    self.agent.release_backlog(source, destination);
                }
                Step::Cancel(at, keep) => {
                    let (source, destination) = self.returning.route(at);
                    let path = Query::of(format!("/sources/{source}/destinations/{destination}/backlog"));
                    let agent = self.agent;
                    self.calls.push(Box::pin(async move {
                        let body = json!({ "keep": keep.name() });
                        let answer = call(agent, "POST", path.text(), &body).await;
                        let count = answer.map(|answer| records::number(&answer, "cancelled").unwrap_or(0));
                        Called::Cancelled(at, keep, count.map_err(|error| error.to_string()))
                    }));
                }
            }
        }
        Ok(())
    }

    /// Shows the question that is open, again after some lines. Says whether one is.
    fn ask(&mut self) -> Result<bool, ServeEnd> {
        let Some(question) = self.returning.question() else {
            if self.asked.take().is_some() {
                self.log.asked();
            }
            return Ok(false);
        };
        let is_shown =
            self.asked.as_ref().is_some_and(|(shown, lines)| *shown == question && *lines < ASK_AGAIN_LINES);
        if !is_shown {
            self.log.ask(&question)?;
            self.asked = Some((question, 0));
        }
        Ok(true)
    }

    fn rule_is_set(&mut self, wish: &SourceWish, result: Result<(), AskError>) -> Result<(), ServeEnd> {
        let source = &wish.source;
        result.map_err(|error| ServeEnd::RuleNotSet { of: source.clone(), error })?;
        let mut texts = Vec::new();
        texts.extend(wish.reply.as_deref().map(|reply| match reply {
            "accepted" => format!("reply of {source}: accepted; senders get 202 once an event is stored"),
            _ => format!("reply of {source}: {reply}; senders get the app's own answer"),
        }));
        if wish.secret.is_some() {
            texts.push(format!("signatures of {source} are checked"));
        } else if wish.provider.as_ref().is_some_and(|provider| !provider.is_null()) {
            texts.push(format!(
                "provider of {source} set; without a secret nothing is checked: --secret-file"
            ));
        }
        if let Some((destination, events)) = &wish.events {
            texts.push(format!(
                "events for {source}/{destination}: {}",
                if events.is_null() { "all".to_owned() } else { events.to_string() }
            ));
        }
        let rules = wish.rules();
        let object =
            |at: &str| json!({ "type": "rules", "at": at, "source": source.as_str(), "rules": rules });
        Ok(self.log.tell(&texts.join("; "), object)?)
    }

    /// The last word on what nobody answered.
    fn leave(&mut self) {
        for told in self.returning.unanswered() {
            // The reader may be gone; nothing is lost.
            let _ = self.log.tell(&told.text(), |at| told.object(at));
        }
    }
}

/// Sets what is wished for.
async fn set_rule(agent: &Agent, wish: SourceWish) -> Called {
    let path = Query::of(format!("/sources/{}", wish.source));
    let rules = wish.rules();
    let mut result = Ok(());
    if !rules.is_empty() {
        result = call(agent, "PATCH", path.text(), &json!({ "rules": rules })).await.map(drop);
    }
    if let (Ok(()), Some(secret)) = (&result, &wish.secret) {
        let path = Query::of(format!("/sources/{}/secrets", wish.source));
        result = call(agent, "POST", path.text(), &secret_body(secret)).await.map(drop);
    }
    if let (Ok(()), Some((destination, events))) = (&result, &wish.events) {
        let path = Query::of(format!("/sources/{}/destinations/{destination}", wish.source));
        result = call(agent, "PATCH", path.text(), &json!({ "rules": { "events": events } })).await.map(drop);
    }
    Called::RuleSet(wish, result)
}

/// A call that is made again while the link comes and goes.
async fn call(agent: &Agent, method: &str, path: &str, body: &Value) -> Result<Value, AskError> {
    let body = body.to_string().into_bytes();
    let mut tries = 0;
    loop {
        match agent.api(method, path, Some(body.clone())).await {
            Ok(answer) if (200..300).contains(&answer.status) => {
                return serde_json::from_slice(&answer.body)
                    .map_err(|_| AskError::Unreadable(path.to_owned()));
            }
            Ok(answer) => {
                return Err(refusal(answer.status, serde_json::from_slice(&answer.body).ok().as_ref()));
            }
            Err(error) if tries >= CALL_TRIES => return Err(AskError::Call(error)),
            Err(error) => tracing::info!(%error, "the call is made again"),
        }
        tries += 1;
        tokio::time::sleep(CALL_AGAIN_AFTER).await;
    }
}

/// Which routes are served, as far as the server has said: the last refusal of each.
struct Standing(BTreeMap<(Slug, DestinationName), Option<ServeError>>);

impl Standing {
    fn new(routes: &[Route]) -> Self {
        Self(routes.iter().map(|route| ((route.source.clone(), route.destination.clone()), None)).collect())
    }

    /// The last refusal, once not one route is left.
    fn after(&mut self, event: &AgentEvent) -> Option<ServeError> {
        let AgentEvent::Served { source, destination, result, .. } = event else { return None };
        if let Some(refused) = self.0.get_mut(&(source.clone(), destination.clone())) {
            *refused = result.as_ref().err().cloned();
        }
        if self.0.values().all(Option::is_some) { result.as_ref().err().cloned() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served_at(source: &str, destination: &str, code: Option<&str>) -> AgentEvent {
        let error = |code: &str| ServeError { code: code.to_owned(), text: "no".to_owned() };
        let result = code.map_or_else(|| Ok("https://r.example/h/a".to_owned()), |code| Err(error(code)));
        AgentEvent::Served {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            result,
            waiting: None,
        }
    }

    fn served(source: &str, code: Option<&str>) -> AgentEvent {
        served_at(source, "default", code)
    }

    fn route(source: &str, destination: &str) -> Route {
        let route = Route::new(source.parse().unwrap(), "3000".parse().unwrap());
        Route { destination: destination.parse().unwrap(), ..route }
    }

    fn standing(sources: &[&str]) -> Standing {
        Standing::new(&sources.iter().map(|source| route(source, "default")).collect::<Vec<_>>())
    }

    #[test]
    fn one_served_route_is_enough_to_stay() {
        let mut two = standing(&["a", "b"]);
        assert_eq!(two.after(&served("a", Some("scope_refused"))), None);
        assert_eq!(two.after(&served("b", None)), None);
        let last = two.after(&served("b", Some("taken_over"))).unwrap();
        assert_eq!(ServeEnd::NothingServed(last).exit(), Exit::TakenOver);
    }

    #[test]
    fn the_only_route_refused_is_the_end() {
        let refused = standing(&["a"]).after(&served("a", Some("scope_refused"))).unwrap();
        assert_eq!(ServeEnd::NothingServed(refused).exit(), Exit::Refused);
        assert_eq!(standing(&["a"]).after(&served("other", Some("scope_refused"))), None);
    }

    #[test]
    fn each_destination_of_a_source_stands_for_itself() {
        let mut two = Standing::new(&[route("a", "default"), route("a", "ci")]);
        assert_eq!(two.after(&served_at("a", "ci", Some("taken_over"))), None);
        assert!(two.after(&served_at("a", "default", Some("taken_over"))).is_some());
    }

    #[test]
    fn a_rule_that_is_refused_ends_as_the_refusal_does() {
        let error = |status| AskError::Refused { status, code: String::new(), text: "no".to_owned() };
        let end = |status| ServeEnd::RuleNotSet { of: "a".parse().unwrap(), error: error(status) }.exit();
        assert_eq!((end(403), end(400)), (Exit::Refused, Exit::Failed));
    }

    #[test]
    fn what_waits_is_chosen_by_name() {
        for (name, expected) in Choice::NAMES {
            assert_eq!(choice(name), Ok(expected));
        }
        assert!(choice("lastest").unwrap_err().ends_with("did you mean `latest`?"));
    }
}
