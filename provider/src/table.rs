//! The providers: one line and one TOML file each.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::Request;
use crate::condition::Condition;
use crate::greet::Handshake;
use crate::source::{Scope, Source};

/// Name and file of each provider, by name.
const FILES: &[(&str, &str)] = &[
    ("adyen", include_str!("../providers/adyen.toml")),
    ("adyen_platform", include_str!("../providers/adyen_platform.toml")),
    ("airtable", include_str!("../providers/airtable.toml")),
    ("asana", include_str!("../providers/asana.toml")),
    ("auth0", include_str!("../providers/auth0.toml")),
    ("aws_sns", include_str!("../providers/aws_sns.toml")),
    ("azure_eventgrid", include_str!("../providers/azure_eventgrid.toml")),
    ("basic", include_str!("../providers/basic.toml")),
    ("bearer", include_str!("../providers/bearer.toml")),
    ("bigcommerce", include_str!("../providers/bigcommerce.toml")),
    ("bitbucket", include_str!("../providers/bitbucket.toml")),
    ("braintree", include_str!("../providers/braintree.toml")),
    ("calendly", include_str!("../providers/calendly.toml")),
    ("circleci", include_str!("../providers/circleci.toml")),
    ("clerk", include_str!("../providers/clerk.toml")),
    ("cloudevents", include_str!("../providers/cloudevents.toml")),
    ("coinbase_commerce", include_str!("../providers/coinbase_commerce.toml")),
    ("contentful", include_str!("../providers/contentful.toml")),
    ("discord", include_str!("../providers/discord.toml")),
    ("docker_hub", include_str!("../providers/docker_hub.toml")),
    ("docusign", include_str!("../providers/docusign.toml")),
    ("dropbox", include_str!("../providers/dropbox.toml")),
    ("fastly", include_str!("../providers/fastly.toml")),
    ("gitea", include_str!("../providers/gitea.toml")),
    ("github", include_str!("../providers/github.toml")),
    ("gitlab", include_str!("../providers/gitlab.toml")),
    ("gocardless", include_str!("../providers/gocardless.toml")),
    ("google_drive", include_str!("../providers/google_drive.toml")),
    ("google_pubsub", include_str!("../providers/google_pubsub.toml")),
    ("header", include_str!("../providers/header.toml")),
    ("heroku", include_str!("../providers/heroku.toml")),
    ("hmac", include_str!("../providers/hmac.toml")),
    ("hubspot", include_str!("../providers/hubspot.toml")),
    ("intercom", include_str!("../providers/intercom.toml")),
    ("jira", include_str!("../providers/jira.toml")),
    ("lemonsqueezy", include_str!("../providers/lemonsqueezy.toml")),
    ("line", include_str!("../providers/line.toml")),
    ("linear", include_str!("../providers/linear.toml")),
    ("mailgun", include_str!("../providers/mailgun.toml")),
    ("mandrill", include_str!("../providers/mandrill.toml")),
    ("meta", include_str!("../providers/meta.toml")),
    ("monday", include_str!("../providers/monday.toml")),
    ("msgraph", include_str!("../providers/msgraph.toml")),
    ("mux", include_str!("../providers/mux.toml")),
    ("netlify", include_str!("../providers/netlify.toml")),
    ("notion", include_str!("../providers/notion.toml")),
    ("okta", include_str!("../providers/okta.toml")),
    ("openai", include_str!("../providers/openai.toml")),
    ("paddle", include_str!("../providers/paddle.toml")),
    ("pagerduty", include_str!("../providers/pagerduty.toml")),
    ("paypal", include_str!("../providers/paypal.toml")),
    ("plaid", include_str!("../providers/plaid.toml")),
    ("postmark", include_str!("../providers/postmark.toml")),
    ("razorpay", include_str!("../providers/razorpay.toml")),
    ("resend", include_str!("../providers/resend.toml")),
    ("sanity", include_str!("../providers/sanity.toml")),
    ("sendgrid", include_str!("../providers/sendgrid.toml")),
    ("sentry", include_str!("../providers/sentry.toml")),
    ("shopify", include_str!("../providers/shopify.toml")),
    ("slack", include_str!("../providers/slack.toml")),
    ("square", include_str!("../providers/square.toml")),
    ("standard_webhooks", include_str!("../providers/standard_webhooks.toml")),
    ("stripe", include_str!("../providers/stripe.toml")),
    ("svix", include_str!("../providers/svix.toml")),
    ("telegram", include_str!("../providers/telegram.toml")),
    ("telnyx", include_str!("../providers/telnyx.toml")),
    ("trello", include_str!("../providers/trello.toml")),
    ("twilio", include_str!("../providers/twilio.toml")),
    ("twitch", include_str!("../providers/twitch.toml")),
    ("typeform", include_str!("../providers/typeform.toml")),
    ("vercel", include_str!("../providers/vercel.toml")),
    ("woocommerce", include_str!("../providers/woocommerce.toml")),
    ("workos", include_str!("../providers/workos.toml")),
    ("x", include_str!("../providers/x.toml")),
    ("zapier_ifttt", include_str!("../providers/zapier_ifttt.toml")),
    ("zendesk", include_str!("../providers/zendesk.toml")),
    ("zoom", include_str!("../providers/zoom.toml")),
];

/// What there is to know of one provider.
#[derive(Debug)]
pub struct Provider {
    /// The name sources use: `github`.
    pub name: &'static str,
    /// The name people use.
    pub title: String,
    /// Other names that are understood.
    pub aliases: Vec<String>,
    /// Whether it is a general form (`hmac`, `bearer`, `basic`, `header`) and no provider.
    pub is_general: bool,
    /// What [`crate::Settings::params`] may hold.
    pub params: Vec<Param>,
    /// How its deliveries behave.
    pub facts: Facts,
    /// Whether a changed body is noticed. False for tokens, and for signatures of a few fields.
    pub covers_body: bool,
    /// Whether the relay can sign anew with the source's secret, so that a late delivery passes the application's check.
    pub can_resign: bool,
    /// Whether one id is one delivery whatever its body says: tries of it differ in their bodies. Of others only the same id
    /// with the same body is the same delivery.
    pub id_alone: bool,
    /// Kinds of handshakes that are answered.
    pub handshakes: Vec<&'static str>,
    pub(crate) verify: toml::Value,
    pub(crate) alternatives: Vec<Alternative>,
    pub(crate) also: Vec<Alternative>,
    pub(crate) greetings: Vec<Handshake>,
    id: Vec<Joined>,
    event: Vec<Joined>,
    recognise: Vec<Rule>,
}

/// One thing a provider needs besides a secret.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Param {
    /// Its name in [`crate::Settings::params`].
    pub name: String,
    /// What it is and where it is found.
    pub what: String,
    /// Whether nothing can be verified without it.
    #[serde(default)]
    pub required: bool,
    /// What it looks like.
    #[serde(default)]
    pub example: String,
}

/// How a provider's deliveries behave, in words for people.
#[derive(Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Facts {
    /// How long it waits for an answer; `None` where that is not documented.
    pub deadline_ms: Option<u32>,
    /// What it does after a failure.
    pub retries: String,
    /// What to set at the relay.
    pub advice: String,
    /// What to give as secret, and where it is found.
    pub secret: String,
    /// How a secret is changed without losing deliveries.
    pub rotation: String,
    /// `S`, `S2`, `D`, `D2`, `M`: from its source down to from memory.
    pub confidence: String,
    /// How a webhook is registered there, with `{url}` for the source's URL.
    pub steps: Vec<String>,
    /// Where all this was read.
    pub sources: String,
}

/// A scheme for requests of which all conditions hold: in place of the main one, or besides.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Alternative {
    pub(crate) when: Vec<Condition>,
    pub(crate) verify: toml::Value,
}

/// Values that make one text together.
#[derive(Deserialize, Debug)]
#[serde(try_from = "String")]
struct Joined(Vec<Source>);

impl TryFrom<String> for Joined {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let sources: Option<Vec<Source>> = text.split('+').map(Source::parse).collect();
        sources.map(Self).ok_or_else(|| format!("`{text}` is no place in a request"))
    }
}

/// A strict sign of a provider: all of these and none of those.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Rule {
    all: Vec<Condition>,
    #[serde(default)]
    not: Vec<Condition>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    title: String,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    general: bool,
    verify: toml::Value,
    #[serde(default)]
    alt: Vec<Alternative>,
    #[serde(default)]
    also: Vec<Alternative>,
    #[serde(default)]
    id: Vec<Joined>,
    #[serde(default)]
    id_alone: bool,
    #[serde(default)]
    event: Vec<Joined>,
    covers_body: Option<bool>,
    #[serde(default)]
    recognise: Vec<Rule>,
    #[serde(default)]
    handshake: Vec<Handshake>,
    #[serde(default)]
    param: Vec<Param>,
    #[serde(default)]
    facts: Facts,
}

static PROVIDERS: LazyLock<Vec<Provider>> = LazyLock::new(|| {
    let read = |(name, text): &(&'static str, &str)| match toml::from_str::<File>(text) {
        Ok(file) => Provider::new(name, file),
        Err(error) => panic!("providers/{name}.toml: {error}"),
    };
    FILES.iter().map(read).collect()
});

/// All providers and general forms, by name.
#[must_use]
pub fn all() -> &'static [Provider] {
    &PROVIDERS
}

/// A provider by its name or an alias, in any letter case.
#[must_use]
pub fn find(name: &str) -> Option<&'static Provider> {
    let is_it = |other: &str| other.eq_ignore_ascii_case(name);
    all().iter().find(|provider| is_it(provider.name) || provider.aliases.iter().any(|alias| is_it(alias)))
}

/// Largest body that is read to recognise a provider.
const RECOGNISE_BODY_BYTES_MAX: usize = 1024 * 1024;
/// Longest name of a header field that a provider is known by.
const HEADER_NAME_BYTES_MAX: usize = 64;

/// Whose webhook a request is, by what only that provider sends. Of several the one with the most signs counts.
#[must_use]
pub fn recognise(request: &Request<'_>) -> Option<&'static Provider> {
    let may_read = request.body.len() <= RECOGNISE_BODY_BYTES_MAX;
    let mut best: Option<(usize, &'static Provider)> = None;
    for provider in all() {
        for rule in &provider.recognise {
            let signs = rule.all.len();
            if best.is_none_or(|(most, _)| signs > most) && rule.holds(request, may_read) {
                best = Some((signs, provider));
            }
        }
    }
    best.map(|(_, provider)| provider)
}

/// Rules by the header fields they ask for, in lower case.
static BY_HEADER: LazyLock<HashMap<&'static str, Vec<(&'static Provider, &'static Rule)>>> =
    LazyLock::new(|| {
        let mut rules: HashMap<_, Vec<_>> = HashMap::new();
        for provider in all() {
            for rule in &provider.recognise {
                // One of them is enough to find the rule: all have to hold.
                if let Some(name) = rule.all.iter().find_map(Condition::header) {
                    rules.entry(name).or_default().push((provider, rule));
                }
            }
        }
        rules
    });

/// [`recognise`] for whoever asks at every request: by providers' own header fields, and looking into the body only where
/// those leave a doubt. Below a microsecond where no provider sends; providers that say nothing in the header are not seen.
#[must_use]
pub fn recognise_by_header(request: &Request<'_>) -> Option<&'static Provider> {
    let may_read = request.body.len() <= RECOGNISE_BODY_BYTES_MAX;
    let mut best: Option<(usize, &'static Provider)> = None;
    let mut lower = [0; HEADER_NAME_BYTES_MAX];
    for (name, _) in request.headers {
        let Some(lower) = lower.get_mut(..name.len()) else { continue };
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        let rules = std::str::from_utf8(lower).ok().and_then(|name| BY_HEADER.get(name));
        for (provider, rule) in rules.into_iter().flatten() {
            let signs = rule.all.len();
            if best.is_none_or(|(most, _)| signs > most) && rule.holds(request, may_read) {
                best = Some((signs, provider));
            }
        }
    }
    best.map(|(_, provider)| provider)
}

impl Rule {
    fn holds(&self, request: &Request<'_>, may_read: bool) -> bool {
        let check = |reads_body: bool| {
            let of = move |conditions: &'_ [Condition], wanted: bool| {
                conditions
                    .iter()
                    .filter(|condition| condition.reads_body() == reads_body)
                    .all(|condition| condition.holds(request) == wanted)
            };
            of(&self.all, true) && of(&self.not, false)
        };
        let reads = self.all.iter().chain(&self.not).any(Condition::reads_body);
        // Headers first: they cost nothing.
        !self.all.is_empty() && check(false) && (!reads || (may_read && check(true)))
    }
}

/// Longest name of an event that is kept.
const EVENT_BYTES_MAX: usize = 100;
/// Longest id of a delivery that is kept.
const ID_BYTES_MAX: usize = 200;

impl Provider {
    fn new(name: &'static str, file: File) -> Self {
        let covers = |scheme: &toml::Value| {
            let signed = scheme.get("signed").map(ToString::to_string).unwrap_or_default();
            let kind = scheme.get("kind").and_then(toml::Value::as_str);
            kind == Some("standard_webhooks")
                || ["{body}", "{body|", "{form_sorted}"].iter().any(|piece| signed.contains(piece))
        };
        Self {
            name,
            title: file.title,
            aliases: file.aliases,
            is_general: file.general,
            params: file.param,
            facts: file.facts,
            covers_body: file.covers_body.unwrap_or_else(|| covers(&file.verify)),
            can_resign: can_resign(&file.verify),
            id_alone: file.id_alone,
            handshakes: file.handshake.iter().map(Handshake::kind).collect(),
            verify: file.verify,
            alternatives: file.alt,
            also: file.also,
            greetings: file.handshake,
            id: file.id,
            event: file.event,
            recognise: file.recognise,
        }
    }

    /// Whether signatures can only be checked with a secret of the source's own; otherwise with the provider's public key.
    /// A source's parameters may choose: [`crate::Verifier::needs_secret`].
    #[must_use]
    pub fn needs_secret(&self) -> bool {
        let text = |key| self.verify.get(key).and_then(toml::Value::as_str);
        !(text("keys") == Some("jwks") || matches!(text("name"), Some("aws_sns" | "paypal")))
    }

    /// Whether a secret of the source is sent along in the URL or the body: whoever reads a request can forge others.
    #[must_use]
    pub fn sends_secret_openly(&self) -> bool {
        let text = |key| self.verify.get(key).and_then(toml::Value::as_str).unwrap_or_default();
        text("kind") == "token" && text("from").split('|').any(|place| !place.starts_with("header:"))
    }

    /// What happened: `pull_request.opened`. Without control characters and at most 100 bytes.
    #[must_use]
    pub fn event_name(&self, request: &Request<'_>) -> Option<String> {
        read(&self.event, request, ".", EVENT_BYTES_MAX)
    }

    /// By what the provider tells this delivery from others. Without control characters and at most 200 bytes.
    #[must_use]
    pub fn delivery_id(&self, request: &Request<'_>) -> Option<String> {
        read(&self.id, request, ":", ID_BYTES_MAX)
    }
}

/// Whether a header can be made anew with the secret alone, and a new time with it.
fn can_resign(scheme: &toml::Value) -> bool {
    let text = |table: &str, key: &str| {
        scheme.get(table).and_then(|table| table.get(key)).and_then(toml::Value::as_str)
    };
    let of = |key: &str| scheme.get(key).and_then(toml::Value::as_str);
    match of("kind") {
        Some("hmac" | "concat") => {
            let is_time_inside = text("ts", "from").is_some_and(|from| from.starts_with("json:"));
            text("sig", "from").is_some_and(|from| from.starts_with("header")) && !is_time_inside
        }
        Some("token") => of("from").is_some_and(|from| from.starts_with("header:")),
        Some("jwt") => of("keys") == Some("secret"),
        Some("basic" | "standard_webhooks") => true,
        Some("custom") => {
            matches!(of("name"), Some("twilio" | "contentful"))
        }
        _ => false,
    }
}

fn read(places: &[Joined], request: &Request<'_>, between: &str, bytes_max: usize) -> Option<String> {
    let scope = Scope::new(request);
    places.iter().find_map(|joined| {
        let mut whole = String::new();
        for source in &joined.0 {
            let value = scope.read(source).ok()??;
            let text = std::str::from_utf8(&value).ok()?;
            if text.is_empty() || text.chars().any(char::is_control) {
                return None;
            }
            if !whole.is_empty() {
                whole.push_str(between);
            }
            whole.push_str(text);
            if whole.len() > bytes_max {
                return None;
            }
        }
        Some(whole)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_read_and_no_name_means_two_providers() {
        let mut names = Vec::new();
        for provider in all() {
            assert!(!provider.title.is_empty(), "{}", provider.name);
            names.push(provider.name);
            names.extend(provider.aliases.iter().map(String::as_str));
            assert_eq!(find(&provider.name.to_uppercase()).map(|found| found.name), Some(provider.name));
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(all().is_sorted_by_key(|provider| provider.name));
    }
}
