//! Signs samples: unlike a webhook that is passed on, a sample may be changed to hold its signature, so providers that sign
//! in the body or the URL can be signed for too.

use protocol::field::HeaderBlock;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Prepared, Verifier, tag_of};
use crate::Request;
use crate::json::{self, Pointer};
use crate::reject::{CannotSign, Rejection};
use crate::samples::Made;
use crate::scheme::Mac;
use crate::source::{Scope, Source};

impl Verifier {
    /// Signs a sample: header fields, or what of its body or path the provider signs in. `url_of` gives the public URL of
    /// a path.
    ///
    /// # Errors
    /// When the scheme does not allow it, or the sample lacks what is signed.
    pub fn sign_sample(
        &self,
        made: &mut Made,
        url_of: impl Fn(&str) -> String,
        now_ms: u64,
    ) -> Result<(), CannotSign> {
        let malformed = |_| Rejection::malformed("the sample", "its header is too long");
        let mut headers = HeaderBlock::default();
        for (name, value) in &made.headers {
            headers.push(name.as_bytes(), value.as_bytes()).map_err(malformed)?;
        }
        let url = url_of(&made.path);
        let request = Request { method: &made.method, url: &url, headers: &headers, body: &made.body };
        match self.sign(&request, now_ms) {
            Ok(fields) => {
                made.headers
                    .retain(|(name, _)| !fields.iter().any(|(new, _)| new.eq_ignore_ascii_case(name)));
                made.headers.extend(fields);
            }
            Err(CannotSign::InMessage) => match self.0.to_sign(&request).in_message(&request, now_ms)? {
                Changed::Body(body) => made.body = body,
                Changed::Query(name, value) => {
                    made.path.push(if made.path.contains('?') { '&' } else { '?' });
                    let mut query = form_urlencoded::Serializer::new(String::new());
                    made.path.push_str(&query.append_pair(&name, &value).finish());
                }
            },
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Where the signature went.
enum Changed {
    Body(Vec<u8>),
    Query(String, String),
}

impl Prepared {
    fn in_message(&self, request: &Request<'_>, now_ms: u64) -> Result<Changed, CannotSign> {
        match self {
            Self::Token { scheme, secrets } => {
                let (_, secret) = secrets.first().ok_or(CannotSign::NoSecret)?;
                match (scheme.from.0.first(), &scheme.each) {
                    (Some(Source::Query(name)), None) => Ok(Changed::Query(name.clone(), secret.clone())),
                    (Some(place), each) => {
                        let token = |_: &Scope<'_>| Ok(secret.clone());
                        in_json(request.body, each.as_ref(), place, request, token).map(Changed::Body)
                    }
                    (None, _) => Err(CannotSign::InMessage),
                }
            }
            Self::Hmac { scheme, keys } => {
                let (_, key) = keys.first().ok_or(CannotSign::NoSecret)?;
                let sign = |scope: &Scope<'_>, time: &str| -> Result<String, CannotSign> {
                    let template = scheme.signed.0.first().ok_or(CannotSign::InMessage)?;
                    let tag = tag_of(key, &template.parts(scope, time, "")?);
                    Ok(format!("{}{}", scheme.sig.prefix, scheme.sig.enc.encode(tag.as_ref())))
                };
                mac(scheme, request, now_ms, sign).map(Changed::Body)
            }
            _ => Err(CannotSign::InMessage),
        }
    }
}

/// The body with its time set to now, and then with its signature.
fn mac(
    scheme: &Mac,
    request: &Request<'_>,
    now_ms: u64,
    sign: impl Fn(&Scope<'_>, &str) -> Result<String, CannotSign>,
) -> Result<Vec<u8>, CannotSign> {
    let time = scheme.ts.as_ref().map_or_else(String::new, |ts| ts.unit.write(now_ms));
    let is_form = Scope::new(request).form().is_some();
    let of_body =
        |places: &[Source]| places.iter().find(|place| matches!(place, Source::Form(_)) == is_form).cloned();
    let place = of_body(&scheme.sig.from.0).ok_or(CannotSign::InMessage)?;
    let time_at = scheme.ts.as_ref().and_then(|ts| of_body(&ts.from.0));
    if let Source::Form(name) = &place {
        let mut body = request.body.to_vec();
        if let Some(Source::Form(time_at)) = &time_at {
            body = in_form(&body, time_at, &time);
        }
        let signature = sign(&Scope::new(&Request { body: &body, ..*request }), &time)?;
        return Ok(in_form(&body, name, &signature));
    }
    let mut body = request.body.to_vec();
    if let Some(time_at) = &time_at {
        body = in_json(&body, None, time_at, request, |_| Ok(time.clone()))?;
    }
    in_json(&body, scheme.each.as_ref(), &place, request, |scope| sign(scope, &time))
}

fn in_form(body: &[u8], name: &str, value: &str) -> Vec<u8> {
    let kept = form_urlencoded::parse(body).filter(|(field, _)| field != name);
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(kept).append_pair(name, value);
    form.finish().into_bytes()
}

/// The JSON body with a text at a place: of the whole, or of each item of the list at `each`.
fn in_json(
    body: &[u8],
    each: Option<&Pointer>,
    place: &Source,
    request: &Request<'_>,
    text: impl Fn(&Scope<'_>) -> Result<String, CannotSign>,
) -> Result<Vec<u8>, CannotSign> {
    const NAME: &str = "the sample";
    let no_json = || Rejection::malformed(NAME, "its body is not the JSON the provider sends");
    let mut whole: Value = serde_json::from_slice(body).map_err(|_| no_json())?;
    let request = Request { body, ..*request };
    match (each, place) {
        (Some(list), Source::Item(pointer, _)) => {
            let found = json::find(body, list).ok_or_else(no_json)?;
            let items: Vec<&RawValue> = serde_json::from_str(found.get()).map_err(|_| no_json())?;
            for (at, item) in items.into_iter().enumerate() {
                let text = text(&Scope { item: Some(item), ..Scope::new(&request) })?;
                let mut steps = list.steps().to_vec();
                steps.push(at.to_string());
                steps.extend_from_slice(pointer.steps());
                put(&mut whole, &steps, text).ok_or_else(no_json)?;
            }
        }
        (None, Source::Json(pointer, _)) => {
            let text = text(&Scope::new(&request))?;
            put(&mut whole, pointer.steps(), text).ok_or_else(no_json)?;
        }
        _ => return Err(CannotSign::InMessage),
    }
    Ok(whole.to_string().into_bytes())
}

/// Puts a text where `steps` lead; the last of them may be new.
fn put(whole: &mut Value, steps: &[String], text: String) -> Option<()> {
    let (last, before) = steps.split_last()?;
    let mut at = whole;
    for step in before {
        at = match at {
            Value::Object(map) => map.get_mut(step)?,
            Value::Array(list) => list.get_mut(step.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    at.as_object_mut()?.insert(last.clone(), Value::String(text));
    Some(())
}
