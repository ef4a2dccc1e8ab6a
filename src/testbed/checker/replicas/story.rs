//! How a record that was acknowledged was lost although its partition has other replicas: who had it, who was
//! elected without it, and what took its place.

use super::{
    blame::Loss,
    partition::{Partition, Takeover},
};
use crate::{
    kafka::types::Offset,
    testbed::{
        checker::Evidence,
        history::{ElectionKind, EventId},
        plan::Cause,
    },
};

/// The election after which the record was gone, and the tale of it from the acknowledgement on.
pub(in crate::testbed::checker) struct LostByElection {
    pub cause: Cause,
    /// Records lost by the same election share a tale.
    pub election: EventId,
    pub why: Vec<Evidence>,
}

/// `None` if no leader began without the record; `acked` is when its producer heard of it.
pub(in crate::testbed::checker) fn lost_by_election(
    partition: &Partition<'_>,
    offset: Offset,
    acked: EventId,
) -> Option<LostByElection> {
    let appended = partition.lost_append(offset, acked)?;
    let takeover = partition
        .takeovers
        .iter()
        .find(|takeover| takeover.event > appended && takeover.start <= offset)?;
    let mut why = Vec::new();
    tell_ends(partition, takeover, &mut why);
    if let (Some(stop), Some(previous)) = (takeover.stop, takeover.previous) {
        why.push(Evidence::new(stop, format!("{previous} stopped")));
    }
    let lost_by = takeover.loss.filter(|loss| loss.event > appended);
    if let Some(Loss { event, cause }) = lost_by {
        let what = match cause {
            Cause::WipedDisk => "'s disk was wiped",
            Cause::LyingDisk => "'s disk began to say it had synced when it had not",
            _ => " lost power, and records with it",
        };
        why.push(Evidence::new(event, format!("{}{what}", takeover.leader)));
    }
    let unclean = takeover.how == Some(ElectionKind::Unclean);
    let how = if unclean { " uncleanly" } else { "" };
    let Takeover { leader, epoch, start, .. } = takeover;
    let says = format!("{leader} is elected{how}: epoch {epoch} starts at {start}");
    why.push(Evidence::new(takeover.event, says));
    if let Some(event) = partition.appended_after(offset, takeover.event) {
        why.push(Evidence::new(event, format!("offset {offset} is taken by another record")));
    }
    let from = [Some(*leader), takeover.previous];
    for cut in &partition.cuts {
        let concerns = cut.event > appended && cut.to <= offset && offset < cut.from;
        if concerns && from.contains(&Some(cut.node)) {
            let says = format!("{} truncates {} to {}", cut.node, cut.from, cut.to);
            why.push(Evidence::new(cut.event, says));
        }
    }
    let cause = match lost_by {
        Some(loss) => loss.cause,
        None if unclean => Cause::UncleanElection,
        None => Cause::TruncatedAfterElection,
    };
    Some(LostByElection { cause, election: takeover.event, why })
}

/// `b2, b3 had fetched up to 10`
fn tell_ends(partition: &Partition<'_>, takeover: &Takeover<'_>, why: &mut Vec<Evidence>) {
    let mut ends = takeover.fetched.clone();
    let own = partition.replicas.get(&**takeover.leader);
    let upto = own.and_then(|replica| {
        let before = takeover.start + -1;
        replica.log.at(before).map(|placed| placed.event).filter(|event| *event < takeover.event)
    });
    ends.push((takeover.leader, takeover.start, upto));
    ends.sort_by_key(|(node, ..)| *node);
    let mut told: Vec<(Offset, Vec<&str>, EventId)> = Vec::new();
    for (node, end, event) in ends {
        let Some(event) = event else { continue };
        match told.iter_mut().find(|(other, ..)| *other == end) {
            Some((_, nodes, last)) => {
                nodes.push(node);
                *last = (*last).max(event);
            }
            None => told.push((end, vec![node], event)),
        }
    }
    for (end, nodes, event) in told {
        let says = format!("{} had fetched up to {}", nodes.join(", "), end + -1);
        why.push(Evidence::new(event, says));
    }
}
