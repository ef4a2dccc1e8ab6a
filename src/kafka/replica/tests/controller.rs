//! A controller in memory: the partition's registration, clean elections, AlterPartition, eligible leader
//! replicas. Its log is a list of images; a broker has seen them up to one.

use std::collections::{BTreeMap, BTreeSet};

use crate::kafka::{
    protocol::ResponseError,
    replica::{AlterPartition, AlteredPartition, BrokerFacts, BrokerStanding, PartitionMetadata},
    types::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch},
};

#[derive(Clone, Debug)]
pub struct Image {
    pub partition: PartitionMetadata,
    pub brokers: BTreeMap<BrokerId, BrokerFacts>,
}

/// `eligible.leader.replicas.version`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Elr {
    Off,
    On,
}

/// What a broker that comes back has of its log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Returning {
    Whole,
    /// It lost power, and what was not synced.
    Lossy,
}

#[derive(Debug)]
pub struct Controller {
    pub images: Vec<Image>,
    pub elr: BTreeSet<BrokerId>,
    mode: Elr,
    min_isr: usize,
}

impl Controller {
    /// Brokers 0 to `brokers - 1`, all in sync, the first leads.
    pub fn new(brokers: i32, min_isr: usize, mode: Elr) -> Self {
        let ids: Vec<BrokerId> = (0..brokers).map(BrokerId).collect();
        let facts =
            |_: &BrokerId| BrokerFacts { epoch: BrokerEpoch(0), standing: BrokerStanding::Active };
        let image = Image {
            brokers: ids.iter().map(|id| (*id, facts(id))).collect(),
            partition: PartitionMetadata {
                leader: Some(BrokerId(0)),
                leader_epoch: LeaderEpoch(0),
                partition_epoch: PartitionEpoch(0),
                isr: ids.iter().copied().collect(),
                replicas: ids,
                adding: Vec::new(),
                removing: Vec::new(),
            },
        };
        Controller { images: vec![image], elr: BTreeSet::new(), mode, min_isr }
    }

    pub fn latest(&self) -> &Image {
        self.images.last().unwrap()
    }

    /// Writes what `change` makes of the latest image; the partition epoch counts changes of the partition.
    fn write(&mut self, change: impl FnOnce(&mut Image)) {
        let mut image = self.latest().clone();
        change(&mut image);
        if image.partition != self.latest().partition {
            image.partition.partition_epoch.0 += 1;
        }
        self.images.push(image);
    }

    fn shrink_or_grow(&mut self, isr: BTreeSet<BrokerId>) {
        if self.mode == Elr::On {
            let candidates = &self.elr | &self.latest().partition.isr;
            self.elr = if isr.len() >= self.min_isr { BTreeSet::new() } else { &candidates - &isr };
        }
        self.write(|image| image.partition.isr = isr);
    }

    /// The first of the assignment that is active and in the ISR; with an empty ISR, eligible.
    fn elect_if_needed(&mut self) {
        let latest = self.latest();
        let active = |id: &BrokerId| latest.brokers[id].standing == BrokerStanding::Active;
        let partition = &latest.partition;
        if partition.leader.is_some_and(|leader| active(&leader)) {
            return;
        }
        let isr = partition.replicas.iter().find(|id| active(id) && partition.isr.contains(id));
        let eligible = || {
            let may =
                |id: &&BrokerId| active(id) && partition.isr.is_empty() && self.elr.contains(id);
            partition.replicas.iter().find(may)
        };
        let elected = isr.or_else(eligible).copied();
        if elected == partition.leader {
            return;
        }
        self.write(|image| {
            image.partition.leader = elected;
            image.partition.leader_epoch.0 += 1;
        });
        if let Some(leader) = elected.filter(|leader| !self.latest().partition.isr.contains(leader))
        {
            self.shrink_or_grow([leader].into());
        }
    }

    pub fn fence(&mut self, id: BrokerId) {
        self.write(|image| {
            image.brokers.get_mut(&id).unwrap().standing = BrokerStanding::Fenced;
        });
        let mut isr = self.latest().partition.isr.clone();
        // Without eligible replicas the last of the ISR stays in it.
        if isr.remove(&id) && (self.mode == Elr::On || !isr.is_empty()) {
            self.shrink_or_grow(isr);
        }
        self.elect_if_needed();
    }

    pub fn unfence(&mut self, id: BrokerId) {
        self.write(|image| {
            image.brokers.get_mut(&id).unwrap().standing = BrokerStanding::Active;
        });
        self.elect_if_needed();
    }

    /// A new incarnation: fenced, and with eligible replicas no longer one if it may have lost records.
    pub fn register(&mut self, id: BrokerId, returning: Returning) -> BrokerEpoch {
        self.fence(id);
        if returning == Returning::Lossy {
            self.elr.remove(&id);
        }
        let epoch = BrokerEpoch(i64::try_from(self.images.len()).unwrap());
        self.write(|image| image.brokers.get_mut(&id).unwrap().epoch = epoch);
        epoch
    }

    pub fn shut_down(&mut self, id: BrokerId) {
        self.write(|image| {
            image.brokers.get_mut(&id).unwrap().standing = BrokerStanding::InControlledShutdown;
        });
    }

    /// As ElectLeaders does, if the broker may lead.
    pub fn elect(&mut self, id: BrokerId) {
        let Image { partition, brokers } = self.latest();
        let active = brokers[&id].standing == BrokerStanding::Active;
        if active && partition.isr.contains(&id) && partition.leader != Some(id) {
            self.write(|image| {
                image.partition.leader = Some(id);
                image.partition.leader_epoch.0 += 1;
            });
        }
    }

    /// Any replica, as an unclean election does.
    pub fn elect_unclean(&mut self, id: BrokerId) {
        self.elr.clear();
        self.write(|image| {
            image.partition.leader = Some(id);
            image.partition.leader_epoch.0 += 1;
            image.partition.isr = [id].into();
        });
    }

    pub fn reassign(&mut self, replicas: Vec<BrokerId>) {
        self.write(|image| image.partition.replicas = replicas);
    }

    /// `ReplicationControlManager.alterPartition`. `None` for STALE_BROKER_EPOCH, the whole request's error.
    pub fn alter(
        &mut self,
        from: BrokerId,
        from_epoch: BrokerEpoch,
        request: &AlterPartition,
    ) -> Option<Result<AlteredPartition, ResponseError>> {
        if self.latest().brokers[&from].epoch != from_epoch {
            return None;
        }
        let Image { partition, brokers } = self.latest();
        let isr: BTreeSet<BrokerId> = request.new_isr.iter().map(|(id, _)| *id).collect();
        let ineligible = |(id, epoch): &(BrokerId, BrokerEpoch)| {
            let broker = &brokers[id];
            broker.standing != BrokerStanding::Active
                || (*epoch != BrokerEpoch(-1) && *epoch != broker.epoch)
        };
        let error = if request.leader_epoch < partition.leader_epoch {
            Some(ResponseError::FencedLeaderEpoch)
        } else if partition.leader != Some(from) || !isr.contains(&from) {
            Some(ResponseError::InvalidRequest)
        } else if request.partition_epoch < partition.partition_epoch {
            Some(ResponseError::InvalidUpdateVersion)
        } else if request.new_isr.iter().any(ineligible) {
            Some(ResponseError::IneligibleReplica)
        } else {
            None
        };
        if let Some(error) = error {
            return Some(Err(error));
        }
        self.shrink_or_grow(isr);
        let PartitionMetadata { leader_epoch, partition_epoch, isr, .. } =
            self.latest().partition.clone();
        Some(Ok(AlteredPartition { leader_epoch, partition_epoch, isr }))
    }
}
