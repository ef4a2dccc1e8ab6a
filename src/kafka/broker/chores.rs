//! What a broker does of its own accord, again and again: Kafka's `LogManager` and its schedule.

use std::{io, sync::Arc, time::Duration};

use super::{
    cleaner, observer::Event, partitions::Partition, state::Broker, storage::Work, ticker::Due,
};
use crate::kafka::{
    config::{BrokerConfig, CleanupPolicy},
    log::LogError,
};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Chore {
    /// Recovery points and high watermarks are written.
    CheckpointEnds,
    /// High watermarks alone are written, on a broker with replicated partitions.
    CheckpointHighWatermarks,
    /// Log starts are written.
    CheckpointStarts,
    /// Old segments of logs that are not compacted go.
    Retention,
    /// The dirtiest log is compacted, and old segments of compacted logs go.
    Clean,
}

impl Chore {
    /// Those of every broker.
    pub fn of(config: &BrokerConfig) -> impl Iterator<Item = Chore> {
        let all = [Chore::CheckpointEnds, Chore::CheckpointStarts, Chore::Retention, Chore::Clean];
        let cleans = config.cleaner_enabled;
        all.into_iter().filter(move |&chore| chore != Chore::Clean || cleans)
    }

    /// From the broker's start to the chore's first turn.
    pub fn initial_delay(self, broker: &Broker) -> Duration {
        match self {
            Chore::Clean => Duration::ZERO,
            _ => broker.config.config.log_initial_task_delay,
        }
    }
}

/// One turn; sees to the next.
pub(super) async fn perform(broker: &Arc<Broker>, chore: Chore) {
    let config = &broker.config.config;
    let pause = match chore {
        Chore::CheckpointEnds => {
            broker.partitions.checkpoint_ends(broker).await;
            config.flush_offset_checkpoint_interval
        }
        Chore::CheckpointHighWatermarks => {
            broker.partitions.checkpoint_high_watermarks(broker).await;
            config.replication.high_watermark_interval
        }
        Chore::CheckpointStarts => {
            broker.partitions.checkpoint_starts(broker).await;
            config.flush_start_offset_checkpoint_interval
        }
        Chore::Retention => {
            retain(broker, |policy| policy == CleanupPolicy::Delete).await;
            config.log_retention_check_interval
        }
        Chore::Clean => {
            let cleaned = cleaner::clean_filthiest(broker).await;
            retain(broker, |policy| policy != CleanupPolicy::Delete).await;
            if cleaned { Duration::ZERO } else { config.cleaner_backoff }
        }
    };
    broker.ticker.schedule(broker.env.clock.now() + pause, Due::Chore(chore));
}

/// Applies retention to the logs of some policies. Where logs start is durable before a segment goes.
async fn retain(broker: &Arc<Broker>, applies: impl Fn(CleanupPolicy) -> bool) {
    let now = broker.env.clock.wall_time();
    let mut expired = Vec::new();
    for partition in broker.partitions.all() {
        let mut log = partition.log();
        // The directory of a log that was deleted may be another's by now.
        if partition.is_retired() || !applies(log.config().cleanup_policy) {
            continue;
        }
        match log.expire(now) {
            Ok(true) => {}
            Ok(false) => continue,
            Err(error) => return broker.fail(&error),
        }
        let (id, offset) = (partition.id.clone(), log.start_offset());
        drop(log);
        broker.observe(Event::LogStartMoved { partition: id, offset });
        expired.push(partition);
    }
    if expired.is_empty() {
        return;
    }
    broker.partitions.checkpoint_starts(broker).await;
    for partition in expired {
        if let Err(error) = delete_expired(broker, &partition).await {
            // Its directory may have gone with its topic meanwhile.
            if !partition.is_retired() {
                return broker.fail(&error);
            }
        }
    }
}

async fn delete_expired(broker: &Arc<Broker>, partition: &Partition) -> Result<(), LogError> {
    let (dir, gone) = {
        let mut log = partition.log();
        if partition.is_retired() {
            return Ok(());
        }
        (log.dir().to_owned(), log.delete_below_start()?)
    };
    tracing::info!(partition = %partition.id, ?gone, "segments deleted");
    let synced = broker.env.disk.sync_dir(&dir).await;
    synced.map_err(|source| LogError::Io { action: "sync", path: dir, source })?;
    remove_later(broker, partition);
    // Retention may have rolled the log.
    partition.schedule_flush(broker);
    Ok(())
}

/// Has the files that the log calls `.deleted` removed after `file.delete.delay.ms`.
pub(super) fn remove_later(broker: &Broker, partition: &Partition) {
    let mut log = partition.log();
    let paths = log.take_deleted();
    let at = broker.env.clock.now() + log.config().file_delete_delay;
    drop(log);
    if !paths.is_empty() {
        broker.ticker.schedule(at, Due::Store(Work::Remove(paths)));
    }
}

/// Removes files for good. What went with its topic is gone already.
pub(super) fn remove(broker: &Broker, paths: Vec<String>) {
    for path in paths {
        match broker.env.disk.remove(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return broker.fail(&LogError::Io { action: "remove", path, source });
            }
            _ => {}
        }
    }
}
