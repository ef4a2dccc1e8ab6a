//! Who grants what to whom, role by role.

use super::{
    super::{
        Ballot, Effect, ElectionState, Jitter, Now, OffsetAndEpoch, Quorum, QuorumConfig,
        QuorumFlush, ReplicaKey, Request, RequestToken, VoteRequest,
    },
    memory_log::{Entry, MemoryLog},
    show,
    world::key,
};
use crate::{
    env::Instant,
    kafka::types::{BrokerId, LeaderEpoch, Offset},
};

const NOW: Now = Now { instant: Instant::from_nanos(0), jitter: Jitter(0) };

/// Replica `local` in epoch 5, with one record of epoch 4. Nothing in its log need be synced first.
fn replica(local: ReplicaKey, leader: Option<i32>, voted: Option<i32>) -> (Quorum, MemoryLog) {
    let mut config = QuorumConfig::new(local, "c", &[key(1), key(2), key(3)]);
    config.policies.quorum_flush = QuorumFlush::Never;
    let log = MemoryLog { entries: vec![Entry { epoch: 4, value: 0 }], ..MemoryLog::default() };
    let stored = ElectionState {
        epoch: LeaderEpoch(5),
        leader: leader.map(BrokerId),
        voted: voted.map(key),
    };
    let quorum = Quorum::start(NOW, config, Some(stored), &log, &mut Vec::new());
    (quorum, log)
}

fn vote(candidate: ReplicaKey, epoch: i32, last: (i64, i32), ballot: Ballot) -> VoteRequest {
    VoteRequest {
        cluster_id: Some("c".into()),
        voter: None,
        replica: candidate,
        epoch: LeaderEpoch(epoch),
        last: OffsetAndEpoch::new(Offset(last.0), LeaderEpoch(last.1)),
        ballot,
    }
}

fn answer(quorum: &mut Quorum, log: &MemoryLog, request: VoteRequest) -> String {
    let mut effects = Vec::new();
    quorum.handle_request(NOW, log, RequestToken(0), Request::Vote(request), &mut effects);
    let told = effects.iter().find_map(|effect| match effect {
        Effect::Answer { response, .. } => Some(show::response(response)),
        _ => None,
    });
    told.expect("a vote request is answered at once")
}

#[test]
fn each_role_grants_what_it_may() {
    let observer = key(9);
    let roles = [
        ("unattached", key(1), None, None),
        ("voted for 2", key(1), None, Some(2)),
        ("voted for 3", key(1), None, Some(3)),
        ("candidate", key(1), None, Some(1)),
        ("follower of 3", key(1), Some(3), None),
        ("resigned", key(1), Some(1), None),
        ("observer", observer, None, None),
    ];
    let mut shown = String::new();
    for (name, local, leader, voted) in roles {
        shown += &format!("{name}\n");
        for ballot in [Ballot::PreVote, Ballot::Vote] {
            for (what, epoch, last) in
                [("same epoch", 5, (1, 4)), ("later epoch", 6, (1, 4)), ("short log", 6, (9, 3))]
            {
                let (mut quorum, log) = replica(local, leader, voted);
                let told = answer(&mut quorum, &log, vote(key(2), epoch, last, ballot));
                shown += &format!("    {ballot:?} of 2, {what}: {told}\n");
            }
        }
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn a_vote_goes_to_one_directory_only() {
    let (mut quorum, log) = replica(key(1), None, Some(2));
    let wiped = ReplicaKey::new(BrokerId(2), uuid::Uuid::from_u128(77));
    let told = answer(&mut quorum, &log, vote(wiped, 5, (1, 4), Ballot::Vote));
    assert_eq!(told, "not granted, epoch 5 led by nobody");
    let told = answer(&mut quorum, &log, vote(key(2), 5, (1, 4), Ballot::Vote));
    assert_eq!(told, "granted, epoch 5 led by nobody");
}

#[test]
fn requests_for_others_are_refused() {
    let (mut quorum, log) = replica(key(1), None, None);
    let request = vote(key(2), 6, (1, 4), Ballot::Vote);
    let other = VoteRequest { cluster_id: Some("d".into()), ..request.clone() };
    assert_eq!(answer(&mut quorum, &log, other), "refused: InconsistentClusterId");
    let wiped = ReplicaKey::new(BrokerId(1), uuid::Uuid::from_u128(77));
    let other = VoteRequest { voter: Some(wiped), ..request.clone() };
    assert_eq!(
        answer(&mut quorum, &log, other),
        "not granted, InvalidVoterKey, epoch 6 led by nobody"
    );
    let stale = VoteRequest { epoch: LeaderEpoch(5), ..request.clone() };
    assert_eq!(
        answer(&mut quorum, &log, stale),
        "not granted, FencedLeaderEpoch, epoch 6 led by nobody"
    );
    let liar = VoteRequest {
        epoch: LeaderEpoch(7),
        last: OffsetAndEpoch::new(Offset(1), LeaderEpoch(7)),
        ..request
    };
    assert_eq!(
        answer(&mut quorum, &log, liar),
        "not granted, InvalidRequest, epoch 6 led by nobody"
    );
}

/// Its `quorum-state` is lost, or older than the log: whom it voted for in the log's epoch is not known.
#[test]
fn a_replica_is_never_in_an_earlier_epoch_than_its_log() {
    let log = MemoryLog { entries: vec![Entry { epoch: 4, value: 0 }], ..MemoryLog::default() };
    let older = ElectionState { epoch: LeaderEpoch(3), leader: None, voted: Some(key(2)) };
    for stored in [None, Some(older)] {
        let config = QuorumConfig::new(key(1), "c", &[key(1), key(2), key(3)]);
        let quorum = Quorum::start(NOW, config, stored, &log, &mut Vec::new());
        let expected = ElectionState { epoch: LeaderEpoch(4), leader: None, voted: None };
        assert_eq!(quorum.election(), expected);
    }
}
