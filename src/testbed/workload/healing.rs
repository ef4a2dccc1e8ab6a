//! How far the cluster has healed, from the history's events alone: tells when a trial may be judged.
//!
//! Every broker is to be one of the cluster: a machine that has started again is taken for the one it was before
//! until its old session ends. Every partition with replicas is to have a leader, its full ISR, logs that end alike, and all of them
//! committed. Whether they hold the same is the checkers' to say.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    kafka::types::{Offset, TopicPartition},
    testbed::history::{Event, EventKind, FaultKind, NodeName},
};

#[derive(Default)]
pub(super) struct Healing {
    brokers: BTreeMap<NodeName, Standing>,
    partitions: BTreeMap<TopicPartition, Account>,
    /// Nothing was open at the last look, and nothing has changed since.
    healed: bool,
}

/// What the controller takes a broker for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Its machine stopped or started since it registered.
    Gone,
    Fenced,
    Serves,
}

#[derive(Default)]
struct Account {
    leader: Option<NodeName>,
    replicas: BTreeSet<NodeName>,
    isr: BTreeSet<NodeName>,
    ends: BTreeMap<NodeName, Offset>,
    /// The highest high watermark of any replica.
    committed: Offset,
    /// The leader has asked for another ISR and not heard what comes of it.
    asked: bool,
}

impl Healing {
    pub fn take(&mut self, event: &Event) {
        let node = &event.node;
        match &event.kind {
            EventKind::MachineStarted { .. } | EventKind::MachineStopped { .. } => {
                if let Some(standing) = self.brokers.get_mut(node) {
                    (*standing, self.healed) = (Standing::Gone, false);
                }
            }
            EventKind::BrokerRegistered { broker, .. } => {
                self.brokers.insert(broker.clone(), Standing::Fenced);
                self.healed = false;
            }
            EventKind::BrokerFenced { broker } => self.stands(broker, Standing::Fenced),
            EventKind::BrokerUnfenced { broker } => self.stands(broker, Standing::Serves),
            EventKind::PartitionCreated { partition, replicas, leader, isr, .. } => {
                let account = Account {
                    leader: leader.clone(),
                    replicas: replicas.iter().cloned().collect(),
                    isr: isr.iter().cloned().collect(),
                    ..Account::default()
                };
                self.partitions.insert(partition.clone(), account);
                self.healed = false;
            }
            EventKind::TopicDeleted { topic } => {
                self.partitions.retain(|partition, _| *partition.topic.0 != **topic);
            }
            EventKind::Elected { partition, leader, .. } => {
                self.with(partition, |account| {
                    account.leader.clone_from(leader);
                    account.asked = false;
                });
            }
            EventKind::IsrChangeAsked { partition, .. } => {
                self.with(partition, |account| account.asked = true);
            }
            EventKind::IsrConfirmed { partition, .. }
            | EventKind::IsrChangeRefused { partition, .. } => {
                self.with(partition, |account| account.asked = false);
            }
            EventKind::IsrShrunk { partition, isr, .. }
            | EventKind::IsrGrown { partition, isr, .. } => {
                self.with(partition, |account| {
                    account.isr = isr.iter().cloned().collect();
                    // Whatever the leader asked for is done, or overtaken: it names an older partition epoch.
                    account.asked = false;
                });
            }
            EventKind::ReplicasChanged { partition, replicas } => {
                let replicas = replicas.iter().cloned().collect();
                self.with(partition, |account| account.replicas = replicas);
            }
            EventKind::HighWatermark { partition, offset } => {
                self.with(partition, |account| {
                    account.committed = account.committed.max(*offset);
                });
            }
            EventKind::Appended { partition, base_offset, records, .. }
            | EventKind::Replicated { partition, base_offset, records, .. } => {
                self.ends(partition, node, *base_offset + i64::from(*records));
            }
            EventKind::LogTruncated { partition, to: end, .. }
            | EventKind::LogRestarted { partition, at: end }
            | EventKind::LogRecovered { partition, end, .. } => self.ends(partition, node, *end),
            EventKind::Fault { fault: FaultKind::WipedDisk, .. } => self.wiped(node),
            _ => {}
        }
    }

    fn wiped(&mut self, node: &NodeName) {
        self.healed = false;
        for account in self.partitions.values_mut() {
            account.ends.remove(node);
        }
    }

    /// The controller's word, which may be of what the broker was before it started again.
    fn stands(&mut self, broker: &NodeName, standing: Standing) {
        if let Some(known) = self.brokers.get_mut(broker).filter(|it| **it != Standing::Gone) {
            (*known, self.healed) = (standing, false);
        }
    }

    fn with(&mut self, partition: &TopicPartition, change: impl FnOnce(&mut Account)) {
        if let Some(account) = self.partitions.get_mut(partition) {
            change(account);
            self.healed = false;
        }
    }

    fn ends(&mut self, partition: &TopicPartition, node: &NodeName, end: Offset) {
        self.with(partition, |account| {
            // Few partitions, and most events are of a replica that is known.
            match account.ends.get_mut(node) {
                Some(known) => *known = end,
                None => {
                    account.ends.insert(node.clone(), end);
                }
            }
        });
    }

    /// Where the log of a replicated partition's leader ends: what others took beside it is no end of it.
    pub fn end(&self, partition: &TopicPartition) -> Option<Offset> {
        let account =
            self.partitions.get(partition).filter(|account| account.replicas.len() > 1)?;
        account.ends.get(account.leader.as_ref()?).copied()
    }

    /// What is not healed yet, in words.
    pub fn open(&mut self) -> Option<String> {
        if self.healed {
            return None;
        }
        let away = self.brokers.iter().find(|(_, standing)| **standing != Standing::Serves);
        let away = away.map(|(broker, _)| format!("{broker} is not one of the cluster"));
        let open = away.or_else(|| {
            self.partitions.iter().find_map(|(partition, account)| account.open(partition))
        });
        self.healed = open.is_none();
        open
    }
}

impl Account {
    fn open(&self, partition: &TopicPartition) -> Option<String> {
        if self.replicas.len() < 2 {
            return None;
        }
        let Some(leader) = &self.leader else {
            return Some(format!("{partition} has no leader"));
        };
        if let Some(outside) = self.replicas.difference(&self.isr).next() {
            return Some(format!("{outside} is not in the ISR of {partition}"));
        }
        if self.asked {
            return Some(format!("{leader} asks for another ISR of {partition}"));
        }
        let end = |node: &NodeName| self.ends.get(node).copied().unwrap_or_default();
        let leads = end(leader);
        if let Some(behind) = self.replicas.iter().find(|node| end(node) != leads) {
            let theirs = end(behind);
            return Some(format!("{behind} ends {partition} at {theirs}, {leader} at {leads}"));
        }
        (self.committed < leads).then(|| format!("{partition} is not committed up to its end"))
    }
}

#[cfg(test)]
mod tests {
    use super::Healing;
    use crate::{
        kafka::types::{Offset, TopicPartition},
        testbed::history::{ElectionKind, EventKind, FaultKind, NodeName, Recorder, Setup},
    };

    fn open(tail: Vec<(&str, EventKind)>) -> Option<String> {
        let partition = || TopicPartition::new("orders", 0);
        let names = || -> Vec<NodeName> { vec!["b1".into(), "b2".into()] };
        let created = EventKind::PartitionCreated {
            partition: partition(),
            topic_id: "id".into(),
            replicas: names(),
            leader: Some("b1".into()),
            isr: names(),
            epoch: 0,
            partition_epoch: 0,
        };
        let batch = || EventKind::Replicated {
            partition: partition(),
            base_offset: Offset(0),
            records: 3,
            epoch: 0,
            checksum: 0,
        };
        let shown = EventKind::HighWatermark { partition: partition(), offset: Offset(3) };
        let mut events = vec![("b1", created), ("b1", batch()), ("b2", batch()), ("b1", shown)];
        events.extend(tail);
        let recorder = Recorder::new(Setup::default());
        for (node, kind) in events {
            recorder.record(0, &node.into(), None, kind);
        }
        let mut healing = Healing::default();
        recorder.finish().events.iter().for_each(|event| healing.take(event));
        healing.open()
    }

    #[test]
    fn a_cluster_is_healed_with_its_brokers_leaders_isrs_and_equal_ends() {
        let partition = TopicPartition::new("orders", 0);
        assert_eq!(open(vec![]), None);
        let (from, to) = (Offset(3), Offset(2));
        let cut = EventKind::LogTruncated { partition: partition.clone(), from, to };
        assert_eq!(open(vec![("b2", cut)]).unwrap(), "b2 ends orders-0 at 2, b1 at 3");
        let shrunk = EventKind::IsrShrunk {
            partition: partition.clone(),
            isr: vec!["b1".into()],
            was: Vec::new(),
            partition_epoch: 1,
        };
        assert_eq!(open(vec![("b1", shrunk)]).unwrap(), "b2 is not in the ISR of orders-0");
        let asked = || EventKind::IsrChangeAsked {
            partition: partition.clone(),
            joining: Vec::new(),
            leaving: vec!["b2".into()],
        };
        assert_eq!(open(vec![("b1", asked())]).unwrap(), "b1 asks for another ISR of orders-0");
        let refused = EventKind::IsrChangeRefused { partition: partition.clone() };
        assert_eq!(open(vec![("b1", asked()), ("b1", refused)]), None);
        let overtaken = EventKind::IsrGrown {
            partition: partition.clone(),
            isr: vec!["b1".into(), "b2".into()],
            was: vec!["b1".into()],
            partition_epoch: 2,
        };
        assert_eq!(open(vec![("b1", asked()), ("b1", overtaken)]), None);
        let elected = EventKind::Elected {
            partition: partition.clone(),
            leader: None,
            was: None,
            epoch: 1,
            partition_epoch: 1,
            how: ElectionKind::Leaderless,
        };
        assert_eq!(open(vec![("b1", elected)]).unwrap(), "orders-0 has no leader");
        let more = |_| EventKind::Replicated {
            partition: partition.clone(),
            base_offset: Offset(3),
            records: 1,
            epoch: 0,
            checksum: 0,
        };
        let told = open(["b1", "b2"].map(|node| (node, more(node))).to_vec()).unwrap();
        assert_eq!(told, "orders-0 is not committed up to its end");
        let registered = || EventKind::BrokerRegistered { broker: "b2".into(), epoch: 1 };
        let unfenced = || EventKind::BrokerUnfenced { broker: "b2".into() };
        let started = || EventKind::MachineStarted { incarnation: 2 };
        let away = Some("b2 is not one of the cluster".to_owned());
        assert_eq!(open(vec![("b1", registered())]), away);
        assert_eq!(open(vec![("b1", registered()), ("b1", unfenced())]), None);
        let again = vec![("b1", registered()), ("b2", started()), ("b1", unfenced())];
        assert_eq!(open(again), away);
        let deleted = EventKind::TopicDeleted { topic: "orders".into() };
        assert_eq!(open(vec![("b1", deleted)]), None);
    }

    #[test]
    fn what_a_replica_lost_or_knows_late_is_told_apart() {
        let partition = TopicPartition::new("orders", 0);
        let fault = FaultKind::WipedDisk;
        let wiped = EventKind::Fault { fault, what: "b2's disk is wiped".into() };
        assert_eq!(open(vec![("b2", wiped)]).unwrap(), "b2 ends orders-0 at 0, b1 at 3");
        // A follower's high watermark comes after its leader's, and takes nothing back.
        let late = EventKind::HighWatermark { partition: partition.clone(), offset: Offset(2) };
        assert_eq!(open(vec![("b2", late)]), None);
        let replicas: Vec<NodeName> = ["b1", "b2", "b3"].map(NodeName::from).to_vec();
        let assigned = EventKind::ReplicasChanged { partition, replicas };
        assert_eq!(open(vec![("b1", assigned)]).unwrap(), "b3 is not in the ISR of orders-0");
    }
}
