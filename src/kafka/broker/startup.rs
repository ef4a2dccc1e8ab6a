//! Opening a data directory: how it was left, its checkpoints, its logs.

use std::{collections::BTreeMap, io, sync::Arc};

use super::{
    node::NodeConfig,
    observer::Event,
    partitions::{CLEANER_OFFSETS, HIGH_WATERMARKS, LOG_STARTS, Partition, RECOVERY_POINTS},
    retirement,
    state::Broker,
};
use crate::{
    env::{Disk, Env, OpenMode},
    kafka::{
        config::{CleanupPolicy, Settings, Side, TopicConfig},
        log::{
            CheckpointError, Log, LogError, OpenOptions, Recovery, Shutdown, load_offsets,
            read_text, store_partition_metadata,
        },
        metadata::{
            Image, METADATA_TOPIC, METADATA_TOPIC_ID, PartitionDelta, PartitionImage, TopicImage,
        },
        types::{BrokerEpoch, Offset, TopicPartition},
    },
};

/// Present after an orderly shutdown; its name and meaning are Kafka's.
const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";

/// One decision of the controller is one batch, whatever its size; Kafka divides larger ones than
/// `KafkaRaftClient.MAX_BATCH_SIZE_BYTES`.
const METADATA_BATCH_BYTES: u32 = 1 << 30;

/// What the data directory told at the start, before any log was opened.
pub(super) struct DataDir {
    shutdown: Shutdown,
    /// Of the broker's last life, if that ended in good order and was registered.
    pub broker_epoch: BrokerEpoch,
    pub recovery_points: BTreeMap<TopicPartition, Offset>,
    pub log_starts: BTreeMap<TopicPartition, Offset>,
    pub high_watermarks: BTreeMap<TopicPartition, Offset>,
    /// Where the last cleaning of each log ended.
    pub clean: BTreeMap<TopicPartition, Offset>,
}

impl DataDir {
    /// Reads the directory's state. The mark of a clean shutdown stays until the logs are opened
    /// ([`take_mark_away`]): a life that never comes to them changes nothing of what it says.
    pub fn open(disk: &dyn Disk) -> Result<Self, CheckpointError> {
        let mark = read_text(disk, CLEAN_SHUTDOWN)?;
        let shutdown = mark.as_ref().map_or(Shutdown::Unclean, |_| Shutdown::Clean);
        let broker_epoch = last_broker_epoch(&mark.unwrap_or_default());
        Ok(DataDir {
            shutdown,
            broker_epoch,
            recovery_points: load_offsets(disk, RECOVERY_POINTS)?,
            log_starts: load_offsets(disk, LOG_STARTS)?,
            high_watermarks: load_offsets(disk, HIGH_WATERMARKS)?,
            clean: load_offsets(disk, CLEANER_OFFSETS)?,
        })
    }

    /// Whether the checkpoints have anything under that name, be it of another topic.
    pub fn tells_of(&self, id: &TopicPartition) -> bool {
        [&self.recovery_points, &self.log_starts, &self.high_watermarks, &self.clean]
            .iter()
            .any(|offsets| offsets.contains_key(id))
    }

    /// All of the log before it was synced, and will not be taken back.
    pub fn recovery_point(&self, partition: &TopicPartition) -> Offset {
        self.recovery_points.get(partition).copied().unwrap_or_default()
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
            policy: config.behaviour.log,
        }
    }
}

/// The broker epoch in the mark of a clean shutdown. What cannot be made out of it counts as unknown, as in Kafka.
fn last_broker_epoch(mark: &str) -> BrokerEpoch {
    let value: serde_json::Value = serde_json::from_str(mark).unwrap_or_default();
    value["brokerEpoch"].as_i64().map_or(BrokerEpoch::NONE, BrokerEpoch)
}

/// Before the first log is opened (`LogManager.loadLogs`).
pub(super) async fn take_mark_away(disk: &dyn Disk) -> Result<(), LogError> {
    let failed = |source| LogError::Io { action: "remove", path: CLEAN_SHUTDOWN.into(), source };
    match disk.remove(CLEAN_SHUTDOWN) {
        Ok(()) => disk.sync_dir("").await.map_err(failed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

/// Leaves the mark of a clean shutdown, if this broker's logs have been recovered; everything must be synced and
/// checkpointed. With the broker's epoch in it the next life can prove that nothing was lost (KIP-966): one that never
/// registered has nothing to prove but what the life before it had.
pub(super) async fn mark_clean(broker: &Broker) -> io::Result<()> {
    let (dir, disk) = (&broker.data_dir, broker.env.disk.as_ref());
    if dir.shutdown == Shutdown::Unclean && !broker.metadata.is_published() {
        return Ok(());
    }
    let epoch = match broker.lifecycle.epoch() {
        BrokerEpoch::NONE => dir.broker_epoch,
        epoch => epoch,
    };
    let file = disk.open(CLEAN_SHUTDOWN, OpenMode::Truncate)?;
    file.write_at(0, format!("{{\"version\":0,\"brokerEpoch\":{epoch}}}").as_bytes())?;
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
    // What of it may go the snapshots tell. Its sizes are not those of topics, and when it is synced is the quorum's
    // matter.
    let topic = Arc::new(TopicConfig {
        cleanup_policy: CleanupPolicy::Delete,
        retention: None,
        retention_bytes: None,
        segment_bytes: config.config.metadata_log.segment_bytes,
        segment_age: config.config.metadata_log.segment_age,
        max_message_bytes: METADATA_BATCH_BYTES,
        flush_messages: None,
        flush_interval: None,
        log_append_time: false,
        ..config.config.topic_defaults.clone()
    });
    // The mark is of the others: this one may be written in a life that leaves them alone.
    let options = OpenOptions { shutdown: Shutdown::Unclean, ..dir.options(env, config, &id) };
    // What of it is committed the quorum will say.
    let (log, _) = Log::open(Arc::clone(&env.disk), &id.to_string(), topic, &options).await?;
    // Each batch goes under the epoch of the quorum's leader, which the caller gives.
    Ok(Partition::new(id, METADATA_TOPIC_ID, None, log))
}

/// Lets the partitions that this broker is a replica of follow what changed since `before`; opens the logs of
/// new ones.
pub(super) async fn follow_partitions(
    broker: &Arc<Broker>,
    before: &Image,
) -> Result<(), LogError> {
    let image = broker.metadata.image();
    for PartitionDelta { id, topic_id, before, after } in image.partitions_changed_since(before) {
        let Some(after) = after.filter(|after| after.replicas.contains(&broker.id())) else {
            continue;
        };
        let index = id.partition;
        match broker.partitions.get(&id) {
            Some(partition) => partition.follow_metadata(broker, &after),
            None => {
                let topic = image.topic_by_id(topic_id).expect("it has the partition");
                open_partition(broker, id, topic, &after).await?;
            }
        }
        broker.check_directory((topic_id, index), before.as_deref(), &after);
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
        broker.partitions.forget(broker, &id).await;
    }
    let topic_config = Arc::new(topic_config(config, topic));
    let (mut log, recovery) =
        Log::open(Arc::clone(&env.disk), &dir, topic_config, &options).await?;
    if is_new {
        let stored = store_partition_metadata(env.disk.as_ref(), &dir, topic.id).await;
        stored.map_err(|source| LogError::Io { action: "describe", path: dir, source })?;
    } else {
        // As far as the log is known to be committed; what more is, replication tells.
        let known = broker.data_dir.high_watermarks.get(&id).copied();
        log.restore_high_watermark(known.unwrap_or_default());
        observe_recovery(broker, &id, &log, &recovery);
    }
    let syncs_cut = recovery.cut.is_some() && log.syncs_cuts();
    let partition = Arc::new(Partition::new(id, topic.id, Some(broker.new_replica()), log));
    broker.partitions.insert(Arc::clone(&partition));
    if syncs_cut {
        partition.flush(broker).await?;
    }
    partition.follow_metadata(broker, image);
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
