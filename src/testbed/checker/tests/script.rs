//! Histories as text: a line is an actor, a verb and what it did.
//!
//! ```text
//! shop acks 0..4                       five sends of shop, acknowledged at orders-0@0..4
//! billing/1 joins 1 orders-0           generation 1
//! billing/1 starts orders-0@0 committed
//! billing/1 polls 0..4                 of orders-0, unless said: orders-1@0..4
//! billing/1 processes 0 1              begun, done, and an effect of each
//! billing/1 commits 5                  offset 5 is the next one to read; `tries-to-commit`: no answer
//! billing/1 crashes
//! log 0..4                             what orders-0 holds at the end; 3=shop#9 names a record
//! ```
//!
//! A record's identity is what the ack, or an explicit `=shop#9`, said of its place; by default the
//! record of shop with the number of its offset.

use std::{collections::BTreeMap, sync::Arc};

use indexmap::IndexMap;

use crate::{
    kafka::types::{Offset, Timestamp, TopicPartition},
    testbed::{
        history::{
            CommitKind, Delivery, EventId, EventKind, FaultKind, GroupSetup, History, LoggedRecord,
            Loss, NodeName, OffsetReach, Outcome, ProducerSetup, RecordId, Recorder, Setup,
            TopicSetup,
        },
        plan::EffectKind,
    },
};

/// The history the lines tell. `orders` has two partitions; `shop` and `till` send; `billing` has the
/// members `billing/1` and `billing/2` and appends its effects; `upserts` on a line of its own makes it
/// upsert.
pub fn history_of(text: &str) -> History {
    let effect = if text.contains("upserts") { EffectKind::Upsert } else { EffectKind::Append };
    let mut script = Script {
        recorder: Recorder::new(setup(effect)),
        records: BTreeMap::new(),
        at: 0,
        word: (0, 0),
        leader: None,
    };
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && *line != "upserts") {
        let words: Vec<&str> = line.split_whitespace().collect();
        script.at += 1_000_000;
        match words[0] {
            "log" => script.final_log(&words[1..]),
            "stuck" => script.trial(EventKind::NoProgress { what: words[1..].join(" ").into() }),
            "panic" => script.trial(EventKind::Crashed { message: "bug".into() }),
            "left" => script.left(&words[1..]),
            actor if script.replicate(actor, words[1], &words[2..]) => {}
            actor => script.act(actor, words[1], &words[2..]),
        }
    }
    script.recorder.finish()
}

fn setup(effect: EffectKind) -> Setup {
    let topics = [("orders", 2), ("refunds", 1)].map(|(name, partitions)| {
        (
            Arc::from(name),
            TopicSetup { partitions, replication_factor: 1, min_insync_replicas: Some(2) },
        )
    });
    let producers = ["shop", "till"].map(|name| {
        let setup = ProducerSetup {
            topic: "orders".into(),
            records: 100,
            idempotent: true,
            acks: "all".into(),
            keyed: false,
        };
        (Arc::from(name), setup)
    });
    let billing = GroupSetup {
        topics: vec!["orders".into()],
        members: vec!["billing/1".into(), "billing/2".into()],
        effect,
        auto_commit: false,
        reader: false,
    };
    Setup {
        seed: 1,
        topics: IndexMap::from(topics),
        producers: IndexMap::from(producers),
        groups: IndexMap::from([(Arc::from("billing"), billing)]),
        loses_packets: false,
        behaviours: Vec::new(),
        voters: ["b1", "b2", "b3"].map(Arc::from).to_vec(),
        min_insync_replicas: 1,
    }
}

pub(super) struct Script {
    recorder: Recorder,
    /// The controller's last leader epoch and partition epoch.
    pub(super) word: (i32, i32),
    /// Whom it named last.
    pub(super) leader: Option<NodeName>,
    /// Who is where.
    records: BTreeMap<(TopicPartition, Offset), RecordId>,
    at: u64,
}

/// `orders-1@3`, or `3` for `orders-0@3`; the part before any `=`.
fn place(word: &str) -> (TopicPartition, &str) {
    match word.split_once('@') {
        Some((partition, offsets)) => {
            (TopicPartition::try_from(partition.to_owned()).unwrap(), offsets)
        }
        None => (TopicPartition::new("orders", 0), word),
    }
}

/// `0..4` and `3`, ends included.
pub(super) fn range(word: &str) -> impl Iterator<Item = Offset> + use<> {
    let (first, last) = word.split_once("..").unwrap_or((word, word));
    (first.parse().unwrap()..=last.parse().unwrap()).map(Offset)
}

fn partitions(words: &[&str]) -> Vec<TopicPartition> {
    words.iter().map(|word| TopicPartition::try_from((*word).to_owned()).unwrap()).collect()
}

fn reaches(words: &[&str]) -> Vec<OffsetReach> {
    let reach = |word: &&str| {
        let (partition, offset) = place(word);
        OffsetReach { partition, offset: Offset(offset.parse().unwrap()) }
    };
    words.iter().map(reach).collect()
}

impl Script {
    pub(super) fn event(&self, node: &str, kind: EventKind) -> EventId {
        self.recorder.record(self.at, &node.into(), None, kind)
    }

    fn trial(&self, kind: EventKind) {
        self.event("trial", kind);
    }

    /// The places a word names, with who is there.
    fn records_of(&mut self, word: &str) -> Vec<Delivery> {
        let (places, id) = match word.split_once('=') {
            Some((places, id)) => (places, Some(id.parse::<RecordId>().unwrap())),
            None => (word, None),
        };
        let (partition, offsets) = place(places);
        let mut records = Vec::new();
        for offset in range(offsets) {
            let known = self.records.get(&(partition.clone(), offset)).cloned();
            let usual = RecordId { producer: "shop".into(), number: offset.0 as u64, attempt: 1 };
            let record = Some(id.clone().or(known).unwrap_or(usual));
            records.push(Delivery { partition: partition.clone(), offset, record });
        }
        records
    }

    fn all_of(&mut self, words: &[&str]) -> Vec<Delivery> {
        words.iter().flat_map(|word| self.records_of(word)).collect()
    }

    fn act(&mut self, node: &str, verb: &str, words: &[&str]) {
        match verb {
            "sends" | "acks" | "doubts" | "gives-up-on" | "hears-of" => {
                self.produce(node, verb, words)
            }
            "retries" => {
                let partition = partitions(&words[..1]).remove(0);
                let error = "NetworkException".into();
                let kind =
                    EventKind::BatchRetried { partition, base_sequence: 0, attempt: 2, error };
                self.event(node, kind);
            }
            "crashes" => self.stop(node, Loss::Process),
            "loses-power" => self.stop(node, Loss::Power),
            "ends" => self.stop(node, Loss::Nothing),
            "pauses" => {
                self.event(node, EventKind::MachinePaused);
            }
            // A fault by its name in saved histories; `lies` is the commonest.
            "lies" | "suffers" => {
                let name = words.first().copied().unwrap_or("lying-disk");
                let fault: FaultKind = serde_json::from_value(name.into()).unwrap();
                self.event(node, EventKind::Fault { fault, what: name.into() });
            }
            "recovers" => {
                let (partition, end) = place(words[0]);
                let end = Offset(end.parse().unwrap());
                self.event(node, EventKind::LogRecovered { partition, end, cut_bytes: 1 });
            }
            "appends" => {
                let (partition, offset) = place(words[0]);
                let (base_offset, records) = (Offset(offset.parse().unwrap()), 1);
                let (producer_id, base_sequence, epoch, checksum) = (1, 0, 0, 0);
                self.event(
                    node,
                    EventKind::Appended {
                        partition,
                        base_offset,
                        records,
                        epoch,
                        checksum,
                        producer_id,
                        base_sequence,
                    },
                );
            }
            "generation" | "accepts" | "refuses" | "rebalances" => {
                self.coordinate(node, verb, words);
            }
            _ => self.consume(node, verb, words),
        }
    }

    fn stop(&self, node: &str, loss: Loss) {
        self.event(node, EventKind::MachineStopped { loss });
    }

    /// `sends N=ID?`: only invoked. `acks PLACES`: sent where needed, and acknowledged there.
    /// `doubts ID`: sent with unknown outcome; `gives-up-on ID`: the same, sent before; to orders-0, or `orders-1@ID`, or
    /// to none that is known, `?@ID`. `hears-of PLACES`: acknowledged, sent before.
    fn produce(&mut self, node: &str, verb: &str, words: &[&str]) {
        let sent = |record: &RecordId| EventKind::Sent {
            record: record.clone(),
            topic: "orders".into(),
            key: None,
        };
        if matches!(verb, "sends" | "doubts" | "gives-up-on") {
            for word in words {
                let (partition, id) = word.split_once('@').unwrap_or(("orders-0", word));
                let partition = TopicPartition::try_from(partition.to_owned()).ok();
                let record: RecordId = id.parse().unwrap();
                if verb != "gives-up-on" {
                    self.event(node, sent(&record));
                }
                if verb != "sends" {
                    let outcome = Outcome::Unknown { error: "TimeoutException".into() };
                    let offset = Offset(-1);
                    let ended = EventKind::SendEnded { record, outcome, partition, offset };
                    self.event(node, ended);
                }
            }
            return;
        }
        let records = self.all_of(words);
        if verb == "acks" {
            for record in &records {
                self.event(node, sent(record.record.as_ref().unwrap()));
            }
        }
        for Delivery { partition, offset, record } in records {
            let record = record.unwrap();
            self.records.insert((partition.clone(), offset), record.clone());
            let (outcome, partition) = (Outcome::Ok, Some(partition));
            self.event(node, EventKind::SendEnded { record, outcome, partition, offset });
        }
    }

    fn coordinate(&mut self, node: &str, verb: &str, words: &[&str]) {
        let group: Arc<str> = "billing".into();
        let kind = match verb {
            // `generation 2 billing/1=orders-0 billing/2=`
            "generation" => {
                let owners = words[1..].iter().filter_map(|word| word.split_once('='));
                let owners: Vec<_> = owners.collect();
                EventKind::Generation {
                    group,
                    generation: words[0].parse().unwrap(),
                    members: owners.iter().map(|(member, _)| (*member).into()).collect(),
                    owners: owners
                        .iter()
                        .filter(|(_, partition)| !partition.is_empty())
                        .map(|(member, partition)| {
                            (partitions(&[*partition]).remove(0), (*member).into())
                        })
                        .collect(),
                }
            }
            // `accepts billing/1 orders-0@5`
            "accepts" => EventKind::OffsetsCommitted {
                group,
                client: words[0].into(),
                offsets: reaches(&words[1..]),
            },
            "refuses" => EventKind::CommitRejected {
                group,
                client: words[0].into(),
                error: "ILLEGAL_GENERATION".into(),
            },
            _ => EventKind::RebalanceStarted { group, reason: words.join(" ").into() },
        };
        self.event(node, kind);
    }

    fn consume(&mut self, node: &str, verb: &str, words: &[&str]) {
        match verb {
            "joins" => {
                let generation = words[0].parse().unwrap();
                let partitions = partitions(&words[1..]);
                self.event(node, EventKind::Joined { generation, partitions });
            }
            "starts" => {
                let (partition, offset) = place(words[0]);
                let (offset, why) = (Offset(offset.parse().unwrap()), words[1].into());
                self.event(node, EventKind::PositionSet { partition, offset, why });
            }
            "polls" => {
                let records = self.all_of(words);
                self.event(node, EventKind::Polled { records });
            }
            "commits" | "closes-with" => {
                let closing = verb == "closes-with";
                let kind = if closing { CommitKind::Close } else { CommitKind::Sync };
                let offsets = reaches(words);
                self.event(node, EventKind::CommitInvoked { kind, offsets: offsets.clone() });
                let outcome = Outcome::Ok;
                self.event(node, EventKind::CommitEnded { kind, outcome, offsets });
            }
            "tries-to-commit" => {
                let (kind, offsets) = (CommitKind::Sync, reaches(words));
                self.event(node, EventKind::CommitInvoked { kind, offsets });
            }
            "loses" => {
                self.event(node, EventKind::Lost { partitions: partitions(words) });
            }
            "gives-up" => {
                self.event(node, EventKind::Revoked { partitions: partitions(words) });
            }
            "leaves" => {
                self.event(node, EventKind::LeftGroup { reason: words.join(" ").into() });
            }
            "errs" => {
                let (name, message) = (words[0].into(), "".into());
                self.event(node, EventKind::Error { name, message });
            }
            _ => self.handle(node, verb, words),
        }
    }

    fn handle(&mut self, node: &str, verb: &str, words: &[&str]) {
        for Delivery { partition, offset, record } in self.all_of(words) {
            let begun = EventKind::Processing {
                partition: partition.clone(),
                offset,
                record: record.clone(),
            };
            match verb {
                "begins" => {
                    self.event(node, begun);
                }
                // Once more in the sink, without another look at the record.
                "repeats" => {
                    let group = "billing".into();
                    self.event(node, EventKind::Effect { group, partition, offset, record });
                }
                // `finishes` leaves nothing in the sink.
                "processes" | "finishes" => {
                    self.event(node, begun);
                    let done = EventKind::Processed {
                        partition: partition.clone(),
                        offset,
                        record: record.clone(),
                    };
                    self.event(node, done);
                    if verb == "processes" {
                        let group = "billing".into();
                        self.event(node, EventKind::Effect { group, partition, offset, record });
                    }
                }
                "fails-on" => {
                    self.event(node, begun);
                    let error = "HandlerException".into();
                    self.event(node, EventKind::ProcessingFailed { partition, offset, error });
                }
                "hands-off" => {
                    self.event(node, EventKind::HandedOff { partition, offset });
                }
                other => panic!("no verb {other}"),
            }
        }
    }

    /// `log 0..2 3=shop#9`: the records of orders-0; `log orders-1@0..2` of another; `log orders-1@` of
    /// none. Keys follow a colon: `0:red`.
    fn final_log(&mut self, words: &[&str]) {
        let mut logs: BTreeMap<TopicPartition, Vec<LoggedRecord>> = BTreeMap::new();
        for word in words {
            let (word, key) = match word.split_once(':') {
                Some((word, key)) => (word, Some(Arc::from(key))),
                None => (*word, None),
            };
            if let Some(partition) = word.strip_suffix('@') {
                logs.entry(partitions(&[partition]).remove(0)).or_default();
                continue;
            }
            for Delivery { partition, offset, record: id } in self.records_of(word) {
                let (key, timestamp) = (key.clone(), Timestamp::default());
                let record =
                    LoggedRecord { partition: partition.clone(), offset, id, key, timestamp };
                logs.entry(partition).or_default().push(record);
            }
        }
        for (partition, records) in logs {
            let start = Offset(0);
            let end = records.last().map_or(start, |record| record.offset + 1);
            self.trial(EventKind::FinalLog { partition, start, end, records });
        }
    }

    /// `left committed 5`: the group's offset of orders-0 at the end; `left state Stable`.
    fn left(&mut self, words: &[&str]) {
        let group = "billing".into();
        self.trial(match words[0] {
            "committed" => {
                let OffsetReach { partition, offset } = reaches(&words[1..]).remove(0);
                EventKind::FinalCommitted { group, partition, offset: Some(offset) }
            }
            _ => EventKind::FinalGroup { group, state: words[1].into() },
        });
    }
}
