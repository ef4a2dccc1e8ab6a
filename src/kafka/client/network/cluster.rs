//! Connections and metadata together: finds brokers from the bootstrap addresses and keeps knowing them.

use std::{collections::VecDeque, task::Context, time::Duration};

use kafka_protocol::{messages::MetadataResponse, protocol::Request};
use rand_chacha::ChaCha8Rng;

use super::{
    Metadata, NetworkClient, NetworkConfig, NodeKey, Readiness, WantedTopics,
    channel::FailureCause,
    metadata::AutoCreate,
    multiplexer::{Answer, Expect, NetworkEvent},
    versions::decode,
};
use crate::{
    env::{Address, Env, Instant},
    kafka::client::retry::Backoff,
};

#[derive(Clone, Debug)]
pub(crate) struct ClusterConfig {
    pub(crate) network: NetworkConfig,
    pub(crate) wanted: WantedTopics,
    pub(crate) auto_create: AutoCreate,
    pub(crate) metadata_max_age: Duration,
    /// `metadata.recovery.strategy` (KIP-899): whether to ask the bootstrap addresses again when no known broker
    /// is to be had.
    pub(crate) rebootstraps: bool,
    pub(crate) retry: Backoff,
}

/// An answer, or its absence, to a request of the owner.
pub(crate) struct Event<C> {
    pub(crate) context: C,
    pub(crate) answer: Answer,
}

enum Purpose<C> {
    Metadata,
    Owner(C),
}

/// A client's way into the cluster. `C` tells the owner what an answer belongs to.
pub(crate) struct Cluster<C> {
    network: NetworkClient<Purpose<C>>,
    metadata: Metadata,
    bootstrap: Vec<(NodeKey, Address)>,
    rebootstraps: bool,
    /// Whether it is the bootstrap addresses that are asked for metadata.
    bootstrapping: bool,
    metadata_in_flight: bool,
    rng: ChaCha8Rng,
    events: VecDeque<Event<C>>,
}

impl<C> Cluster<C> {
    /// `env.rng` is the client's own: two clients of one node need two children of it.
    pub(crate) fn new(env: &Env, bootstrap: &[Address], config: ClusterConfig) -> Self {
        let mut network = NetworkClient::new(
            env.network.clone(),
            config.network,
            env.rng.stream("client/network"),
        );
        let now = env.clock.now();
        let keyed =
            |(index, address): (usize, &Address)| (NodeKey::Bootstrap(index), address.clone());
        let bootstrap: Vec<_> = bootstrap.iter().enumerate().map(keyed).collect();
        for (key, address) in &bootstrap {
            network.set_node(*key, address, now);
        }
        Cluster {
            network,
            metadata: Metadata::new(
                config.wanted,
                config.auto_create,
                config.metadata_max_age,
                config.retry,
            ),
            bootstrap,
            rebootstraps: config.rebootstraps,
            bootstrapping: true,
            metadata_in_flight: false,
            rng: env.rng.stream("client/metadata"),
            events: VecDeque::new(),
        }
    }

    pub(crate) fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    pub(crate) fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.metadata
    }

    pub(crate) fn next_event(&mut self) -> Option<Event<C>> {
        self.events.pop_front()
    }

    /// Brokers that any request may go to: those of the metadata, or the bootstrap addresses before.
    fn candidates(&self) -> Vec<NodeKey> {
        if self.bootstrapping {
            self.bootstrap.iter().map(|(key, _)| *key).collect()
        } else {
            self.metadata.brokers().keys().map(|broker| NodeKey::Broker(*broker)).collect()
        }
    }

    /// A broker for a request that any can answer; starts connecting if none is connected.
    pub(crate) fn any_ready_node(&mut self, now: Instant) -> Option<NodeKey> {
        let candidates = self.candidates();
        let node = self.network.least_loaded(&candidates, now)?;
        match self.network.ready(node, now) {
            Readiness::Ready if self.network.can_send(node) => Some(node),
            _ => None,
        }
    }

    pub(crate) fn ready(&mut self, node: NodeKey, now: Instant) -> Readiness {
        self.network.ready(node, now)
    }

    pub(crate) fn can_send(&self, node: NodeKey) -> bool {
        self.network.can_send(node)
    }

    pub(crate) fn is_unavailable(&self, node: NodeKey, now: Instant) -> bool {
        self.network.is_unavailable(node, now)
    }

    pub(crate) fn has_in_flight(&self) -> bool {
        self.network.has_in_flight()
    }

    /// Makes a coordinator known under a connection of its own.
    pub(crate) fn set_node(&mut self, node: NodeKey, address: &Address, now: Instant) {
        self.network.set_node(node, address, now);
    }

    pub(crate) fn disconnect(&mut self, node: NodeKey, now: Instant) {
        self.network.disconnect(node, FailureCause::Disconnected, now);
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        self.network.config().request_timeout
    }

    /// Sends with the default `request.timeout.ms`.
    pub(crate) fn send<R: Request>(
        &mut self,
        node: NodeKey,
        context: C,
        now: Instant,
        build: impl FnOnce(i16) -> R,
    ) {
        let deadline = now + self.request_timeout();
        self.network.send(node, build, Expect::Response, Purpose::Owner(context), deadline);
    }

    pub(crate) fn send_until<R: Request>(
        &mut self,
        node: NodeKey,
        context: C,
        deadline: Instant,
        build: impl FnOnce(i16) -> R,
    ) {
        self.network.send(node, build, Expect::Response, Purpose::Owner(context), deadline);
    }

    /// Sends a request that the broker never answers.
    pub(crate) fn send_unanswered<R: Request>(
        &mut self,
        node: NodeKey,
        context: C,
        now: Instant,
        build: impl FnOnce(i16) -> R,
    ) {
        let deadline = now + self.request_timeout();
        self.network.send(node, build, Expect::Nothing, Purpose::Owner(context), deadline);
    }

    /// Moves bytes, takes in metadata, asks for more when it is due. Returns whether anything happened
    /// that the owner should look at; its own answers are in [`Self::next_event`].
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        self.network.poll(cx, now);
        let mut happened = false;
        while let Some(event) = self.network.next_event() {
            happened = true;
            match event {
                NetworkEvent::Ready => {}
                NetworkEvent::Lost => self.metadata.request_update(),
                NetworkEvent::Answered(Purpose::Owner(context), answer) => {
                    self.events.push_back(Event { context, answer });
                }
                NetworkEvent::Answered(Purpose::Metadata, answer) => {
                    self.metadata_in_flight = false;
                    self.take_metadata(answer, now);
                }
            }
        }
        self.refresh_metadata(now);
        happened
    }

    fn take_metadata(&mut self, answer: Answer, now: Instant) {
        let response = match answer {
            Answer::Response { version, body } => decode::<MetadataResponse>(body, version).ok(),
            Answer::NoneExpected | Answer::Failed(_) => None,
        };
        // An answer without brokers comes from a broker that is still starting.
        match response.filter(|response| !response.brokers.is_empty()) {
            None => self.metadata.failed(now, &mut self.rng),
            Some(response) => {
                self.metadata.update(response, now, &mut self.rng);
                self.bootstrapping = false;
                self.apply_brokers(now);
            }
        }
    }

    /// Opens no connections: they are made when first needed.
    fn apply_brokers(&mut self, now: Instant) {
        for (broker, address) in self.metadata.brokers() {
            self.network.set_node(NodeKey::Broker(*broker), address, now);
        }
        let gone: Vec<NodeKey> = self
            .network
            .nodes()
            .filter(|node| match node {
                NodeKey::Bootstrap(_) => self.network.in_flight(*node) == 0,
                NodeKey::Broker(broker) => !self.metadata.brokers().contains_key(broker),
                NodeKey::Coordinator(_) => false,
            })
            .collect();
        for node in gone {
            self.network.remove_node(node, now);
        }
    }

    fn refresh_metadata(&mut self, now: Instant) {
        if self.metadata_in_flight || self.metadata.due_at() > now {
            return;
        }
        self.maybe_rebootstrap(now);
        let Some(node) = self.any_ready_node(now) else { return };
        self.metadata.sent();
        self.metadata_in_flight = true;
        let deadline = now + self.request_timeout();
        let request = self.metadata.request();
        self.network.send(node, |_| request, Expect::Response, Purpose::Metadata, deadline);
    }

    /// Goes back to the bootstrap addresses when no known broker is connected or may be tried now
    /// (`NetworkClient.DefaultMetadataUpdater.maybeUpdate`). Departure: what is known of brokers and topics
    /// stays in use until the answer, where Kafka forgets it.
    fn maybe_rebootstrap(&mut self, now: Instant) {
        if self.bootstrapping
            || !self.rebootstraps
            || self.network.is_any_available(&self.candidates(), now)
        {
            return;
        }
        self.bootstrapping = true;
        for (key, address) in &self.bootstrap {
            self.network.set_node(*key, address, now);
        }
    }

    /// When [`Self::poll`] must run again even if nothing arrives.
    pub(crate) fn next_deadline(&self, now: Instant) -> Instant {
        let mut deadline = self.network.next_deadline();
        if !self.metadata_in_flight {
            let due = self.metadata.due_at();
            // When it is due and nobody can be asked, the next chance is the end of a backoff.
            let chance =
                if due > now { due } else { self.network.next_reconnect(&self.candidates(), now) };
            deadline = deadline.min(chance);
        }
        deadline
    }
}
