//! What idempotence keeps of each producer's sends while connections break, leaders move and partitions are added.

use retrial::testbed::campaign::{NEW_PARTITIONS, PRODUCERS};

use crate::{hunt::hunt, seeds::seeds};

#[test]
fn one_send_is_one_record_in_the_order_of_sends() {
    hunt(&PRODUCERS, "one_send_is_one_record_in_the_order_of_sends", seeds(0..=99));
}

#[test]
fn what_is_sent_first_to_a_new_partition_is_first_in_it() {
    hunt(&NEW_PARTITIONS, "what_is_sent_first_to_a_new_partition_is_first_in_it", seeds(0..=99));
}
