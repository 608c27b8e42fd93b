//! The event stream of smee.io, for its clients and for Probot: whoever asks a source's URL for one hears each event that
//! comes from then on, as JSON. Sources offer it only where their rules say so.
//!
//! It is a way out beside all others, and promises what smee.io does: who listens hears; what is told too fast, is too
//! large, or comes while nobody listens is not told again. Deliveries are made as if nobody listened.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use provider::json;
use serde_json::{Map, Value};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{self, Receiver, Sender};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::model::{EventRecord, Outcome, SourceId};

/// Events a listener may be behind before it misses some: with [`MESSAGE_BYTES_MAX`] 8 MiB a source, for whoever knows its
/// URL and reads nothing.
const BACKLOG: usize = 32;

/// Listeners of one source, and in all. Each holds a connection.
const LISTENERS_PER_SOURCE_MAX: usize = 16;
const LISTENERS_MAX: usize = 1_024;

/// Longest message; larger events are not told.
const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// How often it is looked whether the stream is offered still, and after how many looks there is a sign of life: proxies
/// close what is silent for a minute.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const SILENT_LOOKS_MAX: u32 = 20;

/// Who listens. Cheap to clone.
#[derive(Clone, Default)]
pub struct Smee(Arc<Mutex<HashMap<SourceId, Sender<Bytes>>>>);

impl Smee {
    /// Whether somebody listens to a source.
    ///
    /// # Panics
    /// When another thread panicked here.
    #[must_use]
    pub fn is_heard(&self, source: SourceId) -> bool {
        self.0.lock().expect("smee lock").get(&source).is_some_and(|sender| sender.receiver_count() > 0)
    }

    /// The stream of a source, as bytes of Server-Sent Events, for as long as `is_offered`; `None` where as many listen as
    /// may.
    ///
    /// # Panics
    /// When another thread panicked here.
    pub fn listen<F: Fn() -> bool + Send + 'static>(
        &self,
        source: SourceId,
        is_offered: F,
    ) -> Option<impl Stream<Item = Bytes> + Send + use<F>> {
        let receiver = {
            let mut all = self.0.lock().expect("smee lock");
            all.retain(|_, sender| sender.receiver_count() > 0);
            let count: usize = all.values().map(Sender::receiver_count).sum();
            let sender = all.entry(source).or_insert_with(|| broadcast::channel(BACKLOG).0);
            if count >= LISTENERS_MAX || sender.receiver_count() >= LISTENERS_PER_SOURCE_MAX {
                return None;
            }
            sender.subscribe()
        };
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let first = Bytes::from_static(b"event: ready\ndata: {}\n\n");
        let listener = Listener { first: Some(first), receiver, looks, silent_looks: 0, is_offered };
        Some(futures_util::stream::unfold(listener, next))
    }

    /// Tells an event that came in.
    ///
    /// # Panics
    /// When another thread panicked here.
    pub fn tell(&self, record: &EventRecord) {
        // Of the others nobody knows who sent them, or their sender comes again.
        let is_let_in = matches!(record.outcome, Outcome::Answered | Outcome::Accepted(_));
        let is_small = record.body.total_bytes <= MESSAGE_BYTES_MAX as u64;
        if !is_let_in || !is_small || record.body.is_truncated() || record.body.is_in_file {
            return;
        }
        let sender = self.0.lock().expect("smee lock").get(&record.source).cloned();
        if let Some(sender) = sender.filter(|sender| sender.receiver_count() > 0) {
            let message = message(record);
            if message.len() <= MESSAGE_BYTES_MAX {
                let _ = sender.send(message);
            }
        }
    }
}

struct Listener<F> {
    first: Option<Bytes>,
    receiver: Receiver<Bytes>,
    looks: Interval,
    silent_looks: u32,
    is_offered: F,
}

async fn next<F: Fn() -> bool>(mut listener: Listener<F>) -> Option<(Bytes, Listener<F>)> {
    if let Some(first) = listener.first.take() {
        return Some((first, listener));
    }
    loop {
        let told = tokio::select! {
            told = listener.receiver.recv() => Some(told),
            _ = listener.looks.tick() => None,
        };
        // Its owner may have ended it meanwhile.
        if !(listener.is_offered)() {
            return None;
        }
        let bytes = match told {
            Some(Ok(bytes)) => bytes,
            Some(Err(RecvError::Lagged(_))) => continue,
            Some(Err(RecvError::Closed)) => return None,
            None => {
                listener.silent_looks += 1;
                if listener.silent_looks < SILENT_LOOKS_MAX {
                    continue;
                }
                Bytes::from_static(b"event: ping\ndata: {}\n\n")
            }
        };
        listener.silent_looks = 0;
        return Some((bytes, listener));
    }
}

/// An event as smee.io tells it: header fields by their lower-case names, the body as JSON, the query, a time.
fn message(record: &EventRecord) -> Bytes {
    let mut told = Map::new();
    for (name, value) in &record.headers {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        let value = String::from_utf8_lossy(value);
        let both = match told.get(&name).and_then(Value::as_str) {
            Some(before) => format!("{before}, {value}"),
            None => value.into_owned(),
        };
        told.insert(name, both.into());
    }
    let target = String::from_utf8_lossy(&record.target);
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let fields = |text: &[u8]| -> Map<String, Value> {
        form_urlencoded::parse(text)
            .map(|(name, value)| (name.into_owned(), value.into_owned().into()))
            .collect()
    };
    told.insert("query".to_owned(), fields(query.as_bytes()).into());
    told.insert("timestamp".to_owned(), record.id.unix_ms().into());
    let media_type = record.headers.find("content-type").unwrap_or_default();
    let is_form = media_type.starts_with(b"application/x-www-form-urlencoded");
    let body = &record.body.bytes;
    let rest = Value::Object(told).to_string();
    // JSON is passed on as it is written: a number or the order of names may be part of what is signed.
    let whole = json::Pointer::parse("").and_then(|whole| json::find(body, &whole));
    let body = match whole {
        Some(raw) if !is_form => one_line(raw.get()),
        _ if is_form => Value::Object(fields(body)).to_string(),
        _ => Value::from(String::from_utf8_lossy(body)).to_string(),
    };
    let rest = rest.strip_suffix('}').expect("an object");
    format!("data: {rest},\"body\":{body}}}\n\n").into()
}

/// JSON may have line breaks between its values, and only there; a message of the stream has none.
fn one_line(json: &str) -> String {
    json.replace(['\r', '\n'], " ")
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use protocol::field::HeaderBlock;
    use protocol::id::EventId;

    use super::*;
    use crate::model::{Captured, RecordedAnswer};

    fn record(media_type: &str, body: &'static [u8]) -> EventRecord {
        let mut headers = HeaderBlock::default();
        for (name, value) in
            [("X-GitHub-Event", "push"), ("Content-Type", media_type), ("A", "1"), ("a", "2")]
        {
            headers.push(name.as_bytes(), value.as_bytes()).expect("a field");
        }
        EventRecord {
            id: EventId::from_parts(1_700_000_000_000 << 20, 0),
            source: SourceId(1),
            remote: [127, 0, 0, 1].into(),
            method: "POST".to_owned(),
            target: b"/h/bot?x=1".to_vec(),
            headers,
            shape: Default::default(),
            body: Captured::whole(Bytes::from_static(body)),
            related: None,
            outcome: Outcome::Accepted("smee"),
            agent: None,
            answer: RecordedAnswer::default(),
            times: Default::default(),
            is_accepted: true,
            known: Default::default(),
        }
    }

    fn told(record: &EventRecord) -> Value {
        let message = message(record);
        let text = std::str::from_utf8(&message).expect("text");
        let json =
            text.strip_prefix("data: ").and_then(|rest| rest.strip_suffix("\n\n")).expect("one message");
        assert!(!json.contains('\n'));
        serde_json::from_str(json).expect("JSON")
    }

    #[test]
    fn an_event_is_told_as_its_clients_expect() {
        let json = told(&record("application/json", b"{\"b\": 1.0,\n \"a\": [2]}"));
        assert_eq!(json["x-github-event"], "push");
        assert_eq!((&json["a"], &json["query"]["x"]), (&"1, 2".into(), &"1".into()));
        assert_eq!((&json["body"]["b"], &json["timestamp"]), (&1.0.into(), &1_700_000_000_000_u64.into()));
        let form = told(&record("application/x-www-form-urlencoded", b"payload=%7B%7D&a=b"));
        assert_eq!(form["body"], serde_json::json!({ "payload": "{}", "a": "b" }));
        assert_eq!(told(&record("text/plain", b"no json"))["body"], "no json");
        assert_eq!(told(&record("text/plain", b""))["body"], "");
    }

    #[tokio::test]
    async fn who_listens_hears_what_was_let_in() {
        let smee = Smee::default();
        assert!(!smee.is_heard(SourceId(1)));
        let mut heard = Box::pin(smee.listen(SourceId(1), || true).expect("a place"));
        assert!(smee.is_heard(SourceId(1)) && !smee.is_heard(SourceId(2)));
        assert!(heard.next().await.expect("alive").starts_with(b"event: ready"));
        let mut refused = record("text/plain", b"forged");
        refused.outcome = Outcome::Refused("signature_invalid");
        smee.tell(&refused);
        smee.tell(&record("text/plain", b"good"));
        let next = heard.next().await.expect("alive");
        assert!(String::from_utf8_lossy(&next).contains("good"));
        let others: Vec<_> =
            (0..LISTENERS_PER_SOURCE_MAX).filter_map(|_| smee.listen(SourceId(1), || true)).collect();
        assert_eq!(others.len(), LISTENERS_PER_SOURCE_MAX - 1);
        drop((heard, others));
        assert!(!smee.is_heard(SourceId(1)));
    }
}
