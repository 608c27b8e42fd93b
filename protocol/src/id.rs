//! Names of things: 128-bit ids shown as text, and the two kinds of name a person types.

use std::fmt;
use std::str::FromStr;

use crate::codec::{Decode, Encode};

/// Crockford's base 32, lower case: no `i`, `l`, `o`, `u`, so that an id survives being read aloud.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const DIGITS: usize = 26;

/// Bytes of every prefix, such as `evt_`.
const PREFIX: usize = 4;

/// An id as text, without memory of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IdText([u8; PREFIX + DIGITS]);

impl IdText {
    fn new(prefix: &'static str, value: u128) -> Self {
        let mut text = [0; PREFIX + DIGITS];
        text[..PREFIX].copy_from_slice(prefix.as_bytes());
        text[PREFIX..].copy_from_slice(&digits_of(value));
        Self(text)
    }
}

impl std::ops::Deref for IdText {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.0).expect("prefix and digits are ASCII")
    }
}

fn digits_of(mut value: u128) -> [u8; DIGITS] {
    let mut out = [b'0'; DIGITS];
    for slot in out.iter_mut().rev() {
        *slot = ALPHABET[(value & 31) as usize];
        value >>= 5;
    }
    out
}

fn value_of(digits: &str) -> Option<u128> {
    if digits.len() != DIGITS {
        return None;
    }
    let mut value: u128 = 0;
    for (at, byte) in digits.bytes().enumerate() {
        let digit = ALPHABET.iter().position(|a| *a == byte.to_ascii_lowercase())?;
        // 26 digits hold 130 bits; the first may only use three of its five.
        if at == 0 && digit > 7 {
            return None;
        }
        value = (value << 5) | digit as u128;
    }
    Some(value)
}

/// Text that is not an id of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected `{expected}` followed by 26 characters")]
pub struct IdError {
    /// The prefix that was expected, such as `evt_`.
    pub expected: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
        pub struct $name(pub u128);

        impl $name {
            /// The id as text.
            #[must_use]
            pub fn text(self) -> IdText {
                IdText::new($prefix, self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.text())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let digits = text.strip_prefix($prefix).ok_or(IdError { expected: $prefix })?;
                value_of(digits).map(Self).ok_or(IdError { expected: $prefix })
            }
        }
    };
}

id! {
    /// One event. Ordered by time: 43 bits of unix milliseconds, 20 bits of sequence, 65 bits of chance.
    EventId, "evt_"
}
id! {
    /// One agent: a configured machine with a lasting identity.
    AgentId, "agt_"
}
id! {
    /// One life of an agent process. A new process is a new instance of the same agent.
    InstanceId, "ins_"
}
id! {
    /// One session: one connected life of an instance, as the server numbers it.
    SessionId, "ses_"
}

impl EventId {
    /// Bits below the sort key: chance, so that ids cannot be guessed from one another.
    const CHANCE_BITS: u32 = 65;

    /// An event id from its sort key (`unix_ms << 20 | sequence`, at most 63 bits) and random bits.
    #[must_use]
    pub const fn from_parts(sort_key: u64, chance: u128) -> Self {
        Self(((sort_key as u128) << Self::CHANCE_BITS) | (chance & ((1 << Self::CHANCE_BITS) - 1)))
    }

    /// The sort key: `unix_ms << 20 | sequence`.
    #[must_use]
    pub const fn sort_key(self) -> u64 {
        (self.0 >> Self::CHANCE_BITS) as u64
    }

    /// When the event was taken in, in unix milliseconds.
    #[must_use]
    pub const fn unix_ms(self) -> u64 {
        self.sort_key() >> 20
    }
}

/// A name that cannot be used as a slug or destination name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a valid name: use 1 to 63 lower-case letters, digits and `-`, not at either end")]
pub struct NameError {
    /// The text that was refused, cut to 80 characters.
    pub name: String,
}

fn is_dns_label(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                if is_dns_label(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(NameError { name: text.chars().take(80).collect() })
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Encode for $name {
            fn encode<E: crate::codec::Encoder>(&self, e: &mut E) -> Result<(), crate::codec::EncodeError> {
                self.0.encode(e)
            }
        }

        impl<C> Decode<C> for $name {
            fn decode<D: crate::codec::Decoder<Context = C>>(d: &mut D) -> Result<Self, crate::codec::DecodeError> {
                let text = String::decode(d)?;
                text.parse().map_err(|_| crate::codec::refuse("a name that is not a DNS label"))
            }
        }

        crate::codec::impl_borrow_decode!($name);
    };
}

name! {
    /// The name of a source, and the part of its URL that finds it. A DNS label, so that it works as a host too
    /// (RFC 1035 section 2.3.1, digits first allowed by RFC 1123 section 2.1).
    Slug
}
name! {
    /// The name of a destination within its source. A new source has one, called `default`.
    DestinationName
}

impl Default for DestinationName {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_from_its_text() {
        for value in [0, 1, u128::MAX, 0x0123_4567_89ab_cdef] {
            let id = EventId(value);
            assert_eq!(id.to_string().parse::<EventId>(), Ok(id));
        }
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        let text = AgentId(7).to_string();
        assert_eq!(text.parse::<EventId>(), Err(IdError { expected: "evt_" }));
        assert!("evt_zzzzzzzzzzzzzzzzzzzzzzzzzz".parse::<EventId>().is_err(), "130 bits do not fit");
        assert!("evt_0123".parse::<EventId>().is_err());
    }

    #[test]
    fn event_ids_sort_by_time_and_keep_their_sort_key() {
        let early = EventId::from_parts(1_700_000_000_000 << 20, u128::MAX);
        let late = EventId::from_parts((1_700_000_000_000 << 20) + 1, 0);
        assert!(early < late && early.to_string() < late.to_string());
        assert_eq!(early.unix_ms(), 1_700_000_000_000);
        assert_eq!(late.sort_key(), (1_700_000_000_000 << 20) + 1);
    }

    #[test]
    fn names_are_dns_labels() {
        for good in ["a", "github", "my-hook-2", "0x", &"a".repeat(63)] {
            assert!(good.parse::<Slug>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a_b", "a.b", "a/b", "ä", &"a".repeat(64)] {
            assert!(bad.parse::<Slug>().is_err(), "{bad}");
        }
    }
}
