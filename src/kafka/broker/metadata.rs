//! The metadata this broker has seen: the log of records and the image they add up to.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::watch;

use super::{partitions::Partition, retirement, startup, state::Broker};
use crate::{
    env::WallTime,
    kafka::{
        log::{AppendError, AppendOrigin, LogError, MinOneMessage},
        metadata::{Image, MetadataRecord, TopicImage},
        protocol::batch::{BatchBuilder, BatchOptions, Batches, Compression},
        types::{LeaderEpoch, Offset, Timestamp},
    },
};

/// Bytes of the metadata log replayed at once.
const REPLAY_BYTES: usize = 1 << 20;
/// Bound of one batch of metadata records.
const BATCH_LIMIT: usize = 1 << 20;

pub(super) struct MetadataStore {
    /// `__cluster_metadata-0`: on the controller the original, elsewhere a copy.
    pub log: Arc<Partition>,
    state: Mutex<State>,
    changed: watch::Sender<Offset>,
}

struct State {
    image: Arc<Image>,
    /// Records before it are in the image.
    applied: Offset,
}

impl MetadataStore {
    pub fn new(log: Arc<Partition>) -> Self {
        let state = State { image: Arc::default(), applied: Offset(0) };
        MetadataStore { log, state: Mutex::new(state), changed: watch::Sender::new(Offset(0)) }
    }

    pub fn image(&self) -> Arc<Image> {
        Arc::clone(&self.state.lock().expect("no panic while it is locked").image)
    }

    /// End of what the image holds.
    pub fn applied(&self) -> Offset {
        self.state.lock().expect("no panic while it is locked").applied
    }

    /// Replays what the log holds beyond the image. Returns whether anything changed.
    fn replay(&self) -> Result<bool, LogError> {
        let mut changed = false;
        loop {
            let from = self.applied();
            let read = {
                let log = self.log.log();
                log.read(from, REPLAY_BYTES, log.end_offset(), MinOneMessage::Yes)
            };
            let records = match read {
                Ok(read) if !read.records.is_empty() => read.records,
                Ok(_) => return Ok(changed),
                Err(error) => {
                    let source = std::io::Error::other(error.to_string());
                    let path = self.log.id.to_string();
                    return Err(LogError::Io { action: "replay", path, source });
                }
            };
            self.apply(records);
            changed = true;
        }
    }

    fn apply(&self, batches: Bytes) {
        let mut state = self.state.lock().expect("no panic while it is locked");
        let mut image = Image::clone(&state.image);
        for batch in Batches::new(batches).flatten() {
            if batch.header.last_offset() < state.applied {
                continue;
            }
            for record in batch.records().into_iter().flatten().flatten() {
                let value = record.value.as_deref().unwrap_or_default();
                match MetadataRecord::decode(value) {
                    Ok(record) => image.apply(record),
                    Err(error) => tracing::warn!(%error, "metadata record passed over"),
                }
            }
            state.applied = batch.header.next_offset();
        }
        state.image = Arc::new(image);
        self.changed.send_replace(state.applied);
    }
}

/// One batch of records, ready to append.
fn encode(records: &[MetadataRecord], now: WallTime) -> Bytes {
    let mut batch = BatchBuilder::new(Compression::None, BATCH_LIMIT);
    for record in records {
        batch.append(Timestamp::from(now), None, Some(&record.encode()), &[]);
    }
    batch.build(&BatchOptions::default())
}

impl Broker {
    /// Appends records to the metadata log, makes them durable and applies them; the controller's act.
    pub async fn commit_metadata(
        self: &Arc<Self>,
        records: &[MetadataRecord],
    ) -> Result<(), AppendError> {
        let batch = encode(records, self.env.clock.wall_time());
        let log = &self.metadata.log;
        // The controller never changes, so its epoch does not either.
        let (now, epoch) = (self.env.clock.wall_time(), LeaderEpoch(0));
        let appended = log.log().append_as_leader(&batch, AppendOrigin::Coordinator, epoch, now);
        if let Err(AppendError::Log(error)) = &appended {
            self.fail(error);
        }
        let info = appended?;
        log.flush(self).await?;
        log.log().set_high_watermark(info.last_offset + 1);
        log.waiters.wake_all();
        // The records stand: a broker that cannot follow them has lost its disk.
        let applied = self.apply_metadata().await;
        applied.inspect_err(|error| self.fail(error))?;
        Ok(())
    }

    /// Brings image and partitions up to the end of the metadata log.
    pub async fn apply_metadata(self: &Arc<Self>) -> Result<(), LogError> {
        let before = self.metadata.image();
        if self.metadata.replay()? {
            retirement::retire_partitions(self).await?;
            startup::follow_partitions(self, &before).await?;
            self.apply_topic_configs(&before);
            let deleted = self.metadata.image().deleted_since(&before);
            self.groups.metadata_changed(self, &deleted).await;
        }
        Ok(())
    }

    /// Gives the logs of topics whose settings have changed since `before` the new ones.
    fn apply_topic_configs(&self, before: &Image) {
        let image = self.metadata.image();
        let old = |topic: &TopicImage| before.topic_by_id(topic.id).map(|old| old.config.clone());
        for topic in
            image.topics().filter(|topic| old(topic).is_some_and(|old| old != topic.config))
        {
            let config = Arc::new(startup::topic_config(&self.config, topic));
            for index in topic.partitions.keys() {
                if let Some(partition) = self.partitions.find(topic.name.as_str(), *index) {
                    partition.log().set_config(Arc::clone(&config));
                }
            }
        }
    }
}
