//! From a history to the beats of its story.
//!
//! Machines' loops are merged until something disturbs them. What disturbs one machine (its crash, a
//! rebalance, an error) has its last round told deed by deed, because that is where the lesson lies; the
//! other machines' lines are only broken, so that no line reaches over a fault.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    super::{
        look::Tone,
        words::{self, Naming},
    },
    beat::{Beat, Status, Weight},
    doings::{coalesce, doings},
    replicas::{Links, Replicas, Told},
    stretch::{Deed, Rounds, Sends},
};
use crate::testbed::{
    history::{CommitKind, Event, EventId, EventKind, Loss, NodeName, Outcome, Phase},
    plan::Action,
    runner::{Trial, TrialEnd},
};

/// Positions set this soon after a member joined belong to its joining.
const SETTLING: u64 = 1_000_000_000;

/// The story's beats in the order of their first events.
pub(super) fn beats(trial: &Trial) -> Vec<Beat> {
    let mut teller = Teller::new(trial);
    for event in &trial.history.events {
        teller.hear(event);
    }
    teller.break_lines(None);
    let mut beats = teller.beats;
    beats.sort_by_key(|beat| beat.first);
    coalesce(beats)
}

struct Teller<'a> {
    trial: &'a Trial,
    naming: Naming,
    /// The event that shows a step's doing, and the step's index.
    doings: BTreeMap<EventId, usize>,
    /// Steps whose doing is told by another event.
    done_by: BTreeMap<EventId, EventId>,
    sends: BTreeMap<NodeName, Sends>,
    rounds: BTreeMap<NodeName, Rounds>,
    /// Join lines that still collect where reading begins: index into `beats`.
    joins: BTreeMap<NodeName, usize>,
    /// The record in a member's hands.
    in_hand: BTreeMap<NodeName, String>,
    /// Members that said themselves that they left.
    left: BTreeMap<NodeName, EventId>,
    replicas: Replicas,
    links: Links,
    beats: Vec<Beat>,
}

impl<'a> Teller<'a> {
    fn new(trial: &'a Trial) -> Self {
        let partitions: u32 =
            trial.history.setup.topics.values().map(|topic| topic.partitions).sum();
        let (doings, done_by) = doings(trial);
        Teller {
            trial,
            naming: if partitions == 1 { Naming::OffsetsOnly } else { Naming::Full },
            doings,
            done_by,
            sends: BTreeMap::new(),
            rounds: BTreeMap::new(),
            joins: BTreeMap::new(),
            in_hand: BTreeMap::new(),
            left: BTreeMap::new(),
            replicas: Replicas::default(),
            links: Links::default(),
            beats: Vec::new(),
        }
    }

    fn hear(&mut self, event: &Event) {
        self.hear_replica(event);
        let heard = self.hear_machine(event)
            || self.hear_producer(event)
            || self.hear_broker(event)
            || self.hear_member(event)
            || self.hear_round(event);
        let finished = self.trial.end == TrialEnd::Finished;
        if !heard && finished && matches!(event.kind, EventKind::Phase { phase: Phase::Check }) {
            self.break_lines(None);
            self.push(self.beat(event, "quiet", String::new()).tone(Tone::Dim).notable());
        }
    }

    fn beat(&self, event: &Event, word: &str, text: String) -> Beat {
        Beat::new(event.id, event.at, &event.node, word, text)
    }

    /// Adds a beat, with the step that brought it about and the step's narration.
    fn push(&mut self, mut beat: Beat) {
        if let Some(&index) = self.doings.get(&beat.first) {
            let step = &self.trial.plan.steps[index];
            beat.step = step.id.clone();
            beat.say = step.say.as_deref().map(Arc::from);
            beat = beat.notable();
        }
        self.beats.push(beat);
    }

    /// Tells what was merged so far: the last round of `befallen` deed by deed, all else in a line each.
    fn break_lines(&mut self, befallen: Option<&NodeName>) {
        for (node, sends) in std::mem::take(&mut self.sends) {
            self.tell_sends(&node, sends);
        }
        for (node, rounds) in std::mem::take(&mut self.rounds) {
            if befallen == Some(&node) {
                rounds.tell_last_in_detail(&node, self.naming, &mut self.beats);
            } else {
                rounds.tell_merged(&node, self.naming, &mut self.beats);
            }
        }
    }

    /// The same for one machine alone.
    fn break_line(&mut self, node: &NodeName) {
        if let Some(sends) = self.sends.remove(node) {
            self.tell_sends(node, sends);
        }
        if let Some(rounds) = self.rounds.remove(node) {
            rounds.tell_last_in_detail(node, self.naming, &mut self.beats);
        }
    }

    fn tell_sends(&mut self, node: &NodeName, sends: Sends) {
        let setup = self.trial.history.setup.producers.get(node);
        let topic = setup.map_or("?", |setup| &setup.topic);
        let unacked = setup.is_some_and(|setup| &*setup.acks == "0");
        sends.tell(node, topic, unacked, &mut self.beats);
    }

    /// Steps, machines' lives and faults. Each breaks every line.
    fn hear_machine(&mut self, event: &Event) -> bool {
        let beat = match &event.kind {
            EventKind::Step { step, say } => {
                if self.done_by.contains_key(&event.id) {
                    return true;
                }
                let step = &self.trial.plan.steps[*step];
                let (word, text) = match &step.action {
                    Action::Note => ("note", String::new()),
                    action => ("!", words::action(action)),
                };
                let mut beat = self.beat(event, word, text).notable();
                beat.step = step.id.clone();
                beat.say = say.clone();
                self.break_lines(None);
                self.beats.push(beat);
                return true;
            }
            EventKind::MachineStarted { incarnation } if *incarnation <= 1 => {
                let beat = self.beat(event, "start", String::new()).silent().becomes(Status::Up);
                self.push(beat);
                return true;
            }
            EventKind::MachineStarted { .. } => {
                self.beat(event, "restart", String::new()).tone(Tone::Good).becomes(Status::Up)
            }
            EventKind::MachineStopped { loss } => self.stopped(event, *loss),
            EventKind::MachinePaused => self
                .beat(event, "‖ paused", self.hand(&event.node))
                .tone(Tone::Doubt)
                .becomes(Status::Paused),
            EventKind::MachineResumed => {
                self.beat(event, "resumes", String::new()).tone(Tone::Good).becomes(Status::Up)
            }
            EventKind::Fault { what, .. } => {
                if self.one_more_link(event, "! fault", what) {
                    return true;
                }
                self.beat(event, "! fault", what.to_string()).tone(Tone::Bad)
            }
            EventKind::Healed { what } => {
                if self.one_more_link(event, "healed", what) {
                    return true;
                }
                self.beat(event, "healed", what.to_string()).tone(Tone::Good)
            }
            EventKind::NoProgress { what } => {
                self.beat(event, "✗ STUCK", what.to_string()).tone(Tone::Bad)
            }
            EventKind::Crashed { message } => self
                .beat(event, "✗ PANIC", message.to_string())
                .tone(Tone::Bad)
                .becomes(Status::Down),
            _ => return false,
        };
        let beat = self.with_standing(event, beat);
        self.break_lines(Some(&event.node));
        self.push(if beat.weight == Weight::Silent { beat } else { beat.notable() });
        true
    }

    /// Whether the machine is one of the cluster's.
    fn serves(&self, node: &str) -> bool {
        let cluster = &self.trial.plan.cluster;
        let brokers = (1..=cluster.brokers).map(|number| format!("b{number}"));
        let added = self.trial.plan.added_brokers().into_iter().map(|(name, _)| name.to_owned());
        brokers.chain(added).chain(cluster.controllers.names()).any(|name| name == node)
    }

    /// How a broker left the partitions it led.
    fn with_standing(&self, event: &Event, mut beat: Beat) -> Beat {
        if beat.becomes.is_some_and(|status| status != Status::Up) {
            beat.standing = self.replicas.led_by(&event.node);
        }
        beat
    }

    /// Whether a step's line about links has taken this one in.
    fn one_more_link(&mut self, event: &Event, word: &'static str, what: &str) -> bool {
        self.break_lines(Some(&event.node));
        let next = self.beats.len();
        let Some((place, text)) = self.links.more(event, word, what, next) else { return false };
        let beat = &mut self.beats[place];
        beat.text = text;
        beat.node = Arc::from("trial");
        true
    }

    fn hear_replica(&mut self, event: &Event) {
        let topics = &self.trial.history.setup.topics;
        let partitions = |topic: &str| topics.get(topic).map_or(0, |topic| topic.partitions);
        match self.replicas.hear(event, self.beats.len(), &partitions) {
            Told::Beat(beat) => self.push(beat),
            Told::Instead(place, beat) => {
                self.beats[place].weight = Weight::Silent;
                self.push(beat);
            }
            Told::Nothing => {}
        }
    }

    fn stopped(&mut self, event: &Event, loss: Loss) -> Beat {
        let hand = self.hand(&event.node);
        self.in_hand.remove(&event.node);
        self.joins.remove(&event.node);
        match loss {
            Loss::Process => {
                self.beat(event, "✗ CRASH", hand).tone(Tone::Bad).becomes(Status::Down)
            }
            Loss::Power => {
                let text = if hand.is_empty() { "power lost".to_owned() } else { hand };
                self.beat(event, "✗ POWER", text).tone(Tone::Bad).becomes(Status::Down)
            }
            Loss::Nothing if self.serves(&event.node) => {
                self.beat(event, "stops", String::new()).becomes(Status::Idle)
            }
            // Its program has said so already, unless a step ended it.
            Loss::Nothing => self.beat(event, "ends", String::new()).silent().becomes(Status::Idle),
        }
    }

    /// `while processing orders-0@2`, if the member was processing.
    fn hand(&self, node: &NodeName) -> String {
        self.in_hand
            .get(node)
            .map(|record| format!("while processing {record}"))
            .unwrap_or_default()
    }

    fn hear_producer(&mut self, event: &Event) -> bool {
        match &event.kind {
            EventKind::Sent { .. } => self.sends_of(event).sent(event),
            EventKind::SendEnded { record, outcome, .. } => {
                let sends = self.sends_of(event);
                match outcome {
                    Outcome::Ok => sends.acked(event),
                    Outcome::Failed { error } => {
                        sends.trouble(
                            event,
                            "✗ send",
                            format!("failed with {error}"),
                            Some(record),
                        );
                    }
                    Outcome::Unknown { error } => {
                        let what = format!("outcome unknown, {error}");
                        sends.trouble(event, "? send", what, Some(record));
                    }
                }
            }
            EventKind::BatchRetried { partition, base_sequence, error, .. } => {
                let batch = if *base_sequence < 0 {
                    format!("a batch to {partition} again after {error}")
                } else {
                    format!("batch {base_sequence} to {partition} again after {error}")
                };
                let sends = self.sends_of(event);
                sends.trouble(event, "retries", batch, None);
            }
            EventKind::ProducerDone { abandoned } => {
                self.break_line(&event.node);
                let beat = if *abandoned > 0 {
                    let text = format!(
                        "ends without waiting: {} never sent",
                        words::count(*abandoned as usize, "record")
                    );
                    self.beat(event, "✗ exit", text).tone(Tone::Bad).notable()
                } else {
                    self.beat(event, "done", String::new())
                };
                self.push(beat.becomes(Status::Done));
            }
            _ => return false,
        }
        true
    }

    fn hear_broker(&mut self, event: &Event) -> bool {
        let beat = match &event.kind {
            EventKind::LogRecovered { partition, end, cut_bytes } => {
                if *cut_bytes == 0 && (end.0 == 0 || partition.topic.as_str().starts_with("__")) {
                    return true;
                }
                let mut text = format!("{partition} up to {end}");
                if *cut_bytes > 0 {
                    text.push_str(&format!("; a torn tail of {cut_bytes} bytes cut off"));
                }
                self.beat(event, "recovers", text)
            }
            EventKind::Deduplicated { partition, base_offset, .. } => {
                let text =
                    format!("a retry of {partition}@{base_offset} is recognised: nothing appended");
                self.beat(event, "dedup", text).tone(Tone::Good)
            }
            EventKind::AppendRejected { partition, error } => self
                .beat(event, "rejects", format!("an append to {partition}: {error}"))
                .tone(Tone::Doubt),
            EventKind::StorageFailed { error } => {
                self.beat(event, "✗ disk", error.to_string()).tone(Tone::Bad)
            }
            EventKind::RebalanceStarted { group, reason } => {
                if self.trial.history.setup.groups.get(group).is_none_or(|g| g.members.len() < 2) {
                    return true;
                }
                self.beat(event, "rebalance", format!("{group}: {reason}"))
            }
            EventKind::MemberLeft { group, client, reason, .. } => {
                if self.left.remove(client).is_some() {
                    return true;
                }
                self.beat(event, "removes", format!("{client} from {group}: {reason}"))
                    .tone(Tone::Doubt)
            }
            _ => return false,
        };
        self.push(beat.notable());
        true
    }

    /// Membership, errors and ends of consumers. Each breaks the member's own line.
    fn hear_member(&mut self, event: &Event) -> bool {
        let beat = match &event.kind {
            EventKind::Joined { generation, partitions } => {
                self.left.remove(&event.node);
                let text =
                    format!("generation {generation}, owns {}", words::partitions(partitions));
                self.beat(event, "▶ joins", text).tone(Tone::Accent).becomes(Status::Up)
            }
            EventKind::PositionSet { partition, offset, why } => {
                let place = match self.naming {
                    Naming::OffsetsOnly => format!("offset {offset}"),
                    Naming::Full => format!("{partition}@{offset}"),
                };
                self.hear_position(event, &place, why);
                return true;
            }
            EventKind::Revoked { partitions } => {
                if partitions.is_empty() {
                    return true;
                }
                self.beat(event, "gives up", words::partitions(partitions))
            }
            EventKind::Lost { partitions } => {
                self.beat(event, "✗ loses", words::partitions(partitions)).tone(Tone::Bad)
            }
            EventKind::ReadsFrom { partition, broker } => {
                let text =
                    format!("{partition} from {broker}, in its own rack, on its leader's word");
                self.beat(event, "reads", text)
            }
            EventKind::LeftGroup { reason } => {
                self.left.insert(event.node.clone(), event.id);
                self.beat(event, "leaves", reason.to_string()).tone(Tone::Doubt)
            }
            EventKind::ProcessingFailed { partition, offset, error } => {
                self.in_hand.remove(&event.node);
                self.beat(event, "✗ handler", format!("{partition}@{offset}: {error}"))
                    .tone(Tone::Bad)
            }
            EventKind::Error { name, message } => {
                let text = if message.is_empty() {
                    name.to_string()
                } else {
                    format!("{name}: {message}")
                };
                self.beat(event, "! error", text).tone(Tone::Bad)
            }
            EventKind::CommitEnded { outcome: Outcome::Failed { error }, offsets, .. } => {
                let text = format!("{} refused: {error}", words::reach(offsets, self.naming));
                self.beat(event, "✗ commit", text).tone(Tone::Bad)
            }
            EventKind::CommitEnded { outcome: Outcome::Unknown { error }, offsets, .. } => {
                let text = format!("{} unknown: {error}", words::reach(offsets, self.naming));
                self.beat(event, "? commit", text).tone(Tone::Doubt)
            }
            EventKind::ConsumerClosed => {
                self.left.insert(event.node.clone(), event.id);
                self.beat(event, "ends", String::new()).becomes(Status::Idle)
            }
            _ => return false,
        };
        self.break_line(&event.node);
        self.joins.remove(&event.node);
        if matches!(event.kind, EventKind::Joined { .. }) {
            self.joins.insert(event.node.clone(), self.beats.len());
        }
        self.push(beat.notable());
        true
    }

    /// A position belongs to the join it follows closely; later ones have a line of their own.
    fn hear_position(&mut self, event: &Event, place: &str, why: &str) {
        let why = format!(" ({})", why.replace('-', " "));
        let join = self.joins.get(&event.node).map(|&index| &mut self.beats[index]);
        if let Some(join) = join.filter(|join| event.at - join.at < SETTLING) {
            let line = &mut join.text;
            // Places with one reason share it.
            if line.ends_with(&why) {
                line.truncate(line.len() - why.len());
                line.push_str(&format!(", {place}{why}"));
            } else {
                line.push_str(&format!(", reads from {place}{why}"));
            }
            return;
        }
        // Reading on elsewhere disturbs no round.
        let text = format!("reads from {place}{why}");
        self.joins.insert(event.node.clone(), self.beats.len());
        self.push(self.beat(event, "position", text).notable());
    }

    fn sends_of(&mut self, event: &Event) -> &mut Sends {
        self.sends.entry(event.node.clone()).or_default()
    }

    fn rounds_of(&mut self, event: &Event) -> &mut Rounds {
        self.rounds.entry(event.node.clone()).or_default()
    }

    /// The undisturbed round of a consumer's loop.
    fn hear_round(&mut self, event: &Event) -> bool {
        match &event.kind {
            EventKind::Polled { records } if !records.is_empty() => {
                let places = records.iter().map(|record| (&record.partition, record.offset));
                self.rounds_of(event).polled(event, places);
            }
            EventKind::Processing { partition, offset, .. } => {
                self.in_hand.insert(event.node.clone(), format!("{partition}@{offset}"));
            }
            EventKind::Processed { partition, offset, .. } => {
                self.in_hand.remove(&event.node);
                self.rounds_of(event).handled(Deed::Process, event, partition, *offset);
            }
            EventKind::HandedOff { partition, offset } => {
                self.rounds_of(event).handled(Deed::HandOff, event, partition, *offset);
            }
            EventKind::CommitEnded { kind, outcome: Outcome::Ok, offsets } => {
                let deed = match kind {
                    CommitKind::Sync | CommitKind::Async => Deed::Commit,
                    CommitKind::Auto | CommitKind::Close => Deed::AutoCommit,
                };
                if !offsets.is_empty() {
                    self.rounds_of(event).committed(deed, event, offsets);
                }
            }
            _ => return false,
        }
        true
    }
}
