//! What a broker does with its disk of its own accord, and that nobody else has to wait for it.

use std::time::Duration;

use kafka_protocol::{
    messages::{
        DeleteRecordsRequest, ListOffsetsRequest, TopicName,
        delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic},
        list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
    },
    protocol::StrBytes,
};

use super::{
    bench::{NodeConfig, Wire, beside_a_changed, pause, start_changed},
    requests::{fetch, produce},
};
use crate::{kafka::protocol::ResponseError, sim::Latency};

const LONG: Duration = Duration::from_secs(100_000);

pub(super) fn setting(name: &str, value: &str) -> (String, String) {
    (name.into(), value.into())
}

#[test]
fn a_slow_disk_delays_no_other_deadline() {
    let sync_soon = |node: &mut NodeConfig| {
        node.topics[0].config = vec![setting("flush.ms", "10")];
    };
    beside_a_changed(LONG, sync_soon, |world, env| async move {
        let mut wire = Wire::open(&env).await;
        world.disk("b1").set_sync_latency(Latency::Constant(Duration::from_secs(60)));
        wire.ask(9, &produce(1, "t", "a")).await;
        pause(&env, Duration::from_secs(1)).await;
        let start = env.clock.now();
        wire.ask(12, &fetch(1, 1, Duration::from_millis(200))).await;
        let waited = env.clock.now() - start;
        assert!(waited < Duration::from_secs(1), "{waited:?}");
    });
}

pub(super) fn name(topic: &'static str) -> TopicName {
    TopicName(StrBytes::from_static_str(topic))
}

/// Where `t-0` starts.
pub(super) async fn start_offset(wire: &mut Wire) -> i64 {
    let ask = ListOffsetsPartition::default().with_timestamp(-2);
    let topic = ListOffsetsTopic::default().with_name(name("t")).with_partitions(vec![ask]);
    let answer = wire.ask(6, &ListOffsetsRequest::default().with_topics(vec![topic])).await;
    answer.topics[0].partitions[0].offset
}

/// Segments of one record each.
fn tiny_segments(node: &mut NodeConfig) {
    node.topics[0].config = vec![setting("segment.bytes", "100")];
}

async fn fill(wire: &mut Wire, records: usize) {
    for _ in 0..records {
        wire.ask(9, &produce(1, "t", "a")).await;
    }
}

fn logs(world: &crate::sim::World, ending: &str) -> usize {
    let files = world.disk("b1").files();
    files.iter().filter(|path| path.starts_with("t-0/") && path.ends_with(ending)).count()
}

#[test]
fn old_records_go_by_age_and_their_files_a_minute_later() {
    // The records are from 1970.
    beside_a_changed(LONG, tiny_segments, |world, env| async move {
        let mut wire = Wire::open(&env).await;
        fill(&mut wire, 5).await;
        assert_eq!((start_offset(&mut wire).await, logs(&world, ".log")), (0, 5));
        pause(&env, Duration::from_secs(32)).await;
        assert_eq!(start_offset(&mut wire).await, 5);
        // An empty segment is left to append to.
        assert_eq!((logs(&world, ".log"), logs(&world, ".log.deleted")), (1, 5));
        let answer = wire.ask(12, &fetch(4, 1, Duration::ZERO)).await;
        let code = answer.responses[0].partitions[0].error_code;
        assert_eq!(code, ResponseError::OffsetOutOfRange.code());
        pause(&env, Duration::from_secs(60)).await;
        assert_eq!(logs(&world, ".deleted"), 0);
    });
}

#[test]
fn the_oldest_records_go_by_size() {
    let small = |node: &mut NodeConfig| {
        tiny_segments(node);
        let more = [setting("retention.bytes", "210"), setting("retention.ms", "-1")];
        node.topics[0].config.extend(more);
    };
    beside_a_changed(LONG, small, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        // A batch has 69 bytes. As in Kafka no fewer bytes stay than the bound says: four of them.
        fill(&mut wire, 10).await;
        pause(&env, Duration::from_secs(32)).await;
        assert_eq!(start_offset(&mut wire).await, 6);
    });
}

pub(super) fn delete(topic: &'static str, offset: i64) -> DeleteRecordsRequest {
    let partition = DeleteRecordsPartition::default().with_offset(offset);
    let topic =
        DeleteRecordsTopic::default().with_name(name(topic)).with_partitions(vec![partition]);
    DeleteRecordsRequest::default().with_timeout_ms(1000).with_topics(vec![topic])
}

pub(super) async fn deleted(wire: &mut Wire, topic: &'static str, offset: i64) -> (i64, i16) {
    let answer = wire.ask(2, &delete(topic, offset)).await;
    let result = &answer.topics[0].partitions[0];
    (result.low_watermark, result.error_code)
}

#[test]
fn deleted_records_are_out_of_reach_and_stay_so() {
    let keep = |node: &mut NodeConfig| {
        node.topics[0].config = vec![setting("retention.ms", "-1")];
    };
    beside_a_changed(LONG, keep, move |world, env| async move {
        let mut wire = Wire::open(&env).await;
        fill(&mut wire, 5).await;
        assert_eq!(deleted(&mut wire, "t", 3).await, (3, 0));
        // Nothing goes back, and nothing goes that is not there.
        assert_eq!(deleted(&mut wire, "t", 1).await, (3, 0));
        let beyond = ResponseError::OffsetOutOfRange.code();
        assert_eq!(deleted(&mut wire, "t", 6).await, (-1, beyond));
        assert_eq!(deleted(&mut wire, "t", -2).await, (-1, beyond));
        let unknown = ResponseError::UnknownTopicOrPartition.code();
        assert_eq!(deleted(&mut wire, "nowhere", 0).await, (-1, unknown));
        assert_eq!(deleted(&mut wire, "__cluster_metadata", 0).await, (-1, unknown));
        let answer = wire.ask(12, &fetch(2, 1, Duration::ZERO)).await;
        assert_eq!(answer.responses[0].partitions[0].error_code, beyond);
        // The start is written down with the next checkpoint.
        pause(&env, Duration::from_secs(62)).await;
        world.power_loss("b1");
        start_changed(&world, LONG, keep);
        let mut wire = Wire::open(&env).await;
        assert_eq!(start_offset(&mut wire).await, 3);
        assert_eq!(deleted(&mut wire, "t", -1).await.1, 0);
    });
}

#[test]
fn a_log_that_is_only_compacted_loses_no_records_on_request() {
    let compact = |node: &mut NodeConfig| {
        node.topics[0].config = vec![setting("cleanup.policy", "compact")];
    };
    beside_a_changed(LONG, compact, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        let refused = ResponseError::PolicyViolation.code();
        assert_eq!(deleted(&mut wire, "t", 0).await, (-1, refused));
    });
}
