//! What Kafka's replication once did: each schedule breaks a rule under the old policy and none under the
//! present one, which must also heal. The numbers are those of the catalogue of accidents.

use super::{
    controller::Elr,
    script::run,
    world::{Setup, World},
};
use crate::kafka::replica::{
    AlterResponseMatch, DivergingFetch, FetchBrokerEpoch, FetchEpochCheck, FollowerApplies,
    HighWatermarkOver, IsrJoinGate, MissedEpochs, ReplicaPolicy, Truncation, UnderMinIsr,
};

const LACKS: &str = "may lead and lacks what was committed";
const OTHER: &str = "below its high watermark is not what was committed";

/// The schedule under the old policy breaks this rule first; under the other one, none.
#[track_caller]
fn only_under(old: Setup, new: Setup, schedule: &str, breach: &str) {
    let broken = run(old, schedule).violations;
    let first = broken.first().map_or("", String::as_str);
    assert!(first.contains(breach), "under {:?}: {broken:?}", old.policy);
    let World { violations, .. } = run(new, schedule);
    assert!(violations.is_empty(), "under {:?}: {violations:?}", new.policy);
}

#[track_caller]
fn only_under_policy(policy: ReplicaPolicy, schedule: &str, breach: &str) {
    let old = Setup { policy, ..Setup::default() };
    only_under(old, Setup::default(), schedule, breach);
}

/// 3: the record is committed, but b1 has not heard so when it hears of another leader.
#[test]
fn truncating_to_ones_own_high_watermark_loses_records() {
    let policy = ReplicaPolicy { truncation: Truncation::HighWatermark, ..Default::default() };
    only_under_policy(
        policy,
        "
        produce b0
        fetch b1 b2
        ask b2
        take b2
        ask b1
        take b1
        elect b2
        see b1
        ",
        LACKS,
    );
}

/// 3c: b2 knew the record to be committed, but starts without its checkpoint. It is still eligible to lead.
#[test]
fn truncating_to_a_forgotten_high_watermark_loses_what_was_known() {
    let policy = ReplicaPolicy { truncation: Truncation::HighWatermark, ..Default::default() };
    let schedule = |checkpoint: &str| {
        format!(
            "
        produce b0
        fetch b1 b2
        fetch b1 b2
        fetch b2
        {checkpoint}
        fence b1
        kill b2
        restart b2
        unfence b2
        see b2
        fence b0
        see b2
        "
        )
    };
    only_under_policy(policy, &schedule(""), LACKS);
    let World { violations, .. } =
        run(Setup { policy, ..Setup::default() }, &schedule("checkpoint b2"));
    assert!(violations.is_empty(), "{violations:?}");
}

/// 4: b0's high watermark is past the point where the new leader's log parts from its own.
#[test]
fn truncating_to_ones_own_high_watermark_keeps_too_much() {
    let policy = ReplicaPolicy { truncation: Truncation::HighWatermark, ..Default::default() };
    let two = |policy| Setup { policy, elr: Elr::Off, min_isr: 1, brokers: 2 };
    let schedule = "
        produce b0
        fetch b1
        fetch b1
        produce b0
        fetch b1
        fetch b1
        checkpoint b0
        sync b0
        lose-power b1 1
        kill b0
        fence b0
        restart b1
        unfence b1
        see b1
        produce b1
        restart b0
        unfence b0
        see b0
        fetch b0
        ";
    let old = run(two(policy), schedule);
    let new = run(two(ReplicaPolicy::default()), schedule);
    // The second record is lost either way: both had lost power. But the logs must not differ.
    let log = |world: &World, id: usize| super::show::log(&world.nodes[id].log).replace(" |", "");
    assert_ne!(log(&old, 0), log(&old, 1));
    let agrees = |world: &World| log(world, 1).starts_with(&log(world, 0));
    assert!(!agrees(&old) && agrees(&new), "{} - {}", log(&new, 0), log(&new, 1));
}

/// 5: b0 is elected again before it has heard of epoch 1; b2 holds a record of that.
#[test]
fn an_epochs_end_without_its_epoch_leaves_a_fork() {
    let policy = ReplicaPolicy { truncation: Truncation::LeaderEpochKip101, ..Default::default() };
    let schedule = "
        produce b0 acks=1
        elect b2
        see b2
        produce b2 acks=1
        elect b0
        see b0 b1 b2
        fetch b2
        produce b0
        fetch b1 b2
        fetch b1 b2
        fetch b1 b2
        fetch b1 b2
        ";
    only_under_policy(policy, schedule, LACKS);
    let kip_279 = ReplicaPolicy { truncation: Truncation::LeaderEpochKip279, ..Default::default() };
    let World { violations, .. } = run(Setup { policy: kip_279, ..Setup::default() }, schedule);
    assert!(violations.is_empty(), "{violations:?}");
}

/// 6: b2 sleeps through epoch 1 and fetches from b0, which has cut off meanwhile what b2 still holds.
#[test]
fn a_follower_of_an_old_epoch_forks() {
    let policy = ReplicaPolicy {
        fetch_epoch_check: FetchEpochCheck::Off,
        truncation: Truncation::LeaderEpochKip279,
        ..Default::default()
    };
    let fixed = ReplicaPolicy { fetch_epoch_check: FetchEpochCheck::Kip320, ..policy };
    only_under(
        Setup { policy, ..Setup::default() },
        Setup { policy: fixed, ..Setup::default() },
        "
        produce b0 acks=1
        fetch b2
        fence b2
        elect b1
        see b1 b0
        produce b1 acks=1
        fetch b0
        fetch b0
        fetch b0
        produce b1 acks=1
        fetch b0
        fetch b0
        elect b0
        see b0 b1
        unfence b2
        produce b0
        fetch b2
        fetch b1
        fetch b1
        fetch b1
        fetch b2
        fetch b2
        alter
        altered
        ",
        OTHER,
    );
}

/// 8: b1 reaches the high watermark that b2 inherited, not what was committed before b2 led.
#[test]
fn a_laggard_that_reaches_a_stale_high_watermark_joins() {
    let policy = ReplicaPolicy { isr_join_gate: IsrJoinGate::HighWatermark, ..Default::default() };
    only_under_policy(
        policy,
        "
        fence b1
        see b0 b1 b2
        unfence b1
        see b0 b1 b2
        produce b0
        fetch b2
        ask b2
        take b2
        kill b0
        fence b0
        see b1 b2
        ask b1
        take b1
        alter
        ",
        LACKS,
    );
}

/// 9: the controller has made b2 a member already, and b0 commits without it.
#[test]
fn a_high_watermark_over_the_old_isr_alone_loses_records() {
    let high_watermark_over = HighWatermarkOver::CommittedIsr;
    only_under_policy(
        ReplicaPolicy { high_watermark_over, ..Default::default() },
        "
        fence b2
        see b0 b1 b2
        unfence b2
        see b0 b1 b2
        fetch b2
        alter
        produce b0
        fetch b1
        fetch b1
        ",
        LACKS,
    );
}

/// The sister of 9 (KAFKA-12686): the answer to the shrink is taken for the one to the expansion.
#[test]
fn an_answer_to_an_older_request_shrinks_the_isr() {
    let alter_response_match = AlterResponseMatch::Loose;
    only_under_policy(
        ReplicaPolicy { alter_response_match, ..Default::default() },
        "
        produce b0
        fetch b1
        fetch b1
        tick 25000
        fetch b1
        tick 20000
        fetch b1
        alter
        see b0
        fetch b2
        fetch b2
        alter
        altered
        tick 31000
        fetch b1
        produce b0
        fetch b1
        fetch b1
        ",
        LACKS,
    );
}

/// 10: b1 asks for offset 1 with another record at 0, and counts as having the leader's.
#[test]
fn a_diverging_fetch_that_counts_commits_what_is_not_there() {
    let policy =
        ReplicaPolicy { diverging_fetch: DivergingFetch::CountsAsProgress, ..Default::default() };
    only_under_policy(
        policy,
        "
        produce b0
        fetch b1
        kill b0
        elect b2
        fence b0
        see b1 b2
        ask b1
        take b1
        produce b2
        ",
        LACKS,
    );
}

/// 12: b2 caught up, was wiped and came back; the request that meant its former life makes it a member.
#[test]
fn an_isr_of_ids_takes_in_a_wiped_broker() {
    let policy = ReplicaPolicy { fetch_broker_epoch: FetchBrokerEpoch::Off, ..Default::default() };
    only_under_policy(
        policy,
        "
        fence b2
        see b0 b1 b2
        produce b0
        fetch b1
        fetch b1
        unfence b2
        see b0 b1 b2
        fetch b2
        fetch b2
        wipe b2
        restart b2
        unfence b2
        alter
        ",
        LACKS,
    );
}

/// 13: b0's own record at 0 is doomed when it hears that one is committed there.
#[test]
fn a_high_watermark_before_truncation_shows_doomed_records() {
    let follower_applies = FollowerApplies::HighWatermarkThenTruncate;
    only_under_policy(
        ReplicaPolicy { follower_applies, ..Default::default() },
        "
        produce b0 acks=1
        elect b1
        see b1 b2
        produce b1
        fence b0
        see b1
        fetch b2
        fetch b2
        see b0
        fetch b0
        ",
        OTHER,
    );
}

/// 15: the last of the ISR loses its log and is elected as its only member.
#[test]
fn the_last_replica_standing_takes_the_log_with_it() {
    let elr = |elr| Setup { elr, ..Setup::default() };
    only_under(
        elr(Elr::Off),
        elr(Elr::On),
        "
        produce b0
        fetch b1 b2
        fetch b1 b2
        fence b1
        fence b2
        lose-power b0 0
        restart b0
        unfence b0
        ",
        LACKS,
    );
}

/// 15, as far as the leader goes: what one broker of `min.insync.replicas=2` has is not committed.
#[test]
fn a_high_watermark_under_min_isr_commits_too_little() {
    let policy = ReplicaPolicy { under_min_isr: UnderMinIsr::Advances, ..Default::default() };
    only_under_policy(
        policy,
        "
        fence b1
        fence b2
        see b0
        produce b0 acks=1
        ",
        LACKS,
    );
}

/// Not in the catalogue: the walks found it. b0 leads again without having heard of b2's epoch; b1, which
/// follows b2 still, counts as having what it then truncates.
#[test]
fn what_is_known_of_followers_does_not_outlast_a_missed_epoch() {
    let policy = ReplicaPolicy { missed_epochs: MissedEpochs::Trusted, ..Default::default() };
    only_under_policy(
        policy,
        "
        produce b0
        fetch b1
        ask b1
        take b1
        elect b2
        see b1
        fence b2
        see b0
        see b2
        ",
        "",
    );
}
