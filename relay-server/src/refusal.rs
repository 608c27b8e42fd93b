//! What the relay itself tells a sender: one enum for the whole status table of the product.

use std::time::Duration;

/// Why a sender gets the relay's own answer instead of the app's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// No source of that name.
    #[error("there is no source at this URL")]
    SourceNotFound,
    /// The source does not take this method.
    #[error("this source does not take requests of this method")]
    MethodRefused,
    /// The source does not take senders from there.
    #[error("this source does not take requests from your network")]
    NetworkRefused,
    /// Not signed as the source's provider signs.
    #[error("the signature does not match; the source's owner can see why")]
    SignatureInvalid,
    /// Whether it is signed cannot be found out now.
    #[error("the signature cannot be checked at the moment; send it again later")]
    Unverifiable,
    /// Nobody serves the source, and the sender's own retry is to do the work.
    #[error("no agent is connected for this source; send it again later")]
    AgentAway,
    /// The source is paused.
    #[error("this source is paused; send it again later")]
    Paused,
    /// Nothing listens where the agent forwards to.
    #[error("the application behind this source is not running")]
    AppRefused,
    /// The app, or the way to it, broke after the request was sent.
    #[error("the application behind this source did not answer properly")]
    AppBroke,
    /// The app did not answer in time.
    #[error("the application behind this source did not answer in time")]
    AppSlow,
    /// The event was to be kept, and there is no room for it.
    #[error("the relay has no room to keep this event; send it again later")]
    DiskFull,
    /// Larger than the source takes.
    #[error("the request body is larger than this source takes")]
    BodyTooLarge,
    /// More at once, or more often, than the source takes.
    #[error("too many requests for this source; slow down")]
    RateLimited,
    /// The relay is out of some resource.
    #[error("the relay is overloaded; send it again later")]
    Overloaded,
    /// The relay is going down.
    #[error("the relay is restarting; send it again in a moment")]
    Draining,
    /// Not a request the relay will touch.
    #[error("the request is malformed: {0}")]
    BadRequest(&'static str),
    /// The request came too slowly.
    #[error("the request did not arrive in time")]
    TooSlow,
    /// The target is longer than the limit.
    #[error("the request target is too long")]
    TargetTooLong,
    /// More header fields or bytes than the limit.
    #[error("the request header is too large")]
    HeaderTooLarge,
}

impl Refusal {
    /// HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest(_) => 400,
            Self::SignatureInvalid => 401,
            Self::NetworkRefused => 403,
            Self::SourceNotFound => 404,
            Self::MethodRefused => 405,
            Self::TooSlow => 408,
            Self::BodyTooLarge => 413,
            Self::TargetTooLong => 414,
            Self::RateLimited => 429,
            Self::HeaderTooLarge => 431,
            Self::AppRefused | Self::AppBroke => 502,
            Self::Unverifiable
            | Self::AgentAway
            | Self::Paused
            | Self::DiskFull
            | Self::Overloaded
            | Self::Draining => 503,
            Self::AppSlow => 504,
        }
    }

    /// Stable code, as in the `Relay-Error` field and the documentation.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::SourceNotFound => "source_not_found",
            Self::MethodRefused => "method_refused",
            Self::NetworkRefused => "network_refused",
            Self::SignatureInvalid => "signature_invalid",
            Self::Unverifiable => "signature_unverifiable",
            Self::AgentAway => "agent_away",
            Self::Paused => "source_paused",
            Self::AppRefused => "app_refused",
            Self::AppBroke => "app_broke",
            Self::AppSlow => "app_slow",
            Self::DiskFull => "disk_full",
            Self::BodyTooLarge => "body_too_large",
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::Draining => "draining",
            Self::BadRequest(_) => "bad_request",
            Self::TooSlow => "request_too_slow",
            Self::TargetTooLong => "target_too_long",
            Self::HeaderTooLarge => "header_too_large",
        }
    }

    /// What goes into `Retry-After`; every 429 and 503 has one.
    #[must_use]
    pub const fn retry_after(self) -> Option<Duration> {
        match self {
            Self::RateLimited | Self::Overloaded => Some(Duration::from_secs(1)),
            Self::Draining => Some(Duration::from_secs(2)),
            Self::AgentAway | Self::Unverifiable => Some(Duration::from_secs(10)),
            Self::DiskFull => Some(Duration::from_secs(5)),
            Self::Paused => Some(Duration::from_secs(60)),
            _ => None,
        }
    }

    /// Whether the connection must not be used any further: its framing is in doubt, or the rest of the request is
    /// not going to be read.
    #[must_use]
    pub const fn closes(self) -> bool {
        matches!(
            self,
            Self::BadRequest(_)
                | Self::TooSlow
                | Self::BodyTooLarge
                | Self::TargetTooLong
                | Self::HeaderTooLarge
        )
    }
}
