//! Trials with many machines, partitions and records: what is merged, cut and left out.

use std::{collections::BTreeMap, sync::Arc};

use insta::assert_snapshot;

use super::{
    super::{Look, Signs, ledgers, story},
    sample,
};
use crate::{
    kafka::types::{Offset, Timestamp, TopicPartition},
    testbed::{
        history::{
            CommitKind, Delivery, EventKind, FaultKind, History, LoggedRecord, Loss, OffsetReach,
            Outcome, Phase, RecordId, Recorder, Setup,
        },
        plan::Plan,
        runner::Trial,
    },
};

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn look() -> Look {
    Look::new(120, Signs::Unicode)
}

/// Two partitions, three brokers, two members.
fn plan_and_setup() -> (Plan, Setup) {
    let sample = sample::lesson();
    let mut plan = (*sample.plan).clone();
    let mut setup = sample.history.setup.clone();
    plan.cluster.brokers = 3;
    plan.topics["orders"].partitions = 2;
    setup.topics["orders"].partitions = 2;
    plan.groups["billing"].members.push("billing/2".to_owned());
    setup.groups["billing"].members.push("billing/2".into());
    (plan, setup)
}

struct Stage {
    recorder: Recorder,
    ms: u64,
    ends: BTreeMap<i32, i64>,
}

impl Stage {
    fn new(setup: Setup) -> Self {
        Stage { recorder: Recorder::new(setup), ms: 0, ends: BTreeMap::new() }
    }

    fn event(&mut self, node: &str, kind: EventKind) {
        self.ms += 10;
        self.recorder.record(self.ms * 1_000_000, &node.into(), None, kind);
    }

    fn partition(number: i32) -> TopicPartition {
        TopicPartition::new("orders", number)
    }

    /// A whole round: poll, process, commit.
    fn round(&mut self, node: &str, number: i32, records: i64) {
        let partition = Self::partition(number);
        let end = self.ends.entry(number).or_default();
        let offsets = *end..*end + records;
        *end += records;
        let records = offsets
            .clone()
            .map(|offset| Delivery {
                partition: partition.clone(),
                offset: Offset(offset),
                record: None,
            })
            .collect();
        self.event(node, EventKind::Polled { records });
        for offset in offsets.clone().map(Offset) {
            let (place, group) = (partition.clone(), "billing".into());
            let done = EventKind::Processed { partition: place.clone(), offset, record: None };
            self.event(node, done);
            self.event(node, EventKind::Effect { group, partition: place, offset, record: None });
        }
        let offsets = vec![OffsetReach { partition, offset: Offset(offsets.end) }];
        let (kind, outcome) = (CommitKind::Sync, Outcome::Ok);
        self.event(node, EventKind::CommitEnded { kind, outcome, offsets });
    }

    fn log(&mut self, number: i32, records: i64) {
        let partition = Self::partition(number);
        let logged = |offset: i64| LoggedRecord {
            partition: Self::partition(number),
            offset: Offset(offset),
            id: Some(RecordId { producer: "shop".into(), number: offset as u64, attempt: 1 }),
            key: None,
            timestamp: Timestamp(0),
        };
        let records: Vec<LoggedRecord> = (0..records).map(logged).collect();
        let (start, end) = (Offset(0), Offset(records.len() as i64));
        self.event("trial", EventKind::FinalLog { partition, start, end, records });
    }

    fn finish(self, plan: Plan) -> Trial {
        let history: History = self.recorder.finish();
        Trial { plan: Arc::new(plan), history, judgements: Vec::new(), ..sample::lesson() }
    }
}

#[test]
fn rounds_merge_between_faults_and_the_befallen_one_is_told_in_detail() {
    let (plan, setup) = plan_and_setup();
    let mut stage = Stage::new(setup);
    for (member, number) in [("billing/1", 0), ("billing/2", 1)] {
        let partitions = vec![Stage::partition(number)];
        stage.event(member, EventKind::Joined { generation: 3, partitions });
    }
    for _ in 0..5 {
        stage.round("billing/1", 0, 3);
        stage.round("billing/2", 1, 2);
    }
    let (partition, offset) = (Stage::partition(0), Offset(15));
    stage.event("billing/1", EventKind::Processing { partition, offset, record: None });
    stage.event("billing/1", EventKind::MachineStopped { loss: Loss::Process });
    stage.event("b2", EventKind::MachineStopped { loss: Loss::Power });
    stage.event("b2", EventKind::MachineStarted { incarnation: 2 });
    let partition = Stage::partition(1);
    stage.event("b2", EventKind::LogRecovered { partition, end: Offset(9), cut_bytes: 132 });
    stage.round("billing/2", 1, 2);
    let left = EventKind::MemberLeft {
        group: "billing".into(),
        member: "m-1".into(),
        client: "billing/1".into(),
        reason: "session timed out".into(),
    };
    stage.event("b1", left);
    stage.event("trial", EventKind::Phase { phase: Phase::Check });
    assert_snapshot!(plain(&story(&stage.finish(plan), &look())));
}

#[test]
fn a_long_story_keeps_its_notable_lines_and_counts_the_others() {
    let (plan, setup) = plan_and_setup();
    let mut stage = Stage::new(setup);
    for fault in 0..100 {
        stage.round("billing/1", 0, 1);
        stage.round("billing/2", 1, 1);
        stage.event(
            "b1",
            EventKind::Fault { fault: FaultKind::Sever, what: format!("fault {fault}").into() },
        );
    }
    let story = plain(&story(&stage.finish(plan), &look()));
    for fault in 0..100 {
        assert!(story.contains(&format!("fault {fault}\n")), "{story}");
    }
    assert!(story.contains("quiet lines left out"), "{story}");
    assert!(story.lines().count() < 330, "{}", story.lines().count());
}

#[test]
fn many_machines_get_narrower_columns_and_too_many_get_none() {
    let (mut plan, setup) = plan_and_setup();
    plan.cluster.brokers = 7;
    let mut stage = Stage::new(setup.clone());
    stage.round("billing/1", 0, 1);
    let narrow = plain(&story(&stage.finish(plan.clone()), &Look::new(100, Signs::Unicode)));
    plan.cluster.brokers = 40;
    let mut stage = Stage::new(setup);
    stage.round("billing/1", 0, 1);
    let none = plain(&story(&stage.finish(plan), &Look::new(100, Signs::Unicode)));
    assert_snapshot!(format!("{narrow}\n{none}"));
}

#[test]
fn a_long_log_shows_only_where_the_picture_changes() {
    let (plan, setup) = plan_and_setup();
    let mut stage = Stage::new(setup);
    stage.round("billing/1", 0, 40);
    stage.ends.insert(0, 50);
    stage.round("billing/1", 0, 150);
    stage.ends.insert(0, 120);
    stage.round("billing/1", 0, 1);
    stage.log(0, 200);
    assert_snapshot!(plain(&ledgers(&stage.finish(plan), &look())));
}

#[test]
fn a_long_log_without_a_blemish_is_one_line_and_an_empty_one_says_so() {
    let (plan, setup) = plan_and_setup();
    let mut stage = Stage::new(setup);
    stage.round("billing/1", 0, 100);
    stage.log(0, 100);
    stage.log(1, 0);
    assert_snapshot!(plain(&ledgers(&stage.finish(plan), &look())));
}
