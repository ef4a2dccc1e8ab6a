//! Waiting for an event: whose, of which record, the how many-th.

use super::{
    names::Subject,
    references::References,
    section::{Findings, Section},
};
use crate::testbed::{
    plan::{EventName, RecordAt},
    scenario::{
        problem::Problem,
        words::{EVENTS, Named},
    },
};

/// What is waited for.
pub(super) struct Awaited {
    pub event: EventName,
    pub of: Option<String>,
    pub record: Option<RecordAt>,
    pub count: u64,
}

/// Whom an event can happen to. Who waits for it of anybody else waits for ever.
fn reporters(event: EventName) -> &'static [Subject] {
    use Subject::{Broker, Controller, Group, Member, Partition, Producer, Reader, Topic};
    match event {
        EventName::Sent => &[Producer, Topic],
        EventName::Appended
        | EventName::Truncated
        | EventName::Elected
        | EventName::Leads
        | EventName::Replicated
        | EventName::Diverged
        | EventName::IsrChangeAsked
        | EventName::IsrShrunk
        | EventName::IsrGrown => &[Partition, Topic, Broker],
        EventName::ControllerElected => &[Broker, Controller],
        EventName::Fenced | EventName::Unfenced => &[Broker],
        EventName::Acked => &[Producer, Partition, Topic],
        EventName::Failed | EventName::Done => &[Producer],
        EventName::Polled | EventName::Committed | EventName::CommitFailed => {
            &[Group, Member, Reader]
        }
        EventName::Processing | EventName::Processed | EventName::Positioned => {
            &[Group, Member, Reader, Partition, Topic]
        }
        EventName::Joined | EventName::Left => &[Group, Member],
        EventName::Rebalanced => &[Group, Broker],
        EventName::Started => &[Broker, Controller, Producer, Group, Member, Reader],
        EventName::Error => &[Group, Member, Reader, Producer],
    }
}

fn concerns_records(event: EventName) -> bool {
    matches!(
        event,
        EventName::Appended
            | EventName::Replicated
            | EventName::Acked
            | EventName::Polled
            | EventName::Processing
            | EventName::Processed
            | EventName::Committed
            | EventName::CommitFailed
            | EventName::Error
    )
}

/// Reads `when`, `of`, `record` and `count`; `None` if `when` is not given or no event.
pub(super) fn awaited(
    section: &mut Section<'_>,
    references: &References<'_>,
    found: &mut Findings,
) -> Option<Awaited> {
    let of = section.entry("of");
    let record = section.entry("record");
    let count = section.number("count", 1..=i64::MAX, found).unwrap_or(1);
    let event = section.word("when", "event", EVENTS, found)?;
    let mut awaited = Awaited { event, of: None, record: None, count: count.unsigned_abs() };
    if let Some(entry) = of
        && let Some((name, subject)) = references.subject(&entry.node, EVERYBODY, found)
    {
        let wrong = subject.filter(|subject| !reporters(event).contains(subject));
        if let Some(subject) = wrong {
            let message = format!(
                "`{}` never happens to `{name}`, which is {}: this can never fire",
                event.name(),
                subject.word()
            );
            let kinds: Vec<_> = reporters(event).iter().map(|kind| kind.word()).collect();
            let help = format!("it happens to {}", kinds.join(", "));
            found.add(Problem::new(entry.node.place, message).help(help));
        }
        too_many(section, event, &name, count, references, found);
        awaited.of = Some(name);
    }
    if let Some(entry) = record {
        if !concerns_records(event) {
            let message = format!("`{}` does not concern single records", event.name());
            found.add(Problem::new(entry.place(), message).help("remove `record`"));
        }
        awaited.record = references.record(&entry.node, found);
    }
    Some(awaited)
}

const EVERYBODY: &[Subject] = &[
    Subject::Broker,
    Subject::Controller,
    Subject::Producer,
    Subject::Group,
    Subject::Member,
    Subject::Reader,
    Subject::Topic,
    Subject::Partition,
];

/// A producer is acknowledged no more records than it has.
fn too_many(
    section: &mut Section<'_>,
    event: EventName,
    name: &str,
    count: i64,
    references: &References<'_>,
    found: &mut Findings,
) {
    let records = references.names.producers.get(name).copied().flatten();
    if let Some(records) = records.filter(|records| *records < count && event == EventName::Acked)
        && let Some(entry) = section.entry("count")
    {
        let message =
            format!("{name} sends {records} records: the {count}th `acked` can never come");
        found.add(Problem::new(entry.node.place, message));
    }
}
