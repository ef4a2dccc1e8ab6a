//! Fetch, 4 to 17: batches as they lie in the log, now or when there are enough of them.
//!
//! A request that finds fewer than `min_bytes` waits on its partitions until an append wakes it or
//! `max_wait_ms` has passed, and then answers with what there is. Sessions are declined (session id 0), so
//! every request names all of its partitions. Only committed records are shown: what is below the high
//! watermark.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use kafka_protocol::{
    messages::{
        FetchRequest, FetchResponse, TopicName as WireTopicName,
        fetch_request::{FetchPartition, FetchTopic},
        fetch_response::{FetchableTopicResponse, PartitionData},
    },
    protocol::{StrBytes, VersionRange},
};

use super::codes;
use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        partitions::Partition,
        purgatory::Waiter,
        state::Broker,
        ticker::Due,
    },
    log::MinOneMessage,
    protocol::ResponseError,
    types::Offset,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 4, max: 17 };
/// From here on topics are named by id.
const TOPIC_IDS_SINCE: i16 = 13;

/// One asked-for partition, looked up once for all rounds of the request.
struct Wanted {
    /// Index of its topic in the request.
    topic: usize,
    ask: FetchPartition,
    found: Result<Arc<Partition>, ResponseError>,
}

/// What one look at all partitions gave.
struct Round {
    partitions: Vec<(usize, PartitionData)>,
    bytes: usize,
    failed: bool,
}

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let mut request: FetchRequest = call.request()?;
    // A session that this broker never gave out.
    if request.session_id != 0 && request.session_epoch > 0 {
        let code = ResponseError::FetchSessionIdNotFound.code();
        return call.answer(&FetchResponse::default().with_error_code(code));
    }
    let topics = std::mem::take(&mut request.topics);
    let names: Vec<_> = topics.iter().map(|topic| name(broker, topic, call.version())).collect();
    let wanted = look_up(broker, &topics, &names);
    let max_bytes = usize::try_from(request.max_bytes).unwrap_or_default();
    let max_bytes = max_bytes.min(broker.config.config.fetch_max_bytes);
    let round = read_or_wait(broker, &request, &wanted, max_bytes).await;
    let mut response = FetchResponse::default();
    for (topic, name) in topics.iter().zip(names) {
        let answer = FetchableTopicResponse::default()
            .with_topic(name.unwrap_or_default())
            .with_topic_id(topic.topic_id);
        response.responses.push(answer);
    }
    for (topic, data) in round.partitions {
        response.responses[topic].partitions.push(data);
    }
    call.answer(&response)
}

/// The topic's name, from its id where that is what the request has.
fn name(broker: &Broker, topic: &FetchTopic, version: i16) -> Option<WireTopicName> {
    if version < TOPIC_IDS_SINCE {
        return Some(topic.topic.clone());
    }
    let image = broker.metadata.image();
    let found = image.topic_by_id(topic.topic_id)?;
    Some(WireTopicName(StrBytes::from_string(found.name.to_string())))
}

fn look_up(broker: &Broker, topics: &[FetchTopic], names: &[Option<WireTopicName>]) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    for (index, (topic, name)) in topics.iter().zip(names).enumerate() {
        for ask in &topic.partitions {
            let found = match name {
                None => Err(ResponseError::UnknownTopicId),
                Some(name) => broker
                    .partitions
                    .find(name, ask.partition)
                    .ok_or_else(|| super::produce::missing(broker, name, ask.partition))
                    .and_then(|partition| check_epoch(partition, ask.current_leader_epoch)),
            };
            wanted.push(Wanted { topic: index, ask: ask.clone(), found });
        }
    }
    wanted
}

/// KIP-320: a client that knows another leader epoch must learn of it. -1 for one that does not say.
pub(super) fn check_epoch(
    partition: Arc<Partition>,
    claimed: i32,
) -> Result<Arc<Partition>, ResponseError> {
    let ours = partition.leader_epoch.0;
    match claimed {
        -1 => Ok(partition),
        claimed if claimed < ours => Err(ResponseError::FencedLeaderEpoch),
        claimed if claimed > ours => Err(ResponseError::UnknownLeaderEpoch),
        _ => Ok(partition),
    }
}

async fn read_or_wait(
    broker: &Arc<Broker>,
    request: &FetchRequest,
    wanted: &[Wanted],
    max_bytes: usize,
) -> Round {
    let enough = |round: &Round| {
        round.failed || round.bytes >= usize::try_from(request.min_bytes).unwrap_or_default()
    };
    let mut round = read(wanted, max_bytes);
    let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or_default());
    if enough(&round) || wait.is_zero() || wanted.is_empty() {
        return round;
    }
    let waiter = Arc::new(Waiter::default());
    let deadline = broker.env.clock.now() + wait;
    let key = broker.ticker.schedule(deadline, Due::Wake(Arc::clone(&waiter)));
    loop {
        for partition in wanted.iter().flat_map(|wanted| &wanted.found) {
            partition.waiters.add(&waiter);
        }
        // What came between the look and the hanging up woke nobody.
        if !has_moved(wanted, &round) {
            tokio::select! {
                biased;
                () = waiter.wait() => {}
                () = broker.ending.wait() => {}
            }
        }
        round = read(wanted, max_bytes);
        if enough(&round) || broker.env.clock.now() >= deadline || broker.ending.is_stopping() {
            broker.ticker.cancel(key);
            return round;
        }
    }
}

/// Whether a partition shows more than at the last look.
fn has_moved(wanted: &[Wanted], seen: &Round) -> bool {
    wanted.iter().zip(&seen.partitions).any(|(wanted, (_, seen))| {
        wanted.found.as_ref().is_ok_and(|partition| {
            partition.is_retired() || partition.log().high_watermark().0 != seen.high_watermark
        })
    })
}

/// Reads what there is, within the limits. The first batch found comes whole, whatever its size.
fn read(wanted: &[Wanted], max_bytes: usize) -> Round {
    let mut round = Round { partitions: Vec::with_capacity(wanted.len()), bytes: 0, failed: false };
    for Wanted { topic, ask, found } in wanted {
        let room = max_bytes.saturating_sub(round.bytes);
        let limit = room.min(usize::try_from(ask.partition_max_bytes).unwrap_or_default());
        let min_one = if round.bytes == 0 { MinOneMessage::Yes } else { MinOneMessage::No };
        let data = PartitionData::default().with_partition_index(ask.partition);
        let data = match found {
            // Its topic was deleted while the request waited.
            Ok(partition) if partition.is_retired() => {
                failure(data, ResponseError::UnknownTopicOrPartition)
            }
            Ok(partition) => read_partition(partition, ask, limit, min_one, data),
            Err(code) => failure(data, *code),
        };
        round.failed |= data.error_code != 0;
        round.bytes += data.records.as_ref().map_or(0, Bytes::len);
        round.partitions.push((*topic, data));
    }
    round
}

fn failure(data: PartitionData, code: ResponseError) -> PartitionData {
    data.with_error_code(code.code())
        .with_high_watermark(-1)
        .with_last_stable_offset(-1)
        .with_log_start_offset(-1)
        .with_records(Some(Bytes::new()))
}

fn read_partition(
    partition: &Partition,
    ask: &FetchPartition,
    limit: usize,
    min_one: MinOneMessage,
    data: PartitionData,
) -> PartitionData {
    let log = partition.log();
    let watermark = log.high_watermark();
    let asked = Offset(ask.fetch_offset);
    // Between the watermark and the end there is nothing to show yet, but nothing is wrong either.
    let waits = asked >= watermark && asked <= log.end_offset();
    let read = if waits {
        Ok(Bytes::new())
    } else {
        log.read(asked, limit, watermark, min_one).map(|read| read.records)
    };
    match read {
        Ok(records) => data
            .with_high_watermark(watermark.0)
            .with_last_stable_offset(watermark.0)
            .with_log_start_offset(log.start_offset().0)
            .with_aborted_transactions(None)
            .with_records(Some(records)),
        Err(error) => failure(data, codes::of_read(&error)),
    }
}
