//! Whom a leader counts among those that read along without a vote.

use std::time::Duration;

use super::{
    super::{
        FetchRequest, Jitter, Now, Quorum, QuorumConfig, QuorumFlush, Request, RequestToken,
        RoleName,
    },
    memory_log::{Entry, MemoryLog},
    world::key,
};
use crate::{
    env::Instant,
    kafka::types::{BrokerId, LeaderEpoch, Offset},
};

fn at(seconds: u64) -> Now {
    Now { instant: Instant::default() + Duration::from_secs(seconds), jitter: Jitter(0) }
}

/// The only voter, which leads in epoch 1.
fn leader() -> (Quorum, MemoryLog) {
    let mut config = QuorumConfig::new(key(1), "c", &[key(1)]);
    config.policies.quorum_flush = QuorumFlush::Never;
    let mut log = MemoryLog::default();
    let mut quorum = Quorum::start(at(0), config, None, &log, &mut Vec::new());
    log.entries.push(Entry { epoch: 1, value: 0 });
    quorum.handle_log_changed(at(0), &log, &mut Vec::new());
    assert_eq!(quorum.role(), RoleName::Leader);
    (quorum, log)
}

fn fetch(id: i32) -> Request {
    Request::Fetch(FetchRequest {
        cluster_id: None,
        replica: key(id),
        epoch: LeaderEpoch(1),
        last_fetched_epoch: LeaderEpoch(0),
        offset: Offset(0),
        max_wait: Duration::ZERO,
        max_bytes: 1000,
        high_watermark: Offset(-1),
    })
}

#[test]
fn an_observer_that_is_silent_for_five_minutes_is_forgotten() {
    let (mut quorum, log) = leader();
    let mut observers_after = |seconds, id| -> Vec<BrokerId> {
        let token = RequestToken(seconds);
        quorum.handle_request(at(seconds), &log, token, fetch(id), &mut Vec::new());
        quorum.progress().1.iter().map(|it| it.replica.id).collect()
    };
    assert_eq!(observers_after(0, 8), [BrokerId(8)]);
    assert_eq!(observers_after(299, 9), [BrokerId(8), BrokerId(9)]);
    assert_eq!(observers_after(300, 9), [BrokerId(9)]);
}
