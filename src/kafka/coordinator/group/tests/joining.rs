//! How clients become members.

use super::driver::plays;

#[test]
fn a_new_member_comes_back_with_the_id_it_is_given() {
    plays(
        "
        join a
            a <- join MEMBER_ID_REQUIRED a~1
            + g generation 0
        tick 2s
        join a
            * a~1 joined
            * rebalance of 0: a~1 joined
        tick 3s
            at 5.000s
            * generation 1 [a~1]
            a <- join a~1 generation 1 range leader a~1 [a~1]
",
    );
}

#[test]
fn a_member_that_never_comes_back_is_forgotten() {
    plays(
        "
        join a session=6000
            a <- join MEMBER_ID_REQUIRED a~1
            + g generation 0
        tick 6s
        join a session=6000
            a <- join UNKNOWN_MEMBER_ID a~1
        delete g
            + g removed
            admin <- deleted g ok
",
    );
}

#[test]
fn a_group_waits_for_a_client_that_was_given_an_id() {
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
        join b
            b <- join MEMBER_ID_REQUIRED b~3
        join a
            * rebalance of 1: the leader a~1 joined again
        tick 10s
            at 13.000s
            * generation 2 [a~1]
            a <- join a~1 generation 2 range leader a~1 [a~1]
",
    );
}

#[test]
fn old_clients_join_at_once() {
    plays(
        "
        join a v=3
            * a~1 joined
            * rebalance of 0: a~1 joined
            + g generation 0
        join b v=0
            * b~2 joined
        tick 6s
            at 6.000s
            * generation 1 [a~1 b~2]
            a <- join a~1 generation 1 range leader a~1 [a~1 b~2]
            b <- join b~2 generation 1 range leader a~1 []
",
    );
}

#[test]
fn the_first_rebalance_waits_longer_while_members_come() {
    plays(
        "
        join a v=3 rebalance=8000
            * a~1 joined
            * rebalance of 0: a~1 joined
            + g generation 0
        tick 2s
        join b v=3 rebalance=8000
            * b~2 joined
        tick 3s
        join c v=3 rebalance=8000
            * c~3 joined
        tick 10s
            at 8.000s
            * generation 1 [a~1 b~2 c~3]
            a <- join a~1 generation 1 range leader a~1 [a~1 b~2 c~3]
            b <- join b~2 generation 1 range leader a~1 []
            c <- join c~3 generation 1 range leader a~1 []
",
    );
}

#[test]
fn the_first_rebalance_waits_no_longer_than_the_rebalance_timeout() {
    plays(
        "
        join a v=3 rebalance=4000
            * a~1 joined
            * rebalance of 0: a~1 joined
            + g generation 0
        tick 2s
        join b v=3 rebalance=4000
            * b~2 joined
        tick 2s
            at 4.000s
            * generation 1 [a~1 b~2]
            a <- join a~1 generation 1 range leader a~1 [a~1 b~2]
            b <- join b~2 generation 1 range leader a~1 []
        join c v=3 rebalance=4000
            * c~3 joined
            * rebalance of 1: c~3 joined
        tick 10s
            at 8.000s
            * a~1 left: it did not rejoin within the rebalance timeout
            * b~2 left: it did not rejoin within the rebalance timeout
            * generation 2 [c~3]
            c <- join c~3 generation 2 range leader c~3 [c~3]
            at 12.000s
            * c~3 left: it did not sync within the rebalance timeout
            * rebalance of 2: no SyncGroup in time from c~3
            * generation 3 []
            + g generation 3
",
    );
}

#[test]
fn what_cannot_be_a_member_is_refused() {
    plays(
        "
        join a group=
            a <- join INVALID_GROUP_ID
        join a session=5999
            a <- join INVALID_SESSION_TIMEOUT
        join a session=1800001
            a <- join INVALID_SESSION_TIMEOUT
        join a id=nobody
            a <- join UNKNOWN_MEMBER_ID nobody
        join a protocols=
            a <- join INCONSISTENT_GROUP_PROTOCOL
            + g generation 0
        join a v=3 protocols=
            a <- join INCONSISTENT_GROUP_PROTOCOL
        join b v=3 protocols=range
            * b~7 joined
            * rebalance of 0: b~7 joined
        join c v=3 protocols=sticky
            c <- join INCONSISTENT_GROUP_PROTOCOL
        join d v=3 type=connect
            d <- join INCONSISTENT_GROUP_PROTOCOL
",
    );
}

#[test]
fn a_group_takes_no_more_than_its_maximal_size() {
    plays(
        "
        join a v=3
            * a~1 joined
            * rebalance of 0: a~1 joined
            + g generation 0
        join b v=3
            * b~2 joined
        join c v=3
            * c~3 joined
        join d v=3
            d <- join GROUP_MAX_SIZE_REACHED
        tick 6s
            at 6.000s
            * generation 1 [a~1 b~2 c~3]
            a <- join a~1 generation 1 range leader a~1 [a~1 b~2 c~3]
            b <- join b~2 generation 1 range leader a~1 []
            c <- join c~3 generation 1 range leader a~1 []
        join d
            d <- join GROUP_MAX_SIZE_REACHED
        join a
            a <- join a~1 generation 1 range leader a~1 [a~1 b~2 c~3]
        join b
            b <- join b~2 generation 1 range leader a~1 []
        join d
            d <- join GROUP_MAX_SIZE_REACHED
        join c
            c <- join c~3 generation 1 range leader a~1 []
",
    );
}

#[test]
fn a_full_group_keeps_out_who_rejoins_last() {
    plays(
        "
        join a v=3
            * a~1 joined
            * rebalance of 0: a~1 joined
            + g generation 0
        join b v=3
            * b~2 joined
        join c v=3
            * c~3 joined
        tick 6s
            at 6.000s
            * generation 1 [a~1 b~2 c~3]
            a <- join a~1 generation 1 range leader a~1 [a~1 b~2 c~3]
            b <- join b~2 generation 1 range leader a~1 []
            c <- join c~3 generation 1 range leader a~1 []
        sync a
            + g generation 1 a~1:nothing b~2:nothing c~3:nothing
            * assignment 1
            a <- sync nothing
        join a
            * rebalance of 1: the leader a~1 joined again
        join d
            d <- join MEMBER_ID_REQUIRED d~6
        join d
            * d~6 joined
        join b
        join c
            * c~3 left: the group is larger than group.max.size
            c <- join GROUP_MAX_SIZE_REACHED
        tick 60s
            at 66.000s
            * generation 2 [a~1 b~2 d~6]
            a <- join a~1 generation 2 range leader a~1 [a~1 b~2 d~6]
            b <- join b~2 generation 2 range leader a~1 []
            d <- join d~6 generation 2 range leader a~1 []
",
    );
}

#[test]
fn the_protocol_most_prefer_is_chosen() {
    plays(
        "
        join a v=3 protocols=range,sticky
            * a~1 joined
            * rebalance of 0: a~1 joined
            + g generation 0
        join b v=3 protocols=sticky,range
            * b~2 joined
        join c v=3 protocols=sticky,range,own
            * c~3 joined
        tick 6s
            at 6.000s
            * generation 1 [a~1 b~2 c~3]
            a <- join a~1 generation 1 sticky leader a~1 [a~1 b~2 c~3]
            b <- join b~2 generation 1 sticky leader a~1 []
            c <- join c~3 generation 1 sticky leader a~1 []
        sync a protocol=range
            a <- sync INCONSISTENT_GROUP_PROTOCOL
        sync a type=connect
            a <- sync INCONSISTENT_GROUP_PROTOCOL
",
    );
}

#[test]
fn a_join_that_is_repeated_answers_the_first_too() {
    plays(
        "
        join a v=3
            * a~1 joined
            * rebalance of 0: a~1 joined
            + g generation 0
        join a id=a~1
            a <- join REBALANCE_IN_PROGRESS a~1
        tick 3s
            at 3.000s
            * generation 1 [a~1]
            a <- join a~1 generation 1 range leader a~1 [a~1]
",
    );
}
