//! From a frame to its handler: head, version, key.

use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::{
    messages::{ApiKey, FetchResponse},
    protocol::{Encodable, HeaderVersion, Request, StrBytes},
};

use super::{
    handlers::{
        self,
        served::{Api, Audience},
    },
    quorum::NotController,
    response::Response,
    state::Broker,
};
use crate::{
    env::Address,
    kafka::{
        coordinator::group::Caller,
        log::Slice,
        protocol::{
            fetch_response::encode_fetch_response,
            message::{
                MessageError, RequestHead, decode_request, encode_response, pass_on_response,
            },
        },
    },
};

/// Why a connection is closed instead of answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum Close {
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error("API {key} in version {version} is not served")]
    NotServed { key: i16, version: i16 },
    #[error("the controller did not answer")]
    NoController,
    /// Only the controller decides, and this node is not it, or not any more.
    #[error("this node is not the controller")]
    NotController,
    #[error("the broker is stopping")]
    Stopping,
    /// With acks=0 there is no answer to put the error in.
    #[error("a record sent with acks=0 was not appended")]
    Unacknowledged,
}

impl From<NotController> for Close {
    fn from(_: NotController) -> Self {
        Close::NotController
    }
}

/// `None` where the request wants no answer.
pub(super) type Answer = Result<Option<Response>, Close>;

/// One request as its handler gets it.
pub(super) struct Call<'a> {
    pub head: RequestHead,
    pub peer: &'a Address,
    body: Bytes,
}

impl Call<'_> {
    pub fn version(&self) -> i16 {
        self.head.version
    }

    /// Who asks, as the group coordinator wants to know.
    pub fn caller(&self) -> Caller {
        Caller {
            client_id: self.head.client_id.clone().unwrap_or_default(),
            client_host: StrBytes::from_string(format!("/{}", self.peer.host)),
            api_version: self.head.version,
        }
    }

    pub fn request<R: Request>(&self) -> Result<R, Close> {
        Ok(decode_request(self.body.clone(), self.head.version)?)
    }

    /// A request of which something is kept beyond its answer, in memory of its own: a slice of the frame
    /// would keep the frame, and all that was read with it.
    pub fn request_to_keep<R: Request>(&self) -> Result<R, Close> {
        Ok(decode_request(Bytes::copy_from_slice(&self.body), self.head.version)?)
    }

    pub fn answer<M: Encodable + HeaderVersion>(&self, response: &M) -> Answer {
        self.answer_in(self.head.version, response)
    }

    /// An answer to a Fetch, with the records of each of its partitions.
    pub fn answer_with_records(
        &self,
        response: FetchResponse,
        records: Vec<Option<Slice>>,
    ) -> Answer {
        let sizes = records.iter().map(|records| records.as_ref().map_or(0, Slice::len));
        let (id, version) = (self.head.correlation_id, self.head.version);
        let around = encode_fetch_response(id, version, response, sizes)?;
        Ok(Some(Response::around(around.frame, around.places, records.into_iter().flatten())))
    }

    /// An answer in another version than was asked for; only ApiVersions does that.
    pub fn answer_in<M: Encodable + HeaderVersion>(&self, version: i16, response: &M) -> Answer {
        Ok(Some(encode_response(self.head.correlation_id, version, response)?.into()))
    }
}

/// Handles one request. May wait for long: for records to come, a group to form, a disk to sync.
pub(super) async fn handle(broker: &Arc<Broker>, peer: &Address, frame: Bytes) -> Answer {
    let (api, call) = read(broker, peer, frame)?;
    match api.audience {
        Audience::Nodes => handle_nodes(broker, api, &call).await,
        Audience::Controller => {
            open_to_clients(broker).await?;
            let answer = match decide(broker, api, &call).await {
                Err(Close::NotController) => pass_on(broker, &call).await,
                answer => answer,
            };
            // A departure: the change is this broker's too before its client hears of it. In Kafka a client that
            // goes on at once may find nothing changed, which few clients expect of a single broker.
            tokio::select! {
                biased;
                () = broker.metadata.wait_until_followed() => answer,
                () = broker.ending.wait() => answer,
            }
        }
        // The quorum's replicas fetch before anybody else: the handler tells them apart.
        Audience::Clients if api.key == ApiKey::Fetch => {
            handlers::fetch::handle(broker, &call).await
        }
        Audience::Clients => {
            open_to_clients(broker).await?;
            handle_clients(broker, api, &call).await
        }
    }
}

/// Handles a request that another broker has sent on to the controller.
pub(super) async fn handle_sent_on(broker: &Arc<Broker>, peer: &Address, frame: Bytes) -> Answer {
    let (api, call) = read(broker, peer, frame)?;
    match api.audience {
        Audience::Controller => decide(broker, api, &call).await,
        _ => Err(Close::NotServed { key: api.key as i16, version: call.version() }),
    }
}

fn read<'a>(
    broker: &Broker,
    peer: &'a Address,
    frame: Bytes,
) -> Result<(&'static Api, Call<'a>), Close> {
    let mut body = frame;
    let head = RequestHead::take(&mut body)?;
    let (key, version) = (head.api_key, head.version);
    let api = handlers::served::find(key).filter(|api| api.is_served_by(&broker.config));
    let api = api.ok_or(Close::NotServed { key, version })?;
    // ApiVersions answers a version it does not know, so that the client can ask again.
    if !api.serves(version) && api.key != ApiKey::ApiVersions {
        return Err(Close::NotServed { key, version });
    }
    tracing::trace!(%peer, api = ?api.key, version, correlation = head.correlation_id, "request");
    Ok((api, Call { head, peer, body }))
}

/// A broker that starts lets clients wait (`SocketServer.enableRequestProcessing`).
pub(super) async fn open_to_clients(broker: &Broker) -> Result<(), Close> {
    tokio::select! {
        biased;
        () = broker.metadata.wait_until_open() => Ok(()),
        () = broker.ending.wait() => Err(Close::Stopping),
    }
}

async fn handle_nodes(broker: &Arc<Broker>, api: &Api, call: &Call<'_>) -> Answer {
    match api.key {
        ApiKey::Vote => handlers::vote::handle(broker, call).await,
        ApiKey::BeginQuorumEpoch => handlers::begin_quorum_epoch::handle(broker, call).await,
        ApiKey::EndQuorumEpoch => handlers::end_quorum_epoch::handle(broker, call).await,
        ApiKey::FetchSnapshot => handlers::fetch_snapshot::handle(broker, call).await,
        ApiKey::AlterPartition => handlers::alter_partition::handle(broker, call).await,
        ApiKey::Envelope => handlers::envelope::handle(broker, call).await,
        ApiKey::BrokerRegistration => handlers::broker_registration::handle(broker, call).await,
        ApiKey::BrokerHeartbeat => handlers::broker_heartbeat::handle(broker, call).await,
        ApiKey::AssignReplicasToDirs => {
            handlers::assign_replicas_to_dirs::handle(broker, call).await
        }
        ApiKey::AllocateProducerIds => handlers::allocate_producer_ids::handle(broker, call).await,
        key => Err(Close::NotServed { key: key as i16, version: call.version() }),
    }
}

/// What only the controller decides.
async fn decide(broker: &Arc<Broker>, api: &Api, call: &Call<'_>) -> Answer {
    match api.key {
        ApiKey::CreateTopics => handlers::create_topics::handle(broker, call).await,
        ApiKey::DeleteTopics => handlers::delete_topics::handle(broker, call).await,
        ApiKey::AlterConfigs => handlers::alter_configs::handle(broker, call).await,
        ApiKey::CreatePartitions => handlers::create_partitions::handle(broker, call).await,
        ApiKey::ElectLeaders => handlers::elect_leaders::handle(broker, call).await,
        ApiKey::IncrementalAlterConfigs => {
            handlers::incremental_alter_configs::handle(broker, call).await
        }
        ApiKey::AlterPartitionReassignments => {
            handlers::alter_partition_reassignments::handle(broker, call).await
        }
        ApiKey::ListPartitionReassignments => {
            handlers::list_partition_reassignments::handle(broker, call).await
        }
        ApiKey::DescribeQuorum => handlers::describe_quorum::handle(broker, call).await,
        ApiKey::UnregisterBroker => handlers::unregister_broker::handle(broker, call).await,
        key => Err(Close::NotServed { key: key as i16, version: call.version() }),
    }
}

async fn handle_clients(broker: &Arc<Broker>, api: &Api, call: &Call<'_>) -> Answer {
    match api.key {
        ApiKey::Produce => handlers::produce::handle(broker, call).await,
        ApiKey::ListOffsets => handlers::list_offsets::handle(broker, call),
        ApiKey::Metadata => handlers::metadata::handle(broker, call),
        ApiKey::OffsetCommit => handlers::offset_commit::handle(broker, call).await,
        ApiKey::OffsetFetch => handlers::offset_fetch::handle(broker, call).await,
        ApiKey::JoinGroup => handlers::join_group::handle(broker, call).await,
        ApiKey::Heartbeat => handlers::heartbeat::handle(broker, call).await,
        ApiKey::LeaveGroup => handlers::leave_group::handle(broker, call).await,
        ApiKey::SyncGroup => handlers::sync_group::handle(broker, call).await,
        ApiKey::DescribeGroups => handlers::describe_groups::handle(broker, call),
        ApiKey::ListGroups => handlers::list_groups::handle(broker, call),
        ApiKey::DeleteGroups => handlers::delete_groups::handle(broker, call).await,
        ApiKey::OffsetDelete => handlers::offset_delete::handle(broker, call).await,
        ApiKey::FindCoordinator => handlers::find_coordinator::handle(broker, call),
        ApiKey::ApiVersions => handlers::api_versions::handle(broker, call),
        ApiKey::DeleteRecords => handlers::delete_records::handle(broker, call).await,
        ApiKey::DescribeConfigs => handlers::describe_configs::handle(broker, call),
        ApiKey::InitProducerId => handlers::init_producer_id::handle(broker, call),
        ApiKey::OffsetForLeaderEpoch => handlers::offset_for_leader_epoch::handle(broker, call),
        ApiKey::DescribeLogDirs => handlers::describe_log_dirs::handle(broker, call),
        ApiKey::DescribeCluster => handlers::describe_cluster::handle(broker, call),
        ApiKey::DescribeProducers => handlers::describe_producers::handle(broker, call),
        ApiKey::ListConfigResources => handlers::list_config_resources::handle(broker, call),
        ApiKey::DescribeTopicPartitions => {
            handlers::describe_topic_partitions::handle(broker, call)
        }
        key => Err(Close::NotServed { key: key as i16, version: call.version() }),
    }
}

/// Has the controller answer.
async fn pass_on(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let answer = tokio::select! {
        biased;
        () = broker.ending.wait() => None,
        answer = broker.link.pass_on(call.head.frame(&call.body)?.freeze()) => answer,
    };
    let answer = answer.ok_or(Close::NoController)?;
    Ok(Some(pass_on_response(&answer, call.head.correlation_id)?.into()))
}
