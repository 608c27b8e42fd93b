//! `relay-agent doctor`: what stands between this machine and the server, one line per check, in the order a
//! connection meets them. What failed says what to try.

mod link;
mod local;
mod network;
mod report;
mod version_probe;

use std::path::Path;

use relay_agent::{Server, Target};

use self::report::Report;
use super::Exit;
use super::context::Context;
use crate::config::join_line::host_and_port;
use crate::config::{project, state, words};

/// Check everything between this machine and the server, and the app behind it
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  relay-agent doctor\n  relay-agent doctor 3000\n\n\
    Exit code 0 when nothing failed, 1 otherwise.")]
pub(super) struct Args {
    /// Local targets to look at; without any: those of relay-agent.toml, or those forwarded to before
    #[arg(value_name = "TARGET", value_parser = words::target)]
    targets: Vec<Target>,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let mut report = Report::new(context.output);
    let server = configuration(context, &mut report)?;
    let mut targets = args.targets;
    if let Some(routes) = project_file(&mut report)? {
        targets.extend(routes);
    }
    if let Some(server) = server {
        if targets.is_empty() {
            targets = targets_before(context, &server);
        }
        let addresses = network::names(&mut report, &server.host, server.port).await?;
        let is_answered = network::answers(&mut report, &addresses).await?;
        link::check(&mut report, context, server, is_answered).await?;
    }
    for target in &targets {
        local::check(&mut report, target).await?;
    }
    Ok(report.exit())
}

fn configuration(context: &Context, report: &mut Report) -> anyhow::Result<Option<Server>> {
    match context.server() {
        Ok(server) => {
            let trust = if server.pin.is_some() { "pinned key" } else { "public certificate" };
            let files = context.directory()?;
            report.ok("config", &format!("{}, {trust}; files in {files}", host_and_port(&server)))?;
            Ok(Some(server))
        }
        Err(error) => {
            report.fail("config", &format!("{error:#}"), "relay-agent login")?;
            Ok(None)
        }
    }
}

/// The targets of the project file here, if there is one.
fn project_file(report: &mut Report) -> anyhow::Result<Option<Vec<Target>>> {
    let path = Path::new(project::FILE_NAME);
    if !path.exists() {
        return Ok(None);
    }
    match project::load(path) {
        Ok(project) => {
            report.ok("project", &format!("{}, {} routes", path.display(), project.routes.len()))?;
            Ok(Some(project.routes.into_iter().map(|route| route.target).collect()))
        }
        Err(error) => {
            report.fail("project", &error.to_string(), "mend the lines named")?;
            Ok(None)
        }
    }
}

fn targets_before(context: &Context, server: &Server) -> Vec<Target> {
    let known =
        context.directory().and_then(|directory| state::remembered(&directory, &host_and_port(server)));
    known.unwrap_or_default().iter().filter_map(|known| known.target.parse().ok()).collect()
}
