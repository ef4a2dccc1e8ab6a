//! The producer that applications hold, and its background task.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
    time::Duration,
};

use super::{
    accumulator::{Accumulator, AccumulatorConfig, Appended, SenderNews},
    delivery::{SendError, SendFuture},
    idempotence::Idempotence,
    partitioner::partition_for_key,
    record::ProducerRecord,
    sender::{Lifecycle, OrderGuard, Sender, SenderConfig},
};
use crate::{
    env::{Address, Clock, Env, Instant},
    kafka::{
        client::{
            error::ClientError,
            network::{AutoCreate, Cluster, ClusterConfig, LazyTimer, NetworkConfig, WantedTopics},
            observer::{ClientObserver, Events},
            retry::Backoff,
        },
        config::{InFlightLimit, ProducerConfig},
        protocol::batch::{BatchBuilder, Compression},
        types::{Timestamp, TopicName},
    },
};

/// Sends records to a cluster, as Kafka's Java producer does.
///
/// - [`Producer::send`] appends to a batch; a background task sends batches when they are full or have
///   waited for `linger.ms`.
/// - Each send resolves exactly once while the producer lives: when its batch is acknowledged, refused
///   for good, or `delivery.timeout.ms` after it was created.
/// - Dropping the producer abandons what was not sent, as the end of a process does; [`Producer::close`]
///   sends it first.
pub struct Producer {
    shared: Arc<Shared>,
    config: ProducerConfig,
}

struct Shared {
    clock: Arc<dyn Clock>,
    sender: Mutex<Sender>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Sender> {
        self.sender.lock().expect("no panic while the lock is held")
    }
}

impl Producer {
    /// Starts the background task. Nothing is sent before the first [`Producer::send`] but what finds the
    /// cluster and, for an idempotent producer, its id.
    ///
    /// `env.rng` must be a child of the node's that no other client uses.
    pub fn new(
        env: &Env,
        bootstrap: &[Address],
        config: ProducerConfig,
        observer: Option<Arc<dyn ClientObserver>>,
    ) -> Self {
        let retry = Backoff::new(config.retry_backoff, config.retry_backoff_max);
        let cluster = Cluster::new(env, bootstrap, cluster_config(&config, &retry));
        let accumulator = Accumulator::new(
            AccumulatorConfig {
                batch_size: config.batch_size,
                linger: config.linger,
                buffer_memory: config.buffer_memory,
                delivery_timeout: config.delivery_timeout,
                retry: retry.clone(),
                compression: compression(&config.compression),
            },
            env.rng.child("producer"),
        );
        let idempotence = config.enable_idempotence.then(Idempotence::new);
        let order = match config.policy.in_flight_limit {
            InFlightLimit::PerPartition if config.max_in_flight == 1 => OrderGuard::Mute,
            InFlightLimit::PerPartition | InFlightLimit::PerConnection => OrderGuard::None,
        };
        let sender = Sender::new(
            SenderConfig {
                acks: config.acks,
                retries: config.retries,
                max_request_size: config.max_request_size,
                request_timeout: config.request_timeout,
                retry,
                order,
            },
            cluster,
            accumulator,
            idempotence,
            env.rng.stream("producer/init"),
            Events::new(observer),
        );
        let shared = Arc::new(Shared { clock: env.clock.clone(), sender: Mutex::new(sender) });
        let mut task =
            SenderTask { shared: shared.clone(), timer: LazyTimer::new(env.clock.clone()) };
        env.tasks.spawn("producer", Box::pin(poll_fn(move |cx| task.poll(cx))));
        Producer { shared, config }
    }

    /// Appends the record to a batch and returns its future. Waits for metadata and for room in
    /// `buffer.memory`, for `max.block.ms` at most; usually it does not wait at all. Records of one task
    /// are appended in the order of their calls.
    ///
    /// # Errors
    /// Always with [`Fate::NotAppended`](super::Fate): `Timeout` (no metadata, or no such partition),
    /// `BufferExhausted`, `RecordTooLarge`, `InvalidTopic`, `Closed`, or the error that stopped the
    /// producer for good.
    pub async fn send(&self, record: ProducerRecord) -> Result<SendFuture, SendError> {
        self.append(&record).await.map_err(SendError::not_appended)
    }

    async fn append(&self, record: &ProducerRecord) -> Result<SendFuture, ClientError> {
        let deadline = self.shared.clock.now() + self.config.max_block;
        let mut timer = None;
        let mut ticket = None;
        let result = poll_fn(|cx| {
            let mut sender = self.shared.lock();
            let step = self.try_append(&mut sender, record, &mut ticket);
            if let Step::Done(result) = step {
                return Poll::Ready(result);
            }
            sender.add_waiter(cx.waker());
            drop(sender);
            let clock = &self.shared.clock;
            let timer = timer.get_or_insert_with(|| LazyTimer::new(clock.clone()));
            timer.poll_until(cx, deadline).map(|()| Err(self.gave_up_waiting(&step, record)))
        })
        .await;
        if ticket.is_some() {
            self.shared.lock().accumulator.leave_queue(&mut ticket);
        }
        result
    }

    fn try_append(
        &self,
        sender: &mut Sender,
        record: &ProducerRecord,
        ticket: &mut Option<u64>,
    ) -> Step {
        if sender.lifecycle != Lifecycle::Running {
            return Step::Done(Err(ClientError::Closed));
        }
        if let Some(error) = sender.fatal() {
            return Step::Done(Err(error.clone()));
        }
        let partitions = match self.known_partitions(sender, &record.topic) {
            Ok(Some(count)) => count,
            Ok(None) => return Step::AwaitMetadata,
            Err(error) => return Step::Done(Err(error)),
        };
        if let Some(partition) = record.partition
            && partition >= partitions
        {
            sender.cluster.metadata_mut().request_update();
            sender.waker.wake_by_ref();
            return Step::AwaitMetadata;
        }
        if let Err(error) = self.check_size(record) {
            return Step::Done(Err(error));
        }
        let by_key = record.key.as_deref().filter(|_| !self.config.partitioner_ignore_keys);
        let partition =
            record.partition.or_else(|| by_key.map(|key| partition_for_key(key, partitions)));
        let timestamp =
            record.timestamp.unwrap_or_else(|| Timestamp::from(self.shared.clock.wall_time()));
        let now = self.shared.clock.now();
        let metadata = sender.cluster.metadata();
        let accumulator = &mut sender.accumulator;
        match accumulator.append(record, partition, timestamp, metadata, ticket, now) {
            Appended::To(future, news) => {
                if news == SenderNews::Yes {
                    sender.waker.wake_by_ref();
                }
                Step::Done(Ok(future))
            }
            Appended::MemoryFull => {
                // Whoever waits for memory makes all batches due at once.
                sender.waker.wake_by_ref();
                Step::AwaitMemory
            }
        }
    }

    /// The topic's number of partitions, or `None` with metadata on the way.
    fn known_partitions(
        &self,
        sender: &mut Sender,
        topic: &TopicName,
    ) -> Result<Option<i32>, ClientError> {
        let metadata = sender.cluster.metadata();
        let known = metadata.partitions(topic).map_or(0, <[_]>::len);
        if known > 0 {
            return Ok(Some(i32::try_from(known).unwrap_or(i32::MAX)));
        }
        if metadata.error(topic) == Some(kafka_protocol::ResponseError::InvalidTopicException) {
            return Err(ClientError::InvalidTopic(topic.to_string()));
        }
        // A topic that was asked for and is not there yet is asked for again without being told.
        sender.cluster.metadata_mut().add_topic(topic);
        sender.waker.wake_by_ref();
        Ok(None)
    }

    fn check_size(&self, record: &ProducerRecord) -> Result<(), ClientError> {
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        let size = BatchBuilder::upper_bound(key, value, &record.headers);
        if size > self.config.max_request_size {
            Err(ClientError::RecordTooLarge { size, limit: "max.request.size" })
        } else if size > self.config.buffer_memory {
            Err(ClientError::RecordTooLarge { size, limit: "buffer.memory" })
        } else {
            Ok(())
        }
    }

    fn gave_up_waiting(&self, step: &Step, record: &ProducerRecord) -> ClientError {
        match step {
            Step::AwaitMemory => ClientError::BufferExhausted,
            _ => ClientError::Timeout(format!(
                "topic {} not present in metadata after max.block.ms",
                record.topic
            )),
        }
    }

    /// Makes everything sent so far due at once and waits until all of it has ended, well or badly.
    pub async fn flush(&self) {
        let open: Vec<_> = {
            let mut sender = self.shared.lock();
            sender.accumulator.flushes += 1;
            sender.waker.wake_by_ref();
            sender.accumulator.incomplete().map(|batch| batch.delivery.clone()).collect()
        };
        for delivery in open {
            delivery.ended().await;
        }
        self.shared.lock().accumulator.flushes -= 1;
    }

    /// Sends what is left, for at most `timeout`; what is not acknowledged by then fails with `Closed`.
    /// `Duration::ZERO` aborts at once.
    pub async fn close(self, timeout: Duration) {
        let deadline = self.shared.clock.now() + timeout;
        {
            let mut sender = self.shared.lock();
            if sender.lifecycle == Lifecycle::Running {
                sender.lifecycle = Lifecycle::Closing;
                sender.accumulator.closed = true;
            }
            sender.wake_waiters();
            sender.waker.wake_by_ref();
        }
        let mut timer = LazyTimer::new(self.shared.clock.clone());
        poll_fn(|cx| {
            let mut sender = self.shared.lock();
            if sender.lifecycle == Lifecycle::Closed {
                return Poll::Ready(());
            }
            sender.add_waiter(cx.waker());
            drop(sender);
            timer.poll_until(cx, deadline)
        })
        .await;
        // `Drop` aborts what is left.
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        let mut sender = self.shared.lock();
        sender.lifecycle = Lifecycle::Closed;
        sender.abort(ClientError::Closed);
        sender.wake_waiters();
        sender.waker.wake_by_ref();
    }
}

/// Where an append stands.
enum Step {
    Done(Result<SendFuture, ClientError>),
    AwaitMetadata,
    AwaitMemory,
}

/// The producer's one task: network, deadlines and batches that are due.
struct SenderTask {
    shared: Arc<Shared>,
    timer: LazyTimer,
}

impl SenderTask {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut sender = self.shared.lock();
        if !sender.waker.will_wake(cx.waker()) {
            sender.waker = cx.waker().clone();
        }
        loop {
            if sender.lifecycle == Lifecycle::Closed {
                return Poll::Ready(());
            }
            let now: Instant = self.shared.clock.now();
            sender.cluster.poll(cx, now);
            let deadline = sender.run_once(now);
            if sender.lifecycle != Lifecycle::Closed
                && self.timer.poll_until(cx, deadline).is_pending()
            {
                return Poll::Pending;
            }
        }
    }
}

fn cluster_config(config: &ProducerConfig, retry: &Backoff) -> ClusterConfig {
    ClusterConfig {
        network: NetworkConfig {
            client_id: config.client_id.clone(),
            reconnect: Backoff::new(config.reconnect_backoff, config.reconnect_backoff_max),
            setup_timeout: config.socket_connection_setup_timeout,
            request_timeout: config.request_timeout,
            max_in_flight: config.max_in_flight,
        },
        wanted: WantedTopics::Named(Default::default()),
        // The Java producer always allows it; the broker's `auto.create.topics.enable` decides.
        auto_create: AutoCreate::Allowed,
        metadata_max_age: config.metadata_max_age,
        rebootstraps: config.rebootstraps,
        retry: retry.clone(),
    }
}

/// The codec of `compression.type`, which the configuration has checked.
fn compression(name: &str) -> Compression {
    Compression::ALL.into_iter().find(|codec| codec.name() == name).unwrap_or_default()
}
