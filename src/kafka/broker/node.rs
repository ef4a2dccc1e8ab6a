//! A broker as a whole: what it is told, how it starts, runs and stops.

use std::{collections::BTreeSet, io, sync::Arc, time::Duration};

use uuid::Uuid;

use super::{
    admission::Admission,
    chores::Chore,
    cleaner::Cleaner,
    connection, controller_link,
    controller_link::ControllerLink,
    fetch_sessions::FetchSessions,
    groups::Groups,
    lifecycle,
    lifecycle::Lifecycle,
    meta_properties,
    meta_properties::DirectoryError,
    metadata,
    metadata::MetadataStore,
    observer::Observer,
    partitions::Partitions,
    producer_ids::ProducerIds,
    quorum,
    quorum::Quorum,
    replication::Replication,
    retirement, startup,
    startup::DataDir,
    state::{Broker, Ending},
    storage,
    storage::Storage,
    ticker,
    ticker::{Due, Ticker},
};
use crate::{
    env::{Address, Env, Listener, Stream},
    kafka::{
        behaviour::Behaviour,
        config::BrokerConfig,
        log::{CheckpointError, LogError, id_to_text},
        raft::ElectionStateError,
        types::{BrokerId, TopicName},
    },
};

/// Pause after a connection could not be accepted: if file descriptors have run out, the next try fails
/// as well until one is closed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How to reach a broker of the cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BrokerEndpoint {
    pub id: BrokerId,
    /// As clients and other brokers are told.
    pub advertised: Address,
    pub rack: Option<String>,
}

/// A topic that exists from the beginning: the first controller makes it when the brokers are there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InitialTopic {
    pub name: TopicName,
    /// Replicas of each partition, the preferred leader first.
    pub partitions: Vec<Vec<BrokerId>>,
    pub config: Vec<(String, String)>,
}

/// What one node is told before it starts.
///
/// Which roles it has (`process.roles`) follows from where it is named: among the brokers, the voters, or both.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// `node.id`
    pub broker_id: BrokerId,
    /// What its data directory must say too, if it was used before.
    pub cluster_id: String,
    pub listen: Address,
    /// All brokers.
    pub brokers: Vec<BrokerEndpoint>,
    /// How to reach the voters that are not brokers.
    pub controllers: Vec<BrokerEndpoint>,
    /// Who votes in the metadata quorum, and so may be the controller: `controller.quorum.voters`.
    pub voters: BTreeSet<BrokerId>,
    pub topics: Vec<InitialTopic>,
    pub config: BrokerConfig,
    /// How Kafka once behaved, where that is wanted.
    pub behaviour: Behaviour,
}

/// Why a broker did not start, or stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    #[error("failed to listen on {address}: {source}")]
    Listen { address: Address, source: io::Error },
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Quorum(#[from] ElectionStateError),
    #[error("storage failed: {0}")]
    Storage(String),
    #[error("failed to finish the shutdown: {0}")]
    Shutdown(io::Error),
}

/// A broker that listens.
pub struct Node {
    pub(super) broker: Arc<Broker>,
    listener: Box<dyn Listener>,
}

impl NodeConfig {
    /// Who votes where nobody says: as many of the first brokers as make 1, 3 or 5.
    pub fn first_voters(brokers: &[BrokerEndpoint]) -> BTreeSet<BrokerId> {
        let ids: BTreeSet<_> = brokers.iter().map(|broker| broker.id).collect();
        let count = match ids.len() {
            0..3 => 1,
            3..5 => 3,
            _ => 5,
        };
        ids.into_iter().take(count).collect()
    }

    pub(super) fn endpoint(&self, id: BrokerId) -> Option<&BrokerEndpoint> {
        self.brokers.iter().chain(&self.controllers).find(|node| node.id == id)
    }

    /// Whether this node holds partitions and serves clients.
    pub(super) fn is_broker(&self) -> bool {
        self.is_among_brokers(self.broker_id)
    }

    pub(super) fn is_among_brokers(&self, id: BrokerId) -> bool {
        self.brokers.iter().any(|broker| broker.id == id)
    }

    /// Whether this node votes.
    pub(super) fn is_controller(&self) -> bool {
        self.voters.contains(&self.broker_id)
    }
}

impl Node {
    /// Recovers the data directory, brings up what it holds, and listens.
    pub async fn start(
        env: Env,
        config: NodeConfig,
        observer: Arc<dyn Observer>,
    ) -> Result<Node, NodeError> {
        let directory = meta_properties::claim(&env, &config).await?;
        let data_dir = DataDir::open(env.disk.as_ref())?;
        let metadata_log = Arc::new(startup::open_metadata_log(&env, &config, &data_dir).await?);
        let durable = data_dir.recovery_point(&metadata_log.id);
        let prepared = quorum::prepare(&env, &config, directory, &metadata_log, durable).await?;
        let (quorum, inputs) = Quorum::new();
        let (link, orders) = ControllerLink::new();
        let broker = Arc::new(Broker {
            metadata: MetadataStore::new(metadata_log, Arc::clone(&observer), env.clock.now()),
            partitions: Partitions::default(),
            groups: Groups::new(&env, &config.config),
            fetch_sessions: FetchSessions::new(&env, &config.config),
            producer_ids: ProducerIds::default(),
            quorum,
            lifecycle: Lifecycle::new(&env, directory),
            link,
            replication: Replication::default(),
            ticker: Ticker::default(),
            storage: Storage::default(),
            admission: Admission::new(&config.config),
            cleaner: Cleaner::new(data_dir.clean.clone()),
            ending: Ending::default(),
            data_dir,
            env: env.clone(),
            config,
            observer,
        });
        if let Some((id, contents)) = prepared.newest_snapshot()? {
            broker.metadata.load_snapshot(env.clock.now(), id, contents);
        }
        retirement::resume_removals(&broker);
        let address = broker.config.listen.clone();
        let listener = env.network.listen(address.clone()).await;
        let listener = listener.map_err(|source| NodeError::Listen { address, source })?;
        let now = env.clock.now();
        for chore in Chore::of(&broker.config.config) {
            broker.ticker.schedule(now + chore.initial_delay(&broker), Due::Chore(chore));
        }
        let expire = now + super::partitions::PRODUCER_EXPIRATION_CHECK;
        broker.ticker.schedule(expire, Due::ExpireProducers);
        env.tasks.spawn("ticker", Box::pin(ticker::run(Arc::clone(&broker))));
        env.tasks.spawn("storage", Box::pin(storage::run(Arc::clone(&broker))));
        env.tasks
            .spawn("controller-link", Box::pin(controller_link::run(Arc::clone(&broker), orders)));
        quorum::spawn(&broker, inputs, prepared);
        env.tasks.spawn("metadata", Box::pin(metadata::run(Arc::clone(&broker))));
        if broker.config.is_broker() {
            let last_epoch = broker.data_dir.broker_epoch;
            env.tasks.spawn("lifecycle", Box::pin(lifecycle::run(Arc::clone(&broker), last_epoch)));
        } else {
            // Nobody but a broker has partitions that metadata of long ago would do harm to.
            broker.lifecycle.caught_up.set(true);
        }
        tracing::info!(broker = broker.id().0, address = %listener.local_address(), "listening");
        Ok(Node { broker, listener })
    }

    pub fn local_address(&self) -> Address {
        self.listener.local_address()
    }

    /// Serves until the storage fails or `stop` completes; then closes everything in order.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), NodeError> {
        self.run_until(stop, std::future::ready(())).await
    }

    /// As [`Node::run`], where several nodes stop together. Once this one has the controller's leave it begins to wait
    /// for `others`, who want theirs: a majority of voters must stay as long, or the last brokers wait in vain
    /// (`KafkaRaftServer.shutdown`, and `KafkaClusterTestKit.close` for several).
    pub async fn run_until(
        mut self,
        stop: impl Future<Output = ()>,
        others: impl Future<Output = ()>,
    ) -> Result<(), NodeError> {
        let broker = Arc::clone(&self.broker);
        // Others connect as before until the broker has the controller's leave.
        let mut stop = std::pin::pin!(async {
            stop.await;
            broker.lifecycle.shut_down(&broker).await;
            others.await;
            quorum::step_down(&broker).await;
        });
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut stop => break,
                () = broker.ending.wait() => break,
                accepted = accept(&broker, self.listener.as_mut()) => accepted,
            };
            if let Some((stream, peer)) = accepted {
                connection::accept(&broker, stream, peer);
            }
        }
        broker.ending.stop();
        match broker.ending.failure() {
            Some(error) => Err(NodeError::Storage(error)),
            None => self.shut_down().await,
        }
    }

    /// Syncs every log, writes the checkpoints, and leaves the mark of a clean shutdown.
    async fn shut_down(self) -> Result<(), NodeError> {
        let broker = &self.broker;
        broker.quorum.wait_for_end().await;
        broker.metadata.wait_for_end().await;
        let mut partitions = broker.partitions.all();
        partitions.push(Arc::clone(&broker.metadata.log));
        for partition in partitions {
            partition.close(broker).await?;
        }
        broker.partitions.checkpoint_ends(broker).await;
        broker.partitions.checkpoint_starts(broker).await;
        if let Some(error) = broker.ending.failure() {
            return Err(NodeError::Storage(error));
        }
        startup::mark_clean(broker).await.map_err(NodeError::Shutdown)?;
        tracing::info!(broker = broker.id().0, "shut down");
        Ok(())
    }
}

/// The next connection, once there is room for it.
async fn accept(broker: &Broker, listener: &mut dyn Listener) -> Option<(Stream, Address)> {
    match listener.accept().await {
        Ok(accepted) => {
            broker.admission.room().await;
            Some(accepted)
        }
        Err(error) => {
            tracing::debug!(%error, "connection lost before it was accepted");
            broker.env.clock.sleep_until(broker.env.clock.now() + ACCEPT_PAUSE).await;
            None
        }
    }
}

/// A new id (`Uuid.randomUuid`): never one that Kafka keeps for itself, none of which is random, nor one
/// whose text a command line would take for a flag.
pub(super) fn draw_id(rng: &mut impl rand::Rng) -> Uuid {
    loop {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
        if !id_to_text(id).starts_with('-') {
            return id;
        }
    }
}
