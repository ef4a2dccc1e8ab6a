//! Nemeses: faults tied to the event after which they hurt, for windows that chance alone meets too seldom.

use proptest::prelude::*;

use super::{actors::first_partition, small_clusters::ORDERS, steps::span};
use crate::testbed::plan::{
    Action, ElectionType, EventName, Link, Links, NodeRef, Span, Step, Trigger,
};

/// Which event a nemesis waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Nemesis {
    /// A leader asks for another ISR: the answer is held up, a follower cut off, and the ISR crashes.
    IsrChangeAnswer,
    /// The same: the request is held up while the follower loses its disk, and then its leaders crash.
    IsrChangeRequest,
    /// A follower hears nothing of the controller while the leader changes to and fro.
    DeafFollower,
    /// A leader is elected: nobody hears its answers, and it crashes.
    Elected,
    /// A controller becomes active: it loses its connections or crashes at once.
    ControllerElected,
}

impl Nemesis {
    pub fn steps(self) -> BoxedStrategy<Vec<Step>> {
        let waits = (span(0..=400), span(50..=1_500), 1..=4u64);
        match self {
            Nemesis::IsrChangeAnswer => waits.prop_map(isr_change_answer).boxed(),
            Nemesis::IsrChangeRequest => waits.prop_map(isr_change_request).boxed(),
            Nemesis::DeafFollower => {
                (span(1_000..=3_000), span(150..=900), 0..3usize).prop_map(deaf_follower).boxed()
            }
            Nemesis::Elected => waits.prop_map(elected).boxed(),
            Nemesis::ControllerElected => {
                (span(0..=60), span(100..=1_500), 1..=3u64).prop_map(controller_elected).boxed()
            }
        }
    }
}

fn leader() -> NodeRef {
    NodeRef::Leader(first_partition())
}

fn named(name: &str) -> NodeRef {
    NodeRef::Name(name.to_owned())
}

fn way(from: NodeRef, to: NodeRef) -> Links {
    Links::Some(vec![Link { from, to, both_ways: false }])
}

fn when(event: EventName, of: &str, count: u64, after: Option<&str>) -> Trigger {
    let (of, after) = (Some(of.to_owned()), after.map(str::to_owned));
    Trigger::When { event, of, record: None, count, after }
}

fn after(step: &str, wait: Span) -> Trigger {
    Trigger::After { step: step.to_owned(), wait }
}

fn step(id: &str, trigger: Trigger, action: Action) -> Step {
    Step { id: Some(format!("nemesis-{id}")), trigger, action, say: None }
}

const NOW: Span = Span::from_millis(0);
const SOON: Span = Span::from_millis(20);
const LATER: Span = Span::from_millis(3_000);

fn hold(links: Links, millis: u64) -> Action {
    Action::Hold { links, lasts: Some(Span::from_millis(millis)) }
}

fn isr_change_answer((wait, _, count): (Span, Span, u64)) -> Vec<Step> {
    let asked = when(EventName::IsrChangeAsked, "orders-0", count, None);
    let crash = Action::Crash { node: NodeRef::Isr(first_partition()) };
    let back = Action::Restart { node: NodeRef::Step("nemesis-kill".into()) };
    vec![
        step("answer", asked, hold(way(named("c1"), leader()), 2_500)),
        step(
            "follower",
            after("nemesis-answer", NOW),
            hold(way(leader(), NodeRef::Follower(first_partition())), 2_500),
        ),
        step("kill", after("nemesis-answer", wait), crash),
        step("back", after("nemesis-kill", LATER), back),
    ]
}

fn isr_change_request((_, _, count): (Span, Span, u64)) -> Vec<Step> {
    let asked = when(EventName::IsrChangeAsked, "orders-0", count, None);
    let wiped = || NodeRef::Step("nemesis-wiped".into());
    let grown = when(EventName::IsrGrown, "orders-0", 1, Some("nemesis-wiped"));
    let elected = when(EventName::Elected, "orders-0", 1, Some("nemesis-kill"));
    let restart = |node: &str| Action::Restart { node: NodeRef::Step(node.into()) };
    vec![
        step("request", asked, hold(way(leader(), named("c1")), 500)),
        step(
            "wiped",
            after("nemesis-request", NOW),
            Action::Crash { node: NodeRef::Follower(first_partition()) },
        ),
        step("wipe", after("nemesis-wiped", SOON), Action::WipeDisk { node: wiped() }),
        step("again", after("nemesis-wipe", SOON), Action::Restart { node: wiped() }),
        step("answers", after("nemesis-again", NOW), hold(way(leader(), wiped()), 3_000)),
        step("kill", grown, Action::Crash { node: leader() }),
        step("kill-2", elected, Action::Crash { node: leader() }),
        step("back", after("nemesis-kill", Span::from_millis(4_000)), restart("nemesis-kill")),
        step("back-2", after("nemesis-kill-2", LATER), restart("nemesis-kill-2")),
    ]
}

/// `wait` between the changes; the follower is the one that neither of two leaders is.
fn deaf_follower((at, wait, first): (Span, Span, usize)) -> Vec<Step> {
    let [one, two, deaf] = ORDERS[first];
    let prefer = |first: &str, second: &str| Action::Reassign {
        partition: first_partition(),
        replicas: vec![first.into(), second.into(), deaf.into()],
    };
    let elect =
        || Action::Elect { partition: Some(first_partition()), election: ElectionType::Preferred };
    let controller =
        Links::Some(vec![Link { from: named("c1"), to: named(deaf), both_ways: true }]);
    let moved = Span::from_millis(120);
    vec![
        step("one", Trigger::At(at), prefer(one, two)),
        step("one-leads", after("nemesis-one", moved), elect()),
        step(
            "deaf",
            after("nemesis-one-leads", moved),
            Action::Sever { links: controller, lasts: Some(Span::from_millis(4_000)) },
        ),
        step("slow", after("nemesis-deaf", NOW), hold(way(named(one), named(two)), 300)),
        step("two", after("nemesis-deaf", wait), prefer(two, one)),
        step("two-leads", after("nemesis-two", moved), elect()),
        step("back", after("nemesis-two-leads", wait), prefer(one, two)),
        step("one-again", after("nemesis-back", moved), elect()),
    ]
}

fn elected((wait, lasts, count): (Span, Span, u64)) -> Vec<Step> {
    let elected = when(EventName::Elected, "orders-0", count, None);
    let answers =
        Link { from: leader(), to: NodeRef::Followers(first_partition()), both_ways: false };
    let back = Action::Restart { node: NodeRef::Step("nemesis-kill".into()) };
    vec![
        step(
            "answers",
            elected,
            Action::Delay { links: Links::Some(vec![answers]), by: lasts, lasts: Some(LATER) },
        ),
        step("kill", after("nemesis-answers", wait), Action::Crash { node: leader() }),
        step("back", after("nemesis-kill", LATER), back),
    ]
}

fn controller_elected((wait, lasts, count): (Span, Span, u64)) -> Vec<Step> {
    let elected = |count, after| Trigger::When {
        event: EventName::ControllerElected,
        of: None,
        record: None,
        count,
        after,
    };
    let restart = |node: &str| Action::Restart { node: NodeRef::Step(node.into()) };
    let crash = || Action::Crash { node: NodeRef::Controller };
    vec![
        step("first", elected(count, None), Action::Note),
        step("kill", after("nemesis-first", wait), crash()),
        step("back", after("nemesis-kill", lasts), restart("nemesis-kill")),
        step("second", elected(1, Some("nemesis-kill".into())), Action::Note),
        step("kill-2", after("nemesis-second", wait), crash()),
        step("back-2", after("nemesis-kill-2", lasts), restart("nemesis-kill-2")),
    ]
}
