//! Which steps are pending, and which the latest event makes due. Sans-io: no world in here.

use std::{collections::BTreeMap, time::Duration};

use super::matching::{Watch, name_of};
use crate::testbed::{
    history::Event,
    plan::{EventName, Step, Trigger},
    runner::UnfiredStep,
};

/// Steps by what they wait for.
#[derive(Debug)]
pub(super) struct Board {
    /// Waiting for an event, in file order.
    watching: Vec<Watching>,
    /// Waiting for another step: its id to the steps and their waits.
    following: BTreeMap<String, Vec<(usize, Duration)>>,
    /// Waiting for a moment of virtual time, counted from the trial's beginning.
    timed: Vec<(Duration, usize)>,
    /// Bit per [`EventName`]: asked of every event, so it must be quick.
    wanted: u64,
    fired: Vec<bool>,
    /// Steps whose moment came while nobody played a role of theirs, and what was missing.
    missed: BTreeMap<usize, String>,
    closed: bool,
}

#[derive(Debug)]
struct Watching {
    step: usize,
    watch: Watch,
    /// The step that must have fired first.
    after: Option<String>,
}

fn bit(name: EventName) -> u64 {
    1 << (name as u32)
}

impl Board {
    pub(super) fn new(steps: &[Step]) -> Self {
        let mut board = Board {
            watching: Vec::new(),
            following: BTreeMap::new(),
            timed: Vec::new(),
            wanted: 0,
            fired: vec![false; steps.len()],
            missed: BTreeMap::new(),
            closed: false,
        };
        for (step, Step { trigger, .. }) in steps.iter().enumerate() {
            match trigger {
                Trigger::At(span) => board.timed.push((span.0, step)),
                Trigger::After { step: id, wait } => {
                    board.following.entry(id.clone()).or_default().push((step, wait.0));
                }
                Trigger::When { event, of, record, count, after } => {
                    let watch = Watch::new(*event, of.clone(), record.clone(), *count);
                    board.watching.push(Watching { step, watch, after: after.clone() });
                }
            }
        }
        board.watch_names();
        board
    }

    fn watch_names(&mut self) {
        self.wanted = self.watching.iter().fold(0, |bits, w| bits | bit(w.watch.event));
    }

    pub(super) fn wants(&self, event: &Event) -> bool {
        self.wanted != 0 && name_of(&event.kind).is_some_and(|name| self.wanted & bit(name) != 0)
    }

    /// Steps the event makes due, in file order.
    pub(super) fn hear(&mut self, event: &Event) -> Vec<usize> {
        if self.closed {
            return Vec::new();
        }
        let mut due = Vec::new();
        self.watching.retain_mut(|watching| {
            let fires = watching.after.is_none() && watching.watch.hears(event);
            if fires {
                due.push(watching.step);
            }
            !fires
        });
        self.watch_names();
        due
    }

    /// Notes that a step fires at `now`: what waited for it starts to count.
    pub(super) fn fire(&mut self, step: usize, id: Option<&str>, now: Duration) {
        self.fired[step] = true;
        let Some(id) = id else { return };
        for (follower, wait) in self.following.remove(id).unwrap_or_default() {
            self.timed.push((now + wait, follower));
        }
        for watching in &mut self.watching {
            if watching.after.as_deref() == Some(id) {
                watching.after = None;
            }
        }
    }

    /// Notes that a step's moment came in vain: it does not fire, nor does what waits for it.
    pub(super) fn miss(&mut self, step: usize, why: String) {
        self.missed.insert(step, why);
    }

    /// The next moment a step is due.
    pub(super) fn next_time(&self) -> Option<Duration> {
        if self.closed { None } else { self.timed.iter().map(|(at, _)| *at).min() }
    }

    /// Takes the steps due at `now`, earliest first, ties in file order.
    pub(super) fn take_due(&mut self, now: Duration) -> Vec<usize> {
        if self.closed {
            return Vec::new();
        }
        let mut due: Vec<_> = self.timed.extract_if(.., |(at, _)| *at <= now).collect();
        due.sort_unstable();
        due.into_iter().map(|(_, step)| step).collect()
    }

    /// Nothing fires from here on.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.wanted = 0;
    }

    /// Whether every step that acts has fired, or never will; narration may stay silent.
    pub(super) fn is_through(&self, steps: &[Step]) -> bool {
        (0..steps.len()).all(|index| {
            self.fired[index] || steps[index].is_narration() || self.is_hopeless(index, steps)
        })
    }

    /// Whether its moment has come in vain, or that of a step which it waits for.
    fn is_hopeless(&self, index: usize, steps: &[Step]) -> bool {
        let earlier = |index: &usize| {
            let id = match &steps[*index].trigger {
                Trigger::After { step, .. } | Trigger::When { after: Some(step), .. } => step,
                Trigger::At(_) | Trigger::When { after: None, .. } => return None,
            };
            steps.iter().position(|step| step.id.as_ref() == Some(id))
        };
        // No file may have steps that wait in a circle; nothing keeps another plan from it.
        let chain = std::iter::successors(Some(index), earlier).take(steps.len());
        chain.into_iter().any(|step| self.missed.contains_key(&step))
    }

    /// Steps that did not fire and how close they came.
    pub(super) fn unfired(&self, steps: &[Step]) -> Vec<UnfiredStep> {
        let silent = |step: usize| !self.fired[step] && !steps[step].is_narration();
        let progress = |step: usize| {
            if let Some(why) = self.missed.get(&step) {
                why.clone()
            } else if let Some(watching) =
                self.watching.iter().find(|watching| watching.step == step)
            {
                match &watching.after {
                    Some(id) => format!("step `{id}` did not fire"),
                    None => watching.watch.progress(),
                }
            } else if let Trigger::After { step: id, .. } = &steps[step].trigger {
                match self.timed.iter().any(|(_, timed)| *timed == step) {
                    true => "the trial ended before its time".into(),
                    false => format!("step `{id}` did not fire"),
                }
            } else {
                "the trial ended before its time".into()
            }
        };
        (0..steps.len())
            .filter(|step| silent(*step))
            .map(|step| UnfiredStep { step, progress: progress(step) })
            .collect()
    }
}
