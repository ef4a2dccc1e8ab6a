//! What a replicated cluster has acknowledged, under every fault of machines, links and disks, and under
//! operators at work.

use retrial::testbed::campaign::{CRASHES_ISR_REQUEST, REPLICATION};

use crate::{hunt::hunt, seeds::seeds};

#[test]
fn acknowledged_records_outlive_the_machines_that_took_them() {
    hunt(&REPLICATION, "acknowledged_records_outlive_the_machines_that_took_them", seeds(0..=499));
}

#[test]
fn acknowledged_records_outlive_a_disk_that_is_lost() {
    let test = "acknowledged_records_outlive_a_disk_that_is_lost";
    hunt(&CRASHES_ISR_REQUEST, test, seeds(0..=99));
}
