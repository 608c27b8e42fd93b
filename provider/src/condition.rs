//! What a request must have to be recognised, greeted or verified by a variant: `header:n`, `header:n=prefix`,
//! `header:n==exactly`, the same for `query:`, `form:` and `json:`; `method:HEAD`, `type:application/json`,
//! `param:name` (the source gives it). A `!` before it turns it round.

use serde::Deserialize;

use crate::Request;
use crate::source::{self, Scope, Source};

#[derive(Deserialize, Clone, Debug)]
#[serde(try_from = "String")]
pub(crate) struct Condition {
    is_not: bool,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Method(String),
    Type(String),
    Param(String),
    Value(Source, Wanted),
}

#[derive(Clone, Debug)]
enum Wanted {
    Any,
    Start(String),
    Exactly(String),
}

impl TryFrom<String> for Condition {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (is_not, rest) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text.as_str()),
        };
        let what = if let Some(method) = rest.strip_prefix("method:") {
            What::Method(method.to_owned())
        } else if let Some(media_type) = rest.strip_prefix("type:") {
            What::Type(media_type.to_owned())
        } else if let Some(name) = rest.strip_prefix("param:") {
            What::Param(name.to_owned())
        } else {
            let (place, wanted) = match rest.split_once('=') {
                None => (rest, Wanted::Any),
                Some((place, value)) => match value.strip_prefix('=') {
                    Some(value) => (place, Wanted::Exactly(value.to_owned())),
                    None => (place, Wanted::Start(value.to_owned())),
                },
            };
            let source = Source::parse(place).ok_or_else(|| format!("`{text}` is no condition"))?;
            What::Value(source, wanted)
        };
        Ok(Self { is_not, what })
    }
}

impl Condition {
    /// The parameter it asks for, and whether it must be there.
    pub(crate) fn param(&self) -> Option<(&str, bool)> {
        match &self.what {
            What::Param(name) => Some((name, !self.is_not)),
            _ => None,
        }
    }

    /// The header field that has to be there for it, in lower case.
    pub(crate) fn header(&self) -> Option<&str> {
        match &self.what {
            What::Value(Source::Header(name), _) if !self.is_not => Some(name),
            _ => None,
        }
    }

    /// Whether the body must be read for it.
    pub(crate) fn reads_body(&self) -> bool {
        match &self.what {
            What::Value(source, _) => {
                !matches!(source, Source::Header(_) | Source::Series(_) | Source::Query(_))
            }
            _ => false,
        }
    }

    pub(crate) fn holds(&self, request: &Request<'_>) -> bool {
        let holds = match &self.what {
            What::Method(method) => request.method == method,
            What::Type(media_type) => source::media_type(request).eq_ignore_ascii_case(media_type.as_bytes()),
            What::Param(_) => !self.is_not,
            What::Value(Source::Header(name), wanted) => {
                request.headers.find(name).is_some_and(|value| wanted.takes(value))
            }
            What::Value(Source::Json(pointer, _), Wanted::Any) => {
                crate::json::find(request.body, pointer).is_some()
            }
            What::Value(source, wanted) => {
                let found = Scope::new(request).read(source);
                found.ok().flatten().is_some_and(|value| wanted.takes(&value))
            }
        };
        holds != self.is_not
    }
}

impl Wanted {
    fn takes(&self, value: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Start(start) => value.starts_with(start.as_bytes()),
            Self::Exactly(exactly) => value == exactly.as_bytes(),
        }
    }
}
