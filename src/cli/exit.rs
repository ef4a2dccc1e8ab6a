//! Exit codes: what a script learns without reading.

use std::process::ExitCode;

use crate::testbed::{
    report::{Tally, as_expected},
    runner::{Trial, TrialEnd},
};

/// How a command ended. Of several, the worst wins: see [`Exit::worst`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Exit {
    /// Everything was as expected.
    AsExpected = 0,
    /// A guarantee broke that should hold, or held where the file says it breaks; a fact was another; a
    /// step never fired; or there was nothing to judge.
    NotAsExpected = 1,
    /// Wrong usage, or a file that is no scenario; nothing was run.
    BadInput = 2,
    /// The same plan and seed gave two different traces.
    NotDeterministic = 3,
    /// A trial reached its limit of virtual time.
    NoProgress = 4,
    /// A simulated node's code panicked, or an invariant broke: a bug in what is tested, or in Retrial.
    Crashed = 101,
    /// Stopped from outside (Ctrl-C, or nobody reads the output any more).
    Interrupted = 130,
}

/// Shown by `--help`.
pub(super) const HELP: &str = "\
Exit codes:
    0  everything was as expected
    1  a guarantee broke that should hold, or held where the file says it breaks
    2  wrong usage or a bad file; nothing was run
    3  not deterministic: one seed gave two traces
    4  no progress: a trial reached its limit of virtual time
  101  a bug: simulated code panicked, or an invariant broke that holds in every trial
  130  interrupted
Of several, 101 wins over 3, 3 over 4, 4 over 1.

Environment:
  RETRIAL_LOG  what to log on standard error: info, debug, retrial::kafka=trace, ...
  NO_COLOR     no colours";

/// Shown by `serve --help`.
pub(super) const SERVE_HELP: &str = "\
One setting has another default than Kafka's: with fewer than three brokers
offsets.topic.replication.factor is 1, as in Kafka's own server.properties.

max.connections is at most half of the files the process may open (ulimit -n), shared by the brokers:
the other half is left to the logs.

SIGINT (Ctrl-C) and SIGTERM stop the brokers in order; a second one ends the process at once.

Exit codes:
    0  stopped by a signal; everything is on the disk
    1  a broker stopped by itself: its storage failed
    2  not started: wrong usage, a wrong setting, an address or a directory that cannot be used
  101  a crash: a task of a broker panicked
  130  ended at once by a second signal; the next start recovers the logs

Environment:
  RETRIAL_LOG  what to log on standard error: info, debug, retrial::kafka=trace, ...";

impl Exit {
    /// Graver endings first.
    fn gravity(self) -> u8 {
        match self {
            Exit::AsExpected => 0,
            Exit::NotAsExpected => 1,
            Exit::NoProgress => 2,
            Exit::NotDeterministic => 3,
            Exit::BadInput => 4,
            Exit::Crashed => 5,
            Exit::Interrupted => 6,
        }
    }

    pub fn worst(self, other: Exit) -> Exit {
        if other.gravity() > self.gravity() { other } else { self }
    }

    pub fn code(self) -> u8 {
        self as u8
    }

    pub fn of_trial(trial: &Trial) -> Exit {
        match &trial.end {
            TrialEnd::Crashed { .. } | TrialEnd::Broken(_) => Exit::Crashed,
            TrialEnd::NoProgress { .. } => Exit::NoProgress,
            TrialEnd::Finished if as_expected(trial) => Exit::AsExpected,
            TrialEnd::Finished => Exit::NotAsExpected,
        }
    }

    pub fn of_tally(tally: &Tally) -> Exit {
        if tally.crashed > 0 {
            Exit::Crashed
        } else if tally.difference.is_some() {
            Exit::NotDeterministic
        } else if tally.stuck > 0 {
            Exit::NoProgress
        } else if tally.passed() {
            Exit::AsExpected
        } else {
            Exit::NotAsExpected
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}
