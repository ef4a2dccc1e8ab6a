//! Records and partitions as a person would write them down.

use std::fmt::Write as _;

use crate::kafka::{
    metadata::{
        Image, LeaderRecoveryState, MetadataRecord, PartitionChange, PartitionImage,
        RegistrationChange,
    },
    protocol::ResponseError,
    types::BrokerId,
};

pub fn error_name(code: i16) -> String {
    let Some(error) = ResponseError::try_from_code(code) else { return "ok".into() };
    let mut name = String::new();
    for letter in format!("{error:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(letter.to_uppercase());
    }
    name
}

pub fn ids(ids: &[BrokerId]) -> String {
    let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
    format!("[{}]", ids.join(","))
}

fn state(out: &mut String, name: &str, recovery: LeaderRecoveryState) {
    let state = match recovery {
        LeaderRecoveryState::Recovered => "recovered",
        LeaderRecoveryState::Recovering => "recovering",
    };
    let _ = write!(out, " {name}{state}");
}

/// Without the epochs.
pub fn partition(image: &PartitionImage) -> String {
    let mut out =
        format!("{} leader {} isr {}", ids(&image.replicas), image.leader, ids(&image.isr));
    let lists = [
        ("removing", &image.removing),
        ("adding", &image.adding),
        ("elr", &image.eligible),
        ("last", &image.last_known_eligible),
    ];
    for (name, list) in lists {
        if !list.is_empty() {
            let _ = write!(out, " {name} {}", ids(list));
        }
    }
    if image.recovery == LeaderRecoveryState::Recovering {
        state(&mut out, "", image.recovery);
    }
    out
}

fn change(change: &PartitionChange) -> String {
    let mut out = String::new();
    if let Some(leader) = change.leader {
        let _ = write!(out, " leader {leader}");
    }
    let lists = [
        ("isr", &change.isr),
        ("replicas", &change.replicas),
        ("removing", &change.removing),
        ("adding", &change.adding),
        ("elr", &change.eligible),
        ("last", &change.last_known_eligible),
    ];
    for (name, list) in lists {
        if let Some(list) = list {
            let _ = write!(out, " {name} {}", ids(list));
        }
    }
    if let Some(recovery) = change.recovery {
        state(&mut out, "", recovery);
    }
    if change.directories.is_some() {
        out += " directories";
    }
    out
}

fn registration_change(change: &RegistrationChange) -> String {
    let mut out = String::new();
    match change.fenced {
        Some(true) => out += " fenced",
        Some(false) => out += " unfenced",
        None => {}
    }
    if change.enters_controlled_shutdown {
        out += " shutting down";
    }
    if !change.directories.is_empty() {
        let _ = write!(out, " {} directories left", change.directories.len());
    }
    out
}

/// `image` is from before or after the record.
pub fn record(image: &Image, record: &MetadataRecord) -> String {
    let topic =
        |id| image.topic_by_id(id).map_or_else(|| "?".to_owned(), |topic| topic.name.to_string());
    match record {
        MetadataRecord::RegisterBroker(broker) => {
            let fenced = if broker.fenced { " fenced" } else { "" };
            format!("broker {} epoch {}{fenced}", broker.id, broker.epoch)
        }
        MetadataRecord::UnregisterBroker { id, .. } => format!("broker {id} unregistered"),
        MetadataRecord::RegistrationChange { id, change, .. } => {
            format!("broker {id}{}", registration_change(change))
        }
        MetadataRecord::Topic { name, .. } => format!("topic {name}"),
        MetadataRecord::Partition { topic_id, partition: index, image } => {
            format!("{}-{index} {}", topic(*topic_id), partition(image))
        }
        MetadataRecord::PartitionChange { topic_id, partition: index, change: of } => {
            format!("{}-{index}{}", topic(*topic_id), change(of))
        }
        MetadataRecord::RemoveTopic { id } => format!("topic {} removed", topic(*id)),
        MetadataRecord::Config { resource, name, value } => {
            let value = value.as_deref().unwrap_or("default");
            format!("{} {name}={value}", resource.name())
        }
        MetadataRecord::ProducerIds { next, .. } => format!("producer ids before {next}"),
        other => format!("{other:?}"),
    }
}
