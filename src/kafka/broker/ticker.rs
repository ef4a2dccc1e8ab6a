//! All deadlines of one broker and the one task that keeps them.
//!
//! Sleeping until the earliest deadline is the only timer a broker has. What is due is done by `due`.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::sync::Notify;

use super::{purgatory::Waiter, state::Broker};
use crate::{env::Instant, kafka::types::TopicPartition};

/// What a deadline is for.
#[derive(Clone, Debug)]
pub(super) enum Due {
    /// A parked request must answer with what there is.
    Wake(Arc<Waiter>),
    /// A partition has bytes to sync.
    Flush(TopicPartition),
    /// The coordinator of this partition of the offsets topic has a deadline.
    Groups(i32),
    /// Recovery points and log starts are to be written.
    Checkpoint,
    ExpireProducers,
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
            act(&broker, due).await;
        }
    }
}

async fn act(broker: &Arc<Broker>, due: Due) {
    match due {
        Due::Wake(waiter) => waiter.wake(),
        Due::Flush(partition) => {
            if let Some(partition) = broker.partitions.get(&partition) {
                partition.flush_due(broker).await;
            }
        }
        Due::Groups(index) => broker.groups.handle_deadline(broker, index).await,
        Due::Checkpoint => {
            broker.partitions.write_checkpoints(broker).await;
            let at = broker.env.clock.now() + broker.config.config.flush_offset_checkpoint_interval;
            broker.ticker.schedule(at, Due::Checkpoint);
        }
        Due::ExpireProducers => {
            broker.partitions.expire_producers(broker);
            let at = broker.env.clock.now() + super::partitions::PRODUCER_EXPIRATION_CHECK;
            broker.ticker.schedule(at, Due::ExpireProducers);
        }
    }
}
