//! Trials written by hand: lesson 12 as it goes, and one where everything goes wrong.

use std::{sync::Arc, time::Duration};

use indexmap::IndexMap;

use crate::{
    kafka::types::{Offset, Timestamp, TopicPartition},
    testbed::{
        checker::{Evidence, FaultModel, Judgement, Verdict, Violation},
        history::{
            CommitKind, Delivery, EventId, EventKind, FaultKind, GroupSetup, History, LoggedRecord,
            Loss, OffsetReach, Outcome, Phase, ProducerSetup, RecordId, Recorder, Setup,
            TopicSetup,
        },
        plan::{
            Action, App, AwaitSend, Cause, ClientFlavour, ClusterPlan, Comparison, ConfigMap,
            Controllers, EffectKind, End, EventName, Expectation, ExpectedVerdict, FactKind,
            GroupPlan, Guarantee, LoopStep, NetworkPlan, NodeRef, OnError, OnSendError, Plan,
            ProducerApp, ProducerExit, ProducerPlan, RecordAt, RunPlan, Span, SpanRange, Start,
            Step, TextTemplate, Tolerance, TopicPlan, Trigger,
        },
        runner::{Trial, TrialEnd, UnfiredStep},
    },
};

pub fn orders() -> TopicPartition {
    TopicPartition::new("orders", 0)
}

fn at(offset: i64) -> RecordAt {
    RecordAt { partition: orders(), offset: Offset(offset) }
}

fn record(number: i64) -> RecordId {
    RecordId { producer: "shop".into(), number: number as u64, attempt: 1 }
}

fn reach(offset: i64) -> Vec<OffsetReach> {
    vec![OffsetReach { partition: orders(), offset: Offset(offset) }]
}

pub fn guarantee(guarantee: Guarantee, verdict: ExpectedVerdict) -> Expectation {
    Expectation::Guarantee {
        guarantee,
        of: "billing".to_owned(),
        verdict,
        records: None,
        count: None,
        cause: None,
        over: Tolerance::EverySeed,
        say: None,
    }
}

fn fact(fact: FactKind, of: &str, is: i64) -> Expectation {
    Expectation::Fact {
        fact,
        of: of.to_owned(),
        name: None,
        is: Comparison::Equal(is),
        after: None,
        over: Tolerance::EverySeed,
        say: None,
    }
}

fn steps() -> Vec<Step> {
    let billing = || NodeRef::Name("billing/1".to_owned());
    vec![
        Step {
            id: Some("kill".to_owned()),
            trigger: Trigger::When {
                event: EventName::Processing,
                of: Some("billing/1".to_owned()),
                record: Some(at(2)),
                count: 1,
                after: None,
            },
            action: Action::Crash { node: billing() },
            say: Some(
                "billing/1 polled offsets 0..4 and committed 5 before touching any of them.\n\
                 Records 0 and 1 are charged. It dies holding record 2.\n"
                    .to_owned(),
            ),
        },
        Step {
            id: None,
            trigger: Trigger::After { step: "kill".to_owned(), wait: Span::from_millis(1000) },
            action: Action::Restart { node: billing() },
            say: Some("The replacement asks for the committed offset and gets 5.".to_owned()),
        },
    ]
}

fn producer() -> ProducerPlan {
    ProducerPlan {
        topic: "orders".to_owned(),
        records: 10,
        every: SpanRange::fixed(Span::from_millis(5)),
        key: None,
        value: TextTemplate("{i}".to_owned()),
        partition: None,
        client: ClientFlavour::Java,
        start: Start::At(Span::default()),
        app: ProducerApp {
            flush: true,
            await_send: AwaitSend::None,
            on_error: OnSendError::Ignore,
            exit: ProducerExit::Close,
        },
        config: ConfigMap::new(),
    }
}

fn group() -> GroupPlan {
    GroupPlan {
        topics: vec!["orders".to_owned()],
        members: vec!["billing/1".to_owned()],
        client: ClientFlavour::Java,
        start: Start::At(Span::default()),
        app: App {
            steps: vec![LoopStep::Poll, LoopStep::Commit, LoopStep::Process],
            process: SpanRange::fixed(Span::from_millis(20)),
            workers: 1,
            effect: EffectKind::Append,
            on_error: OnError::Crash,
        },
        config: ConfigMap::new(),
    }
}

pub fn plan() -> Plan {
    let mut lost = guarantee(Guarantee::ProcessedAtLeastOnce, ExpectedVerdict::Violated);
    if let Expectation::Guarantee { records, cause, say, .. } = &mut lost {
        *records = Some((2..5).map(at).collect());
        *cause = Some(Cause::CommittedBeforeProcessing);
        *say = Some("Three charges were never made: lost to billing, not by Kafka.".to_owned());
    }
    Plan {
        name: "12-commit-before-processing".to_owned(),
        title: "At-most-once: commit first, crash, and three records are gone".to_owned(),
        kafka: "4.1".to_owned(),
        run: RunPlan { seed: 1, end: End::Quiet, limit: Span::from_millis(300_000) },
        network: NetworkPlan { latency: SpanRange::fixed(Span::from_millis(1)), loss: 0.0 },
        cluster: ClusterPlan {
            brokers: 1,
            controllers: Controllers::usual(1),
            racks: Vec::new(),
            config: ConfigMap::from([(
                "offsets.topic.replication.factor".to_owned(),
                "1".to_owned(),
            )]),
        },
        behaviour: Default::default(),
        topics: IndexMap::from([(
            "orders".to_owned(),
            TopicPlan {
                partitions: 1,
                replication_factor: 1,
                replicas: None,
                config: ConfigMap::new(),
            },
        )]),
        producers: IndexMap::from([("shop".to_owned(), producer())]),
        groups: IndexMap::from([("billing".to_owned(), group())]),
        readers: IndexMap::new(),
        steps: steps(),
        expectations: vec![
            guarantee(Guarantee::ProcessedAtMostOnce, ExpectedVerdict::Holds),
            lost,
            fact(FactKind::Committed, "billing orders-0", 10),
        ],
        ignored: Vec::new(),
    }
}

fn setup() -> Setup {
    Setup {
        seed: 1,
        topics: IndexMap::from([(
            Arc::from("orders"),
            TopicSetup { partitions: 1, replication_factor: 1, min_insync_replicas: None },
        )]),
        producers: IndexMap::from([(
            Arc::from("shop"),
            ProducerSetup {
                topic: "orders".into(),
                records: 10,
                idempotent: true,
                acks: "all".into(),
                keyed: false,
            },
        )]),
        groups: IndexMap::from([(
            Arc::from("billing"),
            GroupSetup {
                topics: vec!["orders".into()],
                members: vec!["billing/1".into()],
                effect: EffectKind::Append,
                auto_commit: false,
                reader: false,
            },
        )]),
        loses_packets: false,
        behaviours: Vec::new(),
        voters: Vec::new(),
        min_insync_replicas: 1,
    }
}

/// A history being written at chosen milliseconds.
pub struct Script {
    recorder: Recorder,
}

impl Script {
    pub fn new() -> Self {
        Script { recorder: Recorder::new(setup()) }
    }

    pub fn event(&self, ms: u64, node: &str, kind: EventKind) -> EventId {
        self.recorder.record(ms * 1_000_000, &node.into(), None, kind)
    }

    pub fn step(&self, ms: u64, step: usize) -> EventId {
        let say = plan().steps[step].say.as_deref().map(Arc::from);
        self.event(ms, "trial", EventKind::Step { step, say })
    }

    pub fn caused(&self, ms: u64, node: &str, cause: EventId, kind: EventKind) -> EventId {
        self.recorder.record(ms * 1_000_000, &node.into(), Some(cause), kind)
    }

    pub fn send_all(&self) {
        for number in 0..10 {
            let sent =
                EventKind::Sent { record: record(number), topic: "orders".into(), key: None };
            self.event(number as u64 * 5, "shop", sent);
        }
        for number in 0..10 {
            let acked = EventKind::SendEnded {
                record: record(number),
                outcome: Outcome::Ok,
                partition: Some(orders()),
                offset: Offset(number),
            };
            self.event(54, "shop", acked);
        }
        self.event(58, "shop", EventKind::ProducerDone { abandoned: 0 });
    }

    pub fn join(&self, ms: u64, generation: i32, offset: i64, why: &str) {
        self.event(ms, "billing/1", EventKind::Joined { generation, partitions: vec![orders()] });
        let position =
            EventKind::PositionSet { partition: orders(), offset: Offset(offset), why: why.into() };
        self.event(ms, "billing/1", position);
    }

    pub fn poll(&self, ms: u64, offsets: std::ops::Range<i64>) -> EventId {
        let records = offsets
            .map(|n| Delivery { partition: orders(), offset: Offset(n), record: Some(record(n)) })
            .collect();
        self.event(ms, "billing/1", EventKind::Polled { records })
    }

    pub fn commit(&self, ms: u64, offset: i64) -> EventId {
        let (kind, offsets) = (CommitKind::Sync, reach(offset));
        self.event(ms, "billing/1", EventKind::CommitInvoked { kind, offsets: offsets.clone() });
        let ended = EventKind::CommitEnded { kind, outcome: Outcome::Ok, offsets };
        self.event(ms + 2, "billing/1", ended)
    }

    pub fn begin(&self, ms: u64, offset: i64) -> EventId {
        let (partition, offset, record) = (orders(), Offset(offset), Some(record(offset)));
        self.event(ms, "billing/1", EventKind::Processing { partition, offset, record })
    }

    pub fn process(&self, ms: u64, offset: i64) -> EventId {
        self.begin(ms, offset);
        let (partition, id) = (orders(), Some(record(offset)));
        let done = EventKind::Processed {
            partition: partition.clone(),
            offset: Offset(offset),
            record: id.clone(),
        };
        let effect = EventKind::Effect {
            group: "billing".into(),
            partition,
            offset: Offset(offset),
            record: id,
        };
        let processed = self.event(ms + 20, "billing/1", done);
        self.event(ms + 20, "billing/1", effect);
        processed
    }

    pub fn final_log(&self, ms: u64, numbers: &[i64], committed: i64) {
        self.event(ms, "trial", EventKind::Phase { phase: Phase::Check });
        let logged = |(offset, number): (usize, &i64)| LoggedRecord {
            partition: orders(),
            offset: Offset(offset as i64),
            id: Some(record(*number)),
            key: None,
            timestamp: Timestamp(0),
        };
        let log = EventKind::FinalLog {
            partition: orders(),
            start: Offset(0),
            end: Offset(numbers.len() as i64),
            records: numbers.iter().enumerate().map(logged).collect(),
        };
        self.event(ms, "trial", log);
        let committed = EventKind::FinalCommitted {
            group: "billing".into(),
            partition: orders(),
            offset: Some(Offset(committed)),
        };
        self.event(ms, "trial", committed);
    }

    pub fn finish(self) -> History {
        self.recorder.finish()
    }
}

/// Lesson 12: committed 5, died holding 2, the replacement went on at 5.
pub fn lesson() -> Trial {
    let script = Script::new();
    script.event(0, "b1", EventKind::MachineStarted { incarnation: 1 });
    script.event(0, "shop", EventKind::MachineStarted { incarnation: 1 });
    script.send_all();
    script.event(58, "billing/1", EventKind::MachineStarted { incarnation: 1 });
    script.join(3074, 1, 0, "reset-to-earliest");
    let polled = script.poll(3081, 0..5);
    let committed = script.commit(3084, 5);
    script.process(3087, 0);
    script.process(3107, 1);
    script.begin(3127, 2);
    let kill = script.step(3127, 0);
    let killed =
        script.caused(3127, "billing/1", kill, EventKind::MachineStopped { loss: Loss::Process });
    let restart = script.step(4127, 1);
    script.caused(4127, "billing/1", restart, EventKind::MachineStarted { incarnation: 2 });
    script.join(9081, 2, 5, "committed");
    script.poll(9090, 5..10);
    script.commit(9093, 10);
    for offset in 5..10 {
        script.process(9096 + 20 * (offset as u64 - 5), offset);
    }
    script.final_log(9300, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 10);
    let why = [
        (polled, "billing/1 received 0..4"),
        (committed, "billing/1 committed 5 while 0..4 were unprocessed"),
        (killed, "billing/1 crashed; processed: 0, 1"),
    ];
    let history = script.finish();
    let violation = Violation {
        anomaly: "unprocessed".into(),
        what: "orders-0@2 was committed and never processed".into(),
        records: (2..5).map(at).collect(),
        cause: Cause::CommittedBeforeProcessing,
        why: why.map(|(event, says)| Evidence { event, says: says.into() }).to_vec(),
    };
    let judgements = vec![
        judgement(0, true, Some(held(7, &history)), "holds under client crashes (7 examined)"),
        judgement(
            1,
            true,
            Some(Verdict::Violated { violations: vec![violation] }),
            "violated: orders-0@2, @3, @4",
        ),
        judgement(2, true, None, "10"),
    ];
    trial(plan(), history, judgements)
}

pub fn judgement(
    expectation: usize,
    met: bool,
    verdict: Option<Verdict>,
    actual: &str,
) -> Judgement {
    Judgement { expectation, met, verdict, actual: actual.to_owned() }
}

fn held(examined: u64, history: &History) -> Verdict {
    Verdict::Holds { examined, under: FaultModel::of(history) }
}

fn trial(plan: Plan, history: History, judgements: Vec<Judgement>) -> Trial {
    Trial {
        plan: Arc::new(plan),
        variant: None,
        seed: 1,
        history,
        judgements,
        unfired: Vec::new(),
        digest: "9d0f3c77a1b2".to_owned(),
        messages: 0,
        virtual_time: Duration::from_millis(9300),
        end: TrialEnd::Finished,
    }
}

/// A retry doubled a record, sends failed, a step never fired, nothing is as expected, and it got stuck.
pub fn wreck() -> Trial {
    let script = Script::new();
    for number in 0..4 {
        let sent = EventKind::Sent { record: record(number), topic: "orders".into(), key: None };
        script.event(number as u64, "shop", sent);
    }
    let fault = EventKind::Fault { fault: FaultKind::Sever, what: "sever shop -> b1".into() };
    script.event(5, "shop", fault);
    for attempt in 1..4 {
        let retry = EventKind::BatchRetried {
            partition: orders(),
            base_sequence: -1,
            attempt,
            error: "NETWORK_EXCEPTION".into(),
        };
        script.event(30 * u64::from(attempt), "shop", retry);
    }
    for number in 2..4 {
        let ended = EventKind::SendEnded {
            record: record(number),
            outcome: Outcome::Unknown { error: "TimeoutException".into() },
            partition: None,
            offset: Offset(-1),
        };
        script.event(200, "shop", ended);
    }
    script.join(300, 1, 0, "reset-to-earliest");
    script.poll(310, 0..3);
    script.commit(312, 3);
    let error = EventKind::Error {
        name: "CommitFailedException".into(),
        message: "the group has already rebalanced".into(),
    };
    script.event(400, "billing/1", error.clone());
    script.event(500, "billing/1", error);
    script.event(60_000, "trial", EventKind::NoProgress { what: "the limit of 1m".into() });
    script.final_log(60_000, &[0, 1, 0, 1], 3);
    let history = script.finish();
    let judgements = vec![
        judgement(
            0,
            false,
            Some(Verdict::Unknown { reason: "nothing was processed".into() }),
            "unknown: nothing was processed",
        ),
        judgement(1, false, Some(held(4, &history)), "holds under severed links (4 examined)"),
        judgement(2, false, None, "3"),
    ];
    let mut wreck = trial(plan(), history, judgements);
    wreck.seed = 17;
    wreck.digest = "51aa90c2be11".to_owned();
    wreck.unfired = vec![UnfiredStep { step: 0, progress: "processing reached 0 of 1".to_owned() }];
    wreck.end = TrialEnd::NoProgress { what: "the limit of 1m".to_owned() };
    wreck
}
