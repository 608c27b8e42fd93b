//! What a transform's output makes of a request.
//!
//! Pure. What comes out is a request that can be sent as it is: method and target are checked, fields that frame,
//! route or concern one connection are the relay's, and the framing fields fit the body.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use protocol::field::{
    FieldError, HeaderBlock, is_hop_by_hop, is_protected, is_target, is_token, says_origin,
};
use protocol::limits::{METHOD_BYTES_MAX, TARGET_BYTES_MAX};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::document::JqEvent;

/// Longest name of a key or field that an error repeats, in characters.
const NAME_CHARS_MAX: usize = 60;

/// Most names an error repeats.
const NAMES_MAX: usize = 5;

/// The keys a transform may give.
const KEYS: [&str; 5] = ["method", "path", "headers", "body", "drop"];

/// A request as a transform wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transformed {
    /// Method token.
    pub method: String,
    /// Request target.
    pub target: Vec<u8>,
    /// Header fields. With a new body there is one `Content-Length`, and no other framing field.
    pub headers: HeaderBlock,
    /// The body.
    pub body: Bytes,
}

/// Outputs that are no transform. All are mistakes of the expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransformError {
    /// Not an object.
    #[error("the output is not an object")]
    NotAnObject,
    /// Keys that say nothing here.
    #[error("the output has unknown keys: {}; there are method, path, headers, body and drop", .0.join(", "))]
    UnknownKeys(Vec<String>),
    /// A key with a value of a wrong type.
    #[error("`{0}` must be {1}")]
    Type(&'static str, &'static str),
    /// No method token, longer than 32 bytes, or `CONNECT`.
    #[error("`method` is not the name of a method")]
    Method,
    /// Not a path with or without a query, or longer than 16 KiB.
    #[error("`path` must start with `/`, hold no spaces, control characters or `#`, and be at most 16 KiB")]
    Path,
    /// A header that is neither a string, nor an array of strings, nor null.
    #[error("header `{0}` must be a string, an array of strings, or null")]
    HeaderType(String),
    /// A header that is the relay's to say.
    #[error("header `{0}` cannot be changed: it belongs to the connection or to the relay")]
    HeaderRefused(String),
    /// A header named twice, in different letter case.
    #[error("header `{0}` is named twice")]
    HeaderTwice(String),
    /// A header that cannot be.
    #[error("header `{0}` cannot be sent: {1}")]
    Header(String, #[source] FieldError),
}

/// The request that `output` makes of `event`; `None` when it is not to be sent.
///
/// The output is an object of any of
/// - `drop`: true sends nothing, as does no output at all;
/// - `method`;
/// - `path`: path and query, both replaced;
/// - `headers`: an object of a string, an array of strings, or null to remove. A field that is named replaces all of its
///   name and stands at the end. Framing, hop-by-hop, origin (`X-Forwarded-*`), `Host` and `Relay-*` fields may be
///   named only with the value they have, so that `.headers + {…}` can be given;
/// - `body`: a string is sent as it is; anything else, null too, as its JSON text with
///   `Content-Type: application/json` unless `headers` names another. `Content-Encoding` goes with the old body unless
///   `headers` names it.
///
/// What is not named stays as it was.
///
/// # Errors
/// See [`TransformError`].
pub fn apply(output: Option<&[u8]>, event: &JqEvent<'_>) -> Result<Option<Transformed>, TransformError> {
    let Some(output) = output else { return Ok(None) };
    let wishes: BTreeMap<String, &RawValue> =
        serde_json::from_slice(output).map_err(|_| TransformError::NotAnObject)?;
    let unknown: Vec<_> =
        wishes.keys().filter(|key| !KEYS.contains(&key.as_str())).take(NAMES_MAX).map(|k| named(k)).collect();
    if !unknown.is_empty() {
        return Err(TransformError::UnknownKeys(unknown));
    }
    if read(&wishes, "drop", "true or false")? == Some(true) {
        return Ok(None);
    }
    let method: Option<String> = read(&wishes, "method", "a string")?;
    let path: Option<String> = read(&wishes, "path", "a string")?;
    let headers: Option<BTreeMap<String, serde_json::Value>> = read(&wishes, "headers", "an object")?;
    let headers = wanted_fields(headers.unwrap_or_default(), event.headers)?;
    let body = wishes.get("body").map(|body| NewBody::of(body));
    Ok(Some(Transformed {
        method: checked_method(method, event.method)?,
        target: checked_target(path, event.target)?,
        headers: rewritten(event.headers, &headers, body.as_ref())?,
        body: body.map_or_else(|| event.body.clone(), |body| body.bytes),
    }))
}

fn read<T: DeserializeOwned>(
    wishes: &BTreeMap<String, &RawValue>,
    key: &'static str,
    expected: &'static str,
) -> Result<Option<T>, TransformError> {
    let wish = wishes.get(key).map(|value| serde_json::from_str(value.get()));
    wish.transpose().map_err(|_| TransformError::Type(key, expected))
}

fn checked_method(wish: Option<String>, before: &str) -> Result<String, TransformError> {
    let Some(method) = wish else { return Ok(before.to_owned()) };
    let is_sound = is_token(method.as_bytes()) && method.len() <= METHOD_BYTES_MAX;
    // Its target is no path, and what follows its answer is no HTTP.
    if !is_sound || method.eq_ignore_ascii_case("CONNECT") {
        return Err(TransformError::Method);
    }
    Ok(method)
}

fn checked_target(wish: Option<String>, before: &[u8]) -> Result<Vec<u8>, TransformError> {
    let Some(path) = wish else { return Ok(before.to_vec()) };
    let is_sound = path.starts_with('/') && is_target(path.as_bytes()) && path.len() <= TARGET_BYTES_MAX;
    if !is_sound || path.contains('#') {
        return Err(TransformError::Path);
    }
    Ok(path.into_bytes())
}

struct NewBody {
    bytes: Bytes,
    is_json: bool,
}

impl NewBody {
    fn of(wish: &RawValue) -> Self {
        match serde_json::from_str::<String>(wish.get()) {
            Ok(text) => Self { bytes: text.into(), is_json: false },
            Err(_) => Self { bytes: Bytes::copy_from_slice(wish.get().as_bytes()), is_json: true },
        }
    }
}

/// Wanted values by name; none removes the field.
type WantedFields = Vec<(String, Vec<String>)>;

fn wanted_fields(
    wishes: BTreeMap<String, serde_json::Value>,
    before: &HeaderBlock,
) -> Result<WantedFields, TransformError> {
    use serde_json::Value;
    let mut fields = WantedFields::new();
    let mut seen = BTreeSet::new();
    for (name, wish) in wishes {
        let strings = match wish {
            Value::Null => Some(Vec::new()),
            Value::String(value) => Some(vec![value]),
            Value::Array(values) => values
                .into_iter()
                .map(|value| if let Value::String(value) = value { Some(value) } else { None })
                .collect(),
            _ => None,
        };
        let values = strings.ok_or_else(|| TransformError::HeaderType(named(&name)))?;
        if !seen.insert(name.to_ascii_lowercase()) {
            return Err(TransformError::HeaderTwice(named(&name)));
        }
        if !is_free(name.as_bytes()) {
            if is_as_before(&name, &values, before) {
                continue;
            }
            return Err(TransformError::HeaderRefused(named(&name)));
        }
        fields.push((name, values));
    }
    Ok(fields)
}

/// Whether people may say what a field of a request is: it does not frame the message, concerns no one connection, and is
/// none of those the relay says.
pub(crate) fn is_free(name: &[u8]) -> bool {
    !(is_protected(name) || is_hop_by_hop(name) || says_origin(name))
}

/// Whether `values` are what a document shows of the fields called `name`.
fn is_as_before(name: &str, values: &[String], before: &HeaderBlock) -> bool {
    let fields = before.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()));
    fields.map(|(_, value)| String::from_utf8_lossy(value)).eq(values.iter().map(String::as_str))
}

fn rewritten(
    before: &HeaderBlock,
    wanted: &WantedFields,
    body: Option<&NewBody>,
) -> Result<HeaderBlock, TransformError> {
    let is_wanted = |name: &[u8]| wanted.iter().any(|(w, _)| w.as_bytes().eq_ignore_ascii_case(name));
    let says_new_type = body.is_some_and(|body| body.is_json) && !is_wanted(b"content-type");
    // What described the old body and its way of being sent.
    let goes_with_body = |name: &[u8]| {
        const NAMES: [&[u8]; 4] = [b"content-length", b"transfer-encoding", b"trailer", b"content-encoding"];
        NAMES.iter().any(|n| n.eq_ignore_ascii_case(name))
            || says_new_type && name.eq_ignore_ascii_case(b"content-type")
    };
    let mut after = HeaderBlock::with_capacity(before.as_bytes().len());
    let push = |block: &mut HeaderBlock, name: &str, value: &str| {
        let pushed = block.push(name.as_bytes(), value.as_bytes());
        pushed.map_err(|error| TransformError::Header(named(name), error))
    };
    // Those kept were within the caps before.
    let copied =
        after.copy_from(before, |name, _| !(is_wanted(name) || body.is_some() && goes_with_body(name)));
    copied.map_err(|error| TransformError::Header("all".to_owned(), error))?;
    for (name, values) in wanted {
        for value in values {
            push(&mut after, name, value)?;
        }
    }
    if let Some(body) = body {
        if says_new_type {
            push(&mut after, "Content-Type", "application/json")?;
        }
        push(&mut after, "Content-Length", &body.bytes.len().to_string())?;
    }
    Ok(after)
}

/// A name as an error repeats it.
fn named(name: &str) -> String {
    let escaped = name.escape_debug().to_string();
    match escaped.char_indices().nth(NAME_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &escaped[..at]),
        None => escaped,
    }
}

#[cfg(test)]
mod tests;
