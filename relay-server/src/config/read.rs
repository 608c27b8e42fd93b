//! From a file to a [`Config`], or to every mistake in it.
//!
//! serde stops at the first mistake. So each key is read alone first, into its section's own type (every field of a
//! section has a default, so one key makes a whole section), and only a file without mistakes is read as a whole.

use std::cell::Cell;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::value::Error as Captured;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{
    AdminConfig, Config, Limits, LogConfig, PublicConfig, RetentionConfig, SecretsConfig, TunnelConfig,
};

/// How alike a wrong key has to be to one that exists before that is suggested, from 0 to 1.
const ALIKE_MIN: f64 = 0.7;

/// Something wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Line in the file, from 1; `None` where it is about a value that may come from elsewhere.
    pub line: Option<usize>,
    /// What is wrong, and what would be right.
    pub text: String,
}

/// Everything wrong with the configuration. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes {
    /// The file, where it is about one.
    pub file: Option<PathBuf>,
    /// What is wrong, in the order of the file.
    pub list: Vec<Mistake>,
}

impl std::error::Error for Mistakes {}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{} cannot be used:", file.display())?,
            None => write!(f, "the configuration cannot be used:")?,
        }
        self.list.iter().try_for_each(|mistake| match mistake.line {
            Some(line) => write!(f, "\n  line {line}: {}", mistake.text),
            None => write!(f, "\n  {}", mistake.text),
        })
    }
}

/// Reads a key's value alone, in place of a whole section.
type Section = fn(&Spanned<DeValue<'_>>, &mut Reading<'_>);

/// The sections, and the types they are read into. Every other key of [`Config`] is a plain value.
const SECTIONS: [(&str, Section); 7] = [
    ("public", |value, reading| reading.section::<PublicConfig>("public", value)),
    ("tunnel", |value, reading| reading.section::<TunnelConfig>("tunnel", value)),
    ("admin", |value, reading| reading.section::<AdminConfig>("admin", value)),
    ("limits", |value, reading| reading.section::<Limits>("limits", value)),
    ("retention", |value, reading| reading.section::<RetentionConfig>("retention", value)),
    ("secrets", |value, reading| reading.section::<SecretsConfig>("secrets", value)),
    ("log", |value, reading| reading.section::<LogConfig>("log", value)),
];

/// The file as a configuration.
///
/// # Errors
/// With every mistake in it.
pub(super) fn file(path: &Path) -> Result<Config, Mistakes> {
    let told = |list| Mistakes { file: Some(path.to_owned()), list };
    let text = std::fs::read_to_string(path)
        .map_err(|error| told(vec![Mistake { line: None, text: format!("it cannot be read: {error}") }]))?;
    text_of(&text).map_err(told)
}

/// The text of a file as a configuration.
pub(super) fn text_of(text: &str) -> Result<Config, Vec<Mistake>> {
    let mut reading = Reading { text, mistakes: Vec::new() };
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        reading.mistake(error.span(), error.message().to_owned());
    }
    reading.root(root.get_ref());
    if reading.mistakes.is_empty() {
        match toml::from_str(text) {
            Ok(config) => return Ok(config),
            Err(error) => reading.mistake(error.span(), error.message().to_owned()),
        }
    }
    reading.mistakes.sort_by_key(|mistake| mistake.line);
    reading.mistakes.dedup();
    Err(reading.mistakes)
}

struct Reading<'t> {
    text: &'t str,
    mistakes: Vec<Mistake>,
}

impl Reading<'_> {
    fn mistake(&mut self, span: Option<Range<usize>>, text: String) {
        let line =
            span.and_then(|span| self.text.get(..span.start)).map(|before| before.matches('\n').count() + 1);
        self.mistakes.push(Mistake { line, text });
    }

    fn root(&mut self, table: &DeTable<'_>) {
        for (key, value) in table {
            let section = SECTIONS.iter().find(|(name, _)| *name == key.get_ref().as_ref());
            match section {
                Some((_, section)) => section(value, self),
                None => self.key::<Config>("", key, value),
            }
        }
    }

    fn section<T: DeserializeOwned>(&mut self, name: &str, value: &Spanned<DeValue<'_>>) {
        let Some(table) = value.get_ref().as_table() else {
            return self.mistake(Some(value.span()), format!("`{name}` is a section: write [{name}]"));
        };
        for (key, value) in table {
            self.key::<T>(name, key, value);
        }
    }

    fn key<T: DeserializeOwned>(
        &mut self,
        section: &str,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) {
        let known = fields_of::<T>();
        let name = key.get_ref().as_ref();
        if !known.contains(&name) {
            return self.mistake(Some(key.span()), unknown(section, name, known));
        }
        let alone = DeTable::from_iter([(key.clone(), value.clone())]);
        let read = T::deserialize(toml::de::Deserializer::from(Spanned::new(key.span(), alone)));
        if let Err(error) = read {
            let path = if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") };
            self.mistake(error.span().or(Some(value.span())), format!("{path}: {}", error.message()));
        }
    }
}

/// What to say about a key that does not exist.
fn unknown(section: &str, name: &str, known: &[&str]) -> String {
    let place = if section.is_empty() { "at the top".to_owned() } else { format!("in [{section}]") };
    let alike = |key: &&&str| strsim::jaro_winkler(key, name);
    let best =
        known.iter().max_by(|a, b| alike(a).total_cmp(&alike(b))).filter(|key| alike(key) >= ALIKE_MIN);
    match best {
        Some(best) => format!("there is no key `{name}` {place}; did you mean `{best}`?"),
        None => format!("there is no key `{name}` {place}; there are: {}", known.join(", ")),
    }
}

/// The names of a struct's fields, as its `Deserialize` tells them to whoever reads for it.
fn fields_of<T: DeserializeOwned>() -> &'static [&'static str] {
    let fields = Cell::new(&[][..]);
    // Always fails: the fields are told before anything is read.
    let _ = T::deserialize(Listener { fields: &fields });
    fields.get()
}

struct Listener<'c> {
    fields: &'c Cell<&'static [&'static str]>,
}

impl<'de> Deserializer<'de> for Listener<'_> {
    type Error = Captured;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Captured> {
        self.fields.set(fields);
        Err(Captured::custom("only the names were wanted"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Captured> {
        Err(Captured::custom("not a struct"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
