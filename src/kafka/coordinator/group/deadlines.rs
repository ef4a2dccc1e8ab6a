//! All deadlines of one coordinator in one queue.
//!
//! Moving a deadline later costs nothing but a note: its place in the queue stays, and when its turn
//! comes it queues again. So a heartbeat, which moves a session's end, does not touch the queue; in
//! return a wake-up may find nothing to do, at most once per session timeout and member.

use std::collections::{BTreeMap, BTreeSet};

use crate::env::Instant;

#[derive(Clone, Copy, Debug)]
struct Times {
    due: Instant,
    /// Where the key stands in the queue; never later than `due`.
    queued: Instant,
}

#[derive(Debug)]
pub(super) struct Deadlines<K> {
    times: BTreeMap<K, Times>,
    queue: BTreeSet<(Instant, K)>,
}

impl<K: Ord + Clone> Deadlines<K> {
    pub fn new() -> Self {
        Deadlines { times: BTreeMap::new(), queue: BTreeSet::new() }
    }

    /// Sets or moves.
    pub fn set(&mut self, key: K, due: Instant) {
        match self.times.get_mut(&key) {
            Some(times) if times.queued <= due => times.due = due,
            Some(times) => {
                self.queue.remove(&(times.queued, key.clone()));
                *times = Times { due, queued: due };
                self.queue.insert((due, key));
            }
            None => {
                self.times.insert(key.clone(), Times { due, queued: due });
                self.queue.insert((due, key));
            }
        }
    }

    /// Fine if it is not set.
    pub fn cancel(&mut self, key: &K) {
        if let Some(times) = self.times.remove(key) {
            self.queue.remove(&(times.queued, key.clone()));
        }
    }

    /// Not later than the earliest deadline; [`Instant::FAR_FUTURE`] if there is none.
    pub fn next(&self) -> Instant {
        self.queue.first().map_or(Instant::FAR_FUTURE, |(at, _)| *at)
    }

    /// Takes the earliest deadline that has come. Those of one instant come in the order of their keys.
    pub fn pop_due(&mut self, now: Instant) -> Option<K> {
        while self.queue.first().is_some_and(|(at, _)| *at <= now) {
            let (_, key) = self.queue.pop_first()?;
            let times = self.times.get_mut(&key).expect("what is queued has its times");
            if times.due <= now {
                self.times.remove(&key);
                return Some(key);
            }
            times.queued = times.due;
            self.queue.insert((times.due, key));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::Deadlines;
    use crate::env::Instant;

    const fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn deadlines_come_in_order_and_once() {
        let mut deadlines = Deadlines::new();
        deadlines.set("b", at(2));
        deadlines.set("a", at(1));
        assert_eq!(deadlines.next(), at(1));
        assert_eq!(deadlines.pop_due(at(0)), None);
        assert_eq!(deadlines.pop_due(at(5)), Some("a"));
        assert_eq!(deadlines.pop_due(at(5)), Some("b"));
        assert_eq!((deadlines.pop_due(at(9)), deadlines.next()), (None, Instant::FAR_FUTURE));
    }

    #[test]
    fn a_deadline_moved_later_wakes_early_and_fires_late() {
        let mut deadlines = Deadlines::new();
        deadlines.set("a", at(5));
        deadlines.set("a", at(9));
        assert_eq!(
            (deadlines.next(), deadlines.pop_due(at(5)), deadlines.next()),
            (at(5), None, at(9))
        );
        assert_eq!(deadlines.pop_due(at(9)), Some("a"));
    }

    #[test]
    fn a_deadline_moved_earlier_fires_early_and_once() {
        let mut deadlines = Deadlines::new();
        deadlines.set("a", at(9));
        deadlines.set("a", at(3));
        assert_eq!((deadlines.pop_due(at(3)), deadlines.pop_due(at(9))), (Some("a"), None));
        deadlines.set("b", at(4));
        deadlines.cancel(&"b");
        assert_eq!(deadlines.pop_due(at(9)), None);
    }
}
