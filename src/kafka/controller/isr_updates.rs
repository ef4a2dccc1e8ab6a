//! What a broker's coming or going does to the partitions it has replicas of
//! (`ReplicationControlManager.generateLeaderAndIsrUpdates`).

use std::sync::Arc;

use uuid::Uuid;

use super::{
    Controller, DirectoryCheck,
    partition_change::{ChangeBuilder, Election, Surroundings},
};
use crate::kafka::{
    metadata::{MetadataRecord, PartitionImage, TopicImage},
    types::BrokerId,
};

/// What happens to a broker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Upheaval {
    /// It is fenced, unregistered or shuts down: it leads no more and leaves each ISR.
    Gone(BrokerId),
    /// It may lead again.
    Unfenced(BrokerId),
    /// It came back without having said goodbye: what it had in sync may be lost, and it is eligible no more
    /// (`handleBrokerUncleanShutdown`).
    UncleanShutdown(BrokerId),
    /// One of its log directories failed.
    DirectoryLost(BrokerId, Uuid),
}

impl Upheaval {
    fn leaves(self, id: BrokerId) -> bool {
        match self {
            Upheaval::Gone(gone)
            | Upheaval::UncleanShutdown(gone)
            | Upheaval::DirectoryLost(gone, _) => gone == id,
            Upheaval::Unfenced(_) => false,
        }
    }

    fn concerns(self, partition: &PartitionImage) -> bool {
        match self {
            Upheaval::Gone(id) => partition.isr.contains(&id),
            Upheaval::Unfenced(_) => !partition.has_leader(),
            Upheaval::UncleanShutdown(id) => {
                partition.isr.contains(&id) || partition.eligible.contains(&id)
            }
            Upheaval::DirectoryLost(id, lost) => {
                partition.replicas.contains(&id) && partition.directory(id) == lost
            }
        }
    }
}

impl Controller {
    /// The changes of all partitions that this concerns, those of one topic together.
    pub(super) fn isr_updates(&self, upheaval: Upheaval, records: &mut Vec<MetadataRecord>) {
        // To find the few that wait for a broker, not all partitions are looked at.
        if let Upheaval::Unfenced(_) = upheaval {
            for (topic, index) in &self.leaderless {
                if let Some(topic) = self.image.topic_by_id(*topic) {
                    records.extend(self.isr_update(upheaval, topic, *index));
                }
            }
            return;
        }
        for topic in self.image.topics() {
            for index in topic.partitions.keys() {
                records.extend(self.isr_update(upheaval, topic, *index));
            }
        }
    }

    pub(super) fn isr_update(
        &self,
        upheaval: Upheaval,
        topic: &Arc<TopicImage>,
        index: i32,
    ) -> Option<MetadataRecord> {
        let partition = topic.partitions.get(&index).filter(|p| upheaval.concerns(p))?;
        // The records that fence or unfence come with these: the image does not show it yet.
        let is_active = move |id| {
            !upheaval.leaves(id) && (upheaval == Upheaval::Unfenced(id) || self.is_active(id))
        };
        let mut change = self.change_given(topic, partition, is_active);
        if self.is_unclean_allowed(topic) {
            change.election = Election::Unclean;
        }
        if let Upheaval::UncleanShutdown(id) = upheaval {
            change.unclean_shutdown = Some(id);
        }
        change.isr.retain(|id| !upheaval.leaves(*id));
        change_record(topic, index, change)
    }

    /// A change of a partition as things are.
    pub(super) fn change<'a>(
        &'a self,
        topic: &TopicImage,
        partition: &'a PartitionImage,
    ) -> ChangeBuilder<'a> {
        self.change_given(topic, partition, |id| self.is_active(id))
    }

    fn change_given<'a>(
        &'a self,
        topic: &TopicImage,
        partition: &'a PartitionImage,
        is_active: impl Fn(BrokerId) -> bool + 'a,
    ) -> ChangeBuilder<'a> {
        let has_directory = |id: BrokerId| {
            let directory = partition.directory(id);
            self.config.policies.directory_check == DirectoryCheck::Off
                || self
                    .image
                    .broker(id)
                    .is_some_and(|broker| broker.has_online_directory(directory))
        };
        let surroundings = Surroundings {
            may_lead: Box::new(move |id| is_active(id) && has_directory(id)),
            default_directory: Box::new(|id| self.default_directory(id)),
            eligible_leaders: self.config.policies.eligible_leaders,
            min_isr: self.min_isr(topic),
        };
        ChangeBuilder::new(partition, surroundings)
    }
}

pub(super) fn change_record(
    topic: &TopicImage,
    partition: i32,
    change: ChangeBuilder<'_>,
) -> Option<MetadataRecord> {
    let (topic_id, change) = (topic.id, change.build()?);
    Some(MetadataRecord::PartitionChange { topic_id, partition, change })
}
