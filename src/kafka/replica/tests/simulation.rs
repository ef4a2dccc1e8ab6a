//! One partition under random use: brokers that fetch, die, lose power and wake up late, messages that are
//! slow or lost, a controller whose word arrives at any time. What must hold is checked after every effect.

use std::{collections::BTreeSet, time::Duration};

use proptest::{collection::vec, prelude::*, strategy::ValueTree};

use super::{
    controller::Elr,
    world::{Body, Setup, World},
};
use crate::kafka::{
    replica::{
        DivergingFetch, FollowerApplies, LogView, ReplicaPolicy, RequiredAcks, Truncation,
        UnderMinIsr,
    },
    types::{BrokerId, Offset},
};

const BROKERS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Produce(usize),
    /// Any leader takes a write.
    ProduceSomewhere(RequiredAcks),
    Send(usize),
    /// Request and answer of one follower arrive at once.
    Fetch(usize),
    Deliver(prop::sample::Index),
    Drop(prop::sample::Index),
    See(usize, usize),
    Fence(usize),
    Unfence(usize),
    Elect(usize),
    Kill(usize),
    LosePower(usize, u8),
    Restart(usize),
    Checkpoint(usize),
    Sync(usize),
    DeleteRecords(u8),
    /// Milliseconds.
    Tick(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let node = || 0..BROKERS;
    let index = any::<prop::sample::Index>;
    prop_oneof![
        2 => node().prop_map(Step::Produce),
        8 => Just(Step::ProduceSomewhere(RequiredAcks::All)),
        3 => Just(Step::ProduceSomewhere(RequiredAcks::Leader)),
        8 => node().prop_map(Step::Send),
        14 => node().prop_map(Step::Fetch),
        16 => index().prop_map(Step::Deliver),
        2 => index().prop_map(Step::Drop),
        10 => (node(), prop_oneof![1..4_usize, Just(usize::MAX)])
            .prop_map(|(node, images)| Step::See(node, images)),
        2 => node().prop_map(Step::Fence),
        4 => node().prop_map(Step::Unfence),
        2 => node().prop_map(Step::Elect),
        2 => node().prop_map(Step::Kill),
        1 => (node(), 0..4_u8).prop_map(|(node, lost)| Step::LosePower(node, lost)),
        5 => node().prop_map(Step::Restart),
        2 => node().prop_map(Step::Checkpoint),
        1 => node().prop_map(Step::Sync),
        1 => (0..3_u8).prop_map(Step::DeleteRecords),
        4 => prop_oneof![1..2000_u64, 10_000..40_000_u64].prop_map(Step::Tick),
    ]
}

fn walk() -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 150)
}

/// What a walk came through, so that a test can tell that it searched.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Reached {
    LeaderChanged,
    IsrShrank,
    IsrGrew,
    Truncated,
    StartedAnew,
    Acknowledged,
    PowerLost,
    RequestRefused,
    Unavailable,
    Healed,
}

struct Walk {
    world: World,
    power_lost: bool,
    reached: BTreeSet<Reached>,
    /// All that was done, to tell of a breach.
    trace: Vec<String>,
}

impl Walk {
    fn new(setup: Setup) -> Self {
        Walk {
            world: World::new(setup),
            power_lost: false,
            reached: BTreeSet::new(),
            trace: Vec::new(),
        }
    }

    fn leaders(&self) -> Vec<usize> {
        let leads = |id: &usize| {
            let replica = self.world.nodes[*id].replica.as_ref();
            replica.is_some_and(|replica| replica.leader().is_some())
        };
        (0..BROKERS).filter(leads).collect()
    }

    fn take(&mut self, step: &Step) {
        let world = &mut self.world;
        match step {
            Step::Produce(id) => {
                let _refused = world.produce(*id, RequiredAcks::All).is_err();
            }
            Step::ProduceSomewhere(acks) => {
                // A zombie rather than the true leader, every other time.
                let leaders = self.leaders();
                if let Some(id) = leaders.get(self.world.net.len() % leaders.len().max(1)) {
                    let _refused = self.world.produce(*id, *acks).is_err();
                }
            }
            Step::Send(id) => {
                if world.net.len() < 12 {
                    world.send(*id);
                }
            }
            Step::Fetch(id) => fetch(world, *id),
            Step::Deliver(which) if !world.net.is_empty() => {
                world.deliver(which.index(world.net.len()));
            }
            Step::Drop(which) if !world.net.is_empty() => drop_message(world, *which),
            Step::Deliver(_) | Step::Drop(_) => {}
            Step::See(id, images) => world.see(*id, *images),
            Step::Fence(id) => {
                world.controller.fence(BrokerId(i32::try_from(*id).unwrap()));
                world.check();
            }
            Step::Unfence(id) => world.unfence(*id),
            Step::Elect(id) => {
                world.controller.elect(BrokerId(i32::try_from(*id).unwrap()));
                world.check();
            }
            Step::Kill(id) => world.kill(*id),
            // Once: what two power losses in a row leave is outside of what replication promises.
            Step::LosePower(id, lost) if !self.power_lost => {
                self.power_lost = true;
                let end = world.nodes[*id].log.end_offset();
                world.lose_power(*id, Offset(end.0 - i64::from(*lost)));
            }
            Step::LosePower(..) => {}
            Step::Restart(id) => world.restart(*id),
            Step::Checkpoint(id) => world.checkpoint(*id),
            Step::Sync(id) => world.sync(*id),
            Step::DeleteRecords(back) => {
                if let Some(id) = self.leaders().last() {
                    let before = self.world.nodes[*id].log.high_watermark;
                    self.world.delete_records(*id, Offset(before.0 - i64::from(*back)));
                }
            }
            Step::Tick(milliseconds) => world.tick(Duration::from_millis(*milliseconds)),
        }
        self.trace.push(format!("{step:?}"));
        self.note();
    }

    fn note(&mut self) {
        for told in self.world.told.drain(..) {
            self.trace.push(told.clone());
            let reached = match told.split_once(": ").map_or("", |(_, what)| what) {
                what if what.starts_with("leads") => Reached::LeaderChanged,
                what if what.starts_with("truncates") => Reached::Truncated,
                what if what.starts_with("empties") => Reached::StartedAnew,
                what if what.ends_with("acknowledged") => Reached::Acknowledged,
                what if what.ends_with("may join the ISR") => Reached::IsrGrew,
                what if what.ends_with("should leave the ISR") => Reached::IsrShrank,
                "* the ISR stays" => Reached::RequestRefused,
                _ => continue,
            };
            self.reached.insert(reached);
        }
        if self.power_lost {
            self.reached.insert(Reached::PowerLost);
        }
    }

    /// All come back and nothing is slow: then there is a leader, a full ISR, and equal logs.
    fn heal(&mut self) {
        let world = &mut self.world;
        world.net.retain(|message| matches!(message.body, Body::Alter { .. } | Body::Altered(_)));
        for _ in 0..200 {
            for id in 0..BROKERS {
                world.restart(id);
                world.see(id, usize::MAX);
                world.unfence(id);
                world.see(id, usize::MAX);
                world.send(id);
            }
            while !world.net.is_empty() {
                world.deliver(0);
            }
            world.tick(Duration::from_millis(1100));
            if is_whole(world) {
                self.reached.insert(Reached::Healed);
                break;
            }
        }
        if self.world.controller.latest().partition.leader.is_none() {
            // Nobody who surely has all that was committed is left: no leader is the right answer.
            let partition = &self.world.controller.latest().partition;
            assert!(partition.isr.is_empty() && self.world.controller.elr.is_empty());
            self.reached.insert(Reached::Unavailable);
        }
        self.note();
    }

    /// Everything a walk must end with.
    fn verdict(&mut self) -> Result<(), String> {
        if let Some(violation) = self.world.violations.first() {
            return Err(violation.clone());
        }
        if self.reached.contains(&Reached::Unavailable) {
            return Ok(());
        }
        if !self.reached.contains(&Reached::Healed) {
            return Err(format!("it does not heal: {:?}", self.world.controller.latest()));
        }
        for (offset, record) in &self.world.acked {
            let log = &self.world.nodes[0].log;
            let deleted = *offset < log.start_offset();
            if !deleted && log.get(*offset).is_none_or(|entry| entry.1 != *record) {
                return Err(format!("the acknowledged record {record} is lost"));
            }
        }
        Ok(())
    }
}

fn fetch(world: &mut World, id: usize) {
    if world.send(id).is_some() {
        world.deliver(world.net.len() - 1);
        if matches!(world.net.last().map(|message| &message.body), Some(Body::Answer { .. })) {
            world.deliver(world.net.len() - 1);
        }
    }
}

/// What is asked of the controller is asked until it answers.
fn drop_message(world: &mut World, which: prop::sample::Index) {
    let at = which.index(world.net.len());
    if matches!(world.net[at].body, Body::Ask { .. } | Body::Answer { .. }) {
        world.net.remove(at);
    }
}

fn is_whole(world: &World) -> bool {
    let partition = &world.controller.latest().partition;
    let (first, rest) = world.nodes.split_first().unwrap();
    let end = first.log.end_offset();
    partition.leader.is_some()
        && partition.isr.len() == BROKERS
        && rest.iter().all(|node| node.log.end_offset() == end)
        && world.nodes.iter().all(|node| node.log.high_watermark == end)
        && rest.iter().all(|node| {
            let from = node.log.start_offset().max(first.log.start_offset());
            (from.0..end.0).all(|at| node.log.get(Offset(at)) == first.log.get(Offset(at)))
        })
}

fn walked(setup: Setup, steps: &[Step]) -> Walk {
    let mut walk = Walk::new(setup);
    for step in steps {
        walk.take(step);
        if !walk.world.violations.is_empty() {
            return walk;
        }
    }
    walk.heal();
    walk
}

fn holds(setup: Setup, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut walk = walked(setup, steps);
    let verdict = walk.verdict();
    prop_assert!(verdict.is_ok(), "{}\n{}", verdict.unwrap_err(), walk.trace.join("\n"));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_committed_stays_and_all_heal(steps in walk()) {
        holds(Setup::default(), &steps)?;
    }

    /// KIP-279's way of truncating is as safe; only slower.
    #[test]
    fn asking_for_epochs_before_fetching_is_as_safe(steps in walk()) {
        let policy = ReplicaPolicy { truncation: Truncation::LeaderEpochKip279, ..Default::default() };
        holds(Setup { policy, ..Setup::default() }, &steps)?;
    }
}

/// Walks drawn one after the other from one seed, so that a count of them is always the same.
fn walks() -> impl Iterator<Item = Vec<Step>> {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    std::iter::from_fn(move || Some(walk().new_tree(&mut runner).unwrap().current()))
}

/// How many walks it takes until one breaks a rule; at most `most`.
fn walks_to_violation(setup: Setup, most: usize) -> Option<usize> {
    walks().take(most).position(|steps| walked(setup, &steps).verdict().is_err())
}

#[test]
fn the_walks_reach_what_they_are_meant_to() {
    let reached: BTreeSet<Reached> =
        walks().take(300).flat_map(|steps| walked(Setup::default(), &steps).reached).collect();
    let all = [
        Reached::LeaderChanged,
        Reached::IsrShrank,
        Reached::IsrGrew,
        Reached::Truncated,
        Reached::StartedAnew,
        Reached::Acknowledged,
        Reached::PowerLost,
        Reached::RequestRefused,
        Reached::Healed,
    ];
    let missing: Vec<_> = all.iter().filter(|one| !reached.contains(one)).collect();
    assert!(missing.is_empty(), "never reached: {missing:?}");
}

#[track_caller]
fn found(policy: ReplicaPolicy, most: usize) {
    let setup = Setup { policy, ..Setup::default() };
    let walks = walks_to_violation(setup, most);
    assert!(walks.is_some(), "{most} walks find nothing");
}

#[test]
fn random_walks_find_truncation_to_the_high_watermark() {
    found(ReplicaPolicy { truncation: Truncation::HighWatermark, ..Default::default() }, 3000);
}

#[test]
fn random_walks_find_diverging_fetches_that_count() {
    let diverging_fetch = DivergingFetch::CountsAsProgress;
    found(ReplicaPolicy { diverging_fetch, ..Default::default() }, 3000);
}

#[test]
fn random_walks_find_the_last_replica_standing() {
    let setup = Setup { elr: Elr::Off, ..Setup::default() };
    assert!(walks_to_violation(setup, 3000).is_some());
}

#[test]
fn random_walks_find_an_epochs_end_without_its_epoch() {
    found(ReplicaPolicy { truncation: Truncation::LeaderEpochKip101, ..Default::default() }, 3000);
}

#[test]
fn random_walks_find_high_watermarks_set_before_truncation() {
    let follower_applies = FollowerApplies::HighWatermarkThenTruncate;
    found(ReplicaPolicy { follower_applies, ..Default::default() }, 3000);
}

#[test]
fn random_walks_find_high_watermarks_under_min_isr() {
    found(ReplicaPolicy { under_min_isr: UnderMinIsr::Advances, ..Default::default() }, 3000);
}
