//! A partition with three replicas whose leader dies with records that nobody else has.

use std::sync::Arc;

use insta::assert_snapshot;

use super::{
    super::{Look, Signs, ledgers, story},
    sample,
};
use crate::{
    kafka::types::{Offset, Timestamp, TopicPartition},
    testbed::{
        history::{
            BatchAt, ElectionKind, EventId, EventKind, FaultKind, LoggedRecord, Loss, NodeName,
            Outcome, RecordId, Recorder,
        },
        runner::Trial,
    },
};

fn orders() -> TopicPartition {
    TopicPartition::new("orders", 0)
}

fn names(list: &str) -> Vec<NodeName> {
    list.split(',').map(NodeName::from).collect()
}

fn record(producer: &str, number: i64) -> RecordId {
    RecordId { producer: producer.into(), number: number as u64, attempt: 1 }
}

struct Stage {
    recorder: Recorder,
    ms: u64,
}

impl Stage {
    fn event(&mut self, node: &str, kind: EventKind) -> EventId {
        self.ms += 100;
        self.recorder.record(self.ms * 1_000_000, &node.into(), None, kind)
    }

    /// At the same moment as the last event.
    fn caused(&mut self, node: &str, cause: EventId, kind: EventKind) {
        self.recorder.record(self.ms * 1_000_000, &node.into(), Some(cause), kind);
    }

    /// A leader's batch, which `followers` take.
    fn batch(&mut self, leader: &str, base: i64, records: u32, epoch: i32, followers: &[&str]) {
        let (partition, base_offset, checksum) = (orders(), Offset(base), 0);
        let (producer_id, base_sequence) = (-1, -1);
        let appended = EventKind::Appended {
            partition: partition.clone(),
            base_offset,
            records,
            epoch,
            checksum,
            producer_id,
            base_sequence,
        };
        self.event(leader, appended);
        for follower in followers {
            let partition = partition.clone();
            let took = EventKind::Replicated { partition, base_offset, records, epoch, checksum };
            self.event(follower, took);
        }
    }

    fn acks(&mut self, producer: &str, first: i64, offsets: std::ops::Range<i64>) {
        for offset in offsets.clone() {
            let record = record(producer, first + offset - offsets.start);
            let (outcome, partition) = (Outcome::Ok, Some(orders()));
            let offset = Offset(offset);
            self.event(producer, EventKind::SendEnded { record, outcome, partition, offset });
        }
    }

    fn elects(&mut self, leader: Option<&str>, was: Option<&str>, epoch: i32, how: ElectionKind) {
        let (leader, was) = (leader.map(NodeName::from), was.map(NodeName::from));
        let (partition, partition_epoch) = (orders(), epoch);
        self.event(
            "b3",
            EventKind::Elected { partition, leader, was, epoch, partition_epoch, how },
        );
    }

    fn shrinks(&mut self, was: &str, isr: &str, partition_epoch: i32) {
        let isr = if isr.is_empty() { Vec::new() } else { names(isr) };
        let (partition, was) = (orders(), names(was));
        self.event("b3", EventKind::IsrShrunk { partition, isr, was, partition_epoch });
    }
}

/// Ten records on three brokers, three more on the leader alone, which dies; an election that can be made
/// cleanly, or one that cannot.
fn trial(how: ElectionKind) -> Trial {
    let sample = sample::lesson();
    let mut plan = (*sample.plan).clone();
    plan.cluster.brokers = 3;
    plan.groups.clear();
    let mut setup = sample.history.setup.clone();
    setup.groups.clear();
    let mut stage = Stage { recorder: Recorder::new(setup), ms: 0 };
    let created = EventKind::PartitionCreated {
        partition: orders(),
        topic_id: "id".into(),
        replicas: names("b1,b2,b3"),
        leader: Some("b1".into()),
        isr: names("b1,b2,b3"),
        epoch: 0,
        partition_epoch: 0,
    };
    stage.event("b2", created);
    stage.batch("b1", 0, 10, 0, &["b2", "b3"]);
    let (partition, offset) = (orders(), Offset(10));
    stage.event("b1", EventKind::HighWatermark { partition, offset });
    stage.acks("shop", 0, 0..10);
    let step = stage.event("trial", EventKind::Step { step: 0, say: None });
    for (from, to) in [("b1", "b2"), ("b2", "b1"), ("b1", "b3")] {
        let (fault, what) = (FaultKind::Sever, format!("sever {from} -> {to}").into());
        stage.caused(from, step, EventKind::Fault { fault, what });
    }
    stage.batch("b1", 10, 3, 0, &[]);
    stage.acks("shop", 10, 10..13);
    stage.event("b1", EventKind::MachineStopped { loss: Loss::Process });
    match how {
        ElectionKind::Clean => {
            stage.shrinks("b1,b2,b3", "b2,b3", 1);
            stage.elects(Some("b2"), Some("b1"), 1, how);
        }
        _ => {
            stage.shrinks("b1,b2,b3", "b1", 1);
            stage.shrinks("b1", "", 2);
            stage.elects(None, Some("b1"), 2, ElectionKind::Leaderless);
            stage.elects(Some("b2"), None, 3, how);
        }
    }
    stage.batch("b2", 10, 2, 1, &["b3"]);
    stage.acks("till", 0, 10..12);
    stage.event("b1", EventKind::MachineStarted { incarnation: 2 });
    let (from, to) = (Offset(13), Offset(10));
    stage.event("b1", EventKind::LogTruncated { partition: orders(), from, to });
    let (partition, was, isr) = (orders(), names("b2,b3"), names("b1,b2,b3"));
    stage.event("b2", EventKind::IsrGrown { partition, isr, was, partition_epoch: 9 });
    let batch =
        |base, last, epoch| BatchAt { base: Offset(base), last: Offset(last), epoch, checksum: 0 };
    let batches = vec![batch(0, 9, 0), batch(10, 11, 1)];
    stage.event("b2", EventKind::LogContents { partition: orders(), batches });
    let logged = |offset: i64| LoggedRecord {
        partition: orders(),
        offset: Offset(offset),
        id: Some(if offset < 10 { record("shop", offset) } else { record("till", offset - 10) }),
        key: None,
        timestamp: Timestamp(0),
    };
    let (start, end, records) = (Offset(0), Offset(12), (0..12).map(logged).collect());
    stage.event("trial", EventKind::FinalLog { partition: orders(), start, end, records });
    let (plan, history) = (Arc::new(plan), stage.recorder.finish());
    Trial { plan, history, judgements: Vec::new(), ..sample }
}

fn page(how: ElectionKind) -> String {
    let (trial, look) = (trial(how), Look::new(100, Signs::Unicode));
    let page = story(&trial, &look) + "\n" + &ledgers(&trial, &look);
    anstream::adapter::strip_str(&page).to_string()
}

#[test]
fn a_change_of_leaders_tells_epochs_isrs_ends_of_logs_and_what_is_cut_off() {
    assert_snapshot!(page(ElectionKind::Clean));
}

#[test]
fn a_partition_without_a_leader_and_an_unclean_election_are_said_to_be_so() {
    assert_snapshot!(page(ElectionKind::Unclean));
}
