//! `relay-agent destinations SOURCE`: where a source's events go, listed, added, changed and removed.

use std::time::Duration;

use protocol::control::Sharing;
use protocol::id::{DestinationName, Slug};
use serde_json::{Map, Value, json};

use super::Exit;
use super::ask::Asker;
use super::context::{Context, UsageError};
use super::filter::one_of;
use super::query::Query;
use super::records;
use crate::config::words;
use crate::output::table;

const EXAMPLES: &str = "\
Examples:
  relay-agent destinations github
  relay-agent destinations add github ci --url https://ci.example.com/hooks --order strict
  relay-agent destinations add github audit --filter '.body.action == \"deleted\"'
  relay-agent destinations set github ci --pace 5 --timeout 10s
  relay-agent destinations set github ci --url ''      through an agent again
  relay-agent destinations rm github ci

A destination without a URL is whatever agent serves it: relay-agent forward github 3000 --destination ci";

/// List, add, change and remove where a source's events go
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub(super) struct Args {
    /// The source whose destinations to list
    #[arg(value_name = "SOURCE")]
    source: Option<Slug>,
    #[command(subcommand)]
    change: Option<Change>,
}

#[derive(clap::Subcommand)]
enum Change {
    /// Add a destination
    Add(Edit),
    /// Change a destination; what is not named stays
    Set(Edit),
    /// Remove a destination; what waits for it is cancelled
    Rm(Name),
}

#[derive(clap::Args)]
struct Name {
    /// The source
    #[arg(value_name = "SOURCE")]
    source: Slug,
    /// The destination
    #[arg(value_name = "NAME")]
    name: DestinationName,
}

#[derive(clap::Args)]
struct Edit {
    #[command(flatten)]
    of: Name,
    #[command(flatten)]
    rules: Rules,
    /// How agents share it: `pool`, `replace` or `broadcast`
    #[arg(long, value_name = "HOW", value_parser = words::sharing)]
    sharing: Option<Sharing>,
    /// Its answer goes to the sender from now on
    #[arg(long)]
    primary: bool,
}

#[derive(clap::Args)]
struct Rules {
    /// Send straight there from the relay; '' for whatever agent serves it
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// A jq expression: events for which it gives false, null or nothing are not delivered; '' for none
    #[arg(long, value_name = "JQ")]
    filter: Option<String>,
    /// A jq expression that makes what is delivered out of what came; '' for none
    #[arg(long, value_name = "JQ")]
    transform: Option<String>,
    /// Only events of these names: `push,pull_request`, `invoice.*`; '' for all
    #[arg(long, value_name = "NAMES", value_parser = event_names)]
    events: Option<Value>,
    /// `none`: several at once; `strict`: the next only after the last was settled
    #[arg(long, value_name = "ORDER", value_parser = order)]
    order: Option<String>,
    /// Most attempts under way at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    concurrency: Option<u32>,
    /// Most attempts started a second; 0 for as many as come
    #[arg(long, value_name = "N")]
    pace: Option<u32>,
    /// How long an attempt may take until the answer begins: `30s`, `2m`
    #[arg(long, value_name = "TIME", value_parser = words::answer_timeout)]
    timeout: Option<Duration>,
    /// Sign every delivery (Standard Webhooks)
    #[arg(long, overrides_with = "no_sign")]
    sign: bool,
    /// Do not
    #[arg(long, overrides_with = "sign")]
    no_sign: bool,
}

/// A list of names; none is `null`, back to the default.
pub(super) fn event_names(text: &str) -> Result<Value, String> {
    let names: Vec<&str> = text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    Ok(if names.is_empty() { Value::Null } else { json!(names) })
}

fn order(text: &str) -> Result<String, String> {
    one_of(text, &["none", "strict"])
}

impl Rules {
    /// What is asked for, by the API's names; `null` sets a rule back to its default.
    fn named(&self) -> Map<String, Value> {
        let text = |text: &Option<String>| {
            text.as_ref().map(|text| if text.is_empty() { Value::Null } else { text.as_str().into() })
        };
        let pace = self.pace.map(|pace| if pace == 0 { Value::Null } else { pace.into() });
        let timeout = self.timeout.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX).into());
        let sign = (self.sign || self.no_sign).then_some(Value::Bool(self.sign));
        let all = [
            ("url", text(&self.url)),
            ("filter", text(&self.filter)),
            ("transform", text(&self.transform)),
            ("events", self.events.clone()),
            ("order", text(&self.order)),
            ("concurrency", self.concurrency.map(Value::from)),
            ("pace_per_s", pace),
            ("timeout_ms", timeout),
            ("sign", sign),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

impl Edit {
    fn sharing(&self) -> Option<&'static str> {
        let named =
            |sharing| words::SHARING.iter().find(|(_, known)| *known == sharing).map(|(name, _)| *name);
        self.sharing.and_then(named)
    }

    /// The body that adds it.
    fn added(&self) -> Value {
        let mut rules = self.rules.named();
        rules.retain(|_, value| !value.is_null());
        let mut body = json!({ "name": self.of.name.as_str(), "rules": rules, "primary": self.primary });
        if let Some(sharing) = self.sharing() {
            body["sharing"] = sharing.into();
        }
        body
    }

    /// The body that changes it; `None` when nothing is to change.
    fn changed(&self) -> Option<Value> {
        let mut body = Map::new();
        let rules = self.rules.named();
        if !rules.is_empty() {
            body.insert("rules".to_owned(), rules.into());
        }
        body.extend(self.sharing().map(|sharing| ("sharing".to_owned(), sharing.into())));
        body.extend(self.primary.then(|| ("primary".to_owned(), true.into())));
        (!body.is_empty()).then(|| body.into())
    }
}

fn all_of(source: &Slug) -> Query {
    Query::of(format!("/sources/{source}/destinations"))
}

fn one_of_them(of: &Name) -> Query {
    Query::of(format!("/sources/{}/destinations/{}", of.source, of.name))
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let shown = match (&args.change, args.source) {
        (None, Some(source)) => {
            let mut asker = Asker::open(context).await?;
            let answer = asker.get(all_of(&source).text()).await?;
            asker.close().await;
            records::list(&answer, "destinations").to_vec()
        }
        (None, None) => return Err(UsageError::Other("say which source".to_owned()).into()),
        (Some(Change::Add(edit)), _) => {
            let mut asker = Asker::open(context).await?;
            let answer = asker.post(all_of(&edit.of.source).text(), &edit.added()).await?;
            asker.close().await;
            vec![answer]
        }
        (Some(Change::Set(edit)), _) => {
            let text = "say what to change; `relay-agent destinations --help` lists it";
            let body = edit.changed().ok_or_else(|| UsageError::Other(text.to_owned()))?;
            let mut asker = Asker::open(context).await?;
            let answer = asker.patch(one_of_them(&edit.of).text(), &body).await?;
            asker.close().await;
            vec![answer]
        }
        (Some(Change::Rm(of)), _) => {
            let mut asker = Asker::open(context).await?;
            asker.delete(one_of_them(of).text()).await?;
            asker.close().await;
            context
                .output
                .say(&format!("{}/{} removed; what waited for it is cancelled", of.source, of.name));
            return Ok(Exit::Done);
        }
    };
    show(context, &shown)?;
    Ok(Exit::Done)
}

fn show(context: &Context, destinations: &[Value]) -> anyhow::Result<()> {
    if context.output.json {
        destinations.iter().try_for_each(|destination| context.output.object(destination))?;
        return Ok(());
    }
    let rows: Vec<_> = destinations.iter().map(row).collect();
    for line in table::lines(["NAME", "TO", "SHARING", "RULES"], &rows) {
        context.output.data(&line)?;
    }
    Ok(())
}

fn row(destination: &Value) -> [String; 4] {
    let rules = destination.get("rules").unwrap_or(&Value::Null);
    let is_primary = destination.get("is_primary").and_then(Value::as_bool).unwrap_or(false);
    let name = records::text_or_dash(destination, "name");
    [
        if is_primary { format!("{name} (primary)") } else { name },
        records::text(rules, "url").unwrap_or("an agent").to_owned(),
        records::text_or_dash(destination, "sharing"),
        rules_of_note(rules),
    ]
}

/// The rules that make a difference, in a few words.
fn rules_of_note(rules: &Value) -> String {
    let is = |key: &str| rules.get(key).and_then(Value::as_bool).unwrap_or(false);
    let mut parts = Vec::new();
    parts.extend(is("paused").then(|| "paused".to_owned()));
    parts.extend(records::text(rules, "order").filter(|order| *order == "strict").map(str::to_owned));
    parts.extend(records::number(rules, "pace_per_s").map(|pace| format!("{pace}/s")));
    parts.extend(records::number(rules, "concurrency").map(|count| format!("{count} at once")));
    parts.extend(
        ["filter", "transform"]
            .into_iter()
            .filter(|key| records::text(rules, key).is_some())
            .map(str::to_owned),
    );
    let events: Vec<_> = records::list(rules, "events").iter().filter_map(Value::as_str).collect();
    parts.extend((!events.is_empty()).then(|| format!("only {}", events.join(", "))));
    parts.extend(is("sign").then(|| "signed".to_owned()));
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Only {
        #[command(flatten)]
        args: Args,
    }

    fn edit(words: &[&str]) -> Edit {
        let all = ["destinations", words[0], "github", "ci"].into_iter().chain(words[1..].iter().copied());
        match Only::try_parse_from(all).unwrap_or_else(|error| panic!("{error}")).args.change {
            Some(Change::Add(edit) | Change::Set(edit)) => edit,
            _ => panic!("no edit"),
        }
    }

    #[test]
    fn what_is_named_is_asked_for_and_nothing_else() {
        let body = json!({ "name": "ci", "rules": {}, "primary": false });
        assert_eq!(edit(&["add"]).added(), body);
        let words = [
            "add",
            "--url",
            "https://ci.example.com/hooks",
            "--order",
            "strict",
            "--concurrency",
            "4",
            "--pace",
            "0",
            "--timeout",
            "10s",
            "--sign",
            "--primary",
            "--sharing",
            "replace",
            "--filter",
            "",
        ];
        let body = json!({
            "name": "ci",
            "rules": {
                "url": "https://ci.example.com/hooks", "order": "strict", "concurrency": 4, "timeout_ms": 10_000,
                "sign": true,
            },
            "primary": true,
            "sharing": "replace",
        });
        assert_eq!(edit(&words).added(), body, "what is a default is left out");
        let words = ["set", "--url", "", "--pace", "0", "--transform", ".body", "--sign", "--no-sign"];
        let body =
            json!({ "rules": { "url": null, "pace_per_s": null, "transform": ".body", "sign": false } });
        assert_eq!(edit(&words).changed(), Some(body));
        assert_eq!(edit(&["set", "--primary"]).changed(), Some(json!({ "primary": true })));
        assert_eq!(edit(&["set"]).changed(), None);
    }

    #[test]
    fn a_destination_is_one_row() {
        let destination = json!({
            "name": "ci", "is_primary": true, "sharing": "pool",
            "rules": { "url": null, "order": "strict", "pace_per_s": 5, "concurrency": 16, "filter": ".x", "sign": true },
        });
        assert_eq!(
            row(&destination),
            ["ci (primary)", "an agent", "pool", "strict, 5/s, 16 at once, filter, signed"]
                .map(str::to_owned)
        );
        assert_eq!(row(&json!({})), ["-", "an agent", "-", ""].map(str::to_owned));
    }
}
