//! Membership: joining, being replaced, and what a late commit meets.

use std::sync::{Arc, Mutex};

use super::{
    bench::{Bench, ms, record, tp, with_broker},
    broker::Script,
};
use crate::kafka::{
    client::{ClientError, ClientEvent, Consumer, LeaveCause, ListenerFuture, RebalanceListener},
    types::{TopicName, TopicPartition},
};

const SETTINGS: [(&str, &str); 3] =
    [("group.id", "g"), ("auto.offset.reset", "earliest"), ("enable.auto.commit", "false")];

/// Polls several consumers in turn until they hold these numbers of partitions.
async fn settle(bench: &Bench, consumers: &mut [Consumer], counts: &[usize]) {
    for _ in 0..200 {
        for consumer in consumers.iter_mut() {
            consumer.poll(ms(0)).await.unwrap();
        }
        let held: Vec<usize> =
            consumers.iter().map(|consumer| consumer.assignment().len()).collect();
        if held == counts {
            return;
        }
        bench.sleep(100).await;
    }
    let held: Vec<_> = consumers.iter().map(Consumer::assignment).collect();
    panic!("expected {counts:?} partitions, found {held:?}");
}

#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    fn note(&self, what: &str, partitions: &[TopicPartition]) {
        let names: Vec<String> = partitions.iter().map(ToString::to_string).collect();
        self.0.lock().unwrap().push(format!("{what} {}", names.join(" ")));
    }
}

impl RebalanceListener for Told {
    fn on_revoked<'a>(
        &'a mut self,
        consumer: &'a mut Consumer,
        partitions: &'a [TopicPartition],
    ) -> ListenerFuture<'a> {
        self.note("revoked", partitions);
        assert_eq!(consumer.assignment(), partitions, "still assigned");
        Box::pin(async move { consumer.commit_sync(None).await.unwrap_or(()) })
    }

    fn on_assigned<'a>(
        &'a mut self,
        _: &'a mut Consumer,
        partitions: &'a [TopicPartition],
    ) -> ListenerFuture<'a> {
        self.note("assigned", partitions);
        Box::pin(std::future::ready(()))
    }

    fn on_lost<'a>(
        &'a mut self,
        _: &'a mut Consumer,
        partitions: &'a [TopicPartition],
    ) -> ListenerFuture<'a> {
        self.note("lost", partitions);
        Box::pin(std::future::ready(()))
    }
}

#[test]
fn a_second_member_takes_half_and_gives_it_back_when_it_leaves() {
    with_broker(4, Script::default(), |bench| async move {
        let told = Told::default();
        let (mut first, _) = bench.consumer("c1", &SETTINGS);
        first.subscribe([TopicName::from("t")], Some(Box::new(told.clone()))).await.unwrap();
        let mut members = vec![first];
        settle(&bench, &mut members, &[4]).await;
        let (mut second, _) = bench.consumer("c2", &SETTINGS);
        second.subscribe([TopicName::from("t")], None).await.unwrap();
        members.push(second);
        settle(&bench, &mut members, &[2, 2]).await;
        members.pop().unwrap().close(ms(5000)).await;
        settle(&bench, &mut members, &[4]).await;
        let expected = [
            "assigned t-0 t-1 t-2 t-3",
            "revoked t-0 t-1 t-2 t-3",
            "assigned t-0 t-1",
            "revoked t-0 t-1",
            "assigned t-0 t-1 t-2 t-3",
        ];
        assert_eq!(*told.0.lock().unwrap(), expected);
    });
}

#[test]
fn a_dead_member_is_replaced() {
    with_broker(2, Script::default(), |bench| async move {
        let (mut first, _) = bench.consumer("c1", &SETTINGS);
        first.subscribe([TopicName::from("t")], None).await.unwrap();
        let (mut second, _) = bench.consumer("c2", &SETTINGS);
        second.subscribe([TopicName::from("t")], None).await.unwrap();
        let mut members = vec![first, second];
        settle(&bench, &mut members, &[1, 1]).await;
        let dead = members.pop().unwrap();
        let (member, _) = dead.membership().unwrap();
        drop(dead);
        bench.sleep(1000).await;
        bench.broker.expire_member(member.as_str());
        settle(&bench, &mut members, &[2]).await;
    });
}

#[test]
fn a_member_that_does_not_poll_leaves_and_its_commit_fails() {
    with_broker(1, Script::default(), |bench| async move {
        let (producer, _) = bench.producer(&[]);
        producer.send(record("a")).await.unwrap().await.unwrap();
        let mut settings = SETTINGS.to_vec();
        settings.push(("max.poll.interval.ms", "10000"));
        let told = Told::default();
        let (mut consumer, observed) = bench.consumer("c", &settings);
        consumer.subscribe([TopicName::from("t")], Some(Box::new(told.clone()))).await.unwrap();
        assert_eq!(consumer.poll(ms(5000)).await.unwrap().count(), 1);
        bench.sleep(12_000).await;
        let left = |event: &ClientEvent| {
            matches!(event, ClientEvent::Left { cause: LeaveCause::PollTimeout, .. })
        };
        assert_eq!(observed.count(left), 1);
        let error = consumer.commit_sync(None).await.unwrap_err();
        assert_eq!(error, ClientError::CommitFailed);
        assert_eq!(bench.broker.committed(0), None);
        // The next polls join again and read the record again.
        assert_eq!(consumer.poll(ms(5000)).await.unwrap().count(), 1);
        assert_eq!(*told.0.lock().unwrap(), ["assigned t-0", "lost t-0", "assigned t-0"]);
    });
}

#[test]
fn a_member_expired_by_the_coordinator_learns_it_from_its_commit_and_rejoins() {
    with_broker(1, Script::default(), |bench| async move {
        let (mut consumer, _) = bench.consumer("c", &SETTINGS);
        consumer.subscribe([TopicName::from("t")], None).await.unwrap();
        let mut members = vec![consumer];
        settle(&bench, &mut members, &[1]).await;
        let consumer = &mut members[0];
        let (member, _) = consumer.membership().unwrap();
        bench.broker.expire_member(member.as_str());
        let offsets = [(tp(0), crate::kafka::types::Offset(0))].into_iter().collect();
        let error = consumer.commit_sync(Some(offsets)).await.unwrap_err();
        assert_eq!(error.exception_name(), "CommitFailedException");
        settle(&bench, &mut members, &[1]).await;
        assert_ne!(members[0].membership().unwrap().0, member);
        assert!(bench.broker.generation() >= 2);
    });
}

#[test]
fn a_commit_during_a_rebalance_says_so() {
    with_broker(1, Script::default(), |bench| async move {
        let (mut first, _) = bench.consumer("c1", &SETTINGS);
        first.subscribe([TopicName::from("t")], None).await.unwrap();
        let mut members = vec![first];
        settle(&bench, &mut members, &[1]).await;
        let (mut second, _) = bench.consumer("c2", &SETTINGS);
        second.subscribe([TopicName::from("t")], None).await.unwrap();
        for _ in 0..20 {
            second.poll(ms(50)).await.unwrap();
        }
        // The second has joined and waits for the first, which hears of it by a heartbeat and gives its
        // partition up in its next poll; then the second dies, so that the rebalance does not end.
        bench.sleep(4000).await;
        drop(second);
        members[0].poll(ms(0)).await.unwrap();
        bench.sleep(10).await;
        let offsets = [(tp(0), crate::kafka::types::Offset(0))].into_iter().collect();
        let outcome = members[0].commit_sync(Some(offsets)).await;
        assert_eq!(outcome.unwrap_err(), ClientError::RebalanceInProgress);
    });
}

/// `AbstractCoordinator.ensureCoordinatorReady`: one that was found and cannot be reached is looked for again with
/// pauses that grow from `retry.backoff.ms` to `retry.backoff.max.ms`.
#[test]
fn a_coordinator_out_of_reach_is_not_asked_for_again_at_once() {
    let script = Script { coordinator: Some("nowhere"), ..Script::default() };
    with_broker(1, script, |bench| async move {
        let (mut consumer, _) = bench.consumer("c", &SETTINGS);
        consumer.subscribe([TopicName::from("t")], None).await.unwrap();
        for _ in 0..10 {
            consumer.poll(ms(1000)).await.unwrap();
        }
        // With pauses of 100, 200, 400, 800 and then 1,000 ms, a fifth more or less.
        let lookups = bench.broker.lookups();
        assert!((10..=16).contains(&lookups), "{lookups} in 10 s");
    });
}
