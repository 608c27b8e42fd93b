//! Who sends to a source: what is said of its provider, what is known of each event through it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Row id of a source's secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SecretId(pub i64);

/// A source's secret as it is kept: only the server's key opens it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedSecret {
    /// Row id.
    pub id: SecretId,
    /// Encrypted.
    pub sealed: Vec<u8>,
    /// A name for people.
    pub label: String,
    /// Unix milliseconds.
    pub created_ms: u64,
}

/// Who answers the challenges with which a provider registers a URL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GreetBy {
    /// The app, while it can be asked; else the relay.
    #[default]
    AppFirst,
    /// The relay.
    Relay,
    /// The app: a challenge is a webhook like any other.
    App,
}

/// Who sends to a source, and how the relay deals with it. Once the source has a secret, every request is checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProviderRules {
    /// Name of the provider, such as `github`; `hmac`, `bearer`, `basic` and `header` are forms for all others.
    pub name: String,
    /// What else the provider's scheme has to be told; nothing secret.
    pub params: BTreeMap<String, String>,
    /// How old, and how far ahead, a signature may be, in seconds; `None`: as the provider says.
    pub tolerance_s: Option<u32>,
    /// See [`GreetBy`].
    pub greet: GreetBy,
    /// Signs what is delivered later, again or edited afresh, so that the app takes it for new.
    pub resign: bool,
}

impl ProviderRules {
    /// The part that concerns the provider's scheme.
    #[must_use]
    pub fn settings(&self) -> provider::Settings {
        provider::Settings {
            name: self.name.clone(),
            params: self.params.clone(),
            tolerance_s: self.tolerance_s,
        }
    }
}

/// What is known of an event's sender.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// The provider's name for the event, such as `pull_request.opened`.
    pub name: Option<String>,
    /// The provider's id of the delivery.
    pub sender_id: Option<String>,
    /// Whether that id alone makes two requests copies; otherwise only with the same body.
    pub id_alone: bool,
    /// See [`SignatureSeen`].
    pub signature: SignatureSeen,
}

/// What came of checking a signature.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SignatureSeen {
    /// Nobody asked for it.
    #[default]
    Unchecked,
    /// It is the provider's, for this body.
    Verified,
    /// It is the provider's, but does not cover the body.
    SenderVerified,
    /// Of a copy that its owner edited: the original's was good.
    Edited,
    /// It is not: why, as a code and as a sentence.
    Refused(&'static str, String),
}

impl SignatureSeen {
    /// Whether the provider sent it.
    #[must_use]
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Verified | Self::SenderVerified)
    }

    /// As the store and the API say it; `None` where nothing was checked.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        match self {
            Self::Unchecked => None,
            Self::Verified => Some("verified"),
            Self::SenderVerified => Some("sender_verified"),
            Self::Edited => Some("edited"),
            Self::Refused(code, _) => Some(code),
        }
    }

    /// Why it was refused.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Refused(_, text) => Some(text),
            _ => None,
        }
    }
}
