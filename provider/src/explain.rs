//! Why a request was refused, found out by trying what commonly goes wrong. Every try is a whole verification of a
//! changed request, so it holds for every scheme; the tries are few, and large bodies are left alone.

use crate::encoding;
use crate::reject::Rejection;
use crate::scheme::KeyForm;
use crate::source;
use crate::verifier::{Inner, Verifier};
use crate::{Keys, Request};

/// Largest body that is tried in other forms.
const BODY_BYTES_MAX: usize = 256 * 1024;
/// Secrets that are tried in other forms.
const SECRETS_MAX: usize = 2;

pub(crate) fn explain(
    verifier: &Verifier,
    inner: &Inner,
    request: &Request<'_>,
    now_ms: u64,
    keys: &dyn Keys,
    rejection: &Rejection,
) -> Rejection {
    let is_open = matches!(rejection, Rejection::WrongSecret | Rejection::TokenWrong { .. });
    if !is_open || request.body.len() > BODY_BYTES_MAX {
        return rejection.clone();
    }
    let passes = |verifier: &Verifier, request: &Request<'_>| {
        let verdict = verifier.verify(request, now_ms, keys);
        // The time is looked at after the signature.
        matches!(verdict, Ok(_) | Err(Rejection::Stale { .. } | Rejection::Future { .. }))
    };
    let is_signed = matches!(rejection, Rejection::WrongSecret);
    None.or_else(|| {
        let mut bodies = bodies(request).into_iter().filter(|_| is_signed);
        let (_, how) = bodies.find(|(body, _)| passes(verifier, &Request { body, ..*request }))?;
        Some(Rejection::BodyAltered { how })
    })
    .or_else(|| {
        let mut urls = urls(request.url).into_iter().filter(|_| is_signed);
        let signed = urls.find(|url| passes(verifier, &Request { url, ..*request }))?;
        Some(if without_scheme(&signed) == without_scheme(request.url) {
            Rejection::UrlScheme { signed }
        } else {
            Rejection::UrlForm { signed }
        })
    })
    .or_else(|| secret_hint(inner, request, &passes).map(|hint| Rejection::SecretForm { hint }))
    .unwrap_or_else(|| rejection.clone())
}

/// Other forms of a body, and what it says when one of them was signed.
fn bodies(request: &Request<'_>) -> Vec<(Vec<u8>, &'static str)> {
    let body = request.body;
    let mut bodies: Vec<(Vec<u8>, &'static str)> = Vec::new();
    if let Some(cut) = body.strip_suffix(b"\n").map(|cut| cut.strip_suffix(b"\r").unwrap_or(cut)) {
        bodies.push((
            cut.to_vec(),
            "the signature is right without the last line break: something between the provider and the relay added it",
        ));
    }
    for end in [&b"\n"[..], b"\r\n"] {
        bodies.push((
            [body, end].concat(),
            "the signature is right with a line break at the end: something between the provider and the relay cut it \
             off",
        ));
    }
    let trimmed = body.trim_ascii();
    if trimmed.len() < body.len() {
        bodies.push((
            trimmed.to_vec(),
            "the signature is right without the white space around the body: something between the provider and the \
             relay added it",
        ));
    }
    if body.contains(&b'\n') {
        let (lf, crlf) = line_ends(body);
        bodies.push((
            if lf == body { crlf } else { lf },
            "the signature is right with other line breaks (LF, CRLF): something between the provider and the relay \
             changed them",
        ));
    }
    if let Ok(value) = serde_json::from_slice::<&serde_json::value::RawValue>(body) {
        let how = "the signature is right for the same JSON written with other white space: something between the \
                   provider and the relay read the JSON and wrote it anew";
        bodies.extend([None, Some(2), Some(4)].map(|indent| (rewrite(value.get(), indent, ":", ","), how)));
        bodies.push((rewrite(value.get(), None, ": ", ", "), how));
    }
    if source::is_form(request) {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(form_urlencoded::parse(body));
        let how = "the signature is right for the same form written with other escapes: something between the provider \
                   and the relay read the form and wrote it anew";
        let encoded = form.finish();
        bodies.push((encoded.replace('+', "%20").into_bytes(), how));
        bodies.push((encoded.into_bytes(), how));
    }
    if !body.is_empty() {
        bodies.push((
            Vec::new(),
            "the signature is right for an empty body: it was signed before the body was added, or something on the \
             way put another one in",
        ));
    }
    bodies.retain(|(form, _)| form != body);
    bodies
}

fn line_ends(body: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut lf = Vec::with_capacity(body.len());
    let mut crlf = Vec::with_capacity(body.len());
    for (at, line) in body.split(|byte| *byte == b'\n').enumerate() {
        if at > 0 {
            lf.push(b'\n');
            crlf.extend_from_slice(b"\r\n");
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        lf.extend_from_slice(line);
        crlf.extend_from_slice(line);
    }
    (lf, crlf)
}

/// Valid JSON with other white space; names, numbers and escapes stay as they are.
fn rewrite(json: &str, indent: Option<usize>, colon: &str, comma: &str) -> Vec<u8> {
    // Deep nesting would make indentation grow with its square.
    const INDENTED_DEPTH_MAX: usize = 64;
    let mut out = String::with_capacity(json.len() + json.len() / 4);
    let mut depth = 0_usize;
    let mut bytes = json.char_indices().peekable();
    let line = |out: &mut String, depth: usize| {
        if let Some(width) = indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', width * depth.min(INDENTED_DEPTH_MAX)));
        }
    };
    while let Some((at, c)) = bytes.next() {
        match c {
            '"' => {
                let mut is_escaped = false;
                let end = bytes.by_ref().find(|(_, c)| {
                    let is_end = *c == '"' && !is_escaped;
                    is_escaped = *c == '\\' && !is_escaped;
                    is_end
                });
                out.push_str(&json[at..end.map_or(json.len(), |(end, _)| end + 1)]);
            }
            '{' | '[' => {
                out.push(c);
                while bytes.next_if(|(_, c)| c.is_ascii_whitespace()).is_some() {}
                match bytes.next_if(|(_, c)| matches!(c, '}' | ']')) {
                    Some((_, end)) => out.push(end),
                    None => {
                        depth += 1;
                        line(&mut out, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push_str(comma);
                line(&mut out, depth);
            }
            ':' => out.push_str(if indent.is_some() { ": " } else { colon }),
            c if c.is_ascii_whitespace() => {}
            c => out.push(c),
        }
    }
    out.into_bytes()
}

fn without_scheme(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest)
}

/// Other spellings of a URL.
fn urls(url: &str) -> Vec<String> {
    let Some((scheme, rest)) = url.split_once("://") else { return Vec::new() };
    let other = if scheme == "https" { "http" } else { "https" };
    let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (place, query) = path.split_once('?').map_or((path, None), |(place, query)| (place, Some(query)));
    let with = |place: &str| match query {
        Some(query) => format!("{scheme}://{host}{place}?{query}"),
        None => format!("{scheme}://{host}{place}"),
    };
    let mut urls = vec![format!("{other}://{rest}")];
    urls.push(match place.strip_suffix('/') {
        Some(cut) => with(cut),
        None => with(&format!("{place}/")),
    });
    urls.push(match host.rsplit_once(':') {
        Some((host, _)) => format!("{scheme}://{host}{path}"),
        None => format!("{scheme}://{host}{}{path}", if scheme == "https" { ":443" } else { ":80" }),
    });
    if query.is_some() {
        urls.push(format!("{scheme}://{host}{place}"));
    }
    urls.push(match host.strip_prefix("www.") {
        Some(host) => format!("{scheme}://{host}{path}"),
        None => format!("{scheme}://www.{host}{path}"),
    });
    urls
}

/// What is wrong with how a secret is written.
fn secret_hint(
    inner: &Inner,
    request: &Request<'_>,
    passes: &dyn Fn(&Verifier, &Request<'_>) -> bool,
) -> Option<&'static str> {
    inner.secrets.iter().take(SECRETS_MAX).find_map(|(_, secret)| {
        let as_text = |secret: String, hint| {
            let verifier = Verifier::new(&inner.settings, &[secret]).ok()?;
            passes(&verifier, request).then_some(hint)
        };
        let in_form = |secret: &str, form, hint| {
            let verifier = Verifier::with_form(&inner.settings, &[secret.to_owned()], form)?;
            passes(&verifier, request).then_some(hint)
        };
        let trimmed = secret.trim();
        let unquoted = trimmed.trim_matches(|c| c == '"' || c == '\'');
        let bare = secret.strip_prefix("whsec_");
        None.or_else(|| {
            (trimmed != secret).then(|| {
                as_text(trimmed.to_owned(), "there is white space or a line break around it: take it away")
            })?
        })
        .or_else(|| {
            (unquoted != trimmed)
                .then(|| as_text(unquoted.to_owned(), "there are quotes around it: take them away"))?
        })
        .or_else(|| {
            as_text(
                format!("{secret}\n"),
                "the provider has it with a line break at the end: enter it there again",
            )
        })
        .or_else(|| as_text(bare?.to_owned(), "the provider uses it without whsec_: take that away"))
        .or_else(|| as_text(format!("whsec_{secret}"), "whsec_ at its start belongs to it: add it"))
        .or_else(|| {
            let text = String::from_utf8(encoding::base64_secret(secret)?).ok()?;
            as_text(text, "it was encoded as Base64 once more: decode it")
        })
        .or_else(|| {
            in_form(secret, KeyForm::Whsec, "the sender decodes it (Base64, without whsec_) before it signs")
        })
        .or_else(|| in_form(secret, KeyForm::Hex, "the sender reads it as hexadecimal before it signs"))
        .or_else(|| in_form(secret, KeyForm::Utf8, "the sender signs with its text, without decoding it"))
        .or_else(|| {
            in_form(bare?, KeyForm::Utf8, "the sender signs with the text behind whsec_, without decoding it")
        })
    })
}
