//! Settings and secrets become keys.

use ring::hmac;

use super::{Curve, Inner, Prepared, SECRETS_MAX, Standard};
use crate::custom::{Contentful, Twilio, aws_sns, paypal};
use crate::jwt::Jwt;
use crate::reject::SettingsError;
use crate::scheme::{Custom, KeyForm, Scheme};
use crate::settings::{self, Settings};
use crate::table::{self, Alternative};
use crate::template::Template;

/// What a secret starts with that only a handshake compares.
const VERIFY_TOKEN: &str = "verify_token:";

pub(super) fn inner(
    settings: &Settings,
    secrets: &[String],
    form: Option<KeyForm>,
) -> Result<Inner, SettingsError> {
    let provider = table::find(&settings.name)
        .ok_or_else(|| SettingsError::UnknownProvider { name: settings.name.clone() })?;
    if secrets.len() > SECRETS_MAX {
        return Err(SettingsError::TooManySecrets);
    }
    let too_long = |value: &String| value.len() > settings::PARAM_BYTES_MAX;
    if let Some((name, _)) = settings.params.iter().find(|(_, value)| too_long(value)) {
        return Err(SettingsError::Param { name: name.clone(), why: "it is too long" });
    }
    let has_verify_token = provider.greetings.iter().any(crate::greet::Handshake::has_verify_token);
    let mut signing = Vec::new();
    let mut verify_tokens = Vec::new();
    for (at, secret) in secrets.iter().enumerate() {
        match secret.strip_prefix(VERIFY_TOKEN).filter(|_| has_verify_token) {
            Some("") => {
                return Err(SettingsError::Secret { position: at + 1, why: "its verify token is empty" });
            }
            Some(token) => verify_tokens.push(token.to_owned()),
            None if secret.is_empty() => {
                return Err(SettingsError::Secret { position: at + 1, why: "it is empty" });
            }
            None => signing.push((at, secret.clone())),
        }
    }

    let mut used = Vec::new();
    let mut read = |value: &toml::Value| -> Result<Prepared, SettingsError> {
        let filled = settings::fill_all(value, &settings.params, &mut used)?;
        let scheme: Scheme = filled
            .try_into()
            .map_err(|error: toml::de::Error| SettingsError::Table(error.message().to_owned()))?;
        // Otherwise anybody could write a fresh time to an old signature.
        let has_free_time = matches!(&scheme, Scheme::Hmac(mac) if mac.ts.is_some() && !mac.signed.0.iter().all(Template::has_time));
        if provider.is_general && has_free_time {
            return Err(SettingsError::Param {
                name: "signed".to_owned(),
                why: "it leaves out the time, {ts}",
            });
        }
        prepare(scheme, settings, &signing, form, &mut used)
    };
    let mut all = |schemes: &[Alternative]| -> Result<Vec<_>, SettingsError> {
        let is_wanted = |scheme: &&Alternative| {
            let mut params = scheme.when.iter().filter_map(|condition| condition.param());
            params.all(|(name, must)| settings.params.contains_key(name) == must)
        };
        let wanted = schemes.iter().filter(is_wanted);
        wanted.map(|scheme| Ok((scheme.when.clone(), read(&scheme.verify)?))).collect()
    };
    let alternatives = all(&provider.alternatives)?;
    let also = all(&provider.also)?;
    let main = read(&provider.verify)?;
    for handshake in &provider.greetings {
        handshake.check(&settings.params, &mut used)?;
    }
    used.extend(provider.params.iter().map(|param| param.name.clone()));
    if let Some(name) = settings.params.keys().find(|name| !used.contains(name)) {
        used.sort_unstable();
        used.dedup();
        let known = if used.is_empty() { "none".to_owned() } else { used.join(", ") };
        return Err(SettingsError::ParamUnknown { name: name.clone(), known });
    }
    Ok(Inner {
        provider,
        settings: settings.clone(),
        secrets: signing,
        verify_tokens,
        alternatives,
        also,
        main,
    })
}

fn prepare(
    scheme: Scheme,
    settings: &Settings,
    secrets: &[(usize, String)],
    form: Option<KeyForm>,
    used: &mut Vec<String>,
) -> Result<Prepared, SettingsError> {
    let tolerance = |tol: &mut u32| {
        if let Some(tolerance_s) = settings.tolerance_s {
            *tol = tolerance_s;
        }
    };
    let mut param = |name: &str| {
        used.push(name.to_owned());
        settings.params.get(name).cloned()
    };
    let owned = || secrets.to_vec();
    Ok(match scheme {
        Scheme::Hmac(mut scheme) => {
            scheme.ts.iter_mut().for_each(|ts| tolerance(&mut ts.tol));
            let keys = keys(secrets, form.unwrap_or(scheme.key))?;
            let keys =
                keys.into_iter().map(|(at, key)| (at, hmac::Key::new(scheme.alg.hmac(), &key))).collect();
            Prepared::Hmac { scheme, keys }
        }
        Scheme::Concat(mut scheme) => {
            scheme.ts.iter_mut().for_each(|ts| tolerance(&mut ts.tol));
            Prepared::Concat { scheme, keys: owned() }
        }
        Scheme::Token(scheme) => Prepared::Token { scheme, secrets: owned() },
        Scheme::Basic => {
            if let Some((at, _)) = secrets.iter().find(|(_, secret)| !secret.contains(':')) {
                return Err(SettingsError::Secret { position: at + 1, why: "it is not user:password" });
            }
            Prepared::Basic { secrets: owned() }
        }
        Scheme::Ed25519(mut scheme) => {
            scheme.ts.iter_mut().for_each(|ts| tolerance(&mut ts.tol));
            let keys = keys(secrets, scheme.key)?;
            if let Some((at, _)) = keys.iter().find(|(_, key)| key.len() != 32) {
                return Err(SettingsError::Secret {
                    position: at + 1,
                    why: "an Ed25519 public key has 32 bytes",
                });
            }
            Prepared::PublicKey { scheme, curve: Curve::Ed25519, keys }
        }
        Scheme::EcdsaP256(mut scheme) => {
            scheme.ts.iter_mut().for_each(|ts| tolerance(&mut ts.tol));
            let keys = keys(secrets, scheme.key)?;
            Prepared::PublicKey { scheme, curve: Curve::P256, keys }
        }
        Scheme::StandardWebhooks(mut scheme) => {
            tolerance(&mut scheme.tol);
            if let Some(form) = form.filter(|_| scheme.key != KeyForm::WhsecOnly) {
                scheme.key = form;
            }
            Prepared::Standard(Standard::new(&scheme, secrets)?)
        }
        Scheme::Jwt(mut scheme) => {
            scheme.iat_tol.iter_mut().for_each(tolerance);
            Prepared::Jwt(Jwt::new(scheme, secrets, param("jwks"))?)
        }
        Scheme::Custom(Custom::Twilio) => Prepared::Twilio(Twilio::new(secrets)),
        Scheme::Custom(Custom::AwsSns) => Prepared::AwsSns(aws_sns::Expected {
            topic_arn: param("topic_arn"),
            tolerance_s: settings.tolerance_s.unwrap_or(0),
        }),
        Scheme::Custom(Custom::Paypal) => Prepared::PayPal(paypal::Expected {
            webhook_id: param("webhook_id")
                .filter(|id| !id.is_empty())
                .ok_or_else(|| SettingsError::ParamMissing { name: "webhook_id".to_owned() })?,
            tolerance_s: settings.tolerance_s.unwrap_or(0),
        }),
        Scheme::Custom(Custom::Contentful) => {
            Prepared::Contentful(Contentful::new(secrets, settings.tolerance_s))
        }
    })
}

fn keys(secrets: &[(usize, String)], form: KeyForm) -> Result<Vec<(usize, Vec<u8>)>, SettingsError> {
    let mut keys = Vec::with_capacity(secrets.len());
    for (at, secret) in secrets {
        match form.key(secret) {
            Ok(Some(key)) => keys.push((*at, key)),
            Ok(None) => {}
            Err(why) => return Err(SettingsError::Secret { position: at + 1, why }),
        }
    }
    Ok(keys)
}
