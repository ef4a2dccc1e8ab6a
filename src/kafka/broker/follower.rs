//! Keeping the copy of the metadata log: fetches from the controller, appends, applies.

use std::{sync::Arc, time::Duration};

use kafka_protocol::messages::{
    BrokerId as WireBrokerId, FetchRequest, TopicName,
    fetch_request::{FetchPartition, FetchTopic},
};
use kafka_protocol::protocol::StrBytes;

use super::{peer::Peer, state::Broker};
use crate::kafka::{
    log::{AppendError, LogError},
    metadata::METADATA_TOPIC,
};

/// Fetch as brokers of one version speak it to each other: topics by name.
const FETCH_VERSION: i16 = 12;
const FETCH_BYTES: i32 = 1 << 20;
/// Pause after a controller that could not be reached.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Runs until the broker stops.
pub(super) async fn run(broker: Arc<Broker>) {
    let mut peer = Peer::new(broker.config.controller().advertised.clone());
    while !broker.ending.is_stopping() {
        let fetched = tokio::select! {
            biased;
            () = broker.ending.wait() => return,
            fetched = fetch(&broker, &mut peer) => fetched,
        };
        match fetched {
            Ok(true) => {}
            Ok(false) => broker.env.clock.sleep_until(broker.env.clock.now() + RETRY_PAUSE).await,
            Err(error) => broker.fail(&error),
        }
    }
}

/// One round. False if the controller did not answer as hoped.
async fn fetch(broker: &Arc<Broker>, peer: &mut Peer) -> Result<bool, LogError> {
    let log = &broker.metadata.log;
    let offset = log.log().end_offset();
    let partition = FetchPartition::default()
        .with_partition(0)
        .with_fetch_offset(offset.0)
        .with_partition_max_bytes(FETCH_BYTES);
    let topic = FetchTopic::default()
        .with_topic(TopicName(StrBytes::from_static_str(METADATA_TOPIC)))
        .with_partitions(vec![partition]);
    let wait = broker.config.config.replica_fetch_wait;
    // An observer of the quorum: it fetches under no replica's name.
    let request = FetchRequest::default()
        .with_replica_id(WireBrokerId(-1))
        .with_max_wait_ms(i32::try_from(wait.as_millis()).unwrap_or(i32::MAX))
        .with_min_bytes(1)
        .with_max_bytes(FETCH_BYTES)
        .with_topics(vec![topic]);
    let Ok(response) = peer.ask(broker, FETCH_VERSION, &request).await else { return Ok(false) };
    let mut partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
    let Some(data) = partitions.next().filter(|data| data.error_code == 0) else {
        return Ok(false);
    };
    let records = data.records.as_deref().unwrap_or_default();
    if records.is_empty() {
        return Ok(true);
    }
    let appended = log.log().append_as_follower(records, broker.env.clock.wall_time());
    match appended {
        Ok(_) => {}
        Err(AppendError::Log(error)) => return Err(error),
        Err(error) => {
            tracing::warn!(%error, "metadata from the controller passed over");
            return Ok(false);
        }
    }
    let end = log.log().end_offset();
    log.log().set_high_watermark(end);
    broker.apply_metadata().await?;
    Ok(true)
}
