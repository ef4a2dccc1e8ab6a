//! What is deleted, by whom and when.

use super::driver::plays;

#[test]
fn an_empty_group_is_forgotten_after_the_retention() {
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
        commit a t-0=5
            + g t-0@5
            * committed by a t-0@5
            a <- commit t-0 ok
        restart
            * loaded in generation 1 [a~1]
        leave a
            * a~1 left: it left the group
            * rebalance of 1: a~1 left
            * generation 2 []
            + g generation 2
            a <- leave ok [a~1 ok]
        tick 3600s
            at 3603.000s
            + g t-0 removed
            + g removed
            * offsets removed t-0
        fetch
            reader <- offsets
        tick 600s
        fetch
            reader <- offsets
        describe
            Dead  []
",
    );
}

#[test]
fn an_active_group_keeps_what_its_members_read() {
    plays(
        "
        join a v=3 session=1800000
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
        commit a t-0=5 u-0=6
            + g t-0@5
            + g u-0@6
            * committed by a t-0@5 u-0@6
            a <- commit t-0 ok u-0 ok
        restart
            * loaded in generation 1 [a~1]
        tick 1700s
        beat a
            a <- beat ok
        tick 1700s
        beat a
            a <- beat ok
        tick 1000s
            at 3603.000s
            + g u-0 removed
            * offsets removed u-0
        fetch
            reader <- offsets t-0@5
",
    );
}

#[test]
fn offsets_of_simple_groups_expire_one_by_one() {
    plays(
        "
        commit outside t-0=1
            + g t-0@1
            * committed by outside t-0@1
            outside <- commit t-0 ok
        tick 1800s
        commit outside t-1=2
            + g t-1@2
            * committed by outside t-1@2
            outside <- commit t-1 ok
        restart
            * loaded in generation 0 []
        tick 2400s
            at 3600.000s
            + g t-0 removed
            * offsets removed t-0
        fetch
            reader <- offsets t-1@2
        tick 1800s
            at 5400.000s
            + g t-1 removed
            + g removed
            * offsets removed t-1
        describe
            Dead  []
",
    );
}

#[test]
fn a_deserted_group_without_offsets_is_forgotten() {
    plays(
        "
        join a session=6000
            a <- join MEMBER_ID_REQUIRED a~1
            + g generation 0
        restart
            * loaded in generation 0 []
        tick 600s
            at 600.000s
            + g removed
        describe
            Dead  []
",
    );
}

#[test]
fn groups_without_members_are_deleted_with_their_offsets() {
    plays(
        "
        commit outside t-0=1 t-1=2
            + g t-0@1
            + g t-1@2
            * committed by outside t-0@1 t-1@2
            outside <- commit t-0 ok t-1 ok
        join a v=3
            * a~2 joined
            * rebalance of 0: a~2 joined
        delete g h
            admin <- deleted g NON_EMPTY_GROUP h GROUP_ID_NOT_FOUND
        tick 3s
            at 3.000s
            * generation 1 [a~2]
            a <- join a~2 generation 1 range leader a~2 [a~2]
        leave a
            * a~2 left: it left the group
            * rebalance of 1: a~2 left
            * generation 2 []
            + g generation 2
            a <- leave ok [a~2 ok]
        hold
        delete g
            + g t-0 removed
            + g t-1 removed
            + g removed
        fetch
            reader <- offsets t-0@1 t-1@2
        done
            * offsets removed t-0,t-1
            admin <- deleted g ok
        fetch
            reader <- offsets
        describe
            Dead  []
",
    );
}

#[test]
fn a_commit_under_way_is_deleted_too() {
    plays(
        "
        commit outside t-0=1
            + g t-0@1
            * committed by outside t-0@1
            outside <- commit t-0 ok
        hold
        commit outside t-1=2
            + g t-1@2
        delete g
            + g t-0 removed
            + g t-1 removed
            + g removed
        done
            * committed by outside t-1@2
            outside <- commit t-1 ok
        done
            * offsets removed t-0,t-1
            admin <- deleted g ok
        fetch
            reader <- offsets
        restart
        fetch
            reader <- offsets
",
    );
}

#[test]
fn a_deletion_that_fails_leaves_all_as_it_was() {
    plays(
        "
        commit outside t-0=1
            + g t-0@1
            * committed by outside t-0@1
            outside <- commit t-0 ok
        hold
        delete g
            + g t-0 removed
            + g removed
        fail NOT_ENOUGH_REPLICAS
            admin <- deleted g COORDINATOR_NOT_AVAILABLE
        fetch
            reader <- offsets t-0@1
",
    );
}

#[test]
fn offsets_of_topics_that_are_read_are_not_deleted() {
    plays(
        "
        delete-offset t-0
            admin <- offsets deleted GROUP_ID_NOT_FOUND
        join a v=3
            * a~2 joined
            * rebalance of 0: a~2 joined
            + g generation 0
        tick 3s
            at 3.000s
            * generation 1 [a~2]
            a <- join a~2 generation 1 range leader a~2 [a~2]
        sync a a=t-0
            + g generation 1 a~2:t-0
            * assignment 1 t-0:a~2
            a <- sync t-0
        commit a t-0=1 u-0=2
            + g t-0@1
            + g u-0@2
            * committed by a t-0@1 u-0@2
            a <- commit t-0 ok u-0 ok
        delete-offset t-0
            admin <- offsets deleted ok t-0 GROUP_SUBSCRIBED_TO_TOPIC
        delete-offset u-0
            + g u-0 removed
            * offsets removed u-0
            admin <- offsets deleted ok u-0 ok
        delete-offset u-1
            admin <- offsets deleted ok u-1 ok
        fetch
            reader <- offsets t-0@1
",
    );
}
