//! AWS SNS: signed fields of the body, with a certificate that the body names.
//! <https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html>

use std::borrow::Cow;

use ring::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
};
use serde::Deserialize;

use crate::cert;
use crate::encoding::Encoding;
use crate::reject::Rejection;
use crate::scheme::check_time;
use crate::time;
use crate::verifier::Verified;
use crate::{Keys, Request};

/// What a topic may be given as, and how old a message may be.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    pub(crate) topic_arn: Option<String>,
    /// SNS itself tries again for up to an hour and more, so there is no limit unless the source sets one.
    pub(crate) tolerance_s: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Message<'b> {
    #[serde(borrow)]
    r#type: Cow<'b, str>,
    #[serde(borrow)]
    message: Cow<'b, str>,
    #[serde(borrow)]
    message_id: Cow<'b, str>,
    #[serde(borrow)]
    timestamp: Cow<'b, str>,
    #[serde(borrow)]
    topic_arn: Cow<'b, str>,
    #[serde(borrow, default)]
    subject: Option<Cow<'b, str>>,
    #[serde(borrow, default)]
    token: Option<Cow<'b, str>>,
    #[serde(borrow, default, rename = "SubscribeURL")]
    subscribe_url: Option<Cow<'b, str>>,
    #[serde(borrow)]
    signature: Cow<'b, str>,
    #[serde(borrow)]
    signature_version: Cow<'b, str>,
    #[serde(borrow, rename = "SigningCertURL")]
    cert_url: Cow<'b, str>,
}

const BODY: &str = "the body";

pub(crate) fn verify(
    request: &Request<'_>,
    expected: &Expected,
    now_ms: u64,
    keys: &dyn Keys,
) -> Result<Verified, Rejection> {
    if request.body.is_empty() {
        return Err(Rejection::missing("Signature of the JSON"));
    }
    let message: Message<'_> = serde_json::from_slice(request.body).map_err(|error| {
        // Raw delivery sends no envelope; a missing field is worth another word than no JSON at all.
        let why = if error.is_data() {
            "it lacks fields of a signed SNS message: turn raw message delivery off"
        } else {
            "it is not the JSON of an SNS message: turn raw message delivery off"
        };
        Rejection::malformed(BODY, why)
    })?;
    let algorithm = match &*message.signature_version {
        "1" => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
        "2" => &RSA_PKCS1_2048_8192_SHA256,
        _ => return Err(Rejection::UnknownVersion { name: "SignatureVersion of the JSON".to_owned() }),
    };
    let url: &str = &message.cert_url;
    let is_theirs = cert::plain_url(url)
        .is_some_and(|(host, path)| cert::is_sns_host(host) && path.len() > 4 && path.ends_with(".pem"));
    if !is_theirs {
        return Err(Rejection::KeyRefused { url: cert::shown(url) });
    }
    let signature = Encoding::Base64
        .decode(message.signature.as_bytes())
        .ok_or_else(|| Rejection::malformed("Signature of the JSON", "it is not Base64"))?;
    let pem = keys.get(url).ok_or_else(|| Rejection::KeyWanted { url: url.to_owned() })?;
    let key = cert::rsa_key(&pem, url, now_ms)?;
    let signed = message.signed()?;
    UnparsedPublicKey::new(algorithm, key)
        .verify(signed.as_bytes(), &signature)
        .map_err(|_| Rejection::WrongSecret)?;
    if expected.topic_arn.as_ref().is_some_and(|topic| *topic != message.topic_arn) {
        return Err(Rejection::NotForUs { what: "the topic" });
    }
    let signed_ms = time::rfc3339_ms(&message.timestamp)
        .ok_or_else(|| Rejection::malformed("Timestamp of the JSON", "it is not a time of RFC 3339"))?;
    check_time(signed_ms, now_ms, expected.tolerance_s)?;
    Ok(Verified { covers_body: true, secret: 0, signed_ms: Some(signed_ms) })
}

impl Message<'_> {
    /// Names and values, a line each, in the order of the names.
    fn signed(&self) -> Result<String, Rejection> {
        let is_notification = self.r#type == "Notification";
        let is_question = matches!(&*self.r#type, "SubscriptionConfirmation" | "UnsubscribeConfirmation");
        if !is_notification && !is_question {
            return Err(Rejection::malformed("Type of the JSON", "it is no type of SNS message"));
        }
        let need = |value: &Option<Cow<'_, str>>, name: &str| match value {
            Some(value) => Ok(value.clone().into_owned()),
            None => Err(Rejection::missing(name)),
        };
        let mut signed = String::new();
        let mut line = |name: &str, value: &str| {
            for part in [name, "\n", value, "\n"] {
                signed.push_str(part);
            }
        };
        line("Message", &self.message);
        line("MessageId", &self.message_id);
        if is_notification {
            if let Some(subject) = &self.subject {
                line("Subject", subject);
            }
        } else {
            line("SubscribeURL", &need(&self.subscribe_url, "SubscribeURL of the JSON")?);
        }
        line("Timestamp", &self.timestamp);
        if is_question {
            line("Token", &need(&self.token, "Token of the JSON")?);
        }
        line("TopicArn", &self.topic_arn);
        line("Type", &self.r#type);
        Ok(signed)
    }
}
