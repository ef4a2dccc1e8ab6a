//! Which steps fire at which event and moment, and what is said of those that never did.

use std::time::Duration;

use super::board::Board;
use crate::{
    kafka::types::{Offset, TopicPartition},
    testbed::{
        history::{Delivery, Event, EventId, EventKind, OffsetReach, Outcome},
        plan::{Action, EventName, NodeRef, Span, Step, Trigger},
    },
};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn step(id: Option<&str>, trigger: Trigger) -> Step {
    let action = Action::Crash { node: NodeRef::Name("b1".into()) };
    Step { id: id.map(str::to_owned), trigger, action, say: None }
}

fn at(seconds: u64) -> Trigger {
    Trigger::At(Span(secs(seconds)))
}

fn after(id: &str, seconds: u64) -> Trigger {
    Trigger::After { step: id.into(), wait: Span(secs(seconds)) }
}

fn when(event: EventName, of: &str, record: Option<&str>, count: u64) -> Trigger {
    let record = record.map(|record| record.parse().expect("a record"));
    Trigger::When { event, of: Some(of.into()), record, count, after: None }
}

fn event(node: &str, kind: EventKind) -> Event {
    Event { id: EventId(0), at: 0, node: node.into(), cause: None, kind }
}

fn orders() -> TopicPartition {
    TopicPartition::new("orders", 0)
}

fn processed(node: &str, offset: i64) -> Event {
    let (partition, offset) = (orders(), Offset(offset));
    event(node, EventKind::Processed { partition, offset, record: None })
}

fn polled(node: &str, offsets: std::ops::Range<i64>) -> Event {
    let delivery = |offset| Delivery { partition: orders(), offset: Offset(offset), record: None };
    event(node, EventKind::Polled { records: offsets.map(delivery).collect() })
}

fn committed(node: &str, upto: i64) -> Event {
    let offsets = vec![OffsetReach { partition: orders(), offset: Offset(upto) }];
    let kind = crate::testbed::history::CommitKind::Sync;
    event(node, EventKind::CommitEnded { kind, outcome: Outcome::Ok, offsets })
}

/// What each event makes due, one after the other.
fn heard(trigger: Trigger, events: &[Event]) -> Vec<usize> {
    let mut board = Board::new(&[step(None, trigger)]);
    events.iter().map(|event| board.hear(event).len()).collect()
}

#[test]
fn a_step_fires_at_the_event_that_completes_its_count_and_once() {
    let events = [0, 1, 2, 3].map(|offset| processed("billing/1", offset));
    assert_eq!(heard(when(EventName::Processed, "billing", None, 3), &events), [0, 0, 1, 0]);
    assert_eq!(heard(when(EventName::Polled, "billing", None, 1), &events), [0, 0, 0, 0]);
}

#[test]
fn of_is_a_machine_an_actor_or_a_partition() {
    let events = [processed("billing/1", 0), processed("billing/2", 1), processed("audit", 2)];
    for (of, fires) in [
        ("billing/2", [0, 1, 0]),
        ("billing", [1, 0, 0]),
        ("bill", [0, 0, 0]),
        ("audit", [0, 0, 1]),
        ("orders-0", [1, 0, 0]),
        ("orders", [1, 0, 0]),
        ("orders-1", [0, 0, 0]),
    ] {
        assert_eq!(heard(when(EventName::Processed, of, None, 1), &events), fires, "{of}");
    }
}

#[test]
fn a_record_is_polled_with_its_batch_and_committed_by_what_lies_behind_it() {
    let polled = [polled("billing/1", 0..2), polled("billing/1", 2..5)];
    let third = |event| when(event, "billing", Some("orders-0@2"), 1);
    assert_eq!(heard(third(EventName::Polled), &polled), [0, 1]);
    let commits = [committed("billing/1", 2), committed("billing/1", 3)];
    assert_eq!(heard(third(EventName::Committed), &commits), [0, 1]);
}

#[test]
fn steps_of_one_moment_are_due_in_file_order_and_earlier_ones_first() {
    let mut board = Board::new(&[step(None, at(3)), step(None, at(1)), step(None, at(1))]);
    assert_eq!(board.next_time(), Some(secs(1)));
    assert_eq!(board.take_due(Duration::ZERO), [0; 0]);
    assert_eq!(board.take_due(secs(3)), [1, 2, 0]);
    assert_eq!(board.next_time(), None);
}

#[test]
fn a_follower_counts_from_when_its_step_fired() {
    let steps = [step(Some("kill"), at(1)), step(None, after("kill", 5))];
    let mut board = Board::new(&steps);
    assert_eq!(board.take_due(secs(2)), [0]);
    assert_eq!(board.next_time(), None);
    board.fire(0, Some("kill"), secs(2));
    assert_eq!(board.next_time(), Some(secs(7)));
    assert!(!board.is_through(&steps));
    assert_eq!(board.take_due(secs(7)), [1]);
    board.fire(1, None, secs(7));
    assert!(board.is_through(&steps) && board.unfired(&steps).is_empty());
}

#[test]
fn an_event_counts_only_after_the_step_it_waits_for() {
    let (event, of) = (EventName::Processed, Some("billing".into()));
    let later = Trigger::When { event, of, record: None, count: 1, after: Some("kill".into()) };
    let mut board = Board::new(&[step(Some("kill"), at(1)), step(None, later)]);
    assert_eq!(board.hear(&processed("billing/1", 0)), [0; 0]);
    board.fire(0, Some("kill"), secs(1));
    assert_eq!(board.hear(&processed("billing/1", 1)), [1]);
}

#[test]
fn a_closed_board_fires_nothing_more() {
    let trigger = when(EventName::Processed, "billing", None, 1);
    let mut board = Board::new(&[step(None, at(1)), step(None, trigger)]);
    board.close();
    assert!(!board.wants(&processed("billing/1", 0)));
    assert_eq!(board.hear(&processed("billing/1", 0)), [0; 0]);
    assert_eq!((board.next_time(), board.take_due(secs(9)).len()), (None, 0));
}

#[test]
fn what_never_fired_says_how_close_it_came() {
    let steps = [
        step(Some("kill"), when(EventName::Processed, "billing", Some("orders-0@9"), 2)),
        step(None, after("kill", 1)),
        step(None, at(60)),
    ];
    let mut board = Board::new(&steps);
    board.hear(&processed("billing/1", 9));
    let unfired = board.unfired(&steps);
    let said: Vec<_> = unfired.iter().map(|unfired| (unfired.step, &*unfired.progress)).collect();
    assert_eq!(
        said,
        [
            (0, "processed of billing at orders-0@9 reached 1 of 2"),
            (1, "step `kill` did not fire"),
            (2, "the trial ended before its time"),
        ]
    );
}

#[test]
fn a_missed_step_takes_those_along_that_wait_for_it_and_nobody_waits_for_them() {
    let last = Trigger::When {
        event: EventName::Acked,
        of: None,
        record: None,
        count: 1,
        after: Some("back".into()),
    };
    let steps = [
        step(Some("kill"), at(1)),
        step(Some("back"), after("kill", 1)),
        step(None, last),
        step(None, at(5)),
    ];
    let mut board = Board::new(&steps);
    assert_eq!(board.take_due(secs(1)), [0]);
    board.miss(0, "nobody was `leader:orders-0` at 1s".into());
    assert!(!board.is_through(&steps));
    assert_eq!(board.take_due(secs(5)), [3]);
    board.fire(3, None, secs(5));
    assert!(board.is_through(&steps));
    let unfired: Vec<_> = board.unfired(&steps).into_iter().map(|it| it.progress).collect();
    let told = ["nobody was `leader:orders-0` at 1s", "step `kill` did not fire"];
    assert_eq!(unfired, [&told[..], &["step `back` did not fire"]].concat());
}
