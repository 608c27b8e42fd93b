//! Forgetting beside everything else that happens to events.

use std::time::{Duration, Instant};

use super::*;
use crate::model::{DeliveryId, DestinationId, SourceId};
use crate::store::audit::tests::fill;
use crate::store::tests::{DEFAULT, Home, NOW, event, home};
use crate::store::{Next, Replayed};

const EVERYTHING: Retention = Retention { age_ms: 0, bytes_max: 0 };

/// One round; says how many events went, and where the next would begin.
async fn round(home: &Home, policy: Retention, mut after: Cursor) -> (usize, Cursor) {
    let mut events = 0;
    loop {
        let step = home.store.prune(policy, after).await.unwrap();
        events += step.events;
        after = step.after;
        if !step.more {
            return (events, after);
        }
    }
}

async fn rows(home: &Home, sql: &'static str) -> i64 {
    home.store.read(move |conn| conn.query_row(sql, [], |row| row.get(0))).await.unwrap()
}

async fn forgotten(home: &Home) -> Vec<(i64, i64)> {
    let ranges = home.store.read(|conn| {
        conn.prepare("SELECT first_seq, last_seq FROM forgotten ORDER BY first_seq")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect()
    });
    ranges.await.unwrap()
}

#[tokio::test]
async fn what_waits_goes_neither_by_age_nor_by_size_and_what_came_later_does() {
    let home = home().await;
    let source = home.source(DEFAULT, "github").await;
    let to = home.destinations("github", 2).await;
    let waiting = home.accept(source, b"ready", &to[..1]).await;
    let timed = home.accept(source, b"timed", &to[1..]).await;
    assert_eq!(home.settle(to[1], 1, Next::RetryAt(NOW * 2)).await, 1);
    let leased = home.accept(source, b"leased", &to[1..]).await;
    let want = crate::store::Want {
        destination: to[1],
        limit: 1,
        lease_ms: 1,
        bytes_max: u64::MAX,
        is_strict: false,
        is_on_hold: false,
    };
    assert_eq!(home.store.advance(Default::default(), vec![want], u64::MAX).await.unwrap().leased.len(), 1);
    let done = home.accept(source, b"done", &[]).await;
    home.store.record(event(home.store.next_event_id(), source)).unwrap();
    home.settled(1).await;
    home.clock.set(NOW + 1_000);
    assert_eq!(round(&home, EVERYTHING, Cursor::default()).await.0, 2);
    assert_eq!(home.list(DEFAULT).await, [leased, timed, waiting]);
    assert!(home.store.event(DEFAULT, done).await.unwrap().is_none());
    let by_size = Retention { age_ms: u64::MAX, bytes_max: 0 };
    assert_eq!(round(&home, by_size, Cursor::default()).await.0, 0);
    assert_eq!(home.list(DEFAULT).await.len(), 3);
    assert!(home.audit().is_balanced());
}

#[tokio::test]
async fn a_long_backlog_neither_stalls_forgetting_nor_makes_a_step_long() {
    const BACKLOG: i64 = 50_000;
    let home = home().await;
    for no in 0..20 {
        home.source(DEFAULT, &format!("source-{no}")).await;
    }
    fill(&home, BACKLOG + 2_000);
    home.tamper(&format!("UPDATE deliveries SET state = 0 WHERE event_id <= ({NOW} << 20) + {BACKLOG}"));
    home.clock.set(NOW + 1_000);
    let policy = Retention { age_ms: 10, bytes_max: u64::MAX };
    let (mut after, mut events, mut steps, mut longest) = (Cursor::default(), 0, 0, Duration::ZERO);
    loop {
        let begun = Instant::now();
        let step = home.store.prune(policy, after).await.unwrap();
        if step.events == 0 {
            longest = longest.max(begun.elapsed());
        }
        (after, events, steps) = (step.after, events + step.events, steps + 1);
        if !step.more {
            break;
        }
    }
    assert_eq!((events, steps), (2_000, 104), "each looks at 500");
    assert!(longest < Duration::from_millis(500), "{longest:?}: a hundredth of it is usual");
    assert_eq!(rows(&home, "SELECT count(*) FROM events").await, BACKLOG);
    // The next rounds do not look at the backlog again.
    let step = home.store.prune(policy, after.next_round()).await.unwrap();
    assert_eq!((step.events, step.more), (0, false));
    // Some of it is over by now: it goes with the tenth round.
    home.tamper(&format!("UPDATE deliveries SET state = 3 WHERE event_id <= ({NOW} << 20) + 700"));
    let mut gone_in = Vec::new();
    for no in 1..=10 {
        after = after.next_round();
        let (events, end) = round(&home, policy, after).await;
        after = end;
        if events > 0 {
            gone_in.push((no, events));
        }
    }
    assert_eq!(gone_in, [(10, 700)]);
    assert!(home.audit().is_balanced());
}

#[tokio::test]
async fn forgotten_numbers_grow_together() {
    let home = home().await;
    let source = home.source(DEFAULT, "github").await;
    let to = home.destinations("github", 9).await;
    for to in &to {
        home.accept(source, b"x", &[*to]).await;
    }
    home.clock.set(NOW + 1_000);
    for (no, expected) in [
        (3, vec![(3, 3)]),
        (5, vec![(3, 3), (5, 5)]),
        (4, vec![(3, 5)]),
        (9, vec![(3, 5), (9, 9)]),
        (2, vec![(2, 5), (9, 9)]),
        (6, vec![(2, 6), (9, 9)]),
        (8, vec![(2, 6), (8, 9)]),
        (7, vec![(2, 9)]),
        (1, vec![(1, 9)]),
    ] {
        home.settle(to[no - 1], 1, Next::Delivered).await;
        assert_eq!(round(&home, EVERYTHING, Cursor::default()).await.0, 1);
        assert_eq!(forgotten(&home).await, expected);
        assert!(home.audit().is_balanced());
    }
}

#[tokio::test]
async fn files_of_bodies_count_and_go() {
    let home = home().await;
    let source = home.source(DEFAULT, "github").await;
    let mut events = Vec::new();
    for _ in 0..5 {
        events.push(home.accept(source, &[b'x'; 1_000_000], &[]).await);
    }
    let files = || std::fs::read_dir(home.dir.path().join("bodies")).unwrap().count();
    let database =
        rows(&home, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").await;
    let policy =
        |files_max: u64| Retention { age_ms: u64::MAX, bytes_max: database.cast_unsigned() + files_max };
    assert_eq!(round(&home, policy(5_000_000), Cursor::default()).await.0, 0);
    assert_eq!(files(), 5);
    // In the database all five are small, and would go in one step.
    round(&home, policy(4_999_999), Cursor::default()).await;
    assert_eq!(files(), 4, "the oldest");
    assert!(
        !home.store.body_files().path(events[0]).exists() && home.store.body_files().path(events[1]).exists()
    );
    home.clock.set(NOW + 1_000);
    round(&home, EVERYTHING, Cursor::default()).await;
    assert_eq!(files(), 0);
    assert!(home.audit().is_balanced());
}

#[tokio::test]
async fn an_old_event_that_is_replayed_stays_until_that_is_over() {
    let home = home().await;
    let source = home.source(DEFAULT, "github").await;
    let to = home.destinations("github", 1).await;
    let accepted = home.accept(source, b"accepted", &to).await;
    assert_eq!(home.settle(to[0], 1, Next::Delivered).await, 1);
    let recorded = home.store.next_event_id();
    home.store.record(event(recorded, source)).unwrap();
    home.settled(1).await;
    home.clock.set(NOW + 1_000);
    let made = home.store.replay(vec![(accepted, to[0]), (recorded, to[0])]).await.unwrap();
    let id = |event, no| Replayed::Made(DeliveryId { event, no });
    assert_eq!(made, [id(accepted, 2), id(recorded, 1)]);
    assert_eq!(round(&home, EVERYTHING, Cursor::default()).await.0, 0);
    assert!(home.audit().is_balanced());
    assert_eq!(home.settle(to[0], 9, Next::Delivered).await, 2);
    assert_eq!(round(&home, EVERYTHING, Cursor::default()).await.0, 2);
    let audit = home.audit();
    assert!(audit.is_balanced(), "{audit:?}");
    let github = &audit.sources[0];
    assert_eq!((github.accepted, github.forgotten, github.deliveries, github.delivered), (1, 1, 3, 3));
    let again = home.store.replay(vec![(accepted, to[0])]).await.unwrap();
    assert_eq!(again, [Replayed::Gone(accepted)]);
    assert!(home.audit().is_balanced());
}

#[tokio::test]
async fn nothing_is_left_of_an_event_that_went_while_it_was_under_way() {
    let home = home().await;
    let source = home.source(DEFAULT, "github").await;
    let to = home.destinations("github", 1).await;
    let id = home.accept(source, b"x", &to).await;
    let want = crate::store::Want {
        destination: to[0],
        limit: 1,
        lease_ms: 60_000,
        bytes_max: u64::MAX,
        is_strict: false,
        is_on_hold: false,
    };
    let leased = home.store.advance(Default::default(), vec![want], u64::MAX).await.unwrap().leased;
    assert!(home.store.cancel(leased[0].delivery, "by_hand").await.unwrap());
    home.clock.set(NOW + 1_000);
    assert_eq!(round(&home, EVERYTHING, Cursor::default()).await.0, 1);
    let settlement = crate::store::Settlement {
        delivery: leased[0].delivery,
        attempt: 1,
        record: Some(Box::new(crate::store::tests::attempt(Next::Delivered))),
        next: Next::Delivered,
    };
    home.store.advance(std::sync::Arc::new(vec![settlement]), Vec::new(), u64::MAX).await.unwrap();
    let mut late = event(id, source);
    late.is_accepted = true;
    home.store.record(late).unwrap();
    home.settled(1).await;
    for table in
        ["SELECT count(*) FROM attempts", "SELECT count(*) FROM bodies", "SELECT count(*) FROM events"]
    {
        assert_eq!(rows(&home, table).await, 0, "{table}");
    }
    assert!(home.audit().is_balanced());
}

/// SplitMix64: the same seed, the same story.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % sides as u64).unwrap()
    }
}

/// What happens to a store, told by dice.
struct Story {
    home: Home,
    dice: Dice,
    sources: Vec<(SourceId, Vec<DestinationId>)>,
    events: Vec<EventId>,
    after: Cursor,
    recorded: u64,
}

impl Story {
    async fn begin(seed: u64) -> Self {
        let home = home().await;
        let mut sources = Vec::new();
        for (slug, count) in [("one", 1), ("two", 3)] {
            let id = home.source(DEFAULT, slug).await;
            sources.push((id, home.destinations(slug, count).await));
        }
        Self { home, dice: Dice(seed), sources, events: Vec::new(), after: Cursor::default(), recorded: 0 }
    }

    fn destination(&mut self) -> DestinationId {
        let all: Vec<_> = self.sources.iter().flat_map(|(_, to)| to).copied().collect();
        all[self.dice.throw(all.len())]
    }

    /// What was promised and not forgotten after its end: events with something waiting.
    async fn waiting(&self) -> Vec<i64> {
        let waiting = self.home.store.read(|conn| {
            conn.prepare("SELECT DISTINCT event_id FROM deliveries WHERE state < 3 ORDER BY 1")?
                .query_map([], |row| row.get(0))?
                .collect()
        });
        waiting.await.unwrap()
    }

    async fn go_on(mut self) -> Self {
        match self.dice.throw(16) {
            0..=4 => {
                let (source, to) = self.sources[self.dice.throw(2)].clone();
                let to = &to[self.dice.throw(to.len() + 1)..];
                let body = vec![b'b'; [10, 4_000][self.dice.throw(2)]];
                let event = self.home.accept(source, &body, to).await;
                self.events.push(event);
            }
            5..=7 => {
                let (to, limit) = (self.destination(), self.dice.throw(6));
                let later = NOW + self.dice.throw(5_000) as u64;
                let next = [
                    Next::Delivered,
                    Next::Dead("gone"),
                    Next::Ready,
                    Next::RetryAt(later),
                    Next::Cancelled("x"),
                ][self.dice.throw(5)];
                self.home.settle(to, u32::try_from(limit).unwrap(), next).await;
            }
            8 => {
                // Leased, and never settled.
                let want = crate::store::Want {
                    destination: self.destination(),
                    limit: 2,
                    lease_ms: 500,
                    bytes_max: u64::MAX,
                    is_strict: false,
                    is_on_hold: false,
                };
                self.home.store.advance(Default::default(), vec![want], u64::MAX).await.unwrap();
            }
            9 if !self.events.is_empty() => {
                let event = self.events[self.dice.throw(self.events.len())];
                let no = u32::try_from(self.dice.throw(3)).unwrap() + 1;
                self.home.store.cancel(DeliveryId { event, no }, "by_hand").await.unwrap();
            }
            10 => {
                let to = self.destination();
                let newest = self.home.store.newest_waiting(to).await.unwrap();
                let keep = newest.filter(|_| self.dice.throw(2) == 0);
                self.home.store.cancel_waiting(to, keep, "skipped").await.unwrap();
            }
            11 if !self.events.is_empty() => {
                let (event, to) = (self.events[self.dice.throw(self.events.len())], self.destination());
                self.home.store.replay(vec![(event, to), (event, to)]).await.unwrap();
            }
            12 => {
                let (id, source) = (self.home.store.next_event_id(), self.sources[0].0);
                self.home.store.record(event(id, source)).unwrap();
                self.recorded += 1;
                self.home.settled(self.recorded).await;
                self.events.push(id);
            }
            13 => {
                self.home = self.home.reopened().await;
                self.recorded = 0;
                self.home.store.sweep_bodies().await.unwrap();
                self.home.store.expire_leases().await.unwrap();
            }
            _ => {
                let waiting = self.waiting().await;
                let age_ms = self.dice.throw(3_000) as u64;
                let bytes_max = [0, u64::MAX, u64::MAX][self.dice.throw(3)];
                let step = self.home.store.prune(Retention { age_ms, bytes_max }, self.after).await.unwrap();
                self.after = if step.more { step.after } else { step.after.next_round() };
                assert_eq!(self.waiting().await, waiting, "what waits is never deleted");
            }
        }
        self.home.clock.set(self.home.clock.now_ms() + self.dice.throw(300) as u64);
        self
    }

    async fn check(&self, what: &str) {
        let audit = self.home.audit();
        assert!(audit.is_balanced(), "{what}: {audit:?}");
        for (table, orphans) in [
            ("bodies", "SELECT count(*) FROM bodies WHERE id NOT IN (SELECT id FROM events)"),
            (
                "attempts",
                "SELECT count(*) FROM attempts WHERE (event_id, no) NOT IN (SELECT event_id, no FROM deliveries)",
            ),
        ] {
            assert_eq!(rows(&self.home, orphans).await, 0, "{what}: {table}");
        }
        let spoken_of = rows(&self.home, "SELECT count(*) FROM events WHERE flags & 16").await;
        let files = std::fs::read_dir(self.home.dir.path().join("bodies")).unwrap().count();
        assert_eq!(files as i64, spoken_of, "{what}: files of bodies");
        let apart = rows(
            &self.home,
            "SELECT count(*) FROM forgotten a JOIN forgotten b ON b.source_id = a.source_id AND b.first_seq = a.last_seq + 1",
        );
        assert_eq!(apart.await, 0, "{what}: neighbours grow together");
    }
}

#[tokio::test]
async fn whatever_happens_in_whatever_order_the_books_balance() {
    let mut forgotten = 0;
    for seed in 1..=3 {
        let mut story = Story::begin(seed).await;
        for step in 0..300 {
            story = story.go_on().await;
            story.check(&format!("seed {seed}, step {step}")).await;
        }
        forgotten += story.home.audit().sources.iter().map(|source| source.forgotten).sum::<u64>();
    }
    assert!(forgotten > 80, "the dice let some of it be forgotten: {forgotten}");
}
