//! `relay-agent up [FILE]`: every route of the project file.

use std::path::PathBuf;

use super::Exit;
use super::context::{Context, require_file};
use super::serve::{Wishes, serve};
use crate::config::project;

const EXAMPLE: &str = "\
Example of a relay-agent.toml:
  [[route]]
  name = \"github\"
  target = \"http://localhost:3000/hooks\"

  [[route]]
  name = \"stripe\"
  target = 4000
  answer_timeout = \"10s\"

Keys of a route: name, target, destination, host, create, sharing, upgrade, answer_timeout.
Keys at the top: in_flight_max, target_ca.";

/// Forward every route of relay-agent.toml until Ctrl-C
#[derive(clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Args {
    /// The project file
    #[arg(value_name = "FILE", default_value = project::FILE_NAME)]
    file: PathBuf,
    #[command(flatten)]
    wishes: Wishes,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let project = project::load(&args.file)?;
    if let Some(ca) = &project.target_ca {
        require_file(ca)?;
    }
    let mut settings = context.settings(context.server()?, project.routes)?;
    settings.in_flight_max = project.in_flight_max.unwrap_or(settings.in_flight_max);
    settings.target_ca = project.target_ca;
    serve(context, settings, args.wishes, None).await
}
