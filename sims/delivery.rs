//! Delivery guarantees of safe settings, under every fault the simulated world knows.

use retrial::testbed::campaign::DELIVERY;

use crate::{hunt::hunt, seeds::seeds};

#[test]
fn safe_settings_keep_their_promises() {
    hunt(&DELIVERY, "safe_settings_keep_their_promises", seeds(0..=999));
}
