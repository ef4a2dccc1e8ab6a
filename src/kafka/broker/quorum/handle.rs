//! What the rest of the broker has of the quorum: a queue into its task, and who leads.

use std::{collections::BTreeMap, fmt::Debug, time::Duration};

use bytes::Bytes;
use kafka_protocol::protocol::Request as WireRequest;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::{
    env::Instant,
    kafka::{
        broker::{
            active_controller::Moment,
            dispatch::{Answer, Call, Close},
            node::NodeConfig,
            signal::Signal,
            state::Broker,
        },
        controller::{
            Controller, ControllerResponse, Effect as ControllerEffect, Request as Asked,
        },
        raft::{
            Correlation, OffsetAndEpoch, QuorumConfig, ReplicaKey, ReplicaProgress, Request,
            Response, RoleName, wire::Unfit,
        },
        types::{BrokerId, LeaderEpoch, Offset},
    },
};

/// How long the others may take to hear of it (`KafkaRaftManager.shutdown`).
const STEPPING_DOWN: Duration = Duration::from_secs(5);

/// Who leads the quorum, as far as this node knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(in crate::kafka::broker) struct Leadership {
    pub epoch: LeaderEpoch,
    pub leader: Option<BrokerId>,
}

/// What DescribeQuorum tells.
#[derive(Clone, PartialEq, Debug)]
pub(in crate::kafka::broker) struct Description {
    pub role: RoleName,
    pub leadership: Leadership,
    pub high_watermark: Option<Offset>,
    pub now: Instant,
    pub voters: Vec<ReplicaProgress>,
    pub observers: Vec<ReplicaProgress>,
}

/// This node is not the active controller, or ceased to be it before the answer was certain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::kafka::broker) struct NotController;

pub(super) type Decide =
    Box<dyn FnOnce(&mut Controller, Moment, &mut Vec<ControllerEffect>) + Send>;

/// What the task is given, one after the other.
pub(super) enum Input {
    Request(Request, oneshot::Sender<Response>),
    /// What came of a request to a voter; `None` if no answer will come.
    Answered(BrokerId, Correlation, Option<Response>),
    Decide(Decide, oneshot::Sender<ControllerResponse>),
    Describe(oneshot::Sender<Description>),
    /// A snapshot of what this node has loaded, to be written.
    Snapshot(OffsetAndEpoch, Bytes),
    /// Leadership is given up; the sender is dropped once that is told.
    Resign(oneshot::Sender<()>),
}

/// The others' end of the task.
pub(in crate::kafka::broker) struct Quorum {
    inputs: mpsc::UnboundedSender<Input>,
    pub(super) leadership: Signal<Leadership>,
    pub(super) ended: Signal<bool>,
}

/// The task's end.
pub(in crate::kafka::broker) struct Inputs(pub(super) mpsc::UnboundedReceiver<Input>);

impl Quorum {
    pub fn new() -> (Self, Inputs) {
        let (inputs, receiver) = mpsc::unbounded_channel();
        let (leadership, ended) = (Signal::default(), Signal::new(false));
        (Quorum { inputs, leadership, ended }, Inputs(receiver))
    }

    fn put(&self, input: Input) {
        // The receiver ends with the broker; whoever waits for an answer finds its sender gone.
        let _ = self.inputs.send(input);
    }

    /// A message of another node, to be answered; `None` if the broker stops.
    pub async fn ask(&self, request: Request) -> Option<Response> {
        let (sender, answer) = oneshot::channel();
        self.put(Input::Request(request, sender));
        answer.await.ok()
    }

    /// The same as the wire has it. What says nothing of the metadata log is refused before anybody is asked.
    pub async fn ask_replica<W, R>(
        &self,
        request: W,
        kind: fn(R) -> Request,
    ) -> Result<Response, Close>
    where
        R: TryFrom<W, Error = Unfit>,
    {
        match R::try_from(request) {
            Ok(request) => self.ask(kind(request)).await.ok_or(Close::Stopping),
            Err(unfit) => Ok(Response::Refused(unfit.code())),
        }
    }

    pub(super) fn answered(
        &self,
        from: BrokerId,
        correlation: Correlation,
        answer: Option<Response>,
    ) {
        self.put(Input::Answered(from, correlation, answer));
    }

    /// Puts a request to the active controller, and waits until its answer is certain.
    pub async fn decide<A>(
        &self,
        decide: impl FnOnce(&mut Controller, Moment, &mut Vec<ControllerEffect>) + Send + 'static,
    ) -> Result<A, NotController>
    where
        A: TryFrom<ControllerResponse, Error: Debug>,
    {
        let (sender, answer) = oneshot::channel();
        self.put(Input::Decide(Box::new(decide), sender));
        let answer = answer.await.map_err(|_| NotController)?;
        Ok(A::try_from(answer).expect("a request is answered as its kind is"))
    }

    /// The same for a request that leaves nothing to chance.
    pub async fn ask_controller<R>(
        &self,
        request: R,
        handle: fn(&mut Controller, Instant, Asked<R>, &mut Vec<ControllerEffect>),
    ) -> Result<R::Response, NotController>
    where
        R: WireRequest + Send + 'static,
        R::Response: TryFrom<ControllerResponse, Error: Debug>,
    {
        let decided = self.decide(move |controller, moment, effects| {
            handle(controller, moment.now, moment.request(request), effects);
        });
        decided.await
    }

    /// The answer to another node's request to the controller: where this node is none, its answer says so, since
    /// each of these has a place for it.
    pub async fn answer_node<R>(
        &self,
        call: &Call<'_>,
        request: R,
        handle: fn(&mut Controller, Instant, Asked<R>, &mut Vec<ControllerEffect>),
    ) -> Answer
    where
        R: WireRequest + Send + 'static,
        R::Response: Default + Into<ControllerResponse>,
        R::Response: TryFrom<ControllerResponse, Error: Debug>,
    {
        let refused = |NotController| {
            let answer = R::Response::default().into().not_controller();
            R::Response::try_from(answer).expect("an answer stays of its kind")
        };
        let response = self.ask_controller(request, handle).await.unwrap_or_else(refused);
        call.answer(&response)
    }

    pub async fn describe(&self) -> Option<Description> {
        let (sender, answer) = oneshot::channel();
        self.put(Input::Describe(sender));
        answer.await.ok()
    }

    /// Has a snapshot written; `MetadataStore::snapshot_written` is called when that is done.
    pub fn write_snapshot(&self, id: OffsetAndEpoch, contents: Bytes) {
        self.put(Input::Snapshot(id, contents));
    }

    /// Gives leadership up, if this node has it. Completes once the voters know, or will not hear of it.
    pub async fn resign(&self) {
        let (sender, told) = oneshot::channel();
        self.put(Input::Resign(sender));
        let _ = told.await;
    }

    pub fn leader(&self) -> Option<BrokerId> {
        self.leadership.get().leader
    }

    /// Completes once somebody else than `leader` is known to lead.
    pub async fn wait_for_another_leader(&self, leader: BrokerId) {
        self.leadership.wait_for(|now| now.leader.is_some_and(|now| now != leader)).await;
    }

    /// Completes when the task has ended and touches the log no more.
    pub async fn wait_for_end(&self) {
        self.ended.wait_for(|ended| ended).await;
    }
}

/// Before the node stops: whoever follows it is told to look for another leader.
pub(in crate::kafka::broker) async fn step_down(broker: &Broker) {
    if broker.config.voters.len() < 2 {
        return;
    }
    let clock = &broker.env.clock;
    tokio::select! {
        biased;
        () = broker.quorum.resign() => {}
        () = broker.ending.wait() => {}
        () = clock.sleep_until(clock.now() + STEPPING_DOWN) => {}
    }
}

/// The core's settings: `controller.quorum.*`.
pub(super) fn config_of(node: &NodeConfig, directory: Uuid) -> QuorumConfig {
    let (times, log) = (&node.config.quorum, &node.config.metadata_log);
    let key = |&id: &BrokerId| ReplicaKey::new(id, Uuid::nil());
    let voters: Vec<_> = node.voters.iter().map(key).collect();
    let local = ReplicaKey::new(node.broker_id, directory);
    QuorumConfig {
        election_timeout: times.election_timeout,
        election_backoff_max: times.election_backoff_max,
        fetch_timeout: times.fetch_timeout,
        request_timeout: times.request_timeout,
        retry_backoff: times.retry_backoff,
        policies: node.behaviour.quorum,
        fetch_max_bytes: log.fetch_max_bytes,
        fetch_snapshot_max_bytes: log.fetch_snapshot_max_bytes,
        ..QuorumConfig::new(local, node.cluster_id.clone(), &voters)
    }
}

/// Where to send requests to each other voter.
pub(super) type PeerQueues = BTreeMap<BrokerId, mpsc::UnboundedSender<(Correlation, Request)>>;
