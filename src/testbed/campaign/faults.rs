//! What may go wrong in a drawn plan: some kinds of fault are switched off entirely in some plans, so
//! that the others get room to show what they can do alone.

use proptest::{collection::vec, prelude::*, strategy::Union};

use super::steps::{Drawn, node, span, steps};
use crate::testbed::plan::{Action, Link, Links, NodeRef, Step};

/// Kinds of fault a plan may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Kinds {
    pub broker_crashes: bool,
    pub client_crashes: bool,
    pub power_losses: bool,
    pub pauses: bool,
    pub network: bool,
    pub disks: bool,
    pub clocks: bool,
    pub stalls: bool,
}

/// Each kind in about half of the plans.
pub(super) fn kinds() -> impl Strategy<Value = Kinds> {
    any::<[bool; 8]>().prop_map(|on| Kinds {
        broker_crashes: on[0],
        client_crashes: on[1],
        power_losses: on[2],
        pauses: on[3],
        network: on[4],
        disks: on[5],
        clocks: on[6],
        stalls: on[7],
    })
}

/// The machines faults may choose from.
#[derive(Clone, Debug)]
pub(super) struct Targets {
    pub brokers: Vec<String>,
    pub members: Vec<String>,
    pub producers: Vec<String>,
}

impl Targets {
    fn clients(&self) -> Vec<String> {
        [&self.members[..], &self.producers].concat()
    }

    fn all(&self) -> Vec<String> {
        [&self.brokers[..], &self.members, &self.producers].concat()
    }
}

/// One client, one broker, and the ways between them.
fn links(targets: &Targets) -> impl Strategy<Value = Links> + Clone + use<> {
    let pair =
        (node(targets.clients()), node(targets.brokers.clone()), any::<bool>(), any::<bool>());
    let one = pair.prop_map(|(client, broker, both_ways, back)| {
        let (from, to) = if back { (broker, client) } else { (client, broker) };
        Links::Some(vec![Link { from, to, both_ways }])
    });
    prop_oneof![4 => one, 1 => node(targets.all()).prop_map(Links::Of)]
}

/// Steps that carry out faults of the allowed kinds before `until` milliseconds. Machines that crash
/// restart after a while, or at the heal.
pub(super) fn faults(kinds: Kinds, targets: &Targets, until: u64) -> BoxedStrategy<Vec<Step>> {
    let mut choices: Vec<BoxedStrategy<Drawn>> = Vec::new();
    if kinds.broker_crashes {
        choices.push(node(targets.brokers.clone()).prop_map(crash).boxed());
    }
    if kinds.client_crashes {
        choices.push(node(targets.members.clone()).prop_map(crash).boxed());
    }
    if kinds.power_losses {
        let cut = node(targets.brokers.clone())
            .prop_map(|node| Drawn::away(Action::PowerLoss { node: node.clone() }, node));
        choices.push(cut.boxed());
    }
    if kinds.pauses {
        let pause = (node(targets.all()), span(100..=12_000));
        choices.push(
            pause
                .prop_map(move |(node, by)| Drawn::Once(Action::Pause { node, lasts: Some(by) }))
                .boxed(),
        );
    }
    if kinds.stalls {
        let stall = (node(targets.members.clone()), span(100..=15_000));
        choices.push(
            stall.prop_map(move |(node, lasts)| Drawn::Once(Action::Stall { node, lasts })).boxed(),
        );
    }
    if kinds.network {
        choices.push(network(targets).prop_map(Drawn::Once).boxed());
    }
    if kinds.disks {
        let slow = (node(targets.brokers.clone()), span(5..=200), span(500..=5_000));
        choices.push(
            slow.prop_map(move |(node, by, lasts)| {
                Drawn::Once(Action::SlowDisk { node, by, lasts: Some(lasts) })
            })
            .boxed(),
        );
    }
    if kinds.clocks {
        let skew = (node(targets.all()), -600_000..=600_000i64);
        choices.push(
            skew.prop_map(move |(node, by_ms)| Drawn::Once(Action::Skew { node, by_ms })).boxed(),
        );
    }
    if choices.is_empty() {
        return Just(Vec::new()).boxed();
    }
    let fault = (span(0..=until), Union::new(choices), span(50..=8_000));
    vec(fault, 1..=8).prop_map(steps).boxed()
}

pub(super) fn crash(node: NodeRef) -> Drawn {
    Drawn::away(Action::Crash { node: node.clone() }, node)
}

fn network(targets: &Targets) -> impl Strategy<Value = Action> + use<> {
    let links = links(targets);
    let lasts = span(100..=8_000).prop_map(Some);
    prop_oneof![
        3 => links.clone().prop_map(|links| Action::Reset { links }),
        2 => (links.clone(), lasts.clone()).prop_map(|(links, lasts)| Action::Sever { links, lasts }),
        1 => (links.clone(), lasts.clone()).prop_map(|(links, lasts)| Action::Hold { links, lasts }),
        1 => (links, span(10..=800), lasts)
            .prop_map(|(links, by, lasts)| Action::Delay { links, by, lasts }),
    ]
}
