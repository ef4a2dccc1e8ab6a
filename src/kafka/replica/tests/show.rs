//! How transcripts name things.

use std::collections::BTreeSet;

use super::{
    memory_log::{Entry, MemoryLog},
    world::letter,
};
use crate::kafka::{
    protocol::ResponseError,
    replica::{AlterPartition, Answer, Effect, FollowerRequest, LogView, Question, ReplicaEvent},
    types::{BrokerEpoch, BrokerId},
};

pub fn effect(node: &str, effect: &Effect, records: &[Entry]) -> String {
    let text = match effect {
        Effect::BecomeLeader { epoch } => format!("leads in epoch {epoch}"),
        Effect::BecomeFollower { leader: Some(leader), epoch } => {
            format!("follows b{leader} in epoch {epoch}")
        }
        Effect::BecomeFollower { leader: None, epoch } => format!("has no leader in epoch {epoch}"),
        Effect::SetHighWatermark(offset) => format!("high watermark {offset}"),
        Effect::LowWatermarkMoved => "low watermark moved".to_owned(),
        Effect::AppendFetched if records.is_empty() => "appends nothing".to_owned(),
        Effect::AppendFetched => format!("appends {}", entries(records.iter().copied())),
        Effect::RaiseLogStart(offset) => format!("log starts at {offset}"),
        Effect::TruncateTo(offset) => format!("truncates to {offset}"),
        Effect::TruncateFullyAndStartAt(offset) => format!("empties its log, starts at {offset}"),
        Effect::AlterPartition(request) => format!("asks for ISR {}", alter(request)),
        Effect::Observe(event) => format!("* {}", observed(event)),
    };
    format!("{node}: {text}")
}

fn observed(event: &ReplicaEvent) -> String {
    match event {
        ReplicaEvent::IsrExpansionProposed { joining } => format!("b{joining} may join the ISR"),
        ReplicaEvent::IsrShrinkProposed { leaving } => {
            format!("{} should leave the ISR", ids(leaving))
        }
        ReplicaEvent::IsrProposalRejected => "the ISR stays".to_owned(),
        ReplicaEvent::IsrCommitted { isr, partition_epoch } => {
            format!("ISR {} as of partition epoch {partition_epoch}", ids(isr))
        }
    }
}

pub fn ids(ids: &BTreeSet<BrokerId>) -> String {
    let ids: Vec<_> = ids.iter().map(|id| format!("b{id}")).collect();
    format!("[{}]", ids.join(" "))
}

fn alter(request: &AlterPartition) -> String {
    let member = |(id, epoch): &(BrokerId, BrokerEpoch)| format!("b{id}@{epoch}");
    let isr: Vec<_> = request.new_isr.iter().map(member).collect();
    let AlterPartition { leader_epoch, partition_epoch, .. } = request;
    format!("[{}] in epoch {leader_epoch}, partition epoch {partition_epoch}", isr.join(" "))
}

pub fn request(request: &FollowerRequest) -> String {
    let question = match &request.question {
        Question::Fetch { offset, last_fetched_epoch: Some(epoch) } => {
            format!("fetch from {offset} after epoch {epoch}")
        }
        Question::Fetch { offset, last_fetched_epoch: None } => format!("fetch from {offset}"),
        Question::EpochEnd(epoch) => format!("where does epoch {epoch} end"),
        Question::LatestOffset => "where does the log end".to_owned(),
        Question::EarliestOffset => "where does the log start".to_owned(),
    };
    match request.current_leader_epoch {
        Some(epoch) => format!("{question} (epoch {epoch})"),
        None => question,
    }
}

pub fn answer(answer: &Result<Answer, ResponseError>, records: &[Entry]) -> String {
    match answer {
        Ok(Answer::Fetched { high_watermark, .. }) => {
            let records = entries(records.iter().copied());
            format!("{records} with high watermark {high_watermark}")
        }
        Ok(Answer::Diverging { epoch, end, .. }) => {
            format!("diverging: epoch {epoch} ends at {end}")
        }
        Ok(Answer::EpochEnd(Some((epoch, end)))) => format!("epoch {epoch} ends at {end}"),
        Ok(Answer::EpochEnd(None)) => "unknown epoch".to_owned(),
        Ok(Answer::Offset(offset)) => format!("at {offset}"),
        Err(error) => error_name(*error),
    }
}

/// `a0 b0 c1`: a record and the epoch that wrote it.
fn entries(entries: impl Iterator<Item = Entry>) -> String {
    let entries: Vec<_> =
        entries.map(|(epoch, record)| format!("{}{epoch}", letter(record))).collect();
    if entries.is_empty() { "nothing".to_owned() } else { entries.join(" ") }
}

/// The records of a log with `|` where the high watermark is.
pub fn log(log: &MemoryLog) -> String {
    let below = log.records().filter(|(offset, _)| *offset < log.high_watermark);
    let above = log.records().filter(|(offset, _)| *offset >= log.high_watermark);
    let side = |entries: Vec<Entry>| {
        let names: Vec<_> =
            entries.iter().map(|(epoch, record)| format!("{}{epoch}", letter(*record))).collect();
        names.join(" ")
    };
    let below = side(below.map(|(_, entry)| entry).collect());
    let above = side(above.map(|(_, entry)| entry).collect());
    let start = log.start_offset();
    format!("{start}: {below} | {above}").trim_end().to_owned()
}

/// `NotLeaderOrFollower` as NOT_LEADER_OR_FOLLOWER.
pub fn error_name(error: ResponseError) -> String {
    let mut name = String::new();
    for (index, letter) in format!("{error:?}").char_indices() {
        if letter.is_uppercase() && index > 0 {
            name.push('_');
        }
        name.extend(letter.to_uppercase());
    }
    name
}
