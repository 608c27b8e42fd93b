//! JSON as text: what may go into the interpreter, and how a value comes out of it.
//!
//! Nothing here recurses deeper than [`NESTING_MAX`]. What comes out is JSON in the strict sense (RFC 8259), although
//! the interpreter's own values are more than that.

use std::fmt::Write as _;
use std::io;

use jaq_json::{Num, Val};
use serde_json::value::RawValue;

/// Deepest nesting of input and output, in levels. Below the 127 that serde_json reads without complaint.
pub(super) const NESTING_MAX: usize = 120;

/// Most digits of a number in the input. Reading a whole number takes time that grows with their square: a thousand
/// take microseconds, and a megabyte takes longer than any run may.
pub(super) const NUMBER_DIGITS_MAX: usize = 1_000;

/// How deep `json` nests. Any bytes will do; brackets within strings do not count.
pub(super) fn nesting(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0usize, 0usize);
    let (mut in_string, mut is_escaped) = (false, false);
    for byte in json {
        match (in_string, byte) {
            (true, _) if is_escaped => is_escaped = false,
            (true, b'\\') => is_escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'[' | b'{') => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Why bytes are no piece of JSON for an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unshown {
    /// The interpreter would run out of stack.
    #[error("it nests deeper than {} levels", NESTING_MAX - 1)]
    Nesting,
    /// The interpreter would take time that grows with the square of its length.
    #[error("it holds a number of more than {NUMBER_DIGITS_MAX} digits")]
    Number,
    /// No strings of half a character are known to it.
    #[error("it holds half of a surrogate pair (such as \\ud800)")]
    Surrogate,
    /// Anything else.
    #[error("it is not valid JSON in UTF-8")]
    Invalid,
    /// Not looked at.
    #[error("it is larger than 1 MiB")]
    Size,
}

/// `bytes` as a piece of JSON that the interpreter reads too, spelled as it was: UTF-8, no half of a surrogate pair, no
/// number of more than [`NUMBER_DIGITS_MAX`] digits, nested at most `nesting_max` deep.
pub(super) fn piece(bytes: &[u8], nesting_max: usize) -> Result<&RawValue, Unshown> {
    if nesting(bytes) > nesting_max {
        return Err(Unshown::Nesting);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Unshown::Invalid)?;
    let value = serde_json::from_str::<&RawValue>(text).map_err(|_| Unshown::Invalid)?;
    if longest_number(bytes) > NUMBER_DIGITS_MAX {
        return Err(Unshown::Number);
    }
    if !has_whole_surrogates(bytes) {
        return Err(Unshown::Surrogate);
    }
    Ok(value)
}

/// Most digits in one number of valid JSON, those of its fraction and exponent too.
fn longest_number(json: &[u8]) -> usize {
    let (mut digits, mut most) = (0usize, 0usize);
    let (mut in_string, mut is_escaped) = (false, false);
    for byte in json {
        match (in_string, byte) {
            (true, _) if is_escaped => is_escaped = false,
            (true, b'\\') => is_escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'0'..=b'9') => {
                digits += 1;
                most = most.max(digits);
            }
            (false, b'.' | b'e' | b'E' | b'+' | b'-') => {}
            _ => digits = 0,
        }
    }
    most
}

/// Whether every `\uD8..` of valid JSON has its other half behind it, and no half stands alone.
fn has_whole_surrogates(json: &[u8]) -> bool {
    let unit = |at: usize| {
        let hex = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()
    };
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\\', &json[at..]) {
        at += found;
        match unit(at) {
            Some(0xd800..=0xdbff) if matches!(unit(at + 6), Some(0xdc00..=0xdfff)) => at += 12,
            Some(0xd800..=0xdfff) => return false,
            Some(_) => at += 6,
            // A short escape: the byte behind it may be a backslash of its own.
            None => at += 2,
        }
        if at >= json.len() {
            return true;
        }
    }
    true
}

/// Bytes up to a cap; writing beyond it is an error, and what came before stays.
pub(super) struct Capped {
    pub bytes: Vec<u8>,
    bytes_max: usize,
}

impl Capped {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes: Vec::new(), bytes_max }
    }
}

impl io::Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.bytes_max - self.bytes.len();
        let taken = &bytes[..bytes.len().min(room)];
        self.bytes.extend_from_slice(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl std::fmt::Write for Capped {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        io::Write::write_all(self, text.as_bytes()).map_err(|_| std::fmt::Error)
    }
}

/// Why a value is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unwritable {
    /// It does not fit.
    TooLarge,
    /// JSON cannot say it.
    NoJson(&'static str),
}

impl From<io::Error> for Unwritable {
    fn from(_: io::Error) -> Self {
        Self::TooLarge
    }
}

impl From<serde_json::Error> for Unwritable {
    fn from(_: serde_json::Error) -> Self {
        Self::TooLarge
    }
}

impl From<std::fmt::Error> for Unwritable {
    fn from(_: std::fmt::Error) -> Self {
        Self::TooLarge
    }
}

/// Writes `value` as compact JSON. NaN becomes null and an infinity the largest number, as jq has it.
pub(super) fn write(value: &Val, to: &mut Capped) -> Result<(), Unwritable> {
    write_nested(value, 0, to)
}

fn write_nested(value: &Val, depth: usize, to: &mut Capped) -> Result<(), Unwritable> {
    use io::Write as _;
    if depth == NESTING_MAX && matches!(value, Val::Arr(_) | Val::Obj(_)) {
        return Err(Unwritable::NoJson("the output nests too deep"));
    }
    match value {
        Val::Null => to.write_all(b"null")?,
        Val::Bool(true) => to.write_all(b"true")?,
        Val::Bool(false) => to.write_all(b"false")?,
        Val::Num(number) => write_number(number, to)?,
        Val::TStr(bytes) => serde_json::to_writer(to, &String::from_utf8_lossy(bytes))?,
        Val::BStr(_) => return Err(Unwritable::NoJson("the output holds a byte string")),
        Val::Arr(items) => {
            let mut before: &[u8] = b"[";
            for item in items.iter() {
                to.write_all(before)?;
                before = b",";
                write_nested(item, depth + 1, to)?;
            }
            to.write_all(if items.is_empty() { b"[]" } else { b"]" })?;
        }
        Val::Obj(entries) => {
            let mut before: &[u8] = b"{";
            for (key, item) in entries.iter() {
                if !matches!(key, Val::TStr(_)) {
                    return Err(Unwritable::NoJson(
                        "the output holds an object with a key that is no string",
                    ));
                }
                to.write_all(before)?;
                before = b",";
                write_nested(key, depth + 1, to)?;
                to.write_all(b":")?;
                write_nested(item, depth + 1, to)?;
            }
            to.write_all(if entries.is_empty() { b"{}" } else { b"}" })?;
        }
    }
    Ok(())
}

fn write_number(number: &Num, to: &mut Capped) -> Result<(), Unwritable> {
    match number {
        Num::Float(x) => write_float(*x, to),
        // Spelled by whoever wrote it, which inside a string given to `fromjson` may be `+1.0` or `01.0`.
        Num::Dec(text) if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() => {
            write_float(text.parse().unwrap_or(f64::NAN), to)
        }
        exact => Ok(write!(to, "{exact}")?),
    }
}

fn write_float(x: f64, to: &mut Capped) -> Result<(), Unwritable> {
    if x.is_nan() {
        return Ok(to.write_str("null")?);
    }
    Ok(write!(to, "{}", Num::Float(x.clamp(f64::MIN, f64::MAX)))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: &Val) -> Result<String, Unwritable> {
        let mut to = Capped::new(1_000);
        write(value, &mut to)?;
        Ok(String::from_utf8(to.bytes).expect("text"))
    }

    #[test]
    fn brackets_in_strings_do_not_nest() {
        for (json, expected) in [
            (&b"1"[..], 0),
            (b"[]", 1),
            (b"[{\"a\":[1]},[]]", 3),
            (b"\"[[[\"", 0),
            (br#"["\"[[\\",[]]"#, 2),
            (b"]]][", 1),
        ] {
            assert_eq!(nesting(json), expected, "{}", String::from_utf8_lossy(json));
        }
        assert_eq!(nesting(&[b'['; 100_000]), 100_000);
    }

    #[test]
    fn only_what_the_interpreter_reads_is_a_piece() {
        for json in [
            &b"1e400"[..],
            b" [1, 2.50]\n",
            br#""\ud83d\ude00""#,
            br#""\\ud800""#,
            br#"{"a\u0000":"\n"}"#,
            b"\"\xc3\xa9\"",
        ] {
            let piece = piece(json, 2).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(json)));
            assert_eq!(piece.get().as_bytes(), json.trim_ascii());
            jaq_json::read::parse_single(json).expect("read by the interpreter too");
        }
        for (json, why) in [
            (&b""[..], Unshown::Invalid),
            (b"{", Unshown::Invalid),
            (b"1 2", Unshown::Invalid),
            (b"# note\n1", Unshown::Invalid),
            (b"NaN", Unshown::Invalid),
            (br#""\ud800""#, Unshown::Surrogate),
            (br#""\ud800\ud800""#, Unshown::Surrogate),
            (br#""\udc00""#, Unshown::Surrogate),
            (b"\"\xff\"", Unshown::Invalid),
            (b"\xef\xbb\xbf1", Unshown::Invalid),
            (b"[[[]]]", Unshown::Nesting),
        ] {
            assert_eq!(piece(json, 2).err(), Some(why), "{}", String::from_utf8_lossy(json));
        }
    }

    #[test]
    fn a_number_too_long_to_be_read_in_time_is_no_piece() {
        let most = "7".repeat(NUMBER_DIGITS_MAX);
        for json in [most.clone(), format!("[-{most},{most}]"), format!("\"\\\"{most}{most}\"")] {
            assert!(piece(json.as_bytes(), 2).is_ok(), "{json}");
        }
        for json in [format!("{most}7"), format!("[1,-1.{most}]"), format!("{{\"a\":1e{most}}}")] {
            assert_eq!(piece(json.as_bytes(), 2).err(), Some(Unshown::Number), "{json}");
        }
    }

    #[test]
    fn what_is_more_than_json_is_made_json_or_refused() {
        let dec = |text: &str| Val::Num(Num::Dec(jaq_json::Rc::new(text.to_owned())));
        for (value, expected) in [
            (Val::from(f64::NAN), "null"),
            (Val::from(f64::INFINITY), "1.7976931348623157e308"),
            (Val::from(f64::NEG_INFINITY), "-1.7976931348623157e308"),
            (Val::from(0.5), "0.5"),
            (dec("1.50"), "1.50"),
            (dec("1e400"), "1e400"),
            (dec("+1.50"), "1.5"),
            (dec("01.5"), "1.5"),
            (Val::utf8_str(&b"a\"\n\xff"[..]), "\"a\\\"\\n\u{fffd}\""),
            ([Val::Null, Val::from(1usize)].into_iter().collect(), "[null,1]"),
            (Val::from_iter([]), "[]"),
            (Val::obj(jaq_json::Map::default()), "{}"),
        ] {
            assert_eq!(written(&value).as_deref(), Ok(expected));
        }
        assert!(matches!(written(&Val::byte_str(&b"x"[..])), Err(Unwritable::NoJson(_))));
        let keyed = Val::obj([(Val::from(1usize), Val::Null)].into_iter().collect());
        assert!(matches!(written(&keyed), Err(Unwritable::NoJson(_))));
        assert_eq!(written(&Val::utf8_str("x".repeat(999))), Err(Unwritable::TooLarge));
    }

    #[test]
    fn output_nests_as_deep_as_input() {
        let nested = |levels| (0..levels).fold(Val::Null, |inner, _| Val::from_iter([inner]));
        assert!(written(&nested(NESTING_MAX)).is_ok());
        assert!(matches!(written(&nested(NESTING_MAX + 1)), Err(Unwritable::NoJson(_))));
    }
}
