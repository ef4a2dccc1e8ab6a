//! The program as a process: started, read, signalled, waited for.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

use retrial::env::Address;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_retrial"));
    command.arg("serve").args(args);
    if !args.contains(&"--listen") {
        command.args(["--listen", "127.0.0.1:0"]);
    }
    command
}

/// A server that is ready; stopped when dropped, so that it removes a directory of its own.
pub struct Served {
    child: Child,
    out: BufReader<ChildStdout>,
    /// What clients are told, by broker.
    pub addresses: Vec<Address>,
    /// By broker.
    pub data: Vec<PathBuf>,
}

impl Served {
    /// Starts on free ports and waits until every broker is ready.
    pub fn start(brokers: usize, args: &[&str]) -> Self {
        Self::started(command(&[args, &["--json"]].concat()), brokers)
    }

    fn started(mut command: Command, brokers: usize) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut served = Served { child, out, addresses: Vec::new(), data: Vec::new() };
        for number in 1..=brokers {
            let line = served.line();
            assert_eq!((&line["type"], &line["broker"]), (&"broker-ready".into(), &number.into()));
            let (host, port) = line["address"].as_str().unwrap().rsplit_once(':').unwrap();
            served.addresses.push(Address::new(host, port.parse().unwrap()));
            served.data.push(line["data"].as_str().unwrap().into());
        }
        served
    }

    /// As [`Served::start`], with one broker in a process that may open that many files.
    pub fn start_with_files(files: u32) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -n {files}; exec \"$0\" \"$@\"")]);
        let command = command(&["--json"]);
        shell.arg(command.get_program()).args(command.get_args());
        Self::started(shell, 1)
    }

    /// As [`Served::start`], in that directory.
    pub fn start_in(data: &Path, brokers: usize, args: &[&str]) -> Self {
        let args = [&["--data", data.to_str().unwrap()], args].concat();
        Self::start(brokers, &args)
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: `{line}`"))
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Its exit code, and what it said since it was ready.
    pub fn end(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }

    /// Stops it in order.
    pub fn stop(self) {
        self.signal(Signal::TERM);
        let (code, said) = self.end();
        assert_eq!((code, said.as_str()), (Some(0), "{\"v\":1,\"type\":\"stopped\"}\n"));
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // It may hang, or have ended.
            let _ = self.child.kill();
        } else if let Ok(None) = self.child.try_wait() {
            self.signal(Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

/// A server that is not ready yet.
pub struct Starting(Child);

impl Starting {
    pub fn start(args: &[&str]) -> Self {
        let mut command = command(&[args, &["--json"]].concat());
        Starting(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Waits until it complains: its first words.
    pub fn complaint(&mut self) -> String {
        let mut line = String::new();
        BufReader::new(self.0.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
        line
    }

    /// Asks it to stop: its exit code, and all that it said on standard output.
    pub fn stop(self) -> (Option<i32>, String) {
        kill_process(Pid::from_child(&self.0), Signal::TERM).unwrap();
        let output = self.0.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }
}

/// Runs a server that must not start: its complaint.
pub fn refused(args: &[&str]) -> String {
    let output = command(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert_eq!((output.status.code(), out.as_str()), (Some(2), ""), "{err}");
    err
}

/// As [`refused`], in that directory.
pub fn refused_in(data: &Path, args: &[&str]) -> String {
    refused(&[&["--data", data.to_str().unwrap()], args].concat())
}
