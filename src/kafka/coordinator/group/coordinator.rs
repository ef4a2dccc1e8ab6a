//! The state of one coordinator and what drives it: deadlines and finished appends.

use std::collections::BTreeMap;

use super::{
    AppendToken, Effect, GroupConfig, GroupEvent, GroupResponse, Now,
    deadlines::Deadlines,
    effect::told,
    group_state::Group,
    offsets::Offsets,
    turn::{Due, Turn},
    writes::{Answer, Bond, Commit, Deferred, Pending, Write, Writes},
};
use crate::{
    env::Instant,
    kafka::{
        protocol::ResponseError,
        types::{GenerationId, GroupId, TopicPartition},
    },
};

/// The groups and offsets of one partition of `__consumer_offsets`.
///
/// Made by [`GroupCoordinator::new`], filled by `replay` with the partition's records in order, and ready
/// after `loaded`. Requests for it before that are the shell's to answer, with COORDINATOR_LOAD_IN_PROGRESS
/// (a heartbeat with no error, as Kafka does).
#[derive(Debug)]
pub struct GroupCoordinator {
    pub(super) config: GroupConfig,
    pub(super) groups: BTreeMap<GroupId, Group>,
    pub(super) offsets: Offsets,
    pub(super) deadlines: Deadlines<Due>,
    pub(super) writes: Writes,
}

impl GroupCoordinator {
    pub fn new(config: GroupConfig) -> Self {
        GroupCoordinator {
            config,
            groups: BTreeMap::new(),
            offsets: Offsets::default(),
            deadlines: Deadlines::new(),
            writes: Writes::default(),
        }
    }

    pub(super) fn turn<'a>(
        &'a mut self,
        group: &str,
        now: Now,
        effects: &'a mut Vec<Effect>,
    ) -> Option<Turn<'a>> {
        Some(Turn {
            group: self.groups.get_mut(group)?,
            config: &self.config,
            deadlines: &mut self.deadlines,
            writes: &mut self.writes,
            now,
            effects,
        })
    }

    /// When to call [`Self::handle_deadline`]. Never later than the earliest deadline; sometimes earlier.
    pub fn next_deadline(&self) -> Instant {
        self.deadlines.next()
    }

    /// Does all that is due. Fine to call at any time.
    pub fn handle_deadline(&mut self, now: Now, effects: &mut Vec<Effect>) {
        while let Some(due) = self.deadlines.pop_due(now.instant) {
            match &due {
                Due::Session(group, member) => {
                    if let Some(mut turn) = self.turn(group.as_str(), now, effects) {
                        turn.session_ended(member);
                    }
                }
                Due::Join(group) => {
                    if let Some(mut turn) = self.turn(group.as_str(), now, effects) {
                        turn.join_wait_ended();
                    }
                }
                Due::Sync(group) => {
                    if let Some(mut turn) = self.turn(group.as_str(), now, effects) {
                        turn.sync_wait_ended();
                    }
                }
                Due::Append(append) => self.append_timed_out(now, *append, effects),
                Due::Expiry => self.expire(now, effects),
            }
        }
    }

    /// An append was committed, or failed for good: then none of its records is or will be in the log.
    /// The error is the log's own; members are told what Kafka tells them for it.
    pub fn handle_append_done(
        &mut self,
        now: Now,
        append: AppendToken,
        result: Result<(), ResponseError>,
        effects: &mut Vec<Effect>,
    ) {
        // Group changes that took too long were given up before.
        let Some(Pending { write, replies }) = self.writes.take(append) else { return };
        self.deadlines.cancel(&Due::Append(append));
        let result = result.map_err(told);
        self.settle_write(now, write, result, effects);
        self.settle_replies(append, replies, result.err(), effects);
    }

    /// Whoever waits is told to try again. Changes of groups are given up; offsets and tombstones may yet be
    /// committed, and then they count.
    fn append_timed_out(&mut self, now: Now, append: AppendToken, effects: &mut Vec<Effect>) {
        let error = ResponseError::CoordinatorNotAvailable;
        let Some(pending) = self.writes.get_mut(append) else { return };
        if matches!(pending.write, Write::Commit(_) | Write::Tombstones { .. }) {
            for Deferred { request, answer, .. } in std::mem::take(&mut pending.replies) {
                let response = self.read(answer).failed(error);
                effects.push(Effect::Reply { request, response });
            }
        } else {
            self.handle_append_done(now, append, Err(ResponseError::RequestTimedOut), effects);
        }
    }

    fn settle_write(
        &mut self,
        now: Now,
        write: Write,
        result: Result<(), ResponseError>,
        effects: &mut Vec<Effect>,
    ) {
        match write {
            Write::EmptyGeneration { .. } => {}
            Write::NewGroup { group } => {
                if let Err(error) = result {
                    self.unmake_group(now, &group, error, effects);
                }
            }
            Write::Assignment { group, generation, assignment } => {
                if let Some(mut turn) = self.turn(group.as_str(), now, effects) {
                    turn.assignment_written(generation, assignment, result);
                }
            }
            Write::StaticRejoin(rejoin) => {
                if let Some(mut turn) = self.turn(rejoin.group.as_str(), now, effects) {
                    match result {
                        Ok(()) => turn.static_rejoin_written(*rejoin),
                        Err(error) => turn.static_rejoin_failed(*rejoin, error),
                    }
                }
            }
            Write::Commit(commit) => self.commit_written(now, commit, result, effects),
            Write::Tombstones { groups, offsets } => {
                if result.is_ok() {
                    self.tombstones_written(groups, offsets, effects);
                }
            }
        }
    }

    fn settle_replies(
        &mut self,
        append: AppendToken,
        replies: Vec<Deferred>,
        error: Option<ResponseError>,
        effects: &mut Vec<Effect>,
    ) {
        for deferred in replies {
            if deferred.bond == Bond::Order
                && let Some(earlier) = self.writes.before_mut(append)
            {
                earlier.replies.push(deferred);
                continue;
            }
            let mut response = self.read(deferred.answer);
            if let (Bond::Promise, Some(error)) = (deferred.bond, error) {
                response = response.failed(error);
            }
            effects.push(Effect::Reply { request: deferred.request, response });
        }
    }

    pub(super) fn read(&self, answer: Answer) -> GroupResponse {
        match answer {
            Answer::Ready(response) => response,
            Answer::Fetch(group) => GroupResponse::OffsetFetch(self.offsets_of(&group)),
        }
    }

    /// Unless more was written of it since.
    fn unmake_group(
        &mut self,
        now: Now,
        id: &GroupId,
        error: ResponseError,
        effects: &mut Vec<Effect>,
    ) {
        if self.groups.get(id).is_none_or(|group| group.generation > GenerationId(0)) {
            return;
        }
        if let Some(mut turn) = self.turn(id.as_str(), now, effects) {
            turn.unmake(error);
        }
        self.groups.remove(id);
    }

    fn commit_written(
        &mut self,
        now: Now,
        commit: Commit,
        result: Result<(), ResponseError>,
        effects: &mut Vec<Effect>,
    ) {
        let Commit { group, generation, who, offsets } = commit;
        if let Err(error) = result {
            let event = GroupEvent::CommitRejected { group, generation, who, error };
            return effects.push(Effect::Observe(event));
        }
        if !self.groups.contains_key(&group) {
            self.groups.insert(group.clone(), Group::new(group.clone(), now));
        }
        let mut committed = Vec::with_capacity(offsets.len());
        for (partition, value) in offsets {
            let offset = value.offset;
            self.offsets.put(&group, &partition, value);
            committed.push((partition, offset));
        }
        let event = GroupEvent::OffsetsCommitted { group, generation, who, offsets: committed };
        effects.push(Effect::Observe(event));
    }

    fn tombstones_written(
        &mut self,
        groups: Vec<GroupId>,
        offsets: Vec<(GroupId, TopicPartition)>,
        effects: &mut Vec<Effect>,
    ) {
        let mut removed: BTreeMap<GroupId, Vec<TopicPartition>> = BTreeMap::new();
        for (group, partition) in offsets {
            self.offsets.remove(group.as_str(), &partition);
            removed.entry(group).or_default().push(partition);
        }
        for (group, partitions) in removed {
            effects.push(Effect::Observe(GroupEvent::OffsetsRemoved { group, partitions }));
        }
        for id in groups {
            self.forget_group(&id);
        }
    }

    /// The shell gives this partition of the offsets topic up: all who wait are sent to look for the
    /// coordinator again.
    pub fn resign(mut self, effects: &mut Vec<Effect>) {
        let error = ResponseError::NotCoordinator;
        let waiting: Vec<Deferred> = self.writes.drain().flat_map(|write| write.replies).collect();
        for Deferred { request, answer, .. } in waiting {
            let response = self.read(answer).failed(error);
            effects.push(Effect::Reply { request, response });
        }
        for member in self.groups.values().flat_map(|group| group.members.values()) {
            if let Some(request) = member.awaiting_join {
                let response = GroupResponse::join_error(member.id.as_str(), error);
                effects.push(Effect::Reply { request, response });
            }
            if let Some(request) = member.awaiting_sync {
                let response = GroupResponse::sync_error(error);
                effects.push(Effect::Reply { request, response });
            }
        }
    }
}
