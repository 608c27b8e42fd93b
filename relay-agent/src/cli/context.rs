//! Whom to talk to and how to speak: the options of every verb, resolved. Flags come before the environment (clap
//! sees to that), both before what `login` kept.

use std::path::Path;

use jiff::tz::TimeZone;
use relay_agent::entropy::random;
use relay_agent::{Route, Server, Settings, Token};

use super::Options;
use crate::config::join_line::{self, Address, host_and_port};
use crate::config::{ConfigError, Directory, credentials, host_name, state};
use crate::output::Output;

/// A mistake in what was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UsageError {
    /// Another server than the one the stored token is for.
    #[error(
        "no token for {0}: set RELAY_TOKEN or --token-file (the stored token is for {1} and stays with it)"
    )]
    NoTokenFor(String, String),
    /// A server, and no token anywhere.
    #[error("no token for {0}: set RELAY_TOKEN or --token-file, or run `relay-agent login`")]
    NoToken(String),
    /// RELAY_TOKEN is no token.
    #[error("RELAY_TOKEN does not hold a token")]
    Token,
    /// Some other slip, in words.
    #[error("{0}")]
    Other(String),
}

/// What every verb works with.
pub(crate) struct Context {
    options: Options,
    /// How to speak.
    pub(crate) output: Output,
    /// Where times are shown.
    pub(crate) zone: TimeZone,
}

impl Context {
    pub(crate) fn new(options: Options) -> Self {
        let output = Output { json: options.json, quiet: options.quiet };
        Self { options, output, zone: TimeZone::system() }
    }

    /// Whether more is wanted than usual.
    pub(crate) fn is_verbose(&self) -> bool {
        self.options.verbose > 0
    }

    /// Where credentials and identity are kept.
    pub(crate) fn directory(&self) -> Result<Directory, ConfigError> {
        Directory::locate(self.options.config_dir.as_deref())
    }

    /// The server to talk to, with the token for it.
    pub(crate) fn server(&self) -> anyhow::Result<Server> {
        let token = match (&self.options.token_file, &self.options.token) {
            (Some(path), _) => Some(credentials::token_from(path)?),
            (None, Some(token)) => {
                Some(join_line::parse_token(token.reveal()).map_err(|_| UsageError::Token)?)
            }
            (None, None) => None,
        };
        let address = self.options.server.as_deref().map(join_line::parse_address).transpose()?;
        let directory = self.directory()?;
        match choose(address, token, credentials::load(&directory)?)? {
            Some(server) => Ok(server),
            None => Err(ConfigError::NotLoggedIn { path: credentials::path(&directory) }.into()),
        }
    }

    /// Settings of an agent of this machine.
    pub(crate) fn settings(&self, server: Server, routes: Vec<Route>) -> Result<Settings, ConfigError> {
        let agent = state::agent_id(&self.directory()?, random())?;
        Ok(Settings { host_name: host_name::read(), routes, ..Settings::new(server, agent) })
    }
}

/// The server meant by what was given and what `login` kept. A kept token and pin belong to their own server only.
fn choose(
    address: Option<Address>,
    token: Option<Token>,
    kept: Option<Server>,
) -> Result<Option<Server>, UsageError> {
    let Some(address) = address else {
        return Ok(kept.map(|kept| Server { token: token.unwrap_or(kept.token), ..kept }));
    };
    let asked = format!("{}:{}", address.host, address.port);
    let other = kept.as_ref().map(host_and_port);
    let same = kept.filter(|kept| (&kept.host, kept.port) == (&address.host, address.port));
    let (kept_token, kept_pin) = same.map_or((None, None), |kept| (Some(kept.token), kept.pin));
    let Some(token) = token.or(kept_token) else {
        return Err(match other {
            Some(other) => UsageError::NoTokenFor(asked, other),
            None => UsageError::NoToken(asked),
        });
    };
    let pin = address.pin.or(kept_pin);
    Ok(Some(Server { host: address.host, port: address.port, pin, token }))
}

/// A file that must be there before anything is started with it.
pub(crate) fn require_file(path: &Path) -> Result<(), ConfigError> {
    std::fs::metadata(path).map(drop).map_err(|source| ConfigError::Read { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIN: &str = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    fn chosen(address: Option<&str>, token: Option<&str>, kept: Option<&str>) -> Result<String, String> {
        let address = address.map(|text| join_line::parse_address(text).unwrap());
        let token = token.map(|text| join_line::parse_token(text).unwrap());
        let kept = kept.map(|line| join_line::parse(line).unwrap());
        let server = choose(address, token, kept).map_err(|error| error.to_string())?;
        let shown = |s: Server| {
            let pin = if s.pin.is_some() { " pinned" } else { "" };
            format!("{} {}{pin}", host_and_port(&s), s.token.reveal())
        };
        Ok(server.map_or_else(|| "none".to_owned(), shown))
    }

    #[test]
    fn what_is_given_comes_before_what_was_kept() {
        let kept = format!("relay://kept@a.example:1#{PIN}");
        let kept = Some(kept.as_str());
        let table = [
            (None, None, None, "none"),
            (None, None, kept, "a.example:1 kept pinned"),
            (None, Some("given"), kept, "a.example:1 given pinned"),
            (Some("a.example:1"), None, kept, "a.example:1 kept pinned"),
            (Some("b.example:1"), Some("given"), kept, "b.example:1 given"),
            (Some("b.example:1"), Some("given"), None, "b.example:1 given"),
        ];
        for (address, token, kept, expected) in table {
            assert_eq!(chosen(address, token, kept).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn a_kept_token_never_goes_to_another_server() {
        let kept = Some("relay://kept@a.example:1");
        for other in ["b.example:1", "a.example:2"] {
            let error = chosen(Some(other), None, kept).unwrap_err();
            assert!(error.contains("no token for") && error.contains("a.example:1"), "{error}");
        }
        assert!(chosen(Some("b.example:1"), None, None).unwrap_err().contains("relay-agent login"));
    }
}
