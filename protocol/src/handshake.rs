//! Greeting, welcome, refusal: one small state machine a side. Bytes and frames in, decisions out.

use crate::control::{Control, ControlError, Features, Greeting, Refusal, RefusalCode, Welcome};
use crate::frame::Frame;
use crate::limits::SERVES_MAX;

/// Lowest protocol minor this build speaks.
pub const VERSION_MIN: u16 = 1;
/// Highest protocol minor this build speaks.
pub const VERSION_MAX: u16 = 1;

/// A peer that does not keep to the handshake.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The frame cannot be read.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// A frame that has no place at this point.
    #[error("unexpected message during the handshake")]
    OutOfOrder,
    /// A welcome that grants what was not offered.
    #[error("the server chose version {version}, which was not offered")]
    NotOffered {
        /// The version it chose.
        version: u16,
    },
}

/// The agent's side: has sent its greeting, waits for the word.
#[derive(Debug)]
pub struct AgentHandshake {
    version_min: u16,
    version_max: u16,
    features: Features,
}

/// What the server answered.
#[derive(Debug)]
pub enum Answer {
    /// Welcome.
    Welcome(Box<Welcome>),
    /// No.
    Refusal(Refusal),
}

impl AgentHandshake {
    /// Starts with the greeting's bytes.
    #[must_use]
    pub fn start(greeting: Greeting) -> (Self, Vec<u8>) {
        let state = Self {
            version_min: greeting.version_min,
            version_max: greeting.version_max,
            features: greeting.features,
        };
        (state, Control::Greeting(Box::new(greeting)).to_bytes())
    }

    /// Takes the server's frame. `None`: an optional frame of a newer server was skipped; wait for the next.
    ///
    /// # Errors
    /// When the frame is not an answer to our greeting.
    pub fn on_frame(&self, frame: &Frame) -> Result<Option<Answer>, HandshakeError> {
        match Control::read(frame)? {
            None => Ok(None),
            Some(Control::Welcome(welcome)) => {
                if !(self.version_min..=self.version_max).contains(&welcome.version) {
                    return Err(HandshakeError::NotOffered { version: welcome.version });
                }
                let features = self.features.common(welcome.features);
                Ok(Some(Answer::Welcome(Box::new(Welcome { features, ..*welcome }))))
            }
            Some(Control::Refusal(refusal)) => Ok(Some(Answer::Refusal(refusal))),
            Some(_) => Err(HandshakeError::OutOfOrder),
        }
    }
}

/// The server's side: what it speaks.
#[derive(Debug, Clone, Copy)]
pub struct ServerHandshake {
    /// Lowest minor.
    pub version_min: u16,
    /// Highest minor.
    pub version_max: u16,
    /// What it can do.
    pub features: Features,
}

impl Default for ServerHandshake {
    fn default() -> Self {
        Self { version_min: VERSION_MIN, version_max: VERSION_MAX, features: Features::ALL }
    }
}

/// A greeting that was understood; who it is remains to be checked.
#[derive(Debug)]
pub struct Greeted {
    /// What the agent said.
    pub greeting: Box<Greeting>,
    /// The highest minor both speak.
    pub version: u16,
    /// Features both have.
    pub features: Features,
}

impl ServerHandshake {
    /// Takes the agent's first frame: the greeting, or the refusal to send.
    ///
    /// # Errors
    /// When the frame is not a greeting at all: close without a word.
    pub fn on_frame(&self, frame: &Frame) -> Result<Result<Greeted, Refusal>, HandshakeError> {
        let Some(Control::Greeting(greeting)) = Control::read(frame)? else {
            return Err(HandshakeError::OutOfOrder);
        };
        let version = self.version_max.min(greeting.version_max);
        if version < self.version_min.max(greeting.version_min) {
            let text = format!(
                "no common protocol version: the agent ({}) speaks {} to {}, this server {} to {}; update the older one",
                greeting.program.chars().take(40).collect::<String>(),
                greeting.version_min,
                greeting.version_max,
                self.version_min,
                self.version_max
            );
            return Ok(Err(refusal(RefusalCode::VERSION, text, None)));
        }
        let mut ids: Vec<u32> = greeting.serves.iter().map(|s| s.id).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.len() != greeting.serves.len() || ids.first() == Some(&0) || ids.len() > SERVES_MAX {
            let text = format!(
                "a greeting serves at most {SERVES_MAX} sources, each with a number of its own from 1"
            );
            return Ok(Err(refusal(RefusalCode::MALFORMED, text, None)));
        }
        let features = self.features.common(greeting.features);
        Ok(Ok(Greeted { greeting, version, features }))
    }
}

/// A refusal without extensions.
#[must_use]
pub fn refusal(code: RefusalCode, text: String, retry_after_ms: Option<u32>) -> Refusal {
    Refusal { code, text, retry_after_ms, extensions: crate::codec::Extensions::default() }
}
