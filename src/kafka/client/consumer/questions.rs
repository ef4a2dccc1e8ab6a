//! Where a consumer stands and where it could: committed offsets, ends of logs, positions, seeking and
//! pausing.

use std::{collections::BTreeMap, task::Poll};

use super::{
    api::{Consumer, timed_out},
    core::Reply,
    subscription::ResetStrategy,
};
use crate::{
    env::Instant,
    kafka::{
        client::{error::ClientError, observer::OffsetsByPartition},
        types::{GenerationId, MemberId, Offset, TopicPartition},
    },
};

impl Consumer {
    /// The committed offsets of these partitions; `None` where there is none.
    pub async fn committed(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Option<Offset>>, ClientError> {
        let deadline = self.shared.clock.now() + self.default_api_timeout;
        let what = "fetching committed offsets";
        let mut attempts = 0;
        loop {
            self.await_coordinator(deadline, what).await?;
            let now = self.shared.clock.now();
            let question = self.shared.lock().ask_committed(partitions, now)?;
            let Some(question) = question else { continue };
            match self.reply(question, deadline, what).await {
                Err(error) if error.is_retriable() && self.shared.clock.now() < deadline => {}
                reply => return reply,
            }
            self.back_off(attempts, deadline, what).await?;
            attempts += 1;
        }
    }

    async fn reply(&mut self, question: u64, deadline: Instant, what: &str) -> Reply {
        let reply = self.until(deadline, |core, _| core.take_reply(question)).await;
        match reply {
            Some(Ok(reply)) => reply,
            Some(Err(error)) => {
                self.shared.lock().drop_question(question);
                Err(error)
            }
            None => {
                self.shared.lock().drop_question(question);
                Err(timed_out(what))
            }
        }
    }

    /// First offsets of the logs.
    pub async fn beginning_offsets(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<OffsetsByPartition, ClientError> {
        self.list_offsets(partitions, -2).await
    }

    /// Offsets after the last record that can be read.
    pub async fn end_offsets(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<OffsetsByPartition, ClientError> {
        self.list_offsets(partitions, -1).await
    }

    async fn list_offsets(
        &mut self,
        partitions: &[TopicPartition],
        timestamp: i64,
    ) -> Result<OffsetsByPartition, ClientError> {
        let deadline = self.shared.clock.now() + self.default_api_timeout;
        let what = "getting offsets by times";
        let mut missing = partitions.to_vec();
        let mut found = OffsetsByPartition::new();
        while !missing.is_empty() {
            let now = self.shared.clock.now();
            let (questions, unasked) = self.shared.lock().ask_offsets(&missing, timestamp, now);
            missing = unasked;
            for (question, asked) in questions {
                match self.reply(question, deadline, what).await {
                    Ok(offsets) => {
                        let known = |(partition, offset)| Some((partition, offset?));
                        found.extend(offsets.into_iter().filter_map(known));
                    }
                    Err(error) if error.is_retriable() => missing.extend(asked),
                    Err(error) => return Err(error),
                }
            }
            if !missing.is_empty() {
                self.back_off(0, deadline, what).await?;
            }
        }
        Ok(found)
    }

    /// The offset of the next record that a poll returns from the partition, determined first if need be.
    pub async fn position(&mut self, partition: &TopicPartition) -> Result<Offset, ClientError> {
        if !self.shared.lock().subscription.is_assigned(partition) {
            return Err(ClientError::IllegalState(
                "you can only check the position for partitions assigned to this consumer".into(),
            ));
        }
        let deadline = self.shared.clock.now() + self.default_api_timeout;
        let position = self.until(deadline, |core, now| {
            if let Some(position) = core.subscription.position(partition) {
                return Poll::Ready(Ok(position));
            }
            match core.update_positions(now) {
                Ok(_) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            }
        });
        position.await.unwrap_or_else(|| Err(timed_out("determining the position")))?
    }

    /// Reads on from `offset`. The committed offset does not move until a commit.
    pub fn seek(&mut self, partition: &TopicPartition, offset: Offset) -> Result<(), ClientError> {
        if offset.0 < 0 {
            return Err(ClientError::IllegalArgument(
                "seek offset must not be a negative number".into(),
            ));
        }
        self.shared.lock().subscription.seek(partition, offset)
    }

    /// Reads on from the first record, found out when next polled. All assigned partitions if none is
    /// given.
    pub fn seek_to_beginning(&mut self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        self.request_resets(partitions, ResetStrategy::Earliest)
    }

    /// Reads on behind the last record, found out when next polled. All assigned partitions if none is
    /// given.
    pub fn seek_to_end(&mut self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        self.request_resets(partitions, ResetStrategy::Latest)
    }

    fn request_resets(
        &mut self,
        partitions: &[TopicPartition],
        strategy: ResetStrategy,
    ) -> Result<(), ClientError> {
        let mut core = self.shared.lock();
        let all = if partitions.is_empty() { core.subscription.assignment() } else { Vec::new() };
        for partition in partitions.iter().chain(&all) {
            core.subscription.request_reset(partition, strategy)?;
        }
        Ok(())
    }

    /// Returns nothing from these partitions until resumed; what was fetched is kept.
    pub fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        let mut core = self.shared.lock();
        partitions.iter().try_for_each(|partition| core.subscription.pause(partition))
    }

    pub fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        let mut core = self.shared.lock();
        partitions.iter().try_for_each(|partition| core.subscription.resume(partition))
    }

    pub fn paused(&self) -> Vec<TopicPartition> {
        self.shared.lock().subscription.paused()
    }

    /// The partitions this consumer has, sorted. Empty before the first polls of a subscription.
    pub fn assignment(&self) -> Vec<TopicPartition> {
        self.shared.lock().subscription.assignment()
    }

    /// Records between the position and the last known high watermark.
    pub fn lag(&self, partition: &TopicPartition) -> Option<i64> {
        self.shared.lock().subscription.lag(partition)
    }

    /// The member's id and generation; `None` outside of a group. The id is empty and the generation -1
    /// before the first join.
    pub fn membership(&self) -> Option<(MemberId, GenerationId)> {
        let core = self.shared.lock();
        let generation = &core.group.as_ref()?.generation;
        Some((generation.member.clone(), generation.id))
    }

    /// From here on a commit without offsets, automatic or not, covers what [`Consumer::mark_consumed`]
    /// names instead of all that polls returned. Clients whose iterator hands out single records behave
    /// so (kafka-python).
    pub fn consume_by_record(&mut self) {
        self.shared.lock().commits.by_record = true;
    }

    /// The application has taken the record before `next`; see [`Consumer::consume_by_record`].
    pub fn mark_consumed(&mut self, partition: &TopicPartition, next: Offset) {
        self.shared.lock().subscription.set_consumed(partition, next);
    }
}
