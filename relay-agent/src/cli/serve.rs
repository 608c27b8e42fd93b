//! Forwarding until told to stop: prints what happens, drains on the first signal, gives up on the second.

use std::collections::BTreeMap;

use protocol::control::ServeError;
use protocol::id::Slug;
use relay_agent::{Agent, AgentEvent, LinkState, Route, Settings, clock};

use super::context::Context;
use super::exit::Exit;
use super::signals::Signals;
use crate::config::join_line::host_and_port;
use crate::output::live::{Detail, LiveLog};
use crate::output::printer::{Batch, Closed, Printer};
use crate::output::{json, style, unit};

/// Most events shown in one go.
const BATCH_MAX: usize = 64;

/// Why forwarding ended, where the link itself did not.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeEnd {
    /// Not one route is served.
    #[error("nothing is served: {0}")]
    NothingServed(ServeError),
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
            Self::OutputClosed(_) => Exit::Failed,
        }
    }
}

/// Serves the routes of `settings` and shows what happens.
pub(crate) async fn serve(context: &Context, settings: Settings) -> anyhow::Result<Exit> {
    let mut signals = Signals::new()?;
    let mut log = Log::new(context, &settings);
    let mut standing = Standing::new(&settings.routes);
    let (agent, mut events) = Agent::start(settings);
    let mut happened = Vec::with_capacity(BATCH_MAX);
    let result = loop {
        happened.clear();
        let count = tokio::select! {
            count = events.recv_many(&mut happened, BATCH_MAX) => count,
            () = signals.next() => break Ok(()),
        };
        if count == 0 {
            break Ok(());
        }
        if let Err(closed) = log.show(&happened) {
            break Err(ServeEnd::from(closed).into());
        }
        let ended = happened.iter().find_map(|event| match event {
            AgentEvent::Link(LinkState::Ended(reason)) => Some(reason.clone()),
            _ => None,
        });
        if let Some(reason) = ended {
            log.finish();
            return Err(reason.into());
        }
        if let Some(error) = happened.iter().find_map(|event| standing.after(event)) {
            break Err(ServeEnd::NothingServed(error).into());
        }
    };
    log.say("finishing what is in flight; Ctrl-C again stops at once");
    let drained = {
        let mut drain = std::pin::pin!(agent.drain());
        loop {
            tokio::select! {
                () = &mut drain => break true,
                () = signals.next() => break false,
                Some(event) = events.recv() => drop(log.show(&[event])),
            }
        }
    };
    while let Ok(event) = events.try_recv() {
        let _ = log.show(&[event]);
    }
    log.finish();
    if drained { result.map(|()| Exit::Done) } else { Ok(Exit::Aborted) }
}

/// Which sources are served, as far as the server has said.
struct Standing(BTreeMap<Slug, State>);

struct State {
    routes: usize,
    refused: Option<ServeError>,
}

impl Standing {
    fn new(routes: &[Route]) -> Self {
        let mut sources = BTreeMap::new();
        for route in routes {
            sources.entry(route.source.clone()).or_insert(State { routes: 0, refused: None }).routes += 1;
        }
        Self(sources)
    }

    /// The last refusal, once not one route is left. A source with several destinations counts as served: the
    /// server's word names the source, so one refusal does not speak for the others.
    fn after(&mut self, event: &AgentEvent) -> Option<ServeError> {
        let AgentEvent::Served { source, result } = event else { return None };
        if let Some(state) = self.0.get_mut(source) {
            state.refused = result.as_ref().err().cloned();
        }
        let is_lost = |state: &State| state.routes == 1 && state.refused.is_some();
        if self.0.values().all(is_lost) { result.as_ref().err().cloned() } else { None }
    }
}

/// The log in whichever form stdout calls for.
struct Log {
    printer: Printer,
    form: Form,
}

enum Form {
    Lines(Box<LiveLog>),
    Objects(Vec<Route>),
}

impl Log {
    fn new(context: &Context, settings: &Settings) -> Self {
        if context.output.logs_json() {
            let printer = Printer::start(std::io::stdout(), |count| json::skipped(count).to_string());
            return Self { printer, form: Form::Objects(settings.routes.clone()) };
        }
        let detail = Detail { quiet: context.output.quiet, ids: context.is_verbose() };
        let server = host_and_port(&settings.server);
        let lines = LiveLog::new(server, &settings.routes, context.zone.clone(), detail);
        let skipped =
            |count| style::paint(style::DIM, &format!("… {count} lines left out: the terminal stood still"));
        Self { printer: Printer::start(anstream::stdout(), skipped), form: Form::Lines(Box::new(lines)) }
    }

    fn show(&mut self, events: &[AgentEvent]) -> Result<(), Closed> {
        let now_ms = clock::unix_ms();
        let mut batch = Batch::default();
        match &mut self.form {
            Form::Lines(log) => {
                let lines = events.iter().flat_map(|event| log.lines(event, now_ms));
                lines.for_each(|line| batch.line(&line));
            }
            Form::Objects(routes) => {
                let at = unit::rfc3339(now_ms);
                events.iter().for_each(|event| json::write(event, routes, &at, &mut batch));
            }
        }
        self.printer.print(batch)
    }

    /// A word to the person at the terminal.
    fn say(&mut self, text: &str) {
        if let Form::Lines(log) = &self.form {
            let line = log.timed(clock::unix_ms(), text);
            let mut batch = Batch::default();
            batch.line(&line);
            let _ = self.printer.print(batch);
        }
    }

    fn finish(self) {
        self.printer.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(source: &str, code: Option<&str>) -> AgentEvent {
        let error = |code: &str| ServeError { code: code.to_owned(), text: "no".to_owned() };
        let result = code.map_or_else(|| Ok("https://r.example/h/a".to_owned()), |code| Err(error(code)));
        AgentEvent::Served { source: source.parse().unwrap(), result }
    }

    fn standing(sources: &[&str]) -> Standing {
        let route = |source: &&str| Route::new(source.parse().unwrap(), "3000".parse().unwrap());
        Standing::new(&sources.iter().map(route).collect::<Vec<_>>())
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
    fn a_refusal_does_not_speak_for_other_destinations_of_the_source() {
        assert_eq!(standing(&["a", "a"]).after(&served("a", Some("taken_over"))), None);
    }
}
