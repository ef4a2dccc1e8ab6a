//! A scenario to be tried by hand: the programs it stands for, for kafka-python against `retrial serve`.
//!
//! Faults are left to the reader's hands; what each step does and says is printed after the programs. What
//! kafka-python has no name for is left as a comment, never out.

use std::fmt::Write as _;

use super::words::action;
use crate::{
    kafka::types::TopicPartition,
    testbed::plan::{
        AwaitSend, ConfigMap, GroupPlan, LoopStep, Plan, ProducerExit, ProducerPlan, ReaderPlan,
        SeekTo, SpanRange, TextTemplate,
    },
};

const ADDRESS: &str = "127.0.0.1:9092";

/// Settings that kafka-python 3 takes under Kafka's name with `_` for `.`.
const KNOWN: &[&str] = &[
    "acks",
    "allow.auto.create.topics",
    "auto.commit.interval.ms",
    "auto.offset.reset",
    "batch.size",
    "buffer.memory",
    "check.crcs",
    "client.id",
    "compression.type",
    "connections.max.idle.ms",
    "delivery.timeout.ms",
    "enable.auto.commit",
    "enable.idempotence",
    "fetch.max.bytes",
    "fetch.max.wait.ms",
    "fetch.min.bytes",
    "group.instance.id",
    "heartbeat.interval.ms",
    "isolation.level",
    "linger.ms",
    "max.block.ms",
    "max.in.flight.requests.per.connection",
    "max.partition.fetch.bytes",
    "max.poll.interval.ms",
    "max.poll.records",
    "max.request.size",
    "metadata.max.age.ms",
    "receive.buffer.bytes",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "request.timeout.ms",
    "retries",
    "retry.backoff.ms",
    "send.buffer.bytes",
    "session.timeout.ms",
];

/// The text, with one program after each line that begins with `---`.
pub fn by_hand(plan: &Plan) -> String {
    let mut text = format!("{}: {}\n\n", plan.name, plan.title);
    let _ = writeln!(text, "By hand, with kafka-python (pip install kafka-python). The cluster:\n");
    let _ = writeln!(text, "    {}\n", serve(plan));
    text.push_str("Then each program in a terminal of its own:\n\n");
    let mut program = |name: &str, body: String| {
        let _ = writeln!(text, "--- {}.py\n{body}", name.replace('/', "-"));
    };
    program("topics", topics(plan));
    for (name, producer) in &plan.producers {
        program(name, produce(producer));
    }
    for group in plan.groups.iter() {
        for member in &group.1.members {
            program(member, consume(group.0, group.1));
        }
    }
    for (name, reader) in &plan.readers {
        program(name, read(reader));
    }
    if !plan.steps.is_empty() {
        text.push_str("--- and what happens meanwhile, by your hand\n");
        for step in &plan.steps {
            let _ = writeln!(text, "{}", action(&step.action));
            for line in step.say.as_deref().unwrap_or_default().lines() {
                let _ = writeln!(text, "    {}", line.trim());
            }
        }
    }
    text
}

fn serve(plan: &Plan) -> String {
    let mut command = "retrial serve".to_owned();
    if plan.cluster.brokers > 1 {
        let _ = write!(command, " --brokers {}", plan.cluster.brokers);
    }
    for (name, value) in &plan.cluster.config {
        let _ = write!(command, " --set {name}={value}");
    }
    command
}

fn topics(plan: &Plan) -> String {
    let mut text = format!(
        "from kafka.admin import KafkaAdminClient, NewTopic\n\n\
         admin = KafkaAdminClient(bootstrap_servers={ADDRESS:?})\n"
    );
    for (name, topic) in &plan.topics {
        let config: Vec<_> = topic.config.iter().map(|(n, v)| format!("{n:?}: {v:?}")).collect();
        let _ = writeln!(
            text,
            "admin.create_topics([NewTopic({name:?}, {}, 1, topic_configs={{{}}})])",
            topic.partitions,
            config.join(", ")
        );
    }
    text
}

/// Arguments of a client, one a line.
fn arguments(config: &ConfigMap) -> String {
    let mut text = format!("    bootstrap_servers={ADDRESS:?},\n");
    for (name, value) in config {
        let python = match value.as_str() {
            "true" => "True".to_owned(),
            "false" => "False".to_owned(),
            "-1" if name == "acks" => "\"all\"".to_owned(),
            number if number.parse::<i64>().is_ok() => number.to_owned(),
            other => format!("{other:?}"),
        };
        let _ = if KNOWN.contains(&name.as_str()) {
            writeln!(text, "    {}={python},", name.replace('.', "_"))
        } else {
            writeln!(text, "    # {name} = {value}: kafka-python has no such setting")
        };
    }
    text
}

/// The template as an expression of `i`.
fn expression(template: &TextTemplate) -> String {
    format!("f{:?}.encode()", template.0)
}

fn seconds(range: &SpanRange) -> f64 {
    range.max.0.as_secs_f64()
}

fn produce(plan: &ProducerPlan) -> String {
    let mut text = format!(
        "import time\nfrom kafka import KafkaProducer\n\nproducer = KafkaProducer(\n{})\n",
        arguments(&plan.config)
    );
    let mut sent = format!("producer.send({:?}, value={}", plan.topic, expression(&plan.value));
    if let Some(key) = &plan.key {
        let _ = write!(sent, ", key={}", expression(key));
    }
    if let Some(partition) = plan.partition {
        let _ = write!(sent, ", partition={partition}");
    }
    let wait = if plan.app.await_send == AwaitSend::Each { ".get()" } else { "" };
    let _ = writeln!(text, "for i in range({}):\n    {sent}){wait}", plan.records);
    let _ = writeln!(text, "    time.sleep({})", seconds(&plan.every));
    if plan.app.flush {
        text.push_str("producer.flush()\n");
    }
    text.push_str(match plan.app.exit {
        ProducerExit::Close => "producer.close()\n",
        ProducerExit::Abandon => "import os; os._exit(1)  # no flush(), no close()\n",
    });
    text
}

fn consume(group: &str, plan: &GroupPlan) -> String {
    let names: Vec<_> = plan.topics.iter().map(|topic| format!("{topic:?}")).collect();
    let start =
        format!("consumer = KafkaConsumer(\n    {},\n    group_id={group:?},\n", names.join(", "));
    consumer(&start, &plan.config, "", &plan.app.steps, &plan.app.process)
}

fn read(plan: &ReaderPlan) -> String {
    let start = match &plan.group_id {
        Some(group) => format!("consumer = KafkaConsumer(\n    group_id={group:?},\n"),
        None => "consumer = KafkaConsumer(\n".to_owned(),
    };
    let partition =
        |p: &TopicPartition| format!("TopicPartition({:?}, {})", p.topic.as_str(), p.partition);
    let assigned: Vec<_> = plan.assign.iter().map(partition).collect();
    let mut placed = format!("consumer.assign([{}])\n", assigned.join(", "));
    for (at, seek) in &plan.seek {
        let at = partition(at);
        let _ = match seek {
            SeekTo::Beginning => writeln!(placed, "consumer.seek_to_beginning({at})"),
            SeekTo::End => writeln!(placed, "consumer.seek_to_end({at})"),
            SeekTo::Offset(offset) => writeln!(placed, "consumer.seek({at}, {offset})"),
        };
    }
    consumer(&start, &plan.config, &placed, &plan.app.steps, &plan.app.process)
}

fn consumer(
    start: &str,
    config: &ConfigMap,
    placed: &str,
    steps: &[LoopStep],
    process: &SpanRange,
) -> String {
    let mut text = format!(
        "import time\nfrom kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition\n\n\
         {start}{})\n{placed}\n\
         def process(record):\n    \
             time.sleep({})\n    \
             print(f\"{{record.topic}}-{{record.partition}}@{{record.offset}}\", record.key, record.value)\n\n\
         while True:\n",
        arguments(config),
        seconds(process),
    );
    for step in steps {
        text.push_str(match step {
            LoopStep::Poll => {
                "    batch = [r for records in consumer.poll(1000).values() for r in records]\n"
            }
            LoopStep::Process => "    for record in batch:\n        process(record)\n",
            LoopStep::Commit => "    if batch:\n        consumer.commit()\n",
            LoopStep::CommitAsync => "    if batch:\n        consumer.commit_async()\n",
            LoopStep::ProcessThenCommit => {
                "    for record in batch:\n        process(record)\n        consumer.commit()\n"
            }
            LoopStep::ProcessThenCommitRecord => concat!(
                "    for record in batch:\n",
                "        process(record)\n",
                "        done = TopicPartition(record.topic, record.partition)\n",
                "        consumer.commit({done: OffsetAndMetadata(record.offset + 1, \"\", -1)})\n",
            ),
            LoopStep::HandOff => "    # give the batch to threads of your own and go on\n",
        });
    }
    text
}
