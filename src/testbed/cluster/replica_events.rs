//! What a broker tells of its replicas, as history events.

use uuid::Uuid;

use super::brokers::machine_name;
use crate::{
    kafka::{
        broker::{BatchMark, ReplicaChange},
        replica::ReplicaEvent,
        types::{BrokerId, TopicPartition},
    },
    testbed::history::{EventKind, NodeName},
};

pub(super) fn kind_of(
    partition: TopicPartition,
    topic_id: Uuid,
    change: ReplicaChange,
) -> EventKind {
    let topic_id = || topic_id.to_string().into();
    match change {
        ReplicaChange::Leads { epoch, start } => {
            EventKind::Leads { partition, topic_id: topic_id(), epoch: epoch.0, start }
        }
        ReplicaChange::Follows { leader, epoch } => EventKind::Follows {
            partition,
            topic_id: topic_id(),
            leader: leader.map(machine_name),
            epoch: epoch.0,
        },
        ReplicaChange::HighWatermark(offset) => EventKind::HighWatermark { partition, offset },
        ReplicaChange::Replicated(batch) => replicated(partition, &batch),
        ReplicaChange::Diverged { leader, epoch, end } => {
            EventKind::Diverged { partition, leader: machine_name(leader), epoch: epoch.0, end }
        }
        ReplicaChange::Truncated { from, to } => EventKind::LogTruncated { partition, from, to },
        ReplicaChange::Restarted { at } => EventKind::LogRestarted { partition, at },
        ReplicaChange::Isr(event) => isr(partition, event),
    }
}

pub(super) fn replicated(partition: TopicPartition, batch: &BatchMark) -> EventKind {
    let records = batch.last_offset - batch.base_offset + 1;
    EventKind::Replicated {
        partition,
        base_offset: batch.base_offset,
        records: u32::try_from(records).unwrap_or(u32::MAX),
        epoch: batch.leader_epoch.0,
        checksum: batch.checksum,
    }
}

fn isr(partition: TopicPartition, event: ReplicaEvent) -> EventKind {
    match event {
        ReplicaEvent::IsrExpansionProposed { joining } => {
            let (joining, leaving) = (vec![machine_name(joining)], Vec::new());
            EventKind::IsrChangeAsked { partition, joining, leaving }
        }
        ReplicaEvent::IsrShrinkProposed { leaving } => {
            let (joining, leaving) = (Vec::new(), names(leaving));
            EventKind::IsrChangeAsked { partition, joining, leaving }
        }
        ReplicaEvent::IsrProposalRejected => EventKind::IsrChangeRefused { partition },
        ReplicaEvent::IsrCommitted { isr, partition_epoch } => {
            let (isr, partition_epoch) = (names(isr), partition_epoch.0);
            EventKind::IsrConfirmed { partition, isr, partition_epoch }
        }
    }
}

pub(super) fn names(ids: impl IntoIterator<Item = BrokerId>) -> Vec<NodeName> {
    ids.into_iter().map(machine_name).collect()
}
