//! Samples of webhooks, one file each under `fixtures/PROVIDER/`: for trying an app out without the provider.
//!
//! Ids and times in them are placeholders (`{{uuid}}`, `{{now_s}}`, …), filled in when a sample is made, so that no two
//! are alike. The signature is added by [`crate::Verifier::sign`].

use include_dir::{Dir, include_dir};
use serde::Deserialize;
use serde_json::Value;

static FILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/fixtures");

/// One sample, its placeholders not filled in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// The provider's name for the event.
    pub event: String,
    /// What it is about, in a few words.
    pub what: String,
    /// The name of its file, without the ending: what a person types.
    #[serde(skip)]
    pub name: String,
    method: String,
    #[serde(default)]
    path: String,
    headers: Vec<(String, String)>,
    #[serde(default)]
    body: Option<Value>,
    #[serde(default)]
    form: Option<Vec<(String, String)>>,
    #[serde(default)]
    text: Option<String>,
}

/// A sample as it can be sent, but for its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Method.
    pub method: String,
    /// What follows the source's URL.
    pub path: String,
    /// Header fields.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

/// What a person wants otherwise than the sample has it: a path into the body (`data.object.amount`, or a JSON pointer)
/// or, in a form, the name of a field; and the value.
pub type Wish = (String, Value);

/// Why a sample cannot be made as wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    /// There is no such place.
    #[error("the sample has no `{0}`")]
    NoSuchPlace(String),
    /// Its body is neither JSON nor a form.
    #[error("the body of this sample is text: nothing can be set in it")]
    Text,
}

/// The names of the providers that have samples.
pub fn providers() -> impl Iterator<Item = &'static str> {
    FILES.dirs().filter_map(|dir| dir.path().to_str())
}

/// The samples of a provider, by name.
#[must_use]
pub fn of(provider: &str) -> Vec<Sample> {
    let files = FILES.get_dir(provider).into_iter().flat_map(Dir::files);
    let mut found: Vec<Sample> =
        files.filter_map(|file| read(file.path().file_stem()?.to_str()?, file.contents())).collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// The sample a person means: by the name of its file, or by the name of its event.
#[must_use]
pub fn find(provider: &str, name: &str) -> Option<Sample> {
    let all = of(provider);
    let same = |a: &str| a.eq_ignore_ascii_case(name);
    all.iter()
        .find(|sample| same(&sample.name))
        .or_else(|| all.iter().find(|sample| same(&sample.event)))
        .cloned()
}

fn read(name: &str, text: &[u8]) -> Option<Sample> {
    let mut sample: Sample = serde_json::from_slice(text).ok()?;
    name.clone_into(&mut sample.name);
    Some(sample)
}

impl Sample {
    /// The sample with everything filled in. `random` gives bytes of chance.
    ///
    /// # Errors
    /// When something is wanted that it does not have.
    pub fn make(
        &self,
        wishes: &[Wish],
        now_ms: u64,
        random: impl FnMut() -> [u8; 16],
    ) -> Result<Made, SampleError> {
        let mut filling = Filling { now_ms, random };
        let headers = self.headers.iter().map(|(name, value)| (name.clone(), filling.text(value))).collect();
        let path = filling.text(&self.path);
        let body = match (&self.body, &self.form, &self.text) {
            (Some(body), _, _) => {
                let mut body = filling.value(body);
                wishes.iter().try_for_each(|(place, value)| set(&mut body, place, value))?;
                body.to_string().into_bytes()
            }
            (None, Some(form), _) => {
                let mut form: Vec<_> =
                    form.iter().map(|(name, value)| (name.clone(), filling.text(value))).collect();
                for (place, value) in wishes {
                    let field = form.iter_mut().find(|(name, _)| name == place);
                    let (_, field) = field.ok_or_else(|| SampleError::NoSuchPlace(place.clone()))?;
                    *field = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                }
                form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish().into_bytes()
            }
            (None, None, _) if !wishes.is_empty() => return Err(SampleError::Text),
            (None, None, text) => filling.text(text.as_deref().unwrap_or_default()).into_bytes(),
        };
        Ok(Made { method: self.method.clone(), path, headers, body })
    }
}

/// Sets a value at a place; the place itself may be new, the one it is in has to be there.
fn set(body: &mut Value, place: &str, value: &Value) -> Result<(), SampleError> {
    let missing = || SampleError::NoSuchPlace(place.to_owned());
    let steps: Vec<String> = match place.strip_prefix('/') {
        Some(pointer) => pointer.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect(),
        None => place.split('.').map(str::to_owned).collect(),
    };
    let (last, before) = steps.split_last().ok_or_else(missing)?;
    let mut at = body;
    for step in before {
        at = match at {
            Value::Object(map) => map.get_mut(step),
            Value::Array(list) => step.parse::<usize>().ok().and_then(|index| list.get_mut(index)),
            _ => None,
        }
        .ok_or_else(missing)?;
    }
    match at {
        Value::Object(map) => {
            map.insert(last.clone(), value.clone());
        }
        Value::Array(list) => {
            let index = last.parse::<usize>().ok().filter(|index| *index < list.len()).ok_or_else(missing)?;
            list[index] = value.clone();
        }
        _ => return Err(missing()),
    }
    Ok(())
}

/// Fills placeholders in.
struct Filling<R> {
    now_ms: u64,
    random: R,
}

impl<R: FnMut() -> [u8; 16]> Filling<R> {
    fn value(&mut self, value: &Value) -> Value {
        match value {
            Value::String(text) => {
                match text.strip_prefix("{{").and_then(|text| text.strip_suffix(":number}}")) {
                    Some(name) => self.number(name).map_or_else(|| value.clone(), Value::from),
                    None => Value::String(self.text(text)),
                }
            }
            Value::Array(list) => list.iter().map(|item| self.value(item)).collect(),
            Value::Object(map) => map.iter().map(|(name, item)| (name.clone(), self.value(item))).collect(),
            other => other.clone(),
        }
    }

    fn number(&mut self, name: &str) -> Option<u64> {
        // The first digit is none that would be lost.
        let text = self.placeholder(name)?;
        let digits = text.trim_start_matches('0');
        if name.starts_with("digits") {
            format!("1{}", text.get(1..)?).parse().ok()
        } else {
            digits.parse().ok()
        }
    }

    fn text(&mut self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            filled.push_str(before);
            let found = after.split_once("}}");
            match found.and_then(|(name, behind)| Some((self.placeholder(name)?, behind))) {
                Some((value, behind)) => {
                    filled.push_str(&value);
                    rest = behind;
                }
                // Braces of the text's own.
                None => {
                    filled.push_str("{{");
                    rest = after;
                }
            }
        }
        filled.push_str(rest);
        filled
    }

    fn placeholder(&mut self, name: &str) -> Option<String> {
        const HEX: &[u8] = b"0123456789abcdef";
        const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        const CROCKFORD: &[u8] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let (name, length) = match name.split_once(':') {
            Some((name, length)) => (name, length.parse::<usize>().ok().filter(|length| *length <= 256)?),
            None => (name, 0),
        };
        Some(match name {
            "uuid" => self.uuid(),
            "hex" => self.letters(HEX, length),
            "digits" => self.letters(&HEX[..10], length),
            "base62" => self.letters(BASE62, length),
            "ulid" => {
                let time: String = (0..10)
                    .rev()
                    .map(|at| {
                        char::from(
                            CROCKFORD[usize::try_from((self.now_ms >> (5 * at)) & 31).unwrap_or_default()],
                        )
                    })
                    .collect();
                time + &self.letters(CROCKFORD, 16)
            }
            "now_s" => (self.now_ms / 1_000).to_string(),
            "now_ms" => self.now_ms.to_string(),
            "now_iso" => crate::time::to_rfc3339(self.now_ms),
            _ => return None,
        })
    }

    fn letters(&mut self, of: &[u8], length: usize) -> String {
        let mut letters = String::with_capacity(length);
        while letters.len() < length {
            let bytes = (self.random)();
            let left = length - letters.len();
            letters.extend(bytes.iter().take(left).map(|byte| char::from(of[usize::from(*byte) % of.len()])));
        }
        letters
    }

    fn uuid(&mut self) -> String {
        let mut bytes = (self.random)();
        // Version 4, variant 1 (RFC 9562 section 5.4).
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

#[cfg(test)]
mod tests {
    use protocol::field::HeaderBlock;

    use super::*;

    fn dice() -> impl FnMut() -> [u8; 16] {
        let mut next = 0_u8;
        move || {
            next = next.wrapping_add(37);
            std::array::from_fn(|at| {
                next.wrapping_mul(31).wrapping_add(u8::try_from(at).unwrap_or_default() * 7)
            })
        }
    }

    #[test]
    fn every_sample_can_be_made_and_is_named_as_its_provider_names_it() {
        let (mut count, mut odd) = (0, Vec::new());
        for folder in providers() {
            let provider = crate::find(folder).unwrap_or_else(|| panic!("{folder} is no provider"));
            let files = FILES.get_dir(folder).map_or(0, |dir| dir.files().count());
            let samples = of(folder);
            assert_eq!(samples.len(), files, "{folder}: a file that cannot be read");
            for sample in samples {
                let made = sample.make(&[], 1_760_000_000_123, dice()).unwrap();
                let text = String::from_utf8(made.body.clone()).unwrap();
                assert!(!text.contains("{{"), "{folder}/{}: {text}", sample.name);
                let mut headers = HeaderBlock::default();
                for (name, value) in &made.headers {
                    assert!(!value.contains("{{"), "{folder}/{}: {value}", sample.name);
                    headers.push(name.as_bytes(), value.as_bytes()).unwrap();
                }
                let request = crate::Request {
                    method: &made.method,
                    url: "https://a.example/h/x",
                    headers: &headers,
                    body: &made.body,
                };
                match provider.event_name(&request) {
                    Some(name) if name != sample.event => {
                        odd.push(format!("{folder}/{}: {} is named {name}", sample.name, sample.event));
                    }
                    _ => {}
                }
                count += 1;
            }
        }
        assert!(odd.is_empty(), "{odd:#?}");
        assert!(count > 100, "{count}");
    }

    #[test]
    fn what_is_wanted_otherwise_is_set() {
        let sample = find("github", "push").unwrap();
        let wishes = vec![
            ("ref".to_owned(), Value::from("refs/heads/next")),
            ("/repository/id".to_owned(), Value::from(7)),
        ];
        let made = sample.make(&wishes, 0, dice()).unwrap();
        let body: Value = serde_json::from_slice(&made.body).unwrap();
        assert_eq!(
            (&body["ref"], &body["repository"]["id"]),
            (&Value::from("refs/heads/next"), &Value::from(7))
        );
        let wrong = [("no.such".to_owned(), Value::Null)];
        assert_eq!(sample.make(&wrong, 0, dice()), Err(SampleError::NoSuchPlace("no.such".to_owned())));
    }
}
