//! DeleteRecords, 0 to 2: raises the start of logs.
//!
//! Records before it are out of reach at once; their segments go when retention looks next. The start is
//! written down by the broker's chores, not here, so that, as in Kafka, a crash may undo the request. The
//! answer waits until the followers that live have raised theirs as well.

use std::{sync::Arc, time::Duration};

use kafka_protocol::{
    messages::{
        DeleteRecordsRequest, DeleteRecordsResponse,
        delete_records_request::DeleteRecordsPartition,
        delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult},
    },
    protocol::VersionRange,
};

use super::{codes, produce::held};
use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        observer::Event,
        partitions::Partition,
        purgatory::wait_on,
        state::Broker,
    },
    config::CleanupPolicy,
    coordinator::OFFSETS_TOPIC,
    protocol::ResponseError,
    replica::Replica,
    types::Offset,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 2 };

/// `DeleteRecordsRequest.HIGH_WATERMARK`: everything there is.
const TO_HIGH_WATERMARK: i64 = -1;
/// `DeleteRecordsResponse.INVALID_LOW_WATERMARK`.
const NO_LOW_WATERMARK: i64 = -1;

/// A partition, and what came of the request.
struct Deletion {
    index: i32,
    result: Result<Offset, ResponseError>,
    /// As long as its followers have not got there.
    waits: Option<(Arc<Partition>, Offset)>,
}

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: DeleteRecordsRequest = call.request()?;
    let mut deletions: Vec<_> = request
        .topics
        .iter()
        .map(|topic| {
            let delete = |ask| delete(broker, &topic.name, ask);
            (topic.name.clone(), topic.partitions.iter().map(delete).collect::<Vec<_>>())
        })
        .collect();
    let timeout = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or_default());
    let partitions = deletions.iter().flat_map(|(_, deletions)| deletions);
    let waiting: Vec<_> = partitions
        .filter_map(|deletion| deletion.waits.as_ref().map(|(p, _)| Arc::clone(p)))
        .collect();
    wait_on(broker, timeout, &waiting, || {
        let all = deletions.iter_mut().flat_map(|(_, deletions)| deletions);
        // Each is looked at, also behind one that waits.
        all.filter_map(|deletion| (!deletion.look(broker)).then_some(())).count() == 0
    })
    .await;
    let mut response = DeleteRecordsResponse::default();
    for (name, deletions) in deletions {
        let partitions = deletions.into_iter().map(Deletion::answer).collect();
        let topic = DeleteRecordsTopicResult::default().with_name(name);
        response.topics.push(topic.with_partitions(partitions));
    }
    call.answer(&response)
}

impl Deletion {
    /// Whether nothing is left to wait for.
    fn look(&mut self, broker: &Broker) -> bool {
        let Some((partition, offset)) = &self.waits else { return true };
        match low_watermark(broker, partition) {
            Ok(low) if low < *offset => return false,
            result => self.result = result,
        }
        self.waits = None;
        true
    }

    fn answer(self) -> DeleteRecordsPartitionResult {
        let result = DeleteRecordsPartitionResult::default().with_partition_index(self.index);
        let done = match self.waits {
            Some(_) => Err(ResponseError::RequestTimedOut),
            None => self.result,
        };
        match done {
            Ok(low) => result.with_low_watermark(low.0),
            Err(code) => result.with_low_watermark(NO_LOW_WATERMARK).with_error_code(code.code()),
        }
    }
}

fn low_watermark(broker: &Broker, partition: &Partition) -> Result<Offset, ResponseError> {
    let held = partition.held();
    if partition.is_retired() {
        return Err(ResponseError::UnknownTopicOrPartition);
    }
    let leader = held.replica.as_ref().and_then(Replica::leader);
    let leader = leader.ok_or(ResponseError::NotLeaderOrFollower)?;
    Ok(leader.low_watermark(held.facts(broker)))
}

fn delete(broker: &Broker, topic: &str, ask: &DeleteRecordsPartition) -> Deletion {
    let index = ask.partition_index;
    match raise_start(broker, topic, ask) {
        Ok((partition, offset)) => {
            let mut deletion =
                Deletion { index, result: Ok(offset), waits: Some((partition, offset)) };
            deletion.look(broker);
            deletion
        }
        Err(code) => Deletion { index, result: Err(code), waits: None },
    }
}

/// Returns where the replicas' logs are to start then.
fn raise_start(
    broker: &Broker,
    topic: &str,
    ask: &DeleteRecordsPartition,
) -> Result<(Arc<Partition>, Offset), ResponseError> {
    let partition = held(broker, topic, ask.partition_index);
    let exists = !matches!(partition, Err(ResponseError::UnknownTopicOrPartition));
    if topic == OFFSETS_TOPIC && exists {
        return Err(ResponseError::InvalidTopicException);
    }
    let partition = partition?;
    let mut held = partition.held();
    held.leads().ok_or(ResponseError::NotLeaderOrFollower)?;
    let log = &mut held.log;
    if log.config().cleanup_policy == CleanupPolicy::Compact {
        return Err(ResponseError::PolicyViolation);
    }
    let offset = match ask.offset {
        TO_HIGH_WATERMARK => log.high_watermark(),
        offset if offset < 0 => return Err(ResponseError::OffsetOutOfRange),
        offset => Offset(offset),
    };
    log.advance_start_offset(offset).map_err(|error| codes::of_read(&error))?;
    let start = log.start_offset();
    drop(held);
    broker.observe(Event::LogStartMoved { partition: partition.id.clone(), offset: start });
    Ok((partition, offset))
}
