//! What a leader keeps, and how it starts: `Partition.makeLeader`.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::super::{
    AlterPartition, Effect, Facts, MissedEpochs, PartitionMetadata, ReplicaPolicy,
    isr::Isr,
    remote::{Membership, RemoteReplica},
    role::ReplicaConfig,
};
use crate::{
    env::Instant,
    kafka::types::{BrokerId, LeaderEpoch, Offset, PartitionEpoch},
};

/// The leader of one partition in one epoch after the other, as long as it leads without a break.
///
/// - `remotes` are the assigned replicas without this broker.
/// - The high watermark it sets never falls.
#[derive(Debug)]
pub struct Leader {
    pub(super) broker: BrokerId,
    pub(super) policy: ReplicaPolicy,
    pub(super) lag_time_max: Duration,
    pub(super) epoch: LeaderEpoch,
    pub(super) partition_epoch: PartitionEpoch,
    /// The end of the log when the epoch began.
    pub(super) epoch_start: Offset,
    pub(super) isr: Isr,
    pub(super) remotes: BTreeMap<BrokerId, RemoteReplica>,
    /// Of the assignment, without those that a reassignment adds.
    replication_factor: usize,
    pub(super) next_isr_check: Instant,
    /// Until it is answered no other AlterPartition is sent.
    pub(super) unanswered: Option<AlterPartition>,
}

impl Leader {
    pub(in super::super) fn elected(
        config: &ReplicaConfig,
        facts: Facts<'_>,
        metadata: &PartitionMetadata,
        unanswered: Option<AlterPartition>,
        effects: &mut Vec<Effect>,
    ) -> Self {
        let mut leader = Leader {
            broker: config.broker,
            policy: config.policy,
            lag_time_max: config.lag_time_max,
            epoch: metadata.leader_epoch,
            partition_epoch: metadata.partition_epoch,
            epoch_start: facts.log.end_offset(),
            isr: Isr::committed(metadata.isr.clone()),
            remotes: BTreeMap::new(),
            replication_factor: 0,
            next_isr_check: Instant::FAR_FUTURE,
            unanswered,
        };
        leader.schedule_isr_check(facts.now);
        effects.push(Effect::BecomeLeader { epoch: leader.epoch });
        leader.assign(metadata);
        for (broker, remote) in &mut leader.remotes {
            *remote = RemoteReplica::at_election(facts.now, membership(metadata, *broker));
        }
        // The ISR may be this broker alone.
        leader.maybe_increment_high_watermark(facts, effects);
        leader
    }

    /// The metadata says again that this broker leads: with another ISR or assignment, or in a new epoch.
    pub(in super::super) fn update(
        &mut self,
        facts: Facts<'_>,
        metadata: &PartitionMetadata,
        effects: &mut Vec<Effect>,
    ) {
        // What was pending is overtaken: its answer will not find it. The state that this leader knows already
        // overtakes nothing. Kafka's `makeLeader` drops a pending change for that too, though the controller
        // may yet make it: after `replica.lag.time.max.ms` the high watermark would ignore the new member.
        let known = (self.epoch, self.partition_epoch);
        if (metadata.leader_epoch, metadata.partition_epoch) != known {
            self.isr = Isr::committed(metadata.isr.clone());
        }
        self.assign(metadata);
        if metadata.leader_epoch > self.epoch {
            let end = facts.log.end_offset();
            effects.push(Effect::BecomeLeader { epoch: metadata.leader_epoch });
            let knows_all = match self.policy.missed_epochs {
                MissedEpochs::Trusted => true,
                MissedEpochs::Forgotten => metadata.leader_epoch.0 == self.epoch.0 + 1,
            };
            for (broker, remote) in &mut self.remotes {
                let membership = membership(metadata, *broker);
                if knows_all {
                    remote.reelected(facts.now, end, membership);
                } else {
                    *remote = RemoteReplica::at_election(facts.now, membership);
                }
            }
            self.epoch = metadata.leader_epoch;
            self.epoch_start = end;
        }
        self.partition_epoch = metadata.partition_epoch;
        self.maybe_increment_high_watermark(facts, effects);
    }

    fn assign(&mut self, metadata: &PartitionMetadata) {
        let followers: BTreeSet<_> =
            metadata.replicas.iter().copied().filter(|replica| *replica != self.broker).collect();
        self.remotes.retain(|broker, _| followers.contains(broker));
        for follower in followers {
            self.remotes.entry(follower).or_insert_with(RemoteReplica::unknown);
        }
        let added = |replica: &&BrokerId| !metadata.adding.contains(replica);
        self.replication_factor = metadata.replicas.iter().filter(added).count();
    }

    pub fn epoch(&self) -> LeaderEpoch {
        self.epoch
    }

    /// Where the epoch began in the log.
    pub fn epoch_start(&self) -> Offset {
        self.epoch_start
    }

    pub(in super::super) fn partition_epoch(&self) -> PartitionEpoch {
        self.partition_epoch
    }

    /// As the controller last confirmed it.
    pub fn isr(&self) -> &BTreeSet<BrokerId> {
        self.isr.members()
    }

    /// With whoever was proposed to join.
    pub fn maximal_isr(&self) -> BTreeSet<BrokerId> {
        self.isr.maximal()
    }

    pub fn is_under_replicated(&self) -> bool {
        self.isr.members().len() < self.replication_factor
    }

    /// The end of a follower's log by its last fetch; `None` if it has not fetched or is none.
    pub fn follower_end(&self, follower: BrokerId) -> Option<Offset> {
        let remote = self.remotes.get(&follower)?;
        remote.broker_epoch.map(|_| remote.log_end)
    }

    pub(in super::super) fn take_unanswered(&mut self) -> Option<AlterPartition> {
        self.unanswered.take()
    }

    pub(in super::super) fn next_deadline(&self) -> Instant {
        self.next_isr_check
    }

    pub(in super::super) fn handle_deadline(
        &mut self,
        facts: Facts<'_>,
        effects: &mut Vec<Effect>,
    ) {
        if facts.now >= self.next_isr_check {
            self.schedule_isr_check(facts.now);
            self.maybe_shrink_isr(facts, effects);
        }
    }

    /// Every half `replica.lag.time.max.ms`, as Kafka's task `isr-expiration`; on the same beat for all
    /// partitions of a broker, so that they are looked at together.
    fn schedule_isr_check(&mut self, now: Instant) {
        let beat = u64::try_from((self.lag_time_max / 2).as_nanos()).unwrap_or(u64::MAX).max(1);
        let next = (now.as_nanos() / beat).saturating_add(1).saturating_mul(beat);
        self.next_isr_check = Instant::from_nanos(next);
    }
}

fn membership(metadata: &PartitionMetadata, broker: BrokerId) -> Membership {
    if metadata.isr.contains(&broker) { Membership::InSync } else { Membership::OutOfSync }
}
