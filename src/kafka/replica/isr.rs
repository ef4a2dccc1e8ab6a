//! The ISR as its leader sees it: confirmed by the controller, or with a change under way.

use std::collections::BTreeSet;

use super::AlterPartition;
use crate::kafka::types::BrokerId;

/// `CommittedPartitionState`, `PendingExpandIsr` and `PendingShrinkIsr` of Kafka's `Partition`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Isr {
    committed: BTreeSet<BrokerId>,
    pending: Option<Pending>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Pending {
    change: Change,
    sent: AlterPartition,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Change {
    Expand(BrokerId),
    Shrink(BTreeSet<BrokerId>),
}

impl Isr {
    pub fn committed(isr: BTreeSet<BrokerId>) -> Self {
        Isr { committed: isr, pending: None }
    }

    /// The controller's last word that this leader knows.
    pub fn members(&self) -> &BTreeSet<BrokerId> {
        &self.committed
    }

    /// Whether the ISR may hold `broker`, whatever the controller made of the request under way. A proposed
    /// shrink leaves it as it is: it may fail.
    pub fn may_hold(&self, broker: BrokerId) -> bool {
        let joining = matches!(&self.pending, Some(Pending { change: Change::Expand(joining), .. }) if *joining == broker);
        joining || self.committed.contains(&broker)
    }

    /// The maximal ISR (KIP-497).
    pub fn maximal(&self) -> BTreeSet<BrokerId> {
        let mut isr = self.committed.clone();
        if let Some(Pending { change: Change::Expand(joining), .. }) = &self.pending {
            isr.insert(*joining);
        }
        isr
    }

    pub fn maximal_size(&self) -> usize {
        match &self.pending {
            Some(Pending { change: Change::Expand(_), .. }) => self.committed.len() + 1,
            Some(_) | None => self.committed.len(),
        }
    }

    pub fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    pub fn pending_request(&self) -> Option<&AlterPartition> {
        self.pending.as_ref().map(|pending| &pending.sent)
    }

    /// The ISR if `change` comes true.
    pub fn after(&self, change: &Change) -> BTreeSet<BrokerId> {
        let mut isr = self.committed.clone();
        match change {
            Change::Expand(joining) => {
                isr.insert(*joining);
            }
            Change::Shrink(leaving) => isr.retain(|member| !leaving.contains(member)),
        }
        isr
    }

    pub fn propose(&mut self, change: Change, sent: AlterPartition) {
        self.pending = Some(Pending { change, sent });
    }

    /// Back to the controller's last word.
    pub fn withdraw(&mut self) {
        self.pending = None;
    }
}
