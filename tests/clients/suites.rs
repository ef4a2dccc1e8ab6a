//! All programs of one client against one broker: each keeps to topics and groups of its own.
//!
//! Their requests pass a recorder. Each must be understood to its last byte, and the record batches among them
//! must be what lies on the disk and what is served in the end.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

use bytes::Bytes;

use super::{
    broker::Broker,
    environment::{self, Found, or_skip, sources},
    golden,
    program::{self, Ran},
    recorder::Recorder,
    requests, stored,
};

/// Programs at once: most of their time they wait for each other's members.
const AT_ONCE: usize = 4;

/// Runs every program of the folder, compares what they printed with what they must, and looks at the bytes.
/// Tells the requests and the compressions that were met.
fn judge(
    folder: &str,
    found: Found,
    command: fn(&Path, &Path) -> Command,
) -> Option<(Vec<Bytes>, BTreeSet<&'static str>)> {
    let tool = or_skip(folder, found)?;
    let programs = programs(folder);
    assert!(!programs.is_empty(), "there are programs in {folder}");
    let recorder = Recorder::listen();
    let broker = Broker::start_with(&["--advertise", &recorder.address]);
    recorder.forward_to(&broker.listening);
    let waiting = Mutex::new(programs.into_iter());
    let ran = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(program) = waiting.lock().unwrap().next() else { return };
                    let printed = program::run(command(&tool, &program).arg(&recorder.address));
                    ran.lock().unwrap().insert(program, printed);
                }
            });
        }
    });
    compare(folder, ran.into_inner().unwrap());
    let requests = recorder.requests();
    for request in &requests {
        requests::check(request).unwrap_or_else(|error| panic!("{folder}: {error}"));
    }
    let compressions = stored::check(&requests, &broker.data(), &broker.listening);
    Some((requests, compressions))
}

/// One client by itself, which must have written every compression there is.
fn judge_alone(folder: &str, found: Found, command: fn(&Path, &Path) -> Command) {
    let Some((requests, compressions)) = judge(folder, found, command) else { return };
    assert_eq!(compressions, stored::every_compression(), "{folder} writes them all");
    if std::env::var("RETRIAL_CLIENTS").is_ok_and(|value| value == "record") {
        golden::record(folder, &requests);
    }
}

fn programs(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(sources().join(folder)).unwrap();
    let mut programs: Vec<_> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    programs.sort();
    programs
}

fn compare(folder: &str, ran: BTreeMap<PathBuf, Ran>) {
    let failures: Vec<_> = ran.values().filter_map(|ran| ran.as_ref().err()).collect();
    assert!(
        failures.is_empty(),
        "{}",
        failures.iter().map(|text| text.as_str()).collect::<String>()
    );
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (program, printed) in ran {
            let program = program.file_stem().unwrap().to_string_lossy().into_owned();
            insta::assert_snapshot!(format!("{folder}_{program}"), printed.unwrap());
        }
    });
}

#[test]
fn kafka_python_finds_the_broker_it_expects() {
    judge_alone("kafka_python", environment::python(), program::python);
}

#[test]
fn librdkafka_finds_the_broker_it_expects() {
    judge_alone("librdkafka", environment::python(), program::python);
}

#[test]
fn aiokafka_finds_the_broker_it_expects() {
    judge_alone("aiokafka", environment::python(), program::python);
}

#[test]
fn kafkajs_finds_the_broker_it_expects() {
    judge_alone("kafkajs", environment::node_modules(), program::node);
}

#[test]
fn kcat_finds_the_broker_it_expects() {
    judge_alone("kcat", environment::kcat(), |_, program| program::shell(program));
}

#[test]
fn clients_of_several_makes_share_a_group_and_a_topic() {
    judge("together", environment::python(), program::python);
}
