//! Telling the controller in which log directory replicas are: `AssignmentsManager` (KIP-858).
//!
//! The metadata has a directory for each replica. A broker that has the replica in another one, as after its disk was
//! replaced, tells so, since the controller would not let it lead otherwise. The task that does begins with the first
//! such replica. One request at a time is on its way, with all that came up since the last one.
//!
//! Departures: brokers have one directory, so there is never a choice. Pauses are without jitter.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use kafka_protocol::messages::{
    AssignReplicasToDirsRequest, AssignReplicasToDirsResponse, BrokerId as WireBrokerId,
    assign_replicas_to_dirs_request::{DirectoryData, PartitionData, TopicData},
};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{controller_channel::ControllerChannel, state::Broker};
use crate::kafka::{metadata::PartitionImage, replica::Brokers};

const VERSION: i16 = 0;
/// So that what comes up together goes together, and the first pause after a failure
/// (`AssignmentsManager.STANDARD_BACKOFF`).
const PAUSE: Duration = Duration::from_millis(100);
/// After failures pauses are doubled up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// `AssignReplicasToDirsRequest.MAX_ASSIGNMENTS_PER_REQUEST`.
const MAX_PER_REQUEST: usize = 2250;

/// A replica by its topic's id and its partition.
pub(super) type ReplicaOf = (Uuid, i32);

/// Replicas that the controller believes to be elsewhere.
#[derive(Default)]
pub(super) struct Assignments {
    state: Mutex<State>,
    more: Notify,
}

#[derive(Default)]
struct State {
    to_tell: BTreeSet<ReplicaOf>,
    has_begun: bool,
}

impl Assignments {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while it is locked")
    }
}

impl Broker {
    /// Looks where the metadata has this broker's replica, where that is news
    /// (`ReplicaManager.maybeUpdateTopicAssignment`).
    pub fn check_directory(
        self: &Arc<Self>,
        replica: ReplicaOf,
        before: Option<&PartitionImage>,
        after: &PartitionImage,
    ) {
        let had_it = before.filter(|before| before.replicas.contains(&self.id()));
        let directory = after.directory(self.id());
        let is_news = had_it.is_none_or(|before| before.directory(self.id()) != directory);
        if !is_news || directory == self.lifecycle.directory() {
            return;
        }
        let assignments = &self.replication.assignments;
        let mut state = assignments.lock();
        state.to_tell.insert(replica);
        if !std::mem::replace(&mut state.has_begun, true) {
            let task = Arc::clone(self);
            self.env.tasks.spawn("assignments", Box::pin(async move { run(&task).await }));
        }
        assignments.more.notify_one();
    }
}

/// Runs until the broker stops.
async fn run(broker: &Arc<Broker>) {
    let assignments = &broker.replication.assignments;
    let mut channel = ControllerChannel::new("assignments", broker.config.config.request_timeout);
    let mut pause = PAUSE;
    loop {
        let has_some = !assignments.lock().to_tell.is_empty();
        tokio::select! {
            biased;
            () = broker.ending.wait() => return,
            () = assignments.more.notified(), if !has_some => {}
            () = broker.env.clock.sleep_until(broker.env.clock.now() + pause), if has_some => {
                tokio::select! {
                    biased;
                    () = broker.ending.wait() => return,
                    was_taken = tell(broker, &mut channel) => {
                        pause = if was_taken { PAUSE } else { LONGEST_PAUSE.min(pause * 2) };
                    }
                }
            }
        }
    }
}

/// Tells what there is to tell; whether the controller took the request. What it did not take, of all or of one
/// replica, is told again.
async fn tell(broker: &Arc<Broker>, channel: &mut ControllerChannel) -> bool {
    let replicas = take_valid(broker);
    if replicas.is_empty() {
        return true;
    }
    let request = request(broker, &replicas);
    let answer = channel.ask(broker, VERSION, &request).await;
    let answer = match answer {
        Ok(answer) if answer.error_code == 0 => answer,
        answer => {
            let error = answer.map(|answer| answer.error_code);
            tracing::debug!(broker = broker.id().0, ?error, "directories not taken");
            broker.replication.assignments.lock().to_tell.extend(replicas);
            return false;
        }
    };
    let assigned = assigned(&answer);
    let left = replicas.into_iter().filter(|replica| !assigned.contains(replica));
    broker.replication.assignments.lock().to_tell.extend(left);
    true
}

/// As many as a request takes, without those that are not this broker's any more (`Assignment.valid`).
fn take_valid(broker: &Broker) -> BTreeSet<ReplicaOf> {
    let image = broker.metadata.image();
    let is_valid = |(topic, index): &ReplicaOf| {
        let topic = image.topic_by_id(*topic);
        let partition = topic.and_then(|topic| topic.partitions.get(index));
        partition.is_some_and(|partition| partition.replicas.contains(&broker.id()))
    };
    let mut state = broker.replication.assignments.lock();
    state.to_tell.retain(is_valid);
    let mut taken = std::mem::take(&mut state.to_tell);
    if let Some(first_left) = taken.iter().nth(MAX_PER_REQUEST).copied() {
        state.to_tell = taken.split_off(&first_left);
    }
    taken
}

fn request(broker: &Broker, replicas: &BTreeSet<ReplicaOf>) -> AssignReplicasToDirsRequest {
    let mut topics: BTreeMap<Uuid, Vec<PartitionData>> = BTreeMap::new();
    for (topic, index) in replicas {
        let partition = PartitionData::default().with_partition_index(*index);
        topics.entry(*topic).or_default().push(partition);
    }
    let topic =
        |(id, partitions)| TopicData::default().with_topic_id(id).with_partitions(partitions);
    let directory = DirectoryData::default()
        .with_id(broker.lifecycle.directory())
        .with_topics(topics.into_iter().map(topic).collect());
    AssignReplicasToDirsRequest::default()
        .with_broker_id(WireBrokerId(broker.id().0))
        .with_broker_epoch(broker.own_epoch().0)
        .with_directories(vec![directory])
}

fn assigned(answer: &AssignReplicasToDirsResponse) -> BTreeSet<ReplicaOf> {
    let topics = answer.directories.iter().flat_map(|directory| &directory.topics);
    let taken = topics.flat_map(|topic| {
        let taken = topic.partitions.iter().filter(|partition| partition.error_code == 0);
        taken.map(|partition| (topic.topic_id, partition.partition_index))
    });
    taken.collect()
}
