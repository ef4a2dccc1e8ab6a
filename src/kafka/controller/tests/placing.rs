//! Where replicas go.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::super::placement::{Usable, place_replicas};
use crate::kafka::{protocol::ResponseError, types::BrokerId};

fn placed(brokers: &[Usable], partitions: usize, factor: usize, seed: u64) -> Vec<Vec<i32>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let placed = place_replicas(brokers, partitions, factor, &mut random).unwrap();
    placed.iter().map(|replicas| replicas.iter().map(|id| id.0).collect()).collect()
}

fn usable(id: i32, rack: &str) -> Usable {
    let rack = (!rack.is_empty()).then(|| rack.to_owned());
    Usable { id: BrokerId(id), rack, fenced: false }
}

fn fenced(id: i32, rack: &str) -> Usable {
    Usable { fenced: true, ..usable(id, rack) }
}

#[test]
fn without_racks_partitions_are_stripes() {
    let brokers = [usable(1, ""), usable(2, ""), usable(3, "")];
    let stripes = [vec![1, 2, 3], vec![2, 3, 1], vec![3, 1, 2]];
    for seed in 0..20 {
        let placed = placed(&brokers, 3, 3, seed);
        let first = stripes.iter().position(|stripe| *stripe == placed[0]).unwrap();
        let rest: Vec<_> = (0..3).map(|next| stripes[(first + next) % 3].clone()).collect();
        assert_eq!(placed, rest);
    }
}

#[test]
fn there_must_be_brokers_enough_and_one_that_can_lead() {
    let refusal = |brokers: &[Usable], factor| {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        place_replicas(brokers, 1, factor, &mut random).unwrap_err()
    };
    let none = "All brokers are currently fenced.";
    assert_eq!(refusal(&[], 1), (ResponseError::InvalidReplicationFactor, none.into()));
    assert_eq!(refusal(&[fenced(1, "")], 1).1, none);
    let few = "The target replication factor of 2 cannot be reached because only 1 broker(s) are registered.";
    assert_eq!(refusal(&[usable(1, "")], 2).1, few);
}

#[test]
fn fenced_brokers_come_last_and_never_lead() {
    let brokers = [usable(1, ""), fenced(2, ""), fenced(3, "")];
    for seed in 0..20 {
        for replicas in placed(&brokers, 5, 2, seed) {
            assert_eq!(replicas[0], 1);
        }
    }
}

fn cluster() -> impl Strategy<Value = Vec<Usable>> {
    let broker = (0..4usize, prop::bool::weighted(0.3));
    vec(broker, 1..9).prop_map(|brokers| {
        let named = |(id, (rack, is_fenced)): (i32, (usize, bool))| {
            let rack = ["", "a", "b", "c"][rack];
            if is_fenced { fenced(id, rack) } else { usable(id, rack) }
        };
        (0..).zip(brokers).map(named).collect()
    })
}

proptest! {
    #[test]
    fn replicas_differ_and_spread_over_racks(
        brokers in cluster(),
        factor in 1..5usize,
        seed in any::<u64>(),
    ) {
        let all = brokers.len();
        prop_assume!(factor <= all && brokers.iter().any(|broker| !broker.fenced));
        let by_id: BTreeMap<i32, &Usable> = brokers.iter().map(|b| (b.id.0, b)).collect();
        let racks: BTreeSet<_> = brokers.iter().map(|broker| &broker.rack).collect();
        for replicas in placed(&brokers, 40, factor, seed) {
            let different: BTreeSet<_> = replicas.iter().collect();
            prop_assert_eq!(different.len(), factor);
            prop_assert!(!by_id[&replicas[0]].fenced);
            let used: BTreeSet<_> = replicas.iter().map(|id| &by_id[id].rack).collect();
            prop_assert_eq!(used.len(), factor.min(racks.len()));
        }
    }
}
