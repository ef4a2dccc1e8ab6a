//! Fetch, both sides: the leader learns how far a replica is and sends what it lacks; the replica appends,
//! truncates, or turns to a snapshot.

use std::time::Duration;

use bytes::Bytes;

use super::{
    Effect, Fault, FetchOutcome, FetchRequest, FetchResponse, Now, OffsetAndEpoch, Quorum,
    QuorumLog, RequestToken, Response, Standing,
    follower::SnapshotFetch,
    leader::Parked,
    log::{self, Position},
    quorum::Role,
    responses::Outcome,
};
use crate::kafka::{
    protocol::ResponseError,
    types::{LeaderEpoch, Offset},
};

/// `KafkaRaftClient.MAX_FETCH_WAIT_MS`
pub(super) const FETCH_MAX_WAIT: Duration = Duration::from_millis(500);

impl Quorum {
    pub(super) fn fetch_requested(
        &mut self,
        now: Now,
        log: &dyn QuorumLog,
        token: RequestToken,
        request: FetchRequest,
        effects: &mut Vec<Effect>,
    ) {
        if self.check_cluster(request.cluster_id.as_deref()).is_err() {
            let response = Response::Refused(ResponseError::InconsistentClusterId);
            effects.push(Effect::Answer { request: token, response });
            return;
        }
        let unfit = request.offset < Offset(0)
            || request.last_fetched_epoch < LeaderEpoch(0)
            || request.last_fetched_epoch > request.epoch
            || request.replica.id == self.config.local.id;
        if unfit {
            let error = Some(ResponseError::InvalidRequest);
            self.answer_empty(log, token, self.standing(error), effects);
            return;
        }
        if let Err(error) = self.check_leader_request(request.epoch) {
            self.answer_empty(log, token, self.standing(Some(error)), effects);
            return;
        }
        let position = log::validate(log, request.offset, request.last_fetched_epoch);
        if position == Position::Valid {
            // Whoever waited for this replica is served before it is.
            self.note_fetch(now, log, request.replica, request.offset, effects);
        }
        if !self.has_news(log, &request, position) && request.max_wait > Duration::ZERO {
            let until = now.instant + request.max_wait;
            if let Role::Leader(leader) = &mut self.role {
                leader.parked.push(Parked { token, request, until });
            }
            return;
        }
        self.serve(log, token, &request, position, effects);
    }

    /// `validateLeaderOnlyRequest`
    pub(super) fn check_leader_request(&self, epoch: LeaderEpoch) -> Result<(), ResponseError> {
        if epoch < self.election.epoch {
            Err(ResponseError::FencedLeaderEpoch)
        } else if epoch > self.election.epoch {
            Err(ResponseError::UnknownLeaderEpoch)
        } else if matches!(self.role, Role::Leader(_)) {
            Ok(())
        } else {
            // So replicas ask who leads.
            Err(ResponseError::NotLeaderOrFollower)
        }
    }

    fn has_news(&self, log: &dyn QuorumLog, request: &FetchRequest, position: Position) -> bool {
        let Role::Leader(leader) = &self.role else { return true };
        position != Position::Valid
            || log.end_offset() > request.offset
            || leader.high_watermark.is_some_and(|known| known > request.high_watermark)
    }

    fn serve(
        &self,
        log: &dyn QuorumLog,
        token: RequestToken,
        request: &FetchRequest,
        position: Position,
        effects: &mut Vec<Effect>,
    ) {
        let Role::Leader(leader) = &self.role else { return };
        let outcome = match position {
            Position::Valid => FetchOutcome::Records(Bytes::new()),
            Position::Diverging(end) => FetchOutcome::Diverging(end),
            Position::Snapshot(snapshot) => FetchOutcome::Snapshot(snapshot),
        };
        let response = FetchResponse {
            standing: self.standing(None),
            high_watermark: leader.high_watermark,
            log_start: log.start_offset(),
            outcome,
        };
        effects.push(if position == Position::Valid && log.end_offset() > request.offset {
            let (from, max_bytes) = (request.offset, request.max_bytes);
            Effect::AnswerWithRecords { request: token, from, max_bytes, response }
        } else {
            Effect::Answer { request: token, response: Response::Fetch(response) }
        });
    }

    /// Those whose wait is over, with what there is. Kafka (to 4.0) repeats what it would have said at first.
    ///
    /// A Fetch counts as a sign of life when it comes; in Kafka also when records end its wait.
    pub(super) fn serve_parked(
        &self,
        log: &dyn QuorumLog,
        parked: Vec<Parked>,
        effects: &mut Vec<Effect>,
    ) {
        for Parked { token, request, .. } in parked {
            let position = log::validate(log, request.offset, request.last_fetched_epoch);
            self.serve(log, token, &request, position, effects);
        }
    }

    /// Those for whom there is something, at last.
    pub(super) fn serve_ready(&mut self, log: &dyn QuorumLog, effects: &mut Vec<Effect>) {
        let Role::Leader(leader) = &mut self.role else { return };
        if leader.parked.is_empty() || self.log_in_flux {
            return;
        }
        let parked = std::mem::take(&mut leader.parked);
        let (ready, waiting): (Vec<_>, Vec<_>) = parked.into_iter().partition(|parked| {
            let request = &parked.request;
            let position = log::validate(log, request.offset, request.last_fetched_epoch);
            self.has_news(log, request, position)
        });
        if let Role::Leader(leader) = &mut self.role {
            leader.parked = waiting;
        }
        self.serve_parked(log, ready, effects);
    }

    /// A leader that leads no more tells those who wait.
    pub(super) fn dismiss(&self, leader: super::leader::Leader, effects: &mut Vec<Effect>) {
        for parked in leader.parked {
            let response = FetchResponse {
                standing: self.standing(Some(ResponseError::NotLeaderOrFollower)),
                high_watermark: None,
                log_start: Offset(-1),
                outcome: FetchOutcome::Records(Bytes::new()),
            };
            let response = Response::Fetch(response);
            effects.push(Effect::Answer { request: parked.token, response });
        }
    }

    fn answer_empty(
        &self,
        log: &dyn QuorumLog,
        token: RequestToken,
        standing: Standing,
        effects: &mut Vec<Effect>,
    ) {
        let response = Response::Fetch(FetchResponse {
            standing,
            high_watermark: None,
            log_start: log.start_offset(),
            outcome: FetchOutcome::Records(Bytes::new()),
        });
        effects.push(Effect::Answer { request: token, response });
    }

    /// The leader's answer to a follower, without an error.
    pub(super) fn fetched(
        &mut self,
        now: Now,
        log: &dyn QuorumLog,
        response: FetchResponse,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        match response.outcome {
            FetchOutcome::Diverging(end) => self.truncate(log, end, effects),
            FetchOutcome::Snapshot(snapshot) => self.turn_to_snapshot(log, snapshot, effects),
            FetchOutcome::Records(records) => {
                if !records.is_empty() {
                    self.log_in_flux = true;
                    effects.push(Effect::AppendFetched { records });
                }
                self.hear_high_watermark(log, response.high_watermark, effects);
            }
        }
        self.leader_is_alive(now);
        Outcome::Done
    }

    fn truncate(&mut self, log: &dyn QuorumLog, end: OffsetAndEpoch, effects: &mut Vec<Effect>) {
        let to = log::truncation_point(log, end);
        if let Some(high_watermark) = self.high_watermark.filter(|known| to < *known) {
            let fault = Fault::CommittedTruncated { to, high_watermark };
            effects.push(Effect::Halt(fault));
            return;
        }
        if to < log.end_offset() {
            self.log_in_flux = true;
            self.synced = self.synced.min(to);
            self.syncing = None;
            effects.push(Effect::TruncateLog { to });
        }
    }

    /// One that is complete already is not fetched again (`createNewSnapshotUnchecked`), but takes the place of the
    /// log at once: a power loss came between the two. Kafka, where its start does not see that either (the log has a
    /// later epoch), asks for ever.
    fn turn_to_snapshot(
        &mut self,
        log: &dyn QuorumLog,
        snapshot: OffsetAndEpoch,
        effects: &mut Vec<Effect>,
    ) {
        let Role::Follower(follower) = &mut self.role else { return };
        if log.snapshot_size(snapshot).is_none() {
            follower.fetching = Some(SnapshotFetch { snapshot, position: 0 });
        } else {
            self.install(snapshot, effects);
        }
    }
}
