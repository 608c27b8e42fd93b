//! Where an agent forwards to: one local address, named by its user and by nobody else.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A local application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// How to reach it.
    pub at: At,
    /// Put in front of the path of every request. Empty, or starts with `/` and does not end with one.
    pub prefix: String,
}

/// How to reach an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// Plain HTTP.
    Http {
        /// Name or address; IPv6 without brackets.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// HTTP over TLS.
    Https {
        /// Name or address.
        host: String,
        /// TCP port.
        port: u16,
        /// Take any certificate. Only by explicit wish (`https+insecure://`).
        insecure: bool,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

/// Text that is not a target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a target: {why}. Try `3000`, `localhost:3000`, `http://localhost:3000/hooks` or `unix:/run/app.sock`"
)]
pub struct TargetError {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl Target {
    /// `Host` as the app's own clients would write it.
    #[must_use]
    pub fn host_field(&self) -> String {
        match &self.at {
            At::Unix(_) => "localhost".to_owned(),
            At::Http { host, port: 80 } | At::Https { host, port: 443, .. } => bracketed(host),
            At::Http { host, port } | At::Https { host, port, .. } => format!("{}:{port}", bracketed(host)),
        }
    }

    /// The target of a request: prefix and the part of the sender's target that is the app's. Joined as text; nothing
    /// is decoded or folded.
    #[must_use]
    pub fn join(&self, app_target: &[u8]) -> Vec<u8> {
        let mut joined = self.prefix.clone().into_bytes();
        if joined.is_empty() && !app_target.starts_with(b"/") {
            joined.push(b'/');
        }
        joined.extend_from_slice(app_target);
        joined
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let bad = |why| TargetError { text: text.chars().take(120).collect(), why };
        if let Some(path) = text.strip_prefix("unix:") {
            let (path, prefix) = path.split_once(':').unwrap_or((path, ""));
            if !path.starts_with('/') {
                return Err(bad("a socket needs an absolute path"));
            }
            return Ok(Self { at: At::Unix(path.into()), prefix: prefix_of(prefix).map_err(bad)? });
        }
        if text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() {
            let port = port_of(text).ok_or(bad("a port is a number from 1 to 65535"))?;
            return Ok(Self { at: At::Http { host: "localhost".to_owned(), port }, prefix: String::new() });
        }
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let default_port = if scheme == "http" { 80 } else { 443 };
        let (host, port) = split_authority(authority, default_port).map_err(bad)?;
        let at = match scheme {
            "http" => At::Http { host, port },
            "https" => At::Https { host, port, insecure: false },
            "https+insecure" => At::Https { host, port, insecure: true },
            _ => return Err(bad("the scheme is http, https, https+insecure or unix")),
        };
        Ok(Self { at, prefix: prefix_of(path).map_err(bad)? })
    }
}

fn port_of(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port != 0)
}

fn prefix_of(path: &str) -> Result<String, &'static str> {
    let prefix = path.strip_suffix('/').unwrap_or(path);
    if prefix.contains(['?', '#']) || !prefix.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("the path may not hold a query, a fragment or spaces");
    }
    if !prefix.is_empty() && !prefix.starts_with('/') {
        return Err("the path starts with `/`");
    }
    Ok(prefix.to_owned())
}

fn split_authority(authority: &str, default_port: u16) -> Result<(String, u16), &'static str> {
    const PORT: &str = "a port is a number from 1 to 65535";
    if authority.contains('@') {
        return Err("a name and password do not belong here");
    }
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or("an address in brackets needs the closing one")?;
        host.parse::<std::net::Ipv6Addr>().map_err(|_| "not an IPv6 address in the brackets")?;
        let port = match rest.strip_prefix(':') {
            Some(port) => port_of(port).ok_or(PORT)?,
            None if rest.is_empty() => default_port,
            None => return Err(PORT),
        };
        return Ok((host.to_owned(), port));
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, port_of(port).ok_or(PORT)?),
        None => (authority, default_port),
    };
    let is_host = !host.is_empty()
        && host.len() <= 253
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    if is_host { Ok((host.to_owned(), port)) } else { Err("the host is not a host name or address") }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            At::Http { host, port } => write!(f, "http://{}:{port}", bracketed(host))?,
            At::Https { host, port, insecure } => {
                write!(f, "https{}://{}:{port}", if *insecure { "+insecure" } else { "" }, bracketed(host))?;
            }
            At::Unix(path) => {
                write!(f, "unix:{}", path.display())?;
                if !self.prefix.is_empty() {
                    f.write_str(":")?;
                }
            }
        }
        f.write_str(&self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_read_as_a_person_would_write_them() {
        let cases = [
            ("3000", "http://localhost:3000"),
            ("localhost:3000", "http://localhost:3000"),
            ("http://localhost:3000/hooks/", "http://localhost:3000/hooks"),
            ("http://127.0.0.1", "http://127.0.0.1:80"),
            ("https://app.test:8443/x", "https://app.test:8443/x"),
            ("https+insecure://localhost", "https+insecure://localhost:443"),
            ("http://[::1]:8000", "http://[::1]:8000"),
            ("unix:/run/app.sock", "unix:/run/app.sock"),
            ("unix:/run/app.sock:/hooks", "unix:/run/app.sock:/hooks"),
        ];
        for (text, shown) in cases {
            let target: Target = text.parse().expect(text);
            assert_eq!(target.to_string(), shown);
            assert_eq!(shown.parse(), Ok(target), "what is shown can be typed");
        }
    }

    #[test]
    fn what_is_no_target_says_why() {
        for bad in [
            "",
            "0",
            "65536",
            "ftp://a",
            "http://",
            "http://a:b",
            "http://u:p@a",
            "unix:rel",
            "a b",
            "http://a/x?y",
            "http://[::1",
            "http://a/ü",
        ] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }

    #[test]
    fn paths_join_as_text() {
        let plain: Target = "3000".parse().expect("valid");
        let prefixed: Target = "http://localhost:3000/hooks/".parse().expect("valid");
        let cases: [(&[u8], &[u8], &[u8]); 5] = [
            (b"", b"/", b"/hooks"),
            (b"/", b"/", b"/hooks/"),
            (b"?a=1", b"/?a=1", b"/hooks?a=1"),
            (b"/a//b/../%2e?x", b"/a//b/../%2e?x", b"/hooks/a//b/../%2e?x"),
            (b"/\xff", b"/\xff", b"/hooks/\xff"),
        ];
        for (app_target, bare, with_prefix) in cases {
            assert_eq!(plain.join(app_target), bare);
            assert_eq!(prefixed.join(app_target), with_prefix);
        }
    }
}
