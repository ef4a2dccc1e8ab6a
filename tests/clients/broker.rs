//! `retrial serve` as a process of its own, on a free port, with a directory of its own.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use tempfile::TempDir;

/// Until the ready line. A debug build on a busy machine takes a second.
const START: Duration = Duration::from_secs(30);
/// Of the log that a failed test shows.
const SHOWN_LINES: usize = 60;

/// A broker that runs as long as this lives. If the test has failed by then, its log is shown.
pub(super) struct Broker {
    process: Child,
    directory: TempDir,
    /// Where it listens, whatever clients are told.
    pub(super) listening: String,
}

impl Broker {
    /// With more arguments of `serve`.
    pub(super) fn start_with(arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let log = fs::File::create(log_path(directory.path())).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_retrial"))
            .args(["serve", "--json", "--listen", "127.0.0.1:0", "--data"])
            .arg(directory.path().join("data"))
            // Kafka waits three seconds for more members before a group's first assignment.
            .args(["--set", "group.initial.rebalance.delay.ms=200"])
            .args(arguments)
            .env("RETRIAL_LOG", "retrial=debug")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let (say, ready) = mpsc::channel();
        let output = BufReader::new(process.stdout.take().unwrap());
        // Reads on until the end: a broker must not wait for a reader of its last words.
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = say.send(line);
            }
        });
        // From here on a panic ends the process too.
        let mut broker = Broker { process, directory, listening: String::new() };
        let line = ready.recv_timeout(START).expect("the broker says that it is ready");
        let said: serde_json::Value = serde_json::from_str(&line).expect("a line of JSON");
        broker.listening = said["listening"].as_str().expect("an address").to_owned();
        broker
    }

    /// Where the only broker keeps its partitions.
    pub(super) fn data(&self) -> PathBuf {
        self.directory.path().join("data/broker-1")
    }
}

fn log_path(directory: &Path) -> PathBuf {
    directory.join("log")
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            let log = fs::read(log_path(self.directory.path())).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            let lines: Vec<_> = log.lines().collect();
            let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
            eprintln!("the broker's log ends with:\n{}", shown.join("\n"));
        }
    }
}
