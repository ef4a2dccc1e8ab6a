//! What goes on undisturbed and is told as one line: a producer's sends, a consumer's rounds.

use indexmap::IndexMap;

use super::{
    super::{
        look::Tone,
        words::{self, Naming, Places},
    },
    beat::Beat,
};
use crate::{
    kafka::types::{Offset, TopicPartition},
    testbed::history::{Event, EventId, NodeName, OffsetReach, RecordId},
};

/// Several like happenings with one text: errors, retries, failed sends.
#[derive(Debug)]
struct Repeated {
    first: EventId,
    at: u64,
    until: u64,
    times: usize,
    from: Option<RecordId>,
    to: Option<RecordId>,
}

/// A producer's sends since the last disturbance.
#[derive(Debug, Default)]
pub(super) struct Sends {
    begin: Option<(EventId, u64)>,
    until: u64,
    sent: usize,
    acked: usize,
    acked_until: u64,
    /// By (tone, word, error).
    troubles: IndexMap<(&'static str, String), Repeated>,
}

impl Sends {
    pub fn sent(&mut self, event: &Event) {
        self.touch(event);
        self.sent += 1;
    }

    pub fn acked(&mut self, event: &Event) {
        self.touch(event);
        self.acked += 1;
        self.acked_until = event.at;
    }

    /// A send that failed or ended unknown, a batch sent again, an error.
    pub fn trouble(
        &mut self,
        event: &Event,
        word: &'static str,
        what: String,
        record: Option<&RecordId>,
    ) {
        let entry = self.troubles.entry((word, what)).or_insert(Repeated {
            first: event.id,
            at: event.at,
            until: event.at,
            times: 0,
            from: record.cloned(),
            to: None,
        });
        entry.times += 1;
        entry.until = event.at;
        entry.to = record.cloned();
    }

    fn touch(&mut self, event: &Event) {
        self.begin.get_or_insert((event.id, event.at));
        self.until = event.at;
    }

    pub fn tell(self, node: &NodeName, topic: &str, unacked: bool, beats: &mut Vec<Beat>) {
        if let Some((first, at)) = self.begin {
            // Acknowledgements of what was sent before the last disturbance.
            let word = if self.sent == 0 { "is acked" } else { "sends" };
            beats.push(
                Beat::new(first, at, node, word, self.text(topic, unacked)).until(self.until),
            );
        }
        for ((word, what), times) in self.troubles {
            let mut text = what;
            match (&times.from, &times.to) {
                (Some(from), Some(to)) if from != to => {
                    text =
                        format!("{}, {from} to {to}: {text}", words::count(times.times, "record"));
                }
                (Some(record), _) => text = format!("{record}: {text}"),
                _ if times.times > 1 => text.push_str(&format!(" (×{})", times.times)),
                _ => {}
            }
            let tone = if word.starts_with('✗') { Tone::Bad } else { Tone::Doubt };
            let beat = Beat::new(times.first, times.at, node, word, text).tone(tone);
            beats.push(beat.until(times.until).notable());
        }
    }

    fn text(&self, topic: &str, unacked: bool) -> String {
        let acked = if unacked {
            "no acknowledgement asked for".to_owned()
        } else if self.sent == 0 {
            return format!(
                "{} by {}",
                words::count(self.acked, "record"),
                words::time(self.acked_until)
            );
        } else if self.acked == 0 {
            "none acknowledged yet".to_owned()
        } else if self.acked == self.sent {
            format!("all acknowledged by {}", words::time(self.acked_until))
        } else {
            format!("{} acknowledged by {}", self.acked, words::time(self.acked_until))
        };
        format!("{} to {topic}; {acked}", words::count(self.sent, "record"))
    }
}

/// What a consumer does in a round of its loop, in the order it first does it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Deed {
    Poll,
    Process,
    HandOff,
    Commit,
    AutoCommit,
}

#[derive(Debug)]
struct Act {
    deed: Deed,
    first: EventId,
    at: u64,
    until: u64,
    places: Places,
    reach: Vec<OffsetReach>,
}

/// A consumer's rounds since the last disturbance. A round begins with a poll that returned records.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    done: Vec<Act>,
    polls: usize,
    round: Vec<Act>,
}

impl Rounds {
    pub fn polled<'a>(
        &mut self,
        event: &Event,
        records: impl Iterator<Item = (&'a TopicPartition, Offset)>,
    ) {
        let round = std::mem::take(&mut self.round);
        merge(&mut self.done, round);
        self.polls += 1;
        let act = self.act(Deed::Poll, event);
        for (partition, offset) in records {
            act.places.add(partition, offset);
        }
    }

    pub fn handled(
        &mut self,
        deed: Deed,
        event: &Event,
        partition: &TopicPartition,
        offset: Offset,
    ) {
        self.act(deed, event).places.add(partition, offset);
    }

    pub fn committed(&mut self, deed: Deed, event: &Event, offsets: &[OffsetReach]) {
        let act = self.act(deed, event);
        advance(&mut act.reach, offsets);
    }

    fn act(&mut self, deed: Deed, event: &Event) -> &mut Act {
        let index = self.round.iter().position(|act| act.deed == deed).unwrap_or_else(|| {
            self.round.push(Act {
                deed,
                first: event.id,
                at: event.at,
                until: event.at,
                places: Places::default(),
                reach: Vec::new(),
            });
            self.round.len() - 1
        });
        let act = &mut self.round[index];
        act.until = event.at;
        act
    }

    /// The rounds as one line.
    pub fn tell_merged(mut self, node: &NodeName, naming: Naming, beats: &mut Vec<Beat>) {
        merge(&mut self.done, std::mem::take(&mut self.round));
        tell_in_a_line(&self.done, self.polls, node, naming, beats);
    }

    /// The rounds before the last as one line, and the last, which something befell, deed by deed.
    pub fn tell_last_in_detail(self, node: &NodeName, naming: Naming, beats: &mut Vec<Beat>) {
        let in_round = self.round.iter().any(|act| act.deed == Deed::Poll);
        tell_in_a_line(&self.done, self.polls - usize::from(in_round), node, naming, beats);
        for act in &self.round {
            let text = act.text(naming);
            beats.push(
                Beat::new(act.first, act.at, node, act.word(), text).until(act.until).notable(),
            );
        }
    }
}

impl Act {
    fn word(&self) -> &'static str {
        match self.deed {
            Deed::Poll => "poll",
            Deed::Process => "process",
            Deed::HandOff => "hand off",
            Deed::Commit | Deed::AutoCommit => "commit",
        }
    }

    fn text(&self, naming: Naming) -> String {
        match self.deed {
            Deed::Poll => format!("← {}", self.places.text(naming)),
            Deed::Process | Deed::HandOff => self.places.text(naming),
            Deed::Commit => words::reach(&self.reach, naming),
            Deed::AutoCommit => format!("{} (auto)", words::reach(&self.reach, naming)),
        }
    }
}

fn merge(done: &mut Vec<Act>, round: Vec<Act>) {
    for act in round {
        match done.iter_mut().find(|earlier| earlier.deed == act.deed) {
            Some(earlier) => {
                earlier.until = act.until;
                earlier.places.extend(act.places);
                advance(&mut earlier.reach, &act.reach);
            }
            None => done.push(act),
        }
    }
}

fn advance(reach: &mut Vec<OffsetReach>, offsets: &[OffsetReach]) {
    for to in offsets {
        match reach.iter_mut().find(|earlier| earlier.partition == to.partition) {
            Some(earlier) => earlier.offset = to.offset,
            None => reach.push(to.clone()),
        }
    }
}

fn tell_in_a_line(
    acts: &[Act],
    polls: usize,
    node: &NodeName,
    naming: Naming,
    beats: &mut Vec<Beat>,
) {
    let Some(head) = acts.first() else { return };
    let polled = acts.iter().find(|act| act.deed == Deed::Poll).map(|act| &act.places);
    let mut parts = Vec::new();
    for act in acts {
        let all = polled.is_some_and(|polled| *polled == act.places);
        parts.push(match act.deed {
            Deed::Poll if polls > 1 => format!("{} in {polls} polls", act.text(naming)),
            Deed::Process if all => "all processed".to_owned(),
            Deed::Process if acts.len() > 1 => format!("processed {}", act.text(naming)),
            Deed::HandOff if all => "all handed off".to_owned(),
            Deed::HandOff if acts.len() > 1 => format!("handed off {}", act.text(naming)),
            Deed::Commit | Deed::AutoCommit if acts.len() > 1 => {
                format!("commit {}", act.text(naming))
            }
            _ => act.text(naming),
        });
    }
    let until = acts.iter().map(|act| act.until).max().unwrap_or(head.at);
    beats.push(Beat::new(head.first, head.at, node, head.word(), parts.join(", ")).until(until));
}
