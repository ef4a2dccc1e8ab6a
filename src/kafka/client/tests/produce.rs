//! Sending: order, retries, duplicates, and what a failed send may claim.

use std::collections::BTreeMap;

use kafka_protocol::ResponseError;

use super::{
    bench::{ms, record, with_broker},
    broker::{Script, Trouble},
};
use crate::{
    kafka::{
        client::{AttemptFailure, ClientError, ClientEvent, Fate},
        config::{InFlightLimit, ProducerPolicy},
    },
    sim::MachineOptions,
};

fn script(produce: &[(u32, Trouble)]) -> Script {
    Script { produce: produce.iter().copied().collect::<BTreeMap<_, _>>(), ..Script::default() }
}

#[test]
fn sends_of_one_task_are_in_the_log_in_their_order_and_know_their_offsets() {
    with_broker(1, Script::default(), |bench| async move {
        let (producer, _) = bench.producer(&[]);
        let mut sends = Vec::new();
        for number in 0..50 {
            sends.push(producer.send(record(&number.to_string())).await.unwrap());
        }
        for (number, send) in (0..).zip(sends) {
            assert_eq!(send.await.unwrap().offset.unwrap().0, number);
        }
        let expected: Vec<String> = (0..50).map(|number| number.to_string()).collect();
        assert_eq!(bench.broker.values(0), expected);
        producer.close(ms(1000)).await;
    });
}

#[test]
fn a_lost_ack_is_retried_without_duplicate() {
    with_broker(1, script(&[(1, Trouble::LoseAnswer)]), |bench| async move {
        let (producer, observed) = bench.producer(&[]);
        let send = producer.send(record("a")).await.unwrap();
        assert_eq!(send.await.unwrap().offset.unwrap().0, 0);
        assert_eq!(bench.broker.values(0), ["a"]);
        let retried = |event: &ClientEvent| {
            matches!(event, ClientEvent::BatchRetried { cause: AttemptFailure::Disconnected, .. })
        };
        assert_eq!(observed.count(retried), 1);
    });
}

#[test]
fn a_lost_ack_without_idempotence_doubles_the_record() {
    with_broker(1, script(&[(1, Trouble::LoseAnswer)]), |bench| async move {
        let (producer, _) = bench.producer(&[("enable.idempotence", "false")]);
        let send = producer.send(record("a")).await.unwrap();
        assert_eq!(send.await.unwrap().offset.unwrap().0, 1);
        assert_eq!(bench.broker.values(0), ["a", "a"]);
    });
}

#[test]
fn a_retry_overtaken_by_its_successors_keeps_the_order_with_idempotence() {
    let first_sequence = Some(0);
    let troubles = script(&[(1, Trouble::Refuse(ResponseError::NotLeaderOrFollower))]);
    with_broker(1, Script { first_sequence, ..troubles }, |bench| async move {
        let (producer, _) = bench.producer(&[("linger.ms", "0")]);
        let mut sends = Vec::new();
        for number in 0..20 {
            sends.push(producer.send(record(&number.to_string())).await.unwrap());
            bench.sleep(1).await;
        }
        for send in sends {
            send.await.unwrap();
        }
        let expected: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        assert_eq!(bench.broker.values(0), expected);
    });
}

/// Three batches are on their way to a new partition, of which the broker hears after the first.
fn log_after_a_late_start(first_sequence: Option<i32>) -> (Vec<String>, Vec<bool>) {
    let (sender, receiver) = std::sync::mpsc::channel();
    let troubles = script(&[(1, Trouble::Refuse(ResponseError::NotLeaderOrFollower))]);
    with_broker(1, Script { first_sequence, ..troubles }, move |bench| async move {
        let settings = [
            // Every record is a batch: a second one of this size finds no room.
            ("batch.size", "1"),
            ("linger.ms", "0"),
            ("request.timeout.ms", "1000"),
            ("delivery.timeout.ms", "20000"),
        ];
        let (producer, _) = bench.producer(&settings);
        let mut sends = Vec::new();
        for value in ["a", "b", "c"] {
            sends.push(producer.send(record(&value.repeat(100))).await.unwrap());
        }
        let mut acked = Vec::new();
        for send in sends {
            acked.push(send.await.is_ok());
        }
        let log = bench.broker.values(0).into_iter().map(|value| value[..1].to_owned());
        sender.send((log.collect(), acked)).unwrap();
    });
    receiver.recv().unwrap()
}

#[test]
fn an_idempotent_producer_loses_its_first_batch_to_its_second() {
    let (log, acked) = log_after_a_late_start(None);
    assert_eq!((log, acked), (vec!["b".into(), "c".into()], vec![false, true, true]));
    let (log, acked) = log_after_a_late_start(Some(0));
    assert_eq!((log, acked), (vec!["a".into(), "b".into(), "c".into()], vec![true; 3]));
}

/// One request in flight; the leader moves while the first waits for an answer that never comes.
fn log_after_the_leader_moved(in_flight_limit: InFlightLimit) -> Vec<String> {
    let (sender, receiver) = std::sync::mpsc::channel();
    with_broker(1, script(&[(1, Trouble::Silence)]), move |bench| async move {
        bench.broker.join_second();
        bench.world.add_machine("b2", MachineOptions::default());
        let second = bench.broker.clone();
        bench.world.start("b2", move |env| Box::pin(second.serve(env, "b2")));
        let settings = [
            ("enable.idempotence", "false"),
            ("max.in.flight.requests.per.connection", "1"),
            ("linger.ms", "0"),
            ("request.timeout.ms", "3000"),
            ("metadata.max.age.ms", "500"),
        ];
        let (producer, _) = bench.producer_under(ProducerPolicy { in_flight_limit }, &settings);
        let first = producer.send(record("a")).await.unwrap();
        bench.sleep(200).await;
        bench.broker.move_leader(2);
        let second = producer.send(record("b")).await.unwrap();
        first.await.unwrap();
        second.await.unwrap();
        sender.send(bench.broker.values(0)).unwrap();
    });
    receiver.recv().unwrap()
}

#[test]
fn a_batch_overtakes_the_one_before_if_the_limit_is_the_connections_alone() {
    assert_eq!(log_after_the_leader_moved(InFlightLimit::PerConnection), ["b", "a"]);
    assert_eq!(log_after_the_leader_moved(InFlightLimit::PerPartition), ["a", "b"]);
}

#[test]
fn a_refused_record_is_definitely_not_appended() {
    let troubles = script(&[(1, Trouble::Refuse(ResponseError::InvalidRecord))]);
    with_broker(1, troubles, |bench| async move {
        let (producer, observed) = bench.producer(&[]);
        let error = producer.send(record("a")).await.unwrap().await.unwrap_err();
        assert_eq!(error.fate, Fate::NotAppended);
        assert_eq!(error.error, ClientError::Broker(ResponseError::InvalidRecord));
        assert_eq!(error.error.exception_name(), "InvalidRecordException");
        // The gap that it leaves is closed by a new epoch.
        producer.send(record("b")).await.unwrap().await.unwrap();
        assert_eq!(bench.broker.values(0), ["b"]);
        let bumped = |event: &ClientEvent| matches!(event, ClientEvent::EpochBumped { .. });
        assert_eq!(observed.count(bumped), 1);
    });
}

#[test]
fn a_send_that_was_never_answered_is_of_unknown_outcome() {
    let troubles = script(&[(1, Trouble::Silence)]);
    with_broker(1, troubles, |bench| async move {
        let settings = [
            ("request.timeout.ms", "1000"),
            ("delivery.timeout.ms", "3000"),
            ("retries", "1"),
            ("enable.idempotence", "false"),
            ("linger.ms", "0"),
        ];
        let (producer, _) = bench.producer(&settings);
        let first = producer.send(record("a")).await.unwrap();
        bench.sleep(900).await;
        bench.world.isolate("b1");
        let before = bench.env.clock.now();
        let error = first.await.unwrap_err();
        assert_eq!(error.fate, Fate::Unknown);
        assert_eq!(error.error.exception_name(), "TimeoutException");
        assert!(bench.env.clock.now().since(before) <= ms(2200), "delivery.timeout.ms holds");
        // What is sent from here on finds no connection, so that nothing of it leaves.
        let error = producer.send(record("b")).await.unwrap().await.unwrap_err();
        assert_eq!(error.fate, Fate::NotAppended);
    });
}

#[test]
fn without_a_cluster_a_send_waits_for_max_block_ms_and_nothing_is_appended() {
    with_broker(1, Script::default(), |bench| async move {
        bench.world.isolate("b1");
        let (producer, _) = bench.producer(&[("max.block.ms", "2000")]);
        let before = bench.env.clock.now();
        let error = producer.send(record("a")).await.unwrap_err();
        let waited = bench.env.clock.now().since(before);
        assert!((ms(2000)..ms(2001)).contains(&waited), "{waited:?}");
        assert_eq!(error.fate, Fate::NotAppended);
        assert_eq!(error.error.exception_name(), "TimeoutException");
    });
}

#[test]
fn a_full_buffer_makes_the_next_send_wait_until_something_is_acknowledged() {
    with_broker(1, Script::default(), |bench| async move {
        let settings = [("buffer.memory", "40000"), ("linger.ms", "60000")];
        let mut settings = settings.to_vec();
        settings.push(("delivery.timeout.ms", "200000"));
        let (producer, _) = bench.producer(&settings);
        let value = "x".repeat(10_000);
        let mut sends = Vec::new();
        for _ in 0..8 {
            sends.push(producer.send(record(&value)).await.unwrap());
        }
        producer.flush().await;
        for send in sends {
            send.await.unwrap();
        }
        assert_eq!(bench.broker.values(0).len(), 8);
    });
}

#[test]
fn a_batch_that_is_too_large_is_cut_and_every_send_resolves() {
    let troubles = script(&[(1, Trouble::Refuse(ResponseError::MessageTooLarge))]);
    with_broker(1, troubles, |bench| async move {
        let (producer, _) = bench.producer(&[]);
        let mut sends = Vec::new();
        for number in 0..10 {
            sends.push(producer.send(record(&number.to_string())).await.unwrap());
        }
        for (number, send) in (0..).zip(sends) {
            assert_eq!(send.await.unwrap().offset.unwrap().0, number);
        }
        let expected: Vec<String> = (0..10).map(|number| number.to_string()).collect();
        assert_eq!(bench.broker.values(0), expected);
    });
}

#[test]
fn closing_sends_what_lingers_and_dropping_does_not() {
    with_broker(1, Script::default(), |bench| async move {
        let settings = [("linger.ms", "20000")];
        let (producer, _) = bench.producer(&settings);
        let dropped = producer.send(record("dropped")).await.unwrap();
        drop(producer);
        assert_eq!(dropped.await.unwrap_err().fate, Fate::NotAppended);
        let (producer, _) = bench.producer(&settings);
        let closed = producer.send(record("closed")).await.unwrap();
        producer.close(ms(5000)).await;
        closed.await.unwrap();
        assert_eq!(bench.broker.values(0), ["closed"]);
    });
}

#[test]
fn acks_0_resolves_without_an_offset() {
    with_broker(1, Script::default(), |bench| async move {
        let (producer, _) = bench.producer(&[("acks", "0"), ("enable.idempotence", "false")]);
        let send = producer.send(record("a")).await.unwrap();
        assert_eq!(send.await.unwrap().offset, None);
        bench.sleep(100).await;
        assert_eq!(bench.broker.values(0), ["a"]);
    });
}

#[test]
fn a_request_that_never_arrived_is_sent_again() {
    with_broker(1, script(&[(1, Trouble::LoseRequest)]), |bench| async move {
        let (producer, _) = bench.producer(&[]);
        let send = producer.send(record("a")).await.unwrap();
        assert_eq!(send.await.unwrap().offset.unwrap().0, 0);
        assert_eq!(bench.broker.values(0), ["a"]);
    });
}
