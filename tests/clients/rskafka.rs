//! A Rust client that nobody here wrote: topics, records in every compression, offsets, and the ends of a log.

use std::{collections::BTreeMap, sync::Arc};

use chrono::DateTime;
use rskafka::{
    client::{
        Client, ClientBuilder,
        error::{Error, ProtocolError},
        partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling},
    },
    record::{Record, RecordAndOffset},
};

use super::broker::Broker;

/// Runs the body beside a broker, in the runtime that the client asks for.
fn beside_a_broker<F: Future<Output = ()>>(body: impl FnOnce(Client) -> F) {
    let broker = Broker::start_with(&[]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        body(ClientBuilder::new(vec![broker.listening.clone()]).build().await.unwrap()).await;
    });
}

async fn new_partition(client: &Client, topic: &str) -> PartitionClient {
    client.controller_client().unwrap().create_topic(topic, 1, 1, 5_000).await.unwrap();
    client.partition_client(topic, 0, UnknownTopicHandling::Retry).await.unwrap()
}

fn record(number: i64) -> Record {
    Record {
        key: (number % 2 == 0).then(|| format!("key {number}").into_bytes()),
        value: (number % 5 != 0).then(|| format!("{number} {}", "a".repeat(100)).into_bytes()),
        headers: BTreeMap::from([("number".to_owned(), number.to_string().into_bytes())]),
        timestamp: DateTime::from_timestamp_millis(1_700_000_000_000 + number).unwrap(),
    }
}

async fn fetch(partition: &PartitionClient, from: i64) -> Vec<RecordAndOffset> {
    let (records, high_watermark) =
        partition.fetch_records(from, 1..1_000_000, 5_000).await.unwrap();
    assert_eq!(high_watermark, partition.get_offset(OffsetAt::Latest).await.unwrap());
    records
}

#[test]
fn rskafka_reads_what_it_wrote_in_every_compression() {
    beside_a_broker(|client| async move {
        let partition = new_partition(&client, "packed").await;
        let compressions = [
            Compression::NoCompression,
            Compression::Gzip,
            Compression::Lz4,
            Compression::Snappy,
            Compression::Zstd,
        ];
        for (round, compression) in (0..).zip(compressions) {
            let numbers = round * 20..(round + 1) * 20;
            let records = numbers.clone().map(record).collect();
            let offsets = partition.produce(records, compression).await.unwrap();
            assert!(offsets.into_iter().eq(numbers), "{compression:?}");
        }
        let mut found = Vec::new();
        while found.len() < 100 {
            found.extend(fetch(&partition, found.len() as i64).await);
        }
        for (number, found) in (0..).zip(found) {
            assert_eq!(found, RecordAndOffset { record: record(number), offset: number });
        }
    });
}

#[test]
fn rskafka_finds_the_ends_of_a_log_and_its_times() {
    beside_a_broker(|client| async move {
        let partition = new_partition(&client, "ends").await;
        assert_eq!(partition.get_offset(OffsetAt::Latest).await.unwrap(), 0);
        for number in 0..10 {
            partition.produce(vec![record(number)], Compression::default()).await.unwrap();
        }
        assert_eq!(partition.get_offset(OffsetAt::Latest).await.unwrap(), 10);
        let at = OffsetAt::Timestamp(record(7).timestamp);
        assert_eq!(partition.get_offset(at).await.unwrap(), 7);
        partition.delete_records(4, 5_000).await.unwrap();
        assert_eq!(partition.get_offset(OffsetAt::Earliest).await.unwrap(), 4);
        let gone = partition.fetch_records(3, 1..1_000_000, 100).await.unwrap_err();
        assert!(
            matches!(
                gone,
                Error::ServerError { protocol_error: ProtocolError::OffsetOutOfRange, .. }
            ),
            "{gone}"
        );
        assert_eq!(fetch(&partition, 4).await[0].offset, 4);
    });
}

#[test]
fn a_waiting_fetch_of_rskafka_hears_of_a_record_at_once() {
    beside_a_broker(|client| async move {
        let partition = Arc::new(new_partition(&client, "waited-for").await);
        let reader = client.partition_client("waited-for", 0, UnknownTopicHandling::Retry);
        let reader = reader.await.unwrap();
        // The fetch is on its way first, and would wait for an hour.
        let (found, _) = tokio::join!(
            biased;
            reader.fetch_records(0, 1..1_000_000, 3_600_000),
            partition.produce(vec![record(1)], Compression::default()),
        );
        assert_eq!(found.unwrap().0[0].record, record(1));
    });
}

#[test]
fn rskafka_sees_the_topics_that_it_makes() {
    beside_a_broker(|client| async move {
        let controller = client.controller_client().unwrap();
        controller.create_topic("seen", 3, 1, 5_000).await.unwrap();
        let again = controller.create_topic("seen", 3, 1, 5_000).await.unwrap_err();
        assert!(
            matches!(
                again,
                Error::ServerError { protocol_error: ProtocolError::TopicAlreadyExists, .. }
            ),
            "{again}"
        );
        let topics = client.list_topics().await.unwrap();
        let seen: Vec<_> =
            topics.iter().map(|topic| (&*topic.name, topic.partitions.len())).collect();
        assert_eq!(seen, [("seen", 3)]);
    });
}
