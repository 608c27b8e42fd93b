//! What is compared: ways from the load generator to the same app. To add one: a variant, its name, its start.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;

use crate::crew::Crew;
use crate::load::{Method, Plan, Stop};
use crate::parts::app;
use crate::process::Process;
use crate::relay::{Agent, Certificate, Server, path_of};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum System {
    /// load → app
    Direct,
    /// load → hop → hop → app
    TwoHops,
    /// load → relay-server → relay-agent → app
    Relay,
    /// as relay, the load generator speaking TLS
    RelayTls,
}

impl System {
    pub const ALL: &[Self] = &[Self::Direct, Self::TwoHops, Self::Relay, Self::RelayTls];

    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::TwoHops => "two hops",
            Self::Relay => "relay",
            Self::RelayTls => "relay-tls",
        }
    }

    pub fn is_product(self) -> bool {
        matches!(self, Self::Relay | Self::RelayTls)
    }
}

/// The two processes between load and app. For the hops, the first stands where the server does.
pub const SERVER: &str = "server";
pub const AGENT: &str = "agent";
pub const APP: &str = "app";

/// Several systems, all running, in front of one app.
#[derive(Debug)]
pub struct Systems<'a> {
    pub standing: Vec<Standing<'a>>,
    _app: Process,
}

/// One running system.
#[derive(Debug)]
pub struct Standing<'a> {
    pub system: System,
    to: SocketAddr,
    path: String,
    certificate: Option<PathBuf>,
    app_id: u32,
    between: Between<'a>,
}

#[derive(Debug)]
enum Between<'a> {
    Nothing,
    Hops { first: Process, second: Process },
    Relay { server: Server<'a>, agent: Agent },
}

impl<'a> Systems<'a> {
    pub async fn start(crew: &'a Crew, systems: &[System]) -> Result<Self> {
        let (app, app_addr) = crew.app("app").await?;
        let mut standing = Vec::new();
        for system in systems {
            standing.push(Standing::start(crew, *system, app_addr, app.id()).await?);
        }
        Ok(Self { standing, _app: app })
    }

    /// The order for a round: every other one goes backwards, so that nobody always comes after the same neighbour.
    pub fn in_order(&mut self, round: usize) -> Vec<&mut Standing<'a>> {
        let mut order: Vec<_> = self.standing.iter_mut().collect();
        if round % 2 == 1 {
            order.reverse();
        }
        order
    }
}

impl<'a> Standing<'a> {
    async fn start(crew: &'a Crew, system: System, app: SocketAddr, app_id: u32) -> Result<Self> {
        let (to, path, certificate, between) = match system {
            System::Direct => (app, "/h/direct".to_owned(), None, Between::Nothing),
            System::TwoHops => {
                let (second, second_addr) = crew.hop("second-hop", app).await?;
                let (first, first_addr) = crew.hop("first-hop", second_addr).await?;
                (first_addr, "/h/hops".to_owned(), None, Between::Hops { first, second })
            }
            System::Relay | System::RelayTls => {
                let files = (system == System::RelayTls).then(|| Certificate::create(crew)).transpose()?;
                let source = system.name();
                let server = Server::start(crew, &format!("{source}-server"), files.as_ref()).await?;
                let join_line = server.join_line(None).await?;
                let agent = Agent::start(crew, source, &join_line, app).await?;
                let certificate = files.map(|files| files.certificate);
                (server.public, path_of(source), certificate, Between::Relay { server, agent })
            }
        };
        Ok(Self { system, to, path, certificate, app_id, between })
    }

    /// The ids of the processes that stand for server and agent.
    pub fn between(&self) -> Option<(u32, u32)> {
        match &self.between {
            Between::Nothing => None,
            Between::Hops { first, second } => Some((first.id(), second.id())),
            Between::Relay { server, agent } => Some((server.id(), agent.id())),
        }
    }

    /// A plan for small POSTs to here, to be changed as needed.
    pub fn plan(&self, connections: usize) -> Plan {
        let mut watch = BTreeMap::from([(APP.to_owned(), self.app_id)]);
        if let Some((server, agent)) = self.between() {
            watch.extend([(SERVER.to_owned(), server), (AGENT.to_owned(), agent)]);
        }
        Plan {
            path: self.path.clone(),
            certificate: self.certificate.clone(),
            watch,
            ..small_post(self.to, connections)
        }
    }

    /// Throws away what the product has logged so far.
    pub fn forget_logs(&mut self) -> Result<()> {
        match &mut self.between {
            Between::Relay { server, agent } => {
                server.forget_logs()?;
                agent.forget_logs()
            }
            Between::Nothing | Between::Hops { .. } => Ok(()),
        }
    }
}

/// 1 KiB of JSON up, two bytes down: what a webhook looks like.
pub fn small_post(to: SocketAddr, connections: usize) -> Plan {
    Plan {
        to,
        path: "/".to_owned(),
        method: Method::Post,
        body_bytes: 1_024,
        numbered_from: None,
        status: 200,
        answer_bytes: app::ANSWER.len() as u64,
        connections,
        is_fresh: false,
        warm_up: Duration::ZERO,
        stop: Stop::After(Duration::from_secs(1)),
        certificate: None,
        watch: BTreeMap::new(),
    }
}
