//! Reads the keys of one table, collecting what is wrong instead of stopping at it. A key that nobody asked for is
//! a mistake, with the nearest known one as a suggestion.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Mistake;
use crate::suggest::did_you_mean;

/// What has been found wrong so far, in a text.
pub(super) struct Findings<'t> {
    text: &'t str,
    seen: BTreeSet<String>,
    mistakes: Vec<Mistake>,
}

impl<'t> Findings<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, seen: BTreeSet::new(), mistakes: Vec::new() }
    }

    /// Something wrong at a byte of the text.
    pub(super) fn note(&mut self, at: usize, text: String) {
        let before = &self.text.as_bytes()[..at.min(self.text.len())];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        self.mistakes.push(Mistake { line, text });
    }

    /// `whole` when nothing is wrong; else all that is, by line.
    pub(super) fn into_result<T>(mut self, whole: T) -> Result<T, Vec<Mistake>> {
        self.mistakes.sort_by_key(|mistake| mistake.line);
        if self.mistakes.is_empty() { Ok(whole) } else { Err(self.mistakes) }
    }

    /// Whether this has not been asked about before.
    pub(super) fn is_first(&mut self, what: &str) -> bool {
        self.seen.insert(what.to_owned())
    }
}

/// The keys of one table.
pub(super) struct Fields<'f, 't> {
    table: &'f DeTable<'t>,
    start: usize,
    place: &'static str,
    asked: Vec<&'static str>,
}

impl<'f, 't> Fields<'f, 't> {
    /// A table that starts at a byte of the text and is called `place` in messages.
    pub(super) fn new(table: &'f DeTable<'t>, start: usize, place: &'static str) -> Self {
        Self { table, start, place, asked: Vec::new() }
    }

    /// Where the table starts.
    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// The value of a key as it stands.
    pub(super) fn take(&mut self, key: &'static str) -> Option<&'f Spanned<DeValue<'t>>> {
        self.asked.push(key);
        self.table.get(key)
    }

    /// A text (or a whole number, as text) that `parse` understands.
    pub(super) fn parsed<T>(
        &mut self,
        key: &'static str,
        findings: &mut Findings<'_>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.take(key)?;
        let text = match value.get_ref() {
            DeValue::String(text) => text.as_ref(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            other => {
                let found = other.type_str();
                findings.note(value.span().start, format!("`{key}` is a text, not {}", article(found)));
                return None;
            }
        };
        parse(text).map_err(|wrong| findings.note(value.span().start, format!("`{key}`: {wrong}"))).ok()
    }

    /// As [`Fields::parsed`], and missing it is a mistake.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        findings: &mut Findings<'_>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        if !self.table.contains_key(key) {
            self.asked.push(key);
            findings.note(self.start, format!("`{key}` is missing {}", self.place));
            return None;
        }
        self.parsed(key, findings, parse)
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, key: &'static str, findings: &mut Findings<'_>) -> Option<bool> {
        let value = self.take(key)?;
        let boolean = value.get_ref().as_bool();
        if boolean.is_none() {
            findings.note(value.span().start, format!("`{key}` is true or false, without quotes"));
        }
        boolean
    }

    /// A whole number within bounds.
    pub(super) fn integer(
        &mut self,
        key: &'static str,
        bounds: RangeInclusive<u32>,
        findings: &mut Findings<'_>,
    ) -> Option<u32> {
        let value = self.take(key)?;
        let number = value
            .get_ref()
            .as_integer()
            .and_then(|number| u32::from_str_radix(number.as_str(), number.radix()).ok())
            .filter(|number| bounds.contains(number));
        if number.is_none() {
            let (low, high) = bounds.into_inner();
            findings.note(value.span().start, format!("`{key}` is a whole number from {low} to {high}"));
        }
        number
    }

    /// Notes every key nobody asked for.
    pub(super) fn refuse_others(&self, findings: &mut Findings<'_>) {
        for (key, _) in self.table.iter().filter(|(key, _)| !self.asked.contains(&key.get_ref().as_ref())) {
            let name = key.get_ref().as_ref();
            // A key that is there already is not what was meant.
            let free = self.asked.iter().copied().filter(|asked| !self.table.contains_key(*asked));
            let hint = did_you_mean(name, free);
            let shown = name.escape_debug();
            findings.note(key.span().start, format!("unknown key `{shown}` {}{hint}", self.place));
        }
    }
}

fn article(kind: &str) -> String {
    let an = kind.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {kind}", if an { "an" } else { "a" })
}
