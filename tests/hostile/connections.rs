//! Connections that break the protocol, or keep to it and nothing else.

use super::both_worlds;

both_worlds! {
    nonsense_closes_its_connection with &[];
    a_slow_writer_is_answered_in_the_end with &[];
    half_closed_connections_get_what_they_asked_for with &[];
    who_never_reads_is_closed_as_idle with &[("connections.max.idle.ms", "3000")];
    a_silent_crowd_disturbs_nobody with &[("connections.max.idle.ms", "20000")];
    a_flood_of_pipelined_requests_is_answered_in_order with &[];
    waiting_requests_hold_no_connection_for_ever with &[("connections.max.idle.ms", "3000")];
}

mod attacks {
    use std::time::Duration;

    use bytes::{BufMut, Bytes, BytesMut};
    use kafka_protocol::{
        messages::{
            ApiKey, ApiVersionsRequest, FetchRequest, HeartbeatRequest, MetadataRequest,
            ProduceRequest, TopicName,
            fetch_request::{FetchPartition, FetchTopic},
            produce_request::{PartitionProduceData, TopicProduceData},
        },
        protocol::StrBytes,
    };
    use rand::Rng as _;
    use retrial::kafka::{
        protocol::batch::{BatchBuilder, BatchOptions, Compression},
        types::Timestamp,
    };
    use tokio::io::AsyncWriteExt;

    use crate::hostile::{
        ground::{Ground, TOPIC},
        honest::beside_honest_clients,
        stranger::{Outcome, Stranger, bare_frame, frame_of},
    };

    const SOON: Duration = Duration::from_secs(30);

    /// Frames after which Kafka closes the connection.
    fn nonsense() -> Vec<(&'static str, Bytes)> {
        let key = ApiKey::Metadata as i16;
        let absurd_array = [255, 255, 0x7f, 255, 255, 255];
        let cut_client_id = [0x7f, 255, b'a'];
        vec![
            ("a negative length", Bytes::from_static(&[255, 255, 255, 255])),
            ("an absurd length", Bytes::from_static(&[0x7f, 255, 255, 255, 0, 3])),
            ("a length of nothing", Bytes::from_static(&[0, 0, 0, 0])),
            ("half a head", Bytes::from_static(&[0, 0, 0, 3, 0, 3, 0])),
            ("an unknown API", bare_frame(9999, 0, 1, &[0; 8])),
            ("a negative API", bare_frame(-1, 0, 1, &[0; 8])),
            ("an API that is not served", bare_frame(ApiKey::SaslHandshake as i16, 1, 1, &[0; 8])),
            ("an unknown version", bare_frame(key, 99, 1, &[255, 255, 0, 0, 0, 0])),
            ("a negative version", bare_frame(key, -1, 1, &[255, 255, 0, 0, 0, 0])),
            ("an array of two thousand million topics", bare_frame(key, 4, 1, &absurd_array)),
            ("a client id that is cut off", bare_frame(key, 4, 1, &cut_client_id)),
            ("no body", bare_frame(key, 4, 1, &[255, 255])),
            ("another protocol", Bytes::from_static(b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n")),
        ]
    }

    pub async fn nonsense_closes_its_connection(ground: Ground) {
        beside_honest_clients(&ground, async {
            for (what, bytes) in nonsense() {
                let mut stranger = Stranger::open(&ground).await;
                stranger.send(&bytes).await;
                assert_eq!(stranger.outcome(SOON).await, Outcome::Closed, "{what}");
            }
            let whole = frame_of(1, 1, &MetadataRequest::default());
            for cut in 1..whole.len() {
                let mut stranger = Stranger::open(&ground).await;
                stranger.send(&whole[..cut]).await;
                stranger.stream.shutdown().await.unwrap();
                assert_eq!(stranger.outcome(SOON).await, Outcome::Closed, "cut after {cut}");
            }
            let mut rng = ground.strangers.rng.stream("noise");
            for round in 0..200 {
                let mut noise = vec![0; 4 + rng.next_u32() as usize % 300];
                rng.fill_bytes(&mut noise);
                let mut stranger = Stranger::open(&ground).await;
                stranger.send(&noise).await;
                stranger.stream.shutdown().await.unwrap_or(());
                assert_eq!(stranger.outcome(SOON).await, Outcome::Closed, "noise {round}");
            }
        })
        .await;
    }

    pub async fn a_slow_writer_is_answered_in_the_end(ground: Ground) {
        let between = ground.pick(Duration::from_secs(1), Duration::from_millis(5));
        beside_honest_clients(&ground, async {
            let mut stranger = Stranger::open(&ground).await;
            for correlation in 0..3 {
                for byte in frame_of(correlation, 0, &ApiVersionsRequest::default()) {
                    stranger.send(&[byte]).await;
                    ground.pause(between).await;
                }
                assert_eq!(stranger.correlation(SOON).await, correlation);
            }
        })
        .await;
    }

    pub async fn half_closed_connections_get_what_they_asked_for(ground: Ground) {
        beside_honest_clients(&ground, async {
            for _ in 0..20 {
                let mut stranger = Stranger::open(&ground).await;
                let mut both = BytesMut::from(&frame_of(1, 1, &MetadataRequest::default())[..]);
                both.extend(frame_of(2, 0, &ApiVersionsRequest::default()));
                stranger.send(&both).await;
                stranger.stream.shutdown().await.unwrap();
                assert_eq!(stranger.correlation(SOON).await, 1);
                assert_eq!(stranger.correlation(SOON).await, 2);
                assert_eq!(stranger.outcome(SOON).await, Outcome::Closed);
            }
        })
        .await;
    }

    fn topic() -> TopicName {
        TopicName(StrBytes::from_static_str(TOPIC))
    }

    fn fetch(offset: i64, min_bytes: i32, wait: i32) -> FetchRequest {
        let partition = FetchPartition::default()
            .with_partition(1)
            .with_fetch_offset(offset)
            .with_partition_max_bytes(1 << 20);
        let topic = FetchTopic::default().with_topic(topic()).with_partitions(vec![partition]);
        FetchRequest::default()
            .with_max_wait_ms(wait)
            .with_min_bytes(min_bytes)
            .with_max_bytes(1 << 20)
            .with_topics(vec![topic])
    }

    /// Half a megabyte in one record.
    fn produce() -> ProduceRequest {
        let mut batch = BatchBuilder::new(Compression::None, 1 << 20);
        batch.append(Timestamp(1), None, Some(&[7; 1 << 19]), &[]);
        let records = batch.build(&BatchOptions::default());
        let data = PartitionProduceData::default().with_index(1).with_records(Some(records));
        let data = TopicProduceData::default().with_name(topic()).with_partition_data(vec![data]);
        ProduceRequest::default().with_acks(1).with_timeout_ms(1000).with_topic_data(vec![data])
    }

    pub async fn who_never_reads_is_closed_as_idle(ground: Ground) {
        const REQUESTS: i32 = 100;
        beside_honest_clients(&ground, async {
            let mut stranger = Stranger::open(&ground).await;
            let answer = stranger.ask(9, &produce()).await;
            assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
            // Fifty megabytes of answers, which no socket holds.
            for correlation in 0..REQUESTS {
                stranger.send(&frame_of(correlation, 12, &fetch(0, 1, 0))).await;
            }
            ground.pause(Duration::from_secs(5)).await;
            let mut answers = 0;
            while let Outcome::Answer(_) = stranger.outcome(SOON).await {
                answers += 1;
            }
            assert!(answers < REQUESTS, "the broker waited for its reader");
        })
        .await;
    }

    pub async fn a_silent_crowd_disturbs_nobody(ground: Ground) {
        let size = ground.pick(10_000, connections_to_spare());
        beside_honest_clients(&ground, async {
            let mut crowd = Stranger::crowd(&ground, size).await;
            ground.pause(ground.pick(Duration::from_secs(10), Duration::from_secs(1))).await;
            for index in [0, size / 2, size - 1] {
                crowd[index].ask(0, &ApiVersionsRequest::default()).await;
            }
            if ground.simulated {
                ground.pause(Duration::from_secs(21)).await;
                for stranger in &mut crowd {
                    assert_eq!(stranger.outcome(SOON).await, Outcome::Closed);
                }
            }
        })
        .await;
    }

    /// Half of the process's file descriptors, two for a connection.
    fn connections_to_spare() -> usize {
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let line = limits.lines().find(|line| line.starts_with("Max open files"));
        let soft = line.and_then(|line| line.split_whitespace().nth(3)?.parse::<usize>().ok());
        (soft.unwrap_or(1024) / 4).min(10_000)
    }

    pub async fn a_flood_of_pipelined_requests_is_answered_in_order(ground: Ground) {
        const REQUESTS: i32 = 5_000;
        beside_honest_clients(&ground, async {
            let Stranger { stream, .. } = Stranger::open(&ground).await;
            let (reading, mut writing) = tokio::io::split(stream);
            let mut flood = BytesMut::new();
            for correlation in 0..REQUESTS {
                let frame = match correlation % 2 {
                    0 => frame_of(correlation, 1, &MetadataRequest::default()),
                    _ => frame_of(correlation, 4, &HeartbeatRequest::default()),
                };
                flood.put_slice(&frame);
            }
            let mut reader = retrial::kafka::protocol::frame::FrameReader::new(1 << 20);
            let mut reading = reading;
            let written = async { writing.write_all(&flood).await.unwrap() };
            let answered = async {
                for correlation in 0..REQUESTS {
                    let frame = reader.next(&mut reading).await.unwrap().unwrap();
                    assert_eq!(frame[..4], correlation.to_be_bytes());
                }
            };
            tokio::join!(written, answered);
        })
        .await;
    }

    pub async fn waiting_requests_hold_no_connection_for_ever(ground: Ground) {
        beside_honest_clients(&ground, async {
            let mut crowd = Stranger::crowd(&ground, 20).await;
            // As many bytes as there will never be, and three weeks of time for them.
            for stranger in &mut crowd {
                stranger.send(&frame_of(1, 12, &fetch(0, i32::MAX, i32::MAX))).await;
            }
            for stranger in &mut crowd {
                assert_eq!(stranger.outcome(SOON).await, Outcome::Closed);
            }
        })
        .await;
    }
}
