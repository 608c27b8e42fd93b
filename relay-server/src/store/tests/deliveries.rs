//! Deliveries as they are listed, replayed to, and named.

use super::*;
use crate::delivery::verdict::AttemptOutcome;
use crate::model::{AttemptRecord, DeliveryId, DeliveryState, Destination, DestinationId, DestinationRules};

impl Home {
    fn destination(&self, slug: &str, name: &str) -> Destination {
        let source = self.store.source(slug).unwrap();
        source.destinations.iter().find(|one| one.name.as_str() == name).unwrap().clone()
    }

    /// An accepted event with a ready delivery to each destination of its source.
    async fn take_in(&self, slug: &str) -> EventId {
        let source = self.store.source(slug).unwrap();
        let id = self.store.next_event_id();
        let mut record = event(id, source.id);
        record.outcome = Outcome::Accepted("agent_away");
        let ready = |one: &Destination| NewDelivery { destination: one.id, start: Start::Ready };
        let deliveries = source.destinations.iter().map(ready).collect();
        self.store.accept(Acceptance { record, deliveries, dedupe: None }).await.unwrap();
        id
    }

    async fn lease(&self, destination: DestinationId, limit: u32) -> Vec<Leased> {
        let want = Want {
            destination,
            limit,
            lease_ms: 60_000,
            bytes_max: u64::MAX,
            is_strict: false,
            is_on_hold: false,
        };
        self.store.advance(Arc::default(), vec![want], u64::MAX).await.unwrap().leased
    }

    async fn settle_one(&self, leased: Leased, next: Next) {
        let record = AttemptRecord {
            started_ms: NOW,
            outcome: AttemptOutcome::Answered(500),
            text: None,
            agent: None,
            answer: RecordedAnswer::default(),
            times: Times::default(),
            is_resigned: false,
        };
        let (delivery, attempt) = (leased.delivery, leased.attempt);
        let settlement = Settlement { delivery, attempt, record: Some(Box::new(record)), next };
        self.store.advance(Arc::new(vec![settlement]), Vec::new(), u64::MAX).await.unwrap();
    }
}

fn named(name: &str) -> protocol::id::DestinationName {
    name.parse().unwrap()
}

#[tokio::test]
async fn pages_of_deliveries_lose_none_and_repeat_none() {
    let home = home().await;
    let sources = [home.source(DEFAULT, "a").await, home.source(DEFAULT, "b").await];
    for source in sources {
        let rules = DestinationRules::default();
        home.store.create_destination(source, named("second"), Sharing::Pool, rules).await.unwrap();
    }
    for at in 0..40 {
        home.take_in(if at % 3 == 0 { "a" } else { "b" }).await;
    }
    // Something in every state, all mixed up.
    for slug in ["a", "b"] {
        for (name, shift) in [("default", 0), ("second", 2)] {
            let leased = home.lease(home.destination(slug, name).id, 30).await;
            for (at, one) in leased.into_iter().enumerate() {
                match (at + shift) % 6 {
                    0 => home.settle_one(one, Next::Delivered).await,
                    1 => home.settle_one(one, Next::Dead("gone")).await,
                    2 => home.settle_one(one, Next::Cancelled("filtered")).await,
                    3 => home.settle_one(one, Next::RetryAt(NOW + 1_000 + at as u64)).await,
                    4 => home.settle_one(one, Next::Ready).await,
                    _ => {}
                }
            }
        }
    }
    let mut all = Vec::new();
    for id in home.list(DEFAULT).await {
        all.extend(home.store.deliveries_of(id).await.unwrap().into_iter().rev().map(|(one, _)| one));
    }
    assert_eq!(all.len(), 80);
    use DeliveryState::{Cancelled, Dead, Delivered, Leased, Waiting};
    let ends = [Delivered, Cancelled];
    for state in [None, Some(Waiting), Some(Leased), Some(Delivered), Some(Dead), Some(Cancelled)] {
        for destination in [None, Some(home.destination("a", "second").id)] {
            let is_meant = |one: &&crate::model::Delivery| {
                state.map_or(!ends.contains(&one.state), |state| one.state == state)
                    && destination.is_none_or(|only| only == one.destination)
            };
            let expected: Vec<_> = all.iter().filter(is_meant).cloned().collect();
            assert!(!expected.is_empty(), "{state:?} {destination:?}");
            for limit in [1, 2, 3, 7, 200] {
                let sources = sources.to_vec();
                let mut filter =
                    DeliveryFilter { sources, destination, state, limit, ..DeliveryFilter::default() };
                let mut seen = Vec::new();
                loop {
                    let page = home.store.deliveries(filter.clone()).await.unwrap();
                    assert!(page.deliveries.len() <= limit);
                    seen.extend(page.deliveries);
                    let Some(next) = page.next else { break };
                    filter.before = Some(next);
                }
                assert_eq!(seen, expected, "{state:?} {destination:?} by {limit}");
            }
        }
    }
}

#[tokio::test]
async fn a_look_for_deliveries_has_an_end_and_the_next_goes_on() {
    let home = home().await;
    let source = home.source(DEFAULT, "a").await;
    let mut ids = Vec::new();
    for _ in 0..450 {
        ids.push(home.take_in("a").await);
    }
    let destination = home.destination("a", "default").id;
    home.store.cancel(DeliveryId { event: ids[3], no: 1 }, "cancelled_by_person").await.unwrap();
    // So many sources that each is looked at for 200 entries only.
    let sources = (0..200).map(|at| SourceId(1_000 + at)).chain([source]).collect();
    let mut filter = DeliveryFilter {
        sources,
        state: Some(DeliveryState::Cancelled),
        limit: 5,
        ..DeliveryFilter::default()
    };
    let (mut pages, mut found) = (0, Vec::new());
    loop {
        let page = home.store.deliveries(filter.clone()).await.unwrap();
        pages += 1;
        found.extend(page.deliveries.iter().map(|one| one.id.event));
        let Some(next) = page.next else { break };
        assert!(filter.before.is_none_or(|before| next < before), "it goes on");
        filter.before = Some(next);
    }
    assert_eq!((found, pages), (vec![ids[3]], 3));
    // The same where the events decide.
    let only = Only { method: Some("PUT".to_owned()), ..Only::default() };
    let waiting = DeliveryFilter { state: Some(DeliveryState::Waiting), only, before: None, ..filter };
    let page = home.store.deliveries(waiting.clone()).await.unwrap();
    assert_eq!((page.deliveries.len(), page.next.is_some()), (0, true));
    let only = Only { status: Some((502, 502)), until_ms: Some(NOW), ..Only::default() };
    let page = home.store.deliveries(DeliveryFilter { only, ..waiting.clone() }).await.unwrap();
    assert_eq!(page, DeliveryPage::default(), "all are of that moment, and none before it");
    let only = Only { status: Some((502, 502)), since_ms: Some(NOW), ..Only::default() };
    let page = home.store.deliveries(DeliveryFilter { only, ..waiting }).await.unwrap();
    assert_eq!(page.deliveries[0].id.event, ids[449]);
    assert_eq!(page.deliveries[0].destination, destination);
}

#[tokio::test]
async fn a_moment_no_id_can_name_is_later_than_all() {
    let home = home().await;
    home.source(DEFAULT, "a").await;
    let id = home.take_in("a").await;
    let year_9999_ms = 253_402_300_799_000;
    let until = Only { until_ms: Some(year_9999_ms), ..Only::default() };
    let since = Only { since_ms: Some(year_9999_ms), ..Only::default() };
    for (only, expected) in [(until, vec![id]), (since, vec![])] {
        let filter = EventFilter { project: DEFAULT, sources: None, before: None, limit: 9, only };
        let found = home.store.events(filter).await.unwrap().events;
        assert_eq!(found.iter().map(|event| event.id).collect::<Vec<_>>(), expected);
    }
}

#[tokio::test]
async fn nothing_is_replayed_to_a_destination_that_is_gone_or_anothers() {
    let home = home().await;
    let source = home.source(DEFAULT, "a").await;
    home.source(DEFAULT, "b").await;
    let id = home.take_in("a").await;
    let made =
        home.store.create_destination(source, named("second"), Sharing::Pool, DestinationRules::default());
    made.await.unwrap();
    let (first, second) = (home.destination("a", "default").id, home.destination("a", "second").id);
    let others = home.destination("b", "default").id;
    home.store.delete_destination(source, second).await.unwrap();
    let replayed = home.store.replay(vec![(id, first), (id, second), (id, others)]).await.unwrap();
    let made = Replayed::Made(DeliveryId { event: id, no: 2 });
    assert_eq!(replayed, [made, Replayed::NoDestination(id), Replayed::NoDestination(id)]);
    home.store.delete_source(DEFAULT, name("a")).await.unwrap();
    let replayed = home.store.replay(vec![(id, first)]).await.unwrap();
    assert_eq!(replayed, [Replayed::NoDestination(id)]);
    let ledger = home.store.ledger(source).await.unwrap();
    assert_eq!((ledger.deliveries, ledger.waiting), (2, 2), "what was not made is not counted");
    let names = home.store.destination_names([first, second, DestinationId(999)].into()).await.unwrap();
    assert_eq!(names.len(), 2, "deleted ones have their names still");
    assert_eq!(names[&second], "second");
    assert_eq!(home.store.destination_of_name(source, named("second")).await.unwrap(), Some(second));
    assert_eq!(home.store.destination_of_name(source, named("third")).await.unwrap(), None);
}

#[tokio::test]
async fn a_shared_body_outlives_the_event_it_came_with() {
    let home = home().await;
    let files = home.store.body_files();
    let ids: Vec<_> = (0..3).map(|_| home.store.next_event_id()).collect();
    let mut body = files.begin(ids[0]).unwrap();
    body.write(&[7; 200_000]).unwrap();
    body.finish().unwrap().keep(true);
    files.share(ids[0], ids[1]).unwrap();
    // Where no second name can be given, for one because the name is taken, it is copied.
    std::fs::write(files.path(ids[2]), b"in the way").unwrap();
    files.share(ids[0], ids[2]).unwrap();
    files.remove(ids[0]);
    for id in &ids[1..] {
        assert!(std::fs::read(files.path(*id)).unwrap() == [7; 200_000]);
    }
    assert_eq!(files.share(ids[0], ids[1]).unwrap_err().kind(), std::io::ErrorKind::NotFound);
}

#[tokio::test]
async fn no_more_is_leased_than_there_is_memory_for() {
    let home = home().await;
    let source = home.source(DEFAULT, "hook").await;
    let to = home.destination("hook", "default").id;
    let mut count = 0;
    for _ in 0..5 {
        home.accept(source, b"a body", &[to]).await;
    }
    let want = |bytes_max| Want {
        destination: to,
        limit: 4,
        lease_ms: 60_000,
        bytes_max,
        is_strict: false,
        is_on_hold: false,
    };
    let advance =
        async |want, bytes_max| home.store.advance(Arc::default(), vec![want], bytes_max).await.unwrap();
    let one = advance(Want { limit: 1, ..want(u64::MAX) }, u64::MAX).await.leased[0].memory_bytes;
    assert!(one > 0, "the events have bodies");
    for (of_lane, of_all) in [(2 * one, u64::MAX), (u64::MAX, one + 1)] {
        let advanced = advance(want(of_lane), of_all).await;
        count += advanced.leased.len();
        assert!(advanced.lanes[0].has_more, "what found no room is asked for again");
    }
    assert_eq!(count, 3, "two of the lane's share, and one of everybody's");
    assert!(advance(want(u64::MAX), one - 1).await.leased.is_empty());
}

#[tokio::test]
async fn a_destination_that_was_made_again_loses_nothing_to_its_deletion() {
    let home = home().await;
    let source = home.source(DEFAULT, "hook").await;
    let make = async || home.store.ensure_destination(source, named("second"), Sharing::Pool).await.unwrap();
    let second = make().await.destinations[1].id;
    let old = home.take_in("hook").await;
    home.store.delete_destination(source, second).await.unwrap();
    assert_eq!(make().await.destinations[1].id, second, "a name means the same one for ever");
    let new = home.take_in("hook").await;
    assert_eq!(home.store.cancel_deleted(second).await.unwrap(), 0);
    for event in [old, new] {
        let found = home.store.deliveries_of(event).await.unwrap();
        assert!(found.iter().all(|(delivery, _)| delivery.state == DeliveryState::Waiting), "{found:?}");
    }
    home.store.delete_destination(source, second).await.unwrap();
    assert_eq!(home.store.cancel_deleted(second).await.unwrap(), 2);
}

#[tokio::test]
async fn all_but_the_newest_are_cancelled_wherever_they_stand() {
    let home = home().await;
    home.source(DEFAULT, "hook").await;
    let to = home.destination("hook", "default").id;
    let mut events = Vec::new();
    for _ in 0..4 {
        events.push(home.take_in("hook").await);
    }
    // The newest but one waits for its time, the others are ready.
    for leased in home.lease(to, 3).await {
        let next = if leased.delivery.event == events[2] { Next::RetryAt(NOW + 60_000) } else { Next::Ready };
        home.settle_one(leased, next).await;
    }
    let newest = home.store.newest_waiting(to).await.unwrap();
    assert_eq!(home.store.cancel_waiting(to, newest, "skipped").await.unwrap(), 3);
    assert_eq!(home.store.waiting(to, 10).await.unwrap(), 1);
    let kept = &home.store.deliveries_of(events[3]).await.unwrap()[0].0;
    assert_eq!(kept.state, DeliveryState::Waiting);
    assert_eq!(home.store.cancel_waiting(to, None, "skipped").await.unwrap(), 1);
    assert_eq!(home.store.newest_waiting(to).await.unwrap(), None);
}

/// An app may send 64 KiB of header in each of a thousand attempts.
#[tokio::test]
async fn of_an_answers_header_the_first_whole_fields_are_kept_and_only_with_its_delivery() {
    let home = home().await;
    home.source(DEFAULT, "mine").await;
    let event = home.take_in("mine").await;
    let leased = home.lease(home.destination("mine", "default").id, 1).await[0];
    let mut headers = HeaderBlock::default();
    for n in 0..10 {
        headers.push(format!("X-{n}").as_bytes(), &[b'v'; 5_000]).unwrap();
    }
    let body = Captured::whole(b"whole".as_slice().into());
    let record = AttemptRecord {
        started_ms: NOW,
        outcome: AttemptOutcome::Answered(500),
        text: None,
        agent: None,
        answer: RecordedAnswer { status: 500, headers, body },
        times: Times::default(),
        is_resigned: false,
    };
    let (delivery, attempt) = (leased.delivery, leased.attempt);
    let settlement = Settlement { delivery, attempt, record: Some(Box::new(record)), next: Next::Dead("x") };
    home.store.advance(Arc::new(vec![settlement]), Vec::new(), u64::MAX).await.unwrap();
    let kept = home.store.attempts(delivery).await.unwrap().remove(0).answer;
    assert_eq!(
        kept.headers.iter().map(|(name, _)| name.to_vec()).collect::<Vec<_>>(),
        [b"X-0", b"X-1", b"X-2"]
    );
    assert!(kept.body.is_truncated(), "marked as cut");
    assert_eq!(&kept.body.bytes[..], b"whole");
    let of_event = home.store.deliveries_of(event).await.unwrap().remove(0).1.remove(0);
    assert_eq!((of_event.status, of_event.no), (Some(500), 1));
    assert!(of_event.answer.headers.is_empty() && of_event.answer.body.bytes.is_empty());
}

/// A name means the same destination for ever, so its row stays when it is deleted.
#[tokio::test]
async fn destinations_made_and_deleted_without_end_come_to_an_end() {
    let home = home().await;
    let source = home.source(DEFAULT, "mine").await;
    let make = async |name: &str, rules: DestinationRules| {
        home.store.create_destination(source, named(name), Sharing::Pool, rules).await
    };
    let long = DestinationRules { filter: Some("x".repeat(4_000)), ..DestinationRules::default() };
    make("used", long).await.unwrap();
    home.store.delete_destination(source, home.destination("mine", "used").id).await.unwrap();
    let beside = Connection::open(home.dir.path().join("relay.db")).unwrap();
    let rules = "SELECT length(rules) FROM destinations WHERE name = 'used'";
    let left: u32 = beside.query_row(rules, [], |row| row.get(0)).unwrap();
    assert!(left < 1_000, "{left} bytes of rules that nobody reads");
    let made = beside.execute(
        "INSERT INTO destinations (source_id, name, sharing, rules, is_primary, deleted_ms)
         SELECT source_id, 'old-' || value, sharing, rules, 0, 1 FROM destinations, (WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 997) SELECT value FROM n)
         WHERE name = 'used'",
        [],
    );
    assert_eq!(made.unwrap(), 997);
    make("last", DestinationRules::default()).await.unwrap();
    let refused = make("one-more", DestinationRules::default()).await;
    assert!(matches!(&refused, Err(SourceError::TooMany)), "{refused:?}");
    assert!(refused.unwrap_err().to_string().contains("1,000 names"));
    let served = home.store.ensure_destination(source, named("one-more"), Sharing::Pool).await;
    assert!(matches!(served, Err(SourceError::TooMany)), "nor by an agent that serves it");
    let again = make("used", DestinationRules::default()).await.unwrap();
    assert!(again.destinations.iter().any(|one| one.name.as_str() == "used"), "a name may come back");
}
