//! Expectations held against a history.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    agreement, commits, effects, facts,
    index::Index,
    liveness, order, owners, polls, processing, replication,
    replication::Broken,
    survival,
    verdict::{Verdict, Violation, ranges},
};
use crate::{
    kafka::types::TopicPartition,
    testbed::{
        history::History,
        plan::{Cause, Comparison, Expectation, ExpectedVerdict, Guarantee, Plan, RecordAt},
    },
};

/// One expectation and what the trial showed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Judgement {
    /// Index in the plan's expectations.
    pub expectation: usize,
    /// Exactly as expected: the verdict, the records, the count and the cause. Unknown is never met.
    pub met: bool,
    /// For a guarantee.
    pub verdict: Option<Verdict>,
    /// What was seen, for one line of the report: `violated: orders-0@2, @3, @4`, `10`.
    pub actual: String,
}

/// Judges every expectation of the plan.
pub fn judge(plan: &Plan, history: &History) -> Vec<Judgement> {
    judge_with_invariants(plan, history).0
}

/// Also tells which invariant broke, as in every trial.
pub fn judge_with_invariants(plan: &Plan, history: &History) -> (Vec<Judgement>, Option<Broken>) {
    let index = Index::of(history);
    let judgements = expectations(plan, history, &index);
    (judgements, replication::broken(&index))
}

fn expectations(plan: &Plan, history: &History, index: &Index<'_>) -> Vec<Judgement> {
    let judge_one = |(number, expectation): (usize, &Expectation)| match expectation {
        Expectation::Guarantee { guarantee, of, verdict, records, count, cause, .. } => {
            let seen = check(index, *guarantee, of);
            let met = match (&seen, verdict) {
                (Verdict::Holds { .. }, ExpectedVerdict::Holds) => true,
                (Verdict::Violated { violations }, ExpectedVerdict::Violated) => {
                    concerns(violations, records.as_deref())
                        && count.as_ref().is_none_or(|count| compare(count, concerned(violations)))
                        && cause.is_none_or(|cause| violations.iter().all(|v| v.cause == cause))
                }
                _ => false,
            };
            let actual = describe(&seen);
            Judgement { expectation: number, met, verdict: Some(seen), actual }
        }
        Expectation::Fact { fact, of, name, is, after, .. } => {
            let upto = after.as_deref().map(|step| facts::moment(plan, history, step));
            let seen = match upto {
                Some(None) => Err("the step did not fire".to_owned()),
                upto => facts::measure(index, *fact, of, name.as_deref(), upto.flatten()),
            };
            let met = seen.as_ref().is_ok_and(|seen| compare(is, *seen));
            let actual = seen.map_or_else(|unknown| unknown, |seen| seen.to_string());
            Judgement { expectation: number, met, verdict: None, actual }
        }
    };
    plan.expectations.iter().enumerate().map(judge_one).collect()
}

/// One guarantee of one group, topic, partition or producer.
pub fn check(index: &Index<'_>, guarantee: Guarantee, of: &str) -> Verdict {
    match guarantee {
        Guarantee::ProcessedAtMostOnce => processing::at_most_once(index, of),
        Guarantee::ProcessedAtLeastOnce => processing::at_least_once(index, of),
        Guarantee::ProcessedExactlyOnce => {
            processing::at_least_once(index, of).and(processing::at_most_once(index, of))
        }
        Guarantee::EffectAtMostOnce => effects::at_most_once(index, of),
        Guarantee::EffectAtLeastOnce => effects::at_least_once(index, of),
        Guarantee::EffectExactlyOnce => {
            effects::at_least_once(index, of).and(effects::at_most_once(index, of))
        }
        Guarantee::PartitionOrder => order::per_partition(index, of),
        Guarantee::KeyOrder => order::per_key(index, of),
        Guarantee::TopicOrder => order::per_topic(index, of),
        Guarantee::NoDuplicateAppend => survival::no_duplicate_append(index, of),
        Guarantee::AckedRecordsSurvive => survival::acked_records(index, of),
        Guarantee::NoCommitPassesUnprocessed => commits::none_passes_unprocessed(index, of),
        Guarantee::OffsetsAgree => agreement::offsets_agree(index, of),
        Guarantee::MonotonePolls => polls::rise(index, of),
        Guarantee::OneOwner => owners::one_per_generation(index, of),
        Guarantee::NoSkip => polls::none_skipped(index, of),
        Guarantee::LagDrains => liveness::lag_drains(index, of),
        Guarantee::GroupSettles => liveness::group_settles(index, of),
        Guarantee::ReplicasAgree => replication::replicas_agree(index, of),
        Guarantee::CommittedReadsStable => replication::committed_reads_stable(index, of),
        Guarantee::WritesAccepted => replication::writes_accepted(index, of),
        Guarantee::QuorumAgrees => replication::quorum_agrees(index),
        Guarantee::ClusterHeals => replication::heals(index, of),
    }
}

/// All records of the violations, without repetition.
fn all_records(violations: &[Violation]) -> BTreeSet<&RecordAt> {
    violations.iter().flat_map(|violation| &violation.records).collect()
}

/// Exactly these records are concerned, if any are asked for.
fn concerns(violations: &[Violation], wanted: Option<&[RecordAt]>) -> bool {
    wanted.is_none_or(|wanted| all_records(violations) == wanted.iter().collect())
}

/// How many records the violations concern; where they concern none, how many violations there are.
fn concerned(violations: &[Violation]) -> i64 {
    let records = all_records(violations).len();
    i64::try_from(if records == 0 { violations.len() } else { records }).unwrap_or(i64::MAX)
}

fn compare(wanted: &Comparison, seen: i64) -> bool {
    match wanted {
        Comparison::Equal(value) => seen == *value,
        Comparison::AtLeast(value) => seen >= *value,
        Comparison::AtMost(value) => seen <= *value,
    }
}

/// `holds under broker crashes (12 examined)`, `violated: orders-0@2..4 (committed-before-processing)`, `unknown: ...`.
fn describe(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Holds { examined, under } => format!("holds {under} ({examined} examined)"),
        Verdict::Unknown { reason } => format!("unknown: {reason}"),
        Verdict::Violated { violations } => {
            let causes: BTreeSet<Cause> = violations.iter().map(|v| v.cause).collect();
            let causes: Vec<_> = causes.into_iter().map(cause_name).collect();
            let records = places(violations);
            let what = if records.is_empty() {
                violations.first().map_or(String::new(), |violation| violation.what.to_string())
            } else {
                records
            };
            format!("violated: {what} ({})", causes.join(", "))
        }
    }
}

/// `orders-0@2..4, orders-1@0`.
fn places(violations: &[Violation]) -> String {
    let mut partitions: Vec<(&TopicPartition, Vec<i64>)> = Vec::new();
    for record in all_records(violations) {
        match partitions.last_mut() {
            Some((partition, offsets)) if **partition == record.partition => {
                offsets.push(record.offset.0);
            }
            _ => partitions.push((&record.partition, vec![record.offset.0])),
        }
    }
    let text = |(partition, offsets): (&TopicPartition, Vec<i64>)| {
        format!("{partition}@{}", ranges(offsets))
    };
    partitions.into_iter().map(text).collect::<Vec<_>>().join(", ")
}

/// As scenario files write it.
fn cause_name(cause: Cause) -> String {
    let name = serde_json::to_value(cause).ok();
    name.and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}
