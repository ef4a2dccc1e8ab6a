//! Writing the history while the trial runs.
//!
//! Everything runs on one thread in virtual time, so the order of calls is the order of events.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use serde::{Deserialize, Serialize};

use super::{Event, EventId, EventKind, NodeName, Setup};

/// The finished history of one trial.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct History {
    pub setup: Setup,
    pub events: Vec<Event>,
}

impl History {
    pub fn event(&self, id: EventId) -> &Event {
        &self.events[id.0 as usize]
    }

    /// The event's causes, nearest first.
    pub fn causes(&self, id: EventId) -> impl Iterator<Item = &Event> {
        let mut next = self.event(id).cause;
        std::iter::from_fn(move || {
            let event = self.event(next?);
            next = event.cause;
            Some(event)
        })
    }
}

/// Hears of events as they happen; the nemesis hangs its steps on this.
pub trait Watcher: Send + Sync {
    /// Sees every event while the history is locked: must be quick and must not record. True asks to be
    /// told of it once the history is unlocked.
    fn sees(&self, event: &Event) -> bool;

    /// Told of the events it asked for, in order, each before anything else happens. May record events
    /// of its own; those are told after the present one.
    fn hear(&self, event: &Event);
}

/// Handle to the history being written; cheap to clone.
#[derive(Clone, Default)]
pub struct Recorder {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    history: History,
    /// The last event of each machine: the default cause of its next one.
    last: BTreeMap<NodeName, EventId>,
    watchers: Vec<Arc<dyn Watcher>>,
    /// Events some watcher asked for and none has been told of yet.
    untold: VecDeque<(usize, EventId)>,
    telling: bool,
}

impl Recorder {
    pub fn new(setup: Setup) -> Self {
        let recorder = Recorder::default();
        recorder.lock().history.setup = setup;
        recorder
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no panic while the history is locked")
    }

    pub fn watch(&self, watcher: Arc<dyn Watcher>) {
        self.lock().watchers.push(watcher);
    }

    /// Records an event at virtual time `at` (nanoseconds). Without a `cause` it is the event before it
    /// on the same machine.
    pub fn record(
        &self,
        at: u64,
        node: &NodeName,
        cause: Option<EventId>,
        kind: EventKind,
    ) -> EventId {
        let mut inner = self.lock();
        let id =
            EventId(u32::try_from(inner.history.events.len()).expect("fewer than 2^32 events"));
        let previous = match inner.last.get_mut(node) {
            Some(last) => Some(std::mem::replace(last, id)),
            None => inner.last.insert(node.clone(), id),
        };
        let event = Event { id, at, node: node.clone(), cause: cause.or(previous), kind };
        for watcher in 0..inner.watchers.len() {
            if inner.watchers[watcher].sees(&event) {
                inner.untold.push_back((watcher, id));
            }
        }
        inner.history.events.push(event);
        if !inner.untold.is_empty() && !inner.telling {
            inner.telling = true;
            drop(inner);
            self.tell();
        }
        id
    }

    /// Tells the watchers, with the history unlocked so that they may record.
    fn tell(&self) {
        loop {
            let mut inner = self.lock();
            let Some((watcher, id)) = inner.untold.pop_front() else {
                inner.telling = false;
                return;
            };
            let watcher = Arc::clone(&inner.watchers[watcher]);
            let event = inner.history.event(id).clone();
            drop(inner);
            watcher.hear(&event);
        }
    }

    /// Looks at what is recorded so far.
    pub fn with<T>(&self, look: impl FnOnce(&History) -> T) -> T {
        look(&self.lock().history)
    }

    /// Takes the history and forgets the watchers; what is recorded later is lost.
    pub fn finish(&self) -> History {
        let mut inner = self.lock();
        inner.watchers.clear();
        std::mem::take(&mut inner.history)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::{Event, EventKind, Recorder, Watcher};
    use crate::testbed::history::{Loss, Setup};

    /// Answers every pause with a stop, and notes what it heard.
    struct Stopper {
        recorder: Recorder,
        heard: Mutex<Vec<String>>,
    }

    impl Watcher for Stopper {
        fn sees(&self, event: &Event) -> bool {
            !matches!(event.kind, EventKind::MachineResumed)
        }

        fn hear(&self, event: &Event) {
            self.heard.lock().unwrap().push(format!("{} {:?}", event.id, event.kind));
            if event.kind == EventKind::MachinePaused {
                let stop = EventKind::MachineStopped { loss: Loss::Power };
                self.recorder.record(event.at, &event.node, Some(event.id), stop);
            }
        }
    }

    #[test]
    fn a_watcher_hears_the_events_it_causes_after_the_one_it_answers() {
        let recorder = Recorder::new(Setup::default());
        let stopper = Arc::new(Stopper { recorder: recorder.clone(), heard: Mutex::default() });
        recorder.watch(stopper.clone());
        let b1 = "b1".into();
        recorder.record(1, &b1, None, EventKind::MachineResumed);
        recorder.record(2, &b1, None, EventKind::MachinePaused);
        assert_eq!(
            *stopper.heard.lock().unwrap(),
            ["e1 MachinePaused", "e2 MachineStopped { loss: Power }"]
        );
        let history = recorder.finish();
        let causes: Vec<_> = history.causes(history.events[2].id).map(|event| event.id.0).collect();
        assert_eq!(causes, [1, 0]);
    }
}
