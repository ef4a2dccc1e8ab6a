//! Which interesting states a trial came through.
//!
//! A campaign that claims "safe settings hold whatever happens" proves nothing if nothing happened. It
//! names the states some of its trials must reach, and fails if none did: a retry that met its first
//! attempt in the log, a member killed between work and commit, a torn tail cut off by recovery. Only
//! what a history shows counts; a fault that touched nobody is no state.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::replicas::METADATA;
use crate::{
    kafka::types::{Offset, TopicPartition},
    testbed::history::{Event, EventKind, FaultKind, History, Loss, OffsetReach, Outcome},
};

/// A state worth reaching.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reached {
    /// A member died with processed records its last successful commit does not cover.
    MemberKilledBetweenProcessingAndCommit,
    /// A member died with records it had been given and not finished.
    MemberKilledWithRecordsInHand,
    /// A rebalance began, or partitions were taken away, while a member had unfinished records.
    RebalanceWithRecordsInHand,
    /// A member went on processing a partition it had lost.
    ProcessedAfterLosingThePartition,
    /// A record was delivered to its group twice.
    DeliveredTwice,
    /// The coordinator refused a commit.
    CommitRejected,
    /// A commit's outcome is unknown to its member.
    CommitOutcomeUnknown,
    /// A broker that had accepted commits of a group stopped, started and coordinated that group again.
    CoordinatorReloaded,
    /// A member left its group because it did not poll for too long.
    PollTimeout,
    /// The coordinator took a member for dead.
    SessionExpired,
    /// A group started anew from the log's start or end in want of a usable position.
    PositionReset,
    /// A producer sent a batch again.
    BatchRetried,
    /// A retried batch was already in the log and was recognised.
    RetryWasDuplicate,
    /// A send ended with nobody knowing whether the record is there.
    SendOutcomeUnknown,
    /// An application sent a record a second time.
    RecordResent,
    /// A broker refused an append.
    AppendRejected,
    /// Recovery removed a torn tail.
    RecoveryCutTornTail,
    /// A recovered log ends below what had been appended: a power loss took records with it.
    RecoveryLostRecords,
    /// A disk failed a broker.
    StorageFailed,
    /// A machine lost its power.
    PowerLost,
    /// A machine's disk was emptied.
    DiskWiped,
    /// A machine was paused and came back.
    Paused,
    /// A partition that had a leader got another one.
    LeaderMoved,
    /// A partition had nobody to lead it.
    Leaderless,
    IsrShrunk,
    IsrGrown,
    /// A replica gave up records that its leader does not have.
    ReplicaTruncated,
    /// A follower was told where its log parts from its leader's.
    Diverged,
    /// A second controller became the active one.
    ControllerMoved,
    BrokerFenced,
    /// A reassignment gave a partition other replicas.
    ReplicasMoved,
    TopicDeleted,
    /// A group was given a partition that its topic did not have at first.
    AddedPartitionAssigned,
}

impl fmt::Display for Reached {
    /// By its name in reports: `retry-was-duplicate`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = format!("{self:?}");
        let mut text = String::with_capacity(name.len() + 8);
        for (index, letter) in name.char_indices() {
            if letter.is_ascii_uppercase() && index > 0 {
                text.push('-');
            }
            text.push(letter.to_ascii_lowercase());
        }
        f.pad(&text)
    }
}

/// All states the trial came through.
pub fn reached(history: &History) -> BTreeSet<Reached> {
    let mut watch = Watch::of(history);
    history.events.iter().for_each(|event| watch.take(event));
    watch.reached
}

/// What one machine of a group is about.
#[derive(Default)]
struct Member<'a> {
    group: Option<usize>,
    /// Delivered and not finished, by partition.
    in_hand: BTreeMap<&'a TopicPartition, BTreeSet<Offset>>,
    /// End of what was processed and is not committed, by partition.
    uncommitted: BTreeMap<&'a TopicPartition, Offset>,
    /// Partitions taken away and not given back since.
    lost: BTreeSet<&'a TopicPartition>,
}

impl Member<'_> {
    fn holds_records(&self) -> bool {
        self.in_hand.values().any(|offsets| !offsets.is_empty())
    }

    fn finished(&mut self, partition: &TopicPartition, offset: Offset) {
        if let Some(offsets) = self.in_hand.get_mut(partition) {
            offsets.remove(&offset);
        }
    }
}

/// A broker's part in coordinating groups.
#[derive(Default)]
struct Coordinator<'a> {
    /// Groups whose commits it accepted in this life.
    has: BTreeSet<&'a str>,
    /// Groups whose commits it had accepted when it stopped.
    had: BTreeSet<&'a str>,
}

struct Watch<'a> {
    reached: BTreeSet<Reached>,
    members: HashMap<&'a str, Member<'a>>,
    /// Machines of each group.
    groups: Vec<&'a [Arc<str>]>,
    group_index: HashMap<&'a str, usize>,
    delivered: HashSet<(usize, &'a TopicPartition, Offset)>,
    coordinators: HashMap<&'a str, Coordinator<'a>>,
    /// End of each replica's log as appends and recoveries tell it.
    log_ends: HashMap<(&'a str, &'a TopicPartition), Offset>,
    /// The last leader of each partition.
    leaders: HashMap<&'a TopicPartition, &'a str>,
    /// The last active controller.
    controller: Option<&'a str>,
    paused: HashSet<&'a str>,
    /// When the first partition of each topic was created.
    born: HashMap<&'a str, u64>,
    /// Partitions that were created later than that.
    added: HashSet<&'a TopicPartition>,
}

impl<'a> Watch<'a> {
    fn of(history: &'a History) -> Self {
        let mut members = HashMap::new();
        let mut groups = Vec::new();
        let mut group_index = HashMap::new();
        for (index, (name, group)) in history.setup.groups.iter().enumerate() {
            for member in &group.members {
                let member_of = Member { group: Some(index), ..Member::default() };
                members.insert(&**member, member_of);
            }
            groups.push(&group.members[..]);
            group_index.insert(&**name, index);
        }
        Watch {
            reached: BTreeSet::new(),
            members,
            groups,
            group_index,
            delivered: HashSet::new(),
            coordinators: HashMap::new(),
            log_ends: HashMap::new(),
            leaders: HashMap::new(),
            controller: None,
            paused: HashSet::new(),
            born: HashMap::new(),
            added: HashSet::new(),
        }
    }

    fn take(&mut self, event: &'a Event) {
        match &event.kind {
            EventKind::MachineStopped { .. }
            | EventKind::MachinePaused
            | EventKind::MachineResumed
            | EventKind::Fault { .. } => self.take_machine(event),
            EventKind::SendEnded { .. }
            | EventKind::Sent { .. }
            | EventKind::BatchRetried { .. }
            | EventKind::LogRecovered { .. }
            | EventKind::Appended { .. }
            | EventKind::Replicated { .. }
            | EventKind::Deduplicated { .. }
            | EventKind::AppendRejected { .. }
            | EventKind::StorageFailed { .. } => self.take_log(event),
            EventKind::MemberJoined { .. }
            | EventKind::MemberLeft { .. }
            | EventKind::RebalanceStarted { .. }
            | EventKind::Generation { .. }
            | EventKind::GroupLoaded { .. }
            | EventKind::OffsetsCommitted { .. }
            | EventKind::CommitRejected { .. } => self.take_coordinator(event),
            EventKind::Leads { .. }
            | EventKind::PartitionCreated { .. }
            | EventKind::Elected { .. }
            | EventKind::IsrShrunk { .. }
            | EventKind::IsrGrown { .. }
            | EventKind::LogTruncated { .. }
            | EventKind::Diverged { .. }
            | EventKind::BrokerFenced { .. }
            | EventKind::ReplicasChanged { .. }
            | EventKind::TopicDeleted { .. } => self.take_replicas(event),
            _ => self.take_member(event),
        }
    }

    fn take_machine(&mut self, event: &'a Event) {
        match &event.kind {
            EventKind::MachinePaused => {
                self.paused.insert(&event.node);
            }
            EventKind::MachineResumed if self.paused.remove(&*event.node) => {
                self.reached.insert(Reached::Paused);
            }
            EventKind::Fault { fault: FaultKind::WipedDisk, .. } => {
                self.reached.insert(Reached::DiskWiped);
            }
            EventKind::MachineStopped { loss } => {
                if *loss == Loss::Power {
                    self.reached.insert(Reached::PowerLost);
                }
                if let Some(coordinator) = self.coordinators.get_mut(&*event.node) {
                    coordinator.had = std::mem::take(&mut coordinator.has);
                }
                if let Some(member) = self.members.get_mut(&*event.node) {
                    if *loss != Loss::Nothing && !member.uncommitted.is_empty() {
                        self.reached.insert(Reached::MemberKilledBetweenProcessingAndCommit);
                    }
                    if *loss != Loss::Nothing && member.holds_records() {
                        self.reached.insert(Reached::MemberKilledWithRecordsInHand);
                    }
                    *member = Member { group: member.group, ..Member::default() };
                }
            }
            _ => {}
        }
    }

    fn take_replicas(&mut self, event: &'a Event) {
        self.take_topic(event);
        self.reached.insert(match &event.kind {
            EventKind::Leads { partition, .. } if partition.topic.as_str() == METADATA => {
                match self.controller.replace(&event.node) {
                    Some(before) if before != &*event.node => Reached::ControllerMoved,
                    _ => return,
                }
            }
            EventKind::Elected { leader: None, .. } => Reached::Leaderless,
            EventKind::PartitionCreated { partition, leader: Some(leader), .. }
            | EventKind::Elected { partition, leader: Some(leader), .. } => {
                match self.leaders.insert(partition, leader) {
                    Some(before) if before != &**leader => Reached::LeaderMoved,
                    _ => return,
                }
            }
            EventKind::IsrShrunk { .. } => Reached::IsrShrunk,
            EventKind::IsrGrown { .. } => Reached::IsrGrown,
            EventKind::LogTruncated { partition, to, .. } => {
                self.log_ends.insert((&event.node, partition), *to);
                Reached::ReplicaTruncated
            }
            EventKind::Diverged { .. } => Reached::Diverged,
            EventKind::BrokerFenced { .. } => Reached::BrokerFenced,
            EventKind::ReplicasChanged { .. } => Reached::ReplicasMoved,
            EventKind::TopicDeleted { .. } => Reached::TopicDeleted,
            _ => return,
        });
    }

    fn take_topic(&mut self, event: &'a Event) {
        match &event.kind {
            EventKind::PartitionCreated { partition, .. } => {
                let born = *self.born.entry(partition.topic.as_str()).or_insert(event.at);
                self.added.extend((born < event.at).then_some(partition));
            }
            EventKind::TopicDeleted { topic } => {
                self.born.remove(&**topic);
                self.added.retain(|partition| partition.topic.as_str() != &**topic);
            }
            _ => {}
        }
    }

    fn take_log(&mut self, event: &'a Event) {
        let state = match &event.kind {
            EventKind::Sent { record, .. } if record.attempt > 1 => Reached::RecordResent,
            EventKind::SendEnded { outcome: Outcome::Unknown { .. }, .. } => {
                Reached::SendOutcomeUnknown
            }
            EventKind::BatchRetried { .. } => Reached::BatchRetried,
            EventKind::Deduplicated { .. } => Reached::RetryWasDuplicate,
            EventKind::AppendRejected { .. } => Reached::AppendRejected,
            EventKind::StorageFailed { .. } => Reached::StorageFailed,
            EventKind::Appended { partition, base_offset, records, .. }
            | EventKind::Replicated { partition, base_offset, records, .. } => {
                self.log_ends.insert((&event.node, partition), *base_offset + i64::from(*records));
                return;
            }
            EventKind::LogRecovered { partition, end, cut_bytes } => {
                if *cut_bytes > 0 {
                    self.reached.insert(Reached::RecoveryCutTornTail);
                }
                match self.log_ends.insert((&event.node, partition), *end) {
                    Some(before) if before > *end => Reached::RecoveryLostRecords,
                    _ => return,
                }
            }
            _ => return,
        };
        self.reached.insert(state);
    }

    fn take_coordinator(&mut self, event: &'a Event) {
        let (EventKind::MemberJoined { group, .. }
        | EventKind::MemberLeft { group, .. }
        | EventKind::RebalanceStarted { group, .. }
        | EventKind::Generation { group, .. }
        | EventKind::GroupLoaded { group, .. }
        | EventKind::OffsetsCommitted { group, .. }
        | EventKind::CommitRejected { group, .. }) = &event.kind
        else {
            return;
        };
        let coordinator = self.coordinators.entry(&event.node).or_default();
        if coordinator.had.remove(&**group) {
            self.reached.insert(Reached::CoordinatorReloaded);
        }
        match &event.kind {
            EventKind::OffsetsCommitted { .. } => {
                coordinator.has.insert(group);
            }
            EventKind::CommitRejected { .. } => {
                self.reached.insert(Reached::CommitRejected);
            }
            EventKind::MemberLeft { reason, .. } if reason.contains("session") => {
                self.reached.insert(Reached::SessionExpired);
            }
            EventKind::RebalanceStarted { .. } => {
                let members = self.group_index.get(&**group).map_or(&[][..], |i| self.groups[*i]);
                let holds = |name: &Arc<str>| {
                    self.members.get(&**name).is_some_and(|member| member.holds_records())
                };
                if members.iter().any(holds) {
                    self.reached.insert(Reached::RebalanceWithRecordsInHand);
                }
            }
            _ => {}
        }
    }

    fn take_member(&mut self, event: &'a Event) {
        let Some(member) = self.members.get_mut(&*event.node) else { return };
        let mut reach = |state| {
            self.reached.insert(state);
        };
        match &event.kind {
            EventKind::Polled { records } => {
                // A batch replaces the one before: whoever polls has let go of what it did not finish.
                member.in_hand.clear();
                for record in records {
                    let offsets = member.in_hand.entry(&record.partition).or_default();
                    offsets.insert(record.offset);
                    let group = member.group.unwrap_or(usize::MAX);
                    if !self.delivered.insert((group, &record.partition, record.offset)) {
                        reach(Reached::DeliveredTwice);
                    }
                }
            }
            EventKind::Processed { partition, offset, .. } => {
                if member.lost.contains(partition) {
                    reach(Reached::ProcessedAfterLosingThePartition);
                }
                member.finished(partition, *offset);
                let end = member.uncommitted.entry(partition).or_default();
                *end = (*end).max(*offset + 1);
            }
            EventKind::ProcessingFailed { partition, offset, .. } => {
                member.finished(partition, *offset);
            }
            EventKind::CommitEnded { outcome, offsets, .. } => match outcome {
                Outcome::Ok => {
                    for OffsetReach { partition, offset } in offsets {
                        if member.uncommitted.get(partition).is_some_and(|end| end <= offset) {
                            member.uncommitted.remove(partition);
                        }
                    }
                }
                Outcome::Failed { .. } => {}
                Outcome::Unknown { .. } => reach(Reached::CommitOutcomeUnknown),
            },
            EventKind::Joined { partitions, .. } => {
                for partition in partitions {
                    member.lost.remove(partition);
                    if self.added.contains(partition) {
                        reach(Reached::AddedPartitionAssigned);
                    }
                }
            }
            EventKind::Revoked { partitions } | EventKind::Lost { partitions } => {
                if member.holds_records() {
                    reach(Reached::RebalanceWithRecordsInHand);
                }
                member.lost.extend(partitions);
                partitions.iter().for_each(|partition| {
                    member.uncommitted.remove(partition);
                });
            }
            EventKind::LeftGroup { reason } if reason.contains("max.poll.interval.ms") => {
                reach(Reached::PollTimeout);
            }
            EventKind::PositionSet { why, .. } if why.starts_with("reset") => {
                reach(Reached::PositionReset);
            }
            _ => {}
        }
    }
}
