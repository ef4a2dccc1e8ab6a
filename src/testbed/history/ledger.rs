//! The three ledgers of a group: what was delivered, processed and shows an effect, per record.

use std::{collections::BTreeMap, sync::Arc};

use super::{EventId, EventKind, History};
use crate::kafka::types::{Offset, TopicPartition};

/// What became of one record in one group: the events that say so, in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Entry {
    pub delivered: Vec<EventId>,
    pub processed: Vec<EventId>,
    pub effects: Vec<EventId>,
}

/// Ledgers of every group and reader, by partition and offset.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Ledgers {
    groups: BTreeMap<Arc<str>, BTreeMap<TopicPartition, BTreeMap<Offset, Entry>>>,
}

impl Ledgers {
    /// One pass over the history.
    pub fn of(history: &History) -> Self {
        let group_of: BTreeMap<&str, &Arc<str>> = history
            .setup
            .groups
            .iter()
            .flat_map(|(name, group)| group.members.iter().map(move |member| (&**member, name)))
            .collect();
        let mut ledgers = Ledgers::default();
        for event in history.events.iter().filter(|event| is_entry(&event.kind)) {
            let Some(group) = group_of.get(&*event.node) else { continue };
            let partitions = ledgers.groups.entry(Arc::clone(group)).or_default();
            let mut entry =
                |partition: &TopicPartition, offset: Offset, write: fn(&mut Entry, EventId)| {
                    if !partitions.contains_key(partition) {
                        partitions.insert(partition.clone(), BTreeMap::new());
                    }
                    let offsets = partitions.get_mut(partition).expect("inserted above");
                    write(offsets.entry(offset).or_default(), event.id);
                };
            match &event.kind {
                EventKind::Polled { records } => {
                    for record in records {
                        entry(&record.partition, record.offset, |e, id| e.delivered.push(id));
                    }
                }
                EventKind::Processed { partition, offset, .. } => {
                    entry(partition, *offset, |e, id| e.processed.push(id));
                }
                EventKind::Effect { partition, offset, .. } => {
                    entry(partition, *offset, |e, id| e.effects.push(id));
                }
                _ => {}
            }
        }
        ledgers
    }

    /// A group's entries; nothing if it never polled a record.
    pub fn group(&self, group: &str) -> Option<&BTreeMap<TopicPartition, BTreeMap<Offset, Entry>>> {
        self.groups.get(group)
    }

    pub fn entry(&self, group: &str, partition: &TopicPartition, offset: Offset) -> Option<&Entry> {
        self.groups.get(group)?.get(partition)?.get(&offset)
    }
}

/// Few events are of a ledger, and finding out whose they are costs a look-up each.
fn is_entry(kind: &EventKind) -> bool {
    use EventKind::{Effect, Polled, Processed};
    matches!(kind, Polled { .. } | Processed { .. } | Effect { .. })
}
