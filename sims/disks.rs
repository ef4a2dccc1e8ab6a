//! What replicated records are worth when machines lose their page cache.

use retrial::testbed::campaign::ONE_POWER_LOSS;

use crate::{hunt::hunt, seeds::seeds};

#[test]
fn acknowledged_records_outlive_one_loss_of_power() {
    hunt(&ONE_POWER_LOSS, "acknowledged_records_outlive_one_loss_of_power", seeds(0..=299));
}
