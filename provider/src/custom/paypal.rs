//! PayPal: `{id}|{time}|{webhook id}|{crc32 of the body}`, signed with a certificate that a header names.

use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

use crate::Keys;
use crate::cert;
use crate::encoding::Encoding;
use crate::reject::Rejection;
use crate::scheme::check_time;
use crate::source::Scope;
use crate::time;
use crate::verifier::Verified;

/// Whose webhook it must be, and how old.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    pub(crate) webhook_id: String,
    /// PayPal documents no limit and tries again for three days: none unless the source sets one.
    pub(crate) tolerance_s: u32,
}

pub(crate) fn verify(
    scope: &Scope<'_>,
    expected: &Expected,
    now_ms: u64,
    keys: &dyn Keys,
) -> Result<Verified, Rejection> {
    let signature = scope.header_text("paypal-transmission-sig")?;
    let id = scope.header_text("paypal-transmission-id")?;
    let written = scope.header_text("paypal-transmission-time")?;
    let url = scope.header_text("paypal-cert-url")?;
    let algorithm = scope.header_text("paypal-auth-algo")?;
    if algorithm != "SHA256withRSA" {
        return Err(Rejection::UnknownVersion { name: "paypal-auth-algo".to_owned() });
    }
    let is_theirs = cert::plain_url(url).is_some_and(|(host, path)| {
        host.strip_suffix(".paypal.com").is_some_and(|host| !host.is_empty()) && !path.is_empty()
    });
    if !is_theirs {
        return Err(Rejection::KeyRefused { url: cert::shown(url) });
    }
    let signature = Encoding::Base64
        .decode(signature.as_bytes())
        .ok_or_else(|| Rejection::malformed("paypal-transmission-sig", "it is not Base64"))?;
    let signed_ms = time::rfc3339_ms(written)
        .ok_or_else(|| Rejection::malformed("paypal-transmission-time", "it is not a time of RFC 3339"))?;
    let pem = keys.get(url).ok_or_else(|| Rejection::KeyWanted { url: url.to_owned() })?;
    let key = cert::rsa_key(&pem, url, now_ms)?;
    let signed = format!("{id}|{written}|{}|{}", expected.webhook_id, crc32(scope.request.body));
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key)
        .verify(signed.as_bytes(), &signature)
        .map_err(|_| Rejection::WrongSecret)?;
    check_time(signed_ms, now_ms, expected.tolerance_s)?;
    Ok(Verified { covers_body: true, secret: 0, signed_ms: Some(signed_ms) })
}

/// The CRC of zip and Ethernet, by a table of one byte.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let (mut at, mut byte) = (0, 0);
        while at < 256 {
            let mut crc: u32 = byte;
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
                bit += 1;
            }
            table[at] = crc;
            at += 1;
            byte += 1;
        }
        table
    };
    !bytes.iter().fold(u32::MAX, |crc, byte| TABLE[usize::from(crc.to_le_bytes()[0] ^ byte)] ^ crc >> 8)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_crc_is_the_one_of_its_check_value() {
        assert_eq!(super::crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(super::crc32(b""), 0);
    }
}
