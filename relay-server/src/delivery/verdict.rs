//! What an attempt's outcome means for its delivery. Pure; this is where the status rules stand.
//!
//! | outcome | then |
//! |---|---|
//! | answered 2xx or 3xx | delivered: a redirect is an answer, and is not followed |
//! | answered 408, 425, 429, 5xx | again by the schedule, not before `Retry-After` |
//! | answered 410 or another 4xx | dead: the same again would be refused the same way |
//! | not sent | kept in its place; the destination is given time (nothing is wrong with the event) |
//! | not sent, for something about this event | again by the schedule: others may pass; dead where nothing can mend it |
//! | sent, no answer | again by the schedule: at least once was promised |

use std::time::Duration;

use super::schedule::{RETRY_AFTER_MAX, Schedule};

/// What happened in an attempt of a stored delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The app answered with this status.
    Answered(u16),
    /// Not a byte reached the app: safe to try again.
    NotSent(&'static str),
    /// The app may have acted, but no answer came (or it broke off).
    SentNoAnswer(&'static str),
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The app took it.
    Delivered,
    /// Try again after this delay.
    Retry(Duration),
    /// Nothing was sent: as before, as soon as the destination can be reached.
    Hold,
    /// Never again by itself; why.
    Dead(&'static str),
}

/// Reasons not to have sent that lie with the event, or with its file: to hold it in its place would hold up everybody
/// behind it, and say nothing about the destination.
const OF_THE_EVENT: [&str; 4] = [REQUEST_REFUSED, "app_broke", BODY_UNREADABLE, EVENT_UNREADABLE];

/// The event can never be sent to this destination.
pub const REQUEST_REFUSED: &str = "request_refused";

/// The file of its body cannot be read.
pub const BODY_UNREADABLE: &str = "body_unreadable";

/// The store does not give it up.
pub const EVENT_UNREADABLE: &str = "event_unreadable";

/// Whether an outcome tells that the destination was there to be asked; `None`: it tells nothing about that.
#[must_use]
pub fn was_reached(outcome: AttemptOutcome) -> Option<bool> {
    match outcome {
        AttemptOutcome::NotSent(reason) => (!OF_THE_EVENT.contains(&reason)).then_some(false),
        AttemptOutcome::Answered(_) | AttemptOutcome::SentNoAnswer(_) => Some(true),
    }
}

/// Whether an app's status asks for another try.
#[must_use]
pub fn is_worth_a_retry(status: u16) -> bool {
    matches!(status, 408 | 425 | 429) || status >= 500
}

/// The verdict on attempt number `attempt` (from 1), `elapsed` after the delivery's first one began.
#[must_use]
pub fn verdict(
    outcome: AttemptOutcome,
    retry_after: Option<Duration>,
    schedule: &Schedule,
    attempt: u32,
    elapsed: Duration,
    chance: f64,
) -> Verdict {
    let again = |at_least: Duration| match schedule.delay(attempt, elapsed, chance) {
        Some(delay) => Verdict::Retry(delay.max(at_least)),
        None => Verdict::Dead("schedule_used_up"),
    };
    match outcome {
        AttemptOutcome::Answered(200..=399) => Verdict::Delivered,
        AttemptOutcome::Answered(410) => Verdict::Dead("gone"),
        AttemptOutcome::Answered(status) if is_worth_a_retry(status) => {
            again(retry_after.unwrap_or_default().min(RETRY_AFTER_MAX))
        }
        AttemptOutcome::Answered(_) => Verdict::Dead("refused_by_app"),
        AttemptOutcome::NotSent(REQUEST_REFUSED) => Verdict::Dead(REQUEST_REFUSED),
        AttemptOutcome::NotSent(_) if was_reached(outcome).is_none() => again(Duration::ZERO),
        AttemptOutcome::NotSent(_) if elapsed > schedule.span() => Verdict::Dead("schedule_used_up"),
        AttemptOutcome::NotSent(_) => Verdict::Hold,
        AttemptOutcome::SentNoAnswer(_) => again(Duration::ZERO),
    }
}

#[cfg(test)]
mod tests {
    use super::AttemptOutcome::{Answered, NotSent, SentNoAnswer};
    use super::*;

    fn first(outcome: AttemptOutcome, retry_after_s: Option<u64>) -> Verdict {
        let retry_after = retry_after_s.map(Duration::from_secs);
        verdict(outcome, retry_after, &Schedule::default(), 1, Duration::ZERO, 0.5)
    }

    #[test]
    fn every_outcome_has_its_verdict() {
        let retry = |s| Verdict::Retry(Duration::from_secs(s));
        for (outcome, retry_after_s, expected) in [
            (Answered(200), None, Verdict::Delivered),
            (Answered(204), Some(9), Verdict::Delivered),
            (Answered(302), None, Verdict::Delivered),
            (Answered(400), None, Verdict::Dead("refused_by_app")),
            (Answered(401), None, Verdict::Dead("refused_by_app")),
            (Answered(404), None, Verdict::Dead("refused_by_app")),
            (Answered(408), None, retry(5)),
            (Answered(410), None, Verdict::Dead("gone")),
            (Answered(422), Some(9), Verdict::Dead("refused_by_app")),
            (Answered(425), None, retry(5)),
            (Answered(429), None, retry(5)),
            (Answered(429), Some(60), retry(60)),
            (Answered(500), None, retry(5)),
            (Answered(503), Some(2), retry(5)),
            (Answered(503), Some(120), retry(120)),
            (Answered(503), Some(u64::MAX / 2), Verdict::Retry(RETRY_AFTER_MAX)),
            (Answered(599), None, retry(5)),
            (NotSent("app_refused"), None, Verdict::Hold),
            (NotSent("request_refused"), None, Verdict::Dead("request_refused")),
            (NotSent("app_broke"), None, retry(5)),
            (NotSent("body_unreadable"), None, retry(5)),
            (SentNoAnswer("app_slow"), None, retry(5)),
        ] {
            assert_eq!(first(outcome, retry_after_s), expected, "{outcome:?}");
        }
    }

    #[test]
    fn past_its_schedule_a_delivery_is_dead_whatever_came_last() {
        let late = Duration::from_secs(3 * 24 * 60 * 60 + 1);
        for outcome in [Answered(503), NotSent("app_refused"), SentNoAnswer("app_slow")] {
            let verdict = verdict(outcome, None, &Schedule::default(), 20, late, 0.5);
            assert_eq!(verdict, Verdict::Dead("schedule_used_up"), "{outcome:?}");
        }
        assert_eq!(verdict(Answered(200), None, &Schedule::default(), 20, late, 0.5), Verdict::Delivered);
    }
}
