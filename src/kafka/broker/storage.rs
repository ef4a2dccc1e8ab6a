//! The one task that waits for the disk on behalf of nobody in particular: due flushes, what coordinators
//! wrote at a deadline, checkpoints, retention.
//!
//! The ticker feeds it and never waits for it, so a slow disk delays no other deadline. What somebody may
//! be waiting for goes before the chores, which are done one after the other and let it in between.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::sync::Notify;

use super::{
    chores::{self, Chore},
    groups::Pending,
    state::Broker,
};
use crate::{env::BoxFuture, kafka::types::TopicPartition};

/// What is done first.
pub(super) enum Work {
    /// A partition has bytes to sync.
    Flush(TopicPartition),
    /// Records that a coordinator wrote, and waits for.
    Settle(Pending),
    /// More may be committed of what the coordinator of this partition of the offsets topic wrote.
    Commit(i32),
    /// Files that nobody reads any more.
    Remove(Vec<String>),
}

#[derive(Default)]
pub(super) struct Storage {
    queue: Mutex<Queue>,
    more: Notify,
}

#[derive(Default)]
struct Queue {
    work: VecDeque<Work>,
    chores: VecDeque<Chore>,
}

impl Storage {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("no panic while the queue is locked")
    }

    pub fn add(&self, work: Work) {
        self.lock().work.push_back(work);
        self.more.notify_one();
    }

    pub fn add_chore(&self, chore: Chore) {
        self.lock().chores.push_back(chore);
        self.more.notify_one();
    }
}

/// Runs until the broker stops. A chore is dropped where it waits then; work is finished.
pub(super) async fn run(broker: Arc<Broker>) {
    let storage = &broker.storage;
    let mut doing: Option<BoxFuture<'_, ()>> = None;
    while !broker.ending.is_stopping() {
        let next = storage.lock().work.pop_front();
        if let Some(work) = next {
            let mut performing = pin!(perform(&broker, work));
            // A chore goes on meanwhile: it may hold what the work waits for, such as the checkpoints.
            loop {
                tokio::select! {
                    biased;
                    () = &mut performing => break,
                    () = finished(&mut doing) => doing = None,
                }
            }
            continue;
        }
        if doing.is_none() {
            let chore = storage.lock().chores.pop_front();
            doing =
                chore.map(|chore| Box::pin(chores::perform(&broker, chore)) as BoxFuture<'_, ()>);
        }
        tokio::select! {
            biased;
            () = broker.ending.wait() => return,
            () = storage.more.notified() => {}
            () = finished(&mut doing) => doing = None,
        }
    }
}

async fn perform(broker: &Arc<Broker>, work: Work) {
    match work {
        Work::Flush(partition) => {
            if let Some(partition) = broker.partitions.get(&partition) {
                partition.flush_due(broker).await;
            }
        }
        Work::Settle(pending) => pending.settle(broker).await,
        Work::Commit(index) => broker.groups.commit(broker, index).await,
        Work::Remove(paths) => chores::remove(broker, paths),
    }
}

/// Completes with the chore; never, if there is none.
async fn finished(chore: &mut Option<BoxFuture<'_, ()>>) {
    match chore {
        Some(chore) => chore.await,
        None => std::future::pending().await,
    }
}
