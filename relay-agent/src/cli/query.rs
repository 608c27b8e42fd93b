//! Paths of the API with their queries, escaped.

use std::fmt::Display;

/// A path under `/api/v1`, growing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query {
    text: String,
    has_any: bool,
}

impl Query {
    /// `/api/v1` and this, which needs no escapes: our own words, names and ids.
    pub(super) fn of(path: impl Display) -> Self {
        Self { text: format!("/api/v1{path}"), has_any: false }
    }

    /// The same, with `name=value`.
    pub(super) fn with(mut self, name: &str, value: impl Display) -> Self {
        self.text.push(if self.has_any { '&' } else { '?' });
        self.has_any = true;
        self.text.push_str(name);
        self.text.push('=');
        self.text.extend(value.to_string().bytes().map(percent));
        self
    }

    /// The same, with `name=value` where there is a value.
    pub(super) fn maybe(self, name: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

/// A byte as it stands in a query value (RFC 3986 section 2.3 lists what needs no escape).
fn percent(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_and_missing_ones_left_out() {
        assert_eq!(Query::of("/events").text(), "/api/v1/events");
        let query = Query::of("/events").with("limit", 5).maybe("source", None::<&str>);
        assert_eq!(query.text(), "/api/v1/events?limit=5");
        let query = query.maybe("before", Some("a&b=c/ä"));
        assert_eq!(query.text(), "/api/v1/events?limit=5&before=a%26b%3Dc%2F%C3%A4");
    }
}
