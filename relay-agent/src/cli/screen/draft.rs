//! A request as a text to be edited, and what was changed in it.
//!
//! The text has a request line, header fields as fixtures keep them (`Name: value`, `Name:: BASE64`), an empty line and
//! the body. What the relay adds by itself (`Host`, lengths, `X-Forwarded-*`, `Relay-*`) is left out.

use relay_agent::fixture::{Fixture, lines};
use serde_json::{Map, Value, json};

/// Most cells of the table that finds what two texts have in common; past it the middle is told as a whole.
const TABLE_MAX: usize = 4_000_000;

/// Unchanged lines shown around a change.
const AROUND: usize = 2;

/// A request to be edited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Draft {
    fixture: Fixture,
    /// The body as text; `None` when it is none, and stays as it is.
    body: Option<String>,
}

/// A line of what was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    Same(String),
    Gone(String),
    New(String),
    /// Lines that are not shown.
    Skip(usize),
}

/// What was changed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Change {
    /// As the server takes it.
    pub(super) wish: Value,
    pub(super) lines: Vec<Line>,
}

impl Draft {
    pub(super) fn new(fixture: Fixture) -> Self {
        let fixture = fixture.without(&["Host", "Content-Length"].map(str::to_owned));
        let body = String::from_utf8(fixture.body.to_vec()).ok();
        Self { fixture, body }
    }

    fn request_line(&self) -> String {
        format!("{} {}", self.fixture.method, String::from_utf8_lossy(&self.fixture.target))
    }

    /// The text for the editor.
    pub(super) fn text(&self) -> String {
        let headers = lines::write(&self.fixture.headers);
        let head = format!("{}\n{headers}", self.request_line());
        match self.body.as_deref() {
            Some(body) => format!("{head}\n{body}"),
            None => head,
        }
    }

    /// What is other in the edited text; `None` when nothing is.
    pub(super) fn change(&self, edited: &str) -> Result<Option<Change>, String> {
        let before = self.text();
        // Most editors put an end to the last line.
        let is_same_end = edited.strip_suffix('\n').is_some_and(|edited| edited == before);
        if edited == before || is_same_end {
            return Ok(None);
        }
        if edited.trim().is_empty() {
            return Ok(None);
        }
        let (head, body) = match edited.find("\n\n").zip(edited.find("\n\r\n")) {
            Some((unix, windows)) if windows < unix => (&edited[..windows], &edited[windows + 3..]),
            None if edited.contains("\n\r\n") => edited.split_once("\n\r\n").unwrap_or((edited, "")),
            _ => edited.split_once("\n\n").unwrap_or((edited, "")),
        };
        let (request, fields) = head.split_once('\n').unwrap_or((head, ""));
        let mut wish = Map::new();
        self.head(request.trim_end(), &mut wish)?;
        self.fields(fields, &mut wish)?;
        if let Some(old) = &self.body {
            let added_end = body.strip_suffix('\n').is_some_and(|body| body == old && !old.is_empty());
            if body != old && !added_end && !(old.is_empty() && body.trim().is_empty()) {
                wish.insert("body".to_owned(), json!({ "text": body }));
            }
        } else if !body.trim().is_empty() {
            return Err(
                "the body is not text and stays as it is; leave out what follows the empty line".to_owned()
            );
        }
        let is_any = !wish.is_empty();
        Ok(is_any.then(|| Change { wish: Value::Object(wish), lines: difference(&before, edited) }))
    }

    fn head(&self, line: &str, wish: &mut Map<String, Value>) -> Result<(), String> {
        if line == self.request_line() {
            return Ok(());
        }
        let parts: Vec<&str> = line.split(' ').collect();
        let [method, path] = parts[..] else {
            return Err(format!("the first line is METHOD PATH, not `{}`", super::text::shown(line)));
        };
        if method != self.fixture.method {
            wish.insert("method".to_owned(), method.into());
        }
        if path.as_bytes() != self.fixture.target && path != String::from_utf8_lossy(&self.fixture.target) {
            wish.insert("path".to_owned(), path.into());
        }
        Ok(())
    }

    fn fields(&self, text: &str, wish: &mut Map<String, Value>) -> Result<(), String> {
        // Line numbers as the person sees them: the request line comes first.
        let edited = lines::read(format!("\n{text}").as_bytes()).map_err(|error| error.to_string())?;
        let named = |block: &protocol::field::HeaderBlock, wanted: &[u8]| -> Vec<Vec<u8>> {
            let same = block.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
            same.map(|(_, value)| value.to_vec()).collect()
        };
        let old = &self.fixture.headers;
        let is_first = |block: &protocol::field::HeaderBlock, at: usize, wanted: &[u8]| {
            !block.iter().take(at).any(|(name, _)| name.eq_ignore_ascii_case(wanted))
        };
        let mut new = Vec::new();
        for (at, (name, _)) in edited.iter().enumerate() {
            if !is_first(&edited, at, name) || named(&edited, name) == named(old, name) {
                continue;
            }
            for (name, value) in edited.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name)) {
                let text = std::str::from_utf8(value)
                    .map_err(|_| "a changed header field has to be text".to_owned())?;
                new.push(json!([String::from_utf8_lossy(name), text]));
            }
        }
        let is_gone = |at: &usize, name: &[u8]| named(&edited, name).is_empty() && is_first(old, *at, name);
        let gone = old.iter().enumerate().filter(|(at, (name, _))| is_gone(at, name));
        let gone: Vec<_> = gone.map(|(_, (name, _))| json!(String::from_utf8_lossy(name))).collect();
        wish.extend((!new.is_empty()).then(|| ("headers".to_owned(), new.into())));
        wish.extend((!gone.is_empty()).then(|| ("remove_headers".to_owned(), gone.into())));
        Ok(())
    }
}

/// What became of the lines of a text. Lines are escaped.
fn difference(before: &str, after: &str) -> Vec<Line> {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let start = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let rest = old.len().min(new.len()) - start;
    let end = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let same =
        |lines: &[&str]| lines.iter().map(|line| Line::Same(super::text::value(line))).collect::<Vec<_>>();
    let mut all = same(&old[..start]);
    all.extend(middle(&old[start..old.len() - end], &new[start..new.len() - end]));
    all.extend(same(&old[old.len() - end..]));
    near_changes(all)
}

/// By the longest common subsequence, where the table stays small.
fn middle(old: &[&str], new: &[&str]) -> Vec<Line> {
    let gone = |line: &str| Line::Gone(super::text::value(line));
    let added = |line: &str| Line::New(super::text::value(line));
    let (height, width) = (old.len() + 1, new.len() + 1);
    if height.saturating_mul(width) > TABLE_MAX {
        return old.iter().map(|line| gone(line)).chain(new.iter().map(|line| added(line))).collect();
    }
    let mut common = vec![0_u32; height * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i * width + j] = if old[i] == new[j] {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push(Line::Same(super::text::value(old[i])));
            (i, j) = (i + 1, j + 1);
        } else if i < old.len()
            && (j == new.len() || common[(i + 1) * width + j] >= common[i * width + j + 1])
        {
            lines.push(gone(old[i]));
            i += 1;
        } else {
            lines.push(added(new[j]));
            j += 1;
        }
    }
    lines
}

/// Leaves out what is far from every change.
fn near_changes(all: Vec<Line>) -> Vec<Line> {
    let changed: Vec<usize> =
        all.iter().enumerate().filter(|(_, line)| !matches!(line, Line::Same(_))).map(|(at, _)| at).collect();
    let mut near = Vec::new();
    let mut skipped = 0;
    for (at, line) in all.into_iter().enumerate() {
        let next = changed.partition_point(|change| *change + AROUND < at);
        if changed.get(next).is_some_and(|change| *change <= at + AROUND) {
            near.extend((skipped > 0).then_some(Line::Skip(skipped)));
            skipped = 0;
            near.push(line);
        } else {
            skipped += 1;
        }
    }
    near.extend((skipped > 0).then_some(Line::Skip(skipped)));
    near
}

#[cfg(test)]
mod tests {
    use protocol::field::HeaderBlock;

    use super::*;

    fn draft(headers: &[(&str, &str)], body: &[u8]) -> Draft {
        let mut block = HeaderBlock::default();
        headers.iter().for_each(|(name, value)| block.push(name.as_bytes(), value.as_bytes()).unwrap());
        Draft::new(Fixture {
            id: None,
            source: Some("hook".to_owned()),
            received_ms: None,
            name: None,
            status: None,
            method: "POST".to_owned(),
            target: b"/h/hook/a?x=1".to_vec(),
            mount: 7,
            headers: block,
            body: body.to_vec().into(),
        })
    }

    const FIELDS: [(&str, &str); 5] = [
        ("Host", "relay.test"),
        ("Content-Type", "application/json"),
        ("X-Twice", "1"),
        ("x-twice", "2"),
        ("Content-Length", "8"),
    ];
    const TEXT: &str =
        "POST /h/hook/a?x=1\nContent-Type: application/json\nX-Twice: 1\nx-twice: 2\n\n{\"a\": 1}";

    fn wish(edited: &str) -> Value {
        draft(&FIELDS, b"{\"a\": 1}").change(edited).unwrap().expect("something changed").wish
    }

    #[test]
    fn a_text_that_comes_back_as_it_was_changes_nothing() {
        let draft = draft(&FIELDS, b"{\"a\": 1}");
        assert_eq!(draft.text(), TEXT);
        for same in [TEXT.to_owned(), format!("{TEXT}\n"), String::new(), "\n".to_owned()] {
            assert_eq!(draft.change(&same), Ok(None));
        }
    }

    #[test]
    fn only_what_was_changed_is_said() {
        assert_eq!(wish(&TEXT.replace("1}", "2}")), json!({ "body": { "text": "{\"a\": 2}" } }));
        assert_eq!(wish(&TEXT.replace("POST", "PUT")), json!({ "method": "PUT" }));
        assert_eq!(wish(&TEXT.replace("x=1", "x=2")), json!({ "path": "/h/hook/a?x=2" }));
        let both = json!({ "headers": [["X-Twice", "1"], ["x-twice", "3"]] });
        assert_eq!(wish(&TEXT.replace("x-twice: 2", "x-twice: 3")), both);
        let gone = TEXT.replace("X-Twice: 1\nx-twice: 2\n", "X-New: n\n");
        assert_eq!(wish(&gone), json!({ "headers": [["X-New", "n"]], "remove_headers": ["X-Twice"] }));
    }

    #[test]
    fn a_slip_is_told_with_its_line_and_nothing_is_sent() {
        let draft = draft(&FIELDS, b"x");
        let error = |text: &str| draft.change(text).unwrap_err();
        assert_eq!(error("POST\n\nx"), "the first line is METHOD PATH, not `POST`");
        assert_eq!(error("POST /h/hook/a?x=1\nno colon\n\nx"), "line 2: expected `Name: value`");
    }

    #[test]
    fn a_body_that_is_no_text_stays_as_it_is() {
        let draft = draft(&[("A", "1")], &[0, 255]);
        assert_eq!(draft.text(), "POST /h/hook/a?x=1\nA: 1\n");
        let change = draft.change("POST /h/hook/a?x=1\nA: 2\n").unwrap().unwrap();
        assert_eq!(change.wish, json!({ "headers": [["A", "2"]] }));
        assert!(draft.change("POST /h/hook/a?x=1\nA: 1\n\nbody").is_err());
    }

    #[test]
    fn the_difference_shows_what_is_near_a_change() {
        let before = "1\n2\n3\n4\n5\n6\n7\n8";
        let shown = |after: &str| -> Vec<String> {
            let line = |line: &Line| match line {
                Line::Same(text) => format!(" {text}"),
                Line::Gone(text) => format!("-{text}"),
                Line::New(text) => format!("+{text}"),
                Line::Skip(count) => format!("…{count}"),
            };
            difference(before, after).iter().map(line).collect()
        };
        assert_eq!(shown("1\n2\n3\nfour\n5\n6\n7\n8"), ["…1", " 2", " 3", "-4", "+four", " 5", " 6", "…2"]);
        assert_eq!(shown("0\n1\n2\n3\n4\n5\n6\n7"), ["+0", " 1", " 2", "…3", " 6", " 7", "-8"]);
        assert_eq!(shown("1\n2\x1b\n3\n4\n5\n6\n7\n8"), [" 1", "-2", "+2\\u{1b}", " 3", " 4", "…4"]);
    }
}
