//! Replays by the server: new deliveries of events that are named, or of whatever matches.

use std::io::{BufRead as _, IsTerminal as _};
use std::time::Duration;

use relay_agent::clock;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

use super::super::Exit;
use super::super::ask::{AskError, Asker};
use super::super::context::{Context, UsageError};
use super::super::names::DeliveryId;
use super::super::query::Query;
use super::super::records;
use super::edits::{Edits, Loaded};
use super::{Again, AtServer};
use crate::output::style::{BAD, paint};
use crate::output::{complain, escape, unit};

/// How often to ask what became of new deliveries: soon at first, for an app that is there answers at once.
const LOOK_FIRST: Duration = Duration::from_millis(100);
const LOOK_MAX: Duration = Duration::from_secs(2);

/// Most calls that count: a hundred thousand events, or a minute of the server's looking. Past it there are "and more".
const COUNT_CALLS_MAX: usize = 10;

/// Deliveries made by one call: few enough to be answered within its deadline by a busy server.
const MADE_PER_CALL: u32 = 1_000;

/// Sends each of these again.
pub(super) async fn these(
    context: &Context,
    again: Vec<Again>,
    how: AtServer,
    edits: Edits,
) -> anyhow::Result<Exit> {
    if edits.is_any() && again.len() != 1 {
        let text = format!("edits are for one request, and this is {}", again.len());
        return Err(UsageError::Other(text).into());
    }
    let edits = edits.load()?;
    let mut asker = Asker::open(context).await?;
    let mut exit = Exit::Done;
    let mut made = Vec::new();
    for again in again {
        match one(&mut asker, again, &how, &edits).await {
            Ok(answer) => {
                let delivery = records::text_or_dash(&answer, "delivery");
                if context.output.json {
                    context.output.object(&answer)?;
                } else {
                    context.output.data(&escape::value(&delivery))?;
                }
                made.extend(delivery.parse::<DeliveryId>());
            }
            Err(error) if is_no_such_route(&error) => {
                asker.close().await;
                anyhow::bail!(
                    "this server cannot send events again; `relay-agent replay ID --to TARGET` does, from here"
                );
            }
            // One that cannot be sent says nothing about the next one.
            Err(AskError::Refused { status: 400 | 404 | 409, text, .. }) => {
                exit = Exit::Failed;
                let id = again.text();
                complain(&format!("{}: {id} is not replayed: {}", paint(BAD, "error"), escape::value(&text)));
            }
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(time) = how.wait
        && !see_through(context, &mut asker, made, time).await?
    {
        exit = Exit::Failed;
    }
    asker.close().await;
    Ok(exit)
}

impl Again {
    fn text(self) -> String {
        match self {
            Self::Event(id) => id.to_string(),
            Self::Delivery(id) => id.to_string(),
        }
    }
}

async fn one(asker: &mut Asker, again: Again, how: &AtServer, edits: &Loaded) -> Result<Value, AskError> {
    let mut body = edits.object();
    let named = how.destination.as_ref().map(ToString::to_string);
    let (event, destination) = match again {
        Again::Event(id) => (id, named),
        Again::Delivery(id) => {
            let path = Query::of(format!("/deliveries/{id}"));
            if body.is_empty() && named.is_none() {
                return asker.post(Query::of(format!("/deliveries/{id}/replay")).text(), &json!({})).await;
            }
            let own = match named {
                Some(named) => Some(named),
                None => records::text(&asker.get(path.text()).await?, "destination").map(str::to_owned),
            };
            (id.event, own)
        }
    };
    body.extend(destination.map(|destination| ("destination".to_owned(), destination.into())));
    asker.post(Query::of(format!("/events/{event}/replay")).text(), &Value::Object(body)).await
}

/// Whether a server knows nothing of replays, as those before the first that does.
pub(super) fn is_no_such_route(error: &AskError) -> bool {
    let AskError::Refused { status: 404 | 405, code, .. } = error else { return false };
    matches!(code.as_str(), "route_not_found" | "method_not_allowed") || code.starts_with("status ")
}

/// Waits until all these are over, or the time is. Says whether all were delivered.
async fn see_through(
    context: &Context,
    asker: &mut Asker,
    mut open: Vec<DeliveryId>,
    time: Duration,
) -> anyhow::Result<bool> {
    let until = Instant::now() + time;
    let mut pause = LOOK_FIRST;
    let mut is_good = true;
    while !open.is_empty() {
        if Instant::now() >= until {
            let count = open.len();
            complain(&format!(
                "{}: {count} not over within {}: {} …; `relay-agent deliveries --state waiting` lists them",
                paint(BAD, "error"),
                unit::duration(time),
                open[0]
            ));
            return Ok(false);
        }
        sleep(pause.min(until.saturating_duration_since(Instant::now()))).await;
        pause = (pause * 3 / 2).min(LOOK_MAX);
        let mut still = Vec::new();
        for id in open {
            let delivery = match asker.get(Query::of(format!("/deliveries/{id}")).text()).await {
                Ok(delivery) => delivery,
                // The link comes back by itself.
                Err(AskError::Call(error)) => {
                    tracing::info!(%error, "not yet");
                    still.push(id);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            match records::text(&delivery, "state") {
                Some("waiting" | "leased") | None => still.push(id),
                Some(state) => {
                    is_good &= state == "delivered";
                    tell_end(context, &delivery)?;
                }
            }
        }
        open = still;
    }
    Ok(is_good)
}

fn tell_end(context: &Context, delivery: &Value) -> anyhow::Result<()> {
    if context.output.json {
        context.output.object(delivery)?;
        return Ok(());
    }
    let mut parts = vec![escape::line(&records::text_or_dash(delivery, "id"))];
    parts.push(records::paint_state(records::text(delivery, "state").unwrap_or("-")));
    parts.extend(records::text(delivery, "reason").map(escape::line));
    context.output.say(&parts.join("  "));
    Ok(())
}

/// Sends again whatever matches: counts first, asks, and goes on until there is no more.
pub(super) async fn many(context: &Context, how: AtServer, edits: Edits) -> anyhow::Result<Exit> {
    if how.wait.is_some() {
        let text = "--wait is for events that are named by their ids; `relay-agent deliveries` shows these";
        return Err(UsageError::Other(text.to_owned()).into());
    }
    let method = edits.only_method()?;
    let mut asker = Asker::open(context).await?;
    // What comes while it runs is not what was counted. By the server's clock, which dates the events.
    let now_ms = clock::unix_ms().saturating_add_signed(asker.met.clock_skew_ms);
    let filter = how.filter.object(clock::unix_ms(), &context.zone)?;
    let wish = wish(&how, method, filter, now_ms);
    let mut counting = wish.clone();
    counting.insert("dry_run".to_owned(), true.into());
    let counted = all_steps(&mut asker, counting, COUNT_CALLS_MAX).await;
    if let Some(error) = counted.broke {
        return Err(error.into());
    }
    let matched = counted.sum.how_many();
    if how.dry_run || (counted.sum.matched == 0 && !counted.sum.is_more) {
        asker.close().await;
        if context.output.json {
            context.output.object(&counted.sum.object(true))?;
        } else {
            context.output.data(&format!("{matched} would be sent again"))?;
        }
        return Ok(Exit::Done);
    }
    if !how.yes && !is_confirmed(&matched)? {
        asker.close().await;
        context.output.say("Nothing is sent.");
        return Ok(Exit::Failed);
    }
    let mut sending = wish;
    sending.insert("limit".to_owned(), MADE_PER_CALL.into());
    let done = all_steps(&mut asker, sending, usize::MAX).await;
    asker.close().await;
    if context.output.json {
        context.output.object(&done.sum.object(false))?;
    } else {
        context.output.data(&done.sum.sentence())?;
    }
    if let Some(error) = done.broke {
        return Err(error.into());
    }
    Ok(if done.sum.refused == 0 && !done.sum.is_more { Exit::Done } else { Exit::Failed })
}

/// The request for all of it.
fn wish(
    how: &AtServer,
    method: Option<String>,
    filter: Map<String, Value>,
    now_ms: u64,
) -> Map<String, Value> {
    let mut filter = filter;
    filter.extend(method.map(|method| ("method".to_owned(), method.into())));
    filter.extend(how.state.as_ref().map(|state| ("state".to_owned(), state.as_str().into())));
    filter.entry("until").or_insert_with(|| unit::rfc3339(now_ms).into());
    let mut wish = Map::new();
    wish.extend(how.source.as_ref().map(|source| ("source".to_owned(), source.as_str().into())));
    wish.extend(how.destination.as_ref().map(|name| ("destination".to_owned(), name.as_str().into())));
    wish.insert("filter".to_owned(), filter.into());
    wish
}

/// What one call counted or made, or all of them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Step {
    matched: u64,
    made: u64,
    refused: u64,
    is_more: bool,
}

impl Step {
    fn of(answer: &Value) -> Self {
        let number = |key| records::number(answer, key).unwrap_or(0);
        Self {
            matched: number("matched"),
            made: number("made"),
            refused: number("refused"),
            is_more: answer.get("more").and_then(Value::as_bool).unwrap_or(false),
        }
    }

    fn how_many(&self) -> String {
        match (self.matched, self.is_more) {
            (1, false) => "1 event".to_owned(),
            (count, false) => format!("{count} events"),
            (count, true) => format!("{count} events and more"),
        }
    }

    fn object(&self, is_dry_run: bool) -> Value {
        json!({
            "type": "replays", "matched": self.matched, "made": self.made, "refused": self.refused,
            "more": self.is_more, "dry_run": is_dry_run,
        })
    }

    fn sentence(&self) -> String {
        let ies = if self.made == 1 { "y" } else { "ies" };
        let mut parts = vec![format!("{} new deliver{ies}", self.made)];
        parts.extend((self.refused > 0).then(|| {
            paint(BAD, &format!("{} not sent again: their bodies were not kept whole", self.refused))
        }));
        let rest =
            "there is more, and this server does not say where to go on: narrow it by --since and --until";
        parts.extend(self.is_more.then(|| paint(BAD, rest)));
        parts.join("; ")
    }
}

/// What was done, and what kept it from going on.
struct Done {
    sum: Step,
    broke: Option<AskError>,
}

/// Call after call, until there is no more or there were so many. Only a server that says where to go on is asked for
/// more: without that, the same events would be sent again and again.
async fn all_steps(asker: &mut Asker, mut wish: Map<String, Value>, calls_max: usize) -> Done {
    let mut done = Done { sum: Step::default(), broke: None };
    for _ in 0..calls_max {
        let answer = match asker.post(Query::of("/replay").text(), &Value::Object(wish.clone())).await {
            Ok(answer) => answer,
            Err(error) => {
                done.sum.is_more = true;
                done.broke = Some(error);
                break;
            }
        };
        let step = Step::of(&answer);
        done.sum.matched += step.matched;
        done.sum.made += step.made;
        done.sum.refused += step.refused;
        done.sum.is_more = step.is_more;
        let next = answer.get("next").filter(|next| !next.is_null());
        match next {
            Some(next) if step.is_more && wish.get("before") != Some(next) => {
                wish.insert("before".to_owned(), next.clone());
            }
            _ => break,
        }
    }
    done
}

/// Whether a person says yes.
fn is_confirmed(matched: &str) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        let text =
            format!("{matched} would be sent again, and nobody is here to ask; say --yes, or --dry-run");
        return Err(UsageError::Other(text).into());
    }
    complain(&format!("{matched} will be sent again. Go on? [y/N]"));
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Only {
        #[command(flatten)]
        args: super::super::Args,
    }

    fn how(words: &[&str]) -> AtServer {
        let all = std::iter::once("replay").chain(words.iter().copied());
        Only::try_parse_from(all).unwrap_or_else(|error| panic!("{error}")).args.at_server
    }

    #[test]
    fn many_are_asked_for_by_what_they_have_in_common_and_what_comes_later_is_left_out() {
        let filter = |how: &AtServer| how.filter.object(0, &jiff::tz::TimeZone::UTC).unwrap();
        let asked = how(&["--source", "github", "--state", "dead", "--status", "5xx", "--destination", "ci"]);
        let expected = json!({
            "source": "github", "destination": "ci",
            "filter": { "status": "5xx", "state": "dead", "method": "POST", "until": "1970-01-01T00:00:07.000Z" },
        });
        let wished = wish(&asked, Some("POST".to_owned()), filter(&asked), 7_000);
        assert_eq!(Value::Object(wished), expected);
        let asked = how(&["--until", "2026-03-01T14:00:00Z"]);
        let expected = json!({ "filter": { "until": "2026-03-01T14:00:00.000Z" } });
        assert_eq!(Value::Object(wish(&asked, None, filter(&asked), 7_000)), expected);
    }

    #[test]
    fn what_was_done_is_told_with_what_was_not() {
        let plain = |step: &Step| anstream::adapter::strip_str(&step.sentence()).to_string();
        let step = Step::of(&json!({ "matched": 13, "made": 12, "refused": 1, "more": true, "later": 1 }));
        assert_eq!(step, Step { matched: 13, made: 12, refused: 1, is_more: true });
        assert_eq!(step.how_many(), "13 events and more");
        let text = plain(&step);
        assert!(text.starts_with("12 new deliveries; 1 not sent again: their bodies"), "{text}");
        assert!(text.contains("--until"), "{text}");
        let step = Step { matched: 1, made: 1, ..Step::default() };
        assert_eq!((plain(&step), step.how_many()), ("1 new delivery".to_owned(), "1 event".to_owned()));
    }

    #[test]
    fn a_wait_has_a_bound_that_may_be_named() {
        let event = protocol::id::EventId(1).to_string();
        assert_eq!(how(&[&event]).wait, None);
        assert_eq!(how(&[&event, "--wait"]).wait, Some(Duration::from_secs(60)));
        assert_eq!(how(&["--wait=5m", &event]).wait, Some(Duration::from_secs(300)));
        assert_eq!(how(&["--wait", &event]).wait, Some(Duration::from_secs(60)), "an id is no time");
    }
}
