//! Compaction as clients meet it, and the coordinator that lives on a compacted topic.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use kafka_protocol::{
    messages::{
        CreateTopicsRequest, DeleteTopicsRequest, FindCoordinatorRequest, OffsetCommitRequest,
        OffsetFetchRequest, ProduceRequest,
        create_topics_request::{CreatableTopic, CreatableTopicConfig},
        delete_topics_request::DeleteTopicState,
        offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        offset_fetch_request::OffsetFetchRequestTopic,
        produce_request::{PartitionProduceData, TopicProduceData},
    },
    protocol::StrBytes,
};

use super::{
    bench::{NodeConfig, Wire, beside_a_changed, pause, start_changed},
    cluster::Shape,
    replicas::{cut_from_brokers, until, with_replicas},
    requests::fetch,
    storage::{name, setting, start_offset},
};
use crate::{
    env::Env,
    kafka::{
        config::{BrokerConfig, Settings, Side},
        protocol::batch::{BatchBuilder, BatchOptions, Batches, Compression},
        types::{BrokerId, Offset, Timestamp},
    },
    sim::{Latency, World},
};

const LONG: Duration = Duration::from_secs(100_000);
/// The cleaner looks every 15 seconds.
const A_CLEANING: Duration = Duration::from_secs(20);

fn batch(env: &Env, key: u8, value: Option<u8>) -> Bytes {
    let mut batch = BatchBuilder::new(Compression::None, 1 << 16);
    let now = Timestamp::from(env.clock.wall_time());
    batch.append(now, Some(&[key]), value.as_ref().map(std::slice::from_ref), &[]);
    batch.build(&BatchOptions::default())
}

async fn put(env: &Env, wire: &mut Wire, key: u8, value: Option<u8>) {
    let data = PartitionProduceData::default().with_records(Some(batch(env, key, value)));
    let topic = TopicProduceData::default().with_name(name("t")).with_partition_data(vec![data]);
    let request = ProduceRequest::default().with_acks(-1).with_timeout_ms(1000);
    let answer = wire.ask(9, &request.with_topic_data(vec![topic])).await;
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
}

/// Offset, key and value of all that is left of `t-0`, fetched as a consumer does.
async fn consume(wire: &mut Wire) -> Vec<(i64, u8, Option<u8>)> {
    let (mut from, mut found) = (0, Vec::new());
    loop {
        let answer = wire.ask(12, &fetch(from, 1, Duration::ZERO)).await;
        let data = &answer.responses[0].partitions[0];
        assert_eq!(data.error_code, 0);
        for batch in Batches::new(data.records.clone().unwrap()).map(Result::unwrap) {
            from = batch.header.next_offset().0;
            for record in batch.records().unwrap().map(Result::unwrap) {
                let value = record.value.map(|value| value[0]);
                found.push((record.offset.0, record.key.unwrap()[0], value));
            }
        }
        if from >= data.high_watermark {
            return found;
        }
    }
}

/// Segments of two records.
fn compacted(node: &mut NodeConfig) {
    // Disks are slow here, and the controller's records with them.
    node.config.broker_session_timeout = Duration::from_secs(60);
    node.topics[0].config = vec![
        setting("cleanup.policy", "compact"),
        setting("segment.bytes", "150"),
        setting("delete.retention.ms", "60000"),
    ];
}

#[test]
fn a_consumer_finds_the_last_value_of_each_key() {
    beside_a_changed(LONG, compacted, |world, env| async move {
        let mut wire = Wire::open(&env).await;
        for value in 0..30 {
            put(&env, &mut wire, value % 3, Some(value)).await;
        }
        put(&env, &mut wire, 1, None).await;
        for value in [100, 101] {
            put(&env, &mut wire, 9, Some(value)).await;
        }
        let written = 33;
        pause(&env, A_CLEANING).await;
        let left = [
            (27, 0, Some(27)),
            (29, 2, Some(29)),
            (30, 1, None),
            (31, 9, Some(100)),
            (32, 9, Some(101)),
        ];
        assert_eq!(consume(&mut wire).await, left);
        let checkpoint =
            String::from_utf8(world.disk("b1").read("cleaner-offset-checkpoint").unwrap());
        assert_eq!(checkpoint.unwrap(), format!("0\n1\nt 0 {}\n", written - 1));
        // The active segment keeps its records; the tombstone waits for its time, and a cleaning.
        world.power_loss("b1");
        start_changed(&world, LONG, compacted);
        let mut wire = Wire::open(&env).await;
        assert_eq!(consume(&mut wire).await[..3], left[..3]);
        pause(&env, Duration::from_secs(60)).await;
        for value in 0..20 {
            put(&env, &mut wire, 50, Some(value)).await;
        }
        pause(&env, A_CLEANING).await;
        let keys: Vec<_> = consume(&mut wire).await.into_iter().map(|(_, key, _)| key).collect();
        assert!(!keys.contains(&1), "{keys:?}");
    });
}

/// `t` is on both brokers, and whoever comes back first leads it.
fn compacted_on_both(node: &mut NodeConfig) {
    compacted(node);
    node.config.broker_session_timeout = Duration::from_secs(2);
    node.topics[0].partitions = vec![vec![BrokerId(2), BrokerId(1)]];
    node.topics[0].config.push(setting("unclean.leader.election.enable", "true"));
}

/// What came in place of what was cut off was never cleaned, though the log was once clean beyond it. The broker that cut
/// it may go on, or be killed before it cleans anything.
#[test]
fn a_log_that_was_cut_is_dirty_from_there() {
    for is_killed in [false, true] {
        let shape = Shape { brokers: 2, controllers: 1, change: compacted_on_both };
        shape.run(move |world, env| async move {
            let mut b2 = Wire::open_to(&env, "b2").await;
            for value in 0..2 {
                put(&env, &mut b2, value, Some(value)).await;
            }
            world.kill("b1");
            pause(&env, Duration::from_secs(5)).await;
            for value in 2..20 {
                put(&env, &mut b2, value % 2, Some(value)).await;
            }
            pause(&env, A_CLEANING).await;
            let clean = || {
                let checkpoint = world.disk("b2").read("cleaner-offset-checkpoint").unwrap();
                String::from_utf8(checkpoint).unwrap()
            };
            assert_eq!(clean(), "0\n1\nt 0 18\n");
            world.kill("b2");
            pause(&env, Duration::from_secs(5)).await;
            shape.start(&world, 1);
            let mut b1 = Wire::open_to(&env, "b1").await;
            for value in 100..130 {
                put(&env, &mut b1, value % 2, Some(value)).await;
            }
            shape.start(&world, 2);
            let mut b2 = Wire::open_to(&env, "b2").await;
            if is_killed {
                pause(&env, Duration::from_secs(5)).await;
                assert_eq!(consume(&mut b2).await.len(), 30);
                world.kill("b2");
                shape.start(&world, 2);
                b2 = Wire::open_to(&env, "b2").await;
            }
            pause(&env, A_CLEANING).await;
            let left: Vec<_> =
                (126..130).map(|v: u8| (i64::from(v) - 98, v % 2, Some(v))).collect();
            assert_eq!(consume(&mut b1).await, left);
            assert_eq!(consume(&mut b2).await, left);
        });
    }
}

#[test]
fn a_log_that_is_compacted_and_deleted_from_loses_its_oldest_segments() {
    let both = |node: &mut NodeConfig| {
        compacted(node);
        let more = [setting("cleanup.policy", "compact,delete"), setting("retention.ms", "60000")];
        node.topics[0].config.extend(more);
    };
    beside_a_changed(LONG, both, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        for key in 0..6 {
            put(&env, &mut wire, key, Some(key)).await;
        }
        pause(&env, A_CLEANING).await;
        assert_eq!(consume(&mut wire).await.len(), 6);
        pause(&env, Duration::from_secs(60)).await;
        assert_eq!(start_offset(&mut wire).await, 6);
    });
}

fn small_offsets_topic(node: &mut NodeConfig) {
    let pairs = [
        ("offsets.topic.replication.factor", "1"),
        ("offsets.topic.num.partitions", "1"),
        ("offsets.topic.segment.bytes", "2000"),
        ("offsets.topic.compression.codec", "1"),
        ("log.cleaner.delete.retention.ms", "0"),
    ];
    let settings = Settings::from_pairs(Side::Broker, pairs).unwrap();
    node.config = BrokerConfig::from_settings(&settings).unwrap();
}

async fn coordinator_is_there(env: &Env, wire: &mut Wire) {
    let find = FindCoordinatorRequest::default().with_key(StrBytes::from_static_str("g"));
    while wire.ask(3, &find).await.error_code != 0 {
        pause(env, Duration::from_millis(100)).await;
    }
}

async fn commit(wire: &mut Wire, partition: i32, offset: i64) {
    let partition = OffsetCommitRequestPartition::default()
        .with_partition_index(partition)
        .with_committed_offset(offset);
    let topic =
        OffsetCommitRequestTopic::default().with_name(name("t")).with_partitions(vec![partition]);
    let request = OffsetCommitRequest::default()
        .with_group_id(StrBytes::from_static_str("g").into())
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic]);
    let answer = wire.ask(7, &request).await;
    assert_eq!(answer.topics[0].partitions[0].error_code, 0);
}

async fn committed(wire: &mut Wire) -> Vec<i64> {
    let topic =
        OffsetFetchRequestTopic::default().with_name(name("t")).with_partition_indexes(vec![0, 1]);
    let request = OffsetFetchRequest::default()
        .with_group_id(StrBytes::from_static_str("g").into())
        .with_topics(Some(vec![topic]));
    let answer = wire.ask(7, &request).await;
    answer.topics[0].partitions.iter().map(|partition| partition.committed_offset).collect()
}

fn bytes_of_offsets_topic(world: &World) -> usize {
    let disk = world.disk("b1");
    let logs = disk.files().into_iter();
    let logs =
        logs.filter(|path| path.starts_with("__consumer_offsets-0/") && path.ends_with(".log"));
    logs.map(|path| disk.read(&path).unwrap().len()).sum()
}

#[test]
fn a_coordinator_finds_its_offsets_in_a_compacted_topic() {
    beside_a_changed(LONG, small_offsets_topic, |world, env| async move {
        let mut wire = Wire::open(&env).await;
        coordinator_is_there(&env, &mut wire).await;
        for offset in 0..200 {
            commit(&mut wire, (offset % 2) as i32, offset).await;
        }
        let before = bytes_of_offsets_topic(&world);
        pause(&env, A_CLEANING).await;
        let after = bytes_of_offsets_topic(&world);
        assert!(after * 4 < before, "{before} bytes have become {after}");
        assert_eq!(committed(&mut wire).await, [198, 199]);
        world.kill("b1");
        start_changed(&world, LONG, small_offsets_topic);
        let mut wire = Wire::open(&env).await;
        coordinator_is_there(&env, &mut wire).await;
        assert_eq!(committed(&mut wire).await, [198, 199]);
    });
}

/// The same name, without the old records.
async fn make_again(env: &Env, wire: &mut Wire) {
    let doomed = DeleteTopicState::default().with_name(Some(name("t")));
    let delete = DeleteTopicsRequest::default().with_topics(vec![doomed]).with_timeout_ms(600_000);
    assert_eq!(wire.ask(6, &delete).await.responses[0].error_code, 0);
    let config = [("cleanup.policy", "compact"), ("segment.bytes", "150")].map(|(key, value)| {
        CreatableTopicConfig::default()
            .with_name(StrBytes::from_static_str(key))
            .with_value(Some(StrBytes::from_static_str(value)))
    });
    let topic = CreatableTopic::default()
        .with_name(name("t"))
        .with_num_partitions(1)
        .with_replication_factor(1)
        .with_configs(config.into());
    let create = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(600_000);
    assert_eq!(wire.ask(5, &create).await.topics[0].error_code, 0);
    // Each partition's directory takes the broker some syncs.
    pause(env, Duration::from_secs(20)).await;
}

#[test]
fn a_topic_made_again_during_a_cleaning_keeps_all_of_its_own_and_nothing_else() {
    let mut during = 0;
    // Each sync takes a second, so a cleaning takes many, and the topic goes at a different point of it.
    for second in 14..40 {
        let met = Arc::new(AtomicBool::new(false));
        let meet = Arc::clone(&met);
        beside_a_changed(LONG, compacted, move |world, env| async move {
            let mut wire = Wire::open(&env).await;
            for value in 0..30 {
                put(&env, &mut wire, value % 3, Some(value)).await;
            }
            world.disk("b1").set_sync_latency(Latency::Constant(Duration::from_secs(1)));
            pause(&env, Duration::from_secs(second)).await;
            let cleaned = |path: &String| path.ends_with(".cleaned") || path.ends_with(".swap");
            meet.store(world.disk("b1").files().iter().any(cleaned), Ordering::Relaxed);
            make_again(&env, &mut wire).await;
            for key in 100..110 {
                put(&env, &mut wire, key, Some(key)).await;
            }
            pause(&env, Duration::from_secs(300)).await;
            let all: Vec<_> =
                (100..110).zip(0..).map(|(key, offset)| (offset, key, Some(key))).collect();
            assert_eq!(consume(&mut wire).await, all);
            world.kill("b1");
            start_changed(&world, LONG, compacted);
            let mut wire = Wire::open(&env).await;
            assert_eq!(consume(&mut wire).await, all);
        });
        during += usize::from(met.load(Ordering::Relaxed));
    }
    assert!(during > 2, "only {during} of the deletions met a cleaning");
}

/// As an unclean election may cut it, below what was committed.
#[test]
fn a_cleaning_of_a_log_that_is_cut_meanwhile_is_given_up() {
    let topic = [("cleanup.policy", "compact"), ("segment.bytes", "150")];
    for state in [".cleaned", ".swap"] {
        with_replicas(&topic, move |world, env, stage| async move {
            let mut wire = Wire::open_to(&env, "b2").await;
            for value in 0..30 {
                put(&env, &mut wire, value % 3, Some(value)).await;
            }
            cut_from_brokers(&world, "b2");
            world.disk("b2").set_sync_latency(Latency::Constant(Duration::from_secs(1)));
            let has = |end: &str| world.disk("b2").files().iter().any(|path| path.ends_with(end));
            until!(env, "it is cleaned", has(state));
            let partition = stage.broker(2).partitions.find("t", 0).unwrap();
            partition.log().truncate_to(Offset(1), env.clock.wall_time()).unwrap();
            until!(env, "it is given up", !has(".cleaned") && !has(".swap"));
            pause(&env, A_CLEANING).await;
            assert_eq!((world.is_running("b2"), partition.log().end_offset()), (true, Offset(1)));
        });
    }
}
