//! What differs between two images, found without looking at what they share.
//!
//! A broker may see several changes of the metadata at once; what it has to do follows from the images before
//! and after, not from the records between.

use std::sync::Arc;

use uuid::Uuid;

use super::{Image, PartitionImage, TopicImage};
use crate::kafka::types::TopicPartition;

/// A partition that is not as it was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartitionDelta {
    pub id: TopicPartition,
    pub topic_id: Uuid,
    /// `None` if it is new.
    pub before: Option<Arc<PartitionImage>>,
    /// `None` if its topic was deleted.
    pub after: Option<Arc<PartitionImage>>,
}

impl Image {
    /// The partitions of deleted topics first, so that a topic of the same name finds its place free. A topic
    /// that was deleted and made again is two: they have different ids.
    pub fn partitions_changed_since(&self, earlier: &Image) -> Vec<PartitionDelta> {
        let mut deltas = Vec::new();
        let deleted = earlier.topics().filter(|topic| self.topic_by_id(topic.id).is_none());
        for topic in deleted {
            deltas.extend(topic.partitions.iter().map(|(index, partition)| {
                let (before, after) = (Some(Arc::clone(partition)), None);
                PartitionDelta { id: id(topic, *index), topic_id: topic.id, before, after }
            }));
        }
        for topic in self.topics() {
            let old = earlier.topic_by_id(topic.id);
            if old.is_some_and(|old| Arc::ptr_eq(old, topic)) {
                continue;
            }
            for (index, partition) in &topic.partitions {
                let before = old.and_then(|old| old.partitions.get(index));
                let is_same =
                    |old: &Arc<PartitionImage>| Arc::ptr_eq(old, partition) || old == partition;
                if before.is_some_and(is_same) {
                    continue;
                }
                let (before, after) = (before.cloned(), Some(Arc::clone(partition)));
                let (id, topic_id) = (id(topic, *index), topic.id);
                deltas.push(PartitionDelta { id, topic_id, before, after });
            }
        }
        deltas
    }
}

fn id(topic: &TopicImage, partition: i32) -> TopicPartition {
    TopicPartition::new(topic.name.clone(), partition)
}

#[cfg(test)]
mod tests {
    use std::{
        collections::{BTreeMap, BTreeSet},
        sync::Arc,
    };

    use proptest::{collection::vec, prelude::*};

    use super::super::{
        Image, MetadataRecord, PartitionImage,
        record::tests::{is_sound, records},
    };

    type Partitions = BTreeMap<(uuid::Uuid, i32), Arc<PartitionImage>>;

    fn partitions(image: &Image) -> Partitions {
        let of = |topic: &Arc<super::TopicImage>| {
            let id = topic.id;
            topic
                .partitions
                .iter()
                .map(move |(index, p)| ((id, *index), Arc::clone(p)))
                .collect::<Vec<_>>()
        };
        image.topics().flat_map(of).collect()
    }

    proptest! {
        #[test]
        fn what_differs_makes_the_later_of_the_earlier(
            log in vec(records(), 0..60),
            seen in 0..60usize,
        ) {
            let (mut image, mut earlier) = (Image::default(), Image::default());
            // No id is drawn twice.
            let mut ids = BTreeSet::new();
            for (index, record) in log.into_iter().enumerate() {
                let is_new = match &record {
                    MetadataRecord::Topic { id, .. } => ids.insert(*id),
                    _ => true,
                };
                if is_new && is_sound(&record, &image) {
                    image.apply(record);
                }
                if index == seen {
                    earlier = image.clone();
                }
            }
            let mut made = partitions(&earlier);
            for delta in image.partitions_changed_since(&earlier) {
                prop_assert_ne!(&delta.before, &delta.after);
                let key = (delta.topic_id, delta.id.partition);
                let before = match delta.after {
                    Some(after) => made.insert(key, after),
                    None => made.remove(&key),
                };
                prop_assert_eq!(before, delta.before);
            }
            prop_assert_eq!(made, partitions(&image));
        }
    }
}
