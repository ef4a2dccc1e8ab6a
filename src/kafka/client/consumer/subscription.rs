//! What a consumer is subscribed to, which partitions it has, and where it stands in each
//! (`SubscriptionState`).
//!
//! Validation of positions against the leader's epochs (KIP-320) is left out: it finds truncations,
//! which need replicas.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    env::Instant,
    kafka::{
        client::{error::ClientError, observer::OffsetsByPartition},
        types::{Offset, TopicName, TopicPartition},
    },
};

/// Where to go without a usable position.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ResetStrategy {
    Earliest,
    Latest,
}

/// What decides the assignment.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) enum Mode {
    #[default]
    None,
    /// `subscribe`: the group assigns.
    Topics(BTreeSet<TopicName>),
    /// `assign`: the application did.
    Manual,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fetching {
    /// The committed offset is asked for.
    Initializing,
    AwaitReset {
        strategy: ResetStrategy,
        retry_at: Instant,
    },
    At(Offset),
}

/// One assigned partition.
#[derive(Clone, Debug)]
struct Assigned {
    fetching: Fetching,
    /// What a commit covers. `None` until the position is known.
    consumed: Option<Offset>,
    paused: bool,
    /// Being given up in a rebalance: nothing more is returned from it.
    pending_revocation: bool,
    high_watermark: Option<Offset>,
}

impl Assigned {
    fn new() -> Self {
        Assigned {
            fetching: Fetching::Initializing,
            consumed: None,
            paused: false,
            pending_revocation: false,
            high_watermark: None,
        }
    }
}

#[derive(Default, Debug)]
pub(crate) struct Subscription {
    mode: Mode,
    assigned: BTreeMap<TopicPartition, Assigned>,
}

impl Subscription {
    pub(crate) fn mode(&self) -> &Mode {
        &self.mode
    }

    pub(crate) fn is_group_managed(&self) -> bool {
        matches!(self.mode, Mode::Topics(_))
    }

    pub(crate) fn subscribe(&mut self, topics: BTreeSet<TopicName>) -> Result<(), ClientError> {
        if self.mode == Mode::Manual {
            return Err(mutually_exclusive());
        }
        // The assignment changes with the next rebalance, not here.
        self.mode = Mode::Topics(topics);
        Ok(())
    }

    /// Replaces the assignment; positions of partitions that stay are kept.
    pub(crate) fn assign_manually(
        &mut self,
        partitions: BTreeSet<TopicPartition>,
    ) -> Result<(), ClientError> {
        if self.is_group_managed() {
            return Err(mutually_exclusive());
        }
        self.mode = Mode::Manual;
        self.set_assignment(partitions);
        Ok(())
    }

    /// Takes over what the group assigned.
    pub(crate) fn set_assignment(&mut self, partitions: impl IntoIterator<Item = TopicPartition>) {
        let mut old = std::mem::take(&mut self.assigned);
        for partition in partitions {
            let state = old.remove(&partition).unwrap_or_else(Assigned::new);
            self.assigned.insert(partition, state);
        }
    }

    pub(crate) fn unsubscribe(&mut self) {
        *self = Subscription::default();
    }

    pub(crate) fn subscribed(&self, topic: &TopicName) -> bool {
        matches!(&self.mode, Mode::Topics(topics) if topics.contains(topic))
    }

    pub(crate) fn assignment(&self) -> Vec<TopicPartition> {
        self.assigned.keys().cloned().collect()
    }

    pub(crate) fn is_assigned(&self, partition: &TopicPartition) -> bool {
        self.assigned.contains_key(partition)
    }

    fn get_mut(&mut self, partition: &TopicPartition) -> Result<&mut Assigned, ClientError> {
        self.assigned.get_mut(partition).ok_or_else(|| {
            ClientError::IllegalState(format!("no current assignment for partition {partition}"))
        })
    }

    /// The next offset to return.
    pub(crate) fn position(&self, partition: &TopicPartition) -> Option<Offset> {
        match self.assigned.get(partition)?.fetching {
            Fetching::At(offset) => Some(offset),
            _ => None,
        }
    }

    /// The position moves on because records up to it are being returned.
    pub(crate) fn advance(&mut self, partition: &TopicPartition, to: Offset) {
        if let Some(state) = self.assigned.get_mut(partition)
            && matches!(state.fetching, Fetching::At(_))
        {
            state.fetching = Fetching::At(to);
        }
    }

    /// Also ends a reset that is under way.
    pub(crate) fn seek(
        &mut self,
        partition: &TopicPartition,
        to: Offset,
    ) -> Result<(), ClientError> {
        let state = self.get_mut(partition)?;
        state.fetching = Fetching::At(to);
        state.consumed = Some(to);
        Ok(())
    }

    pub(crate) fn request_reset(
        &mut self,
        partition: &TopicPartition,
        strategy: ResetStrategy,
    ) -> Result<(), ClientError> {
        let retry_at = Instant::default();
        let state = self.get_mut(partition)?;
        state.fetching = Fetching::AwaitReset { strategy, retry_at };
        state.consumed = None;
        Ok(())
    }

    /// The answer to a reset; ignored if the partition is gone or was sought meanwhile.
    pub(crate) fn reset_to(
        &mut self,
        partition: &TopicPartition,
        strategy: ResetStrategy,
        offset: Offset,
    ) -> bool {
        match self.assigned.get_mut(partition) {
            Some(state) if matches!(state.fetching, Fetching::AwaitReset { strategy: asked, .. } if asked == strategy) =>
            {
                state.fetching = Fetching::At(offset);
                state.consumed = Some(offset);
                true
            }
            _ => false,
        }
    }

    /// Partitions to reset whose last request is answered or overdue, and when the next one is.
    pub(crate) fn due_resets(
        &self,
        now: Instant,
    ) -> (Vec<(TopicPartition, ResetStrategy)>, Option<Instant>) {
        let mut due = Vec::new();
        let mut next: Option<Instant> = None;
        for (partition, state) in &self.assigned {
            if let Fetching::AwaitReset { strategy, retry_at } = state.fetching {
                if retry_at <= now {
                    due.push((partition.clone(), strategy));
                } else {
                    next = Some(next.map_or(retry_at, |at| at.min(retry_at)));
                }
            }
        }
        (due, next)
    }

    pub(crate) fn set_reset_retry(&mut self, partition: &TopicPartition, at: Instant) {
        if let Some(Assigned { fetching: Fetching::AwaitReset { retry_at, .. }, .. }) =
            self.assigned.get_mut(partition)
        {
            *retry_at = at;
        }
    }

    /// Partitions whose committed offset is not known yet.
    pub(crate) fn initializing(&self) -> Vec<TopicPartition> {
        let initializing = |state: &Assigned| matches!(state.fetching, Fetching::Initializing);
        let partitions = self.assigned.iter().filter(|(_, state)| initializing(state));
        partitions.map(|(partition, _)| partition.clone()).collect()
    }

    pub(crate) fn is_initializing(&self, partition: &TopicPartition) -> bool {
        self.assigned
            .get(partition)
            .is_some_and(|state| matches!(state.fetching, Fetching::Initializing))
    }

    pub(crate) fn has_all_positions(&self) -> bool {
        self.assigned.values().all(|state| matches!(state.fetching, Fetching::At(_)))
    }

    pub(crate) fn mark_pending_revocation(&mut self) {
        self.assigned.values_mut().for_each(|state| state.pending_revocation = true);
    }

    pub(crate) fn pause(&mut self, partition: &TopicPartition) -> Result<(), ClientError> {
        self.get_mut(partition)?.paused = true;
        Ok(())
    }

    pub(crate) fn resume(&mut self, partition: &TopicPartition) -> Result<(), ClientError> {
        self.get_mut(partition)?.paused = false;
        Ok(())
    }

    pub(crate) fn is_paused(&self, partition: &TopicPartition) -> bool {
        self.assigned.get(partition).is_some_and(|state| state.paused)
    }

    pub(crate) fn paused(&self) -> Vec<TopicPartition> {
        let paused = self.assigned.iter().filter(|(_, state)| state.paused);
        paused.map(|(partition, _)| partition.clone()).collect()
    }

    pub(crate) fn is_fetchable(&self, partition: &TopicPartition) -> bool {
        self.assigned.get(partition).is_some_and(|state| {
            !state.paused && !state.pending_revocation && matches!(state.fetching, Fetching::At(_))
        })
    }

    pub(crate) fn fetchable(&self) -> impl Iterator<Item = (&TopicPartition, Offset)> {
        self.assigned.iter().filter_map(|(partition, state)| match state.fetching {
            Fetching::At(offset) if !state.paused && !state.pending_revocation => {
                Some((partition, offset))
            }
            _ => None,
        })
    }

    /// Makes `offset` what a commit covers.
    pub(crate) fn set_consumed(&mut self, partition: &TopicPartition, offset: Offset) {
        if let Some(state) = self.assigned.get_mut(partition) {
            state.consumed = Some(offset);
        }
    }

    /// What a commit without explicit offsets commits (`allConsumed`).
    pub(crate) fn all_consumed(&self) -> OffsetsByPartition {
        let consumed = |(partition, state): (&TopicPartition, &Assigned)| {
            Some((partition.clone(), state.consumed?))
        };
        self.assigned.iter().filter_map(consumed).collect()
    }

    pub(crate) fn set_high_watermark(&mut self, partition: &TopicPartition, offset: Offset) {
        if let Some(state) = self.assigned.get_mut(partition) {
            state.high_watermark = Some(offset);
        }
    }

    /// Records between the position and the last known high watermark.
    pub(crate) fn lag(&self, partition: &TopicPartition) -> Option<i64> {
        let state = self.assigned.get(partition)?;
        let Fetching::At(position) = state.fetching else { return None };
        Some((state.high_watermark? - position).max(0))
    }
}

fn mutually_exclusive() -> ClientError {
    ClientError::IllegalState(
        "subscription to topics and manual assignment of partitions are mutually exclusive".into(),
    )
}
