//! Producers, groups and readers.

use indexmap::IndexMap;

use super::{
    cluster,
    names::{Names, Subject, members, partition},
    references::References,
    section::{Findings, SPAN, Section, number, parsed, text, word, wrong_kind},
    settings,
    waiting::awaited,
};
use crate::{
    kafka::{
        config::{BrokerConfig, ConsumerConfig, ProducerConfig, Side},
        types::TopicPartition,
    },
    testbed::{
        plan::{
            App, AwaitSend, EffectKind, GroupPlan, LoopStep, OnError, OnSendError, ProducerApp,
            ProducerExit, ProducerPlan, ReaderPlan, SeekTo, Span, SpanRange, Start, TextTemplate,
        },
        scenario::{
            problem::Problem,
            tree::{Entry, Node, Value},
            words::{
                AWAITS, EFFECTS, EXITS, FLAVOURS, LOOP_STEPS, ON_ERRORS, ON_SEND_ERRORS, SEEKS,
            },
        },
    },
};

/// Caps, as for brokers: a trial should stay something one can look at.
const MAX_RECORDS: i64 = 1_000_000;
const MAX_MEMBERS: i64 = 64;
const MAX_WORKERS: i64 = 64;

/// What the actors of a file are decoded against.
pub(super) struct Surroundings<'n> {
    pub references: References<'n>,
    pub ignored: &'n [String],
    pub broker: Option<&'n BrokerConfig>,
}

impl Surroundings<'_> {
    fn names(&self) -> &Names {
        self.references.names
    }

    /// Why a client's own name is not the file's to choose.
    const CLIENT_ID: &'static str = "a client is called by its machine's name";

    pub(super) fn producers(
        &self,
        root: &mut Section<'_>,
        found: &mut Findings,
    ) -> IndexMap<String, ProducerPlan> {
        let mut producers = IndexMap::new();
        for (entry, section) in root.each("producers", found) {
            self.name(entry, Subject::Producer, found);
            producers.insert(entry.key.clone(), self.producer(&entry.key, section, found));
        }
        producers
    }

    pub(super) fn groups(
        &self,
        root: &mut Section<'_>,
        found: &mut Findings,
    ) -> IndexMap<String, GroupPlan> {
        let mut groups = IndexMap::new();
        for (entry, section) in root.each("groups", found) {
            self.name(entry, Subject::Group, found);
            groups.insert(entry.key.clone(), self.group(&entry.key, section, found));
        }
        groups
    }

    pub(super) fn readers(
        &self,
        root: &mut Section<'_>,
        found: &mut Findings,
    ) -> IndexMap<String, ReaderPlan> {
        let mut readers = IndexMap::new();
        for (entry, section) in root.each("readers", found) {
            self.name(entry, Subject::Reader, found);
            readers.insert(entry.key.clone(), self.reader(&entry.key, section, found));
        }
        readers
    }

    /// References must be able to tell an actor from anything else. Of two with one name the later kind
    /// is told: producers, then groups, then readers.
    fn name(&self, entry: &Entry, kind: Subject, found: &mut Findings) {
        let name = entry.key.as_str();
        let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty() || !name.chars().all(legal) {
            let message = format!("`{name}` cannot be an actor's name");
            let help = "letters, digits, `.`, `_` and `-`";
            found.add(Problem::new(entry.key_place, message).help(help));
        }
        let names = self.names();
        let taken = names.brokers().any(|broker| broker == name)
            || names.topics.contains_key(name)
            || matches!(name, "controller" | "trial" | "operator")
            || (kind != Subject::Producer && names.producers.contains_key(name))
            || (kind == Subject::Reader && names.groups.contains_key(name));
        if taken {
            let message = format!("`{name}` is the name of something else as well");
            let help = "a name stands for one machine, actor or topic";
            found.add(Problem::new(entry.key_place, message).help(help));
        }
    }

    fn producer(&self, name: &str, mut section: Section<'_>, found: &mut Findings) -> ProducerPlan {
        let topic = section.required("topic", found);
        let topic =
            topic.and_then(|entry| self.references.subject(&entry.node, &[Subject::Topic], found));
        let topic = topic.map(|(topic, _)| topic).unwrap_or_default();
        section.required("records", found);
        let mut app = section.inner("app", found);
        let plan = ProducerPlan {
            records: section.number("records", 0..=MAX_RECORDS, found).unwrap_or(0).unsigned_abs(),
            every: pace(section.entry("every"), found),
            key: section.text("key", found).map(|key| TextTemplate(key.to_owned())),
            value: TextTemplate(section.text("value", found).unwrap_or("{i}").to_owned()),
            partition: self.partition(&mut section, &topic, found),
            client: section.word("client", "client", FLAVOURS, found).unwrap_or_default(),
            start: self.start(name, &mut section, found),
            app: ProducerApp {
                flush: app.flag("flush", found).unwrap_or(true),
                await_send: app
                    .word("await", "way to wait", AWAITS, found)
                    .unwrap_or(AwaitSend::None),
                on_error: app
                    .word("on-error", "reaction", ON_SEND_ERRORS, found)
                    .unwrap_or(OnSendError::Ignore),
                exit: app.word("exit", "exit", EXITS, found).unwrap_or(ProducerExit::Close),
            },
            config: {
                let config = section.inner("config", found);
                let mut given = settings::given(config, Side::Producer, self.ignored, found);
                given.reserve("client.id", name, Self::CLIENT_ID, found);
                given.view(ProducerConfig::from_settings, found);
                given.map
            },
            topic,
        };
        app.close(found);
        section.close(found);
        plan
    }

    fn partition(
        &self,
        section: &mut Section<'_>,
        topic: &str,
        found: &mut Findings,
    ) -> Option<i32> {
        let index = section.number("partition", 0..=i64::from(i32::MAX), found)?;
        let index = i32::try_from(index).expect("it is in the range");
        let names = self.names();
        let place = section.entry("partition")?.node.place;
        if names.topics.contains_key(topic) {
            let name = TopicPartition::new(topic, index).to_string();
            self.references.check(&name, place, &[Subject::Partition], found);
        }
        Some(index)
    }

    fn group(&self, name: &str, mut section: Section<'_>, found: &mut Findings) -> GroupPlan {
        section.required("topics", found);
        let topics = section.nodes("topics", "a list of topics", found).unwrap_or_default();
        if topics.is_empty() && section.has("topics") {
            found.add(Problem::new(section.place, format!("{} reads no topic", section.name)));
        }
        let topic = |node| Some(self.references.subject(node, &[Subject::Topic], found)?.0);
        let plan = GroupPlan {
            topics: topics.iter().filter_map(topic).collect(),
            members: group_members(name, &mut section, found),
            client: section.word("client", "client", FLAVOURS, found).unwrap_or_default(),
            start: self.start(name, &mut section, found),
            app: app(section.inner("app", found), found),
            config: {
                let config = section.inner("config", found);
                let mut given = settings::given(config, Side::Consumer, self.ignored, found);
                given.reserve("client.id", name, Self::CLIENT_ID, found);
                given.reserve("group.id", name, "it is the name of the group's table", found);
                let consumer = given.view(ConsumerConfig::from_settings, found);
                if let (Some(consumer), Some(broker)) = (consumer, self.broker) {
                    session(&consumer, broker, &given, found);
                }
                given.map
            },
        };
        section.close(found);
        plan
    }

    fn reader(&self, name: &str, mut section: Section<'_>, found: &mut Findings) -> ReaderPlan {
        section.required("assign", found);
        let assign = section.nodes("assign", "a list of partitions", found).unwrap_or_default();
        let one = |node, found: &mut Findings| {
            let (name, _) = self.references.subject(node, &[Subject::Partition], found)?;
            partition(&name)
        };
        let assign: Vec<_> = assign.iter().filter_map(|node| one(node, found)).collect();
        let group_id = section.text("group-id", found).map(str::to_owned);
        let plan = ReaderPlan {
            seek: section
                .entry("seek")
                .map(|entry| seek(entry, &assign, found))
                .unwrap_or_default(),
            assign,
            client: section.word("client", "client", FLAVOURS, found).unwrap_or_default(),
            start: self.start(name, &mut section, found),
            app: app(section.inner("app", found), found),
            config: {
                let config = section.inner("config", found);
                let mut given = settings::given(config, Side::Consumer, self.ignored, found);
                given.reserve("client.id", name, Self::CLIENT_ID, found);
                let group = group_id.as_deref().unwrap_or_default();
                given.reserve("group.id", group, "write `group-id` in the reader's table", found);
                given.view(ConsumerConfig::from_settings, found);
                given.map
            },
            group_id,
        };
        section.close(found);
        plan
    }

    /// `"500ms"`, `{ when = "done", of = "shop", count = 1 }`, or `"by-step"`.
    fn start(&self, name: &str, section: &mut Section<'_>, found: &mut Findings) -> Start {
        let at_once = Start::At(Span::default());
        let Some(entry) = section.entry("start") else { return at_once };
        match &entry.node.value {
            Value::Text(text) if text == "by-step" => {
                if !self.is_started(name) {
                    let message = format!("no step starts `{name}`");
                    let help = format!("add a step with do = \"start\" and actor = \"{name}\"");
                    found.add(Problem::new(entry.node.place, message).help(help));
                }
                Start::ByStep
            }
            Value::Table(_) => {
                let mut when = Section::of(&entry.node, entry.key_place, "`start`", found);
                when.required("when", found);
                when.required("of", found);
                let awaited = awaited(&mut when, &self.references, found);
                if let Some(record) = when.entry("record") {
                    let message = "an actor's start waits for an event, not for a record";
                    found.add(Problem::new(record.place(), message).help("let a step start it"));
                }
                when.close(found);
                match awaited {
                    Some(awaited) => Start::When {
                        event: awaited.event,
                        of: awaited.of.unwrap_or_default(),
                        count: awaited.count,
                    },
                    None => at_once,
                }
            }
            _ => parsed(&entry.node, &SPAN, found).map_or(at_once, Start::At),
        }
    }

    fn is_started(&self, actor: &str) -> bool {
        let names = self.names();
        let members = names.groups.get(actor).map(Vec::as_slice).unwrap_or_default();
        names.started.contains(actor)
            || (!members.is_empty() && members.iter().all(|one| names.started.contains(one)))
    }
}

/// Time between two sends; none by default.
fn pace(entry: Option<&Entry>, found: &mut Findings) -> SpanRange {
    entry
        .and_then(|entry| cluster::range(entry, found))
        .unwrap_or(SpanRange::fixed(Span::default()))
}

fn group_members(name: &str, section: &mut Section<'_>, found: &mut Findings) -> Vec<String> {
    let entry = section.entry("members");
    if let Some(entry) = entry {
        match &entry.node.value {
            Value::List(list) => {
                if list.is_empty() || list.len() as i64 > MAX_MEMBERS {
                    let message = format!("{} members: a group has 1 to {MAX_MEMBERS}", list.len());
                    found.add(Problem::new(entry.node.place, message));
                }
                for (index, node) in list.iter().enumerate() {
                    member_name(node, &list[..index], found);
                }
            }
            _ => {
                number(&entry.node, "members", 1..=MAX_MEMBERS, found);
            }
        }
    }
    members(name, entry)
}

fn member_name(node: &Node, before: &[Node], found: &mut Findings) {
    let Some(name) = text(node, found) else { return };
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) {
        let message = format!("`{name}` cannot be a member's name");
        found.add(Problem::new(node.place, message).help("letters, digits, `.`, `_` and `-`"));
    }
    let same = |node: &&Node| matches!(&node.value, Value::Text(other) if other == name);
    if let Some(first) = before.iter().find(same) {
        let message = format!("two members are called `{name}`");
        found.add(Problem::new(node.place, message).also(first.place, "first here"));
    }
}

/// The coordinator refuses a session outside of its bounds when the member joins.
fn session(
    consumer: &ConsumerConfig,
    broker: &BrokerConfig,
    given: &settings::Given,
    found: &mut Findings,
) {
    let (min, max) = (broker.group_min_session_timeout, broker.group_max_session_timeout);
    if (min..=max).contains(&consumer.session_timeout) {
        return;
    }
    let (min, max) = (min.as_millis(), max.as_millis());
    let message = format!("the broker accepts a session.timeout.ms from {min} to {max}");
    found.add(
        Problem::new(given.place_near("session.timeout.ms"), message)
            .label("the member could never join (InvalidSessionTimeoutException)")
            .help(
                "or set group.min.session.timeout.ms, group.max.session.timeout.ms of the cluster",
            ),
    );
}

fn app(mut section: Section<'_>, found: &mut Findings) -> App {
    let steps: Vec<LoopStep> = match section.nodes("loop", "a list of steps", found) {
        None => vec![LoopStep::Poll, LoopStep::Process],
        Some(nodes) => nodes
            .iter()
            .filter_map(|node| word(node, "step of a loop", LOOP_STEPS, found))
            .collect(),
    };
    if let Some(entry) = section.entry("loop")
        && matches!(&entry.node.value, Value::List(nodes) if nodes.len() == steps.len())
        && steps.first() != Some(&LoopStep::Poll)
    {
        let message = "a loop begins with \"poll\"";
        found.add(
            Problem::new(entry.node.place, message).help("there is nothing to handle before it"),
        );
    }
    let app = App {
        process: pace(section.entry("process"), found),
        workers: section.number("workers", 1..=MAX_WORKERS, found).unwrap_or(1) as u32,
        effect: section.word("effect", "effect", EFFECTS, found).unwrap_or(EffectKind::Append),
        on_error: section.word("on-error", "reaction", ON_ERRORS, found).unwrap_or(OnError::Crash),
        steps,
    };
    if app.workers > 1
        && !app.steps.contains(&LoopStep::HandOff)
        && let Some(entry) = section.entry("workers")
    {
        let message = "`workers` has no effect: the loop hands nothing off";
        let help = "put \"hand-off\" into the loop, or remove it";
        found.add(Problem::new(entry.place(), message).help(help));
    }
    section.close(found);
    app
}

/// One place for all assigned partitions, or one for each.
fn seek(
    entry: &Entry,
    assign: &[TopicPartition],
    found: &mut Findings,
) -> IndexMap<TopicPartition, SeekTo> {
    let Value::Table(table) = &entry.node.value else {
        let to = seek_to(&entry.node, found);
        return to
            .map(|to| assign.iter().map(|one| (one.clone(), to)).collect())
            .unwrap_or_default();
    };
    let mut seek = IndexMap::new();
    for entry in &table.entries {
        let to = seek_to(&entry.node, found);
        match partition(&entry.key).filter(|partition| assign.contains(partition)) {
            Some(partition) => {
                seek.extend(to.map(|to| (partition, to)));
            }
            None => {
                let message = format!("`{}` is not assigned to this reader", entry.key);
                let assigned: Vec<_> = assign.iter().map(ToString::to_string).collect();
                let help = format!("assigned are: {}", assigned.join(", "));
                found.add(Problem::new(entry.key_place, message).help(help));
            }
        }
    }
    seek
}

fn seek_to(node: &Node, found: &mut Findings) -> Option<SeekTo> {
    match &node.value {
        Value::Integer(_) => number(node, "seek", 0..=i64::MAX, found).map(SeekTo::Offset),
        Value::Text(text) if text == SEEKS[0] => Some(SeekTo::Beginning),
        Value::Text(text) if text == SEEKS[1] => Some(SeekTo::End),
        other => {
            found.add(wrong_kind(node.place, "an offset, \"beginning\" or \"end\"", other));
            None
        }
    }
}
