//! `relay-server audit`: what every source was entrusted with and what became of it, and one line that says whether
//! that adds up.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::config::DATA;
use crate::store::{Audit, SourceAudit};

/// Most things of one kind that are named; `--json` names all.
const NAMED_MAX: usize = 20;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The server's data directory, or a backup.
    #[arg(long, env = "RELAY_DATA", default_value = DATA)]
    data: PathBuf,
    /// Look at every body and every page, too. Reads everything; a server's log cannot be reused meanwhile.
    #[arg(long)]
    deep: bool,
    /// Say everything as one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let audit = Audit::of_data_dir(&args.data, args.deep)?;
    if args.json {
        println!("{}", as_json(&audit)?);
    } else {
        print!("{}", report(&audit));
    }
    Ok(exit_code(&audit))
}

pub(super) fn exit_code(audit: &Audit) -> ExitCode {
    if audit.is_balanced() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn as_json(audit: &Audit) -> serde_json::Result<String> {
    let mut value = serde_json::to_value(audit)?;
    value["balanced"] = audit.is_balanced().into();
    serde_json::to_string(&value)
}

/// The table, what is wrong by name, and the verdict.
pub(super) fn report(audit: &Audit) -> String {
    let mut text = String::new();
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(audit.sources.iter().map(row));
    if audit.sources.len() > 1 {
        rows.push(row(&SourceAudit { source: "all".to_owned(), ..total(audit) }));
    }
    if rows.len() > 1 {
        write_table(&mut text, &rows);
    }
    for source in &audit.sources {
        write_wrongs_of_source(&mut text, source);
    }
    let named = |kind, names: &[String]| (kind, names.to_vec());
    let orphans = audit.deliveries_without_event.iter().map(|orphan| {
        format!(
            "number {} of an event of {}, received {}",
            orphan.no,
            orphan.source,
            moment(orphan.received_ms)
        )
    });
    for (kind, names) in [
        named("events without their body", &audit.bodies_missing),
        named("deliveries that are missing", &audit.deliveries_missing),
        named("deliveries that say what was never recorded", &audit.deliveries_in_doubt),
        ("deliveries without their event", orphans.collect()),
        named("damage to the database", &audit.damage),
    ] {
        write_names(&mut text, kind, &names);
    }
    text + &verdict(audit) + "\n"
}

const HEAD: [&str; 9] =
    ["source", "accepted", "stored", "forgotten", "deliveries", "delivered", "dead", "cancelled", "waiting"];

fn row(source: &SourceAudit) -> [String; 9] {
    let name = escaped(&source.source);
    let name = if source.is_deleted { format!("{name} (deleted)") } else { name };
    let [accepted, stored, forgotten, deliveries, delivered, dead, cancelled, waiting] = [
        source.accepted,
        source.stored,
        source.forgotten,
        source.deliveries,
        source.delivered,
        source.dead,
        source.cancelled,
        source.waiting,
    ]
    .map(|count| count.to_string());
    [name, accepted, stored, forgotten, deliveries, delivered, dead, cancelled, waiting]
}

fn total(audit: &Audit) -> SourceAudit {
    audit.sources.iter().fold(SourceAudit::default(), |all, one| SourceAudit {
        accepted: all.accepted + one.accepted,
        stored: all.stored + one.stored,
        forgotten: all.forgotten + one.forgotten,
        deliveries: all.deliveries + one.deliveries,
        delivered: all.delivered + one.delivered,
        dead: all.dead + one.dead,
        cancelled: all.cancelled + one.cancelled,
        waiting: all.waiting + one.waiting,
        ..all
    })
}

/// Names to the left, numbers to the right, each column as wide as its widest.
fn write_table(text: &mut String, rows: &[[String; 9]]) {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 9] = std::array::from_fn(width);
    for row in rows {
        let _ = write!(text, "{:<1$}", row[0], widths[0]);
        for (cell, width) in row.iter().zip(widths).skip(1) {
            let _ = write!(text, "  {cell:>width$}");
        }
        text.push('\n');
    }
    text.push('\n');
}

fn write_wrongs_of_source(text: &mut String, source: &SourceAudit) {
    let name = escaped(&source.source);
    let ranges = |ranges: &[(u64, u64)]| {
        ranges
            .iter()
            .map(|(first, last)| if first == last { first.to_string() } else { format!("{first} to {last}") })
            .collect::<Vec<_>>()
    };
    write_names(
        text,
        &format!("accepted events of {name} that are nowhere, by number"),
        &ranges(&source.missing),
    );
    write_names(
        text,
        &format!("numbers of {name} given twice, or never given and there all the same"),
        &ranges(&source.excess),
    );
    let (made, known) = (source.deliveries, source.accounted());
    if known < made {
        let _ = writeln!(text, "{} of {made} deliveries of {name} are nowhere", made - known);
    } else if known > made {
        let _ = writeln!(text, "{} deliveries of {name} more than the {made} that were made", known - made);
    }
}

fn write_names(text: &mut String, kind: &str, names: &[String]) {
    if names.is_empty() {
        return;
    }
    let _ = writeln!(text, "{kind} ({}):", names.len());
    for name in names.iter().take(NAMED_MAX) {
        // A backup may come from a stranger, and SQLite's own words quote what is in it.
        let _ = writeln!(text, "  {}", escaped(name));
    }
    if names.len() > NAMED_MAX {
        let _ = writeln!(text, "  and {} more; --json names all", names.len() - NAMED_MAX);
    }
}

/// Text out of the database as a terminal may have it.
fn escaped(text: &str) -> String {
    // As `escape_debug` has it, but for quotation marks, which harm nobody.
    let one = |c: char| match c {
        '"' | '\'' => c.to_string(),
        c => c.escape_debug().to_string(),
    };
    text.chars().map(one).collect()
}

fn verdict(audit: &Audit) -> String {
    let all = total(audit);
    if audit.is_balanced() {
        return format!(
            "balanced: of {} accepted events {} are stored and {} were forgotten after their end; of {} deliveries {} wait",
            all.accepted, all.stored, all.forgotten, all.deliveries, all.waiting
        );
    }
    let sources = audit.sources.iter().filter(|source| !source.is_balanced()).count();
    let mut wrong = Vec::new();
    for (count, what) in [
        (sources, "sources do not add up"),
        (audit.bodies_missing.len(), "events have lost their body"),
        (audit.deliveries_missing.len(), "deliveries are missing"),
        (audit.deliveries_in_doubt.len(), "deliveries say what was never recorded"),
        (audit.deliveries_without_event.len(), "deliveries have lost their event"),
        (audit.damage.len(), "places of the database are damaged"),
    ] {
        if count > 0 {
            wrong.push(format!("{what}: {count}"));
        }
    }
    format!("NOT balanced: {}", wrong.join("; "))
}

/// A time as people read it.
pub(super) fn moment(unix_ms: u64) -> String {
    let at = i64::try_from(unix_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map_or_else(|| format!("{unix_ms} ms"), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Orphan;

    fn github() -> SourceAudit {
        SourceAudit {
            source: "github".to_owned(),
            accepted: 1_234_567,
            stored: 4_567,
            forgotten: 1_230_000,
            deliveries: 12,
            delivered: 9,
            dead: 1,
            waiting: 2,
            ..SourceAudit::default()
        }
    }

    #[test]
    fn columns_stand_under_their_heads_and_the_last_line_is_the_verdict() {
        let renamed = "a-much-longer-name".to_owned();
        let other = SourceAudit { source: renamed, is_deleted: true, ..SourceAudit::default() };
        let audit = Audit { sources: vec![github(), other], ..Audit::default() };
        let expected = "\
source                        accepted  stored  forgotten  deliveries  delivered  dead  cancelled  waiting
github                         1234567    4567    1230000          12          9     1          0        2
a-much-longer-name (deleted)         0       0          0           0          0     0          0        0
all                            1234567    4567    1230000          12          9     1          0        2

balanced: of 1234567 accepted events 4567 are stored and 1230000 were forgotten after their end; of 12 deliveries 2 wait
";
        assert_eq!(report(&audit), expected);
    }

    #[test]
    fn a_store_that_was_entrusted_with_nothing_is_balanced() {
        let expected = "balanced: of 0 accepted events 0 are stored and 0 were forgotten after their end; of 0 deliveries 0 wait\n";
        assert_eq!(report(&Audit::default()), expected);
    }

    #[test]
    fn whatever_is_wrong_is_named_and_counted_in_the_verdict() {
        let source = SourceAudit {
            stored: 4_560,
            missing: vec![(3, 3), (10, 15)],
            excess: vec![(2, 2)],
            deliveries: 14,
            ..github()
        };
        let audit = Audit {
            sources: vec![source],
            bodies_missing: (0..25).map(|n| format!("evt_{n}")).collect(),
            deliveries_missing: vec!["evt_a.2".to_owned()],
            deliveries_in_doubt: vec!["evt_b.1".to_owned()],
            deliveries_without_event: vec![Orphan { source: "github".to_owned(), received_ms: 0, no: 7 }],
            damage: vec!["row 7 missing".to_owned(), "table \u{1b}[2Jevil\u{202e} is \"gone\"".to_owned()],
        };
        let said = report(&audit);
        for part in [
            "nowhere, by number (2):\n  3\n  10 to 15\n",
            "2 of 14 deliveries of github are nowhere\n",
            "  evt_19\n  and 5 more; --json names all\n",
            "number 7 of an event of github, received 1970-01-01 00:00:00 UTC\n",
            "  table \\u{1b}[2Jevil\\u{202e} is \"gone\"\n",
            "\nNOT balanced: sources do not add up: 1; events have lost their body: 25; deliveries are missing: 1; \
             deliveries say what was never recorded: 1; deliveries have lost their event: 1; \
             places of the database are damaged: 2\n",
        ] {
            assert!(said.contains(part), "{part}\nis not in\n{said}");
        }
        let json: serde_json::Value = serde_json::from_str(&as_json(&audit).unwrap()).unwrap();
        assert_eq!(json["balanced"], false);
        assert_eq!(json["sources"][0]["missing"], serde_json::json!([[3, 3], [10, 15]]));
        assert_eq!(json["bodies_missing"].as_array().unwrap().len(), 25);
    }
}
