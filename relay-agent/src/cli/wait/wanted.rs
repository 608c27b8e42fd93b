//! Which event is waited for, and in what another one differs.

use protocol::field::HeaderBlock;
use relay_agent::forward::event_name::event_name;
use serde_json::Value;

use super::super::filter::Status;
use super::super::{recorded, records};

/// What is waited for; what is not said does not matter.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) method: Option<String>,
    pub(super) path: Option<String>,
    pub(super) status: Option<Status>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<String>,
    pub(super) name: Option<String>,
}

impl Wanted {
    /// In what an event differs, as far as a line of the stream says.
    pub(super) fn line_differs(&self, line: &Value) -> Vec<&'static str> {
        let mut differs = Vec::new();
        let is_other = |method: &String| records::text(line, "method") != Some(method.as_str());
        differs.extend(self.method.as_ref().is_some_and(is_other).then_some("method"));
        differs.extend(self.path.as_ref().is_some_and(|prefix| !is_under(line, prefix)).then_some("path"));
        differs
    }

    /// In what an event differs, its body aside.
    pub(super) fn request_differs(&self, event: &Value) -> Vec<&'static str> {
        let mut differs = self.line_differs(event);
        let fields = fields(event);
        let has = |(name, value): &(String, String)| {
            let is_same =
                |(n, v): &(&[u8], &[u8])| n.eq_ignore_ascii_case(name.as_bytes()) && *v == value.as_bytes();
            fields.iter().any(|field| is_same(&field))
        };
        differs.extend((!self.headers.iter().all(has)).then_some("header"));
        let name = || records::text(event, "name").map(str::to_owned).or_else(|| event_name(&fields));
        differs.extend(
            self.name.as_ref().is_some_and(|wanted| Some(wanted) != name().as_ref()).then_some("event"),
        );
        differs
    }

    /// Whether a line about a delivery says what is waited for.
    pub(super) fn is_delivered_by(&self, line: &Value) -> bool {
        match &self.status {
            Some(status) => records::number(line, "status").is_some_and(|given| status.takes(given)),
            None => records::text(line, "state") == Some("delivered"),
        }
    }

    /// In what an event differs that matches otherwise and is over.
    pub(super) fn undelivered(&self) -> &'static str {
        if self.status.is_some() { "status" } else { "not having been delivered" }
    }
}

fn is_under(event: &Value, prefix: &str) -> bool {
    let Some(path) = records::text(event, "path") else { return false };
    let app = &path[recorded::mount(path.as_bytes(), records::text(event, "source"))..];
    path.starts_with(prefix) || app.starts_with(prefix)
}

fn fields(event: &Value) -> HeaderBlock {
    let mut block = HeaderBlock::default();
    for field in records::list(event, "headers") {
        let part = |at: usize| field.get(at).and_then(Value::as_str);
        if let (Some(name), Some(value)) = (part(0), part(1)) {
            // What is no field cannot be the one that is asked for.
            let _ = block.push(name.as_bytes(), value.as_bytes());
        }
    }
    block
}

/// Where an event stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The app answered as is waited for.
    Delivered,
    /// It may yet.
    Open,
    /// It will not, unless somebody replays it.
    Over,
}

/// Where an event stands: below 400, or with this status.
pub(super) fn standing(event: &Value, status: Option<&Status>) -> Standing {
    let deliveries = records::list(event, "deliveries");
    let state = |delivery: &Value| records::text(delivery, "state").unwrap_or_default().to_owned();
    let is_good = |answered: &Value| {
        let is_answer = records::text(answered, "outcome") == Some("answered");
        let given = records::number(answered, "status");
        is_answer
            && given.is_some_and(|given| match status {
                Some(status) => status.takes(given),
                None => (1..400).contains(&given),
            })
    };
    let attempts = || deliveries.iter().flat_map(|delivery| records::list(delivery, "attempts"));
    let is_delivered = match status {
        Some(_) => attempts().any(is_good),
        None => deliveries.iter().any(|delivery| state(delivery) == "delivered"),
    };
    if is_good(event) || is_delivered {
        return Standing::Delivered;
    }
    if deliveries.iter().any(|delivery| matches!(state(delivery).as_str(), "waiting" | "leased")) {
        return Standing::Open;
    }
    Standing::Over
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::filter;
    use super::*;

    fn event() -> Value {
        json!({
            "source": "github", "method": "POST", "path": "/h/github/hooks?a=1", "outcome": "answered", "status": 200,
            "headers": [["X-GitHub-Event", "push"], ["X-A", "one"], ["x-a", "two"]],
        })
    }

    #[test]
    fn an_event_differs_in_each_thing_that_is_asked_and_not_so() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let text = |text: &str| Some(text.to_owned());
        let table: [(Wanted, &[&str]); 12] = [
            (Wanted::default(), &[]),
            (Wanted { method: text("POST"), ..Wanted::default() }, &[]),
            (Wanted { method: text("post"), ..Wanted::default() }, &["method"]),
            (Wanted { path: text("/hooks"), ..Wanted::default() }, &[]),
            (Wanted { path: text("/h/github/hooks?a"), ..Wanted::default() }, &[]),
            (Wanted { path: text("/other"), ..Wanted::default() }, &["path"]),
            (Wanted { headers: vec![pair("X-A", "two"), pair("x-a", "one")], ..Wanted::default() }, &[]),
            (
                Wanted { headers: vec![pair("X-A", "two"), pair("X-B", "one")], ..Wanted::default() },
                &["header"],
            ),
            (Wanted { headers: vec![pair("X-A", "tw")], ..Wanted::default() }, &["header"]),
            (Wanted { name: text("push"), ..Wanted::default() }, &[]),
            (Wanted { name: text("pull"), ..Wanted::default() }, &["event"]),
            (
                Wanted { method: text("PUT"), path: text("/x"), name: text("x"), ..Wanted::default() },
                &["method", "path", "event"],
            ),
        ];
        for (wanted, differs) in table {
            assert_eq!(wanted.request_differs(&event()), differs, "{wanted:?}");
        }
    }

    #[test]
    fn an_event_was_delivered_when_the_app_took_it_live_or_later() {
        let of = |outcome: &str, status: u16, states: &[(&str, u16)]| {
            let delivery = |(state, status): &(&str, u16)| json!({ "state": state, "attempts": [{ "outcome": "answered", "status": status }] });
            let deliveries: Vec<_> = states.iter().map(delivery).collect();
            json!({ "outcome": outcome, "status": status, "deliveries": deliveries })
        };
        let table = [
            (of("answered", 200, &[]), None, Standing::Delivered),
            (of("answered", 302, &[]), None, Standing::Delivered),
            (of("answered", 500, &[]), None, Standing::Over),
            (of("answered", 500, &[]), Some("5xx"), Standing::Delivered),
            (of("answered", 200, &[]), Some("5xx"), Standing::Over),
            (of("not_sent", 202, &[]), None, Standing::Over),
            (of("accepted", 202, &[("waiting", 503)]), None, Standing::Open),
            (of("accepted", 202, &[("waiting", 503)]), Some("503"), Standing::Delivered),
            (of("accepted", 202, &[("waiting", 503)]), Some("202"), Standing::Open),
            (of("accepted", 202, &[("leased", 503)]), None, Standing::Open),
            (of("accepted", 202, &[("delivered", 200)]), None, Standing::Delivered),
            (of("accepted", 202, &[("dead", 500), ("delivered", 200)]), None, Standing::Delivered),
            (of("accepted", 202, &[("dead", 500)]), None, Standing::Over),
            (of("accepted", 202, &[("cancelled", 500)]), None, Standing::Over),
            (json!({}), None, Standing::Over),
        ];
        for (event, status, expected) in table {
            let status = status.map(|text| filter::status(text).unwrap());
            assert_eq!(standing(&event, status.as_ref()), expected, "{event} {status:?}");
        }
    }

    #[test]
    fn a_line_about_a_delivery_counts_when_it_is_what_is_waited_for() {
        let any = Wanted::default();
        assert!(any.is_delivered_by(&json!({ "state": "delivered", "status": 200 })));
        assert!(!any.is_delivered_by(&json!({ "state": "waiting", "status": 503 })));
        let wanted = Wanted { status: Some(filter::status("5xx").unwrap()), ..Wanted::default() };
        assert!(wanted.is_delivered_by(&json!({ "state": "waiting", "status": 503 })));
        assert!(!wanted.is_delivered_by(&json!({ "state": "delivered", "status": 200 })));
        assert!(!wanted.is_delivered_by(&json!({ "state": "waiting", "status": null })));
    }
}
