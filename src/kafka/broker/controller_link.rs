//! What a broker asks of the controller: topics made on demand and producer ids on its own account, and
//! clients' requests that only the controller can decide.
//!
//! One task carries the orders out one after the other, so that no request on the broker's own account
//! waits for the controller and none of its answers starts a task. Requests of clients go in an Envelope (KIP-590): a
//! node that is not the controller any more says so, and the request goes to whoever is.
//!
//! Departures: an Envelope names no principal, as clients have none here. A controller that does not
//! answer in time costs the client its connection, where Kafka answers REQUEST_TIMED_OUT.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use kafka_protocol::{
    messages::{
        AllocateProducerIdsRequest, BrokerId as WireBrokerId, CreateTopicsRequest, EnvelopeRequest,
        TopicName as WireTopicName,
        create_topics_request::{CreatableTopic, CreatableTopicConfig},
    },
    protocol::StrBytes,
};
use tokio::sync::{mpsc, oneshot};

use super::{controller_channel::ControllerChannel, peer::PeerError, state::Broker};
use crate::kafka::{
    protocol::{ResponseError, message::encode_request},
    types::{BrokerId, ProducerId, TopicName},
};

/// Pause after a controller that could not be reached.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// CreateTopics, AllocateProducerIds and Envelope as brokers of one version speak them to each other.
const CREATE_TOPICS_VERSION: i16 = 7;
const ALLOCATE_VERSION: i16 = 0;
const ENVELOPE_VERSION: i16 = 0;
/// What a frame begins with.
const LENGTH_BYTES: usize = 4;

/// A topic somebody wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct NewTopic {
    pub name: TopicName,
    /// -1 for the default.
    pub partitions: i32,
    /// -1 for the default.
    pub replication_factor: i16,
    /// Explicit placement by partition; then the two numbers above are -1.
    pub assignments: BTreeMap<i32, Vec<BrokerId>>,
    pub config: Vec<(String, Option<String>)>,
}

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
    let mut channel = ControllerChannel::new("forwarding", broker.config.config.request_timeout);
    loop {
        let order = tokio::select! {
            biased;
            () = broker.ending.wait() => return,
            order = orders.recv() => order,
        };
        let carried_out = async {
            match order {
                Some(Order::CreateTopic(topic)) => {
                    create_topic(&broker, &mut channel, &topic).await;
                    broker.link.answered(&topic.name);
                }
                Some(Order::PassOn(request, sender)) => {
                    if let Some(answer) = pass_on(&broker, &mut channel, request, &sender).await {
                        // The client may have gone.
                        drop(sender.send(answer));
                    }
                }
                Some(Order::ProducerIds) => fetch_producer_ids(&broker, &mut channel).await,
                None => {}
            }
        };
        tokio::select! {
            biased;
            () = broker.ending.wait() => return,
            () = carried_out => {}
        }
    }
}

/// One try: whoever wanted the topic asks again.
async fn create_topic(broker: &Arc<Broker>, channel: &mut ControllerChannel, topic: &NewTopic) {
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
    let client_id = format!("broker-{}", broker.id());
    let framed = encode_request(0, &client_id, CREATE_TOPICS_VERSION, &request);
    let Ok(framed) = framed else { return };
    if let Err(error) = send_on(broker, channel, &framed.freeze()).await {
        tracing::debug!(topic = %topic.name, ?error, "controller not reached");
        broker.env.clock.sleep_until(broker.env.clock.now() + RETRY_PAUSE).await;
    }
}

/// Why a request did not come back with an answer.
#[derive(Debug)]
enum Unanswered {
    /// Whoever it went to cannot be reached, or is not the controller.
    TryAgain,
    GiveUp,
}

/// Puts a request into an Envelope; the answer, without its length as answers of peers come.
async fn send_on(
    broker: &Arc<Broker>,
    channel: &mut ControllerChannel,
    request: &Bytes,
) -> Result<Bytes, Unanswered> {
    let envelope = EnvelopeRequest::default()
        .with_request_data(request.slice(LENGTH_BYTES..))
        .with_request_principal(None);
    match channel.ask(broker, ENVELOPE_VERSION, &envelope).await {
        Ok(answer) => match ResponseError::try_from_code(answer.error_code) {
            None => answer.response_data.ok_or(Unanswered::GiveUp),
            Some(ResponseError::NotController) => Err(Unanswered::TryAgain),
            Some(error) => {
                tracing::debug!(?error, "the controller refuses an envelope");
                Err(Unanswered::GiveUp)
            }
        },
        Err(PeerError::TimedOut) => Err(Unanswered::GiveUp),
        Err(error) => {
            tracing::debug!(%error, "controller not reached");
            Err(Unanswered::TryAgain)
        }
    }
}

/// Tries for `request.timeout.ms` to reach the controller. As in Kafka a request is repeated when its connection was
/// lost, though it may have been carried out: then the client hears that there was nothing left to do.
async fn pass_on(
    broker: &Arc<Broker>,
    channel: &mut ControllerChannel,
    request: Bytes,
    client: &oneshot::Sender<Bytes>,
) -> Option<Bytes> {
    let clock = &broker.env.clock;
    let deadline = clock.now() + broker.config.config.request_timeout;
    while !client.is_closed() && clock.now() < deadline {
        match send_on(broker, channel, &request).await {
            Ok(answer) => return Some(answer),
            Err(Unanswered::TryAgain) => clock.sleep_until(clock.now() + RETRY_PAUSE).await,
            Err(Unanswered::GiveUp) => return None,
        }
    }
    None
}

/// Tries until there is a block.
async fn fetch_producer_ids(broker: &Arc<Broker>, channel: &mut ControllerChannel) {
    while broker.producer_ids.wants_block() && !broker.ending.is_stopping() {
        let request = AllocateProducerIdsRequest::default()
            .with_broker_id(WireBrokerId(broker.id().0))
            .with_broker_epoch(broker.lifecycle.epoch().0);
        let answer = channel.ask(broker, ALLOCATE_VERSION, &request).await.ok();
        match answer.filter(|answer| answer.error_code == 0) {
            Some(answer) => broker.producer_ids.refill(ProducerId(answer.producer_id_start.0)),
            None => broker.env.clock.sleep_until(broker.env.clock.now() + RETRY_PAUSE).await,
        }
    }
}
