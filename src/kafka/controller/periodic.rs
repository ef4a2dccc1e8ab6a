//! What the controller does unasked, at times: ends sessions, brings leadership back to preferred replicas,
//! elects leaders of last resort, lets the log's end move on.

use super::{Controller, Effect, elections::Wanted, partition_change::Election};
use crate::{env::Instant, kafka::metadata::MetadataRecord};

/// Elections of one turn (`QuorumController.MAX_ELECTIONS_PER_IMBALANCE`).
const MAX_ELECTIONS: usize = 1000;

/// When what is due; `None` where there is no reason.
#[derive(Debug)]
pub(super) struct Periodic {
    balance: Option<Instant>,
    unclean_elections: Option<Instant>,
    no_op: Option<Instant>,
}

impl Periodic {
    pub fn new(no_op: Option<Instant>) -> Self {
        Periodic { balance: None, unclean_elections: None, no_op }
    }
}

impl Controller {
    /// When to call [`Self::handle_deadline`].
    pub fn next_deadline(&self) -> Instant {
        let periodic = &self.periodic;
        let times = [periodic.balance, periodic.unclean_elections, periodic.no_op];
        times
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(Instant::FAR_FUTURE)
            .min(self.heartbeats.next_end())
    }

    /// Does all that is due. Fine to call at any time.
    pub fn handle_deadline(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        // One after the other: a broker that is fenced next must see what the first left behind.
        while let Some(id) = self.heartbeats.stale(now) {
            tracing::info!(broker = id.0, "broker fenced: its session has ended");
            self.heartbeats.fence(id);
            let mut records = Vec::new();
            if let Some(broker) = self.image.broker(id) {
                self.fence(broker, &mut records);
            }
            self.append(now, records, effects);
        }
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if is_due(self.periodic.balance) {
            let records = self.balance();
            self.periodic.balance = (records.len() >= MAX_ELECTIONS).then_some(now);
            self.append(now, records, effects);
        }
        if is_due(self.periodic.unclean_elections) {
            let records = self.elect_uncleanly();
            self.periodic.unclean_elections = (records.len() >= MAX_ELECTIONS).then_some(now);
            self.append(now, records, effects);
        }
        if is_due(self.periodic.no_op) {
            self.periodic.no_op = self.config.no_op_interval.map(|interval| now + interval);
            self.append(now, vec![MetadataRecord::NoOp], effects);
        }
    }

    /// After each step: what there is a reason for is looked at an interval from now.
    pub(super) fn schedule(&mut self, now: Instant) {
        if let Some(interval) = self.config.balance_interval
            && !self.imbalanced.is_empty()
        {
            self.periodic.balance.get_or_insert(now + interval);
        }
        if !self.leaderless.is_empty() {
            let at = now + self.config.unclean_election_interval;
            self.periodic.unclean_elections.get_or_insert(at);
        }
    }

    fn balance(&self) -> Vec<MetadataRecord> {
        let elect = |(topic, index): &(uuid::Uuid, i32)| {
            let topic = self.image.topic_by_id(*topic)?;
            self.election_record(topic, *index, Election::Preferred)
        };
        self.imbalanced.iter().filter_map(elect).take(MAX_ELECTIONS).collect()
    }

    fn elect_uncleanly(&self) -> Vec<MetadataRecord> {
        let elect = |(topic, index): &(uuid::Uuid, i32)| {
            let topic = self.image.topic_by_id(*topic)?;
            let is_allowed = self.is_unclean_allowed(topic);
            is_allowed.then(|| self.elect(topic.name.as_str(), *index, Wanted::Unclean).ok())?
        };
        self.leaderless.iter().filter_map(elect).take(MAX_ELECTIONS).collect()
    }
}
