//! The processes the benchmark is made of, besides the load generator and the relay itself. Each listens on a free
//! loopback port, prints one line of JSON that says where, and ends when its standard input does: no part outlives
//! the driver, however that ends.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

pub mod accepting;
pub mod app;
pub mod claiming;
pub mod hop;
pub mod link;
pub mod watching;

/// Accepts until standard input ends, and hands each connection to `serve`, which starts a task for it.
async fn accept_each(serve: impl Fn(TcpStream)) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    announce(listener.local_addr()?);
    let accepting = async {
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            serve(stream);
        }
    };
    tokio::select! {
        ended = accepting => ended,
        () = input_ended() => Ok(()),
    }
}

/// The one line a driver waits for.
fn announce(addr: SocketAddr) {
    println!("{}", serde_json::json!({ "addr": addr }));
}

async fn input_ended() {
    let mut input = tokio::io::stdin();
    let mut buffer = [0; 64];
    while input.read(&mut buffer).await.is_ok_and(|bytes| bytes > 0) {}
}
