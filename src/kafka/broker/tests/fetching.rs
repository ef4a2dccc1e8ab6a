//! Fetch sessions through the wire, and what requests for unknown partitions wait for.

use std::time::Duration;

use kafka_protocol::messages::{
    BrokerId as WireBrokerId, DeleteTopicsRequest, FetchRequest, FetchResponse, MetadataRequest,
    delete_topics_request::DeleteTopicState,
    fetch_request::{FetchPartition, FetchTopic, ForgottenTopic, ReplicaState},
    metadata_request::MetadataRequestTopic,
};
use uuid::Uuid;

use super::{
    bench::{Wire, batch, beside_a_broker, beside_a_changed, pause},
    requests::{produce, topic},
};
use crate::{env::Env, kafka::protocol::ResponseError};

const LONG: Duration = Duration::from_secs(3600);
/// The versions at the borders: the first with sessions; the last with names, which is the first flexible one;
/// the first with ids; the last.
const BORDERS: [i16; 4] = [7, 12, 13, 17];

async fn id_of(wire: &mut Wire, name: &'static str) -> Uuid {
    let asked = MetadataRequestTopic::default().with_name(Some(topic(name)));
    let request = MetadataRequest::default().with_topics(Some(vec![asked]));
    wire.ask(12, &request).await.topics[0].topic_id
}

/// Partitions of topic `t`, with the offsets to read from.
fn request(version: i16, id: Uuid, session: (i32, i32), partitions: &[(i32, i64)]) -> FetchRequest {
    let partition = |(index, offset): &(i32, i64)| {
        FetchPartition::default()
            .with_partition(*index)
            .with_fetch_offset(*offset)
            .with_partition_max_bytes(1 << 20)
    };
    let named = match version {
        13.. => FetchTopic::default().with_topic_id(id),
        _ => FetchTopic::default().with_topic(topic("t")),
    };
    let asked = named.with_partitions(partitions.iter().map(partition).collect());
    FetchRequest::default()
        .with_session_id(session.0)
        .with_session_epoch(session.1)
        .with_max_bytes(1 << 20)
        .with_topics(if partitions.is_empty() { vec![] } else { vec![asked] })
}

fn forget(request: FetchRequest, version: i16, id: Uuid, partition: i32) -> FetchRequest {
    let named = match version {
        13.. => ForgottenTopic::default().with_topic_id(id),
        _ => ForgottenTopic::default().with_topic(topic("t")),
    };
    request.with_forgotten_topics_data(vec![named.with_partitions(vec![partition])])
}

/// Each answered partition, and how many bytes of records it has.
fn sizes(answer: &FetchResponse) -> Vec<(i32, usize)> {
    assert_eq!(answer.error_code, 0);
    let partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
    partitions
        .map(|data| {
            assert_eq!(data.error_code, 0);
            (data.partition_index, data.records.as_ref().map_or(0, |records| records.len()))
        })
        .collect()
}

fn answered(answer: &FetchResponse) -> Vec<i32> {
    sizes(answer).into_iter().map(|(partition, _)| partition).collect()
}

#[test]
fn a_session_names_its_partitions_once_in_every_version_that_has_sessions() {
    for version in BORDERS {
        beside_a_broker(LONG, move |_, env| async move {
            let mut wire = Wire::open(&env).await;
            let id = id_of(&mut wire, "t").await;
            let full = request(version, id, (0, 0), &[(0, 0), (1, 0)]);
            let answer = wire.ask(version, &full).await;
            let session = answer.session_id;
            assert!(session > 0, "version {version}");
            assert_eq!(answered(&answer), [0, 1]);
            wire.ask(9, &produce(1, "t", "a")).await;
            let next = |epoch, partitions: &[_]| request(version, id, (session, epoch), partitions);
            let answer = wire.ask(version, &next(1, &[])).await;
            let [(0, bytes)] = sizes(&answer)[..] else { panic!("{answer:?}") };
            assert!(bytes > 0);
            assert_eq!(answer.session_id, session);
            // The client has read it and asks for what follows.
            assert!(answered(&wire.ask(version, &next(2, &[(0, 1)])).await).is_empty());
            // A partition that is asked for from elsewhere gives what is there.
            assert_eq!(answered(&wire.ask(version, &next(3, &[(0, 0)])).await), [0]);
            // A forgotten one does not.
            let forgets = forget(next(4, &[]), version, id, 0);
            assert!(answered(&wire.ask(version, &forgets).await).is_empty());
        });
    }
}

#[test]
fn versions_without_sessions_and_clients_without_one_get_none() {
    beside_a_broker(LONG, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        let id = id_of(&mut wire, "t").await;
        for version in [4, 6, 7, 12, 13, 17] {
            let answer = wire.ask(version, &request(version, id, (0, -1), &[(0, 0)])).await;
            assert_eq!((answer.session_id, answered(&answer)), (0, vec![0]));
        }
    });
}

#[test]
fn requests_that_do_not_fit_their_session_are_refused_by_kafkas_codes() {
    beside_a_broker(LONG, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        let id = id_of(&mut wire, "t").await;
        let session = wire.ask(12, &request(12, id, (0, 0), &[(0, 0)])).await.session_id;
        let cases = [
            (12, (session ^ 1, 1), ResponseError::FetchSessionIdNotFound),
            (12, (0, 1), ResponseError::FetchSessionIdNotFound),
            (12, (session, 2), ResponseError::InvalidFetchSessionEpoch),
            (13, (session, 1), ResponseError::FetchSessionTopicIdError),
        ];
        for (version, of, code) in cases {
            let answer = wire.ask(version, &request(version, id, of, &[(1, 0)])).await;
            assert_eq!((answer.error_code, answer.session_id), (code.code(), 0));
            assert!(answer.responses.is_empty());
        }
        // None of these has moved the session on; a full request ends it.
        assert_eq!(wire.ask(12, &request(12, id, (session, 1), &[])).await.error_code, 0);
        wire.ask(12, &request(12, id, (session, -1), &[(0, 0)])).await;
        let answer = wire.ask(12, &request(12, id, (session, 2), &[])).await;
        assert_eq!(answer.error_code, ResponseError::FetchSessionIdNotFound.code());
    });
}

#[test]
fn a_followers_fetch_takes_the_only_slot_from_a_client() {
    let one_slot = |node: &mut super::bench::NodeConfig| node.config.max_fetch_sessions = 1;
    beside_a_changed(LONG, one_slot, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        let id = id_of(&mut wire, "t").await;
        for version in [12, 17] {
            let full = request(version, id, (0, 0), &[(0, 0)]);
            let mine = wire.ask(version, &full).await.session_id;
            assert!(mine > 0);
            assert_eq!(wire.ask(version, &full).await.session_id, 0);
            let replica = match version {
                17 => full
                    .with_replica_state(ReplicaState::default().with_replica_id(WireBrokerId(2))),
                _ => full.with_replica_id(WireBrokerId(2)),
            };
            let theirs = wire.ask(version, &replica).await.session_id;
            assert!(theirs > 0);
            let answer = wire.ask(version, &request(version, id, (mine, 1), &[])).await;
            assert_eq!(answer.error_code, ResponseError::FetchSessionIdNotFound.code());
            wire.ask(version, &request(version, id, (theirs, -1), &[])).await;
        }
    });
}

#[test]
fn a_waiting_request_overtaken_within_its_session_answers_nothing() {
    beside_a_broker(LONG, |_, env| async move {
        let (mut first, mut second) = (Wire::open(&env).await, Wire::open(&env).await);
        let id = id_of(&mut first, "t").await;
        let session = first.ask(12, &request(12, id, (0, 0), &[(0, 0)])).await.session_id;
        let waits = request(12, id, (session, 1), &[]).with_min_bytes(1).with_max_wait_ms(5000);
        let asked = first.send(12, &waits).await;
        pause(&env, Duration::from_secs(1)).await;
        assert_eq!(second.ask(12, &request(12, id, (session, 2), &[])).await.error_code, 0);
        let answer = first.receive::<FetchRequest>(asked, 12).await;
        let code = ResponseError::InvalidFetchSessionEpoch.code();
        assert_eq!((answer.error_code, answer.session_id), (code, session));
        assert!(answer.responses.is_empty());
    });
}

async fn waited(env: &Env, wire: &mut Wire, request: &FetchRequest) -> (Duration, FetchResponse) {
    let start = env.clock.now();
    let answer = wire.ask(12, request).await;
    (env.clock.now() - start, answer)
}

#[test]
fn an_unknown_partition_hurries_no_other() {
    beside_a_broker(LONG, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        let wait = Duration::from_secs(5);
        let waits = |partitions: &[_]| {
            let request = request(12, Uuid::nil(), (0, -1), partitions);
            request.with_min_bytes(1).with_max_wait_ms(5000)
        };
        let unknown = ResponseError::UnknownTopicOrPartition.code();
        let (time, answer) = waited(&env, &mut wire, &waits(&[(9, 0), (0, 0)])).await;
        let codes: Vec<_> = answer.responses[0]
            .partitions
            .iter()
            .map(|data| (data.partition_index, data.error_code))
            .collect();
        assert_eq!(codes, [(0, 0), (9, unknown)]);
        assert!(time >= wait, "{time:?}");
        // Alone it has nothing to wait for.
        let (time, answer) = waited(&env, &mut wire, &waits(&[(9, 0)])).await;
        assert_eq!(answer.responses[0].partitions[0].error_code, unknown);
        assert!(time < Duration::from_secs(1), "{time:?}");
        // More than the answer may have cannot be waited for.
        wire.ask(9, &produce(1, "t", "a")).await;
        let small = waits(&[(0, 0)]).with_min_bytes(1 << 20).with_max_bytes(1);
        let (time, _) = waited(&env, &mut wire, &small).await;
        assert!(time < Duration::from_secs(1), "{time:?}");
    });
}

#[test]
fn a_session_tells_of_its_topics_end_each_time() {
    beside_a_broker(LONG, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        let id = id_of(&mut wire, "t").await;
        let session = wire.ask(17, &request(17, id, (0, 0), &[(0, 0)])).await.session_id;
        let gone = DeleteTopicState::default().with_name(Some(topic("t")));
        let delete = DeleteTopicsRequest::default().with_topics(vec![gone]).with_timeout_ms(1000);
        assert_eq!(wire.ask(6, &delete).await.responses[0].error_code, 0);
        pause(&env, Duration::from_secs(1)).await;
        for epoch in 1..3 {
            let answer = wire.ask(17, &request(17, id, (session, epoch), &[])).await;
            assert_eq!((answer.error_code, answer.responses[0].topic_id), (0, id));
            let code = answer.responses[0].partitions[0].error_code;
            assert_eq!(code, ResponseError::UnknownTopicId.code());
        }
    });
}

#[test]
fn an_answer_larger_than_what_is_sent_at_once_has_all_its_records_in_their_places() {
    beside_a_broker(LONG, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        let id = id_of(&mut wire, "t").await;
        let values = [90_000, 300_000].map(|size| -> &'static str { "v".repeat(size).leak() });
        for (partition, value) in (0..).zip(values) {
            let mut request = produce(-1, "t", value);
            request.topic_data[0].partition_data[0].index = partition;
            wire.ask(9, &request).await;
        }
        for version in BORDERS {
            let request = request(version, id, (0, -1), &[(0, 0), (1, 0), (0, 0)]);
            let answer = wire.ask(version, &request).await;
            let partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
            let got: Vec<_> = partitions
                .map(|data| (data.partition_index, data.records.clone().unwrap()))
                .collect();
            assert_eq!(got.len(), 2, "a partition named twice is read once");
            for (partition, records) in got {
                // All but the offset and the leader's epoch, which the broker writes, and their place.
                assert_eq!(records[16..], batch(values[partition as usize])[16..]);
            }
        }
    });
}
