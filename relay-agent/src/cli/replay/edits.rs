//! Changes to one request before it is sent again.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use protocol::field::{HeaderBlock, is_field_value, is_target, is_token};
use relay_agent::LocalRequest;
use relay_agent::fixture::{BODY_BYTES_MAX, FixtureError};
use serde_json::{Map, Value, json};

use super::super::context::UsageError;
use super::super::filter::method;

/// What to change, as it was asked for.
#[derive(clap::Args)]
#[command(next_help_heading = "Edits of a single request")]
pub(super) struct Edits {
    /// Send it with this method; with --source, --state and their kind: only events sent with it
    #[arg(long, value_name = "METHOD", value_parser = method)]
    method: Option<String>,
    /// Send it to this path, query included
    #[arg(long, value_name = "PATH", value_parser = path)]
    path: Option<String>,
    /// Put this field in place of those of its name; may be repeated
    #[arg(long, value_name = "NAME: VALUE", value_parser = field)]
    header: Vec<(String, String)>,
    /// Leave out the fields of this name; may be repeated
    #[arg(long, value_name = "NAME", value_parser = name)]
    without_header: Vec<String>,
    /// Send this file as the body
    #[arg(long, value_name = "FILE")]
    body_file: Option<PathBuf>,
}

/// The same, with the body read.
pub(super) struct Loaded {
    edits: Edits,
    body: Option<Bytes>,
}

fn path(text: &str) -> Result<String, String> {
    let is_path = text.starts_with('/') && is_target(text.as_bytes());
    if is_path { Ok(text.to_owned()) } else { Err("a path starts with `/` and holds no spaces".to_owned()) }
}

fn name(text: &str) -> Result<String, String> {
    if is_token(text.as_bytes()) {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is not the name of a header field"))
    }
}

/// `Name: value`.
pub(in super::super) fn field(text: &str) -> Result<(String, String), String> {
    let wrong = || format!("expected `Name: value`, not `{text}`");
    let (name, value) = text.split_once(':').ok_or_else(wrong)?;
    let value = value.trim_matches([' ', '\t']);
    let is_field = is_token(name.as_bytes()) && is_field_value(value.as_bytes());
    if is_field { Ok((name.to_owned(), value.to_owned())) } else { Err(wrong()) }
}

impl Edits {
    /// Whether anything is to be changed.
    pub(super) fn is_any(&self) -> bool {
        let is_head = self.method.is_some() || self.path.is_some();
        is_head || !self.header.is_empty() || !self.without_header.is_empty() || self.body_file.is_some()
    }

    /// Nothing but a method, which is then one to look for.
    pub(super) fn only_method(self) -> Result<Option<String>, UsageError> {
        let Self { method, path, header, without_header, body_file } = self;
        if path.is_some() || !header.is_empty() || !without_header.is_empty() || body_file.is_some() {
            return Err(UsageError::Other("edits are for one request; name it by its id".to_owned()));
        }
        Ok(method)
    }

    /// Reads the new body.
    pub(super) fn load(self) -> anyhow::Result<Loaded> {
        let body = self.body_file.as_ref().map(|path| {
            let failed = |source| FixtureError::Read { path: path.clone(), source };
            let mut body = Vec::new();
            File::open(path)
                .and_then(|file| file.take(BODY_BYTES_MAX + 1).read_to_end(&mut body))
                .map_err(failed)?;
            if body.len() as u64 > BODY_BYTES_MAX {
                return Err(FixtureError::TooLarge { path: path.clone(), bytes_max: BODY_BYTES_MAX });
            }
            Ok(Bytes::from(body))
        });
        Ok(Loaded { body: body.transpose()?, edits: self })
    }
}

impl Loaded {
    /// As the server takes them.
    pub(super) fn object(&self) -> Map<String, Value> {
        let Edits { method, path, header, without_header, .. } = &self.edits;
        let body = self.body.as_ref().map(|body| match std::str::from_utf8(body) {
            Ok(text) => json!({ "text": text }),
            Err(_) => json!({ "base64": STANDARD.encode(body) }),
        });
        let all = [
            ("method", method.as_ref().map(|method| json!(method))),
            ("path", path.as_ref().map(|path| json!(path))),
            ("headers", (!header.is_empty()).then(|| json!(header))),
            ("remove_headers", (!without_header.is_empty()).then(|| json!(without_header))),
            ("body", body),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }

    /// Changes the request. What is not named stays as it is, in its place.
    pub(super) fn apply(&self, request: &mut LocalRequest) -> Result<(), UsageError> {
        let Edits { method, path, header, without_header, .. } = &self.edits;
        if let Some(method) = method {
            request.method.clone_from(method);
        }
        if let Some(path) = path {
            request.target = path.clone().into_bytes();
        }
        if let Some(body) = &self.body {
            request.body = body.clone();
        }
        if header.is_empty() && without_header.is_empty() {
            return Ok(());
        }
        let full = |error| UsageError::Other(format!("--header: {error}"));
        let is = |name: &[u8], other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        let mut changed = HeaderBlock::with_capacity(request.headers.as_bytes().len());
        let mut put = vec![false; header.len()];
        for (name, value) in &request.headers {
            if without_header.iter().any(|unwanted| is(name, unwanted)) {
                continue;
            }
            if !header.iter().any(|(new, _)| is(name, new)) {
                changed.push(name, value).map_err(full)?;
                continue;
            }
            // The first of the old ones gives its place to all new ones of its name.
            for ((new, value), put) in
                header.iter().zip(&mut put).filter(|((new, _), put)| is(name, new) && !**put)
            {
                changed.push(new.as_bytes(), value.as_bytes()).map_err(full)?;
                *put = true;
            }
        }
        for ((new, value), _) in header.iter().zip(put).filter(|(_, put)| !put) {
            changed.push(new.as_bytes(), value.as_bytes()).map_err(full)?;
        }
        request.headers = changed;
        Ok(())
    }
}
