//! What a follower makes of the answers to its Fetches, one by one: also those that no sound leader gives.

use bytes::Bytes;

use super::{
    super::{
        Correlation, Effect, ElectionState, Fault, FetchOutcome, FetchResponse, Jitter, Now,
        OffsetAndEpoch, Quorum, QuorumConfig, QuorumFlush, Response, Standing,
    },
    memory_log::{Entry, MemoryLog},
    world::key,
};
use crate::{
    env::Instant,
    kafka::types::{BrokerId, LeaderEpoch, Offset},
};

const NOW: Now = Now { instant: Instant::from_nanos(0), jitter: Jitter(0) };
const LEADER: BrokerId = BrokerId(3);

/// Replica 1 follows replica 3 in epoch 5, with two records of epoch 4 that are synced.
struct Follower {
    quorum: Quorum,
    log: MemoryLog,
    asked: Correlation,
}

impl Follower {
    fn new() -> Self {
        let mut config = QuorumConfig::new(key(1), "c", &[key(1), key(2), key(3)]);
        config.policies.quorum_flush = QuorumFlush::Never;
        let entry = |value| Entry { epoch: 4, value };
        let log = MemoryLog { entries: vec![entry(0), entry(1)], ..MemoryLog::default() };
        let stored = ElectionState { epoch: LeaderEpoch(5), leader: Some(LEADER), voted: None };
        let mut effects = Vec::new();
        let quorum = Quorum::start(NOW, config, Some(stored), &log, &mut effects);
        Follower { quorum, log, asked: asked(&effects).expect("it fetches") }
    }

    /// What follows from the leader's answer.
    fn hears(&mut self, high_watermark: i64, outcome: FetchOutcome) -> Vec<Effect> {
        let response = Response::Fetch(FetchResponse {
            standing: Standing { error: None, epoch: LeaderEpoch(5), leader: Some(LEADER) },
            high_watermark: Some(Offset(high_watermark)),
            log_start: Offset(0),
            outcome,
        });
        let mut effects = Vec::new();
        self.quorum.handle_response(NOW, &self.log, LEADER, self.asked, response, &mut effects);
        self.asked = asked(&effects).unwrap_or(self.asked);
        effects
    }
}

fn asked(effects: &[Effect]) -> Option<Correlation> {
    effects.iter().find_map(|effect| match effect {
        Effect::Send { correlation, .. } => Some(*correlation),
        _ => None,
    })
}

const NOTHING: FetchOutcome = FetchOutcome::Records(Bytes::new());

fn at(offset: i64, epoch: i32) -> OffsetAndEpoch {
    OffsetAndEpoch::new(Offset(offset), LeaderEpoch(epoch))
}

#[test]
fn a_leader_that_takes_back_what_was_committed_is_followed_no_further() {
    let mut follower = Follower::new();
    assert!(follower.hears(2, NOTHING).contains(&Effect::HighWatermarkMoved(Offset(2))));
    let fell = Fault::HighWatermarkFell { told: Offset(1), known: Offset(2) };
    assert!(follower.hears(1, NOTHING).contains(&Effect::Halt(fell)));
}

#[test]
fn what_is_committed_is_never_cut() {
    let mut follower = Follower::new();
    let cut = follower.hears(1, FetchOutcome::Diverging(at(0, 0)));
    assert!(cut.contains(&Effect::TruncateLog { to: Offset(0) }), "{cut:?}");
    let mut follower = Follower::new();
    follower.hears(1, NOTHING);
    let refused = follower.hears(1, FetchOutcome::Diverging(at(0, 0)));
    let fault = Fault::CommittedTruncated { to: Offset(0), high_watermark: Offset(1) };
    assert!(refused.contains(&Effect::Halt(fault)), "{refused:?}");
}

/// The power went after it was complete, and the log, which has a later epoch, stayed.
#[test]
fn a_snapshot_that_is_complete_already_takes_the_place_of_the_log_at_once() {
    let mut follower = Follower::new();
    let snapshot = at(7, 3);
    follower.hears(0, FetchOutcome::Snapshot(snapshot));
    assert_eq!(follower.quorum.fetching_snapshot(), Some((snapshot, 0)));
    let mut follower = Follower::new();
    follower.log.snapshots.insert(snapshot, 70);
    let effects = follower.hears(0, FetchOutcome::Snapshot(snapshot));
    assert!(effects.contains(&Effect::InstallSnapshot { snapshot }), "{effects:?}");
}
