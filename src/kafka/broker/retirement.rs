//! Giving up partitions whose topic was deleted, or that were moved to other brokers, and their directories.
//!
//! As in Kafka the directory gets another name at once and is removed after `file.delete.delay.ms`, so that
//! a topic of the same name can be made meanwhile. A directory that belongs to another topic than the
//! metadata says is moved aside and kept, as Kafka keeps strays.
//!
//! Departures: the new name carries the topic's id, and a number if that is taken, where Kafka draws a random id;
//! directories of topics that are not in the metadata at all are left alone, where Kafka moves them aside once it
//! has caught up.

use std::{io, sync::Arc, time::Duration};

use uuid::Uuid;

use super::{partitions::Partition, state::Broker, storage::Work, ticker::Due};
use crate::kafka::{
    log::{LogError, load_partition_metadata},
    metadata::{Image, METADATA_TOPIC},
    types::TopicPartition,
};

/// Ends of directories' names (`UnifiedLog.DeleteDirSuffix`, `StrayDirSuffix`).
const DELETED: &str = "-delete";
const STRAY: &str = "-stray";
/// What file systems take for a name.
const MAX_NAME: usize = 255;

/// Gives up what the metadata no longer has.
pub(super) async fn retire_partitions(broker: &Arc<Broker>) -> Result<(), LogError> {
    let image = broker.metadata.image();
    let mut some = false;
    for partition in broker.partitions.all() {
        if partition.id.topic.as_str() == METADATA_TOPIC || is_in(broker, &image, &partition) {
            continue;
        }
        let delay = partition.log().config().file_delete_delay;
        let dir = partition.id.to_string();
        let aside = free_name(broker, &partition.id, partition.topic_id, DELETED);
        partition.retire();
        broker.partitions.remove(&partition.id);
        broker.replication.fetchers.forget(&partition.id);
        move_dir(broker, &dir, &aside)?;
        remove_later(broker, aside, delay);
        tracing::info!(broker = broker.id().0, partition = %partition.id, "partition given up");
        some = true;
    }
    if some {
        sync_moves(broker).await?;
        // Whoever gets the same name next must not be opened with these partitions' recovery points.
        broker.partitions.checkpoint_ends(broker).await;
        broker.partitions.checkpoint_starts(broker).await;
        broker.cleaner.forget_missing(broker).await;
    }
    Ok(())
}

fn is_in(broker: &Broker, image: &Image, partition: &Partition) -> bool {
    let topic = image.topic_by_id(partition.topic_id);
    let found = topic.and_then(|topic| topic.partitions.get(&partition.id.partition));
    found.is_some_and(|found| found.replicas.contains(&broker.id()))
}

/// Renames the partition's directory if it belongs to another topic: one that was deleted while this broker
/// was down.
pub(super) async fn set_stray_aside(
    broker: &Arc<Broker>,
    id: &TopicPartition,
    topic: Uuid,
) -> Result<(), LogError> {
    let dir = id.to_string();
    let found = load_partition_metadata(broker.env.disk.as_ref(), &dir).map_err(|error| {
        let (path, source) = (dir.clone(), io::Error::other(error.to_string()));
        LogError::Io { action: "identify", path, source }
    })?;
    let Some(other) = found.filter(|found| *found != topic) else { return Ok(()) };
    tracing::warn!(broker = broker.id().0, partition = %id, %other, "stray directory moved aside");
    move_dir(broker, &dir, &free_name(broker, id, other, STRAY))?;
    sync_moves(broker).await
}

/// Sees to the directories that were to be removed when the broker last went down.
pub(super) fn resume_removals(broker: &Arc<Broker>) {
    let delay = broker.config.config.topic_defaults.file_delete_delay;
    let names = broker.env.disk.list("").unwrap_or_default();
    for name in names.into_iter().filter(|name| name.ends_with(DELETED)) {
        remove_later(broker, name, delay);
    }
}

/// A name for the directory that nobody has: a partition may have come back and gone again before the first was removed.
/// Long names of topics are cut (`LocalLog.logDirNameWithSuffixCappedLength`).
fn free_name(broker: &Broker, id: &TopicPartition, topic_id: Uuid, end: &str) -> String {
    let name = |turn: u32| {
        let turn = if turn == 0 { String::new() } else { format!("-{turn}") };
        let rest = format!("-{}.{}{turn}{end}", id.partition, topic_id.simple());
        let topic = id.topic.as_str();
        // Legal names are ASCII.
        format!("{}{rest}", &topic[..topic.len().min(MAX_NAME - rest.len())])
    };
    let is_free = |name: &String| broker.env.disk.list(name).is_err();
    (0..).map(name).find(is_free).expect("the disk has not that many")
}

fn remove_later(broker: &Broker, dir: String, delay: Duration) {
    let at = broker.env.clock.now() + delay;
    broker.ticker.schedule(at, Due::Store(Work::Remove(vec![dir])));
}

fn move_dir(broker: &Broker, from: &str, to: &str) -> Result<(), LogError> {
    let moved = broker.env.disk.rename(from, to);
    moved.map_err(|source| LogError::Io { action: "rename", path: from.into(), source })
}

async fn sync_moves(broker: &Broker) -> Result<(), LogError> {
    let synced = broker.env.disk.sync_dir("").await;
    synced.map_err(|source| LogError::Io {
        action: "sync",
        path: "the data directory".into(),
        source,
    })
}
