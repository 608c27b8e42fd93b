//! How bytes are written in headers: strict, one spelling for one value (but hexadecimal in either case).

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose};
use serde::Deserialize;

/// An encoding of bytes as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Encoding {
    Hex,
    Base64,
    Base64url,
}

impl Encoding {
    pub(crate) fn decode(self, text: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Hex => hex(text),
            Self::Base64 => general_purpose::STANDARD.decode(text).ok(),
            Self::Base64url => general_purpose::URL_SAFE_NO_PAD.decode(text).ok(),
        }
    }

    pub(crate) fn encode(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex => to_hex(bytes),
            Self::Base64 => general_purpose::STANDARD.encode(bytes),
            Self::Base64url => general_purpose::URL_SAFE_NO_PAD.encode(bytes),
        }
    }
}

/// For secrets, which people copy: with or without the `=` at the end.
const FOR_SECRETS: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A secret that is written as Base64.
pub(crate) fn base64_secret(text: &str) -> Option<Vec<u8>> {
    FOR_SECRETS.decode(text).ok()
}

/// Hexadecimal of either case.
pub(crate) fn hex(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    };
    text.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// Lower-case hexadecimal.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// Whether two values are the same, in a time that does not tell where they differ. Their lengths are no secret.
pub(crate) fn is_same(one: &[u8], other: &[u8]) -> bool {
    use subtle::ConstantTimeEq as _;
    one.ct_eq(other).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_encoding_has_one_spelling() {
        assert_eq!(Encoding::Hex.decode(b"0aFF").unwrap(), [10, 255]);
        for text in ["0", "0g", "0x00", " 00"] {
            assert_eq!(Encoding::Hex.decode(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Encoding::Base64.decode(b"YQ==").unwrap(), b"a");
        for text in ["YQ", "YR==", "YQ==\n", "Y Q=="] {
            assert_eq!(Encoding::Base64.decode(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Encoding::Base64url.decode(b"YQ").unwrap(), b"a");
        assert_eq!(Encoding::Base64url.decode(b"YQ=="), None);
        assert_eq!(base64_secret("YQ").unwrap(), b"a");
    }
}
