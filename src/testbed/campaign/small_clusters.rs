//! Small clusters under dense faults, for campaigns on replicas and on the quorum: small batches, followers that fetch
//! little at a time, and all of it within Kafka's fault model.
//!
//! Crashes (the page cache survives) befall any broker at any time, also all of them. Brokers lose power once in a trial
//! at most, and crash in no trial in which they do, so that fewer replicas forget than `min.insync.replicas`;
//! controllers, who sync what they acknowledge, lose it as often as drawn. Everything is short and small, so that a
//! trial costs little and windows are met often.

use proptest::{collection::vec, prelude::*, sample::select};

use super::{
    actors::{config, first_partition, topic_name, writer},
    blank::{blank, topic},
    claims::{holds, keeps_order, never_doubles},
    steps::{Drawn, links_between, node, span, step, steps},
};
use crate::testbed::plan::{
    Action, ClusterPlan, ConfigMap, Controllers, ElectionType, Expectation, Guarantee, NodeRef,
    Plan, ProducerPlan, Span, Start, Step, TextTemplate, TopicPlan,
};

/// What befalls the machines of a drawn trial.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Setting {
    /// Brokers crash, links fail, leaders move.
    Crashes,
    /// Links fail and leaders move.
    Links,
    /// The same, and one broker loses power once.
    OnePowerLoss,
    /// The same, and everybody in sync loses power at once, having synced each record.
    PowerLossOfAll,
    /// The same, and nothing was synced: acknowledged records may go.
    Beyond,
    /// Controllers crash and lose power, and links between them fail.
    Quorum { voters: u32 },
    /// Every record is synced, logs have many segments and few records, and links fail now and then.
    Synced,
    /// Connections of producers break, and leaders move.
    Producers,
    /// Operators add partitions while brokers hear late of it.
    NewPartitions,
}

impl Setting {
    fn cuts_power(self) -> bool {
        matches!(self, Setting::OnePowerLoss | Setting::PowerLossOfAll | Setting::Beyond)
    }

    /// Milliseconds of load and faults before everything heals.
    fn load_ms(self) -> u64 {
        match self {
            Setting::Synced => 14_000,
            Setting::NewPartitions => 4_000,
            _ => 9_000,
        }
    }
}

const BROKERS: [&str; 3] = ["b1", "b2", "b3"];
/// Replicas in their order of preference, each broker first once.
pub(super) const ORDERS: [[&str; 3]; 3] =
    [["b1", "b2", "b3"], ["b2", "b3", "b1"], ["b3", "b1", "b2"]];

fn names(order: [&str; 3]) -> Vec<String> {
    order.map(str::to_owned).into()
}

/// Faults begin when the cluster is there.
const FIRST_FAULT_MS: u64 = 500;

pub(super) fn plans(setting: Setting) -> BoxedStrategy<Plan> {
    let producers = (producer(setting), producer(setting), select(vec![true, false]));
    (cluster(setting), producers, faults(setting), 2..=30u64)
        .prop_map(move |((cluster, placement), (first, second, both), steps, latency)| {
            let mut plan = assemble(setting, cluster, placement, latency);
            plan.producers.insert("shop".into(), first);
            if both {
                plan.producers.insert("web".into(), second);
            }
            plan.steps = steps;
            plan.expectations = match setting {
                Setting::Beyond => agreement(),
                _ => claims(&plan),
            };
            plan
        })
        .boxed()
}

/// Elections that five controllers get through several times within a trial.
const HASTY: [(&str, &str); 3] = [
    ("controller.quorum.fetch.timeout.ms", "500"),
    ("controller.quorum.election.timeout.ms", "300"),
    ("controller.quorum.election.backoff.max.ms", "200"),
];

/// What a start has to read again of a log is little, and what it lacks is not made up for.
const SYNCED: [(&str, &str); 5] = [
    ("min.insync.replicas", "1"),
    ("log.flush.interval.messages", "1"),
    ("log.flush.offset.checkpoint.interval.ms", "500"),
    ("log.initial.task.delay.ms", "500"),
    ("log.segment.bytes", "400"),
];

fn cluster(setting: Setting) -> BoxedStrategy<(ConfigMap, Vec<String>)> {
    let settings = (
        select(vec!["1", "2", "2"]),
        select(vec!["800", "1500", "4000"]),
        select(vec!["1", "200", "1048576"]),
        select(vec!["50", "500"]),
        select(vec!["200", "5000"]),
    );
    (settings, select(&ORDERS[..]))
        .prop_map(move |((min_isr, lag, fetch, wait, checkpoint), order)| {
            let mut settings = config(&[
                ("min.insync.replicas", if setting.cuts_power() { "2" } else { min_isr }),
                ("replica.lag.time.max.ms", lag),
                ("replica.fetch.max.bytes", fetch),
                ("replica.fetch.wait.max.ms", wait),
                ("replica.fetch.backoff.ms", "100"),
                ("replica.high.watermark.checkpoint.interval.ms", checkpoint),
                ("broker.session.timeout.ms", "1200"),
                ("broker.heartbeat.interval.ms", "250"),
                ("auto.leader.rebalance.enable", "false"),
                ("offsets.topic.num.partitions", "1"),
            ]);
            let more: &[_] = match setting {
                Setting::Quorum { voters: 5 } => &HASTY,
                Setting::PowerLossOfAll => &[("log.flush.interval.messages", "1")],
                Setting::Synced => &SYNCED,
                _ => &[],
            };
            settings.extend(config(more));
            (settings, names(order))
        })
        .boxed()
}

fn producer(setting: Setting) -> BoxedStrategy<ProducerPlan> {
    let safe = vec![
        config(&[("batch.size", "0")]),
        config(&[("batch.size", "0"), ("enable.idempotence", "false"), ("retries", "0")]),
        config(&[
            ("batch.size", "0"),
            ("enable.idempotence", "false"),
            ("max.in.flight.requests.per.connection", "1"),
        ]),
    ];
    let settings = match setting {
        Setting::Producers => {
            vec![config(&[("batch.size", "0"), ("delivery.timeout.ms", "60000")])]
        }
        Setting::NewPartitions => {
            vec![config(&[("batch.size", "0"), ("metadata.max.age.ms", "300")])]
        }
        // What nobody waits for is there alone when its leader goes. Of an idempotent producer a start knows
        // too few batches where segments are as small as these: see scenario 24-retry-duplicates-after-a-restart.
        Setting::Synced => {
            let unheard = [("batch.size", "0"), ("enable.idempotence", "false"), ("acks", "0")];
            let one = [("batch.size", "0"), ("max.in.flight.requests.per.connection", "1")];
            vec![config(&unheard), config(&one)]
        }
        _ => safe,
    };
    let key = match setting {
        Setting::NewPartitions => Some(TextTemplate("k{i%12}".into())),
        _ => None,
    };
    // Records of about a tenth of a page where power is lost, so that a loss shows.
    let value = match setting.cuts_power() {
        true => format!("{{i}}{}", " ".repeat(400)),
        false => "{i}".into(),
    };
    let (records, every) = match setting {
        Setting::Synced => (400..=800u64, 10..=50u64),
        // Several are on their way to one partition at a time.
        Setting::NewPartitions => (200..=600u64, 2..=12u64),
        _ => (20..=150u64, 5..=80u64),
    };
    (records, every, select(settings), FIRST_FAULT_MS..=4_000u64)
        .prop_map(move |(records, every, config, start)| ProducerPlan {
            key: key.clone(),
            value: TextTemplate(value.clone()),
            start: Start::At(Span::from_millis(match setting {
                Setting::Producers => 0,
                _ => start / 4,
            })),
            ..writer(topic_name(0), records, every, config)
        })
        .boxed()
}

fn faults(setting: Setting) -> BoxedStrategy<Vec<Step>> {
    let count = match setting {
        Setting::Producers => 1..=6,
        // Their nemesis takes many steps, which others would undo.
        Setting::Quorum { voters: 5 } | Setting::Synced => 0..=2,
        _ => 4..=14usize,
    };
    let drawn = match setting {
        Setting::Crashes => {
            prop_oneof![6 => victim().prop_map(Drawn::crash), 18 => on_links()].boxed()
        }
        // To KIP-966 a crash is as bad as a loss of power: whoever did not shut down cleanly is not eligible
        // any more, and when that is everybody the last leader is elected whatever it lost.
        Setting::Links
        | Setting::OnePowerLoss
        | Setting::PowerLossOfAll
        | Setting::Beyond
        | Setting::Synced => on_links(),
        Setting::Quorum { voters } => on_controllers(voters),
        Setting::Producers => on_clients(),
        Setting::NewPartitions => on_new_partitions(),
    };
    let at = span(FIRST_FAULT_MS..=setting.load_ms());
    let many = vec((at.clone(), drawn, span(100..=2_500)), count).prop_map(steps);
    match setting {
        Setting::OnePowerLoss => (many, at, node(BROKERS.to_vec()), span(100..=3_000))
            .prop_map(|(many, at, node, wait)| with_power_loss(many, at, node, wait))
            .boxed(),
        Setting::PowerLossOfAll | Setting::Beyond => (many, at, span(100..=3_000))
            .prop_map(|(many, at, wait)| {
                with_power_loss(many, at, NodeRef::Isr(first_partition()), wait)
            })
            .boxed(),
        _ => many.boxed(),
    }
}

fn with_power_loss(mut steps: Vec<Step>, at: Span, node: NodeRef, wait: Span) -> Vec<Step> {
    steps.extend(step("power".into(), at, Drawn::power_loss(node), wait));
    steps
}

/// A broker, or whoever leads.
fn victim() -> impl Strategy<Value = NodeRef> + Clone {
    prop_oneof![1 => node(BROKERS.to_vec()), 2 => Just(NodeRef::Leader(first_partition()))]
}

/// Links fail, brokers stand still, leaders move.
fn on_links() -> BoxedStrategy<Drawn> {
    let others = |from: &'static [&'static str]| links_between(from, &BROKERS);
    let lasts = span(100..=3_000).prop_map(Some);
    prop_oneof![
        4 => (others(&BROKERS), lasts.clone())
            .prop_map(|(links, lasts)| Drawn::Once(Action::Hold { links, lasts })),
        3 => (others(&BROKERS), span(50..=900), lasts.clone())
            .prop_map(|(links, by, lasts)| Drawn::Once(Action::Delay { links, by, lasts })),
        2 => (others(&BROKERS), lasts.clone())
            .prop_map(|(links, lasts)| Drawn::Once(Action::Sever { links, lasts })),
        2 => (others(&["c1"]), lasts.clone())
            .prop_map(|(links, lasts)| Drawn::Once(Action::Hold { links, lasts })),
        2 => (others(&["c1"]), lasts.clone())
            .prop_map(|(links, lasts)| Drawn::Once(Action::Sever { links, lasts })),
        1 => (victim(), lasts)
            .prop_map(|(node, lasts)| Drawn::Once(Action::Pause { node, lasts })),
        4 => moves(),
    ]
    .boxed()
}

/// An operator prefers another leader, and asks for it.
fn moves() -> impl Strategy<Value = Drawn> + Clone {
    let orders = [&ORDERS[..], &[["b2", "b1", "b3"]]].concat();
    select(orders).prop_map(|order| Drawn::Twice {
        first: Action::Reassign { partition: first_partition(), replicas: names(order) },
        wait: Some(Span::from_millis(150)),
        second: Action::Elect {
            partition: Some(first_partition()),
            election: ElectionType::Preferred,
        },
    })
}

fn on_controllers(voters: u32) -> BoxedStrategy<Drawn> {
    const NAMES: [&str; 5] = ["c1", "c2", "c3", "c4", "c5"];
    let names = &NAMES[..voters as usize];
    let victim = prop_oneof![1 => node(names.to_vec()), 2 => Just(NodeRef::Controller)];
    let lasts = span(100..=3_000).prop_map(Some);
    prop_oneof![
        4 => victim.clone().prop_map(Drawn::crash),
        4 => victim.clone().prop_map(Drawn::power_loss),
        3 => (links_between(names, names), lasts.clone())
            .prop_map(|(links, lasts)| Drawn::Once(Action::Sever { links, lasts })),
        2 => (links_between(names, names), lasts.clone())
            .prop_map(|(links, lasts)| Drawn::Once(Action::Hold { links, lasts })),
        1 => (victim, lasts).prop_map(|(node, lasts)| Drawn::Once(Action::Pause { node, lasts })),
        5 => moves(),
    ]
    .boxed()
}

fn on_clients() -> BoxedStrategy<Drawn> {
    let lasts = span(20..=1_500).prop_map(Some);
    let links = || links_between(&["shop"], &BROKERS);
    prop_oneof![
        4 => links().prop_map(|links| Drawn::Once(Action::Reset { links })),
        2 => (links(), lasts.clone())
            .prop_map(|(links, lasts)| Drawn::Once(Action::Hold { links, lasts })),
        2 => (links(), span(20..=600), lasts)
            .prop_map(|(links, by, lasts)| Drawn::Once(Action::Delay { links, by, lasts })),
        3 => moves(),
    ]
    .boxed()
}

/// A leader may hear later than a producer that it leads.
fn on_new_partitions() -> BoxedStrategy<Drawn> {
    let late = || links_between(&["c1"], &BROKERS);
    let lasts = span(100..=2_500).prop_map(Some);
    let topic = || topic_name(0);
    prop_oneof![
        4 => (2..=24u32).prop_map(move |partitions| {
            Drawn::Once(Action::AddPartitions { topic: topic(), partitions })
        }),
        4 => (late(), span(20..=400), lasts.clone())
            .prop_map(|(links, by, lasts)| Drawn::Once(Action::Delay { links, by, lasts })),
        2 => (late(), lasts).prop_map(|(links, lasts)| Drawn::Once(Action::Hold { links, lasts })),
    ]
    .boxed()
}

fn assemble(setting: Setting, config: ConfigMap, placement: Vec<String>, latency: u64) -> Plan {
    let controllers = match setting {
        Setting::Quorum { voters } => voters,
        _ => 1,
    };
    let cluster = ClusterPlan {
        brokers: 3,
        controllers: Controllers::Apart(controllers),
        racks: Vec::new(),
        config,
    };
    let orders = TopicPlan { replicas: Some(vec![placement]), ..topic(1, 3) };
    Plan {
        topics: [(topic_name(0), orders)].into_iter().collect(),
        ..blank("a drawn plan", cluster, setting.load_ms() + 1_000, latency)
    }
}

/// What holds of whatever is left: replicas tell the same story, and so do controllers.
fn agreement() -> Vec<Expectation> {
    vec![holds(Guarantee::ReplicasAgree, &topic_name(0)), holds(Guarantee::QuorumAgrees, "cluster")]
}

/// What safe settings promise: nothing acknowledged is lost, replicas and controllers agree, one send is one
/// record, in order. Whether everything heals is not claimed: with every replica's machine taken down uncleanly a
/// partition may rightly stay without a leader.
fn claims(plan: &Plan) -> Vec<Expectation> {
    let mut claims = agreement();
    claims.push(holds(Guarantee::AckedRecordsSurvive, &topic_name(0)));
    for (name, producer) in &plan.producers {
        if never_doubles(producer) {
            claims.push(holds(Guarantee::NoDuplicateAppend, name));
        }
        if keeps_order(producer) {
            claims.push(holds(Guarantee::PartitionOrder, name));
        }
    }
    claims
}
