//! `relay-agent trigger PROVIDER EVENT`: a sample webhook, rightly signed, for trying an app out without the provider.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::field::HeaderBlock;
use protocol::head::Sent;
use protocol::id::Slug;
use provider::samples::{self, Made, Sample};
use provider::{Provider, Verifier};
use relay_agent::{HostField, LocalRequest, LocalSender, Target, clock, entropy};
use serde_json::{Value, json};

use super::Exit;
use super::ask::Asker;
use super::context::{Context, UsageError};
use super::provider::{found, param, secret_from, verifier};
use super::query::Query;
use super::records;
use crate::config::words;
use crate::output::style::{BAD, BOLD, of_status, paint};
use crate::output::{complain, escape, table, unit};
use crate::suggest::did_you_mean;

const EXAMPLES: &str = "\
Examples:
  relay-agent trigger --list
  relay-agent trigger github --list
  relay-agent trigger github push                     to the source named `github`, signed with its secret
  relay-agent trigger stripe invoice.paid --source billing --set data.object.amount_paid=4200
  relay-agent trigger slack app_mention --to 3000/slack/events --secret-file secret

With --to no server is needed. The samples are made up; ids and times are new each time.";

/// Send a sample webhook of a provider
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The provider
    #[arg(value_name = "PROVIDER", value_parser = found, required_unless_present = "list")]
    provider: Option<&'static Provider>,
    /// The event
    #[arg(value_name = "EVENT", required_unless_present = "list")]
    event: Option<String>,
    /// List the samples there are
    #[arg(long)]
    list: bool,
    /// Set a value of the body: `data.object.amount=7`, `/a/b=\"text\"`. A VALUE is JSON; what is none is a string
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = wish)]
    wishes: Vec<(String, Value)>,
    /// The source to put it in [default: the one named like the provider]
    #[arg(long, value_name = "NAME", conflicts_with = "to")]
    source: Option<Slug>,
    /// Straight to a local app instead: PORT, HOST:PORT, http://… or unix:/path/to.sock
    #[arg(long, value_name = "TARGET", value_parser = words::target)]
    to: Option<Target>,
    /// With --to: file with the secret to sign with; `-` asks for it. Without it, it goes unsigned
    #[arg(long, value_name = "FILE", requires = "to")]
    secret_file: Option<PathBuf>,
    /// With --to: what else the provider's scheme has to be told
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = param, requires = "to")]
    params: Vec<(String, String)>,
    /// With --to: the URL the app believes to be at, where the provider signs it
    #[arg(long, value_name = "URL", requires = "to")]
    url: Option<String>,
}

fn wish(text: &str) -> Result<(String, Value), String> {
    let (place, value) = text.split_once('=').ok_or_else(|| format!("expected PATH=VALUE, not `{text}`"))?;
    if place.is_empty() {
        return Err("the path is missing".to_owned());
    }
    Ok((place.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| Value::from(value))))
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let (provider, event) = match (args.list, args.provider, args.event.as_deref()) {
        (true, provider, _) => return list(context, provider),
        (false, Some(provider), Some(event)) => (provider, event),
        _ => {
            return Err(UsageError::Other(
                "say which provider and which event; --list shows them".to_owned(),
            )
            .into());
        }
    };
    let sample = samples::find(provider.name, event).ok_or_else(|| unknown(provider, event))?;
    let made = sample
        .make(&args.wishes, clock::unix_ms(), entropy::random)
        .map_err(|error| UsageError::Other(error.to_string()))?;
    match args.to {
        Some(target) => {
            let signing = match args.secret_file.as_deref().map(secret_from).transpose()? {
                Some(secret) => Some(verifier(provider, args.params, &[secret])?),
                None => None,
            };
            here(context, provider, made, target, signing, args.url).await
        }
        None => {
            let source = match args.source {
                Some(source) => source,
                None => provider.name.replace('_', "-").parse().map_err(|error| {
                    UsageError::Other(format!(
                        "say --source: no source can be called {}: {error}",
                        provider.name
                    ))
                })?,
            };
            at_server(context, &source, &made).await
        }
    }
}

fn unknown(provider: &Provider, event: &str) -> UsageError {
    let all = samples::of(provider.name);
    let hint = did_you_mean(event, all.iter().map(|sample| sample.name.as_str()));
    let event = event.escape_debug();
    UsageError::Other(format!(
        "there is no sample `{event}` of {}{hint}; `relay-agent trigger {} --list` shows them",
        provider.title, provider.name
    ))
}

fn list(context: &Context, only: Option<&Provider>) -> anyhow::Result<Exit> {
    let names = samples::providers().filter(|name| only.is_none_or(|only| only.name == *name));
    let mut all: Vec<(&str, Sample)> =
        names.flat_map(|name| samples::of(name).into_iter().map(move |sample| (name, sample))).collect();
    all.sort_by(|a, b| (a.0, &a.1.name).cmp(&(b.0, &b.1.name)));
    if context.output.json {
        for (provider, sample) in &all {
            let object = json!({ "provider": provider, "event": sample.name, "name": sample.event, "what": sample.what });
            context.output.object(&object)?;
        }
        return Ok(Exit::Done);
    }
    let rows: Vec<[String; 3]> = all
        .iter()
        .map(|(provider, sample)| [(*provider).to_owned(), sample.name.clone(), sample.what.clone()])
        .collect();
    for line in table::lines(["PROVIDER", "EVENT", "WHAT"], &rows) {
        context.output.data(&line)?;
    }
    Ok(Exit::Done)
}

async fn at_server(context: &Context, source: &Slug, made: &Made) -> anyhow::Result<Exit> {
    let path = Query::of(format!("/sources/{source}/trigger"));
    let body = json!({
        "method": made.method, "path": made.path, "headers": made.headers, "body": STANDARD.encode(&made.body),
    });
    let mut asker = Asker::open(context).await?;
    let answer = asker.post(path.text(), &body).await?;
    asker.close().await;
    if context.output.json {
        context.output.object(&answer)?;
        return Ok(Exit::Done);
    }
    context.output.data(&escape::line(&records::text_or_dash(&answer, "event")))?;
    let is_signed = answer.get("signed").and_then(Value::as_bool).unwrap_or(false);
    let how = if is_signed { "signed" } else { "unsigned: the source has no secret" };
    context.output.say(&format!("triggered at {source}, {how}"));
    Ok(Exit::Done)
}

async fn here(
    context: &Context,
    provider: &Provider,
    mut made: Made,
    target: Target,
    signing: Option<Verifier>,
    url: Option<String>,
) -> anyhow::Result<Exit> {
    if let Some(signing) = signing {
        let url_of = |path: &str| url.clone().unwrap_or_else(|| format!("{target}{path}"));
        signing.sign_sample(&mut made, url_of, clock::unix_ms())?;
    }
    let mut headers = HeaderBlock::default();
    for (name, value) in &made.headers {
        headers.push(name.as_bytes(), value.as_bytes())?;
    }
    let mut request = LocalRequest {
        method: made.method,
        target: made.path.into_bytes(),
        headers,
        body: made.body.into(),
        is_replay: false,
    };
    request.fit_length()?;
    let sender = LocalSender::new(target, HostField::default(), None)?;
    match sender.send(&request).await {
        Ok(answer) => {
            let status = paint(of_status(answer.status), &answer.status.to_string());
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            context.output.data(&format!(
                "← {status}  {}  app {}",
                paint(BOLD, &provider.title),
                unit::duration(answer.app)
            ))?;
            if !text.is_empty() && !context.output.quiet {
                context.output.say(&escape::text(&text));
            }
            Ok(if answer.status < 400 { Exit::Done } else { Exit::Failed })
        }
        Err(failure) => {
            let what = if failure.sent == Sent::No { "not sent:" } else { "no answer:" };
            complain(&format!("{} {}", paint(BAD, what), escape::value(&failure.text)));
            Ok(Exit::Failed)
        }
    }
}
