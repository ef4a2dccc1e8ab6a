//! What is held against the invariants when a role, a high watermark or an ISR changes.

use std::collections::BTreeSet;

use super::{
    blame::Fates,
    committed::Shown,
    fork::Fork,
    invariant::{Invariant, Seen},
    log::Placed,
    partition::{Partition, Word},
};
use crate::{
    kafka::types::Offset,
    testbed::{
        checker::Evidence,
        history::{BatchAt, Event, EventId, NodeName, Setup},
    },
};

impl<'a> Partition<'a> {
    pub(super) fn leads(
        &mut self,
        event: &'a Event,
        epoch: i32,
        start: Offset,
        fates: &Fates<'a>,
    ) -> Vec<Seen> {
        let mut seen = Vec::new();
        let node = &event.node;
        self.take_over(event, epoch, start, fates);
        self.examine(Invariant::OneLeaderPerEpoch);
        let (other, since) = *self.leaders.entry(epoch).or_insert((node, event.id));
        if other != node {
            let what = format!("{other} and {node} both lead {} in epoch {epoch}", self.id);
            let why = vec![
                Evidence::new(since, format!("{other} leads in epoch {epoch}")),
                Evidence::new(event.id, format!("{node} leads in epoch {epoch}")),
            ];
            seen.push(Seen::new(Invariant::OneLeaderPerEpoch, what, why));
        }
        seen.extend(self.leads_by_word(event, epoch));
        let lacks = self.lacks(event, epoch);
        let same_upto =
            lacks.as_ref().and_then(|seen| seen.offsets).map_or(start, |(first, _)| first);
        seen.extend(lacks);
        let replica = self.replica(node);
        replica.leads = Some((epoch, event.id));
        replica.compared = replica.compared.min(same_upto);
        // What it has been before this term is no matter.
        replica.high_watermark = Offset(0);
        seen
    }

    /// An epoch is the controller's to give. The broker that reads it first tells of it.
    fn leads_by_word(&mut self, event: &Event, epoch: i32) -> Option<Seen> {
        let word = self.word.as_ref()?;
        let (word_event, word_epoch) = (word.event, word.epoch);
        let granted = self.granted.get(&epoch).copied();
        self.examine(Invariant::ServesInEpoch);
        let named = match granted {
            Some(Some(leader)) if *leader == event.node => return None,
            Some(Some(leader)) => format!("epoch {epoch} is {leader}'s"),
            Some(None) => format!("epoch {epoch} is nobody's"),
            None => format!("the controller's last epoch is {word_epoch}"),
        };
        let what = format!("{} leads {} in epoch {epoch}, and {named}", event.node, self.id);
        let why = vec![
            Evidence::new(word_event, named),
            Evidence::new(event.id, format!("{} leads in epoch {epoch}", event.node)),
        ];
        Some(Seen::new(Invariant::ServesInEpoch, what, why))
    }

    /// What leaders of earlier epochs have shown as committed, and this one has not. That is forgotten: what
    /// this leader shows takes its place.
    fn lacks(&mut self, event: &'a Event, epoch: i32) -> Option<Seen> {
        self.examine(Invariant::CommittedStays);
        let log = &self.replicas.entry(&event.node).or_default().log;
        let from = self.cleaned.max(log.start());
        let missing = |shown: &&Shown<'_>| {
            shown.epoch < epoch
                && shown.batch.base >= from
                && log.at(shown.batch.base).is_none_or(|placed| placed.batch != shown.batch)
        };
        let first = *self.committed.from(from).iter().find(missing)?;
        let last = self.committed.end() + -1;
        let there = log.at(first.batch.base).map(|placed| placed.event);
        let seen = self.gone(event, &first, last, there);
        self.forget_committed(first.batch.base);
        Some(seen)
    }

    fn gone(&self, event: &Event, first: &Shown<'_>, last: Offset, there: Option<EventId>) -> Seen {
        let (id, offset, node) = (self.id, first.batch.base, &event.node);
        let what = match there {
            Some(_) => format!("{id}@{offset} was committed, and {node} leads with other records"),
            None => format!("{id}@{offset} was committed, and {node} leads without it"),
        };
        let says = format!("{} showed {id}@{offset} as committed, epoch {}", first.by, first.epoch);
        let mut why = vec![Evidence::new(first.event, says)];
        if let Some(there) = there {
            why.push(Evidence::new(there, format!("{node} has another record at {offset}")));
        }
        why.push(Evidence::new(event.id, what.clone()));
        let offsets = Some((offset, last));
        Seen { offsets, ..Seen::new(Invariant::CommittedStays, what, why) }
    }

    pub(super) fn high_watermark(
        &mut self,
        event: &'a Event,
        offset: Offset,
        setup: &Setup,
    ) -> Vec<Seen> {
        let replica = self.replica(&event.node);
        let before = replica.high_watermark;
        replica.high_watermark = offset;
        let from = replica.compared;
        replica.compared = from.max(offset);
        let Some((epoch, since)) = replica.leads else {
            return self.compare(event, from, offset).into_iter().collect();
        };
        let mut seen = Vec::new();
        self.examine(Invariant::HighWatermarkRises);
        if offset < before {
            let node = &event.node;
            let what = format!("high watermark of {} on {node}: {before} to {offset}", self.id);
            let why = vec![
                Evidence::new(since, format!("{node} leads in epoch {epoch}")),
                Evidence::new(event.id, what.clone()),
            ];
            seen.push(Seen::new(Invariant::HighWatermarkRises, what, why));
        }
        let is_new = offset > self.committed.end();
        seen.extend(self.show(event, epoch, from, offset));
        seen.extend(match self.is_metadata() {
            true => self.within_majority(event, offset, setup).or_else(|| {
                let counts = is_new && syncs_its_log(setup);
                counts.then(|| self.synced_by_majority(event, offset, setup))?
            }),
            false => self.within_isr(event, epoch, offset),
        });
        seen
    }

    /// A leader shows what it has between `from` and `to`.
    fn show(&mut self, event: &'a Event, epoch: i32, from: Offset, to: Offset) -> Option<Seen> {
        let log = &self.replicas.get(&*event.node)?.log;
        let batches: Vec<Placed> = log.between(from.max(self.cleaned), to).to_vec();
        let mut seen = None;
        for Placed { batch, event: there } in batches {
            self.examine(Invariant::CommittedStays);
            if let Some(shown) = self.committed.at(batch.base).copied() {
                if shown.batch == batch {
                    continue;
                }
                let last = self.committed.end() + -1;
                seen.get_or_insert_with(|| self.gone(event, &shown, last, Some(there)));
                self.forget_committed(batch.base);
            }
            let shown = Shown { batch, by: &event.node, epoch, event: event.id };
            self.committed.push(shown);
        }
        seen
    }

    /// A follower's high watermark covers what leaders have shown, and nothing else.
    fn compare(&mut self, event: &Event, from: Offset, to: Offset) -> Option<Seen> {
        let log = &self.replicas.get(&*event.node)?.log;
        let batches = log.between(from.max(self.cleaned), to);
        let shown = |placed: &Placed| self.committed.at(placed.batch.base);
        let differs = |placed: &&Placed| shown(placed).is_some_and(|s| s.batch != placed.batch);
        let (compared, other) =
            (batches.iter().filter(|p| shown(p).is_some()).count(), batches.iter().find(differs));
        let other = other.and_then(|placed| Some((*placed, *shown(placed)?)));
        (0..compared).for_each(|_| self.examine(Invariant::ReplicasAgree));
        let (placed, shown) = other?;
        let (id, offset, node) = (self.id, placed.batch.base.max(shown.batch.base), &event.node);
        let what = format!("{node} shows other records at {id}@{offset} than {}", shown.by);
        let why = vec![
            Evidence::new(placed.event, format!("{node} has its record at {offset}")),
            Evidence::new(shown.event, format!("{} showed {id}@{offset} as committed", shown.by)),
            Evidence::new(event.id, format!("{node}'s high watermark rises to {to}")),
        ];
        let offsets = Some((offset, placed.batch.last.min(to + -1)));
        let fork = Some(Fork { node: node.clone(), own: placed, event: event.id });
        Some(Seen { offsets, fork, ..Seen::new(Invariant::ReplicasAgree, what, why) })
    }

    /// Every member of the ISR has what its leader counts as committed. The ISR is the one the leader knows, or
    /// the controller's where that is newer; in an epoch after the leader's it is no business of its.
    fn within_isr(&mut self, event: &Event, epoch: i32, offset: Offset) -> Option<Seen> {
        let word = self.word.as_ref().filter(|word| word.epoch == epoch)?;
        let own = self.replicas.get(&*event.node)?;
        let isr = match &own.confirmed {
            Some((partition_epoch, isr)) if *partition_epoch > word.partition_epoch => isr,
            _ => &word.isr,
        };
        let last = own.log.at(offset + -1).map(|placed| placed.batch);
        let lacks = |member: &&&'a str| self.lacks_at(member, offset, last);
        let behind = isr.iter().find(lacks).copied();
        let members = isr.iter().copied().collect::<Vec<_>>().join(",");
        let since = word.event;
        self.examine(Invariant::HighWatermarkWithinIsr);
        let behind = behind?;
        let says = format!("the ISR is {{{members}}}");
        Some(self.too_high(event, offset, behind, Evidence::new(since, says)))
    }

    /// Whether a replica lacks the record before `offset`. One that lost it by a fault had it, and is about to
    /// leave the ISR.
    fn lacks_at(&self, member: &str, offset: Offset, last: Option<BatchAt>) -> bool {
        let Some(replica) = self.replicas.get(member) else { return offset > Offset(0) };
        if replica.loss.is_some() || offset <= self.cleaned.max(replica.log.start()) {
            return false;
        }
        replica.log.end() < offset
            || last.is_some_and(|last| {
                replica.log.at(offset + -1).is_some_and(|placed| placed.batch != last)
            })
    }

    fn too_high(&self, event: &Event, offset: Offset, behind: &str, isr: Evidence) -> Seen {
        let replica = self.replicas.get(behind);
        let end = replica.map_or(Offset(0), |replica| replica.log.end());
        let (id, node) = (self.id, &event.node);
        let what =
            format!("high watermark of {id} is {offset} on {node}, and {behind} ends at {end}");
        let mut why = vec![isr];
        if let Some(last) = replica.and_then(|replica| replica.log.last()) {
            why.push(Evidence::new(last.event, format!("{behind} has {id} up to {end}")));
        }
        why.push(Evidence::new(event.id, what.clone()));
        Seen::new(Invariant::HighWatermarkWithinIsr, what, why)
    }

    /// A majority of the voters has what the quorum's leader counts as committed.
    fn within_majority(&mut self, event: &Event, offset: Offset, setup: &Setup) -> Option<Seen> {
        self.examine(Invariant::HighWatermarkWithinIsr);
        let last = self.replicas.get(&*event.node)?.log.at(offset + -1).map(|placed| placed.batch);
        let lacking = minority(setup, |voter| !self.lacks_at(voter, offset, last))?;
        let says = format!("{} of {} voters lack it", lacking.len(), setup.voters.len());
        Some(self.too_high(event, offset, lacking[0], Evidence::new(event.id, says)))
    }

    /// A majority has synced it, too, when it is called committed for the first time: a voter's Fetch acknowledges no
    /// more (KAFKA-10533).
    fn synced_by_majority(&mut self, event: &Event, offset: Offset, setup: &Setup) -> Option<Seen> {
        self.examine(Invariant::HighWatermarkWithinIsr);
        let synced = |voter: &str| self.replicas.get(voter).map_or(Offset(0), |it| it.synced);
        let lacking = minority(setup, |voter| synced(voter) >= offset)?;
        let (id, node, behind) = (self.id, &event.node, lacking[0]);
        let what = format!(
            "high watermark of {id} is {offset} on {node}, and {behind} has synced up to {}",
            synced(behind)
        );
        let says = format!("{} of {} voters have not synced it", lacking.len(), setup.voters.len());
        let why = vec![Evidence::new(event.id, says), Evidence::new(event.id, what.clone())];
        Some(Seen::new(Invariant::HighWatermarkWithinIsr, what, why))
    }

    pub(super) fn confirmed(
        &mut self,
        event: &'a Event,
        isr: BTreeSet<&'a str>,
        partition_epoch: i32,
    ) -> Vec<Seen> {
        let seen = self.same_isr(&event.node, event.id, &isr, partition_epoch);
        self.replica(&event.node).confirmed = Some((partition_epoch, isr));
        seen.into_iter().collect()
    }

    pub(super) fn isr_changed(
        &mut self,
        event: &'a Event,
        isr: BTreeSet<&'a str>,
        partition_epoch: i32,
    ) -> Vec<Seen> {
        self.isrs.insert(partition_epoch, isr.clone());
        let word = self.word.get_or_insert_with(|| Word::unknown(event.id));
        (word.partition_epoch, word.event) = (partition_epoch, event.id);
        word.isr = isr;
        // A leader may have heard of it before the metadata reached any broker.
        let early: Vec<_> = self
            .replicas
            .iter()
            .filter_map(|(node, replica)| {
                let (known, isr) = replica.confirmed.as_ref()?;
                (*known == partition_epoch).then(|| (*node, isr.clone()))
            })
            .collect();
        let node = |name: &str| NodeName::from(name);
        early
            .into_iter()
            .filter_map(|(name, isr)| self.same_isr(&node(name), event.id, &isr, partition_epoch))
            .collect()
    }

    fn same_isr(
        &mut self,
        node: &NodeName,
        event: EventId,
        isr: &BTreeSet<&str>,
        partition_epoch: i32,
    ) -> Option<Seen> {
        let word = self.isrs.get(&partition_epoch)?.clone();
        self.examine(Invariant::IsrByController);
        if word == *isr {
            return None;
        }
        let list = |isr: &BTreeSet<&str>| isr.iter().copied().collect::<Vec<_>>().join(",");
        let what = format!(
            "{node} goes by the ISR {{{}}} of {}, and the controller's is {{{}}} (epoch {partition_epoch})",
            list(isr),
            self.id,
            list(&word)
        );
        let why = vec![Evidence::new(event, what.clone())];
        Some(Seen::new(Invariant::IsrByController, what, why))
    }
}

/// The voters that do not count, if those that do are no majority.
fn minority(setup: &Setup, counts: impl Fn(&str) -> bool) -> Option<Vec<&str>> {
    let voters = setup.voters.iter().map(|voter| &**voter);
    let lacking: Vec<_> = voters.filter(|voter| !counts(voter)).collect();
    let rest = setup.voters.len() - lacking.len();
    (!lacking.is_empty() && rest * 2 <= setup.voters.len()).then_some(lacking)
}

/// Before 2.8 the quorum did not: there a majority that has it is all that was promised.
fn syncs_its_log(setup: &Setup) -> bool {
    !setup.behaviours.iter().any(|behaviour| &**behaviour == "quorum-flush")
}
