//! The page about all providers, as Markdown.

use std::fmt::Write as _;

use crate::{Provider, all};

/// `docs/providers.md`. A test holds the file against it; `cargo run -p relay-provider --example page` prints it.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(INTRODUCTION);
    let (general, known): (Vec<&Provider>, Vec<&Provider>) = all().iter().partition(|one| one.is_general);
    let _ = writeln!(page, "| provider | name | signed | late deliveries | deadline | after a failure |");
    let _ = writeln!(page, "|---|---|---|---|---|---|");
    for one in &known {
        let signed = if one.covers_body { "body" } else { "sender only" };
        let late = if one.can_resign { "signed afresh" } else { "as they came" };
        let deadline =
            one.facts.deadline_ms.map(|ms| format!("{} s", f64::from(ms) / 1_000.0)).unwrap_or_default();
        let _ = writeln!(
            page,
            "| [{}](#{}) | `{}` | {signed} | {late} | {deadline} | {} |",
            one.title,
            anchor(one.name),
            one.name,
            one.facts.retries.replace('|', "\\|")
        );
    }
    let _ = writeln!(page, "\n## Each of them\n");
    known.iter().for_each(|one| describe(&mut page, one));
    let _ = writeln!(page, "## All others\n");
    general.iter().for_each(|one| describe(&mut page, one));
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

const INTRODUCTION: &str = "\
# Providers

Made from the table in `provider/providers`; `relay-agent providers NAME` says the same. How checking, challenges and
signing afresh work is in [signatures.md](signatures.md). *Sender only*: the signature or token says who sends, and does not cover the
body. What a provider does after a failure, and how long it waits, is as far as it is documented.

";

fn anchor(name: &str) -> String {
    name.replace('_', "-")
}

fn describe(page: &mut String, one: &Provider) {
    let facts = &one.facts;
    let _ = writeln!(page, "<a id=\"{}\"></a>\n\n### {}\n", anchor(one.name), one.title);
    let mut fact = |what: &str, text: &str| {
        if !text.is_empty() {
            let _ = writeln!(page, "- *{what}*: {text}");
        }
    };
    fact("Secret", &facts.secret);
    for param in &one.params {
        let need = if param.required { "needed" } else { "optional" };
        fact(&format!("`--param {}=…` ({need})", param.name), &param.what);
    }
    fact("Changing it", &facts.rotation);
    fact("Advice", &facts.advice);
    fact("Challenges answered", &one.handshakes.join(", ").replace('_', " "));
    if !facts.steps.is_empty() {
        page.push('\n');
        for (no, step) in (1..).zip(&facts.steps) {
            let _ = writeln!(page, "{no}. {}", step.replace("{url}", "`https://RELAY/h/NAME`"));
        }
    }
    page.push('\n');
}
