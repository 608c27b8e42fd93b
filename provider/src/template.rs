//! What is signed, as a template: literal text and `{body}` `{ts}` `{url}` `{url_decoded}` `{method}` `{form_sorted}`
//! `{secret}` `{body|form:name}` and any place (`{header:name}`, `{json:/a|form:b}`, `{item:/a}`).
//!
//! A template gives parts, in order; the body among them is never copied.

use std::borrow::Cow;

use crate::reject::Rejection;
use crate::source::{self, Scope, Source};

#[derive(Clone, Debug)]
enum Piece {
    Literal(String),
    Body,
    BodyOrForm(String),
    Time,
    Url,
    UrlDecoded,
    Method,
    FormSorted,
    Secret,
    Place(Vec<Source>),
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Template(Vec<Piece>);

/// More fields than any form has that is signed field by field.
const FORM_FIELDS_MAX: usize = 4096;
/// More pieces than any template has.
const PIECES_MAX: usize = 64;

impl Template {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            if !before.is_empty() {
                pieces.push(Piece::Literal(before.to_owned()));
            }
            let (inside, behind) = after.split_once('}')?;
            pieces.push(match inside {
                "body" => Piece::Body,
                "ts" => Piece::Time,
                "url" => Piece::Url,
                "url_decoded" => Piece::UrlDecoded,
                "method" => Piece::Method,
                "form_sorted" => Piece::FormSorted,
                "secret" => Piece::Secret,
                place => match place.strip_prefix("body|form:") {
                    Some(name) => Piece::BodyOrForm(name.to_owned()),
                    None => Piece::Place(source::parse_all(place)?),
                },
            });
            rest = behind;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest.to_owned()));
        }
        (pieces.len() <= PIECES_MAX).then_some(Self(pieces))
    }

    /// Whether a changed body changes what is signed.
    pub(crate) fn covers_body(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Body | Piece::BodyOrForm(_) | Piece::FormSorted))
    }

    pub(crate) fn has_time(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Time))
    }

    /// Names of the headers that are signed.
    pub(crate) fn headers(&self) -> impl Iterator<Item = &str> {
        let places = self.0.iter().filter_map(|piece| match piece {
            Piece::Place(places) => Some(places),
            _ => None,
        });
        places.flatten().filter_map(|source| match source {
            Source::Header(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// The parts that are signed, in order.
    pub(crate) fn parts<'a>(
        &'a self,
        scope: &Scope<'a>,
        time: &'a str,
        secret: &'a str,
    ) -> Result<Vec<Cow<'a, [u8]>>, Rejection> {
        let request = scope.request;
        let mut parts = Vec::with_capacity(self.0.len());
        for piece in &self.0 {
            parts.push(match piece {
                Piece::Literal(text) => Cow::Borrowed(text.as_bytes()),
                Piece::Body => Cow::Borrowed(request.body),
                Piece::BodyOrForm(name) => {
                    let field = scope.read(&Source::Form(name.clone()))?;
                    field.unwrap_or(Cow::Borrowed(request.body))
                }
                Piece::Time => Cow::Borrowed(time.as_bytes()),
                Piece::Url => Cow::Borrowed(request.url.as_bytes()),
                Piece::UrlDecoded => Cow::Owned(decode_marks(request.url)),
                Piece::Method => Cow::Borrowed(request.method.as_bytes()),
                Piece::FormSorted => Cow::Owned(sorted_form(scope)?),
                Piece::Secret => Cow::Borrowed(secret.as_bytes()),
                Piece::Place(places) => match (scope.first(places)?, places.first()) {
                    (Some(found), _) => found,
                    // Of an item all fields are signed that there are.
                    (None, Some(Source::Item(..)) | None) => Cow::Borrowed(&[][..]),
                    (None, Some(source)) => return Err(Rejection::missing(source.name())),
                },
            });
        }
        Ok(parts)
    }
}

/// All fields by name, each name followed by its value (Mandrill).
fn sorted_form(scope: &Scope<'_>) -> Result<Vec<u8>, Rejection> {
    Ok(joined(&form_fields(scope)?))
}

/// Each name followed by its value, with nothing between.
pub(crate) fn joined(fields: &[Field<'_>]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(fields.iter().map(|(name, value)| name.len() + value.len()).sum());
    for (name, value) in fields {
        joined.extend_from_slice(name.as_bytes());
        joined.extend_from_slice(value.as_bytes());
    }
    joined
}

/// Name and value of a form's field.
pub(crate) type Field<'a> = (Cow<'a, str>, Cow<'a, str>);

/// All fields of a form by name; those of one name in the order sent.
pub(crate) fn form_fields<'a>(scope: &Scope<'a>) -> Result<Vec<Field<'a>>, Rejection> {
    let Some(form) = scope.form() else { return Ok(Vec::new()) };
    let mut fields: Vec<_> = form.take(FORM_FIELDS_MAX + 1).collect();
    if fields.len() > FORM_FIELDS_MAX {
        return Err(Rejection::malformed("the form", "it has more fields than are sorted"));
    }
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(fields)
}

/// The twelve escapes HubSpot writes out before it signs; all others stay as they are.
fn decode_marks(url: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(url.len());
    let mut rest = url.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let escaped = (*byte == b'%').then(|| after.first_chunk::<2>()).flatten();
        let mark = escaped.and_then(|digits| match &digits.map(|digit| digit.to_ascii_uppercase()) {
            b"3A" => Some(b':'),
            b"2F" => Some(b'/'),
            b"3F" => Some(b'?'),
            b"40" => Some(b'@'),
            b"21" => Some(b'!'),
            b"24" => Some(b'$'),
            b"27" => Some(b'\''),
            b"28" => Some(b'('),
            b"29" => Some(b')'),
            b"2A" => Some(b'*'),
            b"2C" => Some(b','),
            b"3B" => Some(b';'),
            _ => None,
        });
        decoded.push(mark.unwrap_or(*byte));
        rest = if mark.is_some() { &after[2..] } else { after };
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_marks_of_the_table_are_written_out() {
        let decoded = decode_marks("https://x/?a=%3A%2f%20%25%40%&b=%2");
        assert_eq!(decoded, b"https://x/?a=:/%20%25@%&b=%2");
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for text in ["{body", "{nothing}", "{header:}", "{header:a b}", "{json:a}"] {
            assert!(Template::parse(text).is_none(), "{text}");
        }
    }
}
