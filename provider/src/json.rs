//! Reads single values out of a JSON text without building the document: a megabyte of small values would be a hundred
//! megabytes of memory, for each request of any sender. What is not on the way is skipped however deep it nests.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Names on the way to a value (RFC 6901).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer(Vec<String>);

/// More names than anybody's pointer has: the reader descends one call a name.
const NAMES_MAX: usize = 32;

impl Pointer {
    /// `/data/id`, or nothing for the whole document; `None` for what is no pointer, or has more than 32 names.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self(Vec::new()));
        }
        let names: Vec<String> = text
            .strip_prefix('/')?
            .split('/')
            .map(|name| name.replace("~1", "/").replace("~0", "~"))
            .collect();
        (names.len() <= NAMES_MAX).then_some(Self(names))
    }

    /// The names.
    pub(crate) fn steps(&self) -> &[String] {
        &self.0
    }
}

/// The value at a pointer, as it is written; `None` too when the text is not JSON.
#[must_use]
pub fn find<'t>(text: &'t [u8], pointer: &Pointer) -> Option<&'t RawValue> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let found = At(&pointer.0).deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    found
}

/// The value at a pointer as text: a string's content, a number or boolean as written. Null is nothing.
pub(crate) fn find_text(text: &[u8], pointer: &Pointer) -> Option<String> {
    as_text(find(text, pointer)?)
}

/// A scalar as text; objects and arrays as they are written.
pub(crate) fn as_text(value: &RawValue) -> Option<String> {
    let text = value.get();
    match text.as_bytes().first()? {
        b'"' => serde_json::from_str(text).ok(),
        b'n' => None,
        _ => Some(text.to_owned()),
    }
}

/// The items of an array, as they are written; `None` when it is no array or has more than `items_max`.
pub(crate) fn items(array: &RawValue, items_max: usize) -> Option<Vec<&RawValue>> {
    struct Items(usize);
    impl<'de> Visitor<'de> for Items {
        type Value = Option<Vec<&'de RawValue>>;
        fn expecting(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
            text.write_str("an array")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut found = Vec::new();
            while let Some(item) = seq.next_element()? {
                if found.len() == self.0 {
                    return Ok(None);
                }
                found.push(item);
            }
            Ok(Some(found))
        }
    }
    serde_json::Deserializer::from_str(array.get()).deserialize_seq(Items(items_max)).ok()?
}

/// The first name of the outermost object that is not `except`.
pub(crate) fn first_key(text: &[u8], except: &str) -> Option<String> {
    struct First<'n>(&'n str);
    impl<'de> Visitor<'de> for First<'_> {
        type Value = Option<String>;
        fn expecting(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
            text.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = None;
            loop {
                let is_more = match &found {
                    Some(_) => map.next_key::<IgnoredAny>()?.is_some(),
                    None => match map.next_key::<String>()? {
                        Some(name) => {
                            found = Some(name).filter(|name| name != self.0);
                            true
                        }
                        None => false,
                    },
                };
                if !is_more {
                    return Ok(found);
                }
                map.next_value::<IgnoredAny>()?;
            }
        }
    }
    let mut reader = serde_json::Deserializer::from_slice(text);
    let found = reader.deserialize_map(First(except)).ok()?;
    reader.end().ok()?;
    found
}

/// Finds the value below these names, and reads nothing else.
#[derive(Clone, Copy)]
struct At<'n>(&'n [String]);

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        if self.0.is_empty() {
            return serde::Deserialize::deserialize(from).map(Some);
        }
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        text.write_str("JSON")
    }

    // Of names that come more than once the last one counts, as for most who read JSON.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Some((wanted, below)) = self.0.split_first() else { return Ok(None) };
        let mut found = None;
        while let Some(is_wanted) = map.next_key_seed(Is(wanted))? {
            if is_wanted {
                found = map.next_value_seed(At(below))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let Some((wanted, below)) = self.0.split_first() else { return Ok(None) };
        let wanted = index(wanted);
        let mut found = None;
        for at in 0.. {
            if wanted == Some(at) {
                match items.next_element_seed(At(below))? {
                    Some(value) => found = value,
                    None => break,
                }
            } else if items.next_element::<IgnoredAny>()?.is_none() {
                break;
            }
        }
        Ok(found)
    }

    // Nothing is below these.
    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// Whether a name is this one, without keeping it.
struct Is<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for Is<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<bool, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        text.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

/// A place in an array: digits, and no zero before others.
fn index(name: &str) -> Option<usize> {
    let is_plain =
        name.bytes().all(|byte| byte.is_ascii_digit()) && (name.len() == 1 || !name.starts_with('0'));
    name.parse().ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_at(document: &str, pointer: &str) -> Option<String> {
        find_text(document.as_bytes(), &Pointer::parse(pointer)?)
    }

    #[test]
    fn a_pointer_finds_what_it_finds_when_the_whole_document_is_read() {
        let documents = [
            r#"{"id":"first","a":{"b":[10,{"c":"deep"},1.50]},"id":"last"}"#,
            r#"{"a":{"b":[1,2]},"a":{"c":1}}"#,
            r#"{"a/b":1,"m~n":true,"":{"":"empty"},"\u0069d":"escaped"}"#,
            r#"[["x"],{"id":7}]"#,
            "\"text\"",
            "{} {}",
            r#"{"id":"cut"#,
            r#"{"id":"kept","broken":}"#,
            "null",
            "7",
        ];
        let pointers = [
            "", "/id", "/a/b/0", "/a/b/1/c", "/a/b/2", "/a/b/00", "/a/b/-1", "/a/c", "/a~1b", "/m~0n", "//",
            "/", "/0/0", "/1/id", "id",
        ];
        for (document, pointer) in documents.iter().flat_map(|d| pointers.map(|pointer| (d, pointer))) {
            let whole = serde_json::from_str::<serde_json::Value>(document).ok();
            let expected = whole.as_ref().and_then(|whole| whole.pointer(pointer)).map(ToString::to_string);
            let found = Pointer::parse(pointer).and_then(|pointer| find(document.as_bytes(), &pointer));
            let found =
                found.map(|raw| serde_json::from_str::<serde_json::Value>(raw.get()).unwrap().to_string());
            assert_eq!(found, expected, "{pointer} of {document}");
        }
    }

    #[test]
    fn depth_that_is_not_on_the_way_needs_no_stack() {
        let deep = format!("{{\"deep\":{}{},\"id\":\"evt_1\"}}", "[".repeat(400_000), "]".repeat(400_000));
        assert_eq!(text_at(&deep, "/id").as_deref(), Some("evt_1"));
        assert_eq!(first_key(deep.as_bytes(), "deep").as_deref(), Some("id"));
        assert_eq!(Pointer::parse(&"/0".repeat(400_000)), None);
    }

    #[test]
    fn text_is_the_content_of_a_string_and_a_number_as_written() {
        assert_eq!(text_at(r#"{"a":"\u00e9"}"#, "/a").as_deref(), Some("é"));
        assert_eq!(text_at(r#"{"a":1.50}"#, "/a").as_deref(), Some("1.50"));
        assert_eq!(text_at(r#"{"a":null}"#, "/a"), None);
    }

    #[test]
    fn an_array_gives_its_items_up_to_a_limit() {
        let array: &RawValue = serde_json::from_str("[1,[2],{}]").unwrap();
        assert_eq!(items(array, 3).unwrap().len(), 3);
        assert!(items(array, 2).is_none());
        assert!(items(serde_json::from_str("{}").unwrap(), 2).is_none());
    }
}
