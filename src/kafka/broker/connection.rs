//! One client's connection: frames in, answers out, in order, one request at a time.
//!
//! As Kafka's `SocketServer` mutes a channel while a request of it is being handled, the next frame is
//! not looked at before the last one is answered. A request goes on when its client has gone.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::io::AsyncWriteExt;

use super::{dispatch, state::Broker};
use crate::{
    env::{Address, Stream},
    kafka::protocol::frame::FrameReader,
};

/// How many connections there are.
#[derive(Default)]
pub(super) struct Connections {
    open: AtomicUsize,
}

/// Serves a connection on a task of its own, or closes it at once if there are too many.
pub(super) fn accept(broker: &Arc<Broker>, stream: Stream, peer: Address) {
    let connections = &broker.connections;
    if connections.open.load(Ordering::Relaxed) >= broker.config.config.max_connections {
        tracing::debug!(%peer, "closed: max.connections is reached");
        return;
    }
    connections.open.fetch_add(1, Ordering::Relaxed);
    let task = Arc::clone(broker);
    broker.env.tasks.spawn(
        "connection",
        Box::pin(async move {
            serve(&task, stream, &peer).await;
            task.connections.open.fetch_sub(1, Ordering::Relaxed);
        }),
    );
}

async fn serve(broker: &Arc<Broker>, mut stream: Stream, peer: &Address) {
    let config = &broker.config.config;
    let mut reader = FrameReader::new(config.socket_request_max_bytes);
    let clock = &broker.env.clock;
    let mut last_used = clock.now();
    // Set anew only when it rings, not at every request.
    let mut alarm = clock.sleep_until(last_used + config.connections_max_idle);
    loop {
        let frame = tokio::select! {
            biased;
            () = broker.ending.wait() => return,
            frame = reader.next(&mut stream) => frame,
            () = &mut alarm => {
                let idle_until = last_used + config.connections_max_idle;
                if idle_until <= clock.now() {
                    tracing::debug!(%peer, "closed: connections.max.idle.ms passed");
                    return;
                }
                alarm = clock.sleep_until(idle_until);
                continue;
            }
        };
        last_used = clock.now();
        let frame = match frame {
            Ok(Some(frame)) => frame,
            Ok(None) => return,
            Err(error) => {
                tracing::debug!(%peer, %error, "closed");
                return;
            }
        };
        let sent = match dispatch::handle(broker, peer, frame).await {
            Ok(Some(response)) => stream.write_all(&response).await,
            Ok(None) => Ok(()),
            Err(reason) => {
                tracing::debug!(%peer, %reason, "closed");
                return;
            }
        };
        let sent = match sent {
            Ok(()) => stream.flush().await,
            Err(error) => Err(error),
        };
        if let Err(error) = sent {
            tracing::debug!(%peer, %error, "connection lost");
            return;
        }
    }
}
