//! One client's connection: frames in, answers out, in order, one request at a time.
//!
//! As Kafka's `SocketServer` mutes a channel while a request of it is being handled, the next frame is
//! not looked at before the last one is answered. A request goes on when its client has gone.

use std::{io, pin::pin, sync::Arc};

use bytes::{Buf, Bytes};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::SemaphorePermit,
};

use super::{admission::Place, dispatch, response::Response, state::Broker};
use crate::{
    env::{Address, BoxFuture, Instant, Stream},
    kafka::protocol::frame::{FrameError, FrameReader},
};

/// Why a connection came to its end.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("the client has closed it")]
    ByClient,
    #[error("connections.max.idle.ms passed")]
    Idle,
    #[error("the broker is stopping")]
    Stopping,
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Refused(#[from] dispatch::Close),
    #[error("connection lost: {0}")]
    Lost(#[from] io::Error),
    /// The answer has begun, so that there is no other way to tell.
    #[error("records promised cannot be read: {0}")]
    Records(io::Error),
}

/// Serves a connection on a task of its own, or closes it at once if its address has too many.
pub(super) fn accept(broker: &Arc<Broker>, stream: Stream, peer: Address) {
    let Some(place) = broker.admission.enter(broker, &peer) else {
        tracing::debug!(%peer, "closed: max.connections.per.ip is reached");
        return;
    };
    let task = Arc::clone(broker);
    let serve = async move {
        let Err(reason) = serve(&task, stream, &peer, place).await;
        tracing::debug!(%peer, %reason, "closed");
    };
    broker.env.tasks.spawn("connection", Box::pin(serve));
}

async fn serve(
    broker: &Arc<Broker>,
    mut stream: Stream,
    peer: &Address,
    place: Place,
) -> Result<std::convert::Infallible, End> {
    let mut reader = FrameReader::new(broker.config.config.socket_request_max_bytes);
    let mut patience = Patience::new(broker);
    loop {
        let (frame, bytes) = next_request(broker, &mut stream, &mut reader, &mut patience).await?;
        let mut handling = pin!(dispatch::handle(broker, peer, frame));
        let answer = tokio::select! {
            biased;
            answer = &mut handling => answer?,
            () = patience.run_out() => {
                // Whoever asked may be long gone, and could hold the connection for ever.
                drop((stream, place));
                handling.await?;
                return Err(End::Idle);
            }
        };
        drop(bytes);
        patience.renew();
        if let Some(answer) = answer {
            send(&mut stream, answer, &mut patience).await?;
        }
    }
}

/// The next frame, and the permit for its memory.
async fn next_request<'a>(
    broker: &'a Broker,
    stream: &mut Stream,
    reader: &mut FrameReader,
    patience: &mut Patience<'_>,
) -> Result<(Bytes, Option<SemaphorePermit<'a>>), End> {
    let mut permit = None;
    loop {
        if broker.ending.is_stopping() {
            return Err(End::Stopping);
        }
        if let Some(size) = reader.size()? {
            if permit.is_none() {
                let permitted = async { Ok::<_, End>(broker.admission.request(4 + size).await) };
                permit = Some(patience.bear(permitted).await?);
            }
            if let Some(frame) = reader.take()? {
                return Ok((frame, permit.flatten()));
            }
        }
        if !patience.bear(reader.fill(stream)).await? {
            return Err(End::ByClient);
        }
    }
}

/// Writes as the client reads. One that does not read at all is idle in the end.
async fn send(
    stream: &mut (impl AsyncWrite + Unpin),
    mut answer: Response,
    patience: &mut Patience<'_>,
) -> Result<(), End> {
    loop {
        let mut chunk = answer.next_chunk().map_err(End::Records)?;
        if chunk.is_empty() {
            break;
        }
        while !chunk.is_empty() {
            let written = patience.bear(stream.write(&chunk)).await?;
            if written == 0 {
                return Err(io::Error::from(io::ErrorKind::WriteZero).into());
            }
            chunk.advance(written);
        }
    }
    patience.bear(stream.flush()).await
}

/// How long nothing may come or go: `connections.max.idle.ms`. Bytes count, not whole requests, so that a
/// slow client is not an idle one, as for Kafka's `Selector`.
struct Patience<'a> {
    broker: &'a Broker,
    last_used: Instant,
    /// Set anew only when it rings, not at every request.
    alarm: BoxFuture<'static, ()>,
}

impl<'a> Patience<'a> {
    fn new(broker: &'a Broker) -> Self {
        let last_used = broker.env.clock.now();
        let until = last_used + broker.config.config.connections_max_idle;
        Patience { broker, last_used, alarm: broker.env.clock.sleep_until(until) }
    }

    fn renew(&mut self) {
        self.last_used = self.broker.env.clock.now();
    }

    /// Waits for bytes to come or go.
    async fn bear<T, E>(&mut self, step: impl Future<Output = Result<T, E>>) -> Result<T, End>
    where
        End: From<E>,
    {
        let done = tokio::select! {
            biased;
            done = step => done?,
            () = self.broker.ending.wait() => return Err(End::Stopping),
            () = self.run_out() => return Err(End::Idle),
        };
        self.renew();
        Ok(done)
    }

    /// Completes, once, when nothing has come or gone for too long. Safe to drop before that.
    async fn run_out(&mut self) {
        let clock = &self.broker.env.clock;
        loop {
            (&mut self.alarm).await;
            let until = self.last_used + self.broker.config.config.connections_max_idle;
            if until <= clock.now() {
                return;
            }
            self.alarm = clock.sleep_until(until);
        }
    }
}
