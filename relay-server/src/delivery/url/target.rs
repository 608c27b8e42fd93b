//! The URL of a destination: parsed once at the door, into something that has a host and nothing secret in it.
//!
//! The `url` crate reads it as browsers do, so that odd spellings of an address (`0x7f.1`, `2130706433`, `①②⑦.0.0.1`)
//! become that address here. What people read differently from browsers is refused: white space, backslashes, a
//! missing `//`.

use std::fmt;
use std::str::FromStr;

use protocol::field::is_target;
use protocol::limits::TARGET_BYTES_MAX;
use rustls::pki_types::ServerName;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::{Host, Url};

/// Longest URL, in bytes. Providers' and frameworks' own limits lie around this.
pub const URL_BYTES_MAX: usize = 2048;

/// Longest host name (RFC 1035 section 2.3.4), with the dot that may end it.
const HOST_BYTES_MAX: usize = 254;

/// Where a destination of kind `url` points: `http` or `https`, a host, no credentials, no fragment; at most
/// [`URL_BYTES_MAX`] bytes. Shown in the normal form of the WHATWG URL standard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetUrl(Url);

/// Text that is no URL to deliver to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetUrlError {
    /// Past [`URL_BYTES_MAX`].
    #[error("the URL is longer than {URL_BYTES_MAX} bytes")]
    TooLong,
    /// Another scheme, or none.
    #[error("the URL has to start with http:// or https://")]
    Scheme,
    /// Space, control character or backslash.
    #[error("the URL holds a space, a control character or a backslash; write them as %20 and the like")]
    Character,
    /// A name or password before the host.
    #[error(
        "the URL holds a name or password; they would be shown with it: use a header field of the destination instead"
    )]
    Credentials,
    /// `#…`.
    #[error("the URL has a fragment (#…); servers never see it, so leave it out")]
    Fragment,
    /// No host, or one that cannot be.
    #[error("the URL has no host that can be looked up")]
    Host,
    /// Port 0.
    #[error("port 0 cannot be connected to")]
    Port,
    /// Anything else, as the parser says it.
    #[error("the URL cannot be read: {0}")]
    Syntax(#[from] url::ParseError),
}

impl TargetUrl {
    /// Whether it is `https`.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The host: a name, or an address.
    #[must_use]
    pub fn host(&self) -> Host<&str> {
        self.0.host().expect("a target URL has a host")
    }

    /// The port, said or implied.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().expect("http and https have a port")
    }

    /// What `Host` says: the host, and the port unless it is the scheme's own.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.0.authority()
    }

    /// The name a certificate has to be for.
    pub(super) fn server_name(&self) -> Option<ServerName<'static>> {
        match self.host() {
            // The dot says that the name is whole; certificates and SNI go without (RFC 6066 section 3).
            Host::Domain(name) => ServerName::try_from(name.trim_end_matches('.').to_owned()).ok(),
            Host::Ipv4(ip) => Some(ServerName::from(std::net::IpAddr::from(ip))),
            Host::Ipv6(ip) => Some(ServerName::from(std::net::IpAddr::from(ip))),
        }
    }

    /// The request target with `suffix`, a raw path and query, put behind the path as text: nothing in it is decoded
    /// or folded. One slash stands between them; the URL's own query comes first. A fragment, which no server ever sees,
    /// is left away, and `*` stands for no path at all. `None` when `suffix` cannot stand on a request line, is too
    /// long, or starts with neither `/` nor `?`.
    #[must_use]
    pub fn join(&self, suffix: &[u8]) -> Option<Vec<u8>> {
        let suffix = &suffix[..memchr::memchr(b'#', suffix).unwrap_or(suffix.len())];
        let suffix = if suffix == b"*" { b"" } else { suffix };
        let is_suffix = matches!(suffix, [] | [b'/' | b'?', ..]);
        if !is_suffix || suffix.len() > TARGET_BYTES_MAX || !(suffix.is_empty() || is_target(suffix)) {
            return None;
        }
        let at = memchr::memchr(b'?', suffix).unwrap_or(suffix.len());
        let (path, query) = suffix.split_at(at);
        let own_path = self.0.path();
        let own_path =
            if path.is_empty() { own_path } else { own_path.strip_suffix('/').unwrap_or(own_path) };
        let mut target = own_path.as_bytes().to_vec();
        target.extend_from_slice(path);
        match (self.0.query(), query) {
            (None, query) => target.extend_from_slice(query),
            (Some(own), [] | [b'?']) => target.extend_from_slice(format!("?{own}").as_bytes()),
            (Some(own), [_, query @ ..]) => {
                target.extend_from_slice(format!("?{own}&").as_bytes());
                target.extend_from_slice(query);
            }
        }
        Some(target)
    }
}

impl FromStr for TargetUrl {
    type Err = TargetUrlError;

    fn from_str(text: &str) -> Result<Self, TargetUrlError> {
        if text.len() > URL_BYTES_MAX {
            return Err(TargetUrlError::TooLong);
        }
        let (scheme, rest) = text.split_once("://").ok_or(TargetUrlError::Scheme)?;
        if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
            return Err(TargetUrlError::Scheme);
        }
        // The parser would take out or turn around these without a word.
        if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
            return Err(TargetUrlError::Character);
        }
        if text.contains('#') {
            return Err(TargetUrlError::Fragment);
        }
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(TargetUrlError::Credentials);
        }
        if authority.is_empty() {
            return Err(TargetUrlError::Host);
        }
        let url = Url::parse(text)?;
        if let Some(Host::Domain(name)) = url.host() {
            let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
            if !is_name || name.len() > HOST_BYTES_MAX || name.starts_with('.') || name.contains("..") {
                return Err(TargetUrlError::Host);
            }
        }
        if url.port() == Some(0) {
            return Err(TargetUrlError::Port);
        }
        // Escapes and punycode can make it longer.
        if url.as_str().len() > URL_BYTES_MAX {
            return Err(TargetUrlError::TooLong);
        }
        Ok(Self(url))
    }
}

impl fmt::Display for TargetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl Serialize for TargetUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl<'de> Deserialize<'de> for TargetUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> TargetUrl {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn a_url_is_shown_as_it_will_be_used_and_can_be_read_again() {
        let cases = [
            ("https://app.example/hooks", "https://app.example/hooks", "app.example", 443),
            ("HTTP://App.Example:80", "http://app.example/", "app.example", 80),
            ("https://app.example:8443/a?b=c", "https://app.example:8443/a?b=c", "app.example:8443", 8443),
            (
                "https://bücher.example/ü",
                "https://xn--bcher-kva.example/%C3%BC",
                "xn--bcher-kva.example",
                443,
            ),
            ("http://[2606:4700::0:1]:81/", "http://[2606:4700::1]:81/", "[2606:4700::1]:81", 81),
            ("http://a_b.example./x/../y", "http://a_b.example./y", "a_b.example.", 80),
        ];
        for (text, shown, authority, port) in cases {
            let target = url(text);
            assert_eq!(
                (target.to_string().as_str(), target.authority(), target.port()),
                (shown, authority, port)
            );
            assert_eq!(url(shown), target);
            let json = serde_json::to_string(&target).unwrap();
            assert_eq!(json, format!("\"{shown}\""));
            assert_eq!(serde_json::from_str::<TargetUrl>(&json).unwrap(), target);
        }
    }

    #[test]
    fn what_is_no_url_to_deliver_to_says_why() {
        use TargetUrlError as E;
        let long = format!("https://a.example/{}", "x".repeat(URL_BYTES_MAX));
        let grows = format!("https://a.example/{}", "ü".repeat(URL_BYTES_MAX / 3));
        let long_host = format!("https://{}.example/", "x".repeat(250));
        let cases = [
            ("", E::Scheme),
            ("app.example", E::Scheme),
            ("ftp://app.example/", E::Scheme),
            ("file:///etc/passwd", E::Scheme),
            ("gopher://127.0.0.1:6379/_x", E::Scheme),
            ("unix:/run/app.sock", E::Scheme),
            ("http:app.example/", E::Scheme),
            (" http://app.example/", E::Scheme),
            ("http://app.example/ ", E::Character),
            ("http://app.example/a b", E::Character),
            ("http://app.exa\nmple/", E::Character),
            ("http://app.example/\t", E::Character),
            ("http://app.example\\@evil.example/", E::Character),
            ("http://app.example/\u{3000}", E::Character),
            ("http://user:secret@app.example/", E::Credentials),
            ("http://@app.example/", E::Credentials),
            ("http://app.example#@evil.example/", E::Fragment),
            ("http://app.example/#", E::Fragment),
            ("http://", E::Host),
            ("http:///app.example/", E::Host),
            ("http://?x", E::Host),
            ("http://.example/", E::Host),
            ("http://a..example/", E::Host),
            ("http://a;b.example/", E::Host),
            ("http://a'b.example/", E::Host),
            (&long_host, E::Host),
            ("http://app.example:0/", E::Port),
            ("http://app.example:65536/", E::Syntax(url::ParseError::InvalidPort)),
            ("http://app.example:80x/", E::Syntax(url::ParseError::InvalidPort)),
            ("http://1.2.3.4.5/", E::Syntax(url::ParseError::InvalidIpv4Address)),
            ("http://256.1.1.1/", E::Syntax(url::ParseError::InvalidIpv4Address)),
            ("http://[::1/", E::Syntax(url::ParseError::InvalidIpv6Address)),
            ("http://[fe80::1%25eth0]/", E::Syntax(url::ParseError::InvalidIpv6Address)),
            (&long, E::TooLong),
            (&grows, E::TooLong),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<TargetUrl>(), Err(error), "{text}");
        }
    }

    #[test]
    fn the_events_path_and_query_follow_as_text() {
        let cases: [(&str, &[u8], &[u8]); 15] = [
            ("http://a.example/h", b"#x", b"/h"),
            ("http://a.example/h", b"/a?b#x", b"/h/a?b"),
            ("http://a.example/h", b"*", b"/h"),
            ("http://a.example", b"", b"/"),
            ("http://a.example", b"/", b"/"),
            ("http://a.example", b"?a=1", b"/?a=1"),
            ("http://a.example/hooks", b"", b"/hooks"),
            ("http://a.example/hooks/", b"", b"/hooks/"),
            ("http://a.example/hooks/", b"/x", b"/hooks/x"),
            ("http://a.example/hooks", b"/a//b/../%2e?x", b"/hooks/a//b/../%2e?x"),
            ("http://a.example/hooks", b"/\xff?", b"/hooks/\xff?"),
            ("http://a.example/h?key=1", b"", b"/h?key=1"),
            ("http://a.example/h?key=1", b"?", b"/h?key=1"),
            ("http://a.example/h?key=1", b"/x?b=2?", b"/h/x?key=1&b=2?"),
            ("http://a.example/h?key=1", b"/x", b"/h/x?key=1"),
        ];
        for (text, suffix, target) in cases {
            let joined = url(text).join(suffix).unwrap();
            assert_eq!(joined, target, "{text} {}", String::from_utf8_lossy(suffix));
        }
        let long = vec![b'/'; TARGET_BYTES_MAX + 1];
        for bad in [&b"x"[..], b"@evil", b"/a b", b"/a\r\nX: 1", b"/\0", &long] {
            assert_eq!(url("http://a.example").join(bad), None);
        }
    }

    #[test]
    fn a_certificate_has_to_be_for_the_host_of_the_url() {
        let name = |text| url(text).server_name().map(|name| name.to_str().into_owned());
        assert_eq!(name("https://App.example.:8443/"), Some("app.example".to_owned()));
        assert_eq!(name("https://[2606:4700::1]/"), Some("2606:4700::1".to_owned()));
        assert_eq!(name("https://0x08080808/"), Some("8.8.8.8".to_owned()));
    }
}
