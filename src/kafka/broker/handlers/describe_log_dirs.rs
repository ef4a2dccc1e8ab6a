//! DescribeLogDirs, 1 to 4: the broker's data directory, the room it has, and how large its logs are.
//!
//! There is one directory, and no log is ever on its way to another. A directory that failed is not told
//! of: the broker stops with it, as Kafka's does with its last.

use std::{collections::BTreeMap, sync::Arc};

use kafka_protocol::{
    messages::{
        DescribeLogDirsRequest, DescribeLogDirsResponse, TopicName as WireTopicName,
        describe_log_dirs_request::DescribableLogDirTopic,
        describe_log_dirs_response::{
            DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
        },
    },
    protocol::{StrBytes, VersionRange},
};

use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        partitions::Partition,
        state::Broker,
    },
    metadata::METADATA_TOPIC,
    protocol::ResponseError,
    types::TopicName,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 1, max: 4 };

/// `DescribeLogDirsResponse.UNKNOWN_VOLUME_BYTES`.
const UNKNOWN: i64 = -1;

pub(in crate::kafka::broker) fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: DescribeLogDirsRequest = call.request()?;
    let disk = &broker.env.disk;
    let directory = DescribeLogDirsResult::default()
        .with_log_dir(StrBytes::from_string(disk.location()))
        .with_total_bytes(UNKNOWN)
        .with_usable_bytes(UNKNOWN);
    let described = match disk.space() {
        Ok(space) => {
            let bytes = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
            let total = space.map_or(UNKNOWN, |space| bytes(space.total));
            let free = space.map_or(UNKNOWN, |space| bytes(space.free));
            directory
                .with_topics(topics(broker, request.topics.as_deref()))
                .with_total_bytes(total)
                .with_usable_bytes(free)
        }
        Err(error) => {
            tracing::warn!(%error, "the room on the disk is not known");
            directory.with_error_code(ResponseError::KafkaStorageError.code())
        }
    };
    call.answer(&DescribeLogDirsResponse::default().with_results(vec![described]))
}

/// The logs asked for that are here; what is not here is not told of. `None` asks for all of them.
fn topics(broker: &Broker, asked: Option<&[DescribableLogDirTopic]>) -> Vec<DescribeLogDirsTopic> {
    let wanted = |partition: &Partition| {
        let (topic, index) = (partition.id.topic.as_str(), partition.id.partition);
        asked.is_none_or(|topics| {
            let topics = topics.iter().filter(|asked| asked.topic.as_str() == topic);
            topics.into_iter().any(|asked| asked.partitions.contains(&index))
        })
    };
    let mut by_topic: BTreeMap<TopicName, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    for partition in broker.partitions.all() {
        // As in Kafka, the log of metadata is not among the brokers' logs.
        if partition.id.topic.as_str() != METADATA_TOPIC && wanted(&partition) {
            let described = describe(&partition);
            by_topic.entry(partition.id.topic.clone()).or_default().push(described);
        }
    }
    let topic = |(name, partitions): (TopicName, Vec<_>)| {
        DescribeLogDirsTopic::default()
            .with_name(WireTopicName(StrBytes::from_string(name.to_string())))
            .with_partitions(partitions)
    };
    by_topic.into_iter().map(topic).collect()
}

/// A leader's log lags behind nothing.
fn describe(partition: &Partition) -> DescribeLogDirsPartition {
    let size = i64::try_from(partition.log().size()).unwrap_or(i64::MAX);
    DescribeLogDirsPartition::default()
        .with_partition_index(partition.id.partition)
        .with_partition_size(size)
        .with_offset_lag(0)
}
