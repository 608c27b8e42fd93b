//! The link itself: handshake, the server's identity, the token, the clock, the round trip.

use std::io;
use std::time::Duration;

use relay_agent::{EndReason, Server};

use super::report::Report;
use crate::cli::ask::{AskError, Asker};
use crate::cli::context::Context;
use crate::cli::exit::{NEW_IDENTITY, NEW_TOKEN};
use crate::cli::login::describe_token;
use crate::output::live::clock_skew;
use crate::output::unit;

/// A round trip past this is felt by senders that wait for the app's answer.
const RTT_SLOW: Duration = Duration::from_millis(500);

/// Connects once and looks around. `is_answered` says whether the server answered on UDP at all.
pub(super) async fn check(
    report: &mut Report,
    context: &Context,
    server: Server,
    is_answered: bool,
) -> io::Result<()> {
    let trust = match server.pin {
        Some(_) => "the key is the pinned one".to_owned(),
        None => format!("the certificate holds for {}", server.host),
    };
    let mut asker = match Asker::open_to(context, server).await {
        Ok(asker) => asker,
        Err(error) => return refused(report, &trust, is_answered, &error),
    };
    report.ok("identity", &trust)?;
    match asker.get("/api/v1/whoami").await {
        Ok(whoami) => report.ok("token", &describe_token(&whoami))?,
        Err(AskError::Refused { status: 404, .. }) => report.ok("token", "accepted")?,
        Err(error) => report.warn("token", &format!("connected, but: {error}"), "relay-agent status")?,
    }
    match clock_skew(asker.met.clock_skew_ms) {
        None => report.ok("clock", "agrees with the server's")?,
        Some(text) => report.warn("clock", &text, "switch on time synchronisation (NTP)")?,
    }
    let (rtt, program) = (asker.rtt(), asker.met.server.clone());
    let found = format!("live, round trip {}, {program}", unit::duration(rtt));
    if rtt > RTT_SLOW {
        report.warn("link", &found, "a server closer by; a wired line")?;
    } else {
        report.ok("link", &found)?;
    }
    asker.close().await;
    Ok(())
}

fn refused(report: &mut Report, trust: &str, is_answered: bool, error: &anyhow::Error) -> io::Result<()> {
    match error.downcast_ref::<AskError>() {
        Some(AskError::Ended(EndReason::Identity(text))) => report.fail("identity", text, NEW_IDENTITY),
        Some(AskError::Ended(reason)) => {
            report.ok("identity", trust)?;
            report.fail("token", &reason.to_string(), NEW_TOKEN)
        }
        Some(AskError::Unreachable { reason, .. }) if is_answered => report.fail(
            "link",
            &format!("the server answers, but no connection comes about: {reason}"),
            "a middlebox may drop what follows the first packet; the server's log says whether it saw a handshake",
        ),
        Some(AskError::Unreachable { reason, .. }) => {
            report.fail("link", &format!("no connection: {reason}"), "see to the lines above first")
        }
        _ => report.fail("link", &format!("{error:#}"), "relay-agent doctor --verbose"),
    }
}
