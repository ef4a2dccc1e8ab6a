//! What all records so far add up to.

use std::{collections::BTreeMap, sync::Arc};

use uuid::Uuid;

use super::MetadataRecord;
use crate::kafka::types::{BrokerId, LeaderEpoch, ProducerId, TopicName, TopicPartition};

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartitionImage {
    pub replicas: Vec<BrokerId>,
    pub leader: BrokerId,
    pub leader_epoch: LeaderEpoch,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopicImage {
    pub name: TopicName,
    pub id: Uuid,
    /// By partition number.
    pub partitions: BTreeMap<i32, PartitionImage>,
    /// Settings given for the topic.
    pub config: BTreeMap<String, String>,
}

/// The metadata at one point of its log. Cheap to clone; a change makes a new one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Image {
    topics: BTreeMap<TopicName, Arc<TopicImage>>,
    names: BTreeMap<Uuid, TopicName>,
    next_producer_id: ProducerId,
}

impl Image {
    pub fn topics(&self) -> impl Iterator<Item = &Arc<TopicImage>> {
        self.topics.values()
    }

    pub fn topic(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.topics.get(name)
    }

    pub fn topic_by_id(&self, id: Uuid) -> Option<&Arc<TopicImage>> {
        self.topics.get(self.names.get(&id)?)
    }

    pub fn partition(&self, partition: &TopicPartition) -> Option<&PartitionImage> {
        self.topic(partition.topic.as_str())?.partitions.get(&partition.partition)
    }

    /// Partitions of topics that an earlier image has and this one has not.
    pub fn deleted_since(&self, earlier: &Image) -> Vec<TopicPartition> {
        let deleted = earlier.topics().filter(|topic| !self.names.contains_key(&topic.id));
        let partitions = deleted.flat_map(|topic| {
            let id = |partition: &i32| TopicPartition::new(topic.name.clone(), *partition);
            topic.partitions.keys().map(id)
        });
        partitions.collect()
    }

    /// The first producer id that no block has given out.
    pub fn next_producer_id(&self) -> ProducerId {
        self.next_producer_id
    }

    /// Replays one record. A partition or setting of a topic that is not known is a fault of the log and
    /// changes nothing.
    pub fn apply(&mut self, record: MetadataRecord) {
        match record {
            MetadataRecord::Topic { name, id } => {
                self.names.insert(id, name.clone());
                let (partitions, config) = (BTreeMap::new(), BTreeMap::new());
                let topic = TopicImage { name: name.clone(), id, partitions, config };
                self.topics.insert(name, Arc::new(topic));
            }
            MetadataRecord::Partition { topic_id, partition, replicas, leader, leader_epoch } => {
                let name = self.names.get(&topic_id).cloned();
                if let Some(topic) = name.and_then(|name| self.topics.get_mut(&name)) {
                    let image = PartitionImage { replicas, leader, leader_epoch };
                    Arc::make_mut(topic).partitions.insert(partition, image);
                }
            }
            MetadataRecord::RemoveTopic { id } => {
                if let Some(name) = self.names.remove(&id) {
                    self.topics.remove(&name);
                }
            }
            MetadataRecord::TopicConfig { topic, name, value } => {
                if let Some(topic) = self.topics.get_mut(&topic) {
                    let config = &mut Arc::make_mut(topic).config;
                    match value {
                        Some(value) => config.insert(name, value),
                        None => config.remove(&name),
                    };
                }
            }
            MetadataRecord::ProducerIds { next, .. } => self.next_producer_id = next,
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::Image;
    use crate::kafka::{
        metadata::MetadataRecord,
        types::{BrokerId, LeaderEpoch, TopicPartition},
    };

    #[test]
    fn records_add_up_to_an_image_and_old_images_stay() {
        let id = Uuid::from_u128(9);
        let mut image = Image::default();
        image.apply(MetadataRecord::Topic { name: "orders".into(), id });
        let before = image.clone();
        image.apply(MetadataRecord::Partition {
            topic_id: id,
            partition: 0,
            replicas: vec![BrokerId(2)],
            leader: BrokerId(2),
            leader_epoch: LeaderEpoch(0),
        });
        let orders = TopicPartition::new("orders", 0);
        assert_eq!(image.partition(&orders).unwrap().leader, BrokerId(2));
        assert_eq!(before.partition(&orders), None);
        assert_eq!(image.topic_by_id(id).unwrap().name.as_str(), "orders");
    }

    #[test]
    fn a_removed_topic_leaves_nothing_to_one_of_the_same_name() {
        let (old, new) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let topic = |id| MetadataRecord::Topic { name: "orders".into(), id };
        let mut image = Image::default();
        image.apply(topic(old));
        let (name, value) = ("retention.ms".to_owned(), Some("5".to_owned()));
        image.apply(MetadataRecord::TopicConfig { topic: "orders".into(), name, value });
        let partition = |topic_id| MetadataRecord::Partition {
            topic_id,
            partition: 3,
            replicas: vec![BrokerId(2)],
            leader: BrokerId(2),
            leader_epoch: LeaderEpoch(0),
        };
        image.apply(partition(old));
        let before = image.clone();
        image.apply(MetadataRecord::RemoveTopic { id: old });
        assert_eq!(image.deleted_since(&before), [TopicPartition::new("orders", 3)]);
        assert!(image.topic("orders").is_none() && image.topic_by_id(old).is_none());
        image.apply(topic(new));
        image.apply(partition(new));
        assert!(image.topic("orders").unwrap().config.is_empty());
        assert_eq!(image.deleted_since(&before), [TopicPartition::new("orders", 3)]);
        // It is gone already, and its name belongs to another.
        image.apply(MetadataRecord::RemoveTopic { id: old });
        assert_eq!(image.topic("orders").unwrap().id, new);
    }
}
