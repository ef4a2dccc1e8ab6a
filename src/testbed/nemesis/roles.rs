//! Who plays a role at this moment: a partition's leader, a group's coordinator, the controller.

use crate::{
    kafka::types::TopicPartition,
    testbed::{
        cluster::Placement,
        history::{EventKind, NodeName, Recorder},
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
    /// are resolved in the order of replicas, the leader of an ISR first.
    pub(super) fn resolve(&self, node: &NodeRef, recorder: &Recorder) -> Vec<NodeName> {
        match node {
            NodeRef::Name(name) => vec![name.as_str().into()],
            NodeRef::Leader(partition) => self.placement.leader(partition).into_iter().collect(),
            NodeRef::Follower(partition) => self.followers(partition).take(1).collect(),
            NodeRef::Followers(partition) => self.followers(partition).collect(),
            NodeRef::Isr(partition) => self.placement.replicas(partition),
            NodeRef::Controller => self.placement.controller().into_iter().collect(),
            NodeRef::Standby => self.standbys().take(1).collect(),
            NodeRef::Voters => self.placement.voters(),
            NodeRef::Coordinator(group) => coordinator(group, recorder).into_iter().collect(),
            // The nemesis keeps these itself.
            NodeRef::Step(_) => Vec::new(),
        }
    }

    fn followers(&self, partition: &TopicPartition) -> impl Iterator<Item = NodeName> {
        let leader = self.placement.leader(partition);
        let replicas = self.placement.replicas(partition).into_iter();
        replicas.filter(move |replica| Some(replica) != leader.as_ref())
    }

    fn standbys(&self) -> impl Iterator<Item = NodeName> {
        let active = self.placement.controller();
        self.placement.voters().into_iter().filter(move |voter| Some(voter) != active.as_ref())
    }
}

fn coordinator(group: &str, recorder: &Recorder) -> Option<NodeName> {
    let of_group = |kind: &EventKind| match kind {
        EventKind::MemberJoined { group: joined, .. }
        | EventKind::Generation { group: joined, .. }
        | EventKind::GroupLoaded { group: joined, .. } => **joined == *group,
        _ => false,
    };
    recorder.with(|history| {
        let last = history.events.iter().rev().find(|event| of_group(&event.kind))?;
        Some(last.node.clone())
    })
}
