//! What verbs say of a source's provider, and of the secret it signs with.

use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use provider::{Provider, Settings, Verifier};
use serde_json::{Map, Value, json};

use super::context::UsageError;
use crate::suggest::did_you_mean;

/// Longest secret read, in bytes: a public key in PEM is 200.
const SECRET_BYTES_MAX: u64 = 4 * 1024;

/// Who sends to a source.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Who sends")]
pub(super) struct ProviderArgs {
    /// The provider, such as `github`: its signatures are checked once the source has a secret. `relay-agent providers`
    /// lists them; '' for whoever knows the URL
    #[arg(long, value_name = "PROVIDER", value_parser = name)]
    pub(super) provider: Option<String>,
    /// What else its scheme has to be told, such as `audience=…`; `relay-agent providers NAME` says what
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = param)]
    params: Vec<(String, String)>,
    /// File with the secret; `-` asks for it. Older secrets go on being good: see `--forget-secret` of `source`
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Sign what is delivered later, again or edited afresh, so that the app takes it for new
    #[arg(long, overrides_with = "no_resign")]
    resign: bool,
    /// Do not
    #[arg(long, overrides_with = "resign")]
    no_resign: bool,
}

fn name(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    found(text).map(|provider| provider.name.to_owned())
}

/// The provider of that name.
pub(super) fn found(text: &str) -> Result<&'static Provider, String> {
    provider::find(text).ok_or_else(|| {
        let hint = did_you_mean(text, provider::all().iter().map(|provider| provider.name));
        format!("no provider is called `{}`{hint}; `relay-agent providers` lists them", text.escape_debug())
    })
}

pub(super) fn param(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("expected NAME=VALUE, not `{text}`"))?;
    Ok((name.to_owned(), value.to_owned()))
}

impl ProviderArgs {
    /// The rules they make, by the API's names; none where nothing is asked for.
    pub(super) fn rules(&self) -> Option<Value> {
        if self.provider.as_deref() == Some("") {
            return Some(Value::Null);
        }
        let mut rules = Map::new();
        rules.extend(self.provider.as_ref().map(|name| ("name".to_owned(), name.as_str().into())));
        if !self.params.is_empty() {
            let params: Map<String, Value> =
                self.params.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
            rules.insert("params".to_owned(), params.into());
        }
        rules.extend((self.resign || self.no_resign).then(|| ("resign".to_owned(), self.resign.into())));
        (!rules.is_empty()).then(|| rules.into())
    }

    /// The secret, read from its file or asked for.
    pub(super) fn secret(&self) -> anyhow::Result<Option<String>> {
        self.secret_file.as_deref().map(secret_from).transpose()
    }
}

/// A secret from a file, or, for `-`, from a person or a pipe. The line end at its end is the editor's, not the secret's.
/// A provider's scheme with these parameters and secrets.
pub(super) fn verifier(
    provider: &Provider,
    params: Vec<(String, String)>,
    secrets: &[String],
) -> anyhow::Result<Verifier> {
    let params = params.into_iter().collect();
    let settings = Settings { name: provider.name.to_owned(), params, ..Settings::default() };
    Verifier::new(&settings, secrets).map_err(|error| UsageError::Other(error.to_string()).into())
}

pub(super) fn secret_from(path: &Path) -> anyhow::Result<String> {
    let text = if path == Path::new("-") {
        asked_for()?
    } else {
        let file = std::fs::File::open(path)
            .map_err(|error| UsageError::Other(format!("cannot read {}: {error}", path.display())))?;
        let mut text = String::new();
        file.take(SECRET_BYTES_MAX + 1)
            .read_to_string(&mut text)
            .with_context(|| format!("cannot read {}", path.display()))?;
        text
    };
    let secret = text.strip_suffix('\n').map_or(&*text, |text| text.strip_suffix('\r').unwrap_or(text));
    if secret.is_empty() {
        return Err(UsageError::Other(format!("{} holds no secret", path.display())).into());
    }
    if secret.len() as u64 > SECRET_BYTES_MAX {
        return Err(UsageError::Other(format!("{} is longer than any secret", path.display())).into());
    }
    Ok(secret.to_owned())
}

fn asked_for() -> anyhow::Result<String> {
    if std::io::stdin().is_terminal() {
        return Ok(rpassword::prompt_password("Secret (not shown): ")?);
    }
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .take(SECRET_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .context("cannot read stdin")?;
    Ok(text)
}

/// The body that gives a source a secret.
pub(super) fn secret_body(secret: &str) -> Value {
    json!({ "secret": secret })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_line_end_is_not_the_secrets() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        for (text, secret) in [("abc", "abc"), ("abc\n", "abc"), ("abc\r\n", "abc"), (" a b \n\n", " a b \n")]
        {
            std::fs::write(&path, text).unwrap();
            assert_eq!(secret_from(&path).unwrap(), secret);
        }
        std::fs::write(&path, "\n").unwrap();
        assert!(secret_from(&path).unwrap_err().is::<UsageError>());
        assert!(secret_from(&dir.path().join("missing")).unwrap_err().is::<UsageError>());
    }

    #[test]
    fn a_slip_in_a_providers_name_is_answered_with_the_right_one() {
        assert_eq!(name("github").as_deref(), Ok("github"));
        assert!(name("gihtub").unwrap_err().contains("`github`"));
    }
}
