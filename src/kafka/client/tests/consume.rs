//! Reading: positions, resets, commits and auto-commit, without a rebalance in between.

use super::{
    bench::{Bench, ms, record, text, tp, with_broker},
    broker::Script,
};
use crate::kafka::{
    client::{ClientError, ClientEvent, Consumer},
    types::{Offset, TopicName},
};

const EARLIEST: (&str, &str) = ("auto.offset.reset", "earliest");

async fn fill(bench: &Bench, values: std::ops::Range<u32>) {
    let (producer, _) = bench.producer(&[]);
    for value in values {
        producer.send(record(&value.to_string())).await.unwrap();
    }
    producer.close(ms(10_000)).await;
}

/// Polls until `count` records came.
async fn read(consumer: &mut Consumer, count: usize) -> Vec<String> {
    let mut values = Vec::new();
    while values.len() < count {
        let records = consumer.poll(ms(5000)).await.unwrap();
        assert!(!records.is_empty(), "5 s without a record after {values:?}");
        values.extend(records.iter().map(|(_, record)| text(record)));
    }
    values
}

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[test]
fn records_sent_are_consumed_once() {
    with_broker(1, Script::default(), |bench| async move {
        let (mut consumer, _) = bench.consumer("c", &[("group.id", "g"), EARLIEST]);
        consumer.subscribe([TopicName::from("t")], None).await.unwrap();
        fill(&bench, 0..30).await;
        assert_eq!(read(&mut consumer, 30).await, numbers(0..30));
        assert!(consumer.poll(ms(300)).await.unwrap().is_empty());
        consumer.close(ms(5000)).await;
        assert_eq!(bench.broker.committed(0), Some(30));
    });
}

#[test]
fn max_poll_records_bounds_each_poll_and_loses_nothing() {
    with_broker(1, Script::default(), |bench| async move {
        fill(&bench, 0..25).await;
        let settings = [EARLIEST, ("max.poll.records", "10"), ("enable.auto.commit", "false")];
        let (mut consumer, _) = bench.consumer("c", &settings);
        consumer.assign([tp(0)]).await.unwrap();
        let mut counts = Vec::new();
        while counts.iter().sum::<usize>() < 25 {
            counts.push(consumer.poll(ms(5000)).await.unwrap().count());
        }
        assert_eq!(counts, [10, 10, 5]);
        assert_eq!(consumer.position(&tp(0)).await.unwrap(), Offset(25));
    });
}

#[test]
fn a_position_that_was_refused_is_asked_for_again_soon() {
    let script = Script { refused_offsets: 2, ..Script::default() };
    with_broker(1, script, |bench| async move {
        let (mut consumer, _) =
            bench.consumer("c", &[EARLIEST, ("default.api.timeout.ms", "2000")]);
        consumer.assign([tp(0)]).await.unwrap();
        assert_eq!(consumer.position(&tp(0)).await.unwrap(), Offset(0));
    });
}

#[test]
fn a_group_goes_on_where_it_committed() {
    with_broker(1, Script::default(), |bench| async move {
        fill(&bench, 0..10).await;
        let settings = [
            ("group.id", "g"),
            EARLIEST,
            ("enable.auto.commit", "false"),
            ("max.poll.records", "4"),
        ];
        let (mut consumer, _) = bench.consumer("c1", &settings);
        consumer.subscribe([TopicName::from("t")], None).await.unwrap();
        assert_eq!(read(&mut consumer, 4).await, numbers(0..4));
        consumer.commit_sync(None).await.unwrap();
        assert_eq!(read(&mut consumer, 4).await, numbers(4..8));
        consumer.close(ms(5000)).await;
        assert_eq!(bench.broker.committed(0), Some(4), "the second poll was not committed");
        let (mut consumer, observed) = bench.consumer("c2", &settings);
        consumer.subscribe([TopicName::from("t")], None).await.unwrap();
        assert_eq!(read(&mut consumer, 6).await, numbers(4..10));
        let restored = |event: &ClientEvent| {
            matches!(event, ClientEvent::PositionRestored { offset: Offset(4), .. })
        };
        assert_eq!(observed.count(restored), 1);
    });
}

#[test]
fn auto_commit_covers_what_earlier_polls_returned_not_what_this_one_does() {
    with_broker(1, Script::default(), |bench| async move {
        fill(&bench, 0..6).await;
        let settings = [("group.id", "g"), EARLIEST, ("max.poll.records", "2")];
        let (mut consumer, _) = bench.consumer("c", &settings);
        consumer.subscribe([TopicName::from("t")], None).await.unwrap();
        assert_eq!(read(&mut consumer, 2).await, numbers(0..2));
        bench.sleep(6000).await;
        assert_eq!(bench.broker.committed(0), None, "only polls commit");
        assert_eq!(read(&mut consumer, 2).await, numbers(2..4));
        bench.sleep(100).await;
        assert_eq!(bench.broker.committed(0), Some(2));
        drop(consumer);
        bench.sleep(10_000).await;
        assert_eq!(bench.broker.committed(0), Some(2), "dropping commits nothing");
    });
}

#[test]
fn closing_with_auto_commit_commits_what_polls_returned() {
    with_broker(1, Script::default(), |bench| async move {
        fill(&bench, 0..6).await;
        let settings = [("group.id", "g"), EARLIEST, ("max.poll.records", "3")];
        let (mut consumer, _) = bench.consumer("c", &settings);
        consumer.subscribe([TopicName::from("t")], None).await.unwrap();
        assert_eq!(read(&mut consumer, 3).await, numbers(0..3));
        consumer.close(ms(5000)).await;
        assert_eq!(bench.broker.committed(0), Some(3));
    });
}

#[test]
fn a_new_group_at_latest_sees_only_what_comes_later() {
    with_broker(1, Script::default(), |bench| async move {
        fill(&bench, 0..10).await;
        let (mut consumer, _) = bench.consumer("c", &[("group.id", "g")]);
        consumer.subscribe([TopicName::from("t")], None).await.unwrap();
        assert!(consumer.poll(ms(2000)).await.unwrap().is_empty());
        fill(&bench, 10..12).await;
        assert_eq!(read(&mut consumer, 2).await, numbers(10..12));
    });
}

#[test]
fn a_position_outside_of_the_log_is_reset_or_reported() {
    with_broker(1, Script::default(), |bench| async move {
        fill(&bench, 0..10).await;
        bench.broker.cut_start(0, 4);
        let (mut consumer, observed) = bench.consumer("c1", &[EARLIEST]);
        consumer.assign([tp(0)]).await.unwrap();
        consumer.seek(&tp(0), Offset(1)).unwrap();
        let records = consumer.poll(ms(5000)).await.unwrap();
        // One batch holds all ten; only what is asked for is returned.
        assert_eq!(records.partitions[0].records[0].offset, Offset(4));
        let out = |event: &ClientEvent| matches!(event, ClientEvent::OutOfRange { .. });
        assert_eq!(observed.count(out), 1);
        let (mut consumer, _) = bench.consumer("c2", &[("auto.offset.reset", "none")]);
        consumer.assign([tp(0)]).await.unwrap();
        let error = consumer.poll(ms(5000)).await.unwrap_err();
        assert_eq!(error, ClientError::NoOffsetForPartition(vec![tp(0)]));
        consumer.seek(&tp(0), Offset(1)).unwrap();
        let error = consumer.poll(ms(5000)).await.unwrap_err();
        assert_eq!(error, ClientError::OffsetOutOfRange { partition: tp(0), offset: Offset(1) });
    });
}

#[test]
fn seeking_and_pausing_decide_what_is_returned() {
    with_broker(2, Script::default(), |bench| async move {
        fill(&bench, 0..10).await;
        let (mut consumer, _) = bench.consumer("c", &[EARLIEST]);
        consumer.assign([tp(0), tp(1)]).await.unwrap();
        assert_eq!(read(&mut consumer, 10).await, numbers(0..10));
        consumer.seek(&tp(0), Offset(7)).unwrap();
        consumer.pause(&[tp(0)]).unwrap();
        assert!(consumer.poll(ms(500)).await.unwrap().is_empty());
        consumer.resume(&[tp(0)]).unwrap();
        assert_eq!(read(&mut consumer, 3).await, numbers(7..10));
        consumer.seek_to_beginning(&[]).unwrap();
        assert_eq!(read(&mut consumer, 10).await, numbers(0..10));
        let ends = consumer.end_offsets(&[tp(0), tp(1)]).await.unwrap();
        assert_eq!(ends[&tp(0)], Offset(10));
        assert_eq!(ends[&tp(1)], Offset(0));
    });
}

#[test]
fn a_wakeup_ends_a_waiting_poll() {
    with_broker(1, Script::default(), |bench| async move {
        let (mut consumer, _) = bench.consumer("c", &[EARLIEST]);
        consumer.assign([tp(0)]).await.unwrap();
        let handle = consumer.wakeup_handle();
        let clock = bench.env.clock.clone();
        bench.env.tasks.spawn(
            "waker",
            Box::pin(async move {
                clock.sleep_until(clock.now() + ms(700)).await;
                handle.wakeup();
            }),
        );
        let before = bench.env.clock.now();
        assert_eq!(consumer.poll(ms(60_000)).await.unwrap_err(), ClientError::Wakeup);
        let waited = bench.env.clock.now().since(before);
        assert!((ms(700)..ms(701)).contains(&waited), "{waited:?}");
    });
}

#[test]
fn a_poll_without_a_subscription_is_refused() {
    with_broker(1, Script::default(), |bench| async move {
        let (mut consumer, _) = bench.consumer("c", &[]);
        let error = consumer.poll(ms(10)).await.unwrap_err();
        assert_eq!(error.exception_name(), "IllegalStateException");
        let topics = [TopicName::from("t")];
        let error = consumer.subscribe(topics, None).await.unwrap_err();
        assert_eq!(error.exception_name(), "InvalidGroupIdException");
    });
}
