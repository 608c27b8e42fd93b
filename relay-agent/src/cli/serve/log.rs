//! What forwarding says, in whichever form stdout calls for: a screen, lines for people, objects for scripts.

use std::net::SocketAddr;

use jiff::tz::TimeZone;
use relay_agent::{Agent, AgentEvent, Route, Settings, Target, clock};
use serde_json::{Value, json};

use super::super::context::Context;
use super::super::screen::{Look, Message, Screen, Setup, Wish};
use super::super::surroundings::Surroundings;
use super::terminal::is_somebody_there;
use crate::config::join_line::host_and_port;
use crate::output::live::{Detail, LiveLog};
use crate::output::printer::{Batch, Closed, Printer};
use crate::output::{escape, json as lines, style, unit};

/// The log.
pub(super) struct Log {
    printer: Printer,
    form: Form,
    /// While there is one, it is told in place of the others.
    screen: Option<Screen>,
}

enum Form {
    Lines(Box<LiveLog>),
    Objects(Vec<Route>),
}

/// Whether the log is a screen.
fn is_screen(context: &Context, is_plain: bool, around: &Surroundings) -> bool {
    let output = context.output;
    !output.json && !output.quiet && !is_plain && around.can_draw() && is_somebody_there()
}

impl Log {
    pub(super) fn new(context: &Context, settings: &Settings, is_plain: bool) -> Self {
        if context.output.logs_json() {
            let printer = Printer::start(std::io::stdout(), |count| lines::skipped(count).to_string());
            return Self { printer, form: Form::Objects(settings.routes.clone()), screen: None };
        }
        let detail = Detail { quiet: context.output.quiet, ids: context.is_verbose() };
        let server = host_and_port(&settings.server);
        let log = LiveLog::new(server.clone(), &settings.routes, context.zone.clone(), detail);
        let skipped =
            |count| style::paint(style::DIM, &format!("… {count} lines left out: the terminal stood still"));
        let printer = Printer::start(anstream::stdout(), skipped);
        let around = Surroundings::read();
        let screen = is_screen(context, is_plain, &around)
            .then(|| screen(server, settings, &context.zone, &around))
            .flatten();
        Self { printer, form: Form::Lines(Box::new(log)), screen }
    }

    /// Shows what happened. Says in how many lines.
    pub(super) fn show(&mut self, events: &[AgentEvent]) -> Result<usize, Closed> {
        if let Some(screen) = &mut self.screen {
            screen.happened(events);
            return Ok(0);
        }
        let now_ms = clock::unix_ms();
        let mut batch = Batch::default();
        match &mut self.form {
            Form::Lines(log) => {
                let lines = events.iter().flat_map(|event| log.lines(event, now_ms));
                lines.for_each(|line| batch.line(&line));
            }
            Form::Objects(routes) => {
                let at = unit::rfc3339(now_ms);
                events.iter().for_each(|event| lines::write(event, routes, &at, &mut batch));
            }
        }
        let lines = batch.lines();
        self.printer.print(batch).map(|()| lines)
    }

    /// A word to the person at the terminal: what is in flight is being finished.
    pub(super) fn stopping(&mut self, text: &str) {
        if let Some(screen) = &mut self.screen {
            return screen.tell(Message::Stopping);
        }
        if let Form::Lines(log) = &self.form {
            let line = log.timed(clock::unix_ms(), text);
            let _ = self.put(&line);
        }
    }

    /// Something that was done, in the form that is asked for.
    pub(super) fn tell(&mut self, text: &str, object: impl Fn(&str) -> Value) -> Result<(), Closed> {
        if let Some(screen) = &mut self.screen {
            screen.tell(Message::Told(text.to_owned()));
            return Ok(());
        }
        let now_ms = clock::unix_ms();
        let line = match &self.form {
            Form::Lines(log) => log.timed(now_ms, &escape::value(text)),
            Form::Objects(_) => object(&unit::rfc3339(now_ms)).to_string(),
        };
        self.put(&line)
    }

    /// Where the web inspector is.
    pub(super) fn inspector(&mut self, addr: SocketAddr) -> Result<(), Closed> {
        self.inform(Message::Inspector(addr));
        if self.screen.is_some() {
            return Ok(());
        }
        let url = format!("http://{addr}/");
        self.tell(&format!("inspector: {url}"), |at| json!({ "type": "inspector", "at": at, "url": url }))
    }

    /// The question that is open. Says whether its answer comes as a line.
    pub(super) fn ask(&mut self, question: &str) -> Result<(), Closed> {
        if let Some(screen) = &mut self.screen {
            screen.tell(Message::Question(Some(question.to_owned())));
            return Ok(());
        }
        self.put(&style::paint(style::BOLD, question))
    }

    /// No question is open any more.
    pub(super) fn asked(&mut self) {
        self.inform(Message::Question(None));
    }

    /// Whether a person types lines, and not keys.
    pub(super) fn has_lines(&self) -> bool {
        self.screen.is_none()
    }

    /// Something for the screen alone.
    pub(super) fn inform(&mut self, message: Message) {
        if let Some(screen) = &mut self.screen {
            screen.tell(message);
        }
    }

    /// What somebody at the screen wants; never comes without one.
    pub(super) async fn wish(&mut self) -> Option<Wish> {
        match &mut self.screen {
            Some(screen) => screen.wish().await,
            None => std::future::pending().await,
        }
    }

    /// See [`Screen::pulse`].
    pub(super) fn pulse(&mut self, agent: &Agent) -> Vec<(usize, Target)> {
        self.screen.as_mut().map(|screen| screen.pulse(agent)).unwrap_or_default()
    }

    /// Whether Ctrl-C is meant for an editor.
    pub(super) fn is_away(&self) -> bool {
        self.screen.as_ref().is_some_and(Screen::is_away)
    }

    /// The screen is gone by mistake: from here on there are lines.
    pub(super) fn lose_screen(&mut self) {
        if let Some(screen) = self.screen.take() {
            screen.finish(clock::unix_ms());
        }
    }

    fn put(&mut self, line: &str) -> Result<(), Closed> {
        let mut batch = Batch::default();
        batch.line(line);
        self.printer.print(batch)
    }

    pub(super) fn finish(mut self) {
        if let Some(screen) = self.screen.take() {
            let mut batch = Batch::default();
            screen.finish(clock::unix_ms()).iter().for_each(|line| batch.line(line));
            // Nobody may be there to read it.
            let _ = self.printer.print(batch);
        }
        self.printer.finish();
    }
}

/// The screen, where the terminal can be had.
fn screen(server: String, settings: &Settings, zone: &TimeZone, around: &Surroundings) -> Option<Screen> {
    let setup = Setup { server, routes: settings.routes.clone(), zone: zone.clone(), inspector: None };
    let is_coloured = anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never;
    let look = Look { is_coloured, is_unicode: around.is_unicode() };
    let screen = Screen::start(setup, look, around.editor(), clock::unix_ms());
    screen.inspect_err(|error| tracing::info!(%error, "no screen can be had: lines in its place")).ok()
}
