//! Every served version of an answer that holds something can be written: clients of all ages read it.

use std::time::Duration;

use kafka_protocol::messages::{
    ListOffsetsRequest,
    list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
};

use super::{
    bench::{Wire, beside_a_broker},
    requests::{fetch, produce, topic},
};

const LONG: Duration = Duration::from_secs(3600);

/// The epoch of a record's leader came with version 4, and the codec refuses to drop it: aiokafka and
/// kafkajs, which ask in version 3, lost their connection over it.
#[test]
fn offsets_are_listed_in_every_version() {
    beside_a_broker(LONG, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        wire.ask(9, &produce(-1, "t", "one")).await;
        for version in 1..=9 {
            for (timestamp, offset) in [(-1, 1), (-2, 0), (0, 0)] {
                let ask = ListOffsetsPartition::default().with_timestamp(timestamp);
                let ask =
                    ListOffsetsTopic::default().with_name(topic("t")).with_partitions(vec![ask]);
                let request = ListOffsetsRequest::default().with_topics(vec![ask]);
                let answer = wire.ask(version, &request).await;
                let found = &answer.topics[0].partitions[0];
                assert_eq!((found.error_code, found.offset), (0, offset), "version {version}");
            }
        }
    });
}

#[test]
fn records_go_in_and_out_by_topic_name_in_every_version() {
    beside_a_broker(LONG, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        for version in 3..=11 {
            let answer = wire.ask(version, &produce(-1, "t", "one")).await;
            let told = &answer.responses[0].partition_responses[0];
            assert_eq!((told.error_code, told.base_offset), (0, i64::from(version) - 3));
            let nowhere = wire.ask(version, &produce(-1, "no such topic!", "one")).await;
            assert_ne!(nowhere.responses[0].partition_responses[0].error_code, 0);
        }
        for version in 4..=12 {
            let answer = wire.ask(version, &fetch(0, 1, Duration::ZERO)).await;
            let found = &answer.responses[0].partitions[0];
            assert_eq!((found.error_code, found.high_watermark), (0, 9), "version {version}");
            assert!(found.records.as_ref().is_some_and(|records| !records.is_empty()));
        }
    });
}
