//! The metadata this broker has seen: the log of records, the image they add up to, and what of it the broker has
//! made its own.
//!
//! Loading follows the quorum's high watermark at once; publishing, which opens partitions and so waits for the disk,
//! is a task's, and begins once the controller has said that the broker has caught up: an image of long ago would
//! have it open, and put aside, what is not its own any more (`MetadataLoader`, `BrokerMetadataPublisher`). From what is
//! loaded the node makes snapshots, which the quorum's task writes.

use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicI64, Ordering},
};

use bytes::Bytes;

use super::{
    BrokerEndpoint,
    observer::{Event, MetadataChange, Observer},
    partitions::Partition,
    quorum::{Contents, SnapshotSchedule, encode_snapshot},
    retirement,
    signal::Signal,
    startup,
    state::Broker,
};
use crate::{
    env::{Address, Instant},
    kafka::{
        log::{LogError, MinOneMessage},
        metadata::{Image, MetadataRecord, TopicImage},
        protocol::batch::Batches,
        raft::OffsetAndEpoch,
        types::{BrokerId, LeaderEpoch, Offset, Timestamp, TopicPartition},
    },
};

/// Bytes of the metadata log replayed at once.
const REPLAY_BYTES: usize = 1 << 20;

pub(super) struct MetadataStore {
    /// `__cluster_metadata-0`.
    pub log: Arc<Partition>,
    state: Mutex<State>,
    next_start: AtomicI64,
    committed: Signal<Offset>,
    published: Signal<Offset>,
    open: Signal<bool>,
    ended: Signal<bool>,
    observer: Arc<dyn Observer>,
}

/// - `published <= loaded.end`, and loaded is what is committed.
struct State {
    loaded: Loaded,
    image: Arc<Image>,
    /// How often another image took its place.
    images: u64,
    snapshots: SnapshotSchedule,
}

/// What all committed records add up to.
#[derive(Clone)]
pub(super) struct Loaded {
    pub image: Arc<Image>,
    /// Records before it are in the image.
    pub end: Offset,
    /// Of the last of them, and when it was appended.
    epoch: LeaderEpoch,
    last_appended: Timestamp,
    /// Whether there ever was a topic, though all may be deleted.
    pub has_had_topics: bool,
}

impl Default for Loaded {
    fn default() -> Self {
        Loaded {
            image: Arc::default(),
            end: Offset(0),
            epoch: LeaderEpoch(0),
            last_appended: Timestamp::NONE,
            has_had_topics: false,
        }
    }
}

impl Loaded {
    /// Nobody makes a snapshot before the cluster has had its first topics, so there were some.
    fn of_snapshot(id: OffsetAndEpoch, contents: Contents) -> Self {
        Loaded {
            image: Arc::new(contents.image),
            end: id.offset,
            epoch: id.epoch,
            last_appended: contents.last_contained,
            has_had_topics: true,
        }
    }

    /// Tells of what each record changes.
    fn replay(&mut self, batches: Bytes, mut tell: impl FnMut(Offset, MetadataChange)) {
        for batch in Batches::new(batches).flatten() {
            if batch.header.last_offset() >= self.end {
                self.epoch = batch.header.leader_epoch;
                self.last_appended = batch.header.max_timestamp;
            }
            // Control records are the quorum's own.
            if batch.header.last_offset() < self.end || batch.header.attributes.is_control() {
                self.end = self.end.max(batch.header.next_offset());
                continue;
            }
            let records = batch.records().into_iter().flatten().flatten();
            for (index, record) in records.enumerate() {
                let value = record.value.as_deref().unwrap_or_default();
                match MetadataRecord::decode(value) {
                    // The image stays the same one, and whoever goes by it need not look.
                    Ok(MetadataRecord::NoOp) => {}
                    Ok(record) => {
                        let image = Arc::make_mut(&mut self.image);
                        self.has_had_topics |= matches!(record, MetadataRecord::Topic { .. });
                        let change = MetadataChange::of(&record, image);
                        image.apply(record);
                        if let Some(change) = change.and_then(|change| change.applied(image)) {
                            tell(batch.header.base_offset + index as i64, change);
                        }
                    }
                    Err(error) => tracing::warn!(%error, "metadata record passed over"),
                }
            }
            self.end = batch.header.next_offset();
        }
    }
}

impl MetadataStore {
    pub fn new(log: Arc<Partition>, observer: Arc<dyn Observer>, now: Instant) -> Self {
        let snapshots = SnapshotSchedule::new(now);
        let (loaded, image) = (Loaded::default(), Arc::default());
        let state = State { loaded, image, images: 0, snapshots };
        MetadataStore {
            log,
            state: Mutex::new(state),
            next_start: AtomicI64::new(0),
            committed: Signal::new(Offset(0)),
            published: Signal::new(Offset(0)),
            open: Signal::new(false),
            ended: Signal::new(false),
            observer,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while it is locked")
    }

    /// As the broker goes by it.
    pub fn image(&self) -> Arc<Image> {
        Arc::clone(&self.lock().image)
    }

    /// All that is committed as far as this broker has read, whether it goes by it or not.
    pub fn newest(&self) -> Arc<Image> {
        Arc::clone(&self.lock().loaded.image)
    }

    /// How often the image has become another.
    pub fn images(&self) -> u64 {
        self.lock().images
    }

    /// Makes this the image that the broker goes by; returns the one before.
    fn replace_image(&self, image: &Arc<Image>) -> Arc<Image> {
        let mut state = self.lock();
        if !Arc::ptr_eq(&state.image, image) {
            state.images += 1;
        }
        std::mem::replace(&mut state.image, Arc::clone(image))
    }

    /// The quorum says that all before `offset` is committed.
    pub fn commit(&self, offset: Offset) {
        let offset = self.log.log().set_high_watermark(offset);
        self.log.waiters.wake_all();
        // What a snapshot has is committed, also while the quorum does not say so yet.
        self.committed.set(offset.max(self.committed.get()));
    }

    /// Replays what is committed.
    pub fn load(&self) -> Result<Loaded, LogError> {
        let mut state = self.lock();
        loop {
            let (read, from) = {
                let (log, from) = (self.log.log(), state.loaded.end);
                let upto = log.high_watermark();
                if from >= upto {
                    return Ok(state.loaded.clone());
                }
                (log.read(from, REPLAY_BYTES, upto, MinOneMessage::Yes), from)
            };
            match read {
                Ok(read) if !read.records.is_empty() => {
                    state.snapshots.loaded(read.records.len() as u64);
                    state.loaded.replay(read.records, |offset, change| {
                        self.observer.observe(Event::Metadata { offset, change });
                    });
                }
                Ok(_) => return Ok(state.loaded.clone()),
                Err(error) => {
                    let source = std::io::Error::other(format!("from offset {from}: {error}"));
                    let path = self.log.id.to_string();
                    return Err(LogError::Io { action: "replay", path, source });
                }
            }
        }
    }

    /// Begins again with a snapshot, if that has more than is loaded.
    pub fn load_snapshot(&self, now: Instant, id: OffsetAndEpoch, contents: Contents) {
        let mut state = self.lock();
        if id.offset <= state.loaded.end {
            return;
        }
        state.loaded = Loaded::of_snapshot(id, contents);
        state.snapshots.snapshot_loaded(now);
        drop(state);
        self.committed.set(id.offset.max(self.committed.get()));
    }

    /// What a snapshot shall be made of, if it is time for one.
    fn due_snapshot(&self, broker: &Broker) -> Option<Loaded> {
        let mut state = self.lock();
        let now = broker.env.clock.now();
        // A snapshot does not tell whether there were topics before it.
        let has_begun = broker.config.topics.is_empty() || state.loaded.has_had_topics;
        if !has_begun || !state.snapshots.is_due(now, &broker.config.config.metadata_log) {
            return None;
        }
        state.snapshots.begin(now);
        Some(state.loaded.clone())
    }

    /// The snapshot is on the disk, or is not wanted.
    pub fn snapshot_written(&self) {
        self.lock().snapshots.written();
    }

    /// What a start may rely on: of the log what is durable and committed, which nothing takes away again.
    pub fn recovery_point(&self) -> (TopicPartition, Offset) {
        let log = self.log.log();
        (self.log.id.clone(), log.recovery_point().min(log.high_watermark()))
    }

    /// Where the log starts, or is about to. It is kept also where the segments' names tell it: a power loss may bring
    /// back some of those that were removed.
    pub fn start_to_keep(&self) -> Option<(TopicPartition, Offset)> {
        let start = self.log.log().start_offset().0.max(self.next_start.load(Ordering::Relaxed));
        (start > 0).then(|| (self.log.id.clone(), Offset(start)))
    }

    /// The log is about to be emptied, and to start there.
    pub fn will_start_at(&self, start: Offset) {
        self.next_start.store(start.0, Ordering::Relaxed);
    }

    /// The last record the broker has read: of those it goes by or, before there are any, of those it knows.
    pub fn last_read(&self) -> Offset {
        let published = self.published.get();
        let end = if published > Offset(0) { published } else { self.lock().loaded.end };
        end + -1
    }

    /// Completes once the broker goes by all that it knows to be committed now.
    pub async fn wait_until_followed(&self) {
        let committed = self.committed.get();
        self.published.wait_for(|end| end >= committed).await;
    }

    pub fn is_published(&self) -> bool {
        self.published.get() > Offset(0)
    }

    /// Completes once the broker serves clients: it goes by metadata that has it among the cluster's brokers, and the
    /// topics that exist from the beginning do, which a client that was faster might have made otherwise. Kafka lets
    /// clients in before it is unfenced.
    pub async fn wait_until_open(&self) {
        self.open.wait_for(|is_open| is_open).await;
    }

    /// Completes once the broker goes by metadata of which that is true.
    pub async fn wait_until(&self, is_so: impl Fn(&Image) -> bool) {
        self.published.wait_for(|end| end > Offset(0) && is_so(&self.image())).await;
        // The image is there before the partitions are as it says.
        self.wait_until_followed().await;
    }

    /// Completes once the broker goes by metadata that has itself in it.
    pub async fn wait_until_published(&self) {
        self.published.wait_for(|end| end > Offset(0)).await;
    }

    /// Completes when the task has ended and opens no log any more.
    pub async fn wait_for_end(&self) {
        self.ended.wait_for(|ended| ended).await;
    }
}

/// Loads and publishes until the broker stops.
pub(super) async fn run(broker: Arc<Broker>) {
    if let Err(error) = follow(&broker).await {
        broker.fail(&error);
    }
    broker.metadata.ended.set(true);
}

async fn follow(broker: &Arc<Broker>) -> Result<(), LogError> {
    let committed = &broker.metadata.committed;
    loop {
        let seen = committed.get();
        let is_caught_up = broker.lifecycle.caught_up.get();
        let loaded = broker.metadata.load();
        if let Some(due) = broker.metadata.due_snapshot(broker) {
            let id = OffsetAndEpoch::new(due.end, due.epoch);
            let now = broker.env.clock.wall_time();
            let contents = encode_snapshot(&due.image, due.epoch, due.last_appended, now);
            broker.quorum.write_snapshot(id, contents);
        }
        match loaded {
            Ok(loaded) if is_caught_up => broker.publish(loaded).await?,
            loaded => drop(loaded?),
        }
        tokio::select! {
            biased;
            () = broker.ending.wait() => return Ok(()),
            () = committed.wait_for(|end| end != seen) => {}
            () = broker.lifecycle.caught_up.wait_for(|is| is), if !is_caught_up => {}
        }
    }
}

impl Broker {
    /// Where a broker that has registered is to be reached.
    pub fn endpoint(&self, id: BrokerId) -> Option<BrokerEndpoint> {
        let image = self.metadata.image();
        let registration = image.broker(id)?;
        // Brokers have one listener.
        let listener = registration.endpoints.first()?;
        let advertised = Address::new(listener.host.as_str(), listener.port);
        Some(BrokerEndpoint { id, advertised, rack: registration.rack.clone() })
    }

    /// Brings partitions and coordinators up to the metadata.
    async fn publish(self: &Arc<Self>, loaded: Loaded) -> Result<(), LogError> {
        let store = &self.metadata;
        if loaded.end <= store.published.get() {
            return Ok(());
        }
        let before = store.replace_image(&loaded.image);
        let is_first = !store.is_published();
        if !is_first && Arc::ptr_eq(&before, &loaded.image) {
            store.published.set(loaded.end);
            return Ok(());
        }
        if is_first {
            startup::take_mark_away(self.env.disk.as_ref()).await?;
        }
        retirement::retire_partitions(self).await?;
        startup::follow_partitions(self, &before).await?;
        self.apply_topic_configs(&before);
        let deleted = loaded.image.deleted_since(&before);
        self.groups.metadata_changed(self, &deleted).await;
        self.observe(Event::MetadataApplied { upto: loaded.end });
        if store.published.set(loaded.end) == Offset(0) {
            self.observe(Event::Started);
        }
        let is_unfenced = loaded.image.broker(self.id()).is_some_and(|broker| !broker.fenced);
        let has_topics = self.config.topics.is_empty() || loaded.has_had_topics;
        // A controller alone has nothing to wait for.
        let is_ready = !self.config.is_broker() || (is_unfenced && has_topics);
        if is_ready && !store.open.get() {
            store.open.set(true);
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
