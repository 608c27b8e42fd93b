//! Who calls, and what they may: decided here and nowhere else.
//!
//! `admin` may do everything in its project, `read` may look at everything, `agent` may look at what it may serve; one
//! that may also make sources manages those: destinations, replays, what waits. What lies in another project does not
//! exist.

use axum::extract::FromRequestParts;
use http::StatusCode;
use http::header::AUTHORIZATION;
use http::request::Parts;

use super::ApiState;
use super::error::ApiError;
use super::session;
use crate::model::{ProjectId, Scope, Source, SourceId, Token, TokenId};

/// Says who calls, as a request extension: set by the tunnel, whose sessions have shown their token.
#[derive(Debug, Clone)]
pub struct Identity(pub Token);

/// Whoever calls, with a token that is good now: by a header field, by the inspector's cookie, or through the tunnel.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    token: Token,
}

fn refused(code: &'static str, message: &'static str) -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, code, message)
}

impl FromRequestParts<ApiState> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let token = match parts.extensions.get::<Identity>() {
            // The session may outlive its token by a moment; a call may not.
            Some(Identity(token)) => state.store.is_token_good(token.id).await?.then(|| token.clone()),
            None if parts.headers.contains_key(AUTHORIZATION) => {
                state.store.verify_token(bearer(parts)?).await?
            }
            None => match session::token(parts, state)? {
                Some(token) => state.store.is_token_good(token.id).await?.then_some(token),
                None => state.store.verify_token(bearer(parts)?).await?,
            },
        };
        let token = token.ok_or(ApiError::token_invalid())?;
        Ok(Self { token })
    }
}

/// The text of `Authorization: Bearer …` (RFC 6750 section 2.1).
fn bearer(parts: &Parts) -> Result<&str, ApiError> {
    let missing =
        refused("token_missing", "say `Authorization: Bearer TOKEN`; `relay-server token create` makes one");
    let field = parts.headers.get(AUTHORIZATION).and_then(|field| field.to_str().ok());
    match field.and_then(|field| field.split_once(' ')) {
        Some((scheme, text)) if scheme.eq_ignore_ascii_case("bearer") => Ok(text.trim()),
        _ => Err(missing),
    }
}

impl Caller {
    /// The project everything is asked of.
    pub(super) fn project(&self) -> ProjectId {
        self.token.project
    }

    /// The token.
    pub(super) fn token(&self) -> &Token {
        &self.token
    }

    /// The token's id.
    pub(super) fn token_id(&self) -> TokenId {
        self.token.id
    }

    /// Goes on only for scope `admin`.
    pub(super) fn must_be_admin(&self) -> Result<(), ApiError> {
        match self.token.scope {
            Scope::Admin => Ok(()),
            Scope::Agent { .. } | Scope::Read => Err(scope_refused("this needs a token of scope `admin`")),
        }
    }

    /// Goes on only for those who may look at all of the project.
    pub(super) fn must_see_all(&self) -> Result<(), ApiError> {
        match self.token.scope {
            Scope::Admin | Scope::Read => Ok(()),
            Scope::Agent { .. } => Err(scope_refused("this needs a token of scope `admin` or `read`")),
        }
    }

    /// Whether the caller may look at the project's source of that name.
    pub(super) fn may_see(&self, slug: &str) -> bool {
        let bound_to = self.bound_to();
        bound_to.is_empty() || bound_to.iter().any(|source| source == slug)
    }

    /// Names of the sources that are all the caller may look at; empty: every source of its project.
    pub(super) fn bound_to(&self) -> &[String] {
        match &self.token.scope {
            Scope::Admin | Scope::Read => &[],
            Scope::Agent { sources, .. } => sources,
        }
    }

    /// Whether the caller may make, change and send things of the project's source of that name.
    pub(super) fn may_manage(&self, slug: &str) -> bool {
        match &self.token.scope {
            Scope::Admin => true,
            Scope::Agent { create, .. } => *create && self.may_see(slug),
            Scope::Read => false,
        }
    }

    /// Goes on only for those who may manage the source of that name: `admin`, and `agent` that may make sources.
    pub(super) fn must_manage(&self, slug: &str) -> Result<(), ApiError> {
        if self.may_manage(slug) { Ok(()) } else { Err(scope_refused(MANAGERS)) }
    }

    /// Goes on only for those who may manage some source.
    pub(super) fn must_manage_some(&self) -> Result<(), ApiError> {
        match self.token.scope {
            Scope::Admin | Scope::Agent { create: true, .. } => Ok(()),
            Scope::Agent { create: false, .. } | Scope::Read => Err(scope_refused(MANAGERS)),
        }
    }

    /// The live source of that name, if it is the caller's to manage.
    pub(super) fn managed(&self, state: &ApiState, slug: &str) -> Result<std::sync::Arc<Source>, ApiError> {
        let source = self.source(state, slug)?;
        self.must_manage(source.slug.as_str())?;
        Ok(source)
    }

    /// The live source of that name, if it is the caller's to look at.
    pub(super) fn source(&self, state: &ApiState, slug: &str) -> Result<std::sync::Arc<Source>, ApiError> {
        let found = state.store.source(slug).filter(|source| source.project == self.project());
        found.filter(|source| self.may_see(source.slug.as_str())).ok_or_else(ApiError::no_such_source)
    }

    /// The name of a source an event came through, if it is the caller's to look at.
    pub(super) fn name_of(&self, state: &ApiState, source: SourceId) -> Option<String> {
        let owner = state.store.owner(source).filter(|owner| owner.project == self.project())?;
        self.may_see(owner.slug.as_str()).then(|| owner.slug.to_string())
    }

    /// The sources whose events may be listed; `None` for all of the project.
    pub(super) fn sources(&self, state: &ApiState) -> Option<Vec<SourceId>> {
        match &self.token.scope {
            Scope::Agent { sources, .. } if !sources.is_empty() => {
                let ids = sources.iter().filter_map(|slug| self.source(state, slug).ok());
                Some(ids.map(|source| source.id).collect())
            }
            Scope::Admin | Scope::Read | Scope::Agent { .. } => None,
        }
    }
}

const MANAGERS: &str = "this needs a token of scope `admin`, or of scope `agent` that may make sources";

fn scope_refused(message: &'static str) -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, "scope_refused", message)
}
