//! What the dispatcher does with what nobody wants any more.

use protocol::control::Sharing;
use protocol::id::EventId;
use tempfile::TempDir;

use super::*;
use crate::delivery::url::UrlPolicy;
use crate::jq::JqSettings;
use crate::model::{
    Captured, DeliveryId, DeliveryState, DestinationRules, EventRecord, Outcome, ProjectId, RecordedAnswer,
    RequestShape, SourceRules, Times,
};
use crate::sender::{Senders, Vault};
use crate::store::{Acceptance, NewDelivery, Next, Start};

struct Home {
    _dir: TempDir,
    store: Store,
    dispatcher: Dispatcher,
    tasks: Tasks,
    source: Arc<Source>,
}

async fn home() -> Home {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(1_700_000_000_000);
    let store = Store::open(dir.path(), clock.clone()).await.unwrap();
    let slug = "mine".parse().unwrap();
    let made = store.create_source(ProjectId(1), slug, SourceRules::default(), Sharing::Pool).await.unwrap();
    let second = "second".parse().unwrap();
    let rules = DestinationRules::default();
    let source = store.create_destination(made.id, second, Sharing::Pool, rules).await.unwrap();
    let tasks = Tasks::default();
    let urls = UrlSender::new(UrlPolicy::default(), tasks.clone()).unwrap();
    let vault = Vault::new(&link::EndpointSecret::new([9; 32]));
    let dispatcher = Dispatcher::new(Parts {
        senders: Senders::new(vault, "https://relay.example", urls.clone(), clock.clone()),
        store: store.clone(),
        registry: Registry::default(),
        urls,
        jq: Jq::new(JqSettings::new(dir.path().join("no-such-program"))),
        signing: SigningKey::load_or_keep(&dir.path().join("signing-secret"), [7; 32]).unwrap(),
        metrics: Arc::default(),
        activity: Activity::default(),
        clock,
        tasks: tasks.clone(),
    });
    Home { _dir: dir, store, dispatcher, tasks, source }
}

impl Home {
    /// An event with a ready delivery to each of the two destinations.
    async fn accept(&self) -> EventId {
        self.accept_shaped(RequestShape::default()).await
    }

    async fn accept_shaped(&self, shape: RequestShape) -> EventId {
        let id = self.store.next_event_id();
        let record = Box::new(EventRecord {
            id,
            source: self.source.id,
            remote: [192, 0, 2, 1].into(),
            method: "POST".to_owned(),
            target: b"/h/mine".to_vec(),
            headers: Default::default(),
            shape,
            body: Captured::whole(Default::default()),
            related: None,
            outcome: Outcome::Accepted("agent_away"),
            agent: None,
            answer: RecordedAnswer::default(),
            times: Times::default(),
            is_accepted: false,
            known: Default::default(),
        });
        let ready =
            |one: &crate::model::Destination| NewDelivery { destination: one.id, start: Start::Ready };
        let deliveries = self.source.destinations.iter().map(ready).collect();
        self.store.accept(Acceptance { record, deliveries, dedupe: None }).await.unwrap();
        id
    }

    async fn state(&self, event: EventId, no: u32) -> (DeliveryState, Option<String>) {
        let delivery = self.store.delivery(DeliveryId { event, no }).await.unwrap().unwrap();
        (delivery.state, delivery.reason)
    }

    async fn is_cancelled(&self, event: EventId, no: u32) {
        let ended = async {
            while self.state(event, no).await.0 != DeliveryState::Cancelled {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), ended).await.expect("cancelled in time");
        assert_eq!(self.state(event, no).await.1.as_deref(), Some("destination_deleted"));
    }
}

#[tokio::test]
async fn what_was_left_to_a_deleted_destination_is_cancelled_at_the_next_start() {
    let home = home().await;
    let event = home.accept().await;
    home.store.delete_destination(home.source.id, home.source.destinations[1].id).await.unwrap();
    let house = Tasks::default();
    house.spawn(home.dispatcher.clone().run());
    home.is_cancelled(event, 2).await;
    assert_eq!(home.state(event, 1).await.0, DeliveryState::Waiting, "the other is as it was");
    home.tasks.begin_drain();
    assert!(house.finish(Duration::from_secs(20)).await);
}

#[tokio::test]
async fn what_is_accepted_in_the_moment_of_a_deletion_is_cancelled() {
    let home = home().await;
    let house = Tasks::default();
    house.spawn(home.dispatcher.clone().run());
    home.store.delete_source(ProjectId(1), "mine".parse().unwrap()).await.unwrap();
    // By whoever had found the source before.
    let event = home.accept().await;
    home.is_cancelled(event, 1).await;
    home.is_cancelled(event, 2).await;
    home.tasks.begin_drain();
    assert!(house.finish(Duration::from_secs(20)).await);
}

#[tokio::test]
async fn what_was_under_way_to_a_deleted_destination_is_not_tried_again() {
    let home = home().await;
    let event = home.accept().await;
    let destination = home.source.destinations[1].id;
    let want = Want {
        destination,
        limit: 1,
        lease_ms: 600_000,
        bytes_max: u64::MAX,
        is_strict: false,
        is_on_hold: false,
    };
    let leased = home.store.advance(Arc::default(), vec![want], u64::MAX).await.unwrap().leased[0];
    home.store.delete_destination(home.source.id, destination).await.unwrap();
    assert_eq!(home.store.cancel_deleted(destination).await.unwrap(), 0);
    let settlement = Settlement { delivery: leased.delivery, attempt: 1, record: None, next: Next::Ready };
    home.dispatcher.live_is_over(destination, settlement);
    let house = Tasks::default();
    house.spawn(home.dispatcher.clone().run());
    home.is_cancelled(event, 2).await;
    home.tasks.begin_drain();
    assert!(house.finish(Duration::from_secs(20)).await);
}

/// As a restored backup may have it.
#[tokio::test]
async fn an_event_whose_row_says_more_than_its_path_has_is_attempted_all_the_same() {
    let home = home().await;
    let destination = home.source.destinations[0].id;
    let rules = DestinationRules {
        url: Some("http://127.0.0.1:9/in".parse().unwrap()),
        ..DestinationRules::default()
    };
    let change = crate::store::DestinationChange { rules: Some(rules), ..Default::default() };
    home.store.update_destination(home.source.id, destination, change).await.unwrap();
    let event = home.accept_shaped(RequestShape { mount: 5_000, ..RequestShape::default() }).await;
    let house = Tasks::default();
    house.spawn(home.dispatcher.clone().run());
    let attempted = async {
        loop {
            let attempts = home.store.attempts(DeliveryId { event, no: 1 }).await.unwrap();
            if let Some(attempt) = attempts.into_iter().next() {
                return attempt.reason;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let reason = tokio::time::timeout(Duration::from_secs(20), attempted).await.expect("an attempt in time");
    assert_eq!(reason.as_deref(), Some("address_refused"), "it got as far as its URL");
    home.tasks.begin_drain();
    assert!(house.finish(Duration::from_secs(20)).await);
}
