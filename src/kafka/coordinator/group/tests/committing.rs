//! Offsets: who may commit and what is seen when.

use super::driver::plays;

#[test]
fn a_member_commits_what_it_read() {
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
        commit a t-0=5 t-1=7
            + g t-0@5
            + g t-1@7
            * committed by a t-0@5 t-1@7
            a <- commit t-0 ok t-1 ok
        fetch
            reader <- offsets t-0@5 t-1@7
        fetch of=t-0,t-2
            reader <- offsets t-0@5 t-2@-1
",
    );
}

#[test]
fn commits_of_strangers_and_of_old_generations_are_rejected() {
    plays(
        "
        join a v=3
            * a~1 joined
            * rebalance of 0: a~1 joined
            + g generation 0
        commit a t-0=1 id=a~1 generation=0
            + g t-0@1
            * committed by a t-0@1
            a <- commit t-0 ok
        tick 3s
            at 3.000s
            * generation 1 [a~1]
            a <- join a~1 generation 1 range leader a~1 [a~1]
        commit a t-0=1
            * commit by a rejected: REBALANCE_IN_PROGRESS
            a <- commit t-0 REBALANCE_IN_PROGRESS
        sync a a=t-0
            + g generation 1 a~1:t-0
            * assignment 1 t-0:a~1
            a <- sync t-0
        commit a t-0=1 generation=0
            * commit by a rejected: ILLEGAL_GENERATION
            a <- commit t-0 ILLEGAL_GENERATION
        commit a t-0=1 generation=2
            * commit by a rejected: ILLEGAL_GENERATION
            a <- commit t-0 ILLEGAL_GENERATION
        commit a t-0=1 id=nobody
            * commit by a rejected: UNKNOWN_MEMBER_ID
            a <- commit t-0 UNKNOWN_MEMBER_ID
        commit a t-0=1 instance=i
            * commit by a rejected: UNKNOWN_MEMBER_ID
            a <- commit t-0 UNKNOWN_MEMBER_ID
        commit outside t-0=1
            * commit by outside rejected: UNKNOWN_MEMBER_ID
            outside <- commit t-0 UNKNOWN_MEMBER_ID
        commit a t-0=2
            + g t-0@2
            * committed by a t-0@2
            a <- commit t-0 ok
        fetch
            reader <- offsets t-0@2
",
    );
}

#[test]
fn who_must_rejoin_may_still_commit() {
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
        join b v=3
            * b~3 joined
            * rebalance of 1: b~3 joined
        commit a t-0=2
            + g t-0@2
            * committed by a t-0@2
            a <- commit t-0 ok
        join a
            * generation 2 [a~1 b~3]
            a <- join a~1 generation 2 range leader a~1 [a~1 b~3]
            b <- join b~3 generation 2 range leader a~1 []
        commit a t-0=3
            * commit by a rejected: REBALANCE_IN_PROGRESS
            a <- commit t-0 REBALANCE_IN_PROGRESS
        fetch
            reader <- offsets t-0@2
",
    );
}

#[test]
fn anyone_commits_to_a_group_without_members() {
    plays(
        "
        commit a t-0=4 generation=3
            * commit by a rejected: ILLEGAL_GENERATION
            a <- commit t-0 ILLEGAL_GENERATION
        commit a t-0=4 generation=3 v=9
            * commit by a rejected: GROUP_ID_NOT_FOUND
            a <- commit t-0 GROUP_ID_NOT_FOUND
        commit outside t-0=4
            + g t-0@4
            * committed by outside t-0@4
            outside <- commit t-0 ok
        commit a t-0=4 generation=3
            * commit by a rejected: UNKNOWN_MEMBER_ID
            a <- commit t-0 UNKNOWN_MEMBER_ID
        commit a t-0=4 generation=3 v=9
            * commit by a rejected: UNKNOWN_MEMBER_ID
            a <- commit t-0 UNKNOWN_MEMBER_ID
        fetch
            reader <- offsets t-0@4
        describe
            Empty  []
        join a v=3
            * a~7 joined
            * rebalance of 0: a~7 joined
        commit outside t-0=5
            * commit by outside rejected: UNKNOWN_MEMBER_ID
            outside <- commit t-0 UNKNOWN_MEMBER_ID
        tick 3s
            at 3.000s
            * generation 1 [a~7]
            a <- join a~7 generation 1 range leader a~7 [a~7]
        leave a
            * a~7 left: it left the group
            * rebalance of 1: a~7 left
            * generation 2 []
            + g generation 2
            a <- leave ok [a~7 ok]
        commit outside t-0=6
            + g t-0@6
            * committed by outside t-0@6
            outside <- commit t-0 ok
        fetch
            reader <- offsets t-0@6
",
    );
}

#[test]
fn metadata_has_a_limit() {
    plays(
        "
        commit outside t-0=4 metadata=12345678
            + g t-0@4
            * committed by outside t-0@4
            outside <- commit t-0 ok
        commit outside t-0=5 metadata=123456789
            outside <- commit t-0 OFFSET_METADATA_TOO_LARGE
        commit outside t-0=6 metadata=éééééééé
            + g t-0@6
            * committed by outside t-0@6
            outside <- commit t-0 ok
        fetch
            reader <- offsets t-0@6
",
    );
}

#[test]
fn an_offset_is_seen_once_it_is_durable() {
    plays(
        "
        commit outside t-0=1
            + g t-0@1
            * committed by outside t-0@1
            outside <- commit t-0 ok
        hold
        commit outside t-0=2
            + g t-0@2
        fetch
            reader <- offsets t-0@1
        fetch visible=stable
        commit outside t-0=3
            + g t-0@3
        done
            * committed by outside t-0@2
            outside <- commit t-0 ok
            reader <- offsets t-0@2
        fetch
            reader <- offsets t-0@2
        done
            * committed by outside t-0@3
            outside <- commit t-0 ok
        fetch visible=stable
            reader <- offsets t-0@3
",
    );
}

#[test]
fn an_offset_that_is_lost_is_never_seen() {
    plays(
        "
        hold
        commit outside t-0=1
            + g t-0@1
        fetch visible=stable
        fail NOT_LEADER_OR_FOLLOWER
            * commit by outside rejected: NOT_COORDINATOR
            outside <- commit t-0 NOT_COORDINATOR
            reader <- offsets
        fetch
            reader <- offsets
        describe
            Dead  []
",
    );
}

#[test]
fn a_commit_that_takes_long_is_retried_and_may_still_count() {
    plays(
        "
        hold
        commit outside t-0=1
            + g t-0@1
        tick 5s
            at 5.000s
            outside <- commit t-0 COORDINATOR_NOT_AVAILABLE
        done
            * committed by outside t-0@1
        fetch
            reader <- offsets t-0@1
",
    );
}

#[test]
fn a_commit_keeps_a_session_alive() {
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
        commit a t-0=1
            + g t-0@1
            * committed by a t-0@1
            a <- commit t-0 ok
        tick 9s
        beat a
            a <- beat ok
",
    );
}
