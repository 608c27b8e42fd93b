//! After a protocol switch (WebSocket): bytes both ways between a socket and an exchange, until both sides ended.

use bytes::{Bytes, BytesMut};
use protocol::body::BodyPart;
use protocol::code::StreamCode;
use protocol::field::HeaderBlock;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::exchange::{BodyRecv, BodySend};

/// Bytes read from the socket at once.
const READ_BYTES: usize = 16 * 1024;

/// One direction broke; the other has nobody to talk to any more.
struct Broke;

/// Carries bytes until both directions are over, or one broke.
pub async fn splice(io: impl AsyncRead + AsyncWrite, send: BodySend, recv: BodyRecv) {
    let (read, write) = tokio::io::split(io);
    // Dropped halves reset their stream and close the socket.
    let _ = tokio::try_join!(into_tunnel(read, send), out_of_tunnel(recv, write));
}

async fn into_tunnel(mut read: impl AsyncRead + Unpin, mut send: BodySend) -> Result<(), Broke> {
    loop {
        let mut buffer = BytesMut::with_capacity(READ_BYTES);
        match read.read_buf(&mut buffer).await {
            Ok(0) => {
                // Whether the other side still wants to hear of the end is its own affair.
                let _ = send.end(&HeaderBlock::default()).await;
                return Ok(());
            }
            Ok(_) => {
                let piece: Bytes = buffer.freeze();
                if send.queue(piece).is_err() || send.flush().await.is_err() {
                    return Err(Broke);
                }
            }
            Err(_) => {
                send.reset(StreamCode::CANCELLED);
                return Err(Broke);
            }
        }
    }
}

async fn out_of_tunnel(mut recv: BodyRecv, mut write: impl AsyncWrite + Unpin) -> Result<(), Broke> {
    loop {
        match recv.next().await {
            Ok(Some(BodyPart::Data(data))) => {
                if write.write_all(&data).await.is_err() || write.flush().await.is_err() {
                    recv.stop(StreamCode::CANCELLED);
                    return Err(Broke);
                }
            }
            Ok(Some(BodyPart::End(_)) | None) => {
                let _ = write.shutdown().await;
                return Ok(());
            }
            Err(_) => return Err(Broke),
        }
    }
}
