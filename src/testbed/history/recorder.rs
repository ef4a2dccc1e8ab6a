//! Writing the history while the trial runs.
//!
//! Everything runs on one thread in virtual time, so the order of calls is the order of events.

use std::{
    collections::BTreeMap,
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
        let cause = cause.or_else(|| inner.last.get(node).copied());
        inner.last.insert(node.clone(), id);
        inner.history.events.push(Event { id, at, node: node.clone(), cause, kind });
        id
    }

    /// Looks at what is recorded so far.
    pub fn with<T>(&self, look: impl FnOnce(&History) -> T) -> T {
        look(&self.lock().history)
    }

    /// Takes the history; what is recorded later is lost.
    pub fn finish(self) -> History {
        std::mem::take(&mut self.lock().history)
    }
}
