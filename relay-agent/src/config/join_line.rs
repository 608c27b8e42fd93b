//! The join line a server prints, `relay://TOKEN@HOST:PORT#sha256:PIN`, taken apart. It comes from a clipboard, a
//! chat or a script, so everything is checked here and nothing later. Errors never repeat the token.

use std::net::{Ipv4Addr, Ipv6Addr};

use link::Pin;
use relay_agent::{Server, Token};

/// A join line is shorter than this by far: 64 for the token, 253 for a host, 71 for a pin.
const LINE_BYTES_MAX: usize = 1024;

/// RFC 1035 section 2.3.4, as text without the final dot.
const HOST_BYTES_MAX: usize = 253;

/// Text that is not a join line or not a server's address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JoinLineError {
    /// Another scheme, or none.
    #[error("a join line begins with `relay://`; `relay-server token create --scope agent` prints one")]
    NotAJoinLine,
    /// Longer than any.
    #[error("too long for a join line")]
    TooLong,
    /// `relay://HOST:PORT`.
    #[error("the join line holds no token: it looks like relay://TOKEN@HOST:PORT#sha256:PIN")]
    NoToken,
    /// Characters no token has.
    #[error("the token in the join line holds a character no token has: was it copied whole?")]
    Token,
    /// A token where only an address belongs.
    #[error("only the address belongs here, HOST:PORT: give the token by --token-file or RELAY_TOKEN")]
    UnwantedToken,
    /// No name and no address.
    #[error(
        "`{0}` is not a host name or address (an IPv6 address stands in brackets, a name in its xn-- form)"
    )]
    Host(String),
    /// No port, or not one.
    #[error("the port is missing or not a number from 1 to 65535: HOST:PORT")]
    Port,
    /// Something after `#` that is no pin.
    #[error("after `#` there must be `sha256:` and 64 hexadecimal digits: was the line copied whole?")]
    Pin,
}

/// Where a server is, without the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// Host name or address, without brackets.
    pub(crate) host: String,
    /// UDP port.
    pub(crate) port: u16,
    /// The pinned key.
    pub(crate) pin: Option<Pin>,
}

impl Address {
    /// The server there, for the bearer of a token.
    pub(crate) fn with(self, token: Token) -> Server {
        Server { host: self.host, port: self.port, pin: self.pin, token }
    }
}

/// `HOST:PORT`, with brackets where the host is an IPv6 address.
pub(crate) fn host_and_port(server: &Server) -> String {
    let Server { host, port, .. } = server;
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Reads a join line. Blanks around it are ignored.
pub(crate) fn parse(line: &str) -> Result<Server, JoinLineError> {
    let line = line.trim();
    if line.len() > LINE_BYTES_MAX {
        return Err(JoinLineError::TooLong);
    }
    let rest = line.strip_prefix("relay://").ok_or(JoinLineError::NotAJoinLine)?;
    let (token, address) = rest.split_once('@').ok_or(JoinLineError::NoToken)?;
    if token.is_empty() {
        return Err(JoinLineError::NoToken);
    }
    let token = parse_token(token)?;
    Ok(parse_address(address)?.with(token))
}

/// Reads a token as it stands in a file or a variable. Blanks around it are ignored.
pub(crate) fn parse_token(text: &str) -> Result<Token, JoinLineError> {
    let text = text.trim();
    let known = |b: u8| b.is_ascii_alphanumeric() || b"-_.~+=".contains(&b);
    if text.is_empty() || text.len() > LINE_BYTES_MAX || !text.bytes().all(known) {
        return Err(JoinLineError::Token);
    }
    Ok(Token::new(text.to_owned()))
}

/// Reads `HOST:PORT`, with `#sha256:PIN` behind it where the server has no public certificate.
pub(crate) fn parse_address(text: &str) -> Result<Address, JoinLineError> {
    if text.len() > LINE_BYTES_MAX {
        return Err(JoinLineError::TooLong);
    }
    if text.contains('@') {
        return Err(JoinLineError::UnwantedToken);
    }
    let text = text.strip_prefix("relay://").unwrap_or(text);
    let (authority, pin) = match text.split_once('#') {
        Some((authority, pin)) => (authority, Some(pin.parse().map_err(|_| JoinLineError::Pin)?)),
        None => (text, None),
    };
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (parse_ipv6(host)?, port.strip_prefix(':').ok_or(JoinLineError::Port)?),
        None => {
            let (host, port) = authority.rsplit_once(':').ok_or(JoinLineError::Port)?;
            (parse_host(host)?, port)
        }
    };
    Ok(Address { host, port: parse_port(port)?, pin })
}

fn parse_port(text: &str) -> Result<u16, JoinLineError> {
    // `u16::from_str` takes `+1` too.
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let port = text.parse().ok().filter(|port| digits && *port != 0);
    port.ok_or(JoinLineError::Port)
}

fn parse_ipv6(text: &str) -> Result<String, JoinLineError> {
    let address: Ipv6Addr = text.parse().map_err(|_| JoinLineError::Host(shortened(text)))?;
    Ok(address.to_string())
}

fn parse_host(text: &str) -> Result<String, JoinLineError> {
    let wrong = || JoinLineError::Host(shortened(text));
    if text.parse::<Ipv4Addr>().is_ok() {
        return Ok(text.to_owned());
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A name never ends in a number: that would be an address with a slip in it (RFC 1123 section 2.1).
    let ends_in_number = text.rsplit('.').next().is_none_or(|last| last.bytes().all(|b| b.is_ascii_digit()));
    if text.len() > HOST_BYTES_MAX || ends_in_number || !text.split('.').all(is_label) {
        return Err(wrong());
    }
    Ok(text.to_ascii_lowercase())
}

/// What was written, short and safe to show.
fn shortened(text: &str) -> String {
    text.chars().take(60).flat_map(char::escape_default).collect()
}

#[cfg(test)]
mod tests;
