//! Who plays a role at this moment, as the history tells it: a partition's leader and followers, the ISR, a
//! group's coordinator, the active controller.

use crate::{
    kafka::types::TopicPartition,
    testbed::{
        cluster::Placement,
        history::{EventKind, History, NodeName, Recorder},
        plan::NodeRef,
    },
};

pub(super) struct Roles {
    placement: Placement,
}

impl Roles {
    pub(super) fn new(placement: Placement) -> Self {
        Roles { placement }
    }

    /// Nobody while nobody plays it, such as the coordinator of a group nobody has joined. Roles of many
    /// are resolved in the order of replicas, the leader of an ISR first. Who will lead a partition that
    /// is not there yet, the plan knows.
    pub(super) fn resolve(&self, node: &NodeRef, recorder: &Recorder) -> Vec<NodeName> {
        recorder.with(|history| match node {
            NodeRef::Name(name) => vec![name.as_str().into()],
            NodeRef::Leader(partition) => self.leader(partition, history).into_iter().collect(),
            NodeRef::Follower(partition) => self.followers(partition, history).take(1).collect(),
            NodeRef::Followers(partition) => self.followers(partition, history).collect(),
            NodeRef::Isr(partition) => self.isr(partition, history),
            NodeRef::Controller => controller(history).into_iter().collect(),
            NodeRef::Standby => {
                let active = controller(history);
                let others = self.placement.voters().into_iter();
                others.filter(|voter| Some(voter) != active.as_ref()).take(1).collect()
            }
            NodeRef::Voters => self.placement.voters(),
            NodeRef::Coordinator(group) => coordinator(group, history).into_iter().collect(),
            // The nemesis keeps these itself.
            NodeRef::Step(_) => Vec::new(),
        })
    }

    fn leader(&self, of: &TopicPartition, history: &History) -> Option<NodeName> {
        let word = |kind: &EventKind| match kind {
            EventKind::PartitionCreated { partition, leader, .. }
            | EventKind::Elected { partition, leader, .. } => {
                (partition == of).then(|| leader.clone())
            }
            _ => None,
        };
        last(history, word).unwrap_or_else(|| self.placement.leader(of))
    }

    fn followers(&self, of: &TopicPartition, history: &History) -> impl Iterator<Item = NodeName> {
        let leader = self.leader(of, history);
        let replicas = self.replicas(of, history).into_iter();
        replicas.filter(move |replica| Some(replica) != leader.as_ref())
    }

    fn replicas(&self, of: &TopicPartition, history: &History) -> Vec<NodeName> {
        let word = |kind: &EventKind| match kind {
            EventKind::PartitionCreated { partition, replicas, .. }
            | EventKind::ReplicasChanged { partition, replicas } => {
                (partition == of).then(|| replicas.clone())
            }
            _ => None,
        };
        last(history, word).unwrap_or_else(|| self.placement.replicas(of))
    }

    fn isr(&self, of: &TopicPartition, history: &History) -> Vec<NodeName> {
        let word = |kind: &EventKind| match kind {
            EventKind::PartitionCreated { partition, isr, .. }
            | EventKind::IsrShrunk { partition, isr, .. }
            | EventKind::IsrGrown { partition, isr, .. } => (partition == of).then(|| isr.clone()),
            _ => None,
        };
        let mut isr = last(history, word).unwrap_or_else(|| self.placement.replicas(of));
        let leader = self.leader(of, history);
        isr.sort_by_key(|member| Some(member) != leader.as_ref());
        isr
    }
}

/// The last thing that was said of it.
fn last<T>(history: &History, word: impl Fn(&EventKind) -> Option<T>) -> Option<T> {
    history.events.iter().rev().find_map(|event| word(&event.kind))
}

/// Whoever leads the metadata's log.
fn controller(history: &History) -> Option<NodeName> {
    let leads = |kind: &EventKind| matches!(kind, EventKind::Leads { partition, .. } if super::matching::is_metadata(partition));
    let last = history.events.iter().rev().find(|event| leads(&event.kind))?;
    Some(last.node.clone())
}

fn coordinator(group: &str, history: &History) -> Option<NodeName> {
    let of_group = |kind: &EventKind| match kind {
        EventKind::MemberJoined { group: joined, .. }
        | EventKind::Generation { group: joined, .. }
        | EventKind::GroupLoaded { group: joined, .. } => **joined == *group,
        _ => false,
    };
    let last = history.events.iter().rev().find(|event| of_group(&event.kind))?;
    Some(last.node.clone())
}
