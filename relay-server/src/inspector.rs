//! The inspector's files: the pages people look at webhooks with, as they lie in `inspector/`, inside the program.
//!
//! They are the same for everybody and hold no secret; what they show, the API tells them. Nothing they do leads to
//! another host: the policy sent along forbids it.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue,
    IF_NONE_MATCH, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use include_dir::{Dir, include_dir};
use ring::digest::{SHA256, digest};

static FILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/inspector");

/// What a page of ours may do: load its own files, ask its own API, and nothing else. Text never becomes markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// Sent with every file.
const HEADERS: [(HeaderName, &str); 7] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    // Asked for each time, and sent only if another version of the program answers.
    (CACHE_CONTROL, "no-cache"),
];

/// A file as it is sent.
struct Page {
    bytes: &'static [u8],
    media_type: &'static str,
    etag: HeaderValue,
}

/// By path below `inspector/`.
static PAGES: LazyLock<HashMap<&'static str, Page>> = LazyLock::new(|| {
    let mut pages = HashMap::new();
    let mut folders = vec![&FILES];
    while let Some(folder) = folders.pop() {
        folders.extend(folder.dirs());
        for file in folder.files() {
            if let Some((path, page)) =
                file.path().to_str().and_then(|path| Some((path, page(path, file.contents())?)))
            {
                pages.insert(path, page);
            }
        }
    }
    pages
});

/// `None` for what is no part of a page.
fn page(path: &str, bytes: &'static [u8]) -> Option<Page> {
    let media_type = match path.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => return None,
    };
    let hash = URL_SAFE_NO_PAD.encode(&digest(&SHA256, bytes).as_ref()[..12]);
    let etag = HeaderValue::from_str(&format!("\"{hash}\"")).expect("letters and digits");
    Some(Page { bytes, media_type, etag })
}

/// `/`, and the files it asks for.
pub fn router() -> Router {
    Router::new().route("/", get(|headers: HeaderMap| async move { answer("index.html", &headers) })).route(
        "/inspector/{*path}",
        get(|Path(path): Path<String>, headers: HeaderMap| async move { answer(&path, &headers) }),
    )
}

fn answer(path: &str, asked: &HeaderMap) -> Response {
    let Some(page) = PAGES.get(path) else {
        return (StatusCode::NOT_FOUND, "there is no such page\n").into_response();
    };
    let is_known = asked.get(IF_NONE_MATCH).is_some_and(|known| known == page.etag);
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(CONTENT_TYPE, page.media_type)], page.bytes).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(ETAG, page.etag.clone());
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a person on a slow line waits for: the page and all that it needs to show its first list.
    const PAGE_BYTES_MAX: usize = 150 * 1024;

    fn text(path: &str) -> &'static str {
        std::str::from_utf8(PAGES[path].bytes).expect("text")
    }

    /// The files a page loads before anybody does anything: what is named by `src`, `href` or a static `import`.
    fn loaded_at_once() -> Vec<String> {
        let mut found = vec!["index.html".to_owned()];
        let mut at = 0;
        while let Some(path) = found.get(at).cloned() {
            at += 1;
            for named in named_in(&path) {
                if !found.contains(&named) {
                    assert!(PAGES.contains_key(named.as_str()), "{path} names {named}, which is not there");
                    found.push(named);
                }
            }
        }
        found
    }

    fn named_in(path: &str) -> Vec<String> {
        let text = text(path);
        if path.ends_with(".html") {
            let parts = text.split("\"inspector/").skip(1);
            return parts.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect();
        }
        if !path.ends_with(".js") {
            return Vec::new();
        }
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let is_import =
            |line: &&str| ["import ", "} from ", "export "].iter().any(|word| line.starts_with(word));
        let imports = text
            .lines()
            .filter(is_import)
            .filter_map(|line| line.split_once("from '").or(line.split_once("from \"")));
        imports
            .filter_map(|(_, rest)| rest.split(['\'', '"']).next())
            .map(|named| resolved(folder, named))
            .collect()
    }

    fn resolved(folder: &str, named: &str) -> String {
        let mut steps: Vec<&str> = folder.split('/').filter(|step| !step.is_empty()).collect();
        for step in named.split('/') {
            match step {
                "." => {}
                ".." => drop(steps.pop()),
                step => steps.push(step),
            }
        }
        steps.join("/")
    }

    #[test]
    fn the_page_is_light() {
        let files = loaded_at_once();
        let bytes: usize = files.iter().map(|path| PAGES[path.as_str()].bytes.len()).sum();
        assert!(
            files.len() > 3 && bytes < PAGE_BYTES_MAX,
            "{bytes} bytes in {} files: {files:?}",
            files.len()
        );
    }

    #[test]
    fn pages_ask_nobody_else_and_make_no_markup_of_text() {
        for (path, page) in PAGES.iter() {
            let text = std::str::from_utf8(page.bytes).expect("text");
            for never in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"]
            {
                let is_vendored = path.starts_with("vendor/");
                assert!(is_vendored || !text.contains(never), "{path} says {never}");
            }
            let hosts =
                text.split("http").skip(1).filter(|rest| rest.starts_with("://") || rest.starts_with("s://"));
            for host in hosts.map(|rest| rest.split("://").nth(1).unwrap_or_default()) {
                let name = host.split(['/', '"', '\'', '`', ' ', '<']).next().unwrap_or_default();
                let known = ["www.w3.org", "localhost", "127.0.0.1", "${", "example.com", "…"];
                let is_no_request =
                    known.iter().any(|known| name.starts_with(known) || name.ends_with(known));
                assert!(
                    is_no_request || path.starts_with("vendor/"),
                    "{path} names {}",
                    &host[..host.len().min(40)]
                );
            }
        }
    }
}
