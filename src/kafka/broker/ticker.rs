//! All deadlines of one broker and the one task that keeps them.
//!
//! Sleeping until the earliest deadline is the only timer a broker has. What has to wait for the disk goes
//! to `storage`, so that one deadline never delays another.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::sync::Notify;

use super::{chores::Chore, purgatory::Waiter, state::Broker, storage::Work};
use crate::env::Instant;

/// What a deadline is for.
pub(super) enum Due {
    /// A parked request must answer with what there is.
    Wake(Arc<Waiter>),
    /// Something for the storage task.
    Store(Work),
    /// The coordinator of this partition of the offsets topic has a deadline.
    Groups(i32),
    Chore(Chore),
    ExpireProducers,
    /// The ISRs of partitions that this broker leads are to be looked at.
    CheckIsrs,
}

/// Names a deadline, to cancel it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct DeadlineKey(Instant, u64);

#[derive(Default)]
pub(super) struct Ticker {
    deadlines: Mutex<Deadlines>,
    earlier: Notify,
}

#[derive(Default)]
struct Deadlines {
    by_time: BTreeMap<DeadlineKey, Due>,
    next: u64,
}

impl Ticker {
    fn lock(&self) -> MutexGuard<'_, Deadlines> {
        self.deadlines.lock().expect("no panic while the deadlines are locked")
    }

    pub fn schedule(&self, at: Instant, due: Due) -> DeadlineKey {
        let mut deadlines = self.lock();
        let key = DeadlineKey(at, deadlines.next);
        deadlines.next += 1;
        let earliest = deadlines.by_time.first_key_value().is_none_or(|(first, _)| key < *first);
        deadlines.by_time.insert(key, due);
        if earliest {
            self.earlier.notify_one();
        }
        key
    }

    /// Fine if it has passed.
    pub fn cancel(&self, key: DeadlineKey) {
        self.lock().by_time.remove(&key);
    }

    fn next(&self) -> Instant {
        self.lock().by_time.first_key_value().map_or(Instant::FAR_FUTURE, |(key, _)| key.0)
    }

    fn take_due(&self, now: Instant) -> Option<Due> {
        let mut deadlines = self.lock();
        let first = deadlines.by_time.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(first.remove())
    }
}

/// Runs until the broker stops.
pub(super) async fn run(broker: Arc<Broker>) {
    let clock = Arc::clone(&broker.env.clock);
    loop {
        let next = broker.ticker.next();
        tokio::select! {
            biased;
            () = broker.ending.wait() => return,
            () = broker.ticker.earlier.notified() => continue,
            () = clock.sleep_until(next) => {}
        }
        while let Some(due) = broker.ticker.take_due(clock.now()) {
            act(&broker, due);
        }
    }
}

fn act(broker: &Arc<Broker>, due: Due) {
    match due {
        Due::Wake(waiter) => waiter.wake(),
        Due::Store(work) => broker.storage.add(work),
        Due::Groups(index) => broker.groups.handle_deadline(broker, index),
        Due::Chore(chore) => broker.storage.add_chore(chore),
        Due::CheckIsrs => broker.check_isrs(),
        Due::ExpireProducers => {
            broker.partitions.expire_producers(broker);
            let at = broker.env.clock.now() + super::partitions::PRODUCER_EXPIRATION_CHECK;
            broker.ticker.schedule(at, Due::ExpireProducers);
        }
    }
}
