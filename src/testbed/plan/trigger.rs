//! When a step fires: at a time, on an event, or some time after another step.

use serde::{Deserialize, Serialize};

use super::{RecordAt, Span};

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Trigger {
    /// Virtual time since the trial began.
    At(Span),
    /// At the end of the `count`-th matching event (since step `after` fired, if given), before any
    /// other event. Once. With `record`, the event concerns that record: a commit that covers it, a
    /// poll that returned it.
    When {
        event: EventName,
        of: Option<String>,
        record: Option<RecordAt>,
        count: u64,
        after: Option<String>,
    },
    /// That long after another step fired.
    After { step: String, wait: Span },
}

/// Events a step or an actor can wait for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventName {
    /// A producer's `send()` was called.
    Sent,
    /// A leader appended a batch to this topic or partition.
    Appended,
    Acked,
    /// A send ended badly: a producer's, or one to this topic or partition, if one had been chosen.
    Failed,
    /// A producer has sent everything and knows every outcome.
    Done,
    Polled,
    Processing,
    Processed,
    Committed,
    CommitFailed,
    Joined,
    /// A consumer knows where it begins to read a partition.
    Positioned,
    Left,
    /// A group completed a rebalance: a new generation has its assignment.
    Rebalanced,
    /// A machine's program is up.
    Started,
    /// A log was cut: a torn tail in recovery, or what its leader does not have.
    Truncated,
    /// The controller made another replica a partition's leader.
    Elected,
    /// A broker learnt that it leads a partition.
    Leads,
    /// A follower took a batch from its leader.
    Replicated,
    /// A follower was told that its log parts from the leader's.
    Diverged,
    /// A leader asked the controller for another ISR; the answer is not there yet.
    IsrChangeAsked,
    IsrShrunk,
    IsrGrown,
    /// A controller became the active one.
    ControllerElected,
    /// The controller took a broker out of service, or into it.
    Fenced,
    Unfenced,
    /// An application or a client reported an error.
    Error,
}
