//! Compaction of this broker's logs, the dirtiest first: `LogCleaner` and `LogCleanerManager`.
//!
//! Kafka has threads for it; here it is a chore of the storage task, which lets other work in between two
//! steps. `log.cleaner.threads` and the throttle on I/O are not modelled.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard},
    task::Poll,
};

use super::{
    chores,
    observer::Event,
    partitions::{CLEANER_OFFSETS, Partition, store},
    state::Broker,
};
use crate::kafka::{
    config::CleanupPolicy,
    log::{Cleanable, CleanerLimits, Cleaning, LogError, Step, discard_cleaned},
    types::{Offset, TopicPartition},
};

pub(super) struct Cleaner {
    state: Mutex<State>,
}

struct State {
    /// Where the last cleaning of each log ended.
    clean: BTreeMap<TopicPartition, Offset>,
    /// Logs that cannot be read to the end; no cleaning is tried again before the next start.
    given_up: BTreeSet<TopicPartition>,
    /// The checkpoint has a log clean beyond where it was cut.
    is_stored_too_far: bool,
}

/// A log, and what cleaning it would be about.
type Filthy = (Arc<Partition>, Cleanable);

impl Cleaner {
    /// `clean` is from `cleaner-offset-checkpoint`.
    pub fn new(clean: BTreeMap<TopicPartition, Offset>) -> Self {
        let given_up = BTreeSet::new();
        Cleaner { state: Mutex::new(State { clean, given_up, is_stored_too_far: false }) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while it is locked")
    }

    /// The log with the largest share of dirty bytes, of those with enough of them.
    fn filthiest(&self, broker: &Broker) -> Result<Option<Filthy>, (Arc<Partition>, LogError)> {
        let now = broker.env.clock.wall_time();
        let mut state = self.lock();
        let mut filthiest: Option<Filthy> = None;
        for partition in broker.partitions.all() {
            let log = partition.log();
            let compacted = log.config().cleanup_policy != CleanupPolicy::Delete;
            if !compacted || state.given_up.contains(&partition.id) {
                continue;
            }
            let cleanable = log.cleanable(state.clean.get(&partition.id).copied(), now);
            drop(log);
            let cleanable = match cleanable {
                Ok(cleanable) => cleanable,
                Err(error) => return Err((partition, error)),
            };
            if cleanable.reset {
                state.clean.insert(partition.id.clone(), cleanable.first_dirty);
            }
            let dirtier = |(_, best): &Filthy| cleanable.ratio() > best.ratio();
            if cleanable.is_due() && filthiest.as_ref().is_none_or(dirtier) {
                filthiest = Some((partition, cleanable));
            }
        }
        Ok(filthiest)
    }

    /// Forgets the logs that are gone: another that gets such a name is not clean.
    pub async fn forget_missing(&self, broker: &Arc<Broker>) {
        self.lock().given_up.retain(|id| broker.partitions.get(id).is_some());
        self.checkpoint(broker).await;
    }

    /// A log that was cut is clean up to there at most.
    pub fn truncated(&self, id: &TopicPartition, end: Offset) {
        let state = &mut *self.lock();
        if let Some(clean) = state.clean.get_mut(id).filter(|clean| **clean > end) {
            *clean = end;
            state.is_stored_too_far = true;
        }
    }

    /// A start must not take what is appended after a truncation for clean: `LogCleaner.maybeTruncateCheckpoint`.
    pub async fn store_truncations(&self, broker: &Arc<Broker>) {
        let is_stored_too_far = self.lock().is_stored_too_far;
        if is_stored_too_far {
            self.checkpoint(broker).await;
        }
    }

    /// For a log that has just been made.
    pub fn forget(&self, id: &TopicPartition) {
        let state = &mut *self.lock();
        state.is_stored_too_far |= state.clean.remove(id).is_some();
    }

    async fn checkpoint(&self, broker: &Arc<Broker>) {
        let _turn = broker.partitions.checkpointing.lock().await;
        let clean = {
            let mut state = self.lock();
            // Before that there are logs that it has not come to.
            if broker.metadata.is_published() {
                state.clean.retain(|id, _| broker.partitions.get(id).is_some());
            }
            state.is_stored_too_far = false;
            state.clean.clone()
        };
        store(broker, CLEANER_OFFSETS, &clean).await;
    }
}

/// Cleans one log, if one is due. Returns whether there was one: there may be another then.
pub(super) async fn clean_filthiest(broker: &Arc<Broker>) -> bool {
    let (partition, cleanable) = match broker.cleaner.filthiest(broker) {
        Ok(None) => return false,
        Ok(Some(found)) => found,
        Err((partition, error)) => {
            failed(broker, &partition, &error);
            return false;
        }
    };
    match clean(broker, &partition, &cleanable).await {
        Ok(Some(end)) => {
            broker.cleaner.lock().clean.insert(partition.id.clone(), end);
            broker.cleaner.checkpoint(broker).await;
        }
        Ok(None) => discard(broker, &partition),
        Err(error) => failed(broker, &partition, &error),
    }
    true
}

/// Returns how far the log is clean; `None` if it was cut or deleted meanwhile.
async fn clean(
    broker: &Arc<Broker>,
    partition: &Partition,
    cleanable: &Cleanable,
) -> Result<Option<Offset>, LogError> {
    let upto = cleanable.upto;
    partition.flush_until(broker, |log| log.recovery_point() >= upto.min(log.end_offset())).await?;
    let config = &broker.config.config;
    let limits = CleanerLimits {
        memory: config.cleaner_dedupe_bytes,
        load_factor: config.cleaner_load_factor,
        // The buffer's other half is for writing.
        step_bytes: config.cleaner_io_bytes / 2,
    };
    let now = broker.env.clock.wall_time();
    let cleaning = partition.log().begin_cleaning(cleanable, limits, now);
    let Some(mut cleaning) = cleaning else { return Ok(None) };
    loop {
        let Some(step) = step(partition, &mut cleaning)? else { return Ok(None) };
        match step {
            Step::More => yield_now().await,
            Step::Cleaned(mut cleaned) => {
                cleaned.store().await?;
                let swap = {
                    let mut log = partition.log();
                    match log.is_as_cleaned(&cleaning) {
                        _ if partition.is_retired() => return Ok(None),
                        true => Ok(log.swap_in(cleaned)?),
                        false => Err(cleaned),
                    }
                };
                let swap = match swap {
                    Ok(swap) => swap,
                    Err(cleaned) => {
                        cleaned.discard().await?;
                        return Ok(None);
                    }
                };
                let (id, upto) = (partition.id.clone(), cleanable.upto);
                broker.observe(Event::LogCleaned { partition: id, upto });
                swap.finish().await?;
                chores::remove_later(broker, partition);
            }
            Step::Done(end) => {
                let (partition, from) = (&partition.id, cleanable.first_dirty);
                tracing::info!(%partition, %from, %end, "cleaned");
                return Ok(Some(end));
            }
        }
    }
}

/// A step while the log is there, and all that it had. One that is deleted loses its directory to whoever gets its name
/// next; as long as it is locked and not retired, the directory is its own.
fn step(partition: &Partition, cleaning: &mut Cleaning) -> Result<Option<Step>, LogError> {
    let log = partition.log();
    if partition.is_retired() || !log.is_as_cleaned(cleaning) {
        return Ok(None);
    }
    let held = cleaning.is_between_segments().then_some(log);
    let stepped = cleaning.step();
    drop(held);
    match stepped {
        // It may have read what was being cut off.
        Err(_) if !partition.log().is_as_cleaned(cleaning) => Ok(None),
        stepped => stepped.map(Some),
    }
}

/// A log whose batches cannot be read stays as it is, as in Kafka; a disk that fails takes the broker down.
fn failed(broker: &Arc<Broker>, partition: &Partition, error: &LogError) {
    let log = partition.log();
    if partition.is_retired() {
        return;
    }
    if !matches!(error, LogError::Corrupt { .. }) {
        return broker.fail(error);
    }
    tracing::warn!(partition = %partition.id, %error, "not cleaned any more");
    broker.cleaner.lock().given_up.insert(partition.id.clone());
    drop(log);
    discard(broker, partition);
}

/// Takes away what a cleaning that was given up has begun.
fn discard(broker: &Broker, partition: &Partition) {
    let log = partition.log();
    if partition.is_retired() {
        return;
    }
    if let Err(error) = discard_cleaned(broker.env.disk.as_ref(), log.dir()) {
        broker.fail(&error);
    }
}

/// Lets whoever shares the task go on.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
