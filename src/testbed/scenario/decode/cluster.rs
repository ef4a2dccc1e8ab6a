//! The world of a trial: its run, network, brokers and topics.

use indexmap::IndexMap;

use super::{
    names::Names,
    section::{Findings, SPAN, SPAN_RANGE, Section, parsed, text, wrong_kind},
    settings::{self, Given},
};
use crate::{
    kafka::config::{BrokerConfig, Side},
    testbed::{
        plan::{
            ClusterPlan, Controllers, End, NetworkPlan, RunPlan, Span, SpanRange, SpanShape,
            TopicPlan,
        },
        scenario::{
            problem::Problem,
            tree::{Entry, Node, Value},
            words::SHAPES,
        },
    },
};

pub(super) const DEFAULT_BROKERS: i64 = 1;

/// More of anything makes a trial slow and its report unreadable; campaigns and lessons need far less.
pub(super) const MAX_BROKERS: i64 = 15;
pub(super) const MAX_PARTITIONS: i64 = 256;

const DEFAULT_LIMIT: Span = Span::from_millis(300_000);
const DEFAULT_LATENCY: SpanRange =
    SpanRange { min: Span::from_millis(1), max: Span::from_millis(4), shape: SpanShape::Uniform };

pub(super) fn run(section: &mut Section<'_>, found: &mut Findings) -> RunPlan {
    RunPlan {
        seed: section.number("seed", 0..=i64::MAX, found).unwrap_or(1).unsigned_abs(),
        end: match section.entry("end") {
            None => End::Quiet,
            Some(Entry { node: Node { value: Value::Text(text), .. }, .. }) if text == "quiet" => {
                End::Quiet
            }
            Some(entry) => parsed(&entry.node, &SPAN, found).map_or(End::Quiet, End::At),
        },
        limit: section.parsed("limit", &SPAN, found).unwrap_or(DEFAULT_LIMIT),
    }
}

pub(super) fn network(mut section: Section<'_>, found: &mut Findings) -> NetworkPlan {
    let latency = section.entry("latency");
    let network = NetworkPlan {
        latency: latency.and_then(|entry| range(entry, found)).unwrap_or(DEFAULT_LATENCY),
        loss: section.fraction("loss", found).unwrap_or(0.0),
    };
    section.close(found);
    network
}

/// `"20ms"`, `"1ms..4ms"`, or `{ min = "1ms", max = "4ms", shape = "exp" }`.
pub(super) fn range(entry: &Entry, found: &mut Findings) -> Option<SpanRange> {
    if !matches!(entry.node.value, Value::Table(_)) {
        return parsed(&entry.node, &SPAN_RANGE, found);
    }
    let mut section = Section::of(&entry.node, entry.key_place, format!("`{}`", entry.key), found);
    section.required("min", found);
    section.required("max", found);
    let min: Option<Span> = section.parsed("min", &SPAN, found);
    let max: Option<Span> = section.parsed("max", &SPAN, found);
    let shape = section.word("shape", "shape", SHAPES, found).unwrap_or(SpanShape::Uniform);
    section.close(found);
    let range = SpanRange { min: min?, max: max?, shape };
    if range.min > range.max {
        let message = format!("`{}` ends before it begins", entry.key);
        found.add(Problem::new(entry.node.place, message));
    }
    Some(range)
}

/// The brokers, and their configuration where Kafka would start with it.
pub(super) fn cluster(
    mut section: Section<'_>,
    ignored: &[String],
    found: &mut Findings,
) -> (ClusterPlan, Given, Option<BrokerConfig>) {
    let brokers = section.number("brokers", 1..=MAX_BROKERS, found).unwrap_or(DEFAULT_BROKERS);
    let controllers = controllers(&mut section, brokers, found);
    let racks = section.entry("racks");
    let racks: Vec<String> = match racks.map(|entry| (entry, &entry.node.value)) {
        None => Vec::new(),
        Some((entry, Value::List(list))) => {
            if list.len() as i64 != brokers {
                let message = format!("{} racks for {brokers} brokers", list.len());
                found.add(Problem::new(entry.node.place, message).help("name one per broker"));
            }
            list.iter().filter_map(|node| text(node, found)).map(str::to_owned).collect()
        }
        Some((entry, other)) => {
            found.add(wrong_kind(entry.node.place, "a list of texts", other));
            Vec::new()
        }
    };
    let given = settings::given(section.inner("config", found), Side::Broker, ignored, found);
    let config = given.view(BrokerConfig::from_settings, found);
    section.close(found);
    let brokers = brokers as u32;
    let plan = ClusterPlan { brokers, controllers, racks, config: given.map.clone() };
    (plan, given, config)
}

/// `controllers = 3`: the first three brokers. `controllers = { apart = 3 }`: machines of their own.
fn controllers(section: &mut Section<'_>, brokers: i64, found: &mut Findings) -> Controllers {
    let usual = Controllers::usual(brokers as u32);
    let Some(entry) = section.entry("controllers") else { return usual };
    let (node, apart) = match &entry.node.value {
        Value::Table(_) => {
            let mut inner = Section::of(&entry.node, entry.key_place, "`controllers`", found);
            let apart = inner.required("apart", found);
            inner.close(found);
            let Some(apart) = apart else { return usual };
            (&apart.node, true)
        }
        _ => (&entry.node, false),
    };
    let Value::Integer(count) = node.value else {
        let wanted = if apart { "1, 3 or 5" } else { "1, 3 or 5, or { apart = 3 }" };
        found.add(wrong_kind(node.place, wanted, &node.value));
        return usual;
    };
    if !Controllers::COUNTS.iter().any(|allowed| i64::from(*allowed) == count) {
        let message = format!("`controllers` cannot be {count}: this build takes 1, 3 or 5");
        let help = "with an even number no more of them may fail than with one less";
        found.add(Problem::new(node.place, message).help(help));
        return usual;
    }
    if apart {
        return Controllers::Apart(count as u32);
    }
    if count > brokers {
        let brokers = if brokers == 1 { "1 broker".into() } else { format!("{brokers} brokers") };
        let message = format!("{brokers} cannot be {count} controllers as well");
        let help = format!("write controllers = {{ apart = {count} }} for machines of their own");
        found.add(Problem::new(node.place, message).help(help));
    }
    Controllers::Combined(count as u32)
}

/// `__consumer_offsets` is created when the first group needs it, with a factor whose default is 3.
pub(super) fn offsets_topic(
    given: &Given,
    config: &BrokerConfig,
    brokers: u32,
    groups: usize,
    found: &mut Findings,
) {
    const NAME: &str = "offsets.topic.replication.factor";
    let factor = config.offsets_topic_replication_factor;
    let is_set = given.place_of(NAME).is_some();
    if i64::from(factor) <= i64::from(brokers) || (groups == 0 && !is_set) {
        return;
    }
    let origin = if is_set { "" } else { "the default, " };
    let number = if brokers == 1 { "1 broker".into() } else { format!("{brokers} brokers") };
    let message = format!(
        "`{NAME}` is {origin}{factor}: {number} cannot keep so many copies of __consumer_offsets"
    );
    found.add(
        Problem::new(given.place_near(NAME), message)
            .label("groups could never commit (InvalidReplicationFactorException)")
            .help(format!("write `{NAME} = {brokers}` under [cluster.config]")),
    );
}

pub(super) fn topics(
    root: &mut Section<'_>,
    ignored: &[String],
    broker: Option<&BrokerConfig>,
    names: &Names,
    found: &mut Findings,
) -> IndexMap<String, TopicPlan> {
    let mut topics = IndexMap::new();
    for (entry, section) in root.each("topics", found) {
        if !legal(&entry.key) {
            let message = format!("`{}` is not a legal name of a topic", entry.key);
            found.add(
                Problem::new(entry.key_place, message)
                    .label("Kafka refuses this with InvalidTopicException")
                    .help("letters, digits, `.`, `_` and `-`, at most 249 of them"),
            );
        }
        topics.insert(entry.key.clone(), topic(section, ignored, broker, names, found));
    }
    topics
}

/// `Topic.validate`.
fn legal(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (1..=249).contains(&name.len()) && name != "." && name != ".." && name.chars().all(legal)
}

fn topic(
    mut section: Section<'_>,
    ignored: &[String],
    broker: Option<&BrokerConfig>,
    names: &Names,
    found: &mut Findings,
) -> TopicPlan {
    let replicas = replicas(&mut section, names, found);
    let partitions = section.number("partitions", 1..=MAX_PARTITIONS, found);
    if let (Some(partitions), Some(replicas)) = (partitions, &replicas)
        && replicas.len() as i64 != partitions
    {
        let message =
            format!("`partitions` is {partitions} and `replicas` has {} lists", replicas.len());
        found.add(Problem::new(section.place, message).help("leave `partitions` out"));
    }
    let listed = replicas.as_ref().map(|replicas| replicas.len() as i64);
    let usual = broker.map_or(1, |broker| i64::from(broker.num_partitions));
    let factor = factor(&mut section, broker, replicas.as_deref(), names, found);
    let given = settings::given(section.inner("config", found), Side::Topic, ignored, found);
    if let Some(broker) = broker {
        given.view(|settings| broker.topic_defaults.over(settings), found);
    }
    section.close(found);
    TopicPlan {
        partitions: partitions.or(listed).unwrap_or(usual) as u32,
        replication_factor: factor,
        replicas,
        config: given.map,
    }
}

/// How many replicas each partition has: given, or as the lists or the broker's default have it.
fn factor(
    section: &mut Section<'_>,
    broker: Option<&BrokerConfig>,
    replicas: Option<&[Vec<String>]>,
    names: &Names,
    found: &mut Findings,
) -> u32 {
    const KEY: &str = "replication-factor";
    let given = section.number(KEY, 1..=i64::from(i16::MAX), found);
    let place = section.entry(KEY).map(|entry| entry.node.place);
    if let Some(replicas) = replicas {
        let listed = replicas.first().map_or(1, Vec::len) as i64;
        if let (Some(factor), Some(place)) = (given, place)
            && factor != listed
        {
            let message = format!("`{KEY}` is {factor} and `replicas` lists {listed}");
            found.add(Problem::new(place, message).help(format!("leave `{KEY}` out")));
        }
        return listed as u32;
    }
    let usual = broker.map_or(1, |broker| i64::from(broker.default_replication_factor));
    let factor = given.unwrap_or(usual);
    let brokers = names.brokers;
    if factor > brokers {
        let origin = if given.is_some() { KEY } else { "default.replication.factor" };
        let brokers = if brokers == 1 { "1 broker".into() } else { format!("{brokers} brokers") };
        let message = format!("`{origin}` is {factor}: {brokers} cannot keep so many copies");
        found.add(
            Problem::new(place.unwrap_or(section.place), message)
                .label("Kafka refuses this with InvalidReplicationFactorException"),
        );
    }
    factor as u32
}

/// One list of brokers per partition.
fn replicas(
    section: &mut Section<'_>,
    names: &Names,
    found: &mut Findings,
) -> Option<Vec<Vec<String>>> {
    let lists = section.nodes("replicas", "a list of lists of brokers", found)?;
    if lists.is_empty() || lists.len() as i64 > MAX_PARTITIONS {
        let message =
            format!("`replicas` needs a list for each of 1 to {MAX_PARTITIONS} partitions");
        found.add(Problem::new(section.place, message));
    }
    let brokers: Vec<_> = names.first_brokers().collect();
    let placed: Vec<_> = lists.iter().map(|node| placed(node, &brokers, found)).collect();
    let first = placed.first().map_or(0, Vec::len);
    if let Some(other) = placed.iter().position(|list| list.len() != first) {
        let (one, two) = (first, placed[other].len());
        let message =
            format!("partition 0 has {one} replicas here and partition {other} has {two}");
        found.add(
            Problem::new(lists[other].place, message)
                .label("Kafka refuses this with InvalidReplicaAssignmentException"),
        );
    }
    Some(placed)
}

/// The replicas of one partition: brokers, each once.
pub(super) fn placed(node: &Node, brokers: &[String], found: &mut Findings) -> Vec<String> {
    let Value::List(list) = &node.value else {
        found.add(wrong_kind(node.place, "a list of brokers", &node.value));
        return Vec::new();
    };
    if list.is_empty() {
        found.add(Problem::new(node.place, "a partition needs a replica").help("name a broker"));
    }
    let mut replicas: Vec<String> = Vec::new();
    for node in list {
        let Some(name) = text(node, found) else { continue };
        if !brokers.iter().any(|broker| broker == name) {
            let message = format!("there is no broker `{name}`");
            let help = format!("the brokers are {}", brokers.join(", "));
            found.add(Problem::new(node.place, message).help(help));
        } else if replicas.iter().any(|replica| replica == name) {
            let message =
                format!("`{name}` is named twice: a broker keeps one copy of a partition");
            found.add(
                Problem::new(node.place, message)
                    .label("Kafka refuses this with InvalidReplicaAssignmentException"),
            );
        }
        replicas.push(name.to_owned());
    }
    replicas
}
