//! What asks for somebody, in words, with what to do. Pure.

use serde::Serialize;

use crate::model::{IfAway, ReplyMode, SourceRules};
use crate::pulse::{Hour, Minute};
use crate::store::Standing;

/// Minutes that count as now.
const NOW_MINUTES: usize = 10;

/// Waiting deliveries that are a backlog, where somebody takes them.
const BACKLOG: u64 = 1_000;

/// Part of the events of the last minutes that may fail before somebody is told: a fifth.
const FAILED_PART: u32 = 5;

/// One thing to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Problem {
    pub(super) code: &'static str,
    pub(super) source: Option<String>,
    pub(super) destination: Option<String>,
    /// What it is.
    pub(super) message: String,
    /// What to do.
    pub(super) advice: String,
    /// The search that shows it.
    pub(super) q: Option<String>,
    /// What to type.
    pub(super) command: Option<String>,
}

/// A source, as far as it matters here.
pub(super) struct Seen<'a> {
    pub(super) slug: &'a str,
    pub(super) rules: &'a SourceRules,
    pub(super) patience_ms: u32,
    pub(super) standing: Standing,
    pub(super) hour: &'a Hour,
    /// A destination that no agent serves, and that needs one.
    pub(super) unserved: Option<&'a str>,
}

/// What is wrong with the server itself.
pub(super) fn of_server(is_disk_full: bool) -> Option<Problem> {
    is_disk_full.then(|| Problem {
        code: "disk",
        source: None,
        destination: None,
        message: "The disk is full: nothing new is kept, and senders are told 503.".to_owned(),
        advice: "Make room in the data directory's file system, or keep less (retention).".to_owned(),
        q: None,
        command: None,
    })
}

/// What is wrong with a source; the worst first.
pub(super) fn problems(seen: &Seen<'_>, now_ms: u64) -> Vec<Problem> {
    let Seen { slug, rules, standing, hour, .. } = seen;
    let mut found = Vec::new();
    let mut tell = |code, message: String, advice: &str, q: Option<String>, command: Option<String>| {
        found.push(Problem {
            code,
            source: Some((*slug).to_owned()),
            destination: seen.unserved.filter(|_| code == "agent_away").map(str::to_owned),
            message,
            advice: advice.to_owned(),
            q,
            command,
        });
    };
    let deliveries = |count| counted(count, "delivery", "deliveries");
    let of_source = |rest: &str| Some(format!("source:{slug} {rest}"));
    let recent = &hour.minutes[hour.minutes.len() - NOW_MINUTES..];
    let sum = |of: fn(&Minute) -> u32| recent.iter().map(of).fold(0_u32, u32::saturating_add);
    let (came, failed, unsigned) =
        (sum(|minute| minute.events), sum(|minute| minute.failed), sum(|minute| minute.unsigned));

    if rules.paused {
        let message = format!("{slug} is paused: senders are told 503.");
        tell(
            "paused",
            message,
            "Resume it when its webhooks are wanted again.",
            None,
            Some(format!("relay-agent resume {slug}")),
        );
    }
    if rules.hold && standing.waiting > 0 {
        let message = format!(
            "{slug} is on hold, and {} wait to be let go.",
            counted(standing.waiting, "event", "events")
        );
        tell(
            "hold",
            message,
            "Let them go one by one, or end the hold.",
            of_source("delivery:waiting"),
            None,
        );
    }
    if let Some(destination) = seen.unserved.filter(|_| !rules.hold && !rules.paused) {
        let is_refusing = rules.if_away == IfAway::Refuse && rules.reply == ReplyMode::Live;
        let command = Some(format!("relay-agent forward {slug} 3000"));
        if standing.waiting > 0 {
            let since = standing
                .oldest_waiting_ms
                .map_or(String::new(), |ms| format!(" for {}", age(now_ms.saturating_sub(ms))));
            let message = format!(
                "No agent serves {slug}/{destination}; {} wait{since}.",
                deliveries(standing.waiting)
            );
            tell(
                "agent_away",
                message,
                "Start its agent: they are delivered in order then.",
                of_source("delivery:waiting"),
                command,
            );
        } else if is_refusing && came > 0 {
            let message = format!("No agent serves {slug}/{destination}, and its senders are told 503.");
            tell(
                "agent_away",
                message,
                "Start its agent, or have events kept meanwhile (if_away: accept).",
                of_source("outcome:not_sent since:10m"),
                command,
            );
        }
    } else if standing.waiting >= BACKLOG && !rules.hold && !rules.paused {
        let message = format!("{} wait for {slug}.", deliveries(standing.waiting));
        tell(
            "backlog",
            message,
            "They are being delivered; more concurrency or a higher pace takes them faster.",
            of_source("delivery:waiting"),
            None,
        );
    }
    if standing.dead > 0 {
        let are = if standing.dead == 1 { "is" } else { "are" };
        let message = format!(
            "{} {are} dead at {slug}: the app refused, or was away too long.",
            deliveries(standing.dead)
        );
        tell(
            "dead",
            message,
            "Look at the last attempt of one, mend it, and replay them.",
            of_source("delivery:dead"),
            Some(format!("relay-agent replay --source {slug} --state dead --dry-run")),
        );
    }
    if failed > 0 && failed.saturating_mul(FAILED_PART) >= came {
        let message = format!("{failed} of the last {came} webhooks of {slug} failed (10 minutes).");
        tell(
            "app_refused",
            message,
            "Look at what the app answered, or whether it runs.",
            of_source("since:10m -status:2xx"),
            None,
        );
    }
    if unsigned > 0 {
        let message = format!(
            "{} of {slug} had no good signature (10 minutes).",
            counted(unsigned.into(), "webhook", "webhooks")
        );
        tell(
            "signature",
            message,
            "If they are the provider's, compare the secret; each event says why it was refused.",
            of_source("signature:refused since:10m"),
            None,
        );
    }
    if let Some(p99_us) = hour.p99_us
        && p99_us / 1_000 * 5 > u64::from(seen.patience_ms) * 4
    {
        let message = format!(
            "{slug} answers slowly: 1 in 100 takes more than {} ms, and the sender waits {} ms.",
            p99_us / 1_000,
            seen.patience_ms
        );
        tell(
            "slow",
            message,
            "Answer first and work later, or have events accepted at once (reply: accepted).",
            of_source("since:1h"),
            None,
        );
    }
    found
}

fn counted(count: u64, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

/// A time that has passed, in its largest unit.
fn age(ms: u64) -> String {
    match ms / 1_000 {
        s @ 0..120 => format!("{s} s"),
        s @ 120..7_200 => format!("{} min", s / 60),
        s @ 7_200..172_800 => format!("{} h", s / 3_600),
        s => format!("{} days", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pulse::MINUTES;

    fn told(change: impl FnOnce(&mut Seen<'_>, &mut SourceRules, &mut Hour)) -> Vec<(&'static str, String)> {
        let mut hour = Hour { minutes: [Minute::default(); MINUTES], p50_us: None, p99_us: None };
        let mut rules = SourceRules::default();
        let (spare_rules, spare_hour) = (rules.clone(), hour.clone());
        let mut seen = Seen {
            slug: "shop",
            rules: &spare_rules,
            patience_ms: 10_000,
            standing: Standing::default(),
            hour: &spare_hour,
            unserved: None,
        };
        change(&mut seen, &mut rules, &mut hour);
        let seen = Seen { rules: &rules, hour: &hour, ..seen };
        problems(&seen, 1_700_000_600_000)
            .into_iter()
            .map(|problem| (problem.code, problem.message))
            .collect()
    }

    #[test]
    fn all_is_well_until_something_asks_for_somebody() {
        assert_eq!(told(|_, _, hour| hour.minutes[59] = Minute { events: 100, failed: 3, unsigned: 0 }), []);
        assert_eq!(told(|seen, _, _| seen.unserved = Some("default")), [], "nothing waits, nothing is lost");
        let table = [
            (told(|_, rules, _| rules.paused = true), "paused", "senders are told 503"),
            (told(|seen, rules, _| (rules.hold, seen.standing.waiting) = (true, 2)), "hold", "2 events wait"),
            (
                told(|seen, _, _| {
                    seen.unserved = Some("default");
                    seen.standing = Standing {
                        waiting: 3,
                        oldest_waiting_ms: Some(1_700_000_000_000),
                        ..Standing::default()
                    };
                }),
                "agent_away",
                "No agent serves shop/default; 3 deliveries wait for 10 min.",
            ),
            (told(|seen, _, _| seen.standing.waiting = 5_000), "backlog", "5000 deliveries wait for shop"),
            (told(|seen, _, _| seen.standing.dead = 1), "dead", "1 delivery is dead at shop"),
            (
                told(|_, _, hour| hour.minutes[55] = Minute { events: 10, failed: 2, unsigned: 0 }),
                "app_refused",
                "2 of the last 10",
            ),
            (
                told(|_, _, hour| hour.minutes[55] = Minute { events: 10, failed: 0, unsigned: 1 }),
                "signature",
                "1 webhook of shop",
            ),
            (told(|_, _, hour| hour.p99_us = Some(9_000_000)), "slow", "9000 ms"),
        ];
        for (told, code, words) in table {
            assert!(told.len() == 1 && told[0].0 == code && told[0].1.contains(words), "{code}: {told:?}");
        }
    }
}
