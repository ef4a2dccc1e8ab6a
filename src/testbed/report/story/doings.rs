//! What goes before and after the telling: which event shows what a step did, and equal lines made one.

use std::collections::BTreeMap;

use super::beat::{Beat, Weight};
use crate::testbed::{
    history::{EventId, EventKind, NodeName},
    runner::Trial,
};

/// One line for the same thing said again and again by one machine, with nothing of its own between.
pub(super) fn coalesce(beats: Vec<Beat>) -> Vec<Beat> {
    let mut kept: Vec<(Beat, usize)> = Vec::new();
    let mut last_of: BTreeMap<NodeName, usize> = BTreeMap::new();
    for beat in beats {
        if let Some(&index) = last_of.get(&beat.node) {
            let (earlier, times) = &mut kept[index];
            let plain = beat.step.is_none()
                && beat.say.is_none()
                && earlier.say.is_none()
                && beat.weight != Weight::Silent;
            if plain && earlier.word == beat.word && earlier.text == beat.text {
                earlier.until = beat.until;
                *times += 1;
                continue;
            }
        }
        last_of.insert(beat.node.clone(), kept.len());
        kept.push((beat, 1));
    }
    kept.into_iter()
        .map(|(mut beat, times)| {
            if times > 1 {
                beat.text.push_str(&format!(" (×{times})"));
            }
            beat
        })
        .collect()
}

/// Which event shows what a step did, so that the step gets no line of its own.
pub(super) fn doings(trial: &Trial) -> (BTreeMap<EventId, usize>, BTreeMap<EventId, EventId>) {
    let mut steps: BTreeMap<EventId, usize> = BTreeMap::new();
    let (mut doings, mut done_by) = (BTreeMap::new(), BTreeMap::new());
    for event in &trial.history.events {
        if let EventKind::Step { step, .. } = &event.kind {
            steps.insert(event.id, *step);
        }
        let shows = matches!(
            event.kind,
            EventKind::MachineStarted { .. }
                | EventKind::MachineStopped { .. }
                | EventKind::MachinePaused
                | EventKind::MachineResumed
                | EventKind::Fault { .. }
                | EventKind::Healed { .. }
        );
        let Some(cause) = event.cause.filter(|_| shows) else { continue };
        if let Some(&step) = steps.get(&cause) {
            if done_by.contains_key(&cause) {
                continue;
            }
            done_by.insert(cause, event.id);
            doings.insert(event.id, step);
        }
    }
    (doings, done_by)
}
