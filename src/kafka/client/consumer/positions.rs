//! Where to read from: committed offsets, then the reset policy (`OffsetFetcher`, and the part of
//! `ConsumerCoordinator` that asks for committed offsets).

use std::collections::BTreeMap;

use kafka_protocol::{
    ResponseError,
    messages::{
        ListOffsetsRequest, ListOffsetsResponse, OffsetFetchRequest, OffsetFetchResponse,
        list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
        offset_fetch_request::{
            OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
        },
    },
    protocol::StrBytes,
};

use super::{
    core::{Core, Request},
    subscription::ResetStrategy,
};
use crate::{
    env::Instant,
    kafka::{
        client::{
            error::{ClientError, code_error},
            network::{Answer, Failure, FailureCause, NodeKey, decode, is_stale_metadata},
            observer::{ClientEvent, ResetTo},
        },
        types::{BrokerId, Offset, TopicPartition},
    },
};

/// ListOffsets' special timestamps.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;

impl ResetStrategy {
    fn timestamp(self) -> i64 {
        match self {
            ResetStrategy::Earliest => EARLIEST,
            ResetStrategy::Latest => LATEST,
        }
    }
}

impl Core {
    /// Works towards a position for every assigned partition (`updateFetchPositions`). `false` while
    /// committed offsets are awaited: then nothing is fetched for any partition without a position.
    pub(crate) fn update_positions(&mut self, now: Instant) -> Result<bool, ClientError> {
        if self.subscription.has_all_positions() {
            return Ok(true);
        }
        if self.group.is_some() && !self.restore_committed(now)? {
            return Ok(false);
        }
        self.reset_initializing()?;
        self.send_resets(now);
        Ok(true)
    }

    /// Asks for committed offsets and takes them in. `false` while the answer is on the way.
    fn restore_committed(&mut self, now: Instant) -> Result<bool, ClientError> {
        let wanted = self.subscription.initializing();
        if wanted.is_empty() {
            return Ok(true);
        }
        if let Some((question, asked)) = self.positions_question.take() {
            match self.replies.remove(&question) {
                // The answer is for another assignment.
                _ if asked != wanted => self.drop_question(question),
                Some(Ok(offsets)) => {
                    self.positions_failures = 0;
                    self.apply_committed(offsets);
                    return Ok(true);
                }
                Some(Err(error)) if error.is_retriable() => {
                    let delay = self.retry.delay(self.positions_failures, &mut self.rng);
                    self.positions_failures += 1;
                    self.positions_retry_at = now + delay;
                }
                Some(Err(error)) => return Err(error),
                None => {
                    self.positions_question = Some((question, asked));
                    return Ok(false);
                }
            }
        }
        if self.positions_retry_at <= now
            && let Some(question) = self.ask_committed(&wanted, now)?
        {
            self.positions_question = Some((question, wanted));
        }
        Ok(false)
    }

    fn apply_committed(&mut self, offsets: BTreeMap<TopicPartition, Option<Offset>>) {
        for (partition, offset) in offsets {
            let Some(offset) = offset else { continue };
            if self.subscription.is_initializing(&partition)
                && self.subscription.seek(&partition, offset).is_ok()
            {
                self.events.emit(|| ClientEvent::PositionRestored { partition, offset });
            }
        }
    }

    /// Sends OffsetFetch if the coordinator can be reached now.
    pub(crate) fn ask_committed(
        &mut self,
        partitions: &[TopicPartition],
        now: Instant,
    ) -> Result<Option<u64>, ClientError> {
        let Some(node) = self.ready_coordinator(now)? else { return Ok(None) };
        let group = StrBytes::from_string(self.group_id()?.to_string());
        let by_topic = group_by_topic(partitions.iter().map(|partition| (partition, ())));
        let question = self.new_question();
        self.cluster.send(node, Request::Committed(question), now, |version| {
            offset_fetch_request(version, group, by_topic)
        });
        Ok(Some(question))
    }

    pub(crate) fn handle_committed(&mut self, question: u64, answer: Answer, now: Instant) {
        let reply = match self.coordinator_answer::<OffsetFetchResponse>(answer, now) {
            Err(error) => Err(error),
            Ok((response, version)) => {
                let (error, offsets) = read_offset_fetch(response, version);
                match error {
                    None => offsets,
                    Some(error) => {
                        if is_coordinator_gone(error) {
                            self.mark_coordinator_unknown(now);
                        }
                        Err(ClientError::Broker(error))
                    }
                }
            }
        };
        self.reply(question, reply);
    }

    /// Partitions without a committed offset get the policy's, or are an error without one.
    fn reset_initializing(&mut self) -> Result<(), ClientError> {
        let unset = self.subscription.initializing();
        let Some(strategy) = self.default_reset() else {
            if unset.is_empty() {
                return Ok(());
            }
            return Err(ClientError::NoOffsetForPartition(unset));
        };
        for partition in &unset {
            self.subscription.request_reset(partition, strategy)?;
        }
        Ok(())
    }

    /// Asks the leaders for the offsets to reset to.
    fn send_resets(&mut self, now: Instant) {
        let (due, _) = self.subscription.due_resets(now);
        let mut by_leader: BTreeMap<BrokerId, Vec<(TopicPartition, ResetStrategy)>> =
            BTreeMap::new();
        for (partition, strategy) in due {
            match self.cluster.metadata().leader(&partition) {
                Some(leader) => by_leader.entry(leader).or_default().push((partition, strategy)),
                None => {
                    self.cluster.metadata_mut().request_update();
                    self.task.wake_by_ref();
                }
            }
        }
        for (leader, partitions) in by_leader {
            let node = NodeKey::Broker(leader);
            if !self.sendable(node, now) {
                continue;
            }
            let retry_at = now + self.cluster.request_timeout();
            let mut asked = Vec::with_capacity(partitions.len());
            for (partition, strategy) in &partitions {
                self.subscription.set_reset_retry(partition, retry_at);
                asked.push((partition, strategy.timestamp()));
            }
            let request = self.list_offsets_request(&asked);
            self.cluster.send(node, Request::Reset(partitions), now, |_| request);
        }
    }

    fn list_offsets_request(&self, asked: &[(&TopicPartition, i64)]) -> ListOffsetsRequest {
        let topics =
            group_by_topic(asked.iter().copied()).into_iter().map(|(topic, partitions)| {
                let partitions = partitions.into_iter().map(|(number, timestamp)| {
                    ListOffsetsPartition::default()
                        .with_partition_index(number)
                        .with_current_leader_epoch(-1)
                        .with_timestamp(timestamp)
                });
                ListOffsetsTopic::default()
                    .with_name(topic.into())
                    .with_partitions(partitions.collect())
            });
        ListOffsetsRequest::default()
            .with_replica_id(kafka_protocol::messages::BrokerId(-1))
            .with_isolation_level(i8::from(self.config.read_committed))
            .with_topics(topics.collect())
    }

    pub(crate) fn handle_reset(
        &mut self,
        partitions: Vec<(TopicPartition, ResetStrategy)>,
        answer: Answer,
        now: Instant,
    ) {
        let offsets = read_list_offsets(answer);
        let retry_at = now + self.retry.initial();
        for (partition, strategy) in partitions {
            let found = match &offsets {
                Ok(offsets) => offsets.get(&partition).copied(),
                Err(_) => None,
            };
            match found {
                Some(Ok(offset)) => {
                    if self.subscription.reset_to(&partition, strategy, offset) {
                        let to = match strategy {
                            ResetStrategy::Earliest => ResetTo::Earliest,
                            ResetStrategy::Latest => ResetTo::Latest,
                        };
                        self.events.emit(|| ClientEvent::OffsetReset { partition, to, offset });
                    }
                }
                Some(Err(error)) if !error.is_retriable() => {
                    self.pending_error = Some(ClientError::Broker(error));
                    self.subscription.set_reset_retry(&partition, retry_at);
                }
                Some(Err(_)) | None => {
                    self.subscription.set_reset_retry(&partition, retry_at);
                    self.cluster.metadata_mut().request_update();
                }
            }
        }
    }

    /// Sends ListOffsets for the application to the leaders that can be reached; partitions without one
    /// are returned.
    pub(crate) fn ask_offsets(
        &mut self,
        partitions: &[TopicPartition],
        timestamp: i64,
        now: Instant,
    ) -> (Vec<(u64, Vec<TopicPartition>)>, Vec<TopicPartition>) {
        let mut by_leader: BTreeMap<Option<BrokerId>, Vec<TopicPartition>> = BTreeMap::new();
        for partition in partitions {
            self.cluster.metadata_mut().add_topic(&partition.topic);
            let leader = self.cluster.metadata().leader(partition);
            by_leader.entry(leader).or_default().push(partition.clone());
        }
        let (mut questions, mut unasked) = (Vec::new(), Vec::new());
        for (leader, partitions) in by_leader {
            let node = leader.map(NodeKey::Broker).filter(|node| self.sendable(*node, now));
            let Some(node) = node else {
                if leader.is_none() {
                    self.cluster.metadata_mut().request_update();
                    self.task.wake_by_ref();
                }
                unasked.extend(partitions);
                continue;
            };
            let asked: Vec<_> = partitions.iter().map(|partition| (partition, timestamp)).collect();
            let request = self.list_offsets_request(&asked);
            let question = self.new_question();
            let context = Request::ListOffsets(question, partitions.clone());
            self.cluster.send(node, context, now, |_| request);
            questions.push((question, partitions));
        }
        (questions, unasked)
    }

    pub(crate) fn handle_list_offsets(
        &mut self,
        question: u64,
        partitions: Vec<TopicPartition>,
        answer: Answer,
    ) {
        let reply = read_list_offsets(answer).and_then(|offsets| {
            let one = |partition: TopicPartition| match offsets.get(&partition) {
                Some(Ok(offset)) => Ok((partition, Some(*offset))),
                Some(Err(error)) => Err(ClientError::Broker(*error)),
                None => Ok((partition, None)),
            };
            partitions.into_iter().map(one).collect()
        });
        if let Err(ClientError::Broker(error)) = &reply
            && is_stale_metadata(*error)
        {
            self.cluster.metadata_mut().request_update();
        }
        self.reply(question, reply);
    }
}

/// Errors that say the coordinator is elsewhere.
pub(crate) fn is_coordinator_gone(error: ResponseError) -> bool {
    matches!(error, ResponseError::NotCoordinator | ResponseError::CoordinatorNotAvailable)
}

/// Partition numbers, with what belongs to them, by topic.
pub(crate) fn group_by_topic<'a, T>(
    partitions: impl Iterator<Item = (&'a TopicPartition, T)>,
) -> BTreeMap<StrBytes, Vec<(i32, T)>> {
    let mut topics: BTreeMap<StrBytes, Vec<(i32, T)>> = BTreeMap::new();
    for (partition, value) in partitions {
        let name = StrBytes::from_string(partition.topic.to_string());
        topics.entry(name).or_default().push((partition.partition, value));
    }
    topics
}

fn offset_fetch_request(
    version: i16,
    group: StrBytes,
    by_topic: BTreeMap<StrBytes, Vec<(i32, ())>>,
) -> OffsetFetchRequest {
    let numbers = |partitions: Vec<(i32, ())>| partitions.into_iter().map(|(n, ())| n).collect();
    let request = OffsetFetchRequest::default().with_require_stable(version >= 7);
    if version < 8 {
        let topics = by_topic.into_iter().map(|(topic, partitions)| {
            OffsetFetchRequestTopic::default()
                .with_name(topic.into())
                .with_partition_indexes(numbers(partitions))
        });
        return request.with_group_id(group.into()).with_topics(Some(topics.collect()));
    }
    let topics = by_topic.into_iter().map(|(topic, partitions)| {
        OffsetFetchRequestTopics::default()
            .with_name(topic.into())
            .with_partition_indexes(numbers(partitions))
    });
    request.with_groups(vec![
        OffsetFetchRequestGroup::default()
            .with_group_id(group.into())
            .with_member_epoch(-1)
            .with_topics(Some(topics.collect())),
    ])
}

type CommittedOffsets = Result<BTreeMap<TopicPartition, Option<Offset>>, ClientError>;

fn read_offset_fetch(
    response: OffsetFetchResponse,
    version: i16,
) -> (Option<ResponseError>, CommittedOffsets) {
    let mut offsets = BTreeMap::new();
    let mut failed = None;
    let mut take = |topic: &str, number: i32, offset: i64, code: i16| {
        match code_error(code) {
            Some(error) => failed = Some(ClientError::Broker(error)),
            None => {
                let offset = (offset >= 0).then_some(Offset(offset));
                offsets.insert(TopicPartition::new(topic, number), offset);
            }
        };
    };
    let mut code = response.error_code;
    if version < 8 {
        for topic in &response.topics {
            for part in &topic.partitions {
                take(&topic.name, part.partition_index, part.committed_offset, part.error_code);
            }
        }
    } else if let Some(group) = response.groups.first() {
        code = group.error_code;
        for topic in &group.topics {
            for part in &topic.partitions {
                take(&topic.name, part.partition_index, part.committed_offset, part.error_code);
            }
        }
    }
    (code_error(code), failed.map_or(Ok(offsets), Err))
}

type ListedOffsets = BTreeMap<TopicPartition, Result<Offset, ResponseError>>;

fn read_list_offsets(answer: Answer) -> Result<ListedOffsets, ClientError> {
    let (version, body) = match answer {
        Answer::Response { version, body } => (version, body),
        Answer::Failed(Failure { cause: FailureCause::UnsupportedVersion, .. }) => {
            return Err(ClientError::Broker(ResponseError::UnsupportedVersion));
        }
        Answer::Failed(_) | Answer::NoneExpected => return Err(ClientError::Disconnect),
    };
    let response: ListOffsetsResponse = decode(body, version).map_err(ClientError::Protocol)?;
    let mut offsets = BTreeMap::new();
    for topic in &response.topics {
        for part in &topic.partitions {
            let partition = TopicPartition::new(topic.name.as_str(), part.partition_index);
            let offset = code_error(part.error_code).map_or(Ok(Offset(part.offset)), Err);
            offsets.insert(partition, offset);
        }
    }
    Ok(offsets)
}
