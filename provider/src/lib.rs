//! What providers of webhooks do, as data and pure code: how they sign, greet, name and number their webhooks.
//!
//! One TOML file a provider (folder `providers`), listed in `table.rs`. Bytes, the time and secrets go in; verdicts come
//! out: nothing here waits, reads a clock or prints. [`Verifier`] verifies and signs for one source, [`Provider`] names
//! events, [`recognise`] says whose webhook a request is.

mod cert;
mod condition;
mod custom;
mod encoding;
mod explain;
mod greet;
pub mod json;
mod jwt;
mod page;
mod reject;
pub mod samples;
mod scheme;
mod settings;
mod source;
mod table;
mod template;
mod time;
mod verifier;

use std::sync::Arc;

use protocol::field::HeaderBlock;

pub use greet::{Answer, Greeting, Needs, Then};
pub use page::page;
pub use reject::{CannotSign, Rejection, SettingsError};
pub use settings::Settings;
pub use table::{Facts, Param, Provider, all, find, recognise, recognise_by_header};
pub use verifier::{SECRETS_MAX, Verified, Verifier};

/// A request as the sender sent it.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// As on the request line: `POST`.
    pub method: &'a str,
    /// The public URL as the provider knows it: `scheme://host/path?query`, path and query as sent.
    pub url: &'a str,
    /// All fields, in order, with those that came twice.
    pub headers: &'a HeaderBlock,
    /// The exact bytes.
    pub body: &'a [u8],
}

/// Public keys that lie elsewhere: certificates of SNS and PayPal, key sets of Google and Plaid.
///
/// Only URLs that passed a provider's own check are asked for. What is kept is kept by URL; see
/// [`Rejection::KeyWanted`] and [`Rejection::KeyUnknown`].
pub trait Keys {
    /// What lies at this URL, where it was fetched already.
    fn get(&self, url: &str) -> Option<Arc<[u8]>>;
}

/// No keys at all: what needs one is answered with [`Rejection::KeyWanted`].
#[derive(Clone, Copy, Debug, Default)]
pub struct NoKeys;

impl Keys for NoKeys {
    fn get(&self, _: &str) -> Option<Arc<[u8]>> {
        None
    }
}
