//! `relay-agent logout`: forgets the server and the token.

use serde_json::json;

use super::Exit;
use super::context::Context;
use crate::config::credentials;

/// Forget the server and the token
#[derive(clap::Args)]
pub(super) struct Args {}

pub(super) fn run(context: &Context, _args: Args) -> anyhow::Result<Exit> {
    let directory = context.directory()?;
    let was_there = credentials::remove(&directory)?;
    if context.output.json {
        context.output.object(&json!({ "type": "logout", "was_logged_in": was_there }))?;
    } else if was_there {
        context.output.say(&format!("Removed {}.", credentials::path(&directory).display()));
        context.output.say("The token itself is still good: `relay-server token revoke` ends it.");
    } else {
        context.output.say("There was no login.");
    }
    Ok(Exit::Done)
}
