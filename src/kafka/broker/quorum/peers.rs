//! Requests of the quorum to one other voter, over one connection, one at a time.
//!
//! The core never waits for two answers of one voter, so a request that comes while another is under way means that
//! the other one is given up; its connection is closed, lest its answer be taken for the next one's.

use std::sync::Arc;

use kafka_protocol::messages;
use tokio::sync::mpsc;

use crate::{
    env::Address,
    kafka::{
        broker::{
            peer::{Peer, PeerError},
            state::Broker,
        },
        raft::{Correlation, Request, Response, wire::Unfit},
        types::BrokerId,
    },
};

/// The latest version of each message, as the core writes it.
const VOTE_VERSION: i16 = 2;
const EPOCH_VERSION: i16 = 1;
/// Carries the high watermark that the replica knows (KIP-1166).
const FETCH_VERSION: i16 = 18;
const FETCH_SNAPSHOT_VERSION: i16 = 1;

/// Runs until the broker stops.
pub(super) async fn run(
    broker: Arc<Broker>,
    (voter, address): (BrokerId, Address),
    mut requests: mpsc::UnboundedReceiver<(Correlation, Request)>,
) {
    let timeout = broker.config.config.quorum.request_timeout;
    let mut peer = Peer::new(address, timeout);
    let mut next = None;
    loop {
        let taken = match next.take() {
            Some(request) => Some(request),
            None => tokio::select! {
                biased;
                () = broker.ending.wait() => return,
                request = requests.recv() => request,
            },
        };
        let Some((correlation, request)) = taken else { return };
        let answer = tokio::select! {
            biased;
            () = broker.ending.wait() => return,
            answer = ask(&broker, &mut peer, &request) => Some(answer),
            newer = requests.recv() => {
                next = newer;
                None
            }
        };
        match answer {
            Some(answer) => broker.quorum.answered(voter, correlation, answer),
            None => {
                peer.disconnect();
                broker.quorum.answered(voter, correlation, None);
            }
        }
    }
}

async fn ask(broker: &Broker, peer: &mut Peer, request: &Request) -> Option<Response> {
    match request {
        Request::Vote(request) => {
            let request = messages::VoteRequest::from(request);
            read(peer.ask(broker, VOTE_VERSION, &request).await)
        }
        Request::BeginQuorumEpoch(request) => {
            let request = messages::BeginQuorumEpochRequest::from(request);
            read(peer.ask(broker, EPOCH_VERSION, &request).await)
        }
        Request::EndQuorumEpoch(request) => {
            let request = messages::EndQuorumEpochRequest::from(request);
            read(peer.ask(broker, EPOCH_VERSION, &request).await)
        }
        Request::Fetch(request) => {
            let request = messages::FetchRequest::from(request);
            read(peer.ask(broker, FETCH_VERSION, &request).await)
        }
        Request::FetchSnapshot(request) => {
            let request = messages::FetchSnapshotRequest::from(request);
            read(peer.ask(broker, FETCH_SNAPSHOT_VERSION, &request).await)
        }
    }
}

fn read<M>(answer: Result<M, PeerError>) -> Option<Response>
where
    Response: TryFrom<M, Error = Unfit>,
{
    let read = answer.map_err(|error| error.to_string());
    let read =
        read.and_then(|answer| Response::try_from(answer).map_err(|error| error.to_string()));
    read.inspect_err(|error| tracing::debug!(%error, "no answer from a voter")).ok()
}
