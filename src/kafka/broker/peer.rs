//! One connection to another broker: a request, its answer, the next request.

use std::{io, time::Duration};

use bytes::Bytes;
use kafka_protocol::protocol::Request;
use tokio::io::AsyncWriteExt;

use super::state::Broker;
use crate::{
    env::{Address, Stream},
    kafka::protocol::{
        frame::{FrameError, FrameReader},
        message::{MessageError, decode_response, encode_request},
    },
};

#[derive(Debug, thiserror::Error)]
pub(super) enum PeerError {
    /// Nothing was sent.
    #[error("no connection: {0}")]
    Unreachable(io::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error("the connection ended")]
    Ended,
    #[error("no answer in time")]
    TimedOut,
}

pub(super) struct Peer {
    address: Address,
    /// How long an answer may take.
    timeout: Duration,
    connection: Option<(Stream, FrameReader)>,
    correlation: i32,
}

impl Peer {
    pub fn new(address: Address, timeout: Duration) -> Self {
        Peer { address, timeout, connection: None, correlation: 0 }
    }

    pub fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// The next connection goes there.
    pub fn moved_to(&mut self, address: Address) {
        self.address = address;
    }

    /// For a request that was given up: its answer must not be taken for another's.
    pub fn disconnect(&mut self) {
        self.connection = None;
    }

    /// Sends a request and waits for its answer. After a failure the next request makes a new connection.
    pub async fn ask<R: Request>(
        &mut self,
        broker: &Broker,
        version: i16,
        request: &R,
    ) -> Result<R::Response, PeerError> {
        self.correlation = self.correlation.wrapping_add(1);
        let client_id = format!("broker-{}", broker.id());
        let frame = encode_request(self.correlation, &client_id, version, request)?.freeze();
        let answer = self.ask_bytes(broker, frame).await?;
        Ok(decode_response(answer, self.correlation, version)?)
    }

    /// The same with a whole request, and the answer as it comes.
    pub async fn ask_bytes(&mut self, broker: &Broker, frame: Bytes) -> Result<Bytes, PeerError> {
        let clock = &broker.env.clock;
        let deadline = clock.now() + self.timeout;
        let answer = tokio::select! {
            biased;
            answer = self.exchange(broker, frame) => answer,
            () = clock.sleep_until(deadline) => Err(PeerError::TimedOut),
        };
        if answer.is_err() {
            self.connection = None;
        }
        answer
    }

    async fn exchange(&mut self, broker: &Broker, frame: Bytes) -> Result<Bytes, PeerError> {
        if self.connection.is_none() {
            let connected = broker.env.network.connect(self.address.clone()).await;
            let stream = connected.map_err(PeerError::Unreachable)?;
            let reader = FrameReader::new(broker.config.config.socket_request_max_bytes);
            self.connection = Some((stream, reader));
        }
        let (stream, reader) = self.connection.as_mut().expect("made above");
        stream.write_all(&frame).await?;
        stream.flush().await?;
        reader.next(stream).await?.ok_or(PeerError::Ended)
    }
}
