//! The second campaign: a cluster keeps what it has acknowledged while its machines come and go.
//!
//! Partitions with three replicas on three to five brokers, one or three controllers, combined or apart.
//! Brokers and controllers crash, lose power, stand still for longer than their sessions, are cut off from
//! each other one way or both, have slow disks, or are stopped in good order, one or one after the other;
//! operators move partitions, ask for elections, add partitions and delete a topic, all under load.
//!
//! The fault model is that of eligible leader replicas (KIP-966): two replicas have to have a record before it
//! counts as acknowledged, and one machine of a plan may lose its power, again and again, or come back from a stop in
//! good order with an empty disk, if it is no voter, whose vote would be gone. In such plans nobody
//! crashes: to the controller a process that was killed is a machine that lost its power. A broker that registers
//! without the epoch of its last registration did not stop in good order (`ClusterControlManager.registerBroker`,
//! KAFKA-18635) and leaves each ISR and the eligible leader replicas
//! (`ReplicationControlManager.handleBrokerUncleanShutdown`). Where all have died so, both are empty, and the last
//! known leader is elected with what it has left, unclean elections or not
//! (`PartitionChangeBuilder.canElectLastKnownLeader`): one crash of each of three and one loss of power suffice to
//! lose what was acknowledged. All else may happen to everybody.
//!
//! A log takes an unknown producer's batch with sequence 0 alone. Kafka takes any, which leaves a gap where two batches
//! are in flight to a new partition and the first is refused (entry 28).

use proptest::{collection::vec, prelude::*, sample::select, strategy::Union};

use super::{
    actors::{config, first_partition, group, named_groups, named_producers, producer, topic_name},
    blank::{blank, topic},
    claims::{claims, holds},
    draw::Campaign,
    faults::crash,
    historical::set,
    steps::{Drawn, node, span, steps},
};
use crate::{
    kafka::types::TopicPartition,
    testbed::{
        checker::Reached,
        plan::{
            Action, ClusterPlan, ConfigMap, Controllers, ElectionType, GroupPlan, Guarantee, Link,
            Links, NodeRef, Plan, ProducerPlan, Span, Step,
        },
    },
};

pub const REPLICATION: Campaign = Campaign {
    name: "replication",
    claim: "a cluster keeps what it has acknowledged to all, and comes together again, whatever befalls its machines",
    strategy: || plans().boxed(),
    must_reach: &[
        Reached::LeaderMoved,
        Reached::Leaderless,
        Reached::IsrShrunk,
        Reached::IsrGrown,
        Reached::ReplicaTruncated,
        Reached::Diverged,
        Reached::ControllerMoved,
        Reached::BrokerFenced,
        Reached::ReplicasMoved,
        Reached::TopicDeleted,
        Reached::AddedPartitionAssigned,
        Reached::RetryWasDuplicate,
        Reached::RebalanceWithRecordsInHand,
        Reached::PowerLost,
        Reached::DiskWiped,
    ],
};

/// Milliseconds of load and faults before everything heals.
const LOAD_MS: u64 = 30_000;
const LATENCY_MS: u64 = 4;
const REPLICAS: usize = 3;
/// The topic that operators delete; nothing is claimed of it.
const DOOMED: &str = "doomed";

/// What the machines of a plan may meet.
#[derive(Clone, Copy, Debug)]
struct Kinds {
    crashes: bool,
    /// In good order.
    stops: bool,
    /// Of power, or of a disk.
    losses: bool,
    pauses: bool,
    /// Between the cluster's machines.
    network: bool,
    disks: bool,
    operators: bool,
}

fn kinds() -> impl Strategy<Value = Kinds> {
    any::<[bool; 7]>().prop_map(|on| Kinds {
        crashes: on[0] && !on[1],
        losses: on[1],
        pauses: on[2],
        network: on[3],
        disks: on[4],
        operators: on[5],
        stops: on[6],
    })
}

/// The cluster, before anybody uses it.
#[derive(Clone, Debug)]
struct Shape {
    brokers: u32,
    controllers: Controllers,
    partitions: u32,
    min_isr: u32,
    lag_ms: u32,
    kinds: Kinds,
}

fn shape() -> impl Strategy<Value = Shape> {
    let controllers = select(vec![
        Controllers::Combined(3),
        Controllers::Combined(3),
        Controllers::Combined(1),
        Controllers::Apart(1),
        Controllers::Apart(3),
    ]);
    // Kafka's default lag is so long that ISRs would hardly shrink in a trial.
    let lag = select(vec![2_000, 5_000, 30_000]);
    (3..=5u32, controllers, 1..=4u32, 1..=2u32, lag, kinds()).prop_map(
        |(brokers, controllers, partitions, min_isr, lag_ms, kinds)| {
            let min_isr = if kinds.losses { 2 } else { min_isr };
            Shape { brokers, controllers, partitions, min_isr, lag_ms, kinds }
        },
    )
}

fn plans() -> impl Strategy<Value = Plan> {
    (shape(), vec(producer(1, settings()), 1..=2), group(1)).prop_flat_map(
        |(shape, producers, group)| {
            let plan = assemble(&shape, producers, group);
            faults(&shape, &plan)
                .prop_map(move |steps| hears_of_partitions(Plan { steps, ..plan.clone() }))
        },
    )
}

/// Members look for new partitions while there is load, where some are added: by default they do every five minutes.
fn hears_of_partitions(mut plan: Plan) -> Plan {
    if plan.steps.iter().any(|step| matches!(step.action, Action::AddPartitions { .. })) {
        for group in plan.groups.values_mut() {
            group.config.insert("metadata.max.age.ms".into(), "5000".into());
        }
    }
    plan
}

/// All that wait for the whole ISR.
fn settings() -> Vec<ConfigMap> {
    vec![
        config(&[]),
        config(&[("linger.ms", "0"), ("max.in.flight.requests.per.connection", "1")]),
        config(&[("linger.ms", "20"), ("batch.size", "256")]),
        config(&[("enable.idempotence", "false"), ("acks", "all")]),
        config(&[("request.timeout.ms", "2000"), ("delivery.timeout.ms", "8000")]),
    ]
}

fn assemble(shape: &Shape, producers: Vec<ProducerPlan>, group: GroupPlan) -> Plan {
    let config = config(&[
        ("offsets.topic.replication.factor", "3"),
        ("offsets.topic.num.partitions", "2"),
        ("group.initial.rebalance.delay.ms", "500"),
        ("min.insync.replicas", &shape.min_isr.to_string()),
        ("replica.lag.time.max.ms", &shape.lag_ms.to_string()),
    ]);
    let mut topics = vec![(topic_name(0), topic(shape.partitions, REPLICAS as u32))];
    if shape.kinds.operators {
        topics.push((DOOMED.into(), topic(1, REPLICAS as u32)));
    }
    let cluster = ClusterPlan {
        brokers: shape.brokers,
        controllers: shape.controllers,
        racks: Vec::new(),
        config,
    };
    let mut plan = Plan {
        topics: topics.into_iter().collect(),
        producers: named_producers(producers),
        groups: named_groups(vec![group]),
        ..blank("a drawn cluster", cluster, LOAD_MS, LATENCY_MS)
    };
    set(&mut plan, "first-sequence-on-empty-state", "zero");
    plan.expectations = claims(&plan, &[DOOMED]);
    for guarantee in [Guarantee::ReplicasAgree, Guarantee::QuorumAgrees, Guarantee::ClusterHeals] {
        plan.expectations.push(holds(guarantee, "cluster"));
    }
    plan.expectations
        .extend(plan.groups.keys().map(|it| holds(Guarantee::CommittedReadsStable, it)));
    plan
}

/// Brokers and controllers, and of each a broker's name and whatever else it is.
fn machines(plan: &Plan) -> Vec<String> {
    let mut machines: Vec<_> = (1..=plan.cluster.brokers).map(|id| format!("b{id}")).collect();
    machines.extend(plan.cluster.controllers.names().filter(|name| name.starts_with('c')));
    machines
}

/// Faults of the drawn kinds. Machines that are down start again after a while, or at the heal.
fn faults(shape: &Shape, plan: &Plan) -> BoxedStrategy<Vec<Step>> {
    let machines = machines(plan);
    let mut choices: Vec<BoxedStrategy<Drawn>> = Vec::new();
    let kinds = shape.kinds;
    let anyone = || {
        prop_oneof![
            4 => node(machines.clone()),
            1 => Just(NodeRef::Leader(first_partition())),
            1 => Just(NodeRef::Controller),
        ]
    };
    if kinds.crashes {
        choices.push(node(machines.clone()).prop_map(crash).boxed());
    }
    if kinds.stops {
        choices.push(anyone().prop_map(stop).boxed());
    }
    if kinds.pauses {
        let pause = (anyone(), span(500..=15_000));
        choices.push(
            pause
                .prop_map(move |(node, by)| Drawn::Once(Action::Pause { node, lasts: Some(by) }))
                .boxed(),
        );
    }
    if kinds.network {
        choices.push(network(&machines).prop_map(Drawn::Once).boxed());
    }
    if kinds.disks {
        let slow = (anyone(), span(5..=300), span(500..=8_000));
        choices.push(
            slow.prop_map(move |(node, by, lasts)| {
                Drawn::Once(Action::SlowDisk { node, by, lasts: Some(lasts) })
            })
            .boxed(),
        );
    }
    if kinds.operators {
        choices.push(operators(shape).prop_map(Drawn::Once).boxed());
    }
    let losses = match (kinds.losses, shape.controllers) {
        (false, _) => Just(Vec::new()).boxed(),
        (true, Controllers::Combined(_)) => power_losses(&machines).boxed(),
        (true, Controllers::Apart(_)) => {
            prop_oneof![power_losses(&machines), wipes(shape.brokers)].boxed()
        }
    };
    let rolling = match kinds.stops {
        true => rolling_restart(&machines).boxed(),
        false => Just(Vec::new()).boxed(),
    };
    if choices.is_empty() {
        return losses.prop_map(steps).boxed();
    }
    let fault = (span(0..=LOAD_MS), Union::new(choices), span(50..=12_000));
    (vec(fault, 1..=8), losses, rolling)
        .prop_map(|(faults, losses, rolling)| steps([faults, losses, rolling].concat()))
        .boxed()
}

type Fault = (Span, Drawn, Span);

/// One machine of the plan loses its power, up to three times.
fn power_losses(machines: &[String]) -> impl Strategy<Value = Vec<Fault>> + use<> {
    let times = vec((span(0..=LOAD_MS), span(50..=12_000)), 1..=3);
    (node(machines.to_vec()), times).prop_map(|(node, times)| {
        let cut = |(at, wait)| {
            (at, Drawn::away(Action::PowerLoss { node: node.clone() }, node.clone()), wait)
        };
        times.into_iter().map(cut).collect()
    })
}

/// One broker of the plan loses its disk, up to twice. It has handed over what it led by then.
fn wipes(brokers: u32) -> impl Strategy<Value = Vec<Fault>> {
    let times = vec((span(0..=LOAD_MS), span(4_000..=12_000), span(50..=12_000)), 1..=2);
    (node((1..=brokers).map(|id| format!("b{id}")).collect()), times).prop_map(|(node, times)| {
        let wipe = |(at, down, wait)| (at, Drawn::Wiped { node: node.clone(), down }, wait);
        times.into_iter().map(wipe).collect()
    })
}

fn stop(node: NodeRef) -> Drawn {
    Drawn::away(Action::ShutDown { node: node.clone() }, node)
}

/// Each machine in turn is stopped and started again, in every other plan.
fn rolling_restart(machines: &[String]) -> impl Strategy<Value = Vec<Fault>> + use<> {
    let machines = machines.to_vec();
    (any::<bool>(), 500..=8_000u64, 50..=6_000u64).prop_map(move |(rolls, beat, away)| {
        let turn = |(index, name): (usize, &String)| {
            let at = Span::from_millis((index as u64 + 1) * beat);
            (at, stop(NodeRef::Name(name.clone())), Span::from_millis(away))
        };
        let turns = machines.iter().enumerate().filter(|_| rolls).map(turn);
        turns.filter(|(at, ..)| at.0.as_millis() <= u128::from(LOAD_MS)).collect()
    })
}

/// Between two machines, one way or both, or all of one's.
fn network(machines: &[String]) -> impl Strategy<Value = Action> + use<> {
    let pair = Just(machines.to_vec())
        .prop_shuffle()
        .prop_map(|names| (NodeRef::Name(names[0].clone()), NodeRef::Name(names[1].clone())));
    let one = (pair, any::<bool>())
        .prop_map(|((from, to), both_ways)| Links::Some(vec![Link { from, to, both_ways }]));
    let links = prop_oneof![3 => one, 1 => node(machines.to_vec()).prop_map(Links::Of)];
    let lasts = span(100..=15_000).prop_map(Some);
    prop_oneof![
        4 => (links.clone(), lasts.clone()).prop_map(|(links, lasts)| Action::Sever { links, lasts }),
        1 => (links.clone(), lasts.clone()).prop_map(|(links, lasts)| Action::Hold { links, lasts }),
        2 => (links.clone(), span(10..=800), lasts)
            .prop_map(|(links, by, lasts)| Action::Delay { links, by, lasts }),
        1 => links.prop_map(|links| Action::Reset { links }),
    ]
}

fn operators(shape: &Shape) -> impl Strategy<Value = Action> + use<> {
    let brokers: Vec<_> = (1..=shape.brokers).map(|id| format!("b{id}")).collect();
    let partition = (0..shape.partitions as i32)
        .prop_map(|index| TopicPartition::new(topic_name(0).as_str(), index));
    let move_to = Just(brokers).prop_shuffle().prop_map(|mut names| {
        names.truncate(REPLICAS);
        names
    });
    let more = shape.partitions + 1..=shape.partitions + 2;
    prop_oneof![
        4 => (partition.clone(), move_to)
            .prop_map(|(partition, replicas)| Action::Reassign { partition, replicas }),
        1 => partition.prop_map(|partition| Action::CancelReassignment { partition }),
        2 => Just(Action::Elect { partition: None, election: ElectionType::Preferred }),
        1 => more.prop_map(|partitions| Action::AddPartitions { topic: topic_name(0), partitions }),
        1 => Just(Action::DeleteTopic { topic: DOOMED.into() }),
    ]
}
