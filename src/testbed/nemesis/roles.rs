//! Who plays a role at this moment: a partition's leader, a group's coordinator, the controller.

use crate::testbed::{
    cluster::Placement,
    history::{EventKind, NodeName, Recorder},
    plan::NodeRef,
};

pub(super) struct Roles {
    placement: Placement,
}

impl Roles {
    pub(super) fn new(placement: Placement) -> Self {
        Roles { placement }
    }

    /// `None` while nobody plays it, such as the coordinator of a group nobody has joined.
    pub(super) fn resolve(&self, node: &NodeRef, recorder: &Recorder) -> Option<NodeName> {
        match node {
            NodeRef::Name(name) => Some(name.as_str().into()),
            NodeRef::Leader(partition) => self.placement.leader(partition),
            NodeRef::Controller => self.placement.controller(),
            NodeRef::Coordinator(group) => recorder.with(|history| {
                let of_group = |kind: &EventKind| match kind {
                    EventKind::MemberJoined { group: joined, .. }
                    | EventKind::Generation { group: joined, .. } => **joined == **group,
                    _ => false,
                };
                let last = history.events.iter().rev().find(|event| of_group(&event.kind))?;
                Some(last.node.clone())
            }),
        }
    }
}
