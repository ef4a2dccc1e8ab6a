//! What the controllers have committed, under crashes, losses of power and severed links of their own.

use retrial::testbed::campaign::QUORUM;

use crate::{hunt::hunt, seeds::seeds};

#[test]
fn committed_metadata_outlives_the_controllers_that_wrote_it() {
    hunt(&QUORUM, "committed_metadata_outlives_the_controllers_that_wrote_it", seeds(0..=299));
}
