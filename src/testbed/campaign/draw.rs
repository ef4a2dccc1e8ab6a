//! From a seed to a plan, and from a failing plan to a smaller one.

use std::sync::Arc;

use proptest::{
    strategy::{BoxedStrategy, Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use crate::testbed::{checker::Reached, plan::Plan};

/// A family of plans and what is claimed of them.
pub struct Campaign {
    pub name: &'static str,
    pub claim: &'static str,
    pub strategy: fn() -> BoxedStrategy<Plan>,
    /// What some trial of a sweep must reach, or the claim was not put to the test.
    pub must_reach: &'static [Reached],
}

/// How many smaller plans shrinking tries at most. Each is a whole trial.
const SHRINK_TRIALS: u32 = 400;

impl Campaign {
    /// The plan of a seed: the same on any machine.
    pub fn plan(&self, seed: u64) -> Arc<Plan> {
        Arc::new(named(self.tree(seed).current(), self.name, seed))
    }

    /// The smallest plan found, starting from the seed's, that `fails` still says yes to. Every plan is
    /// tried under the same seed.
    pub fn shrink(&self, seed: u64, mut fails: impl FnMut(&Arc<Plan>) -> bool) -> Arc<Plan> {
        let mut tree = self.tree(seed);
        let mut smallest = self.plan(seed);
        for _ in 0..SHRINK_TRIALS {
            let plan = Arc::new(named(tree.current(), self.name, seed));
            let went_on = if fails(&plan) {
                smallest = plan;
                tree.simplify()
            } else {
                tree.complicate()
            };
            if !went_on {
                break;
            }
        }
        smallest
    }

    fn tree(&self, seed: u64) -> Box<dyn ValueTree<Value = Plan>> {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        (self.strategy)().new_tree(&mut runner).expect("the strategy filters nothing")
    }
}

fn named(plan: Plan, campaign: &str, seed: u64) -> Plan {
    let mut plan = plan;
    plan.name = format!("{campaign}-{seed}");
    plan.run.seed = seed;
    plan
}
