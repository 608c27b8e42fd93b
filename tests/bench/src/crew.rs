//! Everyone the driver can start: the two product binaries, and the parts this binary plays itself.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::TempDir;

use crate::load::{COUNTED_RUN_MAX, Measured, Plan, Stop, open};
use crate::parts::{accepting, claiming, watching};
use crate::process::{Input, Launch, Process};

/// A part or a server that takes longer than this to get ready never will.
pub const READY_MAX: Duration = Duration::from_secs(30);

/// A load process may take so much longer than its plan says, for start-up and a slow last look at `/proc`.
const LOAD_SLACK: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub struct Crew {
    own: PathBuf,
    pub server: PathBuf,
    pub agent: PathBuf,
    folder: TempDir,
}

impl Crew {
    pub fn assemble() -> Result<Self> {
        let own = std::env::current_exe().context("cannot tell where this binary is")?;
        let beside = own.parent().context("this binary lies in no folder")?;
        Ok(Self {
            server: beside.join("relay-server"),
            agent: beside.join("relay-agent"),
            folder: tempfile::Builder::new().prefix("bench-relay-").tempdir()?,
            own,
        })
    }

    /// Logs, data and settings of everyone lie here, until the driver ends.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Makes sure that the product's binaries are there.
    pub fn check_product(&self) -> Result<()> {
        for binary in [&self.server, &self.agent] {
            ensure!(
                binary.exists(),
                "{} is not there: run `cargo build --release -p relay-server -p relay-agent` first",
                binary.display()
            );
        }
        Ok(())
    }

    pub async fn app(&self, name: &str) -> Result<(Process, SocketAddr)> {
        self.part(name, vec!["app".into()]).await
    }

    pub async fn hop(&self, name: &str, upstream: SocketAddr) -> Result<(Process, SocketAddr)> {
        self.part(name, vec!["hop".into(), "--upstream".into(), upstream.to_string().into()]).await
    }

    pub async fn link(&self, name: &str, upstream: SocketAddr) -> Result<(Process, SocketAddr)> {
        self.part(name, vec!["lossy".into(), "--upstream".into(), upstream.to_string().into()]).await
    }

    /// Runs a load plan in a process of its own.
    pub async fn load(&self, plan: &Plan) -> Result<Measured> {
        let longest = match plan.stop {
            Stop::After(window) => plan.warm_up + window,
            Stop::AfterRequests(_) => COUNTED_RUN_MAX,
        };
        self.figures("load", plan, longest).await
    }

    /// As [`Crew::load`], with an open loop.
    pub async fn stream(&self, plan: &open::Plan) -> Result<open::Measured> {
        self.figures("stream", plan, plan.warm_up + plan.window + open::LAST_ANSWERS_MAX).await
    }

    /// Accepts events without HTTP, in a process of its own.
    pub async fn accept(&self, plan: &accepting::Plan) -> Result<Measured> {
        self.figures("accept", plan, plan.warm_up + plan.window).await
    }

    /// Plays the dispatcher on a store at rest, in a process of its own.
    pub async fn claim(&self, plan: &claiming::Plan) -> Result<claiming::Turns> {
        self.figures("claim", plan, plan.warm_up + plan.window).await
    }

    /// Opens inspectors; they are watching when this returns.
    pub async fn watch(&self, plan: &watching::Plan) -> Result<Watchers> {
        let arguments = vec!["watch".into(), serde_json::to_string(plan)?.into()];
        let launch = Launch {
            name: "watch",
            binary: &self.own,
            arguments,
            environment: Vec::new(),
            input: Input::Open,
        };
        let mut process = Process::start(launch, self.folder())?;
        process.line(READY_MAX, |line| line["open"].as_u64()).await?;
        Ok(Watchers { process })
    }

    /// Has the part of that name follow a plan, and reads the figures it prints.
    async fn figures<T: DeserializeOwned>(
        &self,
        part: &str,
        plan: &impl Serialize,
        longest: Duration,
    ) -> Result<T> {
        let arguments = vec![part.into(), serde_json::to_string(plan)?.into()];
        let launch = Launch {
            name: part,
            binary: &self.own,
            arguments,
            environment: Vec::new(),
            input: Input::Nothing,
        };
        let output = Process::start(launch, self.folder())?.finish(longest + LOAD_SLACK).await?;
        serde_json::from_str(&output).with_context(|| format!("`{part}` did not print its figures"))
    }

    async fn part(&self, name: &str, arguments: Vec<OsString>) -> Result<(Process, SocketAddr)> {
        let launch =
            Launch { name, binary: &self.own, arguments, environment: Vec::new(), input: Input::Open };
        let mut process = Process::start(launch, self.folder())?;
        let addr = process.line(READY_MAX, |line| line["addr"].as_str()?.parse().ok()).await?;
        Ok((process, addr))
    }
}

/// Inspectors that are open, until this is dropped.
#[derive(Debug)]
pub struct Watchers {
    process: Process,
}

impl Watchers {
    pub async fn seen(&mut self) -> Result<watching::Seen> {
        self.process.tell("seen")?;
        self.process.line(READY_MAX, |line| serde_json::from_value(line.clone()).ok()).await
    }
}

/// Builds the product as the benchmark itself was built, with the workspace's own settings.
pub fn build_product() -> Result<()> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "-p", "relay-server", "-p", "relay-agent"])
        .current_dir(workspace)
        .status()
        .context("cannot run cargo; with --no-build the binaries are taken as they are")?;
    ensure!(built.success(), "relay-server and relay-agent do not build");
    Ok(())
}
