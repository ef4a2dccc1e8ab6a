//! Opening a data directory: how it was left, its checkpoints, its logs.

use std::{collections::BTreeMap, io, sync::Arc};

use super::{
    node::NodeConfig,
    observer::Event,
    partitions::{CLEANER_OFFSETS, LOG_STARTS, Partition, RECOVERY_POINTS},
    retirement,
    state::Broker,
};
use crate::{
    env::{Disk, Env, OpenMode},
    kafka::{
        config::{CleanupPolicy, Settings, Side, TopicConfig},
        log::{
            CheckpointError, Log, LogError, OpenOptions, Recovery, Shutdown, load_offsets,
            store_partition_metadata,
        },
        metadata::{METADATA_TOPIC, METADATA_TOPIC_ID, PartitionImage, TopicImage},
        types::{LeaderEpoch, Offset, TopicPartition},
    },
};

/// Present after an orderly shutdown; its name and meaning are Kafka's.
const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";

/// What the data directory told at the start, before any log was opened.
pub(super) struct DataDir {
    shutdown: Shutdown,
    recovery_points: BTreeMap<TopicPartition, Offset>,
    log_starts: BTreeMap<TopicPartition, Offset>,
    /// Where the last cleaning of each log ended.
    pub clean: BTreeMap<TopicPartition, Offset>,
}

impl DataDir {
    /// Reads the directory's state and takes the mark of a clean shutdown away.
    pub async fn open(disk: &dyn Disk) -> Result<Self, CheckpointError> {
        let failed =
            |source: io::Error| CheckpointError::Io { path: CLEAN_SHUTDOWN.into(), source };
        let shutdown = match disk.remove(CLEAN_SHUTDOWN) {
            Ok(()) => Shutdown::Clean,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Shutdown::Unclean,
            Err(error) => return Err(failed(error)),
        };
        if shutdown == Shutdown::Clean {
            disk.sync_dir("").await.map_err(failed)?;
        }
        Ok(DataDir {
            shutdown,
            recovery_points: load_offsets(disk, RECOVERY_POINTS)?,
            log_starts: load_offsets(disk, LOG_STARTS)?,
            clean: load_offsets(disk, CLEANER_OFFSETS)?,
        })
    }

    fn options(&self, env: &Env, config: &NodeConfig, partition: &TopicPartition) -> OpenOptions {
        let known =
            |offsets: &BTreeMap<_, Offset>| offsets.get(partition).copied().unwrap_or_default();
        OpenOptions {
            recovery_point: known(&self.recovery_points),
            log_start: known(&self.log_starts),
            shutdown: self.shutdown,
            producer_id_expiration: config.config.producer_id_expiration,
            wall_time: env.clock.wall_time(),
            now: env.clock.now(),
            policy: Default::default(),
        }
    }
}

/// Leaves the mark of a clean shutdown; everything must be synced and checkpointed.
pub(super) async fn mark_clean(disk: &dyn Disk) -> io::Result<()> {
    let file = disk.open(CLEAN_SHUTDOWN, OpenMode::Truncate)?;
    file.write_at(0, b"{\"version\":0}")?;
    file.sync().await?;
    disk.sync_dir("").await
}

/// Opens the metadata log.
pub(super) async fn open_metadata_log(
    env: &Env,
    config: &NodeConfig,
    dir: &DataDir,
) -> Result<Partition, LogError> {
    let id = TopicPartition::new(METADATA_TOPIC, 0);
    // Nothing of it may go: there are no snapshots of metadata to start from instead.
    let topic = Arc::new(TopicConfig {
        cleanup_policy: CleanupPolicy::Delete,
        retention: None,
        retention_bytes: None,
        ..config.config.topic_defaults.clone()
    });
    let options = dir.options(env, config, &id);
    let (mut log, _) = Log::open(Arc::clone(&env.disk), &id.to_string(), topic, &options).await?;
    log.set_high_watermark(log.end_offset());
    // The controller never changes, so its epoch does not either.
    Ok(Partition::new(id, METADATA_TOPIC_ID, LeaderEpoch(0), log))
}

/// Opens the logs of all partitions that this broker leads and has not opened yet.
pub(super) async fn open_partitions(broker: &Arc<Broker>) -> Result<(), LogError> {
    let image = broker.metadata.image();
    for topic in image.topics() {
        for (index, partition) in &topic.partitions {
            let id = TopicPartition { topic: topic.name.clone(), partition: *index };
            if partition.leader == broker.id() && broker.partitions.get(&id).is_none() {
                open_partition(broker, id, topic, partition).await?;
            }
        }
    }
    Ok(())
}

async fn open_partition(
    broker: &Arc<Broker>,
    id: TopicPartition,
    topic: &TopicImage,
    image: &PartitionImage,
) -> Result<(), LogError> {
    let (env, config) = (&broker.env, &broker.config);
    let dir = id.to_string();
    retirement::set_stray_aside(broker, &id, topic.id).await?;
    let is_new = env.disk.list(&dir).is_err();
    let mut options = broker.data_dir.options(env, config, &id);
    if is_new {
        // What the checkpoints say is of a topic that had the same name.
        (options.recovery_point, options.log_start) = Default::default();
        broker.cleaner.forget(&id);
    }
    let topic_config = Arc::new(topic_config(config, topic));
    let (mut log, recovery) =
        Log::open(Arc::clone(&env.disk), &dir, topic_config, &options).await?;
    // With one replica everything in the log is committed.
    log.set_high_watermark(log.end_offset());
    log.assign_epoch(image.leader_epoch);
    if is_new {
        let stored = store_partition_metadata(env.disk.as_ref(), &dir, topic.id).await;
        stored.map_err(|source| LogError::Io { action: "describe", path: dir, source })?;
    } else {
        observe_recovery(broker, &id, &log, &recovery);
    }
    let partition = Partition::new(id, topic.id, image.leader_epoch, log);
    broker.partitions.insert(Arc::new(partition));
    Ok(())
}

fn observe_recovery(broker: &Broker, id: &TopicPartition, log: &Log, recovery: &Recovery) {
    let cut_bytes = recovery.cut.map_or(0, |cut| cut.bytes);
    let (partition, end) = (id.clone(), log.end_offset());
    broker.observe(Event::LogRecovered { partition, end, cut_bytes });
}

/// The topic's settings over the broker's. Settings that do not fit were refused when they were given.
pub(super) fn topic_config(config: &NodeConfig, topic: &TopicImage) -> TopicConfig {
    let defaults = &config.config.topic_defaults;
    let mut settings = Settings::new(Side::Topic);
    for (name, value) in &topic.config {
        if let Err(error) = settings.set(name, value) {
            tracing::warn!(topic = %topic.name, %error, "topic setting passed over");
        }
    }
    defaults.over(&settings).unwrap_or_else(|_| defaults.clone())
}
