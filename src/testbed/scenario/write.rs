//! A plan as a scenario file: how campaigns keep what they find. Loading the text gives the plan again.

use std::fmt::{Display, Write};

use super::words::Named;
use crate::kafka::behaviour::Behaviour;
use crate::testbed::plan::{
    Action, App, ClientFlavour, Comparison, ConfigMap, Controllers, End, Expectation, GroupPlan,
    Link, Links, NodeRef, Plan, ProducerPlan, ReaderPlan, SeekTo, Span, SpanRange, SpanShape,
    Start, Step, Tolerance, TopicPlan, Trigger,
};

/// The file's text.
pub fn to_toml(plan: &Plan) -> String {
    let mut page = Page(String::new());
    page.line("scenario", 1);
    page.line("title", text(&plan.title));
    page.line("kafka", text(&plan.kafka));
    if !plan.ignored.is_empty() {
        page.line("ignored", texts(&plan.ignored));
    }
    page.header("[run]");
    page.line("seed", plan.run.seed);
    page.line(
        "end",
        match plan.run.end {
            End::Quiet => text("quiet"),
            End::At(end) => span(end),
        },
    );
    page.line("limit", span(plan.run.limit));
    page.header("[network]");
    page.line("latency", range(&plan.network.latency));
    page.line("loss", float(plan.network.loss));
    page.header("[cluster]");
    page.line("brokers", plan.cluster.brokers);
    page.line(
        "controllers",
        match plan.cluster.controllers {
            Controllers::Combined(count) => count.to_string(),
            Controllers::Apart(count) => format!("{{ apart = {count} }}"),
        },
    );
    if !plan.cluster.racks.is_empty() {
        page.line("racks", texts(&plan.cluster.racks));
    }
    page.config("cluster", &plan.cluster.config);
    if plan.behaviour != Behaviour::default() {
        page.header("[behaviour]");
        plan.behaviour.changed().for_each(|(key, value)| page.line(key.key, text(value.name)));
    }
    plan.topics.iter().for_each(|(name, topic)| page.topic(name, topic));
    plan.producers.iter().for_each(|(name, producer)| page.producer(name, producer));
    plan.groups.iter().for_each(|(name, group)| page.group(name, group));
    plan.readers.iter().for_each(|(name, reader)| page.reader(name, reader));
    plan.steps.iter().for_each(|step| page.step(step));
    plan.expectations.iter().for_each(|expectation| page.expectation(expectation));
    page.0
}

struct Page(String);

impl Page {
    fn header(&mut self, header: &str) {
        self.write(format_args!("\n{header}\n"));
    }

    fn line(&mut self, key: &str, value: impl Display) {
        self.write(format_args!("{key} = {value}\n"));
    }

    fn maybe(&mut self, key: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.line(key, value);
        }
    }

    fn write(&mut self, written: std::fmt::Arguments<'_>) {
        self.0.write_fmt(written).expect("a string takes any text");
    }

    fn config(&mut self, owner: &str, config: &ConfigMap) {
        if config.is_empty() {
            return;
        }
        self.header(&format!("[{owner}.config]"));
        for (name, value) in config {
            self.line(name, setting(value));
        }
    }

    fn topic(&mut self, name: &str, topic: &TopicPlan) {
        let owner = format!("topics.{}", key(name));
        self.header(&format!("[{owner}]"));
        self.line("partitions", topic.partitions);
        match &topic.replicas {
            Some(replicas) => {
                let lists: Vec<_> = replicas.iter().map(|brokers| texts(brokers)).collect();
                self.line("replicas", format!("[{}]", lists.join(", ")));
            }
            None => self.line("replication-factor", topic.replication_factor),
        }
        self.config(&owner, &topic.config);
    }

    fn producer(&mut self, name: &str, producer: &ProducerPlan) {
        let owner = format!("producers.{}", key(name));
        self.header(&format!("[{owner}]"));
        self.line("topic", text(&producer.topic));
        self.line("records", producer.records);
        self.line("every", range(&producer.every));
        self.maybe("key", producer.key.as_ref().map(|key| text(&key.0)));
        self.line("value", text(&producer.value.0));
        self.maybe("partition", producer.partition);
        self.client_and_start(producer.client, &producer.start);
        self.header(&format!("[{owner}.app]"));
        self.line("flush", producer.app.flush);
        self.line("await", text(producer.app.await_send.name()));
        self.line("on-error", text(producer.app.on_error.name()));
        self.line("exit", text(producer.app.exit.name()));
        self.config(&owner, &producer.config);
    }

    fn group(&mut self, name: &str, group: &GroupPlan) {
        let owner = format!("groups.{}", key(name));
        self.header(&format!("[{owner}]"));
        self.line("topics", texts(&group.topics));
        let short = |member: &String| {
            let prefix = format!("{name}/");
            member.strip_prefix(&prefix).unwrap_or(member).to_owned()
        };
        let members: Vec<String> = group.members.iter().map(short).collect();
        let counted = (1..=members.len()).map(|number| number.to_string());
        if counted.eq(members.iter().cloned()) {
            self.line("members", members.len());
        } else {
            self.line("members", texts(&members));
        }
        self.client_and_start(group.client, &group.start);
        self.app(&owner, &group.app);
        self.config(&owner, &group.config);
    }

    fn reader(&mut self, name: &str, reader: &ReaderPlan) {
        let owner = format!("readers.{}", key(name));
        self.header(&format!("[{owner}]"));
        self.line("assign", texts(&reader.assign));
        if !reader.seek.is_empty() {
            let one = |(partition, to): (&_, &SeekTo)| {
                let to = match to {
                    SeekTo::Beginning => text("beginning"),
                    SeekTo::End => text("end"),
                    SeekTo::Offset(offset) => offset.to_string(),
                };
                format!("{} = {to}", text(partition))
            };
            let seek: Vec<_> = reader.seek.iter().map(one).collect();
            self.line("seek", format!("{{ {} }}", seek.join(", ")));
        }
        self.maybe("group-id", reader.group_id.as_ref().map(text));
        self.client_and_start(reader.client, &reader.start);
        self.app(&owner, &reader.app);
        self.config(&owner, &reader.config);
    }

    fn client_and_start(&mut self, client: ClientFlavour, start: &Start) {
        self.line("client", text(client.name()));
        let start = match start {
            Start::At(at) => span(*at),
            Start::ByStep => text("by-step"),
            Start::When { event, of, count } => {
                let event = text(event.name());
                format!("{{ when = {event}, of = {}, count = {count} }}", text(of))
            }
        };
        self.line("start", start);
    }

    fn app(&mut self, owner: &str, app: &App) {
        self.header(&format!("[{owner}.app]"));
        let steps: Vec<_> = app.steps.iter().map(Named::name).collect();
        self.line("loop", texts(&steps));
        self.line("process", range(&app.process));
        if app.workers != 1 {
            self.line("workers", app.workers);
        }
        self.line("effect", text(app.effect.name()));
        self.line("on-error", text(app.on_error.name()));
    }

    fn step(&mut self, step: &Step) {
        self.header("[[step]]");
        self.maybe("id", step.id.as_ref().map(text));
        match &step.trigger {
            Trigger::At(at) => self.line("at", span(*at)),
            Trigger::When { event, of, record, count, after } => {
                self.line("when", text(event.name()));
                self.maybe("of", of.as_ref().map(text));
                self.maybe("record", record.as_ref().map(text));
                self.line("count", count);
                self.maybe("after", after.as_ref().map(text));
            }
            Trigger::After { step, wait } => {
                self.line("after", text(step));
                self.line("wait", span(*wait));
            }
        }
        self.action(&step.action);
        self.maybe("say", step.say.as_ref().map(text));
    }

    fn action(&mut self, action: &Action) {
        self.line("do", text(verb(action)));
        match action {
            Action::Crash { node }
            | Action::PowerLoss { node }
            | Action::Restart { node }
            | Action::ShutDown { node }
            | Action::Resume { node }
            | Action::Throw { node }
            | Action::WipeDisk { node }
            | Action::HealDisk { node } => self.line("node", node_text(node)),
            Action::Pause { node, lasts }
            | Action::FullDisk { node, lasts }
            | Action::LyingDisk { node, lasts } => {
                self.line("node", node_text(node));
                self.maybe("for", lasts.map(span));
            }
            Action::Stall { node, lasts } => {
                self.line("node", node_text(node));
                self.line("for", span(*lasts));
            }
            Action::SlowDisk { node, by, lasts } => {
                self.line("node", node_text(node));
                self.line("by", span(*by));
                self.maybe("for", lasts.map(span));
            }
            Action::Skew { node, by_ms } => {
                self.line("node", node_text(node));
                let sign = if *by_ms < 0 { "-" } else { "" };
                let by = Span::from_millis(by_ms.unsigned_abs());
                self.line("by", text(format!("{sign}{by}")));
            }
            Action::Start { actor } | Action::Stop { actor } => self.line("actor", text(actor)),
            Action::Reset { links } | Action::Heal { links } => self.links(links),
            Action::Sever { links, lasts } | Action::Hold { links, lasts } => {
                self.links(links);
                self.maybe("for", lasts.map(span));
            }
            Action::Delay { links, by, lasts } => {
                self.links(links);
                self.line("by", span(*by));
                self.maybe("for", lasts.map(span));
            }
            Action::Note => {}
            order => self.order(order),
        }
    }

    /// What an operator does.
    fn order(&mut self, order: &Action) {
        match order {
            Action::CreateTopic { topic, partitions, replication_factor } => {
                self.line("topic", text(topic));
                self.line("partitions", partitions);
                self.maybe("replication-factor", *replication_factor);
            }
            Action::DeleteTopic { topic } => self.line("topic", text(topic)),
            Action::AddPartitions { topic, partitions } => {
                self.line("topic", text(topic));
                self.line("partitions", partitions);
            }
            Action::AlterConfig { topic, config } => {
                self.line("topic", text(topic));
                for (name, value) in config {
                    self.line(&format!("config.{name}"), setting(value));
                }
            }
            Action::Reassign { partition, replicas } => {
                self.line("partition", text(partition));
                self.line("replicas", texts(replicas));
            }
            Action::CancelReassignment { partition } => self.line("partition", text(partition)),
            Action::Elect { partition, election } => {
                self.maybe("partition", partition.as_ref().map(text));
                self.line("election", text(election.name()));
            }
            Action::AddBroker { broker, rack } => {
                self.line("node", text(broker));
                self.maybe("rack", rack.as_ref().map(text));
            }
            // The others are faults, and acts of applications.
            _ => {}
        }
    }

    fn links(&mut self, links: &Links) {
        match links {
            Links::All => self.line("links", text("all")),
            Links::Of(node) => self.line("node", node_text(node)),
            Links::Some(links) => {
                let link = |link: &Link| {
                    let arrow = if link.both_ways { "<->" } else { "->" };
                    format!("{} {arrow} {}", link.from, link.to)
                };
                let links: Vec<_> = links.iter().map(link).collect();
                self.line("links", texts(&links));
            }
        }
    }

    fn expectation(&mut self, expectation: &Expectation) {
        self.header("[[expect]]");
        match expectation {
            Expectation::Guarantee { guarantee, of, verdict, records, count, cause, over, say } => {
                self.line("guarantee", text(guarantee.name()));
                self.line("of", text(of));
                self.line("verdict", text(verdict.name()));
                self.maybe("records", records.as_ref().map(|records| texts(records)));
                self.maybe("count", count.as_ref().map(comparison));
                self.maybe("cause", cause.map(|cause| text(cause.name())));
                self.over(*over);
                self.maybe("say", say.as_ref().map(text));
            }
            Expectation::Fact { fact, of, name, is, after, over, say } => {
                self.line("fact", text(fact.name()));
                self.line("of", text(of));
                self.maybe("name", name.as_ref().map(text));
                self.line("is", comparison(is));
                self.maybe("after", after.as_ref().map(text));
                self.over(*over);
                self.maybe("say", say.as_ref().map(text));
            }
        }
    }

    fn over(&mut self, over: Tolerance) {
        match over {
            Tolerance::EverySeed => {}
            Tolerance::SomeSeed => self.line("over", text("some-seed")),
            Tolerance::Rate(share) => self.line("over", text(format!("rate >= {share}"))),
        }
    }
}

fn verb(action: &Action) -> &'static str {
    use super::words::Verb;
    let verb = match action {
        Action::Crash { .. } => Verb::Crash,
        Action::PowerLoss { .. } => Verb::PowerLoss,
        Action::Restart { .. } => Verb::Restart,
        Action::Pause { .. } => Verb::Pause,
        Action::Resume { .. } => Verb::Resume,
        Action::Stall { .. } => Verb::Stall,
        Action::Throw { .. } => Verb::Throw,
        Action::Start { .. } => Verb::Start,
        Action::Stop { .. } | Action::ShutDown { .. } => Verb::Stop,
        Action::Sever { .. } => Verb::Sever,
        Action::Hold { .. } => Verb::Hold,
        Action::Delay { .. } => Verb::Delay,
        Action::Reset { .. } => Verb::Reset,
        Action::Heal { .. } => Verb::Heal,
        Action::SlowDisk { .. } => Verb::SlowDisk,
        Action::FullDisk { .. } => Verb::FullDisk,
        Action::LyingDisk { .. } => Verb::LyingDisk,
        Action::WipeDisk { .. } => Verb::WipeDisk,
        Action::HealDisk { .. } => Verb::HealDisk,
        Action::Skew { .. } => Verb::Skew,
        Action::CreateTopic { .. } => Verb::CreateTopic,
        Action::DeleteTopic { .. } => Verb::DeleteTopic,
        Action::AddPartitions { .. } => Verb::AddPartitions,
        Action::AlterConfig { .. } => Verb::AlterConfig,
        Action::Reassign { .. } => Verb::Reassign,
        Action::CancelReassignment { .. } => Verb::CancelReassignment,
        Action::Elect { .. } => Verb::Elect,
        Action::AddBroker { .. } => Verb::AddBroker,
        Action::Note => Verb::Note,
    };
    verb.name()
}

fn node_text(node: &NodeRef) -> String {
    text(node)
}

/// A text as TOML writes it, with its quotes.
fn text(text: impl Display) -> String {
    toml::Value::String(text.to_string()).to_string()
}

fn texts<T: Display>(list: &[T]) -> String {
    let list: Vec<_> = list.iter().map(text).collect();
    format!("[{}]", list.join(", "))
}

fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { text(name) }
}

/// Numbers, true and false bare, where that reads back as the same text.
fn setting(value: &str) -> String {
    let number = value.parse::<i64>().is_ok_and(|number| number.to_string() == value);
    if number || value == "true" || value == "false" { value.to_owned() } else { text(value) }
}

fn span(span: Span) -> String {
    text(span)
}

fn range(range: &SpanRange) -> String {
    match range.shape {
        SpanShape::Uniform => text(range),
        SpanShape::Exponential => {
            let (min, max) = (span(range.min), span(range.max));
            format!("{{ min = {min}, max = {max}, shape = {} }}", text(range.shape.name()))
        }
    }
}

fn float(number: f64) -> String {
    toml::Value::Float(number).to_string()
}

fn comparison(comparison: &Comparison) -> String {
    match comparison {
        Comparison::Equal(value) => text(format!("= {value}")),
        Comparison::AtLeast(value) => text(format!(">= {value}")),
        Comparison::AtMost(value) => text(format!("<= {value}")),
    }
}
