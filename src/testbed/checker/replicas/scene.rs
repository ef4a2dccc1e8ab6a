//! All partitions, followed event by event.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    METADATA,
    blame::{Fate, Fates, Loss},
    fork::{Followed, Fork, Told},
    heal,
    invariant::{Breach, Invariant, Seen},
    log::Placed,
    partition::{Cut, Partition, Takeover, Word},
};
use crate::{
    kafka::types::{Offset, TopicPartition},
    testbed::{
        checker::Evidence,
        history::{
            BatchAt, ElectionKind, Event, EventId, EventKind, FaultKind, History, NodeName, Phase,
            Setup,
        },
        plan::Cause,
    },
};

/// The state of all replicas, and what broke on the way to it.
#[derive(Debug)]
pub(in crate::testbed::checker) struct Scene<'a> {
    setup: &'a Setup,
    partitions: BTreeMap<&'a TopicPartition, Partition<'a>>,
    fates: Fates<'a>,
    /// Brokers the controller has fenced.
    fenced: BTreeSet<&'a str>,
    breaches: Vec<Breach>,
    /// Breaches that nothing explains yet, and the records that differ there.
    forks: Vec<(usize, &'a TopicPartition, Fork)>,
    /// The end was reached: what must be healed is judged at the last event.
    checking: Option<EventId>,
}

impl<'a> Scene<'a> {
    pub fn of(history: &'a History) -> Self {
        let mut scene = Scene {
            setup: &history.setup,
            partitions: BTreeMap::new(),
            fates: BTreeMap::new(),
            fenced: BTreeSet::new(),
            breaches: Vec::new(),
            forks: Vec::new(),
            checking: None,
        };
        history.events.iter().for_each(|event| scene.take(event));
        if let Some(event) = scene.checking {
            scene.judge_end(event);
        }
        scene.explain_forks();
        scene
    }

    pub fn breaches(&self) -> &[Breach] {
        &self.breaches
    }

    pub fn partitions(&self) -> impl Iterator<Item = &Partition<'a>> {
        self.partitions.values()
    }

    pub fn partition(&self, id: &TopicPartition) -> Option<&Partition<'a>> {
        self.partitions.get(id)
    }

    fn entry(&mut self, id: &'a TopicPartition) -> &mut Partition<'a> {
        let setup = self.setup;
        self.partitions.entry(id).or_insert_with(|| {
            let own =
                setup.topics.get(id.topic.as_str()).and_then(|topic| topic.min_insync_replicas);
            Partition::new(id, own.unwrap_or(setup.min_insync_replicas))
        })
    }

    /// Lets the partition judge, and finds out who is to blame for what it saw.
    fn judge(
        &mut self,
        id: &'a TopicPartition,
        judge: impl FnOnce(&mut Partition<'a>, &Setup) -> Vec<Seen>,
    ) {
        let setup = self.setup;
        let partition = self.entry(id);
        let seen = judge(partition, setup);
        if !seen.is_empty() {
            let partition = self.partitions.get_mut(id).expect("made above");
            for mut seen in seen {
                let fork = seen.fork.take();
                let breach = partition.blame(seen, &self.fates);
                if breach.violation.cause == Cause::Unexplained {
                    self.forks.extend(fork.map(|fork| (self.breaches.len(), id, fork)));
                }
                self.breaches.push(breach);
            }
        }
    }

    fn take(&mut self, event: &'a Event) {
        match &event.kind {
            EventKind::Leads { .. }
            | EventKind::Follows { .. }
            | EventKind::Diverged { .. }
            | EventKind::HighWatermark { .. }
            | EventKind::IsrConfirmed { .. } => self.take_role(event),
            EventKind::Appended { .. }
            | EventKind::Replicated { .. }
            | EventKind::LogTruncated { .. }
            | EventKind::LogRestarted { .. }
            | EventKind::LogCleaned { .. }
            | EventKind::LogRecovered { .. }
            | EventKind::LogContents { .. }
            | EventKind::Flushed { .. } => self.take_log(event),
            EventKind::PartitionCreated { .. }
            | EventKind::Elected { .. }
            | EventKind::IsrShrunk { .. }
            | EventKind::IsrGrown { .. }
            | EventKind::ReplicasChanged { .. }
            | EventKind::TopicDeleted { .. }
            | EventKind::BrokerFenced { .. }
            | EventKind::BrokerUnfenced { .. } => self.take_word(event),
            EventKind::MachineStarted { .. } | EventKind::MachineStopped { .. } => {
                self.take_life(event);
            }
            EventKind::Fault { fault, .. } => self.take_fault(event, *fault),
            EventKind::Phase { phase: Phase::Check } => self.checking = Some(event.id),
            EventKind::NoProgress { .. } | EventKind::Crashed { .. } => self.checking = None,
            _ => {}
        }
    }

    fn take_life(&mut self, event: &'a Event) {
        let fate = self.fates.entry(&event.node).or_default();
        if let EventKind::MachineStopped { loss } = &event.kind {
            (fate.stop, fate.is_up) = (Some((event.id, *loss)), false);
            for partition in self.partitions.values_mut() {
                if let Some(replica) = partition.replicas.get_mut(&*event.node) {
                    (replica.leads, replica.confirmed) = (None, None);
                }
            }
        } else {
            fate.is_up = true;
        }
    }

    fn take_fault(&mut self, event: &'a Event, fault: FaultKind) {
        match fault {
            FaultKind::LyingDisk => {
                self.fates.entry(&event.node).or_default().lies.get_or_insert(event.id);
            }
            FaultKind::WipedDisk => {
                for partition in self.partitions.values_mut() {
                    let Some(replica) = partition.replicas.get_mut(&*event.node) else { continue };
                    replica.log.restart(Offset(0));
                    (replica.compared, replica.high_watermark) = Default::default();
                    replica.synced = Offset(0);
                    replica.loss = Some(Loss { cause: Cause::WipedDisk, event: event.id });
                }
            }
            _ => {}
        }
    }

    fn take_role(&mut self, event: &'a Event) {
        match &event.kind {
            EventKind::Leads { partition, topic_id, epoch, start } => {
                let stops = self.fates.clone();
                self.judge(partition, |partition, _| {
                    partition.of_topic(topic_id);
                    partition.leads(event, *epoch, *start, &stops)
                });
            }
            EventKind::Follows { partition, topic_id, leader, epoch } => {
                let partition = self.entry(partition);
                partition.of_topic(topic_id);
                let replica = partition.replica(&event.node);
                let (leader, epoch) = (leader.as_ref(), *epoch);
                replica.followed.push(Followed { event: event.id, leader, epoch });
                (replica.leads, replica.confirmed) = (None, None);
            }
            EventKind::Diverged { partition, leader, end, .. } => {
                let replica = self.entry(partition).replica(&event.node);
                replica.told.push(Told { event: event.id, leader, end: *end });
            }
            EventKind::HighWatermark { partition, offset } => {
                self.judge(partition, |partition, setup| {
                    partition.high_watermark(event, *offset, setup)
                });
            }
            EventKind::IsrConfirmed { partition, isr, partition_epoch } => {
                let isr: BTreeSet<&str> = isr.iter().map(|name| &**name).collect();
                self.judge(partition, |partition, _| {
                    partition.confirmed(event, isr, *partition_epoch)
                });
            }
            _ => {}
        }
    }

    fn take_log(&mut self, event: &'a Event) {
        match &event.kind {
            EventKind::Appended { partition, base_offset, records, epoch, checksum, .. } => {
                let batch = batch(*base_offset, *records, *epoch, *checksum);
                self.judge(partition, |partition, _| partition.appended_by_leader(event, batch));
            }
            EventKind::Replicated { partition, base_offset, records, epoch, checksum } => {
                let batch = batch(*base_offset, *records, *epoch, *checksum);
                self.entry(partition).append(&event.node, batch, event.id);
            }
            EventKind::LogTruncated { partition, from, to } => {
                let cut = Cut { event: event.id, node: &event.node, from: *from, to: *to };
                self.entry(partition).cut(cut);
            }
            EventKind::LogRestarted { partition, at } => {
                let replica = self.entry(partition).replica(&event.node);
                replica.log.restart(*at);
                // The snapshot that took its place was synced before.
                (replica.compared, replica.synced) = (*at, *at);
            }
            EventKind::LogCleaned { partition, upto } => {
                let partition = self.entry(partition);
                partition.cleaned = partition.cleaned.max(*upto);
            }
            EventKind::LogRecovered { partition, end, .. } => {
                let loss = self.fates.get(&*event.node).and_then(Fate::loss);
                self.entry(partition).recovered(&event.node, *end, loss);
            }
            EventKind::LogContents { partition, batches } => {
                let loss = self.fates.get(&*event.node).and_then(Fate::loss);
                self.entry(partition).found(&event.node, batches, event.id, loss);
            }
            EventKind::Flushed { partition, upto } if partition.topic.as_str() == METADATA => {
                let replica = self.entry(partition).replica(&event.node);
                replica.synced = replica.synced.max(*upto).min(replica.log.end());
            }
            _ => {}
        }
    }

    fn take_word(&mut self, event: &'a Event) {
        match &event.kind {
            EventKind::PartitionCreated {
                partition,
                topic_id,
                replicas,
                leader,
                isr,
                epoch,
                partition_epoch,
            } => {
                let partition = self.entry(partition);
                partition.of_topic(topic_id);
                partition.word = Some(Word {
                    leader: leader.as_ref(),
                    epoch: *epoch,
                    partition_epoch: *partition_epoch,
                    isr: names(isr),
                    replicas: names(replicas),
                    event: event.id,
                });
                partition.granted.insert(*epoch, leader.as_ref());
                partition.isrs.insert(*partition_epoch, names(isr));
            }
            EventKind::Elected { partition, leader, epoch, partition_epoch, how, .. } => {
                self.judge(partition, |partition, _| {
                    partition.elected(event, leader.as_ref(), *epoch, *partition_epoch, *how)
                });
            }
            EventKind::IsrShrunk { partition, isr, partition_epoch, .. }
            | EventKind::IsrGrown { partition, isr, partition_epoch, .. } => {
                self.judge(partition, |partition, _| {
                    partition.isr_changed(event, names(isr), *partition_epoch)
                });
            }
            EventKind::ReplicasChanged { partition, replicas } => {
                if let Some(word) = &mut self.entry(partition).word {
                    word.replicas = names(replicas);
                }
            }
            EventKind::TopicDeleted { topic } => {
                let gone = |id: &&TopicPartition| *id.topic.0 == **topic;
                self.partitions.iter_mut().filter(|(id, _)| gone(id)).for_each(|(_, partition)| {
                    partition.word = None;
                });
            }
            EventKind::BrokerFenced { broker } => {
                self.fenced.insert(broker);
            }
            EventKind::BrokerUnfenced { broker } => {
                self.fenced.remove(&**broker);
            }
            _ => {}
        }
    }

    /// With all of the history known.
    fn explain_forks(&mut self) {
        for (breach, id, fork) in std::mem::take(&mut self.forks) {
            let partition = self.partitions.get(id);
            let Some((cause, why)) = partition.and_then(|partition| partition.why(&fork)) else {
                continue;
            };
            let violation = &mut self.breaches[breach].violation;
            violation.cause = cause;
            violation.why.extend(why);
            violation.why.sort_by_key(|evidence| evidence.event);
        }
    }

    /// What must be so when everything has healed and settled.
    fn judge_end(&mut self, event: EventId) {
        let ids: Vec<_> = self.partitions.keys().copied().collect();
        for id in ids.into_iter().filter(|id| id.topic.as_str() != METADATA) {
            self.judge(id, |partition, _| heal::judge(partition, event));
        }
    }
}

fn names(names: &[NodeName]) -> BTreeSet<&str> {
    names.iter().map(|name| &**name).collect()
}

fn batch(base: Offset, records: u32, epoch: i32, checksum: u32) -> BatchAt {
    BatchAt { base, last: base + i64::from(records) + -1, epoch, checksum }
}

impl<'a> Partition<'a> {
    fn append(&mut self, node: &'a NodeName, batch: BatchAt, event: EventId) {
        let committed = self.committed.end();
        let replica = self.replica(node);
        replica.log.append(batch, event);
        // It has all again that it may have to show.
        if replica.log.end() >= committed {
            replica.loss = None;
        }
    }

    fn appended_by_leader(&mut self, event: &'a Event, batch: BatchAt) -> Vec<Seen> {
        self.appends.push(Placed { batch, event: event.id });
        let led = self.leaders.values().any(|(node, _)| **node == event.node);
        let leads = self.replicas.get(&*event.node).and_then(|replica| replica.leads);
        self.append(&event.node, batch, event.id);
        if !led {
            return Vec::new();
        }
        self.examine(Invariant::ServesInEpoch);
        if leads.is_some_and(|(epoch, _)| epoch == batch.epoch) {
            return Vec::new();
        }
        let what = format!("{} took records of epoch {} for {}", event.node, batch.epoch, self.id);
        let says = match leads {
            Some((epoch, _)) => format!("{what}, which it leads in epoch {epoch}"),
            None => format!("{what}, which it does not lead"),
        };
        vec![Seen::new(Invariant::ServesInEpoch, says.clone(), vec![Evidence::new(event.id, says)])]
    }

    fn cut(&mut self, cut: Cut<'a>) {
        let replica = self.replica(cut.node);
        replica.log.truncate(cut.to);
        replica.synced = replica.synced.min(cut.to);
        replica.compared = replica.compared.min(cut.to);
        replica.high_watermark = replica.high_watermark.min(cut.to);
        self.cuts.push(cut);
    }

    fn recovered(&mut self, node: &'a NodeName, end: Offset, loss: Option<Loss>) {
        let replica = self.replica(node);
        if end < replica.log.end() {
            replica.log.truncate(end);
            replica.loss = loss.or(replica.loss);
        }
        replica.synced = replica.synced.min(end);
        replica.compared = replica.compared.min(end);
        replica.high_watermark = replica.high_watermark.min(end);
    }

    /// What was known is replaced by what is there.
    fn found(
        &mut self,
        node: &'a NodeName,
        batches: &[BatchAt],
        event: EventId,
        loss: Option<Loss>,
    ) {
        let replica = self.replica(node);
        let before = replica.log.end();
        replica.log.replace(batches, event);
        replica.synced = replica.synced.min(replica.log.end());
        if replica.log.end() < before {
            replica.loss = loss.or(replica.loss);
        }
    }

    fn elected(
        &mut self,
        event: &'a Event,
        leader: Option<&'a NodeName>,
        epoch: i32,
        partition_epoch: i32,
        how: ElectionKind,
    ) -> Vec<Seen> {
        self.granted.insert(epoch, leader);
        self.elections.insert(epoch, (how, event.id));
        let word = self.word.get_or_insert_with(|| Word::unknown(event.id));
        (word.leader, word.epoch, word.event) = (leader, epoch, event.id);
        word.partition_epoch = partition_epoch;
        Vec::new()
    }

    /// Whoever led before, and what the new leader has and lacks.
    pub(super) fn take_over(
        &mut self,
        event: &'a Event,
        epoch: i32,
        start: Offset,
        fates: &Fates<'a>,
    ) {
        let before = self.leaders.range(..epoch).next_back().map(|(_, (node, _))| *node);
        let stop = before.and_then(|node| fates.get(&**node));
        let stop = stop.filter(|fate| !fate.is_up || before == Some(&event.node));
        let left_out = [&*event.node, before.map_or("", |node| &**node)];
        let loss = self.replicas.get(&*event.node).and_then(|replica| replica.loss);
        self.takeovers.push(Takeover {
            event: event.id,
            leader: &event.node,
            epoch,
            start,
            previous: before,
            stop: stop.and_then(|fate| fate.stop).map(|(stop, _)| stop),
            how: self.elections.get(&epoch).map(|(how, _)| *how),
            loss,
            fetched: self.ends_without(&left_out),
        });
    }
}
