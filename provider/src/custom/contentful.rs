//! Contentful: method, path, chosen headers and body, a line each.
//! <https://www.contentful.com/developers/docs/extensibility/app-framework/request-verification/>

use std::borrow::Cow;

use ring::hmac;

use crate::encoding::{self, Encoding};
use crate::reject::{CannotSign, Rejection};
use crate::scheme::check_time;
use crate::source::Scope;
use crate::time;
use crate::verifier::{Verified, tag_of};

pub(crate) struct Contentful {
    keys: Vec<(usize, hmac::Key)>,
    tolerance_s: u32,
}

const SIGNATURE: &str = "x-contentful-signature";
const NAMES: &str = "x-contentful-signed-headers";
const TIMESTAMP: &str = "x-contentful-timestamp";
/// How long a request counts, as their library has it.
const TOLERANCE_S: u32 = 30;
/// Headers that can be signed.
const NAMES_MAX: usize = 64;

impl Contentful {
    pub(crate) fn new(secrets: &[(usize, String)], tolerance_s: Option<u32>) -> Self {
        let key = |secret: &str| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let keys = secrets.iter().map(|(at, secret)| (*at, key(secret))).collect();
        Self { keys, tolerance_s: tolerance_s.unwrap_or(TOLERANCE_S) }
    }

    pub(crate) fn can_sign(&self) -> bool {
        !self.keys.is_empty()
    }

    pub(crate) fn verify(&self, scope: &Scope<'_>, now_ms: u64) -> Result<Verified, Rejection> {
        if self.keys.is_empty() {
            return Err(Rejection::NoSecret);
        }
        let signature = scope.header(SIGNATURE)?.ok_or_else(|| Rejection::missing(SIGNATURE))?;
        let signature = Encoding::Hex
            .decode(signature)
            .filter(|signature| signature.len() == 32)
            .ok_or_else(|| Rejection::malformed(SIGNATURE, "it is not a SHA-256 in hexadecimal"))?;
        let written = scope
            .header(TIMESTAMP)?
            .ok_or_else(|| Rejection::TimestampMissing { name: TIMESTAMP.to_owned() })?;
        let signed_ms = std::str::from_utf8(written)
            .ok()
            .and_then(time::digits)
            .ok_or_else(|| Rejection::malformed(TIMESTAMP, "it is not a number of milliseconds"))?;
        let head = head(scope, scope.header_text(NAMES)?)?;
        let parts = [Cow::Borrowed(head.as_slice()), Cow::Borrowed(scope.request.body)];
        let matched =
            self.keys.iter().find(|(_, key)| encoding::is_same(tag_of(key, &parts).as_ref(), &signature));
        let (secret, _) = matched.ok_or(Rejection::WrongSecret)?;
        // Their library refuses at the very edge.
        let edge = u64::from(self.tolerance_s) * 1000;
        if edge > 0 && now_ms.saturating_sub(signed_ms) == edge {
            return Err(Rejection::Stale { age_s: edge / 1000, tolerance_s: self.tolerance_s });
        }
        check_time(signed_ms, now_ms, self.tolerance_s)?;
        Ok(Verified { covers_body: true, secret: *secret, signed_ms: Some(signed_ms) })
    }

    pub(crate) fn sign(&self, scope: &Scope<'_>, now_ms: u64) -> Result<Vec<(String, String)>, CannotSign> {
        let (_, key) = self.keys.first().ok_or(CannotSign::NoSecret)?;
        let mut names: Vec<String> = match scope.header(NAMES)? {
            Some(_) => {
                scope.header_text(NAMES)?.split(',').map(|name| name.trim().to_ascii_lowercase()).collect()
            }
            None => Vec::new(),
        };
        if names.is_empty() {
            let sent = scope
                .request
                .headers
                .iter()
                .map(|(name, _)| String::from_utf8_lossy(name).to_ascii_lowercase());
            names = sent.filter(|name| name == "content-type" || name == "x-contentful-topic").collect();
        }
        names.extend([NAMES.to_owned(), TIMESTAMP.to_owned()]);
        names.sort();
        names.dedup();
        let names = names.join(",");
        let mut fields = vec![(NAMES.to_owned(), names.clone()), (TIMESTAMP.to_owned(), now_ms.to_string())];
        let head = head(&Scope { fields: &fields, ..*scope }, &names)?;
        let tag = tag_of(key, &[Cow::Borrowed(&head), Cow::Borrowed(scope.request.body)]);
        fields.push((SIGNATURE.to_owned(), Encoding::Hex.encode(tag.as_ref())));
        Ok(fields)
    }
}

/// What is signed before the body.
fn head(scope: &Scope<'_>, names: &str) -> Result<Vec<u8>, Rejection> {
    let mut sorted: Vec<String> =
        names.split(',').take(NAMES_MAX + 1).map(|name| name.trim().to_ascii_lowercase()).collect();
    if sorted.len() > NAMES_MAX {
        return Err(Rejection::malformed(NAMES, "it names too many headers"));
    }
    sorted.sort();
    sorted.dedup();
    // Unsigned, the time could be any.
    if !sorted.iter().any(|name| name == TIMESTAMP) || !sorted.iter().any(|name| name == NAMES) {
        return Err(Rejection::malformed(NAMES, "it leaves out itself or the time"));
    }
    let mut head = format!("{}\n{}\n", scope.request.method, encoded_path(scope.request.url)).into_bytes();
    for (at, name) in sorted.iter().enumerate() {
        let value = scope.header(name)?.ok_or_else(|| Rejection::missing(name.as_str()))?;
        if at > 0 {
            head.push(b';');
        }
        head.extend_from_slice(name.as_bytes());
        head.push(b':');
        head.extend_from_slice(value.trim_ascii());
    }
    head.push(b'\n');
    Ok(head)
}

/// Path and query as their library escapes them: the query twice.
fn encoded_path(url: &str) -> String {
    let target = url.split_once("://").map_or(url, |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, query.split('?').next().unwrap_or_default()),
        None => (target, ""),
    };
    let mut encoded = escape(path, URI_MARKS);
    if !query.is_empty() {
        encoded.push('?');
        encoded.push_str(&escape(&escape(query, b"-_.!~*'()"), URI_MARKS));
    }
    encoded
}

/// What `encodeURI` leaves as it is, besides letters and digits.
const URI_MARKS: &[u8] = b"-_.!~*'();/?:@&=+$,#";

fn escape(text: &str, marks: &[u8]) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || marks.contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_query_is_escaped_twice() {
        assert_eq!(super::encoded_path("https://h.example/h/cf"), "/h/cf");
        assert_eq!(super::encoded_path("https://h.example/a b?x=1"), "/a%20b?x%253D1");
        assert_eq!(super::encoded_path("https://h.example"), "/");
    }
}
