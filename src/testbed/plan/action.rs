//! What a step does.

use serde::{Deserialize, Serialize};

use super::{Span, Step};

/// A machine, by its name (`b1`, `shop`, `billing/2`) or by a role resolved when the step fires.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum NodeRef {
    Name(String),
    /// Leader of a partition: `leader:orders-0`.
    Leader(crate::kafka::types::TopicPartition),
    /// The broker that coordinates a group: `coordinator:billing`.
    Coordinator(String),
    /// The active controller: `controller`.
    Controller,
}

/// One way or both ways between two machines: `b1 -> b2`, `b1 <-> b2`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Link {
    pub from: NodeRef,
    pub to: NodeRef,
    pub both_ways: bool,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Links {
    Some(Vec<Link>),
    /// Every link of a machine: `node = "b1"`.
    Of(NodeRef),
    All,
}

/// A fault, its cure, or an act of the application or the operator. A fault with `lasts` heals itself.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The process is killed; the page cache survives.
    Crash {
        node: NodeRef,
    },
    /// The machine loses power; unsynced pages survive one by one or not.
    PowerLoss {
        node: NodeRef,
    },
    Restart {
        node: NodeRef,
    },
    /// The whole process stands still; its sockets fill.
    Pause {
        node: NodeRef,
        lasts: Option<Span>,
    },
    Resume {
        node: NodeRef,
    },
    /// The handler hangs; the client's own tasks live.
    Stall {
        node: NodeRef,
        lasts: Span,
    },
    /// The handler fails on the record in hand.
    Throw {
        node: NodeRef,
    },
    /// Starts a producer, a group or one member that waits for a step.
    Start {
        actor: String,
    },
    /// Closes an actor in an orderly way.
    Stop {
        actor: String,
    },
    Sever {
        links: Links,
        lasts: Option<Span>,
    },
    Hold {
        links: Links,
        lasts: Option<Span>,
    },
    Delay {
        links: Links,
        by: Span,
        lasts: Option<Span>,
    },
    /// Existing connections break with a reset.
    Reset {
        links: Links,
    },
    /// Ends what sever, hold and delay did to these links.
    Heal {
        links: Links,
    },
    SlowDisk {
        node: NodeRef,
        by: Span,
        lasts: Option<Span>,
    },
    FullDisk {
        node: NodeRef,
        lasts: Option<Span>,
    },
    /// Syncs claim success and persist nothing.
    LyingDisk {
        node: NodeRef,
        lasts: Option<Span>,
    },
    /// The disk is emptied (the machine must be down).
    WipeDisk {
        node: NodeRef,
    },
    /// Ends what slow, full and lying disks do.
    HealDisk {
        node: NodeRef,
    },
    /// Moves the wall clock; negative goes back.
    Skew {
        node: NodeRef,
        by_ms: i64,
    },
    CreateTopic {
        topic: String,
        partitions: u32,
    },
    /// Narration only.
    Note,
}

impl Step {
    /// Says something and does nothing; may stay silent without failing the trial.
    pub fn is_narration(&self) -> bool {
        self.action == Action::Note
    }
}
