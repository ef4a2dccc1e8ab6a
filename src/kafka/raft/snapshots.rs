//! FetchSnapshot, both sides (KIP-630): a replica whose next records are in a snapshot only fetches that, part by
//! part, and lets it take the place of its log.

use bytes::Bytes;

use super::{
    Effect, FetchSnapshotRequest, FetchSnapshotResponse, Now, Quorum, QuorumLog, RequestToken,
    Response, SnapshotPart, Standing, log::BOOTSTRAP_SNAPSHOT, quorum::Role, responses::Outcome,
};
use crate::kafka::protocol::ResponseError;

impl Quorum {
    pub(super) fn snapshot_requested(
        &mut self,
        now: Now,
        log: &dyn QuorumLog,
        token: RequestToken,
        request: &FetchSnapshotRequest,
        effects: &mut Vec<Effect>,
    ) {
        if self.check_cluster(request.cluster_id.as_deref()).is_err() {
            let response = Response::Refused(ResponseError::InconsistentClusterId);
            effects.push(Effect::Answer { request: token, response });
            return;
        }
        let size = self.check_leader_request(request.epoch).and_then(|()| {
            let known = log.snapshot_size(request.snapshot);
            let size = known.filter(|_| request.snapshot != BOOTSTRAP_SNAPSHOT);
            let size = size.ok_or(ResponseError::SnapshotNotFound)?;
            if request.position < size { Ok(size) } else { Err(ResponseError::PositionOutOfRange) }
        });
        match size {
            Ok(size) => {
                self.note_voter(now, request.replica);
                effects.push(Effect::AnswerWithSnapshot {
                    request: token,
                    standing: self.standing(None),
                    snapshot: request.snapshot,
                    size,
                    position: request.position,
                    max_bytes: request.max_bytes,
                });
            }
            Err(error) => {
                let standing: Standing = self.standing(Some(error));
                let response =
                    Response::FetchSnapshot(FetchSnapshotResponse { standing, part: None });
                effects.push(Effect::Answer { request: token, response });
            }
        }
    }

    /// The leader's answer to a follower, without an error that others have too.
    ///
    /// A part that does not fit makes the follower begin anew, after a pause; Kafka throws.
    pub(super) fn snapshot_fetched(
        &mut self,
        now: Now,
        response: FetchSnapshotResponse,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        let Role::Follower(follower) = &mut self.role else { return Outcome::Done };
        let Some(fetching) = follower.fetching else { return Outcome::Done };
        let part = match (response.standing.error, response.part) {
            (None, Some(part)) => part,
            // The leader has another by now.
            (Some(ResponseError::SnapshotNotFound) | None, _) => {
                follower.fetching = None;
                self.leader_is_alive(now);
                return Outcome::Done;
            }
            (Some(_), _) => {
                follower.fetching = None;
                return Outcome::Failed;
            }
        };
        let SnapshotPart { snapshot, size, position, bytes } = part;
        let end = position + bytes.len() as u64;
        let fits = snapshot == fetching.snapshot && position == fetching.position;
        if !fits || bytes.is_empty() || end > size {
            follower.fetching = None;
            return Outcome::Failed;
        }
        follower.fetching = Some(super::follower::SnapshotFetch { snapshot, position: end });
        self.write_snapshot(snapshot, position, bytes, effects);
        if end == size {
            self.install(snapshot, effects);
        }
        self.leader_is_alive(now);
        Outcome::Done
    }

    fn write_snapshot(
        &self,
        snapshot: super::OffsetAndEpoch,
        position: u64,
        bytes: Bytes,
        effects: &mut Vec<Effect>,
    ) {
        effects.push(Effect::WriteSnapshot { snapshot, position, bytes });
    }

    pub(super) fn install(&mut self, snapshot: super::OffsetAndEpoch, effects: &mut Vec<Effect>) {
        if let Role::Follower(follower) = &mut self.role {
            follower.fetching = None;
        }
        self.log_in_flux = true;
        self.syncing = None;
        self.synced = snapshot.offset;
        effects.push(Effect::InstallSnapshot { snapshot });
        // Only what is committed is ever in a snapshot.
        self.raise_high_watermark(snapshot.offset, effects);
    }
}
