//! What was promised and what was kept: every request that was sent against everything that reached the app, and both
//! against what the store says.
//!
//! Lost: told yes, and not taken at every destination. Reordered: at a destination with strict order, reached before
//! one that was sent earlier was taken, or again after a later one without the attempt being one that may have been
//! under way all the time. Duplicated: reached the app twice; explained, if the attempt before it is on record as one
//! that had to be repeated. Doubled: two events of what a sender sent once, or said is the same.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};

use relay_server::clock::Clock;
use relay_server::store::{Attempt, Audit, OutcomeKind, Store};

use super::app::Arrival;
use super::arrangement::PLANS;
use super::journal::{Journal, Sent, Told};

/// Most of each kind of breach that are shown.
const SHOWN_MAX: usize = 12;

/// The outcome of a run.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Requests sent.
    pub sent: usize,
    /// Told yes, by the app.
    pub acknowledged_by_app: usize,
    /// Told yes, by the relay.
    pub acknowledged_by_relay: usize,
    /// Told no, by what was said.
    pub refused: BTreeMap<String, usize>,
    /// Told nothing.
    pub untold: usize,
    /// Requests that reached the app whole.
    pub arrived: usize,
    /// Webhooks taken, counted for each destination.
    pub delivered: usize,
    /// Requests that reached the app again, and how that is explained.
    pub duplicated: BTreeMap<String, usize>,
    /// Of those, how many came after a later one where order is strict.
    pub late: usize,
    /// Copies the relay told apart.
    pub copies: usize,
    /// Troubles there were, by their kind.
    pub troubles: BTreeMap<&'static str, usize>,
    /// Deliveries that waited at each end of the server by force.
    pub backlogs: Vec<u64>,
    /// Told yes, and not taken.
    pub lost: Vec<String>,
    /// Every other promise that was broken.
    pub breaches: BTreeMap<&'static str, Vec<String>>,
    /// Where data and logs were left, if they were.
    pub evidence: Option<PathBuf>,
}

impl Ledger {
    /// Whether every promise was kept.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.lost.is_empty() && self.breaches.is_empty()
    }

    /// Notes a broken promise.
    pub fn breach(&mut self, kind: &'static str, what: String) {
        self.breaches.entry(kind).or_default().push(what);
    }

    /// Draws up the balance of a run whose server has ended.
    pub(super) async fn draw(&mut self, data: &Path, journal: &Journal, arrivals: &[Arrival]) {
        let (sent, wrong) = journal.read();
        for what in wrong {
            self.breach("answers to somebody else", what);
        }
        self.count(&sent, arrivals);
        self.check_content(&sent, arrivals);
        self.check_loss(&sent, arrivals);
        self.check_doubles(&sent, arrivals);
        let on_record = match Records::read(data, arrivals).await {
            Ok(records) => records,
            Err(error) => {
                self.breach("the store", error);
                Records::default()
            }
        };
        self.check_repeats(arrivals, &on_record);
        self.check_order(&sent, arrivals, &on_record);
        for stray in on_record.strays {
            self.breach("files that belong to nothing", stray);
        }
        match Audit::of_data_dir(data, true) {
            Ok(audit) if !audit.is_balanced() => self.breach("the audit", format!("{audit:?}")),
            Ok(audit) => {
                for source in &audit.sources {
                    if source.waiting + source.dead + source.cancelled > 0 {
                        self.breach("deliveries that did not come to a good end", format!("{source:?}"));
                    }
                }
            }
            Err(error) => self.breach("the audit", error.to_string()),
        }
    }

    fn count(&mut self, sent: &[Sent], arrivals: &[Arrival]) {
        (self.sent, self.arrived) = (sent.len(), arrivals.len());
        for one in sent {
            match &one.told {
                Told::Yes { by_app: true, .. } => self.acknowledged_by_app += 1,
                Told::Yes { copy_of, .. } => {
                    self.acknowledged_by_relay += 1;
                    self.copies += usize::from(copy_of.is_some());
                }
                Told::No { status, code, .. } => {
                    *self.refused.entry(format!("{status} {code}").trim().to_owned()).or_default() += 1;
                }
                Told::Nothing | Told::GaveUp => self.untold += 1,
            }
        }
        let taken = arrivals.iter().filter(|one| one.is_taken()).map(|one| (&one.place, &one.tag));
        self.delivered = taken.collect::<BTreeSet<_>>().len();
    }

    fn check_content(&mut self, sent: &[Sent], arrivals: &[Arrival]) {
        let by_tag: HashMap<_, _> = sent.iter().map(|one| (&one.tag, one)).collect();
        let places: BTreeSet<_> = PLANS.iter().flat_map(|plan| plan.places()).collect();
        for one in arrivals {
            match by_tag.get(&one.tag) {
                None => self.breach("never sent", format!("{one:?}")),
                Some(sent) if sent.content != one.content => {
                    self.breach("changed on the way", format!("{:?} became {:?}", sent.content, one.content));
                }
                Some(sent) if !PLANS[sent.plan].places().any(|place| place == one.place) => {
                    self.breach("brought to the wrong place", format!("{one:?} of {places:?}"));
                }
                Some(_) => {}
            }
        }
    }

    fn check_loss(&mut self, sent: &[Sent], arrivals: &[Arrival]) {
        let taken: BTreeSet<_> = arrivals
            .iter()
            .filter(|one| one.is_taken())
            .map(|one| (one.place.as_str(), one.tag.as_str()))
            .collect();
        for one in sent.iter().filter(|one| matches!(one.told, Told::Yes { .. })) {
            for place in PLANS[one.plan].places() {
                if !taken.contains(&(place.as_str(), one.tag.as_str())) {
                    self.lost.push(format!(
                        "{} at {place}: {:?}, {} bytes",
                        one.tag, one.told, one.content.body_bytes
                    ));
                }
            }
        }
    }

    fn check_doubles(&mut self, sent: &[Sent], arrivals: &[Arrival]) {
        let mut events: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for one in arrivals {
            events.entry(&one.tag).or_default().insert(&one.event);
        }
        for (tag, events) in &events {
            if events.len() > 1 {
                self.breach("doubled", format!("{tag} came as {events:?}"));
            }
        }
        for one in sent {
            let Told::Yes { event, copy_of, .. } = &one.told else { continue };
            let told = copy_of.as_ref().unwrap_or(event);
            if events.get(one.tag.as_str()).is_some_and(|events| !events.contains(told.as_str())) {
                self.breach("told another id than the app", format!("{}: {:?}", one.tag, one.told));
            }
        }
    }

    /// Whatever reached the app twice has an attempt on record that had to be repeated, and nothing comes after the
    /// attempt that was the last.
    fn check_repeats(&mut self, arrivals: &[Arrival], on_record: &Records) {
        let mut of_event: BTreeMap<(&str, &str), Vec<u32>> = BTreeMap::new();
        for one in arrivals {
            of_event.entry((&one.event, &one.place)).or_default().push(one.attempt);
        }
        for ((event, place), mut numbers) in of_event {
            numbers.sort_unstable();
            for pair in numbers.windows(2) {
                let Some(before) = on_record.attempt(event, place, pair[0]) else {
                    self.breach(
                        "again without an attempt on record",
                        format!("{event} at {place}: {numbers:?}"),
                    );
                    continue;
                };
                if pair[0] == pair[1] {
                    self.breach("one attempt came twice", format!("{event} at {place}: {numbers:?}"));
                } else if is_last_word(before) {
                    self.breach(
                        "again after it was taken",
                        format!("{event} at {place}: {numbers:?}, {before:?}"),
                    );
                } else {
                    *self.duplicated.entry(words(before)).or_default() += 1;
                }
            }
        }
    }

    fn check_order(&mut self, sent: &[Sent], arrivals: &[Arrival], on_record: &Records) {
        for (at, plan) in PLANS.iter().enumerate().filter(|(_, plan)| plan.is_strict) {
            // Of a live source only what was told yes has a place in the order: the rest was the sender's to repeat.
            let counts = |one: &&Sent| match one.told {
                Told::Yes { .. } => true,
                Told::GaveUp => false,
                Told::No { .. } | Told::Nothing => !plan.is_live,
            };
            let numbers: HashMap<_, _> = sent
                .iter()
                .filter(|one| one.plan == at)
                .filter(counts)
                .map(|one| (one.tag.as_str(), one.number))
                .collect();
            for place in plan.places() {
                let here = arrivals.iter().filter(|one| one.place == place);
                let here: Vec<_> =
                    here.filter_map(|one| Some((*numbers.get(one.tag.as_str())?, one))).collect();
                self.check_order_at(&here, on_record);
            }
        }
    }

    fn check_order_at(&mut self, here: &[(u64, &Arrival)], on_record: &Records) {
        let comes = |number| here.iter().any(|(other, one)| *other == number && one.is_taken());
        let (mut seen, mut taken) = (BTreeSet::new(), BTreeSet::new());
        for (number, one) in here {
            let is_first = seen.insert(*number);
            let latest = seen.last().copied().unwrap_or_default();
            if is_first {
                let early = seen
                    .iter()
                    .find(|before| **before < *number && !taken.contains(*before) && comes(**before));
                if latest > *number {
                    self.breach("reordered", format!("{} first came after number {latest}", one.tag));
                } else if let Some(early) = early {
                    self.breach("reordered", format!("{} came before number {early} was taken", one.tag));
                }
            } else if latest > *number {
                let attempt = on_record.attempt(&one.event, &one.place, one.attempt);
                if attempt.is_some_and(|attempt| attempt.outcome == OutcomeKind::SentNoAnswer) {
                    self.late += 1;
                } else {
                    self.breach(
                        "reordered",
                        format!("{} came again after number {latest}: {attempt:?}", one.tag),
                    );
                }
            }
            if one.is_taken() {
                taken.insert(*number);
            }
        }
    }
}

/// Whether an attempt is the last of its delivery.
fn is_last_word(attempt: &Attempt) -> bool {
    let is_retried = |status| matches!(status, 408 | 425 | 429 | 500..);
    attempt.outcome == OutcomeKind::Answered && !attempt.status.is_some_and(is_retried)
}

fn words(attempt: &Attempt) -> String {
    match (attempt.outcome, attempt.status, &attempt.reason) {
        (OutcomeKind::Answered, Some(status), _) => format!("answered {status}"),
        (OutcomeKind::SentNoAnswer, _, Some(reason)) => format!("sent, no answer: {reason}"),
        (OutcomeKind::NotSent, _, Some(reason)) => format!("not sent, it said: {reason}"),
        _ => format!("{:?}", attempt.outcome),
    }
}

/// What the store has on record of what arrived.
#[derive(Default)]
struct Records {
    attempts: HashMap<(String, String), Vec<Attempt>>,
    strays: Vec<String>,
}

impl Records {
    async fn read(data: &Path, arrivals: &[Arrival]) -> Result<Self, String> {
        let files = std::fs::read_dir(data.join("bodies")).map_err(|error| error.to_string())?;
        let files: Vec<_> = files.filter_map(|file| file.ok()?.file_name().into_string().ok()).collect();
        let store = Store::open(data, Clock::system()).await.map_err(|error| format!("{error:?}"))?;
        let mut records = Self::default();
        let events: BTreeSet<_> = arrivals.iter().map(|one| &one.event).collect();
        for event in events {
            let Ok(id) = event.parse() else { return Err(format!("`{event}` is not an event's id")) };
            let deliveries = store.deliveries_of(id).await.map_err(|error| error.to_string())?;
            for (delivery, _) in deliveries {
                // All of them: with its event only the newest twenty are told.
                let attempts = store.attempts(delivery.id).await.map_err(|error| error.to_string())?;
                let Some(source) = store.source_of(delivery.destination) else { continue };
                let Some(destination) = source.destination(delivery.destination) else { continue };
                let place = format!("{}.{}", source.slug, destination.name);
                records.attempts.insert((event.clone(), place), attempts);
            }
        }
        for name in files {
            let event = match name.parse() {
                Ok(event) => store.load(vec![event]).await.map_err(|error| error.to_string())?,
                Err(_) => Vec::new(),
            };
            if !event.iter().any(|event| event.body.is_in_file) {
                records.strays.push(name);
            }
        }
        store.close().await;
        Ok(records)
    }

    fn attempt(&self, event: &str, place: &str, number: u32) -> Option<&Attempt> {
        let attempts = self.attempts.get(&(event.to_owned(), place.to_owned()))?;
        attempts.iter().find(|attempt| attempt.no == number)
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |counts: &BTreeMap<String, usize>| {
            let list: Vec<_> = counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
            if list.is_empty() { "none".to_owned() } else { list.join(", ") }
        };
        writeln!(f, "sent          {}", self.sent)?;
        let acknowledged = self.acknowledged_by_app + self.acknowledged_by_relay;
        let (by_app, by_relay) = (self.acknowledged_by_app, self.acknowledged_by_relay);
        writeln!(
            f,
            "acknowledged  {acknowledged} ({by_app} by the app, {by_relay} by the relay, {} of those copies)",
            self.copies
        )?;
        writeln!(f, "refused       {}", list(&self.refused))?;
        writeln!(f, "untold        {} (the connection broke)", self.untold)?;
        writeln!(
            f,
            "delivered     {} (each destination counts), in {} requests",
            self.delivered, self.arrived
        )?;
        let duplicated: usize = self.duplicated.values().sum();
        writeln!(f, "duplicated    {duplicated}, after attempts that were: {}", list(&self.duplicated))?;
        writeln!(f, "late          {} of those, behind a later one where order is strict", self.late)?;
        let troubles: Vec<_> =
            self.troubles.iter().map(|(what, count)| format!("{count} × {what}")).collect();
        writeln!(f, "troubles      {}", troubles.join(", "))?;
        writeln!(f, "backlog       {:?} deliveries waited when the server was killed", self.backlogs)?;
        writeln!(f, "lost          {}", self.lost.len())?;
        for one in self.lost.iter().take(SHOWN_MAX) {
            writeln!(f, "              {one}")?;
        }
        let reordered = self.breaches.get("reordered").map_or(0, Vec::len);
        writeln!(f, "reordered     {reordered}")?;
        for (kind, all) in &self.breaches {
            writeln!(f, "BROKEN        {kind}: {}", all.len())?;
            for one in all.iter().take(SHOWN_MAX) {
                writeln!(f, "              {one}")?;
            }
        }
        match &self.evidence {
            Some(path) => writeln!(f, "evidence      {}", path.display()),
            None => Ok(()),
        }
    }
}
