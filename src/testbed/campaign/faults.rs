//! What may go wrong in a drawn plan: some kinds of fault are switched off entirely in some plans, so
//! that the others get room to show what they can do alone.

use std::ops::RangeInclusive;

use proptest::{collection::vec, prelude::*, sample::select};

use crate::testbed::plan::{Action, Link, Links, NodeRef, Span, Step, Trigger};

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

pub(super) fn node(names: Vec<String>) -> impl Strategy<Value = NodeRef> + Clone {
    select(names).prop_map(NodeRef::Name)
}

pub(super) fn span(millis: RangeInclusive<u64>) -> impl Strategy<Value = Span> + Clone {
    millis.prop_map(Span::from_millis)
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
    let mut choices: Vec<BoxedStrategy<(Action, Option<Action>)>> = Vec::new();
    let alone = |action| (action, None);
    if kinds.broker_crashes {
        choices.push(node(targets.brokers.clone()).prop_map(crash).boxed());
    }
    if kinds.client_crashes {
        choices.push(node(targets.members.clone()).prop_map(crash).boxed());
    }
    if kinds.power_losses {
        let cut = node(targets.brokers.clone()).prop_map(|node| {
            (Action::PowerLoss { node: node.clone() }, Some(Action::Restart { node }))
        });
        choices.push(cut.boxed());
    }
    if kinds.pauses {
        let pause = (node(targets.all()), span(100..=12_000));
        choices.push(
            pause
                .prop_map(move |(node, by)| alone(Action::Pause { node, lasts: Some(by) }))
                .boxed(),
        );
    }
    if kinds.stalls {
        let stall = (node(targets.members.clone()), span(100..=15_000));
        choices.push(
            stall.prop_map(move |(node, lasts)| alone(Action::Stall { node, lasts })).boxed(),
        );
    }
    if kinds.network {
        choices.push(network(targets).prop_map(alone).boxed());
    }
    if kinds.disks {
        let slow = (node(targets.brokers.clone()), span(5..=200), span(500..=5_000));
        choices.push(
            slow.prop_map(move |(node, by, lasts)| {
                alone(Action::SlowDisk { node, by, lasts: Some(lasts) })
            })
            .boxed(),
        );
    }
    if kinds.clocks {
        let skew = (node(targets.all()), -600_000..=600_000i64);
        choices
            .push(skew.prop_map(move |(node, by_ms)| alone(Action::Skew { node, by_ms })).boxed());
    }
    if choices.is_empty() {
        return Just(Vec::new()).boxed();
    }
    let fault = (span(0..=until), proptest::strategy::Union::new(choices), span(50..=8_000));
    vec(fault, 1..=8).prop_map(steps).boxed()
}

pub(super) fn crash(node: NodeRef) -> (Action, Option<Action>) {
    (Action::Crash { node: node.clone() }, Some(Action::Restart { node }))
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

/// A fault, and its own end some time later where it does not end by itself.
pub(super) fn steps(faults: Vec<(Span, (Action, Option<Action>), Span)>) -> Vec<Step> {
    let mut steps = Vec::new();
    for (index, (at, (action, end), wait)) in faults.into_iter().enumerate() {
        let id = end.is_some().then(|| format!("fault-{}", index + 1));
        let after = id.clone();
        steps.push(Step { id, trigger: Trigger::At(at), action, say: None });
        if let (Some(action), Some(step)) = (end, after) {
            let trigger = Trigger::After { step, wait };
            steps.push(Step { id: None, trigger, action, say: None });
        }
    }
    steps
}
