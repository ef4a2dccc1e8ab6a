//! Records to bytes.

use bytes::{BufMut, Bytes, BytesMut};
use uuid::Uuid;

use super::{
    super::{BrokerRegistration, LeaderRecoveryState, PartitionChange, PartitionImage},
    FRAME_VERSION, MetadataRecord, RegistrationChange, kind,
    wire::{Tags, put_array, put_brokers, put_ids, put_nullable_text, put_text, put_varint},
};
use crate::kafka::types::{BrokerEpoch, BrokerId};

impl MetadataRecord {
    pub fn encode(&self) -> Bytes {
        let (kind, version) = self.kind_and_version();
        let mut out = BytesMut::with_capacity(64);
        put_varint(&mut out, FRAME_VERSION);
        put_varint(&mut out, kind);
        put_varint(&mut out, version);
        self.fields(&mut out).write(&mut out);
        out.freeze()
    }

    /// The versions of Kafka 4.0's metadata version, and of its controller where it picks an older one.
    fn kind_and_version(&self) -> (u32, u32) {
        match self {
            MetadataRecord::RegisterBroker(_) => (kind::REGISTER_BROKER, 3),
            MetadataRecord::UnregisterBroker { .. } => (kind::UNREGISTER_BROKER, 0),
            MetadataRecord::RegistrationChange { change, .. } => {
                (kind::REGISTRATION_CHANGE, change_version(change))
            }
            MetadataRecord::FenceBroker { .. } => (kind::FENCE_BROKER, 0),
            MetadataRecord::UnfenceBroker { .. } => (kind::UNFENCE_BROKER, 0),
            MetadataRecord::Topic { .. } => (kind::TOPIC, 0),
            // Where nothing is said of directories: as before KIP-858.
            MetadataRecord::Partition { image, .. }
                if image.directories.is_empty()
                    && image.eligible.is_empty()
                    && image.last_known_eligible.is_empty() =>
            {
                (kind::PARTITION, 0)
            }
            MetadataRecord::Partition { .. } => (kind::PARTITION, 2),
            MetadataRecord::PartitionChange { .. } => (kind::PARTITION_CHANGE, 2),
            MetadataRecord::RemoveTopic { .. } => (kind::REMOVE_TOPIC, 0),
            MetadataRecord::Config { .. } => (kind::CONFIG, 0),
            MetadataRecord::ProducerIds { .. } => (kind::PRODUCER_IDS, 0),
            MetadataRecord::FeatureLevel { .. } => (kind::FEATURE_LEVEL, 0),
            MetadataRecord::NoOp => (kind::NO_OP, 0),
        }
    }

    /// Writes all but the tagged fields, which come last.
    fn fields(&self, out: &mut BytesMut) -> Tags {
        match self {
            MetadataRecord::RegisterBroker(broker) => return register(out, broker),
            MetadataRecord::UnregisterBroker { id, epoch }
            | MetadataRecord::FenceBroker { id, epoch }
            | MetadataRecord::UnfenceBroker { id, epoch } => put_incarnation(out, *id, *epoch),
            MetadataRecord::RegistrationChange { id, epoch, change } => {
                put_incarnation(out, *id, *epoch);
                return registration_change(change);
            }
            MetadataRecord::Topic { name, id } => {
                put_text(out, name.as_str());
                out.put_slice(id.as_bytes());
            }
            MetadataRecord::Partition { topic_id, partition, image } => {
                let (_, version) = self.kind_and_version();
                put_partition_id(out, *partition, *topic_id);
                return put_partition(out, image, version);
            }
            MetadataRecord::PartitionChange { topic_id, partition, change } => {
                put_partition_id(out, *partition, *topic_id);
                return partition_change(change);
            }
            MetadataRecord::RemoveTopic { id } => out.put_slice(id.as_bytes()),
            MetadataRecord::Config { resource, name, value } => {
                out.put_i8(resource.code());
                put_text(out, resource.name());
                put_text(out, name);
                put_nullable_text(out, value.as_deref());
            }
            MetadataRecord::ProducerIds { broker, epoch, next } => {
                put_incarnation(out, *broker, *epoch);
                out.put_i64(next.0);
            }
            MetadataRecord::FeatureLevel { name, level } => {
                put_text(out, name);
                out.put_i16(*level);
            }
            MetadataRecord::NoOp => {}
        }
        Tags::default()
    }
}

fn put_incarnation(out: &mut BytesMut, id: BrokerId, epoch: BrokerEpoch) {
    out.put_i32(id.0);
    out.put_i64(epoch.0);
}

fn put_partition_id(out: &mut BytesMut, partition: i32, topic: Uuid) {
    out.put_i32(partition);
    out.put_slice(topic.as_bytes());
}

fn register(out: &mut BytesMut, broker: &BrokerRegistration) -> Tags {
    out.put_i32(broker.id.0);
    // Not a broker of a ZooKeeper cluster that migrates.
    out.put_u8(0);
    out.put_slice(broker.incarnation.as_bytes());
    out.put_i64(broker.epoch.0);
    put_array(out, &broker.endpoints, |out, endpoint| {
        put_text(out, &endpoint.name);
        put_text(out, &endpoint.host);
        out.put_u16(endpoint.port);
        out.put_i16(endpoint.security_protocol);
        out.put_u8(0);
    });
    put_array(out, &broker.features, |out, feature| {
        put_text(out, &feature.name);
        out.put_i16(feature.min);
        out.put_i16(feature.max);
        out.put_u8(0);
    });
    put_nullable_text(out, broker.rack.as_deref());
    out.put_u8(broker.fenced.into());
    out.put_u8(broker.in_controlled_shutdown.into());
    let mut tags = Tags::default();
    if !broker.directories.is_empty() {
        tags.put(0, |out| put_ids(out, &broker.directories));
    }
    tags
}

fn change_version(change: &RegistrationChange) -> u32 {
    if !change.directories.is_empty() { 2 } else { change.enters_controlled_shutdown.into() }
}

fn registration_change(change: &RegistrationChange) -> Tags {
    let mut tags = Tags::default();
    if let Some(fenced) = change.fenced {
        tags.put(0, |out| out.put_i8(if fenced { 1 } else { -1 }));
    }
    if change.enters_controlled_shutdown {
        tags.put(1, |out| out.put_i8(1));
    }
    if !change.directories.is_empty() {
        tags.put(2, |out| put_ids(out, &change.directories));
    }
    tags
}

fn put_partition(out: &mut BytesMut, image: &PartitionImage, version: u32) -> Tags {
    for list in [&image.replicas, &image.isr, &image.removing, &image.adding] {
        put_brokers(out, list);
    }
    out.put_i32(image.leader.0);
    out.put_i32(image.leader_epoch.0);
    out.put_i32(image.partition_epoch.0);
    if version > 0 {
        put_ids(out, &image.directories);
    }
    let mut tags = Tags::default();
    if image.recovery != LeaderRecoveryState::Recovered {
        tags.put(0, |out| out.put_i8(image.recovery.code()));
    }
    let given = |list: &'_ Vec<BrokerId>| !list.is_empty();
    tags.put_brokers(1, given(&image.eligible).then_some(&image.eligible[..]));
    let last_known = &image.last_known_eligible;
    tags.put_brokers(2, given(last_known).then_some(&last_known[..]));
    tags
}

fn partition_change(change: &PartitionChange) -> Tags {
    let mut tags = Tags::default();
    tags.put_brokers(0, change.isr.as_deref());
    if let Some(leader) = change.leader {
        tags.put(1, |out| out.put_i32(leader.0));
    }
    tags.put_brokers(2, change.replicas.as_deref());
    tags.put_brokers(3, change.removing.as_deref());
    tags.put_brokers(4, change.adding.as_deref());
    if let Some(recovery) = change.recovery {
        tags.put(5, |out| out.put_i8(recovery.code()));
    }
    tags.put_brokers(6, change.eligible.as_deref());
    tags.put_brokers(7, change.last_known_eligible.as_deref());
    if let Some(directories) = &change.directories {
        tags.put(8, |out| put_ids(out, directories));
    }
    tags
}
