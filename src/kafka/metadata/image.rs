//! What all records so far add up to.

use std::{collections::BTreeMap, sync::Arc};

use uuid::Uuid;

use super::{
    BrokerRegistration, ConfigResource, MetadataRecord, PartitionChange, PartitionImage,
    RegistrationChange,
};
use crate::kafka::types::{BrokerEpoch, BrokerId, ProducerId, TopicName, TopicPartition};

/// Kafka writes this feature first, since it decides how to read what follows.
const METADATA_VERSION: &str = "metadata.version";

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopicImage {
    pub name: TopicName,
    pub id: Uuid,
    /// By partition number.
    pub partitions: BTreeMap<i32, Arc<PartitionImage>>,
    /// Settings given for the topic.
    pub config: BTreeMap<String, String>,
}

/// Settings by name.
type Config = BTreeMap<String, String>;

/// The metadata at one point of its log. Cheap to clone; a change makes a new one and shares what stays.
///
/// - `names` has each topic of `topics` once, by its id.
/// - No topic or node has an empty entry: what has no settings has none.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Image {
    features: Arc<BTreeMap<String, i16>>,
    brokers: Arc<BTreeMap<BrokerId, Arc<BrokerRegistration>>>,
    topics: Arc<BTreeMap<TopicName, Arc<TopicImage>>>,
    names: Arc<BTreeMap<Uuid, TopicName>>,
    /// By node id as text; empty for all.
    broker_configs: Arc<BTreeMap<String, Arc<Config>>>,
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
        let topic = self.topic(partition.topic.as_str())?;
        topic.partitions.get(&partition.partition).map(Arc::as_ref)
    }

    /// The brokers that are registered, fenced ones too.
    pub fn brokers(&self) -> impl Iterator<Item = &Arc<BrokerRegistration>> {
        self.brokers.values()
    }

    pub fn broker(&self, id: BrokerId) -> Option<&Arc<BrokerRegistration>> {
        self.brokers.get(&id)
    }

    /// Settings that were given to a node while it ran; with an empty name those of all.
    pub fn broker_config(&self, node: &str) -> Option<&BTreeMap<String, String>> {
        self.broker_configs.get(node).map(Arc::as_ref)
    }

    pub fn config(&self, resource: &ConfigResource) -> Option<&BTreeMap<String, String>> {
        match resource {
            ConfigResource::Topic(name) => self.topic(name.as_str()).map(|topic| &topic.config),
            ConfigResource::Broker(node) => self.broker_config(node),
        }
    }

    /// The levels of features that are on.
    pub fn features(&self) -> &BTreeMap<String, i16> {
        &self.features
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

    /// Replays one record. What it names and the image does not know, or knows in another incarnation, is a
    /// fault of the log and changes nothing; Kafka's image ends its process then.
    pub fn apply(&mut self, record: MetadataRecord) {
        match record {
            MetadataRecord::RegisterBroker(broker) => {
                Arc::make_mut(&mut self.brokers).insert(broker.id, Arc::new(broker));
            }
            MetadataRecord::UnregisterBroker { id, epoch } => {
                if self.broker(id).is_some_and(|broker| broker.epoch == epoch) {
                    Arc::make_mut(&mut self.brokers).remove(&id);
                }
            }
            MetadataRecord::RegistrationChange { id, epoch, change } => {
                self.change_registration(id, epoch, &change);
            }
            MetadataRecord::FenceBroker { id, epoch } => self.fence(id, epoch, true),
            MetadataRecord::UnfenceBroker { id, epoch } => self.fence(id, epoch, false),
            MetadataRecord::Topic { name, id } => self.add_topic(name, id),
            MetadataRecord::Partition { topic_id, partition, image } => {
                if let Some(topic) = self.topic_mut(topic_id) {
                    topic.partitions.insert(partition, Arc::new(image));
                }
            }
            MetadataRecord::PartitionChange { topic_id, partition, change } => {
                self.change_partition(topic_id, partition, &change);
            }
            MetadataRecord::RemoveTopic { id } => {
                if let Some(name) = Arc::make_mut(&mut self.names).remove(&id) {
                    Arc::make_mut(&mut self.topics).remove(&name);
                }
            }
            MetadataRecord::Config { resource, name, value } => {
                self.configure(resource, name, value);
            }
            MetadataRecord::ProducerIds { next, .. } => self.next_producer_id = next,
            MetadataRecord::FeatureLevel { name, level: 0 } => {
                Arc::make_mut(&mut self.features).remove(&name);
            }
            MetadataRecord::FeatureLevel { name, level } => {
                Arc::make_mut(&mut self.features).insert(name, level);
            }
            MetadataRecord::NoOp => {}
        }
    }

    fn change_registration(
        &mut self,
        id: BrokerId,
        epoch: BrokerEpoch,
        change: &RegistrationChange,
    ) {
        if self.broker(id).is_none_or(|broker| broker.epoch != epoch) {
            return;
        }
        let broker = Arc::make_mut(&mut self.brokers).get_mut(&id).expect("seen above");
        let broker = Arc::make_mut(broker);
        broker.fenced = change.fenced.unwrap_or(broker.fenced);
        broker.in_controlled_shutdown |= change.enters_controlled_shutdown;
        if !change.directories.is_empty() {
            broker.directories.clone_from(&change.directories);
        }
    }

    fn fence(&mut self, id: BrokerId, epoch: BrokerEpoch, fenced: bool) {
        let change = RegistrationChange { fenced: Some(fenced), ..Default::default() };
        self.change_registration(id, epoch, &change);
    }

    fn add_topic(&mut self, name: TopicName, id: Uuid) {
        Arc::make_mut(&mut self.names).insert(id, name.clone());
        let (partitions, config) = (BTreeMap::new(), BTreeMap::new());
        let topic = TopicImage { name: name.clone(), id, partitions, config };
        Arc::make_mut(&mut self.topics).insert(name, Arc::new(topic));
    }

    fn topic_mut(&mut self, id: Uuid) -> Option<&mut TopicImage> {
        let name = self.names.get(&id)?;
        Arc::make_mut(&mut self.topics).get_mut(name).map(Arc::make_mut)
    }

    fn change_partition(&mut self, topic: Uuid, partition: i32, change: &PartitionChange) {
        let partitions = self.topic_mut(topic).map(|topic| &mut topic.partitions);
        if let Some(image) = partitions.and_then(|partitions| partitions.get_mut(&partition)) {
            Arc::make_mut(image).change(change);
        }
    }

    fn configure(&mut self, resource: ConfigResource, name: String, value: Option<String>) {
        let set = |config: &mut Config| match value {
            Some(value) => config.insert(name, value),
            None => config.remove(&name),
        };
        match resource {
            ConfigResource::Topic(topic) => {
                let topics = Arc::make_mut(&mut self.topics);
                if let Some(topic) = topics.get_mut(&topic) {
                    set(&mut Arc::make_mut(topic).config);
                }
            }
            ConfigResource::Broker(node) => {
                let configs = Arc::make_mut(&mut self.broker_configs);
                let config = configs.entry(node.clone()).or_default();
                set(Arc::make_mut(config));
                if config.is_empty() {
                    configs.remove(&node);
                }
            }
        }
    }

    /// Records that add up to this image, in the order of `MetadataImage.write`: a snapshot.
    ///
    /// Topics come by name, brokers by id; Kafka writes them in no order.
    pub fn records(&self) -> Vec<MetadataRecord> {
        let level = |(name, level): (&String, &i16)| MetadataRecord::FeatureLevel {
            name: name.clone(),
            level: *level,
        };
        let (first, others): (Vec<_>, Vec<_>) =
            self.features.iter().partition(|(name, _)| *name == METADATA_VERSION);
        let mut records: Vec<_> = first.into_iter().chain(others).map(level).collect();
        let register = |broker: &Arc<BrokerRegistration>| {
            MetadataRecord::RegisterBroker(BrokerRegistration::clone(broker))
        };
        records.extend(self.brokers().map(register));
        for topic in self.topics() {
            let (name, topic_id) = (topic.name.clone(), topic.id);
            records.push(MetadataRecord::Topic { name, id: topic_id });
            records.extend(topic.partitions.iter().map(|(partition, image)| {
                let (partition, image) = (*partition, PartitionImage::clone(image));
                MetadataRecord::Partition { topic_id, partition, image }
            }));
        }
        let nodes = self.broker_configs.iter();
        let nodes =
            nodes.map(|(node, config)| (ConfigResource::Broker(node.clone()), config.as_ref()));
        let topics = self.topics();
        let topics = topics.map(|topic| (ConfigResource::Topic(topic.name.clone()), &topic.config));
        for (resource, config) in nodes.chain(topics) {
            records.extend(config.iter().map(|(name, value)| MetadataRecord::Config {
                resource: resource.clone(),
                name: name.clone(),
                value: Some(value.clone()),
            }));
        }
        if self.next_producer_id > ProducerId(0) {
            let (broker, epoch) = (BrokerId::NONE, BrokerEpoch::NONE);
            let next = self.next_producer_id;
            records.push(MetadataRecord::ProducerIds { broker, epoch, next });
        }
        records
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::Image;
    use crate::kafka::{
        metadata::{ConfigResource, MetadataRecord, PartitionImage},
        types::{BrokerId, TopicPartition},
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
            image: PartitionImage::new(vec![BrokerId(2)]),
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
        let resource = ConfigResource::Topic("orders".into());
        image.apply(MetadataRecord::Config { resource, name, value });
        let partition = |topic_id| MetadataRecord::Partition {
            topic_id,
            partition: 3,
            image: PartitionImage::new(vec![BrokerId(2)]),
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
