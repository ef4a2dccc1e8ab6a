//! Lines about replicas, of orders-0 or, with `M` behind the verb, of the metadata log, with `P` of orders-1.
//!
//! ```text
//! c makes b1,b2,b3            the controller: replicas, all in sync, led by the first in epoch 0
//! c elects b2 unclean         in the next epoch; `nobody` is a leader too
//! c shrinks b1,b2             the ISR, in the next partition epoch; `grows` likewise
//! c deletes orders            the topic
//! c assigns b4,b2             other replicas, by a reassignment
//! b1 leads 0@0                epoch 0 begins at 0 in its log
//! b2 follows b1 0
//! b1 writes 0..4 0            one batch an offset, in epoch 0; `=7` behind makes them others
//! b2 copies 0..4 0
//! b1 syncs M 3                what its log has before this
//! b1 shows 5                  its high watermark
//! b1 confirms b1,b2 1         the leader knows this ISR of partition epoch 1
//! b2 parts b1@3               is told that its log parts from b1's at 3
//! b2 cuts 5..3
//! b2 finds 0..2 0             what lies on its disk
//! b2 boots
//! b1 compacts 2
//! shop is-refused shop#1 NotEnoughReplicasException
//! trial checks                the end, after everything has healed
//! ```

use super::script::{Script, range};
use crate::{
    kafka::types::{Offset, TopicPartition},
    testbed::history::{BatchAt, ElectionKind, EventKind, NodeName, Outcome, Phase},
};

fn names(word: &str) -> Vec<NodeName> {
    word.split(',').map(NodeName::from).collect()
}

fn somebody(word: &str) -> Option<NodeName> {
    (word != "nobody").then(|| word.into())
}

/// `0..4 1 =7`: one batch an offset.
fn batches(words: &[&str]) -> Vec<BatchAt> {
    let epoch: i32 = words[1].parse().unwrap();
    let mark = words.get(2).map_or(0, |mark| mark.trim_start_matches('=').parse().unwrap());
    let batch = |offset| BatchAt { base: offset, last: offset, epoch, checksum: mark };
    range(words[0]).map(batch).collect()
}

impl Script {
    /// Whether the line was about replicas.
    pub(super) fn replicate(&mut self, node: &str, verb: &str, words: &[&str]) -> bool {
        let (partition, words) = match words.split_first() {
            Some((&"M", rest)) => (TopicPartition::new("__cluster_metadata", 0), rest),
            Some((&"P", rest)) => (TopicPartition::new("orders", 1), rest),
            _ => (TopicPartition::new("orders", 0), words),
        };
        self.controller(node, verb, &partition, words) || self.broker(node, verb, partition, words)
    }

    fn controller(
        &mut self,
        node: &str,
        verb: &str,
        partition: &TopicPartition,
        words: &[&str],
    ) -> bool {
        let partition = partition.clone();
        let kind = match verb {
            "makes" => {
                self.leader = names(words[0]).first().cloned();
                EventKind::PartitionCreated {
                    partition,
                    topic_id: "id".into(),
                    replicas: names(words[0]),
                    leader: self.leader.clone(),
                    isr: names(words[0]),
                    epoch: 0,
                    partition_epoch: 0,
                }
            }
            "elects" => {
                self.word = (self.word.0 + 1, self.word.1 + 1);
                let leader = somebody(words[0]);
                let how = match (&leader, words.get(1)) {
                    (None, _) => ElectionKind::Leaderless,
                    (Some(_), Some(_)) => ElectionKind::Unclean,
                    (Some(_), None) => ElectionKind::Clean,
                };
                let (epoch, partition_epoch) = self.word;
                let was = std::mem::replace(&mut self.leader, leader.clone());
                EventKind::Elected { partition, leader, was, epoch, partition_epoch, how }
            }
            "shrinks" | "grows" => {
                self.word.1 += 1;
                let (isr, was, partition_epoch) = (names(words[0]), Vec::new(), self.word.1);
                match verb {
                    "shrinks" => EventKind::IsrShrunk { partition, isr, was, partition_epoch },
                    _ => EventKind::IsrGrown { partition, isr, was, partition_epoch },
                }
            }
            "deletes" => EventKind::TopicDeleted { topic: words[0].into() },
            "assigns" => EventKind::ReplicasChanged { partition, replicas: names(words[0]) },
            "checks" => EventKind::Phase { phase: Phase::Check },
            "boots" => EventKind::MachineStarted { incarnation: 2 },
            _ => return false,
        };
        self.event(node, kind);
        true
    }

    fn broker(
        &mut self,
        node: &str,
        verb: &str,
        partition: TopicPartition,
        words: &[&str],
    ) -> bool {
        let topic_id = "id".into();
        let kind = match verb {
            "leads" => {
                let (epoch, start) = words[0].split_once('@').unwrap();
                let (epoch, start) = (epoch.parse().unwrap(), Offset(start.parse().unwrap()));
                EventKind::Leads { partition, topic_id, epoch, start }
            }
            "follows" => {
                let (leader, epoch) = (somebody(words[0]), words[1].parse().unwrap());
                EventKind::Follows { partition, topic_id, leader, epoch }
            }
            "syncs" => EventKind::Flushed { partition, upto: Offset(words[0].parse().unwrap()) },
            "shows" => {
                EventKind::HighWatermark { partition, offset: Offset(words[0].parse().unwrap()) }
            }
            "confirms" => {
                let (isr, partition_epoch) = (names(words[0]), words[1].parse().unwrap());
                EventKind::IsrConfirmed { partition, isr, partition_epoch }
            }
            "compacts" => {
                EventKind::LogCleaned { partition, upto: Offset(words[0].parse().unwrap()) }
            }
            "is-refused" => EventKind::SendEnded {
                record: words[0].parse().unwrap(),
                outcome: Outcome::Failed { error: words[1].into() },
                partition: None,
                offset: Offset(-1),
            },
            "cuts" => {
                let (from, to) = words[0].split_once("..").unwrap();
                let (from, to) = (Offset(from.parse().unwrap()), Offset(to.parse().unwrap()));
                EventKind::LogTruncated { partition, from, to }
            }
            "parts" => {
                let (leader, end) = words[0].split_once('@').unwrap();
                let (leader, end) = (leader.into(), Offset(end.parse().unwrap()));
                EventKind::Diverged { partition, leader, epoch: 0, end }
            }
            "finds" => EventKind::LogContents { partition, batches: batches(words) },
            "writes" | "copies" => {
                let is_taken = verb == "writes" && partition.topic.as_str() == "orders";
                for batch in batches(words) {
                    self.event(node, came(&partition, batch, is_taken));
                }
                return true;
            }
            _ => return false,
        };
        self.event(node, kind);
        true
    }
}

/// Into a log, from a producer or from another replica.
fn came(partition: &TopicPartition, batch: BatchAt, is_taken: bool) -> EventKind {
    let (partition, base_offset, records) = (partition.clone(), batch.base, 1);
    let BatchAt { epoch, checksum, .. } = batch;
    if is_taken {
        let (producer_id, base_sequence) = (-1, -1);
        EventKind::Appended {
            partition,
            base_offset,
            records,
            epoch,
            checksum,
            producer_id,
            base_sequence,
        }
    } else {
        EventKind::Replicated { partition, base_offset, records, epoch, checksum }
    }
}
