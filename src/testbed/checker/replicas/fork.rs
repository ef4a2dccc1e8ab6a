//! Why a replica shows, or keeps, other records than its leader: what it followed, what it was told, and what it
//! did not cut off.
//!
//! It is told when the whole history is known, since whether a follower cuts its own records off after it has
//! shown them, or never, is what sets the causes apart.

use super::{log::Placed, partition::Partition};
use crate::{
    kafka::types::Offset,
    testbed::{
        checker::Evidence,
        history::{EventId, NodeName},
        plan::Cause,
    },
};

/// A batch of a replica's own, where leaders have shown another.
#[derive(Clone, Debug)]
pub(super) struct Fork {
    pub node: NodeName,
    pub own: Placed,
    /// When it showed.
    pub event: EventId,
}

/// A follower heard of its leader.
#[derive(Debug)]
pub(super) struct Followed<'a> {
    pub event: EventId,
    pub leader: Option<&'a NodeName>,
    pub epoch: i32,
}

/// A follower heard that the leader's log parts from its own at `end` at the latest.
#[derive(Debug)]
pub(super) struct Told<'a> {
    pub event: EventId,
    pub leader: &'a NodeName,
    pub end: Offset,
}

impl Partition<'_> {
    /// The cause, and the links of the chain that the fork itself does not tell. `None` if the history names none.
    pub(super) fn why(&self, fork: &Fork) -> Option<(Cause, Vec<Evidence>)> {
        self.shown_before_truncation(fork)
            .or_else(|| self.stale_follower(fork))
            .or_else(|| self.not_truncated(fork))
    }

    /// It knew where the logs part, raised its high watermark past that, and cut its log off then.
    fn shown_before_truncation(&self, fork: &Fork) -> Option<(Cause, Vec<Evidence>)> {
        let Fork { node, own, event } = fork;
        let told = &self.replicas.get(&**node)?.told;
        let parts = |told: &&Told<'_>| {
            let kept =
                |told: EventId| self.truncation(node, own.batch.last, told, *event).is_none();
            told.event < *event && told.end <= own.batch.last && kept(told.event)
        };
        let told = told.iter().rfind(parts)?;
        let (cut, says) = self.truncation(node, own.batch.last, *event, EventId(u32::MAX))?;
        let parts =
            format!("{node} hears that its log parts from {}'s at {}", told.leader, told.end);
        let why = vec![Evidence::new(told.event, parts), Evidence::new(cut, says)];
        Some((Cause::ShownBeforeTruncation, why))
    }

    /// It took records of an epoch that it had not heard of, behind those that their leader had cut off.
    fn stale_follower(&self, fork: &Fork) -> Option<(Cause, Vec<Evidence>)> {
        let Fork { node, own, .. } = fork;
        let (followed, taken) = self.taken_behind(fork)?;
        let leader = followed.leader.filter(|_| followed.epoch < taken.batch.epoch)?;
        let (epoch, offset) = (taken.batch.epoch, taken.batch.base);
        let follows = format!(
            "{node} follows {leader} in epoch {}, and hears of no later one",
            followed.epoch
        );
        let takes = format!("{node} takes a record of epoch {epoch} at {offset}, behind its own");
        let mut why =
            vec![Evidence::new(followed.event, follows), Evidence::new(taken.event, takes)];
        let cut = self.truncation(leader, own.batch.last, own.event, taken.event);
        why.extend(cut.map(|(cut, says)| Evidence::new(cut, says)));
        Some((Cause::StaleFollower, why))
    }

    /// It kept its own records as it began to follow.
    fn not_truncated(&self, fork: &Fork) -> Option<(Cause, Vec<Evidence>)> {
        let Fork { node, own, event } = fork;
        let followed = self.followed(node, *event)?;
        let leader = followed.leader.filter(|_| own.event < followed.event)?;
        if self.truncation(node, own.batch.last, followed.event, *event).is_some() {
            return None;
        }
        let (epoch, offset) = (followed.epoch, own.batch.base);
        let says =
            format!("{node} follows {leader} in epoch {epoch}, and keeps its record at {offset}");
        let mut why = vec![Evidence::new(followed.event, says)];
        why.extend(self.taken_behind(fork).map(|(_, taken)| {
            let says =
                format!("{node} takes {leader}'s record at {}, behind its own", taken.batch.base);
            Evidence::new(taken.event, says)
        }));
        Some((Cause::NotTruncated, why))
    }

    /// The first batch that the replica took from another behind its own, and whom it followed then.
    fn taken_behind(&self, Fork { node, own, .. }: &Fork) -> Option<(&Followed<'_>, Placed)> {
        let log = &self.replicas.get(&**node)?.log;
        let behind = log.between(own.batch.last + 1, log.end());
        let (taken, followed) = behind.iter().find_map(|taken| {
            let followed = self.followed(node, taken.event)?;
            (taken.event > own.event && followed.leader.is_some()).then_some((taken, followed))
        })?;
        Some((followed, *taken))
    }

    /// Whom the replica followed at that moment.
    fn followed(&self, node: &NodeName, at: EventId) -> Option<&Followed<'_>> {
        self.replicas.get(&**node)?.followed.iter().rfind(|followed| followed.event < at)
    }

    /// The first cut of the replica's log at `offset` or before it, between two events.
    fn truncation(
        &self,
        node: &NodeName,
        offset: Offset,
        after: EventId,
        before: EventId,
    ) -> Option<(EventId, String)> {
        let cut = self.cuts.iter().find(|cut| {
            cut.node == node && cut.to <= offset && cut.event > after && cut.event < before
        })?;
        Some((cut.event, format!("{node} truncates {} to {}", cut.from, cut.to)))
    }
}
