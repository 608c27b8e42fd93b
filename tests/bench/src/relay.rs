//! The product under measurement: relay-server and relay-agent as a user starts them, steered by their command
//! line alone.

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::crew::{Crew, READY_MAX};
use crate::process::{Input, Launch, Process};

/// `token create`, `login`: done in milliseconds, unless the machine is starting a thousand other things.
const COMMAND_MAX: Duration = Duration::from_secs(30);

/// An agent's way to its live line; a thousand on two cores take their time.
const LIVE_MAX: Duration = Duration::from_secs(60);

/// Twice what the bulk chapter sends.
const BODY_BYTES_MAX: u64 = 128 << 20;

/// A self-signed certificate for loopback, as files.
#[derive(Debug, Clone)]
pub struct Certificate {
    pub certificate: PathBuf,
    key: PathBuf,
}

impl Certificate {
    pub fn create(crew: &Crew) -> Result<Self> {
        let signed = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()])?;
        let files =
            Self { certificate: crew.folder().join("public.pem"), key: crew.folder().join("public.key") };
        fs::write(&files.certificate, signed.cert.pem())?;
        fs::write(&files.key, signed.signing_key.serialize_pem())?;
        Ok(files)
    }
}

/// A running relay-server. It can be killed and started again on the same ports and data.
#[derive(Debug)]
pub struct Server<'a> {
    crew: &'a Crew,
    name: String,
    data: PathBuf,
    arguments: Vec<OsString>,
    process: Process,
    pub public: SocketAddr,
    pub tunnel: SocketAddr,
    pub admin: SocketAddr,
}

impl<'a> Server<'a> {
    /// The data directory of the server of that name, to put something there before it starts.
    pub fn data_of(crew: &Crew, name: &str) -> PathBuf {
        crew.folder().join(format!("{name}-data"))
    }

    pub async fn start(crew: &'a Crew, name: &str, certificate: Option<&Certificate>) -> Result<Self> {
        let data = Self::data_of(crew, name);
        let config = crew.folder().join(format!("{name}.toml"));
        fs::write(&config, format!("[limits]\nbody_bytes_max = {BODY_BYTES_MAX}\n"))?;
        let mut arguments: Vec<OsString> =
            vec!["serve".into(), "--json".into(), "--data".into(), data.clone().into()];
        arguments.extend(["--config".into(), config.into()]);
        if let Some(files) = certificate {
            arguments.extend(["--tls-cert".into(), files.certificate.clone().into()]);
            arguments.extend(["--tls-key".into(), files.key.clone().into()]);
        }
        let free = ["--public", "--tunnel", "--admin"].map(|flag| [flag.into(), "127.0.0.1:0".into()]);
        let first = [arguments.clone(), free.concat()].concat();
        let mut process = spawn(crew, name, first)?;
        let [public, tunnel, admin] = process.line(READY_MAX, ready).await?;
        let same = [("--public", public), ("--tunnel", tunnel), ("--admin", admin)];
        arguments.extend(same.into_iter().flat_map(|(flag, addr)| [flag.into(), addr.to_string().into()]));
        Ok(Self { crew, name: name.to_owned(), data, arguments, process, public, tunnel, admin })
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// A crash: nothing is drained, nothing is said.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it where it was. Does not wait until it is ready.
    pub fn start_again(&mut self) -> Result<()> {
        self.process = spawn(self.crew, &self.name, self.arguments.clone())?;
        Ok(())
    }

    pub fn forget_logs(&mut self) -> Result<()> {
        self.process.forget_logs()
    }

    /// What an agent logs in with. `tunnel_at`: where it shall dial instead of the tunnel port itself.
    pub async fn join_line(&self, tunnel_at: Option<SocketAddr>) -> Result<String> {
        // Without a ready-made address the server would name the one it is configured for, whose port is 0.
        let dial = tunnel_at.unwrap_or(self.tunnel);
        let output = self.token("agent", &["--tunnel-at".into(), dial.to_string().into()]).await?;
        let line = output.lines().find(|line| line.starts_with("relay://"));
        line.map(str::to_owned).context("`relay-server token create` printed no join line")
    }

    /// A token that sees everything and changes nothing.
    pub async fn read_token(&self) -> Result<String> {
        let output = self.token("read", &[]).await?;
        output.lines().next().map(str::to_owned).context("`relay-server token create` printed no token")
    }

    /// What `relay-server token create` prints.
    async fn token(&self, scope: &str, more: &[OsString]) -> Result<String> {
        let mut arguments: Vec<OsString> =
            ["token", "create", "--scope", scope, "--data"].map(Into::into).into();
        arguments.push(self.data.clone().into());
        arguments.extend_from_slice(more);
        let name = format!("{}-token", self.name);
        let launch = Launch {
            name: &name,
            binary: &self.crew.server,
            arguments,
            environment: Vec::new(),
            input: Input::Nothing,
        };
        Process::start(launch, self.crew.folder())?.finish(COMMAND_MAX).await
    }
}

fn spawn(crew: &Crew, name: &str, arguments: Vec<OsString>) -> Result<Process> {
    let launch =
        Launch { name, binary: &crew.server, arguments, environment: Vec::new(), input: Input::Nothing };
    Process::start(launch, crew.folder())
}

/// Public, tunnel and admin address, out of the line a server prints when it is ready.
fn ready(line: &Value) -> Option<[SocketAddr; 3]> {
    if line["type"] != "ready" {
        return None;
    }
    let addr = |key: &str| {
        let text = line[key].as_str()?;
        let text = text.split_once("://").map_or(text, |(_, rest)| rest);
        text.trim_end_matches('/').parse().ok()
    };
    Some([addr("public")?, addr("tunnel")?, addr("admin")?])
}

/// A running relay-agent that serves one source.
#[derive(Debug)]
pub struct Agent {
    process: Process,
}

impl Agent {
    /// Logs in, starts, and waits until its source is live.
    pub async fn start(crew: &Crew, source: &str, join_line: &str, app: SocketAddr) -> Result<Self> {
        let mut agents = Self::start_all(crew, &[source.to_owned()], join_line, app).await?;
        agents.pop().context("one agent was asked for")
    }

    /// As [`Agent::start`], for many at once. Each has its own settings, and with them its own identity.
    pub async fn start_all(
        crew: &Crew,
        sources: &[String],
        join_line: &str,
        app: SocketAddr,
    ) -> Result<Vec<Self>> {
        let mut logins = Vec::new();
        for source in sources {
            let arguments = vec!["login".into(), "-".into()];
            let text = format!("{join_line}\n");
            logins.push(spawn_agent(crew, source, "login", arguments, Input::Text(&text))?);
        }
        for login in logins {
            login.finish(COMMAND_MAX).await?;
        }
        let mut agents = Vec::new();
        for source in sources {
            let target = format!("http://{app}");
            let arguments = vec!["forward".into(), source.into(), target.into(), "--json".into()];
            agents.push(Self { process: spawn_agent(crew, source, "agent", arguments, Input::Nothing)? });
        }
        for agent in &mut agents {
            agent.process.line(LIVE_MAX, is_live).await?;
        }
        Ok(agents)
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    pub fn forget_logs(&mut self) -> Result<()> {
        self.process.forget_logs()
    }
}

fn spawn_agent(
    crew: &Crew,
    source: &str,
    verb: &str,
    arguments: Vec<OsString>,
    input: Input<'_>,
) -> Result<Process> {
    let settings = crew.folder().join(format!("{source}-settings"));
    let environment = vec![("RELAY_CONFIG_DIR", settings.into())];
    let name = format!("{source}-{verb}");
    Process::start(Launch { name: &name, binary: &crew.agent, arguments, environment, input }, crew.folder())
}

fn is_live(line: &Value) -> Option<()> {
    (line["type"] == "link" && line["state"] == "live").then_some(())
}

/// The public path of a source.
pub fn path_of(source: &str) -> String {
    format!("/h/{source}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_ready_line_says_where_everything_is() {
        let line = json!({"type": "ready", "public": "https://127.0.0.1:1", "tunnel": "127.0.0.1:2", "admin": "http://127.0.0.1:3/"});
        let found = ready(&line).map(|addrs| addrs.map(|addr| addr.port()));
        assert_eq!(found, Some([1, 2, 3]));
        assert_eq!(ready(&json!({"type": "draining"})), None);
    }

    #[test]
    fn only_a_live_link_counts() {
        assert_eq!(is_live(&json!({"type": "link", "state": "live", "rtt_ms": 1})), Some(()));
        assert_eq!(is_live(&json!({"type": "link", "state": "lost"})), None);
        assert_eq!(is_live(&json!({"type": "source", "state": "live"})), None);
    }
}
