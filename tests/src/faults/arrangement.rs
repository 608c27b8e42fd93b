//! What is sent where: sources with rules as different as they can be, and their destinations.

use relay_server::delivery::schedule::Schedule;
use relay_server::model::{
    Dedupe, DedupeBy, DestinationRules, IfAway, IfFailed, IfSlow, Order, ProjectId, ReplyMode, SourceRules,
};
use relay_server::store::{DestinationChange, Store};

/// How long an attempt may take. Short, so that what hangs is tried again soon.
const TIMEOUT_MS: u32 = 2_500;

/// How long a live sender is kept waiting: some answers of the app take longer, and none as long as [`TIMEOUT_MS`].
const PATIENCE_MS: u32 = 700;

/// Header field by which the copies of one webhook are told.
pub(super) const COPY_FIELD: &str = "X-Copy";

/// A source of the storm.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// Its name.
    pub(super) name: &'static str,
    /// Its destinations; the first is the primary.
    pub(super) destinations: &'static [&'static str],
    /// Senders at once.
    pub(super) senders: u64,
    /// Whether the sender waits for the app.
    pub(super) is_live: bool,
    /// Whether events have to arrive in the order in which they were sent.
    pub(super) is_strict: bool,
    /// Whether its sender sends webhooks several times.
    pub(super) has_copies: bool,
}

const PLAIN: Plan = Plan {
    name: "plain",
    destinations: &["default"],
    senders: 3,
    is_live: false,
    is_strict: false,
    has_copies: false,
};

/// Every source. Where order is to be kept there is one sender, who waits for each answer: so there is an order.
pub(super) const PLANS: [Plan; 6] = [
    PLAIN,
    Plan { name: "strict", senders: 1, is_strict: true, ..PLAIN },
    Plan { name: "live", senders: 3, is_live: true, ..PLAIN },
    Plan { name: "turns", senders: 1, is_live: true, is_strict: true, ..PLAIN },
    Plan { name: "fan", senders: 2, destinations: &["default", "second"], is_live: true, ..PLAIN },
    Plan { name: "copies", senders: 2, has_copies: true, ..PLAIN },
];

impl Plan {
    fn rules(&self) -> SourceRules {
        let dedupe = Dedupe { by: DedupeBy::Header(COPY_FIELD.to_lowercase()), window_s: 3_600 };
        SourceRules {
            reply: if self.is_live { ReplyMode::Live } else { ReplyMode::Accepted },
            if_away: IfAway::Accept,
            if_slow: IfSlow::Accept,
            if_failed: IfFailed::Accept,
            patience_ms: PATIENCE_MS,
            dedupe: self.has_copies.then_some(dedupe),
            ..SourceRules::default()
        }
    }

    fn destination_rules(&self) -> DestinationRules {
        DestinationRules {
            timeout_ms: TIMEOUT_MS,
            order: if self.is_strict { Order::Strict } else { Order::None },
            // So long that nothing dies of it.
            retry: Schedule { first_s: 1, factor: 2, delay_s_max: 2, for_s: 100_000 },
            ..DestinationRules::default()
        }
    }

    /// Makes it.
    pub(super) async fn set_up(&self, store: &Store, project: ProjectId) {
        let slug = self.name.parse().expect("a slug");
        let made = store.create_source(project, slug, self.rules(), Default::default()).await;
        let source = made.expect("a source");
        let rules =
            DestinationChange { rules: Some(self.destination_rules()), ..DestinationChange::default() };
        store.update_destination(source.id, source.destinations[0].id, rules).await.expect("changed");
        for name in &self.destinations[1..] {
            let name = name.parse().expect("a name");
            let made =
                store.create_destination(source.id, name, Default::default(), self.destination_rules());
            made.await.expect("a destination");
        }
    }

    /// The names under which the app knows its destinations.
    pub(super) fn places(&self) -> impl Iterator<Item = String> {
        self.destinations.iter().map(|destination| format!("{}.{destination}", self.name))
    }
}
