//! What waited while no agent was there, and what shall become of it: decided here, without a terminal or a server.
//!
//! A choice is made once a run and stands after every reconnect; `latest` and `none` are about what waited at the start.
//! No answer leaves everything waiting.

use protocol::id::{DestinationName, Slug};
use protocol::limits::WAITING_MAX;
use relay_agent::{Backlog, Route};
use serde_json::{Value, json};

use super::super::names::place;

/// What to do with what waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Choice {
    All,
    Latest,
    None,
    /// Ask whoever sits there.
    Ask,
}

impl Choice {
    /// The choices by name.
    pub(in super::super) const NAMES: [(&str, Self); 4] =
        [("all", Self::All), ("latest", Self::Latest), ("none", Self::None), ("ask", Self::Ask)];

    /// How a route is to be served for this choice.
    pub(super) fn backlog(self) -> Backlog {
        match self {
            Self::All => Backlog::All,
            Self::Latest | Self::None | Self::Ask => Backlog::Hold,
        }
    }
}

/// How much of what waits is kept, where it is not all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    Latest,
    None,
}

impl Keep {
    /// As the API has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Latest => "latest",
            Self::None => "none",
        }
    }
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Tell what waited and what was done.
    Tell(Told),
    /// Have the server cancel what is not kept; its answer goes to [`Returning::cancelled`].
    Cancel(usize, Keep),
    /// Take what waits from here on.
    Release(usize),
}

/// What waited for a route, and what was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    source: Slug,
    destination: DestinationName,
    waiting: Option<u64>,
    done: Done,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Done {
    Taken,
    Cancelled(Keep, u64),
    Left(Option<String>),
}

/// `12 events waited for github`, `100000 events or more waited for github`.
fn waited(waiting: Option<u64>, verbs: [&str; 2], place: &str) -> String {
    let [one, many] = verbs;
    match waiting {
        None => format!("an unknown number of events {many} for {place}"),
        Some(1) => format!("1 event {one} for {place}"),
        Some(count) if count >= u64::from(WAITING_MAX) => {
            format!("{count} events or more {many} for {place}")
        }
        Some(count) => format!("{count} events {many} for {place}"),
    }
}

impl Told {
    /// In words.
    pub(super) fn text(&self) -> String {
        let place = place(&self.source, &self.destination);
        let waited_here = waited(self.waiting, ["waited", "waited"], &place);
        match &self.done {
            Done::Taken => format!("{waited_here}: delivered now, the oldest first"),
            Done::Cancelled(Keep::Latest, count) => {
                format!("{waited_here}: the latest is delivered now, {count} are cancelled")
            }
            Done::Cancelled(Keep::None, count) => {
                format!("{waited_here}: none is delivered, {count} are cancelled")
            }
            Done::Left(why) => {
                let wait = waited(self.waiting, ["waits", "wait"], &place);
                let why = why.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
                format!("{wait}{why}; to have them delivered: relay-agent backlog {place} all")
            }
        }
    }

    /// As an object.
    pub(super) fn object(&self, at: &str) -> Value {
        let (kept, cancelled, error) = match &self.done {
            Done::Taken => ("all", Some(0), None),
            Done::Cancelled(keep, count) => (keep.name(), Some(*count), None),
            Done::Left(why) => ("waiting", None, why.as_ref()),
        };
        json!({
            "type": "backlog",
            "at": at,
            "source": self.source.as_str(),
            "destination": self.destination.as_str(),
            "waiting": self.waiting,
            "kept": kept,
            "cancelled": cancelled,
            "error": error,
        })
    }
}

/// What is known of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not served yet.
    New,
    /// Waits for an answer.
    Asking,
    /// The server cancels what is not kept.
    Cancelling,
    /// Taken; the server has not said so yet.
    Releasing,
    /// Everything is taken as it comes.
    Over,
    /// Nobody answered.
    Left,
}

struct Lane {
    source: Slug,
    destination: DestinationName,
    waiting: Option<u64>,
    state: State,
}

/// What waited for each route.
pub(super) struct Returning {
    choice: Choice,
    lanes: Vec<Lane>,
}

impl Returning {
    pub(super) fn new(routes: &[Route], choice: Choice) -> Self {
        let lane = |route: &Route| Lane {
            source: route.source.clone(),
            destination: route.destination.clone(),
            waiting: None,
            state: State::New,
        };
        Self { choice, lanes: routes.iter().map(lane).collect() }
    }

    /// Source and destination of a route.
    pub(super) fn route(&self, at: usize) -> (&Slug, &DestinationName) {
        (&self.lanes[at].source, &self.lanes[at].destination)
    }

    fn find(&self, source: &Slug, destination: &DestinationName) -> Option<usize> {
        self.lanes.iter().position(|lane| lane.source == *source && lane.destination == *destination)
    }

    fn told(&self, at: usize, done: Done) -> Step {
        let lane = &self.lanes[at];
        Step::Tell(Told {
            source: lane.source.clone(),
            destination: lane.destination.clone(),
            waiting: lane.waiting,
            done,
        })
    }

    /// A route is served, and so many events waited for it.
    pub(super) fn served(
        &mut self,
        source: &Slug,
        destination: &DestinationName,
        waiting: Option<u64>,
    ) -> Vec<Step> {
        let Some(at) = self.find(source, destination) else { return vec![] };
        let lane = &mut self.lanes[at];
        let something = waiting.is_some_and(|waiting| waiting > 0);
        match lane.state {
            State::New => {
                lane.waiting = waiting;
                self.begin(at)
            }
            State::Over | State::Left => {
                lane.waiting = waiting;
                let done = if lane.state == State::Left { Done::Left(None) } else { Done::Taken };
                if something { vec![self.told(at, done)] } else { vec![] }
            }
            State::Asking => {
                lane.waiting = waiting;
                vec![]
            }
            State::Cancelling => vec![],
            State::Releasing => {
                lane.state = State::Over;
                vec![]
            }
        }
    }

    fn begin(&mut self, at: usize) -> Vec<Step> {
        let lane = &mut self.lanes[at];
        match (self.choice, lane.waiting) {
            (Choice::All, waiting) => {
                lane.state = State::Over;
                if waiting.is_some_and(|waiting| waiting > 0) {
                    vec![self.told(at, Done::Taken)]
                } else {
                    vec![]
                }
            }
            (_, Some(0)) => {
                lane.state = State::Releasing;
                vec![Step::Release(at)]
            }
            (Choice::Latest, _) => self.cancel(at, Keep::Latest),
            (Choice::None, _) => self.cancel(at, Keep::None),
            (Choice::Ask, _) => {
                lane.state = State::Asking;
                vec![]
            }
        }
    }

    fn cancel(&mut self, at: usize, keep: Keep) -> Vec<Step> {
        self.lanes[at].state = State::Cancelling;
        vec![Step::Cancel(at, keep)]
    }

    /// A route is not served (any more): nothing is to be asked about it.
    pub(super) fn refused(&mut self, source: &Slug, destination: &DestinationName) {
        if let Some(at) = self.find(source, destination)
            && self.lanes[at].state == State::Asking
        {
            self.lanes[at].state = State::New;
        }
    }

    fn asking(&self) -> Option<usize> {
        self.lanes.iter().position(|lane| lane.state == State::Asking)
    }

    /// The question that is open, if one is.
    pub(super) fn question(&self) -> Option<String> {
        let lane = &self.lanes[self.asking()?];
        let waited = waited(lane.waiting, ["waited", "waited"], &place(&lane.source, &lane.destination));
        Some(format!("{waited}. Deliver [a]ll, only the [l]atest, [n]one?"))
    }

    /// The line somebody answered with; `None` when there will be no answer. An empty line is none either, and what
    /// cannot be understood leaves the question open.
    pub(super) fn answered(&mut self, line: Option<&str>) -> Vec<Step> {
        let Some(at) = self.asking() else { return vec![] };
        let word = line.map_or_else(String::new, |line| line.trim().to_ascii_lowercase());
        match word.as_str() {
            "a" | "all" => {
                self.lanes[at].state = State::Releasing;
                vec![self.told(at, Done::Taken), Step::Release(at)]
            }
            "l" | "latest" => self.cancel(at, Keep::Latest),
            "n" | "none" => self.cancel(at, Keep::None),
            "" => {
                self.lanes[at].state = State::Left;
                vec![self.told(at, Done::Left(None))]
            }
            _ => vec![],
        }
    }

    /// The server has cancelled so many, or has not, and why.
    pub(super) fn cancelled(&mut self, at: usize, keep: Keep, result: Result<u64, String>) -> Vec<Step> {
        match result {
            Ok(count) => {
                self.lanes[at].state = State::Releasing;
                vec![self.told(at, Done::Cancelled(keep, count)), Step::Release(at)]
            }
            // Neither delivered nor thrown away: what was wanted can still be had.
            Err(why) => {
                self.lanes[at].state = State::Left;
                vec![self.told(at, Done::Left(Some(why)))]
            }
        }
    }

    /// What is left waiting because the run ends before anybody answered.
    pub(super) fn unanswered(&self) -> Vec<Told> {
        let lanes = self.lanes.iter().filter(|lane| lane.state == State::Asking);
        let told = |lane: &Lane| Told {
            source: lane.source.clone(),
            destination: lane.destination.clone(),
            waiting: lane.waiting,
            done: Done::Left(None),
        };
        lanes.map(told).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn returning(choice: Choice) -> Returning {
        let route = |source: &str| Route::new(source.parse().unwrap(), "3000".parse().unwrap());
        Returning::new(&[route("github"), route("stripe")], choice)
    }

    fn served(returning: &mut Returning, source: &str, waiting: Option<u64>) -> Vec<Step> {
        returning.served(&source.parse().unwrap(), &DestinationName::default(), waiting)
    }

    fn texts(steps: &[Step]) -> Vec<String> {
        let text = |step: &Step| match step {
            Step::Tell(told) => told.text(),
            Step::Cancel(at, keep) => format!("cancel {at} {}", keep.name()),
            Step::Release(at) => format!("release {at}"),
        };
        steps.iter().map(text).collect()
    }

    const LEFT: &str = "12 events wait for github; to have them delivered: relay-agent backlog github all";

    #[test]
    fn taking_all_needs_no_word_but_how_many() {
        let mut all = returning(Choice::All);
        let taken = ["12 events waited for github: delivered now, the oldest first"];
        assert_eq!(texts(&served(&mut all, "github", Some(12))), taken);
        assert_eq!(served(&mut all, "stripe", Some(0)), []);
        assert_eq!(texts(&served(&mut all, "github", Some(12))), taken, "again after a reconnect");
        assert_eq!(served(&mut all, "github", None), []);
        assert_eq!(served(&mut all, "other", Some(1)), []);
        assert_eq!(all.question(), None);
    }

    #[test]
    fn skipping_is_about_what_waited_at_the_start() {
        let mut latest = returning(Choice::Latest);
        assert_eq!(texts(&served(&mut latest, "github", Some(12))), ["cancel 0 latest"]);
        assert_eq!(served(&mut latest, "github", Some(12)), [], "a reconnect meanwhile");
        let steps = latest.cancelled(0, Keep::Latest, Ok(11));
        let told = "12 events waited for github: the latest is delivered now, 11 are cancelled";
        assert_eq!(texts(&steps), [told, "release 0"]);
        assert_eq!(served(&mut latest, "github", Some(1)), [], "the answer to the release");
        let taken = ["3 events waited for github: delivered now, the oldest first"];
        assert_eq!(texts(&served(&mut latest, "github", Some(3))), taken, "after a reconnect");
        let mut none = returning(Choice::None);
        assert_eq!(texts(&served(&mut none, "stripe", Some(0))), ["release 1"], "nothing to skip");
        assert_eq!(texts(&served(&mut none, "github", None)), ["cancel 0 none"], "nobody could count");
    }

    #[test]
    fn what_cannot_be_skipped_is_neither_delivered_nor_lost() {
        let mut none = returning(Choice::None);
        served(&mut none, "github", Some(1));
        let steps = none.cancelled(0, Keep::None, Err("read only".to_owned()));
        let told =
            "1 event waits for github (read only); to have them delivered: relay-agent backlog github all";
        assert_eq!(texts(&steps), [told]);
    }

    #[test]
    fn a_person_is_asked_once_for_each_route_and_no_answer_leaves_it_waiting() {
        let mut ask = returning(Choice::Ask);
        assert_eq!(served(&mut ask, "github", Some(12)), []);
        assert_eq!(served(&mut ask, "stripe", Some(100_000)), []);
        let question = "12 events waited for github. Deliver [a]ll, only the [l]atest, [n]one?";
        assert_eq!(ask.question().as_deref(), Some(question));
        assert_eq!(ask.answered(Some("what?\n")), []);
        assert_eq!(ask.question().as_deref(), Some(question), "asked again");
        assert_eq!(texts(&ask.answered(Some("\n"))), [LEFT]);
        assert!(ask.question().unwrap().starts_with("100000 events or more waited for stripe."));
        assert_eq!(texts(&ask.answered(Some(" L\n"))), ["cancel 1 latest"]);
        assert_eq!(ask.question(), None);
        assert_eq!(ask.answered(Some("a")), [], "nothing is asked any more");
        assert_eq!(
            texts(&served(&mut ask, "github", Some(12))),
            [LEFT],
            "the choice stands after a reconnect"
        );
    }

    #[test]
    fn the_end_of_the_input_and_of_the_run_leave_everything_waiting() {
        let mut ask = returning(Choice::Ask);
        served(&mut ask, "github", Some(12));
        assert_eq!(ask.unanswered().iter().map(Told::text).collect::<Vec<_>>(), [LEFT]);
        assert_eq!(texts(&ask.answered(None)), [LEFT]);
        assert!(ask.unanswered().is_empty());
    }

    #[test]
    fn a_route_that_was_taken_over_is_not_asked_about() {
        let mut ask = returning(Choice::Ask);
        served(&mut ask, "github", Some(12));
        ask.refused(&"github".parse().unwrap(), &DestinationName::default());
        assert_eq!(ask.question(), None);
        served(&mut ask, "github", Some(13));
        assert!(ask.question().unwrap().starts_with("13 events"), "it is served again");
        assert_eq!(texts(&ask.answered(Some("all"))).len(), 2);
    }

    #[test]
    fn what_was_done_is_an_object_too() {
        let told = |done| Told {
            source: "github".parse().unwrap(),
            destination: DestinationName::default(),
            waiting: Some(12),
            done,
        };
        let expected = json!({
            "type": "backlog", "at": "now", "source": "github", "destination": "default", "waiting": 12,
            "kept": "latest", "cancelled": 11, "error": null,
        });
        assert_eq!(told(Done::Cancelled(Keep::Latest, 11)).object("now"), expected);
        assert_eq!(told(Done::Taken).object("now")["kept"], "all");
        let left = told(Done::Left(Some("no".to_owned()))).object("now");
        assert_eq!(
            (&left["kept"], &left["cancelled"], &left["error"]),
            (&json!("waiting"), &Value::Null, &json!("no"))
        );
    }
}
