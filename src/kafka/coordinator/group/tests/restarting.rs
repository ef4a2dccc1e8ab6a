//! What a coordinator knows after a restart, and how it goes.

use super::driver::plays;

#[test]
fn members_survive_a_restart_with_a_whole_session() {
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
        commit a t-0=5
            + g t-0@5
            * committed by a t-0@5
            a <- commit t-0 ok
        tick 9s
        restart
            * loaded in generation 1 [a~1 b~2]
        tick 9s
        beat a
            a <- beat ok
        sync b
            b <- sync t-1
        fetch
            reader <- offsets t-0@5
        tick 1s
            at 25.000s
            * b~2 left: no heartbeat within session.timeout.ms
            * rebalance of 1: the session of b~2 ended
        describe
            PreparingRebalance  [a~1]
",
    );
}

#[test]
fn what_was_not_durable_is_gone_after_a_restart() {
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
        hold
        commit a t-0=5
            + g t-0@5
        join b v=3
            * b~4 joined
            * rebalance of 1: b~4 joined
        join a
            * generation 2 [a~1 b~4]
            a <- join a~1 generation 2 range leader a~1 [a~1 b~4]
            b <- join b~4 generation 2 range leader a~1 []
        sync a a=t-0,t-1
            + g generation 2 a~1:t-0,t-1 b~4:nothing
        restart
            * loaded in generation 1 [a~1]
        describe
            Stable range [a~1]
        fetch
            reader <- offsets
        beat a
            a <- beat ILLEGAL_GENERATION
        beat a generation=1
            a <- beat ok
",
    );
}

#[test]
fn a_group_that_became_too_large_rebalances_after_a_restart() {
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
        restart max-size=1
            * loaded in generation 1 [a~1 b~2]
            * rebalance of 1: the group is larger than group.max.size
        commit b t-0=3
            + g t-0@3
            * committed by b t-0@3
            b <- commit t-0 ok
        join b
        join a
            * a~1 left: the group is larger than group.max.size
            a <- join GROUP_MAX_SIZE_REACHED
",
    );
}

#[test]
fn a_group_that_cannot_be_written_never_was() {
    plays(
        "
        hold
        join a v=3
            * a~1 joined
            * rebalance of 0: a~1 joined
            + g generation 0
        join b
            b <- join MEMBER_ID_REQUIRED b~2
        fail NOT_ENOUGH_REPLICAS
            a <- join COORDINATOR_NOT_AVAILABLE
        join b
            b <- join UNKNOWN_MEMBER_ID b~2
        tick 10s
",
    );
}

#[test]
fn who_waits_for_a_coordinator_that_goes_is_sent_on() {
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
        hold
        commit outside t-0=1
            * commit by outside rejected: UNKNOWN_MEMBER_ID
            outside <- commit t-0 UNKNOWN_MEMBER_ID
        sync a a=t-0
            + g generation 1 a~1:t-0 b~2:nothing
        commit a t-0=2
            * commit by a rejected: REBALANCE_IN_PROGRESS
            a <- commit t-0 REBALANCE_IN_PROGRESS
        fetch visible=stable
        resign
            reader <- offsets NOT_COORDINATOR
            a <- sync NOT_COORDINATOR
            b <- sync NOT_COORDINATOR
",
    );
}
