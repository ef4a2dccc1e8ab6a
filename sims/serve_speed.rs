//! `cargo bench --bench serve`: what `retrial serve` does under librdkafka, beside librdkafka's own mock cluster.
//!
//! Both run on this machine in one run, load by load in turn, so that the ratio means something. Another broker
//! can be measured beside them: `RETRIAL_BESIDE=HOST:PORT cargo bench --bench serve`.

#![allow(clippy::disallowed_methods, reason = "processes and their settings, outside any trial")]

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

#[path = "../tests/clients/environment.rs"]
#[allow(dead_code, reason = "the tests need more of it")]
mod environment;

/// Loads of each size on each broker; the median counts.
const ROUNDS: usize = 5;
const RECORDS: usize = 200_000;
const SIZES: [usize; 2] = [100, 1024];
/// As many as a topic of the mock cluster has.
const PARTITIONS: &str = "num.partitions=4";

/// A broker that ends with this, and its data with it.
struct Broker {
    name: &'static str,
    address: String,
    process: Option<Child>,
    _data: Option<TempDir>,
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn main() {
    let python = match environment::python() {
        Ok(python) => python,
        Err(why) => return println!("serve: not measured, there is no librdkafka: {why}"),
    };
    let mut brokers = vec![serve(), mock(&python)];
    if let Ok(address) = std::env::var("RETRIAL_BESIDE") {
        brokers.push(Broker { name: "beside", address, process: None, _data: None });
    }
    println!(
        "through librdkafka, acks=all, {RECORDS} records, thousands per second (median of {ROUNDS})"
    );
    println!(
        "{:>12} {:>8} {:>10} {:>10} {:>18}",
        "record", "broker", "produced", "consumed", "broker's CPU, ms"
    );
    for size in SIZES {
        let mut rates: BTreeMap<&str, Vec<Vec<f64>>> = BTreeMap::new();
        for round in 0..ROUNDS {
            for broker in &brokers {
                let found = load(&python, broker, &format!("load-{size}-{round}"), size);
                rates.entry(broker.name).or_default().push(found);
            }
        }
        for broker in &brokers {
            let middle = |column: usize| {
                let mut column: Vec<f64> = rates[broker.name].iter().map(|r| r[column]).collect();
                column.sort_by(f64::total_cmp);
                column[ROUNDS / 2]
            };
            let (produced, consumed) = (middle(0) / 1000.0, middle(1) / 1000.0);
            let (name, cpu) = (broker.name, middle(2) * 1000.0);
            println!("{size:>10} B {name:>8} {produced:>10.0} {consumed:>10.0} {cpu:>18.0}");
        }
    }
}

fn program(name: &str) -> PathBuf {
    environment::sources().join("speed").join(name)
}

/// This project's broker.
fn serve() -> Broker {
    let data = tempfile::tempdir().expect("a directory for temporary files");
    let process = Command::new(env!("CARGO_BIN_EXE_retrial"))
        .args(["serve", "--json", "--listen", "127.0.0.1:0", "--set", PARTITIONS, "--data"])
        .arg(data.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn();
    let mut process = process.expect("the broker starts");
    let line = first_line(&mut process);
    let said: serde_json::Value = serde_json::from_str(&line).expect("a line of JSON");
    let address = said["listening"].as_str().expect("an address").to_owned();
    Broker { name: "retrial", address, process: Some(process), _data: Some(data) }
}

fn mock(python: &Path) -> Broker {
    let process = Command::new(python)
        .arg(program("mock.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut process = process.expect("Python starts");
    let address = first_line(&mut process).trim().to_owned();
    Broker { name: "mock", address, process: Some(process), _data: None }
}

fn first_line(process: &mut Child) -> String {
    let mut line = String::new();
    let output = process.stdout.take().expect("it is piped");
    BufReader::new(output).read_line(&mut line).expect("the broker says where it is");
    line
}

/// Records produced and consumed per second, and the broker's CPU seconds for all of it.
fn load(python: &Path, broker: &Broker, topic: &str, size: usize) -> Vec<f64> {
    let before = cpu_seconds(broker);
    let output = Command::new(python)
        .arg(program("load.py"))
        .args([&broker.address, topic, &RECORDS.to_string(), &size.to_string()])
        .output()
        .expect("Python starts");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} under load: {complaint}", broker.name);
    let rates: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a line of JSON");
    let mut found: Vec<f64> =
        ["produced", "consumed"].map(|name| rates[name].as_f64().expect("a rate")).into();
    found.push(cpu_seconds(broker) - before);
    found
}

/// What the process of a broker has used until now, as Linux tells it; not a number for one elsewhere.
fn cpu_seconds(broker: &Broker) -> f64 {
    /// `USER_HZ`, which is 100 on every Linux.
    const TICKS_PER_SECOND: f64 = 100.0;
    let Some(process) = &broker.process else { return f64::NAN };
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{}/stat", process.id())) else {
        return f64::NAN;
    };
    // After the name in brackets: field 3 and on; user and system time are fields 14 and 15.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace();
    let ticks: f64 = fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks / TICKS_PER_SECOND
}
