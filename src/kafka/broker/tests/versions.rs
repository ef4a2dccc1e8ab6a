//! Every served version of an answer that holds something can be written: clients of all ages read it.

use std::{collections::BTreeSet, time::Duration};

use kafka_protocol::{
    messages::{
        AlterPartitionRequest,
        list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
        metadata_request::MetadataRequestTopic,
        *,
    },
    protocol::Request,
};

use super::{
    bench::{Wire, beside_a_broker},
    requests::{fetch, produce, topic},
};
use crate::kafka::{
    broker::handlers::served::{SERVED, find},
    protocol::message::decode_response,
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

/// Asks in each version that is offered; the answer must be one of that version.
async fn ask_in_all<R: Request>(wire: &mut Wire, asked: &mut BTreeSet<i16>, request: &R) {
    let api = find(R::KEY).expect("it is served");
    asked.insert(R::KEY);
    for version in api.served.min..=api.served.max {
        let correlation = wire.send(version, request).await;
        let frame = wire.frame().await;
        let frame = frame.unwrap_or_else(|| panic!("{:?} {version} closed", api.key));
        let read = decode_response::<R::Response>(frame, correlation, version);
        let problem = read.err();
        assert!(problem.is_none(), "{:?} {version}: {problem:?}", api.key);
    }
}

#[test]
fn every_version_on_offer_is_answered_as_it_says() {
    beside_a_broker(LONG, |_, env| async move {
        let wire = &mut Wire::open(&env).await;
        let mut asked = BTreeSet::new();
        // With acks=0 there is no answer.
        ask_in_all(wire, &mut asked, &ProduceRequest::default().with_acks(1)).await;
        let asked_for = MetadataRequestTopic::default().with_name(Some(topic("t")));
        let metadata = MetadataRequest::default().with_topics(Some(vec![asked_for]));
        ask_in_all(wire, &mut asked, &metadata).await;
        macro_rules! ask {
            ($($request:ident)*) => {
                $(ask_in_all(wire, &mut asked, &$request::default()).await;)*
            };
        }
        ask! {
            FetchRequest ListOffsetsRequest OffsetCommitRequest OffsetFetchRequest
            FindCoordinatorRequest JoinGroupRequest HeartbeatRequest LeaveGroupRequest
            SyncGroupRequest DescribeGroupsRequest ListGroupsRequest ApiVersionsRequest
            CreateTopicsRequest DeleteTopicsRequest DeleteRecordsRequest InitProducerIdRequest
            OffsetForLeaderEpochRequest DescribeConfigsRequest AlterConfigsRequest
            DescribeLogDirsRequest CreatePartitionsRequest DeleteGroupsRequest
            IncrementalAlterConfigsRequest OffsetDeleteRequest DescribeClusterRequest
            DescribeProducersRequest AllocateProducerIdsRequest AssignReplicasToDirsRequest
            ListConfigResourcesRequest
            DescribeTopicPartitionsRequest VoteRequest BeginQuorumEpochRequest
            EndQuorumEpochRequest DescribeQuorumRequest FetchSnapshotRequest EnvelopeRequest
            AlterPartitionRequest BrokerRegistrationRequest BrokerHeartbeatRequest
            ElectLeadersRequest AlterPartitionReassignmentsRequest
            ListPartitionReassignmentsRequest UnregisterBrokerRequest
        }
        let served: BTreeSet<_> = SERVED.iter().map(|api| api.key as i16).collect();
        assert_eq!(asked, served);
    });
}
