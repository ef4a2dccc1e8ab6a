//! What the metadata log says of one broker and of one partition.

use uuid::Uuid;

use crate::kafka::types::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch};

/// `DirectoryId`: the ids of log directories that stand for something else.
pub mod directory {
    use uuid::Uuid;

    /// Nothing was ever said of the replica's directory.
    pub const MIGRATING: Uuid = Uuid::from_u128(0);
    /// The broker has yet to choose one.
    pub const UNASSIGNED: Uuid = Uuid::from_u128(1);
    /// One that is offline.
    pub const LOST: Uuid = Uuid::from_u128(2);

    /// The first hundred ids are nobody's directory.
    pub fn is_reserved(id: Uuid) -> bool {
        id.as_u128() < 100
    }
}

/// Where clients reach a broker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BrokerEndpoint {
    pub name: String,
    pub host: String,
    pub port: u16,
    /// `SecurityProtocol.id`: 0 for PLAINTEXT.
    pub security_protocol: i16,
}

/// The levels of a feature that a broker can work with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BrokerFeature {
    pub name: String,
    pub min: i16,
    pub max: i16,
}

/// One incarnation of a broker: `RegisterBrokerRecord`, with what changed since.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BrokerRegistration {
    pub id: BrokerId,
    pub epoch: BrokerEpoch,
    /// Drawn by the broker each time it starts.
    pub incarnation: Uuid,
    pub endpoints: Vec<BrokerEndpoint>,
    pub features: Vec<BrokerFeature>,
    pub rack: Option<String>,
    /// It may neither lead nor be in sync.
    pub fenced: bool,
    /// It gives its leaderships away before it stops.
    pub in_controlled_shutdown: bool,
    /// The log directories that are online (KIP-858).
    pub directories: Vec<Uuid>,
}

impl BrokerRegistration {
    /// May lead partitions and be in their ISR.
    pub fn is_active(&self) -> bool {
        !self.fenced && !self.in_controlled_shutdown
    }

    /// Whether a replica in this directory can be used (`DirectoryId.isOnline`).
    pub fn has_online_directory(&self, id: Uuid) -> bool {
        match id {
            directory::MIGRATING | directory::UNASSIGNED => true,
            directory::LOST => false,
            id => self.directories.is_empty() || self.directories.contains(&id),
        }
    }

    /// Where a new replica goes: the broker chooses if it has several.
    pub fn default_directory(&self) -> Uuid {
        match self.directories[..] {
            [] => directory::MIGRATING,
            [only] => only,
            _ => directory::UNASSIGNED,
        }
    }
}

/// `BrokerRegistrationChangeRecord`: what is `None` stays.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RegistrationChange {
    pub fenced: Option<bool>,
    /// There is no way back but a new registration.
    pub enters_controlled_shutdown: bool,
    /// Empty for no change.
    pub directories: Vec<Uuid>,
}

/// Whether a leader that was elected without being in sync has settled in (KIP-704).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LeaderRecoveryState {
    #[default]
    Recovered,
    /// Elected uncleanly: until it says otherwise the ISR is its own.
    Recovering,
}

impl LeaderRecoveryState {
    pub fn code(self) -> i8 {
        match self {
            LeaderRecoveryState::Recovered => 0,
            LeaderRecoveryState::Recovering => 1,
        }
    }

    pub fn from_code(code: i8) -> Option<Self> {
        match code {
            0 => Some(LeaderRecoveryState::Recovered),
            1 => Some(LeaderRecoveryState::Recovering),
            _ => None,
        }
    }
}

/// One partition: Kafka's `PartitionRegistration`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartitionImage {
    /// The preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// Of each replica; none at all where the log says nothing of directories.
    pub directories: Vec<Uuid>,
    pub isr: Vec<BrokerId>,
    /// Replicas that a reassignment takes away, and those it brings; all are among `replicas`.
    pub removing: Vec<BrokerId>,
    pub adding: Vec<BrokerId>,
    /// [`BrokerId::NONE`] if nobody can lead.
    pub leader: BrokerId,
    pub recovery: LeaderRecoveryState,
    /// Rises with each election, and where replicas are taken away.
    pub leader_epoch: LeaderEpoch,
    /// Rises with each change.
    pub partition_epoch: PartitionEpoch,
    /// Replicas outside the ISR that have all that was committed (KIP-966).
    pub eligible: Vec<BrokerId>,
    /// Who was eligible last; with one entry the last leader of a partition that has none.
    pub last_known_eligible: Vec<BrokerId>,
}

impl PartitionImage {
    /// A new partition, in sync everywhere, led by the first replica.
    pub fn new(replicas: Vec<BrokerId>) -> Self {
        PartitionImage {
            leader: replicas.first().copied().unwrap_or(BrokerId::NONE),
            isr: replicas.clone(),
            replicas,
            directories: Vec::new(),
            removing: Vec::new(),
            adding: Vec::new(),
            recovery: LeaderRecoveryState::Recovered,
            leader_epoch: LeaderEpoch(0),
            partition_epoch: PartitionEpoch(0),
            eligible: Vec::new(),
            last_known_eligible: Vec::new(),
        }
    }

    pub fn has_leader(&self) -> bool {
        self.leader != BrokerId::NONE
    }

    pub fn has_preferred_leader(&self) -> bool {
        self.replicas.first() == Some(&self.leader)
    }

    pub fn is_reassigning(&self) -> bool {
        !self.removing.is_empty() || !self.adding.is_empty()
    }

    /// The directory of a broker's replica.
    pub fn directory(&self, broker: BrokerId) -> Uuid {
        let index = self.replicas.iter().position(|replica| *replica == broker);
        index.and_then(|index| self.directories.get(index)).copied().unwrap_or(directory::MIGRATING)
    }

    /// `PartitionRegistration.merge`.
    pub fn change(&mut self, change: &PartitionChange) {
        let replace = |list: &mut Vec<BrokerId>, new: &Option<Vec<BrokerId>>| {
            if let Some(new) = new {
                list.clone_from(new);
            }
        };
        let resized =
            change.replicas.as_ref().is_some_and(|new| new.len() != self.directories.len());
        replace(&mut self.replicas, &change.replicas);
        replace(&mut self.isr, &change.isr);
        replace(&mut self.removing, &change.removing);
        replace(&mut self.adding, &change.adding);
        replace(&mut self.eligible, &change.eligible);
        replace(&mut self.last_known_eligible, &change.last_known_eligible);
        match &change.directories {
            Some(directories) => self.directories.clone_from(directories),
            None if resized => self.directories.clear(),
            None => {}
        }
        if let Some(leader) = change.leader {
            self.leader = leader;
            self.leader_epoch.0 += 1;
        }
        self.recovery = change.recovery.unwrap_or(self.recovery);
        self.partition_epoch.0 += 1;
    }
}

/// `PartitionChangeRecord`: what is `None` stays.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PartitionChange {
    pub isr: Option<Vec<BrokerId>>,
    /// Also if it is the same: then only the leader epoch rises.
    pub leader: Option<BrokerId>,
    pub replicas: Option<Vec<BrokerId>>,
    pub removing: Option<Vec<BrokerId>>,
    pub adding: Option<Vec<BrokerId>>,
    pub recovery: Option<LeaderRecoveryState>,
    pub directories: Option<Vec<Uuid>>,
    pub eligible: Option<Vec<BrokerId>>,
    pub last_known_eligible: Option<Vec<BrokerId>>,
}
