//! Signing in to the inspector: a token is shown once, and a cookie that no script can read stands for it from then on.
//!
//! The cookie is worth no more than the token: a token that is revoked ends here too. A call that changes something
//! must carry a header field that no other site's page can send.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{COOKIE, SET_COOKIE};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use ring::digest::{SHA256, digest};
use serde::Deserialize;

use super::ApiState;
use super::error::ApiError;
use super::input::Body;
use crate::entropy;
use crate::model::Token;

const COOKIE_NAME: &str = "relay_session";

/// Says that a page of ours asks: a page of another site cannot add it without being allowed to.
pub(super) const OURS: &str = "relay-inspector";

/// A working day, in seconds: after that the token is asked for again.
const LIFE_S: u64 = 12 * 60 * 60;

/// People signed in at once; the one who came first has to sign in again past it.
const SESSIONS_MAX: usize = 1_000;

/// The same of one token, so that nobody who has one signs all others out.
const SESSIONS_PER_TOKEN_MAX: usize = 20;

/// Cookies looked at in one request.
const COOKIES_MAX: usize = 8;

/// Who is signed in. Cheap to clone.
#[derive(Clone, Default)]
pub struct Sessions(Arc<Mutex<VecDeque<Session>>>);

struct Session {
    /// SHA-256 of the cookie's value.
    hash: [u8; 32],
    token: Token,
    ends_ms: u64,
}

fn hash(text: &str) -> [u8; 32] {
    digest(&SHA256, text.as_bytes()).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

impl Sessions {
    /// Signs somebody in; the value of the cookie.
    fn begin(&self, token: Token, now_ms: u64) -> String {
        let text = URL_SAFE_NO_PAD.encode(entropy::random::<32>());
        let mut all = self.0.lock().expect("sessions lock");
        all.retain(|session| session.ends_ms > now_ms);
        let of_token = |session: &Session| session.token.id == token.id;
        if all.iter().filter(|session| of_token(session)).count() >= SESSIONS_PER_TOKEN_MAX
            && let Some(first) = all.iter().position(of_token)
        {
            all.remove(first);
        }
        while all.len() >= SESSIONS_MAX {
            all.pop_front();
        }
        all.push_back(Session { hash: hash(&text), token, ends_ms: now_ms + LIFE_S * 1_000 });
        text
    }

    fn end(&self, cookie: &str) {
        let hash = hash(cookie);
        self.0.lock().expect("sessions lock").retain(|session| session.hash != hash);
    }

    /// Whose cookie it is. What is compared is a hash, of a value with 256 bits of chance.
    fn find(&self, cookie: &str, now_ms: u64) -> Option<Token> {
        let hash = hash(cookie);
        let all = self.0.lock().expect("sessions lock");
        let found = all.iter().find(|session| session.hash == hash && session.ends_ms > now_ms);
        found.map(|session| session.token.clone())
    }
}

/// Our cookies, of all that the browser sends: another program of this host may have left one of the same name.
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let fields = headers.get_all(COOKIE).iter().filter_map(|field| field.to_str().ok());
    let pairs = fields.flat_map(|field| field.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == COOKIE_NAME).map(|(_, value)| value).take(COOKIES_MAX)
}

/// The token of whoever is signed in, if the call may be one of their page's.
pub(super) fn token(parts: &Parts, state: &ApiState) -> Result<Option<Token>, ApiError> {
    let now_ms = state.clock.now_ms();
    let found = cookies(&parts.headers).find_map(|cookie| state.sessions.find(cookie, now_ms));
    let Some(token) = found else { return Ok(None) };
    let is_reading = matches!(parts.method, Method::GET | Method::HEAD);
    if !is_reading && !parts.headers.contains_key(OURS) {
        let message = "a call by cookie that changes something has to carry `Relay-Inspector: 1`";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "cross_site", message));
    }
    Ok(Some(token))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignIn {
    token: String,
}

/// `POST /session`: a cookie for a token.
pub(super) async fn begin(
    State(state): State<ApiState>,
    Body(sign_in): Body<SignIn>,
) -> Result<Response, ApiError> {
    let token = state.store.verify_token(sign_in.token.trim()).await?.ok_or(ApiError::token_invalid())?;
    let text = state.sessions.begin(token, state.clock.now_ms());
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, set_cookie(&text, LIFE_S))]).into_response())
}

/// `DELETE /session`: signs out, and takes the cookie back.
pub(super) async fn end(State(state): State<ApiState>, headers: HeaderMap) -> Response {
    cookies(&headers).for_each(|cookie| state.sessions.end(cookie));
    (StatusCode::NO_CONTENT, [(SET_COOKIE, set_cookie("", 0))]).into_response()
}

fn set_cookie(value: &str, life_s: u64) -> String {
    format!("{COOKIE_NAME}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={life_s}")
}
