//! Guarantees about replicas, and the invariants that hold in every trial whatever it expects.

use std::{collections::HashMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    index::Index,
    replicas::{Breach, Invariant, Partition, lost_by_election},
    survival::instead,
    verdict::{Breaches, Evidence, Verdict, Violation, at},
};
use crate::{
    kafka::types::{Offset, TopicPartition},
    testbed::{
        history::{Event, EventId, EventKind, Outcome, RecordId},
        plan::Cause,
    },
};

/// What `of` says where a guarantee is about everything.
const CLUSTER: &str = "cluster";

/// An invariant that broke though no setting, no fault and no historical behaviour permits it: a bug of what is
/// tested, or of the testbed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Broken {
    pub invariant: Invariant,
    pub what: Arc<str>,
    /// The chain that shows it, oldest first.
    pub why: Vec<Evidence>,
    /// How many more broke.
    pub more: u64,
}

/// The first invariant that broke without excuse. With a historical behaviour switched on they may break: then
/// the guarantees tell.
pub(super) fn broken(index: &Index<'_>) -> Option<Broken> {
    if !index.history.setup.behaviours.is_empty() {
        return None;
    }
    let mut unexcused = index.scene.breaches().iter().filter(|breach| !breach.excused);
    let Breach { invariant, violation, .. } = unexcused.next()?;
    Some(Broken {
        invariant: *invariant,
        what: Arc::clone(&violation.what),
        why: violation.why.clone(),
        more: unexcused.count() as u64,
    })
}

fn is_of(partition: &TopicPartition, of: &str) -> bool {
    of == CLUSTER || Index::is_of(partition, of)
}

/// The verdict on some invariants of some partitions.
fn invariants(
    index: &Index<'_>,
    wanted: &[Invariant],
    concerns: impl Fn(&TopicPartition) -> bool,
    nothing: &str,
) -> Verdict {
    let scene = &index.scene;
    let breaches = scene.breaches().iter();
    let violations: Vec<Violation> = breaches
        .filter(|breach| wanted.contains(&breach.invariant) && concerns(&breach.partition))
        .map(|breach| breach.violation.clone())
        .collect();
    let of_partition =
        |partition: &Partition<'_>| wanted.iter().map(|one| partition.examined(*one)).sum::<u64>();
    let examined = scene.partitions().filter(|p| concerns(p.id)).map(of_partition).sum();
    Verdict::of(index, examined, violations, nothing)
}

/// Replicas show the same below their high watermarks, one leads in each epoch, and in the end logs are equal.
pub(super) fn replicas_agree(index: &Index<'_>, of: &str) -> Verdict {
    let concerns = |partition: &TopicPartition| is_of(partition, of);
    let nothing = "no follower showed a record as committed";
    let wanted = [Invariant::ReplicasAgree, Invariant::OneLeaderPerEpoch];
    let during = invariants(index, &wanted, concerns, nothing);
    if let Some(reason) = index.no_end() {
        return during.and(Verdict::Unknown { reason });
    }
    // Two leaders that never were are no reason to call it green.
    let during = match invariants(index, &wanted[..1], concerns, nothing) {
        compared @ Verdict::Unknown { .. } => compared.and(during),
        _ => during,
    };
    during.and(heals(index, of))
}

/// The metadata log's committed records stay, and nobody shows others.
pub(super) fn quorum_agrees(index: &Index<'_>) -> Verdict {
    let wanted = [
        Invariant::OneLeaderPerEpoch,
        Invariant::CommittedStays,
        Invariant::ReplicasAgree,
        Invariant::HighWatermarkWithinIsr,
        Invariant::HighWatermarkRises,
    ];
    let metadata =
        |partition: &TopicPartition| partition.topic.as_str() == super::replicas::METADATA;
    invariants(index, &wanted, metadata, "no controller led")
}

pub(super) fn heals(index: &Index<'_>, of: &str) -> Verdict {
    if let Some(reason) = index.no_end() {
        return Verdict::Unknown { reason };
    }
    let nothing = "no partition has replicas";
    invariants(index, &[Invariant::Heals], |partition| is_of(partition, of), nothing)
}

/// What the group's polls returned is in the log in the end, unless deleted, and each offset showed one record.
pub(super) fn committed_reads_stable(index: &Index<'_>, group: &str) -> Verdict {
    if let Some(reason) = index.no_end() {
        return Verdict::Unknown { reason };
    }
    let mut examined = 0;
    let mut breaches = Breaches::new();
    let mut read: HashMap<(&TopicPartition, Offset), (&RecordId, EventId)> = HashMap::new();
    for (event, delivery, id) in index.delivered_to(group) {
        let (partition, offset) = (&delivery.partition, delivery.offset);
        let Some(log) = index.logs.get(partition).filter(|log| offset >= log.start) else {
            continue;
        };
        examined += 1;
        let (first, since) = *read.entry((partition, offset)).or_insert((id, event.id));
        let there = log.at(offset).and_then(|record| record.id.as_ref());
        let (now, shown) = match (first != id, there == Some(id)) {
            (true, _) => (Some(id), event.id),
            (false, false) if since == event.id => (there, log.event),
            _ => continue,
        };
        let lost = Vanished { record: first, partition, offset, since, now, shown };
        let (cause, why) = why_vanished(index, partition, offset, since);
        let key = (partition, cause);
        breaches.add(key, at(partition, offset), || lost.violation(event, cause, why));
    }
    Verdict::of(index, examined, breaches.into_violations(), "no record was delivered")
}

/// A replica showed what was not committed, or it was and a leader was elected without it.
fn why_vanished(
    index: &Index<'_>,
    partition: &TopicPartition,
    offset: Offset,
    since: EventId,
) -> (Cause, Vec<Evidence>) {
    let shown = index.scene.breaches().iter().find(|Breach { invariant, violation, .. }| {
        let records = &violation.records;
        *invariant == Invariant::ReplicasAgree
            && violation.cause == Cause::ShownBeforeTruncation
            && records.contains(&at(partition, offset))
            && violation.why.iter().any(|evidence| evidence.event <= since)
    });
    if let Some(Breach { violation, .. }) = shown {
        return (violation.cause, violation.why.clone());
    }
    let scene = index.scene.partition(partition);
    let story = scene.and_then(|scene| lost_by_election(scene, offset, since));
    story.map_or((Cause::Unexplained, Vec::new()), |story| (story.cause, story.why))
}

/// A record that was read, and what is in its place.
struct Vanished<'a> {
    record: &'a RecordId,
    partition: &'a TopicPartition,
    offset: Offset,
    since: EventId,
    now: Option<&'a RecordId>,
    shown: EventId,
}

impl Vanished<'_> {
    fn violation(&self, event: &Event, cause: Cause, mut why: Vec<Evidence>) -> Violation {
        let Vanished { record, partition, offset, since, now, shown } = self;
        let now = instead(partition, *offset, *now);
        why.push(Evidence::new(
            *since,
            format!("{} read {record} at {partition}@{offset}", event.node),
        ));
        why.push(Evidence::new(*shown, now.clone()));
        why.sort_by_key(|evidence| evidence.event);
        Violation {
            anomaly: "inconsistent-offsets".into(),
            what: format!("{record} was read at {partition}@{offset}; {now}").into(),
            records: vec![at(partition, *offset)],
            cause,
            why,
        }
    }
}

/// Every send of the producer that ended was acknowledged.
pub(super) fn writes_accepted(index: &Index<'_>, producer: &str) -> Verdict {
    let mut examined = 0;
    let mut violations: Vec<Violation> = Vec::new();
    // By what the answers said last; the first of a kind tells its chain.
    let mut told: HashMap<Cause, (usize, u64)> = HashMap::new();
    for event in &index.history.events {
        let EventKind::SendEnded { record, outcome, .. } = &event.kind else { continue };
        if &*record.producer != producer {
            continue;
        }
        examined += 1;
        let (Outcome::Failed { error } | Outcome::Unknown { error }) = outcome else { continue };
        let retry = index.last_retry(record, event.id);
        let refused = retry.map_or(&**error, |(_, error)| error);
        let cause = refusal(refused).or(refusal(error)).unwrap_or(Cause::Unexplained);
        if let Some((_, more)) = told.get_mut(&cause) {
            *more += 1;
            continue;
        }
        told.insert(cause, (violations.len(), 0));
        let mut why = Vec::new();
        why.extend(
            index.sent(record).map(|sent| Evidence::new(sent, format!("{record} was sent"))),
        );
        if let Some((retry, error)) = retry {
            why.push(Evidence::new(retry, format!("it was sent again after {error}")));
        }
        why.push(Evidence::new(event.id, format!("{producer} gave up with {error}")));
        let what = format!("{record} was not acknowledged: {error}").into();
        let anomaly = "refused-write".into();
        violations.push(Violation { anomaly, what, records: Vec::new(), cause, why });
    }
    for (at, more) in told.into_values().filter(|(_, more)| *more > 0) {
        let what = format!("{}, and {more} more like it", violations[at].what);
        violations[at].what = what.into();
    }
    Verdict::of(index, examined, violations, "nothing was sent")
}

/// What a producer was told, as a cause.
fn refusal(error: &str) -> Option<Cause> {
    match error {
        "NotEnoughReplicasException" | "NotEnoughReplicasAfterAppendException" => {
            Some(Cause::NotEnoughReplicas)
        }
        "NotLeaderOrFollowerException"
        | "LeaderNotAvailableException"
        | "NetworkException"
        | "DisconnectException"
        | "TimeoutException" => Some(Cause::NoLeader),
        _ => None,
    }
}
