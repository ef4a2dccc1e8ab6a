//! Committing offsets: on request, by interval, before a rebalance and on closing.

use std::collections::BTreeMap;

use kafka_protocol::{
    ResponseError,
    messages::{
        OffsetCommitRequest, OffsetCommitResponse,
        offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
    },
    protocol::StrBytes,
};
use tokio::sync::oneshot;

use super::{
    core::{Core, Request},
    group::{Generation, MemberState},
    positions::{group_by_topic, is_coordinator_gone},
};
use crate::{
    env::Instant,
    kafka::client::{
        error::{ClientError, code_error},
        network::{Answer, NodeKey},
        observer::{ClientEvent, CommitCause, OffsetsByPartition},
    },
};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct CommitId(u64);

enum Progress {
    /// For the coordinator to be found and reached.
    Waiting,
    InFlight,
    Done(Result<(), ClientError>),
}

struct Commit {
    offsets: OffsetsByPartition,
    cause: CommitCause,
    progress: Progress,
    /// For whom the application waits outside of a call.
    handle: Option<oneshot::Sender<Result<(), ClientError>>>,
}

/// The commits under way and the clock of auto-commit.
pub(crate) struct Commits {
    next_id: u64,
    open: BTreeMap<CommitId, Commit>,
    /// When the next poll commits, with `enable.auto.commit`.
    pub(crate) next_auto: Instant,
    /// Whether `mark_consumed` decides what a commit covers.
    pub(crate) by_record: bool,
    /// The commit before partitions are given up, and when a failed one is repeated.
    pub(crate) prepare: Option<CommitId>,
    pub(crate) prepare_retry_at: Instant,
    /// Another instance took this one's `group.instance.id`; the next call tells.
    fenced: bool,
}

impl Commits {
    pub(crate) fn new(next_auto: Instant) -> Self {
        Commits {
            next_id: 0,
            open: BTreeMap::new(),
            next_auto,
            by_record: false,
            prepare: None,
            prepare_retry_at: Instant::default(),
            fenced: false,
        }
    }

    /// Whether an asynchronous commit has no outcome yet.
    pub(crate) fn has_pending(&self) -> bool {
        self.open.values().any(|commit| !matches!(commit.progress, Progress::Done(_)))
    }
}

impl Core {
    pub(crate) fn check_fenced(&self) -> Result<(), ClientError> {
        match self.commits.fenced {
            true => Err(ClientError::Broker(ResponseError::FencedInstanceId)),
            false => Ok(()),
        }
    }

    /// With `enable.auto.commit`: once per interval, at the start of a poll, commits where earlier polls
    /// have brought the positions. What this poll returns is covered by a later one.
    pub(crate) fn maybe_auto_commit(&mut self, now: Instant) {
        if self.config.enable_auto_commit && self.group.is_some() && self.commits.next_auto <= now {
            self.commits.next_auto = now + self.config.auto_commit_interval;
            let offsets = self.subscription.all_consumed();
            let id = self.start_commit(offsets, CommitCause::Interval, now);
            self.forget_when_done(id);
        }
    }

    /// When a waiting poll must wake up for auto-commit.
    pub(crate) fn next_auto_commit(&self) -> Instant {
        match self.config.enable_auto_commit && self.group.is_some() {
            true => self.commits.next_auto,
            false => Instant::FAR_FUTURE,
        }
    }

    /// Starts a commit whose outcome nobody asks for.
    fn forget_when_done(&mut self, id: CommitId) {
        if let Some(commit) = self.commits.open.get_mut(&id) {
            if matches!(commit.progress, Progress::Done(_)) {
                self.commits.open.remove(&id);
            } else {
                let (handle, _) = oneshot::channel();
                commit.handle = Some(handle);
            }
        }
    }

    pub(crate) fn start_async_commit(
        &mut self,
        offsets: OffsetsByPartition,
        now: Instant,
    ) -> oneshot::Receiver<Result<(), ClientError>> {
        let (handle, receiver) = oneshot::channel();
        let id = self.start_commit(offsets, CommitCause::Application, now);
        match self.take_commit_result(id) {
            Some(result) => {
                // The receiver is held below.
                let _ = handle.send(result.map_err(as_async_error));
            }
            None => {
                if let Some(commit) = self.commits.open.get_mut(&id) {
                    commit.handle = Some(handle);
                }
            }
        }
        receiver
    }

    pub(crate) fn start_commit(
        &mut self,
        offsets: OffsetsByPartition,
        cause: CommitCause,
        now: Instant,
    ) -> CommitId {
        self.commits.next_id += 1;
        let id = CommitId(self.commits.next_id);
        let empty = offsets.is_empty();
        let progress = if empty { Progress::Done(Ok(())) } else { Progress::Waiting };
        self.commits.open.insert(id, Commit { offsets, cause, progress, handle: None });
        if !empty {
            self.send_waiting_commits(now);
        }
        id
    }

    /// The outcome, once; `None` while there is none.
    pub(crate) fn take_commit_result(&mut self, id: CommitId) -> Option<Result<(), ClientError>> {
        match self.commits.open.get(&id)?.progress {
            Progress::Done(_) => match self.commits.open.remove(&id)?.progress {
                Progress::Done(result) => Some(result),
                Progress::Waiting | Progress::InFlight => None,
            },
            Progress::Waiting | Progress::InFlight => None,
        }
    }

    /// Gives up waiting for an outcome; the request may still arrive.
    pub(crate) fn drop_commit(&mut self, id: CommitId) {
        match self.commits.open.get(&id).map(|commit| &commit.progress) {
            Some(Progress::InFlight) => self.forget_when_done(id),
            _ => {
                self.commits.open.remove(&id);
            }
        }
    }

    pub(crate) fn send_waiting_commits(&mut self, now: Instant) {
        let waiting: Vec<CommitId> = self
            .commits
            .open
            .iter()
            .filter(|(_, commit)| matches!(commit.progress, Progress::Waiting))
            .map(|(id, _)| *id)
            .collect();
        for id in waiting {
            match self.ready_coordinator(now) {
                Ok(Some(node)) => self.send_commit(id, node, now),
                Ok(None) => return,
                Err(error) => self.commit_ended(id, Err(error), now),
            }
        }
    }

    fn send_commit(&mut self, id: CommitId, node: NodeKey, now: Instant) {
        let generation = match self.generation_for_commit() {
            Ok(generation) => generation,
            Err(error) => return self.commit_ended(id, Err(error), now),
        };
        let Some(group) = &self.group else { return };
        let managed = self.subscription.is_group_managed();
        let instance = group.instance.clone().filter(|_| managed);
        let Some(commit) = self.commits.open.get_mut(&id) else { return };
        commit.progress = Progress::InFlight;
        let topics = group_by_topic(commit.offsets.iter().map(|(tp, offset)| (tp, *offset)));
        let topics = topics.into_iter().map(|(topic, partitions)| {
            let partitions = partitions.into_iter().map(|(number, offset)| {
                OffsetCommitRequestPartition::default()
                    .with_partition_index(number)
                    .with_committed_offset(offset.0)
                    .with_committed_leader_epoch(-1)
                    .with_committed_metadata(Some(StrBytes::new()))
            });
            OffsetCommitRequestTopic::default()
                .with_name(topic.into())
                .with_partitions(partitions.collect())
        });
        let request = OffsetCommitRequest::default()
            .with_group_id(StrBytes::from_string(group.id.to_string()).into())
            .with_generation_id_or_member_epoch(generation.id.0)
            .with_member_id(StrBytes::from_string(generation.member.to_string()))
            .with_group_instance_id(instance.map(StrBytes::from_string))
            .with_retention_time_ms(-1)
            .with_topics(topics.collect());
        self.events.emit(|| ClientEvent::CommitSent {
            generation: generation.id,
            offsets: commit.offsets.clone(),
            cause: commit.cause,
        });
        self.cluster.send(node, Request::Commit(id, generation), now, |_| request);
    }

    /// Under which membership to commit; none for partitions that the application assigned itself.
    fn generation_for_commit(&self) -> Result<Generation, ClientError> {
        if !self.subscription.is_group_managed() {
            return Ok(Generation::none());
        }
        let group = self.group.as_ref().ok_or(ClientError::CommitFailed)?;
        match group.generation_if_stable() {
            Some(generation) => Ok(generation.clone()),
            None if group.rebalance_in_progress() => Err(ClientError::RebalanceInProgress),
            None => Err(ClientError::CommitFailed),
        }
    }

    pub(crate) fn handle_commit(
        &mut self,
        id: CommitId,
        sent: Generation,
        answer: Answer,
        now: Instant,
    ) {
        let result = match self.coordinator_answer::<OffsetCommitResponse>(answer, now) {
            Err(error) => Err(error),
            Ok((response, _)) => {
                let parts = response.topics.iter().flat_map(|topic| &topic.partitions);
                match parts.filter_map(|part| code_error(part.error_code)).next() {
                    None => Ok(()),
                    Some(error) => Err(self.commit_refused(&sent, error, now)),
                }
            }
        };
        self.commit_ended(id, result, now);
    }

    /// What a coordinator's error means for the commit and for the membership.
    fn commit_refused(
        &mut self,
        sent: &Generation,
        error: ResponseError,
        now: Instant,
    ) -> ClientError {
        use ResponseError as E;
        let Some(group) = &mut self.group else { return ClientError::Broker(error) };
        let same = group.generation == *sent;
        let preparing = group.state == MemberState::PreparingRebalance;
        match error {
            error if is_coordinator_gone(error) || error == E::RequestTimedOut => {
                self.mark_coordinator_unknown(now);
                ClientError::Broker(error)
            }
            E::FencedInstanceId if same => ClientError::Broker(error),
            E::FencedInstanceId if preparing => ClientError::RebalanceInProgress,
            E::FencedInstanceId => ClientError::CommitFailed,
            E::RebalanceInProgress => {
                let reason = "offset commit failed since group is already rebalancing";
                group.request_rejoin(reason);
                ClientError::RebalanceInProgress
            }
            E::UnknownMemberId | E::IllegalGeneration if !same && preparing => {
                ClientError::RebalanceInProgress
            }
            E::UnknownMemberId | E::IllegalGeneration => {
                // A commit of a manually assigned consumer that clashes with a group's members does not
                // end a membership that it does not have.
                if self.subscription.is_group_managed() {
                    self.fenced(error);
                }
                ClientError::CommitFailed
            }
            error => ClientError::Broker(error),
        }
    }

    fn commit_ended(&mut self, id: CommitId, result: Result<(), ClientError>, now: Instant) {
        let Some(commit) = self.commits.open.get_mut(&id) else { return };
        let (offsets, cause) = (commit.offsets.clone(), commit.cause);
        match &result {
            Ok(()) => self.events.emit(|| ClientEvent::Committed { offsets, cause }),
            Err(error) => {
                self.events.emit(|| ClientEvent::CommitFailed {
                    offsets,
                    cause,
                    error: error.clone(),
                });
                if *error == ClientError::Broker(ResponseError::FencedInstanceId)
                    && commit.handle.is_some()
                {
                    self.commits.fenced = true;
                }
                if cause == CommitCause::Interval && error.is_retriable() {
                    self.commits.next_auto = now + self.retry.initial();
                }
            }
        }
        match commit.handle.take() {
            Some(handle) => {
                self.commits.open.remove(&id);
                // Whoever dropped the handle does not want to know.
                let _ = handle.send(result.map_err(as_async_error));
            }
            None => commit.progress = Progress::Done(result),
        }
        self.wake_app();
    }

    /// The coordinator cannot be found: asynchronous commits that wait for it are not kept.
    pub(crate) fn fail_waiting_commits(&mut self, error: &ClientError) {
        let waiting: Vec<CommitId> = self
            .commits
            .open
            .iter()
            .filter(|(_, commit)| matches!(commit.progress, Progress::Waiting))
            .map(|(id, _)| *id)
            .collect();
        for id in waiting {
            self.commit_ended(id, Err(error.clone()), Instant::default());
        }
    }
}

/// Asynchronous commits are not retried; the application may do it itself.
fn as_async_error(error: ClientError) -> ClientError {
    match error.is_retriable() {
        true => ClientError::RetriableCommitFailed(Box::new(error)),
        false => error,
    }
}
