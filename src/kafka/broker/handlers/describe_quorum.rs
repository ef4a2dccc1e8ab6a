//! DescribeQuorum, 0 to 2: who votes on the metadata, who follows it, and how far each of them is.

use std::sync::Arc;

use kafka_protocol::{
    messages::{
        BrokerId as WireBrokerId, DescribeQuorumRequest, DescribeQuorumResponse,
        TopicName as WireTopicName,
        describe_quorum_response::{Listener, Node, PartitionData, ReplicaState, TopicData},
    },
    protocol::{StrBytes, VersionRange},
};

use crate::{
    env::Instant,
    kafka::{
        broker::{
            dispatch::{Answer, Call, Close},
            quorum::Description,
            state::Broker,
        },
        metadata::METADATA_TOPIC,
        protocol::ResponseError,
        raft::{ReplicaProgress, RoleName},
    },
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 2 };
/// Unknown, in a time or an offset.
const UNKNOWN: i64 = -1;
/// The one listener of a node.
const LISTENER: &str = "PLAINTEXT";

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: DescribeQuorumRequest = call.request()?;
    let asks_metadata = |request: &DescribeQuorumRequest| {
        let [topic] = &request.topics[..] else { return false };
        let [partition] = &topic.partitions[..] else { return false };
        topic.topic_name.as_str() == METADATA_TOPIC && partition.partition_index == 0
    };
    let refused = |code: ResponseError, partition: PartitionData| {
        let message = format!("{code:?}");
        partition
            .with_error_code(code.code())
            .with_error_message(Some(StrBytes::from_string(message)))
    };
    if !asks_metadata(&request) {
        let topics = request.topics.iter().map(|topic| {
            let partition = |partition: i32| {
                let data = PartitionData::default().with_partition_index(partition);
                refused(ResponseError::UnknownTopicOrPartition, data)
            };
            let partitions = topic.partitions.iter().map(|asked| partition(asked.partition_index));
            TopicData::default()
                .with_topic_name(topic.topic_name.clone())
                .with_partitions(partitions.collect())
        });
        return call.answer(&DescribeQuorumResponse::default().with_topics(topics.collect()));
    }
    let described = broker.quorum.describe().await.ok_or(Close::Stopping)?;
    let leads = described.role == RoleName::Leader;
    if !leads && described.leadership.leader.is_some_and(|leader| leader != broker.id()) {
        return Err(Close::NotController);
    }
    let partition = PartitionData::default()
        .with_leader_id(WireBrokerId(described.leadership.leader.map_or(-1, |leader| leader.0)))
        .with_leader_epoch(described.leadership.epoch.0);
    let partition = if leads {
        let replicas = |all: &[ReplicaProgress]| {
            all.iter().map(|replica| describe(broker, &described, replica)).collect()
        };
        partition
            .with_error_message(None)
            .with_high_watermark(described.high_watermark.map_or(UNKNOWN, |offset| offset.0))
            .with_current_voters(replicas(&described.voters))
            .with_observers(replicas(&described.observers))
    } else {
        refused(ResponseError::NotLeaderOrFollower, partition)
    };
    let topic = TopicData::default()
        .with_topic_name(WireTopicName(StrBytes::from_static_str(METADATA_TOPIC)))
        .with_partitions(vec![partition]);
    let response = DescribeQuorumResponse::default()
        .with_error_message(None)
        .with_topics(vec![topic])
        .with_nodes(nodes(broker));
    call.answer(&response)
}

fn describe(broker: &Broker, described: &Description, replica: &ReplicaProgress) -> ReplicaState {
    let wall = broker.env.clock.wall_time().0;
    // The leader's times are on the clock of its deadlines.
    let time = |at: Instant| {
        let ago = i64::try_from(described.now.since(at).as_millis()).unwrap_or(i64::MAX);
        wall.saturating_sub(ago)
    };
    ReplicaState::default()
        .with_replica_id(WireBrokerId(replica.replica.id.0))
        .with_replica_directory_id(replica.replica.directory)
        .with_log_end_offset(replica.end.map_or(UNKNOWN, |end| end.0))
        .with_last_fetch_timestamp(replica.last_fetch.map_or(UNKNOWN, time))
        .with_last_caught_up_timestamp(replica.last_caught_up.map_or(UNKNOWN, time))
}

fn nodes(broker: &Broker) -> Vec<Node> {
    let voters = broker.config.voters.iter();
    let endpoints = voters.filter_map(|id| broker.config.endpoint(*id));
    let node = endpoints.map(|endpoint| {
        let listener = Listener::default()
            .with_name(StrBytes::from_static_str(LISTENER))
            .with_host(StrBytes::from_string(endpoint.advertised.host.clone()))
            .with_port(endpoint.advertised.port);
        Node::default().with_node_id(WireBrokerId(endpoint.id.0)).with_listeners(vec![listener])
    });
    node.collect()
}
