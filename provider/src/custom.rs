//! Schemes that no table describes.

pub(crate) mod aws_sns;
mod contentful;
pub(crate) mod paypal;
mod twilio;

pub(crate) use contentful::Contentful;
pub(crate) use twilio::Twilio;
