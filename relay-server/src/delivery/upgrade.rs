//! After a protocol switch (WebSocket): the sender's connection becomes one end of a splice.

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use link::splice;

use super::live::Switched;

/// Carries a switched connection from the moment the sender's side is free.
pub async fn carry(on_upgrade: OnUpgrade, switched: Switched) {
    let Switched { send, recv, claim, recording } = switched;
    match on_upgrade.await {
        Ok(upgraded) => splice(TokioIo::new(upgraded), send, recv).await,
        Err(error) => tracing::debug!(%error, "the sender did not switch protocols"),
    }
    drop((claim, recording));
}
