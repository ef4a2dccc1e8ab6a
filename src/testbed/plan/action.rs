//! What a step does.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{ConfigMap, Span, Step};
use crate::kafka::types::TopicPartition;

/// A machine, by its name (`b1`, `c1`, `shop`, `billing/2`), or those that play a role when the step fires.
///
/// Somebody must: a step whose moment comes while nobody plays one of its roles (a partition without a leader, a group
/// nobody has joined) does not fire, and no step that waits for it does. As with every step that does not fire, a
/// scenario's trial fails for it. Drawn plans take no notice: chance may miss.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum NodeRef {
    Name(String),
    /// Leader of a partition: `leader:orders-0`.
    Leader(TopicPartition),
    /// The broker that coordinates a group: `coordinator:billing`.
    Coordinator(String),
    /// The active controller: `controller`.
    Controller,
    /// The first follower of a partition in the order of its replicas: `follower:orders-0`.
    Follower(TopicPartition),
    /// All followers of a partition, in sync or not: `followers:orders-0`.
    Followers(TopicPartition),
    /// Everybody in a partition's ISR, its leader first: `isr:orders-0`.
    Isr(TopicPartition),
    /// The first controller that is not active: `standby`.
    Standby,
    /// All controllers: `voters`.
    Voters,
    /// Whom an earlier step acted on: `step:kill`.
    Step(String),
}

impl NodeRef {
    /// Whether several machines may play the role at once.
    pub fn may_be_many(&self) -> bool {
        matches!(self, NodeRef::Followers(_) | NodeRef::Isr(_) | NodeRef::Voters | NodeRef::Step(_))
    }
}

impl fmt::Display for NodeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NodeRef::Name(name) => f.write_str(name),
            NodeRef::Leader(partition) => write!(f, "leader:{partition}"),
            NodeRef::Follower(partition) => write!(f, "follower:{partition}"),
            NodeRef::Followers(partition) => write!(f, "followers:{partition}"),
            NodeRef::Isr(partition) => write!(f, "isr:{partition}"),
            NodeRef::Coordinator(group) => write!(f, "coordinator:{group}"),
            NodeRef::Controller => f.write_str("controller"),
            NodeRef::Standby => f.write_str("standby"),
            NodeRef::Voters => f.write_str("voters"),
            NodeRef::Step(step) => write!(f, "step:{step}"),
        }
    }
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
    /// Asks a broker or controller to stop in good order: its leaderships go elsewhere first.
    ShutDown {
        node: NodeRef,
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
    /// The disk is emptied. While the machine is up the step does not fire.
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
        /// The broker's `default.replication.factor`, if not given.
        replication_factor: Option<u32>,
    },
    DeleteTopic {
        topic: String,
    },
    /// Makes a topic have so many partitions in all.
    AddPartitions {
        topic: String,
        partitions: u32,
    },
    /// Moves a partition to these brokers, the preferred leader first.
    Reassign {
        partition: TopicPartition,
        replicas: Vec<String>,
    },
    /// Takes back a move that is under way.
    CancelReassignment {
        partition: TopicPartition,
    },
    /// Asks for the election of a partition's leader, or of every partition's.
    Elect {
        partition: Option<TopicPartition>,
        election: ElectionType,
    },
    /// Sets topic settings.
    AlterConfig {
        topic: String,
        config: ConfigMap,
    },
    /// Starts a broker that was not part of the cluster, on an empty disk.
    AddBroker {
        broker: String,
        rack: Option<String>,
    },
    /// Narration only.
    Note,
}

/// Whom an election that an operator asks for chooses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ElectionType {
    /// The first of the replicas, if it is in sync.
    Preferred,
    /// Any live replica, where none in sync is alive.
    Unclean,
}

impl Step {
    /// Says something and does nothing; may stay silent without failing the trial.
    pub fn is_narration(&self) -> bool {
        self.action == Action::Note
    }
}
