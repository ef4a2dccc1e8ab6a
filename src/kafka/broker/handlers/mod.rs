//! One file per API: what it reads, what it decides, what it answers, and in which versions.

pub(super) mod allocate_producer_ids;
pub(super) mod api_versions;
pub(super) mod codes;
pub(super) mod create_topics;
pub(super) mod delete_records;
pub(super) mod describe_cluster;
pub(super) mod describe_log_dirs;
pub(super) mod describe_producers;
pub(super) mod describe_topic_partitions;
pub(super) mod fetch;
pub(super) mod find_coordinator;
pub(super) mod heartbeat;
pub(super) mod init_producer_id;
pub(super) mod join_group;
pub(super) mod leave_group;
pub(super) mod list_config_resources;
pub(super) mod list_offsets;
pub(super) mod metadata;
pub(super) mod offset_commit;
pub(super) mod offset_fetch;
pub(super) mod offset_for_leader_epoch;
pub(super) mod produce;
pub(super) mod served;
pub(super) mod sync_group;
