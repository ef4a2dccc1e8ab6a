//! What a follower asks, and what it makes of the answers.

use super::{
    script::{play, plays, plays_under, run},
    world::{Body, Setup, World},
};
use crate::kafka::replica::{FollowerFetch, ReplicaPolicy, Truncation};

fn truncating(truncation: Truncation) -> Setup {
    let policy = ReplicaPolicy { truncation, ..Default::default() };
    Setup { policy, ..Setup::default() }
}

#[test]
fn a_follower_ahead_of_its_leader_asks_again_later() {
    plays(
        "
        elect b1
        see b2
            b2: follows b1 in epoch 1
        fetch b2
            b2 asks: fetch from 0 (epoch 1)
            b2 is told: UNKNOWN_LEADER_EPOCH
        ask b2
            b2 asks: nothing
        tick 1000
        see b1
            b1: leads in epoch 1
        fetch b2
            b2 asks: fetch from 0 (epoch 1)
            b2 is told: nothing with high watermark 0
            b2: appends nothing
",
    );
}

#[test]
fn a_follower_behind_the_metadata_waits_for_it() {
    plays(
        "
        elect b1
        see b0 b1
            b0: follows b1 in epoch 1
            b1: leads in epoch 1
        fetch b2
            b2 asks: fetch from 0 (epoch 0)
            b2 is told: FENCED_LEADER_EPOCH
        ask b2
            b2 asks: nothing
        tick 5000
        ask b2
            b2 asks: nothing
        see b2
            b2: follows b1 in epoch 1
        fetch b2
            b2 asks: fetch from 0 (epoch 1)
            b2 is told: nothing with high watermark 0
            b2: appends nothing
",
    );
}

#[test]
fn an_answer_to_what_would_not_be_asked_now_is_dropped() {
    plays(
        "
        produce b0
        ask b2
            b2 asks: fetch from 0 (epoch 0)
        take b2
        elect b1
        see b1 b2
            b1: leads in epoch 1
            b2: follows b1 in epoch 1
        give b2
            b2 is told: a0 with high watermark 0
        logs
            b0 0:  | a0
            b1 0:  |
            b2 0:  |
",
    );
}

#[test]
fn what_got_lost_is_asked_again() {
    plays(
        "
        produce b0
        ask b2
            b2 asks: fetch from 0 (epoch 0)
        take b2
        drop b2
        fetch b2
            b2 asks: fetch from 0 (epoch 0)
            b2 is told: a0 with high watermark 0
            b2: appends a0
",
    );
}

#[test]
fn a_broker_out_of_the_assignment_is_refused() {
    plays(
        "
        reassign b0 b1
        see b0
        fetch b2
            b2 asks: fetch from 0 (epoch 0)
            b2 is told: UNKNOWN_LEADER_EPOCH
",
    );
}

#[test]
fn a_follower_below_the_leaders_start_begins_anew() {
    plays(
        "
        fence b2
        see b0 b1
        produce b0
        produce b0
        fetch b1
            b1 asks: fetch from 0 (epoch 0)
            b0: low watermark moved
            b1 is told: a0 b0 with high watermark 0
            b1: appends a0 b0
        fetch b1
            b1 asks: fetch from 2 after epoch 0 (epoch 0)
            b0: high watermark 2
            b0: a acknowledged
            b0: b acknowledged
            b1 is told: nothing with high watermark 0
            b1: appends nothing
        fetch b1
            b1 asks: fetch from 2 after epoch 0 (epoch 0)
            b1 is told: nothing with high watermark 2
            b1: appends nothing
            b1: high watermark 2
        delete-records b0 2
        fetch b1
            b1 asks: fetch from 2 after epoch 0 (epoch 0)
            b1 is told: nothing with high watermark 2
            b1: appends nothing
            b1: log starts at 2
        unfence b2
        see b0
        fetch b2
            b2 asks: fetch from 0 (epoch 0)
            b2 is told: OFFSET_OUT_OF_RANGE
        fetch b2
            b2 asks: where does the log end (epoch 0)
            b2 is told: at 2
        fetch b2
            b2 asks: where does the log start (epoch 0)
            b2 is told: at 2
            b2: empties its log, starts at 2
        fetch b2
            b2 asks: fetch from 2 (epoch 0)
            b0: * b2 may join the ISR
            b0: asks for ISR [b0@0 b1@0 b2@0] in epoch 0, partition epoch 1
            b0: low watermark moved
            b2 is told: nothing with high watermark 2
            b2: appends nothing
        logs
            b0 2:  |
            b1 2:  |
            b2 2:  |
",
    );
}

/// The leader wrote on before it was asked where its log ends. The logs fork: nothing told the follower, before
/// fetches named epochs.
#[test]
fn a_follower_in_range_again_goes_on() {
    plays_under(
        truncating(Truncation::HighWatermark),
        "
        fence b2
        see b0
        produce b0
        produce b0
        fetch b1
            b1 asks: fetch from 0 (epoch 0)
            b0: low watermark moved
            b1 is told: a0 b0 with high watermark 0
            b1: appends a0 b0
        fetch b1
            b1 asks: fetch from 2 (epoch 0)
            b0: high watermark 2
            b0: a acknowledged
            b0: b acknowledged
            b1 is told: nothing with high watermark 0
            b1: appends nothing
        fetch b1
            b1 asks: fetch from 2 (epoch 0)
            b1 is told: nothing with high watermark 2
            b1: appends nothing
            b1: high watermark 2
        elect-unclean b2
            ! b2 may lead and lacks what was committed
        see b2 b1
            b2: leads in epoch 1
            b1: follows b2 in epoch 1
        fetch b1
            b1 asks: fetch from 2 (epoch 1)
            b1 is told: OFFSET_OUT_OF_RANGE
        produce b2 acks=1
        produce b2 acks=1
        produce b2 acks=1
        fetch b1
            b1 asks: where does the log end (epoch 1)
            b1 is told: at 3
        fetch b1
            b1 asks: where does the log start (epoch 1)
            b1 is told: at 0
        fetch b1
            b1 asks: fetch from 2 (epoch 1)
            b2: * b1 may join the ISR
            b2: asks for ISR [b1@0 b2@0] in epoch 1, partition epoch 2
            b1 is told: e1 with high watermark 0
            b1: appends e1
            b1: high watermark 0
        logs
            b0 0: a0 b0 |
            b1 0:  | a0 b0 e1
            b2 0:  | c1 d1 e1
",
    );
}

#[test]
fn a_follower_above_the_leaders_end_is_cut() {
    plays_under(
        truncating(Truncation::HighWatermark),
        "
        fence b2
        see b0
        produce b0
        produce b0
        fetch b1
            b1 asks: fetch from 0 (epoch 0)
            b0: low watermark moved
            b1 is told: a0 b0 with high watermark 0
            b1: appends a0 b0
        fetch b1
            b1 asks: fetch from 2 (epoch 0)
            b0: high watermark 2
            b0: a acknowledged
            b0: b acknowledged
            b1 is told: nothing with high watermark 0
            b1: appends nothing
        fetch b1
            b1 asks: fetch from 2 (epoch 0)
            b1 is told: nothing with high watermark 2
            b1: appends nothing
            b1: high watermark 2
        elect-unclean b2
            ! b2 may lead and lacks what was committed
        see b2 b1
            b2: leads in epoch 1
            b1: follows b2 in epoch 1
        fetch b1
            b1 asks: fetch from 2 (epoch 1)
            b1 is told: OFFSET_OUT_OF_RANGE
        fetch b1
            b1 asks: where does the log end (epoch 1)
            b1 is told: at 0
            b1: truncates to 0
        fetch b1
            b1 asks: fetch from 0 (epoch 1)
            b2: * b1 may join the ISR
            b2: asks for ISR [b1@0 b2@0] in epoch 1, partition epoch 2
            b1 is told: nothing with high watermark 0
            b1: appends nothing
",
    );
}

#[test]
fn epochs_may_be_asked_for_before_fetching() {
    plays_under(
        truncating(Truncation::LeaderEpochKip279),
        "
        produce b0
        fetch b1 b2
            b1 asks: fetch from 0 (epoch 0)
            b1 is told: a0 with high watermark 0
            b1: appends a0
            b2 asks: fetch from 0 (epoch 0)
            b0: low watermark moved
            b2 is told: a0 with high watermark 0
            b2: appends a0
        produce b0 acks=1
        elect b1
        see b1
            b1: leads in epoch 1
        produce b1 acks=1
        elect b2
        see b2
            b2: leads in epoch 2
        produce b2
        see b0 b1
            b0: follows b2 in epoch 2
            b1: follows b2 in epoch 2
        fetch b1
            b1 asks: where does epoch 1 end (epoch 2)
            b1 is told: epoch 0 ends at 1
            b1: truncates to 1
        fetch b1
            b1 asks: fetch from 1 (epoch 2)
            b1 is told: d2 with high watermark 0
            b1: appends d2
        fetch b0
            b0 asks: where does epoch 0 end (epoch 2)
            b0 is told: epoch 0 ends at 1
            b0: truncates to 1
        fetch b0
            b0 asks: fetch from 1 (epoch 2)
            b2: high watermark 1
            b2: low watermark moved
            b0 is told: d2 with high watermark 0
            b0: appends d2
        logs
            b0 0:  | a0 d2
            b1 0:  | a0 d2
            b2 0: a0 | d2
",
    );
}

/// Where the logs part cannot be told: the records that could be compared are deleted.
#[test]
fn a_fork_below_the_leaders_start_begins_anew() {
    plays(
        "
        min-isr b0 1
        produce b0 acks=1
        fetch b1
            b1 asks: fetch from 0 (epoch 0)
            b1 is told: a0 with high watermark 0
            b1: appends a0
        produce b0 acks=1
        produce b0 acks=1
        produce b0 acks=1
        elect-unclean b1
        see b1
            b1: leads in epoch 1
        produce b1 acks=1
        elect-unclean b0
        see b0
            b0: leads in epoch 2
            b0: high watermark 4
        delete-records b0 3
        see b1
            b1: follows b0 in epoch 2
        fetch b1
            b1 asks: fetch from 2 after epoch 1 (epoch 2)
            b1 is told: OFFSET_OUT_OF_RANGE
        fetch b1
            b1 asks: where does the log end (epoch 2)
            b1 is told: at 4
        fetch b1
            b1 asks: where does the log start (epoch 2)
            b1 is told: at 3
            b1: empties its log, starts at 3
",
    );
}

/// What b1 would fetch from b0 now, and whether b0 takes it for the fetch that it knows.
fn repeats(world: &mut World) -> bool {
    world.send(1).unwrap();
    let Some(Body::Ask { fetch: Some(fetch), .. }) = world.net.pop().map(|sent| sent.body) else {
        panic!("b1 fetches");
    };
    takes_for_known(world, &fetch)
}

fn takes_for_known(world: &mut World, fetch: &FollowerFetch) -> bool {
    world.act(0, |replica, facts, _| replica.handle_repeated_fetch(facts, fetch)).unwrap()
}

#[test]
fn a_fetch_that_says_nothing_new_is_told_from_others() {
    let mut world = run(Setup::default(), "fetch b1 b2");
    assert!(repeats(&mut world));
    play(&mut world, "produce b0 acks=1");
    assert!(!repeats(&mut world), "there is a record to fetch");
    play(&mut world, "fetch b1");
    assert!(!repeats(&mut world), "b0 has not heard that b1 has it");
    play(&mut world, "fetch b1");
    assert!(repeats(&mut world));
    // It counts as a fetch: b1 had all of the log 20 s before the next record, and not 40 s.
    play(&mut world, "tick 20000");
    assert!(repeats(&mut world));
    play(&mut world, "tick 20000");
    play(&mut world, "produce b0 acks=1");
    play(&mut world, "tick 1");
    let leaves = |told: &String| told.contains("should leave the ISR");
    let told: Vec<_> = world.told.iter().filter(|told| leaves(told)).collect();
    assert_eq!(told, ["b0: * [b2] should leave the ISR"]);
    play(&mut world, "elect b2");
    play(&mut world, "elect b0");
    play(&mut world, "see b0");
    assert!(!repeats(&mut world), "b1 means an older epoch");
}
