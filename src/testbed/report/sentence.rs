//! Any event in a short sentence, for readers of a trace. The story has words of its own.

use super::words::{self, Naming, Places};
use crate::testbed::history::{ElectionKind, EventKind, NodeName, Outcome};

/// What happened, without who and when.
pub(super) fn sentence(kind: &EventKind) -> String {
    machine(kind)
        .or_else(|| producer(kind))
        .or_else(|| broker(kind))
        .or_else(|| replica(kind))
        .or_else(|| controller(kind))
        .or_else(|| group(kind))
        .or_else(|| consumer(kind))
        .unwrap_or_else(|| end(kind))
}

fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Ok => "ok".to_owned(),
        Outcome::Failed { error } => format!("failed, {error}"),
        Outcome::Unknown { error } => format!("unknown, {error}"),
    }
}

fn machine(kind: &EventKind) -> Option<String> {
    Some(match kind {
        EventKind::Phase { phase } => format!("phase {}", words::name_of(phase).to_lowercase()),
        EventKind::Step { step, .. } => format!("step {} fires", step + 1),
        EventKind::MachineStarted { incarnation } => format!("started, incarnation {incarnation}"),
        EventKind::MachineStopped { loss } => {
            format!("stopped, losing {}", words::name_of(loss).to_lowercase())
        }
        EventKind::MachinePaused => "paused".to_owned(),
        EventKind::MachineResumed => "resumed".to_owned(),
        EventKind::Fault { what, .. } => format!("fault: {what}"),
        EventKind::Healed { what } => format!("healed: {what}"),
        _ => return None,
    })
}

fn producer(kind: &EventKind) -> Option<String> {
    Some(match kind {
        EventKind::Sent { record, topic, key: Some(key) } => {
            format!("sends {record} to {topic}, key {key}")
        }
        EventKind::Sent { record, topic, key: None } => format!("sends {record} to {topic}"),
        EventKind::SendEnded { record, outcome: Outcome::Ok, partition, offset } => match partition
        {
            Some(partition) => format!("{record} acked at {partition}@{offset}"),
            None => format!("{record} acked"),
        },
        EventKind::SendEnded { record, outcome: ended, .. } => {
            format!("{record} {}", outcome(ended))
        }
        EventKind::BatchRetried { partition, base_sequence, attempt, error } => {
            format!("sends batch {base_sequence} to {partition} again ({attempt}) after {error}")
        }
        EventKind::ProducerDone { abandoned } => format!("done, {abandoned} abandoned"),
        _ => return None,
    })
}

fn broker(kind: &EventKind) -> Option<String> {
    Some(match kind {
        EventKind::BrokerStarted => "broker up".to_owned(),
        EventKind::LogRecovered { partition, end, cut_bytes } => {
            format!("recovers {partition} up to {end}, {cut_bytes} bytes cut")
        }
        EventKind::Appended { partition, base_offset, records, base_sequence, .. } => {
            let batch = words::count(*records as usize, "record");
            format!("appends {batch} at {partition}@{base_offset}, sequence {base_sequence}")
        }
        EventKind::Deduplicated { partition, base_offset, base_sequence } => {
            format!("recognises sequence {base_sequence}, appended at {partition}@{base_offset}")
        }
        EventKind::AppendRejected { partition, error } => {
            format!("rejects an append to {partition}: {error}")
        }
        EventKind::Flushed { partition, upto } => format!("flushes {partition} up to {upto}"),
        EventKind::StorageFailed { error } => format!("storage failed: {error}"),
        _ => return None,
    })
}

/// Of one broker's replicas.
fn replica(kind: &EventKind) -> Option<String> {
    Some(match kind {
        EventKind::Leads { partition, epoch, start, .. } => {
            format!("leads {partition} in epoch {epoch} from {start} on")
        }
        EventKind::Follows { partition, leader: Some(leader), epoch, .. } => {
            format!("follows {leader} in {partition}, epoch {epoch}")
        }
        EventKind::Follows { partition, leader: None, epoch, .. } => {
            format!("follows nobody in {partition}, epoch {epoch}")
        }
        EventKind::HighWatermark { partition, offset } => {
            format!("high watermark of {partition} is {offset}")
        }
        EventKind::Replicated { partition, base_offset, records, epoch, .. } => {
            let batch = words::count(*records as usize, "record");
            format!("has {batch} of epoch {epoch} at {partition}@{base_offset}")
        }
        EventKind::Diverged { partition, leader, epoch, end } => {
            format!("{partition} parts from {leader}'s, where epoch {epoch} ends at {end}")
        }
        EventKind::LogTruncated { partition, from, to } => {
            format!("truncates {partition} from {from} to {to}")
        }
        EventKind::LogRestarted { partition, at } => format!("begins {partition} anew at {at}"),
        EventKind::LogStartMoved { partition, offset } => {
            format!("{partition} starts at {offset}")
        }
        EventKind::LogCleaned { partition, upto } => format!("compacts {partition} up to {upto}"),
        EventKind::LogContents { partition, batches } => {
            let end = batches.last().map_or(0, |batch| batch.last.0 + 1);
            format!("{partition} is found on the disk, ending at {end}")
        }
        EventKind::IsrChangeAsked { partition, joining, leaving } => {
            let changes = joining.iter().map(|name| format!("+{name}"));
            let changes = changes.chain(leaving.iter().map(|name| format!("-{name}")));
            format!(
                "asks for another ISR of {partition}: {}",
                changes.collect::<Vec<_>>().join(" ")
            )
        }
        EventKind::IsrChangeRefused { partition } => format!("ISR of {partition} stays as it was"),
        EventKind::IsrConfirmed { partition, isr, partition_epoch } => {
            format!("knows the ISR of {partition}: {} (epoch {partition_epoch})", names(isr))
        }
        EventKind::Voted { epoch, candidate } => format!("votes for {candidate} in epoch {epoch}"),
        EventKind::MetadataApplied { upto } => format!("goes by metadata up to {upto}"),
        _ => return None,
    })
}

fn names(names: &[NodeName]) -> String {
    format!("{{{}}}", names.join(","))
}

/// Of committed metadata.
fn controller(kind: &EventKind) -> Option<String> {
    let who = |leader: &Option<NodeName>| {
        leader.as_ref().map_or("nobody".to_owned(), |name| name.to_string())
    };
    Some(match kind {
        EventKind::PartitionCreated { partition, replicas, leader, .. } => {
            format!("{partition} is created on {}, led by {}", names(replicas), who(leader))
        }
        EventKind::Elected { partition, leader, epoch, how, .. } => {
            let how = match how {
                ElectionKind::Unclean => ", uncleanly",
                ElectionKind::Clean | ElectionKind::Leaderless => "",
            };
            format!("{} is elected for {partition}, epoch {epoch}{how}", who(leader))
        }
        EventKind::IsrShrunk { partition, isr, was, .. } => {
            format!("ISR of {partition} shrinks from {} to {}", names(was), names(isr))
        }
        EventKind::IsrGrown { partition, isr, was, .. } => {
            format!("ISR of {partition} grows from {} to {}", names(was), names(isr))
        }
        EventKind::ReplicasChanged { partition, replicas } => {
            format!("{partition} is assigned to {}", names(replicas))
        }
        EventKind::TopicDeleted { topic } => format!("{topic} is deleted"),
        EventKind::BrokerRegistered { broker, epoch } => {
            format!("{broker} is registered, epoch {epoch}")
        }
        EventKind::BrokerFenced { broker } => format!("{broker} is fenced"),
        EventKind::BrokerUnfenced { broker } => format!("{broker} is unfenced"),
        _ => return None,
    })
}

fn group(kind: &EventKind) -> Option<String> {
    Some(match kind {
        EventKind::MemberJoined { group, member, client } => {
            format!("{client} joins {group} as {member}")
        }
        EventKind::MemberLeft { group, client, reason, .. } => {
            format!("{client} is out of {group}: {reason}")
        }
        EventKind::RebalanceStarted { group, reason } => format!("rebalances {group}: {reason}"),
        EventKind::GroupLoaded { group, generation, members } => {
            let members = words::count(members.len(), "member");
            format!("{group} loaded in generation {generation}, {members}")
        }
        EventKind::Generation { group, generation, owners, .. } => {
            let owners: Vec<String> =
                owners.iter().map(|(partition, owner)| format!("{partition} {owner}")).collect();
            format!("{group} generation {generation}: {}", owners.join(", "))
        }
        EventKind::OffsetsCommitted { group, client, offsets } => {
            format!("{group} commit by {client}: {}", words::reach(offsets, Naming::Full))
        }
        EventKind::CommitRejected { group, client, error } => {
            format!("{group} commit by {client} rejected: {error}")
        }
        _ => return None,
    })
}

fn consumer(kind: &EventKind) -> Option<String> {
    let at = |partition: &_, offset: &_| format!("{partition}@{offset}");
    Some(match kind {
        EventKind::Joined { generation, partitions } => {
            format!("joined generation {generation}, owns {}", words::partitions(partitions))
        }
        EventKind::Revoked { partitions } => format!("gives up {}", words::partitions(partitions)),
        EventKind::Lost { partitions } => format!("lost {}", words::partitions(partitions)),
        EventKind::LeftGroup { reason } => format!("leaves the group: {reason}"),
        EventKind::PositionSet { partition, offset, why } => {
            format!("reads from {} ({why})", at(partition, offset))
        }
        EventKind::Polled { records } if records.is_empty() => "polls nothing".to_owned(),
        EventKind::Polled { records } => {
            let mut places = Places::default();
            for record in records {
                places.add(&record.partition, record.offset);
            }
            format!("polls {}", places.text(Naming::Full))
        }
        EventKind::Processing { partition, offset, .. } => {
            format!("begins {}", at(partition, offset))
        }
        EventKind::Processed { partition, offset, .. } => {
            format!("has processed {}", at(partition, offset))
        }
        EventKind::ProcessingFailed { partition, offset, error } => {
            format!("fails on {}: {error}", at(partition, offset))
        }
        EventKind::Effect { partition, offset, .. } => {
            format!("effect of {}", at(partition, offset))
        }
        EventKind::HandedOff { partition, offset } => {
            format!("hands off {}", at(partition, offset))
        }
        EventKind::CommitInvoked { offsets, .. } => {
            format!("commits {}", words::reach(offsets, Naming::Full))
        }
        EventKind::CommitEnded { outcome: ended, offsets, .. } => {
            format!("commit {}: {}", words::reach(offsets, Naming::Full), outcome(ended))
        }
        EventKind::Error { name, message } => format!("{name}: {message}"),
        EventKind::ConsumerClosed => "closed".to_owned(),
        EventKind::ReadsFrom { partition, broker } => format!("reads {partition} from {broker}"),
        _ => return None,
    })
}

fn end(kind: &EventKind) -> String {
    match kind {
        EventKind::FinalLog { partition, start, end, records } => {
            let held = words::count(records.len(), "record");
            format!("{partition} at the end: {start}..{end}, {held}")
        }
        EventKind::FinalCommitted { group, partition, offset } => match offset {
            Some(offset) => format!("{group} committed {offset} of {partition} at the end"),
            None => format!("{group} committed nothing of {partition}"),
        },
        EventKind::FinalGroup { group, state } => format!("{group} is {state} at the end"),
        EventKind::NoProgress { what } => format!("no progress: {what}"),
        EventKind::Crashed { message } => format!("panicked: {message}"),
        other => words::name_of(other),
    }
}
