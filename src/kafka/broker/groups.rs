//! The group coordinators of this broker: one per partition of `__consumer_offsets` it leads.
//!
//! A coordinator decides and never waits; this shell gives it requests and the time, and does what it
//! says, in order. Appends go to the log while the coordinator is locked, so that the log has them in the
//! order they were decided; syncing happens without the lock, and appends that are synced out of turn
//! wait for those before them.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use kafka_protocol::messages::{
    describe_groups_response::DescribedGroup, list_groups_response::ListedGroup,
};
use rand_chacha::ChaCha8Rng;
use tokio::sync::oneshot;

use super::{
    controller_link::NewTopic,
    node::draw_id,
    observer::Event,
    partitions::{Partition, Written},
    state::Broker,
    storage::Work,
    ticker::{DeadlineKey, Due},
};
use crate::{
    env::{Env, Instant},
    kafka::{
        config::BrokerConfig,
        coordinator::{
            OFFSETS_TOPIC,
            group::{
                AppendToken, Effect, GroupConfig, GroupCoordinator, GroupResponse, Now,
                RequestToken,
            },
            records::Record,
        },
        log::{AppendOrigin, MinOneMessage},
        protocol::{
            ResponseError,
            batch::{BatchBuilder, BatchOptions, Batches, Compression},
        },
        replica::RequiredAcks,
        types::{BrokerId, Offset, Timestamp, TopicPartition},
    },
};

/// Bound of one batch of coordinator records; the topic's own limit judges it after that.
const BATCH_LIMIT: usize = 1 << 20;

pub(super) struct Groups {
    config: GroupConfig,
    load_bytes: usize,
    shards: Mutex<BTreeMap<i32, Arc<Shard>>>,
    tokens: AtomicU64,
    member_ids: Mutex<ChaCha8Rng>,
}

/// One partition of the offsets topic and its coordinator.
pub(super) struct Shard {
    index: i32,
    partition: Arc<Partition>,
    state: Mutex<State>,
}

struct State {
    coordinator: GroupCoordinator,
    waiting: BTreeMap<RequestToken, oneshot::Sender<GroupResponse>>,
    /// Appends whose outcome the coordinator has not heard, in order.
    appends: VecDeque<Append>,
    armed: Option<(Instant, DeadlineKey)>,
    /// This broker coordinates these groups no longer.
    resigned: bool,
}

/// An append as far as it has come.
struct Append {
    token: AppendToken,
    /// Where the high watermark must be before it counts.
    required: Offset,
    /// Whether it is in the log, once it is settled there.
    outcome: Option<Result<(), ResponseError>>,
}

/// What a coordinator's decision leaves to wait for.
pub(super) struct Pending {
    shard: Arc<Shard>,
    unsettled: VecDeque<Unsettled>,
}

/// An append that has to be synced before it counts.
struct Unsettled {
    append: AppendToken,
    written: Written,
}

impl Groups {
    pub fn new(env: &Env, config: &BrokerConfig) -> Self {
        Groups {
            config: GroupConfig::from(config),
            load_bytes: config.offsets_load_buffer_bytes,
            shards: Mutex::default(),
            tokens: AtomicU64::new(0),
            member_ids: Mutex::new(env.rng.stream("member-ids")),
        }
    }

    /// The broker that coordinates a group; `None` while the offsets topic is not there.
    pub fn coordinator_of(&self, broker: &Broker, group: &str) -> Option<BrokerId> {
        let image = broker.metadata.image();
        let index = self.index_of(broker, group)?;
        Some(image.topic(OFFSETS_TOPIC)?.partitions.get(&index)?.leader)
    }

    /// Has the controller make the offsets topic.
    pub fn order_offsets_topic(&self, broker: &Broker) {
        let config = &broker.config.config;
        let setting = |name: &str, value: String| (name.to_owned(), Some(value));
        broker.link.create_topic(NewTopic {
            name: OFFSETS_TOPIC.into(),
            partitions: config.offsets_topic_partitions,
            replication_factor: config.offsets_topic_replication_factor,
            assignments: BTreeMap::new(),
            config: vec![
                setting("cleanup.policy", "compact".into()),
                setting("compression.type", "producer".into()),
                setting("segment.bytes", config.offsets_topic_segment_bytes.to_string()),
            ],
        });
    }

    /// Random end of a member id that a coordinator may give out.
    pub fn draw_member_id(&self) -> uuid::Uuid {
        draw_id(&mut *self.member_ids.lock().expect("no panic while it is locked"))
    }

    /// The partition of the offsets topic that a group belongs to, whoever leads it.
    pub fn index_of(&self, broker: &Broker, group: &str) -> Option<i32> {
        let image = broker.metadata.image();
        let count = i32::try_from(image.topic(OFFSETS_TOPIC)?.partitions.len()).ok()?;
        Some(partition_of(group, count))
    }

    fn shard(&self, broker: &Broker, group: &str) -> Option<Arc<Shard>> {
        self.lock().get(&self.index_of(broker, group)?).cloned()
    }

    /// All groups that this broker coordinates.
    pub fn list(&self) -> Vec<ListedGroup> {
        self.all().iter().flat_map(|shard| shard.lock().coordinator.list()).collect()
    }

    /// A group as it is now; `None` if this broker does not coordinate it.
    pub fn describe(&self, broker: &Broker, group: &str) -> Option<DescribedGroup> {
        Some(self.shard(broker, group)?.lock().coordinator.describe(group))
    }

    /// Puts a request to a group's coordinator and waits for its answer, however long that takes. `None`
    /// if this broker does not coordinate the group.
    pub async fn ask(
        &self,
        broker: &Arc<Broker>,
        group: &str,
        put: impl FnOnce(&mut GroupCoordinator, Now, RequestToken, &mut Vec<Effect>),
    ) -> Option<GroupResponse> {
        let shard = self.shard(broker, group)?;
        let token = RequestToken(self.tokens.fetch_add(1, Ordering::Relaxed));
        let (sender, receiver) = oneshot::channel();
        shard
            .turn(broker, |state, now, effects| {
                state.waiting.insert(token, sender);
                put(&mut state.coordinator, now, token, effects);
            })
            .await;
        tokio::select! {
            biased;
            answer = receiver => answer.ok(),
            // Members go to look for the coordinator elsewhere, or again.
            () = broker.ending.wait() => None,
        }
    }

    /// Does not wait: what the coordinator writes is settled by the storage task.
    pub fn handle_deadline(&self, broker: &Arc<Broker>, index: i32) {
        let shard = self.lock().get(&index).cloned();
        if let Some(shard) = shard {
            let pending = shard.decide(broker, |state, now, effects| {
                state.armed = None;
                state.coordinator.handle_deadline(now, effects);
            });
            if pending.unsettled.is_empty() {
                pending.shard.arm(broker);
            } else {
                broker.storage.add(Work::Settle(pending));
            }
        }
    }

    /// More of what a coordinator wrote may be committed.
    pub async fn commit(&self, broker: &Arc<Broker>, index: i32) {
        let shard = self.lock().get(&index).cloned();
        if let Some(shard) = shard {
            let unsettled = shard.advance(broker, &mut shard.lock());
            Pending { shard, unsettled }.settle(broker).await;
        }
    }

    /// Takes up the partitions of the offsets topic that this broker has come to lead, gives up those that
    /// it leads no longer, and has offsets of deleted partitions forgotten. A partition is read in full before
    /// anybody can ask, so no request meets a coordinator that is loading.
    pub async fn metadata_changed(&self, broker: &Arc<Broker>, deleted: &[TopicPartition]) {
        self.give_up_lost(broker);
        if !deleted.is_empty() {
            for shard in self.all() {
                shard
                    .turn(broker, |state, now, effects| {
                        state.coordinator.handle_partitions_deleted(now, deleted, effects);
                    })
                    .await;
            }
        }
        let image = broker.metadata.image();
        let Some(topic) = image.topic(OFFSETS_TOPIC) else { return };
        for index in topic.partitions.keys() {
            let id = TopicPartition::new(OFFSETS_TOPIC, *index);
            let Some(partition) = broker.partitions.get(&id) else { continue };
            if partition.is_leader() && !self.lock().contains_key(index) {
                let shard = Arc::new(Shard::load(self, broker, *index, partition));
                self.lock().insert(*index, Arc::clone(&shard));
                shard
                    .turn(broker, |state, now, effects| state.coordinator.loaded(now, effects))
                    .await;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<i32, Arc<Shard>>> {
        self.shards.lock().expect("no panic while the shards are locked")
    }

    fn all(&self) -> Vec<Arc<Shard>> {
        self.lock().values().cloned().collect()
    }

    /// Whoever waits for one of these coordinators is sent to look for it again.
    fn give_up_lost(&self, broker: &Arc<Broker>) {
        let is_lost = |shard: &Arc<Shard>| {
            let partition = &shard.partition;
            partition.is_retired() || !partition.is_leader()
        };
        for shard in self.all().into_iter().filter(is_lost) {
            self.lock().remove(&shard.index);
            let mut state = shard.lock();
            let fresh = GroupCoordinator::new(self.config.clone());
            let coordinator = std::mem::replace(&mut state.coordinator, fresh);
            state.resigned = true;
            state.appends.clear();
            let mut effects = Vec::new();
            coordinator.resign(&mut effects);
            shard.carry_out(broker, &mut state, effects);
        }
    }
}

impl Pending {
    /// Settles the appends and does what follows from that, until nothing is left to do.
    pub async fn settle(self, broker: &Arc<Broker>) {
        let Pending { shard, mut unsettled } = self;
        while let Some(Unsettled { append, written }) = unsettled.pop_front() {
            let settled = shard.partition.settle(broker, &written).await;
            let result = settled.map_err(|_| ResponseError::KafkaStorageError);
            let mut state = shard.lock();
            unsettled.extend(shard.append_settled(broker, &mut state, append, result));
        }
        shard.arm(broker);
    }
}

impl Shard {
    /// Replays the partition's log.
    fn load(groups: &Groups, broker: &Broker, index: i32, partition: Arc<Partition>) -> Self {
        let mut coordinator = GroupCoordinator::new(groups.config.clone());
        let now = now(broker);
        let mut from = partition.log().start_offset();
        while let Some((records, next)) = read(&partition, from, groups.load_bytes) {
            for batch in Batches::new(records).flatten() {
                for record in batch.records().into_iter().flatten().flatten() {
                    let Some(key) = record.key.filter(|_| record.offset >= from) else { continue };
                    if let Err(error) = coordinator.replay(now, key, record.value) {
                        tracing::warn!(partition = %partition.id, %error, "record passed over");
                    }
                }
            }
            from = next;
        }
        let (waiting, appends) = (BTreeMap::new(), VecDeque::new());
        let state = State { coordinator, waiting, appends, armed: None, resigned: false };
        Shard { index, partition, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while a coordinator is locked")
    }

    /// Lets the coordinator decide, and does what it says, until nothing is left to do.
    async fn turn(
        self: &Arc<Self>,
        broker: &Arc<Broker>,
        decide: impl FnOnce(&mut State, Now, &mut Vec<Effect>),
    ) {
        self.decide(broker, decide).settle(broker).await;
    }

    /// Lets the coordinator decide, and does of what it says all that needs no waiting.
    fn decide(
        self: &Arc<Self>,
        broker: &Arc<Broker>,
        decide: impl FnOnce(&mut State, Now, &mut Vec<Effect>),
    ) -> Pending {
        let mut state = self.lock();
        let mut effects = Vec::new();
        // Whoever came too late finds no coordinator here.
        if state.resigned || self.partition.is_retired() {
            return Pending { shard: Arc::clone(self), unsettled: VecDeque::new() };
        }
        decide(&mut state, now(broker), &mut effects);
        let unsettled = self.carry_out(broker, &mut state, effects);
        Pending { shard: Arc::clone(self), unsettled }
    }

    /// Does what needs no waiting; returns the appends that do.
    fn carry_out(
        &self,
        broker: &Arc<Broker>,
        state: &mut State,
        effects: Vec<Effect>,
    ) -> VecDeque<Unsettled> {
        let mut unsettled = VecDeque::new();
        for effect in effects {
            match effect {
                Effect::Reply { request, response } => {
                    // Whoever asked may have gone.
                    if let Some(sender) = state.waiting.remove(&request) {
                        let _ = sender.send(response);
                    }
                }
                Effect::Observe(event) => broker.observe(Event::Group(event)),
                Effect::Append { append, records } => {
                    let batch = encode(&records, broker);
                    let (origin, acks) = (AppendOrigin::Coordinator, RequiredAcks::Leader);
                    let written = self.partition.write(broker, &batch, origin, acks);
                    let required = written.as_ref().map_or(Offset(0), Written::required);
                    state.appends.push_back(Append { token: append, required, outcome: None });
                    match written {
                        Ok(written) => unsettled.push_back(Unsettled { append, written }),
                        Err(error) => {
                            let result = Err(error.code());
                            unsettled.extend(self.append_settled(broker, state, append, result));
                        }
                    }
                }
            }
        }
        unsettled
    }

    /// Notes that an append is in the log, or failed.
    fn append_settled(
        &self,
        broker: &Arc<Broker>,
        state: &mut State,
        append: AppendToken,
        result: Result<(), ResponseError>,
    ) -> VecDeque<Unsettled> {
        if let Some(append) = state.appends.iter_mut().find(|known| known.token == append) {
            append.outcome = Some(result);
        }
        self.advance(broker, state)
    }

    /// Tells the coordinator what became of the appends that are next in turn: those that are committed or
    /// failed. The others are looked at again when the high watermark has moved.
    fn advance(&self, broker: &Arc<Broker>, state: &mut State) -> VecDeque<Unsettled> {
        let mut unsettled = VecDeque::new();
        while let Some(Append { token, required, outcome: Some(result) }) = state.appends.front() {
            let (token, required, result) = (*token, *required, *result);
            if result.is_ok() && !self.is_committed(required) {
                break;
            }
            state.appends.pop_front();
            let mut effects = Vec::new();
            state.coordinator.handle_append_done(now(broker), token, result, &mut effects);
            unsettled.extend(self.carry_out(broker, state, effects));
        }
        unsettled
    }

    /// If not, the storage task comes back when that may have changed.
    fn is_committed(&self, required: Offset) -> bool {
        let is_committed = || self.partition.log().high_watermark() >= required;
        if is_committed() {
            return true;
        }
        self.partition.coordinator_waits.store(true, Ordering::Relaxed);
        // It may have moved before anybody knew that somebody waits.
        is_committed()
    }

    /// Sees to it that the ticker comes back in time. A deadline that moved away costs one look too many
    /// when the old one comes, not a change at every heartbeat.
    fn arm(&self, broker: &Broker) {
        let mut state = self.lock();
        let next = state.coordinator.next_deadline();
        if next == Instant::FAR_FUTURE || state.armed.is_some_and(|(at, _)| at <= next) {
            return;
        }
        if let Some((_, key)) = state.armed.take() {
            broker.ticker.cancel(key);
        }
        let key = broker.ticker.schedule(next, Due::Groups(self.index));
        state.armed = Some((next, key));
    }
}

fn now(broker: &Broker) -> Now {
    Now { instant: broker.env.clock.now(), wall: broker.env.clock.wall_time() }
}

fn read(partition: &Partition, from: Offset, max_bytes: usize) -> Option<(bytes::Bytes, Offset)> {
    let log = partition.log();
    let read = log.read(from, max_bytes, log.end_offset(), MinOneMessage::Yes).ok()?;
    (!read.records.is_empty()).then_some((read.records, read.next_offset))
}

fn encode(records: &[Record], broker: &Broker) -> bytes::Bytes {
    let now = Timestamp::from(broker.env.clock.wall_time());
    let codec = Compression::from_id(broker.config.config.offsets_topic_compression);
    let mut batch = BatchBuilder::new(codec.unwrap_or_default(), BATCH_LIMIT);
    for record in records {
        batch.append(now, Some(&record.key), record.value.as_deref(), &[]);
    }
    batch.build(&BatchOptions::default())
}

/// Which partition of the offsets topic keeps a group: Java's `String.hashCode` without its sign, modulo
/// the number of partitions (`GroupCoordinatorService.partitionFor`).
fn partition_of(group: &str, partitions: i32) -> i32 {
    let hash = group
        .encode_utf16()
        .fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    // `Utils.abs` takes the least integer to 0.
    hash.checked_abs().unwrap_or(0) % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::partition_of;

    #[test]
    fn groups_lie_where_java_puts_them() {
        // "abc".hashCode() = 96354 and "polygenelubricants".hashCode() = Integer.MIN_VALUE.
        assert_eq!(partition_of("abc", 50), 4);
        assert_eq!(partition_of("polygenelubricants", 50), 0);
        // "console-consumer".hashCode() is negative.
        assert!((0..50).contains(&partition_of("console-consumer", 50)));
    }
}
