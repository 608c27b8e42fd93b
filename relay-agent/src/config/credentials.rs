//! `credentials.toml`: which server, and the token for it. Written by `login`, removed by `logout`.

use std::path::PathBuf;

use relay_agent::{Server, Token};
use serde::{Deserialize, Serialize};

use super::join_line::{self, host_and_port};
use super::{ConfigError, Directory, private_file};

const NAME: &str = "credentials.toml";
const HEADER: &str =
    "# Written by `relay-agent login`. The token is a password: keep this file to yourself.\n";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    server: String,
    pin: Option<String>,
    token: String,
}

/// Where they are kept.
pub(crate) fn path(directory: &Directory) -> PathBuf {
    directory.file(NAME)
}

/// The server logged in to, if any.
pub(crate) fn load(directory: &Directory) -> Result<Option<Server>, ConfigError> {
    let path = path(directory);
    let Some(text) = private_file::read(&path)? else { return Ok(None) };
    // The parser's own message would quote the line, and the line may be the token.
    let malformed = |text: &str| ConfigError::Malformed {
        path: path.clone(),
        text: format!("{text}; `relay-agent login` writes it anew"),
    };
    let file: File = toml::from_str(&text).map_err(|error| malformed(error.message()))?;
    let address = match &file.pin {
        Some(pin) => format!("{}#{pin}", file.server),
        None => file.server,
    };
    let address = join_line::parse_address(&address).map_err(|error| malformed(&error.to_string()))?;
    let token = join_line::parse_token(&file.token).map_err(|_| malformed("`token` is not a token"))?;
    Ok(Some(address.with(token)))
}

/// Keeps a server in place of the one before.
pub(crate) fn save(directory: &Directory, server: &Server) -> Result<PathBuf, ConfigError> {
    directory.make()?;
    let path = path(directory);
    let file = File {
        server: host_and_port(server),
        pin: server.pin.map(|pin| pin.to_string()),
        token: server.token.reveal().to_owned(),
    };
    let text = toml::to_string(&file)
        .map_err(|error| ConfigError::Malformed { path: path.clone(), text: error.to_string() })?;
    private_file::write(&path, &format!("{HEADER}{text}"))?;
    Ok(path)
}

/// Forgets the server. Says whether there was one.
pub(crate) fn remove(directory: &Directory) -> Result<bool, ConfigError> {
    let path = path(directory);
    match std::fs::remove_file(&path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(ConfigError::Write { path, source }),
    }
}

/// A token from a file of its own, as secrets are mounted into containers. Its mode is its owner's business: mounted
/// secrets are often readable by a group.
pub(crate) fn token_from(path: &std::path::Path) -> Result<Token, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    join_line::parse_token(&text).map_err(|_| ConfigError::Malformed {
        path: path.to_owned(),
        text: "not a token: the file holds the token and nothing else".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIN: &str = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    fn directory() -> (tempfile::TempDir, Directory) {
        let temp = tempfile::tempdir().unwrap();
        let directory = Directory::locate(Some(&temp.path().join("deep/config"))).unwrap();
        (temp, directory)
    }

    #[test]
    fn what_login_saves_is_what_loads() {
        let (_temp, directory) = directory();
        assert!(load(&directory).unwrap().is_none());
        for line in [&format!("relay://tok@[::1]:4433#{PIN}"), "relay://tok@relay.example.com:443"] {
            let server = join_line::parse(line).unwrap();
            save(&directory, &server).unwrap();
            assert_eq!(load(&directory).unwrap(), Some(server));
        }
        assert!(remove(&directory).unwrap());
        assert!(!remove(&directory).unwrap());
        assert!(load(&directory).unwrap().is_none());
    }

    #[test]
    fn a_broken_file_is_named_without_showing_the_token() {
        let (_temp, directory) = directory();
        directory.make().unwrap();
        for text in [
            "server = \"h:1\"\ntoken = SECRET\n",
            "server = \"h:1\"\ntoken = \"SEC RET\"\n",
            "server = \"SECRET@h:1\"\ntoken = \"t\"\n",
            "token = \"SECRET\"\n",
            "server = \"h:1\"\ntoken = \"SECRET\"\ntokn = \"SECRET\"\n",
        ] {
            private_file::write(&path(&directory), text).unwrap();
            let error = load(&directory).unwrap_err().to_string();
            assert!(error.contains("credentials.toml") && error.contains("login"), "{error}");
            assert!(!error.contains("SECRET"), "{error}");
        }
    }

    #[test]
    fn a_token_file_holds_a_token_and_nothing_else() {
        let (temp, _) = directory();
        let path = temp.path().join("token");
        std::fs::write(&path, "tok_1\n").unwrap();
        assert_eq!(token_from(&path).unwrap().reveal(), "tok_1");
        std::fs::write(&path, "token = tok_1\n").unwrap();
        assert!(token_from(&path).unwrap_err().to_string().contains("nothing else"));
        assert!(token_from(&temp.path().join("none")).is_err());
    }
}
