//! Where in a request a value is: `header:name`, `headers:prefix-` (a numbered series), `query:name`, `form:name`,
//! `json:/pointer`, `form:name#/pointer` (JSON in a form field), `json_key:/name` (the first name that is another one),
//! `item:/pointer` (of one item of a batch).

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::Request;
use crate::json::{self, Pointer};
use crate::reject::Rejection;

/// One place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Header(String),
    Series(String),
    Query(String),
    Form(String),
    FormJson(String, Pointer, String),
    Json(Pointer, String),
    JsonKey(String),
    Item(Pointer, String),
}

impl Source {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (kind, place) = text.split_once(':')?;
        let owned = || Some(place.to_owned()).filter(|place| !place.is_empty());
        let header =
            || Some(place.to_ascii_lowercase()).filter(|name| protocol::field::is_token(name.as_bytes()));
        Some(match kind {
            "header" => Self::Header(header()?),
            "headers" => Self::Series(header()?),
            "query" => Self::Query(owned()?),
            "form" => match place.split_once('#') {
                Some((name, pointer)) => {
                    Self::FormJson(name.to_owned(), Pointer::parse(pointer)?, place.to_owned())
                }
                None => Self::Form(owned()?),
            },
            "json" => Self::Json(Pointer::parse(place)?, place.to_owned()),
            "json_key" => Self::JsonKey(place.strip_prefix('/')?.to_owned()),
            "item" => Self::Item(Pointer::parse(place)?, place.to_owned()),
            _ => return None,
        })
    }

    /// What people call it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Header(name) => name.clone(),
            Self::Series(prefix) => format!("{prefix}1"),
            Self::Query(name) => format!("{name} of the query"),
            Self::Form(name) | Self::FormJson(_, _, name) => format!("{name} of the form"),
            Self::Json(_, place) | Self::Item(_, place) => format!("{place} of the JSON"),
            Self::JsonKey(_) => "the JSON object".to_owned(),
        }
    }
}

/// Places of which the first that is there counts: `json:/a|form:b`.
pub(crate) fn parse_all(text: &str) -> Option<Vec<Source>> {
    text.split('|').map(Source::parse).collect()
}

/// A request, and what is read in its stead: one item of a batch, fields that are about to be signed.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) request: &'a Request<'a>,
    pub(crate) item: Option<&'a RawValue>,
    pub(crate) fields: &'a [(String, String)],
}

impl<'a> Scope<'a> {
    pub(crate) fn new(request: &'a Request<'a>) -> Self {
        Self { request, item: None, fields: &[] }
    }

    /// The value at a place; what comes twice is refused.
    pub(crate) fn read(&self, source: &Source) -> Result<Option<Cow<'a, [u8]>>, Rejection> {
        let text = |text: Option<String>| Ok(text.map(|text| Cow::Owned(text.into_bytes())));
        match source {
            Source::Header(name) => self.header(name).map(|value| value.map(Cow::Borrowed)),
            Source::Series(prefix) => {
                self.header(&format!("{prefix}1")).map(|value| value.map(Cow::Borrowed))
            }
            Source::Query(name) => once(query(self.request.url), name, source),
            Source::Form(name) => match self.form() {
                Some(form) => once(form, name, source),
                None => Ok(None),
            },
            Source::FormJson(name, pointer, _) => match self.form() {
                Some(form) => {
                    let value = once(form, name, source)?;
                    text(value.and_then(|value| json::find_text(&value, pointer)))
                }
                None => Ok(None),
            },
            Source::Json(pointer, _) => text(json::find_text(self.request.body, pointer)),
            Source::JsonKey(except) => text(json::first_key(self.request.body, except)),
            Source::Item(pointer, _) => {
                text(self.item.and_then(|item| json::find_text(item.get().as_bytes(), pointer)))
            }
        }
    }

    /// The first that is there.
    pub(crate) fn first(&self, places: &[Source]) -> Result<Option<Cow<'a, [u8]>>, Rejection> {
        for source in places {
            if let Some(found) = self.read(source)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// A header that comes once.
    pub(crate) fn header(&self, name: &str) -> Result<Option<&'a [u8]>, Rejection> {
        if let Some((_, value)) = self.fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)) {
            return Ok(Some(value.as_bytes()));
        }
        let mut found = None;
        for (field, value) in self.request.headers {
            if field.eq_ignore_ascii_case(name.as_bytes()) && found.replace(value).is_some() {
                return Err(Rejection::HeaderTwice { name: name.to_owned() });
            }
        }
        Ok(found)
    }

    /// A header that comes once, as text.
    pub(crate) fn header_text(&self, name: &str) -> Result<&'a str, Rejection> {
        let value = self.header(name)?.ok_or_else(|| Rejection::missing(name))?;
        std::str::from_utf8(value).map_err(|_| Rejection::malformed(name, "it is not text"))
    }

    /// The fields of a form, where the body is said to be one.
    pub(crate) fn form(&self) -> Option<form_urlencoded::Parse<'a>> {
        is_form(self.request).then(|| form_urlencoded::parse(self.request.body))
    }
}

/// Whether the body is said to be a URL-encoded form.
pub(crate) fn is_form(request: &Request<'_>) -> bool {
    media_type(request).eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

/// `Content-Type` without parameters.
pub(crate) fn media_type<'a>(request: &Request<'a>) -> &'a [u8] {
    let whole = request.headers.find("content-type").unwrap_or_default();
    whole.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii()
}

/// The part of a URL after `?`, without a fragment.
pub(crate) fn query_text(url: &str) -> &str {
    let whole = url.split('#').next().unwrap_or_default();
    whole.split_once('?').map_or("", |(_, query)| query)
}

pub(crate) fn query(url: &str) -> form_urlencoded::Parse<'_> {
    form_urlencoded::parse(query_text(url).as_bytes())
}

fn once<'a>(
    fields: form_urlencoded::Parse<'a>,
    name: &str,
    source: &Source,
) -> Result<Option<Cow<'a, [u8]>>, Rejection> {
    let mut found = None;
    for (field, value) in fields {
        if field == name && found.replace(value).is_some() {
            return Err(Rejection::HeaderTwice { name: source.name() });
        }
    }
    Ok(found.map(|value| match value {
        Cow::Borrowed(value) => Cow::Borrowed(value.as_bytes()),
        Cow::Owned(value) => Cow::Owned(value.into_bytes()),
    }))
}
