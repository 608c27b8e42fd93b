//! `relay-agent source NAME [KEY=VALUE…]`: one source and its rules, shown or changed.

use protocol::id::Slug;
use serde_json::{Map, Value, json};

use super::Exit;
use super::ask::{AskError, Asker};
use super::context::Context;
use super::provider::{ProviderArgs, secret_body};
use super::query::Query;
use super::records;
use crate::output::escape;
use crate::output::style::{DIM, paint};

const EXAMPLES: &str = "\
Examples:
  relay-agent source github
  relay-agent source github reply=accepted if_failed=accept
  relay-agent source github 'methods=[\"POST\"]' patience_ms=9000
  relay-agent source github 'dedupe={\"by\":\"body\"}'
  relay-agent source github dedupe=null          back to its default
  relay-agent source github --provider github --secret-file secret
  relay-agent source github --forget-secret 3    once the new one is in use

A VALUE is JSON; text that is none is taken as a string. docs/server.md describes every rule.";

/// Show a source, or change its rules
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The source
    #[arg(value_name = "NAME")]
    name: Slug,
    /// Rules to change; `null` sets one back to its default
    #[arg(value_name = "KEY=VALUE", value_parser = rule)]
    rules: Vec<(String, Value)>,
    #[command(flatten)]
    sender: ProviderArgs,
    /// Forget this secret; what it signed is refused from then on
    #[arg(long, value_name = "ID")]
    forget_secret: Option<i64>,
    /// Take the secret out of the provider's next handshake, for ten minutes from now (Asana, Notion)
    #[arg(long)]
    pair: bool,
}

fn rule(text: &str) -> Result<(String, Value), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("expected KEY=VALUE, not `{text}`"))?;
    let is_key = !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if !is_key {
        return Err(format!("`{}` is not the name of a rule", key.escape_debug()));
    }
    // Brackets and quotes say that JSON was meant; what is wrong with it is better told here than by the server.
    let value = match serde_json::from_str(value) {
        Ok(value) => value,
        Err(error) if value.starts_with(['{', '[', '"']) => return Err(format!("{key}: {error}")),
        Err(_) => Value::from(value),
    };
    Ok((key.to_owned(), value))
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let path = Query::of(format!("/sources/{}", args.name));
    let mut asker = Asker::open(context).await?;
    let secret = args.sender.secret()?;
    let mut rules: Map<String, Value> = args.rules.into_iter().collect();
    rules.extend(args.sender.rules().map(|provider| ("provider".to_owned(), provider)));
    if !rules.is_empty() {
        set(&mut asker, &args.name, rules).await?;
    }
    let below = |rest: &str| Query::of(format!("/sources/{}/{rest}", args.name));
    if let Some(secret) = secret {
        asker.post(below("secrets").text(), &secret_body(&secret)).await?;
    }
    if let Some(id) = args.forget_secret {
        asker.delete(below(&format!("secrets/{id}")).text()).await?;
    }
    if args.pair {
        let open = asker.post(below("pair").text(), &json!({})).await?;
        let until = records::moment_or_dash(&open, "until", &context.zone);
        context
            .output
            .say(&format!("{} takes a secret from its provider's next handshake, until {until}", args.name));
    }
    let source = asker.get(path.text()).await?;
    asker.close().await;
    if context.output.json {
        context.output.object(&source)?;
    } else {
        describe(&source, context).iter().try_for_each(|line| context.output.data(line))?;
    }
    Ok(Exit::Done)
}

/// Changes the rules of a source; makes it where there is none.
async fn set(asker: &mut Asker, name: &Slug, rules: Map<String, Value>) -> Result<(), AskError> {
    let path = Query::of(format!("/sources/{name}"));
    match asker.patch(path.text(), &json!({ "rules": &rules })).await {
        Err(AskError::Refused { status: 404, .. }) => {
            let body = json!({ "slug": name.as_str(), "rules": rules });
            asker.post(Query::of("/sources".to_owned()).text(), &body).await.map(drop)
        }
        changed => changed.map(drop),
    }
}

fn describe(source: &Value, context: &Context) -> Vec<String> {
    let fact =
        |name: &str, value: &str| format!("{}  {}", paint(DIM, &format!("{name:<12}")), escape::value(value));
    let mut lines = vec![
        fact("source", &records::text_or_dash(source, "slug")),
        fact("URL", &records::text_or_dash(source, "url")),
        fact("made", &records::moment_or_dash(source, "created_at", &context.zone)),
    ];
    let names = records::list(source, "destinations").iter().filter_map(|d| records::text(d, "name"));
    lines.push(fact("destinations", &names.collect::<Vec<_>>().join(", ")));
    lines.extend(records::list(source, "secrets").iter().map(|secret| {
        let id = records::number(secret, "id").unwrap_or_default();
        let made = records::moment_or_dash(secret, "created_at", &context.zone);
        fact("secret", &format!("{id}, since {made}  {}", records::text(secret, "label").unwrap_or_default()))
    }));
    let provider = source.get("rules").and_then(|rules| rules.get("provider"));
    if let Some(name) = provider.and_then(|provider| records::text(provider, "name")) {
        let is_checked = !records::list(source, "secrets").is_empty();
        lines.push(fact("signatures", if is_checked { "checked" } else { "not checked: no secret yet" }));
        lines.extend(provider::find(name).map(|known| fact("advice", &known.facts.advice)));
    }
    let rules = source.get("rules").and_then(Value::as_object);
    lines.push(String::new());
    lines.extend(rules.into_iter().flatten().map(|(name, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("{}={}", escape::value(name), escape::value(&value))
    }));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_json_or_a_word() {
        let table = [
            ("reply=accepted", json!("accepted")),
            ("reply=\"accepted\"", json!("accepted")),
            ("patience_ms=9000", json!(9000)),
            ("paused=true", json!(true)),
            ("dedupe=null", Value::Null),
            ("methods=[\"POST\"]", json!(["POST"])),
            ("accepted={\"body\":\"a=b\"}", json!({ "body": "a=b" })),
        ];
        for (text, value) in table {
            let key = text.split('=').next().unwrap().to_owned();
            assert_eq!(rule(text), Ok((key, value)), "{text}");
        }
        for text in ["reply", "=x", "Reply=x", "a.b=1", "methods=[POST]", "accepted={"] {
            assert!(rule(text).is_err(), "{text}");
        }
    }
}
