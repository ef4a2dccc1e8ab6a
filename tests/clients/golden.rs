//! Bytes of other clients, kept: requests of each API and version, and batches in each compression.
//!
//! The files beside this one are text, a line each: what it is, then its bytes. They were taken off the wire
//! while the clients' programs ran, with the versions in `requirements.txt`, `package-lock.json` and Debian's
//! kcat 1.7.1, and are made again by `RETRIAL_CLIENTS=record cargo test --test tests clients`. Our own codecs
//! must read them on machines that have none of the clients.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use retrial::kafka::protocol::batch::{Batch, Batches};

use super::{environment::sources, requests, stored::every_compression};

fn folder() -> PathBuf {
    sources().join("golden")
}

/// Keeps the shortest request of each API and version, and the shortest batch of each compression that
/// holds several records.
pub(super) fn record(client: &str, frames: &[Bytes]) {
    let mut shortest = BTreeMap::new();
    for frame in frames {
        keep_shortest(&mut shortest, requests::name(frame), frame);
    }
    let lines = shortest.iter().map(|((api, version), frame)| (format!("{api} {version}"), frame));
    write(&folder().join(format!("{client}.requests")), lines);

    let mut shortest = BTreeMap::new();
    for batch in frames.iter().flat_map(requests::batches) {
        if batch.header.last_offset_delta >= 2 {
            let compression = batch.header.attributes.compression().unwrap();
            keep_shortest(&mut shortest, compression.name(), &batch.bytes);
        }
    }
    let lines = shortest.iter().map(|(name, bytes)| ((*name).to_owned(), bytes));
    write(&folder().join(format!("{client}.batches")), lines);
}

fn keep_shortest<K: Ord>(shortest: &mut BTreeMap<K, Bytes>, key: K, bytes: &Bytes) {
    let kept = shortest.entry(key).or_insert_with(|| bytes.clone());
    if bytes.len() < kept.len() {
        *kept = bytes.clone();
    }
}

fn write<'a>(path: &Path, lines: impl Iterator<Item = (String, &'a Bytes)>) {
    let mut text = String::new();
    for (name, bytes) in lines {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(text, "{name} {hex}").unwrap();
    }
    fs::create_dir_all(folder()).unwrap();
    fs::write(path, text).unwrap();
}

/// All files of a kind: the client, and each line's name and bytes.
fn read(kind: &str) -> Vec<(String, Vec<(String, Bytes)>)> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|found| found == kind)).collect();
    files.sort();
    let client = |path: &PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
    let lines = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        text.lines().map(parse).collect()
    };
    files.iter().map(|path| (client(path), lines(path))).collect()
}

fn parse(line: &str) -> (String, Bytes) {
    let (name, hex) = line.rsplit_once(' ').unwrap();
    let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    let bytes: Vec<u8> = digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
    (name.to_owned(), bytes.into())
}

#[test]
fn requests_of_other_clients_are_read_to_the_last_byte() {
    let files = read("requests");
    assert!(files.len() >= 5, "there are five clients");
    for (client, lines) in files {
        assert!(lines.iter().any(|(name, _)| name.starts_with("Produce ")), "{client}");
        for (name, frame) in lines {
            let (api, version) = requests::name(&frame);
            assert_eq!(name, format!("{api} {version}"), "{client}");
            requests::check(&frame).unwrap_or_else(|error| panic!("{client}: {error}"));
        }
    }
}

#[test]
fn batches_of_other_clients_are_read_in_every_compression() {
    let files = read("batches");
    assert!(files.len() >= 5, "there are five clients");
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (client, lines) in files {
            let names: Vec<_> = lines.iter().map(|(name, _)| name.as_str()).collect();
            assert!(every_compression().iter().eq(&names), "{client}: {names:?}");
            let told: String = lines.iter().map(|(name, bytes)| tell(name, bytes)).collect();
            insta::assert_snapshot!(format!("batches_of_{client}"), told);
        }
    });
}

/// A batch in words: its header, and its first and last record.
fn tell(name: &str, bytes: &Bytes) -> String {
    let mut batches = Batches::new(bytes.clone());
    let batch = batches.next().unwrap().unwrap();
    assert!(batches.next().is_none() && batches.rest().is_empty(), "one whole batch");
    batch.check_crc().unwrap();
    let Batch { header, .. } = &batch;
    assert_eq!(header.attributes.compression().unwrap().name(), name);
    let records: Vec<_> = batch.records().unwrap().map(Result::unwrap).collect();
    assert_eq!(records.len() as i32, header.last_offset_delta + 1);
    let mut told = format!("{name}: {} records in {} bytes\n", records.len(), bytes.len());
    for record in [&records[0], &records[records.len() - 1]] {
        let text = |bytes: &Option<Bytes>| {
            let text = bytes.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            text.map_or("none".into(), |text| text.chars().take(60).collect::<String>())
        };
        let headers: Vec<_> = record
            .headers
            .iter()
            .map(|header| format!("{}={}", header.key, text(&header.value)))
            .collect();
        let (key, value) = (text(&record.key), text(&record.value));
        writeln!(told, "  +{} {key} {headers:?} {value}", record.offset.0 - header.base_offset.0)
            .unwrap();
    }
    told
}
