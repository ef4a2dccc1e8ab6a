//! What a server refuses to start with, and what it says.

use std::fs;

use super::process::{Served, refused, refused_in};

#[track_caller]
fn assert_says(complaint: &str, parts: &[&str]) {
    for part in parts {
        assert!(complaint.contains(part), "no `{part}` in:\n{complaint}");
    }
}

#[test]
fn all_wrong_settings_are_told_at_once() {
    let complaint = refused(&["--set", "num.partition=3", "--set", "message.max.bytes=-1"]);
    assert_says(&complaint, &["`num.partition`", "did you mean `num.partitions`?"]);
    assert_says(&complaint, &["`message.max.bytes` cannot be `-1`", "from 0 to 2147483647"]);
}

#[test]
fn a_directory_in_use_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let served = Served::start_in(data.path(), 1, &[]);
    assert_says(&refused_in(data.path(), &[]), &["broker-1", "in use"]);
    served.kill();
    // A killed process holds nothing.
    Served::start_in(data.path(), 1, &[]).stop();
}

#[test]
fn a_port_in_use_is_refused() {
    let served = Served::start(1, &[]);
    let address = served.addresses[0].to_string();
    assert_says(&refused(&["--listen", &address]), &["failed to listen on", &address]);
}

#[test]
fn a_directory_of_something_else_is_refused_and_left_alone() {
    let data = tempfile::tempdir().unwrap();
    let notes = data.path().join("broker-1/notes.txt");
    fs::create_dir(notes.parent().unwrap()).unwrap();
    fs::write(&notes, "mine").unwrap();
    assert_says(&refused_in(data.path(), &[]), &["broker-1", "`notes.txt`", "meta.properties"]);
    assert_eq!(fs::read_to_string(&notes).unwrap(), "mine");
    let file = data.path().join("file");
    fs::write(&file, "").unwrap();
    assert_says(&refused_in(&file, &[]), &["failed to", "file"]);
}

#[test]
fn a_broker_does_not_take_anothers_directory() {
    let data = tempfile::tempdir().unwrap();
    Served::start_in(data.path(), 2, &["--brokers", "2"]).stop();
    assert_says(&refused_in(data.path(), &["--brokers", "1"]), &["2 brokers", "--brokers 2"]);
    let inside = data.path().join("broker-1");
    assert_says(&refused_in(&inside, &[]), &["one broker's own directory"]);
    let at = |number: &str| data.path().join(format!("broker-{number}"));
    fs::remove_dir_all(at("1")).unwrap();
    fs::rename(at("2"), at("1")).unwrap();
    assert_says(&refused_in(data.path(), &[]), &["belongs to broker 2", "not to broker 1"]);
}

#[test]
fn a_broker_of_another_cluster_is_refused() {
    let (data, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for data in [&data, &other] {
        Served::start_in(data.path(), 2, &["--brokers", "2"]).stop();
    }
    let at = |data: &tempfile::TempDir| data.path().join("broker-2");
    fs::remove_dir_all(at(&data)).unwrap();
    fs::rename(at(&other), at(&data)).unwrap();
    assert_says(&refused_in(data.path(), &[]), &["broker 2", "belongs to cluster"]);
}

#[test]
fn the_address_of_all_interfaces_needs_one_that_clients_can_use() {
    assert_says(&refused(&["--listen", "0.0.0.0:0"]), &["--advertise"]);
}
