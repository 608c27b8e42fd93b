//! `cargo demo`: the main job on one machine. Starts a server, an agent and a sample app on loopback over a real QUIC
//! tunnel, sends itself a signed GitHub push, shows what happened, and stays up.

#![allow(
    clippy::disallowed_methods,
    reason = "tests and the demo own their process: they may spawn and read the clock"
)]

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use clap::Parser;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use protocol::id::AgentId;
use relay_agent::{Agent, AgentEvent, LinkState, Route, Settings, Target, Token};
use relay_server::clock::Clock;
use relay_server::model::Scope;
use relay_server::store::DEFAULT_PROJECT;
use relay_server::{Config, Server};
use ring::hmac;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// A real push event has about 7 KiB; this is the part that apps look at.
const PUSH: &str = r#"{"ref":"refs/heads/main","before":"6113728f27ae82c7b1a177c8d03f9e96e0adf246","after":"59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5","repository":{"id":186853002,"full_name":"octo/hello-world"},"pusher":{"name":"octocat"},"commits":[{"id":"59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5","message":"Teach the relay to say hello","added":["hello.md"]}]}"#;

/// Secret shared by "GitHub" (the demo's sender) and the sample app. It protects nothing.
const SECRET: &[u8] = b"demo-secret";

/// How long each step may take.
const STEP_DEADLINE: Duration = Duration::from_secs(20);

/// Start a relay, an agent and an app, send a webhook, and stay up.
#[derive(Debug, Parser)]
#[command(name = "cargo demo")]
struct Args {
    /// Forward to your own app (a port or URL) instead of the sample app.
    #[arg(long, value_name = "TARGET")]
    forward: Option<Target>,
    /// Where webhooks come in.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    public: SocketAddr,
    /// Leave after the webhook was delivered.
    #[arg(long)]
    once: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(demo(args))
}

fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    // A closed pipe ends the demo's talk, not the demo.
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

async fn start_server(data: &std::path::Path, public: SocketAddr) -> anyhow::Result<Server> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut config = Config { data: data.to_owned(), ..Config::default() };
    config.public.addr = public;
    config.tunnel.addr = any;
    config.admin.addr = any;
    match Server::start(config.clone(), Clock::system()).await {
        Ok(server) => Ok(server),
        // The usual port is taken: any other does as well.
        Err(error) => {
            say(&format!("  ({error}; taking a free port)"));
            config.public.addr = any;
            Ok(Server::start(config, Clock::system()).await?)
        }
    }
}

async fn demo(args: Args) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    say("\n  relay-server + relay-agent on this machine\n");
    let server = start_server(dir.path(), args.public).await?;
    let at = server.addresses().clone();

    let sample = match &args.forward {
        Some(_) => None,
        None => Some(SampleApp::start().await?),
    };
    let target = match (&args.forward, &sample) {
        (Some(target), _) => target.clone(),
        (None, Some(app)) => app.addr.port().to_string().parse()?,
        (None, None) => unreachable!("one of them is there"),
    };
    let project = server.store().project(DEFAULT_PROJECT).await?;
    let scope = Scope::Agent { sources: Vec::new(), create: true };
    let token = server.store().create_token(project, scope, "demo", None).await?;
    let connection = relay_agent::Server {
        host: at.tunnel.ip().to_string(),
        port: at.tunnel.port(),
        pin: at.pin.as_ref().map(|pin| pin.parse()).transpose()?,
        token: Token::new(token.text.0),
    };
    let route = Route::new("demo".parse()?, target.clone());
    let settings = Settings::new(connection, AgentId(1)).with_route(route);
    let (agent, mut events) = Agent::start(settings);
    let (url, rtt) = tokio::time::timeout(STEP_DEADLINE, served(&mut events))
        .await
        .context("the agent did not connect")??;
    say(&format!("  tunnel     QUIC, TLS 1.3, udp {}, key pinned, round trip {:.1} ms", at.tunnel, ms(rtt)));
    say(&format!("  public     {url}"));
    say(&format!("  forwards   {target}{}\n", if sample.is_some() { "  (the sample app)" } else { "" }));

    let sent = Instant::now();
    say("  1. \"GitHub\" sends a signed push event to the public URL");
    let (status, body) =
        tokio::time::timeout(STEP_DEADLINE, push(at.public)).await.context("no answer in time")??;
    let took = sent.elapsed();
    let answered = tokio::time::timeout(STEP_DEADLINE, answered(&mut events)).await.ok().flatten();
    if let Some(app) = &sample {
        let seen = app.seen.borrow().clone().context("the app saw nothing")?;
        say(&format!("  2. the app gets it: {seen}"));
        ensure!(status == 200, "the app answered {status}: {body}");
    } else if let Some(result) = &answered {
        say(&format!("  2. your app was asked: {result}"));
    }
    say(&format!(
        "  3. the sender gets the app's own answer: {status} {} in {:.1} ms\n",
        body.trim(),
        ms(took)
    ));
    say(&format!("  Try it yourself:\n\n    curl -i -d '{{\"hello\":\"relay\"}}' {url}\n"));
    if args.once {
        agent.drain().await;
        server.drain().await;
        return Ok(());
    }
    say("  Staying up; Ctrl-C ends it. Requests show here:\n");
    tokio::select! {
        () = show(&mut events) => {}
        _ = tokio::signal::ctrl_c() => say("\n  Draining."),
    }
    agent.drain().await;
    server.drain().await;
    Ok(())
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

async fn served(events: &mut mpsc::Receiver<AgentEvent>) -> anyhow::Result<(String, Duration)> {
    let mut rtt = Duration::ZERO;
    while let Some(event) = events.recv().await {
        match event {
            AgentEvent::Link(LinkState::Live { rtt: measured, .. }) => rtt = measured,
            AgentEvent::Link(LinkState::Ended(reason)) => return Err(reason.into()),
            AgentEvent::Served { result, .. } => return Ok((result?, rtt)),
            _ => {}
        }
    }
    anyhow::bail!("the agent ended")
}

async fn answered(events: &mut mpsc::Receiver<AgentEvent>) -> Option<String> {
    loop {
        if let AgentEvent::Answered(answered) = events.recv().await? {
            return Some(match answered.result {
                Ok(status) => format!("it answered {status} in {:.1} ms", ms(answered.app)),
                Err(why) => why,
            });
        }
    }
}

async fn show(events: &mut mpsc::Receiver<AgentEvent>) {
    while let Some(event) = events.recv().await {
        match event {
            AgentEvent::Arrived(a) => {
                say(&format!("  →  {} {}  {}", a.method, a.path.escape_debug(), a.name.unwrap_or_default()));
            }
            AgentEvent::Answered(a) => match a.result {
                Ok(status) => {
                    say(&format!("  ←  {status}  app {:.1} ms  tunnel {:.1} ms", ms(a.app), ms(a.tunnel)));
                }
                Err(why) => say(&format!("  ←  {why}")),
            },
            AgentEvent::Link(LinkState::Down { reason, .. }) => say(&format!("  link down: {reason}")),
            _ => {}
        }
    }
}

fn signature(body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), body);
    let hex: String = tag.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    format!("sha256={hex}")
}

/// Sends the push event as GitHub would.
async fn push(public: SocketAddr) -> anyhow::Result<(u16, String)> {
    let stream = tokio::net::TcpStream::connect(public).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::post("/h/demo")
        .header("Host", public.to_string())
        .header("User-Agent", "GitHub-Hookshot/044aadd")
        .header("Content-Type", "application/json")
        .header("X-GitHub-Event", "push")
        .header("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
        .header("X-Hub-Signature-256", signature(PUSH.as_bytes()))
        .body(Full::new(Bytes::from_static(PUSH.as_bytes())))?;
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// An app as its owner would write it: verifies the signature over the raw bytes, answers with words of its own.
struct SampleApp {
    addr: SocketAddr,
    seen: tokio::sync::watch::Receiver<Option<String>>,
}

impl SampleApp {
    async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let (tell, seen) = tokio::sync::watch::channel(None);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let tell = tell.clone();
                let service = service_fn(move |request| answer(request, tell.clone()));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(Self { addr, seen })
    }
}

async fn answer(
    request: Request<Incoming>,
    tell: tokio::sync::watch::Sender<Option<String>>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let field =
        |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or("-").to_owned();
    let (event, claimed) = (field("x-github-event"), field("x-hub-signature-256"));
    let body = request.into_body().collect().await?.to_bytes();
    let tag: Vec<u8> = (7..claimed.len().max(7))
        .step_by(2)
        .filter_map(|at| u8::from_str_radix(claimed.get(at..at + 2)?, 16).ok())
        .collect();
    let is_signed = hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), &body, &tag).is_ok();
    let word = match (is_signed, event.as_str()) {
        (true, _) => "signature verified over the raw bytes",
        (false, "-") => "not from GitHub, and welcome all the same",
        (false, _) => "signature WRONG",
    };
    tell.send_replace(Some(format!("event {event}, {} bytes, {word}", body.len())));
    let status = if is_signed || event == "-" { 200 } else { 401 };
    let text =
        format!("{{\"app\":\"hello from localhost\",\"event\":\"{event}\",\"verified\":{is_signed}}}\n");
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    Ok(response)
}
