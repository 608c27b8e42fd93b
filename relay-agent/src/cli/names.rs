//! Names of more than one part: a destination within a source, a delivery of an event.

use std::fmt;
use std::str::FromStr;

use protocol::id::{DestinationName, EventId, Slug};

/// `SOURCE` or `SOURCE/DESTINATION`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) source: Slug,
    pub(super) destination: Option<DestinationName>,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (source, destination) = match text.split_once('/') {
            Some((source, destination)) => (source, Some(destination)),
            None => (text, None),
        };
        let wrong = |error: protocol::id::NameError| error.to_string();
        Ok(Self {
            source: source.parse().map_err(wrong)?,
            destination: destination.map(str::parse).transpose().map_err(wrong)?,
        })
    }
}

impl Place {
    /// Where its destination is in the API; `default` is meant when none is named.
    pub(super) fn destination_path(&self) -> String {
        let name = self.destination.clone().unwrap_or_default();
        format!("/sources/{}/destinations/{name}", self.source)
    }
}

/// `github`, or `github/ci` for a destination other than the one that is meant when none is named.
pub(super) fn place(source: &Slug, destination: &DestinationName) -> String {
    if *destination == DestinationName::default() {
        source.to_string()
    } else {
        format!("{source}/{destination}")
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.destination {
            Some(destination) => write!(f, "{}/{destination}", self.source),
            None => write!(f, "{}", self.source),
        }
    }
}

/// A delivery: its event, and its number among that event's deliveries, from 1. As text: `evt_….2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DeliveryId {
    pub(super) event: EventId,
    pub(super) no: u32,
}

impl FromStr for DeliveryId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is no delivery: expected an event's id, a dot and a number, `evt_….1`");
        let (event, no) = text.split_once('.').ok_or_else(wrong)?;
        let event = event.parse().map_err(|_| wrong())?;
        let no = no.parse().ok().filter(|no| *no > 0).ok_or_else(wrong)?;
        Ok(Self { event, no })
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.event, self.no)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_source_or_a_destination_in_it() {
        for text in ["github", "github/ci"] {
            assert_eq!(text.parse::<Place>().unwrap().to_string(), text);
        }
        let of = |text: &str| text.parse::<Place>().unwrap().destination_path();
        assert_eq!(of("github"), "/sources/github/destinations/default");
        assert_eq!(of("github/ci"), "/sources/github/destinations/ci");
        for text in ["", "/ci", "github/", "GitHub", "a/b/c"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
        assert_eq!(place(&"a".parse().unwrap(), &DestinationName::default()), "a");
        assert_eq!(place(&"a".parse().unwrap(), &"ci".parse().unwrap()), "a/ci");
    }

    #[test]
    fn a_delivery_reads_back_from_its_text() {
        let id = DeliveryId { event: EventId(7), no: 3 };
        assert_eq!(id.to_string().parse(), Ok(id));
        let event = id.event;
        for text in [event.to_string(), format!("{event}.0"), format!("{event}.x"), "evt_1.1".to_owned()] {
            assert!(text.parse::<DeliveryId>().is_err(), "{text}");
        }
    }
}
