//! Partitions with replicas in the story: who leads since which epoch, who is in sync, how far each log
//! reached, and what a follower had to cut off.
//!
//! The cluster's own topics are left out: their elections come along with everybody else's.

use std::{collections::BTreeMap, sync::Arc};

use super::{super::look::Tone, beat::Beat};
use crate::{
    kafka::types::{Offset, TopicPartition},
    testbed::history::{ElectionKind, Event, EventId, EventKind, NodeName},
};

/// Topics with more partitions are not told one by one as they are created.
const TOLD_AT_CREATION: u32 = 4;

/// A partition as it stands.
#[derive(Debug, Default)]
struct Copies {
    replicas: Vec<NodeName>,
    leader: Option<NodeName>,
    epoch: i32,
    isr: Vec<NodeName>,
    ends: BTreeMap<NodeName, Offset>,
    high_watermarks: BTreeMap<NodeName, Offset>,
}

/// Who has what of each partition with more replicas than one.
#[derive(Debug, Default)]
pub(super) struct Replicas {
    partitions: BTreeMap<TopicPartition, Copies>,
    /// The last change of an ISR: its beat, and the partition epoch it came with.
    isr_told: Option<(usize, TopicPartition, i32)>,
}

/// What an event is to the story.
pub(super) enum Told {
    Beat(Beat),
    /// The same, instead of an earlier beat.
    Instead(usize, Beat),
    Nothing,
}

impl Replicas {
    /// Takes the event in; `next` is the place its beat would have. `partitions` counts a topic's.
    pub fn hear(&mut self, event: &Event, next: usize, partitions: &dyn Fn(&str) -> u32) -> Told {
        if let EventKind::PartitionCreated { partition, replicas, leader, isr, epoch, .. } =
            &event.kind
            && replicas.len() > 1
            && !partition.topic.as_str().starts_with("__")
        {
            let copies = Copies {
                replicas: replicas.clone(),
                leader: leader.clone(),
                epoch: *epoch,
                isr: isr.clone(),
                ..Copies::default()
            };
            self.partitions.insert(partition.clone(), copies);
            let Some(leader) = leader else { return Told::Nothing };
            if partitions(partition.topic.as_str()) > TOLD_AT_CREATION {
                return Told::Nothing;
            }
            let text = format!("{partition}, epoch {epoch}; ISR {}", set(isr));
            return Told::Beat(beat(event, leader, "▶ leads", text).tone(Tone::Accent).notable());
        }
        let Some(partition) = partition_of(&event.kind) else { return Told::Nothing };
        let Some(copies) = self.partitions.get_mut(partition) else { return Told::Nothing };
        copies.move_ends(event);
        match &event.kind {
            EventKind::IsrShrunk { isr, was, partition_epoch, .. }
            | EventKind::IsrGrown { isr, was, partition_epoch, .. } => {
                let (tone, isr) = (tone(isr, was), isr.clone());
                let text = format!("{partition}: {} → {}", set(was), set(&isr));
                let node = copies.leader.clone().unwrap_or_else(trial);
                copies.isr = isr;
                self.isr_told = Some((next, partition.clone(), *partition_epoch));
                Told::Beat(beat(event, &node, "ISR", text).tone(tone).notable())
            }
            EventKind::Elected { leader, was, epoch, how, partition_epoch, .. } => {
                copies.leader.clone_from(leader);
                copies.epoch = *epoch;
                if leader == was {
                    return Told::Nothing;
                }
                let beat = copies.elected(event, partition, was.as_ref(), *how);
                match self.isr_told.take() {
                    Some((place, of, with)) if of == *partition && with == *partition_epoch => {
                        Told::Instead(place, beat)
                    }
                    _ => Told::Beat(beat),
                }
            }
            EventKind::ReplicasChanged { replicas, .. } => {
                copies.replicas.clone_from(replicas);
                let node = copies.leader.clone().unwrap_or_else(trial);
                let text = format!("{partition} to {}", set(replicas));
                Told::Beat(beat(event, &node, "assigned", text).notable())
            }
            EventKind::LogTruncated { from, to, .. } if from > to => {
                Told::Beat(copies.cut(event, partition, *from, *to))
            }
            _ => Told::Nothing,
        }
    }

    /// How the partitions that a broker leads stand.
    pub fn led_by(&self, broker: &NodeName) -> Vec<String> {
        let led =
            self.partitions.iter().filter(|(_, copies)| copies.leader.as_ref() == Some(broker));
        led.map(|(partition, copies)| copies.standing(partition)).collect()
    }
}

impl Copies {
    fn move_ends(&mut self, event: &Event) {
        let end = match &event.kind {
            EventKind::Appended { base_offset, records, .. }
            | EventKind::Replicated { base_offset, records, .. } => {
                *base_offset + i64::from(*records)
            }
            EventKind::LogTruncated { to, .. } => *to,
            EventKind::LogRestarted { at, .. } => *at,
            EventKind::LogRecovered { end, .. } => *end,
            EventKind::HighWatermark { offset, .. } => {
                self.high_watermarks.insert(event.node.clone(), *offset);
                return;
            }
            _ => return,
        };
        self.ends.insert(event.node.clone(), end);
    }

    fn end_of(&self, node: &NodeName) -> Offset {
        self.ends.get(node).copied().unwrap_or(Offset(0))
    }

    fn elected(
        &self,
        event: &Event,
        partition: &TopicPartition,
        was: Option<&NodeName>,
        how: ElectionKind,
    ) -> Beat {
        let Some(leader) = &self.leader else {
            let text = format!(
                "{partition}, epoch {}: nobody alive is known to have everything; ISR {}",
                self.epoch,
                set(&self.isr)
            );
            return beat(event, &trial(), "✗ leaderless", text).tone(Tone::Bad).notable();
        };
        let mut text =
            format!("{partition}, epoch {} from offset {} on", self.epoch, self.end_of(leader));
        if let Some(was) = was {
            text.push_str(&format!(", after {was}"));
        }
        let mut tone = Tone::Accent;
        if how == ElectionKind::Unclean {
            text.push_str("; an unclean election: it may lack what was acknowledged");
            tone = Tone::Bad;
        }
        text.push_str(&format!("; ISR {}", set(&self.isr)));
        beat(event, leader, "▶ leads", text).tone(tone).notable()
    }

    fn cut(&self, event: &Event, partition: &TopicPartition, from: Offset, to: Offset) -> Beat {
        let range = match from - to {
            1 => format!("{partition}@{to}"),
            _ => format!("{partition}@{to}..{}", from.0 - 1),
        };
        let whose = match &self.leader {
            Some(leader) if *leader != event.node => {
                format!(": not in the log of {leader}, who leads in epoch {}", self.epoch)
            }
            _ => String::new(),
        };
        beat(event, &event.node, "✗ cuts off", range + &whose).tone(Tone::Bad).notable()
    }

    /// `orders-0: epoch 0, ISR {b1,b2,b3}, high watermark 10; logs end at b1 25, b2 11, b3 11`
    fn standing(&self, partition: &TopicPartition) -> String {
        let leader = self.leader.as_ref();
        let high_watermark = leader.and_then(|leader| self.high_watermarks.get(leader));
        let ends = self.replicas.iter().map(|node| format!("{node} {}", self.end_of(node)));
        format!(
            "{partition}: epoch {}, ISR {}, high watermark {}; logs end at {}",
            self.epoch,
            set(&self.isr),
            high_watermark.copied().unwrap_or(Offset(0)),
            ends.collect::<Vec<_>>().join(", ")
        )
    }
}

fn beat(event: &Event, node: &NodeName, word: &str, text: String) -> Beat {
    Beat::new(event.id, event.at, node, word, text)
}

fn trial() -> NodeName {
    Arc::from("trial")
}

fn tone(isr: &[NodeName], was: &[NodeName]) -> Tone {
    if isr.len() < was.len() { Tone::Doubt } else { Tone::Good }
}

fn set(names: &[NodeName]) -> String {
    format!("{{{}}}", names.join(","))
}

fn partition_of(kind: &EventKind) -> Option<&TopicPartition> {
    match kind {
        EventKind::Appended { partition, .. }
        | EventKind::Replicated { partition, .. }
        | EventKind::HighWatermark { partition, .. }
        | EventKind::LogTruncated { partition, .. }
        | EventKind::LogRestarted { partition, .. }
        | EventKind::LogRecovered { partition, .. }
        | EventKind::IsrShrunk { partition, .. }
        | EventKind::IsrGrown { partition, .. }
        | EventKind::ReplicasChanged { partition, .. }
        | EventKind::Elected { partition, .. } => Some(partition),
        _ => None,
    }
}

/// Links that one step cut, slowed or mended at once, as one line: `delay by 2s b1 <-> b2, b1 <-> b3`.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// By step, word and time: the beat, and what it tells of.
    told: BTreeMap<(EventId, &'static str, u64), (usize, Vec<String>)>,
}

impl Links {
    /// The text of the beat at that place, if this is one more link of the same.
    pub fn more(
        &mut self,
        event: &Event,
        word: &'static str,
        what: &str,
        next: usize,
    ) -> Option<(usize, String)> {
        let key = (event.cause?, word, event.at);
        let (place, all) = self.told.entry(key).or_insert((next, Vec::new()));
        all.push(what.to_owned());
        (all.len() > 1).then(|| (*place, joined(all)))
    }
}

/// Links named before the rest is counted.
const NAMED_LINKS: usize = 4;

/// `["sever b1 -> b2", "sever b2 -> b1"]` as `sever b1 <-> b2`.
fn joined(all: &[String]) -> String {
    let mut lead = "";
    let mut links: Vec<(&str, &str, &str)> = Vec::new();
    for what in all {
        let Some((head, to)) = what.split_once(" -> ") else { return all.join(", ") };
        let (before, from) = head.rsplit_once(' ').unwrap_or(("", head));
        lead = before;
        match links.iter_mut().find(|(a, _, b)| (*a, *b) == (to, from)) {
            Some(link) => link.1 = "<->",
            None => links.push((from, "->", to)),
        }
    }
    let named =
        links.iter().take(NAMED_LINKS).map(|(from, arrow, to)| format!("{from} {arrow} {to}"));
    let mut text = named.collect::<Vec<_>>().join(", ");
    if links.len() > NAMED_LINKS {
        text.push_str(&format!(" and {} more links", links.len() - NAMED_LINKS));
    }
    format!("{lead} {text}").trim_start().to_owned()
}
