//! The inspector's files: the pages people look at webhooks with, as they lie in `inspector/pages/`, inside the program.
//!
//! They are the same for everybody and hold no secret; what they show, the API tells them. Nothing they do leads to
//! another host: the policy sent along forbids it.
//!
//! The page names its files below a folder called after what is in them, `/inspector/VERSION/start.js`: a browser asks
//! for them once, and never gets those of another version of the program.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::StatusCode;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue,
    IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use include_dir::{Dir, File, include_dir};
use ring::digest::{Context, SHA256, digest};

static FILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/inspector/pages");

/// What the page writes before the name of each of its files.
const FOLDER: &str = "\"inspector/";

/// The script that is written into the page, so that nobody waits for it, and where.
const FIRST: &str = "first.js";
const FIRST_TAG: &str = "<script src=\"inspector/first.js\"></script>";

/// What a page of ours may do: load its own files, ask its own API, and nothing else. Text never becomes markup.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let first = STANDARD.encode(digest(&SHA256, first_script().as_bytes()));
    let policy = format!(
        "default-src 'none'; script-src 'self' 'sha256-{first}'; style-src 'self'; img-src 'self'; connect-src 'self'; \
        form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    );
    HeaderValue::try_from(policy).expect("no control characters")
});

/// Sent with every file.
const HEADERS: [(HeaderName, &str); 4] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Takes the page's window away from another site's page that opened it.
const OPENER_POLICY: (HeaderName, HeaderValue) =
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));

/// Who leads a browser here, as it says itself.
const LED_BY: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Of the page itself: asked for each time, and sent only if another version of the program answers.
const ASK_AGAIN: &str = "no-cache";

/// Of a file whose address says what is in it.
const KEEP: &str = "public, max-age=31536000, immutable";

/// A file as it is sent.
struct Page {
    bytes: Bytes,
    media_type: &'static str,
    etag: HeaderValue,
}

/// Says what is in the files: other files, another version.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Context::new(&SHA256);
    for file in FILES.files() {
        let name = file.path().as_os_str().as_encoded_bytes();
        // With their lengths, so that no byte can move from one to the next.
        hash.update(&name.len().to_be_bytes());
        hash.update(name);
        hash.update(&file.contents().len().to_be_bytes());
        hash.update(file.contents());
    }
    URL_SAFE_NO_PAD.encode(&hash.finish().as_ref()[..12])
});

/// By name.
static PAGES: LazyLock<HashMap<&'static str, Page>> = LazyLock::new(|| {
    let named = FILES.files().filter_map(|file| Some((file.path().to_str()?, file.contents())));
    let pages = named.filter_map(|(name, bytes)| {
        let bytes = match name {
            HOME => whole(bytes),
            _ => Bytes::from_static(bytes),
        };
        Some((name, page(name, bytes)?))
    });
    pages.collect()
});

const HOME: &str = "index.html";

fn first_script() -> &'static str {
    FILES.get_file(FIRST).and_then(File::contents_utf8).expect("it is one of the pages")
}

/// The home page as it is sent: with its first script in it, and the addresses of its files.
fn whole(page: &[u8]) -> Bytes {
    let page = std::str::from_utf8(page).expect("a page is text");
    let page = page.replace(FIRST_TAG, &format!("<script>{}</script>", first_script()));
    page.replace(FOLDER, &format!("{FOLDER}{}/", *VERSION)).into()
}

/// `None` for what is no part of a page.
fn page(path: &str, bytes: Bytes) -> Option<Page> {
    let media_type = match path.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => return None,
    };
    let hash = URL_SAFE_NO_PAD.encode(&digest(&SHA256, &bytes).as_ref()[..12]);
    let etag = HeaderValue::from_str(&format!("\"{hash}\"")).expect("letters and digits");
    Some(Page { bytes, media_type, etag })
}

/// `/`, and the files it asks for.
pub fn router() -> Router {
    Router::new().route("/", get(|headers: HeaderMap| async move { home(&headers) })).route(
        "/inspector/{version}/{name}",
        get(|Path((version, name)): Path<(String, String)>, headers: HeaderMap| async move {
            if version == *VERSION { answer(&name, KEEP, &headers) } else { no_such_page() }
        }),
    )
}

fn no_such_page() -> Response {
    (StatusCode::NOT_FOUND, "there is no such page\n").into_response()
}

/// The page. Nobody has a hold on the window of somebody who typed the address, or came from the page itself: the policy
/// would protect from nothing there, and a browser starts a process anew for it, which is a fifth of what the first
/// list takes.
fn home(asked: &HeaderMap) -> Response {
    let mut response = answer(HOME, ASK_AGAIN, asked);
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_name(LED_BY));
    if asked.get(LED_BY).is_none_or(|site| site != "none" && site != "same-origin") {
        let (name, value) = OPENER_POLICY;
        headers.insert(name, value);
    }
    response
}

fn answer(name: &str, caching: &'static str, asked: &HeaderMap) -> Response {
    let Some(page) = PAGES.get(name) else { return no_such_page() };
    let is_known = asked.get(IF_NONE_MATCH).is_some_and(|known| known == page.etag);
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(CONTENT_TYPE, page.media_type)], page.bytes.clone()).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(ETAG, page.etag.clone());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(CONTENT_SECURITY_POLICY, POLICY.clone());
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
        FILES.get_file(path).and_then(|file| file.contents_utf8()).expect("a file of text")
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
            let parts = text.split(FOLDER).skip(1);
            return parts.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect();
        }
        // As the bundler writes them; import() has a bracket.
        let imports = ["from\"./", "import\"./"].into_iter().flat_map(|word| text.split(word).skip(1));
        imports.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect()
    }

    #[test]
    fn the_page_begins_with_a_script_that_its_policy_names() {
        let page = std::str::from_utf8(&PAGES[HOME].bytes).expect("text");
        let (_, rest) = page.split_once("<script>").expect("a script in the page");
        let (script, _) = rest.split_once("</script>").expect("its end");
        assert_eq!(script, first_script());
        let named =
            format!("script-src 'self' 'sha256-{}';", STANDARD.encode(digest(&SHA256, script.as_bytes())));
        assert!(POLICY.to_str().expect("text").contains(&named), "{:?}", *POLICY);
        assert_eq!(named_in("more.js"), ["start.js"], "imports are found");
    }

    #[test]
    fn the_page_is_light() {
        let files = loaded_at_once();
        let bytes: usize = files.iter().map(|path| PAGES[path.as_str()].bytes.len()).sum();
        assert!(
            files.len() > 2 && bytes < PAGE_BYTES_MAX,
            "{bytes} bytes in {} files: {files:?}",
            files.len()
        );
    }

    /// Files that `tests/inspector/bundle` makes of those in `inspector/src/`.
    const MADE: [&str; 2] = ["pages/start.js", "pages/more.js"];

    /// What the pages are made from, and those that are made from nothing; but not what is not ours.
    fn sources() -> Vec<(String, String)> {
        let home = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("inspector");
        let (mut folders, mut found) = (vec![home.join("src"), home.join("pages")], Vec::new());
        let is_made = |path: &std::path::Path| MADE.iter().any(|made| path.ends_with(made));
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.extend((!path.ends_with("vendor")).then_some(path));
                } else if !is_made(&path) {
                    found.push((path.display().to_string(), std::fs::read_to_string(&path).expect("text")));
                }
            }
        }
        assert!(found.len() > 20, "{} files", found.len());
        found
    }

    #[test]
    fn a_file_is_kept_for_as_long_as_its_address_names_what_is_in_it() {
        let page = std::str::from_utf8(&PAGES[HOME].bytes).expect("text");
        assert!(page.contains(&format!("\"inspector/{}/start.js\"", *VERSION)), "{page}");
        let caching = |answer: Response| (answer.status(), answer.headers().get(CACHE_CONTROL).cloned());
        let said = |text| Some(HeaderValue::from_static(text));
        let nothing = HeaderMap::new();
        assert_eq!(caching(answer(HOME, ASK_AGAIN, &nothing)), (StatusCode::OK, said(ASK_AGAIN)));
        assert_eq!(caching(answer("start.js", KEEP, &nothing)), (StatusCode::OK, said(KEEP)));
        assert_eq!(caching(answer("no.js", KEEP, &nothing)), (StatusCode::NOT_FOUND, None));
    }

    #[test]
    fn only_who_cannot_have_been_opened_by_another_site_is_spared_the_opener_policy() {
        let (policy, _) = OPENER_POLICY;
        let led_by = |site: Option<&'static str>| {
            let headers = site.map(|site| (LED_BY, HeaderValue::from_static(site)));
            let response = home(&headers.into_iter().collect());
            assert_eq!(response.headers()[VARY], "sec-fetch-site", "{site:?}");
            response.headers().contains_key(&policy)
        };
        let strict = [None, Some("cross-site"), Some("same-site"), Some("something-new"), Some("")];
        assert!(strict.into_iter().all(led_by));
        assert!(!led_by(Some("none")) && !led_by(Some("same-origin")));
    }

    #[test]
    fn pages_ask_nobody_else_and_make_no_markup_of_text() {
        for (path, text) in sources() {
            for never in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"]
            {
                assert!(!text.contains(never), "{path} says {never}");
            }
            let hosts =
                text.split("http").skip(1).filter(|rest| rest.starts_with("://") || rest.starts_with("s://"));
            for host in hosts.map(|rest| rest.split("://").nth(1).unwrap_or_default()) {
                let name = host.split(['/', '"', '\'', '`', ' ', '<']).next().unwrap_or_default();
                let known = ["www.w3.org", "localhost", "127.0.0.1", "${", "example.com", "…"];
                let is_no_request =
                    known.iter().any(|known| name.starts_with(known) || name.ends_with(known));
                assert!(is_no_request, "{path} names {}", &host[..host.len().min(40)]);
            }
        }
    }
}
