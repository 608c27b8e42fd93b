//! What people type to find events: `method:POST status:5xx event:invoice.* body:"abc" since:2h`. Pure.
//!
//! Words stand side by side, and all of them have to hold; `-` before one turns it round, `|` within one means either.
//! The store asks in steps, from what costs nothing to what has to be read: [`Search::holds`], then what
//! [`Search::needs`].

mod parse;
mod pattern;
#[cfg(test)]
mod tests;

use memchr::memmem::Finder;
use protocol::field::HeaderBlock;

pub use self::parse::{Mistake, parse};
use self::pattern::Pattern;
use crate::model::DeliveryState;
use crate::store::{Only, OutcomeKind};

/// What is looked for. The default is everything.
#[derive(Debug, Clone, Default)]
pub struct Search {
    terms: Vec<Term>,
    since_ms: Option<u64>,
    until_ms: Option<u64>,
}

/// One word of it.
#[derive(Debug, Clone)]
struct Term {
    is_not: bool,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Source(Vec<Pattern>),
    Method(Vec<String>),
    Status(Vec<(u16, u16)>),
    Event(Vec<Pattern>),
    Path(Vec<Pattern>),
    Outcome(Vec<OutcomeKind>),
    Signature(Vec<Signature>),
    /// In the event's name, its target, its id or the provider's.
    Text(Text),
    Header(Text),
    Body(Text),
    Delivery(Vec<DeliveryState>),
    Pinned,
    Note(Text),
}

/// Part of a text, in any letter case (of ASCII).
#[derive(Debug, Clone)]
struct Text(Finder<'static>);

impl Text {
    fn new(text: &str) -> Self {
        Self(Finder::new(text.to_ascii_lowercase().as_bytes()).into_owned())
    }

    fn is_in(&self, text: &[u8]) -> bool {
        self.0.needle().len() <= text.len() && self.0.find(&text.to_ascii_lowercase()).is_some()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signature {
    Verified,
    Refused,
    None,
}

/// What an event's row says without its header and body.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Name of its source.
    pub source: &'a str,
    /// Its id, as people see it.
    pub id: &'a str,
    /// Method as sent.
    pub method: &'a str,
    /// What the sender was told; 0 where nothing was.
    pub status: u16,
    /// What happened.
    pub outcome: OutcomeKind,
    /// Target as sent.
    pub target: &'a [u8],
    /// Bytes of the target that found the source.
    pub mount: usize,
    /// The provider's name for it.
    pub name: Option<&'a str>,
    /// The provider's id of it.
    pub sender_id: Option<&'a str>,
    /// What came of checking its signature.
    pub signature: Option<&'a str>,
}

/// What has to be read besides the row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// Its header fields.
    pub headers: bool,
    /// Its body.
    pub body: bool,
    /// The states of its deliveries.
    pub deliveries: bool,
    /// Whether it is pinned, and its note.
    pub mark: bool,
}

impl Search {
    /// Whether everything is meant, but for a time.
    #[must_use]
    pub fn takes_all(&self) -> bool {
        self.terms.is_empty()
    }

    /// Received at or after this, and before that, unix milliseconds.
    #[must_use]
    pub fn between(&self) -> (Option<u64>, Option<u64>) {
        (self.since_ms, self.until_ms)
    }

    /// How much work it is to judge an event, in words.
    #[must_use]
    pub fn weight(&self) -> usize {
        let words = |what: &What| match what {
            What::Source(all) | What::Event(all) | What::Path(all) => all.len(),
            _ => 1,
        };
        self.terms.iter().map(|term| words(&term.what)).sum::<usize>().max(1)
    }

    /// Looks for less: what the filters of a list say too.
    #[must_use]
    pub fn narrowed(mut self, only: &Only) -> Self {
        let term = |what| Term { is_not: false, what };
        self.terms.extend(only.method.clone().map(|method| term(What::Method(vec![method]))));
        self.terms.extend(only.outcome.map(|outcome| term(What::Outcome(vec![outcome]))));
        self.terms.extend(only.status.map(|range| term(What::Status(vec![range]))));
        self.since_ms = self.since_ms.max(only.since_ms);
        self.until_ms = [self.until_ms, only.until_ms].into_iter().flatten().min();
        self
    }

    /// What it needs to be judged.
    #[must_use]
    pub fn needs(&self) -> Needs {
        let any = |is: fn(&What) -> bool| self.terms.iter().any(|term| is(&term.what));
        Needs {
            headers: any(|what| matches!(what, What::Header(_))),
            body: any(|what| matches!(what, What::Body(_))),
            deliveries: any(|what| matches!(what, What::Delivery(_))),
            mark: any(|what| matches!(what, What::Pinned | What::Note(_))),
        }
    }

    /// Whether a source of that name may have events that are meant.
    #[must_use]
    pub fn wants_source(&self, slug: &str) -> bool {
        self.all(|what| match what {
            What::Source(names) => Some(names.iter().any(|name| name.is(slug.as_bytes()))),
            _ => None,
        })
    }

    /// What the row says.
    #[must_use]
    pub fn holds(&self, facts: &Facts<'_>) -> bool {
        self.all(|what| {
            Some(match what {
                What::Source(names) => names.iter().any(|name| name.is(facts.source.as_bytes())),
                What::Method(methods) => {
                    methods.iter().any(|method| method.eq_ignore_ascii_case(facts.method))
                }
                What::Status(ranges) => ranges.iter().any(|(from, to)| (*from..=*to).contains(&facts.status)),
                What::Event(names) => {
                    facts.name.is_some_and(|name| names.iter().any(|wanted| wanted.is(name.as_bytes())))
                }
                What::Path(paths) => {
                    let behind = facts.target.get(facts.mount..).unwrap_or_default();
                    paths.iter().any(|path| path.is(facts.target) || path.is(behind))
                }
                What::Outcome(outcomes) => outcomes.contains(&facts.outcome),
                What::Signature(wanted) => wanted.contains(&signature(facts.signature)),
                What::Text(text) => {
                    let texts = [facts.name, facts.sender_id, Some(facts.id)];
                    text.is_in(facts.target)
                        || texts.iter().flatten().any(|found| text.is_in(found.as_bytes()))
                }
                _ => return None,
            })
        })
    }

    /// What its header fields say: names and values.
    #[must_use]
    pub fn holds_headers(&self, fields: &HeaderBlock) -> bool {
        self.all(|what| match what {
            What::Header(text) => Some(fields.iter().any(|(name, value)| {
                text.is_in(name) || text.is_in(value) || text.is_in(&[name, b": ", value].concat())
            })),
            _ => None,
        })
    }

    /// What its body says.
    #[must_use]
    pub fn holds_body(&self, body: &[u8]) -> bool {
        self.all(|what| match what {
            What::Body(text) => Some(text.is_in(body)),
            _ => None,
        })
    }

    /// What became of its deliveries.
    #[must_use]
    pub fn holds_deliveries(&self, states: &[DeliveryState]) -> bool {
        self.all(|what| match what {
            What::Delivery(wanted) => Some(states.iter().any(|state| wanted.contains(state))),
            _ => None,
        })
    }

    /// What its owner noted.
    #[must_use]
    pub fn holds_mark(&self, is_pinned: bool, note: Option<&str>) -> bool {
        self.all(|what| match what {
            What::Pinned => Some(is_pinned),
            What::Note(text) => Some(note.is_some_and(|note| text.is_in(note.as_bytes()))),
            _ => None,
        })
    }

    /// Whether all words hold of which `one` can say something.
    fn all(&self, one: impl Fn(&What) -> Option<bool>) -> bool {
        self.terms.iter().all(|term| one(&term.what).is_none_or(|holds| holds != term.is_not))
    }
}

fn signature(seen: Option<&str>) -> Signature {
    match seen {
        None => Signature::None,
        Some("verified" | "sender_verified") => Signature::Verified,
        Some(_) => Signature::Refused,
    }
}
