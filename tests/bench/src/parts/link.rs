//! [`LossyProxy`] as a process of its own: where it listens goes to standard output, commands come on standard
//! input, and each is answered with one line of JSON. Ends when standard input does.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::lossy::{Command, Conditions, LossyProxy};

#[derive(Debug, Args)]
pub struct Options {
    /// Where to pass datagrams on to
    #[arg(long, value_name = "ADDR")]
    pub upstream: SocketAddr,
    /// Where to listen
    #[arg(long, value_name = "ADDR", default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))]
    pub listen: SocketAddr,
    /// Probability that a datagram is lost, in each direction
    #[arg(long, value_name = "0..1", default_value_t = 0.0)]
    pub drop: f64,
    /// One-way delay
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub delay_ms: u64,
    /// Up to so much more, one way
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub jitter_ms: u64,
    /// Probability that a datagram is held back and overtaken
    #[arg(long, value_name = "0..1", default_value_t = 0.0)]
    pub reorder: f64,
    /// Where the dice start
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

impl Options {
    fn conditions(&self) -> Conditions {
        Conditions {
            drop: self.drop,
            delay: Duration::from_millis(self.delay_ms),
            jitter: Duration::from_millis(self.jitter_ms),
            reorder: self.reorder,
            seed: self.seed,
        }
    }
}

pub async fn run(options: &Options) -> Result<()> {
    let proxy = LossyProxy::start_at(options.listen, options.upstream, options.conditions())?;
    super::announce(proxy.addr());
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let told = match Command::parse(&line, proxy.conditions()) {
            Ok(command) => {
                command.apply(&proxy);
                json!({ "is_cut": proxy.is_cut(), "forwarded": proxy.forwarded(), "dropped": proxy.dropped() })
            }
            Err(error) => json!({ "error": error.to_string() }),
        };
        println!("{told}");
    }
    Ok(())
}
