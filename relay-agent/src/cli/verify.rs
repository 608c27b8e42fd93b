//! `relay-agent verify WHAT`: explains a signature, here on this machine. The secret stays here too.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use protocol::id::EventId;
use provider::{Keys, Provider, Request};
use relay_agent::clock;
use relay_agent::fixture::Fixture;
use serde_json::json;

use super::Exit;
use super::ask::Asker;
use super::context::{Context, UsageError};
use super::provider::{found, param, secret_from, verifier};
use super::query::Query;
use super::{recorded, records};
use crate::output::style::{BAD, BOLD, DIM, GOOD, paint};
use crate::output::{escape, unit};

/// Longest key or certificate read, in bytes: Google's key set has some 2 KB.
const KEY_BYTES_MAX: u64 = 64 * 1024;

const EXAMPLES: &str = "\
Examples:
  relay-agent verify evt_…                             asks for the secret
  relay-agent verify evt_… --secret-file secret
  relay-agent verify fixtures/20261122T105439Z-* --provider stripe --secret-file secret

How old a signature may be is judged by when the event was received. Exit code 0 when it is good.";

/// Explain why a signature is good, or is not
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// An event (`evt_…`), or the directory of a fixture
    #[arg(value_name = "WHAT")]
    what: String,
    /// The provider [default: recognised by the request]
    #[arg(long, value_name = "PROVIDER", value_parser = found)]
    provider: Option<&'static Provider>,
    /// What else its scheme has to be told
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = param)]
    params: Vec<(String, String)>,
    /// File with the secret; without it, it is asked for where the provider has one
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// File with the provider's public key or certificate (AWS SNS, PayPal, Google)
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The URL the provider sent it to, where that is signed [default: the source's]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Judge its age by the clock of now
    #[arg(long)]
    now: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let (fixture, base) = match args.what.parse::<EventId>() {
        Ok(id) => at_server(context, id).await?,
        Err(_) => (Fixture::read(&PathBuf::from(&args.what))?.0, None),
    };
    let target = String::from_utf8_lossy(&fixture.target).into_owned();
    let url = match (args.url, base) {
        (Some(url), _) => url,
        (None, Some(base)) => format!("{base}{}", String::from_utf8_lossy(fixture.app_target())),
        (None, None) => target,
    };
    let request =
        Request { method: &fixture.method, url: &url, headers: &fixture.headers, body: &fixture.body };
    let Some(provider) = args.provider.or_else(|| provider::recognise(&request)) else {
        let text = "this does not look like any provider's: say which with --provider".to_owned();
        return Err(UsageError::Other(text).into());
    };
    let secret = match &args.secret_file {
        Some(file) => Some(secret_from(file)?),
        None if verifier(provider, args.params.clone(), &[])?.needs_secret() => {
            Some(secret_from(Path::new("-"))?)
        }
        None => None,
    };
    let verifier = verifier(provider, args.params, secret.as_slice())?;
    let keys = OneKey(args.key_file.as_deref().map(read_key).transpose()?);
    let at_ms = fixture.received_ms.filter(|_| !args.now).unwrap_or_else(clock::unix_ms);
    let checked = verifier.verify(&request, at_ms, &keys);
    let checked = checked.map_err(|rejection| verifier.explain(&request, at_ms, &keys, &rejection));
    let signed_ms = checked.as_ref().ok().and_then(|verified| verified.signed_ms);
    if context.output.json {
        context.output.object(&json!({
            "provider": provider.name,
            "good": checked.is_ok(),
            "covers_body": checked.as_ref().ok().map(|verified| verified.covers_body),
            "code": checked.as_ref().err().map(provider::Rejection::code),
            "text": checked.as_ref().err().map(ToString::to_string),
        }))?;
    } else {
        let fact = |name: &str, value: &str| format!("{}  {value}", paint(DIM, &format!("{name:<9}")));
        context.output.data(&fact("provider", &paint(BOLD, &provider.title)))?;
        context.output.data(&fact("URL", &escape::value(&url)))?;
        if let Some(ms) = signed_ms {
            context.output.data(&fact("signed", &unit::day_and_time(ms, &context.zone)))?;
        }
        let verdict = match &checked {
            Ok(verified) if verified.covers_body => paint(GOOD, "good: the provider signed this body"),
            Ok(_) => paint(GOOD, "good: the provider sent it; the body itself is not signed"),
            Err(rejection) => {
                format!("{} ({})", paint(BAD, &escape::value(&rejection.to_string())), rejection.code())
            }
        };
        context.output.data(&fact("verdict", &verdict))?;
    }
    Ok(if checked.is_ok() { Exit::Done } else { Exit::Failed })
}

/// Whatever URL the provider says its key lies at: it is in this file.
struct OneKey(Option<Arc<[u8]>>);

impl Keys for OneKey {
    fn get(&self, _: &str) -> Option<Arc<[u8]>> {
        self.0.clone()
    }
}

fn read_key(path: &Path) -> anyhow::Result<Arc<[u8]>> {
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(|| format!("{} cannot be opened", path.display()))?;
    file.take(KEY_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

/// The event, and the URL of its source.
async fn at_server(context: &Context, id: EventId) -> anyhow::Result<(Fixture, Option<String>)> {
    let mut asker = Asker::open(context).await?;
    let fixture = recorded::fetch(&mut asker, id).await;
    let fixture = fixture.map_err(|error| match error {
        recorded::RecordedError::Ask(error) => error.into(),
        error => anyhow::anyhow!("{id} cannot be looked at: {error}"),
    })?;
    let url = match &fixture.source {
        Some(slug) => {
            let source = asker.get(Query::of(format!("/sources/{slug}")).text()).await.ok();
            source.and_then(|source| records::text(&source, "url").map(str::to_owned))
        }
        None => None,
    };
    asker.close().await;
    Ok((fixture, url))
}
