//! The one table of APIs this broker serves, made of the handlers' own ranges.
//!
//! ApiVersions is answered from it, and dispatch refuses what is not in it.

use kafka_protocol::{messages::ApiKey, protocol::VersionRange};

use super::{
    allocate_producer_ids, alter_configs, alter_partition,
    alter_partition_reassignments as alter_reassignments, api_versions, assign_replicas_to_dirs,
    begin_quorum_epoch, broker_heartbeat, broker_registration, create_partitions, create_topics,
    delete_groups, delete_records, delete_topics, describe_cluster, describe_configs,
    describe_groups, describe_log_dirs, describe_producers, describe_quorum,
    describe_topic_partitions, elect_leaders, end_quorum_epoch, envelope, fetch, fetch_snapshot,
    find_coordinator, heartbeat, incremental_alter_configs, init_producer_id, join_group,
    leave_group, list_config_resources, list_groups, list_offsets,
    list_partition_reassignments as list_reassignments, metadata, offset_commit, offset_delete,
    offset_fetch, offset_for_leader_epoch, produce, sync_group, unregister_broker, vote,
};
use crate::kafka::broker::node::NodeConfig;

/// One served API.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(in crate::kafka::broker) struct Api {
    pub key: ApiKey,
    /// Versions the handler reads.
    pub served: VersionRange,
    /// What ApiVersions says is the lowest. Differs from `served` for Produce alone: Kafka 4.x offers 0
    /// though it reads 3 and up, because librdkafka up to 2.10 sends batches uncompressed to a broker
    /// that offers no Produce below 3.
    pub advertised_min: i16,
    pub audience: Audience,
}

/// Whose an API is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::kafka::broker) enum Audience {
    Clients,
    /// Clients, but only the controller decides: another broker sends the request on to it.
    Controller,
    /// Nodes alone. Clients are not told of it, and it is served before the broker is open to them.
    Nodes,
}

const fn api(key: ApiKey, served: VersionRange) -> Api {
    Api { key, served, advertised_min: served.min, audience: Audience::Clients }
}

const fn for_controller(api: Api) -> Api {
    Api { audience: Audience::Controller, ..api }
}

const fn between_nodes(api: Api) -> Api {
    Api { audience: Audience::Nodes, ..api }
}

/// By key, ascending.
pub(in crate::kafka::broker) const SERVED: &[Api] = &[
    Api { advertised_min: 0, ..api(ApiKey::Produce, produce::VERSIONS) },
    api(ApiKey::Fetch, fetch::VERSIONS),
    api(ApiKey::ListOffsets, list_offsets::VERSIONS),
    api(ApiKey::Metadata, metadata::VERSIONS),
    api(ApiKey::OffsetCommit, offset_commit::VERSIONS),
    api(ApiKey::OffsetFetch, offset_fetch::VERSIONS),
    api(ApiKey::FindCoordinator, find_coordinator::VERSIONS),
    api(ApiKey::JoinGroup, join_group::VERSIONS),
    api(ApiKey::Heartbeat, heartbeat::VERSIONS),
    api(ApiKey::LeaveGroup, leave_group::VERSIONS),
    api(ApiKey::SyncGroup, sync_group::VERSIONS),
    api(ApiKey::DescribeGroups, describe_groups::VERSIONS),
    api(ApiKey::ListGroups, list_groups::VERSIONS),
    api(ApiKey::ApiVersions, api_versions::VERSIONS),
    for_controller(api(ApiKey::CreateTopics, create_topics::VERSIONS)),
    for_controller(api(ApiKey::DeleteTopics, delete_topics::VERSIONS)),
    api(ApiKey::DeleteRecords, delete_records::VERSIONS),
    api(ApiKey::InitProducerId, init_producer_id::VERSIONS),
    api(ApiKey::OffsetForLeaderEpoch, offset_for_leader_epoch::VERSIONS),
    api(ApiKey::DescribeConfigs, describe_configs::VERSIONS),
    for_controller(api(ApiKey::AlterConfigs, alter_configs::VERSIONS)),
    api(ApiKey::DescribeLogDirs, describe_log_dirs::VERSIONS),
    for_controller(api(ApiKey::CreatePartitions, create_partitions::VERSIONS)),
    api(ApiKey::DeleteGroups, delete_groups::VERSIONS),
    for_controller(api(ApiKey::ElectLeaders, elect_leaders::VERSIONS)),
    for_controller(api(ApiKey::IncrementalAlterConfigs, incremental_alter_configs::VERSIONS)),
    for_controller(api(ApiKey::AlterPartitionReassignments, alter_reassignments::VERSIONS)),
    for_controller(api(ApiKey::ListPartitionReassignments, list_reassignments::VERSIONS)),
    api(ApiKey::OffsetDelete, offset_delete::VERSIONS),
    between_nodes(api(ApiKey::Vote, vote::VERSIONS)),
    between_nodes(api(ApiKey::BeginQuorumEpoch, begin_quorum_epoch::VERSIONS)),
    between_nodes(api(ApiKey::EndQuorumEpoch, end_quorum_epoch::VERSIONS)),
    for_controller(api(ApiKey::DescribeQuorum, describe_quorum::VERSIONS)),
    between_nodes(api(ApiKey::AlterPartition, alter_partition::VERSIONS)),
    between_nodes(api(ApiKey::Envelope, envelope::VERSIONS)),
    between_nodes(api(ApiKey::FetchSnapshot, fetch_snapshot::VERSIONS)),
    api(ApiKey::DescribeCluster, describe_cluster::VERSIONS),
    api(ApiKey::DescribeProducers, describe_producers::VERSIONS),
    between_nodes(api(ApiKey::BrokerRegistration, broker_registration::VERSIONS)),
    between_nodes(api(ApiKey::BrokerHeartbeat, broker_heartbeat::VERSIONS)),
    for_controller(api(ApiKey::UnregisterBroker, unregister_broker::VERSIONS)),
    between_nodes(api(ApiKey::AllocateProducerIds, allocate_producer_ids::VERSIONS)),
    between_nodes(api(ApiKey::AssignReplicasToDirs, assign_replicas_to_dirs::VERSIONS)),
    api(ApiKey::ListConfigResources, list_config_resources::VERSIONS),
    api(ApiKey::DescribeTopicPartitions, describe_topic_partitions::VERSIONS),
];

/// `None` for an API that is not served.
pub(in crate::kafka::broker) fn find(key: i16) -> Option<&'static Api> {
    SERVED.iter().find(|api| api.key as i16 == key)
}

impl Api {
    pub fn serves(&self, version: i16) -> bool {
        (self.served.min..=self.served.max).contains(&version)
    }

    /// Whether a node in its roles serves it, as the `listeners` of Kafka's messages say.
    pub fn is_served_by(&self, node: &NodeConfig) -> bool {
        let both =
            [ApiKey::ApiVersions, ApiKey::Fetch, ApiKey::DescribeCluster, ApiKey::DescribeConfigs];
        match self.audience {
            Audience::Nodes => node.is_controller(),
            Audience::Controller => true,
            Audience::Clients => node.is_broker() || both.contains(&self.key),
        }
    }

    /// Whether it is told of in ApiVersions. A broker's clients need not know what is between nodes; whoever asks a
    /// controller alone is told all.
    pub fn is_told_by(&self, node: &NodeConfig) -> bool {
        self.is_served_by(node) && (self.audience != Audience::Nodes || !node.is_broker())
    }
}

#[cfg(test)]
mod tests {
    use super::SERVED;

    #[test]
    fn the_table_is_sorted_and_within_what_the_codec_reads() {
        assert!(SERVED.is_sorted_by_key(|api| api.key as i16));
        for api in SERVED {
            let codec = api.key.valid_versions();
            assert!(codec.min <= api.served.min && api.served.max <= codec.max, "{api:?}");
        }
    }
}
