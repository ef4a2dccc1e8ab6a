//! Digests of a few trials, kept: any build on any machine must give the same.
//!
//! `cargo test` checks them in a debug build and `cargo bench` in a release build. A change that means to
//! alter what a trial does alters them too, and shows that it did by bringing the new ones along:
//!
//! ```text
//! INSTA_UPDATE=always cargo test --test sims digests
//! ```

use retrial::testbed::{campaign::DELIVERY, runner::run_trial};

use crate::standard;

/// Plans of the campaign whose digests are kept, each run on its own seed.
const DRAWN: u64 = 6;

#[test]
fn digests_are_those_of_the_last_change_that_meant_to_alter_them() {
    let mut lines = vec![format!("standard 1 {}", run_trial(&standard::plan(), None, 1).digest)];
    for seed in 0..DRAWN {
        let digest = run_trial(&DELIVERY.plan(seed), None, seed).digest;
        lines.push(format!("{} {seed} {digest}", DELIVERY.name));
    }
    insta::assert_snapshot!("digests", lines.join("\n"));
}
