//! What a source says of its provider, and how that fills the gaps in a provider's table entry.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::reject::SettingsError;

/// What a source says of its provider. All of it is shown to people; nothing is secret.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// A provider's name or alias: `github`. `hmac`, `bearer`, `basic` and `header` are the general forms.
    pub name: String,
    /// What the provider needs besides a secret: see [`crate::Provider::params`].
    pub params: BTreeMap<String, String>,
    /// How old or early a signed time may be, in seconds, instead of the provider's own limit. 0: any.
    pub tolerance_s: Option<u32>,
}

/// Longest value of a parameter: a key set is the longest of them.
pub(crate) const PARAM_BYTES_MAX: usize = 16 * 1024;

/// Fills each `{param:name}` and `{param:name=default}`, and notes in `used` which names there are.
pub(crate) fn fill(
    text: &str,
    params: &BTreeMap<String, String>,
    used: &mut Vec<String>,
) -> Result<String, SettingsError> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{param:") {
        filled.push_str(before);
        // A default may hold braces of its own.
        let mut depth = 1;
        let end = after.char_indices().find_map(|(at, c)| {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            (depth == 0).then_some(at)
        });
        let Some((inside, behind)) = end.map(|end| (&after[..end], &after[end + 1..])) else {
            return Err(SettingsError::Table("a brace is not closed".to_owned()));
        };
        let (name, default) = match inside.split_once('=') {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        used.push(name.to_owned());
        match params.get(name).map(String::as_str).or(default) {
            Some(value) => filled.push_str(value),
            None => return Err(SettingsError::ParamMissing { name: name.to_owned() }),
        }
        rest = behind;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// [`fill`] for every text in a value.
pub(crate) fn fill_all(
    value: &toml::Value,
    params: &BTreeMap<String, String>,
    used: &mut Vec<String>,
) -> Result<toml::Value, SettingsError> {
    Ok(match value {
        toml::Value::String(text) => toml::Value::String(fill(text, params, used)?),
        toml::Value::Array(items) => toml::Value::Array(
            items.iter().map(|item| fill_all(item, params, used)).collect::<Result<_, _>>()?,
        ),
        toml::Value::Table(table) => toml::Value::Table(
            table
                .iter()
                .map(|(key, value)| Ok((key.clone(), fill_all(value, params, used)?)))
                .collect::<Result<_, SettingsError>>()?,
        ),
        other => other.clone(),
    })
}
