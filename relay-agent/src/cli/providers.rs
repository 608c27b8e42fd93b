//! `relay-agent providers [NAME]`: what is known of the services that send webhooks. Needs no server.

use provider::Provider;
use serde_json::{Value, json};

use super::Exit;
use super::context::Context;
use super::provider::found;
use crate::output::style::{BOLD, DIM, paint};
use crate::output::table;

/// List the providers the relay knows, or show one
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  relay-agent providers\n  relay-agent providers stripe")]
pub(super) struct Args {
    /// The provider to show
    #[arg(value_name = "NAME", value_parser = found)]
    name: Option<&'static Provider>,
}

pub(super) fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let shown: Vec<&Provider> = args.name.map_or_else(|| provider::all().iter().collect(), |one| vec![one]);
    if context.output.json {
        shown.iter().try_for_each(|one| context.output.object(&object(one)))?;
        return Ok(Exit::Done);
    }
    if let Some(one) = args.name {
        describe(one).iter().try_for_each(|line| context.output.data(line))?;
        return Ok(Exit::Done);
    }
    let rows: Vec<[String; 4]> = shown.iter().map(|one| row(one)).collect();
    for line in table::lines(["NAME", "PROVIDER", "SIGNS", "LATE DELIVERY"], &rows) {
        context.output.data(&line)?;
    }
    Ok(Exit::Done)
}

fn row(one: &Provider) -> [String; 4] {
    let signs = if one.covers_body { "the body" } else { "who sends, not the body" };
    let late = if one.can_resign { "can be signed afresh" } else { "as it was signed" };
    [one.name.to_string(), one.title.to_string(), signs.to_owned(), late.to_owned()]
}

fn describe(one: &Provider) -> Vec<String> {
    let facts = &one.facts;
    let mut lines = vec![paint(BOLD, &one.title)];
    let mut fact = |name: &str, value: &str| {
        if !value.is_empty() {
            lines.push(format!("{}  {value}", paint(DIM, &format!("{name:<9}"))));
        }
    };
    fact("name", one.name);
    fact("secret", &facts.secret);
    for param in &one.params {
        let need = if param.required { "needed" } else { "optional" };
        fact("param", &format!("{} ({need}): {}", param.name, param.what));
    }
    fact("rotation", &facts.rotation);
    if let Some(ms) = facts.deadline_ms {
        fact("deadline", &format!("{} s", f64::from(ms) / 1_000.0));
    }
    fact("retries", &facts.retries);
    fact("advice", &facts.advice);
    if !one.covers_body {
        fact("note", "its signature says who sends, and does not cover the body");
    }
    if !facts.steps.is_empty() {
        lines.push(String::new());
        lines.extend(
            facts
                .steps
                .iter()
                .zip(1..)
                .map(|(step, no)| format!("{no}. {}", step.replace("{url}", "https://RELAY/h/NAME"))),
        );
    }
    lines
}

fn object(one: &Provider) -> Value {
    let facts = &one.facts;
    json!({
        "name": one.name, "title": one.title, "secret": facts.secret, "rotation": facts.rotation,
        "deadline_ms": facts.deadline_ms, "retries": facts.retries, "advice": facts.advice,
        "covers_body": one.covers_body, "can_resign": one.can_resign, "steps": facts.steps,
        "params": one.params.iter().map(|param| json!({
            "name": param.name, "what": param.what, "required": param.required,
        })).collect::<Vec<_>>(),
    })
}
