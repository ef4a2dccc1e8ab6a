//! Laying the beats out: header, one column per machine, narration, cuts.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    super::{
        Look,
        look::{Tone, pad, width_of, wrap},
        words,
    },
    beat::{Beat, Status, Weight},
};
use crate::testbed::{history::NodeName, runner::Trial};

/// Columns for the time, with its blank.
const TIME: usize = 13;
/// Less than this for the text and machines' columns get narrower, or fall away.
const MIN_TEXT: usize = 40;
/// A cell with a word in it.
const WORD: usize = 10;
/// Longer silences are marked.
const SILENCE: u64 = 2_000_000_000;
/// More lines than this and routine ones are left out.
const MAX_LINES: usize = 120;

/// How the machines are shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Columns {
    /// A column each, with the acting machine's word in it.
    Words,
    /// A column each, with signs alone; who does what is in the text.
    Signs,
    /// No columns: too many machines for the page.
    None,
}

struct Page<'a> {
    look: &'a Look,
    machines: Vec<NodeName>,
    columns: Columns,
    widths: Vec<usize>,
    status: BTreeMap<NodeName, Status>,
    out: String,
}

/// The story as text with colours, ending in a line end.
pub fn story(trial: &Trial, look: &Look) -> String {
    look.finish(lay_out(trial, &super::tell::beats(trial), look))
}

fn lay_out(trial: &Trial, beats: &[Beat], look: &Look) -> String {
    let mut page = Page::new(trial, beats, look);
    page.header();
    let shown = choose(beats);
    let mut last = None;
    let mut left_out = 0;
    for (beat, shown) in beats.iter().zip(shown) {
        if let Some(status) = beat.becomes {
            page.status.insert(beat.node.clone(), status);
        }
        if beat.weight == Weight::Silent {
            continue;
        }
        if !shown {
            left_out += 1;
            last = Some(beat.until);
            continue;
        }
        if left_out > 0 {
            page.note(&format!("⋮ {} left out", words::count(left_out, "quiet line")));
            left_out = 0;
        } else if let Some(silence) = last.and_then(|last| beat.at.checked_sub(last))
            && silence >= SILENCE
        {
            page.note(&format!("⋮ {:.1} s", silence as f64 / 1e9));
        }
        page.beat(beat);
        last = Some(last.unwrap_or(0).max(beat.until));
    }
    page.out
}

/// Which beats get a line: all, unless there are too many.
fn choose(beats: &[Beat]) -> Vec<bool> {
    let lines = beats.iter().filter(|beat| beat.weight != Weight::Silent).count();
    let mut routine = beats.iter().filter(|beat| beat.weight == Weight::Routine).count();
    let mut spare = MAX_LINES.saturating_sub(lines - routine);
    if lines <= MAX_LINES {
        spare = routine;
    }
    // The first half of the lines that fit from the start, the other half from the end: both where the
    // story begins and where it ends say more than the middle.
    let (head, tail) = (spare - spare / 2, spare / 2);
    let mut seen = 0;
    beats
        .iter()
        .map(|beat| match beat.weight {
            Weight::Silent => false,
            Weight::Notable => true,
            Weight::Routine => {
                seen += 1;
                routine -= 1;
                seen <= head || routine < tail
            }
        })
        .collect()
}

impl<'a> Page<'a> {
    fn new(trial: &Trial, beats: &[Beat], look: &'a Look) -> Self {
        let mut machines: Vec<NodeName> = Vec::new();
        let plan = &trial.plan;
        machines.extend(plan.producers.keys().map(|name| Arc::from(name.as_str())));
        machines.extend((1..=plan.cluster.brokers).map(|number| Arc::from(format!("b{number}"))));
        for group in plan.groups.values() {
            machines.extend(group.members.iter().map(|name| Arc::from(name.as_str())));
        }
        machines.extend(plan.readers.keys().map(|name| Arc::from(name.as_str())));
        for beat in beats {
            if &*beat.node != "trial" && !machines.contains(&beat.node) {
                machines.push(beat.node.clone());
            }
        }
        let names = |least: usize| -> Vec<usize> {
            machines.iter().map(|name| width_of(name).max(least) + 1).collect()
        };
        let fits = |widths: &[usize]| TIME + widths.iter().sum::<usize>() + MIN_TEXT <= look.width;
        let (columns, widths) = if fits(&names(WORD)) {
            (Columns::Words, names(WORD))
        } else if fits(&names(1)) {
            (Columns::Signs, names(1))
        } else {
            (Columns::None, Vec::new())
        };
        let status = (1..=plan.cluster.brokers)
            .map(|number| (Arc::from(format!("b{number}")), Status::Up))
            .collect();
        Page { look, machines, columns, widths, status, out: String::new() }
    }

    fn header(&mut self) {
        if self.columns == Columns::None {
            return;
        }
        let mut line = pad("      time", TIME);
        for (name, width) in self.machines.iter().zip(&self.widths) {
            line.push_str(&pad(name, *width));
        }
        self.line(&Tone::Dim.paint(line.trim_end()));
    }

    fn line(&mut self, line: &str) {
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }

    /// A line about the story itself.
    fn note(&mut self, text: &str) {
        let text = format!("{:10}{text}", "");
        self.line(&Tone::Dim.paint(&text));
    }

    fn beat(&mut self, beat: &Beat) {
        let mut cells = pad(&format!("{:>10}", words::time(beat.at)), TIME);
        let mut used = TIME;
        let mut text = String::new();
        let in_column = self.columns == Columns::Words && self.machines.contains(&beat.node);
        match self.columns {
            Columns::Words | Columns::Signs => {
                for (name, width) in self.machines.iter().zip(&self.widths) {
                    if *name == beat.node && in_column {
                        cells.push_str(&beat.tone.cell(&beat.word, *width));
                    } else {
                        let status = self.status.get(name).copied().unwrap_or(Status::Idle);
                        let (sign, tone) = status.sign();
                        cells.push_str(&tone.cell(sign, *width));
                    }
                    used += width;
                }
            }
            Columns::None => {}
        }
        if !in_column {
            if &*beat.node != "trial" {
                text.push_str(&format!("{} ", beat.node));
            }
            text.push_str(&format!("{} ", beat.word));
        }
        text.push_str(&beat.text);
        let lead = if in_column { None } else { Some(beat.tone) };
        self.text(cells, used, &text, lead, beat.step.as_deref());
        for line in &beat.standing {
            for part in wrap(line, self.look.width.saturating_sub(TIME)) {
                let text = format!("{:TIME$}{part}", "");
                self.line(&Tone::Dim.paint(&text));
            }
        }
        if let Some(say) = &beat.say {
            self.say(say);
        }
    }

    /// The text beside the cells, on as many lines as it needs, with the step's id at its end.
    fn text(
        &mut self,
        cells: String,
        used: usize,
        text: &str,
        lead: Option<Tone>,
        step: Option<&str>,
    ) {
        let tag = step.map(|id| format!("[step {id}]")).unwrap_or_default();
        let room = self.look.width.saturating_sub(used).max(MIN_TEXT / 2);
        let mut lines = wrap(text, room);
        let last = lines.last_mut().expect("wrap gives at least one line");
        if !tag.is_empty() {
            if width_of(last) + 2 + width_of(&tag) <= room {
                let gap = if last.is_empty() { "" } else { "  " };
                last.push_str(&format!("{gap}{tag}"));
            } else {
                lines.push(tag.clone());
            }
        }
        for (index, line) in lines.iter().enumerate() {
            let before = if index == 0 { cells.clone() } else { " ".repeat(used) };
            let painted = match line.strip_suffix(&tag) {
                Some(body) if !tag.is_empty() => {
                    format!("{}{}", paint(lead, index, body), Tone::Dim.paint(&tag))
                }
                _ => paint(lead, index, line),
            };
            self.line(&format!("{before}{painted}"));
        }
    }

    fn say(&mut self, say: &str) {
        let indent = TIME;
        for line in wrap(say, self.look.width.saturating_sub(indent).min(78)) {
            let text = format!("{}{} {line}", " ".repeat(indent - 2), Tone::Accent.paint("│"));
            self.line(&text);
        }
    }
}

/// Without a column for its word, the beat's tone colours the first line of the text.
fn paint(lead: Option<Tone>, index: usize, text: &str) -> String {
    match lead {
        Some(tone) if index == 0 => tone.paint(text),
        _ => text.to_owned(),
    }
}
