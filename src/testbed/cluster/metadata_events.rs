//! Committed metadata as history events: the controller's word on brokers and partitions.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use super::{brokers::machine_name, replica_events::names};
use crate::{
    kafka::{
        broker::MetadataChange,
        metadata::PartitionImage,
        types::{BrokerId, Offset, TopicPartition},
    },
    testbed::history::{ElectionKind, EventKind, NodeName},
};

/// How far the metadata log has been told; shared by all brokers.
///
/// A broker that begins with a snapshot hears of no single changes. None of them is missed: whoever made the snapshot
/// had replayed all that is in it, and told of what nobody else had told by then.
#[derive(Clone, Default)]
pub(super) struct MetadataTold(Arc<Mutex<Offset>>);

impl MetadataTold {
    /// Whether nobody told of the record at the offset yet; from now on somebody has.
    pub fn is_news(&self, offset: Offset) -> bool {
        let mut told = self.0.lock().expect("no panic while it is locked");
        let is_news = offset >= *told;
        *told = (*told).max(offset + 1);
        is_news
    }

    /// A controller leads with a log that ends there. Where that is before what was told, committed metadata was lost,
    /// and what takes its place is news.
    pub fn goes_on_from(&self, end: Offset) {
        let mut told = self.0.lock().expect("no panic while it is locked");
        *told = (*told).min(end);
    }
}

pub(super) fn kinds_of(change: MetadataChange) -> Vec<EventKind> {
    match change {
        MetadataChange::Partition { partition, topic_id, before: None, after } => {
            let kind = EventKind::PartitionCreated {
                partition,
                topic_id: topic_id.to_string().into(),
                replicas: names(after.replicas.iter().copied()),
                leader: leader(&after),
                isr: names(after.isr.iter().copied()),
                epoch: after.leader_epoch.0,
                partition_epoch: after.partition_epoch.0,
            };
            vec![kind]
        }
        MetadataChange::Partition { partition, before: Some(before), after, .. } => {
            changes(&partition, &before, &after)
        }
        MetadataChange::TopicRemoved { topic } => vec![EventKind::TopicDeleted { topic: topic.0 }],
        MetadataChange::BrokerRegistered { broker, epoch } => {
            vec![EventKind::BrokerRegistered { broker: machine_name(broker), epoch: epoch.0 }]
        }
        MetadataChange::BrokerFenced(broker) => {
            vec![EventKind::BrokerFenced { broker: machine_name(broker) }]
        }
        MetadataChange::BrokerUnfenced(broker) => {
            vec![EventKind::BrokerUnfenced { broker: machine_name(broker) }]
        }
    }
}

fn leader(image: &PartitionImage) -> Option<NodeName> {
    image.has_leader().then(|| machine_name(image.leader))
}

fn changes(
    partition: &TopicPartition,
    before: &PartitionImage,
    after: &PartitionImage,
) -> Vec<EventKind> {
    let mut kinds = Vec::new();
    let partition_epoch = after.partition_epoch.0;
    let set = |ids: &[BrokerId]| -> BTreeSet<BrokerId> { ids.iter().copied().collect() };
    if set(&before.replicas) != set(&after.replicas) {
        let replicas = names(after.replicas.iter().copied());
        kinds.push(EventKind::ReplicasChanged { partition: partition.clone(), replicas });
    }
    let (old, new) = (set(&before.isr), set(&after.isr));
    if old != new {
        let partition = partition.clone();
        let (isr, was) = (names(new.iter().copied()), names(old.iter().copied()));
        kinds.push(if new.is_subset(&old) {
            EventKind::IsrShrunk { partition, isr, was, partition_epoch }
        } else {
            EventKind::IsrGrown { partition, isr, was, partition_epoch }
        });
    }
    if before.leader != after.leader || before.leader_epoch != after.leader_epoch {
        let is_known = before.isr.contains(&after.leader)
            || before.eligible.contains(&after.leader)
            // The same leader in another epoch.
            || before.leader == after.leader;
        kinds.push(EventKind::Elected {
            partition: partition.clone(),
            leader: leader(after),
            was: leader(before),
            epoch: after.leader_epoch.0,
            partition_epoch,
            how: match (after.has_leader(), is_known) {
                (false, _) => ElectionKind::Leaderless,
                (true, true) => ElectionKind::Clean,
                (true, false) => ElectionKind::Unclean,
            },
        });
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::{MetadataTold, changes};
    use crate::{
        kafka::{
            metadata::PartitionImage,
            types::{BrokerId, LeaderEpoch, Offset, TopicPartition},
        },
        testbed::history::{ElectionKind, EventKind},
    };

    fn ids(ids: &[i32]) -> Vec<BrokerId> {
        ids.iter().copied().map(BrokerId).collect()
    }

    /// From `{1,2,3}` led by 1 with these in sync and eligible, to this leader.
    fn elects(isr: &[i32], eligible: &[i32], leader: i32) -> ElectionKind {
        let mut before = PartitionImage::new(ids(&[1, 2, 3]));
        (before.isr, before.eligible) = (ids(isr), ids(eligible));
        let mut after = before.clone();
        (after.leader, after.leader_epoch) = (BrokerId(leader), LeaderEpoch(1));
        let kinds = changes(&TopicPartition::new("orders", 0), &before, &after);
        match kinds.last() {
            Some(EventKind::Elected { how, .. }) => *how,
            other => panic!("no election: {other:?}"),
        }
    }

    #[test]
    fn an_election_is_clean_from_the_isr_or_the_eligible() {
        assert_eq!(elects(&[1, 2], &[], 2), ElectionKind::Clean);
        assert_eq!(elects(&[1], &[3], 3), ElectionKind::Clean);
        assert_eq!(elects(&[1], &[3], 2), ElectionKind::Unclean);
        assert_eq!(elects(&[1], &[3], -1), ElectionKind::Leaderless);
    }

    #[test]
    fn a_record_is_told_of_once() {
        let told = MetadataTold::default();
        assert!(told.is_news(Offset(3)));
        assert!(!told.clone().is_news(Offset(3)));
        assert!(!told.is_news(Offset(2)));
        assert!(told.is_news(Offset(4)));
    }
}
