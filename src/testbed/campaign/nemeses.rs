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
    /// The same: the request is held up while the follower loses its disk, and then leaders stand still.
    IsrChangeRequest,
    /// A follower hears nothing of the controller while the leader changes to and fro.
    DeafFollower,
    /// A leader is elected: nobody hears its answers, and it crashes.
    Elected,
    /// A follower loses power when it has cut its log, and later leads one that was away for long.
    Truncated,
    /// Five controllers, of which one after the other is elected and crashes as in figure 8 of the Raft paper.
    Figure8,
}

impl Nemesis {
    pub fn steps(self) -> BoxedStrategy<Vec<Step>> {
        let waits = (span(0..=400), span(50..=1_500), 1..=4u64);
        match self {
            Nemesis::IsrChangeAnswer => waits.prop_map(isr_change_answer).boxed(),
            Nemesis::IsrChangeRequest => {
                let waits = (span(500..=3_000), span(300..=1_100), 500..=1_150u64, 0..3usize);
                waits.prop_map(isr_change_request).boxed()
            }
            Nemesis::DeafFollower => {
                (span(1_000..=3_000), span(150..=900), 0..3usize).prop_map(deaf_follower).boxed()
            }
            Nemesis::Elected => waits.prop_map(elected).boxed(),
            Nemesis::Truncated => {
                let waits = (span(50..=400), span(500..=2_000), span(300..=700), span(0..=4));
                (span(1_500..=3_000), waits, 0..3usize).prop_map(truncated).boxed()
            }
            Nemesis::Figure8 => {
                let waits = (span(20..=300), span(20..=200), span(50..=300), span(50..=500));
                (0..5usize, waits).prop_map(figure_8).boxed()
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

fn between(from: NodeRef, to: NodeRef) -> Links {
    Links::Some(vec![Link { from, to, both_ways: true }])
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
const SOON_BACK: Span = Span::from_millis(800);
const LATER: Span = Span::from_millis(3_000);
/// When a first controller has long been elected.
const LED: Span = Span::from_millis(2_500);
/// After this long brokers know of a move.
const MOVED: Span = Span::from_millis(120);
/// More than an answer takes on a link that nothing befalls.
const LAGS: Span = Span::from_millis(100);

fn hold(links: Links, millis: u64) -> Action {
    Action::Hold { links, lasts: Some(Span::from_millis(millis)) }
}

fn prefer(order: [&str; 3]) -> Action {
    let replicas = order.map(str::to_owned).into();
    Action::Reassign { partition: first_partition(), replicas }
}

fn elect_preferred() -> Action {
    Action::Elect { partition: Some(first_partition()), election: ElectionType::Preferred }
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

/// The victim leaves the ISR and is out of the controller's hearing until its session is nearly over; then it catches up.
/// While the request to let it in is held, it comes back without its disk, and with a new session.
fn isr_change_request((at, hears, held, victim): (Span, Span, u64, usize)) -> Vec<Step> {
    let victim = || named(["b1", "b2", "b3"][victim]);
    let NodeRef::Name(name) = victim() else { unreachable!("made above") };
    let of_victim = |event, after| when(event, &name, 1, Some(after));
    let near = || between(leader(), victim());
    let controller = || between(victim(), named("c1"));
    let asked = when(EventName::IsrChangeAsked, "orders-0", 1, Some("nemesis-near"));
    let elected = when(EventName::Elected, "orders-0", 1, Some("nemesis-still"));
    // Leaders end no process: whoever did not shut down cleanly is not eligible any more, and when that is everybody
    // the last leader is elected whatever it lost (KIP-966).
    let still = || Action::Pause { node: leader(), lasts: Some(LATER) };
    let out = of_victim(EventName::IsrShrunk, "nemesis-cut");
    let told = of_victim(EventName::Fenced, "nemesis-again");
    let grown = of_victim(EventName::IsrGrown, "nemesis-again");
    vec![
        step("cut", Trigger::At(at), Action::Sever { links: near(), lasts: None }),
        step("out", out, Action::Sever { links: controller(), lasts: None }),
        step("near", after("nemesis-out", hears), Action::Heal { links: near() }),
        step("request", asked, hold(way(leader(), named("c1")), held)),
        step("wiped", after("nemesis-request", NOW), Action::Crash { node: victim() }),
        step("wipe", after("nemesis-wiped", SOON), Action::WipeDisk { node: victim() }),
        step("again", after("nemesis-wipe", SOON), Action::Restart { node: victim() }),
        step("answers", after("nemesis-again", NOW), hold(way(leader(), victim()), 3_000)),
        step("told", told, Action::Heal { links: controller() }),
        step("still", grown, still()),
        step("still-2", elected, still()),
    ]
}

/// `wait` between the changes; the follower is the one that neither of two leaders is.
fn deaf_follower((at, wait, first): (Span, Span, usize)) -> Vec<Step> {
    let [one, two, deaf] = ORDERS[first];
    let controller =
        Links::Some(vec![Link { from: named("c1"), to: named(deaf), both_ways: true }]);
    vec![
        step("one", Trigger::At(at), prefer([one, two, deaf])),
        step("one-leads", after("nemesis-one", MOVED), elect_preferred()),
        step(
            "deaf",
            after("nemesis-one-leads", MOVED),
            Action::Sever { links: controller, lasts: Some(Span::from_millis(4_000)) },
        ),
        step("slow", after("nemesis-deaf", NOW), hold(way(named(one), named(two)), 300)),
        step("two", after("nemesis-deaf", wait), prefer([two, one, deaf])),
        step("two-leads", after("nemesis-two", MOVED), elect_preferred()),
        step("back", after("nemesis-two-leads", wait), prefer([one, two, deaf])),
        step("one-again", after("nemesis-back", MOVED), elect_preferred()),
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

/// Three leaders in turn. The first crashes with records that nobody has, and stays away. The third crashes with a whole
/// epoch that nobody has, cuts it off when it is back, and then its power fails. It leads next, and the first one asks it
/// what to keep.
fn truncated((at, waits, first): (Span, (Span, Span, Span, Span), usize)) -> Vec<Step> {
    let (alone, writes, alone_2, cuts) = waits;
    let [one, two, three] = ORDERS[first];
    let of = |event, after| when(event, "orders-0", 1, Some(after));
    let cut = |name: &str, lasts| {
        let others = NodeRef::Followers(first_partition());
        Action::Sever { links: between(named(name), others), lasts: Some(lasts) }
    };
    let crash = |name| Action::Crash { node: named(name) };
    let back = |name| Action::Restart { node: named(name) };
    vec![
        step("prefer", Trigger::At(at), prefer([one, two, three])),
        step("leads", after("nemesis-prefer", MOVED), elect_preferred()),
        step("alone", after("nemesis-leads", MOVED), cut(one, alone)),
        step("first", after("nemesis-alone", alone), crash(one)),
        step("writes", of(EventName::Elected, "nemesis-first"), Action::Note),
        step("prefer-3", after("nemesis-writes", writes), prefer([three, two, one])),
        step(
            "alone-3",
            after("nemesis-prefer-3", MOVED),
            Action::Sever { links: between(named(two), named(three)), lasts: Some(alone_2) },
        ),
        step("leads-3", after("nemesis-alone-3", NOW), elect_preferred()),
        step("third", after("nemesis-alone-3", alone_2), crash(three)),
        step("third-back", of(EventName::Elected, "nemesis-third"), back(three)),
        step("cuts", of(EventName::Truncated, "nemesis-third-back"), Action::Note),
        step("dark", after("nemesis-cuts", cuts), Action::PowerLoss { node: named(three) }),
        step("light", after("nemesis-dark", SOON_BACK), back(three)),
        step("level", of(EventName::IsrGrown, "nemesis-light"), Action::Note),
        step("fourth", after("nemesis-level", MOVED), crash(two)),
        step("first-back", of(EventName::Elected, "nemesis-fourth"), back(one)),
    ]
}

/// Links are cut so that only one can be elected at a time: `a` with a topic that `b` alone gets a copy of, `c` with the
/// votes of `d` and `e`, `a` again with those of `d` and `e`, and `c` again with those of `b` and `e`.
fn figure_8((first, waits): (usize, (Span, Span, Span, Span))) -> Vec<Step> {
    let names: Vec<_> = (0..5).map(|at| format!("c{}", (first + at) % 5 + 1)).collect();
    let [a, b, c, d, e] = [0, 1, 2, 3, 4].map(|at| names[at].as_str());
    let links = |pairs: &[(&str, &str)], both_ways| {
        let link = |(from, to): &(&str, &str)| Link { from: named(from), to: named(to), both_ways };
        Links::Some(pairs.iter().map(link).collect())
    };
    let sever = |pairs: &[_]| Action::Sever { links: links(pairs, true), lasts: None };
    let mute = |pairs: &[_]| Action::Sever { links: links(pairs, false), lasts: None };
    let heal = |pairs: &[_]| Action::Heal { links: links(pairs, true) };
    let elected = |after: &str| Trigger::When {
        event: EventName::ControllerElected,
        of: None,
        record: None,
        count: 1,
        after: Some(after.into()),
    };
    let crash = |name| Action::Crash { node: named(name) };
    let restart = |name| Action::Restart { node: named(name) };
    let (copies, soon, hears, votes) = waits;
    let topic =
        Action::CreateTopic { topic: "extra".into(), partitions: 1, replication_factor: Some(2) };
    let delay = Action::Delay { links: links(&[(b, a)], false), by: LAGS, lasts: None };
    let at = Trigger::At;
    vec![
        step("star", at(NOW), sever(&[(b, c), (b, d), (b, e), (c, d), (c, e), (d, e)])),
        step("cut", at(LED), sever(&[(a, c), (a, d), (a, e)])),
        step("topic", after("nemesis-cut", SOON), topic),
        step("kill", after("nemesis-topic", copies), crash(a)),
        step("second-may", after("nemesis-kill", NOW), heal(&[(c, d), (c, e)])),
        step("second", elected("nemesis-kill"), mute(&[(c, d), (c, e)])),
        step("kill-2", after("nemesis-second", soon), crash(c)),
        step("still", after("nemesis-kill-2", NOW), Action::Pause { node: named(b), lasts: None }),
        step("third-may", after("nemesis-still", NOW), heal(&[(a, d), (a, e)])),
        step("back", after("nemesis-still", NOW), restart(a)),
        step("third", elected("nemesis-back"), sever(&[(a, e)])),
        step("slow", after("nemesis-third", NOW), delay),
        step("moves", after("nemesis-slow", soon), Action::Resume { node: named(b) }),
        step("deaf", after("nemesis-moves", hears), mute(&[(a, b)])),
        step("kill-3", after("nemesis-deaf", votes), crash(a)),
        step("apart", after("nemesis-kill-3", NOW), sever(&[(c, d)])),
        step("fourth-may", after("nemesis-apart", NOW), heal(&[(c, b), (c, e)])),
        step("back-3", after("nemesis-apart", NOW), restart(c)),
    ]
}
