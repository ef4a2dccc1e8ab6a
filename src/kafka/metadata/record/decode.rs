//! Bytes to records, in every version that Kafka reads.

use uuid::Uuid;

use super::{
    super::{
        BrokerEndpoint, BrokerFeature, BrokerRegistration, LeaderRecoveryState, PartitionChange,
        PartitionImage,
    },
    ConfigResource, FRAME_VERSION, MetadataRecord, RecordError, RegistrationChange, kind, resource,
    wire::{
        skip_tags, take_array, take_bool, take_brokers, take_i8, take_i16, take_i32, take_i64,
        take_id, take_ids, take_nullable_array, take_nullable_text, take_tags, take_text,
        take_varint,
    },
};
use crate::kafka::types::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch, ProducerId};

/// `LeaderRecoveryState.NO_CHANGE`, and the leader that stands for no change.
const NO_RECOVERY_CHANGE: i8 = -1;
const NO_LEADER_CHANGE: i32 = -2;

impl MetadataRecord {
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let input = &mut { bytes };
        let frame = take_varint(input)?;
        if frame != FRAME_VERSION {
            return Err(RecordError::FrameVersion(frame));
        }
        let (kind, version) = (take_varint(input)?, take_varint(input)?);
        let record = match (kind, version) {
            (kind::REGISTER_BROKER, 0..=3) => take_broker(input, version)?,
            (kind::REGISTRATION_CHANGE, 0..=2) => take_registration_change(input)?,
            (kind::PARTITION, 0..=2) => take_partition(input, version)?,
            (kind::PARTITION_CHANGE, 0..=2) => take_partition_change(input)?,
            (kind, 0) => {
                let record = take_simple(input, kind)?;
                skip_tags(input)?;
                record
            }
            (kind, version) => return Err(RecordError::Unknown { kind, version }),
        };
        if input.is_empty() { Ok(record) } else { Err(RecordError::Stray(input.len())) }
    }
}

/// Those that have one version and no tagged field.
fn take_simple(input: &mut &[u8], kind: u32) -> Result<MetadataRecord, RecordError> {
    Ok(match kind {
        kind::UNREGISTER_BROKER => {
            let (id, epoch) = take_incarnation(input)?;
            MetadataRecord::UnregisterBroker { id, epoch }
        }
        kind::FENCE_BROKER => {
            let (id, epoch) = take_incarnation(input)?;
            MetadataRecord::FenceBroker { id, epoch }
        }
        kind::UNFENCE_BROKER => {
            let (id, epoch) = take_incarnation(input)?;
            MetadataRecord::UnfenceBroker { id, epoch }
        }
        kind::TOPIC => {
            MetadataRecord::Topic { name: take_text(input)?.into(), id: take_id(input)? }
        }
        kind::REMOVE_TOPIC => MetadataRecord::RemoveTopic { id: take_id(input)? },
        kind::CONFIG => {
            let resource = take_resource(input)?;
            let name = take_text(input)?;
            MetadataRecord::Config { resource, name, value: take_nullable_text(input)? }
        }
        kind::PRODUCER_IDS => {
            let (broker, epoch) = take_incarnation(input)?;
            MetadataRecord::ProducerIds { broker, epoch, next: ProducerId(take_i64(input)?) }
        }
        kind::FEATURE_LEVEL => {
            MetadataRecord::FeatureLevel { name: take_text(input)?, level: take_i16(input)? }
        }
        kind::NO_OP => MetadataRecord::NoOp,
        kind => return Err(RecordError::Unknown { kind, version: 0 }),
    })
}

fn take_incarnation(input: &mut &[u8]) -> Result<(BrokerId, BrokerEpoch), RecordError> {
    Ok((BrokerId(take_i32(input)?), BrokerEpoch(take_i64(input)?)))
}

fn take_resource(input: &mut &[u8]) -> Result<ConfigResource, RecordError> {
    let (code, name) = (take_i8(input)?, take_text(input)?);
    match code {
        resource::TOPIC => Ok(ConfigResource::Topic(name.into())),
        resource::BROKER => Ok(ConfigResource::Broker(name)),
        value => Err(RecordError::Value { field: "the type of a resource", value }),
    }
}

fn take_broker(input: &mut &[u8], version: u32) -> Result<MetadataRecord, RecordError> {
    let id = BrokerId(take_i32(input)?);
    if version >= 2 {
        let _migrating = take_bool(input)?;
    }
    let incarnation = take_id(input)?;
    let epoch = BrokerEpoch(take_i64(input)?);
    let endpoints = take_array(input, 7, |input| {
        let (name, host) = (take_text(input)?, take_text(input)?);
        let port = take_i16(input)?.cast_unsigned();
        let security_protocol = take_i16(input)?;
        skip_tags(input)?;
        Ok(BrokerEndpoint { name, host, port, security_protocol })
    })?;
    let features = take_array(input, 6, |input| {
        let (name, min, max) = (take_text(input)?, take_i16(input)?, take_i16(input)?);
        skip_tags(input)?;
        Ok(BrokerFeature { name, min, max })
    })?;
    let rack = take_nullable_text(input)?;
    let fenced = take_bool(input)?;
    let in_controlled_shutdown = version >= 1 && take_bool(input)?;
    let mut directories = Vec::new();
    take_tags(input, |tag, value| {
        if tag == 0 {
            directories = take_ids(value)?;
        }
        Ok(())
    })?;
    Ok(MetadataRecord::RegisterBroker(BrokerRegistration {
        id,
        epoch,
        incarnation,
        endpoints,
        features,
        rack,
        fenced,
        in_controlled_shutdown,
        directories,
    }))
}

fn take_registration_change(input: &mut &[u8]) -> Result<MetadataRecord, RecordError> {
    let (id, epoch) = take_incarnation(input)?;
    let mut change = RegistrationChange::default();
    take_tags(input, |tag, value| {
        match tag {
            0 => {
                change.fenced = match take_i8(value)? {
                    -1 => Some(false),
                    0 => None,
                    1 => Some(true),
                    value => return Err(RecordError::Value { field: "fencing", value }),
                };
            }
            1 => {
                change.enters_controlled_shutdown = match take_i8(value)? {
                    0 => false,
                    1 => true,
                    value => return Err(RecordError::Value { field: "a shutdown", value }),
                };
            }
            2 => change.directories = take_ids(value)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(MetadataRecord::RegistrationChange { id, epoch, change })
}

fn take_recovery(input: &mut &[u8]) -> Result<LeaderRecoveryState, RecordError> {
    let value = take_i8(input)?;
    LeaderRecoveryState::from_code(value)
        .ok_or(RecordError::Value { field: "a recovery state", value })
}

fn take_optional_brokers(input: &mut &[u8]) -> Result<Option<Vec<BrokerId>>, RecordError> {
    take_nullable_array(input, 4, |input| take_i32(input).map(BrokerId))
}

fn take_partition_id(input: &mut &[u8]) -> Result<(i32, Uuid), RecordError> {
    Ok((take_i32(input)?, take_id(input)?))
}

fn take_partition(input: &mut &[u8], version: u32) -> Result<MetadataRecord, RecordError> {
    let (partition, topic_id) = take_partition_id(input)?;
    let mut image = PartitionImage {
        replicas: take_brokers(input)?,
        isr: take_brokers(input)?,
        removing: take_brokers(input)?,
        adding: take_brokers(input)?,
        leader: BrokerId(take_i32(input)?),
        leader_epoch: LeaderEpoch(take_i32(input)?),
        partition_epoch: PartitionEpoch(take_i32(input)?),
        directories: if version > 0 { take_ids(input)? } else { Vec::new() },
        recovery: LeaderRecoveryState::Recovered,
        eligible: Vec::new(),
        last_known_eligible: Vec::new(),
    };
    take_tags(input, |tag, value| {
        match tag {
            0 => image.recovery = take_recovery(value)?,
            1 => image.eligible = take_optional_brokers(value)?.unwrap_or_default(),
            2 => image.last_known_eligible = take_optional_brokers(value)?.unwrap_or_default(),
            _ => {}
        }
        Ok(())
    })?;
    Ok(MetadataRecord::Partition { topic_id, partition, image })
}

fn take_partition_change(input: &mut &[u8]) -> Result<MetadataRecord, RecordError> {
    let (partition, topic_id) = take_partition_id(input)?;
    let mut change = PartitionChange::default();
    take_tags(input, |tag, value| {
        match tag {
            0 => change.isr = take_optional_brokers(value)?,
            1 => {
                let leader = take_i32(value)?;
                change.leader = (leader != NO_LEADER_CHANGE).then_some(BrokerId(leader));
            }
            2 => change.replicas = take_optional_brokers(value)?,
            3 => change.removing = take_optional_brokers(value)?,
            4 => change.adding = take_optional_brokers(value)?,
            5 if value.first() == Some(&NO_RECOVERY_CHANGE.cast_unsigned()) => {}
            5 => change.recovery = Some(take_recovery(value)?),
            6 => change.eligible = take_optional_brokers(value)?,
            7 => change.last_known_eligible = take_optional_brokers(value)?,
            8 => change.directories = take_nullable_array(value, 16, take_id)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(MetadataRecord::PartitionChange { topic_id, partition, change })
}
