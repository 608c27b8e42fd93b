//! `relay-agent replay WHAT…`: fixtures and past events once more, to a local target or by the server.

mod at_server;
mod edits;

use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::head::Sent;
use protocol::id::{DestinationName, EventId, Slug};
use relay_agent::fixture::{self, Fixture};
use relay_agent::{HostField, LocalAnswer, LocalFailure, LocalRequest, LocalSender, Target, clock};
use serde_json::{Value, json};
use tokio::time::{Interval, MissedTickBehavior, interval};

use self::edits::Edits;
pub(super) use self::edits::field;
use super::Exit;
use super::ask::Asker;
use super::context::{Context, UsageError, require_file};
use super::filter::{Filter, one_of};
use super::names::DeliveryId;
use super::recorded;
use super::signals::Signals;
use crate::config::words;
use crate::output::style::{BAD, BOLD, DIM, ODD, of_status, paint};
use crate::output::{complain, escape, unit};

/// Most requests a second that can be asked for; more than one sender after another makes.
const RATE_MAX: f64 = 100_000.0;

const EXAMPLES: &str = "\
Examples:
  relay-agent replay fixtures --to 3000
  relay-agent replay fixtures/20261122T105439Z-* --to http://localhost:4000/hooks --rate 5
  relay-agent replay evt_… --to 3000 --header 'X-Debug: 1' --without-header X-Hub-Signature-256
  relay-agent replay evt_… --destination ci --wait
  relay-agent replay evt_….2                       that delivery again, to the same destination
  relay-agent replay --source github --state dead --since 2h --dry-run
  relay-agent replay --source github --status 5xx --yes

Fixtures need no server. Exit code 0 when every answer was below 400; at the server: when every delivery was made, and
with --wait when every one was delivered.";

/// Send fixtures or past events again
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Fixtures, directories of fixtures, events (`evt_…`) or deliveries (`evt_….1`)
    #[arg(
        value_name = "WHAT",
        required_unless_present_any = MANY,
        conflicts_with_all = MANY,
        conflicts_with_all = ["dry_run", "yes"],
        value_parser = what
    )]
    what: Vec<What>,
    /// Where to: PORT, HOST:PORT, http://…, https://… or unix:/path/to.sock. Without it the server sends the event again
    #[arg(long, value_name = "TARGET", value_parser = words::target)]
    to: Option<Target>,
    #[command(flatten)]
    at_server: AtServer,
    #[command(flatten)]
    sending: Sending,
    #[command(flatten)]
    edits: Edits,
}

/// What picks events at the server in place of their ids.
const MANY: [&str; 5] = ["source", "state", "status", "since", "until"];

/// How to send to a local target.
#[derive(clap::Args)]
struct Sending {
    /// What the app sees as Host: `target` (as without it), `preserve` (what the sender wrote) or a value
    #[arg(long, value_name = "HOST", value_parser = words::host_field, requires = "to")]
    host: Option<HostField>,
    /// At most so many a second; they are sent one after another
    #[arg(long, value_name = "N", value_parser = rate, requires = "to")]
    rate: Option<f64>,
    /// Everything so many times
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), requires = "to")]
    repeat: Option<u32>,
    /// Do not send fixtures whose body was edited
    #[arg(long, requires = "to")]
    strict: bool,
    /// How long the app may take to begin its answer [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = words::answer_timeout, requires = "to")]
    timeout: Option<Duration>,
    /// Extra certificate authority (PEM) for an https:// target
    #[arg(long, value_name = "FILE", requires = "to")]
    target_ca: Option<PathBuf>,
}

/// How the server sends again, and which events where they are not named.
#[derive(clap::Args)]
#[command(next_help_heading = "Replay by the server (without --to)")]
struct AtServer {
    /// To this destination [default: the primary; for a delivery: its own]
    #[arg(long, value_name = "NAME", conflicts_with = "to")]
    destination: Option<DestinationName>,
    /// Wait until the new deliveries are over, at most so long [default: 60s]
    #[arg(
        long,
        value_name = "TIME",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "60s",
        value_parser = words::patience,
        conflicts_with_all = ["to", "dry_run"]
    )]
    wait: Option<Duration>,
    /// Every event of this source
    #[arg(long, value_name = "NAME", conflicts_with = "to")]
    source: Option<Slug>,
    /// Only where a delivery is in this state, to the same destination again: dead, cancelled, delivered or waiting
    #[arg(long, value_name = "STATE", value_parser = replayable_state, conflicts_with = "to")]
    state: Option<String>,
    #[command(flatten)]
    filter: Filter,
    /// Only count what would be sent again
    #[arg(long, conflicts_with_all = ["to", "yes"])]
    dry_run: bool,
    /// Do not ask before sending many
    #[arg(long, conflicts_with = "to")]
    yes: bool,
}

fn replayable_state(text: &str) -> Result<String, String> {
    one_of(text, &["dead", "cancelled", "delivered", "waiting"])
}

/// What is to be sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    /// An event the server has recorded.
    Event(EventId),
    /// One of its deliveries.
    Delivery(DeliveryId),
    /// A fixture, or a directory of some.
    Files(PathBuf),
}

fn what(text: &str) -> Result<What, String> {
    if text.starts_with("evt_") && !text.contains('/') {
        if text.contains('.') {
            return text.parse().map(What::Delivery);
        }
        let id = text.parse().map_err(|error| format!("{error}; a directory of that name is `./{text}`"));
        return id.map(What::Event);
    }
    Ok(What::Files(text.into()))
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| *rate > 0.0 && *rate <= RATE_MAX);
    rate.ok_or_else(|| {
        format!("expected a number of requests a second, more than none and at most {RATE_MAX}")
    })
}

/// What was asked for.
enum Asked {
    /// Send these to a target of this machine.
    Here(Target, Vec<What>),
    /// Have the server make new deliveries of these.
    AtServer(Vec<Again>),
    /// Have the server make new deliveries of whatever matches.
    Many,
}

/// An event or delivery the server is to send again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    Event(EventId),
    Delivery(DeliveryId),
}

fn asked(what: Vec<What>, to: Option<Target>) -> Result<Asked, UsageError> {
    if let Some(target) = to {
        return Ok(Asked::Here(target, what));
    }
    if what.is_empty() {
        return Ok(Asked::Many);
    }
    let again = |what| match what {
        What::Event(id) => Ok(Again::Event(id)),
        What::Delivery(id) => Ok(Again::Delivery(id)),
        What::Files(path) => {
            let path = escape::value(&path.display().to_string());
            Err(UsageError::Other(format!(
                "where should {path} go? Fixtures need --to TARGET, such as --to 3000"
            )))
        }
    };
    what.into_iter().map(again).collect::<Result<_, _>>().map(Asked::AtServer)
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    match asked(args.what, args.to)? {
        Asked::AtServer(again) => at_server::these(context, again, args.at_server, args.edits).await,
        Asked::Many => at_server::many(context, args.at_server, args.edits).await,
        Asked::Here(target, what) => here(context, target, what, args.sending, args.edits).await,
    }
}

/// One thing to send, already fetched or still on disk.
enum Item {
    Fetched(Box<Fixture>),
    File(PathBuf),
}

async fn here(
    context: &Context,
    target: Target,
    what: Vec<What>,
    sending: Sending,
    edits: Edits,
) -> anyhow::Result<Exit> {
    if let Some(ca) = &sending.target_ca {
        require_file(ca)?;
    }
    let mut signals = Signals::new()?;
    let items = items(context, what).await?;
    if edits.is_any() && items.len() != 1 {
        let text = format!("edits are for one request, and this is {}", items.len());
        return Err(UsageError::Other(text).into());
    }
    let edits = edits.load()?;
    let host = sending.host.clone().unwrap_or_default();
    let mut sender = LocalSender::new(target, host, sending.target_ca.as_deref())?;
    if let Some(timeout) = sending.timeout {
        sender = sender.with_answer_timeout(timeout);
    }
    let pace = sending.rate.map(|rate| {
        let mut pace = interval(Duration::from_secs_f64(1.0 / rate));
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pace
    });
    let mut replay =
        Replay { context, sender, edits, pace, is_strict: sending.strict, counts: Counts::default() };
    let rounds = sending.repeat.unwrap_or(1);
    let exit = tokio::select! {
        done = replay.all(&items, rounds) => {
            done?;
            if replay.counts.is_good() { Exit::Done } else { Exit::Failed }
        }
        () = signals.next() => Exit::Aborted,
    };
    if replay.counts.all() != 1 || exit == Exit::Aborted {
        context.output.say(&replay.counts.sum());
    }
    Ok(exit)
}

/// Everything that is meant, in order. Events are fetched before anything is sent.
async fn items(context: &Context, what: Vec<What>) -> anyhow::Result<Vec<Item>> {
    let mut items = Vec::new();
    let mut asker = None;
    for what in what {
        match what {
            What::Files(path) => items.extend(fixture::find(&path)?.into_iter().map(Item::File)),
            What::Event(id) | What::Delivery(DeliveryId { event: id, .. }) => {
                let asker = match &mut asker {
                    Some(asker) => asker,
                    None => asker.insert(Asker::open(context).await?),
                };
                let fetched = recorded::fetch(asker, id).await.map_err(|error| match error {
                    recorded::RecordedError::Ask(error) => error.into(),
                    error => anyhow::anyhow!("{id} cannot be sent again: {error}"),
                })?;
                items.push(Item::Fetched(Box::new(fetched.without(&[]))));
            }
        }
    }
    if let Some(asker) = asker {
        asker.close().await;
    }
    Ok(items)
}

#[derive(Default)]
struct Counts {
    good: u64,
    bad: u64,
    unanswered: u64,
    unsent: u64,
}

impl Counts {
    fn all(&self) -> u64 {
        self.good + self.bad + self.unanswered + self.unsent
    }

    fn is_good(&self) -> bool {
        self.all() == self.good
    }

    fn sum(&self) -> String {
        let mut parts = vec![format!("{} answered below 400", self.good)];
        parts.extend((self.bad > 0).then(|| paint(BAD, &format!("{} at 400 or above", self.bad))));
        parts.extend(
            (self.unanswered > 0).then(|| paint(BAD, &format!("{} without an answer", self.unanswered))),
        );
        parts.extend((self.unsent > 0).then(|| paint(BAD, &format!("{} not sent", self.unsent))));
        parts.join(", ")
    }
}

struct Replay<'a> {
    context: &'a Context,
    sender: LocalSender,
    edits: edits::Loaded,
    pace: Option<Interval>,
    is_strict: bool,
    counts: Counts,
}

impl Replay<'_> {
    async fn all(&mut self, items: &[Item], rounds: u32) -> anyhow::Result<()> {
        for _ in 0..rounds {
            for item in items {
                self.one(item).await?;
            }
        }
        Ok(())
    }

    async fn one(&mut self, item: &Item) -> anyhow::Result<()> {
        let read;
        let (fixture, path) = match item {
            Item::Fetched(fixture) => (&**fixture, None),
            Item::File(path) => match self.read(path) {
                Some(fixture) => {
                    read = fixture;
                    (&read, Some(path.as_path()))
                }
                None => {
                    self.counts.unsent += 1;
                    return Ok(());
                }
            },
        };
        if let Some(pace) = &mut self.pace {
            pace.tick().await;
        }
        let mut request = LocalRequest {
            method: fixture.method.clone(),
            target: fixture.app_target().to_vec(),
            headers: fixture.headers.clone(),
            body: fixture.body.clone(),
            is_replay: true,
        };
        self.edits.apply(&mut request)?;
        let told = match request.fit_length() {
            Ok(_) => self.sender.send(&request).await,
            Err(error) => Err(LocalFailure::impossible(error.to_string())),
        };
        match &told {
            Ok(answer) if answer.status < 400 => self.counts.good += 1,
            Ok(_) => self.counts.bad += 1,
            Err(failure) if failure.sent == Sent::No => self.counts.unsent += 1,
            Err(_) => self.counts.unanswered += 1,
        }
        let sent = SentOne {
            fixture,
            path,
            app_target: self.sender.app_target(&request),
            request: &request,
            told: &told,
        };
        if self.context.output.logs_json() {
            self.context.output.object(&sent.object(&unit::rfc3339(clock::unix_ms())))?;
        } else if !self.context.output.quiet || !matches!(&told, Ok(answer) if answer.status < 400) {
            self.context.output.data(&sent.line())?;
        }
        Ok(())
    }

    /// The fixture, unless it is not to be sent. Says why. A file may be a stranger's: like an event of the server it
    /// says nothing in the relay's name.
    fn read(&self, path: &Path) -> Option<Fixture> {
        let shown = escape::value(&path.display().to_string());
        let unsent = |why: &str| complain(&format!("{}: {shown} is not sent: {why}", paint(BAD, "error")));
        match Fixture::read(path) {
            Ok((fixture, None)) => Some(fixture.without(&[])),
            Ok((_, Some(edited))) if self.is_strict => {
                unsent(&edited.to_string());
                None
            }
            Ok((fixture, Some(edited))) => {
                let note = paint(ODD, "note");
                complain(&format!("{note}: {shown}: {edited}; a signature over it no longer verifies"));
                Some(fixture.without(&[]))
            }
            Err(error) => {
                unsent(&escape::value(&format!("{:#}", anyhow::Error::from(error))));
                None
            }
        }
    }
}

/// One request and what came of it, to be told.
struct SentOne<'a> {
    fixture: &'a Fixture,
    path: Option<&'a Path>,
    app_target: Vec<u8>,
    request: &'a LocalRequest,
    told: &'a Result<LocalAnswer, LocalFailure>,
}

impl SentOne<'_> {
    fn line(&self) -> String {
        let mut parts = Vec::new();
        let target = String::from_utf8_lossy(&self.app_target);
        let request = format!("{} {}", escape::line(&self.request.method), escape::line(&target));
        let label = self.fixture.name.as_deref().map(|name| paint(BOLD, &escape::line(name)));
        let body_bytes = self.request.body.len() as u64;
        match self.told {
            Ok(answer) => {
                parts.extend(["←".to_owned(), paint(of_status(answer.status), &answer.status.to_string())]);
                parts.extend(label);
                parts.push(request);
                parts.extend((body_bytes > 0).then(|| unit::bytes(body_bytes)));
                parts.push(format!("app {}", unit::duration(answer.app)));
            }
            Err(failure) => {
                parts.push("✗".to_owned());
                parts.extend(label);
                parts.push(request);
                let what = if failure.sent == Sent::No { "not sent:" } else { "no answer:" };
                parts.push(format!("{} {}", paint(BAD, what), escape::value(&failure.text)));
            }
        }
        let event = || self.fixture.id.map(|id| id.to_string());
        let name = self.path.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        parts.extend(name.or_else(event).map(|from| paint(DIM, &escape::value(&from))));
        parts.join("  ")
    }

    fn object(&self, at: &str) -> Value {
        let answer = self.told.as_ref().ok();
        let failure = self.told.as_ref().err();
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        json!({
            "type": "replayed",
            "at": at,
            "fixture": self.path.map(|path| path.display().to_string()),
            "event": self.fixture.id.map(|id| id.to_string()),
            "name": self.fixture.name,
            "method": self.request.method,
            "path": String::from_utf8_lossy(&self.app_target),
            "body_bytes": self.request.body.len(),
            "status": answer.map(|answer| answer.status),
            "error": failure.map(|failure| &failure.text),
            "sent": match failure.map(|failure| failure.sent) {
                None => "yes",
                Some(Sent::Maybe) => "maybe",
                Some(Sent::No) => "no",
            },
            "app_us": micros(answer.map_or_else(|| failure.map_or(Duration::ZERO, |f| f.app), |a| a.app)),
            "total_us": answer.map(|answer| micros(answer.total)),
        })
    }
}

#[cfg(test)]
mod tests;
