//! Requests, answers and effects as transcripts show them.

use super::super::{Ballot, Effect, ElectionState, FetchOutcome, Request, Response, Standing};
use crate::kafka::types::Offset;

pub fn request(request: &Request) -> String {
    match request {
        Request::Vote(vote) => {
            let what = if vote.ballot == Ballot::Vote { "vote" } else { "pre-vote" };
            format!("{what}? epoch {} log {}", vote.epoch, vote.last)
        }
        Request::BeginQuorumEpoch(begin) => format!("begin epoch {}", begin.epoch),
        Request::EndQuorumEpoch(end) => {
            let names: Vec<String> =
                end.preferred_candidates.iter().map(|it| it.id.to_string()).collect();
            format!("end epoch {} prefer [{}]", end.epoch, names.join(" "))
        }
        Request::Fetch(fetch) => {
            let known = fetch.high_watermark;
            let from = format!("{}@e{}", fetch.offset, fetch.last_fetched_epoch);
            format!("fetch epoch {} from {from} hw {known}", fetch.epoch)
        }
        Request::FetchSnapshot(fetch) => {
            format!("fetch snapshot {} from byte {}", fetch.snapshot, fetch.position)
        }
    }
}

fn standing(standing: &Standing) -> String {
    let leader = standing.leader.map_or_else(|| "nobody".into(), |id| id.to_string());
    let shown = format!("epoch {} led by {leader}", standing.epoch);
    match standing.error {
        None => shown,
        Some(error) => format!("{error:?}, {shown}"),
    }
}

pub fn response(response: &Response) -> String {
    match response {
        Response::Refused(error) => format!("refused: {error:?}"),
        Response::Vote { standing: it, granted } => {
            format!("{}, {}", if *granted { "granted" } else { "not granted" }, standing(it))
        }
        Response::BeginQuorumEpoch(it) | Response::EndQuorumEpoch(it) => standing(it),
        Response::Fetch(fetch) => {
            let known = fetch.high_watermark.map_or(Offset(-1), |known| known);
            let shown = match &fetch.outcome {
                FetchOutcome::Records(records) => format!("{} records", records.len() / 8),
                FetchOutcome::Diverging(end) => format!("diverging at {end}"),
                FetchOutcome::Snapshot(snapshot) => format!("see snapshot {snapshot}"),
            };
            format!("{shown} hw {known}, {}", standing(&fetch.standing))
        }
        Response::FetchSnapshot(fetch) => match &fetch.part {
            None => standing(&fetch.standing),
            Some(part) => {
                let end = part.position + part.bytes.len() as u64;
                format!(
                    "snapshot {} bytes {}..{end} of {}",
                    part.snapshot, part.position, part.size
                )
            }
        },
    }
}

fn election(state: &ElectionState) -> String {
    let leader = state.leader.map_or_else(String::new, |id| format!(", leader {id}"));
    let voted = state.voted.map_or_else(String::new, |key| format!(", voted for {}", key.id));
    format!("epoch {}{leader}{voted}", state.epoch)
}

/// What arrives is shown where it arrives, so sending is not.
pub fn effect(effect: &Effect) -> Option<String> {
    Some(match effect {
        Effect::Send { .. }
        | Effect::Answer { .. }
        | Effect::AnswerWithRecords { .. }
        | Effect::AnswerWithSnapshot { .. }
        | Effect::SyncLog(_)
        | Effect::LeaderChanged { .. } => return None,
        Effect::Persist(state) => format!("persist {}", election(state)),
        Effect::AppendFetched { records } => format!("append {} records", records.len() / 8),
        Effect::AppendLeaderChange { epoch, granting, .. } => {
            let names: Vec<String> = granting.iter().map(ToString::to_string).collect();
            format!("append LeaderChange of epoch {epoch}, elected by [{}]", names.join(" "))
        }
        Effect::TruncateLog { to } => format!("truncate to {to}"),
        Effect::WriteSnapshot { position, bytes, .. } => {
            format!("write snapshot bytes {position}..{}", position + bytes.len() as u64)
        }
        Effect::InstallSnapshot { snapshot } => format!("install snapshot {snapshot}"),
        Effect::HighWatermarkMoved(to) => format!("high watermark {to}"),
        Effect::BecameLeader { epoch } => format!("controller active in epoch {epoch}"),
        Effect::LostLeadership { epoch } => format!("controller of epoch {epoch} inactive"),
        Effect::Halt(fault) => format!("halt: {fault}"),
    })
}
