//! A way to whoever is the active controller at the moment: over the network, or within this node if it is itself
//! (`NodeToControllerChannelManager`, which goes over the network in any case).
//!
//! A request is given up when somebody else is known to lead: the machine it went to may be gone without a word.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use kafka_protocol::protocol::Request;

use super::{
    dispatch,
    peer::{Peer, PeerError},
    state::Broker,
};
use crate::kafka::{
    protocol::message::{decode_response, encode_request},
    types::BrokerId,
};

/// What a frame begins with.
const LENGTH_BYTES: usize = 4;

pub(super) struct ControllerChannel {
    /// For logs of whoever is asked.
    name: &'static str,
    timeout: Duration,
    peer: Option<(BrokerId, Peer)>,
    correlation: i32,
}

impl ControllerChannel {
    pub fn new(name: &'static str, timeout: Duration) -> Self {
        ControllerChannel { name, timeout, peer: None, correlation: 0 }
    }

    pub async fn ask<R: Request>(
        &mut self,
        broker: &Arc<Broker>,
        version: i16,
        request: &R,
    ) -> Result<R::Response, PeerError> {
        self.correlation = self.correlation.wrapping_add(1);
        let client_id = format!("broker-{}-{}", broker.id(), self.name);
        let frame = encode_request(self.correlation, &client_id, version, request)?.freeze();
        let answer = self.exchange(broker, frame).await?;
        Ok(decode_response(answer, self.correlation, version)?)
    }

    async fn exchange(&mut self, broker: &Arc<Broker>, frame: Bytes) -> Result<Bytes, PeerError> {
        let unknown = || std::io::Error::other("nobody is known to lead the quorum");
        let leader = broker.quorum.leader();
        let leader = leader.ok_or_else(|| PeerError::Unreachable(unknown()))?;
        if leader == broker.id() {
            self.peer = None;
            return ask_here(broker, frame, self.timeout).await;
        }
        if self.peer.as_ref().is_none_or(|(id, _)| *id != leader) {
            let endpoint = broker.config.endpoint(leader);
            let endpoint = endpoint.ok_or_else(|| PeerError::Unreachable(unknown()))?;
            let peer = Peer::new(endpoint.advertised.clone(), self.timeout);
            self.peer = Some((leader, peer));
        }
        let (_, peer) = self.peer.as_mut().expect("made above");
        let answer = tokio::select! {
            biased;
            answer = peer.ask_bytes(broker, frame) => Some(answer),
            () = broker.quorum.wait_for_another_leader(leader) => None,
        };
        answer.unwrap_or_else(|| {
            self.peer = None;
            Err(PeerError::Ended)
        })
    }
}

async fn ask_here(
    broker: &Arc<Broker>,
    frame: Bytes,
    timeout: Duration,
) -> Result<Bytes, PeerError> {
    let clock = &broker.env.clock;
    let request = frame.slice(LENGTH_BYTES..);
    let answer = tokio::select! {
        biased;
        answer = dispatch::handle(broker, &broker.config.listen, request) => answer,
        () = clock.sleep_until(clock.now() + timeout) => return Err(PeerError::TimedOut),
    };
    let answer = answer.ok().flatten().ok_or(PeerError::Ended)?;
    Ok(answer.into_bytes()?.slice(LENGTH_BYTES..))
}
