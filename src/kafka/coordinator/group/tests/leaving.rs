//! How members go.

use super::driver::plays;

#[test]
fn the_others_share_what_a_leaving_member_had() {
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
        leave b
            * b~2 left: it left the group
            * rebalance of 1: b~2 left
            b <- leave ok [b~2 ok]
        beat a
            a <- beat REBALANCE_IN_PROGRESS
        join a
            * generation 2 [a~1]
            a <- join a~1 generation 2 range leader a~1 [a~1]
        sync a a=t-0,t-1
            + g generation 2 a~1:t-0,t-1
            * assignment 2 t-0:a~1 t-1:a~1
            a <- sync t-0,t-1
",
    );
}

#[test]
fn the_last_to_leave_is_told_once_the_empty_group_is_durable() {
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
        leave a
            * a~1 left: it left the group
            * rebalance of 1: a~1 left
            * generation 2 []
            + g generation 2
        done
            a <- leave ok [a~1 ok]
        describe
            Empty  []
",
    );
}

#[test]
fn a_leave_that_cannot_be_written_fails() {
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
        leave a
            * a~1 left: it left the group
            * rebalance of 1: a~1 left
            * generation 2 []
            + g generation 2
        fail NOT_LEADER_OR_FOLLOWER
            a <- leave NOT_COORDINATOR
",
    );
}

#[test]
fn several_leave_at_once_each_with_its_own_answer() {
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
        sync a
            + g generation 1 a~1:nothing b~2:nothing
            * assignment 1
            a <- sync nothing
        sync b
            b <- sync nothing
        join c
            c <- join MEMBER_ID_REQUIRED c~5
        leave a nobody c
            * a~1 left: it left the group
            * rebalance of 1: a~1, c~5 left
            a <- leave ok [a~1 ok] [ UNKNOWN_MEMBER_ID] [c~5 ok]
        join b
            * generation 2 [b~2]
            b <- join b~2 generation 2 range leader b~2 [b~2]
",
    );
}

#[test]
fn old_clients_leave_one_at_a_time() {
    plays(
        "
        leave a v=2
            a <- leave UNKNOWN_MEMBER_ID
        join a v=3
            * a~2 joined
            * rebalance of 0: a~2 joined
            + g generation 0
        join b v=3
            * b~3 joined
        tick 6s
            at 6.000s
            * generation 1 [a~2 b~3]
            a <- join a~2 generation 1 range leader a~2 [a~2 b~3]
            b <- join b~3 generation 1 range leader a~2 []
        leave nobody v=2
            nobody <- leave UNKNOWN_MEMBER_ID
        leave a v=0
            * a~2 left: it left the group
            * rebalance of 1: a~2 left
            a <- leave ok
",
    );
}

#[test]
fn who_leaves_while_it_waits_is_answered() {
    plays(
        "
        join a v=3
            * a~1 joined
            * rebalance of 0: a~1 joined
            + g generation 0
        join b v=3
            * b~2 joined
        leave a id=a~1
            a <- join UNKNOWN_MEMBER_ID
            * a~1 left: it left the group
            a <- leave ok [a~1 ok]
        tick 6s
            at 6.000s
            * generation 1 [b~2]
            b <- join b~2 generation 1 range leader b~2 [b~2]
",
    );
}

#[test]
fn who_leaves_while_it_waits_for_its_assignment_is_answered() {
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
        leave b
            b <- sync UNKNOWN_MEMBER_ID
            * b~2 left: it left the group
            * rebalance of 1: b~2 left
            b <- leave ok [b~2 ok]
",
    );
}

#[test]
fn the_session_of_the_last_member_ends_the_generation() {
    plays(
        "
        join a v=3 session=6000
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
        tick 6s
            at 9.000s
            * a~1 left: no heartbeat within session.timeout.ms
            * rebalance of 1: the session of a~1 ended
            * generation 2 []
            + g generation 2
        describe
            Empty  []
",
    );
}
