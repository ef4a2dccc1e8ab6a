//! How generations follow each other.

use super::driver::plays;

#[test]
fn an_assignment_is_told_once_it_is_durable() {
    plays(
        "
        join a v=3
            * a~1 joined
            * rebalance of 0: a~1 joined
            + g generation 0
        join b v=3
            * b~2 joined
        tick 6s
            at 6.000s
            * generation 1 [a~1 b~2]
            a <- join a~1 generation 1 range leader a~1 [a~1 b~2]
            b <- join b~2 generation 1 range leader a~1 []
        hold
        sync b
        sync a a=t-0 b=t-1
            + g generation 1 a~1:t-0 b~2:t-1
        beat a
        done
            * assignment 1 t-0:a~1 t-1:b~2
            a <- sync t-0
            b <- sync t-1
            a <- beat ok
        sync b
            b <- sync t-1
",
    );
}

#[test]
fn an_assignment_that_is_lost_is_made_again() {
    plays(
        "
        join a v=3
            * a~1 joined
            * rebalance of 0: a~1 joined
            + g generation 0
        join b v=3
            * b~2 joined
        tick 6s
            at 6.000s
            * generation 1 [a~1 b~2]
            a <- join a~1 generation 1 range leader a~1 [a~1 b~2]
            b <- join b~2 generation 1 range leader a~1 []
        hold
        sync b
        sync a a=t-0 b=t-1
            + g generation 1 a~1:t-0 b~2:t-1
        fail NOT_ENOUGH_REPLICAS
            a <- sync COORDINATOR_NOT_AVAILABLE
            b <- sync COORDINATOR_NOT_AVAILABLE
            * rebalance of 1: the assignment could not be stored: CoordinatorNotAvailable
        flow
        join b
        join a
            * generation 2 [a~1 b~2]
            a <- join a~1 generation 2 range leader a~1 [a~1 b~2]
            b <- join b~2 generation 2 range leader a~1 []
        sync a a=t-0 b=t-1
            + g generation 2 a~1:t-0 b~2:t-1
            * assignment 2 t-0:a~1 t-1:b~2
            a <- sync t-0
",
    );
}

#[test]
fn an_assignment_that_takes_too_long_is_given_up() {
    plays(
        "
        join a v=3
            * a~1 joined
            * rebalance of 0: a~1 joined
            + g generation 0
        tick 3s
            at 3.000s
            * generation 1 [a~1]
            a <- join a~1 generation 1 range leader a~1 [a~1]
        hold
        sync a a=t-0
            + g generation 1 a~1:t-0
        tick 5s
            at 8.000s
            a <- sync COORDINATOR_NOT_AVAILABLE
            * rebalance of 1: the assignment could not be stored: CoordinatorNotAvailable
        done
        beat a
            a <- beat REBALANCE_IN_PROGRESS
",
    );
}

#[test]
fn an_assignment_for_an_older_generation_changes_nothing() {
    plays(
        "
        join a v=3
            * a~1 joined
            * rebalance of 0: a~1 joined
            + g generation 0
        tick 3s
            at 3.000s
            * generation 1 [a~1]
            a <- join a~1 generation 1 range leader a~1 [a~1]
        hold
        sync a a=t-0
            + g generation 1 a~1:t-0
        join b v=3
            * b~3 joined
            a <- sync REBALANCE_IN_PROGRESS
            * rebalance of 1: b~3 joined
        join a
            * generation 2 [a~1 b~3]
            a <- join a~1 generation 2 range leader a~1 [a~1 b~3]
            b <- join b~3 generation 2 range leader a~1 []
        done
        sync a a=t-0,t-1 b=t-2
            + g generation 2 a~1:t-0,t-1 b~3:t-2
        done
            * assignment 2 t-0:a~1 t-1:a~1 t-2:b~3
            a <- sync t-0,t-1
",
    );
}

#[test]
fn whom_the_leader_forgot_gets_nothing() {
    plays(
        "
        join a v=3
            * a~1 joined
            * rebalance of 0: a~1 joined
            + g generation 0
        join b v=3
            * b~2 joined
        tick 6s
            at 6.000s
            * generation 1 [a~1 b~2]
            a <- join a~1 generation 1 range leader a~1 [a~1 b~2]
            b <- join b~2 generation 1 range leader a~1 []
        sync b
        sync a b=t-0,u-1
            + g generation 1 a~1:nothing b~2:t-0,u-1
            * assignment 1 t-0:b~2 u-1:b~2
            a <- sync nothing
            b <- sync t-0,u-1
",
    );
}

#[test]
fn a_leader_that_joins_again_starts_a_rebalance_and_a_follower_does_not() {
    plays(
        "
        join a v=3
            * a~1 joined
            * rebalance of 0: a~1 joined
            + g generation 0
        join b v=3
            * b~2 joined
        tick 6s
            at 6.000s
            * generation 1 [a~1 b~2]
            a <- join a~1 generation 1 range leader a~1 [a~1 b~2]
            b <- join b~2 generation 1 range leader a~1 []
        sync a a=t-0 b=t-1
            + g generation 1 a~1:t-0 b~2:t-1
            * assignment 1 t-0:a~1 t-1:b~2
            a <- sync t-0
        sync b
            b <- sync t-1
        join b
            b <- join b~2 generation 1 range leader a~1 []
        join a
            * rebalance of 1: the leader a~1 joined again
        beat b
            b <- beat REBALANCE_IN_PROGRESS
        join b
            * generation 2 [a~1 b~2]
            a <- join a~1 generation 2 range leader a~1 [a~1 b~2]
            b <- join b~2 generation 2 range leader a~1 []
",
    );
}

#[test]
fn a_follower_with_another_subscription_starts_a_rebalance() {
    plays(
        "
        join a v=3
            * a~1 joined
            * rebalance of 0: a~1 joined
            + g generation 0
        join b v=3
            * b~2 joined
        tick 6s
            at 6.000s
            * generation 1 [a~1 b~2]
            a <- join a~1 generation 1 range leader a~1 [a~1 b~2]
            b <- join b~2 generation 1 range leader a~1 []
        join b
            b <- join b~2 generation 1 range leader a~1 []
        sync a a=t-0 b=t-1
            + g generation 1 a~1:t-0 b~2:t-1
            * assignment 1 t-0:a~1 t-1:b~2
            a <- sync t-0
        sync b
            b <- sync t-1
        join b topics=t,u
            * rebalance of 1: b~2 changed its subscription
",
    );
}

#[test]
fn a_member_that_does_not_rejoin_in_time_is_out() {
    plays(
        "
        join a v=3 rebalance=20000 session=30000
            * a~1 joined
            * rebalance of 0: a~1 joined
            + g generation 0
        join b v=3 rebalance=20000 session=30000
            * b~2 joined
        tick 6s
            at 6.000s
            * generation 1 [a~1 b~2]
            a <- join a~1 generation 1 range leader a~1 [a~1 b~2]
            b <- join b~2 generation 1 range leader a~1 []
        sync a a=t-0 b=t-1
            + g generation 1 a~1:t-0 b~2:t-1
            * assignment 1 t-0:a~1 t-1:b~2
            a <- sync t-0
        sync b
            b <- sync t-1
        join c v=3 rebalance=20000 session=30000
            * c~5 joined
            * rebalance of 1: c~5 joined
        join b rebalance=20000 session=30000
        tick 20s
            at 26.000s
            * a~1 left: it did not rejoin within the rebalance timeout
            * generation 2 [b~2 c~5]
            b <- join b~2 generation 2 range leader b~2 [b~2 c~5]
            c <- join c~5 generation 2 range leader b~2 []
        beat a
            a <- beat UNKNOWN_MEMBER_ID
        join a
            a <- join UNKNOWN_MEMBER_ID a~1
",
    );
}

#[test]
fn a_member_that_does_not_sync_in_time_is_out() {
    plays(
        "
        join a v=3 rebalance=8000 session=30000
            * a~1 joined
            * rebalance of 0: a~1 joined
            + g generation 0
        join b v=3 rebalance=8000 session=30000
            * b~2 joined
        tick 6s
            at 6.000s
            * generation 1 [a~1 b~2]
            a <- join a~1 generation 1 range leader a~1 [a~1 b~2]
            b <- join b~2 generation 1 range leader a~1 []
        sync a a=t-0 b=t-1
            + g generation 1 a~1:t-0 b~2:t-1
            * assignment 1 t-0:a~1 t-1:b~2
            a <- sync t-0
        tick 8s
            at 14.000s
            * b~2 left: it did not sync within the rebalance timeout
            * rebalance of 1: no SyncGroup in time from b~2
        join a
            * generation 2 [a~1]
            a <- join a~1 generation 2 range leader a~1 [a~1]
",
    );
}

#[test]
fn a_leader_that_does_not_sync_in_time_gives_way() {
    plays(
        "
        join a v=3 rebalance=8000 session=30000
            * a~1 joined
            * rebalance of 0: a~1 joined
            + g generation 0
        join b v=3 rebalance=8000 session=30000
            * b~2 joined
        tick 6s
            at 6.000s
            * generation 1 [a~1 b~2]
            a <- join a~1 generation 1 range leader a~1 [a~1 b~2]
            b <- join b~2 generation 1 range leader a~1 []
        sync b
        tick 8s
            at 14.000s
            * a~1 left: it did not sync within the rebalance timeout
            b <- sync REBALANCE_IN_PROGRESS
            * rebalance of 1: no SyncGroup in time from a~1
        join b
            * generation 2 [b~2]
            b <- join b~2 generation 2 range leader b~2 [b~2]
        sync b b=t-0
            + g generation 2 b~2:t-0
            * assignment 2 t-0:b~2
            b <- sync t-0
",
    );
}

#[test]
fn heartbeats_keep_a_session_alive() {
    plays(
        "
        join a v=3
            * a~1 joined
            * rebalance of 0: a~1 joined
            + g generation 0
        tick 3s
            at 3.000s
            * generation 1 [a~1]
            a <- join a~1 generation 1 range leader a~1 [a~1]
        sync a a=t-0
            + g generation 1 a~1:t-0
            * assignment 1 t-0:a~1
            a <- sync t-0
        tick 9s
        beat a
            a <- beat ok
        tick 9s
        beat a
            a <- beat ok
        tick 10s
            at 31.000s
            * a~1 left: no heartbeat within session.timeout.ms
            * rebalance of 1: the session of a~1 ended
            * generation 2 []
            + g generation 2
        beat a
            a <- beat UNKNOWN_MEMBER_ID
",
    );
}

#[test]
fn who_waits_for_the_coordinator_is_alive() {
    plays(
        "
        join a v=3
            * a~1 joined
            * rebalance of 0: a~1 joined
            + g generation 0
        join b v=3
            * b~2 joined
        tick 6s
            at 6.000s
            * generation 1 [a~1 b~2]
            a <- join a~1 generation 1 range leader a~1 [a~1 b~2]
            b <- join b~2 generation 1 range leader a~1 []
        sync a a=t-0 b=t-1
            + g generation 1 a~1:t-0 b~2:t-1
            * assignment 1 t-0:a~1 t-1:b~2
            a <- sync t-0
        sync b
            b <- sync t-1
        join a
            * rebalance of 1: the leader a~1 joined again
        tick 9s
        beat b
            b <- beat REBALANCE_IN_PROGRESS
        tick 9s
        beat b
            b <- beat REBALANCE_IN_PROGRESS
        join b
            * generation 2 [a~1 b~2]
            a <- join a~1 generation 2 range leader a~1 [a~1 b~2]
            b <- join b~2 generation 2 range leader a~1 []
",
    );
}

#[test]
fn heartbeats_say_what_is_wrong() {
    plays(
        "
        beat a
            a <- beat UNKNOWN_MEMBER_ID
        join a v=3
            * a~2 joined
            * rebalance of 0: a~2 joined
            + g generation 0
        join b v=3
            * b~3 joined
        beat a id=a~2 generation=0
            a <- beat REBALANCE_IN_PROGRESS
        tick 6s
            at 6.000s
            * generation 1 [a~2 b~3]
            a <- join a~2 generation 1 range leader a~2 [a~2 b~3]
            b <- join b~3 generation 1 range leader a~2 []
        beat a
            a <- beat ok
        beat a generation=0
            a <- beat ILLEGAL_GENERATION
        beat a generation=2
            a <- beat ILLEGAL_GENERATION
        beat a id=nobody
            a <- beat UNKNOWN_MEMBER_ID
        beat a instance=i
            a <- beat UNKNOWN_MEMBER_ID
        sync a a=t-0
            + g generation 1 a~2:t-0 b~3:nothing
            * assignment 1 t-0:a~2
            a <- sync t-0
        join a
            * rebalance of 1: the leader a~2 joined again
        beat b
            b <- beat REBALANCE_IN_PROGRESS
",
    );
}

#[test]
fn syncs_say_what_is_wrong() {
    plays(
        "
        sync a
            a <- sync UNKNOWN_MEMBER_ID
        join a v=3
            * a~2 joined
            * rebalance of 0: a~2 joined
            + g generation 0
        sync a id=a~2 generation=0
            a <- sync REBALANCE_IN_PROGRESS
        tick 3s
            at 3.000s
            * generation 1 [a~2]
            a <- join a~2 generation 1 range leader a~2 [a~2]
        sync a generation=0
            a <- sync ILLEGAL_GENERATION
        sync a id=nobody
            a <- sync UNKNOWN_MEMBER_ID
        sync a protocol=sticky
            a <- sync INCONSISTENT_GROUP_PROTOCOL
        sync a type=connect
            a <- sync INCONSISTENT_GROUP_PROTOCOL
        sync a protocol=range type=consumer
            + g generation 1 a~2:nothing
            * assignment 1
            a <- sync nothing
",
    );
}
