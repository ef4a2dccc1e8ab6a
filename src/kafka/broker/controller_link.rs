//! What a broker asks of the controller: topics made on demand and producer ids on its own account, and
//! clients' requests that only the controller can decide.
//!
//! One task carries the orders out one after the other, so that no request on the broker's own account
//! waits for the controller and none of its answers starts a task.
//!
//! Departure: a client's request goes on as it came, where Kafka puts it into an Envelope (KIP-590); what
//! that carries beside it is who the client is, and clients have no names here. A controller that does not
//! answer in time costs the client its connection, where Kafka answers REQUEST_TIMED_OUT.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use kafka_protocol::{
    messages::{
        AllocateProducerIdsRequest, CreateTopicsRequest, TopicName as WireTopicName,
        create_topics_request::{CreatableTopic, CreatableTopicConfig},
    },
    protocol::StrBytes,
};
use tokio::sync::{mpsc, oneshot};

use super::{
    controller::{Commitment, NewTopic},
    peer::{Peer, PeerError},
    state::Broker,
};
use crate::kafka::types::{ProducerId, TopicName};

/// Pause after a controller that could not be reached.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// CreateTopics and AllocateProducerIds as brokers of one version speak them to each other.
const CREATE_TOPICS_VERSION: i16 = 7;
const ALLOCATE_VERSION: i16 = 0;

#[derive(Debug)]
pub(super) enum Order {
    CreateTopic(NewTopic),
    ProducerIds,
    /// A client's request, whole, and who waits for the answer. Nothing if there is none.
    PassOn(Bytes, oneshot::Sender<Bytes>),
}

/// The sending end, and which topics are on order.
pub(super) struct ControllerLink {
    orders: mpsc::UnboundedSender<Order>,
    topics: Mutex<BTreeSet<TopicName>>,
}

impl ControllerLink {
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Order>) {
        let (orders, receiver) = mpsc::unbounded_channel();
        (ControllerLink { orders, topics: Mutex::default() }, receiver)
    }

    /// Orders a topic, once until it is answered.
    pub fn create_topic(&self, topic: NewTopic) {
        let new =
            self.topics.lock().expect("no panic while it is locked").insert(topic.name.clone());
        if new {
            self.order(Order::CreateTopic(topic));
        }
    }

    pub fn request_producer_ids(&self) {
        self.order(Order::ProducerIds);
    }

    /// The controller's answer to a client's request; `None` if it does not answer.
    pub async fn pass_on(&self, request: Bytes) -> Option<Bytes> {
        let (sender, answer) = oneshot::channel();
        self.order(Order::PassOn(request, sender));
        answer.await.ok()
    }

    fn order(&self, order: Order) {
        // The receiver ends with the broker; then nothing needs doing.
        let _ = self.orders.send(order);
    }

    fn answered(&self, topic: &TopicName) {
        self.topics.lock().expect("no panic while it is locked").remove(topic);
    }
}

/// Carries out orders until the broker stops.
pub(super) async fn run(broker: Arc<Broker>, mut orders: mpsc::UnboundedReceiver<Order>) {
    let mut peer = Peer::new(broker.config.controller().advertised.clone());
    loop {
        let order = tokio::select! {
            biased;
            () = broker.ending.wait() => return,
            order = orders.recv() => order,
        };
        match order {
            Some(Order::CreateTopic(topic)) => {
                create_topic(&broker, &mut peer, &topic).await;
                broker.link.answered(&topic.name);
            }
            Some(Order::PassOn(request, sender)) => {
                if let Some(answer) = pass_on(&broker, &mut peer, request, &sender).await {
                    // The client may have gone.
                    drop(sender.send(answer));
                }
            }
            Some(Order::ProducerIds) => fetch_producer_ids(&broker, &mut peer).await,
            None => return,
        }
    }
}

/// One try: whoever wanted the topic asks again.
async fn create_topic(broker: &Arc<Broker>, peer: &mut Peer, topic: &NewTopic) {
    if broker.controller.is_some() {
        if let Err((code, message)) = broker.create_topic(topic, Commitment::Commit).await {
            tracing::info!(topic = %topic.name, ?code, message, "topic not created on demand");
        }
        return;
    }
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let config = |(name, value): &(String, Option<String>)| {
        let value = value.as_deref().map(text);
        CreatableTopicConfig::default().with_name(text(name)).with_value(value)
    };
    let wanted = CreatableTopic::default()
        .with_name(WireTopicName(text(topic.name.as_str())))
        .with_num_partitions(topic.partitions)
        .with_replication_factor(topic.replication_factor)
        .with_configs(topic.config.iter().map(config).collect());
    let timeout = broker.config.config.request_timeout;
    let request = CreateTopicsRequest::default()
        .with_topics(vec![wanted])
        .with_timeout_ms(i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX));
    if let Err(error) = peer.ask(broker, CREATE_TOPICS_VERSION, &request).await {
        tracing::debug!(topic = %topic.name, %error, "controller not reached");
        broker.env.clock.sleep_until(broker.env.clock.now() + RETRY_PAUSE).await;
    }
}

/// Tries for `request.timeout.ms` to reach the controller. A request that may have arrived is not repeated.
async fn pass_on(
    broker: &Broker,
    peer: &mut Peer,
    request: Bytes,
    client: &oneshot::Sender<Bytes>,
) -> Option<Bytes> {
    let clock = &broker.env.clock;
    let deadline = clock.now() + broker.config.config.request_timeout;
    while !client.is_closed() && clock.now() < deadline {
        match peer.ask_bytes(broker, request.clone()).await {
            Ok(answer) => return Some(answer),
            Err(PeerError::Unreachable(error)) => {
                tracing::debug!(%error, "controller not reached");
                clock.sleep_until(clock.now() + RETRY_PAUSE).await;
            }
            Err(error) => {
                tracing::debug!(%error, "no answer from the controller");
                return None;
            }
        }
    }
    None
}

/// Tries until there is a block.
async fn fetch_producer_ids(broker: &Arc<Broker>, peer: &mut Peer) {
    while broker.producer_ids.wants_block() && !broker.ending.is_stopping() {
        let first = if broker.controller.is_some() {
            broker.allocate_producer_ids(broker.id()).await.ok()
        } else {
            let id = kafka_protocol::messages::BrokerId(broker.id().0);
            let request = AllocateProducerIdsRequest::default().with_broker_id(id);
            let answer = peer.ask(broker, ALLOCATE_VERSION, &request).await.ok();
            let granted = answer.filter(|answer| answer.error_code == 0);
            granted.map(|answer| ProducerId(answer.producer_id_start.0))
        };
        match first {
            Some(first) => broker.producer_ids.refill(first),
            None => broker.env.clock.sleep_until(broker.env.clock.now() + RETRY_PAUSE).await,
        }
    }
}
