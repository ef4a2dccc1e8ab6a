//! Each partition's log as a strip, and below it what became of each record in each group.
//!
//! A cell per offset: `■` in the log; `✗` never, `1`, `2` how often. A long log is cut down to the
//! offsets where something is out of the ordinary, and a log where nothing is becomes one line.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    Look,
    look::{Tone, pad, width_of},
    words,
};
use crate::{
    kafka::types::{Offset, TopicPartition},
    testbed::{
        checker::Verdict,
        history::{Entry, Event, EventKind, GroupSetup, Ledgers, LoggedRecord, Outcome, RecordId},
        plan::EffectKind,
        runner::Trial,
    },
};

/// Offsets kept on either side of a change.
const AROUND: i64 = 2;
/// Up to this many offsets a log is shown whole.
const SHORT: i64 = 24;
/// If all strips together take more lines than this, only those are drawn where something is out of the
/// ordinary.
const LINES: usize = 24;

/// All strips as text with colours; empty if the trial read no log back.
pub fn ledgers(trial: &Trial, look: &Look) -> String {
    let ledgers = Ledgers::of(&trial.history);
    let strips = strips(trial, &ledgers);
    let mut out = String::new();
    let lines: usize = strips.iter().map(|strip| strip.rows.len() + 3).sum();
    for strip in &strips {
        if !strip.odd && (lines > LINES || strip.end.0 - strip.start.0 > SHORT) {
            out.push_str(&strip.one_line());
        } else {
            strip.draw(look, &mut out);
        }
    }
    // Strips end in a blank line; lines do not.
    if !out.is_empty() && !out.ends_with("\n\n") {
        out.push('\n');
    }
    look.finish(out)
}

/// A row of counts below the log.
struct Row<'a> {
    name: String,
    /// How often, by offset; offsets without an entry are 0.
    counts: BTreeMap<Offset, usize>,
    /// Said behind the row.
    note: String,
    group: &'a str,
}

struct Strip<'a> {
    partition: &'a TopicPartition,
    start: Offset,
    end: Offset,
    records: BTreeMap<Offset, &'a LoggedRecord>,
    /// Records that are there twice or behind a later one of their producer: if there are any, the
    /// records' own numbers must be seen.
    late: BTreeSet<Offset>,
    /// The leader epoch that wrote each offset; empty if one wrote all.
    epochs: BTreeMap<Offset, i32>,
    /// Where a record was acknowledged that is not there in the end.
    lost: BTreeSet<Offset>,
    rows: Vec<Row<'a>>,
    /// Whether any record is missing, repeated, late, or named by a verdict.
    odd: bool,
    /// Offsets that look different from the one before them.
    changes: BTreeSet<Offset>,
}

fn strips<'a>(trial: &'a Trial, ledgers: &Ledgers) -> Vec<Strip<'a>> {
    let history = &trial.history;
    let mut committed: BTreeMap<(&str, &TopicPartition), Option<Offset>> = BTreeMap::new();
    for event in &history.events {
        if let EventKind::FinalCommitted { group, partition, offset } = &event.kind {
            committed.insert((group, partition), *offset);
        }
    }
    let accused = accused(trial);
    let lost = lost(&history.events);
    let mut strips = Vec::new();
    for event in &history.events {
        let EventKind::FinalLog { partition, start, end, records } = &event.kind else { continue };
        let groups = history.setup.groups.iter().filter(|(_, group)| {
            group.topics.iter().any(|topic| **topic == *partition.topic.as_str())
        });
        let mut strip = Strip {
            partition,
            start: *start,
            end: *end,
            records: records.iter().map(|record| (record.offset, record)).collect(),
            late: late(records),
            epochs: epochs(&history.events, partition),
            lost: lost.get(partition).cloned().unwrap_or_default(),
            rows: Vec::new(),
            odd: false,
            changes: BTreeSet::new(),
        };
        let groups: Vec<(&Arc<str>, &GroupSetup)> = groups.collect();
        for (name, group) in &groups {
            let entries = ledgers.group(name).and_then(|group| group.get(partition));
            let committed = committed.get(&(&***name, partition)).copied().flatten();
            if group.reader && entries.is_none() && committed.is_none() {
                continue;
            }
            let prefix = if groups.len() > 1 { format!("{name} ") } else { String::new() };
            strip.rows.extend(rows(name, &prefix, group, entries, committed));
        }
        strip.compare(&accused);
        strips.push(strip);
    }
    strips.sort_by_key(|strip| strip.partition);
    strips
}

/// The records that verdicts name.
fn accused(trial: &Trial) -> BTreeMap<&TopicPartition, BTreeSet<Offset>> {
    let mut accused: BTreeMap<&TopicPartition, BTreeSet<Offset>> = BTreeMap::new();
    for judgement in &trial.judgements {
        let Some(Verdict::Violated { violations }) = &judgement.verdict else { continue };
        for record in violations.iter().flat_map(|violation| &violation.records) {
            accused.entry(&record.partition).or_default().insert(record.offset);
        }
    }
    accused
}

/// Offsets at which a record was acknowledged, and the log holds another in the end, or none.
fn lost(events: &[Event]) -> BTreeMap<&TopicPartition, BTreeSet<Offset>> {
    let mut acked: BTreeMap<&TopicPartition, Vec<(Offset, &RecordId)>> = BTreeMap::new();
    let mut lost: BTreeMap<&TopicPartition, BTreeSet<Offset>> = BTreeMap::new();
    for event in events {
        match &event.kind {
            EventKind::SendEnded { record, outcome: Outcome::Ok, partition: Some(at), offset }
                if offset.0 >= 0 =>
            {
                acked.entry(at).or_default().push((*offset, record));
            }
            EventKind::FinalLog { partition, start, records, .. } => {
                let held: BTreeMap<Offset, Option<&RecordId>> =
                    records.iter().map(|record| (record.offset, record.id.as_ref())).collect();
                let mut gone = acked.remove(partition).unwrap_or_default();
                gone.retain(|(offset, record)| {
                    offset >= start && held.get(offset).copied().flatten() != Some(*record)
                });
                lost.insert(partition, gone.into_iter().map(|(offset, _)| offset).collect());
            }
            _ => {}
        }
    }
    lost
}

/// Which leader epoch wrote what of the log, as found on a disk in the end.
fn epochs(events: &[Event], of: &TopicPartition) -> BTreeMap<Offset, i32> {
    let found = events.iter().rev().find_map(|event| match &event.kind {
        EventKind::LogContents { partition, batches } if partition == of => Some(batches),
        _ => None,
    });
    let batches = found.map_or(&[][..], |batches| batches);
    let several = batches.windows(2).any(|pair| pair[0].epoch != pair[1].epoch);
    let batches = batches.iter().filter(|_| several);
    batches.flat_map(|b| (b.base.0..=b.last.0).map(|at| (Offset(at), b.epoch))).collect()
}

/// Offsets of records that are there twice or behind a later one of the same producer.
fn late(records: &[LoggedRecord]) -> BTreeSet<Offset> {
    let mut highest: BTreeMap<&str, u64> = BTreeMap::new();
    let mut late = BTreeSet::new();
    for record in records {
        let Some(id) = &record.id else { continue };
        match highest.get_mut(&*id.producer) {
            Some(highest) if *highest >= id.number => {
                late.insert(record.offset);
            }
            Some(highest) => *highest = id.number,
            None => {
                highest.insert(&id.producer, id.number);
            }
        }
    }
    late
}

fn rows<'a>(
    name: &'a str,
    prefix: &str,
    group: &GroupSetup,
    entries: Option<&BTreeMap<Offset, Entry>>,
    committed: Option<Offset>,
) -> Vec<Row<'a>> {
    let counts = |of: fn(&Entry) -> usize| -> BTreeMap<Offset, usize> {
        entries.into_iter().flatten().map(|(offset, entry)| (*offset, of(entry))).collect()
    };
    let row = |what: &str, counts| Row {
        name: format!("{prefix}{what}"),
        counts,
        note: String::new(),
        group: name,
    };
    let processed = counts(|entry| entry.processed.len());
    let effects = counts(|entry| entry.effects.len());
    let mut rows = vec![row("delivered", counts(|entry| entry.delivered.len()))];
    // An appended effect repeats the row above it unless a crash came between the two.
    let show_effect = group.effect != EffectKind::None && effects != processed;
    rows.push(row("processed", processed));
    if show_effect {
        rows.push(row("effect", effects));
    }
    let note = match committed {
        Some(offset) => format!("{name} committed {offset}"),
        None if group.reader => String::new(),
        None => format!("{name} committed nothing"),
    };
    rows.last_mut().expect("two rows or three").note = note;
    rows
}

impl Strip<'_> {
    /// Those of the log, and behind them those that were acknowledged once.
    fn offsets(&self) -> impl Iterator<Item = Offset> + use<> {
        (self.start.0..self.shown_end().0).map(Offset)
    }

    fn shown_end(&self) -> Offset {
        self.lost.last().map_or(self.end, |last| self.end.max(*last + 1))
    }

    /// Finds what is out of the ordinary, and where the picture changes.
    fn compare(&mut self, accused: &BTreeMap<&TopicPartition, BTreeSet<Offset>>) {
        let named = accused.get(self.partition);
        let mut before = None;
        for offset in self.offsets() {
            let there = self.records.contains_key(&offset);
            let blamed =
                self.late.contains(&offset) || named.is_some_and(|named| named.contains(&offset));
            let counts: Vec<usize> = self.rows.iter().map(|row| row.count(offset)).collect();
            let (epoch, lost) = (self.epochs.get(&offset).copied(), self.lost.contains(&offset));
            self.odd |= !there || blamed || lost || counts.iter().any(|count| *count != 1);
            let state = Some((there, blamed, lost, epoch, counts));
            if before.is_some() && before != state {
                self.changes.insert(offset);
            }
            before = state;
        }
    }

    /// A log where everything is as it should be.
    fn one_line(&self) -> String {
        let mut line =
            format!("    {}  {}", self.partition, words::count(self.records.len(), "record"));
        if self.end > self.start {
            line.push_str(&format!(", {}..{}", self.start, self.end.0 - 1));
        }
        let groups: BTreeSet<&str> = self.rows.iter().map(|row| row.group).collect();
        if !groups.is_empty() && self.end > self.start {
            let names: Vec<&str> = groups.into_iter().collect();
            line.push_str(&format!("; each delivered and processed once by {}", names.join(", ")));
        }
        line.push('\n');
        line
    }

    /// The offsets to show; `None` stands for those left out.
    fn columns(&self) -> Vec<Option<Offset>> {
        let all: Vec<Offset> = self.offsets().collect();
        if self.shown_end().0 - self.start.0 <= SHORT {
            return all.into_iter().map(Some).collect();
        }
        let near = |offset: Offset| {
            self.changes.range(offset + -AROUND..=offset + AROUND).next().is_some()
        };
        let mut columns = Vec::new();
        for offset in all {
            if near(offset) || offset == self.start || offset + 1 == self.shown_end() {
                columns.push(Some(offset));
            } else if columns.last() != Some(&None) {
                columns.push(None);
            }
        }
        columns
    }

    fn draw(&self, look: &Look, out: &mut String) {
        let names = self.rows.iter().map(|row| width_of(&row.name));
        let label = names.chain([width_of(&self.partition.to_string()), 9]).max().unwrap_or(9) + 2;
        let cell = (self.shown_end().0 - 1).max(0).to_string().len() + 1;
        // Blanks before the label, and room for the notes at the end of the last piece.
        let room = look.width.saturating_sub(4 + label + 2);
        let columns = self.columns();
        if columns.is_empty() {
            out.push_str(&format!("    {}  empty, log-end {}\n\n", self.partition, self.end));
            return;
        }
        let pieces: Vec<&[Option<Offset>]> = columns.chunks((room / cell).max(8)).collect();
        for (index, piece) in pieces.iter().enumerate() {
            let last = index + 1 == pieces.len();
            self.draw_piece(piece, last, label, cell, look, out);
        }
        out.push('\n');
    }

    fn draw_piece(
        &self,
        piece: &[Option<Offset>],
        last: bool,
        label: usize,
        cell: usize,
        look: &Look,
        out: &mut String,
    ) {
        let mut line =
            |name: &str, tone: Tone, cells: &dyn Fn(Offset) -> (String, Tone), note: &str| {
                let mut text = format!("    {}", tone.paint(&pad(name, label)));
                for column in piece {
                    let (word, tone) = column.map_or(("…".to_owned(), Tone::Dim), cells);
                    let missing = cell.saturating_sub(width_of(&word));
                    text.push_str(&format!("{:missing$}{}", "", tone.paint(&word)));
                }
                if last && !note.is_empty() {
                    let used = 4 + label + piece.len() * cell + 3 + width_of(note);
                    // A note that does not fit stands on a line of its own.
                    let gap = if used <= look.width {
                        " │ ".to_owned()
                    } else {
                        format!("\n{:label$}    │ ", "")
                    };
                    text.push_str(&format!("{gap}{note}"));
                }
                out.push_str(text.trim_end());
                out.push('\n');
            };
        let name = self.partition.to_string();
        let bounds = match self.start.0 {
            0 => format!("log-end {}", self.end),
            start => format!("log-start {start}, log-end {}", self.end),
        };
        line(&name, Tone::Strong, &|offset| (offset.to_string(), Tone::Dim), &bounds);
        line(
            "log",
            Tone::Plain,
            &|offset| match self.records.contains_key(&offset) {
                true => ("■".to_owned(), Tone::Accent),
                false => ("·".to_owned(), Tone::Dim),
            },
            "",
        );
        if !self.late.is_empty() {
            line("record", Tone::Plain, &|offset| self.number(offset), "");
        }
        if !self.epochs.is_empty() {
            line("epoch", Tone::Plain, &|offset| self.epoch(offset), "");
        }
        if !self.lost.is_empty() {
            let gone = words::count(self.lost.len(), "acknowledged record");
            line("acked", Tone::Plain, &|offset| self.acked(offset), &format!("{gone} gone"));
        }
        for row in &self.rows {
            line(&row.name, Tone::Plain, &|offset| row.cell(offset), &row.note);
        }
    }

    fn epoch(&self, offset: Offset) -> (String, Tone) {
        match self.epochs.get(&offset) {
            Some(epoch) => (epoch.to_string(), Tone::Plain),
            None => ("·".to_owned(), Tone::Dim),
        }
    }

    /// Whether what was acknowledged here is what the log holds.
    fn acked(&self, offset: Offset) -> (String, Tone) {
        match self.lost.contains(&offset) {
            true => ("✗".to_owned(), Tone::Bad),
            false => ("✓".to_owned(), Tone::Good),
        }
    }

    /// The record's own number, marked where it comes too late.
    fn number(&self, offset: Offset) -> (String, Tone) {
        let Some(id) = self.records.get(&offset).and_then(|record| record.id.as_ref()) else {
            return ("·".to_owned(), Tone::Dim);
        };
        let late = self.late.contains(&offset);
        (id.number.to_string(), if late { Tone::Bad } else { Tone::Plain })
    }
}

impl Row<'_> {
    fn count(&self, offset: Offset) -> usize {
        self.counts.get(&offset).copied().unwrap_or(0)
    }

    fn cell(&self, offset: Offset) -> (String, Tone) {
        match self.count(offset) {
            0 => ("✗".to_owned(), Tone::Bad),
            1 => ("1".to_owned(), Tone::Plain),
            more => (more.to_string(), Tone::Doubt),
        }
    }
}
