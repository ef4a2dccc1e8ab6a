//! Faults and acts drawn one by one, made into the steps of a plan.

use std::{fmt::Debug, ops::RangeInclusive};

use proptest::{prelude::*, sample::select};

use crate::testbed::plan::{Action, Link, Links, NodeRef, Span, Step, Trigger};

/// What happens at a moment, and perhaps what ends it or goes on with it some time later.
#[derive(Clone, Debug)]
pub(super) enum Drawn {
    Once(Action),
    /// The wait is drawn with the moment, unless it is given here.
    Twice {
        first: Action,
        wait: Option<Span>,
        second: Action,
    },
    /// Whoever is down comes back later.
    Down(Action),
    /// The machine stops in good order, and comes back with an empty disk. It is `down` before the disk goes.
    Wiped {
        node: NodeRef,
        down: Span,
    },
}

impl Drawn {
    /// The same machine by its name or role, whoever that is by then.
    pub fn away(first: Action, node: NodeRef) -> Drawn {
        Drawn::Twice { first, wait: None, second: Action::Restart { node } }
    }

    pub fn crash(node: NodeRef) -> Drawn {
        Drawn::Down(Action::Crash { node })
    }

    pub fn power_loss(node: NodeRef) -> Drawn {
        Drawn::Down(Action::PowerLoss { node })
    }
}

/// One of these machines.
pub(super) fn node<N>(names: Vec<N>) -> impl Strategy<Value = NodeRef> + Clone + use<N>
where
    N: Clone + Debug + Into<String> + 'static,
{
    select(names).prop_map(|name| NodeRef::Name(name.into()))
}

pub(super) fn span(millis: RangeInclusive<u64>) -> impl Strategy<Value = Span> + Clone {
    millis.prop_map(Span::from_millis)
}

/// The way from one machine to another, or both ways between them.
pub(super) fn links_between(
    from: &'static [&'static str],
    to: &'static [&'static str],
) -> impl Strategy<Value = Links> + Clone {
    let pairs: Vec<(&str, &str)> = from
        .iter()
        .flat_map(|from| to.iter().filter(move |to| *to != from).map(move |to| (*from, *to)))
        .collect();
    (select(pairs), 0..3u8).prop_map(|((from, to), way)| {
        let (from, to) = if way == 1 { (to, from) } else { (from, to) };
        let named = |name: &str| NodeRef::Name(name.to_owned());
        Links::Some(vec![Link { from: named(from), to: named(to), both_ways: way == 0 }])
    })
}

/// Each drawn thing at its moment, and what belongs to it after its wait.
pub(super) fn steps(drawn: Vec<(Span, Drawn, Span)>) -> Vec<Step> {
    let one = |(index, (at, drawn, wait))| step(format!("fault-{}", index + 1), at, drawn, wait);
    drawn.into_iter().enumerate().flat_map(one).collect()
}

/// A drawn thing under a name of its own.
pub(super) fn step(name: String, at: Span, drawn: Drawn, wait: Span) -> Vec<Step> {
    let (first, then) = match drawn {
        Drawn::Once(action) => (action, vec![]),
        Drawn::Twice { first, wait: given, second } => {
            (first, vec![(given.unwrap_or(wait), second)])
        }
        Drawn::Down(action) => {
            let node = NodeRef::Step(name.clone());
            (action, vec![(wait, Action::Restart { node })])
        }
        Drawn::Wiped { node, down } => {
            let wipe = Action::WipeDisk { node: node.clone() };
            let restart = Action::Restart { node: node.clone() };
            (Action::ShutDown { node }, vec![(down, wipe), (wait, restart)])
        }
    };
    let last = then.len();
    // The first has the name itself, those between a number with it.
    let id = |index: usize| match index {
        0 => name.clone(),
        index => format!("{name}-{index}"),
    };
    let all = [(Trigger::At(at), first)].into_iter().chain(
        then.into_iter()
            .enumerate()
            .map(|(index, (wait, action))| (Trigger::After { step: id(index), wait }, action)),
    );
    let step = |(index, (trigger, action))| {
        let id = (index < last).then(|| id(index));
        Step { id, trigger, action, say: None }
    };
    all.enumerate().map(step).collect()
}
