//! What the broker keeps of record batches, and what it serves: the bytes that a client sent.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    net::TcpStream,
    path::Path,
};

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        FetchRequest, FetchResponse, TopicName,
        fetch_request::{FetchPartition, FetchTopic},
    },
    protocol::StrBytes,
};
use retrial::kafka::protocol::{
    batch::{Batch, Batches, Compression},
    message::{decode_response, encode_request},
};

use super::{recorder::read_frame, requests};

/// The broker writes two fields: where the batch lies, and in whose time it came.
fn as_sent(batch: &Bytes) -> Bytes {
    let mut bytes = BytesMut::from(&batch[..]);
    bytes[..8].fill(0);
    bytes[12..16].fill(0);
    bytes.freeze()
}

/// Every batch in every partition is one that a client sent, byte for byte, on the disk and over the wire.
/// Tells the compressions that were met.
pub(super) fn check(requests: &[Bytes], data: &Path, broker: &str) -> BTreeSet<&'static str> {
    let sent: BTreeSet<Bytes> =
        requests.iter().flat_map(requests::batches).map(|batch| as_sent(&batch.bytes)).collect();
    let mut compressions = BTreeSet::new();
    for ((topic, partition), stored) in logs(data) {
        let served = fetch(broker, &topic, partition);
        // A log's beginning may be deleted, and its file still be there.
        assert!(stored.ends_with(&served), "{topic}-{partition}: served is what lies on the disk");
        for batch in Batches::new(stored) {
            let Batch { header, bytes, .. } = batch.unwrap();
            assert!(
                sent.contains(&as_sent(&bytes)),
                "{topic}-{partition} at {}",
                header.base_offset
            );
            compressions.insert(header.attributes.compression().unwrap().name());
        }
    }
    compressions
}

/// All compressions, by name.
pub(super) fn every_compression() -> BTreeSet<&'static str> {
    (0..5).map(|id| Compression::from_id(id).unwrap().name()).collect()
}

/// The clients' partitions as they lie on the disk.
fn logs(data: &Path) -> BTreeMap<(String, i32), Bytes> {
    let mut logs = BTreeMap::new();
    for entry in fs::read_dir(data).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let Some((topic, partition)) = name.rsplit_once('-') else { continue };
        let Ok(partition) = partition.parse() else { continue };
        if topic.starts_with("__") {
            continue;
        }
        let files = fs::read_dir(entry.path()).unwrap().map(|file| file.unwrap().path());
        let mut segments: Vec<_> =
            files.filter(|file| file.extension().is_some_and(|kind| kind == "log")).collect();
        segments.sort();
        let bytes: Vec<u8> = segments.iter().flat_map(|file| fs::read(file).unwrap()).collect();
        logs.insert((topic.to_owned(), partition), bytes.into());
    }
    logs
}

/// The whole partition over the wire, from where its log begins.
fn fetch(broker: &str, topic: &str, partition: i32) -> Bytes {
    let mut stream = TcpStream::connect(broker).unwrap();
    let mut served = BytesMut::new();
    let mut from = 0;
    loop {
        let ask = FetchPartition::default()
            .with_partition(partition)
            .with_fetch_offset(from)
            .with_partition_max_bytes(1 << 20);
        let name = TopicName(StrBytes::from_string(topic.to_owned()));
        let ask = FetchTopic::default().with_topic(name).with_partitions(vec![ask]);
        let request = FetchRequest::default().with_max_bytes(1 << 20).with_topics(vec![ask]);
        stream.write_all(&encode_request(1, "raw", 12, &request).unwrap()).unwrap();
        let answer: FetchResponse =
            decode_response(read_frame(&mut stream).unwrap(), 1, 12).unwrap();
        let found = &answer.responses[0].partitions[0];
        if found.error_code == 1 && from < found.log_start_offset {
            from = found.log_start_offset;
            continue;
        }
        assert_eq!(found.error_code, 0, "{topic}-{partition} at {from}");
        let records = found.records.clone().unwrap_or_default();
        let Some(last) = Batches::new(records.clone()).last() else { return served.freeze() };
        from = last.unwrap().header.next_offset().0;
        served.extend_from_slice(&records);
    }
}
