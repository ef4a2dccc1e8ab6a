//! Metadata, 0 to 13: brokers, topics, leaders. Asking for a topic may make it.

use std::{collections::BTreeMap, sync::Arc};

use kafka_protocol::{
    messages::{
        BrokerId as WireBrokerId, MetadataRequest, MetadataResponse, TopicName as WireTopicName,
        metadata_request::MetadataRequestTopic,
        metadata_response::{
            MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
        },
    },
    protocol::{StrBytes, VersionRange},
};

use crate::kafka::{
    broker::{
        controller_link::NewTopic,
        dispatch::{Answer, Call},
        operations,
        state::Broker,
    },
    controller::check_topic_name,
    coordinator::OFFSETS_TOPIC,
    metadata::{BrokerRegistration, Image, PartitionImage, TopicImage},
    protocol::ResponseError,
    types::BrokerId,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 13 };
/// Before it, an empty list of topics means all and creation is always allowed.
const NULL_MEANS_ALL_SINCE: i16 = 1;
const CREATION_FLAG_SINCE: i16 = 4;
/// From 10 on there is room for topic ids in a request, and from here on they may be used (KIP-516).
const TOPIC_IDS_SINCE: i16 = 12;

pub(in crate::kafka::broker) fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: MetadataRequest = call.request()?;
    let version = call.version();
    if let Some(topics) = &request.topics
        && version < TOPIC_IDS_SINCE
        && topics.iter().any(|topic| topic.name.is_none() || !topic.topic_id.is_nil())
    {
        return call.answer(&refuse(topics));
    }
    let image = broker.metadata.image();
    let may_create = version < CREATION_FLAG_SINCE || request.allow_auto_topic_creation;
    let mut topics: Vec<_> = match request.topics {
        Some(topics) if !topics.is_empty() || version >= NULL_MEANS_ALL_SINCE => {
            topics.iter().map(|topic| answer(broker, &image, topic, may_create)).collect()
        }
        _ => image.topics().map(|topic| describe(broker, topic)).collect(),
    };
    if request.include_topic_authorized_operations {
        topics
            .iter_mut()
            .for_each(|topic| topic.topic_authorized_operations = operations::ON_TOPIC);
    }
    let asked = request.include_cluster_authorized_operations;
    let allowed = if asked { operations::ON_CLUSTER } else { operations::NOT_ASKED };
    let response = MetadataResponse::default()
        .with_cluster_authorized_operations(allowed)
        .with_brokers(
            image.brokers().filter(|broker| !broker.fenced).map(|it| endpoint(it)).collect(),
        )
        .with_cluster_id(Some(StrBytes::from_string(broker.config.cluster_id.clone())))
        .with_controller_id(wire(controller_for_clients(broker)))
        .with_topics(topics);
    call.answer(&response)
}

/// `MetadataRequest.getErrorResponse`: there is no place for an error but the topics.
fn refuse(topics: &[MetadataRequestTopic]) -> MetadataResponse {
    let refused = |topic: &MetadataRequestTopic| {
        MetadataResponseTopic::default()
            .with_error_code(ResponseError::InvalidRequest.code())
            .with_name(Some(topic.name.clone().unwrap_or_default()))
            .with_topic_id(topic.topic_id)
    };
    MetadataResponse::default()
        .with_controller_id(WireBrokerId(-1))
        .with_topics(topics.iter().map(refused).collect())
}

/// Whom clients shall ask what the controller decides. Where that is no broker, any broker passes such requests on;
/// Kafka draws one by lot.
pub(super) fn controller_for_clients(broker: &Broker) -> BrokerId {
    let leader = broker.quorum.leader();
    leader.map_or(
        BrokerId::NONE,
        |id| {
            if broker.config.is_among_brokers(id) { id } else { broker.id() }
        },
    )
}

fn wire(id: BrokerId) -> WireBrokerId {
    WireBrokerId(id.0)
}

fn endpoint(broker: &BrokerRegistration) -> MetadataResponseBroker {
    // Brokers have one listener.
    let (host, port) = broker.endpoints.first().map_or(("", 0), |it| (it.host.as_str(), it.port));
    MetadataResponseBroker::default()
        .with_node_id(wire(broker.id))
        .with_host(StrBytes::from_string(host.to_owned()))
        .with_port(i32::from(port))
        .with_rack(broker.rack.clone().map(StrBytes::from_string))
}

fn answer(
    broker: &Broker,
    image: &Image,
    asked: &MetadataRequestTopic,
    may_create: bool,
) -> MetadataResponseTopic {
    let failure = |code: ResponseError| {
        MetadataResponseTopic::default()
            .with_error_code(code.code())
            .with_name(asked.name.clone())
            .with_topic_id(asked.topic_id)
            .with_is_internal(asked.name.as_deref().is_some_and(|name| name == OFFSETS_TOPIC))
    };
    let Some(name) = &asked.name else {
        let found = image.topic_by_id(asked.topic_id);
        return found.map_or_else(
            || failure(ResponseError::UnknownTopicId),
            |topic| describe(broker, topic),
        );
    };
    if let Some(topic) = image.topic(name) {
        return describe(broker, topic);
    }
    if check_topic_name(name).is_err() {
        return failure(ResponseError::InvalidTopicException);
    }
    if may_create && broker.config.config.auto_create_topics {
        order(broker, name);
    }
    // Also for a topic on order: the client asks again, as with Kafka's AutoTopicCreationManager.
    failure(ResponseError::UnknownTopicOrPartition)
}

/// Has the controller make a topic with default settings.
fn order(broker: &Broker, name: &WireTopicName) {
    if name.as_str() == OFFSETS_TOPIC {
        return broker.groups.order_offsets_topic(broker);
    }
    broker.link.create_topic(NewTopic {
        name: name.as_str().into(),
        partitions: -1,
        replication_factor: -1,
        assignments: BTreeMap::new(),
        config: Vec::new(),
    });
}

fn describe(broker: &Broker, topic: &TopicImage) -> MetadataResponseTopic {
    let partition = |(index, image): (&i32, &Arc<PartitionImage>)| {
        let replicas: Vec<_> = image.replicas.iter().copied().map(wire).collect();
        let offline = broker.offline_replicas(image).into_iter().map(wire).collect();
        let leader = broker.told_leader(image);
        let code = leader.map_or(ResponseError::LeaderNotAvailable.code(), |_| 0);
        MetadataResponsePartition::default()
            .with_error_code(code)
            .with_offline_replicas(offline)
            .with_partition_index(*index)
            .with_leader_id(wire(leader.unwrap_or(BrokerId::NONE)))
            .with_leader_epoch(image.leader_epoch.0)
            .with_replica_nodes(replicas)
            .with_isr_nodes(image.isr.iter().copied().map(wire).collect())
    };
    MetadataResponseTopic::default()
        .with_name(Some(WireTopicName(StrBytes::from_string(topic.name.to_string()))))
        .with_topic_id(topic.id)
        .with_is_internal(topic.name.as_str() == OFFSETS_TOPIC)
        .with_partitions(topic.partitions.iter().map(partition).collect())
}
