//! The RSA key of an X.509 certificate, and URLs where such certificates lie.
//!
//! Read by hand: the certificate is trusted because of the host it was fetched from over TLS, so nothing of it is judged
//! but its time, and a whole library for two fields would bring more to trust than these lines.

use crate::encoding::Encoding;
use crate::reject::Rejection;
use crate::time;

/// The OID of `rsaEncryption`.
const RSA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;
const VERSION: u8 = 0xa0;

/// The `RSAPublicKey` of the first certificate in a PEM text.
pub(crate) fn rsa_key(pem: &[u8], url: &str, now_ms: u64) -> Result<Vec<u8>, Rejection> {
    let unusable = |why| Rejection::KeyUnusable { url: url.to_owned(), why };
    let der = decode_pem(pem).ok_or_else(|| unusable("it is no certificate in PEM"))?;
    let certificate = read(&der).ok_or_else(|| unusable("it is no certificate with an RSA key"))?;
    if now_ms < certificate.from_ms {
        return Err(unusable("the certificate is not valid yet"));
    }
    if now_ms > certificate.until_ms {
        let ago_s = (now_ms - certificate.until_ms).div_ceil(1000);
        return Err(Rejection::Expired { what: "the certificate", ago_s });
    }
    Ok(certificate.key)
}

fn decode_pem(pem: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(pem).ok()?;
    let (_, rest) = text.split_once("-----BEGIN CERTIFICATE-----")?;
    let (inside, _) = rest.split_once("-----END CERTIFICATE-----")?;
    let plain: String = inside.split_ascii_whitespace().collect();
    Encoding::Base64.decode(plain.as_bytes())
}

struct Certificate {
    from_ms: u64,
    until_ms: u64,
    key: Vec<u8>,
}

/// RFC 5280 section 4.1, as far as the key.
fn read(der: &[u8]) -> Option<Certificate> {
    let (whole, _) = inside(der, SEQUENCE)?;
    let (mut rest, _) = inside(whole, SEQUENCE)?;
    if let Some((_, after)) = inside(rest, VERSION) {
        rest = after;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (validity, rest) = inside(rest, SEQUENCE)?;
    let (_, from, until) = element(validity)?;
    let (_, until, _) = element(until)?;
    // Subject.
    let rest = element(rest)?.2;
    let (info, _) = inside(rest, SEQUENCE)?;
    let (algorithm, key) = inside(info, SEQUENCE)?;
    let (tag, oid, _) = element(algorithm)?;
    let (key, _) = inside(key, BIT_STRING)?;
    let key = key.strip_prefix(&[0])?.to_vec();
    let is_rsa = tag == 0x06 && oid == RSA;
    is_rsa.then_some(Certificate { from_ms: time_ms(from)?, until_ms: time_ms(until)?, key })
}

/// `YYMMDDHHMMSSZ` (before 2050) or `YYYYMMDDHHMMSSZ`.
fn time_ms(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.is_ascii())?;
    let full = match text.len() {
        13 => format!("{}{text}", if text >= "50" { "19" } else { "20" }),
        15 => text.to_owned(),
        _ => return None,
    };
    let part = |from: usize, to: usize| full.get(from..to);
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    time::rfc3339_ms(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}{}", part(14, 15)?))
}

fn inside(der: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    element(der).filter(|(tag, ..)| *tag == wanted).map(|(_, content, rest)| (content, rest))
}

/// Tag, content and what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let (digits, rest) =
            rest.split_at_checked(usize::from(first & 0x7f)).filter(|(d, _)| (1..=3).contains(&d.len()))?;
        (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// Host and path of a URL that is https and nothing else: no port, user, query or fragment, and no character that two
/// readers could take differently.
pub(crate) fn plain_url(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("https://").filter(|rest| rest.len() <= 1024)?;
    let (host, path) = rest.split_once('/')?;
    let is_host = is_host(host);
    let is_path = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte));
    (is_host && is_path && !path.contains("..")).then_some((host, path))
}

fn is_host(host: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    host.len() <= 253 && host.split('.').all(is_label)
}

/// `sns.<region>.amazonaws.com`, or `.com.cn` for the regions in China.
pub(crate) fn is_sns_host(host: &str) -> bool {
    let region = host.strip_prefix("sns.").and_then(|rest| {
        rest.strip_suffix(".amazonaws.com").or_else(|| rest.strip_suffix(".amazonaws.com.cn"))
    });
    // `sns.s3-us-west-2.amazonaws.com` is somebody's bucket called `sns`.
    let is_region = |region: &str| region.len() >= 3 && !region.contains('.') && !region.starts_with("s3");
    is_host(host) && region.is_some_and(is_region)
}

/// A URL from a stranger as it may be shown: its start.
pub(crate) fn shown(url: &str) -> String {
    url.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_of_sns_are_hosts_of_sns() {
        for (host, expected) in [
            ("sns.us-west-2.amazonaws.com", true),
            ("sns.cn-north-1.amazonaws.com.cn", true),
            ("sns.us-west-2.amazonaws.com.evil.example", false),
            ("sns.us-west-2.evil.amazonaws.com", false),
            ("sns.s3-us-west-2.amazonaws.com", false),
            ("sns.s3-accelerate.amazonaws.com", false),
            ("evil-sns.us-west-2.amazonaws.com", false),
            ("sns.amazonaws.com", false),
            ("sns.US-WEST-2.amazonaws.com", false),
            ("sns.us-west-2.amazonaws.com.", false),
        ] {
            assert_eq!(is_sns_host(host), expected, "{host}");
        }
        for url in [
            "http://h.example/a.pem",
            "https://h.example:443/a.pem",
            "https://u@h.example/a.pem",
            "https://h.example/a.pem?x",
            "https://h.example/a.pem#x",
            "https://h.example\\@evil/a.pem",
            "https://h.example/../a.pem",
            "https://h.example",
            "HTTPS://h.example/a.pem",
        ] {
            assert_eq!(plain_url(url), None, "{url}");
        }
        assert_eq!(plain_url("https://h.example/a/b.pem"), Some(("h.example", "a/b.pem")));
    }

    #[test]
    fn broken_certificates_are_refused_without_a_panic() {
        for der in [
            &[][..],
            &[0x30],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x30, 0x80],
            &[0x30, 0x02, 0x30, 0x05],
        ] {
            assert!(read(der).is_none());
        }
    }
}
