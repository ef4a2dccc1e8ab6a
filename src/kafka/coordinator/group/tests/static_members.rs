//! Members with an instance id (KIP-345).

use super::driver::plays;

#[test]
fn a_static_member_returns_without_a_rebalance() {
    plays(
        "
        join a instance=ia
            * ia~1 joined
            * rebalance of 0: ia~1 joined
            + g generation 0
        join b v=3
            * b~2 joined
        tick 6s
            at 6.000s
            * generation 1 [ia~1 b~2]
            a <- join ia~1 generation 1 range leader ia~1 [ia~1 b~2]
            b <- join b~2 generation 1 range leader ia~1 []
        sync a instance=ia a=t-0 b=t-1
            + g generation 1 ia~1:t-0 b~2:t-1
            * assignment 1 t-0:ia~1 t-1:b~2
            a <- sync t-0
        sync b
            b <- sync t-1
        join a instance=ia id=
            * ia~5 replaced ia~1
            + g generation 1 ia~5:t-0 b~2:t-1
            a <- join ia~5 generation 1 range leader ia~5 [ia~5 b~2] skip
        sync a instance=ia
            a <- sync t-0
        beat b
            b <- beat ok
",
    );
}

#[test]
fn the_former_id_of_a_static_member_is_fenced() {
    plays(
        "
        join a instance=ia
            * ia~1 joined
            * rebalance of 0: ia~1 joined
            + g generation 0
        tick 3s
            at 3.000s
            * generation 1 [ia~1]
            a <- join ia~1 generation 1 range leader ia~1 [ia~1]
        sync a instance=ia a=t-0
            + g generation 1 ia~1:t-0
            * assignment 1 t-0:ia~1
            a <- sync t-0
        join other instance=ia
            * ia~3 replaced ia~1
            + g generation 1 ia~3:t-0
            other <- join ia~3 generation 1 range leader ia~3 [ia~3] skip
        beat a instance=ia
            a <- beat FENCED_INSTANCE_ID
        beat a
            a <- beat UNKNOWN_MEMBER_ID
        sync a instance=ia
            a <- sync FENCED_INSTANCE_ID
        join a instance=ia
            a <- join FENCED_INSTANCE_ID ia~1
        commit a instance=ia t-0=1
            * commit by a rejected: FENCED_INSTANCE_ID
            a <- commit t-0 FENCED_INSTANCE_ID
        leave a instance=ia
            a <- leave ok [ia~1 FENCED_INSTANCE_ID]
        beat other instance=ia generation=1
            other <- beat ok
",
    );
}

#[test]
fn an_old_client_that_returns_as_leader_does_not_think_it_leads() {
    plays(
        "
        join a instance=ia v=8
            * ia~1 joined
            * rebalance of 0: ia~1 joined
            + g generation 0
        tick 3s
            at 3.000s
            * generation 1 [ia~1]
            a <- join ia~1 generation 1 range leader ia~1 [ia~1]
        sync a instance=ia a=t-0
            + g generation 1 ia~1:t-0
            * assignment 1 t-0:ia~1
            a <- sync t-0
        join a instance=ia id= v=8
            * ia~3 replaced ia~1
            + g generation 1 ia~3:t-0
            a <- join ia~3 generation 1 range leader ia~1 []
",
    );
}

#[test]
fn a_return_with_another_protocol_starts_a_rebalance() {
    plays(
        "
        join a instance=ia protocols=range,sticky
            * ia~1 joined
            * rebalance of 0: ia~1 joined
            + g generation 0
        join b v=3 protocols=range,sticky
            * b~2 joined
        tick 6s
            at 6.000s
            * generation 1 [ia~1 b~2]
            a <- join ia~1 generation 1 range leader ia~1 [ia~1 b~2]
            b <- join b~2 generation 1 range leader ia~1 []
        sync a instance=ia a=t-0 b=t-1
            + g generation 1 ia~1:t-0 b~2:t-1
            * assignment 1 t-0:ia~1 t-1:b~2
            a <- sync t-0
        sync b
            b <- sync t-1
        join a instance=ia id= protocols=sticky
            * ia~5 replaced ia~1
            * rebalance of 1: ia~5 came back with other protocols
",
    );
}

#[test]
fn a_return_during_the_assignment_starts_a_rebalance() {
    plays(
        "
        join a instance=ia
            * ia~1 joined
            * rebalance of 0: ia~1 joined
            + g generation 0
        join b v=3
            * b~2 joined
        tick 6s
            at 6.000s
            * generation 1 [ia~1 b~2]
            a <- join ia~1 generation 1 range leader ia~1 [ia~1 b~2]
            b <- join b~2 generation 1 range leader ia~1 []
        sync b
        join a instance=ia id=
            * ia~4 replaced ia~1
            b <- sync REBALANCE_IN_PROGRESS
            * rebalance of 1: ia~4 came back during the assignment
",
    );
}

#[test]
fn a_return_while_the_former_self_waits_takes_its_place() {
    plays(
        "
        join a instance=ia
            * ia~1 joined
            * rebalance of 0: ia~1 joined
            + g generation 0
        join b instance=ia
            a <- join FENCED_INSTANCE_ID ia~1
            * ia~2 replaced ia~1
        tick 3s
            at 3.000s
            * generation 1 [ia~2]
            b <- join ia~2 generation 1 range leader ia~2 [ia~2]
",
    );
}

#[test]
fn a_return_that_cannot_be_written_is_undone() {
    plays(
        "
        join a instance=ia
            * ia~1 joined
            * rebalance of 0: ia~1 joined
            + g generation 0
        tick 3s
            at 3.000s
            * generation 1 [ia~1]
            a <- join ia~1 generation 1 range leader ia~1 [ia~1]
        sync a instance=ia a=t-0
            + g generation 1 ia~1:t-0
            * assignment 1 t-0:ia~1
            a <- sync t-0
        hold
        join b instance=ia
            * ia~3 replaced ia~1
            + g generation 1 ia~3:t-0
        fail REQUEST_TIMED_OUT
            b <- join COORDINATOR_NOT_AVAILABLE
            * ia~1 replaced ia~3
        beat a instance=ia
            a <- beat ok
",
    );
}

#[test]
fn static_members_that_are_away_go_into_the_next_generation() {
    plays(
        "
        join a instance=ia session=30000 rebalance=10000
            * ia~1 joined
            * rebalance of 0: ia~1 joined
            + g generation 0
        join b instance=ib session=30000 rebalance=10000
            * ib~2 joined
        tick 6s
            at 6.000s
            * generation 1 [ia~1 ib~2]
            a <- join ia~1 generation 1 range leader ia~1 [ia~1 ib~2]
            b <- join ib~2 generation 1 range leader ia~1 []
        sync a instance=ia a=t-0 b=t-1
            + g generation 1 ia~1:t-0 ib~2:t-1
            * assignment 1 t-0:ia~1 t-1:ib~2
            a <- sync t-0
        sync b instance=ib
            b <- sync t-1
        join a instance=ia session=30000 rebalance=10000
            * rebalance of 1: the leader ia~1 joined again
        tick 10s
            at 16.000s
            * generation 2 [ia~1 ib~2]
            a <- join ia~1 generation 2 range leader ia~1 [ia~1 ib~2]
        sync a instance=ia a=t-0 b=t-1
            + g generation 2 ia~1:t-0 ib~2:t-1
            * assignment 2 t-0:ia~1 t-1:ib~2
            a <- sync t-0
        tick 30s
            at 26.000s
            * ib~2 left: it did not sync within the rebalance timeout
            * rebalance of 2: no SyncGroup in time from ib~2
            at 46.000s
            * ia~1 left: no heartbeat within session.timeout.ms
            * generation 3 []
            + g generation 3
",
    );
}

#[test]
fn without_any_member_present_a_rebalance_waits_on() {
    plays(
        "
        join a instance=ia session=30000 rebalance=10000
            * ia~1 joined
            * rebalance of 0: ia~1 joined
            + g generation 0
        join b v=3 session=30000 rebalance=10000
            * b~2 joined
        tick 6s
            at 6.000s
            * generation 1 [ia~1 b~2]
            a <- join ia~1 generation 1 range leader ia~1 [ia~1 b~2]
            b <- join b~2 generation 1 range leader ia~1 []
        sync a instance=ia a=t-0 b=t-1
            + g generation 1 ia~1:t-0 b~2:t-1
            * assignment 1 t-0:ia~1 t-1:b~2
            a <- sync t-0
        sync b
            b <- sync t-1
        leave b
            * b~2 left: it left the group
            * rebalance of 1: b~2 left
            b <- leave ok [b~2 ok]
        tick 40s
            at 36.000s
            * ia~1 left: no heartbeat within session.timeout.ms
            * generation 2 []
            + g generation 2
",
    );
}

#[test]
fn an_administrator_removes_a_static_member_by_its_instance() {
    plays(
        "
        join a instance=ia
            * ia~1 joined
            * rebalance of 0: ia~1 joined
            + g generation 0
        tick 3s
            at 3.000s
            * generation 1 [ia~1]
            a <- join ia~1 generation 1 range leader ia~1 [ia~1]
        sync a instance=ia a=t-0
            + g generation 1 ia~1:t-0
            * assignment 1 t-0:ia~1
            a <- sync t-0
        leave admin instance=ib
            admin <- leave ok [ UNKNOWN_MEMBER_ID]
        leave admin instance=ia
            * ia~1 left: it left the group
            * rebalance of 1: ia~1 left
            * generation 2 []
            + g generation 2
            admin <- leave ok [ ok]
        beat a instance=ia
            a <- beat UNKNOWN_MEMBER_ID
",
    );
}
