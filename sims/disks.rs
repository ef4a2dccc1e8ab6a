//! What replicated records are worth when machines lose their page cache: one machine's, everybody's with each record
//! synced, and everybody's with none.

use retrial::testbed::campaign::{BEYOND, ONE_POWER_LOSS, POWER_LOSS_OF_ALL, SYNCED_TRUNCATED};

use crate::{hunt::hunt, seeds::seeds};

#[test]
fn acknowledged_records_outlive_one_loss_of_power() {
    hunt(&ONE_POWER_LOSS, "acknowledged_records_outlive_one_loss_of_power", seeds(0..=299));
}

#[test]
fn synced_records_outlive_the_power_of_all() {
    hunt(&POWER_LOSS_OF_ALL, "synced_records_outlive_the_power_of_all", seeds(0..=99));
}

/// Beyond the fault model, in which acknowledged records are on machines that do not all lose power.
#[test]
fn replicas_agree_on_what_a_loss_of_all_power_leaves() {
    hunt(&BEYOND, "replicas_agree_on_what_a_loss_of_all_power_leaves", seeds(0..=99));
}

#[test]
fn synced_records_outlive_followers_that_lose_power_while_they_cut_their_logs() {
    let test = "synced_records_outlive_followers_that_lose_power_while_they_cut_their_logs";
    hunt(&SYNCED_TRUNCATED, test, seeds(0..=99));
}
